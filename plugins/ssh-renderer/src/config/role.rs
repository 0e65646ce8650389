//! `servers`: roles, and their hosts with tags.

use crate::config::{env, proxy, section};
use crate::diagnostic::{Findings, Mark};
use crate::schema::{self, check};
use crate::yaml::{Entry, Kind, Node};

/// A role.
#[derive(Debug)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Where it is defined.
    pub at: Mark,
    /// Hosts in the order of the file, each once.
    pub hosts: Vec<Host>,
    /// The role's own keys; an empty mapping for a plain list of hosts.
    pub spec: Node,
    /// The role's `proxy` over the root's; `None` when the proxy does not route to it.
    pub proxy: Option<Node>,
}

/// A host of a role.
#[derive(Debug)]
pub struct Host {
    /// Name or address.
    pub name: String,
    /// Tags that add to its environment.
    pub tags: Vec<String>,
    /// Where it is written.
    pub at: Mark,
}

impl Role {
    /// Names of its hosts.
    pub fn host_names(&self) -> impl Iterator<Item = &str> {
        self.hosts.iter().map(|host| host.name.as_str())
    }

    /// Whether it runs on a host.
    pub fn is_on(&self, host: &str) -> bool {
        self.host_names().any(|name| name == host)
    }

    /// Whether it has no hosts, although nothing is wrong with how they are given.
    pub fn is_empty(&self) -> bool {
        let given = self.spec.get("hosts");
        self.hosts.is_empty() && given.is_none_or(|hosts| hosts.as_list().is_some())
    }

    /// Where messages say it is: `servers/web`.
    pub fn path(&self) -> String {
        format!("servers/{}", self.name)
    }
}

/// Reads all roles, sorted by name. A list of servers is the role `web`.
pub fn read(root: &Node, primary: &str, findings: &mut Findings) -> Vec<Role> {
    let Some(servers) = root.get("servers") else {
        return Vec::new();
    };
    if servers.as_list().is_some() {
        let name = ("web", servers.at);
        return vec![read_one(name, servers, "servers", root, primary, findings)];
    }
    let mut roles: Vec<Role> = Vec::new();
    for Entry { key, value } in servers.entries() {
        let path = format!("servers/{}", key.to_text());
        let Some(name) = key.as_str() else {
            let message = format!("{path}: role names should be strings");
            findings
                .error("invalid-name", message, Some(key.at))
                .help(format!("put it in quotes: \"{}\"", key.to_text()));
            continue;
        };
        if value.as_list().is_none() && value.as_map().is_none() {
            let message = format!("{path}: should be an array or a hash");
            findings
                .error("wrong-type", message, Some(value.at))
                .help("list the role's hosts");
            continue;
        }
        let role = read_one((name, key.at), value, &path, root, primary, findings);
        let index = roles.partition_point(|other| other.name < role.name);
        roles.insert(index, role);
    }
    roles
}

/// A role given as its hosts, or as a mapping with `hosts` in it.
fn read_one(
    (name, at): (&str, Mark),
    value: &Node,
    path: &str,
    root: &Node,
    primary: &str,
    findings: &mut Findings,
) -> Role {
    let kind = Kind::Map(Vec::new());
    let (items, spec) = match value.as_list() {
        Some(items) => {
            check::hosts(value, path, findings);
            (items, Node { kind, at })
        }
        None => {
            check_spec(value, path, findings);
            let items = value.get("hosts").map(Node::items).unwrap_or_default();
            (items, value.clone())
        }
    };
    let root_proxy = root.get("proxy").filter(|proxy| proxy.as_map().is_some());
    let proxy = merged_proxy(&spec, name == primary, path, root_proxy, findings);
    let hosts = hosts(items, path, findings);
    Role {
        name: name.to_owned(),
        at,
        hosts,
        spec,
        proxy,
    }
}

fn check_spec(spec: &Node, path: &str, findings: &mut Findings) {
    schema::check(spec, &schema::ROLE, path, findings);
    section::check_labels(spec, path, findings);
    section::check_restart(spec, path, findings);
    if let Some(env) = spec.get("env").filter(|env| env.as_map().is_some()) {
        env::check(env, &format!("{path}/env"), false, findings);
    }
    if let Some(logging) = spec
        .get("logging")
        .filter(|logging| logging.as_map().is_some())
    {
        schema::check(
            logging,
            &schema::LOGGING,
            &format!("{path}/logging"),
            findings,
        );
    }
}

/// The primary role is routed to unless it says `false`, any other only when it says something else.
fn merged_proxy(
    spec: &Node,
    primary: bool,
    path: &str,
    root_proxy: Option<&Node>,
    findings: &mut Findings,
) -> Option<Node> {
    let own = spec.get("proxy");
    let routed = match own {
        Some(own) if primary => own.kind != Kind::Bool(false),
        Some(own) => own.is_truthy(),
        None => primary,
    };
    if !routed {
        return None;
    }
    let empty = Node {
        kind: Kind::Map(Vec::new()),
        at: spec.at,
    };
    let own = own.filter(|own| own.as_map().is_some());
    if let Some(own) = own {
        proxy::check(own, &format!("{path}/proxy"), findings);
    }
    let mut merged = root_proxy.cloned().unwrap_or(empty);
    if let Some(own) = own {
        merged.merge(own.clone());
        proxy::check_hosts(&merged, "proxy", findings);
    }
    Some(merged)
}

/// Kamal overlooks hosts that YAML reads as numbers; so does this, loudly.
fn hosts(items: &[Node], path: &str, findings: &mut Findings) -> Vec<Host> {
    let mut hosts: Vec<Host> = Vec::new();
    for item in items {
        let host = match &item.kind {
            Kind::Text(name) => Host {
                name: name.clone(),
                tags: Vec::new(),
                at: item.at,
            },
            Kind::Map(entries) => {
                let [Entry { key, value }] = entries.as_slice() else {
                    continue;
                };
                let tags = match value.as_list() {
                    Some(tags) => tags.iter().map(Node::to_text).collect(),
                    None => vec![value.to_text()],
                };
                Host {
                    name: key.to_text(),
                    tags,
                    at: key.at,
                }
            }
            Kind::Int(_) | Kind::Float(_) | Kind::Bool(_) | Kind::Symbol(_) => {
                let message = format!(
                    "{path}: host {} is not a string and counts for nothing",
                    item.to_text()
                );
                findings
                    .warn("host-ignored", message, Some(item.at))
                    .help("put it in quotes");
                continue;
            }
            Kind::Null | Kind::Date(_) | Kind::Time(_) | Kind::List(_) => continue,
        };
        match hosts.iter_mut().find(|known| known.name == host.name) {
            Some(known) => known.tags = host.tags,
            None => hosts.push(host),
        }
    }
    hosts
}
