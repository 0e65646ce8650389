//! Images: built, pushed, and their digests put into the plan's slots. The host's own Docker Engines and registry
//! login do it, after approval; no component takes part.
//!
//! * [`recipe`]: from what the renderer wants to what BuildKit is asked.
//! * [`buildpacks`]: the same by `pack`.
//! * [`nodes`]: the Engines that build, each for its platforms; the registry on this machine.

mod buildpacks;
pub(super) mod nodes;
mod recipe;

use std::collections::BTreeMap;

use serde_json::json;

use super::observe::run_hooks;
use super::{DeployError, Host, Request};
use crate::interrupt::Level;
use crate::plan::{ApprovedPlan, BoundPlan};
use crate::report::Event;
use crate::wire::build::BuildEvent;
use crate::wire::{Credentials, Engine, WireError, registry};
use crate::wit::renderer::exports::plimsoll::deploy::renderer::{
    Build as Wanted, Credentials as Login, Image, Output,
};
use crate::wit::types::Severity;
use nodes::Node;

/// Makes the images of an approved plan and binds their digests.
///
/// # Errors
/// When an image can't be built, pushed or found. Servers are untouched then.
pub async fn build(
    request: &Request,
    host: &Host,
    approved: ApprovedPlan,
) -> Result<BoundPlan, DeployError> {
    let slots = made(request, host, &approved.plan().rendered).await?;
    approved.bind(slots).map_err(|why| DeployError::Plan {
        plugin: host.plugins.renderer.name.clone(),
        why,
    })
}

/// Slot to digest, of all images, unless the user interrupts.
///
/// # Errors
/// When an image can't be built, pushed or found.
pub async fn made(
    request: &Request,
    host: &Host,
    rendered: &Output,
) -> Result<BTreeMap<String, String>, DeployError> {
    tokio::select! {
        // First: what fails because of Ctrl-C, such as a hook in the same terminal, is an interruption too.
        biased;
        () = host.interrupt.reached(Level::Settle) => {
            Err(DeployError::Interrupted("; no server was changed".to_owned()))
        }
        made = make_all(request, host, rendered) => made,
    }
}

async fn make_all(
    request: &Request,
    host: &Host,
    rendered: &Output,
) -> Result<BTreeMap<String, String>, DeployError> {
    if let Some(target) = &host.copilot {
        return super::copilot::images::make(host, target, &rendered.images).await;
    }
    let builds: Vec<&Wanted> = rendered
        .images
        .iter()
        .filter_map(|image| image.build.as_ref())
        .collect();
    if !builds.is_empty() {
        // Before a hook that may take its time.
        nodes::check_local(&builds).await?;
        run_hooks(host, rendered, "before-build").await?;
    }
    let mut slots = BTreeMap::new();
    for image in &rendered.images {
        let digest = make(request, host, image).await?;
        slots.insert(format!("image/{}", image.name), digest);
    }
    Ok(slots)
}

fn failed(doing: &str, image: &Image) -> impl Fn(WireError) -> DeployError {
    let doing = format!("{doing} {}", image.reference);
    move |source| DeployError::Wire {
        doing: doing.clone(),
        source,
    }
}

/// The digest of one image, built and pushed if need be.
async fn make(request: &Request, host: &Host, image: &Image) -> Result<String, DeployError> {
    let login = match &image.registry {
        Some(login) => Some(credentials(host, login, &image.reference).await?),
        None => None,
    };
    match &image.build {
        None => find(image, login.as_ref()).await,
        Some(wanted) => build_and_push(request, host, image, wanted, login.as_ref()).await,
    }
}

async fn find(image: &Image, login: Option<&Credentials>) -> Result<String, DeployError> {
    let fail = failed("find image", image);
    if login.is_some() || image.local_registry.is_some() {
        let found = registry::manifest_digest(&image.reference, login).await;
        let place = login.map_or("the registry on this machine", |login| &login.server);
        return found.map_err(fail)?.ok_or_else(|| missing(image, place));
    }
    let engine = Engine::local().await.map_err(&fail)?;
    let found = engine
        .inspect_image(&image.reference)
        .await
        .map_err(&fail)?;
    found
        .and_then(|there| there["Id"].as_str().map(str::to_owned))
        .ok_or_else(|| missing(image, "this machine's Docker Engine"))
}

async fn build_and_push(
    request: &Request,
    host: &Host,
    image: &Image,
    wanted: &Wanted,
    login: Option<&Credentials>,
) -> Result<String, DeployError> {
    if let Some(port) = image.local_registry {
        journal(host, "registry.start", image, json!({ "port": port }))?;
        nodes::start_registry(port)
            .await
            .map_err(failed("start the registry on this machine for", image))?;
    }
    if let Some(pack) = wanted
        .builder
        .as_ref()
        .and_then(|builder| builder.pack.as_ref())
    {
        let node = nodes::here().await.map_err(failed("build image", image))?;
        buildpacks::build(request, host, image, wanted, pack).await?;
        return push(image, wanted, &[node], login).await;
    }
    let private = recipe::private(host, wanted, login)?;
    let nodes = nodes::of(host, image, wanted).await?;
    host.stage("build", format!("Building {}", image.reference));
    let source = recipe::source(host, wanted).await?;
    let recipe = recipe::recipe(host, wanted, &source, request.no_cache)?;
    journal(host, "image.build", image, recipe::in_words(wanted))?;
    let build = async |node: &Node| {
        let recipe = recipe.clone().for_platforms(&node.platforms);
        let mut hear = |event: BuildEvent| progress(host, &event);
        let built = node.engine.build_with(&recipe, &private, &mut hear).await;
        built.map_err(failed("build", image))
    };
    let ids = futures::future::try_join_all(nodes.iter().map(build)).await?;
    if login.is_none() && image.local_registry.is_none() {
        return ids
            .into_iter()
            .next()
            .ok_or_else(|| missing(image, "any builder"));
    }
    host.stage("push", format!("Pushing {}", image.reference));
    journal(host, "image.push", image, json!({ "tags": wanted.tags }))?;
    push(image, wanted, &nodes, login).await
}

/// Pushes every tag. An image of several Engines is pushed by each, and put together at the registry.
async fn push(
    image: &Image,
    wanted: &Wanted,
    nodes: &[Node],
    login: Option<&Credentials>,
) -> Result<String, DeployError> {
    let fail = failed("push", image);
    let place = || missing(image, login.map_or("the registry", |login| &login.server));
    let tags = match nodes {
        [_] => wanted.tags.as_slice(),
        _ => wanted.tags.get(..1).unwrap_or_default(),
    };
    let mut parts = Vec::new();
    for node in nodes {
        let mut digest = None;
        for tag in tags {
            let pushed = node
                .engine
                .push(tag, login, &mut |_| {})
                .await
                .map_err(&fail)?;
            digest.get_or_insert(pushed);
        }
        let digest = digest.ok_or_else(place)?;
        let platforms = node
            .platforms
            .iter()
            .map(|platform| (platform.clone(), digest.clone()));
        parts.extend(platforms.collect::<BTreeMap<_, _>>());
        if nodes.len() == 1 {
            return Ok(digest);
        }
    }
    registry::join_platforms(&wanted.tags, &parts, login)
        .await
        .map_err(fail)
}

/// The login that goes with pushes of an image.
pub(super) async fn credentials(
    host: &Host,
    login: &Login,
    image: &str,
) -> Result<Credentials, DeployError> {
    let (server, username) = (login.server.as_deref(), &login.username);
    let login = host.run.login(server, username, &login.password, image);
    login.await.map_err(DeployError::Capability)
}

fn journal(
    host: &Host,
    operation: &str,
    image: &Image,
    arguments: serde_json::Value,
) -> Result<(), DeployError> {
    let entry = json!({"plugin": "host", "operation": operation, "subject": image.reference, "arguments": arguments});
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

fn warn(host: &Host, text: &str) {
    host.run.note(Severity::Warning, text.to_owned());
}

fn missing(image: &Image, place: &str) -> DeployError {
    DeployError::NoImage {
        reference: image.reference.clone(),
        place: place.to_owned(),
    }
}
