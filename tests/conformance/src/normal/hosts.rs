//! What was done on one host, and what is left.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::{Facts, Object, container, files, stops};
use crate::given;
use crate::world::{Host, PROXY, What, repository};

/// Flags of kamal-proxy that are lists.
const LISTS: [&str; 4] = [
    "host",
    "path-prefix",
    "log-request-header",
    "log-response-header",
];

/// The entry of a host.
pub(super) fn host(facts: &Facts<'_>, name: &str) -> Json {
    let mut entry = Object::new();
    let mut put = |key: &str, value: Json| {
        if !empty(&value) {
            entry.insert(key.to_owned(), value);
        }
    };
    put("login", logins(facts, name));
    put("pull", pulls(facts, name));
    put("network", networks(facts, name));
    put("run", runs(facts, name));
    let renames = facts.on(name).filter_map(|seen| match &seen.what {
        What::Renamed { from, to } => Some(json!({"from": from, "to": to})),
        _ => None,
    });
    put("rename", Json::Array(renames.collect()));
    let starts = facts.on(name).filter_map(|seen| match &seen.what {
        What::Started { name, fresh: false } if name != PROXY => Some(json!(name)),
        _ => None,
    });
    put("start", Json::Array(starts.collect()));
    put("stop", Json::Array(stops::stops(facts, name)));
    put("proxy", proxy(facts, name));
    put("assets", files::assets(facts, name));
    put(
        "error_pages_cleaned",
        files::error_pages_cleaned(facts, name),
    );
    put("tag_latest", tag_latest(facts, name));
    put("prune", prune(facts, name));
    put("removed", removed(facts, name));
    put("dirs", files::directories(facts, name));
    let saw = |what: fn(&What) -> bool| facts.on(name).any(|seen| what(&seen.what));
    if saw(|what| matches!(what, What::DockerInstalled)) {
        put("docker_missing", json!(true));
        put("docker_installed", json!(true));
    }
    if files::joined_a_group(facts, name) {
        put("docker_group", json!(true));
    }
    put(
        "logs_fetched",
        if saw(|what| matches!(what, What::Logs { .. })) {
            json!(true)
        } else {
            Json::Null
        },
    );
    put("audit", files::audit(facts, name));
    put("final", left(facts, name));
    Json::Object(entry)
}

fn empty(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Array(items) => items.is_empty(),
        Json::Object(map) => map.is_empty(),
        Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
    }
}

/// Each once, in the order of their coming.
fn once(items: impl Iterator<Item = Json>) -> Json {
    let mut all: Vec<Json> = Vec::new();
    for item in items {
        if !all.contains(&item) {
            all.push(item);
        }
    }
    Json::Array(all)
}

fn logins(facts: &Facts<'_>, host: &str) -> Json {
    once(facts.on(host).filter_map(|seen| match &seen.what {
        What::Pulled {
            login: Some(login), ..
        } => Some(super::build::login(login)),
        _ => None,
    }))
}

/// Pulls of the application's image; `docker run` pulls others by itself.
fn pulls(facts: &Facts<'_>, host: &str) -> Json {
    let ours = &facts.inner.repository;
    let reboot = facts.is(&["accessory", "reboot"]) || facts.is(&["accessory", "upgrade"]);
    // A container is run; that its image has to be fetched for it is not told.
    let runs = facts.is(&["app", "boot"]);
    once(facts.on(host).filter_map(|seen| match &seen.what {
        What::Pulled { image, .. } if repository(image) == repository(ours) && !runs => {
            Some(json!(image))
        }
        What::Pulled { image, .. } if reboot && !image.contains(PROXY) => Some(json!(image)),
        _ => None,
    }))
}

/// Networks that were made, or looked for by a command that makes sure of them.
fn networks(facts: &Facts<'_>, host: &str) -> Json {
    let ensures = [
        &["deploy"][..],
        &["setup"],
        &["accessory", "boot"],
        &["accessory", "reboot"],
        &["proxy", "boot"],
    ];
    // A command about accessories looks at all hosts, and is about those of the one that is named.
    let (concerned, going) = match facts.is(&["accessory"]) {
        true => (facts.given.has_accessory(host), facts.locked()),
        false => (true, facts.got_going()),
    };
    let looked_for = concerned && ensures.iter().any(|words| facts.is(words)) && going;
    once(facts.on(host).filter_map(|seen| match &seen.what {
        What::Network { name, made } if *made || looked_for => Some(json!(name)),
        _ => None,
    }))
}

fn runs(facts: &Facts<'_>, host: &str) -> Json {
    let mut entries = Vec::new();
    for seen in facts.on(host) {
        let What::Created { name, body } = &seen.what else {
            continue;
        };
        let settled = facts
            .on(host)
            .filter(|after| after.at >= seen.at)
            .find_map(|after| match &after.what {
                What::Started {
                    name: started,
                    fresh: true,
                } if started == name => Some(true),
                What::NotStarted { name: refused } if refused == name => Some(false),
                _ => None,
            });
        // What was only created held files to be copied.
        if let (Some(ran), false) = (settled, name == PROXY) {
            entries.push(container::run(facts, host, name, body, !ran));
        }
    }
    Json::Array(entries)
}

fn proxy(facts: &Facts<'_>, host: &str) -> Json {
    let mut entry = Object::new();
    let mut lists: BTreeMap<&str, Vec<Json>> = BTreeMap::new();
    let explicit = ["start", "stop", "restart", "remove"]
        .iter()
        .any(|word| facts.is(&["proxy", word]))
        || facts.is(&["remove"]);
    let mut ensured = None;
    let mut looked = false;
    for seen in facts.on(host) {
        match &seen.what {
            What::Created { name, body } if name == PROXY => {
                ensured =
                    Some(json!({"state": "created", "run": container::proxy(facts, host, body)}));
            }
            What::Started { name, fresh: false } if name == PROXY => {
                if explicit {
                    entry.insert("container_start".into(), json!(true));
                } else {
                    ensured.get_or_insert(json!({"state": "started"}));
                }
            }
            What::Stopped { name, .. } if name == PROXY => {
                entry.insert("container_stop".into(), json!(true));
            }
            What::Removed { name, .. } if name == PROXY => {
                entry.insert("container_removed".into(), json!(true));
            }
            What::ImageRemoved { reference } if reference.contains(PROXY) => {
                entry.insert("image_removed".into(), json!(true));
            }
            What::ImagesPruned { labels }
                if labels
                    .iter()
                    .any(|label| label.ends_with("title=kamal-proxy")) =>
            {
                entry.insert("image_removed".into(), json!(true));
            }
            What::Inspected { name } if name == PROXY => looked = true,
            What::Proxy { words, ok } => match words.get(1).map(String::as_str) {
                // To what has vanished there is no way.
                Some("deploy") if !*ok && !is_there(facts, host, words) => {}
                Some("deploy") => lists
                    .entry("deploy")
                    .or_default()
                    .push(deployed(words, *ok)),
                Some("remove" | "rm") => lists
                    .entry("remove")
                    .or_default()
                    .extend(words.get(2).map(|s| json!(s))),
                Some("resume") => lists
                    .entry("resume")
                    .or_default()
                    .extend(words.get(2).map(|s| json!(s))),
                Some("stop") => lists.entry("stop").or_default().push(json!({
                    "service": words.get(2), "flags": flags(words.get(3..).unwrap_or_default()),
                })),
                _ => {}
            },
            _ => {}
        }
    }
    let ensures = [&["deploy"][..], &["setup"], &["proxy", "boot"]]
        .iter()
        .any(|words| facts.is(words));
    let runs = facts.inner.hosts.get(host).is_some_and(|here| {
        here.containers
            .iter()
            .any(|c| c.name == PROXY && c.running())
    });
    if ensured.is_none() && ensures && looked && runs && facts.got_going() {
        ensured = Some(json!({"state": "running"}));
    }
    if let Some(ensured) = ensured {
        entry.insert("ensure".into(), ensured);
    }
    for (key, list) in lists {
        entry.insert(key.to_owned(), Json::Array(list));
    }
    Json::Object(entry)
}

/// Whether the container that a `kamal-proxy deploy` means is on the host.
fn is_there(facts: &Facts<'_>, host: &str, words: &[String]) -> bool {
    let targets = words
        .iter()
        .filter_map(|word| word.strip_prefix("--target="));
    let mut names = targets.map(|target| target.rsplit_once(':').map_or(target, |(name, _)| name));
    let here = facts.inner.hosts.get(host);
    names.any(|name| {
        here.is_some_and(|here| {
            let mut containers = here.containers.iter();
            containers.any(|c| c.id.starts_with(name) || c.name == name)
        })
    })
}

/// A `kamal-proxy deploy`.
fn deployed(words: &[String], ok: bool) -> Json {
    let mut all = flags(words.get(3..).unwrap_or_default());
    let target = all.remove("target").unwrap_or_default();
    let target = target.as_str().unwrap_or_default();
    let (name, port) = target.rsplit_once(':').unwrap_or((target, "80"));
    let mut entry = Object::new();
    entry.insert("service".into(), json!(words.get(2)));
    entry.insert("target".into(), json!(name));
    entry.insert(
        "target_port".into(),
        json!(port.parse::<u32>().unwrap_or(0)),
    );
    entry.insert("flags".into(), Json::Object(all));
    if !ok {
        entry.insert("failed".into(), json!(true));
    }
    Json::Object(entry)
}

fn flags(words: &[String]) -> Object {
    let mut flags = Object::new();
    let mut rest = words.iter().peekable();
    while let Some(word) = rest.next() {
        let Some(flag) = word.strip_prefix("--") else {
            continue;
        };
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (flag, rest.next_if(|next| !next.starts_with("--")).cloned()),
        };
        if LISTS.contains(&name) {
            let list = flags.entry(name.to_owned()).or_insert_with(|| json!([]));
            if let Some(list) = list.as_array_mut() {
                list.extend(value.unwrap_or_default().split(',').map(|item| json!(item)));
            }
            continue;
        }
        let value = match value.as_deref() {
            None | Some("true") => json!(true),
            Some("false") => json!(false),
            Some(text) => json!(text),
        };
        flags.insert(name.to_owned(), value);
    }
    flags
}

fn tag_latest(facts: &Facts<'_>, host: &str) -> Json {
    facts
        .on(host)
        .filter_map(|seen| match &seen.what {
            What::Tagged { from, to } if to.contains(":latest") => {
                Some(json!({"from": from, "to": to}))
            }
            _ => None,
        })
        .last()
        .unwrap_or_default()
}

/// Commands that take things away on purpose.
fn takes_away(facts: &Facts<'_>) -> bool {
    let commands = [
        &["remove"][..],
        &["app", "remove"],
        &["app", "remove_container"],
        &["app", "remove_containers"],
        &["accessory", "remove"],
        &["accessory", "reboot"],
        &["accessory", "upgrade"],
        &["accessory", "remove_container"],
    ];
    commands.iter().any(|words| facts.is(words))
}

fn gone<'a>(
    facts: &'a Facts<'_>,
    host: &'a str,
) -> impl Iterator<Item = (&'a String, &'a BTreeMap<String, String>)> {
    facts.on(host).filter_map(|seen| match &seen.what {
        What::Removed { name, labels } if name != PROXY && !name.ends_with("-assets") => {
            Some((name, labels))
        }
        _ => None,
    })
}

fn prune(facts: &Facts<'_>, host: &str) -> Json {
    if takes_away(facts) {
        return Json::Null;
    }
    let service = &facts.inner.service;
    let pruned_images = facts.on(host).any(|seen| {
        matches!(&seen.what, What::ImagesPruned { labels } if labels.iter().any(|label| *label == format!("service={service}")))
    });
    let failed = facts
        .on(host)
        .any(|seen| matches!(seen.what, What::PruneFailed));
    let removed: Vec<&String> = gone(facts, host).map(|(name, _)| name).collect();
    let only_images = facts.is(&["prune", "images"]);
    let only_containers = facts.is(&["prune", "containers"]);
    let mut entry = Object::new();
    if !only_images && (pruned_images || only_containers || failed || !removed.is_empty()) {
        let (_, flags) = given::parse(&facts.inner.case.argv);
        let configured = facts
            .given
            .config
            .as_ref()
            .map(|config| config.number("retain_containers", 5));
        let keep = flags
            .get("--retain")
            .and_then(|n| n.parse().ok())
            .or(configured);
        entry.insert(
            "containers".into(),
            json!({"service": service, "keep": keep, "removed": removed}),
        );
    }
    if pruned_images {
        let destination = facts
            .given
            .config
            .as_ref()
            .and_then(|config| config.destination.clone());
        let latest = destination.map_or("latest".to_owned(), |name| format!("latest-{name}"));
        let repository = &facts.inner.repository;
        entry.insert(
            "images".into(),
            json!({"service": service, "dangling": true, "protect": format!("{repository}:{latest}"), "repository": repository}),
        );
    }
    Json::Object(entry)
}

fn removed(facts: &Facts<'_>, host: &str) -> Json {
    let mut entry = Object::new();
    if takes_away(facts) {
        entry.insert(
            "containers".into(),
            json!(gone(facts, host).map(|(name, _)| name).collect::<Vec<_>>()),
        );
        let mut images: BTreeSet<String> = BTreeSet::new();
        for seen in facts.on(host) {
            match &seen.what {
                What::ImageRemoved { reference } if !reference.contains(PROXY) => {
                    let ours = repository(reference) == repository(&facts.inner.repository);
                    images.insert(if ours {
                        format!("label:service={}", facts.inner.service)
                    } else {
                        reference.clone()
                    });
                }
                _ => {}
            }
        }
        entry.insert("images".into(), json!(images));
    }
    entry.insert("dirs".into(), json!(files::removed(facts, host)));
    entry.retain(|_, value| !empty(value));
    Json::Object(entry)
}

fn left(facts: &Facts<'_>, name: &str) -> Json {
    let Some(host) = facts.inner.hosts.get(name) else {
        return Json::Null;
    };
    let names = |running: bool| -> Vec<&String> {
        let mut names: Vec<&String> = host
            .containers
            .iter()
            .filter(|c| c.name != PROXY && c.running() == running)
            .map(|c| &c.name)
            .collect();
        names.sort();
        names
    };
    let routes: Object = host
        .routes
        .iter()
        .filter(|(service, _)| host.routed.contains(*service))
        .map(|(service, target)| (service.clone(), json!(target)))
        .collect();
    let proxy = host.containers.iter().find(|c| c.name == PROXY).map(|c| {
        let version = c.image.rsplit_once(':').map_or("latest", |(_, tag)| tag);
        json!({"running": c.running(), "version": version})
    });
    json!({
        "running": names(true), "stopped": names(false), "routes": routes, "latest": latest(host), "proxy": proxy,
        "locked": !host.locks.is_empty(),
    })
}

/// What the tags that move stand for.
fn latest(host: &Host) -> Object {
    let moving = host.tags.iter().filter(|(tag, _)| tag.contains(":latest"));
    let known = moving.filter_map(|(tag, id)| {
        let name = host
            .tags
            .iter()
            .find(|(other, named)| *named == id && !other.contains(":latest"))?;
        Some((tag.clone(), json!(name.0)))
    });
    known.collect()
}
