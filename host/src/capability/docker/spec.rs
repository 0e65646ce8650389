//! A container to create: what it needs of the grants, its canonical form, and how it is created.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{Opened, failed};
use crate::capability::expand::Expanded;
use crate::capability::options::{self, Plain};
use crate::capability::run::{Readers, Run};
use crate::capability::session::{Session, covers_value};
use crate::grant::{Denied, Grants, Sink};
use crate::plan::canonical;
use crate::wire;
use crate::wit::docker::{ContainerSpec, LogConfig, Port};
use crate::wit::types::{CapError, Part};

/// Everything that a specification gives a container. Where a shell puts something in, the text is judged as it stands
/// in the manifest.
pub(super) fn covers_spec(opened: &Opened, spec: &ContainerSpec) -> Result<(), Denied> {
    let grants = &opened.session.grants;
    let shown = |value: &[Part]| canonical::shown(&canonical::value(value));
    let labels = spec.labels.iter();
    let labels = labels
        .map(|(name, value)| (name.clone(), shown(value)))
        .collect();
    grants
        .covers_labelled_container(&spec.name, &labels)
        .map_err(|denied| denied.on(&opened.host))?;
    grants.covers_image(&spec.image)?;
    spec.networks
        .iter()
        .try_for_each(|network| grants.covers_network(network))?;
    spec.volumes
        .iter()
        .try_for_each(|volume| covers_volume(grants, &shown(volume)))?;
    spec.options
        .iter()
        .try_for_each(|(name, value)| grants.covers_option(name, &shown(value)))?;
    spec.env
        .iter()
        .try_for_each(|(_, value)| covers_value(grants, value, Sink::ContainerEnv))
}

/// The same where a shell put something in: a variable of the host can't make a container somebody else's.
fn covers_plain(session: &Session, name: &str, plain: &Plain) -> Result<(), Denied> {
    let labels: BTreeMap<String, String> = plain.labels.iter().cloned().collect();
    session.grants.covers_labelled_container(name, &labels)
}

/// An anonymous volume is nobody's but the container's.
fn covers_volume(grants: &Grants, volume: &str) -> Result<(), Denied> {
    match volume.split_once(':') {
        Some((source, _)) => grants.covers_mount(source),
        None => Ok(()),
    }
}

/// Creates and starts a container; answers with its short id.
pub(super) async fn create_and_start(
    session: &Session,
    engine: &wire::Engine,
    host: &str,
    spec: &ContainerSpec,
) -> Result<String, CapError> {
    let id = create(session, engine, host, spec).await?;
    engine.start(&spec.name).await.map_err(failed)?;
    Ok(id)
}

/// Creates a container; answers with its short id.
pub(super) async fn create(
    session: &Session,
    engine: &wire::Engine,
    host: &str,
    spec: &ContainerSpec,
) -> Result<String, CapError> {
    let run = &session.run;
    let expanded = Expanded::of(session, host, values(spec)).await?;
    let plain = plain(run, &expanded, spec)?;
    // What a shell put in is judged as if it had stood there.
    covers_plain(session, &spec.name, &plain).map_err(|denied| session.deny(denied.on(host)))?;
    let mut env = Vec::new();
    for (name, value) in &spec.env {
        let text = expanded.text(run, value, Readers::Recipient)?;
        env.extend(text.map(|text| format!("{name}={text}")));
    }
    let sources = plain.volumes.iter().map(String::as_str);
    let options = plain.options.iter();
    let options = options.filter(|(name, _)| matches!(&**name, "volume" | "v"));
    let relative = sources
        .chain(options.map(|(_, value)| value.as_str()))
        .any(|volume| {
            let source = volume.split(':').next().unwrap_or_default();
            !source.starts_with('/') && source.contains('/')
        });
    let home = match relative {
        true => run.hosts.home(host).await.map_err(failed)?,
        false => String::new(),
    };
    let body = options::engine_body(&plain, env, &home).map_err(CapError::Other)?;
    let id = engine.create(&spec.name, &body).await.map_err(failed)?;
    Ok(id.chars().take(12).collect())
}

/// All values of a specification.
fn values(spec: &ContainerSpec) -> impl Iterator<Item = &[Part]> {
    let pairs = [&spec.env, &spec.labels, &spec.options, &spec.log.options];
    let pairs = pairs.into_iter().flatten().map(|(_, value)| value);
    let lists = spec.command.iter().flatten().chain(&spec.volumes);
    lists
        .chain(pairs)
        .chain(&spec.log.driver)
        .map(Vec::as_slice)
}

fn plain(run: &Run, expanded: &Expanded, spec: &ContainerSpec) -> Result<Plain, CapError> {
    let text = |value: &Vec<Part>| {
        let text = expanded.text(run, value, Readers::Everybody)?;
        Ok::<_, CapError>(text.unwrap_or_default())
    };
    let pairs = |pairs: &[(String, Vec<Part>)]| {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| Ok((name.clone(), text(value)?)))
            .collect::<Result<Vec<_>, CapError>>()
    };
    let words = |words: &Vec<Vec<Part>>| {
        let lists = words.iter().map(|word| expanded.words(run, word));
        Ok::<_, CapError>(lists.collect::<Result<Vec<_>, _>>()?.concat())
    };
    Ok(Plain {
        image: spec.image.clone(),
        hostname: spec.hostname.clone(),
        command: spec.command.as_ref().map(words).transpose()?,
        labels: pairs(&spec.labels)?,
        ports: spec.ports.clone(),
        volumes: spec.volumes.iter().map(text).collect::<Result<_, _>>()?,
        networks: spec.networks.clone(),
        restart: spec.restart.clone(),
        log_driver: spec.log.driver.as_ref().map(text).transpose()?,
        log_options: pairs(&spec.log.options)?,
        options: pairs(&spec.options)?,
    })
}

/// The canonical form of a specification.
pub(super) fn spec_json(spec: &ContainerSpec) -> Json {
    let port = |port: &Port| json!({"host-ip": port.host_ip, "host-port": port.host_port, "container-port": port.container_port, "protocol": port.protocol});
    let log = |log: &LogConfig| json!({"driver": log.driver.as_ref().map(|driver| canonical::value(driver)), "options": canonical::pairs(&log.options, |value| canonical::value(value))});
    json!({
        "name": spec.name,
        "image": spec.image,
        "hostname": spec.hostname,
        "command": spec.command.as_ref().map(|words| words.iter().map(|word| canonical::value(word)).collect::<Vec<_>>()),
        "env": canonical::pairs(&spec.env, |value| canonical::value(value)),
        "labels": canonical::pairs(&spec.labels, |value| canonical::value(value)),
        "ports": spec.ports.iter().map(port).collect::<Vec<_>>(),
        "volumes": spec.volumes.iter().map(|volume| canonical::value(volume)).collect::<Vec<_>>(),
        "networks": spec.networks,
        "restart": spec.restart,
        "log": log(&spec.log),
        "options": canonical::pairs(&spec.options, |value| canonical::value(value)),
    })
}
