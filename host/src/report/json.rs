//! Events as JSON: one document per line, each with `schema` and `event`.

use std::path::Path;

use serde_json::{Value as Json, json};

use super::{Event, JSON_SCHEMA, Judged};
use crate::plan::{Plan, describe};
use crate::wit::policy::exports::plimsoll::deploy::policy::Enforcement;
use crate::wit::progress::Phase;
use crate::wit::types::{Action, Change, Effect, Moment, Position, Severity};

/// The document of what changed in a tree.
pub(super) fn tree(run: &Path, items: &[Json]) -> Json {
    let run = run.file_stem().map(|name| name.to_string_lossy());
    json!({"schema": JSON_SCHEMA, "event": "tree", "run": run, "items": items})
}

/// The document of an event.
pub(super) fn line(event: &Event<'_>) -> Option<Json> {
    let (name, mut body) = match event {
        Event::Stage { name, text } => ("stage", json!({"stage": name, "text": text})),
        Event::Note {
            severity: level,
            message,
        } => (
            "note",
            json!({"severity": severity(*level), "message": message}),
        ),
        Event::Finding(finding) => {
            let d = &finding.diagnostic;
            let at = d.at.as_ref().map(position);
            (
                "finding",
                json!({"severity": severity(d.severity), "code": d.code, "message": d.message, "at": at, "help": d.help}),
            )
        }
        Event::Violation(judged) => ("violation", violation(judged)),
        Event::Plan { plan, violations } => ("plan", plan_document(plan, violations)),
        Event::Difference(text) => ("difference", json!({"text": text})),
        Event::Line { subject, line } => ("line", json!({"subject": subject, "line": line})),
        Event::Progress {
            step,
            host,
            phase: state,
            message,
        } => (
            "progress",
            json!({"step": step, "host": host, "phase": phase(*state), "message": message}),
        ),
        // Told by the reporter, who knows what changed.
        Event::Tree { .. } => return None,
        Event::Detail { title, lines } => ("detail", json!({"title": title, "lines": lines})),
        Event::Report { host, title, lines } => (
            "report",
            json!({"host": host, "title": title, "lines": lines}),
        ),
        Event::Verdict(verdict) => (
            "verdict",
            json!({
                "ok": verdict.ok,
                "text": verdict.text,
                "version": verdict.version,
                "hosts": verdict.hosts,
                "seconds": (verdict.took.as_secs_f64() * 1000.0).round() / 1000.0,
                "undo": verdict.undo,
                "outputs": verdict.outputs.iter().cloned().collect::<std::collections::BTreeMap<String, String>>(),
            }),
        ),
    };
    let object = body.as_object_mut()?;
    let mut document = serde_json::Map::new();
    document.insert("schema".to_owned(), json!(JSON_SCHEMA));
    document.insert("event".to_owned(), json!(name));
    document.append(object);
    Some(Json::Object(document))
}

/// The document of an error that ends a run.
pub(super) fn error(message: &str, hints: &[String]) -> Json {
    json!({"schema": JSON_SCHEMA, "event": "error", "message": message, "hints": hints})
}

/// Changes as one document.
pub fn changes(changes: &[Change]) -> Json {
    json!({"schema": JSON_SCHEMA, "changes": changes.iter().map(change).collect::<Vec<_>>()})
}

fn plan_document(plan: &Plan, violations: &[Judged]) -> Json {
    let steps: Vec<Json> = plan
        .steps
        .iter()
        .map(|step| json!({"id": step.id, "title": step.title, "host": step.host, "effects": step.effects.iter().map(effect).collect::<Vec<_>>()}))
        .collect();
    json!({
        "digest": plan.digest(),
        "version": plan.context.version,
        "environment": plan.context.environment,
        "images": plan.rendered.images.iter().map(|image| json!({"reference": image.reference, "text": describe::image(image), "builds": image.build.is_some()})).collect::<Vec<_>>(),
        "changes": plan.changes.iter().map(change).collect::<Vec<_>>(),
        "violations": violations.iter().map(violation).collect::<Vec<_>>(),
        "steps": steps,
    })
}

fn effect(effect: &Effect) -> Json {
    let moment = match effect.moment {
        Moment::Always => "always",
        Moment::OnFailure => "on-failure",
    };
    json!({
        "id": effect.id,
        "operation": effect.operation,
        "subject": effect.subject,
        "text": describe::effect(effect),
        "arguments": parsed(&effect.arguments),
        "destructive": effect.destructive,
        "moment": moment,
    })
}

fn change(change: &Change) -> Json {
    let action = match change.action {
        Action::Create => "create",
        Action::Update => "update",
        Action::Delete => "delete",
    };
    let side = |text: &Option<String>| text.as_deref().map(parsed);
    json!({"address": change.address, "action": action, "pointer": change.pointer, "before": side(&change.before), "after": side(&change.after)})
}

fn violation(judged: &Judged) -> Json {
    let v = &judged.violation;
    let enforcement = match v.enforcement {
        Enforcement::Advisory => "advisory",
        Enforcement::Mandatory => "mandatory",
    };
    json!({
        "policy": judged.policy, "enforcement": enforcement, "rule": v.rule, "message": v.message,
        "address": v.address, "pointer": v.pointer, "at": judged.at, "help": v.help,
    })
}

fn parsed(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

fn position(at: &Position) -> Json {
    json!({"path": at.path, "line": at.line, "column": at.column, "length": at.length})
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Started => "started",
        Phase::Running => "running",
        Phase::Succeeded => "succeeded",
        Phase::Failed => "failed",
        Phase::Skipped => "skipped",
    }
}
