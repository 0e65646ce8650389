//! The envelope of a Kamal configuration: the few facts from which powers are derived.
//!
//! It is read by the host itself, because what a component may do must not depend on what a component says. It is
//! tolerant: whatever does not have the expected shape is left out, which grants nothing; saying what is wrong is the
//! renderer's part. Keys and forms: Kamal 2.12 `lib/kamal/configuration/docs/*.yml`.

use std::rc::Rc;

use super::{
    diagnostic::Diagnostic,
    tree::{Data, Node},
};
use crate::secret::Secret;

mod builder;
mod commands;
mod options;
mod secrets;
mod servers;
mod ssh;

pub use builder::Builder;
pub use options::DockerOption;
pub use secrets::{SecretUse, Use};
pub use servers::{Accessory, Role, Variable};
pub use ssh::{SshConfigFiles, SshSection};

/// What the host knows of a Kamal configuration, its destination merged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Name of the service; empty when it is missing.
    pub service: String,
    /// `-d`.
    pub destination: Option<String>,
    /// Image as configured, without registry; the service's name when the registry is local.
    pub image: Option<String>,
    /// Where the image is pushed to and pulled from.
    pub registry: Registry,
    /// Roles in order.
    pub roles: Vec<Role>,
    /// Accessories in order.
    pub accessories: Vec<Accessory>,
    /// All hosts, each once: of roles, then of accessories.
    pub hosts: Vec<String>,
    /// How to reach them.
    pub ssh: SshSection,
    /// Root `volumes`: host paths or volume names, as written, without what follows the first colon.
    pub volumes: Vec<String>,
    /// Images of kamal-proxy, without tags; the default when none is configured.
    pub proxy_images: Vec<String>,
    /// Options of kamal-proxy's container (`proxy.run.options`).
    pub proxy_options: Vec<DockerOption>,
    /// Folder of the project's hooks.
    pub hooks_path: String,
    /// Where secrets files begin.
    pub secrets_path: String,
    /// Secrets that the configuration names, and what for.
    pub secrets: Vec<SecretUse>,
    /// How images are built.
    pub builder: Builder,
    /// Commands that stand for others: name and command line.
    pub aliases: Vec<(String, String)>,
    /// Folder with error pages for kamal-proxy.
    pub error_pages: Option<String>,
    /// Commands that the shells of servers run, because Kamal does not quote what they stand in: what `$(…)` and
    /// backquotes hold, and `: REST` for what follows a command behind an operator.
    pub commands: Vec<String>,
    /// How much of the hooks' output is shown, `quiet` or `verbose`: of the hook of that name, or of all.
    pub hooks_output: Vec<(Option<String>, String)>,
    /// Folder for logs of commands (`output.file.path`).
    pub log_folder: Option<String>,
    /// Where logs of commands are sent (`output.otel.endpoint`).
    pub telemetry: Option<String>,
}

/// A container registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry {
    /// Host with its port; none is Docker Hub.
    pub server: Option<String>,
    /// Who logs in.
    pub username: Option<Credential>,
    /// With what.
    pub password: Option<Credential>,
}

/// A text in the configuration, or the name of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// Written in the configuration itself; hidden all the same.
    Literal(Secret),
    /// `[NAME]`.
    Secret(String),
}

impl Registry {
    /// Whether Kamal runs this registry itself, on the deployer's machine.
    pub fn is_local(&self) -> bool {
        let rest = self
            .server
            .as_deref()
            .and_then(|s| s.strip_prefix("localhost"));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    }

    /// Its port, when it is local.
    pub fn local_port(&self) -> Option<u16> {
        let server = self.server.as_deref().filter(|_| self.is_local())?;
        server.rsplit(':').next()?.parse().ok()
    }

    fn read(node: Option<&Rc<Node>>) -> Self {
        let credential = |key: &str| {
            let value = node?.get(key)?;
            match &value.data {
                Data::Scalar { .. } => Some(Credential::Literal(Secret::new(value.text()?))),
                Data::Sequence(items) => {
                    Some(Credential::Secret(items.first()?.text()?.to_owned()))
                }
                Data::Mapping(_) => None,
            }
        };
        Self {
            server: text(node, "server"),
            username: credential("username"),
            password: credential("password"),
        }
    }
}

impl Envelope {
    /// Reads the configuration from its files, given as path and text in the order in which they are merged.
    ///
    /// Fails only when a file is not YAML, or not a map of keys.
    pub fn read(files: &[(&str, &str)], destination: Option<&str>) -> Result<Self, Diagnostic> {
        let mut merged: Option<Rc<Node>> = None;
        for (path, text) in files {
            let node = Node::parse(path, text)?;
            if !matches!(node.data, Data::Mapping(_)) {
                let message = format!("a configuration is a map of keys, this is {}", node.kind());
                return Err(Diagnostic::error("yaml", message)
                    .at(node.at.clone())
                    .help("begin with `service: NAME`"));
            }
            merged = Some(match merged {
                Some(base) => base.overlaid(&node),
                None => node,
            });
        }
        let root = merged.ok_or_else(|| Diagnostic::error("yaml", "there is no configuration"))?;
        Ok(Self::of(&root, destination))
    }

    fn of(root: &Node, destination: Option<&str>) -> Self {
        let service = root.get("service").and_then(|node| node.text());
        let service = service.unwrap_or_default().to_owned();
        let registry = Registry::read(root.get("registry"));
        let image = root.get("image").and_then(|node| node.text());
        let local = registry.is_local().then_some(service.as_str());
        let roles = servers::roles(root.get("servers"));
        let accessories = servers::accessories(root.get("accessories"), &service);
        let mut hosts: Vec<String> = Vec::new();
        let of_roles = roles.iter().flat_map(|role| &role.hosts);
        for host in of_roles.chain(accessories.iter().flat_map(|accessory| &accessory.hosts)) {
            if !hosts.contains(host) {
                hosts.push(host.clone());
            }
        }
        let output = |kind: &str, key: &str| text(root.get("output")?.get(kind), key);
        let proxies = servers::proxies(root);
        Self {
            image: image.or(local).map(ToOwned::to_owned),
            destination: destination.map(ToOwned::to_owned),
            hosts,
            ssh: SshSection::read(root.get("ssh")),
            volumes: options::volume_sources(root.get("volumes")),
            proxy_images: servers::proxy_images(&proxies),
            proxy_options: proxies
                .iter()
                .flat_map(|proxy| {
                    options::read(proxy.get("run").and_then(|run| run.get("options")))
                })
                .collect(),
            hooks_path: root_text(root, "hooks_path", ".kamal/hooks"),
            secrets_path: root_text(root, "secrets_path", ".kamal/secrets"),
            secrets: secrets::read(root, &proxies),
            aliases: aliases(root.get("aliases")),
            builder: Builder::read(root.get("builder")),
            error_pages: root
                .get("error_pages_path")
                .and_then(|node| node.text())
                .map(ToOwned::to_owned),
            commands: commands::read(root),
            hooks_output: hooks_output(root.get("hooks_output")),
            log_folder: output("file", "path"),
            telemetry: output("otel", "endpoint"),
            service,
            registry,
            roles,
            accessories,
        }
    }

    /// The image's repository with its registry.
    pub fn repository(&self) -> Option<String> {
        let image = self.image.as_deref()?;
        Some(match &self.registry.server {
            Some(server) => format!("{server}/{image}"),
            None => image.to_owned(),
        })
    }

    /// Of a project that Kamal has no configuration of: nothing follows from it.
    pub fn without_powers(service: &str) -> Self {
        let mut envelope = Self::read(&[("", "{}")], None).expect("an empty map is one");
        service.clone_into(&mut envelope.service);
        envelope
    }

    /// Names of the secrets that log in at the registry.
    pub fn registry_secrets(&self) -> Vec<&str> {
        let credentials = [&self.registry.username, &self.registry.password];
        credentials
            .into_iter()
            .flatten()
            .filter_map(|credential| match credential {
                Credential::Secret(name) => Some(name.as_str()),
                Credential::Literal(_) => None,
            })
            .collect()
    }

    /// `SERVICE[-DESTINATION]`: what Kamal names files on servers after.
    pub fn service_and_destination(&self) -> String {
        match &self.destination {
            Some(destination) => format!("{}-{destination}", self.service),
            None => self.service.clone(),
        }
    }

    /// Registry passwords that are written in the configuration itself. Short ones are left out: hiding a word such
    /// as `kamal` everywhere would garble the names of containers.
    pub fn passwords(&self) -> impl Iterator<Item = &Secret> {
        let own = self
            .accessories
            .iter()
            .filter_map(|accessory| accessory.registry.as_ref());
        let registries = std::iter::once(&self.registry).chain(own);
        registries.filter_map(|registry| match &registry.password {
            Some(Credential::Literal(password)) if password.expose().len() >= 8 => Some(password),
            Some(Credential::Literal(_) | Credential::Secret(_)) | None => None,
        })
    }

    /// The files secrets may be in, in the order of reading.
    pub fn secret_paths(&self) -> Vec<String> {
        let suffix = match &self.destination {
            Some(destination) => format!(".{destination}"),
            None => String::new(),
        };
        vec![
            format!("{}-common", self.secrets_path),
            format!("{}{suffix}", self.secrets_path),
        ]
    }
}

fn root_text(root: &Node, key: &str, default: &str) -> String {
    let given = root.get(key).and_then(|node| node.text());
    given.unwrap_or(default).to_owned()
}

fn aliases(node: Option<&Rc<Node>>) -> Vec<(String, String)> {
    let entries = node.map(|node| node.entries()).unwrap_or_default();
    entries
        .iter()
        .filter_map(|entry| Some((entry.key.clone(), entry.value.text()?.to_owned())))
        .collect()
}

fn hooks_output(node: Option<&Rc<Node>>) -> Vec<(Option<String>, String)> {
    let Some(node) = node else { return Vec::new() };
    // `:quiet` is Ruby's symbol.
    let level = |text: &str| text.trim_start_matches(':').to_owned();
    let all = node.text().map(|text| (None, level(text)));
    let each = node
        .entries()
        .iter()
        .filter_map(|entry| Some((Some(entry.key.clone()), level(entry.value.text()?))));
    all.into_iter().chain(each).collect()
}

fn text(node: Option<&Rc<Node>>, key: &str) -> Option<String> {
    Some(node?.get(key)?.text()?.to_owned())
}

/// A text, or the texts of a list.
fn texts(node: Option<&Rc<Node>>) -> Vec<String> {
    let Some(node) = node else {
        return Vec::new();
    };
    let single = node.text().map(ToOwned::to_owned);
    let items = node.items().iter().filter_map(|item| item.text());
    single
        .into_iter()
        .chain(items.map(ToOwned::to_owned))
        .collect()
}

#[cfg(test)]
mod tests;
