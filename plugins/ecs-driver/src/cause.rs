//! Why something failed, told by those who know best: a stopped task before the service, the service before its stack.
//! Wordings: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html>,
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html>.

use crate::deployment::Deployment;
use crate::rollout::{Rollout, Task};
use crate::tree::Failure;

/// Why something failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The cause, a fragment: `the image can't be pulled: …`.
    pub what: String,
    /// What to do, with a command.
    pub hint: String,
    /// JSON pointer into the template to what it comes from.
    pub pointer: Option<String>,
    /// The container whose last words tell more: its name and its task.
    pub log: Option<(String, String)>,
}

/// Where in a template the containers are.
const CONTAINERS: &str = "/Resources/TaskDefinition/Properties/ContainerDefinitions/0";

/// The cause of a failed deployment. `failure` is what failed first, in the innermost stack.
pub fn find(
    failure: Option<&Failure>,
    rollout: Option<&Rollout>,
    deployment: &Deployment,
) -> Cause {
    let of_service = failure.is_none_or(|failure| {
        failure.kind == "AWS::ECS::Service" || failure.reason.contains("Circuit Breaker")
    });
    let told = rollout
        .filter(|_| of_service)
        .and_then(|rollout| of_rollout(rollout, deployment));
    if let Some(cause) = told {
        return cause;
    }
    match failure {
        Some(failure) => of_failure(failure, deployment),
        None => Cause {
            what: "CloudFormation does not say why".to_owned(),
            hint: format!("see all events: `{}`", events(deployment)),
            pointer: None,
            log: None,
        },
    }
}

/// What the newest stopped task says, else the newest event of failure.
fn of_rollout(rollout: &Rollout, deployment: &Deployment) -> Option<Cause> {
    let task = rollout.stopped.iter().find(|task| is_telling(task));
    let by_task = task.and_then(|task| of_task(task, deployment));
    by_task.or_else(|| of_events(rollout, deployment))
}

/// A task that was stopped because of a rollback or a scaling tells nothing.
fn is_telling(task: &Task) -> bool {
    let reason = task.reason.as_deref().unwrap_or_default();
    !reason.is_empty() && !reason.starts_with("Scaling activity initiated by")
}

fn of_task(task: &Task, deployment: &Deployment) -> Option<Cause> {
    let reason = task.reason.as_deref()?;
    let lower = reason.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let cause = |what: String, hint: String, pointer: &str| {
        Some(Cause {
            what,
            hint,
            pointer: Some(pointer.to_owned()),
            log: None,
        })
    };
    if has(&["cannotpullcontainer"]) {
        let hint = if has(&[
            "access denied",
            "accessdenied",
            "403",
            "no basic auth",
            "not authorized",
        ]) {
            "let the execution role pull it, or give `image.credentials`; then deploy again"
                .to_owned()
        } else if has(&["timeout", "dial tcp", "no such host", "connection refused"]) {
            format!(
                "tasks in private subnets reach a registry only through NAT gateways or endpoints: deploy the environment with them (`copilot env deploy --name {}`)",
                deployment.environment
            )
        } else {
            format!(
                "push the image, or correct `image` in the manifest; then `{}`",
                deployment.command()
            )
        };
        return cause(
            format!("the image can't be pulled: {reason}"),
            hint,
            &format!("{CONTAINERS}/Image"),
        );
    }
    // Initialising is also logging drivers and volumes: only secrets are told from their words.
    if has(&["secret", "ssm", "parameter"]) && has(&["resourceinitializationerror", "unable to"]) {
        let secrets = format!("{CONTAINERS}/Secrets");
        return if has(&["accessdenied", "access denied", "not authorized"]) {
            cause(
                format!("the execution role may not read a secret: {reason}"),
                format!(
                    "tag it: `{}`; and check the policy of its KMS key",
                    tag(reason, deployment)
                ),
                &secrets,
            )
        } else {
            cause(
                format!("a secret is missing: {reason}"),
                format!(
                    "make it in region {} (`copilot secret init`), or correct `secrets` in the manifest",
                    deployment.region
                ),
                &secrets,
            )
        };
    }
    if has(&["failed elb health checks", "health checks failed"]) {
        return cause(
            format!("tasks don't pass the load balancer's health check: {reason}"),
            format!(
                "check `http.healthcheck` (path, success_codes, grace_period) and the port; what the service says: `{}`",
                logs(deployment)
            ),
            "/Resources/TargetGroup/Properties/HealthCheckPath",
        );
    }
    if has(&["failed container health check"]) {
        return cause(
            format!("a container does not pass its own health check: {reason}"),
            format!(
                "check `image.healthcheck`; what the service says: `{}`",
                logs(deployment)
            ),
            &format!("{CONTAINERS}/HealthCheck"),
        );
    }
    if let Some(container) = task.culprit() {
        let code = container.exit_code.unwrap_or_default();
        let because = container.reason.as_deref().unwrap_or_default();
        let memory = code == 137 || because.contains("OutOfMemory");
        let because = match because {
            "" => String::new(),
            because => format!(" ({because})"),
        };
        let pointer = match memory {
            true => "/Resources/TaskDefinition/Properties/Memory".to_owned(),
            false => CONTAINERS.to_owned(),
        };
        let hint = match memory {
            true => format!(
                "it was killed, which is mostly for want of memory: raise `memory`; its log: `{}`",
                logs(deployment)
            ),
            false => format!("its whole log: `{}`", logs(deployment)),
        };
        return Some(Cause {
            what: format!(
                "container {} exited with code {code}{because}",
                container.name
            ),
            hint,
            pointer: Some(pointer),
            log: Some((container.name.clone(), task.id.clone())),
        });
    }
    if is_quota(&lower) {
        return Some(quota(reason));
    }
    Some(Cause {
        what: format!("tasks stop: {reason}"),
        hint: format!("what the service says: `{}`", logs(deployment)),
        pointer: Some("/Resources/TaskDefinition".to_owned()),
        log: None,
    })
}

fn of_events(rollout: &Rollout, deployment: &Deployment) -> Option<Cause> {
    let given_up = |text: &str| {
        ["rolling back", "circuit breaker", "tasks failed to start"]
            .iter()
            .any(|words| text.contains(words))
    };
    let mut events = rollout.failures();
    let telling = events.find(|text| !given_up(text));
    let text = telling.or_else(|| rollout.failures().next());
    // A deployment may be given up without an event.
    let reason = || {
        rollout.deployments.iter().find_map(|deployment| {
            deployment
                .reason
                .as_deref()
                .filter(|_| deployment.rollout == "FAILED")
        })
    };
    let text = text.or_else(reason)?;
    let lower = text.to_lowercase();
    if lower.contains("unhealthy") && lower.contains("target") {
        return Some(Cause {
            what: format!("tasks don't pass the load balancer's health check: {text}"),
            hint: format!(
                "check `http.healthcheck` (path, success_codes, grace_period) and the port; what the service says: `{}`",
                logs(deployment)
            ),
            pointer: Some("/Resources/TargetGroup/Properties/HealthCheckPath".to_owned()),
            log: None,
        });
    }
    if is_quota(&lower) {
        return Some(quota(text));
    }
    if lower.contains("alarm detected") {
        return Some(Cause {
            what: format!("an alarm stopped the deployment: {text}"),
            hint: "look at the alarm in CloudWatch; `deployment.rollback_alarms` in the manifest says which ones count".to_owned(),
            pointer: Some("/Resources/Service/Properties/DeploymentConfiguration/Alarms".to_owned()),
            log: None,
        });
    }
    Some(Cause {
        what: text.to_owned(),
        hint: format!("what the service says: `{}`", logs(deployment)),
        pointer: Some("/Resources/Service".to_owned()),
        log: None,
    })
}

/// What a resource's event says.
fn of_failure(failure: &Failure, deployment: &Deployment) -> Cause {
    let reason = &failure.reason;
    let lower = reason.to_lowercase();
    let what = match reason.is_empty() {
        true => format!(
            "{} ({}) failed, without a reason",
            failure.resource, failure.kind
        ),
        false => format!("{} ({}): {reason}", failure.resource, failure.kind),
    };
    let again = deployment.command();
    let hint = if lower.contains("rate exceeded") || lower.contains("throttl") {
        format!("AWS had too many requests: wait a minute, then `{again}`")
    } else if is_quota(&lower) {
        return Cause {
            pointer: Some(format!("/Resources/{}", failure.resource)),
            ..quota(&what)
        };
    } else if lower.contains("not authorized")
        || lower.contains("accessdenied")
        || lower.contains("access denied")
    {
        match &deployment.execution_role {
            Some(role) => format!(
                "let role {role} do that; `copilot env deploy --name {}` renews its policies",
                deployment.environment
            ),
            None => "let whoever deploys do that".to_owned(),
        }
    } else if lower.contains("already exists") {
        format!("something of that name is there already: remove or rename it, then `{again}`")
    } else if lower.contains("no export named") {
        format!(
            "the environment is older than this workload: `copilot env deploy --name {}`",
            deployment.environment
        )
    } else if lower.contains("circuit breaker") || failure.kind == "AWS::ECS::Service" {
        format!("what the service says: `{}`", logs(deployment))
    } else {
        format!(
            "correct it, then `{again}`; all events: `{}`",
            events(deployment)
        )
    };
    Cause {
        what,
        hint,
        pointer: Some(format!("/Resources/{}", failure.resource)),
        log: None,
    }
}

fn is_quota(lower: &str) -> bool {
    [
        "limit on the number",
        "limitexceeded",
        "limit exceeded",
        "quota",
        "maximum number of",
        "concurrently running tasks",
        "has been reached",
        "too many",
    ]
    .iter()
    .any(|words| lower.contains(words))
}

fn quota(text: &str) -> Cause {
    Cause {
        what: format!("a quota of the account is used up: {text}"),
        hint: "remove what isn't used any more, or ask for more: `aws service-quotas list-service-quotas --service-code fargate`".to_owned(),
        pointer: None,
        log: None,
    }
}

/// Command that gives the execution role a secret, which AWS names in a sentence: `… on resource: NAME because no …`.
fn tag(reason: &str, deployment: &Deployment) -> String {
    let after = reason.split("on resource: ").nth(1).unwrap_or_default();
    let named = after.split_whitespace().next().unwrap_or("NAME");
    let tags = format!(
        "--tags Key=copilot-application,Value={} Key=copilot-environment,Value={} --region {}",
        deployment.application, deployment.environment, deployment.region
    );
    match named.split_once(":parameter") {
        _ if reason.contains("secretsmanager") => {
            format!("aws secretsmanager tag-resource --secret-id {named} {tags}")
        }
        Some((_, name)) => parameter_tag(name, &tags),
        None => parameter_tag(named, &tags),
    }
}

fn parameter_tag(name: &str, tags: &str) -> String {
    format!("aws ssm add-tags-to-resource --resource-type Parameter --resource-id {name} {tags}")
}

/// Command that shows what the service says.
pub fn logs(deployment: &Deployment) -> String {
    format!(
        "aws logs tail /copilot/{} --since 30m --region {}",
        deployment.stack, deployment.region
    )
}

/// Command that shows a stack's events.
pub fn events(deployment: &Deployment) -> String {
    format!(
        "aws cloudformation describe-stack-events --stack-name {} --region {}",
        deployment.stack, deployment.region
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::{Container, Message};

    fn deployment() -> Deployment {
        Deployment {
            application: "app".to_owned(),
            environment: "test".to_owned(),
            workload: "api".to_owned(),
            kind: "Backend Service".to_owned(),
            region: "eu-west-1".to_owned(),
            stack: "app-test-api".to_owned(),
            environment_stack: "app-test".to_owned(),
            bucket: "b".to_owned(),
            execution_role: Some("arn:role".to_owned()),
            uploads: Vec::new(),
        }
    }

    fn service_failed() -> Failure {
        Failure {
            resource: "Service".to_owned(),
            kind: "AWS::ECS::Service".to_owned(),
            reason:
                "Error occurred during operation 'ECS Deployment Circuit Breaker was triggered'"
                    .to_owned(),
            status: "CREATE_FAILED".to_owned(),
            time: 1,
            physical: None,
        }
    }

    fn stopped(reason: &str) -> Rollout {
        Rollout {
            stopped: vec![Task {
                id: "t1".to_owned(),
                reason: Some(reason.to_owned()),
                ..Task::default()
            }],
            messages: vec![Message {
                time: 1,
                text: "(service api) deployment ecs-svc/1 deployment failed: tasks failed to start. rolling back to deployment ecs-svc/0.".to_owned(),
            }],
            ..Rollout::default()
        }
    }

    #[test]
    fn the_circuit_breaker_is_never_the_cause_when_a_task_says_why() {
        for (reason, what, hint, pointer) in [
            (
                "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref r/app:1: not found",
                "the image can't be pulled: CannotPull",
                "push the image",
                "ContainerDefinitions/0/Image",
            ),
            (
                "CannotPullContainerError: … 403 Forbidden",
                "the image can't be pulled",
                "execution role",
                "Image",
            ),
            (
                "CannotPullContainerError: … dial tcp 1.2.3.4:443: i/o timeout",
                "the image can't be pulled",
                "NAT gateways",
                "Image",
            ),
            (
                "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secrets from ssm: service call has been retried 1 time(s): invalid ssm parameters: /x/DB",
                "a secret is missing: ",
                "copilot secret init",
                "Secrets",
            ),
            (
                "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm: AccessDeniedException: … is not authorized to perform: secretsmanager:GetSecretValue",
                "the execution role may not read a secret",
                "tag-resource --secret-id NAME --tags Key=copilot-application,Value=app",
                "Secrets",
            ),
            (
                "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secrets from ssm: AccessDeniedException: User: arn:u is not authorized to perform: ssm:GetParameters on resource: arn:aws:ssm:eu-west-1:1:parameter/app/DB because no identity-based policy allows it",
                "the execution role may not read a secret",
                "--resource-id /app/DB --tags Key=copilot-application,Value=app",
                "Secrets",
            ),
            (
                "Task failed ELB health checks in (target-group arn:tg)",
                "tasks don't pass the load balancer's health check",
                "http.healthcheck",
                "HealthCheckPath",
            ),
            (
                "Task failed container health checks",
                "a container does not pass its own health check",
                "image.healthcheck",
                "HealthCheck",
            ),
            (
                "Timeout waiting for network interface provisioning to complete.",
                "tasks stop: Timeout",
                "aws logs tail",
                "TaskDefinition",
            ),
        ] {
            let cause = find(
                Some(&service_failed()),
                Some(&stopped(reason)),
                &deployment(),
            );
            assert!(cause.what.contains(what), "{reason}: {}", cause.what);
            assert!(cause.hint.contains(hint), "{reason}: {}", cause.hint);
            let at = cause.pointer.unwrap_or_default();
            assert!(at.contains(pointer), "{reason}: {at}");
        }
    }

    #[test]
    fn a_container_that_exits_is_named_with_its_code_and_its_log() {
        let mut rollout = stopped("Essential container in task exited");
        rollout.stopped[0].code = Some("EssentialContainerExited".to_owned());
        rollout.stopped[0].containers = vec![Container {
            name: "api".to_owned(),
            exit_code: Some(1),
            reason: None,
        }];
        let cause = find(Some(&service_failed()), Some(&rollout), &deployment());
        assert_eq!(cause.what, "container api exited with code 1");
        assert_eq!(cause.log, Some(("api".to_owned(), "t1".to_owned())));
        assert!(cause.hint.contains("aws logs tail /copilot/app-test-api"));
        rollout.stopped[0].containers[0].exit_code = Some(137);
        let cause = find(Some(&service_failed()), Some(&rollout), &deployment());
        assert!(cause.hint.contains("memory"), "{}", cause.hint);
        assert_eq!(
            cause.pointer.as_deref(),
            Some("/Resources/TaskDefinition/Properties/Memory")
        );
    }

    #[test]
    fn what_the_service_says_counts_when_no_task_ever_started() {
        for (message, what) in [
            (
                "(service api) was unable to place a task. Reason: You've reached the limit on the number of vCPUs you can run concurrently.",
                "a quota of the account is used up",
            ),
            (
                "(service api) (port 80) is unhealthy in (target-group arn) due to (reason Health checks failed with these codes: [502]).",
                "tasks don't pass the load balancer's health check",
            ),
            (
                "(service api) deployment failed: alarm detected.",
                "an alarm stopped the deployment",
            ),
            (
                "(service api) was unable to place a task because no container instance met all of its requirements.",
                "unable to place a task",
            ),
        ] {
            let rollout = Rollout {
                messages: vec![
                    Message {
                        time: 10,
                        text: "(service api) rolling back to deployment ecs-svc/0.".to_owned(),
                    },
                    Message {
                        time: 9,
                        text: "(service api) (deployment ecs-svc/1) deployment failed: tasks failed to start.".to_owned(),
                    },
                    Message {
                        time: 8,
                        text: message.to_owned(),
                    },
                ],
                ..Rollout::default()
            };
            let cause = find(Some(&service_failed()), Some(&rollout), &deployment());
            assert!(cause.what.contains(what), "{message}: {}", cause.what);
        }
    }

    #[test]
    fn another_resources_failure_is_told_by_its_event_whatever_the_service_does() {
        for (reason, hint) in [
            ("Rate exceeded", "wait a minute"),
            (
                "The maximum number of rules has been reached",
                "service-quotas",
            ),
            (
                "User: arn:x is not authorized to perform: iam:CreateRole",
                "arn:role",
            ),
            ("app-test-api already exists", "remove or rename"),
            (
                "No export named app-test-HTTPListenerArn found",
                "copilot env deploy",
            ),
            ("Property X cannot be empty", "describe-stack-events"),
        ] {
            let failure = Failure {
                resource: "TargetGroup".to_owned(),
                kind: "AWS::ElasticLoadBalancingV2::TargetGroup".to_owned(),
                reason: reason.to_owned(),
                ..service_failed()
            };
            let cause = find(
                Some(&failure),
                Some(&stopped("Essential container exited")),
                &deployment(),
            );
            assert!(cause.what.contains(reason), "{}", cause.what);
            assert!(cause.hint.contains(hint), "{reason}: {}", cause.hint);
        }
        let cause = find(None, None, &deployment());
        assert!(cause.hint.contains("describe-stack-events"));
    }
}
