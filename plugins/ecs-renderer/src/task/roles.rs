//! The role that starts the containers, and the one they act with.

use super::{Task, workload_name};
use crate::cfn;
use crate::cfn::{Value, join, reference, select_split, when};
use crate::iam::{Role, Trust, allow, deny_iam, policy, secrets_policy, service_policy};
use crate::observability;
use crate::publish::{self};
use crate::scope::Scope;

impl Task {
    pub(super) fn execution_role(&self, scope: &Scope<'_>) -> Value {
        let mut policies = vec![
            secrets_policy(workload_name("", "SecretsPolicy")),
            env_file_policy("HasEnvFile", "EnvFileARN", "GetEnvFilePolicy"),
        ];
        if self.logging.routes() {
            policies.push(env_file_policy(
                "HasLoggingEnvFile",
                "LoggingEnvFileARN",
                "GetLoggingEnvFilePolicy",
            ));
        }
        policies.extend(self.sidecars.iter().map(|sidecar| {
            let id = sidecar.id();
            env_file_policy(
                &format!("HasEnvFileFor{id}"),
                &format!("EnvFileARNFor{id}"),
                &format!("GetEnvFilePolicyFor{id}"),
            )
        }));
        let role = Role {
            managed: vec![service_policy("AmazonECSTaskExecutionRolePolicy")],
            policies,
            ..Role::new(Trust::Service("ecs-tasks.amazonaws.com"))
        };
        role.render(scope, "A role with which ECS starts the containers")
    }

    pub(super) fn task_role(&self, scope: &Scope<'_>) -> Value {
        let mut policies = vec![deny_iam()];
        if let Some(span) = self.exec {
            policies.push(exec_policy().at(span));
        }
        policies.extend(self.storage.policies());
        policies.push(publish::publish_policy(&self.topics));
        if let Some(span) = self.tracing {
            policies.push(observability::collector_policy().at(span));
        }
        policies.retain(|p| !p.is_absent());
        let role = Role {
            managed: scope.addons.policies(),
            policies,
            ..Role::new(Trust::Service("ecs-tasks.amazonaws.com"))
        };
        role.render(scope, "A role the containers act with")
    }
}

/// Lets ECS fetch an environment file, if there is one.
fn env_file_policy(condition: &str, parameter: &str, name: &str) -> Value {
    let file = || reference(parameter.to_owned());
    let bucket = join(
        "",
        vec![
            "arn:".into(),
            reference("AWS::Partition"),
            ":s3:::".into(),
            select_split(0, "/", select_split(5, ":", file())),
        ],
    );
    let policy = policy(
        workload_name("", name),
        vec![
            allow(cfn!(["s3:GetObject"]), cfn!([(file())])),
            allow(cfn!(["s3:GetBucketLocation"]), cfn!([(bucket)])),
        ],
    );
    when(condition.to_owned(), policy)
}

/// Lets people open a shell in a container.
fn exec_policy() -> Value {
    policy(
        "ExecuteCommand",
        vec![
            allow(
                cfn!([
                    "ssmmessages:CreateControlChannel",
                    "ssmmessages:OpenControlChannel",
                    "ssmmessages:CreateDataChannel",
                    "ssmmessages:OpenDataChannel",
                ]),
                "*",
            ),
            allow(
                cfn!([
                    "logs:CreateLogStream",
                    "logs:DescribeLogGroups",
                    "logs:DescribeLogStreams",
                    "logs:PutLogEvents",
                ]),
                "*",
            ),
        ],
    )
}
