//! Containers, from their creation to their end.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::Method;
use serde_json::{Value as Json, json};
use tokio::time::sleep;

use super::{Answer, Call, created, document, fail, nothing, text, with};
use crate::world::{Container, PROXY, What, hex, now};

/// What it takes, on the simulated clock: enough for things that happen side by side to be told from things that
/// happen one after the other.
const STEP: Duration = Duration::from_millis(50);

pub(super) async fn answer(call: &Call, method: &Method, words: &[&str]) -> Answer {
    match (method, words) {
        (&Method::GET, ["json"]) => list(call),
        (&Method::POST, ["create"]) => create(call).await,
        (&Method::POST, ["prune"]) => prune(call),
        (&Method::GET, [name, "json"]) => inspect(call, name),
        (&Method::POST, [name, "start"]) => start(call, name).await,
        (&Method::POST, [name, "stop"]) => stop(call, name).await,
        (&Method::POST, [name, "kill"]) => stop(call, name).await,
        (&Method::POST, [name, "restart"]) => {
            let stopped = stop(call, name).await;
            if stopped.status().is_client_error() {
                return stopped;
            }
            start(call, name).await
        }
        (&Method::POST, [name, "rename"]) => rename(call, name),
        (&Method::POST, [name, "wait"]) => match exists(call, name) {
            true => document(&json!({"StatusCode": 0})),
            false => missing(name),
        },
        (&Method::GET, [name, "logs"]) => logs(call, name),
        (&Method::DELETE, [name]) => remove(call, name),
        (&Method::POST, [name, "exec"]) => super::exec::create(call, name),
        (_, [name, "archive"]) => archive(call, method, name),
        _ => fail(404, "page not found"),
    }
}

fn missing(name: &str) -> Answer {
    fail(404, &format!("No such container: {name}"))
}

fn exists(call: &Call, name: &str) -> bool {
    call.world.lock().host(&call.host).container(name).is_some()
}

/// Whether labels match filters of the forms `key` and `key=value`.
pub(super) fn labelled(labels: &BTreeMap<String, String>, filters: &[String]) -> bool {
    filters.iter().all(|filter| match filter.split_once('=') {
        Some((key, value)) => labels.get(key).is_some_and(|found| found == value),
        None => labels.contains_key(filter),
    })
}

fn matches(container: &Container, filters: &BTreeMap<String, Vec<String>>) -> bool {
    filters.iter().all(|(kind, values)| match kind.as_str() {
        "label" => labelled(&container.labels, values),
        "name" => values.iter().any(|name| {
            let plain = name.trim_start_matches(['^', '/']).trim_end_matches('$');
            if name.contains('^') {
                container.name == plain
            } else {
                container.name.contains(plain)
            }
        }),
        "status" => values.iter().any(|state| state == container.state),
        "id" => values
            .iter()
            .any(|id| container.id.starts_with(id.as_str())),
        _ => true,
    })
}

fn list(call: &Call) -> Answer {
    let all = matches!(call.parameter("all"), Some("true" | "1"));
    let filters = call.filters();
    call.saw(What::ContainersListed {
        labels: filters.get("label").cloned().unwrap_or_default(),
    });
    let mut inner = call.world.lock();
    let host = inner.host(&call.host);
    // Newest first, as the Engine has it.
    let shown = host.containers.iter().rev().filter(|container| {
        (all || filters.contains_key("status") || container.running())
            && matches(container, &filters)
    });
    let shown = shown.map(|container| {
        json!({
            "Id": container.id, "Names": [format!("/{}", container.name)], "Image": container.image,
            "ImageID": container.image_id, "Command": "", "Created": container.created, "Ports": [],
            "Labels": container.labels, "State": container.state,
            "Status": if container.running() { "Up 3 minutes" } else { "Exited (0) 3 minutes ago" },
            "HostConfig": {"NetworkMode": "kamal"}, "NetworkSettings": {"Networks": {}}, "Mounts": [],
        })
    });
    document(&Json::Array(shown.collect()))
}

async fn create(call: &Call) -> Answer {
    let name = call.parameter("name").unwrap_or_default().to_owned();
    let body = call.json();
    sleep(STEP).await;
    let fault = call.world.fault("run", &call.host, &name);
    if let Some(fault) = fault {
        call.saw(What::Created {
            name: name.clone(),
            body: body.clone(),
        });
        call.saw(What::NotStarted { name });
        return fail(500, &fault.by_the_engine("invalid mount config"));
    }
    let reference = body["Image"].as_str().unwrap_or_default().to_owned();
    let mut inner = call.world.lock();
    let number = inner.number();
    let host = inner.host(&call.host);
    if let Some(there) = host.containers.iter().find(|c| c.name == name) {
        return fail(
            409,
            &format!(
                "Conflict. The container name \"/{name}\" is already in use by container \"{}\". You have to remove (or rename) that container to be able to reuse that name.",
                there.id
            ),
        );
    }
    let Some(image_id) = host.image(&reference) else {
        return fail(404, &format!("No such image: {reference}"));
    };
    let mut labels: BTreeMap<String, String> =
        host.labels.get(&image_id).cloned().unwrap_or_default();
    for (key, value) in body["Labels"].as_object().into_iter().flatten() {
        labels.insert(key.clone(), value.as_str().unwrap_or_default().to_owned());
    }
    let id = hex(&format!("{} {name} new {number}", call.host));
    host.containers.push(Container {
        id: id.clone(),
        name: name.clone(),
        image: reference,
        image_id,
        state: "created",
        labels,
        body: body.clone(),
        created: 1_760_000_000
            + i64::try_from(now().as_secs()).unwrap_or(0)
            + i64::try_from(number).unwrap_or(0),
        ours: true,
        ..Container::default()
    });
    inner.saw(&call.host, What::Created { name, body });
    created(&json!({"Id": id, "Warnings": []}))
}

async fn start(call: &Call, name: &str) -> Answer {
    sleep(STEP).await;
    let name = {
        let mut inner = call.world.lock();
        match inner.host(&call.host).container(name) {
            None => return missing(name),
            Some(container) if container.running() => {
                return with(hyper::StatusCode::NOT_MODIFIED, "text/plain", "");
            }
            Some(container) => container.name.clone(),
        }
    };
    let refused = call.world.fault("start", &call.host, &name);
    let vanishes = call.world.fault("vanishes", &call.host, &name);
    let mut inner = call.world.lock();
    let host = inner.host(&call.host);
    let Some(container) = host.container(&name) else {
        return missing(&name);
    };
    let fresh = container.ours && container.state == "created";
    if let Some(fault) = refused {
        inner.saw(&call.host, What::NotStarted { name });
        return fail(500, &fault.by_the_engine("invalid mount config"));
    }
    container.state = "running";
    container.started = now();
    container.asked = 0;
    if vanishes.is_some() {
        host.containers.retain(|c| c.name != name);
    }
    inner.saw(&call.host, What::Started { name, fresh });
    nothing()
}

async fn stop(call: &Call, name: &str) -> Answer {
    let timeout = call.parameter("t").and_then(|seconds| seconds.parse().ok());
    sleep(STEP).await;
    let mut inner = call.world.lock();
    let host = inner.host(&call.host);
    let Some(container) = host.container(name) else {
        return missing(name);
    };
    if !container.running() {
        return with(hyper::StatusCode::NOT_MODIFIED, "text/plain", "");
    }
    container.state = "exited";
    let (name, labels) = (container.name.clone(), container.labels.clone());
    inner.saw(
        &call.host,
        What::Stopped {
            name,
            timeout,
            labels,
        },
    );
    nothing()
}

fn rename(call: &Call, name: &str) -> Answer {
    let to = call.parameter("name").unwrap_or_default().to_owned();
    let mut inner = call.world.lock();
    let host = inner.host(&call.host);
    if host.containers.iter().any(|c| c.name == to) {
        return fail(
            409,
            &format!("Conflict. The container name \"/{to}\" is already in use"),
        );
    }
    let Some(container) = host.container(name) else {
        return missing(name);
    };
    let from = std::mem::replace(&mut container.name, to.clone());
    for target in host.routes.values_mut().filter(|target| **target == from) {
        target.clone_from(&to);
    }
    inner.saw(&call.host, What::Renamed { from, to });
    nothing()
}

fn remove(call: &Call, name: &str) -> Answer {
    let force = matches!(call.parameter("force"), Some("true" | "1"));
    if let Some(answer) = refused_prune(call, name) {
        return answer;
    }
    let mut inner = call.world.lock();
    let host = inner.host(&call.host);
    let Some(container) = host.container(name) else {
        return missing(name);
    };
    if container.running() && !force {
        return fail(
            409,
            &format!(
                "cannot remove container \"/{}\": container is running: stop the container before removing or force remove",
                container.name
            ),
        );
    }
    let gone = container.clone();
    host.containers.retain(|c| c.id != gone.id);
    host.forget_unused(&gone.image_id);
    inner.saw(
        &call.host,
        What::Removed {
            name: gone.name,
            labels: gone.labels,
        },
    );
    nothing()
}

/// Pruning that fails: only of what this run did not make.
fn refused_prune(call: &Call, name: &str) -> Option<Answer> {
    let ours = call
        .world
        .lock()
        .host(&call.host)
        .container(name)
        .is_some_and(|c| c.ours);
    let fault = call
        .world
        .fault("prune", &call.host, name)
        .filter(|_| !ours)?;
    call.saw(What::PruneFailed);
    Some(fail(
        409,
        &fault.by_the_engine("conflict: unable to remove container"),
    ))
}

fn prune(call: &Call) -> Answer {
    let filters = call.filters();
    let mut inner = call.world.lock();
    let host = inner.host(&call.host);
    let doomed: Vec<Container> = host
        .containers
        .iter()
        .filter(|c| !c.running() && matches(c, &filters))
        .cloned()
        .collect();
    host.containers
        .retain(|c| !doomed.iter().any(|gone| gone.id == c.id));
    let ids: Vec<String> = doomed.iter().map(|c| c.id.clone()).collect();
    for gone in doomed {
        inner.saw(
            &call.host,
            What::Removed {
                name: gone.name,
                labels: gone.labels,
            },
        );
    }
    document(&json!({"ContainersDeleted": ids, "SpaceReclaimed": 0}))
}

fn inspect(call: &Call, name: &str) -> Answer {
    let known = {
        let mut inner = call.world.lock();
        inner
            .host(&call.host)
            .container(name)
            .map(|c| c.name.clone())
    };
    let Some(known) = known else {
        return missing(name);
    };
    call.saw(What::Inspected {
        name: known.clone(),
    });
    let fault = call.world.fault("health", &call.host, &known);
    let mut inner = call.world.lock();
    let Some(container) = inner.host(&call.host).container(&known) else {
        return missing(name);
    };
    // Faults of health are of what was started in this run.
    let fault = fault.filter(|_| container.ours && container.running());
    let health = fault.and_then(|fault| {
        let turn = container.asked.min(fault.statuses.len().saturating_sub(1));
        container.asked += 1;
        fault.statuses.get(turn).cloned().or(fault.status)
    });
    document(&described(container, health.as_deref()))
}

/// What the Engine says of a container.
fn described(container: &Container, health: Option<&str>) -> Json {
    let body = &container.body;
    let mut config = body.as_object().cloned().unwrap_or_default();
    let host_config = config.remove("HostConfig").unwrap_or(json!({"Binds": [], "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0}, "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}}, "NetworkMode": "kamal"}));
    let networking = config.remove("NetworkingConfig").unwrap_or_default();
    config.insert("Image".to_owned(), json!(container.image));
    config.insert("Labels".to_owned(), json!(container.labels));
    for (key, default) in [
        ("Env", json!([])),
        ("Cmd", Json::Null),
        ("Hostname", json!(container.id[..12])),
    ] {
        config.entry(key).or_insert(default);
    }
    let state = match health {
        Some(state @ ("restarting" | "exited" | "dead" | "created" | "paused")) => state,
        Some(_) | None => container.state,
    };
    let mut states = json!({
        "Status": state, "Running": state == "running", "Paused": false, "Restarting": state == "restarting",
        "OOMKilled": false, "Dead": false, "Pid": if state == "running" { 4242 } else { 0 }, "ExitCode": 0, "Error": "",
        "StartedAt": "2026-01-02T03:04:05Z", "FinishedAt": "0001-01-01T00:00:00Z",
    });
    if let Some(status @ ("starting" | "healthy" | "unhealthy")) = health {
        states["Health"] = json!({"Status": status, "FailingStreak": 0, "Log": []});
    }
    let networks = networking["EndpointsConfig"]
        .as_object()
        .cloned()
        .unwrap_or_else(|| {
            json!({"kamal": {}})
                .as_object()
                .cloned()
                .unwrap_or_default()
        });
    json!({
        "Id": container.id, "Name": format!("/{}", container.name), "Created": "2026-01-02T03:04:05Z",
        "Image": container.image_id, "RestartCount": 0, "State": states, "Config": config, "HostConfig": host_config,
        "NetworkSettings": {"Networks": networks, "Ports": {}}, "Mounts": [], "Path": "", "Args": [], "Driver": "overlay2",
        "Platform": "linux",
    })
}

fn logs(call: &Call, name: &str) -> Answer {
    if !exists(call, name) {
        return missing(name);
    }
    call.saw(What::Logs {
        name: name.to_owned(),
    });
    let line = b"2026-01-02T03:04:05.000000000Z says nothing\n";
    let mut frame = vec![1, 0, 0, 0, 0, 0, 0, u8::try_from(line.len()).unwrap_or(0)];
    frame.extend_from_slice(line);
    with(
        hyper::StatusCode::OK,
        "application/vnd.docker.multiplexed-stream",
        frame,
    )
}

/// Files of a container: folders are empty but for one file, so that copies can be seen.
fn archive(call: &Call, method: &Method, name: &str) -> Answer {
    let path = call.parameter("path").unwrap_or_default().to_owned();
    if !exists(call, name) {
        return missing(name);
    }
    if *method == Method::PUT {
        return text("");
    }
    let proxy = call
        .world
        .lock()
        .host(&call.host)
        .container(name)
        .is_some_and(|c| c.name == PROXY);
    if proxy {
        return fail(
            404,
            &format!("Could not find the file {path} in container {name}"),
        );
    }
    call.saw(What::Archive {
        name: name.to_owned(),
        path: path.clone(),
    });
    let mut archive = tar::Builder::new(Vec::new());
    let folder = path
        .trim_end_matches("/.")
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or(".")
        .to_owned();
    let mut directory = tar::Header::new_gnu();
    directory.set_entry_type(tar::EntryType::Directory);
    directory.set_size(0);
    directory.set_mode(0o755);
    let content = b"of the image\n";
    let mut file = tar::Header::new_gnu();
    file.set_size(content.len() as u64);
    file.set_mode(0o644);
    let written = archive
        .append_data(&mut directory, format!("{folder}/"), std::io::empty())
        .and_then(|()| archive.append_data(&mut file, format!("{folder}/file"), &content[..]))
        .and_then(|()| archive.into_inner());
    match written {
        Ok(bytes) => with(hyper::StatusCode::OK, "application/x-tar", bytes),
        Err(error) => fail(500, &error.to_string()),
    }
}
