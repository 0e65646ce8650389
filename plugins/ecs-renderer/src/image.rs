//! `image`: what the main container runs.

use crate::container::{DEPENDS_ON, HEALTH_CHECK, LABELS};
use crate::diagnostic::Findings;
use crate::schema::{Object, Shape};
use crate::scope::Scope;
use crate::yaml::{At, Node, Span};

/// `build`: a Dockerfile, or how to build it.
pub(crate) const BUILD: Shape = Shape::Either(
    &[
        Shape::Text,
        Shape::Object(&Object {
            fields: &[
                ("context", Shape::Text),
                ("dockerfile", Shape::Text),
                ("args", Shape::Map(&Shape::Text)),
                ("target", Shape::Text),
                ("cache_from", Shape::List(&Shape::Text)),
            ],
            exclusive: &[],
        }),
    ],
    "the path of a Dockerfile or a map with `dockerfile` and `context`",
);

const EXCLUSIVE: &[&[&str]] = &[&["build"], &["location"]];

/// Keys of an image that tasks run, with further ones.
macro_rules! shape {
    ($($key:expr),*) => {
        Shape::Object(&Object {
            fields: &[
                ("build", BUILD),
                ("location", Shape::Text),
                ("credentials", Shape::Text),
                ("labels", LABELS),
                ("depends_on", DEPENDS_ON),
                $($key,)*
                ("healthcheck", HEALTH_CHECK),
            ],
            exclusive: EXCLUSIVE,
        })
    };
}

/// Keys of services that listen.
pub(crate) const WITH_PORT: Shape = shape!(("port", Shape::Port));

/// Keys of workers and jobs.
pub(crate) const WITHOUT_PORT: Shape = shape!();

/// Keys of App Runner services.
pub(crate) const APP_RUNNER: Shape = Shape::Object(&Object {
    fields: &[
        ("build", BUILD),
        ("location", Shape::Text),
        ("port", Shape::Port),
    ],
    exclusive: EXCLUSIVE,
});

/// Where a container's image comes from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    /// It is built and pushed before the deployment.
    Build(Build),
    /// It exists.
    Location(At<String>),
}

/// How an image is built; paths are relative to the project.
#[derive(Clone, Debug, PartialEq)]
pub struct Build {
    /// The Dockerfile.
    pub dockerfile: String,
    /// The build context.
    pub context: String,
    /// Stage to stop at.
    pub target: Option<String>,
    /// Build arguments, sorted.
    pub args: Vec<(String, String)>,
    /// Images to take layers from.
    pub cache_from: Vec<String>,
    /// Where it was said.
    pub span: Span,
}

/// Reads `build` or `location` of an image; exactly one of them must be there.
pub(crate) fn source(image: &Node, path: &str, findings: &mut Findings) -> Option<Source> {
    match (image.get("build"), image.text_at("location")) {
        (Some(build), None) => Some(Source::Build(read_build(build))),
        (None, Some(location)) => Some(Source::Location(location)),
        (None, None) if image.get("location").is_some() => None,
        (build, location) => {
            let found = if build.is_some() && location.is_some() {
                "both are set"
            } else {
                "neither is set"
            };
            findings.error(
                image.span,
                format!("`{path}` must specify one of `build` and `location`: {found}"),
                "`build` names a Dockerfile of the project, `location` an image that exists",
            );
            None
        }
    }
}

fn read_build(build: &Node) -> Build {
    let text = |key: &str| build.text_at(key).map(|t| t.value);
    let directory = |path: &str| match path.rsplit_once('/') {
        Some((directory, _)) => directory.to_owned(),
        None => ".".to_owned(),
    };
    let (dockerfile, context) = match build.text() {
        Some(path) => (path.to_owned(), directory(path)),
        None => {
            let dockerfile = text("dockerfile").unwrap_or_else(|| {
                let context = text("context").unwrap_or_else(|| ".".to_owned());
                format!("{}/Dockerfile", context.trim_end_matches('/'))
            });
            let context = text("context").unwrap_or_else(|| directory(&dockerfile));
            (dockerfile, context)
        }
    };
    Build {
        dockerfile,
        context,
        target: text("target"),
        args: build
            .sorted_at("args")
            .into_iter()
            .map(|(k, v)| (k.text.clone(), v.text().unwrap_or_default().to_owned()))
            .collect(),
        cache_from: build
            .texts_at("cache_from")
            .into_iter()
            .map(|t| t.value)
            .collect(),
        span: build.span,
    }
}

/// Reads the image of the main container.
pub(crate) fn main_source(root: &Node, findings: &mut Findings) -> Option<Source> {
    match root.get("image") {
        Some(image) => source(image, "image", findings),
        None => {
            findings.error(
                root.span,
                "`image` must specify one of `build` and `location`",
                "add `image:` with `build: Dockerfile` or `location: <image>`",
            );
            None
        }
    }
}

/// The value of the parameter `ContainerImage`.
pub(crate) fn reference(source: Option<&Source>, scope: &Scope<'_>) -> String {
    match source {
        Some(Source::Location(location)) => location.value.clone(),
        Some(Source::Build(_)) | None => scope.facts.pushed_image(scope.name).unwrap_or_default(),
    }
}
