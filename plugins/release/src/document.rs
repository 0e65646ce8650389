//! The three documents. Keys that differ only by the version (container names, `KAMAL_VERSION`) are left out and
//! derived by the driver, so that a new version shows as one changed line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::value::Value;

/// Address `release`, media type [`Release::MEDIA_TYPE`]: what concerns all hosts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Release {
    /// Name of the application, the `service` label.
    pub service: String,
    /// Kamal's destination.
    pub destination: Option<String>,
    /// Version, the last part of every container's name. In an observed document: what runs on the primary host,
    /// `None` when nothing does.
    pub version: Option<String>,
    /// The image to run.
    pub image: Image,
    /// How to get it; `None` when it is in this machine's Engine already.
    pub credentials: Option<Credentials>,
    /// Selected hosts, those of the primary role first.
    pub hosts: Vec<String>,
    /// Holds the lock.
    pub primary_host: String,
    /// Gatekeeper role: others boot after its first container is healthy.
    pub primary_role: String,
    /// Role names, the primary one first.
    pub roles: Vec<String>,
    /// The deploy lock.
    pub lock: Lock,
    /// Path of the audit log on every host: `.kamal/app-audit.log`.
    pub audit_log: String,
    /// Docker network of all containers.
    pub network: String,
    /// Stopped containers kept for rollback, at least 1.
    pub retain_containers: u32,
    /// Seconds a new container may take to become healthy.
    pub deploy_timeout: u32,
    /// Seconds old requests may take to finish.
    pub drain_timeout: u32,
    /// Seconds a container without a proxy must keep running to count as ready.
    pub readiness_delay: u32,
    /// Rollout order.
    pub boot: Boot,
    /// Hooks the driver runs, by name, that exist in the project: `pre-deploy`, `pre-app-boot`, `post-app-boot`,
    /// `post-deploy`.
    pub hooks: BTreeMap<String, HookCall>,
}

impl Release {
    /// Address of the document.
    pub const ADDRESS: &str = "release";
    /// Media type of the document.
    pub const MEDIA_TYPE: &str = "application/vnd.plimsoll.release+json";
}

/// An image reference in its several forms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Image {
    /// Slot name: after the push, the slot `image/NAME` holds the digest.
    pub name: String,
    /// `registry.example.com/team/app`.
    pub repository: String,
    /// `registry.example.com/team/app:latest[-DESTINATION]`, moved after a successful deploy.
    pub latest: String,
}

/// Registry credentials, sent with each pull.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Credentials {
    /// Registry host with its port; `None` is Docker Hub.
    pub server: Option<String>,
    /// User name.
    pub username: Value,
    /// Password, normally a secret.
    pub password: Value,
}

/// The deploy lock as Kamal makes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lock {
    /// `.kamal/lock-app[-DESTINATION]`.
    pub path: String,
    /// Three lines: who and when (slots), version, message.
    pub details: Value,
}

/// Rollout order of `boot`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Boot {
    /// Hosts that boot together; the groups follow each other.
    pub groups: Vec<Vec<String>>,
    /// Seconds to wait after each group.
    pub wait: u32,
    /// Roles on one host boot at the same time.
    pub parallel_roles: bool,
}

/// A hook with its environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HookCall {
    /// Variables added to the deployer's environment. `KAMAL_HOSTS` is replaced by the group's hosts for the
    /// hooks around a boot group.
    pub env: BTreeMap<String, Value>,
}

/// Address `host/HOST/role/ROLE`, media type [`Role::MEDIA_TYPE`]: one container and its route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Role {
    /// `registry.example.com/team/app:VERSION`.
    pub image: String,
    /// `None` runs the image's own command.
    pub command: Option<Vec<String>>,
    /// Environment without what is derived (`KAMAL_CONTAINER_NAME`, `KAMAL_VERSION`).
    pub env: BTreeMap<String, Value>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// `SOURCE:TARGET[:OPTIONS]`.
    pub volumes: Vec<String>,
    /// Networks, the first joined at creation.
    pub networks: Vec<String>,
    /// Restart policy.
    pub restart: String,
    /// Logging.
    pub log: Log,
    /// Other `docker run` options by long name.
    pub options: Vec<(String, String)>,
    /// Seconds for `docker stop`; `None` is Docker's own.
    pub stop_timeout: Option<u32>,
    /// `None` when the proxy does not route to it.
    pub proxy: Option<Route>,
}

impl Role {
    /// Media type of the document.
    pub const MEDIA_TYPE: &str = "application/vnd.plimsoll.role+json";
    /// Address of the document.
    pub fn address(host: &str, role: &str) -> String {
        format!("host/{host}/role/{role}")
    }
    /// Host and role of an address.
    pub fn parse_address(address: &str) -> Option<(&str, &str)> {
        address.strip_prefix("host/")?.split_once("/role/")
    }
}

impl Release {
    /// What every container of a role is called before its version, and the name of its route in the proxy:
    /// `SERVICE-ROLE[-DESTINATION]`.
    pub fn prefix(&self, role: &str) -> String {
        match &self.destination {
            Some(destination) => format!("{}-{role}-{destination}", self.service),
            None => format!("{}-{role}", self.service),
        }
    }
}

/// How kamal-proxy routes to a container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// Port in the container.
    pub port: u16,
    /// Flags of `kamal-proxy deploy` after the target, in the order Kamal sends them, each `--name` or
    /// `--name=value`.
    pub flags: Vec<String>,
}

/// Logging of a container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Log {
    /// `None` is the Engine's default driver.
    pub driver: Option<String>,
    /// Driver options.
    pub options: BTreeMap<String, String>,
}

/// A published port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Port {
    /// Address to bind; `None` is all.
    pub host_ip: Option<String>,
    /// Port on the host.
    pub host_port: u16,
    /// Port in the container.
    pub container_port: u16,
}

/// Address `host/HOST/proxy`, media type [`Proxy::MEDIA_TYPE`]: the kamal-proxy container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proxy {
    /// `basecamp/kamal-proxy:v0.9.2`.
    pub image: String,
    /// `None` runs the image's own command.
    pub command: Option<Vec<String>>,
    /// Published ports.
    pub ports: Vec<Port>,
    /// `SOURCE:TARGET[:OPTIONS]`.
    pub volumes: Vec<String>,
    /// Networks.
    pub networks: Vec<String>,
    /// Restart policy.
    pub restart: String,
    /// Logging.
    pub log: Log,
    /// Other `docker run` options by long name.
    pub options: Vec<(String, String)>,
}

impl Proxy {
    /// Media type of the document.
    pub const MEDIA_TYPE: &str = "application/vnd.plimsoll.proxy+json";
    /// Name of the container.
    pub const CONTAINER: &str = "kamal-proxy";
    /// Address of the document.
    pub fn address(host: &str) -> String {
        format!("host/{host}/proxy")
    }
    /// Host of an address.
    pub fn parse_address(address: &str) -> Option<&str> {
        address.strip_prefix("host/")?.strip_suffix("/proxy")
    }
}
