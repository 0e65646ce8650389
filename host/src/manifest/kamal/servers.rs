//! Roles, accessories and proxies: what runs where.

use std::rc::Rc;

use super::{Registry, options, options::DockerOption, text};
use crate::manifest::tree::{Data, Node};

/// What Kamal's proxy is when nothing else is configured.
const PROXY_REPOSITORY: &str = "basecamp/kamal-proxy";

/// A role and its servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// `web` when servers are a plain list.
    pub name: String,
    /// In order, without tags.
    pub hosts: Vec<String>,
    /// Options of its containers.
    pub options: Vec<DockerOption>,
}

/// A container beside the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accessory {
    /// Key of the accessory.
    pub name: String,
    /// Its container, which is also its folder on the server: `service`, or `SERVICE-NAME`.
    pub container: String,
    /// As configured.
    pub image: Option<String>,
    /// Its own registry.
    pub registry: Option<Registry>,
    /// Hosts named by the accessory itself; through roles and tags it uses hosts of the service.
    pub hosts: Vec<String>,
    /// Options of its container.
    pub options: Vec<DockerOption>,
    /// Host side of its volumes and absolute directories.
    pub volumes: Vec<String>,
    /// Another network than `kamal`.
    pub network: Option<String>,
    /// Directories that are made for it outside of its own folder.
    pub directories: Vec<String>,
    /// Files of the project that it gets, as written.
    pub files: Vec<String>,
    /// Its environment, for files that are templates.
    pub env: Vec<(String, Variable)>,
}

/// Where a variable's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Variable {
    /// As written.
    Clear(String),
    /// The secret of that name.
    Secret(String),
}

impl Accessory {
    /// The image's repository with its registry and tag.
    pub fn reference(&self) -> Option<String> {
        let server = self
            .registry
            .as_ref()
            .and_then(|registry| registry.server.as_deref());
        let image = self.image.as_deref()?;
        Some(match server {
            Some(server) => format!("{server}/{image}"),
            None => image.to_owned(),
        })
    }
}

pub(super) fn roles(servers: Option<&Rc<Node>>) -> Vec<Role> {
    let Some(servers) = servers else {
        return Vec::new();
    };
    match &servers.data {
        Data::Scalar { .. } => Vec::new(),
        Data::Sequence(_) => vec![Role {
            name: "web".to_owned(),
            hosts: hosts(servers),
            options: Vec::new(),
        }],
        Data::Mapping(entries) => entries
            .iter()
            .map(|entry| Role {
                name: entry.key.clone(),
                hosts: hosts(entry.value.get("hosts").unwrap_or(&entry.value)),
                options: options::read(entry.value.get("options")),
            })
            .collect(),
    }
}

/// `HOST` or `HOST: TAGS`, each of a list.
fn hosts(list: &Node) -> Vec<String> {
    let mut hosts: Vec<String> = Vec::new();
    for item in list.items() {
        let host = match &item.data {
            Data::Scalar { .. } => item.text(),
            Data::Mapping(entries) => entries.first().map(|entry| entry.key.as_str()),
            Data::Sequence(_) => None,
        };
        if let Some(host) = host
            && !hosts.iter().any(|known| known == host)
        {
            hosts.push(host.to_owned());
        }
    }
    hosts
}

pub(super) fn accessories(node: Option<&Rc<Node>>, service: &str) -> Vec<Accessory> {
    let entries = node.map(|node| node.entries()).unwrap_or_default();
    let accessory = |(name, node): (&String, &Rc<Node>)| {
        let own = Some(node);
        let mut volumes = options::volume_sources(node.get("volumes"));
        let directories = absolute_directories(node.get("directories"));
        volumes.extend(directories.iter().cloned());
        Accessory {
            name: name.clone(),
            container: text(own, "service").unwrap_or_else(|| format!("{service}-{name}")),
            image: text(own, "image"),
            registry: node
                .get("registry")
                .map(|registry| Registry::read(Some(registry))),
            hosts: text(own, "host")
                .into_iter()
                .chain(
                    node.get("hosts")
                        .map(|list| hosts(list))
                        .unwrap_or_default(),
                )
                .collect(),
            options: options::read(node.get("options")),
            volumes,
            network: text(own, "network"),
            directories,
            files: local_paths(node.get("files")).collect(),
            env: environment(node.get("env")),
        }
    };
    entries
        .iter()
        .map(|entry| accessory((&entry.key, &entry.value)))
        .collect()
}

/// Clear values, then secrets, which win: `NAME`, or `NAME:SECRET`.
fn environment(env: Option<&Rc<Node>>) -> Vec<(String, Variable)> {
    let Some(env) = env else { return Vec::new() };
    let sorted = ["clear", "secret"].iter().any(|key| env.get(key).is_some());
    let clear = if sorted { env.get("clear") } else { Some(env) };
    let clear = clear.map(|node| node.entries()).unwrap_or_default();
    let clear = clear.iter().map(|entry| {
        let value = entry.value.text().unwrap_or_default();
        (entry.key.clone(), Variable::Clear(value.to_owned()))
    });
    let secret = env.get("secret").map(|list| list.items());
    let secret = secret.unwrap_or_default().iter().filter_map(|item| {
        let text = item.text()?;
        let (name, secret) = text.split_once(':').unwrap_or((text, text));
        Some((name.to_owned(), Variable::Secret(secret.to_owned())))
    });
    clear.chain(secret).collect()
}

/// `directories` that are not below the accessory's own folder.
fn absolute_directories(node: Option<&Rc<Node>>) -> Vec<String> {
    local_paths(node)
        .filter(|path| path.starts_with('/'))
        .collect()
}

/// The first part of `LOCAL:REMOTE[:OPTIONS]`, or `local` of a mapping.
fn local_paths(node: Option<&Rc<Node>>) -> impl Iterator<Item = String> {
    let items = node.map(|node| node.items()).unwrap_or_default();
    let local = |item: &Rc<Node>| match &item.data {
        Data::Scalar { .. } => item.text()?.split(':').next().map(ToOwned::to_owned),
        Data::Mapping(_) => text(Some(item), "local"),
        Data::Sequence(_) => None,
    };
    items.iter().filter_map(local)
}

/// Every `proxy` section: of the root, the roles and the accessories.
pub(super) fn proxies(root: &Node) -> Vec<Rc<Node>> {
    let below = |key: &str| {
        let entries = root.get(key).map(|node| node.entries()).unwrap_or_default();
        entries
            .iter()
            .filter_map(|entry| entry.value.get("proxy").cloned())
    };
    let own = root.get("proxy").cloned();
    own.into_iter()
        .chain(below("servers"))
        .chain(below("accessories"))
        .collect()
}

pub(super) fn proxy_images(proxies: &[Rc<Node>]) -> Vec<String> {
    let mut images: Vec<String> = Vec::new();
    let runs = proxies.iter().filter_map(|proxy| proxy.get("run"));
    for run in runs {
        let repository =
            text(Some(run), "repository").unwrap_or_else(|| PROXY_REPOSITORY.to_owned());
        let image = match text(Some(run), "registry") {
            Some(registry) => format!("{registry}/{repository}"),
            None => repository,
        };
        if !images.contains(&image) {
            images.push(image);
        }
    }
    // A host whose things configure no `run` gets the default one.
    if !images.iter().any(|image| image == PROXY_REPOSITORY) {
        images.push(PROXY_REPOSITORY.to_owned());
    }
    images
}
