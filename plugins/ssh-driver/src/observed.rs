//! From what the Engine and the proxy say to documents in the shape of the desired ones. What says the same in other
//! words is written in the words of the desired document, so that an unchanged deployment compares equal; what can't
//! be read back (a host name, the time limits of a switch) counts as unchanged.
//!
//! * [`environment`]: variables and labels, without those of the image.
//! * [`container`]: command, volumes, networks, ports, restart, logging.
//! * [`options`]: other options of `docker run`.
//! * [`route`]: what kamal-proxy keeps of `kamal-proxy deploy`.

pub mod container;
pub mod environment;
pub mod options;
pub mod route;

use release::{Proxy, Release, Role, Route};
use serde_json::Value as Json;

use environment::Fingerprints;

/// A container and its image as `docker inspect` describes them.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// The container.
    pub container: Json,
    /// Its image; `None` when the Engine has lost it.
    pub image: Option<Json>,
}

/// The document of a role whose container runs.
pub fn role(
    desired: &Role,
    inspected: &Inspected,
    fingerprints: &Fingerprints,
    route: Option<Route>,
) -> Role {
    Role {
        image: container::image(inspected),
        command: container::command(desired.command.as_ref(), inspected),
        env: environment::variables(&desired.env, inspected, fingerprints),
        labels: environment::labels(&desired.labels, inspected),
        volumes: container::volumes(&desired.volumes, inspected),
        networks: container::networks(&desired.networks, inspected),
        restart: container::restart(inspected),
        log: container::log(&desired.log, inspected),
        options: options::options(&desired.options, inspected),
        // Given to `docker stop`, not to the container.
        stop_timeout: desired.stop_timeout,
        proxy: route,
    }
}

/// The document of a proxy that runs.
pub fn proxy(desired: &Proxy, inspected: &Inspected) -> Proxy {
    Proxy {
        image: container::image(inspected),
        command: container::command(desired.command.as_ref(), inspected),
        ports: container::ports(&desired.ports, inspected),
        volumes: container::volumes(&desired.volumes, inspected),
        networks: container::networks(&desired.networks, inspected),
        restart: container::restart(inspected),
        log: container::log(&desired.log, inspected),
        options: options::options(&desired.options, inspected),
    }
}

/// The release document: everything but the version exists only in the configuration.
pub fn release(desired: &Release, version: Option<String>) -> Release {
    Release {
        version,
        ..desired.clone()
    }
}

/// A container's version: its name without the role's prefix.
pub fn version(release: &Release, role: &str, container: &str) -> Option<String> {
    container
        .strip_prefix(&release.prefix(role))?
        .strip_prefix('-')
        .map(str::to_owned)
}

/// What was found, the desired part first and in the desired order.
fn in_order_of<T: PartialEq + Clone>(desired: &[T], found: Vec<T>) -> Vec<T> {
    let both = desired.iter().filter(|item| found.contains(item)).cloned();
    let rest = found.iter().filter(|item| !desired.contains(item)).cloned();
    both.chain(rest).collect()
}

fn strings(json: &Json) -> Vec<String> {
    json.as_array()
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests;
