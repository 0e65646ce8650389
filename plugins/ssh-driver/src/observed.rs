//! From what the Engine and the proxy say to documents in the shape of the desired ones. What says the same in other
//! words is written in the words of the desired document, so that an unchanged deployment compares equal; what can't
//! be read back (a host name, the time limits of a switch, what the host's shell put in) counts as unchanged.
//!
//! * [`environment`]: variables and labels, without those of the image.
//! * [`container`]: command, volumes, networks, ports, restart, logging.
//! * [`options`]: other options of `docker run`.
//! * [`route`]: what kamal-proxy keeps of `kamal-proxy deploy`.

pub mod container;
pub mod environment;
pub mod options;
pub mod route;

use std::borrow::Cow;
use std::collections::BTreeMap;

use release::{Part, Proxy, Release, Role, Route, Value};
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

/// The document of a role whose container runs. `assets` is where the role's assets are on the host, up to their version.
pub fn role(
    desired: &Role,
    inspected: &Inspected,
    fingerprints: &Fingerprints,
    assets: &str,
    route: Option<Route>,
) -> Role {
    let (assets, volumes) = container::volumes(&desired.volumes, inspected, Some(assets));
    Role {
        image: container::image(inspected),
        command: container::command(desired.command.as_ref(), inspected),
        env: environment::variables(&desired.env, inspected, fingerprints),
        labels: environment::labels(&desired.labels, inspected),
        volumes,
        networks: container::networks(&desired.networks, inspected),
        restart: container::restart(inspected),
        log: container::log(&desired.log, inspected),
        options: options::options(&desired.options, inspected),
        // Given to `docker stop`, or done beside the container, not to it.
        stop_timeout: desired.stop_timeout,
        shell_tail: desired.shell_tail.clone(),
        assets,
        proxy: route,
    }
}

/// The document of a proxy that runs.
pub fn proxy(desired: &Proxy, inspected: &Inspected) -> Proxy {
    Proxy {
        image: container::image(inspected),
        command: container::command(desired.command.as_ref(), inspected),
        ports: container::ports(&desired.ports, inspected),
        env: only(
            environment::variables(&desired.env, inspected, &Fingerprints::new()),
            &desired.env,
        ),
        labels: only(
            environment::labels(&desired.labels, inspected),
            &desired.labels,
        ),
        credentials: desired.credentials.clone(),
        defaults: desired.defaults,
        volumes: container::volumes(&desired.volumes, inspected, None).1,
        networks: container::networks(&desired.networks, inspected),
        restart: container::restart(inspected),
        log: container::log(&desired.log, inspected),
        options: options::options(&desired.options, inspected),
    }
}

/// What the proxy has beyond what is desired comes from its image.
fn only(
    mut found: BTreeMap<String, Value>,
    desired: &BTreeMap<String, Value>,
) -> BTreeMap<String, Value> {
    found.retain(|name, _| desired.contains_key(name));
    found
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

/// Values as they would be written.
fn texts(values: &[Value]) -> Vec<String> {
    let shown = values.iter().map(Value::shown);
    shown.map(Cow::into_owned).collect()
}

/// What was found, as the desired value where it is written the same, or where the host's shell may have written it.
fn as_desired(desired: &[Value], found: String) -> Value {
    let same = desired.iter().find(|value| could_be(value, &found));
    same.cloned().unwrap_or_else(|| Value::text(found))
}

/// Whether a text is what a value says. What the host's shell puts in is not known here: that may be any text.
fn could_be(value: &Value, text: &str) -> bool {
    fn rest_could_be(parts: &[Part], text: &str) -> bool {
        let Some((first, rest)) = parts.split_first() else {
            return text.is_empty();
        };
        match first {
            Part::Text(literal) => text
                .strip_prefix(literal.as_str())
                .is_some_and(|text| rest_could_be(rest, text)),
            Part::Remote(_) | Part::Inherit(_) if rest.is_empty() => true,
            Part::Remote(_) | Part::Inherit(_) => {
                let mut ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
                ends.any(|at| rest_could_be(rest, &text[at..]))
            }
            Part::Secret(..) | Part::Slot(_) | Part::File(_) => false,
        }
    }
    rest_could_be(value.parts(), text)
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
