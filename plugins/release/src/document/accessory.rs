//! A container beside the application: a database, a cache.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::document::{Credentials, Log, Route};
use crate::value::Value;

/// Address `host/HOST/accessory/NAME`, media type [`Accessory::MEDIA_TYPE`].
///
/// A host that has a container with the label `service=`[`Self::container`], running or not, is left alone by `boot`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accessory {
    /// Name of the container, its `service` label, its route in the proxy and its folder below the home directory.
    pub container: String,
    /// `[registry.example.com/]mysql:8`.
    pub image: String,
    /// Login for that image: the accessory's own registry, or the application's when the image comes from there.
    pub credentials: Option<Credentials>,
    /// Words; `None` runs the image's own command.
    pub command: Option<Vec<Value>>,
    /// As [`crate::Role::shell_tail`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell_tail: Option<String>,
    /// The whole environment.
    pub env: BTreeMap<String, Value>,
    /// Labels.
    pub labels: BTreeMap<String, Value>,
    /// `SOURCE:TARGET[:OPTIONS]`, those of files and directories included.
    pub volumes: Vec<Value>,
    /// Networks, the first joined at creation; made when it is not there.
    pub networks: Vec<String>,
    /// Restart policy.
    pub restart: String,
    /// Logging.
    pub log: Log,
    /// Other `docker run` options by long name; `port` is the first `publish`.
    pub options: Vec<(String, Value)>,
    /// Directories to make before it boots, in this order, before the files.
    pub directories: Vec<Directory>,
    /// Files to put in place before it boots.
    pub files: Vec<PlacedFile>,
    /// `None` when the proxy does not route to it.
    pub proxy: Option<Route>,
}

impl Accessory {
    /// Media type of the document.
    pub const MEDIA_TYPE: &str = "application/vnd.plimsoll.accessory+json";
    /// Address of the document.
    pub fn address(host: &str, name: &str) -> String {
        format!("host/{host}/accessory/{name}")
    }
    /// Host and name of an address.
    pub fn parse_address(address: &str) -> Option<(&str, &str)> {
        address.strip_prefix("host/")?.split_once("/accessory/")
    }
}

/// A directory on the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Directory {
    /// Below the home directory unless absolute.
    pub path: Value,
    /// As `chmod` takes it: `0755`, `u+x`; `None` leaves it as it is made.
    pub mode: Option<String>,
    /// As `chown` takes it: `999:999`; `None` leaves it as it is made.
    pub owner: Option<String>,
}

/// A file on the host, its directory made when it is not there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlacedFile {
    /// Below the home directory unless absolute.
    pub path: Value,
    /// As `chmod` takes it; Kamal's default is `755`.
    pub mode: String,
    /// As `chown` takes it; `None` leaves it to the SSH user.
    pub owner: Option<String>,
    /// What is in it, a file of the project.
    pub content: Value,
}
