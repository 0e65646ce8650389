//! `builder`: how the image is made; see [`crate::render::build`] for what becomes of it.

use crate::diagnostic::Findings;
use crate::schema;
use crate::yaml::Node;

/// Checks the section. Only images that stay in the local Engine need no `arch`.
pub fn check(root: &Node, stays_local: bool, findings: &mut Findings) {
    let builder = root.get("builder");
    if builder.is_some_and(|builder| builder.as_map().is_none()) {
        return;
    }
    let get = |key: &str| builder.and_then(|builder| builder.get(key));
    if let Some(builder) = builder {
        schema::check(builder, &schema::BUILDER, "builder", findings);
    }
    let at = builder.map(|builder| builder.at);
    if let Some(kind) = get("cache")
        .and_then(|cache| cache.get("type"))
        .filter(|kind| kind.is_truthy())
        && !matches!(kind.as_str(), Some("gha" | "registry"))
    {
        findings
            .error(
                "invalid-value",
                format!("builder: Invalid cache type: {}", kind.to_text()),
                Some(kind.at),
            )
            .help("use `gha` or `registry`");
    }
    let arches = get("arch").map(Node::items).unwrap_or_default();
    let misspelt = schema::misspelt(root, &schema::ROOT, "builder")
        || builder.is_some_and(|builder| schema::misspelt(builder, &schema::BUILDER, "arch"));
    if !stays_local && !misspelt && !get("arch").is_some_and(Node::is_present) {
        findings
            .error("missing-key", "builder: Builder arch not set", at)
            .help("add `arch: amd64`, or the architecture of your servers, below `builder`");
    }
    if let Some(pack) = get("pack").filter(|pack| pack.is_truthy())
        && arches.len() > 1
    {
        findings.error(
            "invalid-value",
            "builder: buildpacks only support building for one arch",
            Some(pack.at),
        );
    }
    if get("local").and_then(Node::as_bool) == Some(false)
        && !get("remote").is_some_and(Node::is_present)
    {
        let at = get("local").map(|local| local.at);
        findings
            .error(
                "invalid-value",
                "builder: Cannot disable local builds, no remote is set",
                at,
            )
            .help("set `remote`, or remove `local: false`");
    }
}
