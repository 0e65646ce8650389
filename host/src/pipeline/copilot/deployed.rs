//! What stacks say: their templates' metadata, their parameters and outputs.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::manifest::tree::{Data, Node};

/// Parameters of an environment's stack that its optional parts have: an environment without the parameter is too old
/// for the part.
const FEATURES: [&str; 6] = [
    "ALBWorkloads",
    "Aliases",
    "AppRunnerPrivateWorkloads",
    "EFSWorkloads",
    "InternalALBWorkloads",
    "NATWorkloads",
];

/// `Metadata` of a template that Copilot or plimsoll made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// `v1.29.0`, `bootstrap`; empty when there is none.
    pub version: String,
    /// The manifest it was made from; empty when there is none.
    pub manifest: String,
}

impl Metadata {
    /// Reads them; a template that makes no sense has none.
    pub fn of(template: &str) -> Self {
        let Ok(root) = Node::parse("template", template) else {
            return Self::default();
        };
        let text = |key: &str| {
            let metadata = root.get("Metadata")?;
            metadata.get(key)?.text().map(str::to_owned)
        };
        Self {
            version: text("Version").unwrap_or_default(),
            manifest: text("Manifest").unwrap_or_default(),
        }
    }
}

/// The environment's manifest as JSON; what old versions of Copilot kept elsewhere stands in for a missing one.
pub fn environment_manifest(name: &str, text: &str, custom: &Json) -> Json {
    let read = Node::parse("manifest", text).ok().map(|node| tree(&node));
    match read {
        Some(Json::Object(manifest)) if !manifest.is_empty() => Json::Object(manifest),
        Some(_) | None => {
            let mut manifest = json!({"name": name, "type": "Environment"});
            if let Some(certificates) = custom["importCertARNs"]
                .as_array()
                .filter(|c| !c.is_empty())
            {
                manifest["http"] = json!({"public": {"certificates": certificates}});
            }
            manifest
        }
    }
}

/// ARNs of the certificates that an environment's manifest names, with the region of each.
pub fn certificates(manifest: &Json, region: &str) -> Vec<(String, String)> {
    let listed = |side: &str| {
        let list = manifest["http"][side]["certificates"].as_array();
        list.into_iter().flatten().filter_map(Json::as_str)
    };
    let balancers = listed("public")
        .chain(listed("private"))
        .map(|arn| (arn.to_owned(), region.to_owned()));
    // CloudFront takes certificates of one region only.
    let cdn = manifest["cdn"]["certificate"].as_str();
    let cdn = cdn.map(|arn| (arn.to_owned(), "us-east-1".to_owned()));
    let mut all: Vec<(String, String)> = balancers.chain(cdn).collect();
    all.sort();
    all.dedup();
    all
}

/// The optional parts that an environment's stack has parameters for.
pub fn features(parameters: &BTreeMap<String, String>) -> Vec<&'static str> {
    FEATURES
        .into_iter()
        .filter(|feature| parameters.contains_key(*feature))
        .collect()
}

/// Whether a version is newer than another: `v1.10.0` than `v1.9.2`. What is no version is older than any.
pub fn is_newer(one: &str, other: &str) -> bool {
    let parts = |version: &str| {
        let numbers = version.trim_start_matches('v').split(['-', '+']).next();
        let parsed: Option<Vec<u64>> = numbers
            .unwrap_or_default()
            .split('.')
            .map(|part| part.parse().ok())
            .collect();
        parsed.unwrap_or_default()
    };
    parts(one) > parts(other)
}

/// YAML as JSON, with YAML 1.2's scalars.
fn tree(node: &Node) -> Json {
    match &node.data {
        Data::Mapping(_) => {
            let entries = node.entries().iter();
            Json::Object(
                entries
                    .map(|entry| (entry.key.clone(), tree(&entry.value)))
                    .collect(),
            )
        }
        Data::Sequence(_) => Json::Array(node.items().iter().map(|item| tree(item)).collect()),
        _ if node.is_null() => Json::Null,
        _ => match (node.boolean(), node.text()) {
            (Some(flag), _) => json!(flag),
            (None, text) => json!(text.unwrap_or_default()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_are_found_in_templates() {
        let template = "AWSTemplateFormatVersion: 2010-09-09\nMetadata:\n  Version: 'v1.29.0'\n  Manifest: |\n    name: test\n    type: Environment\n    http:\n      public: {certificates: [arn:a]}\n    cdn: {certificate: arn:b}\nResources:\n  R: {Type: !Ref X}\n";
        let found = Metadata::of(template);
        assert_eq!(found.version, "v1.29.0");
        let manifest = environment_manifest("test", &found.manifest, &Json::Null);
        assert_eq!(
            certificates(&manifest, "eu-west-1"),
            [
                ("arn:a".into(), "eu-west-1".into()),
                ("arn:b".into(), "us-east-1".into())
            ]
        );
        assert_eq!(
            Metadata::of("Metadata: {Version: bootstrap}").version,
            "bootstrap"
        );
        assert_eq!(Metadata::of("{"), Metadata::default());
    }

    #[test]
    fn old_environments_have_their_certificates_elsewhere() {
        let custom = json!({"importCertARNs": ["arn:c"]});
        let manifest = environment_manifest("test", "", &custom);
        assert_eq!(
            certificates(&manifest, "eu-west-1"),
            [("arn:c".into(), "eu-west-1".into())]
        );
        assert_eq!(
            environment_manifest("test", "", &Json::Null)["type"],
            "Environment"
        );
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        for (one, other, newer) in [
            ("v1.10.0", "v1.9.2", true),
            ("v1.29.0", "v1.29.0", false),
            ("v1.29.0", "v1.34.1", false),
            ("v2.0.0-beta", "v1.34.1", true),
            ("", "v1.34.1", false),
            ("bootstrap", "v1.0.0", false),
        ] {
            assert_eq!(is_newer(one, other), newer, "{one} {other}");
        }
    }
}
