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
use crate::plan::Plan;
use crate::report::{Event, Verdict};

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
    let shown = match request.diff {
        true => Event::Difference(&plan.difference),
        false => Event::Plan {
            plan: &plan,
            violations: &judged,
        },
    };
    if request.shows_plan || request.diff {
        host.reporter.emit(&shown);
    }
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
