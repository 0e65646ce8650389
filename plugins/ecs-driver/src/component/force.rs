//! Deploys a service again, and waits until one deployment is left that runs what it should.

use super::apply::Trouble;
use super::bindings::plimsoll::deploy::ecs::Service;
use super::bindings::plimsoll::deploy::interruption::{self, Wish};
use super::bindings::plimsoll::deploy::{clock, progress};
use super::convert;
use super::watch::{last_words, look_at_service};
use crate::call::Promise;
use crate::cause;
use crate::deployment::Deployment;
use crate::patience::{LIMIT, Patience};
use crate::rollout::Rollout;

/// How it went.
pub(super) enum Forced {
    /// Its tasks are new.
    Done,
    /// It was deployed anyway.
    Already,
    /// It goes on without us.
    Detached,
}

/// Deploys it again, unless its deployment began after `since` (milliseconds since 1970).
pub(super) async fn force(
    deployment: &Deployment,
    promise: &Promise,
    resource: &str,
    since: u64,
    detach: bool,
) -> Result<Forced, Trouble> {
    let stack = deployment.stack.clone();
    let Some(service) = Service::of_stack(stack, resource.to_owned()).await? else {
        return Err(Trouble::Refused(format!(
            "stack {} has no service yet\nhint: run `{}` without --force first",
            deployment.stack,
            deployment.command()
        )));
    };
    let state = service.describe().await?;
    let mut deployments = state.deployments.iter();
    if deployments.any(|one| one.status == "PRIMARY" && one.updated.max(one.created) >= since) {
        return Ok(Forced::Already);
    }
    // Events and tasks of before are not of this deployment.
    let last = state.events.first().map_or(0, |event| event.time + 1);
    service.force_deployment(promise.id.clone()).await?;
    match detach {
        true => Ok(Forced::Detached),
        false => wait(deployment, &service, last).await,
    }
}

async fn wait(deployment: &Deployment, service: &Service, since: u64) -> Result<Forced, Trouble> {
    let begun = clock::now_unix_ms();
    let mut patience = Patience::default();
    let mut known: Option<Rollout> = None;
    loop {
        let rollout = look_at_service(Some(service), since).await;
        let news = rollout.is_some() && rollout != known;
        if let Some(rollout) = &rollout {
            let state = match (rollout.is_steady(), rollout.has_failed()) {
                (_, true) => progress::State::Failed,
                (true, false) => progress::State::Succeeded,
                (false, false) => progress::State::Running,
            };
            show(deployment, rollout, state, begun);
            if rollout.has_failed() {
                return Err(failed(deployment, rollout).await);
            }
            if rollout.is_steady() {
                return Ok(Forced::Done);
            }
        }
        known = rollout.or(known);
        if clock::now_unix_ms().saturating_sub(begun) > LIMIT {
            return Err(Trouble::Failed {
                message: format!(
                    "service {} is not steady after 90 minutes\nhint: what it says: `{}`",
                    deployment.workload,
                    cause::logs(deployment)
                ),
                details: Vec::new(),
                state: "its deployment goes on".to_owned(),
            });
        }
        let pause = match news {
            true => patience.news(),
            false => patience.quiet(),
        };
        match interruption::wait(pause).await {
            Wish::None => {}
            // ECS goes on with what it began: there is nothing to cancel.
            Wish::Detach | Wish::Cancel => return Ok(Forced::Detached),
        }
    }
}

async fn failed(deployment: &Deployment, rollout: &Rollout) -> Trouble {
    let cause = cause::find(None, Some(rollout), deployment);
    let details = match &cause.log {
        Some((container, task)) => last_words(deployment, container, task).await,
        None => Vec::new(),
    };
    Trouble::Failed {
        message: format!(
            "service {} could not be deployed again: {}\nhint: {}",
            deployment.workload, cause.what, cause.hint
        ),
        details,
        state: "it goes back to the tasks of before".to_owned(),
    }
}

fn show(deployment: &Deployment, rollout: &Rollout, state: progress::State, begun: u64) {
    let status = match state {
        progress::State::Succeeded => "steady",
        progress::State::Failed => "failed",
        progress::State::Waiting | progress::State::Running | progress::State::Undone => {
            "in progress"
        }
    };
    let elapsed = clock::now_unix_ms().saturating_sub(begun);
    progress::show(&[progress::Item {
        id: "force".to_owned(),
        parent: None,
        text: format!(
            "Forcing an update for service {} from environment {}",
            deployment.workload, deployment.environment
        ),
        state,
        status: status.to_owned(),
        elapsed: u32::try_from(elapsed).ok(),
        reasons: Vec::new(),
        about: None,
        tables: convert::tables(rollout),
    }]);
}
