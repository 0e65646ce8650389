//! `accessories`: deploys leave them alone, but their hosts count, and so does how they are routed.

use crate::config::role::Role;
use crate::config::{env, proxy, registry, section};
use crate::diagnostic::{Findings, Mark};
use crate::schema;
use crate::yaml::{Entry, Kind, Node};

/// An accessory.
#[derive(Debug)]
pub struct Accessory {
    /// Its name.
    pub name: String,
    /// Where it runs.
    pub hosts: Vec<String>,
    /// Its own `proxy`; the root's does not count.
    pub proxy: Option<Node>,
    /// Its keys.
    pub spec: Node,
    /// Where it is defined.
    pub at: Mark,
}

impl Accessory {
    /// Where messages say it is: `accessories/db`.
    pub fn path(&self) -> String {
        format!("accessories/{}", self.name)
    }

    /// Whether it runs on a host.
    pub fn is_on(&self, host: &str) -> bool {
        self.hosts.iter().any(|name| name == host)
    }

    /// Name of its container, its folder and its route: `service`, or `SERVICE-NAME`.
    pub fn container(&self, service: &str) -> String {
        let own = self.spec.get("service").filter(|own| own.is_truthy());
        own.and_then(Node::as_stringish)
            .unwrap_or_else(|| format!("{service}-{}", self.name))
    }
}

const PLACES: [&str; 6] = ["host", "hosts", "role", "roles", "tag", "tags"];

/// Reads and checks all accessories.
pub fn read(root: &Node, roles: &[Role], findings: &mut Findings) -> Vec<Accessory> {
    let accessories = root
        .get("accessories")
        .map(Node::entries)
        .unwrap_or_default();
    accessories
        .iter()
        .filter_map(|entry| read_one(entry, root, roles, findings))
        .collect()
}

fn read_one(
    Entry { key, value }: &Entry,
    root: &Node,
    roles: &[Role],
    findings: &mut Findings,
) -> Option<Accessory> {
    let path = format!("accessories/{}", key.to_text());
    let Some(name) = key.as_str() else {
        findings
            .error(
                "invalid-name",
                format!("{path}: names of accessories should be strings"),
                Some(key.at),
            )
            .help(format!("put it in quotes: \"{}\"", key.to_text()));
        return None;
    };
    schema::check(value, &schema::ACCESSORY, &path, findings);
    value.as_map()?;
    if PLACES
        .iter()
        .filter(|place| value.get(place).is_some())
        .count()
        != 1
    {
        let message =
            format!("{path}: specify one of `host`, `hosts`, `role`, `roles`, `tag` or `tags`");
        findings.error("missing-key", message, Some(key.at));
    }
    section::check_labels(value, &path, findings);
    section::check_restart(value, &path, findings);
    if let Some(env) = value.get("env").filter(|env| env.as_map().is_some()) {
        env::check(env, &format!("{path}/env"), false, findings);
    }
    if let Some(registry) = value
        .get("registry")
        .filter(|registry| registry.is_present())
    {
        registry::check(registry, &format!("{path}/registry"), findings);
    }
    let proxy = value.get("proxy").filter(|proxy| proxy.is_present());
    if let Some(proxy) = proxy {
        proxy::check(proxy, &format!("{path}/proxy"), findings);
    }
    check_roles(value, &path, roles, findings);
    let proxy = proxy.filter(|proxy| proxy.as_map().is_some()).cloned();
    Some(Accessory {
        name: name.to_owned(),
        hosts: hosts(value, root, roles),
        proxy,
        spec: value.clone(),
        at: key.at,
    })
}

fn check_roles(accessory: &Node, path: &str, roles: &[Role], findings: &mut Findings) {
    let known = |name: &str| roles.iter().any(|role| role.name == name);
    let (plural, named) = match (accessory.get("roles"), accessory.get("role")) {
        (Some(several), _) => ("s", several.items()),
        (None, Some(one)) => ("", std::slice::from_ref(one)),
        (None, None) => return,
    };
    let missing: Vec<&Node> = named
        .iter()
        .filter(|name| !known(&name.to_text()))
        .collect();
    if let Some(first) = missing.first() {
        let names: Vec<String> = missing.iter().map(|name| name.to_text()).collect();
        let message = format!("{path}: unknown role{plural} {}", names.join(", "));
        let diagnostic = findings.error("unknown-role", message, Some(first.at));
        let roles: Vec<&str> = roles.iter().map(|role| role.name.as_str()).collect();
        diagnostic.help(format!("roles are {}", roles.join(", ")));
    }
}

fn hosts(accessory: &Node, root: &Node, roles: &[Role]) -> Vec<String> {
    let texts = |key: &str| match accessory.get(key) {
        Some(Node {
            kind: Kind::List(items),
            ..
        }) => items.iter().filter_map(Node::as_stringish).collect(),
        Some(one) => one.as_stringish().into_iter().collect(),
        None => Vec::new(),
    };
    let named: Vec<String> = [texts("host"), texts("hosts")].concat();
    let by_role = [texts("role"), texts("roles")]
        .concat()
        .into_iter()
        .flat_map(|name| {
            let role = roles.iter().find(move |role| role.name == name);
            role.into_iter()
                .flat_map(|role| role.host_names().map(str::to_owned))
        });
    let by_tag = [texts("tag"), texts("tags")]
        .concat()
        .into_iter()
        .flat_map(|tag| tagged(root, &tag));
    named.into_iter().chain(by_role).chain(by_tag).collect()
}

/// Kamal looks for tags only in roles that are lists, and in a single tag for the text.
fn tagged(root: &Node, tag: &str) -> Vec<String> {
    let roles = root.get("servers").map(Node::entries).unwrap_or_default();
    let items = roles.iter().flat_map(|role| role.value.items());
    let hosts = items.filter_map(|item| match item.as_map() {
        Some([Entry { key, value }]) => {
            let carries = match value.as_list() {
                Some(tags) => tags.iter().any(|t| t.as_str() == Some(tag)),
                None => value.to_text().contains(tag),
            };
            carries.then(|| key.to_text())
        }
        _ => None,
    });
    hosts.collect()
}
