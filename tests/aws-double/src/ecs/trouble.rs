//! Why a task of a service would not come to run: because a rule says so, or because what it needs is not there.

use serde_json::{Value, json};

use super::state::{Ending, Service};
use crate::cloudformation::evaluate::text_of;
use crate::moto;
use crate::rule::{Effect, Place, Trouble};
use crate::world::World;

/// What stands in the way of a service's tasks.
pub(super) async fn find(world: &World, service: &Service, definition: &str) -> Option<Trouble> {
    let short = definition.rsplit('/').next().unwrap_or_default();
    let rule = world.rule(|place| match place {
        Place::Tasks {
            service: wanted,
            task_definition,
        } => wanted.matches(&service.name) && task_definition.matches(short),
        Place::Request { .. } | Place::Resource { .. } => false,
    });
    if let Some(rule) = rule {
        return match rule.then {
            Effect::Tasks(trouble) => Some(trouble),
            Effect::Pass
            | Effect::Fail { .. }
            | Effect::Refuse { .. }
            | Effect::Answer { .. }
            | Effect::Drop => None,
        };
    }
    world.settings.moto?;
    let properties = world.state().ecs.definition(definition)?.properties.clone();
    for container in properties["ContainerDefinitions"]
        .as_array()
        .into_iter()
        .flatten()
    {
        for secret in container["Secrets"].as_array().into_iter().flatten() {
            let name = text_of(&secret["ValueFrom"]);
            if !secret_exists(world, &service.region(), &name).await {
                return Some(Trouble::SecretMissing(name));
            }
        }
        let image = text_of(&container["Image"]);
        if world.settings.has_registry && !image_exists(world, &image).await {
            return Some(Trouble::CannotPull);
        }
    }
    None
}

async fn secret_exists(world: &World, region: &str, name: &str) -> bool {
    let parts: Vec<&str> = name.splitn(7, ':').collect();
    let is_secret = parts.get(2) == Some(&"secretsmanager");
    let asked = if is_secret {
        // `arn:…:secret:NAME:JSON-KEY:…` has the secret's own ARN in front.
        let own: Vec<&str> = parts
            .get(6)
            .map(|rest| rest.split(':').collect())
            .unwrap_or_default();
        let id = own.first().copied().unwrap_or_default();
        let body = json!({ "SecretId": id });
        moto::json(
            world,
            region,
            "secretsmanager",
            "secretsmanager.DescribeSecret",
            &body,
        )
        .await
    } else {
        let name = parts
            .get(5)
            .map_or(name, |rest| rest.trim_start_matches("parameter"));
        let body = json!({ "Name": name });
        moto::json(world, region, "ssm", "AmazonSSM.GetParameter", &body).await
    };
    asked.is_ok()
}

/// Images of other registries are taken to be there.
async fn image_exists(world: &World, image: &str) -> bool {
    let Some((host, path)) = image
        .split_once('/')
        .filter(|(host, _)| host.contains(".dkr.ecr."))
    else {
        return true;
    };
    let region = host.split('.').nth(3).unwrap_or_default();
    let (repository, image) = match path.split_once('@') {
        Some((repository, digest)) => (repository, json!({ "imageDigest": digest })),
        None => {
            let (repository, tag) = path.split_once(':').unwrap_or((path, "latest"));
            (repository, json!({ "imageTag": tag }))
        }
    };
    let body = json!({ "repositoryName": repository, "imageIds": [image] });
    let target = "AmazonEC2ContainerRegistry_V20150921.DescribeImages";
    moto::json(world, region, "ecr", target, &body)
        .await
        .is_ok()
}

/// How a task ends for this reason; nothing when it never began.
pub(super) fn ending(
    trouble: &Trouble,
    image: &str,
    role: &str,
    service: &Service,
) -> Option<Ending> {
    let init = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed";
    let (code, reason, exit_code, container_reason) = match trouble {
        Trouble::CannotPull => {
            let reason = format!(
                "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {image}: {image}: not found"
            );
            ("TaskFailedToStart", reason.clone(), None, Some(reason))
        }
        Trouble::Exits(code) => (
            "EssentialContainerExited",
            "Essential container in task exited".to_owned(),
            Some(*code),
            None,
        ),
        Trouble::Unhealthy => (
            "ServiceSchedulerInitiated",
            "Task failed container health checks".to_owned(),
            Some(137),
            None,
        ),
        Trouble::FailsTargetCheck(_) => (
            "ServiceSchedulerInitiated",
            format!(
                "Task failed ELB health checks in (target-group {})",
                service.target_group.as_deref().unwrap_or_default()
            ),
            Some(137),
            None,
        ),
        Trouble::SecretMissing(name) if name.contains(":secretsmanager:") => (
            "TaskFailedToStart",
            format!(
                "{init}: unable to retrieve secret from asm: service call has been retried 1 time(s): failed to fetch secret {name} from secrets manager: ResourceNotFoundException: Secrets Manager can't find the specified secret."
            ),
            None,
            None,
        ),
        Trouble::SecretMissing(name) => (
            "TaskFailedToStart",
            format!(
                "{init}: unable to retrieve secrets from ssm: service call has been retried 1 time(s): invalid ssm parameters: {name}"
            ),
            None,
            None,
        ),
        Trouble::SecretDenied(name) => {
            let (from, action) = if name.contains(":secretsmanager:") {
                ("secret from asm", "secretsmanager:GetSecretValue")
            } else {
                ("secrets from ssm", "ssm:GetParameters")
            };
            (
                "TaskFailedToStart",
                format!(
                    "{init}: unable to retrieve {from}: service call has been retried 1 time(s): AccessDeniedException: User: {role} is not authorized to perform: {action} on resource: {name} because no identity-based policy allows the {action} action status code: 400"
                ),
                None,
                None,
            )
        }
        Trouble::Quota(_) | Trouble::Pending | Trouble::Alarm => return None,
    };
    Some(Ending {
        at: std::time::SystemTime::now(),
        code,
        reason,
        exit_code,
        container_reason,
    })
}

/// What the service says of it.
pub(super) fn event(trouble: &Trouble, task: &str, service: &Service) -> Option<String> {
    match trouble {
        Trouble::Quota(what) => Some(format!(
            "was unable to place a task. Reason: You've reached the limit on the number of {what} you can run concurrently."
        )),
        Trouble::Unhealthy => Some(format!("(task {task}) failed container health checks.")),
        Trouble::FailsTargetCheck(why) => Some(format!(
            "(port 80) is unhealthy in (target-group {}) due to (reason {why}).",
            service.target_group.as_deref().unwrap_or_default()
        )),
        Trouble::CannotPull
        | Trouble::Exits(_)
        | Trouble::SecretMissing(_)
        | Trouble::SecretDenied(_)
        | Trouble::Pending
        | Trouble::Alarm => None,
    }
}

/// The first container's image, and who pulls it.
pub(super) fn image_and_role(properties: &Value) -> (String, String) {
    let image = text_of(&properties["ContainerDefinitions"][0]["Image"]);
    let role = text_of(&properties["ExecutionRoleArn"]);
    let role = role
        .replace(":iam:", ":sts:")
        .replace(":role/", ":assumed-role/");
    (image, format!("{role}/ecs-tasks"))
}
