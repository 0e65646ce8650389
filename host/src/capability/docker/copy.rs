//! A container like another: what a rollback starts. The bytes of its environment are read and written by the host
//! alone.
//!
//! Fields: the Engine API's `ContainerInspect` and `ContainerCreate` (1.41), which share `Config` and `HostConfig`.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::failed;
use crate::grant::Grants;
use crate::wire::{self, WireError};
use crate::wit::types::CapError;

/// Creates and starts a copy; answers with its short id.
pub(super) async fn create_and_start(
    grants: &Grants,
    engine: &wire::Engine,
    host: &str,
    existing: &str,
    name: &str,
) -> Result<String, CapError> {
    let description = engine.inspect_container(existing).await.map_err(failed)?;
    let description = description
        .ok_or_else(|| CapError::NotFound(format!("there is no container {existing} on {host}")))?;
    covers(grants, existing, name, &description)?;
    let reference = description["Config"]["Image"].as_str().unwrap_or_default();
    let id = description["Image"].as_str().unwrap_or_default();
    // The name may mean another image by now; what ran is what counts.
    let named = match engine.inspect_image(reference).await {
        Err(WireError::Invalid { .. }) => None,
        named => named.map_err(failed)?,
    };
    let image = match named {
        Some(image) if image["Id"].as_str() == Some(id) => reference,
        Some(_) | None => id,
    };
    let created = engine
        .create(name, &body(&description, image))
        .await
        .map_err(failed)?;
    engine.start(name).await.map_err(failed)?;
    Ok(created.chars().take(12).collect())
}

/// A name with a wildcard in the grants does not cover what belongs to somebody else, and a copy is not a way to it.
fn covers(grants: &Grants, existing: &str, name: &str, description: &Json) -> Result<(), CapError> {
    let labels = labels(description);
    let own = grants.docker.labels.is_empty()
        || grants
            .docker
            .labels
            .iter()
            .any(|(label, value)| labels.get(label) == Some(value));
    if !own {
        return Err(CapError::Other(format!(
            "container {existing} does not carry a label of the grants, so it is not copied"
        )));
    }
    [existing, name].into_iter().try_for_each(|one| {
        grants
            .covers_labelled_container(one, &labels)
            .map_err(|denied| CapError::Other(denied.to_string()))
    })
}

/// Labels of a description.
pub(super) fn labels(description: &Json) -> BTreeMap<String, String> {
    description["Config"]["Labels"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(label, value)| Some((label.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// Body of `POST /containers/create`.
fn body(description: &Json, image: &str) -> Json {
    let mut body = description["Config"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    body.insert("Image".into(), json!(image));
    // Its own: a new container gets a new one.
    body.remove("MacAddress");
    let mut host = description["HostConfig"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    host.remove("ContainerIDFile");
    body.insert("HostConfig".into(), Json::Object(host));
    let short: String = description["Id"]
        .as_str()
        .unwrap_or_default()
        .chars()
        .take(12)
        .collect();
    let networks = description["NetworkSettings"]["Networks"]
        .as_object()
        .into_iter()
        .flatten();
    let endpoints: Map<String, Json> = networks
        .map(|(name, endpoint)| (name.clone(), endpoint_of(endpoint, &short)))
        .collect();
    body.insert(
        "NetworkingConfig".into(),
        json!({"EndpointsConfig": endpoints}),
    );
    Json::Object(body)
}

/// What was asked of a network, without what came of it.
fn endpoint_of(endpoint: &Json, short_id: &str) -> Json {
    let aliases: Vec<&str> = endpoint["Aliases"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .filter(|alias| *alias != short_id)
        .collect();
    let mut asked = Map::new();
    if !aliases.is_empty() {
        asked.insert("Aliases".into(), json!(aliases));
    }
    for key in ["IPAMConfig", "Links", "DriverOpts"] {
        if !endpoint[key].is_null() {
            asked.insert(key.into(), endpoint[key].clone());
        }
    }
    Json::Object(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_asks_for_what_the_other_one_asked_for() {
        let description = json!({
            "Id": "0123456789abcdef", "Image": "sha256:1", "Name": "/app-web-1",
            "Config": {"Image": "r/app:1", "Env": ["KEY=value"], "Hostname": "web-1-0123456789ab", "MacAddress": "02:42"},
            "HostConfig": {"Binds": ["data:/data"], "RestartPolicy": {"Name": "always"}, "ContainerIDFile": ""},
            "NetworkSettings": {"Networks": {"kamal": {"Aliases": ["0123456789ab", "web"], "IPAMConfig": null, "IPAddress": "172.18.0.2"}}},
        });
        assert_eq!(
            body(&description, "r/app:1"),
            json!({
                "Image": "r/app:1", "Env": ["KEY=value"], "Hostname": "web-1-0123456789ab",
                "HostConfig": {"Binds": ["data:/data"], "RestartPolicy": {"Name": "always"}},
                "NetworkingConfig": {"EndpointsConfig": {"kamal": {"Aliases": ["web"]}}},
            })
        );
    }

    #[test]
    fn what_belongs_to_somebody_else_is_not_copied() {
        let grants = Grants {
            docker: crate::grant::DockerGrants {
                containers: vec![crate::grant::NamePattern::prefix("app-")],
                labels: vec![("service".into(), "app".into())],
                ..Default::default()
            },
            ..Grants::none("driver")
        };
        let labelled = |service: &str| json!({"Config": {"Labels": {"service": service}}});
        let copy = |existing: &str, name: &str, service: &str| {
            covers(&grants, existing, name, &labelled(service)).is_ok()
        };
        assert!(copy("app-web-1_replaced_0", "app-web-1", "app"));
        assert!(!copy("app-web-1", "app-web-2", "app-web"));
        assert!(!copy("app-web-1", "other", "app"));
        assert!(covers(&grants, "app-web-1", "app-web-2", &json!({})).is_err());
    }
}
