//! `registry`: where images are pushed to and pulled from.

use crate::diagnostic::{Findings, Mark};
use crate::schema;
use crate::yaml::Node;

/// A registry with its credentials.
#[derive(Clone, Debug)]
pub struct Registry {
    /// Host with its port; `None` is Docker Hub.
    pub server: Option<String>,
    /// User name.
    pub username: Option<Credential>,
    /// Password.
    pub password: Option<Credential>,
    /// Where it is written.
    pub at: Mark,
}

/// A credential, literal or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// As written.
    Literal(String),
    /// Name of a secret, and where it is written.
    Secret(String, Mark),
}

impl Registry {
    /// Reads the root's section; a missing one is as if it were empty.
    pub fn read(root: &Node, findings: &mut Findings) -> Option<Self> {
        let Some(node) = root.get("registry") else {
            if schema::misspelt(root, &schema::ROOT, "registry") {
                return None;
            }
            findings.error("missing-key", "registry/username: is required", None).help(
                "add a `registry` section with `username` and `password`, or name every host `local` to deploy to this \
                 machine",
            );
            return None;
        };
        check(node, "registry", findings);
        node.as_map()?;
        Some(Self {
            at: root.key_at("registry").unwrap_or(node.at),
            ..read_one(node)
        })
    }

    /// Its port on this machine, when it is one that servers reach through a forwarded port.
    pub fn local_port(&self) -> Option<u16> {
        let server = self.server.as_deref().filter(|server| is_local(server))?;
        server.rsplit(':').next()?.parse().ok()
    }

    /// Whether it is a registry on this machine that servers reach through a forwarded port.
    pub fn is_local(&self) -> bool {
        self.server.as_deref().is_some_and(is_local)
    }
}

/// What a section says, the root's or an accessory's.
pub fn read_one(node: &Node) -> Registry {
    Registry {
        server: node
            .get("server")
            .and_then(Node::as_stringish)
            .filter(|server| !server.is_empty()),
        username: credential(node.get("username")),
        password: credential(node.get("password")),
        at: node.at,
    }
}

/// Kamal's own test: `localhost`, alone on a line or followed by a port.
fn is_local(server: &str) -> bool {
    server.lines().any(|line| line.starts_with("localhost:")) || server.starts_with("localhost$")
}

/// ECR, as `aws ecr get-login-password` is for: the host logs in with the user's own AWS credentials, unless there is a
/// password.
fn is_aws(registry: &Registry) -> bool {
    let server = registry.server.as_deref().unwrap_or_default();
    let ecr = server.contains(".dkr.ecr") && server.contains(".amazonaws.com");
    ecr && registry.username == Some(Credential::Literal("AWS".to_owned()))
}

fn credential(node: Option<&Node>) -> Option<Credential> {
    let node = node?;
    if let Some([only]) = node.as_list() {
        return Some(Credential::Secret(only.as_str()?.to_owned(), only.at));
    }
    node.as_str()
        .map(|text| Credential::Literal(text.to_owned()))
}

/// Checks a registry of the root or of an accessory.
pub fn check(node: &Node, path: &str, findings: &mut Findings) {
    schema::check(node, &schema::REGISTRY, path, findings);
    if node.as_map().is_none() {
        return;
    }
    if let Some(server) = node.get("server")
        && server.as_stringish().is_some_and(|name| is_local(&name))
    {
        if read_one(node).local_port().is_none() {
            let message = format!("{path}/server: `{}` has no port", server.to_text());
            findings
                .error("invalid-value", message, Some(server.at))
                .help("write `localhost:5000`, or another port");
        }
        return;
    }
    for key in ["username", "password"] {
        // The host has a login of its own there.
        if key == "password"
            && is_aws(&read_one(node))
            && !node.get(key).is_some_and(Node::is_present)
        {
            continue;
        }
        if schema::misspelt(node, &schema::REGISTRY, key) {
            continue;
        }
        match node.get(key) {
            value @ (None | Some(_)) if !value.is_some_and(Node::is_present) => {
                let at = value.map_or(node.at, |value| value.at);
                findings
                    .error(
                        "missing-key",
                        format!("{path}/{key}: is required"),
                        Some(at),
                    )
                    .help(format!(
                        "give the {key}, or the name of a secret in a list: `{key}: [NAME]`"
                    ));
            }
            value => {
                if credential(value).is_none() {
                    let message = format!(
                        "{path}/{key}: should be a string or an array with one string (for secret lookup)"
                    );
                    let diagnostic =
                        findings.error("wrong-type", message, value.map(|value| value.at));
                    if value.is_some_and(|value| value.as_list().is_none()) {
                        diagnostic.help("put it in quotes");
                    }
                }
            }
        }
    }
}
