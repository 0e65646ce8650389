//! What policies say: first of the rendered documents, then of the finished plan. Both before any mutating call.

use super::{DeployError, Host};
use crate::capability::Stage;
use crate::plan::Plan;
use crate::report::{Event, Judged};
use crate::wit::policy::exports::plimsoll::deploy::policy::{Enforcement, Input, Planned};
use crate::wit::renderer::exports::plimsoll::deploy::renderer::Output;
use crate::wit::types::Context;

/// Judges the documents, before any server is contacted.
///
/// # Errors
/// `Violations` when a mandatory one is found; all are shown first.
pub async fn check_rendered(
    host: &Host,
    context: &Context,
    rendered: &Output,
) -> Result<Vec<Judged>, DeployError> {
    check(host, context, rendered, None).await
}

/// Judges the changes and effects of a plan.
///
/// # Errors
/// `Violations` when a mandatory one is found; all are shown first.
pub async fn check_plan(host: &Host, plan: &Plan) -> Result<Vec<Judged>, DeployError> {
    let planned = Planned {
        changes: plan.changes.clone(),
        effects: plan.effects().cloned().collect(),
    };
    let found = check(host, &plan.context, &plan.rendered, Some(planned)).await?;
    // What was said of the documents was said before.
    Ok(found
        .into_iter()
        .filter(|judged| judged.violation.address.is_none())
        .collect())
}

async fn check(
    host: &Host,
    context: &Context,
    rendered: &Output,
    planned: Option<Planned>,
) -> Result<Vec<Judged>, DeployError> {
    let mut found: Vec<Judged> = Vec::new();
    for plugin in &host.plugins.policies {
        let (loaded, session) = host.ready(plugin, Stage::Pure)?;
        let input = Input {
            context: host.context(context, plugin),
            documents: rendered.documents.clone(),
            planned: planned.clone(),
        };
        for violation in host.sandbox.check(&loaded, session, input).await? {
            let at = violation
                .address
                .as_ref()
                .and_then(|address| host.run.manifest_line(address, &violation.pointer));
            found.push(Judged {
                policy: plugin.name.clone(),
                violation,
                at,
            });
        }
    }
    let mandatory = found
        .iter()
        .filter(|judged| judged.violation.enforcement == Enforcement::Mandatory)
        .count();
    if mandatory > 0 {
        host.tell_judged(&found);
        return Err(DeployError::Violations(mandatory));
    }
    Ok(found)
}

impl Host {
    /// Shows what policies found, where no plan does.
    pub(super) fn tell_judged(&self, found: &[Judged]) {
        for judged in found {
            self.reporter.emit(&Event::Violation(judged));
        }
    }
}
