//! The document of a host's proxy.

use std::collections::BTreeMap;

use release::{Credentials, Log, Port, Proxy, Value};

use crate::config::Config;
use crate::config::options::plain;
use crate::config::proxy::port_number;
use crate::render::container::{Container, Place};
use crate::render::image::is_for;
use crate::shell::quoted;
use crate::yaml::Node;

/// How the proxy should run on a host. The credentials are those of the application's registry.
pub fn document(
    config: &Config,
    host: &str,
    credentials: Option<&Credentials>,
    place: &mut Place<'_>,
) -> Proxy {
    let run = config.proxy_runs(host).into_iter().next();
    place.mark(&[], run.map(|run| run.at).or(config.root.key_at("proxy")));
    for (key, property) in [
        ("repository", "image"),
        ("version", "image"),
        ("debug", "command"),
        ("metrics_port", "command"),
        ("http_port", "ports"),
        ("https_port", "ports"),
        ("bind_ips", "ports"),
        ("log_max_size", "log"),
        ("options", "options"),
    ] {
        place.mark(&[property], run.and_then(|run| run.key_at(key)));
    }
    by_run(run, credentials, place)
}

/// How the proxy runs, by the `run` section that counts there.
fn by_run(run: Option<&Node>, credentials: Option<&Credentials>, place: &mut Place<'_>) -> Proxy {
    let path = "proxy/run";
    let get = |key: &str| run.and_then(|run| run.get(key));
    let text = |key: &str, default: &str, place: &mut Place<'_>| match get(key) {
        Some(node) => plain(
            &quoted(&node.to_text()),
            &format!("{path}/{key}"),
            node.at,
            place.findings,
        ),
        None => default.to_owned(),
    };
    let number = |key: &str, default: u16, place: &mut Place<'_>| match get(key) {
        Some(node) => port_number(node, &format!("{path}/{key}"), place.findings),
        None => default,
    };
    let repository = text("repository", "basecamp/kamal-proxy", place);
    let image = match get("registry").filter(|registry| registry.is_truthy()) {
        Some(_) => format!("{}/{repository}", text("registry", "", place)),
        None => repository,
    };
    let version = text("version", Proxy::MINIMUM_VERSION, place);
    let published = get("publish").and_then(Node::as_bool).unwrap_or(true);
    let (http, https) = (
        number("http_port", 80, place),
        number("https_port", 443, place),
    );
    let ips = match get("bind_ips").filter(|ips| ips.is_present()) {
        Some(ips) => ips.items().iter().map(|ip| Some(ip.to_text())).collect(),
        None => vec![None],
    };
    let ports = ips
        .into_iter()
        .filter(|_| published)
        .flat_map(|ip: Option<String>| {
            [(http, 80), (https, 443)].map(|(host_port, container_port)| Port {
                host_ip: ip.clone(),
                host_port,
                container_port,
            })
        });
    let max_size = get("log_max_size").map_or(Value::text("10m"), |node| quoted(&node.to_text()));
    let mut log = Log::default();
    if !max_size.shown().trim().is_empty() {
        log.options.insert("max-size".to_owned(), max_size);
    }
    let metrics = get("metrics_port")
        .filter(|port| port.is_truthy())
        .map(|node| port_number(node, &format!("{path}/metrics_port"), place.findings));
    let debug = get("debug").is_some_and(Node::is_truthy);
    let mut command = vec!["kamal-proxy", "run"];
    command.extend(debug.then_some("--debug"));
    let mut command: Vec<Value> = command.into_iter().map(Value::text).collect();
    let mut container = Container {
        env: BTreeMap::new(),
        labels: BTreeMap::new(),
        volumes: vec![
            Value::text("kamal-proxy-config:/home/kamal-proxy/.config/kamal-proxy"),
            Value::text(".kamal/proxy/apps-config:/home/kamal-proxy/.apps-config"),
        ],
        networks: vec!["kamal".to_owned()],
        restart: "unless-stopped".to_owned(),
        options: Vec::new(),
    };
    if let Some(port) = metrics {
        let port = Value::text(port.to_string());
        command.extend([Value::text("--metrics-port"), port.clone()]);
        container.options.push(("expose".to_owned(), port));
    }
    container.add_options(get("options"), &format!("{path}/options"), place);
    let image = format!("{image}:{version}");
    Proxy {
        credentials: credentials.filter(|own| is_for(own, &image)).cloned(),
        image,
        defaults: run.is_none(),
        command: run.is_some().then_some(command),
        ports: ports.collect(),
        env: container.env,
        labels: container.labels,
        volumes: container.volumes,
        networks: container.networks,
        restart: container.restart,
        log,
        options: container.options,
    }
}
