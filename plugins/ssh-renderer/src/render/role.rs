//! The document of a role on a host: one container and its route.

use std::collections::BTreeMap;

use release::{Log, Role, Route, Value};

use crate::config::options::{self, literal};
use crate::config::{self, Config, proxy};
use crate::diagnostic::{Findings, Mark};
use crate::render::source::Sources;
use crate::render::unquoted::{split, volume};
use crate::secret::Secrets;
use crate::yaml::{Entry, Kind, Node};

/// What should run on a host for a role.
pub fn document(
    config: &Config,
    role: &config::role::Role,
    host: &str,
    image: String,
    secrets: &Secrets<'_>,
    sources: &mut Sources,
    findings: &mut Findings,
) -> Role {
    let address = Role::address(host, &role.name);
    let at_host = role.hosts.iter().find(|h| h.name == host).map(|h| h.at);
    sources.add(&address, &[], at_host.or(Some(role.at)));
    sources.add(
        &address,
        &["image"],
        config
            .root
            .key_at("image")
            .or(config.root.key_at("service")),
    );
    check_unsupported(config, role, findings);

    let mut document = Role {
        image,
        command: command(role, &address, sources, findings)
            .map(|words| words.into_iter().map(Value::text).collect()),
        shell_tail: None,
        assets: None,
        env: env(config, role, host, &address, secrets, sources, findings),
        labels: labels(config, role, &address, sources, findings),
        volumes: Vec::new(),
        networks: vec!["kamal".to_owned()],
        restart: "unless-stopped".to_owned(),
        log: log(config, role, &address, sources, findings),
        options: Vec::new(),
        stop_timeout: stop_timeout(config, role, findings),
        proxy: None,
    };
    let volumes = config
        .root
        .get("volumes")
        .map(Node::items)
        .unwrap_or_default();
    for (index, item) in volumes.iter().enumerate() {
        sources.add(
            &address,
            &["volumes", &document.volumes.len().to_string()],
            Some(item.at),
        );
        document
            .volumes
            .extend(volume(item, &format!("volumes/{index}"), findings).map(Value::text));
    }
    add_options(&mut document, role, &address, sources, findings);
    if let Some(spec) = &role.proxy {
        let path = if role.spec.get("proxy").is_some() {
            format!("{}/proxy", role.path())
        } else {
            "proxy".to_owned()
        };
        let flags = proxy::flags(config, spec, &path, findings);
        for (index, (_, at)) in flags.iter().enumerate() {
            sources.add(&address, &["proxy", "flags", &index.to_string()], *at);
        }
        sources.add(&address, &["proxy", "port"], spec.key_at("app_port"));
        sources.add(
            &address,
            &["proxy"],
            config.root.key_at("proxy").or(role.spec.key_at("proxy")),
        );
        let port = proxy::port(spec, &path, findings);
        document.proxy = Some(Route {
            port,
            flags: flags
                .into_iter()
                .map(|(flag, _)| Value::text(flag))
                .collect(),
            tls: None,
            error_pages: false,
        });
    }
    document
}

fn check_unsupported(config: &Config, role: &config::role::Role, findings: &mut Findings) {
    if role.proxy.is_none() {
        return;
    }
    let assets = role
        .spec
        .get("asset_path")
        .filter(|path| path.is_truthy())
        .or(config.root.get("asset_path"));
    if let Some(path) = assets.filter(|path| path.is_present()) {
        findings
            .not_yet(
                "asset_path: bridging assets between versions",
                Some(path.at),
            )
            .help("remove it: requests for the old version's assets may then fail during a deploy");
    }
    if let Some(path) = config
        .root
        .get("error_pages_path")
        .filter(|path| path.is_truthy())
    {
        findings
            .not_yet(
                "error_pages_path: showing error pages of your own",
                Some(path.at),
            )
            .help("remove it: the proxy then shows its own");
    }
}

fn command(
    role: &config::role::Role,
    address: &str,
    sources: &mut Sources,
    findings: &mut Findings,
) -> Option<Vec<String>> {
    let node = role.spec.get("cmd")?;
    sources.add(address, &["command"], Some(node.at));
    let words = split(node, &format!("{}/cmd", role.path()), findings);
    Some(words).filter(|words| !words.is_empty())
}

fn env(
    config: &Config,
    role: &config::role::Role,
    host: &str,
    address: &str,
    secrets: &Secrets<'_>,
    sources: &mut Sources,
    findings: &mut Findings,
) -> BTreeMap<String, Value> {
    let mut merged = config.env.clone();
    merged.merge(&config::env::Env::read(
        role.spec.get("env"),
        &format!("{}/env", role.path()),
    ));
    for tag in role
        .hosts
        .iter()
        .filter(|h| h.name == host)
        .flat_map(|h| &h.tags)
    {
        if let Some((_, env)) = config.tags.iter().find(|(name, _)| name == tag) {
            merged.merge(env);
        }
    }
    let mut env = BTreeMap::new();
    let mut add = |name: &str, value: Value, at: Option<Mark>, sources: &mut Sources| {
        sources.add(address, &["env", name], at);
        env.insert(name.to_owned(), value);
    };
    for secret in &merged.secret {
        secrets.check(&secret.key, Some(secret.at), findings);
        add(
            &secret.name,
            Value::env_file_secret(&secret.key),
            Some(secret.at),
            sources,
        );
    }
    // Docker lets `--env` win over the env file, and the later `--env` over the earlier.
    add("KAMAL_HOST", Value::text(host), None, sources);
    if let Some(destination) = &config.destination {
        add("KAMAL_DESTINATION", Value::text(destination), None, sources);
    }
    for clear in &merged.clear {
        let path = &clear.path;
        if clear.value.kind != Kind::Null
            && !clear.value.is_present()
            && clear.value.as_bool() != Some(false)
        {
            let message = format!("{path}: an empty value, copied from the server's environment,");
            findings
                .not_yet(message, Some(clear.at))
                .help("give it a value, or remove it");
        }
        add(
            &clear.name,
            Value::text(literal(&clear.value, path, findings)),
            Some(clear.at),
            sources,
        );
    }
    env
}

fn labels(
    config: &Config,
    role: &config::role::Role,
    address: &str,
    sources: &mut Sources,
    findings: &mut Findings,
) -> BTreeMap<String, Value> {
    let mut labels = BTreeMap::new();
    labels.insert("service".to_owned(), Value::text(&config.service));
    labels.insert("role".to_owned(), Value::text(&role.name));
    labels.insert(
        "destination".to_owned(),
        Value::text(config.destination.clone().unwrap_or_default()),
    );
    for (spec, path) in [
        (&config.root, "labels".to_owned()),
        (&role.spec, format!("{}/labels", role.path())),
    ] {
        for Entry { key, value } in spec.get("labels").map(Node::entries).unwrap_or_default() {
            let name = key.to_text();
            let path = format!("{path}/{name}");
            let text = if value.is_present() || value.as_bool().is_some() {
                literal(value, &path, findings)
            } else {
                String::new()
            };
            sources.add(address, &["labels", &name], Some(key.at));
            labels.insert(name, Value::text(text));
        }
    }
    labels
}

/// `logging` of the root under the role's; either replaces the default of 10 MB.
fn log(
    config: &Config,
    role: &config::role::Role,
    address: &str,
    sources: &mut Sources,
    findings: &mut Findings,
) -> Log {
    let mut logging = config.root.get("logging").cloned();
    sources.add(address, &["log"], config.root.key_at("logging"));
    if let Some(own) = role.spec.get("logging") {
        sources.add(address, &["log"], role.spec.key_at("logging"));
        match &mut logging {
            Some(logging) => logging.merge(own.clone()),
            None => logging = Some(own.clone()),
        }
    }
    let get = |key: &str| {
        logging
            .as_ref()
            .and_then(|logging| logging.get(key))
            .filter(|node| node.is_present())
    };
    let mut log = Log {
        driver: get("driver").map(|node| Value::text(literal(node, "logging/driver", findings))),
        ..Log::default()
    };
    for Entry { key, value } in get("options").map(Node::entries).unwrap_or_default() {
        let name = key.to_text();
        let text = literal(value, &format!("logging/options/{name}"), findings);
        log.options.insert(name, Value::text(text));
    }
    if log == Log::default() {
        log.options
            .insert("max-size".to_owned(), Value::text("10m"));
    }
    log
}

fn stop_timeout(
    config: &Config,
    role: &config::role::Role,
    findings: &mut Findings,
) -> Option<u32> {
    let own = role.spec.get("stop_timeout");
    if let Some(node) = own.or(config.root.get("stop_timeout")) {
        let seconds = node
            .as_int()
            .and_then(|seconds| u32::try_from(seconds).ok());
        if seconds.is_none() {
            let message = format!(
                "{}/stop_timeout: {} is out of range",
                role.path(),
                node.to_text()
            );
            findings.error("invalid-value", message, Some(node.at));
        }
        return seconds;
    }
    // The proxy has drained a proxied container before it is stopped.
    role.proxy
        .is_none()
        .then(|| config.number("drain_timeout", 30))
}

/// Options that mean the same as a key of the configuration go where that key goes.
fn add_options(
    document: &mut Role,
    role: &config::role::Role,
    address: &str,
    sources: &mut Sources,
    findings: &mut Findings,
) {
    let options = role.spec.get("options");
    let path = format!("{}/options", role.path());
    if let Some(policy) = options
        .map(Node::entries)
        .unwrap_or_default()
        .iter()
        .find(|e| e.key.to_text() == "restart")
    {
        document.restart = policy.value.to_text();
        sources.add(address, &["restart"], Some(policy.value.at));
    }
    for option in options::flatten(options, &path, findings) {
        let at = Some(option.at);
        let pair = option.value.split_once('=');
        match option.name.as_str() {
            "network" | "net" => document.networks.push(option.value),
            "volume" => {
                sources.add(
                    address,
                    &["volumes", &document.volumes.len().to_string()],
                    at,
                );
                document.volumes.push(Value::text(option.value));
            }
            "label" => {
                let (name, value) = pair.unwrap_or((&option.value, ""));
                sources.add(address, &["labels", name], at);
                document.labels.insert(name.to_owned(), Value::text(value));
            }
            "env" => match pair {
                Some((name, value)) => {
                    sources.add(address, &["env", name], at);
                    document.env.insert(name.to_owned(), Value::text(value));
                }
                None => {
                    let message =
                        format!("{path}/env: a variable copied from the server's environment");
                    findings
                        .not_yet(message, at)
                        .help("give it a value: `NAME=VALUE`");
                }
            },
            _ => {
                sources.add(
                    address,
                    &["options", &document.options.len().to_string()],
                    at,
                );
                document
                    .options
                    .push((option.name, Value::text(option.value)));
            }
        }
    }
}
