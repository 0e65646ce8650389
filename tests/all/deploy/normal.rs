//! The normal form of a container: what `docker inspect` says of it, in the words of the conformance cases (`kamal/README.md` §2.3).

use lab::Engine;
use serde_json::{Map, Value as Json, json};

/// The normal form of a container of an Engine.
pub(super) fn form(engine: Engine<'_>, container: &str) -> Json {
    let inspect = |words: &[&str]| -> Json {
        let text = engine.docker(&[words, &["--format", "{{json .}}"]].concat());
        serde_json::from_str(&text.unwrap()).unwrap()
    };
    let found = inspect(&["inspect", container]);
    let image = inspect(&["image", "inspect", found["Image"].as_str().unwrap()]);
    let (config, host) = (&found["Config"], &found["HostConfig"]);
    let of_image = pairs(&image["Config"]["Env"]);
    let mut env = pairs(&config["Env"]);
    env.retain(|name, value| of_image.get(name) != Some(value));
    let mut labels = config["Labels"].as_object().cloned().unwrap_or_default();
    let image_labels = image["Config"]["Labels"].as_object().cloned();
    let image_labels = image_labels.unwrap_or_default();
    labels.retain(|name, value| name == "service" || image_labels.get(name) != Some(value));
    let hostname = config["Hostname"].as_str().unwrap();
    let command = match config["Cmd"] == image["Config"]["Cmd"] {
        true => json!([]),
        false => config["Cmd"].clone(),
    };
    let mut volumes: Vec<&str> = list(&host["Binds"]);
    volumes.sort_unstable();
    let networks = found["NetworkSettings"]["Networks"].as_object().unwrap();
    json!({
        "name": found["Name"].as_str().unwrap().trim_start_matches('/'),
        "image": config["Image"],
        "env": env,
        "labels": labels,
        "volumes": volumes,
        "network": networks.keys().collect::<Vec<_>>(),
        "restart": host["RestartPolicy"]["Name"],
        "log": host["LogConfig"],
        "hostname_prefix": hostname.rsplit_once('-').filter(|(_, id)| is_hex(id)).map(|(prefix, _)| prefix),
        "cmd": command,
        "options": options(host),
    })
}

/// The options that the tests' projects have.
fn options(host: &Json) -> Json {
    let mut options = Map::new();
    if let Some(memory) = host["Memory"].as_u64().filter(|memory| *memory > 0) {
        options.insert("memory".into(), json!(memory));
    }
    if !list(&host["CapAdd"]).is_empty() {
        options.insert("cap-add".into(), host["CapAdd"].clone());
    }
    let ports = host["PortBindings"].as_object().into_iter().flatten();
    let published: Vec<String> = ports
        .flat_map(|(port, bindings)| {
            let all = bindings.as_array().cloned().unwrap_or_default();
            all.into_iter().map(move |binding| {
                let text = |key: &str| binding[key].as_str().unwrap_or_default().to_owned();
                format!("{}:{}:{port}", text("HostIp"), text("HostPort"))
            })
        })
        .collect();
    if !published.is_empty() {
        options.insert("publish".into(), json!(published));
    }
    Json::Object(options)
}

fn pairs(lines: &Json) -> Map<String, Json> {
    let pairs = list(lines).into_iter();
    pairs
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect()
}

fn list(json: &Json) -> Vec<&str> {
    let items = json.as_array().into_iter().flatten();
    items.filter_map(Json::as_str).collect()
}

fn is_hex(text: &str) -> bool {
    text.len() == 12 && text.chars().all(|c| c.is_ascii_hexdigit())
}
