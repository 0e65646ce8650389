//! From what is deployed and what is wanted to steps. The same input gives the same steps.

use serde::{Deserialize, Serialize};

use crate::call::{Call, ChangeSet, Kind, Object, Promise, Uploaded};
use crate::deployment::{Desired, Request, Source};
use crate::observed::is_half_done;
use crate::stack::{Stack, Way, way};
use crate::template::Template;
use crate::version;

/// What templates of Copilot's kind may do: make roles, with names, and include transforms.
const CAPABILITIES: &[&str] = &[
    "CAPABILITY_IAM",
    "CAPABILITY_NAMED_IAM",
    "CAPABILITY_AUTO_EXPAND",
];
/// The upload that the change set takes its template from.
const TEMPLATE: &str = "template";

/// What a plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// What is wanted.
    pub desired: &'a Desired,
    /// The stack, if there is one.
    pub stack: Option<&'a Stack>,
    /// The deployed template.
    pub deployed: Option<&'a str>,
    /// What differs: address of the document, and pointer into it.
    pub changes: &'a [(String, String)],
    /// What was asked for.
    pub request: &'a Request,
    /// New for every plan.
    pub deployment_id: &'a str,
}

/// Effects that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Unique in the plan.
    pub id: String,
    /// For people.
    pub title: String,
    /// What it does: all that `apply` needs.
    pub task: Task,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "kebab-case")]
pub enum Task {
    /// Makes sure that the stack is as the plan assumed, and uploads what it needs.
    Upload {
        /// As it was observed.
        assumes: Option<Stack>,
        /// Uploads.
        puts: Vec<Promise>,
    },
    /// Uploads what a template refers to. No stack is looked at or changed.
    Store {
        /// Uploads.
        puts: Vec<Promise>,
    },
    /// Deletes a stack that never worked.
    Clear {
        /// Deletes it.
        delete: Promise,
    },
    /// Proposes changes.
    Propose {
        /// Proposes them.
        propose: Promise,
        /// Drops them, when there are none or they make no sense.
        drop: Promise,
    },
    /// Carries them out, and waits.
    Execute {
        /// Carries them out.
        execute: Promise,
        /// What is undone when the user asks for it.
        undo: Promise,
        /// The stack is new.
        creates: bool,
        /// Nobody waits.
        detach: bool,
    },
    /// Deploys the service again, unless it just was.
    Force {
        /// Deploys it; none for what has no service.
        force: Option<Promise>,
        /// Its logical id.
        service: Option<String>,
    },
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proposal {
    /// In order.
    pub steps: Vec<Step>,
    /// For people: why nothing is done.
    pub note: Option<(String, Option<String>)>,
}

/// The steps, none when nothing has to be done.
///
/// # Errors
/// In words, when it can't or must not be done.
pub fn plan(input: &Input<'_>) -> Result<Proposal, String> {
    let Input {
        desired, request, ..
    } = input;
    let deployment = &desired.deployment;
    let wanted = Template::read(&desired.template);
    if !request.allow_downgrade {
        let deployed = input.deployed.map(Template::read);
        let deployed = deployed.and_then(|template| template.version);
        let refusal = version::downgrade(
            &deployment.workload,
            deployed.as_deref(),
            wanted.version.as_deref(),
        );
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
    }
    if request.packages {
        return Ok(Proposal {
            steps: store(input),
            note: None,
        });
    }
    if request.force && deployment.kind == "Static Site" {
        return Err("--force is not supported for service type \"Static Site\"\nhint: leave it out; changed files are deployed without it".to_owned());
    }
    let way = way(input.stack, deployment, !request.no_rollback)?;
    let same = input.changes.iter().all(means_nothing);
    let mut proposal = Proposal::default();
    if !same || is_half_done(input.stack, way) {
        proposal.steps = change(input, way);
    } else if !request.force {
        let message = format!(
            "nothing to do: stack {} has this template, these parameters, tags and addons already",
            deployment.stack
        );
        let help = deployment
            .has_service()
            .then(|| "pass --force to start its tasks anew all the same".to_owned());
        proposal.note = Some((message, help));
    }
    if request.force {
        proposal.steps.push(force(input, &wanted));
    }
    Ok(proposal)
}

/// CloudFormation knows no change of a template's own metadata, and a document that only drivers read is none.
fn means_nothing((address, pointer): &(String, String)) -> bool {
    let metadata = pointer == "/Metadata" || pointer.starts_with("/Metadata/");
    (address.starts_with("stack/") && metadata) || address.starts_with("deployment/")
}

/// Uploads what the template and its parameters refer to.
fn store(input: &Input<'_>) -> Vec<Step> {
    let puts = uploads(input);
    let step = Step {
        id: "upload".to_owned(),
        title: format!(
            "upload what the template of {} refers to",
            input.desired.deployment.workload
        ),
        task: Task::Store { puts },
    };
    vec![step]
}

fn uploads(input: &Input<'_>) -> Vec<Promise> {
    let deployment = &input.desired.deployment;
    let uploads = deployment.uploads.iter().enumerate();
    uploads
        .map(|(number, upload)| {
            let object = Object {
                bucket: deployment.bucket.clone(),
                key: upload.key.clone(),
                source: upload.source.clone(),
                content_type: upload.content_type.clone(),
            };
            let id = format!("upload-{}", number + 1);
            Promise::always(id, &deployment.bucket, Call::Put { object })
        })
        .collect()
}

/// Uploads, then changes the stack.
fn change(input: &Input<'_>, way: Way) -> Vec<Step> {
    let deployment = &input.desired.deployment;
    let stack = deployment.stack.as_str();
    let name = format!("plimsoll-{}", input.deployment_id);
    let role = &deployment.execution_role;
    let mut puts = uploads(input);
    let template = Object {
        bucket: deployment.bucket.clone(),
        key: format!("manual/templates/{stack}/{{sha256}}.yml"),
        source: Source::Document(input.desired.address("stack")),
        content_type: None,
    };
    puts.push(Promise::always(
        TEMPLATE,
        &deployment.bucket,
        Call::Put { object: template },
    ));
    let step = |id: &str, title: String, task: Task| Step {
        id: id.to_owned(),
        title,
        task,
    };
    let mut steps = vec![step(
        "upload",
        format!("upload what stack {stack} needs"),
        Task::Upload {
            assumes: input.stack.cloned(),
            puts,
        },
    )];
    if way == Way::CreateAnew {
        let delete = Call::Delete { role: role.clone() };
        steps.push(step(
            "clear",
            format!("delete stack {stack}, whose creation failed"),
            Task::Clear {
                delete: Promise::always("clear", stack, delete),
            },
        ));
    }
    let creates = way != Way::Update;
    let kind = match creates {
        true => Kind::Create,
        false => Kind::Update,
    };
    let propose = ChangeSet {
        name: name.clone(),
        kind,
        template: Uploaded {
            slot: format!("uploaded/{TEMPLATE}"),
        },
        inputs: input.desired.address("parameters"),
        capabilities: CAPABILITIES.iter().map(|&name| name.to_owned()).collect(),
        role: role.clone(),
    };
    steps.push(step(
        "propose",
        format!("propose infrastructure changes for stack {stack}"),
        Task::Propose {
            propose: Promise::always("propose", stack, Call::Propose { input: propose }),
            drop: Promise::on_failure("drop", stack, Call::Drop { name: name.clone() }),
        },
    ));
    let undo = match creates {
        true => Call::Delete { role: role.clone() },
        false => Call::Cancel {},
    };
    let verb = match creates {
        true => "create",
        false => "update",
    };
    let rollback = !input.request.no_rollback;
    steps.push(step(
        "execute",
        format!("{verb} the infrastructure for stack {stack}"),
        Task::Execute {
            execute: Promise::always("execute", stack, Call::Execute { name, rollback }),
            undo: Promise::on_failure("undo", stack, undo),
            creates,
            detach: input.request.detach,
        },
    ));
    steps
}

/// Starts tasks anew.
fn force(input: &Input<'_>, wanted: &Template) -> Step {
    let deployment = &input.desired.deployment;
    let service = wanted.service().filter(|_| deployment.has_service());
    let title = match service {
        Some(_) => format!(
            "force an update for service {} from environment {}",
            deployment.workload, deployment.environment
        ),
        None => format!(
            "nothing to start anew: the next run of job {} takes what is configured",
            deployment.workload
        ),
    };
    let subject = |service: &str| format!("{}/{service}", deployment.stack);
    Step {
        id: "force".to_owned(),
        title,
        task: Task::Force {
            force: service.map(|id| Promise::always("force", &subject(id), Call::Force {})),
            service: service.map(str::to_owned),
        },
    }
}

impl Task {
    /// The calls it promises, in order.
    pub fn promises(&self) -> Vec<&Promise> {
        match self {
            Self::Upload { puts, .. } | Self::Store { puts } => puts.iter().collect(),
            Self::Clear { delete } => vec![delete],
            Self::Propose { propose, drop } => vec![propose, drop],
            Self::Execute { execute, undo, .. } => vec![execute, undo],
            Self::Force { force, .. } => force.iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests;
