//! Images of a Copilot workload: all built at once by this machine's Engine, then pushed to the workload's own
//! repository, with a login of the user's own for each. Without anything to build no Engine is needed.

use std::collections::BTreeMap;

use serde_json::json;

use super::Target;
use crate::capability::run::Readers;
use crate::pipeline::{DeployError, Host};
use crate::report::Event;
use crate::wire::build::{Build, BuildEvent, Private};
use crate::wire::{Engine, WireError, context};
use crate::wit::renderer::exports::plimsoll::deploy::renderer::{Build as Wanted, Image};

/// Makes the images: slot to digest.
///
/// # Errors
/// When one can't be built or pushed; nothing of the deployment was changed then.
pub async fn make(
    host: &Host,
    target: &Target,
    images: &[Image],
) -> Result<BTreeMap<String, String>, DeployError> {
    let wanted: Vec<(&Image, &Wanted)> = images
        .iter()
        .filter_map(|image| Some((image, image.build.as_ref()?)))
        .collect();
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let engine = Engine::local().await.map_err(|source| DeployError::Wire {
        doing: "build the images".to_owned(),
        source,
    })?;
    let building = wanted
        .iter()
        .map(|(image, wanted)| build(host, &engine, image, wanted));
    futures::future::try_join_all(building).await?;
    let pushing = wanted
        .iter()
        .map(|(image, wanted)| push(host, target, &engine, image, wanted));
    let digests = futures::future::try_join_all(pushing).await?;
    let slots = wanted
        .iter()
        .map(|(image, _)| format!("image/{}", image.name));
    Ok(slots.zip(digests).collect())
}

async fn build(
    host: &Host,
    engine: &Engine,
    image: &Image,
    wanted: &Wanted,
) -> Result<(), DeployError> {
    host.stage(
        "build",
        format!("Building your container image \"{}\"", image.name),
    );
    let root = &host.project.root;
    let arguments: Result<Vec<(String, String)>, DeployError> = wanted
        .args
        .iter()
        .map(|(name, value)| {
            let text = host
                .run
                .resolve(value, Readers::Recipient)
                .map_err(DeployError::Capability)?;
            Ok((name.clone(), text.expose().to_owned()))
        })
        .collect();
    let recipe = Build {
        context: context::Context {
            folder: root.join(wanted.context.as_deref().unwrap_or(".")),
            dockerfile: root.join(&wanted.dockerfile),
            ignore: Vec::new(),
        },
        arguments: arguments?,
        target: wanted.target.clone(),
        labels: wanted.labels.clone(),
        tags: wanted.tags.clone(),
        platforms: wanted.platforms.clone(),
        no_cache: false,
        pull: false,
        cache_from: wanted
            .builder
            .as_ref()
            .map(|builder| builder.cache_from.clone())
            .unwrap_or_default(),
        cache_to: Vec::new(),
        provenance: None,
        sbom: None,
        builder: None,
    };
    journal(host, "image.build", image, &wanted.tags)?;
    let shown = &mut |event: BuildEvent| progress(host, &image.name, &event);
    let private = Private::default();
    let built = engine.build_with(&recipe, &private, shown);
    let fail = |source| DeployError::Wire {
        doing: format!("build image \"{}\"", image.name),
        source,
    };
    built.await.map(drop).map_err(fail)
}

/// The digest that the registry gives the image. Its tags all name the same one.
async fn push(
    host: &Host,
    target: &Target,
    engine: &Engine,
    image: &Image,
    wanted: &Wanted,
) -> Result<String, DeployError> {
    host.stage("push", format!("Pushing {}", image.reference));
    journal(host, "image.push", image, &wanted.tags)?;
    let server = target.repository.split('/').next().unwrap_or_default();
    let login = target
        .user
        .registry_login(server)
        .await
        .map_err(DeployError::Aws)?;
    let mut digest = None;
    for tag in &wanted.tags {
        let pushed = engine.push(tag, Some(&login), &mut |_| {}).await;
        let pushed = pushed.map_err(|source| DeployError::Wire {
            doing: format!("push {tag}"),
            source,
        })?;
        digest.get_or_insert(pushed);
    }
    digest.ok_or_else(|| DeployError::NoImage {
        reference: image.reference.clone(),
        place: server.to_owned(),
    })
}

fn journal(
    host: &Host,
    operation: &str,
    image: &Image,
    tags: &[String],
) -> Result<(), DeployError> {
    let entry = json!({"plugin": "host", "operation": operation, "subject": image.reference, "arguments": {"tags": tags}});
    let written = host.run.journal.write("intent", &entry);
    written.map_err(|source| DeployError::Wire {
        doing: "write the journal".to_owned(),
        source: WireError::Io {
            what: host.run.journal.path().display().to_string(),
            source,
        },
    })
}

/// Steps and their output, with the image they belong to: several are built at once.
fn progress(host: &Host, name: &str, event: &BuildEvent) {
    let emit = |line: &str| {
        let line = host.run.redactor().redact(line);
        host.reporter.emit(&Event::Line {
            subject: name,
            line: &line,
        });
    };
    match event {
        BuildEvent::Started { step } => emit(step),
        BuildEvent::Done { step, cached: true } => emit(&format!("{step} (cached)")),
        BuildEvent::Done { .. } => {}
        BuildEvent::Output { line, .. } => emit(line),
    }
}
