//! What concerns all hosts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::value::Value;

/// Address `release`, media type [`Release::MEDIA_TYPE`]: what concerns all hosts.
///
/// It is rendered for every command. Documents of roles, proxies and accessories are rendered for the commands that
/// have to do with them: roles for all but `accessory …` and `prune …`, proxies for `deploy`, `setup`, `proxy …` and
/// `remove`, accessories for `setup`, `accessory …` and `remove`.
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
    /// How to get it; `None` when it is in this machine's Engine already, or in [`Self::local_registry`].
    pub credentials: Option<Credentials>,
    /// The registry is on the deployer's machine: servers reach it through a reverse forward of its port, over their
    /// SSH connection, while they pull. Nobody logs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_registry: Option<LocalRegistry>,
    /// Selected hosts, also those that only have an accessory; those of the primary role first.
    pub hosts: Vec<String>,
    /// Of these, the hosts with a role, those of the primary role first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub app_hosts: Vec<String>,
    /// Of these, the hosts with something behind the proxy, in the order of the configuration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proxy_hosts: Vec<String>,
    /// Of these, the hosts with an accessory, in the order of the configuration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accessory_hosts: Vec<String>,
    /// Holds the lock.
    pub primary_host: String,
    /// Gatekeeper role: others boot after its first container is healthy. Empty when no role is selected.
    pub primary_role: String,
    /// Selected roles, the primary one first.
    pub roles: Vec<String>,
    /// Host to its roles that are not selected. What belongs to the whole application (its images, its folder) is
    /// removed only from hosts that are not in here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unselected_roles: BTreeMap<String, Vec<String>>,
    /// Accessories that are meant, in the order of the configuration: the one whose name was given, else all that are
    /// on selected hosts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accessories: Vec<String>,
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
    /// Error pages of the project's own, for everything that is behind the proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_pages: Option<ErrorPages>,
    /// Hooks the driver runs, by name, that exist in the project: `docker-setup`, `pre-deploy`, `pre-app-boot`,
    /// `post-app-boot`, `post-deploy`, `pre-proxy-reboot`, `post-proxy-reboot`.
    pub hooks: BTreeMap<String, HookCall>,
}

impl Release {
    /// Address of the document.
    pub const ADDRESS: &str = "release";
    /// Media type of the document.
    pub const MEDIA_TYPE: &str = "application/vnd.plimsoll.release+json";

    /// What every container of a role is called before its version, and the name of its route in the proxy:
    /// `SERVICE-ROLE[-DESTINATION]`.
    pub fn prefix(&self, role: &str) -> String {
        match &self.destination {
            Some(destination) => format!("{}-{role}-{destination}", self.service),
            None => format!("{}-{role}", self.service),
        }
    }

    /// `SERVICE[-DESTINATION]`.
    pub fn app(&self) -> String {
        match &self.destination {
            Some(destination) => format!("{}-{destination}", self.service),
            None => self.service.clone(),
        }
    }

    /// The application's folder on a server, below the home directory: `.kamal/apps/SERVICE[-DESTINATION]`. It has
    /// `env/roles/ROLE.env`, `env/accessories/NAME.env` and `assets/{extracted,volumes}/ROLE-VERSION/`.
    pub fn app_directory(&self) -> String {
        format!(".kamal/apps/{}", self.app())
    }

    /// The application's folder of files for the proxy, below the home directory; it has `error_pages/VERSION/` and
    /// `tls/ROLE/{cert,key}.pem`. In the proxy's container it is [`Self::proxy_directory_inside`].
    pub fn proxy_directory(&self) -> String {
        format!(".kamal/proxy/apps-config/{}", self.app())
    }

    /// See [`Self::proxy_directory`].
    pub fn proxy_directory_inside(&self) -> String {
        format!("/home/kamal-proxy/.apps-config/{}", self.app())
    }
}

/// An image reference in its several forms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Image {
    /// Slot name: after the push, the slot `image/NAME` holds the digest. Only commands that pull have it.
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

/// A registry on the deployer's machine, the container [`LocalRegistry::CONTAINER`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LocalRegistry {
    /// `localhost:5000`, as image references have it.
    pub server: String,
    /// Port on this machine and, while it is forwarded, on every server's loopback.
    pub port: u16,
}

impl LocalRegistry {
    /// Name of its container.
    pub const CONTAINER: &str = "kamal-docker-registry";
    /// Its image.
    pub const IMAGE: &str = "registry:3";
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
    /// Hosts in a group, a percentage resolved; `None` when there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Seconds to wait after each group, also after the last.
    pub wait: u32,
    /// Roles on one host boot at the same time.
    pub parallel_roles: bool,
}

/// Error pages, put into `error_pages/VERSION/` of [`Release::proxy_directory`]; older versions' folders are removed
/// after the old containers have stopped. Routes with [`crate::Route::error_pages`] point at them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorPages {
    /// `4??.html` and `5??.html` of the project's folder. May be empty: routes then still point at the folder.
    pub pages: Vec<ErrorPage>,
}

/// One page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorPage {
    /// `404.html`.
    pub name: String,
    /// The file.
    pub content: Value,
}

/// A hook with its environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HookCall {
    /// Variables added to the deployer's environment. `KAMAL_HOSTS` is replaced by the group's hosts for the
    /// hooks around a boot group or a reboot group of the proxy.
    pub env: BTreeMap<String, Value>,
}
