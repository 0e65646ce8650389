//! The component: glue between the contract and the renderer.
#![expect(unsafe_code, reason = "wit-bindgen's generated exports")]

use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::facts::{Asset, Reach};
use crate::interpolate::Variables;
use crate::manifest::WorkloadType;
use crate::needs;
use crate::package::{self, ContainerImage, Package, Request};
use crate::{Facts, File};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

mod bindings {
    wit_bindgen::generate!({ world: "renderer-plugin", path: "../../wit" });
}

use bindings::exports::plimsoll::deploy::renderer as wit;
use bindings::plimsoll::deploy::types;

struct Component;

bindings::export!(Component with_types_in bindings);

impl wit::Guest for Component {
    fn needs(input: wit::Input) -> Result<Vec<wit::Need>, Vec<types::Diagnostic>> {
        let project = Project::read(input)?;
        let need = |kind: &str, name: String| wit::Need {
            kind: kind.to_owned(),
            name,
        };
        // Before its variables are known only part of a manifest can be read: the host asks again with them.
        let known = project.facts.get("variable").is_some();
        let process = project.named("variable", |v| v.as_str().map(str::to_owned));
        let variables = Variables {
            application: project.options["application"].as_str().unwrap_or_default(),
            environment: &project.environment,
            process: &process,
        };
        let first = needs::first(&project.manifest.text);
        let wanted = if known || first.variables.is_empty() {
            needs::all(&project.manifest.text, &project.workload, &variables)
        } else {
            first
        };
        let facts = std::iter::once(need("copilot", "facts".to_owned()));
        let named = |kind: &'static str, names: BTreeSet<String>| {
            names.into_iter().map(move |name| need(kind, name))
        };
        let subnets = wanted
            .subnets
            .into_iter()
            .map(|tags| json!(tags).to_string());
        let topics = wanted.topics.then(|| need("topics", String::new()));
        Ok(facts
            .chain(named("variable", wanted.variables))
            .chain(named("path", wanted.paths))
            .chain(named("digest", wanted.digests))
            .chain(named("asset", needs::assets(&project.addons)))
            .chain(named("secret", wanted.secrets))
            .chain(named("load-balancer", wanted.load_balancers))
            .chain(named("subnets", subnets.collect()))
            .chain(topics)
            .collect())
    }

    fn render(input: wit::Input) -> Result<wit::Output, Vec<types::Diagnostic>> {
        let project = Project::read(input)?;
        let mut facts = project
            .facts
            .get("copilot")
            .and_then(|kind| kind.get("facts"))
            .ok_or_else(|| "the facts of the deployment are missing".to_owned())
            .and_then(|facts| Facts::parse(&facts.to_string()).map_err(|error| error.to_string()))
            .map_err(|problem| {
                vec![misfit(format!(
                    "the facts from the host do not fit: {problem}"
                ))]
            })?;
        let variables = project.named("variable", |v| v.as_str().map(str::to_owned));
        // A source that is there is answered with the files in it; a file with itself.
        let listed = project.named("path", |v| v.as_array().cloned());
        let paths: BTreeSet<String> = listed
            .into_values()
            .flatten()
            .filter_map(|path| path.as_str().map(str::to_owned))
            .collect();
        // A secret of which nothing is known is none that is missing.
        facts.secrets = project.named("secret", |v| Reach::deserialize(v).ok());
        facts.assets = project.named("asset", |v| Asset::deserialize(v).ok());
        let digests = project.named("digest", |v| v.as_object().cloned());
        for (path, digest) in digests.into_values().flatten() {
            if let Some(digest) = digest.as_str() {
                facts.digests.insert(path, digest.to_owned());
            }
        }
        let strict = project
            .options
            .get("strict")
            .and_then(Json::as_bool)
            .unwrap_or_default();
        let request = Request {
            workload: &project.workload,
            environment: &project.environment,
            manifest: &project.manifest,
            addons: &project.addons,
            overrides: &project.overrides,
            variables: &variables,
            paths: Some(&paths),
            facts: &facts,
            strict,
        };
        let rendered = package::package(&request)
            .map_err(|found| found.into_iter().map(diagnostic).collect::<Vec<_>>())?;
        let is_job = rendered.kind == WorkloadType::ScheduledJob;
        let asked_for = project.options.get("kind").and_then(Json::as_str);
        let wanted = if is_job { "job" } else { "svc" };
        if asked_for.is_some_and(|kind| kind != wanted) {
            let message = format!("`{}` is not what this command packages", project.workload);
            let help = Some(format!("use `{wanted} package`"));
            return Err(vec![types::Diagnostic {
                help,
                ..misfit(message)
            }]);
        }
        Ok(output(&project.workload, rendered, &facts))
    }
}

/// The files of a workload, told apart by where they lie.
struct Project {
    workload: String,
    environment: String,
    manifest: File,
    addons: Vec<File>,
    overrides: Vec<File>,
    options: Json,
    facts: Json,
}

impl Project {
    fn read(input: wit::Input) -> Result<Project, Vec<types::Diagnostic>> {
        let json = |what: &str, text: &str| {
            serde_json::from_str::<Json>(text)
                .map_err(|error| vec![misfit(format!("{what} from the host do not fit: {error}"))])
        };
        let options = json("options", &input.options)?;
        let facts = json("facts", &input.facts)?;
        let (mut manifest, mut addons, mut overrides) = (None, Vec::new(), Vec::new());
        for file in input.manifest {
            let file = File {
                path: file.path,
                text: file.text,
            };
            let folder = file.path.rsplit('/').nth(1).unwrap_or_default().to_owned();
            match (file.name(), folder.as_str()) {
                (_, "addons") => addons.push(file),
                (_, "overrides") => overrides.push(file),
                ("manifest.yml", _) => manifest = Some((folder, file)),
                (_, _) => {}
            }
        }
        let (workload, manifest) =
            manifest.ok_or_else(|| vec![misfit("the manifest is missing".to_owned())])?;
        Ok(Project {
            workload,
            environment: input.context.environment,
            manifest,
            addons,
            overrides,
            options,
            facts,
        })
    }

    fn named<T>(&self, kind: &str, read: impl Fn(&Json) -> Option<T>) -> BTreeMap<String, T> {
        self.facts
            .get(kind)
            .and_then(Json::as_object)
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.clone(), read(value)?)))
            .collect()
    }
}

/// The host's data is the host's business: when it does not fit, the user is told, without a place.
fn misfit(message: String) -> types::Diagnostic {
    types::Diagnostic {
        severity: types::Severity::Error,
        code: "invalid-input".to_owned(),
        message,
        at: None,
        help: None,
    }
}

fn output(workload: &str, package: Package, facts: &Facts) -> wit::Output {
    let stack = format!("stack/{workload}");
    let document = |address: String, media_type: &str, body: String| types::Document {
        address,
        media_type: media_type.to_owned(),
        body,
    };
    const TEMPLATE: &str = "application/vnd.aws.cloudformation+yaml";
    let mut documents = vec![
        document(stack.clone(), TEMPLATE, package.template),
        document(
            format!("parameters/{workload}"),
            "application/json",
            package.parameters,
        ),
    ];
    if let Some(addons) = package.addons {
        documents.push(document(format!("addons/{workload}"), TEMPLATE, addons));
    }
    for (kind, body) in [
        ("assets", package.mapping),
        ("deployment", package.handover),
    ] {
        if let Some(body) = body {
            documents.push(document(
                format!("{kind}/{workload}"),
                "application/json",
                body,
            ));
        }
    }
    wit::Output {
        documents,
        images: package
            .images
            .into_iter()
            .map(|mut image| {
                if package.kind == WorkloadType::RequestDrivenWebService {
                    // App Runner has nothing else.
                    image.platform = Some("linux/amd64".to_owned());
                }
                self::image(image, workload, facts)
            })
            .collect(),
        hooks: Vec::new(),
        sources: package
            .origins
            .into_iter()
            .map(|origin| wit::Source {
                address: stack.clone(),
                pointer: origin.path,
                at: position(origin.place),
            })
            .collect(),
        diagnostics: package.warnings.into_iter().map(diagnostic).collect(),
    }
}

fn image(image: ContainerImage, workload: &str, facts: &Facts) -> wit::Image {
    let value = |text: String| vec![types::Part::Text(text)];
    let build = image.build;
    let tags = facts.tags_to_push(&image.container, workload);
    let builder = (!build.cache_from.is_empty()).then(|| wit::Builder {
        name: None,
        driver: "docker".to_owned(),
        local_platforms: Vec::new(),
        remote_platforms: Vec::new(),
        remote: None,
        cache_from: build
            .cache_from
            .iter()
            .map(|image| match image.contains('=') {
                true => image.clone(),
                false => format!("type=registry,ref={image}"),
            })
            .collect(),
        cache_to: Vec::new(),
        secrets: Vec::new(),
        ssh: None,
        provenance: None,
        sbom: None,
        pack: None,
    });
    let labels = [
        ("builder", "plimsoll".to_owned()),
        ("version", facts.template_version.clone()),
        ("container.name", image.container.clone()),
    ];
    wit::Image {
        reference: match tags.last() {
            Some(tag) => tag.clone(),
            None => facts.pushed_image(&image.container).unwrap_or_default(),
        },
        name: image.container,
        build: Some(wit::Build {
            context: Some(build.context),
            dockerfile: build.dockerfile,
            target: build.target,
            args: build
                .args
                .into_iter()
                .map(|(name, text)| (name, value(text)))
                .collect(),
            labels: labels
                .into_iter()
                .map(|(key, value)| (format!("com.aws.copilot.image.{key}"), value))
                .collect(),
            platforms: image.platform.into_iter().collect(),
            tags,
            builder,
        }),
        registry: None,
        local_registry: None,
    }
}

fn position(place: Place) -> types::Position {
    types::Position {
        path: place.path,
        line: place.line,
        column: place.column,
        length: place.length,
    }
}

fn diagnostic(diagnostic: Diagnostic) -> types::Diagnostic {
    types::Diagnostic {
        severity: match diagnostic.severity {
            Severity::Warning => types::Severity::Warning,
            Severity::Error => types::Severity::Error,
        },
        code: diagnostic.code.to_owned(),
        message: diagnostic.message,
        at: diagnostic.at.map(position),
        help: diagnostic.help,
    }
}
