//! `builder`: how the image is made.

use release::Value;

use crate::config::Config;
use crate::diagnostic::Findings;
use crate::schema;
use crate::secret::Secrets;
use crate::shell::{Piece, quoted};
use crate::yaml::{Entry, Node};

/// What the host builds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// Folder of the build context; `None` builds a clone of HEAD.
    pub context: Option<String>,
    /// Path of the Dockerfile.
    pub dockerfile: String,
    /// Stage.
    pub target: Option<String>,
    /// Arguments.
    pub args: Vec<(String, Value)>,
    /// Labels.
    pub labels: Vec<(String, String)>,
    /// `linux/amd64`; none is whatever the Engine is.
    pub platforms: Vec<String>,
    /// All names of the image.
    pub tags: Vec<String>,
}

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

/// What to build for a reference and the tags it gets.
pub fn build(
    config: &Config,
    tags: Vec<String>,
    secrets: &Secrets<'_>,
    findings: &mut Findings,
) -> Build {
    let builder = config.root.get("builder");
    let get = |key: &str| builder.and_then(|builder| builder.get(key));
    let text = |key: &str| {
        get(key)
            .filter(|node| node.is_present())
            .and_then(Node::as_stringish)
    };
    for (key, what) in [
        ("remote", "a remote builder"),
        ("pack", "building with buildpacks"),
        ("cache", "a build cache"),
        ("secrets", "giving secrets to the build"),
        ("ssh", "SSH in builds"),
        ("sbom", "a software bill of materials"),
        ("provenance", "a provenance attestation"),
    ] {
        if let Some(node) = get(key).filter(|node| node.is_present()) {
            findings
                .not_yet(format!("builder/{key}: {what}"), Some(node.at))
                .help(ELSEWHERE);
        }
    }
    for name in get("secrets").map(Node::items).unwrap_or_default() {
        secrets.check(&name.to_text(), Some(name.at), findings);
    }
    if let Some(driver) =
        text("driver").filter(|driver| !matches!(driver.as_str(), "docker" | "docker-container"))
    {
        let at = get("driver").map(|node| node.at);
        findings
            .not_yet(format!("builder/driver: the driver \"{driver}\""), at)
            .help(ELSEWHERE);
    }
    let arches = match get("arch") {
        Some(arch) => arch.as_list().map_or_else(
            || vec![arch.to_text()],
            |l| l.iter().map(Node::to_text).collect(),
        ),
        None => Vec::new(),
    };
    if arches.len() > 1 {
        findings
            .not_yet(
                "builder/arch: an image for several architectures",
                get("arch").map(|node| node.at),
            )
            .help(ELSEWHERE);
    }
    let args = get("args").map(Node::entries).unwrap_or_default();
    Build {
        context: text("context"),
        dockerfile: text("dockerfile").unwrap_or("Dockerfile".to_owned()),
        target: text("target"),
        args: args
            .iter()
            .map(|entry| (entry.key.to_text(), argument(entry, findings)))
            .collect(),
        labels: vec![("service".to_owned(), config.service.clone())],
        platforms: arches.iter().map(|arch| format!("linux/{arch}")).collect(),
        tags,
    }
}

const ELSEWHERE: &str = "build and push the image elsewhere and deploy it with --skip-push";

/// Kamal quotes arguments for the deployer's shell as it does for the remote one.
fn argument(Entry { key, value }: &Entry, findings: &mut Findings) -> Value {
    let name = key.to_text();
    if !value.is_present() && value.as_bool() != Some(false) {
        let message = format!("builder/args/{name}: an argument copied from your environment");
        findings
            .not_yet(message, Some(value.at))
            .help("give it a value");
    }
    quoted(&value.to_text())
        .into_iter()
        .fold(Value::default(), |whole, piece| match piece {
            Piece::Text(text) => whole.and_text(text),
            Piece::Remote(variable) => {
                let message =
                    format!("builder/args/{name}: `${{{variable}}}` from your environment");
                findings
                    .not_yet(message, Some(value.at))
                    .help("use ERB: `<%= ENV[\"NAME\"] %>`");
                whole
            }
        })
}
