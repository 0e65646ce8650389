//! Deployments: tasks of a new revision start, the old ones stop; or they fail until the circuit breaker says enough.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use super::state::{Deployment, Rollout, Service, Task};
use super::trouble;
use crate::id;
use crate::rule::Trouble;
use crate::world::World;

/// Starts a deployment of a revision and returns its id. It goes on by itself.
pub(crate) fn deploy(world: &Arc<World>, arn: &str, definition: &str) -> Option<String> {
    let id = format!(
        "ecs-svc/{}",
        u64::from_str_radix(&id::hex(7), 16).unwrap_or_default()
    );
    let now = SystemTime::now();
    {
        let mut state = world.state();
        let service = state.ecs.service_mut(arn)?;
        for older in &mut service.deployments {
            older.status = "ACTIVE";
        }
        let desired = service.desired;
        service.deployments.push(Deployment {
            id: id.clone(),
            status: "PRIMARY",
            definition: definition.to_owned(),
            desired,
            running: 0,
            pending: 0,
            failed: 0,
            rollout: Rollout::InProgress,
            reason: format!("ECS deployment {id} in progress."),
            created: now,
            updated: now,
        });
    }
    world.changed.notify_waiters();
    tokio::spawn(roll(world.clone(), arn.to_owned(), id.clone()));
    Some(id)
}

/// Waits until a deployment has come to an end; why, when that is not a good one.
pub(crate) async fn settled(world: &World, arn: &str, deployment: &str) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        let rollout = {
            let state = world.state();
            let service = state.ecs.services.iter().find(|it| it.arn == arn);
            service
                .and_then(|it| it.deployment(deployment))
                .map(|it| it.rollout)
        };
        match rollout {
            Some(Rollout::Completed) => return Ok(()),
            Some(Rollout::Failed) => {
                return Err(format!(
                    "Resource handler returned message: \"Error occurred during operation 'ECS Deployment Circuit Breaker was triggered'.\" (RequestToken: {}, HandlerErrorCode: GeneralServiceException)",
                    id::uuid()
                ));
            }
            None => {
                return Err("Resource handler returned message: \"Service was deleted\"".to_owned());
            }
            Some(Rollout::InProgress) if begun.elapsed() > world.settings.stabilise => {
                return Err(format!(
                    "Resource handler returned message: \"Exceeded attempts to wait\" (RequestToken: {}, HandlerErrorCode: NotStabilized)",
                    id::uuid()
                ));
            }
            Some(Rollout::InProgress) => {}
        }
        let _ = tokio::time::timeout(Duration::from_millis(20), world.changed.notified()).await;
    }
}

/// How many failed tasks are enough: half of the desired ones, at least 3 and at most 200.
fn threshold(desired: u64) -> u64 {
    desired.div_ceil(2).clamp(3, 200)
}

async fn roll(world: Arc<World>, arn: String, deployment: String) {
    loop {
        let pause = Duration::from_millis(world.task_ms.load(Ordering::Relaxed));
        let Some((service, definition)) = primary(&world, &arn, &deployment) else {
            return;
        };
        let trouble = trouble::find(&world, &service, &definition).await;
        let is_over = match trouble {
            None => succeed(&world, &arn, &deployment, pause).await,
            Some(Trouble::Pending) => {
                with(&world, &arn, &deployment, |_, it| it.pending = it.desired);
                tokio::time::sleep(pause).await;
                false
            }
            Some(trouble) => {
                fail(&world, &service, &definition, &deployment, &trouble, pause).await
            }
        };
        if is_over {
            return;
        }
    }
}

/// The service, while this is its primary deployment and not at an end.
fn primary(world: &World, arn: &str, deployment: &str) -> Option<(Service, String)> {
    let state = world.state();
    let service = state.ecs.services.iter().find(|it| it.arn == arn)?;
    let it = service.deployment(deployment)?;
    let goes_on =
        it.status == "PRIMARY" && it.rollout == Rollout::InProgress && service.status == "ACTIVE";
    goes_on.then(|| (service.clone(), it.definition.clone()))
}

fn with(world: &World, arn: &str, deployment: &str, change: impl FnOnce(&str, &mut Deployment)) {
    {
        let mut state = world.state();
        let Some(service) = state.ecs.service_mut(arn) else {
            return;
        };
        let name = service.name.clone();
        if let Some(it) = service.deployment_mut(deployment) {
            it.updated = SystemTime::now();
            change(&name, it);
        }
    }
    world.changed.notify_waiters();
}

/// Tasks start and become steady; those of older deployments stop. True when nothing is left to do.
async fn succeed(world: &Arc<World>, arn: &str, deployment: &str, pause: Duration) -> bool {
    with(world, arn, deployment, |_, it| it.pending = it.desired);
    tokio::time::sleep(pause).await;
    let Some((service, definition)) = primary(world, arn, deployment) else {
        return true;
    };
    start_tasks(world, &service, &definition, deployment);
    with(world, arn, deployment, |_, it| {
        it.running = it.desired;
        it.pending = 0;
    });
    tokio::time::sleep(pause).await;
    if primary(world, arn, deployment).is_none() {
        return true;
    }
    {
        let mut state = world.state();
        let now = SystemTime::now();
        let older = |task: &&mut Task| {
            task.service == service.name && task.deployment != deployment && task.ended.is_none()
        };
        for task in state.ecs.tasks.iter_mut().filter(older) {
            task.ended = Some(super::state::Ending {
                at: now,
                code: "ServiceSchedulerInitiated",
                reason: "Scaling activity initiated by (deployment)"
                    .replace("deployment", &format!("deployment {deployment}")),
                exit_code: Some(0),
                container_reason: None,
            });
        }
        if let Some(service) = state.ecs.service_mut(arn) {
            service.deployments.retain(|it| it.id == deployment);
            service.stable = Some(definition);
            service.say(format_args!(
                "(deployment {deployment}) deployment completed."
            ));
            service.say("has reached a steady state.");
        }
    }
    with(world, arn, deployment, |_, it| {
        it.rollout = Rollout::Completed;
        it.reason = format!("ECS deployment {deployment} completed.");
    });
    true
}

fn start_tasks(world: &World, service: &Service, definition: &str, deployment: &str) {
    let mut state = world.state();
    for _ in 0..service.desired {
        let task = new_task(service, definition, deployment);
        let short = task.arn.rsplit('/').next().unwrap_or_default().to_owned();
        state.ecs.tasks.push(task);
        if let Some(service) = state.ecs.service_mut(&service.arn) {
            service.say(format_args!("has started 1 tasks: (task {short})."));
        }
    }
}

fn new_task(service: &Service, definition: &str, deployment: &str) -> Task {
    let prefix = service.arn.split(":service/").next().unwrap_or_default();
    Task {
        arn: format!("{prefix}:task/{}/{}", service.cluster, id::hex(16)),
        service: service.name.clone(),
        definition: definition.to_owned(),
        deployment: deployment.to_owned(),
        started: SystemTime::now(),
        ended: None,
    }
}

/// One task fails. True when the circuit breaker ended the deployment.
async fn fail(
    world: &Arc<World>,
    service: &Service,
    definition: &str,
    deployment: &str,
    trouble: &Trouble,
    pause: Duration,
) -> bool {
    let arn = &service.arn;
    with(world, arn, deployment, |_, it| it.pending = 1);
    tokio::time::sleep(pause).await;
    if primary(world, arn, deployment).is_none() {
        return true;
    }
    {
        let mut state = world.state();
        let properties = state
            .ecs
            .definition(definition)
            .map(|it| it.properties.clone());
        let (image, role) = trouble::image_and_role(&properties.unwrap_or_default());
        let mut task = new_task(service, definition, deployment);
        let short = task.arn.rsplit('/').next().unwrap_or_default().to_owned();
        task.ended = trouble::ending(trouble, &image, &role, service);
        let has_begun = task.ended.is_some();
        if has_begun {
            state.ecs.tasks.push(task);
        }
        let said = trouble::event(trouble, &short, service);
        if let Some(service) = state.ecs.service_mut(arn) {
            if has_begun {
                service.say(format_args!("has started 1 tasks: (task {short})."));
            }
            if let Some(message) = said {
                service.say(message);
            }
        }
    }
    let by_alarm = *trouble == Trouble::Alarm;
    let mut failed = 0;
    with(world, arn, deployment, |_, it| {
        it.failed += u64::from(!by_alarm);
        it.pending = 0;
        failed = it.failed;
    });
    let Some(breaker) = service
        .breaker
        .filter(|_| by_alarm || failed >= threshold(service.desired))
    else {
        return false;
    };
    let why = match by_alarm {
        true => "alarm detected.",
        false => "tasks failed to start.",
    };
    let back = service.stable.clone().filter(|_| breaker.rolls_back);
    {
        let mut state = world.state();
        if let Some(service) = state.ecs.service_mut(arn) {
            service.say(format_args!(
                "(deployment {deployment}) deployment failed: {why}"
            ));
            if back.is_some() {
                let old = service
                    .deployments
                    .iter()
                    .rev()
                    .find(|it| it.rollout == Rollout::Completed);
                let old = old.map_or_else(|| "ecs-svc/0".to_owned(), |it| it.id.clone());
                service.say(format_args!("rolling back to deployment {old}."));
            }
        }
    }
    with(world, arn, deployment, |_, it| {
        it.rollout = Rollout::Failed;
        it.reason = match by_alarm {
            true => format!("ECS deployment failed: {why}"),
            false => format!("ECS deployment circuit breaker: {why}"),
        };
    });
    if let Some(definition) = back {
        deploy(world, arn, &definition);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_breaker_waits_for_three_failures_at_least() {
        for (desired, expected) in [(0, 3), (1, 3), (6, 3), (10, 5), (1000, 200)] {
            assert_eq!(threshold(desired), expected, "{desired}");
        }
    }
}
