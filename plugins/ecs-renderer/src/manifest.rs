//! The manifest as a whole: its type, its substitutions, its environments.

use crate::diagnostic::{Findings, code, suggestion};
use crate::interpolate::{Variables, interpolate};
use crate::overlay::overlay;
use crate::schema::{self, Object, Shape};
use crate::yaml::{self, Data, Node};
use crate::{
    backend_service, load_balanced_web_service, request_driven_web_service, scheduled_job,
    static_site, worker_service,
};

/// The types of workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkloadType {
    /// Behind the environment's public load balancer.
    LoadBalancedWebService,
    /// Reachable inside the environment.
    BackendService,
    /// Works off queues.
    WorkerService,
    /// On App Runner.
    RequestDrivenWebService,
    /// Files behind CloudFront.
    StaticSite,
    /// Runs when its schedule says so.
    ScheduledJob,
}

impl WorkloadType {
    /// All types.
    pub const ALL: [WorkloadType; 6] = [
        WorkloadType::LoadBalancedWebService,
        WorkloadType::BackendService,
        WorkloadType::WorkerService,
        WorkloadType::RequestDrivenWebService,
        WorkloadType::StaticSite,
        WorkloadType::ScheduledJob,
    ];

    /// As manifests call it.
    pub fn name(self) -> &'static str {
        match self {
            WorkloadType::LoadBalancedWebService => "Load Balanced Web Service",
            WorkloadType::BackendService => "Backend Service",
            WorkloadType::WorkerService => "Worker Service",
            WorkloadType::RequestDrivenWebService => "Request-Driven Web Service",
            WorkloadType::StaticSite => "Static Site",
            WorkloadType::ScheduledJob => "Scheduled Job",
        }
    }

    /// What its template is described as.
    pub fn description(self) -> &'static str {
        match self {
            WorkloadType::LoadBalancedWebService => {
                "An ECS service behind a load balancer, rendered by plimsoll from a Copilot manifest."
            }
            WorkloadType::BackendService => {
                "An ECS service inside its environment, rendered by plimsoll from a Copilot manifest."
            }
            WorkloadType::WorkerService => {
                "An ECS service that works off queues, rendered by plimsoll from a Copilot manifest."
            }
            WorkloadType::RequestDrivenWebService => {
                "An App Runner service, rendered by plimsoll from a Copilot manifest."
            }
            WorkloadType::StaticSite => {
                "A static site on S3 and CloudFront, rendered by plimsoll from a Copilot manifest."
            }
            WorkloadType::ScheduledJob => {
                "A scheduled ECS task, rendered by plimsoll from a Copilot manifest."
            }
        }
    }

    /// True for jobs.
    pub fn is_job(self) -> bool {
        self == WorkloadType::ScheduledJob
    }

    /// Keys of its manifest.
    pub(crate) fn shape(self) -> &'static Object {
        match self {
            WorkloadType::LoadBalancedWebService => &load_balanced_web_service::SHAPE,
            WorkloadType::BackendService => &backend_service::SHAPE,
            WorkloadType::WorkerService => &worker_service::SHAPE,
            WorkloadType::RequestDrivenWebService => &request_driven_web_service::SHAPE,
            WorkloadType::StaticSite => &static_site::SHAPE,
            WorkloadType::ScheduledJob => &scheduled_job::SHAPE,
        }
    }
}

/// A manifest with its environment applied.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Its type.
    pub kind: WorkloadType,
    /// Base and environment, merged.
    pub root: Node,
    /// The text after substitution.
    pub text: String,
}

/// Reads a manifest for one environment. `None` if it is too broken to go on.
pub fn read(
    text: &str,
    file: u16,
    directory: &str,
    variables: &Variables<'_>,
    findings: &mut Findings,
) -> Option<Manifest> {
    let mut root = match yaml::parse(text, file) {
        Ok(root) => root,
        Err(error) => {
            findings.coded(code::SYNTAX).error(
                error.span,
                format!("the manifest is not YAML: {}", error.message),
                "",
            );
            return None;
        }
    };
    let text = interpolate(&mut root, text, variables, findings);
    let Data::Map(_) = &root.data else {
        findings.error(
            root.span,
            "the manifest must be a map",
            "it begins with `name:` and `type:`",
        );
        return None;
    };
    check_name(&root, directory, findings);
    let kind = read_type(&root, findings)?;
    if findings.failed() {
        return None;
    }
    let shape = Shape::Object(kind.shape());
    schema::check(&mut root, &shape, "", findings);
    let overrides = check_environments(&mut root, &shape, variables.environment, findings);
    let root = match overrides {
        Some(over) => overlay(root, &over, &shape),
        None => root,
    };
    Some(Manifest { kind, root, text })
}

fn check_name(root: &Node, directory: &str, findings: &mut Findings) {
    match root.text_at("name") {
        None => findings.error(
            root.span,
            "`name` must be specified",
            format!("write `name: {directory}`"),
        ),
        Some(name) if name.value != directory => findings.error(
            name.span,
            format!(
                "name of the manifest `{}` and directory `{directory}` do not match",
                name.value
            ),
            "rename one of them",
        ),
        Some(_) => {}
    }
}

fn read_type(root: &Node, findings: &mut Findings) -> Option<WorkloadType> {
    let names = WorkloadType::ALL.map(WorkloadType::name);
    let Some(found) = root.text_at("type") else {
        findings.error(
            root.span,
            "`type` must be specified",
            format!("write one of {}", names.join(", ")),
        );
        return None;
    };
    let kind = WorkloadType::ALL
        .into_iter()
        .find(|kind| kind.name() == found.value);
    if kind.is_none() {
        let help = match suggestion(&found.value, names) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("write one of {}", names.join(", ")),
        };
        findings.error(
            found.span,
            format!("invalid manifest type `{}`", found.value),
            help,
        );
    }
    kind
}

/// Checks every environment's section and returns the one that applies.
fn check_environments(
    root: &mut Node,
    shape: &Shape,
    environment: &str,
    findings: &mut Findings,
) -> Option<Node> {
    let base_http_is_map = root.get("http").is_some_and(|h| h.entries().is_some());
    let base_exec = root.get("exec").and_then(Node::boolean) == Some(true);
    let Data::Map(entries) = &mut root.data else {
        return None;
    };
    let index = entries.iter().position(|(k, _)| k.text == "environments")?;
    let (_, mut environments) = entries.remove(index);
    if environments.is_null() {
        return None;
    }
    let Data::Map(sections) = &mut environments.data else {
        findings.error(
            environments.span,
            "`environments` must be a map",
            "write the environment's name, then its fields",
        );
        return None;
    };
    let mut applies = None;
    for (key, section) in sections.iter_mut() {
        schema::check(
            section,
            shape,
            &format!("environments.{}", key.text),
            findings,
        );
        if key.text == environment {
            let mut section = section.clone();
            if base_http_is_map {
                drop_http_true(&mut section);
            }
            if base_exec {
                drop_exec_disabled(&mut section, findings);
            }
            applies = Some(section);
        }
    }
    applies
}

/// `http: true` switches on what the base describes. (Copilot forgets the base instead, and renders a broken stack.)
fn drop_http_true(section: &mut Node) {
    if let Data::Map(entries) = &mut section.data {
        entries.retain(|(k, v)| !(k.text == "http" && v.boolean() == Some(true)));
    }
}

/// `exec: {enable: false}` does not undo the base's `exec: true`: existing stacks have it so.
fn drop_exec_disabled(section: &mut Node, findings: &mut Findings) {
    let Data::Map(entries) = &mut section.data else {
        return;
    };
    entries.retain(|(key, value)| {
        let disabled = key.text == "exec" && value.boolean_at("enable").is_some_and(|e| !e.value);
        if disabled {
            findings.warn(
                value.span,
                "`exec.enable: false` does not switch off the `exec: true` outside of `environments`",
                "write `exec: false`",
            );
        }
        !disabled
    });
}
