//! Images: built, pushed, and their digests put into the plan's slots. The host's own Docker Engine and registry
//! login do it, after approval; no component takes part.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::observe::run_hooks;
use super::{DeployError, Host, Request};
use crate::capability::run::Readers;
use crate::interrupt::Level;
use crate::plan::{ApprovedPlan, BoundPlan};
use crate::report::Event;
use crate::wire::build::{Build, BuildEvent, Private};
use crate::wire::git::Repository;
use crate::wire::{Credentials, Engine, WireError, context, registry};
use crate::wit::renderer::exports::plimsoll::deploy::renderer::{
    Build as Wanted, Credentials as Login, Image, Output,
};

/// Makes the images of an approved plan and binds their digests.
///
/// # Errors
/// When an image can't be built, pushed or found. Servers are untouched then.
pub async fn build(
    request: &Request,
    host: &Host,
    approved: ApprovedPlan,
) -> Result<BoundPlan, DeployError> {
    let slots = tokio::select! {
        // First: what fails because of Ctrl-C, such as a hook in the same terminal, is an interruption too.
        biased;
        () = host.interrupt.reached(Level::Settle) => {
            Err(DeployError::Interrupted("; no server was changed".to_owned()))
        }
        made = make_all(request, host, &approved.plan().rendered) => made,
    }?;
    approved.bind(slots).map_err(|why| DeployError::Plan {
        plugin: host.plugins.renderer.name.clone(),
        why,
    })
}

/// Slot to digest, of all images.
async fn make_all(
    request: &Request,
    host: &Host,
    rendered: &Output,
) -> Result<BTreeMap<String, String>, DeployError> {
    if rendered.images.iter().any(|image| image.build.is_some()) {
        run_hooks(host, rendered, "before-build").await?;
    }
    let mut slots = BTreeMap::new();
    for image in &rendered.images {
        let digest = make(request, host, image).await?;
        slots.insert(format!("image/{}", image.name), digest);
    }
    Ok(slots)
}

/// The digest of one image, built and pushed if need be.
async fn make(request: &Request, host: &Host, image: &Image) -> Result<String, DeployError> {
    let login = image
        .registry
        .as_ref()
        .map(|login| credentials(host, login))
        .transpose()?;
    let fail = |doing: &str| {
        let doing = format!("{doing} {}", image.reference);
        move |source: WireError| DeployError::Wire { doing, source }
    };
    let Some(wanted) = &image.build else {
        return match &login {
            Some(login) => {
                let found = registry::manifest_digest(&image.reference, Some(login))
                    .await
                    .map_err(fail("find image"))?;
                found.ok_or_else(|| missing(image, &login.server))
            }
            None => {
                let engine = Engine::local().await.map_err(fail("find image"))?;
                let found = engine
                    .inspect_image(&image.reference)
                    .await
                    .map_err(fail("find image"))?;
                found
                    .and_then(|there| there["Id"].as_str().map(str::to_owned))
                    .ok_or_else(|| missing(image, "this machine's Docker Engine"))
            }
        };
    };
    let engine = Engine::local().await.map_err(fail("build image"))?;
    host.stage("build", format!("Building {}", image.reference));
    let (folder, dockerfile, clone) = context_folder(host, wanted).await?;
    // A clone's own history would make every build a new one; .dockerignore can take it back.
    let ignore = clone.iter().map(|_| ".git".to_owned()).collect();
    let arguments = wanted
        .args
        .iter()
        .map(|(name, value)| {
            Ok((
                name.clone(),
                host.run
                    .resolve(value, Readers::Recipient)
                    .map_err(DeployError::Capability)?
                    .expose()
                    .to_owned(),
            ))
        })
        .collect::<Result<_, DeployError>>()?;
    let recipe = Build {
        context: context::Context {
            folder,
            dockerfile,
            ignore,
        },
        arguments,
        target: wanted.target.clone(),
        labels: wanted.labels.clone(),
        tags: wanted.tags.clone(),
        platform: wanted.platforms.first().cloned(),
        no_cache: request.no_cache,
        pull: false,
    };
    journal(host, "image.build", image, &wanted.tags)?;
    let private = Private {
        logins: login.iter().cloned().collect(),
        secrets: Vec::new(),
    };
    let id = engine
        .build_with(&recipe, &private, &mut |event| progress(host, &event))
        .await
        .map_err(fail("build"))?;
    let Some(login) = &login else { return Ok(id) };
    host.stage("push", format!("Pushing {}", image.reference));
    journal(host, "image.push", image, &wanted.tags)?;
    let mut digest = None;
    for tag in &wanted.tags {
        let pushed = engine
            .push(tag, Some(login), &mut |_| {})
            .await
            .map_err(fail("push"))?;
        digest.get_or_insert(pushed);
    }
    digest.ok_or_else(|| missing(image, &login.server))
}

/// Folder and Dockerfile of a build, and the clone they are in when there is one.
async fn context_folder(
    host: &Host,
    wanted: &Wanted,
) -> Result<(PathBuf, PathBuf, Option<Clone>), DeployError> {
    let root = &host.project.root;
    let Some(context) = &wanted.context else {
        let fail = |source| DeployError::Wire {
            doing: "make a clean copy of HEAD to build from".to_owned(),
            source,
        };
        let repository = Repository::find(root).await.map_err(fail)?;
        if repository.uncommitted().await.map_err(fail)?.is_some() {
            host.run.note(
                crate::wit::types::Severity::Warning,
                "what is not committed does not get into the image (builder.context is not set)"
                    .to_owned(),
            );
        }
        let clone = Clone::new().map_err(|source| {
            fail(WireError::Io {
                what: "a temporary folder".into(),
                source,
            })
        })?;
        repository.clone_head(clone.path()).await.map_err(fail)?;
        // The project may be a folder within its repository.
        let folder = clone.path().join(
            root.strip_prefix(repository.toplevel())
                .unwrap_or(Path::new("")),
        );
        return Ok((folder.clone(), folder.join(&wanted.dockerfile), Some(clone)));
    };
    Ok((root.join(context), root.join(&wanted.dockerfile), None))
}

/// A temporary folder, removed when it is dropped.
struct Clone(PathBuf);

impl Clone {
    fn new() -> std::io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let stamp = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO)
            .as_nanos();
        let path =
            std::env::temp_dir().join(format!("plimsoll-clone-{}-{stamp}", std::process::id()));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Clone {
    fn drop(&mut self) {
        // What can't be removed is in the temporary folder, where the system removes it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn credentials(host: &Host, login: &Login) -> Result<Credentials, DeployError> {
    let resolve = |value| {
        host.run
            .resolve(value, Readers::Recipient)
            .map_err(DeployError::Capability)
    };
    Ok(Credentials {
        server: login
            .server
            .clone()
            .unwrap_or_else(|| "docker.io".to_owned()),
        username: resolve(&login.username)?.expose().into(),
        password: resolve(&login.password)?.expose().into(),
    })
}

fn journal(
    host: &Host,
    operation: &str,
    image: &Image,
    tags: &[String],
) -> Result<(), DeployError> {
    let entry = json!({"plugin": "host", "operation": operation, "subject": image.reference, "arguments": {"tags": tags}});
    host.run
        .journal
        .write("intent", &entry)
        .map_err(|source| DeployError::Wire {
            doing: "write the journal".to_owned(),
            source: WireError::Io {
                what: host.run.journal.path().display().to_string(),
                source,
            },
        })
}

fn progress(host: &Host, event: &BuildEvent) {
    let emit = |line: &str| {
        let line = host.run.redactor().redact(line);
        host.reporter.emit(&Event::Line {
            subject: "build",
            line: &line,
        })
    };
    match event {
        BuildEvent::Started { step } => emit(step),
        BuildEvent::Done { step, cached: true } => emit(&format!("{step} (cached)")),
        BuildEvent::Done { .. } => {}
        BuildEvent::Output { line, .. } => emit(line),
    }
}

fn missing(image: &Image, place: &str) -> DeployError {
    DeployError::NoImage {
        reference: image.reference.clone(),
        place: place.to_owned(),
    }
}
