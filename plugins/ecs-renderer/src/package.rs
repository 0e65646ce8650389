//! The whole render: files and facts in, template and findings out.

use crate::addons::Addons;
use crate::cfn::explain::{Origin, origins};
use crate::cfn::{Value, print};
use crate::diagnostic::{Diagnostic, Findings, Severity, Sources};
use crate::facts::Facts;
use crate::handover;
use crate::image::Build;
use crate::interpolate::Variables;
use crate::manifest::{self, Manifest, WorkloadType};
use crate::patches::{self, File};
use crate::scope::Scope;
use crate::stack::Stack;
use crate::yaml::{self, At, Node, Span};
use crate::{
    backend_service, deployed, load_balanced_web_service, request_driven_web_service,
    scheduled_job, static_site, worker_service,
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What is rendered.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The workload, also the name of its directory below `copilot/`.
    pub workload: &'a str,
    /// The environment.
    pub environment: &'a str,
    /// The manifest.
    pub manifest: &'a File,
    /// What lies in `addons/`.
    pub addons: &'a [File],
    /// What lies in `overrides/`.
    pub overrides: &'a [File],
    /// Values for `${…}`.
    pub variables: &'a BTreeMap<String, String>,
    /// The project's files, and folders with a slash at their end, if they are known: a static site's sources are looked
    /// up here.
    pub paths: Option<&'a BTreeSet<String>>,
    /// The facts.
    pub facts: &'a Facts,
    /// Warnings are errors.
    pub strict: bool,
}

/// What comes out.
#[derive(Clone, Debug)]
pub struct Package {
    /// The workload's type.
    pub kind: WorkloadType,
    /// The template, YAML.
    pub template: String,
    /// `{"Parameters": …, "Tags": …}`, JSON without a final line break.
    pub parameters: String,
    /// The addons template, YAML.
    pub addons: Option<String>,
    /// Images to build and push first.
    pub images: Vec<ContainerImage>,
    /// Environment files to upload first.
    pub env_files: Vec<EnvFile>,
    /// Files of a static site to upload first; sorted, none twice.
    pub site_files: Vec<SiteFile>,
    /// What is copied where in a static site, JSON; only for a deployment.
    pub mapping: Option<String>,
    /// Where the workload belongs and what is uploaded for it, JSON; only for a deployment.
    pub handover: Option<String>,
    /// Warnings.
    pub warnings: Vec<Diagnostic>,
    /// Which manifest line made which property.
    pub origins: Vec<Origin>,
}

/// An image that the deployment needs and that does not exist yet.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerImage {
    /// Container; the key of [`Facts::images`].
    pub container: String,
    /// How it is built.
    pub build: Build,
    /// `linux/arm64`, if the manifest says what it runs on.
    pub platform: Option<String>,
}

/// A file of environment variables that the deployment needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvFile {
    /// Container; the key of [`Facts::env_files`].
    pub container: String,
    /// Path from the project's root.
    pub path: String,
}

/// A path of the project without `.`, `..` and empty parts.
pub(crate) fn clean_path(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// A file that a static site serves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SiteFile {
    /// Path from the project's root.
    pub path: String,
    /// Key in the site's bucket.
    pub destination: String,
    /// Media type by the extension; empty if it is not known.
    pub content_type: String,
}

#[derive(Serialize)]
struct ParametersFile {
    #[serde(rename = "Parameters")]
    parameters: BTreeMap<String, String>,
    #[serde(rename = "Tags")]
    tags: BTreeMap<String, String>,
}

/// Renders a workload for an environment, or says everything that stands against it.
pub fn package(request: &Request<'_>) -> Result<Package, Vec<Diagnostic>> {
    let mut sources = Sources::default();
    let mut findings = Findings::default();
    let file = sources.add(&request.manifest.path, &request.manifest.text);
    let rendered = render(request, file, &mut sources, &mut findings);
    if request.strict {
        findings.harden();
    }
    let failed = findings.failed();
    let diagnostics = findings.finish(&sources);
    match rendered {
        Some(rendered) if !failed => Ok(Package {
            kind: rendered.kind,
            origins: origins(&rendered.template, &sources),
            template: print::yaml(&rendered.template),
            parameters: rendered.parameters,
            addons: rendered.addons,
            images: rendered.images,
            env_files: rendered.env_files,
            site_files: rendered.site_files,
            mapping: rendered.mapping,
            handover: rendered.handover,
            warnings: diagnostics
                .into_iter()
                .filter(|d| d.severity == Severity::Warning)
                .collect(),
        }),
        Some(_) | None => Err(diagnostics),
    }
}

struct Rendered {
    kind: WorkloadType,
    template: Value,
    parameters: String,
    addons: Option<String>,
    images: Vec<ContainerImage>,
    env_files: Vec<EnvFile>,
    site_files: Vec<SiteFile>,
    mapping: Option<String>,
    handover: Option<String>,
}

fn render(
    request: &Request<'_>,
    file: u16,
    sources: &mut Sources,
    findings: &mut Findings,
) -> Option<Rendered> {
    check_facts(request, findings);
    let variables = Variables {
        application: &request.facts.application.name,
        environment: request.environment,
        process: request.variables,
    };
    let addons = Addons::read(
        request.addons,
        request.workload,
        request.facts,
        sources,
        findings,
    );
    let manifest = manifest::read(
        &request.manifest.text,
        file,
        request.workload,
        &variables,
        findings,
    )?;
    let there = request.facts.deployed_addons.as_deref();
    let addons_text = addons.text().map(|text| deployed::keep_addons(text, there));
    let addons_here = addons_text.as_deref();
    let facts = &handover::prepare(
        request.facts,
        &manifest,
        request.workload,
        addons_here,
        findings,
    );
    let scope = Scope::new(facts, request.workload, manifest.kind, &addons);
    let mut stack = render_stack(&manifest, request, &scope, findings);
    for At { value: id, span } in std::mem::take(&mut stack.collisions) {
        findings.error(
            span,
            format!("two things of the manifest get the logical id `{id}`: only letters and digits of their names count"),
            "rename one of them",
        );
    }
    if findings.failed() {
        return None;
    }
    let file = ParametersFile {
        parameters: stack.values.clone(),
        tags: facts.tags(request.workload),
    };
    let parameters = serde_json::to_string_pretty(&file).unwrap_or_default();
    let images = std::mem::take(&mut stack.images);
    let env_files = std::mem::take(&mut stack.env_files);
    let site_files = std::mem::take(&mut stack.site_files);
    // What no field says is there because the type says so.
    let kind_span = manifest
        .root
        .get("type")
        .map(|t| t.span)
        .unwrap_or_default();
    let mut template = stack
        .template(
            manifest.kind.description(),
            &facts.template_version,
            manifest.text,
        )
        .at(kind_span);
    let deployed = deployed(facts, findings);
    if let Some(deployed) = &deployed {
        deployed::keep(&mut template, deployed, manifest.kind.name());
    }
    // After it: what the project wants of a text counts more than what is there.
    patches::apply(&mut template, request.overrides, sources, findings);
    let there = facts.deployed_parameters.as_ref();
    let same_values = there.is_none_or(|there| {
        let mut values = file.parameters.iter();
        values.all(|(name, value)| there.get(name) == Some(value))
    });
    if let Some(deployed) = deployed.as_ref().filter(|_| same_values) {
        deployed::keep_marks(&mut template, deployed);
    }
    let is_site = manifest.kind == WorkloadType::StaticSite && facts.deployment.is_some();
    let mapping = is_site.then(|| handover::mapping(&site_files, facts));
    let handover = handover::document(
        facts,
        request.workload,
        &handover::Rendered {
            kind: manifest.kind.name(),
            template: &template,
            addons: addons_here,
            assets: addons.uploads(),
            env_files: &env_files,
            site_files: &site_files,
            mapping: mapping.as_deref(),
            deployed: deployed.as_ref(),
        },
    );
    Some(Rendered {
        kind: manifest.kind,
        template,
        parameters,
        addons: addons_text,
        images,
        env_files,
        site_files,
        mapping,
        handover,
    })
}

fn render_stack(
    manifest: &Manifest,
    request: &Request<'_>,
    scope: &Scope<'_>,
    findings: &mut Findings,
) -> Stack {
    let root = &manifest.root;
    match manifest.kind {
        WorkloadType::LoadBalancedWebService => {
            load_balanced_web_service::render(root, scope, findings)
        }
        WorkloadType::BackendService => backend_service::render(root, scope, findings),
        WorkloadType::WorkerService => worker_service::render(root, scope, findings),
        WorkloadType::RequestDrivenWebService => {
            request_driven_web_service::render(root, scope, findings)
        }
        WorkloadType::StaticSite => static_site::render(root, scope, request.paths, findings),
        WorkloadType::ScheduledJob => scheduled_job::render(root, scope, findings),
    }
}

/// The deployed template. One that cannot be read is nothing to keep anything from.
fn deployed(facts: &Facts, findings: &mut Findings) -> Option<Node> {
    let text = facts.deployed_template.as_deref()?;
    let read = yaml::parse(text, 0);
    if let Err(error) = &read {
        findings.warn(
            Span::default(),
            format!("the deployed template cannot be read: {error}"),
            "its descriptions and function code are replaced by new ones",
        );
    }
    read.ok()
}

fn check_facts(request: &Request<'_>, findings: &mut Findings) {
    let known = &request.facts.environment.name;
    if known != request.environment {
        findings.error(
            Span::default(),
            format!(
                "the facts are about environment `{known}`, not `{}`",
                request.environment
            ),
            "gather the facts of the environment you deploy to",
        );
    }
}
