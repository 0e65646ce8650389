//! What is changed.

use std::time::Duration;

use serde_json::json;

use super::spec::{covers_spec, create_and_start, spec_json};
use super::{Labels, Opened, copy, failed, label_filters};
use crate::capability::run::Readers;
use crate::capability::session::{Call, Session, covers_value};
use crate::grant::{Denied, Sink};
use crate::plan::canonical;
use crate::wire::docker::{Logs, Prepared, Removal};
use crate::wire::place::ExecOutput;
use crate::wire::{self, Command, WireError};
use crate::wit::docker::{ContainerSpec, Credentials, Output};
use crate::wit::types::{CapError, Part};

/// A command inside a container may wait for a health check and a drain.
const EXEC: Duration = Duration::from_secs(60 * 60);

pub(super) async fn pull(
    opened: Opened,
    effect: String,
    image: String,
    digest: Option<Vec<Part>>,
    credentials: Option<Credentials>,
) -> Result<String, CapError> {
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
    let Opened {
        session,
        engine,
        host,
    } = opened;
    let run = session.run.clone();
    let work =
        async move { super::pull::pull(&run, &engine, &host, &image, digest, credentials).await };
    session.mutate(call, scope, work).await
}

pub(super) async fn create_network(
    opened: Opened,
    effect: String,
    name: String,
) -> Result<(), CapError> {
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
    opened.session.mutate(call, scope, work).await
}

pub(super) async fn run(
    opened: Opened,
    effect: String,
    spec: ContainerSpec,
) -> Result<String, CapError> {
    let call = run_call(&opened, effect.clone(), &spec);
    let scope = covers_spec(&opened, &spec);
    let Opened {
        session,
        engine,
        host,
    } = opened;
    let powers = session.clone();
    let work = async move {
        let id = create_and_start(&powers, &engine, &host, &spec).await?;
        powers.run.fill(format!("created/{effect}"), id.clone());
        Ok(id)
    };
    session.mutate(call, scope, work).await
}

/// `run` as it is promised.
pub(super) fn run_call(opened: &Opened, effect: String, spec: &ContainerSpec) -> Call {
    opened.call(effect, "docker.run", json!({"spec": spec_json(spec)}))
}

pub(super) async fn run_like(
    opened: Opened,
    effect: String,
    existing: String,
    name: String,
) -> Result<String, CapError> {
    let call = opened.call(
        effect.clone(),
        "docker.run-like",
        json!({"existing": existing, "name": name}),
    );
    let scope = opened
        .container(&existing)
        .and_then(|()| opened.container(&name));
    let Opened {
        session,
        engine,
        host,
    } = opened;
    let (run, grants) = (session.run.clone(), session.grants.clone());
    let work = async move {
        let id = copy::create_and_start(&grants, &engine, &host, &existing, &name).await?;
        run.fill(format!("created/{effect}"), id.clone());
        Ok(id)
    };
    session.mutate(call, scope, work).await
}

pub(super) async fn run_once(
    opened: Opened,
    effect: String,
    spec: ContainerSpec,
) -> Result<Output, CapError> {
    let call = opened.call(effect, "docker.run-once", json!({"spec": spec_json(&spec)}));
    let scope = covers_spec(&opened, &spec);
    let Opened {
        session,
        engine,
        host,
    } = opened;
    let powers = session.clone();
    let work = async move {
        let ended = async {
            create_and_start(&powers, &engine, &host, &spec).await?;
            let code = engine.wait(&spec.name, EXEC).await.map_err(failed)?;
            let said = engine
                .logs(&spec.name, Logs::default())
                .await
                .map_err(failed)?;
            Ok(Output {
                code: i32::try_from(code).unwrap_or(i32::MAX),
                stdout: powers.run.redacted(&said),
                stderr: String::new(),
            })
        };
        let ended = ended.await;
        let removed = gone(engine.remove(&spec.name, Removal::EvenRunning).await);
        let ended = ended?;
        removed.map(|()| ended)
    };
    session.mutate(call, scope, work).await
}

pub(super) async fn extract(
    opened: Opened,
    effect: String,
    image: String,
    path: String,
    container: String,
    directory: String,
) -> Result<(), CapError> {
    let arguments =
        json!({"image": image, "path": path, "container": container, "directory": directory});
    let call = opened.call(effect, "docker.extract", arguments);
    let grants = &opened.session.grants;
    let scope = grants
        .covers_image(&image)
        .and_then(|()| opened.container(&container))
        .and_then(|()| grants.covers_ssh_host(&opened.host))
        .and_then(|()| grants.covers_write(&directory));
    let run = opened.session.run.clone();
    let host = opened.host.clone();
    let work = async move {
        let place = run.hosts.place(&host).await.map_err(failed)?;
        place
            .extract_from_image(&directory, &image, &path, &container)
            .await
            .map_err(failed)
    };
    opened.session.mutate(call, scope, work).await
}

pub(super) async fn start(opened: Opened, effect: String, name: String) -> Result<(), CapError> {
    let call = opened.call(effect, "docker.start", json!({"name": name}));
    let scope = opened.container(&name);
    let work = async move { opened.engine.start(&name).await.map_err(failed) };
    opened.session.mutate(call, scope, work).await
}

pub(super) async fn stop(
    opened: Opened,
    effect: String,
    name: String,
    timeout: Option<u32>,
) -> Result<(), CapError> {
    let call = opened.call(
        effect,
        "docker.stop",
        json!({"name": name, "timeout": timeout}),
    );
    let scope = opened.container(&name);
    let work = async move { opened.engine.stop(&name, timeout).await.map_err(failed) };
    opened.session.mutate(call, scope, work).await
}

pub(super) async fn rename(
    opened: Opened,
    effect: String,
    name: String,
    to: String,
) -> Result<(), CapError> {
    let call = opened.call(effect, "docker.rename", json!({"name": name, "to": to}));
    let scope = opened.container(&name).and_then(|()| opened.container(&to));
    let work = async move { opened.engine.rename(&name, &to).await.map_err(failed) };
    opened.session.mutate(call, scope, work).await
}

pub(super) async fn remove(opened: Opened, effect: String, name: String) -> Result<(), CapError> {
    let call = opened.call(effect, "docker.remove", json!({"name": name}));
    let scope = opened.container(&name);
    let work = async move { gone(opened.engine.remove(&name, Removal::OnlyStopped).await) };
    opened.session.mutate(call, scope, work).await
}

pub(super) async fn exec(
    opened: Opened,
    effect: String,
    container: String,
    user: Option<String>,
    command: Vec<Vec<Part>>,
) -> Result<Output, CapError> {
    let (call, scope) = exec_call(&opened, effect, &container, user.as_deref(), &command);
    let Opened {
        session,
        engine,
        host,
    } = opened;
    let powers = session.clone();
    let work = async move {
        let ready = ready(&powers, &engine, &host, &container, user, &command).await?;
        let output = ready.run().await.map_err(failed)?;
        Ok(told(&powers, &output))
    };
    session.mutate(call, scope, work).await
}

/// A command in a container as it is promised, and whether the grants cover it.
pub(super) fn exec_call(
    opened: &Opened,
    effect: String,
    container: &str,
    user: Option<&str>,
    command: &[Vec<Part>],
) -> (Call, Result<(), Denied>) {
    let arguments = json!({"container": container, "user": user, "command": command.iter().map(|word| canonical::value(word)).collect::<Vec<_>>()});
    // Grants match the words as they are promised: a slot can't smuggle a word past a pattern, it is filled by the host.
    let words: Vec<String> = command
        .iter()
        .map(|word| canonical::shown(&canonical::value(word)))
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let scope = opened
        .session
        .grants
        .covers_exec(container, &words)
        .map_err(|denied| denied.on(&opened.host));
    (opened.call(effect, "docker.exec", arguments), scope)
}

/// Readies a command in a container that is covered.
pub(super) async fn ready(
    powers: &Session,
    engine: &wire::Engine,
    host: &str,
    container: &str,
    user: Option<String>,
    command: &[Vec<Part>],
) -> Result<Prepared, CapError> {
    covers_labels(powers, engine, host, container).await?;
    let word = |word: &Vec<Part>| {
        let text = powers.run.resolve(word, Readers::Everybody)?;
        Ok(text.expose().to_owned())
    };
    let argv = command
        .iter()
        .map(word)
        .collect::<Result<Vec<_>, CapError>>()?;
    let command = Command::new(argv).timeout(EXEC);
    engine
        .prepare_exec(user.as_deref(), container, command, &[])
        .await
        .map_err(failed)
}

/// What a command printed, without secrets.
pub(super) fn told(powers: &Session, output: &ExecOutput) -> Output {
    Output {
        code: output.code,
        stdout: powers.run.redacted(&output.stdout),
        stderr: powers.run.redacted(&output.stderr),
    }
}

pub(super) async fn tag(
    opened: Opened,
    effect: String,
    image: String,
    reference: String,
) -> Result<(), CapError> {
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
    opened.session.mutate(call, scope, work).await
}

pub(super) async fn remove_image(
    opened: Opened,
    effect: String,
    reference: String,
) -> Result<(), CapError> {
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
            Err(error) => match opened.engine.inspect_image(&reference).await {
                // Somebody else was faster, such as a prune that is under way.
                Ok(None) => Ok(()),
                Ok(Some(_)) | Err(_) => gone(Err(error)),
            },
            Ok(()) => Ok(()),
        }
    };
    opened.session.mutate(call, scope, work).await
}

pub(super) async fn prune_images(
    opened: Opened,
    effect: String,
    labels: Labels,
) -> Result<(), CapError> {
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
    opened.session.mutate(call, scope, work).await
}

/// A pattern with a wildcard may cover the name of somebody else's container: then its labels are looked at.
async fn covers_labels(
    session: &Session,
    engine: &wire::Engine,
    host: &str,
    container: &str,
) -> Result<(), CapError> {
    if session.grants.covers_container_by_name(container) {
        return Ok(());
    }
    let found = engine.inspect_container(container).await.map_err(failed)?;
    let labels = copy::labels(&found.unwrap_or_default());
    session
        .grants
        .covers_labelled_container(container, &labels)
        .map_err(|denied| session.deny(denied.on(host)))
}

/// Removing what is not there is done.
pub(super) fn gone(result: Result<(), WireError>) -> Result<(), CapError> {
    match result {
        Ok(()) | Err(WireError::NotFound { .. }) => Ok(()),
        Err(error) => Err(failed(error)),
    }
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
    let shown: Vec<String> = label_filters(labels);
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
