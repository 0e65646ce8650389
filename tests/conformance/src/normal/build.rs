//! How images were built, and what was done for it on the deployer's machine.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::hooks::Record;
use super::words::marked;
use super::{Facts, Object};
use crate::world::{LOCAL, What};

/// `build`, `local_login`, `local_registry` and `forwards`, where there is something to say.
pub(super) fn all(facts: &Facts<'_>) -> Object {
    let mut top = Object::new();
    if let Some(build) = by_program(facts).or_else(|| by_engine(facts)) {
        top.insert("build".into(), build);
    }
    let logins: Vec<Json> = facts
        .on(LOCAL)
        .filter_map(|seen| match &seen.what {
            What::Pushed {
                login: Some(login), ..
            } => Some(self::login(login)),
            _ => None,
        })
        .take(1)
        .collect();
    if !logins.is_empty() {
        top.insert("local_login".into(), Json::Array(logins));
    }
    for seen in facts.on(LOCAL) {
        if let What::Created { name, body } = &seen.what {
            let ports = body["HostConfig"]["PortBindings"]
                .as_object()
                .cloned()
                .unwrap_or_default();
            let port = ports
                .values()
                .find_map(|bound| bound[0]["HostPort"].as_str()?.parse::<u32>().ok());
            if let Some(port) = port {
                top.insert(
                    "local_registry".into(),
                    json!({"container": name, "image": body["Image"], "port": port}),
                );
            }
        }
    }
    let forwards = forwards(facts);
    if !forwards.is_empty() {
        top.insert("forwards".into(), Json::Array(forwards));
    }
    top
}

/// Ports of this machine that were offered on hosts: the builder's, then the servers'.
fn forwards(facts: &Facts<'_>) -> Vec<Json> {
    let config = facts.given.config.as_ref();
    let remote = config.and_then(|config| config.root.dig(&["builder", "remote"]));
    let url = remote.map(|node| node.to_text()).unwrap_or_default();
    let url = url.strip_prefix("ssh://").unwrap_or_default();
    let (user, place) = url
        .rsplit_once('@')
        .map_or((None, url), |(user, place)| (Some(user), place));
    let (builder, own_port) = place.split_once(':').map_or((place, None), |(host, port)| {
        (host, port.parse::<u16>().ok())
    });
    let mut groups: Vec<(Json, Vec<&String>)> = Vec::new();
    for seen in &facts.inner.seen {
        let What::Forwarding {
            port,
            user: who,
            ssh_port,
        } = &seen.what
        else {
            continue;
        };
        let builds = seen.host == builder
            && user.is_none_or(|user| user == who)
            && !groups.iter().any(|(about, _)| about["builds"] == true);
        // The builder is reached as its URL says, and nothing else.
        let about = match builds {
            true => json!({"builds": true, "port": port, "user": user, "ssh_port": own_port}),
            false => json!({"builds": false, "port": port, "user": who, "ssh_port": ssh_port}),
        };
        match groups.iter_mut().find(|(known, _)| *known == about) {
            Some((_, hosts)) if hosts.contains(&&seen.host) => {}
            Some((_, hosts)) => hosts.push(&seen.host),
            None => groups.push((about, vec![&seen.host])),
        }
    }
    let entry = |(about, hosts): (Json, Vec<&String>)| json!({"hosts": hosts, "port": about["port"], "user": about["user"], "ssh_port": about["ssh_port"]});
    groups.into_iter().map(entry).collect()
}

/// A login as it is shown: Docker Hub has no server.
pub(super) fn login(login: &Json) -> Json {
    let server = login["serveraddress"]
        .as_str()
        .filter(|server| !server.contains("docker.io"));
    json!({"server": server, "username": login["username"], "password": login["password"]})
}

/// A build by Docker's or pack's command line.
fn by_program(facts: &Facts<'_>) -> Option<Json> {
    let build = facts.records.iter().find(|record| {
        let words: Vec<&str> = record.arguments.iter().map(String::as_str).collect();
        matches!(
            (record.program.as_deref(), words.as_slice()),
            (Some("docker"), ["buildx", "build", ..]) | (Some("pack"), ["build", ..])
        )
    })?;
    let skip = if build.program.as_deref() == Some("pack") {
        1
    } else {
        2
    };
    let (mut flags, mut plain): (BTreeMap<String, Vec<String>>, Vec<String>) = Default::default();
    let mut rest = build.arguments[skip..].iter().peekable();
    while let Some(word) = rest.next() {
        let Some(flag) = word.strip_prefix('-') else {
            plain.push(word.clone());
            continue;
        };
        let flag = flag.trim_start_matches('-');
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None if matches!(
                flag,
                "no-cache" | "clear-cache" | "push" | "load" | "pull" | "publish" | "quiet" | "q"
            ) =>
            {
                (flag, "true".to_owned())
            }
            None => (flag, rest.next().cloned().unwrap_or_default()),
        };
        flags.entry(name.to_owned()).or_default().push(value);
    }
    Some(match build.program.as_deref() {
        Some("pack") => pack(facts, build, &flags, &plain),
        _ => buildx(facts, build, &flags, &plain),
    })
}

type Flags = BTreeMap<String, Vec<String>>;

fn all_of(flags: &Flags, names: &[&str]) -> Vec<String> {
    names
        .iter()
        .filter_map(|name| flags.get(*name))
        .flatten()
        .cloned()
        .collect()
}

fn one_of(flags: &Flags, names: &[&str]) -> Option<String> {
    all_of(flags, names).into_iter().next()
}

fn map(pairs: &[String]) -> Object {
    let pair = |pair: &String| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key.to_owned(), marked(value))
    };
    pairs.iter().map(pair).collect()
}

fn buildx(facts: &Facts<'_>, record: &Record, flags: &Flags, plain: &[String]) -> Json {
    let comma = |values: Vec<String>| -> Vec<String> {
        values
            .iter()
            .flat_map(|value| value.split(','))
            .map(str::to_owned)
            .collect()
    };
    let id = |secret: &String| {
        secret
            .split(',')
            .find_map(|part| part.strip_prefix("id="))
            .unwrap_or(secret)
            .to_owned()
    };
    let secrets: Vec<String> = all_of(flags, &["secret"]).iter().map(id).collect();
    let exported: Vec<&String> = secrets
        .iter()
        .filter(|name| record.env.contains_key(*name))
        .collect();
    let mut env = Object::new();
    if let Some(value) = record.env.get("BUILDKIT_NO_CLIENT_TOKEN") {
        env.insert("BUILDKIT_NO_CLIENT_TOKEN".into(), json!(value));
    }
    let created = facts.records.iter().any(|r| {
        r.arguments
            .starts_with(&["buildx".to_owned(), "create".to_owned()])
    });
    let mut entry = Object::new();
    for (key, value) in [
        ("kind", json!("buildx")),
        (
            "output",
            json!(one_of(flags, &["output", "o"]).or_else(|| {
                flags
                    .contains_key("push")
                    .then(|| "type=registry".to_owned())
            })),
        ),
        ("builder", json!(one_of(flags, &["builder"]))),
        ("platforms", json!(comma(all_of(flags, &["platform"])))),
        ("tags", json!(all_of(flags, &["t", "tag"]))),
        ("labels", Json::Object(map(&all_of(flags, &["label"])))),
        (
            "build_args",
            Json::Object(map(&all_of(flags, &["build-arg"]))),
        ),
        ("secrets", json!(secrets)),
        ("secret_env", json!(exported)),
        ("cache_from", json!(all_of(flags, &["cache-from"]))),
        ("cache_to", json!(all_of(flags, &["cache-to"]))),
        ("file", json!(one_of(flags, &["file", "f"]))),
        ("target", json!(one_of(flags, &["target"]))),
        (
            "ssh",
            one_of(flags, &["ssh"]).map_or(Json::Null, |ssh| marked(&ssh)),
        ),
        ("provenance", json!(one_of(flags, &["provenance"]))),
        ("sbom", json!(one_of(flags, &["sbom"]))),
        ("no_cache", json!(flags.contains_key("no-cache"))),
        ("context", json!(plain.first())),
        ("env", Json::Object(env)),
        ("clone", json!(cloned(facts, record))),
    ] {
        entry.insert(key.into(), value);
    }
    if record.env.contains_key("CONFORMANCE_BUILD_FAILS") {
        entry.insert("failed".into(), json!(true));
    }
    if created {
        entry.insert("builder_created".into(), json!(true));
    }
    Json::Object(entry)
}

/// Whether it was built from a clone: somewhere else than in the project.
fn cloned(facts: &Facts<'_>, record: &Record) -> bool {
    let project = facts.inner.folder.join("project");
    !record.folder.starts_with(&project.display().to_string())
}

fn pack(facts: &Facts<'_>, record: &Record, flags: &Flags, plain: &[String]) -> Json {
    let pushes = facts
        .records
        .iter()
        .filter(|r| r.arguments.first().is_some_and(|word| word == "push"));
    let by_engine = facts.inner.seen.iter().filter_map(|seen| match &seen.what {
        What::Pushed { image, .. } => Some(image),
        _ => None,
    });
    let pushed: Vec<&String> = pushes
        .filter_map(|r| r.arguments.get(1))
        .chain(by_engine)
        .collect();
    // `--env NAME` alone takes the value from what pack was called with.
    let named = all_of(flags, &["env", "e"]);
    let secret = |name: &&String| facts.given.secrets.contains(*name);
    let exported: Vec<&String> = named
        .iter()
        .filter(|name| record.env.contains_key(*name))
        .filter(secret)
        .collect();
    let given = |pair: String| match record.env.get(&pair) {
        Some(value) => format!("{pair}={value}"),
        None => pair,
    };
    let env: Vec<String> = named.iter().cloned().map(given).collect();
    json!({
        "kind": "pack", "image": plain.first(), "platform": one_of(flags, &["platform"]), "builder": one_of(flags, &["builder", "B"]),
        "buildpacks": all_of(flags, &["buildpack", "b"]), "tags": all_of(flags, &["t", "tag"]),
        "clear_cache": flags.contains_key("clear-cache"), "env": map(&env),
        "path": one_of(flags, &["path", "p"]), "creation_time": one_of(flags, &["creation-time"]), "push": pushed,
        "secret_env": exported, "clone": cloned(facts, record),
    })
}

/// Builds by BuildKit, on one Engine or on several.
fn by_engine(facts: &Facts<'_>) -> Option<Json> {
    let mut builds = facts.inner.seen.iter().filter_map(|seen| match &seen.what {
        What::Built { built, failed } => Some((&seen.host, built, *failed)),
        _ => None,
    });
    let all: Vec<_> = builds.by_ref().collect();
    let (_, first, _) = all.first()?;
    let session = facts
        .inner
        .sessions
        .get(first["session"].as_str().unwrap_or_default());
    let remote = all.iter().any(|(host, ..)| *host != LOCAL);
    let config = facts.given.config.as_ref();
    let written = |key: &str| {
        config
            .and_then(|config| config.root.dig(&["builder", key]))
            .map(|node| node.to_text())
    };
    let pushed: Vec<&String> = facts
        .inner
        .seen
        .iter()
        .filter_map(|seen| match &seen.what {
            What::Pushed { image, .. } => Some(image),
            _ => None,
        })
        .collect();
    let mut entry = Object::new();
    for key in [
        "file",
        "target",
        "no_cache",
        "build_args",
        "labels",
        "cache_from",
        "cache_to",
        "tags",
    ] {
        entry.insert(key.into(), mark_all(&first[key]));
    }
    let mut platforms: Vec<Json> = Vec::new();
    for (_, built, _) in &all {
        platforms.extend(built["platforms"].as_array().cloned().unwrap_or_default());
    }
    let builder = session
        .map(|session| session.name.clone())
        .filter(|name| name != "plimsoll" && !name.is_empty());
    let secrets = session
        .map(|session| session.secrets.clone())
        .unwrap_or_default();
    // Without a method for tokens, BuildKit fetches them itself: what Kamal asks for with this variable.
    let fetches = session.is_some_and(|session| {
        session
            .methods
            .iter()
            .any(|method| method.contains("Token"))
    });
    let agent = session.is_some_and(|session| {
        session
            .methods
            .iter()
            .any(|method| method.contains("sshforward"))
    });
    let own = |key: &str| match &first[key] {
        Json::Null => json!(written(key).filter(|value| value == "false")),
        value => value.clone(),
    };
    for (key, value) in [
        ("kind", json!("buildx")),
        (
            "output",
            json!(
                (!pushed.is_empty() || all.iter().any(|(_, _, failed)| *failed))
                    .then_some("type=registry")
            ),
        ),
        ("builder", json!(builder)),
        ("platforms", Json::Array(platforms)),
        ("secrets", json!(secrets)),
        ("secret_env", json!(secrets)),
        (
            "ssh",
            if agent {
                written("ssh").map_or(Json::Null, |ssh| deployers(&ssh))
            } else {
                Json::Null
            },
        ),
        ("provenance", own("provenance")),
        ("sbom", own("sbom")),
        (
            "context",
            json!(written("context").unwrap_or_else(|| ".".to_owned())),
        ),
        (
            "env",
            if remote && !fetches {
                json!({"BUILDKIT_NO_CLIENT_TOKEN": "1"})
            } else {
                json!({})
            },
        ),
        (
            "clone",
            json!(written("context").is_none() && facts.inner.case.git.repo),
        ),
    ] {
        entry.insert(key.into(), value);
    }
    if all.iter().any(|(_, _, failed)| *failed) {
        entry.insert("failed".into(), json!(true));
    }
    Some(Json::Object(entry))
}

/// Marks in the texts of a value.
fn mark_all(value: &Json) -> Json {
    match value {
        Json::String(text) => marked(text),
        Json::Array(items) => Json::Array(items.iter().map(mark_all).collect()),
        Json::Object(map) => Json::Object(
            map.iter()
                .map(|(key, value)| (key.clone(), mark_all(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}

/// A text with variables of the deployer's shell.
fn deployers(text: &str) -> Json {
    let mut parts = Vec::new();
    let mut pieces = text.split('$');
    let before = pieces.next().unwrap_or_default();
    if !before.is_empty() {
        parts.push(json!(before));
    }
    for piece in pieces {
        let inside = piece.trim_start_matches('{');
        let end = inside
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(inside.len());
        parts.push(json!({"remote": &inside[..end]}));
        let rest = inside[end..].trim_start_matches('}');
        if !rest.is_empty() {
            parts.push(json!(rest));
        }
    }
    match parts.as_slice() {
        [only] => only.clone(),
        _ => json!({"concat": parts}),
    }
}
