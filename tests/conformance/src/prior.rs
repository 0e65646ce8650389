//! Containers that were there before: made by Kamal, from this project's configuration as it is. A rollback starts a
//! copy of one, so that how they were made is part of the start state.

use std::collections::BTreeMap;

use plimsoll::capability::options::{Plain, engine_body};
use plimsoll::manifest::Project;
use plimsoll::secret::{SecretStore, encode};
use release::{Encoding, Part, Role, Value};
use serde_json::Value as Json;
use ssh_renderer::command::Request;
use ssh_renderer::options::{Facts, Options};
use ssh_renderer::render::{Body, File};
use ssh_renderer::{Input, render};

/// In the place of a version that is not known yet.
const BEFORE: &str = "version-before";

/// A container's variables, secrets resolved.
type Variables = Vec<(String, String)>;

/// What roles are on hosts, by host and name of the role.
#[derive(Default)]
pub struct Prior(BTreeMap<(String, String), (Plain, Variables)>);

impl Prior {
    /// The roles of a project.
    pub fn of(project: &Project, secrets: &SecretStore) -> Self {
        let manifest = project.files.iter().map(|file| File {
            path: file.path.clone(),
            text: file.text.clone(),
        });
        let input = Input {
            environment: project.destination.clone().unwrap_or_default(),
            version: BEFORE.to_owned(),
            request: Request::default(),
            manifest: manifest.collect(),
            options: Options::default(),
            facts: Facts::default(),
        };
        let Ok(output) = render(&input) else {
            return Self::default();
        };
        let folder = output
            .documents
            .iter()
            .find_map(|document| match &document.body {
                Body::Release(release) => Some(release.app_directory()),
                Body::Role(_) | Body::Proxy(_) | Body::Accessory(_) | Body::Settings(_) => None,
            });
        let roles = output.documents.into_iter().filter_map(|document| {
            let Body::Role(role) = document.body else {
                return None;
            };
            let (host, name) = document
                .address
                .strip_prefix("host/")?
                .rsplit_once("/role/")?;
            let env = role
                .env
                .iter()
                .map(|(name, value)| (name.clone(), resolved(value, secrets)));
            let env = env.collect();
            let mut plain = plain(&role, secrets);
            if let (Some(assets), Some(folder)) = (&role.assets, &folder) {
                let options = assets.options.iter().map(|options| format!(":{options}"));
                let options: String = options.collect();
                let source = format!("{folder}/assets/volumes/{name}-{BEFORE}");
                plain
                    .volumes
                    .push(format!("{source}:{}{options}", assets.path));
            }
            Some(((host.to_owned(), name.to_owned()), (plain, env)))
        });
        Self(roles.collect())
    }

    /// Body of the request that made a container, for its name, version and image, and the home of its host's user.
    pub fn body(
        &self,
        host: &str,
        role: &str,
        name: &str,
        version: &str,
        image: &str,
        home: &str,
    ) -> Option<Json> {
        let (plain, env) = self.0.get(&(host.to_owned(), role.to_owned()))?;
        let mut env: Vec<String> = env
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        env.push(format!("KAMAL_CONTAINER_NAME={name}"));
        env.push(format!("KAMAL_VERSION={version}"));
        let mut plain = plain.clone();
        for volume in &mut plain.volumes {
            *volume = volume.replace(BEFORE, version);
        }
        let prefix: String = host.chars().take(51).collect();
        let plain = Plain {
            image: image.to_owned(),
            hostname: Some(format!("{}-0123456789ab", prefix.trim_end_matches('.'))),
            ..plain
        };
        engine_body(&plain, env, home).ok()
    }
}

fn plain(role: &Role, secrets: &SecretStore) -> Plain {
    let text = |value: &Value| resolved(value, secrets);
    let words = role
        .command
        .as_ref()
        .map(|words| words.iter().map(text).collect());
    Plain {
        command: words,
        labels: role
            .labels
            .iter()
            .map(|(key, value)| (key.clone(), text(value)))
            .collect(),
        volumes: role.volumes.iter().map(text).collect(),
        networks: role.networks.clone(),
        restart: role.restart.clone(),
        log_driver: role.log.driver.as_ref().map(text),
        log_options: role
            .log
            .options
            .iter()
            .map(|(key, value)| (key.clone(), text(value)))
            .collect(),
        options: role
            .options
            .iter()
            .map(|(key, value)| (key.clone(), text(value)))
            .collect(),
        ..Plain::default()
    }
}

/// A value as the host's shell and the secrets make it.
fn resolved(value: &Value, secrets: &SecretStore) -> String {
    let part = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Secret(name, encoding) => {
            let text = secrets
                .get(name)
                .map(|secret| secret.expose().to_owned())
                .unwrap_or_default();
            match encoding {
                Encoding::Verbatim => text,
                Encoding::EnvFile => encode::env_file(&text).to_string(),
            }
        }
        Part::Remote(expansion) if expansion.command => format!("__command.{}.__", expansion.text),
        Part::Remote(expansion) => format!("__remote.{}.__", expansion.text),
        Part::Inherit(name) => format!("__inherit.{name}.__"),
        Part::Slot(_) | Part::File(_) => String::new(),
    };
    value.parts().iter().map(part).collect()
}
