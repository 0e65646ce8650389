//! Doing it: the driver with powers to write, cut to the approved plan.

use std::convert::Infallible;
use std::sync::Mutex;

use super::recovery::Recovery;
use super::{DeployError, Host, Request};
use crate::capability::Stage;
use crate::interrupt::Level;
use crate::plan::{BoundPlan, Plan, Promises};
use crate::report::{Event, Verdict};
use crate::wit::driver::exports::plimsoll::deploy::driver::{Outcome, Partial};
use crate::wit::types::{Context, Severity};

/// Carries out a bound plan. Whatever happens, the lock is given back before this returns.
///
/// # Errors
/// What was left undone, and what runs where.
pub async fn drive(
    request: &Request,
    host: &Host,
    bound: BoundPlan,
) -> Result<Verdict, DeployError> {
    host.stage("apply", "Carrying out the plan");
    host.interrupt.begin_applying();
    host.run.approve(&bound.plan().rendered.documents);
    for (slot, digest) in bound.slots() {
        host.run.fill(slot.clone(), digest.clone());
    }
    let result = tokio::select! {
        result = apply(host, bound.plan()) => result,
        never = settling(host) => match never {},
    };
    host.interrupt.end_patience();
    for stuck in host.run.release_locks().await {
        host.run.note(
            Severity::Error,
            format!("failed to give back the deploy lock {stuck}"),
        );
    }
    let outcome = result
        .map_err(|error| recoverable(request, bound.plan(), error))
        .inspect_err(|error| tell(host, error))
        .map_err(|error| interrupted(host, error))?;
    match request.asked["raw"].as_bool() {
        Some(true) => {
            for report in &outcome.reports {
                host.reporter.data(&report.lines.join("\n"));
            }
        }
        Some(false) | None => host.tell_reports(&outcome.reports),
    }
    Ok(host.done(request, bound.plan(), &outcome))
}

/// Says, once, what the first Ctrl-C does.
async fn settling(host: &Host) -> Infallible {
    host.interrupt.reached(Level::Settle).await;
    host.run.note(
        Severity::Warning,
        "interrupted: nothing new is begun, and what is under way ends; again to stop at once"
            .to_owned(),
    );
    std::future::pending().await
}

/// A failure after Ctrl-C is an interruption, whatever else it is.
fn interrupted(host: &Host, error: DeployError) -> DeployError {
    match (host.interrupt.level(), &error) {
        (Level::No, _) => error,
        (Level::Settle, DeployError::Interrupted(_)) => {
            DeployError::Interrupted("; nothing was changed".to_owned())
        }
        (Level::Settle, _) => DeployError::Interrupted(format!("; {error}")),
        (Level::Stop, _) => DeployError::Interrupted("; what was under way may go on".to_owned()),
    }
}

async fn apply(host: &Host, plan: &Plan) -> Result<Outcome, DeployError> {
    let plugin = &host.plugins.driver;
    let promises = Promises::of(plan.effects()).map_err(|why| DeployError::Plan {
        plugin: plugin.name.clone(),
        why,
    })?;
    let (loaded, session) = host.ready(plugin, Stage::Applying(Mutex::new(promises)))?;
    let applying = host.sandbox.apply(
        &loaded,
        session,
        host.context(&plan.context, plugin),
        plan.rendered.documents.clone(),
        plan.steps.clone(),
    );
    applying.await?.map_err(DeployError::from_failure)
}

/// The failure with what can be done about it.
fn recoverable(request: &Request, plan: &Plan, error: DeployError) -> DeployError {
    match error {
        DeployError::Partial(partial, _) => {
            let recovery = Recovery::of(request, &plan.context.version, &partial.leftovers);
            DeployError::Partial(partial, Box::new(recovery))
        }
        other => other,
    }
}

/// What a person needs to know about something half done.
fn tell(host: &Host, error: &DeployError) {
    if let DeployError::Partial(
        Partial {
            details, leftovers, ..
        },
        recovery,
    ) = error
    {
        if !details.is_empty() {
            host.reporter.emit(&Event::Detail {
                title: "what it said",
                lines: details,
            });
        }
        let left: Vec<String> = leftovers
            .iter()
            .map(|left| format!("{}: {}", left.host, left.state))
            .collect();
        for (title, lines) in [
            ("what runs where", left),
            ("what can be done now", recovery.lines()),
        ] {
            if !lines.is_empty() {
                host.reporter.emit(&Event::Detail {
                    title,
                    lines: &lines,
                });
            }
        }
    }
    let in_doubt = host.run.in_doubt();
    if !in_doubt.is_empty() {
        host.reporter.emit(&Event::Detail {
            title: "not known to have ended",
            lines: &in_doubt,
        });
    }
}

impl Host {
    fn done(&self, request: &Request, plan: &Plan, outcome: &Outcome) -> Verdict {
        let output = |name: &str| {
            outcome
                .outputs
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.as_str())
        };
        let hosts: Vec<String> = output("hosts")
            .unwrap_or_default()
            .split(',')
            .filter(|host| !host.is_empty())
            .map(str::to_owned)
            .collect();
        let undo = output("previous-version")
            .map(|version| request.again.line(&["deploy", "-P", "--version", version]));
        let version = output("version")
            .unwrap_or(&plan.context.version)
            .to_owned();
        // A driver that deployed nothing says in its own words what it did.
        let mut text = match hosts.is_empty() {
            true => outcome.summary.clone(),
            false => format!("deployed {version} to {}", hosts.join(", ")),
        };
        for (name, value) in &outcome.outputs {
            if !matches!(
                name.as_str(),
                "hosts" | "previous-version" | "version" | "status" | "stack"
            ) {
                text.push_str(&format!(", {name} {value}"));
            }
        }
        Verdict {
            hosts,
            undo,
            version,
            outputs: outcome.outputs.clone(),
            ..self.verdict(text, &plan.context)
        }
    }

    pub(super) fn verdict(&self, text: String, context: &Context) -> Verdict {
        let version = context.version.clone();
        Verdict {
            ok: true,
            text,
            version,
            hosts: Vec::new(),
            took: self.reporter.elapsed(),
            undo: None,
            outputs: Vec::new(),
        }
    }

    pub(super) fn nothing_to_do(&self, plan: &Plan) -> Verdict {
        let text = format!(
            "nothing to do: {} runs already, as configured",
            plan.context.version
        );
        Verdict {
            outputs: vec![("status".to_owned(), "unchanged".to_owned())],
            ..self.verdict(text, &plan.context)
        }
    }

    pub(super) fn planned(&self, plan: &Plan) -> Verdict {
        let (steps, effects) = (plan.steps.len(), plan.effects().count());
        self.verdict(
            format!(
                "planned {}: {steps} steps, {effects} privileged calls; nothing was changed",
                plan.context.version
            ),
            &plan.context,
        )
    }
}
