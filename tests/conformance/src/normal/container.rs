//! One container that was made.

use serde_json::{Value as Json, json};

use super::options::options;
use super::words::marked;
use super::{Facts, Object, home};
use crate::world::canonical;

/// The entry of `run` for the body of a request.
pub(super) fn run(facts: &Facts<'_>, host: &str, name: &str, body: &Json, failed: bool) -> Json {
    let role = body["Labels"]["role"].as_str();
    let secret = facts.given.secret_variables(host, role, name);
    let empty = facts.given.empty_variables(host, role, name);
    let (mut env, mut secrets) = (Object::new(), Object::new());
    for pair in texts(&body["Env"]) {
        let (key, value) = pair.split_once('=').unwrap_or((&pair, ""));
        if secret.contains(key) {
            secrets.insert(key.to_owned(), json!(value));
        } else if empty.contains(key) && (value.is_empty() || value.starts_with("__inherit")) {
            env.insert(key.to_owned(), json!({"inherit": key}));
        } else {
            env.insert(key.to_owned(), marked(value));
        }
    }
    // One that is missing on the host is absent in the container too.
    for key in empty.iter().filter(|key| !secret.contains(*key)) {
        env.entry(key.clone())
            .or_insert_with(|| json!({"inherit": key}));
    }
    let common = Common::of(facts, host, body);
    let mut entry = Object::new();
    entry.insert(
        "kind".into(),
        json!(if role.is_some() { "app" } else { "accessory" }),
    );
    entry.insert("name".into(), json!(name));
    entry.insert("role".into(), json!(role));
    entry.insert(
        "image".into(),
        json!(shown(
            facts,
            host,
            body["Image"].as_str().unwrap_or_default()
        )),
    );
    entry.insert("env".into(), Json::Object(env));
    entry.insert(
        "secret_env_keys".into(),
        json!(secrets.keys().collect::<Vec<_>>()),
    );
    entry.insert("secret_env".into(), Json::Object(secrets));
    entry.insert("labels".into(), common.labels);
    entry.insert("volumes".into(), common.volumes);
    entry.insert("network".into(), common.network);
    entry.insert("restart".into(), common.restart);
    entry.insert("log".into(), common.log);
    entry.insert(
        "hostname_prefix".into(),
        json!(body["Hostname"].as_str().map(hostname_prefix)),
    );
    entry.insert(
        "cmd".into(),
        Json::Array(
            texts(&body["Cmd"])
                .iter()
                .map(|word| marked(word))
                .collect(),
        ),
    );
    entry.insert("options".into(), Json::Object(options(facts, body)));
    if failed {
        entry.insert("failed".into(), json!(true));
    }
    Json::Object(entry)
}

/// How the proxy's container was made.
pub(super) fn proxy(facts: &Facts<'_>, host: &str, body: &Json) -> Json {
    let common = Common::of(facts, host, body);
    let mut options = options(facts, body);
    let publish = options.remove("publish").unwrap_or_default();
    let exposed = options.remove("expose").unwrap_or_default();
    let env: Object = texts(&body["Env"])
        .iter()
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key.to_owned(), marked(value))
        })
        .collect();
    json!({
        "image": shown(facts, host, body["Image"].as_str().unwrap_or_default()),
        "network": common.network, "restart": common.restart, "publish": publish, "expose": exposed,
        "volumes": common.volumes, "log": common.log, "labels": common.labels, "env": env, "options": options,
        "cmd": texts(&body["Cmd"]),
    })
}

struct Common {
    labels: Json,
    volumes: Json,
    network: Json,
    restart: Json,
    log: Json,
}

impl Common {
    fn of(facts: &Facts<'_>, host: &str, body: &Json) -> Self {
        let config = &body["HostConfig"];
        let labels: Object = body["Labels"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), marked(value.as_str().unwrap_or_default())))
            .collect();
        let folder = facts
            .inner
            .hosts
            .get(host)
            .map(|host| host.home.clone())
            .unwrap_or_default();
        let volumes: Vec<Json> = texts(&config["Binds"])
            .iter()
            .map(|bind| marked(&home(bind, &folder)))
            .collect();
        let mut networks: Vec<String> = config["NetworkMode"]
            .as_str()
            .map(str::to_owned)
            .into_iter()
            .collect();
        for name in body["NetworkingConfig"]["EndpointsConfig"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name)
        {
            if !networks.contains(name) {
                networks.push(name.clone());
            }
        }
        let policy = &config["RestartPolicy"];
        let restart = match (
            policy["Name"].as_str(),
            policy["MaximumRetryCount"].as_i64(),
        ) {
            (Some(name), Some(count)) if count > 0 => json!(format!("{name}:{count}")),
            (name, _) => json!(name),
        };
        let driver = config["LogConfig"]["Type"]
            .as_str()
            .filter(|driver| !driver.is_empty());
        let log: Object = config["LogConfig"]["Config"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), marked(value.as_str().unwrap_or_default())))
            .collect();
        Self {
            labels: Json::Object(labels),
            volumes: Json::Array(volumes),
            network: match networks.as_slice() {
                [one] => json!(one),
                many => json!(many),
            },
            restart,
            log: json!({"driver": driver, "options": log}),
        }
    }
}

/// A reference by its name, also when it was given by digest or id.
pub(super) fn shown(facts: &Facts<'_>, host: &str, reference: &str) -> String {
    if !reference.contains("sha256:") {
        return canonical(reference);
    }
    let here = facts.inner.hosts.get(host);
    let id = here.and_then(|here| here.image(reference));
    let mut names = here
        .into_iter()
        .flat_map(|here| &here.tags)
        .filter(|(_, named)| Some(*named) == id.as_ref());
    let best = names.clone().find(|(tag, _)| !tag.contains(":latest"));
    best.or_else(|| names.next())
        .map_or(reference.to_owned(), |(tag, _)| tag.clone())
}

/// A list of texts.
pub(super) fn texts(list: &Json) -> Vec<String> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .map(str::to_owned)
        .collect()
}

fn hostname_prefix(hostname: &str) -> &str {
    match hostname.rsplit_once('-') {
        Some((prefix, tail)) if tail.len() == 12 && tail.chars().all(|c| c.is_ascii_hexdigit()) => {
            prefix
        }
        _ => hostname,
    }
}
