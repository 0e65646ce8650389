//! What all containers have.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::value::Value;

/// Logging of a container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Log {
    /// `None` is the Engine's default driver.
    pub driver: Option<Value>,
    /// Driver options.
    pub options: BTreeMap<String, Value>,
}

/// A published port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Port {
    /// Address to bind, as configured and without brackets; `None` is all.
    pub host_ip: Option<String>,
    /// Port on the host.
    pub host_port: u16,
    /// Port in the container.
    pub container_port: u16,
}
