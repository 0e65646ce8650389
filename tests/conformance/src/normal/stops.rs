//! Why containers were stopped.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::Facts;
use crate::world::{PROXY, What};

/// The stops of a host, in order.
pub(super) fn stops(facts: &Facts<'_>, host: &str) -> Vec<Json> {
    let mut made: BTreeSet<String> = BTreeSet::new();
    let mut roles: BTreeSet<String> = BTreeSet::new();
    let mut stops = Vec::new();
    for seen in facts.on(host) {
        match &seen.what {
            What::Created { name, body } => {
                made.insert(name.clone());
                roles.extend(body["Labels"]["role"].as_str().map(str::to_owned));
            }
            What::Renamed { from, to } if made.remove(from) => drop(made.insert(to.clone())),
            What::Stopped {
                name,
                timeout,
                labels,
            } if name != PROXY => {
                let reason = match labels.get("role") {
                    None => "accessory",
                    Some(_) if made.contains(name) => "failed",
                    Some(role) if roles.contains(role) => "replaced",
                    Some(_) if facts.boots() => "stale",
                    Some(_) => "stop",
                };
                stops.push(json!({"name": name, "timeout": timeout, "reason": reason}));
            }
            _ => {}
        }
    }
    stops
}
