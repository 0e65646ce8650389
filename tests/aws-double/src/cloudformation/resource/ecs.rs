//! Task definitions and services of stacks.

use serde_json::Value;

use super::{Change, Made, Operation, names};
use crate::cloudformation::evaluate::{partition, text_of};
use crate::ecs::{self, Breaker, Service};

/// A new revision, or the one there was.
pub(super) fn define(operation: &Operation, change: Change) -> Made {
    let old = operation.old.as_ref();
    let physical = match (old, change) {
        (Some(old), Change::Restore) => {
            let mut state = operation.world.state();
            let definitions = &mut state.ecs.definitions;
            if let Some(revision) = definitions.iter_mut().find(|it| it.arn == old.physical) {
                revision.is_active = true;
            }
            old.physical.clone()
        }
        _ => {
            let family = match &operation.properties["Family"] {
                Value::Null => operation.name.clone(),
                family => text_of(family),
            };
            let prefix = prefix(operation);
            let properties = operation.properties.clone();
            operation
                .world
                .state()
                .ecs
                .register(&prefix, &family, properties)
        }
    };
    super::initiated(operation, change, &physical);
    let identity = names::identity(operation, &physical);
    Made { physical, identity }
}

fn prefix(operation: &Operation) -> String {
    let region = operation
        .world
        .read(&operation.stack, |stack| stack.region.clone());
    let account = &operation.world.settings.account;
    format!("arn:{}:ecs:{region}:{account}", partition(&region))
}

/// Creates or updates a service and waits for its deployment.
pub(super) async fn serve(operation: &Operation, change: Change) -> Result<Made, String> {
    let world = &operation.world;
    let properties = &operation.properties;
    let old = operation.old.as_ref().filter(|_| change != Change::Replace);
    let physical = old.map_or_else(|| names::physical(operation), |old| old.physical.clone());
    let definition = text_of(&properties["TaskDefinition"]);
    let desired = text_of(&properties["DesiredCount"]).parse().unwrap_or(1);
    let running = {
        let tags = world.read(&operation.stack, |stack| stack.version.tags.clone());
        let mut state = world.state();
        let there = state.ecs.services.iter().position(|it| it.arn == physical);
        let index = there.unwrap_or_else(|| {
            let fresh = fresh(&physical, properties, tags);
            state.ecs.services.push(fresh);
            state.ecs.services.len() - 1
        });
        let service = &mut state.ecs.services[index];
        service.desired = desired;
        for deployment in &mut service.deployments {
            deployment.desired = desired;
            deployment.running = desired;
        }
        service.breaker = breaker(properties);
        service.alarms = alarms(properties);
        service.target_group = target_group(properties);
        service.deployments.last().map(|it| it.definition.clone())
    };
    super::initiated(operation, change, &physical);
    let is_new = running.as_deref() != Some(definition.as_str());
    if is_new && let Some(deployment) = ecs::deploy(world, &physical, &definition) {
        ecs::settled(world, &physical, &deployment).await?;
    }
    let identity = names::identity(operation, &physical);
    Ok(Made { physical, identity })
}

fn fresh(arn: &str, properties: &Value, tags: Vec<(String, String)>) -> Service {
    let cluster = text_of(&properties["Cluster"]);
    Service {
        arn: arn.to_owned(),
        name: arn.rsplit('/').next().unwrap_or_default().to_owned(),
        cluster: cluster.rsplit('/').next().unwrap_or_default().to_owned(),
        status: "ACTIVE",
        desired: 0,
        stable: None,
        breaker: None,
        target_group: None,
        alarms: Vec::new(),
        tags,
        deployments: Vec::new(),
        events: Vec::new(),
        created: std::time::SystemTime::now(),
    }
}

fn breaker(properties: &Value) -> Option<Breaker> {
    let breaker = &properties["DeploymentConfiguration"]["DeploymentCircuitBreaker"];
    (text_of(&breaker["Enable"]) == "true").then(|| Breaker {
        rolls_back: text_of(&breaker["Rollback"]) == "true",
    })
}

fn alarms(properties: &Value) -> Vec<String> {
    let alarms = &properties["DeploymentConfiguration"]["Alarms"];
    let names = alarms["AlarmNames"].as_array().into_iter().flatten();
    if text_of(&alarms["Enable"]) == "true" {
        names.map(text_of).collect()
    } else {
        Vec::new()
    }
}

fn target_group(properties: &Value) -> Option<String> {
    let group = &properties["LoadBalancers"][0]["TargetGroupArn"];
    group.as_str().map(str::to_owned)
}

/// A revision is no longer used, a service no longer runs.
pub(super) fn delete(operation: &Operation) {
    let Some(old) = &operation.old else { return };
    let mut state = operation.world.state();
    if let Some(service) = state.ecs.service_mut(&old.physical) {
        service.status = "INACTIVE";
        service.desired = 0;
        service.deployments.clear();
    }
    let definitions = &mut state.ecs.definitions;
    if let Some(definition) = definitions.iter_mut().find(|it| it.arn == old.physical) {
        definition.is_active = false;
    }
}
