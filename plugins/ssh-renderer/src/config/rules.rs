//! Rules between sections, in the order in which Kamal asks (`kamal.md` §3.5).

use std::cmp::Ordering;

use crate::config::registry::Registry;
use crate::config::{Config, unique};
use crate::diagnostic::Findings;
use crate::schema;
use crate::version;
use crate::yaml::Node;

/// Checks what no single section can know.
pub fn check(config: &Config, findings: &mut Findings) {
    let root = &config.root;
    if config.destination.is_none() && root.get("require_destination").is_some_and(Node::is_truthy)
    {
        findings
            .error(
                "missing-destination",
                "You must specify a destination",
                root.key_at("require_destination"),
            )
            .help("name it with --destination");
    }
    check_labels(config, findings);
    check_names(config, findings);
    check_servers(config, findings);
    check_numbers(config, findings);
    check_ssl(config, findings);
    if let Some(remote) = root
        .dig(&["builder", "remote"])
        .filter(|remote| remote.is_present())
        && config.registry.as_ref().is_some_and(Registry::is_local)
        && !remote.to_text().starts_with("ssh://")
    {
        let rule = "Local registry with remote builder requires an SSH URL (e.g., ssh://user@host)";
        findings.error("invalid-value", rule, Some(remote.at));
    }
    for host in config.all_hosts() {
        let runs = config.proxy_runs(host);
        if let Some(other) = runs.iter().find(|run| **run != runs[0]) {
            let message = format!("Conflicting proxy run configurations for host {host}");
            findings
                .error("conflicting-proxy", message, Some(other.at))
                .help("one proxy serves the whole host: give all its roles and accessories the same `run`");
        }
    }
}

/// Kamal refuses reserved labels in roles and not at the top, where they would keep it from finding its containers again.
fn check_labels(config: &Config, findings: &mut Findings) {
    let labels = config.root.get("labels").map(Node::entries);
    for entry in labels.unwrap_or_default() {
        if let Some(name @ ("destination" | "role" | "service")) = entry.key.as_str() {
            let message = format!("labels/{name}: it is a reserved label, and keeps its own value");
            findings
                .warn("reserved-label", message, Some(entry.key.at))
                .help("choose another name");
        }
    }
}

fn check_names(config: &Config, findings: &mut Findings) {
    let service = config.root.get("service");
    let misspelt = |key: &str| schema::misspelt(&config.root, &schema::ROOT, key);
    if misspelt("service") {
        // Said already.
    } else if !service.is_some_and(Node::is_present) {
        findings
            .error(
                "missing-key",
                "Missing required configuration for service",
                service.map(|node| node.at),
            )
            .help("add `service: NAME` at the top level");
    } else {
        // Kamal wants a string here, where elsewhere a number would do.
        let word = |name: &str| {
            name.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if !service.and_then(Node::as_str).is_some_and(word) {
            let rule =
                "Service name can only include alphanumeric characters, hyphens, and underscores";
            findings.error("invalid-name", rule, service.map(|node| node.at));
        }
    }
    if config.image.trim().is_empty() && !misspelt("image") && !misspelt("service") {
        let at = config.root.get("image").map(|node| node.at);
        findings
            .error(
                "missing-key",
                "Missing required configuration for image",
                at,
            )
            .help("add `image: NAME` at the top level, without the registry's server");
    }
}

fn check_servers(config: &Config, findings: &mut Findings) {
    let Some(servers) = config.root.get("servers") else {
        let misspelt = schema::misspelt(&config.root, &schema::ROOT, "servers");
        if !misspelt && !config.root.get("accessories").is_some_and(Node::is_present) {
            findings
                .error("missing-key", "No servers or accessories specified", None)
                .help("add `servers` with a list of hosts");
        }
        return;
    };
    if servers.as_map().is_none() && servers.as_list().is_none() {
        return;
    }
    let primary = &config.primary_role;
    let at = config
        .root
        .get("primary_role")
        .map_or(servers.at, |node| node.at);
    match config.role(primary) {
        None if servers.get(primary).is_none() => {
            let roles: Vec<&str> = config.roles.iter().map(|role| role.name.as_str()).collect();
            findings
                .error(
                    "unknown-role",
                    format!("The primary_role {primary} isn't defined"),
                    Some(at),
                )
                .help(format!(
                    "set `primary_role` to one of: {}",
                    roles.join(", ")
                ));
        }
        Some(role) if role.is_empty() => {
            let message = format!("No servers specified for the {primary} primary_role");
            findings
                .error("no-servers", message, Some(role.at))
                .help("list at least one host");
        }
        None | Some(_) => {}
    }
    if !config
        .root
        .get("allow_empty_roles")
        .is_some_and(Node::is_truthy)
    {
        for role in config
            .roles
            .iter()
            .filter(|role| role.is_empty() && role.name != *primary)
        {
            let name = &role.name;
            let message = format!(
                "No servers specified for the {name} role. You can ignore this with allow_empty_roles: true"
            );
            findings.error("no-servers", message, Some(role.at));
        }
    }
}

fn check_numbers(config: &Config, findings: &mut Findings) {
    if let Some(node) = config
        .root
        .get("minimum_version")
        .filter(|node| node.as_stringish().is_some())
    {
        let (wanted, current) = (node.to_text(), version::KAMAL);
        match version::compare(&wanted, current) {
            Some(Ordering::Greater) => {
                let message = format!("Current version is {current}, minimum required is {wanted}");
                findings.error("kamal-too-old", message, Some(node.at));
            }
            Some(Ordering::Less | Ordering::Equal) => {}
            None => {
                findings.error(
                    "invalid-value",
                    format!("Malformed version number string {wanted}"),
                    Some(node.at),
                );
            }
        }
    }
    if let Some(node) = config
        .root
        .get("retain_containers")
        .filter(|node| node.as_int().is_some_and(|n| n < 1))
    {
        findings
            .error(
                "invalid-value",
                "Must retain at least 1 container",
                Some(node.at),
            )
            .help("remove it to keep 5, or set 1 or more");
    }
    for key in [
        "retain_containers",
        "readiness_delay",
        "deploy_timeout",
        "drain_timeout",
        "stop_timeout",
    ] {
        let number = config
            .root
            .get(key)
            .and_then(|node| Some((node.as_int()?, node.at)));
        if let Some((number, at)) = number.filter(|(number, _)| u32::try_from(*number).is_err()) {
            findings.error(
                "invalid-value",
                format!("{key}: {number} is out of range"),
                Some(at),
            );
        }
    }
}

fn check_ssl(config: &Config, findings: &mut Findings) {
    let mut hosts = Vec::new();
    for role in &config.roles {
        let Some(proxy) = &role.proxy else { continue };
        let Some(ssl) = proxy.get("ssl").filter(|ssl| ssl.is_truthy()) else {
            continue;
        };
        let (name, count) = (&role.name, role.hosts.len());
        if count > 1 && !super::proxy::has_own_certificate(proxy) {
            let message = format!(
                "SSL is only supported on a single server unless you provide custom certificates, found {count} \
                 servers for role {name}"
            );
            findings
                .error("ssl-on-several-servers", message, Some(ssl.at))
                .help(
                    "put a load balancer that terminates TLS in front, or give the role one host",
                );
        }
        hosts.extend(super::proxy::hosts(proxy).into_iter().map(|(host, _)| host));
    }
    let twice = |host: &&str| hosts.iter().filter(|other| other == host).count() > 1;
    let shared: Vec<&str> = unique(hosts.iter().map(String::as_str))
        .into_iter()
        .filter(twice)
        .collect();
    if !shared.is_empty() {
        let message = format!(
            "Different roles can't share the same host for SSL: {}",
            shared.join(", ")
        );
        findings.error("conflicting-proxy", message, config.root.key_at("servers"));
    }
}
