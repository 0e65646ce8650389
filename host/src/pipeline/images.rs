//! `build push`, `build pull`, `build deliver` and `build dev`: the image alone, without a deploy.

use futures::future::try_join_all;
use serde_json::{Value as Json, json};

use super::build::{credentials, made};
use super::observe::run_hooks;
use super::render::render;
use super::version::context;
use super::{DeployError, Host, Request};
use crate::report::Verdict;
use crate::wire::{Credentials, WireError};
use crate::wit::renderer::exports::plimsoll::deploy::renderer::{Image, Output};

/// Builds, pushes and pulls, as far as the command says.
///
/// # Errors
/// When an image can't be built, pushed or pulled.
pub async fn images(request: &Request, host: &Host) -> Result<Verdict, DeployError> {
    let context = context(request, host).await?;
    let mut rendered = render(request, host, &context).await?;
    run_hooks(host, &rendered, "before-observe").await?;
    host.read_secrets().await?;
    host.listen()?;
    let command = request.command();
    let kept = request.asked["output"]
        .as_str()
        .is_some_and(|output| output != "registry");
    for image in &mut rendered.images {
        if command == "build dev" {
            dirty(image);
        }
        if kept || command == "build dev" {
            // It stays in the Engine that built it.
            image.registry = None;
            image.local_registry = None;
        }
    }
    let slots = made(request, host, &rendered).await?;
    let names: Vec<&str> = rendered
        .images
        .iter()
        .map(|image| image.reference.as_str())
        .collect();
    let mut text = match command {
        "build pull" => String::new(),
        _ if kept || command == "build dev" => format!("built {}", names.join(", ")),
        _ => format!("built and pushed {}", names.join(", ")),
    };
    if matches!(command, "build pull" | "build deliver") {
        let hosts = app_hosts(&rendered);
        for image in &rendered.images {
            let digest = slots.get(&format!("image/{}", image.name));
            let digest = digest.map(String::as_str).unwrap_or_default();
            let pulls = hosts.iter().map(|name| pull(host, name, image, digest));
            try_join_all(pulls).await?;
        }
        let and = if text.is_empty() { "" } else { ", " };
        text.push_str(&format!("{and}pulled on {}", hosts.join(", ")));
    }
    Ok(host.verdict(text, &context))
}

/// An image of the working tree, with a name that says so.
fn dirty(image: &mut Image) {
    image.reference.push_str("-dirty");
    if let Some(build) = &mut image.build {
        build.tags.iter_mut().for_each(|tag| tag.push_str("-dirty"));
        build.context.get_or_insert_with(|| ".".to_owned());
    }
}

/// The selected hosts that run the application.
fn app_hosts(rendered: &Output) -> Vec<String> {
    let release = rendered
        .documents
        .iter()
        .find(|document| document.address == "release");
    let body: Json = release
        .and_then(|document| serde_json::from_str(&document.body).ok())
        .unwrap_or_default();
    let hosts = body["app_hosts"].as_array().into_iter().flatten();
    hosts.filter_map(Json::as_str).map(str::to_owned).collect()
}

async fn pull(host: &Host, name: &str, image: &Image, digest: &str) -> Result<(), DeployError> {
    let fail = |source| DeployError::Wire {
        doing: format!("pull {} on {name}", image.reference),
        source,
    };
    let login: Option<Credentials> = match &image.registry {
        Some(login) => Some(credentials(host, login, &image.reference).await?),
        None => None,
    };
    let entry = json!({"plugin": "host", "operation": "docker.pull", "subject": name, "arguments": {"image": image.reference}});
    host.run.journal.write("intent", &entry).map_err(|source| {
        fail(WireError::Io {
            what: host.run.journal.path().display().to_string(),
            source,
        })
    })?;
    host.stage("pull", format!("Pulling {} on {name}", image.reference));
    host.run
        .hosts
        .lend_registry(name, &image.reference)
        .await
        .map_err(fail)?;
    let engine = host.run.hosts.engine(name).await.map_err(fail)?;
    let pulled = engine
        .pull(&image.reference, login.as_ref(), &mut |_| {})
        .await
        .map_err(fail)?;
    let there = engine.inspect_image(&image.reference).await.map_err(fail)?;
    let service = &host.project.envelope.service;
    let label = there.map(|there| there["Config"]["Labels"]["service"].clone());
    if label.as_ref().and_then(Json::as_str) != Some(service) {
        return Err(DeployError::Refused(format!(
            "Image {} is missing the 'service' label on {name}\nhint: build it with `--label service={service}`; pruning finds images by it",
            image.reference
        )));
    }
    if !digest.is_empty() && pulled != digest {
        return Err(DeployError::Refused(format!(
            "{} on {name} is {pulled}, and {digest} was expected: somebody else pushed it meanwhile\nhint: run it again",
            image.reference
        )));
    }
    Ok(())
}
