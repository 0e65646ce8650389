use serde_json::json;

use super::*;

#[test]
fn a_call_is_its_operation_and_its_arguments() {
    let text = || String::from("x");
    for (call, operation, arguments, destructive) in [
        (
            Call::Pull {
                image: text(),
                digest: None,
                credentials: None,
            },
            "docker.pull",
            json!({"image": "x", "digest": null, "credentials": null}),
            false,
        ),
        (
            Call::CreateNetwork { name: text() },
            "docker.create-network",
            json!({"name": "x"}),
            false,
        ),
        (
            Call::Start { name: text() },
            "docker.start",
            json!({"name": "x"}),
            false,
        ),
        (
            Call::Stop {
                name: text(),
                timeout: Some(3),
            },
            "docker.stop",
            json!({"name": "x", "timeout": 3}),
            true,
        ),
        (
            Call::Rename {
                name: text(),
                to: text(),
            },
            "docker.rename",
            json!({"name": "x", "to": "x"}),
            false,
        ),
        (
            Call::Remove { name: text() },
            "docker.remove",
            json!({"name": "x"}),
            true,
        ),
        (
            Call::Exec {
                container: text(),
                user: None,
                command: vec![Value::text("x"), Value::slot("created/a").and_text(":80")],
            },
            "docker.exec",
            json!({"container": "x", "user": null, "command": ["x", [{"slot": "created/a"}, ":80"]]}),
            false,
        ),
        (
            Call::Tag {
                image: text(),
                reference: text(),
            },
            "docker.tag",
            json!({"image": "x", "reference": "x"}),
            false,
        ),
        (
            Call::RemoveImage { reference: text() },
            "docker.remove-image",
            json!({"reference": "x"}),
            true,
        ),
        (
            Call::PruneImages {
                labels: vec![(text(), text())],
            },
            "docker.prune-images",
            json!({"labels": [["x", "x"]]}),
            true,
        ),
        (
            Call::MakeDirectory { path: text() },
            "ssh.make-directory",
            json!({"path": "x"}),
            false,
        ),
        (
            Call::Append {
                path: text(),
                lines: vec![Value::slot("now")],
            },
            "ssh.append",
            json!({"path": "x", "lines": [{"slot": "now"}]}),
            false,
        ),
        (
            Call::Acquire {
                host: text(),
                path: text(),
                details: Value::text("x"),
                wait: Some(Patience {
                    timeout: 900,
                    interval: 15,
                }),
            },
            "lock.acquire",
            json!({"host": "x", "path": "x", "details": "x", "wait": {"timeout": 900, "interval": 15}}),
            false,
        ),
        (Call::Release {}, "lock.release", json!({}), false),
        (
            Call::Break {
                host: text(),
                path: text(),
            },
            "lock.break",
            json!({"host": "x", "path": "x"}),
            true,
        ),
        (
            Call::RunLike {
                existing: text(),
                name: text(),
            },
            "docker.run-like",
            json!({"existing": "x", "name": "x"}),
            false,
        ),
        (
            Call::Extract {
                image: text(),
                path: text(),
                container: text(),
                directory: text(),
            },
            "docker.extract",
            json!({"image": "x", "path": "x", "container": "x", "directory": "x"}),
            false,
        ),
        (
            Call::KeepOnly {
                directory: text(),
                prefix: text(),
                keep: text(),
            },
            "ssh.keep-only",
            json!({"directory": "x", "prefix": "x", "keep": "x"}),
            true,
        ),
        (
            Call::InstallDocker {},
            "ssh.install-docker",
            json!({}),
            false,
        ),
        (
            Call::Hook {
                name: text(),
                env: vec![("A".into(), Value::secret("S"))],
            },
            "hook.run",
            json!({"name": "x", "env": [["A", {"secret": "S"}]]}),
            false,
        ),
    ] {
        assert_eq!(call.operation(), operation);
        assert_eq!(call.arguments(), arguments, "{operation}");
        assert_eq!(call.is_destructive(), destructive, "{operation}");
        let promise = Promise::always("id", "host", call);
        let json = serde_json::to_string(&promise).expect("serialises");
        assert_eq!(
            serde_json::from_str::<Promise>(&json).expect("parses"),
            promise,
            "{json}"
        );
    }
}
