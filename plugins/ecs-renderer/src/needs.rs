//! What to look up before rendering: names that only the host, or AWS, can say something about.

use crate::addons;
use crate::diagnostic::Findings;
use crate::interpolate::{self, Variables};
use crate::manifest;
use crate::patches::File;
use crate::yaml::{self, At, Node, Span};
use std::collections::{BTreeMap, BTreeSet};

/// What a manifest refers to outside of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Names in `${…}`.
    pub variables: BTreeSet<String>,
    /// Sources of a static site's files, as written.
    pub paths: BTreeSet<String>,
    /// Files that are uploaded, and folders of such: their digests.
    pub digests: BTreeSet<String>,
    /// Secrets that containers get.
    pub secrets: BTreeSet<String>,
    /// Existing load balancers, by name or ARN.
    pub load_balancers: BTreeSet<String>,
    /// Tags that select subnets: any of the values.
    pub subnets: BTreeSet<BTreeMap<String, Vec<String>>>,
    /// The topics that services publish.
    pub topics: bool,
}

/// A secret that a container gets.
#[derive(Clone, Debug)]
pub(crate) struct Secret {
    /// As [`Needs::secrets`] has it: `ssm:NAME` or `secretsmanager:NAME`.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) span: Span,
}

/// What can be said before variables are known. A manifest that cannot be read needs nothing: rendering says why.
pub fn first(manifest: &str) -> Needs {
    let mut needs = Needs::default();
    if let Ok(root) = yaml::parse(manifest, 0) {
        interpolate::names(&root, &mut needs.variables);
        let environments = root
            .get("environments")
            .and_then(Node::entries)
            .unwrap_or_default();
        for section in std::iter::once(&root).chain(environments.iter().map(|(_, section)| section))
        {
            let sources = section
                .items_at("files")
                .iter()
                .filter_map(|f| f.text_at("source"));
            needs.paths.extend(sources.map(|source| source.value));
        }
    }
    needs
}

/// As [`first`], and what the manifest says for its environment once its variables are known.
pub fn all(manifest: &str, workload: &str, variables: &Variables<'_>) -> Needs {
    let mut needs = first(manifest);
    let mut ignored = Findings::default();
    let Some(read) = manifest::read(manifest, 0, workload, variables, &mut ignored) else {
        return needs;
    };
    let root = &read.root;
    let text = |node: Option<At<String>>| node.map(|found| found.value);
    let sources = root.items_at("files").iter();
    let sources = sources.filter_map(|file| text(file.text_at("source")));
    for source in sources {
        needs.paths.insert(source.clone());
        needs.digests.insert(source);
    }
    let sidecars = root.sorted_at("sidecars");
    let containers = sidecars.iter().map(|(_, sidecar)| *sidecar);
    let holders = std::iter::once(root).chain(containers);
    let files = holders.chain(root.get("logging"));
    let files = files.filter_map(|holder| text(holder.text_at("env_file")));
    needs.digests.extend(files.filter(|path| !path.is_empty()));
    needs
        .secrets
        .extend(secrets(root).into_iter().map(|secret| secret.name));
    needs
        .load_balancers
        .extend(root.get("http").and_then(|http| text(http.text_at("alb"))));
    let tags: BTreeMap<String, Vec<String>> = root
        .dig("network.vpc.placement.subnets")
        .map(|subnets| subnets.sorted_at("from_tags"))
        .unwrap_or_default()
        .into_iter()
        .map(|(key, values)| {
            let values = values.texts().into_iter().map(|value| value.value);
            (key.text.clone(), values.collect())
        })
        .collect();
    if !tags.is_empty() {
        needs.subnets.insert(tags);
    }
    needs.topics = root
        .get("subscribe")
        .is_some_and(|subscribe| !subscribe.items_at("topics").is_empty());
    needs
}

/// Files and folders of the project that addons name, where CloudFormation wants an object of S3.
pub fn assets(addons: &[File]) -> BTreeSet<String> {
    addons::assets_of(addons)
}

/// The secrets that a manifest gives to its containers. Those from exports are CloudFormation's to find.
pub(crate) fn secrets(root: &Node) -> Vec<Secret> {
    let mut found = Vec::new();
    let sidecars = root.sorted_at("sidecars");
    let holders = std::iter::once((root, "secrets"))
        .chain(sidecars.iter().map(|(_, sidecar)| (*sidecar, "secrets")));
    let logging = root.get("logging").into_iter();
    let logging = logging.flat_map(|node| [(node, "secrets"), (node, "secretOptions")]);
    for (holder, key) in holders.chain(logging) {
        for (_, node) in holder.sorted_at(key) {
            let manager = node.text_at("secretsmanager");
            let name = match (&manager, node.text()) {
                (Some(secret), _) => Some(format!("secretsmanager:{}", secret_id(&secret.value))),
                (None, Some(text)) => parameter_or_secret(text),
                (None, None) => None,
            };
            let span = manager.map_or(node.span, |secret| secret.span);
            found.extend(name.map(|name| Secret { name, span }));
        }
    }
    let credentials = root.dig("image.credentials").into_iter();
    let sidecars = sidecars
        .iter()
        .filter_map(|(_, sidecar)| sidecar.get("credentialsParameter"));
    for node in credentials.chain(sidecars) {
        let name = node.text().filter(|text| text.contains(":secretsmanager:"));
        found.extend(name.map(|text| Secret {
            name: format!("secretsmanager:{}", secret_id(text)),
            span: node.span,
        }));
    }
    found
}

/// A text is the name of a parameter, or the ARN of either.
fn parameter_or_secret(text: &str) -> Option<String> {
    if text.is_empty() {
        None
    } else if text.contains(":secretsmanager:") {
        Some(format!("secretsmanager:{}", secret_id(text)))
    } else {
        let name = text.split_once(":parameter").map_or(text, |(_, name)| name);
        Some(format!("ssm:{name}"))
    }
}

/// Without what selects a part of the secret: `name:json-key:version-stage:version-id`.
fn secret_id(text: &str) -> String {
    let parts: Vec<&str> = text.split(':').collect();
    let own = if text.starts_with("arn:") { 7 } else { 1 };
    parts[..parts.len().min(own)].join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_says_what_must_be_looked_up_for_its_environment() {
        let manifest = "name: api\ntype: Load Balanced Web Service\nimage: {build: Dockerfile, port: 80}\nhttp: {path: /, alb: '${LB}'}\n\
            env_file: a.env\nsecrets: {A: '/x/${E}', B: {secretsmanager: 'db:password::'}, C: {from_cfn: stack-secret}}\n\
            sidecars: {log: {image: x, env_file: log.env, secrets: {D: 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:d-AbCdEf:k::'}}}\n\
            environments: {prod: {network: {vpc: {placement: {subnets: {from_tags: {tier: [a, b], open: x}}}}}, secrets: {E: /only-prod}}}\n";
        let process = BTreeMap::from(
            [("LB", "shared"), ("E", "e")].map(|(k, v)| (k.to_owned(), v.to_owned())),
        );
        let needs = |environment| {
            let variables = Variables {
                application: "shop",
                environment,
                process: &process,
            };
            all(manifest, "api", &variables)
        };
        let test = needs("test");
        assert_eq!(
            test.secrets.into_iter().collect::<Vec<_>>(),
            [
                "secretsmanager:arn:aws:secretsmanager:eu-west-1:123456789012:secret:d-AbCdEf",
                "secretsmanager:db",
                "ssm:/x/e"
            ]
        );
        assert_eq!(
            test.digests.into_iter().collect::<Vec<_>>(),
            ["a.env", "log.env"]
        );
        assert_eq!(
            test.load_balancers.into_iter().collect::<Vec<_>>(),
            ["shared"]
        );
        assert!(test.subnets.is_empty() && !test.topics);
        let prod = needs("prod");
        assert!(prod.secrets.contains("ssm:/only-prod"));
        let tags = prod.subnets.into_iter().next().expect("one selection");
        assert_eq!(tags["tier"], ["a", "b"]);
        assert_eq!(first(manifest).variables.len(), 2);
    }
}
