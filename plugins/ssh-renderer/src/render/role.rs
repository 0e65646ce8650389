//! The document of a role on a host: one container and its route.

use std::collections::BTreeMap;

use release::{Assets, Role, Value};

use crate::config::{self, Config};
use crate::diagnostic::Findings;
use crate::render::container::{Container, Place, env, labels, log};
use crate::render::route;
use crate::render::unquoted::{command, volume};
use crate::secret::Secrets;
use crate::yaml::Node;

/// What should run on a host for a role. `starts`: it will be started, so that its secrets must be there.
pub fn document(
    config: &Config,
    role: &config::role::Role,
    host: &str,
    image: String,
    secrets: &Secrets<'_>,
    starts: bool,
    place: &mut Place<'_>,
) -> Role {
    let at_host = role.hosts.iter().find(|h| h.name == host).map(|h| h.at);
    place.mark(&[], at_host.or(Some(role.at)));
    let named = config.root.key_at("image");
    place.mark(&["image"], named.or(config.root.key_at("service")));

    let line = role
        .spec
        .get("cmd")
        .filter(|cmd| cmd.is_truthy())
        .map(|cmd| {
            place.mark(&["command"], Some(cmd.at));
            command(cmd, &format!("{}/cmd", role.path()), place.findings)
        })
        .unwrap_or_default();
    let mut container = Container {
        env: role_env(config, role, host, secrets, starts, place),
        labels: role_labels(config, role, place),
        volumes: volumes(config, place),
        networks: vec!["kamal".to_owned()],
        restart: "unless-stopped".to_owned(),
        options: Vec::new(),
    };
    let path = format!("{}/options", role.path());
    container.add_options(role.spec.get("options"), &path, place);
    let log = log(logging(config, role, place).as_ref());
    Role {
        image,
        command: Some(line.words).filter(|words| !words.is_empty()),
        shell_tail: line.tail,
        env: container.env,
        labels: container.labels,
        volumes: container.volumes,
        networks: container.networks,
        restart: container.restart,
        log,
        options: container.options,
        stop_timeout: stop_timeout(config, role, place.findings),
        assets: assets(config, role, place),
        proxy: route::of_role(config, role, secrets, starts, place),
    }
}

fn role_env(
    config: &Config,
    role: &config::role::Role,
    host: &str,
    secrets: &Secrets<'_>,
    starts: bool,
    place: &mut Place<'_>,
) -> BTreeMap<String, Value> {
    let mut merged = config.env.clone();
    merged.merge(&config::env::Env::read(
        role.spec.get("env"),
        &format!("{}/env", role.path()),
    ));
    let here = role.hosts.iter().filter(|h| h.name == host);
    for tag in here.flat_map(|h| &h.tags) {
        if let Some((_, env)) = config.tags.iter().find(|(name, _)| name == tag) {
            merged.merge(env);
        }
    }
    let mut given = vec![("KAMAL_HOST", host)];
    given.extend(
        config
            .destination
            .as_deref()
            .map(|name| ("KAMAL_DESTINATION", name)),
    );
    env(&merged, &given, secrets, starts, place)
}

fn role_labels(
    config: &Config,
    role: &config::role::Role,
    place: &mut Place<'_>,
) -> BTreeMap<String, Value> {
    let destination = config.destination.as_deref().unwrap_or_default();
    let given = [
        ("service", config.service.as_str()),
        ("role", &role.name),
        ("destination", destination),
    ];
    let sections = [config.root.get("labels"), role.spec.get("labels")];
    let mut labels = labels(&given, &sections, place);
    // Reserved, of which there is a warning: under another name nobody would find the container again.
    for (name, own) in given {
        labels.insert(name.to_owned(), Value::text(own));
    }
    labels
}

fn volumes(config: &Config, place: &mut Place<'_>) -> Vec<Value> {
    let items = config
        .root
        .get("volumes")
        .map(Node::items)
        .unwrap_or_default();
    let mut volumes = Vec::new();
    for (index, item) in items.iter().enumerate() {
        place.mark(&["volumes", &volumes.len().to_string()], Some(item.at));
        volumes.extend(volume(item, &format!("volumes/{index}"), place.findings));
    }
    volumes
}

/// `logging` of the root under the role's.
fn logging(config: &Config, role: &config::role::Role, place: &mut Place<'_>) -> Option<Node> {
    let mut logging = config.root.get("logging").cloned();
    place.mark(&["log"], config.root.key_at("logging"));
    if let Some(own) = role.spec.get("logging") {
        place.mark(&["log"], role.spec.key_at("logging"));
        match &mut logging {
            Some(logging) => logging.merge(own.clone()),
            None => logging = Some(own.clone()),
        }
    }
    logging
}

/// `path` or `path:options`, of the role or of the root; only what is routed to serves assets.
fn assets(config: &Config, role: &config::role::Role, place: &mut Place<'_>) -> Option<Assets> {
    role.proxy.as_ref()?;
    let own = role.spec.get("asset_path").filter(|path| path.is_truthy());
    let node = own.or(config.root.get("asset_path"))?;
    let text = node.is_present().then(|| node.to_text())?;
    place.mark(&["assets"], Some(node.at));
    let (path, options) = match text.split_once(':') {
        Some((path, options)) => (path, Some(options)),
        None => (text.as_str(), None),
    };
    if !path.starts_with('/') {
        let message = format!("asset_path: `{path}` should be an absolute path in the image");
        let findings = &mut *place.findings;
        findings
            .warn("relative-path", message, Some(node.at))
            .help("write it with a slash in front");
    }
    Some(Assets {
        path: path.to_owned(),
        options: options.filter(|o| !o.is_empty()).map(str::to_owned),
    })
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
