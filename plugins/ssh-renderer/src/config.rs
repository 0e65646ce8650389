//! The configuration as a whole: sections read one by one, each with its own rules, then the rules between them
//! (`kamal.md` §3.5). Reading is lenient, so that one mistake does not hide the others; the findings decide.

pub mod accessory;
pub mod boot;
pub mod builder;
pub mod env;
pub mod options;
pub mod proxy;
pub mod registry;
pub mod role;
pub mod rules;
pub mod section;

use crate::diagnostic::Findings;
use crate::schema;
use crate::yaml::Node;
use accessory::Accessory;
use env::Env;
use registry::Registry;
use role::Role;

/// The name of the host that is this machine's own Docker Engine, an extension of plimsoll.
pub const LOCAL: &str = "local";

/// A configuration, base and destination merged.
#[derive(Debug)]
pub struct Config {
    /// The merged tree.
    pub root: Node,
    /// Kamal's destination.
    pub destination: Option<String>,
    /// Name of the application.
    pub service: String,
    /// The image without its registry.
    pub image: String,
    /// `None` when images stay in the local Engine.
    pub registry: Option<Registry>,
    /// Name of the role that the others wait for.
    pub primary_role: String,
    /// By name.
    pub roles: Vec<Role>,
    /// In the order of the file.
    pub accessories: Vec<Accessory>,
    /// The root environment.
    pub env: Env,
    /// Environments of host tags.
    pub tags: Vec<(String, Env)>,
}

impl Config {
    /// Reads a merged tree.
    pub fn read(root: Node, destination: Option<&str>, findings: &mut Findings) -> Self {
        schema::check(&root, &schema::ROOT, "", findings);
        let text = |key: &str| {
            root.get(key)
                .and_then(Node::as_stringish)
                .unwrap_or_default()
        };
        let primary_role = Some(text("primary_role"))
            .filter(|name| !name.is_empty())
            .unwrap_or("web".to_owned());
        let service = text("service");
        let roles = role::read(&root, &primary_role, findings);
        let accessories = accessory::read(&root, &roles, findings);
        let stays_local = root.get("registry").is_none() && all_local(&roles, &accessories);
        let registry = if stays_local {
            None
        } else {
            Registry::read(&root, findings)
        };
        let in_local_registry = registry.as_ref().is_none_or(Registry::is_local);
        let image = root
            .get("image")
            .filter(|image| image.is_present())
            .and_then(Node::as_stringish);
        let image = image
            .or_else(|| in_local_registry.then(|| service.clone()))
            .unwrap_or_default();
        builder::check(&root, stays_local, findings);
        if let Some(env) = root.get("env").filter(|env| env.as_map().is_some()) {
            env::check(env, "env", true, findings);
        }
        if let Some(proxy) = root.get("proxy") {
            proxy::check(proxy, "proxy", findings);
        }
        section::check(&root, findings);
        let env = Env::read(root.get("env"), "env");
        let tags = root
            .dig(&["env", "tags"])
            .map(Node::entries)
            .unwrap_or_default();
        let read_tag = |name: String, env| {
            (
                name.clone(),
                Env::read(Some(env), &format!("env/tags/{name}")),
            )
        };
        let tags = tags
            .iter()
            .map(|e| read_tag(e.key.to_text(), &e.value))
            .collect();
        let destination = destination.map(str::to_owned);
        let config = Self {
            destination,
            service,
            image,
            registry,
            primary_role,
            roles,
            accessories,
            env,
            tags,
            root,
        };
        rules::check(&config, findings);
        config
    }

    /// A whole number of the root.
    pub fn number(&self, key: &str, default: u32) -> u32 {
        let number = self.root.get(key).and_then(Node::as_int);
        number
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(default)
    }

    /// Text of the root.
    pub fn text(&self, key: &str) -> Option<String> {
        self.root
            .get(key)
            .filter(|node| node.is_present())
            .and_then(Node::as_stringish)
    }

    /// `SERVICE[-DESTINATION]`.
    pub fn service_and_destination(&self) -> String {
        match &self.destination {
            Some(destination) => format!("{}-{destination}", self.service),
            None => self.service.clone(),
        }
    }

    /// `[registry.example.com/]image`.
    pub fn repository(&self) -> String {
        match self
            .registry
            .as_ref()
            .and_then(|registry| registry.server.as_deref())
        {
            Some(server) => format!("{server}/{}", self.image),
            None => self.image.clone(),
        }
    }

    /// A role by name.
    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.name == name)
    }

    /// Hosts of roles and accessories, each once.
    pub fn all_hosts(&self) -> Vec<&str> {
        let accessories = self
            .accessories
            .iter()
            .flat_map(|accessory| accessory.hosts.iter().map(String::as_str));
        unique(
            self.roles
                .iter()
                .flat_map(Role::host_names)
                .chain(accessories),
        )
    }

    /// What decides how the proxy runs on a host: the first `run` of the roles and accessories there.
    pub fn proxy_runs<'a>(&'a self, host: &str) -> Vec<&'a Node> {
        let roles = self
            .roles
            .iter()
            .filter(|role| role.is_on(host))
            .filter_map(|role| role.proxy.as_ref());
        let accessories = self
            .accessories
            .iter()
            .filter(|a| a.hosts.iter().any(|h| h == host));
        let proxies = roles.chain(accessories.filter_map(|accessory| accessory.proxy.as_ref()));
        proxies
            .filter_map(|proxy| proxy.get("run"))
            .filter(|run| run.is_present())
            .collect()
    }
}

/// Whether nothing but this machine is deployed to.
fn all_local(roles: &[Role], accessories: &[Accessory]) -> bool {
    let accessories = accessories
        .iter()
        .flat_map(|accessory| accessory.hosts.iter().map(String::as_str));
    let mut hosts = roles
        .iter()
        .flat_map(Role::host_names)
        .chain(accessories)
        .peekable();
    hosts.peek().is_some() && hosts.all(|host| host == LOCAL)
}

/// Each once, in the order of first appearance.
pub fn unique<'a>(items: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut unique = Vec::new();
    for item in items {
        if !unique.contains(&item) {
            unique.push(item);
        }
    }
    unique
}
