//! One container of the application, and its route.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::document::{Log, Route};
use crate::value::Value;

/// Address `host/HOST/role/ROLE`, media type [`Role::MEDIA_TYPE`]: one container and its route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Role {
    /// `registry.example.com/team/app:VERSION`.
    pub image: String,
    /// Words; `None` runs the image's own command.
    pub command: Option<Vec<Value>>,
    /// What follows the command in the same line, from its operator on: `&& date`, `> log`. Kamal's line goes through
    /// the server's shell unquoted, which runs this on the host itself, as `sh -c ': TAIL'` does once the container is
    /// started. That command is what grants are derived for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell_tail: Option<String>,
    /// Environment without what is derived (`KAMAL_CONTAINER_NAME`, `KAMAL_VERSION`).
    pub env: BTreeMap<String, Value>,
    /// Labels.
    pub labels: BTreeMap<String, Value>,
    /// `SOURCE:TARGET[:OPTIONS]`; a relative source with a slash in it is below the home directory. Without the volume
    /// of [`Self::assets`].
    pub volumes: Vec<Value>,
    /// Networks, the first joined at creation.
    pub networks: Vec<String>,
    /// Restart policy.
    pub restart: String,
    /// Logging.
    pub log: Log,
    /// Other `docker run` options by long name; `true` for a flag.
    pub options: Vec<(String, Value)>,
    /// Seconds for `docker stop`; `None` is Docker's own.
    pub stop_timeout: Option<u32>,
    /// Assets that old and new containers share; only with a proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assets: Option<Assets>,
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
    /// What a container's host name begins with, before a dash and twelve digits: the host's name, cut to 51
    /// characters so that all of it fits into a host name's 64.
    pub fn hostname_prefix(host: &str) -> String {
        let prefix: String = host.chars().take(51).collect();
        match prefix.strip_suffix('.') {
            Some(cut) => cut.to_owned(),
            None => prefix,
        }
    }
    /// Host and role of an address.
    pub fn parse_address(address: &str) -> Option<(&str, &str)> {
        address.strip_prefix("host/")?.split_once("/role/")
    }
}

/// Assets: copied out of the image into `assets/extracted/ROLE-VERSION/`, from there into `assets/volumes/ROLE-VERSION/`
/// and, files that are missing there, into the running version's volume, and the other way round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assets {
    /// Folder in the image, and where its volume is mounted.
    pub path: String,
    /// Options of the mount, such as `ro`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<String>,
}
