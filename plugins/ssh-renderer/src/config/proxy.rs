//! `proxy`: how kamal-proxy routes to a role, and how it runs on a host.

use crate::diagnostic::{Findings, Mark};
use crate::schema;
use crate::yaml::Node;

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

/// Several names in a list, or in one text with commas.
pub fn list_or_commas(proxy: &Node, list: &str, commas: &str) -> Vec<(String, Mark)> {
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

/// A port, not 0.
pub fn port_number(node: &Node, path: &str, findings: &mut Findings) -> u16 {
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
