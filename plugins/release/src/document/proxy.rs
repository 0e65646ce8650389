//! kamal-proxy: how it runs, and what it routes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::document::{Credentials, Log, Port, is_false};
use crate::value::Value;

/// How kamal-proxy routes to a container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// Port in the container.
    pub port: u16,
    /// Flags of `kamal-proxy deploy` after the target, in the order Kamal sends them, each `--name` or
    /// `--name=value`.
    pub flags: Vec<Value>,
    /// A certificate of the project's own, put into `tls/ROLE/cert.pem` (mode 0644) and `tls/ROLE/key.pem` (mode 0600,
    /// the proxy's user) of [`crate::Release::proxy_directory`] before the container boots. The flags name them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// One more flag, which depends on the version:
    /// `--error-pages=/home/kamal-proxy/.apps-config/SERVICE[-DESTINATION]/error_pages/VERSION`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub error_pages: bool,
}

/// A certificate and its key, PEM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tls {
    /// The certificate chain.
    pub certificate: Value,
    /// The private key.
    pub private_key: Value,
}

/// Address `host/HOST/proxy`, media type [`Proxy::MEDIA_TYPE`]: the kamal-proxy container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proxy {
    /// `basecamp/kamal-proxy:v0.9.2`.
    pub image: String,
    /// Login for that image; `None` when the release has none for its registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// Nothing is configured for this host (no `proxy.run`), so that what `kamal proxy boot_config` left there counts:
    /// the files `options`, `image`, `image_version` and `run_command` in `.kamal/proxy`, each in place of the default
    /// that stands here.
    #[serde(default, skip_serializing_if = "is_false")]
    pub defaults: bool,
    /// `None` runs the image's own command.
    pub command: Option<Vec<Value>>,
    /// Published ports.
    pub ports: Vec<Port>,
    /// Environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Value>,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Value>,
    /// `SOURCE:TARGET[:OPTIONS]`.
    pub volumes: Vec<Value>,
    /// Networks.
    pub networks: Vec<String>,
    /// Restart policy.
    pub restart: String,
    /// Logging.
    pub log: Log,
    /// Other `docker run` options by long name; `expose` and more `publish` are among them.
    pub options: Vec<(String, Value)>,
}

impl Proxy {
    /// Media type of the document.
    pub const MEDIA_TYPE: &str = "application/vnd.plimsoll.proxy+json";
    /// Name of the container.
    pub const CONTAINER: &str = "kamal-proxy";
    /// The oldest version that understands all flags; also the default one.
    pub const MINIMUM_VERSION: &str = "v0.9.2";
    /// Address of the document.
    pub fn address(host: &str) -> String {
        format!("host/{host}/proxy")
    }
    /// Host of an address.
    pub fn parse_address(address: &str) -> Option<&str> {
        address.strip_prefix("host/")?.strip_suffix("/proxy")
    }
}
