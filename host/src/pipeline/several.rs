//! Several workloads in one go: all are planned and shown, approved once and built, and then deployed group by group.
//! Those of a group are deployed at the same time; a group begins when everything before it has succeeded.

use futures::future::join_all;

use super::approve::consent;
use super::build::build;
use super::deploy::{Proposed, propose};
use super::drive::drive;
use super::render::render;
use super::version::context;
use super::{DeployError, Host, Request};
use crate::plan::{BoundPlan, Plan};
use crate::report::{Event, Verdict};

/// A workload that is ready to be deployed.
#[derive(Clone, Copy)]
pub struct One<'a> {
    /// Its name.
    pub name: &'a str,
    /// What is asked for.
    pub request: &'a Request,
    /// What does it.
    pub host: &'a Host,
}

/// What did not go well, of several.
#[derive(Debug)]
pub struct Failed {
    /// Which, and why.
    pub errors: Vec<(String, DeployError)>,
    /// What is deployed all the same, and what was not begun.
    pub rest: String,
    /// How to go on.
    pub next: Option<String>,
}

/// What is left to do of a workload that was approved.
enum Ready {
    Nothing(Box<Plan>),
    Bound(Box<BoundPlan>),
}

/// Deploys groups. `ended` is told how each workload that succeeded has ended; `again` says how to deploy what is left of
/// the groups.
///
/// # Errors
/// Before approval everything that stands against any of them; then what failed, and what was not begun because of that.
pub async fn deploy<'a>(
    groups: &[Vec<One<'a>>],
    ended: impl AsyncFn(&One<'a>, &Verdict) -> Result<(), DeployError>,
    again: impl Fn(&[Vec<&str>]) -> String,
) -> Result<(), DeployError> {
    let all: Vec<One<'a>> = groups.iter().flatten().copied().collect();
    let names: Vec<&str> = all.iter().map(|one| one.name).collect();
    let proposed = together(&names, join_all(all.iter().map(planned)).await)?;
    for (one, proposed) in all.iter().zip(&proposed) {
        show(one, proposed);
    }
    let ready = ready(&all, &names, proposed).await?;

    let mut ready = ready.into_iter();
    let mut done: Vec<&str> = Vec::new();
    for (number, group) in groups.iter().enumerate() {
        let work = group.iter().zip(ready.by_ref()).map(carry_out);
        let mut errors = Vec::new();
        let mut halted = Vec::new();
        for (one, result) in group.iter().zip(join_all(work).await) {
            let told = match &result {
                Ok(verdict) => ended(one, verdict).await,
                Err(_) => Ok(()),
            };
            match result.and_then(|verdict| told.map(|()| verdict)) {
                Ok(verdict) if goes_on(one, &verdict) => done.push(one.name),
                Ok(_) => halted.push(one.name),
                Err(error) => errors.push((one.name.to_owned(), error)),
            }
        }
        let later = groups.get(number + 1..).unwrap_or_default();
        if !errors.is_empty() || (!halted.is_empty() && !later.is_empty()) {
            let failed = errors.iter().map(|(name, _)| name.as_str());
            let mut left: Vec<Vec<&str>> = vec![failed.chain(halted.iter().copied()).collect()];
            left.extend(
                later
                    .iter()
                    .map(|group| group.iter().map(|one| one.name).collect()),
            );
            let next = again(&left);
            return Err(DeployError::Several(Box::new(Failed {
                rest: rest(&done, &halted, later),
                errors,
                next: Some(next),
            })));
        }
    }
    Ok(())
}

async fn planned(one: &One<'_>) -> Result<Proposed, DeployError> {
    let context = context(one.request, one.host).await?;
    let rendered = render(one.request, one.host, &context).await?;
    propose(one.host, one.request, context, rendered).await
}

/// One plan after the other, each below its name.
fn show(one: &One<'_>, proposed: &Proposed) {
    if !proposed.plan.is_empty() || one.request.diff {
        one.host.reporter.emit(&Event::Report {
            host: None,
            title: one.name,
            lines: &[],
        });
    }
    proposed.show(one.request, one.host);
}

/// Approved once, and built before anything is deployed: a build that fails leaves everything as it was.
async fn ready(
    all: &[One<'_>],
    names: &[&str],
    proposed: Vec<Proposed>,
) -> Result<Vec<Ready>, DeployError> {
    let plans: Vec<Plan> = proposed.into_iter().map(|proposed| proposed.plan).collect();
    let Some(first) = all.iter().zip(&plans).find(|(_, plan)| !plan.is_empty()) else {
        return Ok(plans
            .into_iter()
            .map(Box::new)
            .map(Ready::Nothing)
            .collect());
    };
    let consent = consent(first.0.request, first.0.host)?;
    let building = all.iter().zip(plans).map(async |(one, plan)| {
        if plan.is_empty() {
            return Ok(Ready::Nothing(Box::new(plan)));
        }
        let bound = build(one.request, one.host, plan.approve(consent)).await?;
        Ok(Ready::Bound(Box::new(bound)))
    });
    together(names, join_all(building).await)
}

async fn carry_out((one, ready): (&One<'_>, Ready)) -> Result<Verdict, DeployError> {
    match ready {
        Ready::Nothing(plan) => Ok(one.host.nothing_to_do(&plan)),
        Ready::Bound(bound) => drive(one.request, one.host, *bound).await,
    }
}

/// Whoever cancelled one, or left it, does not want the next group.
fn goes_on(one: &One<'_>, verdict: &Verdict) -> bool {
    let status = verdict.outputs.iter().find(|(key, _)| key == "status");
    match status.map(|(_, status)| status.as_str()) {
        Some("cancelled") => false,
        Some("detached") => one.request.asked["detach"] == true,
        Some(_) | None => true,
    }
}

fn rest(done: &[&str], halted: &[&str], later: &[Vec<One<'_>>]) -> String {
    let list = |words: &str, names: &[&str]| match names {
        [] => None,
        names => Some(format!("{words}: {}", names.join(", "))),
    };
    let later: Vec<&str> = later.iter().flatten().map(|one| one.name).collect();
    let deployed = list("deployed", done).unwrap_or_else(|| "nothing is deployed".to_owned());
    [
        Some(deployed),
        list("cancelled or left", halted),
        list("not begun", &later),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<String>>()
    .join("; ")
}

/// Everything, if everything went well; otherwise everything that did not. Nothing was changed by then.
///
/// # Errors
/// Of several names, together.
pub fn together<T>(
    names: &[&str],
    results: Vec<Result<T, DeployError>>,
) -> Result<Vec<T>, DeployError> {
    let (mut fine, mut errors) = (Vec::new(), Vec::new());
    for (name, result) in names.iter().zip(results) {
        match result {
            Ok(value) => fine.push(value),
            Err(error) => errors.push(((*name).to_owned(), error)),
        }
    }
    let count = errors.len();
    let mut findings = Vec::new();
    let mut others = Vec::new();
    for (name, error) in errors {
        match error {
            DeployError::Findings(found) => findings.extend(found),
            error => others.push((name, error)),
        }
    }
    match (count, others.pop()) {
        (0, _) => Ok(fine),
        (_, None) => Err(DeployError::Findings(findings)),
        (1, Some((_, only))) if names.len() == 1 => Err(only),
        (_, Some(last)) => {
            others.push(last);
            if !findings.is_empty() {
                others.push(("manifests".to_owned(), DeployError::Findings(findings)));
            }
            Err(DeployError::Several(Box::new(Failed {
                errors: others,
                rest: "nothing was changed".to_owned(),
                next: None,
            })))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(why: &str) -> Result<(), DeployError> {
        Err(DeployError::Refused(format!("{why}\nhint: cure {why}")))
    }

    #[test]
    fn all_that_stands_against_any_of_them_is_told_at_once() {
        assert!(together(&["a", "b"], vec![Ok(1), Ok(2)]).is_ok_and(|all| all == [1, 2]));
        let error = together(&["a", "b", "c"], vec![refused("x"), Ok(()), refused("y")])
            .expect_err("two of them");
        assert_eq!(error.to_string(), "a: x\nc: y\nnothing was changed");
        assert_eq!(error.hints(), ["cure x", "cure y"]);
        let alone = together(&["a"], vec![refused("x")]).expect_err("one");
        assert_eq!(alone.to_string(), "x");
        let found = together::<()>(
            &["a", "b"],
            vec![
                Err(DeployError::Findings(Vec::new())),
                Err(DeployError::Findings(Vec::new())),
            ],
        );
        assert!(matches!(found, Err(DeployError::Findings(_))));
    }
}
