//! `plimsoll:deploy/docker`: Docker Engines of granted hosts.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};
use wasmtime::component::{Accessor, Resource};

use super::error::from_wire;
use super::options;
use super::run::{Readers, Run};
use super::session::{Call, Session, covers_value};
use super::{Answer, Powers, View};
use crate::grant::{Denied, Sink};
use crate::plan::canonical;
use crate::secret::store::fingerprint;
use crate::wire::{self, Command, Credentials, WireError};
use crate::wit::docker::{
    ContainerSpec, ContainerSummary, Credentials as WitCredentials, Host, HostEngine,
    HostEngineWithStore, ImageSummary, LogConfig, Output, Port,
};
use crate::wit::types::{CapError, Part, RemoteError};

/// A granted host's Engine.
pub struct Engine {
    host: String,
    wire: wire::Engine,
}

/// What a method works with, taken out of the store before it waits.
struct Opened {
    session: Arc<Session>,
    host: String,
    engine: wire::Engine,
}

impl Opened {
    fn of<T: Send + 'static>(
        accessor: &Accessor<T, Powers>,
        engine: &Resource<Engine>,
    ) -> wasmtime::Result<Self> {
        accessor.with(|mut access| {
            let view = access.get();
            let engine = view.table.get(engine)?;
            Ok(Self {
                session: view.session.clone(),
                host: engine.host.clone(),
                engine: engine.wire.clone(),
            })
        })
    }

    fn call(&self, effect: String, operation: &'static str, arguments: Json) -> Call {
        Call {
            effect,
            operation,
            subject: self.host.clone(),
            arguments,
        }
    }

    fn container(&self, name: &str) -> Result<(), Denied> {
        self.session
            .grants
            .covers_container(name)
            .map_err(|denied| denied.on(&self.host))
    }
}

fn failed(error: WireError) -> CapError {
    from_wire(&error)
}

impl Host for View<'_> {}

impl HostEngine for View<'_> {
    fn host(&mut self, engine: Resource<Engine>) -> wasmtime::Result<String> {
        Ok(self.table.get(&engine)?.host.clone())
    }

    fn drop(&mut self, engine: Resource<Engine>) -> wasmtime::Result<()> {
        self.table.delete(engine)?;
        Ok(())
    }
}

impl<T: Send + 'static> HostEngineWithStore<T> for Powers {
    async fn connect(accessor: &Accessor<T, Self>, host: String) -> Answer<Resource<Engine>> {
        let session = accessor.with(|mut access| access.get().session.clone());
        if let Err(denied) = session.grants.covers_docker_host(&host) {
            return Ok(Err(session.deny(denied)));
        }
        match session.run.hosts.engine(&host).await {
            Ok(wire) => {
                Ok(Ok(accessor.with(|mut access| {
                    access.get().table.push(Engine { host, wire })
                })?))
            }
            Err(error) => Ok(Err(failed(error))),
        }
    }

    async fn containers(
        accessor: &Accessor<T, Self>,
        engine: Resource<Engine>,
        labels: Vec<(String, String)>,
    ) -> Answer<Vec<ContainerSummary>> {
        let opened = Opened::of(accessor, &engine)?;
        Ok(async {
            let _place = opened.session.budget()?;
            let found = opened
                .engine
                .containers(wire::docker::Which::All, &label_filters(&labels))
                .await
                .map_err(failed)?;
            let mut listed: Vec<ContainerSummary> = found
                .into_iter()
                .filter_map(|container| {
                    let name = container.names.first()?.clone();
                    let labels = container.labels.into_iter().collect();
                    // What others run there is not this component's to know.
                    opened
                        .session
                        .grants
                        .covers_labelled_container(&name, &labels)
                        .is_ok()
                        .then(|| ContainerSummary {
                            id: container.id,
                            name,
                            image: container.image,
                            image_id: container.image_id,
                            state: container.state,
                            labels: labels.into_iter().collect(),
                            created: container.created,
                        })
                })
                .collect();
            listed.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.name.cmp(&b.name)));
            Ok(listed)
        }
        .await)
    }

    async fn inspect(
        accessor: &Accessor<T, Self>,
        engine: Resource<Engine>,
        name: String,
    ) -> Answer<Option<String>> {
        let opened = Opened::of(accessor, &engine)?;
        Ok(async {
            opened
                .container(&name)
                .map_err(|denied| opened.session.deny(denied))?;
            let _place = opened.session.budget()?;
            let found = opened
                .engine
                .inspect_container(&name)
                .await
                .map_err(failed)?;
            Ok(found.map(|description| withheld(&opened.session.run, description)))
        }
        .await)
    }

    async fn inspect_image(
        accessor: &Accessor<T, Self>,
        engine: Resource<Engine>,
        reference: String,
    ) -> Answer<Option<String>> {
        let opened = Opened::of(accessor, &engine)?;
        Ok(async {
            if !reference.starts_with("sha256:") {
                opened
                    .session
                    .grants
                    .covers_image(&reference)
                    .map_err(|denied| opened.session.deny(denied))?;
            }
            let _place = opened.session.budget()?;
            let found = opened
                .engine
                .inspect_image(&reference)
                .await
                .map_err(failed)?;
            Ok(found.map(|description| withheld(&opened.session.run, description)))
        }
        .await)
    }

    async fn images(
        accessor: &Accessor<T, Self>,
        engine: Resource<Engine>,
        labels: Vec<(String, String)>,
    ) -> Answer<Vec<ImageSummary>> {
        let opened = Opened::of(accessor, &engine)?;
        Ok(async {
            let _place = opened.session.budget()?;
            let found = opened
                .engine
                .images(&label_filters(&labels))
                .await
                .map_err(failed)?;
            let granted =
                |reference: &String| opened.session.grants.covers_image(reference).is_ok();
            Ok(found
                .into_iter()
                .filter(|image| image.tags.is_empty() || image.tags.iter().any(granted))
                .map(|image| ImageSummary {
                    id: image.id,
                    references: image.tags.into_iter().filter(|tag| granted(tag)).collect(),
                    labels: sorted(image.labels),
                    created: image.created,
                })
                .collect())
        }
        .await)
    }

    async fn network_exists(
        accessor: &Accessor<T, Self>,
        engine: Resource<Engine>,
        name: String,
    ) -> Answer<bool> {
        let opened = Opened::of(accessor, &engine)?;
        Ok(async {
            opened
                .session
                .grants
                .covers_network(&name)
                .map_err(|denied| opened.session.deny(denied))?;
            let _place = opened.session.budget()?;
            opened.engine.network_exists(&name).await.map_err(failed)
        }
        .await)
    }

    async fn logs(
        accessor: &Accessor<T, Self>,
        engine: Resource<Engine>,
        name: String,
        tail: u32,
    ) -> Answer<Vec<String>> {
        let opened = Opened::of(accessor, &engine)?;
        Ok(async {
            opened
                .container(&name)
                .map_err(|denied| opened.session.deny(denied))?;
            let _place = opened.session.budget()?;
            let wanted = wire::docker::Logs {
                tail: Some(tail.min(1000)),
                timestamps: true,
                since: None,
            };
            let bytes = opened.engine.logs(&name, wanted).await.map_err(failed)?;
            Ok(opened
                .session
                .run
                .redacted(&bytes)
                .lines()
                .map(str::to_owned)
                .collect())
        }
        .await)
    }

    async fn read_file(
        accessor: &Accessor<T, Self>,
        engine: Resource<Engine>,
        container: String,
        path: String,
    ) -> Answer<Option<String>> {
        let opened = Opened::of(accessor, &engine)?;
        Ok(async {
            opened
                .session
                .grants
                .covers_read_file(&container, &path)
                .map_err(|denied| opened.session.deny(denied))?;
            let _place = opened.session.budget()?;
            let bytes = opened
                .engine
                .read_file(&container, &path)
                .await
                .map_err(failed)?;
            Ok(bytes.map(|bytes: Vec<u8>| opened.session.run.redacted(&bytes)))
        }
        .await)
    }

    async fn pull(
        accessor: &Accessor<T, Self>,
        engine: Resource<Engine>,
        effect: String,
        image: String,
        digest: Option<Vec<Part>>,
        credentials: Option<WitCredentials>,
    ) -> Answer<String> {
        let opened = Opened::of(accessor, &engine)?;
        let arguments = json!({
            "image": image,
            "digest": digest.as_ref().map(|digest| canonical::value(digest)),
            "credentials": credentials.as_ref().map(|c| json!({
                "server": c.server, "username": canonical::value(&c.username), "password": canonical::value(&c.password),
            })),
        });
        let call = opened.call(effect, "docker.pull", arguments);
        let grants = &opened.session.grants;
        let login = credentials
            .iter()
            .flat_map(|login| [&login.username, &login.password]);
        let scope = grants.covers_image(&image).and_then(|()| {
            login
                .into_iter()
                .try_for_each(|value| covers_value(grants, value, Sink::Registry))
        });
        let run = opened.session.run.clone();
        let Opened {
            session,
            engine,
            host,
        } = opened;
        Ok(session
            .mutate(call, scope, async move {
                pull(&run, &engine, &host, &image, digest, credentials).await
            })
            .await)
    }

    async fn create_network(
        accessor: &Accessor<T, Self>,
        engine: Resource<Engine>,
        effect: String,
        name: String,
    ) -> Answer<()> {
        let opened = Opened::of(accessor, &engine)?;
        let call = opened.call(effect, "docker.create-network", json!({"name": name}));
        let scope = opened.session.grants.covers_network(&name);
        let work = async move {
            opened
                .engine
                .ensure_network(&name)
                .await
                .map(drop)
                .map_err(failed)
        };
        Ok(opened.session.mutate(call, scope, work).await)
    }

    async fn run(
        accessor: &Accessor<T, Self>,
        engine: Resource<Engine>,
        effect: String,
        spec: ContainerSpec,
    ) -> Answer<String> {
        let opened = Opened::of(accessor, &engine)?;
        let call = opened.call(
            effect.clone(),
            "docker.run",
            json!({"spec": spec_json(&spec)}),
        );
        let scope = covers_spec(&opened, &spec);
        let Opened {
            session,
            engine,
            host,
        } = opened;
        let run = session.run.clone();
        let work = async move {
            let id = run_container(&run, &engine, &host, &spec).await?;
            run.fill(format!("created/{effect}"), id.clone());
            Ok(id)
        };
        Ok(session.mutate(call, scope, work).await)
    }

    async fn start(
        accessor: &Accessor<T, Self>,
        engine: Resource<Engine>,
        effect: String,
        name: String,
    ) -> Answer<()> {
        let opened = Opened::of(accessor, &engine)?;
        let call = opened.call(effect, "docker.start", json!({"name": name}));
        let scope = opened.container(&name);
        let work = async move { opened.engine.start(&name).await.map_err(failed) };
        Ok(opened.session.mutate(call, scope, work).await)
    }

    async fn stop(
        accessor: &Accessor<T, Self>,
        engine: Resource<Engine>,
        effect: String,
        name: String,
        timeout: Option<u32>,
    ) -> Answer<()> {
        let opened = Opened::of(accessor, &engine)?;
        let call = opened.call(
            effect,
            "docker.stop",
            json!({"name": name, "timeout": timeout}),
        );
        let scope = opened.container(&name);
        let work = async move { opened.engine.stop(&name, timeout).await.map_err(failed) };
        Ok(opened.session.mutate(call, scope, work).await)
    }

    async fn rename(
        accessor: &Accessor<T, Self>,
        engine: Resource<Engine>,
        effect: String,
        name: String,
        to: String,
    ) -> Answer<()> {
        let opened = Opened::of(accessor, &engine)?;
        let call = opened.call(effect, "docker.rename", json!({"name": name, "to": to}));
        let scope = opened.container(&name).and_then(|()| opened.container(&to));
        let work = async move { opened.engine.rename(&name, &to).await.map_err(failed) };
        Ok(opened.session.mutate(call, scope, work).await)
    }

    async fn remove(
        accessor: &Accessor<T, Self>,
        engine: Resource<Engine>,
        effect: String,
        name: String,
    ) -> Answer<()> {
        let opened = Opened::of(accessor, &engine)?;
        let call = opened.call(effect, "docker.remove", json!({"name": name}));
        let scope = opened.container(&name);
        let work = async move {
            gone(
                opened
                    .engine
                    .remove(&name, wire::docker::Removal::OnlyStopped)
                    .await,
            )
        };
        Ok(opened.session.mutate(call, scope, work).await)
    }

    async fn exec(
        accessor: &Accessor<T, Self>,
        engine: Resource<Engine>,
        effect: String,
        container: String,
        command: Vec<Vec<Part>>,
    ) -> Answer<Output> {
        let opened = Opened::of(accessor, &engine)?;
        let arguments = json!({"container": container, "command": command.iter().map(|word| canonical::value(word)).collect::<Vec<_>>()});
        let call = opened.call(effect, "docker.exec", arguments);
        // Grants match the words as they are promised: a slot can't smuggle a word past a pattern, it is filled by the host.
        let words: Vec<String> = command
            .iter()
            .map(|word| canonical::shown(&canonical::value(word)))
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let scope = opened
            .session
            .grants
            .covers_exec(&container, &words)
            .map_err(|denied| denied.on(&opened.host));
        let Opened {
            session,
            engine,
            host: _,
        } = opened;
        let run = session.run.clone();
        let work = async move {
            let argv = command
                .iter()
                .map(|word| {
                    run.resolve(word, Readers::Everybody)
                        .map(|text| text.expose().to_owned())
                })
                .collect::<Result<Vec<_>, _>>()?;
            let output = engine
                .exec(&container, Command::new(argv).timeout(EXEC), &[])
                .await
                .map_err(failed)?;
            Ok(Output {
                code: output.code,
                stdout: run.redacted(&output.stdout),
                stderr: run.redacted(&output.stderr),
            })
        };
        Ok(session.mutate(call, scope, work).await)
    }

    async fn tag(
        accessor: &Accessor<T, Self>,
        engine: Resource<Engine>,
        effect: String,
        image: String,
        reference: String,
    ) -> Answer<()> {
        let opened = Opened::of(accessor, &engine)?;
        let call = opened.call(
            effect,
            "docker.tag",
            json!({"image": image, "reference": reference}),
        );
        let grants = &opened.session.grants;
        let scope = grants
            .covers_image(&image)
            .and_then(|()| grants.covers_image(&reference));
        let work = async move { opened.engine.tag(&image, &reference).await.map_err(failed) };
        Ok(opened.session.mutate(call, scope, work).await)
    }

    async fn remove_image(
        accessor: &Accessor<T, Self>,
        engine: Resource<Engine>,
        effect: String,
        reference: String,
    ) -> Answer<()> {
        let opened = Opened::of(accessor, &engine)?;
        let call = opened.call(
            effect,
            "docker.remove-image",
            json!({"reference": reference}),
        );
        let scope = opened.session.grants.covers_image(&reference);
        let work = async move {
            match opened.engine.remove_image(&reference).await {
                // A container made from it meanwhile keeps it.
                Err(WireError::Remote { status: 409, .. }) => Ok(()),
                other => gone(other),
            }
        };
        Ok(opened.session.mutate(call, scope, work).await)
    }

    async fn prune_images(
        accessor: &Accessor<T, Self>,
        engine: Resource<Engine>,
        effect: String,
        labels: Vec<(String, String)>,
    ) -> Answer<()> {
        let opened = Opened::of(accessor, &engine)?;
        let call = opened.call(
            effect,
            "docker.prune-images",
            json!({"labels": canonical::pairs(&labels, |value| json!(value))}),
        );
        let scope = covers_prune(&opened, &labels);
        let work = async move {
            opened
                .engine
                .prune_images(&label_filters(&labels))
                .await
                .map(drop)
                .map_err(failed)
        };
        Ok(opened.session.mutate(call, scope, work).await)
    }
}

/// A command inside a container may wait for a health check and a drain.
const EXEC: std::time::Duration = std::time::Duration::from_secs(60 * 60);

/// Removing what is not there is done.
fn gone(result: Result<(), WireError>) -> Result<(), CapError> {
    match result {
        Ok(()) | Err(WireError::NotFound { .. }) => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

fn label_filters(labels: &[(String, String)]) -> Vec<String> {
    labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect()
}

fn sorted(labels: impl IntoIterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut labels: Vec<_> = labels.into_iter().collect();
    labels.sort();
    labels
}

async fn pull(
    run: &Run,
    engine: &wire::Engine,
    host: &str,
    image: &str,
    digest: Option<Vec<Part>>,
    credentials: Option<WitCredentials>,
) -> Result<String, CapError> {
    let wanted = digest
        .map(|digest| run.resolve(&digest, Readers::Everybody))
        .transpose()?
        .map(|digest| digest.expose().to_owned());
    if let Some(wanted) = &wanted
        && has_digest(engine, image, wanted).await?
    {
        return Ok(wanted.clone());
    }
    let lent = run.hosts.lend_registry(host, image).await;
    lent.map_err(|error| from_wire(&error))?;
    let credentials = credentials
        .map(|c| {
            Ok(Credentials {
                server: c.server.unwrap_or_else(|| "docker.io".to_owned()),
                username: run
                    .resolve(&c.username, Readers::Recipient)?
                    .expose()
                    .into(),
                password: run
                    .resolve(&c.password, Readers::Recipient)?
                    .expose()
                    .into(),
            })
        })
        .transpose()?;
    let pulled = engine
        .pull(image, credentials.as_ref(), &mut |_| {})
        .await
        .map_err(failed)?;
    match wanted {
        Some(wanted) if wanted != pulled => Err(CapError::Remote(RemoteError {
            service: format!("docker {host}"),
            code: 0,
            message: format!(
                "{image} was pushed as {wanted}, but {host} got {pulled}\nhint: somebody else pushed to the same tag meanwhile; deploy again"
            ),
        })),
        Some(_) | None => Ok(pulled),
    }
}

async fn has_digest(engine: &wire::Engine, image: &str, digest: &str) -> Result<bool, CapError> {
    let Some(there) = engine.inspect_image(image).await.map_err(failed)? else {
        return Ok(false);
    };
    let digests = there["RepoDigests"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Json::as_str);
    Ok(digests
        .filter_map(|named| named.rsplit_once('@'))
        .any(|(_, found)| found == digest)
        || there["Id"] == digest)
}

fn covers_spec(opened: &Opened, spec: &ContainerSpec) -> Result<(), Denied> {
    let grants = &opened.session.grants;
    let labels = spec.labels.iter().cloned().collect();
    grants
        .covers_labelled_container(&spec.name, &labels)
        .map_err(|denied| denied.on(&opened.host))?;
    grants.covers_image(&spec.image)?;
    spec.networks
        .iter()
        .try_for_each(|network| grants.covers_network(network))?;
    spec.volumes
        .iter()
        .try_for_each(|volume| grants.covers_mount(volume.split(':').next().unwrap_or_default()))?;
    spec.options
        .iter()
        .try_for_each(|(name, value)| grants.covers_option(name, value))?;
    spec.env
        .iter()
        .try_for_each(|(_, value)| covers_value(grants, value, Sink::ContainerEnv))
}

/// Pruning by labels removes whatever carries them: only the labels of the grants will do.
fn covers_prune(opened: &Opened, labels: &[(String, String)]) -> Result<(), Denied> {
    let grants = &opened.session.grants;
    if labels
        .iter()
        .any(|label| grants.docker.labels.contains(label))
    {
        return Ok(());
    }
    let shown: Vec<String> = labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    Err(Denied {
        capability: "docker",
        request: format!("prune images labelled {}", shown.join(" ")),
        rule: format!(
            "plugins.{}.grants.docker.labels += the label",
            grants.plugin
        ),
    }
    .on(&opened.host))
}

async fn run_container(
    run: &Run,
    engine: &wire::Engine,
    host: &str,
    spec: &ContainerSpec,
) -> Result<String, CapError> {
    let env = spec
        .env
        .iter()
        .map(|(name, value)| {
            run.resolve(value, Readers::Recipient)
                .map(|text| format!("{name}={}", text.expose()))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let relative = spec.volumes.iter().any(|volume| {
        !volume.starts_with('/')
            && volume
                .split(':')
                .next()
                .is_some_and(|source| source.contains('/'))
    });
    let home = if relative {
        run.hosts.home(host).await.map_err(failed)?
    } else {
        String::new()
    };
    let body = options::engine_body(spec, env, &home).map_err(CapError::Other)?;
    let id = engine.create(&spec.name, &body).await.map_err(failed)?;
    engine.start(&spec.name).await.map_err(failed)?;
    Ok(id.chars().take(12).collect())
}

/// The canonical form of a specification.
fn spec_json(spec: &ContainerSpec) -> Json {
    let port = |port: &Port| json!({"host-ip": port.host_ip, "host-port": port.host_port, "container-port": port.container_port, "protocol": port.protocol});
    let log = |log: &LogConfig| json!({"driver": log.driver, "options": canonical::pairs(&log.options, |v| json!(v))});
    json!({
        "name": spec.name,
        "image": spec.image,
        "hostname": spec.hostname,
        "command": spec.command,
        "env": canonical::pairs(&spec.env, |value| canonical::value(value)),
        "labels": canonical::pairs(&spec.labels, |v| json!(v)),
        "ports": spec.ports.iter().map(port).collect::<Vec<_>>(),
        "volumes": spec.volumes,
        "networks": spec.networks,
        "restart": spec.restart,
        "log": log(&spec.log),
        "options": canonical::pairs(&spec.options, |v| json!(v)),
    })
}

/// An Engine's description with the environment withheld: a variable that is declared secret, looks like one, or
/// has a secret's value is a fingerprint.
fn withheld(run: &Run, mut description: Json) -> String {
    let mut env = Map::new();
    for pair in description["Config"]["Env"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
    {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let declared = run.secret_variables.iter().any(|declared| declared == name);
        // What stands in a desired document is no news to anybody.
        let secret = declared
            || run.redactor().redact(value) != value
            || (looks_secret(name) && !run.is_known(value));
        let shown = if secret {
            json!({"fingerprint": fingerprint(value.as_bytes(), &run.fingerprint_key)})
        } else {
            json!(value)
        };
        env.insert(name.to_owned(), shown);
    }
    if let Some(config) = description["Config"].as_object_mut() {
        config.insert("Env".to_owned(), Json::Object(env));
    }
    description.to_string()
}

/// Names that hold secrets in most projects, declared or not.
fn looks_secret(name: &str) -> bool {
    const WORDS: &[&str] = &[
        "PASSWORD",
        "PASSWD",
        "SECRET",
        "TOKEN",
        "CREDENTIAL",
        "CREDENTIALS",
        "PRIVATE",
        "APIKEY",
    ];
    let upper = name.to_ascii_uppercase();
    upper
        .split(['_', '-', '.'])
        .any(|word| WORDS.contains(&word))
        || upper.ends_with("_KEY")
        || upper.ends_with("_URL") && upper.contains("DATABASE")
}
