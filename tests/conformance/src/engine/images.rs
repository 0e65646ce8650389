//! Images: pulled, pushed, tagged, removed.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::Method;
use serde_json::{Value as Json, json};
use tokio::time::sleep;

use super::containers::labelled;
use super::{Answer, Call, created, document, fail, lines};
use crate::world::{What, canonical, hex, image_id, manifest, repository};

const TRANSFER: Duration = Duration::from_millis(500);

pub(super) async fn answer(call: &Call, method: &Method, words: &[&str]) -> Answer {
    match (method, words) {
        (&Method::GET, ["json"]) => list(call),
        (&Method::POST, ["create"]) => pull(call).await,
        (&Method::POST, ["prune"]) => prune(call),
        (&Method::GET, [name @ .., "json"]) => inspect(call, &name.join("/")),
        (&Method::POST, [name @ .., "push"]) => push(call, &name.join("/")).await,
        (&Method::POST, [name @ .., "tag"]) => tag(call, &name.join("/")),
        (&Method::DELETE, name) => remove(call, &name.join("/")),
        _ => fail(404, "page not found"),
    }
}

fn missing(name: &str) -> Answer {
    fail(404, &format!("No such image: {name}"))
}

fn list(call: &Call) -> Answer {
    let filters = call.filters();
    let wanted = filters.get("label").cloned().unwrap_or_default();
    call.saw(What::ImagesListed {
        labels: wanted.clone(),
    });
    let mut inner = call.world.lock();
    let host = inner.host(&call.host);
    let shown = host.labels.iter().filter(|(_, labels)| labelled(labels, &wanted)).map(|(id, labels)| {
        let tags: Vec<&String> = host.tags.iter().filter(|(_, named)| *named == id).map(|(tag, _)| tag).collect();
        json!({
            "Id": id, "ParentId": "", "RepoTags": tags, "RepoDigests": host.digests.get(id), "Created": 1_700_000_000,
            "Size": 1000, "SharedSize": -1, "Labels": labels, "Containers": -1,
        })
    });
    document(&Json::Array(shown.collect()))
}

fn inspect(call: &Call, name: &str) -> Answer {
    let mut inner = call.world.lock();
    let host = inner.host(&call.host);
    let Some(id) = host.image(name) else {
        return missing(name);
    };
    let tags: Vec<&String> = host
        .tags
        .iter()
        .filter(|(_, named)| **named == id)
        .map(|(tag, _)| tag)
        .collect();
    let labels = host.labels.get(&id);
    document(&json!({
        "Id": id, "RepoTags": tags, "RepoDigests": host.digests.get(&id), "Created": "2026-01-02T03:04:05Z",
        "Config": {"Labels": labels, "Env": ["PATH=/usr/local/sbin:/usr/local/bin"], "Cmd": ["run"], "ExposedPorts": {}},
        "Architecture": "amd64", "Os": "linux", "Size": 1000, "RootFS": {"Type": "layers", "Layers": []},
    }))
}

async fn pull(call: &Call) -> Answer {
    let from = call.parameter("fromImage").unwrap_or_default();
    let reference = match call.parameter("tag") {
        Some(tag) if tag.starts_with("sha256:") => format!("{from}@{tag}"),
        Some(tag) if !tag.is_empty() => format!("{from}:{tag}"),
        _ => from.to_owned(),
    };
    let reference = canonical(&reference);
    sleep(TRANSFER).await;
    let fault = call.world.fault("pull", &call.host, &reference);
    let login = call
        .world
        .fault("login", &call.host, "")
        .filter(|_| call.login.is_some());
    let unlabelled = call.world.fault("label_check", &call.host, &reference);
    let failed = fault.is_some();
    // Who is not let in pulls nothing.
    if let Some(fault) = login {
        return fail(
            500,
            &fault.by_the_engine("unauthorized: incorrect username or password"),
        );
    }
    call.saw(What::Pulled {
        image: reference.clone(),
        login: call.login.clone(),
        failed,
    });
    if let Some(fault) = fault {
        let status = if fault.message.is_some() { 500 } else { 404 };
        return fail(
            status,
            &fault.by_the_engine(&format!(
                "manifest for {reference} not found: manifest unknown: manifest unknown"
            )),
        );
    }
    let mut inner = call.world.lock();
    let labels = match unlabelled {
        Some(_) => BTreeMap::new(),
        None => inner.image_labels(&reference),
    };
    let put = inner.put.get(&reference).cloned();
    let digest = put.unwrap_or_else(|| manifest(&reference));
    let host = inner.host(&call.host);
    let id = image_id(&reference);
    host.labels.remove(&id);
    host.put_image(&reference, &id, labels);
    let named = format!("{}@{digest}", repository(&reference));
    host.digests.entry(id).or_default().insert(named);
    lines(&[
        json!({"status": format!("Pulling from {}", repository(&reference)), "id": "latest"}),
        json!({"status": format!("Digest: {digest}")}),
        json!({"status": format!("Status: Downloaded newer image for {reference}")}),
    ])
}

/// Whether `pack` was told to make an image: its stand-in only writes that down.
fn packed(call: &Call, reference: &str) -> bool {
    let records = call.world.lock().folder.join("records");
    let mut calls = std::fs::read_dir(records).into_iter().flatten().flatten();
    calls.any(|entry| {
        let text = std::fs::read(entry.path()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        text.starts_with("program=pack") && text.contains(&format!("word={reference}\0"))
    })
}

async fn push(call: &Call, name: &str) -> Answer {
    let tag = call.parameter("tag").unwrap_or("latest").to_owned();
    let reference = canonical(&format!("{name}:{tag}"));
    sleep(TRANSFER).await;
    if call
        .world
        .lock()
        .host(&call.host)
        .image(&reference)
        .is_none()
        && !packed(call, &reference)
    {
        return fail(
            404,
            &format!("An image does not exist locally with the tag: {name}"),
        );
    }
    call.saw(What::Pushed {
        image: reference.clone(),
        login: call.login.clone(),
    });
    if let Some(fault) = call.world.fault("push", &call.host, &reference) {
        return lines(&[
            json!({"errorDetail": {"message": fault.message_or("denied")}, "error": fault.message_or("denied")}),
        ]);
    }
    let digest = manifest(&reference);
    lines(&[
        json!({"status": format!("The push refers to repository [{name}]")}),
        json!({"status": format!("{tag}: digest: {digest} size: 528")}),
        json!({"progressDetail": {}, "aux": {"Tag": tag, "Digest": digest, "Size": 528}}),
    ])
}

fn tag(call: &Call, name: &str) -> Answer {
    let repo = call.parameter("repo").unwrap_or_default();
    let to = canonical(&format!(
        "{repo}:{}",
        call.parameter("tag").unwrap_or("latest")
    ));
    let mut inner = call.world.lock();
    let host = inner.host(&call.host);
    let Some(id) = host.image(name) else {
        return missing(name);
    };
    let labels = host.labels.get(&id).cloned().unwrap_or_default();
    let from = host
        .tags
        .iter()
        .find(|(tag, named)| **named == id && !tag.contains(":latest") || *tag == name)
        .map_or(canonical(name), |(tag, _)| tag.clone());
    let from = if name.contains("sha256:") {
        from
    } else {
        canonical(name)
    };
    host.put_image(&to, &id, labels);
    inner.saw(&call.host, What::Tagged { from, to });
    created(&Json::Null)
}

fn remove(call: &Call, name: &str) -> Answer {
    let force = matches!(call.parameter("force"), Some("true" | "1"));
    let mut inner = call.world.lock();
    let host = inner.host(&call.host);
    let Some(id) = host.image(name) else {
        return missing(name);
    };
    let reference = canonical(name);
    let names: Vec<String> = host
        .tags
        .iter()
        .filter(|(_, named)| **named == id)
        .map(|(tag, _)| tag.clone())
        .collect();
    let by_name = host.tags.contains_key(&reference);
    let used = host.containers.iter().any(|c| c.image_id == id);
    if used && !force && names.len() <= 1 {
        return fail(
            409,
            &format!(
                "conflict: unable to remove repository reference \"{name}\" (must force) - container is using its referenced image {}",
                &hex(&id)[..12]
            ),
        );
    }
    if by_name {
        host.tags.remove(&reference);
    } else {
        host.tags.retain(|_, named| *named != id);
    }
    host.forget_unused(&id);
    inner.saw(
        &call.host,
        What::ImageRemoved {
            reference: reference.clone(),
        },
    );
    document(&json!([{"Untagged": reference}]))
}

fn prune(call: &Call) -> Answer {
    let wanted = call.filters().get("label").cloned().unwrap_or_default();
    if let Some(fault) = call.world.fault("prune", &call.host, "") {
        call.saw(What::PruneFailed);
        return fail(409, &fault.by_the_engine("conflict"));
    }
    let mut inner = call.world.lock();
    let host = inner.host(&call.host);
    let nameless: Vec<String> = host
        .labels
        .iter()
        .filter(|(id, labels)| {
            labelled(labels, &wanted) && !host.tags.values().any(|named| named == *id)
        })
        .map(|(id, _)| id.clone())
        .collect();
    for id in &nameless {
        host.forget_unused(id);
    }
    inner.saw(&call.host, What::ImagesPruned { labels: wanted });
    document(&json!({"ImagesDeleted": [], "SpaceReclaimed": 0}))
}
