//! Images without a Dockerfile: by buildpacks, with the `pack` program.

use super::super::{DeployError, Host, Request};
use super::{failed, journal, recipe};
use crate::report::Event;
use crate::wire::pack::{self, Packing};
use crate::wit::renderer::exports::plimsoll::deploy::renderer::{Build as Wanted, Image, Pack};

/// Builds the image into this machine's Engine.
pub(super) async fn build(
    request: &Request,
    host: &Host,
    image: &Image,
    wanted: &Wanted,
    how: &Pack,
) -> Result<(), DeployError> {
    host.stage("build", format!("Packing {}", image.reference));
    let source = recipe::source(host, wanted).await?;
    journal(host, "image.build", image, recipe::in_words(wanted))?;
    // Labels reach the image through a buildpack that reads them from the environment.
    let labels = wanted.labels.iter();
    let labels: Vec<String> = labels
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut variables = vec![(
        "BP_IMAGE_LABELS".to_owned(),
        labels.join(" ").as_str().into(),
    )];
    for (name, value) in &wanted.args {
        variables.push((name.clone(), recipe::resolved(host, value)?.as_str().into()));
    }
    let private = recipe::private(host, wanted, None)?;
    variables.extend(private.secrets);
    let name = image.reference.rsplit_once(':');
    let folder = match wanted.context {
        Some(_) => &host.project.root,
        None => &source.folder,
    };
    let packing = Packing {
        image: name.map_or(image.reference.as_str(), |(name, _)| name),
        platform: wanted.platforms.first().map(String::as_str),
        builder: &how.builder,
        buildpacks: &how.buildpacks,
        tags: &wanted.tags,
        clear_cache: request.no_cache,
        variables,
        folder,
        path: wanted.context.as_deref().unwrap_or("."),
    };
    let mut hear = |line: &str| {
        let line = host.run.redactor().redact(line);
        host.reporter.emit(&Event::Line {
            subject: "pack",
            line: &line,
        });
    };
    pack::build(&packing, &mut hear)
        .await
        .map_err(failed("build", image))
}
