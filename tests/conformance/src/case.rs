//! A case as the conformance set writes it: how to run it, and what the hosts look like before (its README, §1).

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use serde::{Deserialize, Serialize};

/// `case.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Case {
    /// Name of the case.
    pub id: String,
    /// Arguments after `kamal`.
    pub argv: Vec<String>,
    /// Environment added to an otherwise plain one.
    pub env: BTreeMap<String, String>,
    /// The project's repository.
    pub git: Git,
    /// The deployer's machine.
    pub local: Local,
    /// Files with mode 0755.
    pub executable: Vec<String>,
    /// The hosts, before.
    pub state: State,
}

/// The project's repository.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Git {
    /// There is one, with one commit.
    pub repo: bool,
    /// `user.name`.
    pub user_name: Option<String>,
    /// `user.email`.
    pub user_email: Option<String>,
    /// Files changed after the commit, and their content.
    pub uncommitted_content: BTreeMap<String, String>,
}

/// The deployer's machine.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Local {
    /// Architecture of its Docker Engine.
    pub docker_arch: Option<String>,
}

/// Hosts and what goes wrong on them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// By name.
    pub hosts: BTreeMap<String, Host>,
    /// Injected failures.
    pub faults: Vec<Fault>,
}

/// A host, before.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Host {
    /// Oldest first.
    pub containers: Vec<Container>,
    /// Tag, and the image it is.
    pub tags: BTreeMap<String, String>,
    /// kamal-proxy's container.
    pub proxy: Option<Proxy>,
    /// There is a network `kamal`.
    pub network: bool,
    /// Details of a lock that somebody holds.
    pub lock: Option<String>,
    /// Docker is installed.
    pub docker: bool,
    /// The SSH user is root.
    pub root: bool,
    /// First registry mirror.
    pub mirror: Option<String>,
    /// Other applications in `.kamal/apps`.
    pub other_apps: Vec<String>,
}

impl Default for Host {
    /// What a host is that the case does not describe.
    fn default() -> Self {
        Self {
            containers: Vec::new(),
            tags: BTreeMap::new(),
            proxy: Some(Proxy {
                running: true,
                version: "v0.9.2".to_owned(),
            }),
            network: true,
            lock: None,
            docker: true,
            root: true,
            mirror: None,
            other_apps: Vec::new(),
        }
    }
}

/// A container, before.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Whether it runs.
    pub running: bool,
    /// The image it was made from.
    pub image: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// kamal-proxy's container, before.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Proxy {
    /// Whether it runs.
    pub running: bool,
    /// Tag of its image.
    pub version: String,
}

/// Something that goes wrong.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Fault {
    /// None: on every host.
    pub host: Option<String>,
    /// What goes wrong.
    pub op: String,
    /// Only when the name of the object contains it.
    pub arg: Option<String>,
    /// What is said.
    pub message: Option<String>,
    /// Seconds until it goes wrong.
    pub delay: Option<f64>,
    /// Health that is read.
    pub status: Option<String>,
    /// The same, in turn; the last one repeats.
    pub statuses: Vec<String>,
    /// Failed attempts until a held lock goes away.
    pub after_polls: Option<u32>,
    /// Signal of an interruption.
    pub signal: Option<String>,
    /// What is being done when it comes.
    pub at: Option<String>,
}

impl Case {
    /// Reads the case of a directory.
    ///
    /// # Errors
    /// When it is not there, or not of this form.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(folder.join("case.json"))?;
        Ok(serde_json::from_str(&text)?)
    }
}

impl Fault {
    /// Whether it concerns an object of a host.
    pub fn hits(&self, op: &str, host: &str, object: &str) -> bool {
        self.op == op
            && self.host.as_deref().is_none_or(|named| named == host)
            && self.arg.as_deref().is_none_or(|part| object.contains(part))
    }

    /// How long it takes, on the simulated clock.
    pub fn delay(&self) -> std::time::Duration {
        std::time::Duration::from_secs_f64(self.delay.unwrap_or(0.0).clamp(0.0, 1e6))
    }

    /// What an Engine says, without what Docker's command line puts in front of it.
    pub fn by_the_engine(&self, default: &str) -> String {
        let text = self.message_or(default);
        let text = text.trim_start_matches("docker: ");
        text.trim_start_matches("Error response from daemon: ")
            .to_owned()
    }

    /// What is said, when the case says nothing of it.
    pub fn message_or(&self, default: &str) -> String {
        self.message.clone().unwrap_or_else(|| default.to_owned())
    }
}
