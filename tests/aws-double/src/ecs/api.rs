//! The operations clients call.

use std::sync::Arc;

use hyper::StatusCode;
use serde_json::{Value, json};

use super::rollout;
use super::state::{Deployment, Service, Task};
use crate::cloudformation::evaluate::text_of;
use crate::id::seconds;
use crate::wire::http::{Answer, json as reply};
use crate::wire::{Call, Refusal};
use crate::world::World;

/// Answers a request to ECS.
pub(crate) fn answer(world: &Arc<World>, call: &Call) -> Answer {
    let asked = call.json();
    let done = match call.action().as_str() {
        "DescribeServices" => Ok(describe_services(world, &asked)),
        "ListServices" => Ok(list_services(world, &asked)),
        "UpdateService" => update_service(world, &asked),
        "ListTasks" => Ok(list_tasks(world, &asked)),
        "DescribeTasks" => Ok(describe_tasks(world, &asked)),
        "DescribeTaskDefinition" => describe_definition(world, &asked),
        "DescribeClusters" => Ok(describe_clusters(world, call, &asked)),
        action => Err(Refusal::new(
            "InvalidAction",
            format!("this double does not have {action} of ecs"),
        )),
    };
    match done {
        Ok(value) => reply(StatusCode::OK, &value),
        Err(refusal) => refusal.answer("ecs", true),
    }
}

/// Answers which services have the tags that are asked for. Other resources are moto's.
pub(crate) fn tagged(world: &World, call: &Call) -> Option<Answer> {
    let asked = call.json();
    if !texts(&asked["ResourceTypeFilters"]).any(|kind| kind == "ecs:service") {
        return None;
    }
    let filters: Vec<(String, Vec<String>)> = asked["TagFilters"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|filter| {
            (
                text_of(&filter["Key"]),
                texts(&filter["Values"]).map(str::to_owned).collect(),
            )
        })
        .collect();
    let state = world.state();
    let has = |it: &&Service| {
        filters.iter().all(|(key, values)| {
            it.tags
                .iter()
                .any(|(tag, value)| tag == key && values.contains(value))
        })
    };
    let found = state
        .ecs
        .services
        .iter()
        .filter(|it| it.status == "ACTIVE")
        .filter(has);
    let found = found.map(|it| json!({ "ResourceARN": it.arn, "Tags": [] }));
    let list = json!({ "ResourceTagMappingList": found.collect::<Vec<_>>() });
    Some(reply(StatusCode::OK, &list))
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

fn describe_services(world: &World, asked: &Value) -> Value {
    let state = world.state();
    let cluster = text_of(&asked["cluster"]);
    let (mut services, mut failures) = (Vec::new(), Vec::new());
    for name in texts(&asked["services"]) {
        match state.ecs.service(&cluster, name) {
            Some(found) => services.push(service(found)),
            None => failures.push(json!({ "arn": name, "reason": "MISSING" })),
        }
    }
    json!({ "services": services, "failures": failures })
}

fn service(service: &Service) -> Value {
    let newest_first = service.deployments.iter().rev();
    let primary = service.deployments.last();
    let sum = |of: fn(&Deployment) -> u64| service.deployments.iter().map(of).sum::<u64>();
    let events = service.events.iter().rev().take(100).map(
        |event| json!({ "id": event.id, "createdAt": seconds(event.at), "message": event.message }),
    );
    let breaker = json!({
        "enable": service.breaker.is_some(),
        "rollback": service.breaker.is_some_and(|it| it.rolls_back),
    });
    json!({
        "serviceArn": service.arn,
        "serviceName": service.name,
        "clusterArn": format!("{}:cluster/{}", service.arn.split(":service/").next().unwrap_or_default(), service.cluster),
        "status": service.status,
        "desiredCount": service.desired,
        "runningCount": sum(|it| it.running),
        "pendingCount": sum(|it| it.pending),
        "launchType": "FARGATE",
        "taskDefinition": primary.map(|it| it.definition.as_str()),
        "createdAt": seconds(service.created),
        "deploymentConfiguration": {
            "deploymentCircuitBreaker": breaker,
            "alarms": { "alarmNames": service.alarms, "enable": !service.alarms.is_empty(), "rollback": true },
        },
        "deployments": newest_first.map(deployment).collect::<Vec<_>>(),
        "events": events.collect::<Vec<_>>(),
        "tags": service.tags.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect::<Vec<_>>(),
    })
}

fn deployment(it: &Deployment) -> Value {
    json!({
        "id": it.id,
        "status": it.status,
        "taskDefinition": it.definition,
        "desiredCount": it.desired,
        "runningCount": it.running,
        "pendingCount": it.pending,
        "failedTasks": it.failed,
        "rolloutState": it.rollout.word(),
        "rolloutStateReason": it.reason,
        "createdAt": seconds(it.created),
        "updatedAt": seconds(it.updated),
        "launchType": "FARGATE",
    })
}

fn list_services(world: &World, asked: &Value) -> Value {
    let cluster = text_of(&asked["cluster"]);
    let cluster = cluster.rsplit('/').next().unwrap_or_default();
    let state = world.state();
    let here = state
        .ecs
        .services
        .iter()
        .filter(|it| it.cluster == cluster && it.status == "ACTIVE");
    json!({ "serviceArns": here.map(|it| it.arn.as_str()).collect::<Vec<_>>() })
}

fn update_service(world: &Arc<World>, asked: &Value) -> Result<Value, Refusal> {
    let (cluster, name) = (text_of(&asked["cluster"]), text_of(&asked["service"]));
    let (arn, current) = {
        let state = world.state();
        let found = state
            .ecs
            .service(&cluster, &name)
            .ok_or_else(|| Refusal::new("ServiceNotFoundException", "Service not found."))?;
        if found.status != "ACTIVE" {
            return Err(Refusal::new(
                "ServiceNotActiveException",
                "Service was not ACTIVE.",
            ));
        }
        let current = found.deployments.last().map(|it| it.definition.clone());
        (found.arn.clone(), current.unwrap_or_default())
    };
    let wanted = match &asked["taskDefinition"] {
        Value::Null => current.clone(),
        name => {
            let state = world.state();
            let found = state.ecs.definition(&text_of(name));
            found
                .map(|it| it.arn.clone())
                .ok_or_else(|| Refusal::new("ClientException", "TaskDefinition not found."))?
        }
    };
    if let Some(count) = asked["desiredCount"].as_u64() {
        let mut state = world.state();
        if let Some(service) = state.ecs.service_mut(&arn) {
            service.desired = count;
            service
                .deployments
                .iter_mut()
                .for_each(|it| it.desired = count);
        }
    }
    if wanted != current || asked["forceNewDeployment"] == true {
        rollout::deploy(world, &arn, &wanted);
    }
    let state = world.state();
    let updated = state.ecs.service(&cluster, &arn).map(service);
    Ok(json!({ "service": updated }))
}

fn list_tasks(world: &World, asked: &Value) -> Value {
    let wanted = text_of(&asked["desiredStatus"]);
    let is_stopped = wanted == "STOPPED";
    let service = text_of(&asked["serviceName"]);
    let family = text_of(&asked["family"]);
    let state = world.state();
    let tasks = state.ecs.tasks.iter().rev().filter(|task| {
        (service.is_empty() || task.service == service.rsplit('/').next().unwrap_or_default())
            && (family.is_empty() || task.definition.contains(&format!("/{family}:")))
            && task.ended.is_some() == is_stopped
    });
    json!({ "taskArns": tasks.map(|task| task.arn.as_str()).take(100).collect::<Vec<_>>() })
}

fn describe_tasks(world: &World, asked: &Value) -> Value {
    let state = world.state();
    let (mut tasks, mut failures) = (Vec::new(), Vec::new());
    for name in texts(&asked["tasks"]) {
        let is_it = |task: &&Task| task.arn == name || task.arn.rsplit('/').next() == Some(name);
        match state.ecs.tasks.iter().find(is_it) {
            None => failures.push(json!({ "arn": name, "reason": "MISSING" })),
            Some(found) => {
                let definition = state.ecs.definition(&found.definition);
                let containers = definition.map(|it| it.properties["ContainerDefinitions"].clone());
                tasks.push(task(found, &containers.unwrap_or_default()));
            }
        }
    }
    json!({ "tasks": tasks, "failures": failures })
}

fn task(task: &Task, definitions: &Value) -> Value {
    let status = if task.ended.is_some() {
        "STOPPED"
    } else {
        "RUNNING"
    };
    let containers = definitions
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
        .map(|(index, it)| {
            let mut container =
                json!({ "name": it["Name"], "image": it["Image"], "lastStatus": status });
            // The others are stopped because the first one ended.
            if let Some(ending) = &task.ended {
                let code = if index == 0 {
                    ending.exit_code
                } else {
                    ending.exit_code.map(|_| 0)
                };
                if let Some(code) = code {
                    container["exitCode"] = json!(code);
                }
                if let Some(reason) = ending.container_reason.as_ref().filter(|_| index == 0) {
                    container["reason"] = json!(reason);
                }
            }
            container
        });
    let mut told = json!({
        "taskArn": task.arn,
        "clusterArn": task.arn.replace(":task/", ":cluster/").rsplit_once('/').map(|(cluster, _)| cluster),
        "taskDefinitionArn": task.definition,
        "group": format!("service:{}", task.service),
        "startedBy": task.deployment,
        "lastStatus": status,
        "desiredStatus": status,
        "createdAt": seconds(task.started),
        "launchType": "FARGATE",
        "containers": containers.collect::<Vec<_>>(),
    });
    if let Some(ending) = &task.ended {
        told["stoppedAt"] = json!(seconds(ending.at));
        told["stoppingAt"] = json!(seconds(ending.at));
        told["stopCode"] = json!(ending.code);
        told["stoppedReason"] = json!(ending.reason);
    } else {
        told["startedAt"] = json!(seconds(task.started));
    }
    told
}

fn describe_definition(world: &World, asked: &Value) -> Result<Value, Refusal> {
    let state = world.state();
    let found = state
        .ecs
        .definition(&text_of(&asked["taskDefinition"]))
        .ok_or_else(|| Refusal::new("ClientException", "Unable to describe task definition."))?;
    Ok(json!({ "taskDefinition": {
        "taskDefinitionArn": found.arn,
        "family": found.family,
        "revision": found.revision,
        "status": if found.is_active { "ACTIVE" } else { "INACTIVE" },
        "containerDefinitions": found.properties["ContainerDefinitions"].as_array().into_iter().flatten().map(|it| json!({
            "name": it["Name"],
            "image": it["Image"],
        })).collect::<Vec<_>>(),
    } }))
}

fn describe_clusters(world: &World, call: &Call, asked: &Value) -> Value {
    let account = &world.settings.account;
    let clusters = texts(&asked["clusters"]).map(|name| {
        let name = name.rsplit('/').next().unwrap_or_default();
        json!({
            "clusterArn": format!("arn:aws:ecs:{}:{account}:cluster/{name}", call.region),
            "clusterName": name,
            "status": "ACTIVE",
        })
    });
    json!({ "clusters": clusters.collect::<Vec<_>>(), "failures": [] })
}
