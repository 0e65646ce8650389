//! `proxy`: how kamal-proxy routes to a role, and how it runs on a host.

use release::{Log, Port, Proxy, Value};

use crate::config::Config;
use crate::config::options::{self, literal};
use crate::diagnostic::{Findings, Mark};
use crate::schema;
use crate::yaml::{Kind, Node};

/// Checks a `proxy` section of the root, a role or an accessory.
pub fn check(proxy: &Node, path: &str, findings: &mut Findings) {
    schema::check(proxy, &schema::PROXY, path, findings);
    if proxy.as_map().is_none() {
        // A switch passes the shape of a role, but not of the root.
        return;
    }
    let present = |key: &str| proxy.get(key).is_some_and(Node::is_present);
    let ssl = proxy.get("ssl").filter(|ssl| ssl.is_truthy());
    if let Some(ssl) = ssl
        && !present("host")
        && !present("hosts")
    {
        findings
            .error(
                "missing-key",
                format!("{path}: Must set a host to enable automatic SSL"),
                Some(ssl.at),
            )
            .help("add `host: app.example.com`");
    }
    check_hosts(proxy, path, findings);
    if let Some(ssl) = ssl {
        let pem = |key: &str| ssl.get(key).is_some_and(Node::is_present);
        for (given, missing) in [
            ("certificate_pem", "private_key_pem"),
            ("private_key_pem", "certificate_pem"),
        ] {
            if pem(given) && !pem(missing) {
                let message =
                    format!("{path}: Missing {missing} setting (required when {given} is present)");
                findings
                    .error("missing-key", message, Some(ssl.at))
                    .help(format!("add `{missing}: SECRET_NAME`"));
            }
        }
    }
    if let Some(run) = proxy.get("run")
        && run.get("publish").and_then(Node::as_bool) == Some(false)
        && let Some(key) = ["bind_ips", "http_port", "https_port"]
            .iter()
            .find(|key| run.get(key).is_some_and(Node::is_present))
    {
        let message =
            format!("{path}: Cannot set http_port, https_port or bind_ips when publish is false");
        findings
            .error("conflicting-keys", message, run.key_at(key))
            .help("remove `publish: false`, or the others");
    }
}

/// One name or several, not both.
pub fn check_hosts(proxy: &Node, path: &str, findings: &mut Findings) {
    if proxy.get("host").is_some()
        && let Some(at) = proxy.key_at("hosts")
    {
        let message = format!("{path}: Specify one of 'host' or 'hosts', not both");
        findings
            .error("conflicting-keys", message, Some(at))
            .help("put all of them in `hosts`");
    }
}

/// Whether the certificate is the user's own.
pub fn has_own_certificate(proxy: &Node) -> bool {
    let pem = |key: &str| proxy.dig(&["ssl", key]).is_some_and(Node::is_present);
    pem("certificate_pem") && pem("private_key_pem")
}

/// Names the proxy answers to; none is all.
pub fn hosts(proxy: &Node) -> Vec<(String, Mark)> {
    list_or_commas(proxy, "hosts", "host")
}

fn list_or_commas(proxy: &Node, list: &str, commas: &str) -> Vec<(String, Mark)> {
    match (
        proxy.get(list).filter(|node| node.is_truthy()),
        proxy.get(commas),
    ) {
        (Some(several), _) => several
            .items()
            .iter()
            .map(|item| (item.to_text(), item.at))
            .collect(),
        (None, Some(one)) => {
            let text = one.to_text();
            text.trim_end_matches(',')
                .split(',')
                .filter(|_| !text.is_empty())
                .map(|s| (s.to_owned(), one.at))
                .collect()
        }
        (None, None) => Vec::new(),
    }
}

/// The port in the container.
pub fn port(proxy: &Node, path: &str, findings: &mut Findings) -> u16 {
    proxy.get("app_port").map_or(80, |node| {
        port_number(node, &format!("{path}/app_port"), findings)
    })
}

fn port_number(node: &Node, path: &str, findings: &mut Findings) -> u16 {
    let port = node
        .as_int()
        .and_then(|port| u16::try_from(port).ok())
        .filter(|port| *port > 0);
    port.unwrap_or_else(|| {
        findings.error(
            "invalid-value",
            format!("{path}: {} is not a port", node.to_text()),
            Some(node.at),
        );
        0
    })
}

/// Flags of `kamal-proxy deploy` in Kamal's order, and where each comes from; `None` for defaults.
pub fn flags(
    config: &Config,
    proxy: &Node,
    path: &str,
    findings: &mut Findings,
) -> Vec<(String, Option<Mark>)> {
    type Given = Option<(String, Option<Mark>)>;
    let mut flags: Vec<(String, Option<Mark>)> = Vec::new();
    let mut add = |name: &str, given: Given| {
        flags.extend(given.map(|(value, at)| match value.as_str() {
            "true" => (format!("--{name}"), at),
            _ => (format!("--{name}={value}"), at),
        }));
    };
    let plain = |keys: &[&str]| proxy.dig(keys).map(|node| (node.to_text(), Some(node.at)));
    let switch = |keys: &[&str]| plain(keys).or(Some(("true".to_owned(), None)));
    let seconds = |keys: &[&str]| plain(keys).map(|(text, at)| (format!("{text}s"), at));
    let root_seconds = |key: &str| {
        let at = config.root.get(key).map(|node| node.at);
        Some((format!("{}s", config.number(key, 30)), at))
    };
    for (host, at) in hosts(proxy) {
        add("host", Some((written(&host, at, path, findings), Some(at))));
    }
    if let Some(ssl) = proxy.get("ssl").filter(|ssl| ssl.is_truthy()) {
        add("tls", Some(("true".to_owned(), Some(ssl.at))));
        if has_own_certificate(proxy) {
            findings
                .not_yet(
                    format!("{path}/ssl: a certificate of your own"),
                    Some(ssl.at),
                )
                .help("use `ssl: true`, or terminate TLS in front of the proxy");
        }
    }
    add("deploy-timeout", root_seconds("deploy_timeout"));
    add("drain-timeout", root_seconds("drain_timeout"));
    add(
        "health-check-interval",
        seconds(&["healthcheck", "interval"]),
    );
    add("health-check-timeout", seconds(&["healthcheck", "timeout"]));
    if let Some(node) = proxy.dig(&["healthcheck", "path"]) {
        let text = literal(node, &format!("{path}/healthcheck/path"), findings);
        add("health-check-path", Some((text, Some(node.at))));
    }
    add("target-timeout", seconds(&["response_timeout"]));
    add("buffer-requests", switch(&["buffering", "requests"]));
    add("buffer-responses", switch(&["buffering", "responses"]));
    add("buffer-memory", plain(&["buffering", "memory"]));
    add(
        "max-request-body",
        plain(&["buffering", "max_request_body"]),
    );
    add(
        "max-response-body",
        plain(&["buffering", "max_response_body"]),
    );
    for (prefix, at) in list_or_commas(proxy, "path_prefixes", "path_prefix") {
        add(
            "path-prefix",
            Some((written(&prefix, at, path, findings), Some(at))),
        );
    }
    add("strip-path-prefix", plain(&["strip_path_prefix"]));
    add("forward-headers", plain(&["forward_headers"]));
    add("tls-redirect", plain(&["ssl_redirect"]));
    let request_headers = proxy.dig(&["logging", "request_headers"]);
    if request_headers.is_none() {
        for header in ["Cache-Control", "Last-Modified", "User-Agent"] {
            add("log-request-header", Some((header.to_owned(), None)));
        }
    }
    let response_headers = proxy.dig(&["logging", "response_headers"]);
    for (flag, headers) in [
        ("log-request-header", request_headers),
        ("log-response-header", response_headers),
    ] {
        for header in headers.map(Node::items).unwrap_or_default() {
            add(
                flag,
                Some((literal(header, path, findings), Some(header.at))),
            );
        }
    }
    flags
}

fn written(text: &str, at: Mark, path: &str, findings: &mut Findings) -> String {
    literal(
        &Node {
            kind: Kind::Text(text.to_owned()),
            at,
        },
        path,
        findings,
    )
}

/// How the proxy runs on a host, by the `run` section that counts there.
pub fn document(run: Option<&Node>, findings: &mut Findings) -> Proxy {
    let path = "proxy/run";
    let get = |key: &str| run.and_then(|run| run.get(key));
    let text = |key: &str, default: &str, findings: &mut Findings| match get(key) {
        Some(node) => literal(node, &format!("{path}/{key}"), findings),
        None => default.to_owned(),
    };
    let number = |key: &str, default: u16, findings: &mut Findings| match get(key) {
        Some(node) => port_number(node, &format!("{path}/{key}"), findings),
        None => default,
    };
    let repository = text("repository", "basecamp/kamal-proxy", findings);
    let image = match get("registry") {
        Some(_) => format!("{}/{repository}", text("registry", "", findings)),
        None => repository,
    };
    let published = get("publish").and_then(Node::as_bool).unwrap_or(true);
    let (http, https) = (
        number("http_port", 80, findings),
        number("https_port", 443, findings),
    );
    let ips = match get("bind_ips") {
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
    let max_size = text("log_max_size", "10m", findings);
    let mut log = Log::default();
    if !max_size.trim().is_empty() {
        log.options
            .insert("max-size".to_owned(), Value::text(max_size));
    }
    let metrics = get("metrics_port")
        .map(|node| port_number(node, &format!("{path}/metrics_port"), findings));
    let debug = get("debug").is_some_and(Node::is_truthy);
    let mut command = vec!["kamal-proxy".to_owned(), "run".to_owned()];
    command.extend(debug.then(|| "--debug".to_owned()));
    command.extend(
        metrics
            .iter()
            .flat_map(|port| ["--metrics-port".to_owned(), port.to_string()]),
    );
    let mut volumes = vec![
        "kamal-proxy-config:/home/kamal-proxy/.config/kamal-proxy".to_owned(),
        ".kamal/proxy/apps-config:/home/kamal-proxy/.apps-config".to_owned(),
    ];
    let mut rest: Vec<(String, String)> = metrics
        .iter()
        .map(|port| ("expose".to_owned(), port.to_string()))
        .collect();
    let mut networks = vec!["kamal".to_owned()];
    for option in options::flatten(get("options"), &format!("{path}/options"), findings) {
        match option.name.as_str() {
            "volume" => volumes.push(option.value),
            "network" | "net" => networks.push(option.value),
            _ => rest.push((option.name, option.value)),
        }
    }
    Proxy {
        image: format!("{image}:{}", text("version", "v0.9.2", findings)),
        credentials: None,
        defaults: run.is_none(),
        env: Default::default(),
        labels: Default::default(),
        command: (command.len() > 2).then(|| command.into_iter().map(Value::text).collect()),
        ports: ports.collect(),
        volumes: volumes.into_iter().map(Value::text).collect(),
        networks,
        restart: "unless-stopped".to_owned(),
        log,
        options: rest
            .into_iter()
            .map(|(name, value)| (name, Value::text(value)))
            .collect(),
    }
}
