//! WIT values from ours, and back.

use release::{Encoding, Part, Value};
use serde::Serialize;

use super::bindings::exports::plimsoll::deploy::driver::{Proposal, Step};
use super::bindings::plimsoll::deploy::docker;
use super::bindings::plimsoll::deploy::types::{
    self, CapError, Diagnostic, Document, Effect, Severity,
};
use crate::call::{ContainerSpec, Moment, Promise};
use crate::desired::{DocumentError, parse};
use crate::plan::{self, Note};
use crate::step;

pub(super) fn document(address: String, media_type: &str, body: &impl Serialize) -> Document {
    Document {
        address,
        media_type: media_type.to_owned(),
        body: json(body),
    }
}

pub(super) fn proposal(proposal: plan::Proposal) -> Proposal {
    Proposal {
        steps: proposal.steps.iter().map(to_step).collect(),
        diagnostics: proposal.notes.into_iter().map(diagnostic).collect(),
    }
}

fn to_step(step: &step::Step) -> Step {
    Step {
        id: step.id.clone(),
        title: step.title.clone(),
        host: step.host.clone(),
        effects: step.promises().into_iter().map(effect).collect(),
        payload: json(&step.task),
    }
}

/// Back from the plan that was approved.
pub(super) fn step(step: &Step) -> Result<step::Step, DocumentError> {
    Ok(step::Step {
        id: step.id.clone(),
        title: step.title.clone(),
        host: step.host.clone(),
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

fn diagnostic(note: Note) -> Diagnostic {
    Diagnostic {
        severity: Severity::Warning,
        code: note.code.to_owned(),
        message: note.message,
        at: None,
        help: note.help,
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value)
        .expect("text, numbers, lists and maps with text keys always serialise")
}

pub(super) fn value(value: &Value) -> types::Value {
    let part = |part: &Part| match part {
        Part::Text(text) => types::Part::Text(text.clone()),
        Part::Secret(name, encoding) => types::Part::Secret(secret(name, *encoding)),
        Part::Slot(name) => types::Part::Slot(name.clone()),
        Part::Remote(expansion) => types::Part::Remote(types::Expansion {
            text: expansion.text.clone(),
            command: expansion.command,
            split: expansion.split,
        }),
        Part::Inherit(name) => types::Part::Inherit(name.clone()),
        Part::File(file) => types::Part::File(types::FileRef {
            path: file.path.clone(),
            digest: file.digest.clone(),
            accessory: file.accessory.clone(),
        }),
    };
    value.parts().iter().map(part).collect()
}

pub(super) fn secret(name: &str, encoding: Encoding) -> types::SecretRef {
    let encoding = match encoding {
        Encoding::Verbatim => types::Encoding::Verbatim,
        Encoding::EnvFile => types::Encoding::EnvFile,
    };
    types::SecretRef {
        name: name.to_owned(),
        encoding,
    }
}

pub(super) fn values(env: &[(String, Value)]) -> Vec<(String, types::Value)> {
    env.iter()
        .map(|(name, text)| (name.clone(), value(text)))
        .collect()
}

pub(super) fn credentials(credentials: &release::Credentials) -> docker::Credentials {
    docker::Credentials {
        server: credentials.server.clone(),
        username: value(&credentials.username),
        password: value(&credentials.password),
    }
}

pub(super) fn spec(spec: &ContainerSpec) -> docker::ContainerSpec {
    let port = |port: &crate::call::PublishedPort| docker::Port {
        host_ip: port.host_ip.clone(),
        host_port: port.host_port,
        container_port: port.container_port,
        protocol: port.protocol.clone(),
    };
    let words = |words: &Vec<Value>| words.iter().map(value).collect();
    docker::ContainerSpec {
        name: spec.name.clone(),
        image: spec.image.clone(),
        hostname: spec.hostname.clone(),
        command: spec.command.as_ref().map(words),
        env: values(&spec.env),
        labels: values(&spec.labels),
        ports: spec.ports.iter().map(port).collect(),
        volumes: words(&spec.volumes),
        networks: spec.networks.clone(),
        restart: spec.restart.clone(),
        log: docker::LogConfig {
            driver: spec.log.driver.as_ref().map(value),
            options: values(&spec.log.options),
        },
        options: values(&spec.options),
    }
}

/// An error in words, for where several are told together.
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
        CapError::Held(what) => format!("the deploy lock is taken: {what}"),
        CapError::Unavailable(what)
        | CapError::TimedOut(what)
        | CapError::Quota(what)
        | CapError::Other(what) => what.clone(),
    }
}
