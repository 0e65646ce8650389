//! WIT values from ours, and back.

use super::bindings::exports::plimsoll::deploy::driver::{Proposal, Step};
use super::bindings::plimsoll::deploy::types::{
    self, CapError, Diagnostic, Effect, Severity, Value,
};
use super::bindings::plimsoll::deploy::{cloudformation, ecs, progress, s3};
use crate::call::{self, Moment, Promise};
use crate::cause::Cause;
use crate::deployment::{Deployment, DocumentError, Source, json, parse};
use crate::observed::Live;
use crate::plan;
use crate::rollout::{self, Rollout};
use crate::stack::Stack;
use crate::tree::{self, Line, State};

pub(super) fn proposal(proposal: plan::Proposal) -> Proposal {
    let note = proposal.note.map(|(message, help)| Diagnostic {
        severity: Severity::Note,
        code: "unchanged".to_owned(),
        message,
        at: None,
        help,
    });
    Proposal {
        steps: proposal.steps.iter().map(to_step).collect(),
        diagnostics: note.into_iter().collect(),
    }
}

fn to_step(step: &plan::Step) -> Step {
    Step {
        id: step.id.clone(),
        title: step.title.clone(),
        host: None,
        effects: step.task.promises().into_iter().map(effect).collect(),
        payload: json(&step.task),
    }
}

/// Back from the plan that was approved.
pub(super) fn step(step: &Step) -> Result<plan::Step, DocumentError> {
    Ok(plan::Step {
        id: step.id.clone(),
        title: step.title.clone(),
        task: parse(&step.id, &step.payload)?,
    })
}

fn effect(promise: &Promise) -> Effect {
    Effect {
        id: promise.id.clone(),
        operation: promise.call.operation(),
        subject: promise.subject.clone(),
        arguments: promise.call.arguments().to_string(),
        destructive: promise.is_destructive(),
        moment: match promise.moment {
            Moment::Always => types::Moment::Always,
            Moment::OnFailure => types::Moment::OnFailure,
        },
    }
}

/// A stack as it was read.
pub(super) fn live(state: cloudformation::StackState) -> Live {
    Live {
        stack: Some(stack(&state)),
        parameters: state.parameters.into_iter().collect(),
        tags: state.tags.into_iter().collect(),
        template: None,
        addons: None,
    }
}

pub(super) fn stack(state: &cloudformation::StackState) -> Stack {
    Stack {
        id: state.id.clone(),
        status: state.status.clone(),
        reason: state.reason.clone(),
        changed: state.changed,
    }
}

pub(super) fn object(object: &call::Object) -> s3::Object {
    s3::Object {
        bucket: object.bucket.clone(),
        key: object.key.clone(),
        source: match &object.source {
            Source::Document(address) => s3::Source::Document(address.clone()),
            Source::File(path) => s3::Source::File(path.clone()),
            Source::Archive(path) => s3::Source::Archive(path.clone()),
            Source::Function(id) => s3::Source::Function(id.clone()),
        },
        content_type: object.content_type.clone(),
    }
}

pub(super) fn change_set(input: &call::ChangeSet) -> cloudformation::ChangeSet {
    let template: Value = vec![types::Part::Slot(input.template.slot.clone())];
    cloudformation::ChangeSet {
        name: input.name.clone(),
        kind: match input.kind {
            call::Kind::Create => cloudformation::Kind::Create,
            call::Kind::Update => cloudformation::Kind::Update,
        },
        template,
        inputs: input.inputs.clone(),
        capabilities: input.capabilities.clone(),
        role: input.role.clone(),
    }
}

pub(super) fn event(event: cloudformation::Event) -> tree::Event {
    tree::Event {
        id: event.id,
        time: event.time,
        resource: event.resource_id,
        physical: event.physical_id,
        kind: event.resource_type,
        status: event.status,
        reason: event.reason,
    }
}

pub(super) fn rollout(state: ecs::ServiceState, stopped: Vec<ecs::Task>) -> Rollout {
    let deployments = state
        .deployments
        .into_iter()
        .map(|one| rollout::Deployment {
            status: one.status,
            rollout: one.rollout,
            reason: one.reason,
            revision: one.revision,
            desired: one.desired,
            running: one.running,
            pending: one.pending,
            failed: one.failed,
            updated: one.updated,
        });
    let messages = state.events.into_iter().map(|event| rollout::Message {
        time: event.time,
        text: event.message,
    });
    Rollout {
        deployments: deployments.collect(),
        messages: messages.collect(),
        stopped: stopped.into_iter().map(task).collect(),
        alarms: state.alarms,
    }
}

fn task(task: ecs::Task) -> rollout::Task {
    let containers = task.containers.into_iter().map(|one| rollout::Container {
        name: one.name,
        exit_code: one.exit_code,
        reason: one.reason,
    });
    rollout::Task {
        id: task.id,
        status: task.status,
        desired: task.desired_status,
        stopped: task.stopped,
        reason: task.reason,
        code: task.code,
        revision: task.revision,
        containers: containers.collect(),
    }
}

/// A line of the tree.
pub(super) fn item(line: Line, deployment: &Deployment) -> progress::Item {
    let about = line
        .resource
        .as_ref()
        .map(|resource| place(&format!("/Resources/{resource}"), deployment));
    progress::Item {
        about,
        id: line.id,
        parent: line.parent,
        text: line.text,
        state: match line.state {
            State::Waiting => progress::State::Waiting,
            State::Running => progress::State::Running,
            State::Succeeded => progress::State::Succeeded,
            State::Failed => progress::State::Failed,
            State::Undone => progress::State::Undone,
        },
        status: line.status,
        elapsed: line.elapsed,
        reasons: line.reasons,
        tables: Vec::new(),
    }
}

pub(super) fn tables(rollout: &Rollout) -> Vec<progress::Table> {
    let table = |table: rollout::Table| progress::Table {
        title: table.title,
        columns: table.columns,
        rows: table.rows,
    };
    rollout.tables().into_iter().map(table).collect()
}

/// The place in the workload's template that a cause points to.
pub(super) fn of_cause(cause: &Cause, deployment: &Deployment) -> Option<progress::Place> {
    let pointer = cause.pointer.as_ref()?;
    Some(place(pointer, deployment))
}

fn place(pointer: &str, deployment: &Deployment) -> progress::Place {
    progress::Place {
        address: format!("stack/{}", deployment.workload),
        pointer: pointer.to_owned(),
    }
}

/// An error in words; hints are on lines of their own.
pub(super) fn words(error: &CapError) -> String {
    match error {
        CapError::Denied(denial) => format!(
            "not granted: {}\nhint: grant it with `{}`",
            denial.request, denial.rule
        ),
        CapError::NotPlanned(what) => format!("not in the approved plan: {what}"),
        CapError::NotFound(what) => format!("not found: {what}"),
        CapError::Cancelled => "nothing more was begun".to_owned(),
        CapError::Remote(remote) => remote.message.clone(),
        CapError::Held(what)
        | CapError::Unavailable(what)
        | CapError::TimedOut(what)
        | CapError::Quota(what)
        | CapError::Other(what) => what.clone(),
    }
}
