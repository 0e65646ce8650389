//! Environment variables and labels.

use std::collections::BTreeMap;

use release::{Encoding, Part, Value};
use serde_json::Value as Json;

use crate::observed::{Inspected, as_desired, could_be};

/// Secret name and encoding to the fingerprint the host gave.
pub type Fingerprints = BTreeMap<(String, Encoding), String>;

/// Derived from the container's name, and so left out of documents.
const DERIVED: [&str; 2] = ["KAMAL_CONTAINER_NAME", "KAMAL_VERSION"];

/// The secrets whose fingerprints [`variables`] needs.
pub fn secrets(desired: &BTreeMap<String, Value>) -> impl Iterator<Item = (String, Encoding)> {
    desired.values().filter_map(lone_secret)
}

/// The environment without derived variables and those of the image.
pub fn variables(
    desired: &BTreeMap<String, Value>,
    inspected: &Inspected,
    fingerprints: &Fingerprints,
) -> BTreeMap<String, Value> {
    let own = |name: &str, found: &Json| {
        desired.contains_key(name)
            || !DERIVED.contains(&name) && image_config(inspected, "Env").get(name) != Some(found)
    };
    let found = inspected.container["Config"]["Env"]
        .as_object()
        .into_iter()
        .flatten();
    let found = found
        .filter(|(name, found)| own(name, found))
        .map(|(name, found)| {
            (
                name.clone(),
                variable(desired.get(name), found, fingerprints),
            )
        });
    // One that the host did not have when the container was made is in no container.
    let inherited = desired
        .iter()
        .filter(|(_, value)| matches!(value.parts(), [Part::Inherit(_)]))
        .map(|(name, value)| (name.clone(), value.clone()));
    inherited.chain(found).collect()
}

fn variable(desired: Option<&Value>, found: &Json, fingerprints: &Fingerprints) -> Value {
    let secret = desired.and_then(lone_secret);
    // What the host's shell knows is not known here.
    let unknown = |value: &&Value| match found.as_str() {
        Some(text) => value.is_remote() && could_be(value, text),
        None => value.is_remote(),
    };
    if let Some(same) = desired.filter(unknown) {
        return same.clone();
    }
    match (found.as_str(), secret) {
        // Never the text: it may be what the secret was before it was changed.
        (Some(_), Some((name, _))) => Value::text(format!("another value than secret {name}")),
        (Some(text), None) => Value::text(text),
        (None, Some(secret)) => match fingerprints.get(&secret) {
            Some(expected) if found["fingerprint"].as_str() == Some(expected) => {
                desired.cloned().unwrap_or_default()
            }
            Some(_) | None => Value::text(format!("another value than secret {}", secret.0)),
        },
        (None, None) => Value::text("a withheld value"),
    }
}

fn lone_secret(value: &Value) -> Option<(String, Encoding)> {
    match value.parts() {
        [Part::Secret(name, encoding)] => Some((name.clone(), *encoding)),
        _ => None,
    }
}

/// The labels without those of the image and those by which containers are found.
pub fn labels(desired: &BTreeMap<String, Value>, inspected: &Inspected) -> BTreeMap<String, Value> {
    let own = |name: &str, found: &Json| {
        desired.contains_key(name)
            || !["service", "role", "destination"].contains(&name)
                && image_config(inspected, "Labels").get(name) != Some(found)
    };
    let found = inspected.container["Config"]["Labels"]
        .as_object()
        .into_iter()
        .flatten();
    found
        .filter(|(name, found)| own(name, found))
        .filter_map(|(name, found)| {
            let found = found.as_str()?.to_owned();
            let wanted = desired.get(name).map(std::slice::from_ref);
            Some((name.clone(), as_desired(wanted.unwrap_or_default(), found)))
        })
        .collect()
}

fn image_config<'a>(inspected: &'a Inspected, key: &str) -> &'a Json {
    inspected
        .image
        .as_ref()
        .map_or(&Json::Null, |image| &image["Config"][key])
}
