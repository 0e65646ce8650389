//! Every claim about grants and promised effects, with a driver that tries to break it, on a real Docker Engine.

use plimsoll::capability::Stage;
use plimsoll::grant::Grants;
use plimsoll::manifest::{Outside, PlacedFiles, Project};
use plimsoll::plugin::configuration::Configuration;
use plimsoll::wit::types::Effect;
use serde_json::{Value as Json, json};

use crate::hostile::{HostileDriver, promise, promised};
use crate::support::{Folder, TestRun, sha256};

/// Grants as `plimsoll.yml` writes them.
fn written(grants: &str) -> Grants {
    let text = format!(
        "plugins:\n  guest:\n    from: file:guest.wasm\n    role: driver\n    grants: {grants}\n"
    );
    let configuration = Configuration::parse("plimsoll.yml", &text, &[]).unwrap();
    configuration.plugins[0].grants.written.clone()
}

/// What a driver may do in these tests.
fn grants() -> Grants {
    written(
        "{docker: {hosts: [local], containers: ['mine-*'], images: ['mine/*'], networks: [mine], mounts: ['/srv/mine/**'], \
         exec: {'mine-*': ['echo **']}}, ssh: {hosts: [local], run: ['echo **', cat], write: ['.mine/**'], read: ['.mine/**']}, lock: [.mine/lock], \
         hook: [pre-deploy], secrets: {KEY: [container-env, stdin]}}",
    )
}

/// Runs the calls in `apply` under these promises and answers what came of each.
async fn apply(test: &TestRun, promises: &[Effect], calls: Json) -> Vec<String> {
    lab::engine::ensure().unwrap();
    let session = test.session(grants(), promised(promises));
    HostileDriver::of_servers(test).apply(session, calls).await
}

/// Runs the calls in `observe`.
async fn observe(test: &TestRun, calls: Json) -> Vec<String> {
    lab::engine::ensure().unwrap();
    let session = test.session(grants(), Stage::Reading);
    HostileDriver::of_servers(test)
        .observe(session, calls)
        .await
}

#[tokio::test]
async fn nothing_can_be_changed_while_observing() {
    let test = TestRun::new();
    let results = observe(
        &test,
        json!([
            {"do": "stop", "host": "local", "effect": "e", "name": "mine-1"},
            {"do": "run", "host": "local", "effect": "e", "name": "mine-1", "image": "mine/a:1"},
            {"do": "exec", "host": "local", "effect": "e", "name": "mine-1", "command": ["echo", "x"]},
            {"do": "pull", "host": "local", "effect": "e", "image": "mine/a:1"},
            {"do": "ssh-run", "host": "local", "effect": "e", "argv": ["echo", "x"]},
            {"do": "ssh-put", "host": "local", "effect": "e", "path": ".mine/x", "content": "x"},
            {"do": "lock", "host": "local", "effect": "e", "path": ".mine/lock"},
            {"do": "hook", "effect": "e", "name": "pre-deploy"},
            {"do": "run-like", "host": "local", "effect": "e", "existing": "mine-1", "name": "mine-2"},
            {"do": "run-once", "host": "local", "effect": "e", "name": "mine-1", "image": "mine/a:1"},
            {"do": "extract", "host": "local", "effect": "e", "name": "mine-1", "image": "mine/a:1", "path": "/etc", "directory": ".mine/x"},
            {"do": "ssh-set-access", "host": "local", "effect": "e", "path": ".mine/x"},
            {"do": "ssh-remove", "host": "local", "effect": "e", "path": ".mine/x"},
            {"do": "ssh-keep-only", "host": "local", "effect": "e", "path": ".mine", "prefix": "a", "name": "b"},
            {"do": "ssh-merge", "host": "local", "effect": "e", "source": ".mine/a", "path": ".mine/b"},
            {"do": "lock-leave", "host": "local", "effect": "e", "path": ".mine/lock"},
            {"do": "lock-break", "host": "local", "effect": "e", "path": ".mine/lock"},
        ]),
    )
    .await;
    assert_eq!(results.len(), 17);
    for result in results {
        assert!(
            result.contains("NotPlanned")
                && result.contains("nothing may be changed while planning"),
            "{result}"
        );
    }
}

#[tokio::test]
async fn what_is_outside_the_grants_is_refused_with_the_rule_that_would_allow_it() {
    let test = TestRun::new();
    let attempts = [
        (
            "docker.stop",
            json!({"name": "db", "timeout": null}),
            json!({"do": "stop", "host": "local", "effect": "e0", "name": "db"}),
            "grants.docker.containers += \"db\"",
        ),
        (
            "ssh.run",
            json!({}),
            json!({"do": "ssh-run", "host": "local", "effect": "e1", "argv": ["rm", "-rf", "/"]}),
            "grants.ssh.run += ",
        ),
        (
            "ssh.put",
            json!({}),
            json!({"do": "ssh-put", "host": "local", "effect": "e2", "path": ".ssh/authorized_keys", "content": "x"}),
            "grants.ssh.write += ",
        ),
        (
            "ssh.put",
            json!({}),
            json!({"do": "ssh-put", "host": "local", "effect": "e3", "path": ".mine/../.ssh/x", "content": "x"}),
            "grants.ssh.write += ",
        ),
        (
            "lock.acquire",
            json!({}),
            json!({"do": "lock", "host": "local", "effect": "e4", "path": ".mine/other"}),
            "grants.lock += ",
        ),
        (
            "hook.run",
            json!({}),
            json!({"do": "hook", "effect": "e5", "name": "post-deploy"}),
            "grants.hook += ",
        ),
        (
            "docker.run-like",
            json!({}),
            json!({"do": "run-like", "host": "local", "effect": "e9", "existing": "db", "name": "mine-1"}),
            "grants.docker.containers += \"db\"",
        ),
        (
            "docker.run-like",
            json!({}),
            json!({"do": "run-like", "host": "local", "effect": "e10", "existing": "mine-1", "name": "db"}),
            "grants.docker.containers += \"db\"",
        ),
        (
            "docker.run-once",
            json!({}),
            json!({"do": "run-once", "host": "local", "effect": "e11", "name": "mine-1", "image": "mine/a:1", "volumes": ["/:/host"]}),
            "grants.docker.mounts += ",
        ),
        (
            "docker.extract",
            json!({}),
            json!({"do": "extract", "host": "local", "effect": "e12", "name": "mine-1", "image": "mine/a:1", "path": "/", "directory": ".ssh"}),
            "grants.ssh.write += ",
        ),
        (
            "ssh.set-access",
            json!({}),
            json!({"do": "ssh-set-access", "host": "local", "effect": "e13", "path": "/etc/shadow"}),
            "grants.ssh.write += ",
        ),
        (
            "ssh.remove",
            json!({}),
            json!({"do": "ssh-remove", "host": "local", "effect": "e14", "path": ".mine/../.ssh"}),
            "grants.ssh.write += ",
        ),
        (
            "ssh.keep-only",
            json!({}),
            json!({"do": "ssh-keep-only", "host": "local", "effect": "e15", "path": ".mine", "prefix": "../x", "name": "y"}),
            "grants.ssh.write += ",
        ),
        (
            "ssh.merge",
            json!({}),
            json!({"do": "ssh-merge", "host": "local", "effect": "e16", "source": ".ssh", "path": ".mine/x"}),
            "grants.ssh.write += ",
        ),
        (
            "ssh.install-docker",
            json!({}),
            json!({"do": "install-docker", "host": "local", "effect": "e17"}),
            "grants.ssh.install-docker: true",
        ),
        (
            "lock.break",
            json!({}),
            json!({"do": "lock-break", "host": "local", "effect": "e18", "path": ".mine/other"}),
            "grants.lock += ",
        ),
        (
            "docker.run",
            json!({}),
            json!({"do": "run", "host": "local", "effect": "e6", "name": "mine-1", "image": "evil/a:1"}),
            "grants.docker.images += ",
        ),
        (
            "docker.run",
            json!({}),
            json!({"do": "run", "host": "local", "effect": "e7", "name": "mine-1", "image": "mine/a:1", "options": {"privileged": "true"}}),
            "grants.docker.options += ",
        ),
        (
            "docker.run",
            json!({}),
            json!({"do": "run", "host": "local", "effect": "e8", "name": "mine-1", "image": "mine/a:1", "volumes": ["/var/run/docker.sock:/s"]}),
            "grants.docker.mounts += ",
        ),
        (
            "docker.run",
            json!({}),
            json!({"do": "run", "host": "local", "effect": "e9", "name": "mine-1", "image": "mine/a:1", "volumes": ["/srv/mine/../../etc:/etc"]}),
            "grants.docker.mounts += ",
        ),
        (
            "docker.exec",
            json!({}),
            json!({"do": "exec", "host": "local", "effect": "e10", "name": "mine-1", "command": ["sh", "-c", "echo x"]}),
            "grants.docker.exec.mine-1 += ",
        ),
    ];
    let promises: Vec<Effect> = attempts
        .iter()
        .enumerate()
        .map(|(n, (operation, arguments, ..))| {
            promise(&format!("e{n}"), operation, "local", arguments.clone())
        })
        .collect();
    let calls: Vec<Json> = attempts
        .iter()
        .map(|(_, _, call, _)| call.clone())
        .collect();
    let results = apply(&test, &promises, json!(calls)).await;
    for (result, (operation, _, _, rule)) in results.iter().zip(&attempts) {
        assert!(
            result.contains("Denied") && result.replace('\\', "").contains(rule),
            "{operation}: {result}\nexpected {rule}"
        );
    }
    let refusals = test
        .journal()
        .iter()
        .filter(|line| line["kind"] == "denied")
        .count();
    assert_eq!(refusals, attempts.len(), "every refusal is in the journal");
}

#[tokio::test]
async fn another_host_is_not_even_dialled() {
    let test = TestRun::new();
    let results = observe(
        &test,
        json!([{"do": "connect", "host": "203.0.113.1"}, {"do": "connect", "host": "db-1"}]),
    )
    .await;
    for result in results {
        assert!(
            result.contains("Denied") && result.contains("grants.docker.hosts += "),
            "{result}"
        );
    }
}

#[tokio::test]
async fn only_the_promised_call_is_made_and_only_once() {
    let test = TestRun::new();
    let stop = |name: &str, effect: &str| json!({"do": "stop", "host": "local", "effect": effect, "name": name});
    let promises = [promise(
        "stop",
        "docker.stop",
        "local",
        json!({"name": "mine-absent", "timeout": null}),
    )];
    let results = apply(
        &test,
        &promises,
        json!([
            stop("mine-other", "stop"),
            stop("mine-absent", "unpromised"),
            {"do": "remove", "host": "local", "effect": "stop", "name": "mine-absent"},
            stop("mine-absent", "stop"),
            stop("mine-absent", "stop"),
        ]),
    )
    .await;
    assert!(
        results[0].contains("/name was \\\"mine-absent\\\", asked for \\\"mine-other\\\""),
        "{}",
        results[0]
    );
    assert!(
        results[1].contains("`unpromised` is not in the approved plan"),
        "{}",
        results[1]
    );
    assert!(
        results[2].contains("approved as docker.stop on local, not as docker.remove"),
        "{}",
        results[2]
    );
    assert!(!results[3].contains("NotPlanned"), "{}", results[3]);
    assert!(results[4].contains("was used before"), "{}", results[4]);
    let journal = test.journal();
    let intents: Vec<&str> = journal
        .iter()
        .filter(|line| line["kind"] == "intent")
        .filter_map(|line| line["entry"]["arguments"]["name"].as_str())
        .collect();
    assert_eq!(intents, ["mine-absent"], "only the promised call was begun");
    let text = std::fs::read_to_string(test.run().journal.path()).unwrap();
    assert_eq!(
        plimsoll::capability::journal::verify(&text),
        Ok(journal.len())
    );
}

#[tokio::test]
async fn half_a_call_needs_the_promise_of_the_whole_and_uses_it_up() {
    let test = TestRun::new();
    let words = |word: &str| json!(["echo", word]);
    let call = |what: &str, effect: &str, word: &str| json!({"do": what, "host": "local", "effect": effect, "name": "mine-absent", "command": words(word)});
    let promises = [promise(
        "echo",
        "docker.exec",
        "local",
        json!({"container": "mine-absent", "user": null, "command": words("a")}),
    )];
    let create = json!({"do": "create", "host": "local", "effect": "echo", "name": "mine-1", "image": "mine/app:1"});
    let results = apply(
        &test,
        &promises,
        json!([
            call("prepare", "other", "a"),
            call("prepare", "echo", "b"),
            create,
            call("prepare", "echo", "a"),
            call("exec", "echo", "a"),
            {"do": "has-image", "host": "local", "image": "other/app:1", "digest": "sha256:0"},
        ]),
    )
    .await;
    for (result, why) in results.iter().zip([
        "`other` is not in the approved plan",
        "asked for",
        "approved as docker.exec on local, not as docker.run",
        "NotFound",
        "was used before",
        "Denied",
    ]) {
        assert!(result.contains(why), "{why}: {result}");
    }
    let observing = observe(
        &test,
        json!([call("prepare", "echo", "a"), {"do": "create", "host": "local", "effect": "x", "name": "mine-1", "image": "mine/app:1"}]),
    )
    .await;
    for result in observing {
        assert!(result.contains("NotPlanned"), "{result}");
    }
}

#[tokio::test]
async fn a_secret_is_not_put_where_others_can_read_it_and_never_comes_back() {
    let canary = "canary-4f8a1c";
    let test = TestRun::with_secrets(&format!("KEY={canary}\n"));
    let promises = [
        promise(
            "argv",
            "docker.exec",
            "local",
            json!({"container": "mine-1", "command": ["echo", {"secret": "KEY"}], "user": null}),
        ),
        promise(
            "cat",
            "ssh.run",
            "local",
            json!({"command": {"argv": ["cat"], "stdin": {"secret": "KEY"}, "timeout": null}}),
        ),
    ];
    let results = apply(
        &test,
        &promises,
        json!([
            {"do": "exec", "host": "local", "effect": "argv", "name": "mine-1", "command": ["echo", {"secret": "KEY"}]},
            {"do": "fingerprint", "name": "KEY"},
            {"do": "ssh-run", "host": "local", "effect": "cat", "argv": ["cat"], "stdin": {"secret": "KEY"}},
            {"do": "log", "name": canary},
        ]),
    )
    .await;
    assert!(
        results[0].contains("would be readable by others there"),
        "{}",
        results[0]
    );
    assert!(
        results[1].starts_with("done: ") && !results[1].contains(canary),
        "{}",
        results[1]
    );
    assert!(
        results[2].contains("[redacted:KEY]") && !results[2].contains(canary),
        "what cat repeats: {}",
        results[2]
    );
    let journal = std::fs::read_to_string(test.run().journal.path()).unwrap();
    assert!(!journal.contains(canary), "{journal}");
}

#[tokio::test]
async fn a_secret_that_a_command_echoes_is_redacted_before_the_component_sees_it() {
    let canary = "canary-77b2e0";
    let test = TestRun::with_secrets(&format!("KEY={canary}\n"));
    // The user granted `echo *`; what it prints happens to be the secret.
    let promises = [promise(
        "e",
        "ssh.run",
        "local",
        json!({"command": {"argv": ["echo", canary], "stdin": null, "timeout": null}}),
    )];
    let results = apply(
        &test,
        &promises,
        json!([{"do": "ssh-run", "host": "local", "effect": "e", "argv": ["echo", canary]}]),
    )
    .await;
    assert!(
        results[0].contains("[redacted:KEY]") && !results[0].contains(canary),
        "{}",
        results[0]
    );
}

#[tokio::test]
async fn a_lock_that_a_driver_leaves_behind_is_given_back() {
    let home = std::env::home_dir().unwrap();
    let path = format!(".mine-lock-{}", std::process::id());
    let grants = written(&format!(
        "{{docker: {{hosts: [local]}}, ssh: {{hosts: [local]}}, lock: [{path}]}}"
    ));
    let test = TestRun::new();
    lab::engine::ensure().unwrap();
    let promises = [promise(
        "lock",
        "lock.acquire",
        "local",
        json!({"host": "local", "path": path, "details": "hostile", "wait": null}),
    )];
    let session = test.session(grants, promised(&promises));
    let calls =
        json!([{"do": "lock", "host": "local", "effect": "lock", "path": path}, {"do": "trap"}]);
    let result = HostileDriver::of_servers(&test)
        .try_apply(session, calls)
        .await;
    assert!(result.is_err(), "it trapped");
    assert!(home.join(&path).is_dir(), "the lock was taken");
    assert_eq!(test.run().release_locks().await, Vec::<String>::new());
    assert!(!home.join(&path).exists(), "the lock was given back");
}

#[tokio::test]
async fn more_calls_at_once_than_the_budget_are_refused() {
    let test = TestRun::new();
    let results = observe(
        &test,
        json!([{"do": "inspect-many", "host": "local", "name": "mine-1", "count": 400}]),
    )
    .await;
    let refused: u32 = results[0]
        .trim_start_matches("done: ")
        .trim_end_matches(" refused")
        .parse()
        .expect(&results[0]);
    assert!(refused >= 100, "{}", results[0]);
}

#[tokio::test]
async fn what_others_run_on_the_same_host_is_not_told() {
    lab::engine::ensure().unwrap();
    let test = TestRun::new();
    let results = observe(&test, json!([{"do": "list", "host": "local"}, {"do": "inspect", "host": "local", "name": "kamal-proxy"}, {"do": "logs", "host": "local", "name": "db"}])).await;
    assert_eq!(results[0], "done: []");
    assert!(
        results[1].contains("Denied") && results[2].contains("Denied"),
        "{results:?}"
    );
}

#[tokio::test]
async fn time_passes_only_while_applying() {
    let test = TestRun::new();
    let frozen = observe(&test, json!([{"do": "sleep", "ms": 60_000}])).await;
    assert_eq!(frozen, ["done: 1700000000000"]);
}

/// Of a project with two accessories, each with a file of its own, and other files beside them.
fn placed() -> (Folder, PlacedFiles) {
    let project = Folder::new();
    let accessories = ["one", "two"].map(|name| {
        format!("  {name}:\n    image: x:1\n    host: local\n    files:\n      - {name}.conf:/etc/x.conf\n")
    });
    project.write(
        "config/deploy.yml",
        format!(
            "service: mine\nimage: mine/app\nservers: [local]\nerror_pages_path: public\naccessories:\n{}",
            accessories.concat()
        ),
    );
    for (name, text) in [
        ("one.conf", "one"),
        ("two.conf", "two"),
        (".kamal/secrets", "KEY=canary"),
        ("public/404.html", "gone"),
    ] {
        project.write(name, text);
    }
    let outside = Outside {
        environment: Default::default(),
        run: &|_, _, _| Err("no commands here".to_owned()),
        docker_arch: &|| Ok("amd64".to_owned()),
    };
    let found = Project::find(project.path(), None, None, outside).unwrap();
    let files = PlacedFiles::of(&found);
    (project, files)
}

#[tokio::test]
async fn no_file_of_this_machine_is_put_on_a_server_but_those_the_manifest_names() {
    let (project, files) = placed();
    let test = TestRun::with_files(files);
    let digest = |path: &str| {
        let bytes = std::fs::read(project.path().join(path)).unwrap();
        sha256(&bytes)
    };
    let target = format!(".mine/placed-{}", std::process::id());
    // Whose file it is said to be, which, and whether it may be put there. Every digest is the right one.
    let attempts = [
        (Some("one"), "one.conf", true),
        (Some("one"), "/etc/passwd", false),
        (None, "/etc/passwd", false),
        (Some("one"), ".kamal/secrets", false),
        (Some("one"), "./one.conf", false),
        (Some("one"), "public/../.kamal/secrets", false),
        (None, "public/../.kamal/secrets", false),
        (None, "public/../one.conf", false),
        (None, ".kamal/secrets", false),
        (None, "one.conf", false),
        (Some("one"), "two.conf", false),
        (Some("three"), "one.conf", false),
        (Some("one"), "public/404.html", false),
        (None, "public/404.html", true),
    ];
    let (mut promises, mut calls) = (Vec::new(), Vec::new());
    for (number, (accessory, path, _)) in attempts.iter().enumerate() {
        let mut content = json!({"file": path, "digest": digest(path)});
        if let Some(accessory) = accessory {
            content["accessory"] = json!(accessory);
        }
        let id = format!("e{number}");
        let arguments = json!({"path": target, "mode": 0o600, "content": content});
        promises.push(promise(&id, "ssh.put", "local", arguments));
        calls.push(
            json!({"do": "ssh-put", "host": "local", "effect": id, "path": target, "content": content}),
        );
    }
    let mut stale = json!({"file": "one.conf", "digest": "00", "accessory": "one"});
    let arguments = json!({"path": target, "mode": 0o600, "content": stale});
    promises.push(promise("stale", "ssh.put", "local", arguments));
    calls.push(json!({"do": "ssh-put", "host": "local", "effect": "stale", "path": target, "content": stale.take()}));
    let answers = apply(&test, &promises, Json::Array(calls)).await;
    let placed = std::env::home_dir().unwrap().join(&target);
    let text = std::fs::read_to_string(&placed).unwrap();
    std::fs::remove_file(placed).unwrap();
    for ((accessory, path, may), answer) in attempts.iter().zip(&answers) {
        match may {
            true => assert_eq!(answer, "done: ", "{path}"),
            false => assert!(
                answer.contains("is not a file that the manifest names"),
                "{accessory:?} {path}: {answer}"
            ),
        }
    }
    assert!(
        answers[attempts.len()].contains("has changed since it was planned"),
        "{answers:?}"
    );
    assert_eq!(text, "gone", "what the last one that may be there wrote");
}
