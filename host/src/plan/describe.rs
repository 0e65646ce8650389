//! An effect in words, written from its arguments: a component can't describe one thing and do another.

use serde_json::Value as Json;

use super::canonical::shown;
use crate::wit::renderer::exports::plimsoll::deploy::renderer::Image;
use crate::wit::types::{Effect, Moment};

/// One line: `run container app-web-3f2a from registry.example.com/app:3f2a`. What is not known by name is shown
/// as it is.
pub fn effect(effect: &Effect) -> String {
    let arguments: Json = serde_json::from_str(&effect.arguments).unwrap_or(Json::Null);
    let text = |key: &str| shown(&arguments[key]);
    let line = match effect.operation.as_str() {
        "docker.pull" => format!(
            "pull image {}{}",
            text("image"),
            with_digest(&arguments["digest"])
        ),
        "docker.create-network" => format!("create network {} unless it is there", text("name")),
        "docker.run" => run(&arguments["spec"]),
        "docker.run-like" => format!(
            "run container {} as a copy of {}: its image, environment, mounts and options as they were",
            text("name"),
            text("existing")
        ),
        "docker.run-once" => format!("{}, wait for its end, remove it", run(&arguments["spec"])),
        "docker.extract" => format!(
            "copy {} of image {} into directory {}",
            text("path"),
            text("image"),
            text("directory")
        ),
        "docker.start" => format!("start container {}", text("name")),
        "docker.stop" => match &arguments["timeout"] {
            Json::Null => format!("stop container {}", text("name")),
            seconds => format!("stop container {} ({seconds} s)", text("name")),
        },
        "docker.rename" => format!("rename container {} to {}", text("name"), text("to")),
        "docker.remove" => format!("remove container {}", text("name")),
        "docker.exec" => format!(
            "in container {}{}: {}",
            text("container"),
            arguments["user"]
                .as_str()
                .map(|user| format!(" as {user}"))
                .unwrap_or_default(),
            words(&arguments["command"])
        ),
        "docker.tag" => format!("tag image {} as {}", text("image"), text("reference")),
        "docker.remove-image" => format!("remove image {}", text("reference")),
        "docker.prune-images" => format!(
            "remove dangling images labelled {}",
            labels(&arguments["labels"])
        ),
        "ssh.run" => format!("run {}", words(&arguments["command"]["argv"])),
        "ssh.make-directory" => format!("create directory {}", text("path")),
        "ssh.put" => format!(
            "write file {} (mode {:o})",
            text("path"),
            arguments["mode"].as_u64().unwrap_or_default()
        ),
        "ssh.append" => format!("append to {}: {}", text("path"), lines(&arguments["lines"])),
        "ssh.set-access" => format!(
            "change who may use {}{}{}",
            text("path"),
            arguments["mode"]
                .as_str()
                .map(|mode| format!(", mode {mode}"))
                .unwrap_or_default(),
            arguments["owner"]
                .as_str()
                .map(|owner| format!(", owner {owner}"))
                .unwrap_or_default()
        ),
        "ssh.remove" => format!("remove {} with all that is in it", text("path")),
        "ssh.keep-only" => format!(
            "remove everything {}/{}… but {}",
            text("directory"),
            text("prefix"),
            text("keep")
        ),
        "ssh.merge" => format!("copy what {} lacks from {}", text("target"), text("source")),
        "ssh.install-docker" => {
            "install Docker, unless it is there, with the script of get.docker.com".to_owned()
        }
        "lock.acquire" => match &arguments["wait"] {
            Json::Null => format!("take the deploy lock {}", text("path")),
            wait => format!(
                "take the deploy lock {}, waiting up to {} s for it",
                text("path"),
                wait["timeout"]
            ),
        },
        "lock.release" => "give back the deploy lock".to_owned(),
        "lock.leave" => format!("take the deploy lock {} and leave it there", text("path")),
        "lock.break" => format!("remove the deploy lock {}, whoever has it", text("path")),
        "hook.run" => format!("run this project's hook {}", effect.subject),
        "s3.put" => put(&arguments["object"]),
        "cloudformation.create-change-set" => change_set(&arguments["input"]),
        "cloudformation.execute-change-set" => {
            let failure = match arguments["rollback"].as_bool() {
                Some(true) => "a failure is rolled back",
                Some(false) | None => "a failure is left as it is",
            };
            format!("execute change set {} ({failure})", text("name"))
        }
        "cloudformation.delete-change-set" => format!("drop change set {}", text("name")),
        "cloudformation.cancel-update" => "cancel the update".to_owned(),
        "cloudformation.delete" => "delete this stack, which never worked".to_owned(),
        "ecs.force-deployment" => "start its tasks anew".to_owned(),
        other => format!("{other} {arguments}"),
    };
    let line = crate::plan::printable(&line);
    match effect.moment {
        Moment::Always => line,
        Moment::OnFailure if effect.operation.starts_with("cloudformation.") => {
            format!("if you interrupt that and ask for it, or nothing changes: {line}")
        }
        Moment::OnFailure => format!("if that fails: {line}"),
    }
}

/// What this machine does for an image before any server is touched.
pub fn image(image: &Image) -> String {
    let push = match &image.registry {
        Some(login) => format!(
            "push it to {}",
            login.server.as_deref().unwrap_or("docker.io")
        ),
        // The login to ECR is the application's, and belongs to no image.
        None => match image.reference.split_once('/') {
            Some((server, _)) if server.contains(".dkr.ecr.") => format!("push it to {server}"),
            _ => "keep it in this machine's Docker Engine".to_owned(),
        },
    };
    let line = match &image.build {
        Some(build) => {
            let context = build.context.as_deref().unwrap_or("a clone of HEAD");
            format!(
                "build image {} from {} in {context}, {push}",
                image.reference, build.dockerfile
            )
        }
        None => format!("look up image {}", image.reference),
    };
    crate::plan::printable(&line)
}

fn put(object: &Json) -> String {
    let source = &object["source"];
    let kinds = [
        ("document", "document"),
        ("file", "file"),
        ("archive", "an archive of"),
        ("function", "the code of function"),
    ];
    let named = kinds.iter().find_map(|(kind, words)| {
        let name = source[*kind].as_str()?;
        Some(format!("{words} {name}"))
    });
    let what = named.unwrap_or_else(|| source.to_string());
    format!(
        "upload {what} to s3://{}/{}",
        shown(&object["bucket"]),
        shown(&object["key"])
    )
}

fn change_set(input: &Json) -> String {
    let mut line = format!(
        "propose change set {} to {} it, with {}",
        shown(&input["name"]),
        shown(&input["kind"]),
        shown(&input["inputs"])
    );
    if let Json::String(role) = &input["role"] {
        line.push_str(&format!(", as role {role}"));
    }
    if let Some(capabilities) = input["capabilities"]
        .as_array()
        .filter(|all| !all.is_empty())
    {
        let names: Vec<String> = capabilities.iter().map(shown).collect();
        line.push_str(&format!(" ({})", names.join(", ")));
    }
    line
}

fn with_digest(digest: &Json) -> String {
    match digest {
        Json::Null => String::new(),
        Json::Object(_) => " (digest known after the push)".to_owned(),
        known => format!(" ({})", shown(known)),
    }
}

fn run(spec: &Json) -> String {
    let secrets = spec["env"].as_array().map_or(0, |env| {
        env.iter().filter(|pair| !pair[1].is_string()).count()
    });
    let clear = spec["env"].as_array().map_or(0, Vec::len) - secrets;
    let mut line = format!(
        "run container {} from {}",
        shown(&spec["name"]),
        shown(&spec["image"])
    );
    if let Some(command) = spec["command"]
        .as_array()
        .filter(|command| !command.is_empty())
    {
        line.push_str(&format!(
            " with command {}",
            words(&Json::Array(command.clone()))
        ));
    }
    line.push_str(&format!(" ({clear} clear and {secrets} secret variables"));
    for (key, label) in [
        ("ports", "ports"),
        ("volumes", "volumes"),
        ("options", "options"),
    ] {
        if let Some(items) = spec[key].as_array().filter(|items| !items.is_empty()) {
            let items: Vec<String> = items.iter().map(item).collect();
            line.push_str(&format!(", {label} {}", items.join(" ")));
        }
    }
    line.push(')');
    line
}

fn item(json: &Json) -> String {
    match json {
        Json::Object(port) if port.contains_key("host-port") => {
            format!(
                "{}:{}",
                port["host-port"],
                port.get("container-port").unwrap_or(&Json::Null)
            )
        }
        Json::Array(pair) if pair.len() == 2 => format!("{}={}", shown(&pair[0]), shown(&pair[1])),
        other => shown(other),
    }
}

fn words(command: &Json) -> String {
    let quote = |word: String| {
        let plain = !word.is_empty()
            && word
                .chars()
                .all(|c| c.is_alphanumeric() || "-_./:=@<>%+,".contains(c));
        if plain { word } else { format!("'{word}'") }
    };
    command
        .as_array()
        .map(|words| {
            words
                .iter()
                .map(|word| quote(shown(word)))
                .collect::<Vec<_>>()
                .join(" ")
        })
        .unwrap_or_default()
}

fn lines(lines: &Json) -> String {
    let lines = lines.as_array().into_iter().flatten();
    lines.map(shown).collect::<Vec<_>>().join("; ")
}

fn labels(labels: &Json) -> String {
    labels
        .as_array()
        .map(|pairs| pairs.iter().map(item).collect::<Vec<_>>().join(" "))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_effect_reads_as_what_it_will_do() {
        for (operation, arguments, expected) in [
            (
                "docker.pull",
                json!({"image": "r/a:1", "digest": {"slot": "image/app"}, "credentials": null}),
                "pull image r/a:1 (digest known after the push)",
            ),
            (
                "docker.stop",
                json!({"name": "app-web-1", "timeout": 30}),
                "stop container app-web-1 (30 s)",
            ),
            (
                "docker.exec",
                json!({"container": "kamal-proxy", "command": ["kamal-proxy", "deploy", "app-web", ["--target=", {"slot": "created/x"}, ":80"]]}),
                "in container kamal-proxy: kamal-proxy deploy app-web --target=<created/x>:80",
            ),
            (
                "docker.run",
                json!({"spec": {"name": "a", "image": "i:1", "env": [["A", "1"], ["B", {"secret": "B"}]], "command": null, "volumes": ["v:/v"]}}),
                "run container a from i:1 (1 clear and 1 secret variables, volumes v:/v)",
            ),
            (
                "s3.put",
                json!({"object": {"bucket": "b", "key": "manual/x.yml", "source": {"document": "stack/api"}, "content-type": null}}),
                "upload document stack/api to s3://b/manual/x.yml",
            ),
            (
                "s3.put",
                json!({"object": {"bucket": "b", "key": "manual/addons/api/assets/1", "source": {"archive": "lambdas/a"}, "content-type": null}}),
                "upload an archive of lambdas/a to s3://b/manual/addons/api/assets/1",
            ),
            (
                "cloudformation.create-change-set",
                json!({"input": {"name": "c", "kind": "update", "template": {"slot": "uploaded/t"}, "inputs": "parameters/api", "capabilities": ["CAPABILITY_IAM"], "role": "arn:r"}}),
                "propose change set c to update it, with parameters/api, as role arn:r (CAPABILITY_IAM)",
            ),
            (
                "cloudformation.execute-change-set",
                json!({"name": "c", "rollback": false}),
                "execute change set c (a failure is left as it is)",
            ),
            (
                "cloudformation.delete",
                json!({"role": null}),
                "delete this stack, which never worked",
            ),
            (
                "docker.run-like",
                json!({"existing": "app-web-1_replaced_0", "name": "app-web-1"}),
                "run container app-web-1 as a copy of app-web-1_replaced_0: its image, environment, mounts and options as they were",
            ),
            (
                "ssh.append",
                json!({"path": ".kamal/log", "lines": [["[", {"slot": "now"}, "] a"], "b"]}),
                "append to .kamal/log: [<now>] a; b",
            ),
            (
                "ssh.set-access",
                json!({"path": "app-db/data", "mode": "700", "owner": "999:999"}),
                "change who may use app-db/data, mode 700, owner 999:999",
            ),
            (
                "ssh.keep-only",
                json!({"directory": "assets", "prefix": "web-", "keep": "web-2"}),
                "remove everything assets/web-… but web-2",
            ),
            (
                "lock.acquire",
                json!({"host": "a", "path": "l", "details": "", "wait": {"timeout": 900, "interval": 15}}),
                "take the deploy lock l, waiting up to 900 s for it",
            ),
            (
                "lock.break",
                json!({"host": "a", "path": "l"}),
                "remove the deploy lock l, whoever has it",
            ),
            ("volcano.erupt", json!({"x": 1}), "volcano.erupt {\"x\":1}"),
            (
                "docker.remove",
                json!({"name": "a\u{1b}[2Jb"}),
                "remove container a\u{fffd}[2Jb",
            ),
        ] {
            let promised = Effect {
                id: "e".into(),
                operation: operation.into(),
                subject: "web-1".into(),
                arguments: arguments.to_string(),
                destructive: false,
                moment: Moment::Always,
            };
            assert_eq!(effect(&promised), expected);
        }
    }
}
