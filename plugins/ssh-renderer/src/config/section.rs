//! Rules of the small sections: `logging`, `boot`, `ssh`, `sshkit`, `output`, `aliases`, and of labels and restart
//! policies wherever they stand.

use crate::diagnostic::Findings;
use crate::schema::{self, Shape};
use crate::yaml::{Entry, Kind, Node};

/// Commands that an alias may not be named like.
const COMMANDS: [&str; 21] = [
    "accessory",
    "app",
    "audit",
    "build",
    "config",
    "deploy",
    "details",
    "docs",
    "init",
    "lock",
    "proxy",
    "prune",
    "redeploy",
    "registry",
    "remove",
    "rollback",
    "secrets",
    "server",
    "setup",
    "upgrade",
    "version",
];

/// Checks the root's small sections.
pub fn check(root: &Node, findings: &mut Findings) {
    for (key, shape) in [
        ("logging", &schema::LOGGING),
        ("boot", &schema::BOOT),
        ("ssh", &schema::SSH),
        ("sshkit", &schema::SSHKIT),
        ("output", &schema::OUTPUT),
    ] {
        if let Some(section) = root.get(key).filter(|section| section.as_map().is_some()) {
            schema::check(section, shape, key, findings);
        }
    }
    check_aliases(root, findings);
    check_hooks_output(root, findings);
    if let Some(level) = root.dig(&["ssh", "log_level"]) {
        let levels = ["debug", "info", "warn", "error", "fatal", "unknown"];
        let known = levels.contains(&level.to_text().to_ascii_lowercase().as_str());
        if !known && level.as_int().is_none() && level.as_stringish().is_some() {
            let message = format!("ssh/log_level: invalid log level: {}", level.to_text());
            findings
                .error("invalid-value", message, Some(level.at))
                .help(format!("use one of {}", levels.join(", ")));
        }
    }
    for (kind, key, message) in [
        ("otel", "endpoint", "OTel endpoint is required"),
        ("file", "path", "file path is required"),
    ] {
        if let Some(logger) = root
            .dig(&["output", kind])
            .filter(|logger| logger.as_map().is_some())
            && !logger.get(key).is_some_and(Node::is_truthy)
        {
            findings
                .error(
                    "missing-key",
                    format!("output/{kind}: {message}"),
                    Some(logger.at),
                )
                .help(format!("add `{key}`"));
        }
    }
    let otel = root.dig(&["output", "otel"]);
    for (key, path, there, why) in [
        (
            "output",
            "output/otel",
            otel,
            "plimsoll keeps its own journal",
        ),
        (
            "sshkit",
            "sshkit",
            root.get("sshkit"),
            "plimsoll has no such limits",
        ),
    ] {
        if there.is_some_and(Node::is_present) {
            findings.note(
                "without-effect",
                format!("{path}: has no effect, {why}"),
                root.key_at(key),
            );
        }
    }
}

fn check_aliases(root: &Node, findings: &mut Findings) {
    for Entry { key, value } in root.get("aliases").map(Node::entries).unwrap_or_default() {
        let name = key.to_text();
        let path = format!("aliases/{name}");
        schema::check(value, &Shape::Text, &path, findings);
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
        if name.is_empty() || !name.chars().all(allowed) || key.as_str().is_none() {
            let rule =
                "Must only contain lowercase letters, alphanumeric, hyphens and underscores.";
            findings.error(
                "invalid-name",
                format!("{path}: Invalid alias name: '{name}'. {rule}"),
                Some(key.at),
            );
        }
        if COMMANDS.contains(&name.as_str()) {
            let message = format!("{path}: Alias '{name}' conflicts with a built-in command.");
            findings
                .error("invalid-name", message, Some(key.at))
                .help("give it another name");
        }
    }
}

fn check_hooks_output(root: &Node, findings: &mut Findings) {
    let mut level = |node: &Node, of: String| {
        let text = node.to_text();
        if node.as_stringish().is_some() && !["quiet", "verbose"].contains(&text.as_str()) {
            let message =
                format!("Invalid hooks_output '{text}'{of}, must be one of: quiet, verbose");
            findings.error("invalid-value", message, Some(node.at));
        }
    };
    match root.get("hooks_output") {
        Some(Node {
            kind: Kind::Map(hooks),
            ..
        }) => {
            hooks
                .iter()
                .for_each(|e| level(&e.value, format!(" for hook '{}'", e.key.to_text())));
        }
        Some(node) => level(node, String::new()),
        None => {}
    }
}

/// Labels by which Kamal finds its containers are not the user's.
pub fn check_labels(spec: &Node, path: &str, findings: &mut Findings) {
    for Entry { key, .. } in spec.get("labels").map(Node::entries).unwrap_or_default() {
        if let Some(name @ ("destination" | "role" | "service")) = key.as_str() {
            let rule = "invalid label. destination, role, and service are reserved labels";
            findings
                .error(
                    "reserved-label",
                    format!("{path}/labels/{name}: {rule}"),
                    Some(key.at),
                )
                .help("choose another name");
        }
    }
}

/// The restart policy among the options.
pub fn check_restart(spec: &Node, path: &str, findings: &mut Findings) {
    let options = spec.get("options").map(Node::entries).unwrap_or_default();
    let Some(policy) = options
        .iter()
        .find(|e| e.key.to_text() == "restart")
        .map(|e| &e.value)
    else {
        return;
    };
    let path = format!("{path}/options/restart");
    let Some(text) = policy.as_str() else {
        let message = format!("{path}: should be a string. Use \"no\" to disable restarts");
        findings
            .error("wrong-type", message, Some(policy.at))
            .help("put it in quotes");
        return;
    };
    let counted = text
        .strip_prefix("on-failure:")
        .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    if !counted && !["no", "always", "unless-stopped", "on-failure"].contains(&text) {
        let message =
            format!("{path}: should be no, always, unless-stopped, on-failure, or on-failure:N");
        findings.error("invalid-value", message, Some(policy.at));
    }
}
