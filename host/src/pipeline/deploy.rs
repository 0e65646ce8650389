//! The path of a deploy. What is diffed is what is driven; authority grows along the way: none, read, write.

use super::approve::approve;
use super::build::build;
use super::check::{check_plan, check_rendered};
use super::compare::compare;
use super::drive::drive;
use super::observe::{observe, plan_steps};
use super::render::render;
use super::version::context;
use super::{DeployError, Goal, Host, Request};
use crate::capability::aws::filled;
use crate::plan::Plan;
use crate::report::{Event, Judged, Verdict};
use crate::wit::renderer::exports::plimsoll::deploy::renderer::Output;
use crate::wit::types::{Context, Document};

/// Does what the request asks, as far as its goal goes.
///
/// # Errors
/// When it can't be done; what was changed by then is in the error.
pub async fn deploy(request: &Request, host: &Host) -> Result<Verdict, DeployError> {
    let context = context(request, host).await?;
    let rendered = render(request, host, &context).await?;
    if request.goal == Goal::Config {
        return Ok(host.shown(request, &rendered, &context));
    }
    let proposed = propose(host, request, context, rendered).await?;
    proposed.show(request, host);
    let plan = proposed.plan;
    if plan.is_empty() {
        return Ok(host.nothing_to_do(&plan));
    }
    if request.goal == Goal::Plan {
        return Ok(host.planned(&plan));
    }

    let approved = approve(request, host, plan)?;
    let bound = build(request, host, approved).await?;
    drive(request, host, bound).await
}

/// A plan, and what policies say of it.
pub struct Proposed {
    /// What would be done.
    pub plan: Plan,
    /// Advice; what must not be is an error.
    pub judged: Vec<Judged>,
}

/// From what was rendered to a plan: looks at what is there, compares, and asks for the steps.
///
/// # Errors
/// When a policy or the driver refuses, or something can't be looked at.
pub async fn propose(
    host: &Host,
    request: &Request,
    context: Context,
    rendered: Output,
) -> Result<Proposed, DeployError> {
    let mut judged = check_rendered(host, &context, &rendered).await?;
    let observed = observe(request, host, &context, &rendered).await?;
    let difference = compare(host, &context, &observed, &rendered).await?;
    let steps = plan_steps(host, &context, &observed, &rendered, &difference).await?;
    let plan = Plan::seal(
        context,
        rendered,
        observed,
        difference.changes,
        difference.text,
        steps,
    );
    judged.extend(check_plan(host, &plan).await?);
    Ok(Proposed { plan, judged })
}

impl Proposed {
    /// Shows it, as the request wants it shown.
    pub fn show(&self, request: &Request, host: &Host) {
        let shown = match request.diff {
            true => Event::Difference(&self.plan.difference),
            false => Event::Plan {
                plan: &self.plan,
                violations: &self.judged,
            },
        };
        match request.shows_plan || request.diff {
            true => host.reporter.emit(&shown),
            false => host.tell_judged(&self.judged),
        }
    }
}

/// Builds, pushes and uploads what a template refers to, as far as the driver's plan goes for that: the documents, with
/// the digests of what was pushed. Whoever asks for it has approved it.
///
/// # Errors
/// When it can't be done.
pub async fn upload(request: &Request, host: &Host) -> Result<Vec<Document>, DeployError> {
    let context = context(request, host).await?;
    let rendered = render(request, host, &context).await?;
    let plan = propose(host, request, context, rendered).await?.plan;
    let documents = plan.rendered.documents.clone();
    let approved = approve(request, host, plan)?;
    let bound = build(request, host, approved).await?;
    drive(request, host, bound).await?;
    let fill = |document: Document| {
        Ok(Document {
            body: filled(&host.run, &document.body).map_err(DeployError::Capability)?,
            ..document
        })
    };
    documents.into_iter().map(fill).collect()
}
