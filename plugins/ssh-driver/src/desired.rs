//! The desired documents, read once.

use std::collections::{BTreeMap, BTreeSet};

use release::{Accessory, Proxy, Release, Role, Value};
use serde::de::DeserializeOwned;

/// A release with its roles, proxies and accessories.
#[derive(Clone, Debug)]
pub struct Desired {
    /// What concerns all hosts.
    pub release: Release,
    /// Host and role to container.
    pub roles: BTreeMap<(String, String), Role>,
    /// Host to proxy.
    pub proxies: BTreeMap<String, Proxy>,
    /// Host and name to accessory.
    pub accessories: BTreeMap<(String, String), Accessory>,
}

/// Why documents can't be read.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// There is no release document.
    #[error("find document `release`\nhint: ssh-driver deploys what ssh-renderer renders")]
    NoRelease,
    /// Not in the expected shape.
    #[error("read document `{address}`: {source}")]
    Shape {
        /// Address of the document.
        address: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A host has a container but no turn.
    #[error("place host `{0}`: it is in no boot group")]
    NoGroup(String),
}

/// Parses a document's body.
pub fn parse<T: DeserializeOwned>(address: &str, body: &str) -> Result<T, DocumentError> {
    serde_json::from_str(body).map_err(|source| DocumentError::Shape {
        address: address.to_owned(),
        source,
    })
}

impl Desired {
    /// Reads documents given as address and body. Others than the four kinds are not ours and left alone.
    pub fn parse<'a>(
        documents: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, DocumentError> {
        let mut release: Option<Release> = None;
        let mut roles = BTreeMap::new();
        let mut proxies = BTreeMap::new();
        let mut accessories = BTreeMap::new();
        for (address, body) in documents {
            if address == Release::ADDRESS {
                release = Some(parse(address, body)?);
            } else if let Some((host, role)) = Role::parse_address(address) {
                roles.insert((host.to_owned(), role.to_owned()), parse(address, body)?);
            } else if let Some(host) = Proxy::parse_address(address) {
                proxies.insert(host.to_owned(), parse(address, body)?);
            } else if let Some((host, name)) = Accessory::parse_address(address) {
                accessories.insert((host.to_owned(), name.to_owned()), parse(address, body)?);
            }
        }
        let release = release.ok_or(DocumentError::NoRelease)?;
        let turns: BTreeSet<&String> = release.boot.groups.iter().flatten().collect();
        match roles.keys().find(|(host, _)| !turns.contains(host)) {
            Some((host, _)) => Err(DocumentError::NoGroup(host.clone())),
            None => Ok(Self {
                release,
                roles,
                proxies,
                accessories,
            }),
        }
    }

    /// The same with containers of another version.
    #[must_use]
    pub fn at_version(mut self, version: &str) -> Self {
        let image = format!("{}:{version}", self.release.image.repository);
        for role in self.roles.values_mut() {
            role.image.clone_from(&image);
        }
        self.release.version = Some(version.to_owned());
        self
    }

    /// The version that `app boot` boots: the tag that stands for the latest.
    pub fn latest_version(&self) -> &str {
        let latest = &self.release.image.latest;
        latest.rsplit_once(':').map_or(latest, |(_, tag)| tag)
    }

    /// Hosts that run something of the application, in the release's order.
    pub fn hosts(&self) -> Vec<&str> {
        let roles = self.roles.keys().map(|(host, _)| host.as_str());
        self.in_order(roles.chain(self.proxies.keys().map(String::as_str)))
    }

    /// Hosts with a role: also where no document says what runs there.
    pub fn app_hosts(&self) -> Vec<&str> {
        let roles = self.roles.keys().map(|(host, _)| host.as_str());
        self.in_order(roles.chain(self.release.app_hosts.iter().map(String::as_str)))
    }

    /// Hosts with something behind the proxy.
    pub fn proxy_hosts(&self) -> Vec<&str> {
        self.in_order(self.proxies.keys().map(String::as_str))
    }

    /// Every host of a document, or of a role.
    pub fn all_hosts(&self) -> Vec<&str> {
        let accessories = self.accessories.keys().map(|(host, _)| host.as_str());
        let others = self.hosts().into_iter().chain(self.app_hosts());
        self.in_order(others.chain(accessories))
    }

    /// Every host that is meant, those of nothing but accessories too.
    pub fn meant_hosts(&self) -> Vec<&str> {
        self.release.hosts.iter().map(String::as_str).collect()
    }

    fn in_order<'a>(&'a self, hosts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
        let ours: BTreeSet<&str> = hosts.collect();
        let listed: Vec<&str> = self
            .release
            .hosts
            .iter()
            .map(String::as_str)
            .filter(|host| ours.contains(host))
            .collect();
        let rest = ours.iter().copied().filter(|host| !listed.contains(host));
        listed.iter().copied().chain(rest).collect()
    }

    /// Accessories of that name, or all of them: host, name, what it is; in the order of the configuration, and of hosts.
    pub fn accessories_named(&self, name: &str) -> Vec<(&str, &str, &Accessory)> {
        let turn = |name: &str| {
            let mut listed = self.release.accessories.iter();
            listed.position(|one| one == name).unwrap_or(usize::MAX)
        };
        let place = |host: &str| {
            let mut listed = self.release.hosts.iter();
            listed.position(|one| one == host).unwrap_or(usize::MAX)
        };
        let mut found: Vec<_> = self
            .accessories
            .iter()
            .filter(|((_, one), _)| name == "all" || one == name)
            .map(|((host, name), accessory)| (host.as_str(), name.as_str(), accessory))
            .collect();
        found.sort_by_key(|(host, name, _)| (turn(name), place(host)));
        found
    }

    /// What runs on a host, in the order in which it boots.
    pub fn roles_on(&self, host: &str) -> Vec<(&str, &Role)> {
        let turn = |name: &str| {
            self.release
                .roles
                .iter()
                .position(|role| role == name)
                .unwrap_or(usize::MAX)
        };
        let here = self.roles.iter().filter(|((at, _), _)| at == host);
        let mut roles: Vec<(&str, &Role)> = here
            .map(|((_, name), role)| (name.as_str(), role))
            .collect();
        roles.sort_by_key(|(name, _)| turn(name));
        roles
    }

    /// Version to deploy.
    pub fn version(&self) -> &str {
        self.release.version.as_deref().unwrap_or_default()
    }

    /// Name of a role's new container.
    pub fn container(&self, role: &str) -> String {
        format!("{}-{}", self.release.prefix(role), self.version())
    }

    /// Seconds for stopping a role's containers. The proxy has drained those it routes to; others get the time that
    /// draining takes.
    pub fn stop_timeout(&self, role: &Role) -> Option<u32> {
        role.stop_timeout
            .or_else(|| role.proxy.is_none().then_some(self.release.drain_timeout))
    }

    /// Where the application answers: the first name its primary role is routed by.
    pub fn url(&self) -> Option<String> {
        let release = &self.release;
        let role = self
            .roles
            .get(&(release.primary_host.clone(), release.primary_role.clone()))?;
        let flags = &role.proxy.as_ref()?.flags;
        let texts: Vec<&str> = flags.iter().filter_map(Value::as_text).collect();
        let host = texts.iter().find_map(|flag| flag.strip_prefix("--host="))?;
        let scheme = if texts.contains(&"--tls") {
            "https"
        } else {
            "http"
        };
        Some(format!("{scheme}://{host}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(groups: &str) -> String {
        format!(
            r#"{{"service": "app", "destination": null, "version": "2",
            "image": {{"name": "app", "repository": "app", "latest": "app:latest"}}, "credentials": null,
            "hosts": ["web-2", "web-1"], "primary_host": "web-2", "primary_role": "web", "roles": ["web", "job"],
            "lock": {{"path": "", "details": ""}}, "audit_log": "", "network": "kamal", "retain_containers": 5,
            "deploy_timeout": 30, "drain_timeout": 30, "readiness_delay": 7,
            "boot": {{"groups": {groups}, "wait": 0, "parallel_roles": false}}, "hooks": {{}}}}"#
        )
    }

    fn role(flags: &str) -> String {
        format!(
            r#"{{"image": "app:2", "command": null, "env": {{}}, "labels": {{}}, "volumes": [], "networks": [],
            "restart": "always", "log": {{"driver": null, "options": {{}}}}, "options": [], "stop_timeout": null,
            "proxy": {{"port": 80, "flags": {flags}}}}}"#
        )
    }

    #[test]
    fn hosts_and_roles_come_in_the_releases_order() {
        let (release, role) = (release(r#"[["web-1", "web-2"]]"#), role("[]"));
        let addresses = [
            "host/web-1/role/job",
            "host/web-1/role/web",
            "host/web-2/role/job",
            "other",
        ];
        let documents = addresses.map(|address| (address, role.as_str()));
        let desired = Desired::parse(documents.into_iter().chain([("release", release.as_str())]))
            .expect("parses");
        assert_eq!(desired.hosts(), ["web-2", "web-1"]);
        let roles: Vec<&str> = desired
            .roles_on("web-1")
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(roles, ["web", "job"]);
    }

    #[test]
    fn documents_that_make_no_deploy_are_refused() {
        let (release, role) = (release(r#"[["web-1"]]"#), role("[]"));
        for (documents, expected) in [
            (vec![], "find document `release`"),
            (
                vec![("release", "{}")],
                "read document `release`: missing field",
            ),
            (
                vec![("release", &*release), ("host/web-2/role/web", &*role)],
                "place host `web-2`",
            ),
        ] {
            let error = Desired::parse(documents).expect_err("refused").to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn the_url_is_the_first_name_of_the_primary_role() {
        let release = release(r#"[["web-2"]]"#);
        for (flags, expected) in [
            (
                r#"["--host=a.example.com", "--host=b.example.com"]"#,
                Some("http://a.example.com"),
            ),
            (
                r#"["--host=a.example.com", "--tls"]"#,
                Some("https://a.example.com"),
            ),
            ("[]", None),
        ] {
            let role = role(flags);
            let documents = [
                ("release", release.as_str()),
                ("host/web-2/role/web", role.as_str()),
            ];
            assert_eq!(
                Desired::parse(documents).expect("parses").url().as_deref(),
                expected
            );
        }
    }
}
