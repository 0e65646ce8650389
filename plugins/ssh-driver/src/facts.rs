//! What is on a host, as far as a plan depends on it. Recorded in documents `observed/HOST`, which have no desired
//! counterpart: they are left out of the comparison and make a plan possible without any server.

use std::collections::{BTreeMap, BTreeSet};

use release::Release;
use serde::{Deserialize, Serialize};

/// Everything `plan` knows about a host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostFacts {
    /// Containers of the service, of every destination, newest first.
    pub containers: Vec<Container>,
    /// Images of the service.
    pub images: Vec<Image>,
    /// The network is there.
    pub network: bool,
    /// The proxy's container, running or not.
    pub proxy: Option<ProxyFacts>,
    /// The image a new proxy would run is there.
    pub proxy_image: bool,
    /// Accessory to its containers, newest first.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub accessories: BTreeMap<String, Vec<Container>>,
    /// Images of accessories that are there, by reference.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub accessory_images: BTreeSet<String>,
    /// Names of containers of the version to go back to that say themselves what they ran with.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub restorable: BTreeSet<String>,
    /// What there is for running containers, where that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker: Option<DockerState>,
    /// Names of applications in `.kamal/apps`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apps: Vec<String>,
    /// What `proxy boot_config` left in `.kamal/proxy`: file to its text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub boot_config: BTreeMap<String, String>,
}

/// What a host has for running containers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockerState {
    /// The program `docker` is there.
    pub installed: bool,
    /// The user is root.
    pub root: bool,
    /// The user may change other users without a password.
    pub sudo: bool,
    /// The user is in the group `docker`.
    pub member: bool,
}

impl DockerState {
    /// The Engine can be used.
    pub fn is_ready(&self) -> bool {
        self.installed && (self.root || self.member)
    }

    /// It can be made so.
    pub fn can_be_ready(&self) -> bool {
        self.root || self.sudo
    }
}

/// A container of the service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Container {
    /// Full id.
    pub id: String,
    /// Name without the leading slash.
    pub name: String,
    /// Reference it was created from.
    pub image: String,
    /// Id of that image.
    pub image_id: String,
    /// `running`, `exited`, … as the Engine says.
    pub state: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Seconds since 1970.
    pub created: i64,
}

/// An image of the service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Image {
    /// Id.
    pub id: String,
    /// All its names.
    pub references: Vec<String>,
}

/// The container `kamal-proxy`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProxyFacts {
    /// Image reference.
    pub image: String,
    /// It runs.
    pub running: bool,
    /// Route name to targets, `ID:PORT`.
    pub routes: BTreeMap<String, Vec<String>>,
}

impl HostFacts {
    /// Media type of the document.
    pub const MEDIA_TYPE: &str = "application/vnd.plimsoll.host-facts+json";

    /// Address of the document.
    pub fn address(host: &str) -> String {
        format!("observed/{host}")
    }

    /// Host of an address.
    pub fn parse_address(address: &str) -> Option<&str> {
        address.strip_prefix("observed/")
    }

    /// Containers of the release's destination, newest first.
    pub fn of_destination(&self, release: &Release) -> impl Iterator<Item = &Container> {
        let destination = release.destination.clone().unwrap_or_default();
        let service = release.service.clone();
        self.containers.iter().filter(move |container| {
            container.label("service") == service && container.label("destination") == destination
        })
    }

    /// The container that does a role's work: the one the proxy routes to, else the newest running one of the
    /// image tagged `latest`, else the newest running one. Without the route, an interrupted deploy would make the
    /// old container current, and the next deploy would stop the serving one as stale.
    pub fn current(&self, release: &Release, role: &str) -> Option<&Container> {
        let running = self.running(release, role);
        let routes = self
            .proxy
            .as_ref()
            .and_then(|proxy| proxy.routes.get(&release.prefix(role)));
        let latest = self
            .images
            .iter()
            .find(|image| image.references.contains(&release.image.latest));
        let routed = running.iter().find(|container| {
            routes.is_some_and(|targets| targets.iter().any(|target| container.is_target(target)))
        });
        let tagged = running
            .iter()
            .find(|container| latest.is_some_and(|image| image.id == container.image_id));
        routed.or(tagged).or(running.first()).copied()
    }

    /// Running containers of a role besides the current one.
    pub fn stale(&self, release: &Release, role: &str) -> Vec<&Container> {
        let current = self.current(release, role).map(|container| &container.id);
        self.running(release, role)
            .into_iter()
            .filter(|container| Some(&container.id) != current)
            .collect()
    }

    /// The Engine can be used, as far as is known.
    pub fn has_engine(&self) -> bool {
        self.docker.is_none_or(|docker| docker.is_ready())
    }

    /// Containers of a role, newest first.
    pub fn of_role(&self, release: &Release, role: &str) -> impl Iterator<Item = &Container> {
        self.of_destination(release)
            .filter(move |container| container.label("role") == role)
    }

    /// The container of that name.
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers
            .iter()
            .find(|container| container.name == name)
    }

    fn running(&self, release: &Release, role: &str) -> Vec<&Container> {
        self.of_destination(release)
            .filter(|c| c.label("role") == role && c.is_running())
            .collect()
    }
}

/// A running container besides the current one. Its document, which nothing desires, shows as a removal: the plan
/// stops it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stale {
    /// Image reference.
    pub image: String,
    /// As the Engine says.
    pub state: String,
}

impl Stale {
    /// Media type of the document.
    pub const MEDIA_TYPE: &str = "application/vnd.plimsoll.stale-container+json";

    /// Address of the document.
    pub fn address(host: &str, container: &str) -> String {
        format!("host/{host}/stale/{container}")
    }
}

impl Container {
    /// A label, empty when it is not there.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// It works, or the Engine tries to make it work.
    pub fn is_running(&self) -> bool {
        matches!(self.state.as_str(), "running" | "restarting")
    }

    /// It may be removed.
    pub fn is_stopped(&self) -> bool {
        matches!(self.state.as_str(), "created" | "exited" | "dead")
    }

    /// A proxy target `ID:PORT` or `NAME:PORT` means this container. The proxy is given short ids, of 12 digits.
    pub fn is_target(&self, target: &str) -> bool {
        let name = target.rsplit_once(':').map_or(target, |(name, _)| name);
        name == self.name || name.len() >= 12 && self.id.starts_with(name)
    }
}
