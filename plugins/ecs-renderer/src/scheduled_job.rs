//! Scheduled Job: a task that a state machine runs when its schedule says so.

use crate::cfn;
use crate::cfn::{Value, attribute, environment_export, join, reference, resource, sub};
use crate::count::Scaled;
use crate::custom_resource::{Controller, on_cluster};
use crate::diagnostic::Findings;
use crate::duration;
use crate::ecs_fields;
use crate::environment;
use crate::iam::{Role, Trust, allow, allow_if, policy};
use crate::image;
use crate::ports::Ports;
use crate::schedule;
use crate::schema::{Object, Shape};
use crate::scope::Scope;
use crate::stack::{Kind, Stack};
use crate::task::{Surroundings, Task};
use crate::yaml::{At, Node, Span};
use serde_json::json;

/// Keys of the manifest.
pub(crate) const SHAPE: Object = Object {
    fields: ecs_fields!(
        ("image", image::WITHOUT_PORT),
        (
            "on",
            Shape::Object(&Object {
                fields: &[("schedule", Shape::Text)],
                exclusive: &[]
            })
        ),
        ("retries", Shape::Integer),
        ("timeout", Shape::Text),
    ),
    exclusive: &[],
};

/// Renders the stack.
pub(crate) fn render(root: &Node, scope: &Scope<'_>, findings: &mut Findings) -> Stack {
    let task = Task::read(root, Scaled::Job, scope, findings);
    let job = Job::read(root, findings);
    warn_ignored(root, findings);
    let features = task.features();
    environment::check(scope, &features, findings);
    let ports = Ports::gather(scope.name, None, &task.sidecars, &[], &[], findings);

    let mut stack = Stack::default();
    task.parameters(scope, &mut stack);
    stack.parameter("Schedule", Kind::Text, job.schedule.clone());
    stack.parameter("LogRetention", Kind::Number, task.retention());
    let around = Surroundings {
        ports,
        target: None,
        variables: Vec::new(),
    };
    task.render(scope, &around, &mut stack, findings);
    let controller = Controller {
        features,
        aliases: Vec::new(),
    };
    controller.render(scope, &mut stack);
    job.render(&task, scope, &mut stack);
    scope.addons.render(controller.dependency(), &mut stack);
    stack
}

/// Fields that services have and that change nothing here.
fn warn_ignored(root: &Node, findings: &mut Findings) {
    let ignored = [
        ("exec", root.get("exec")),
        ("network.connect", root.dig("network.connect")),
    ];
    for (field, node) in ignored {
        if let Some(node) = node {
            findings.warn(
                node.span,
                format!("`{field}` has no effect on a job"),
                "remove it",
            );
        }
    }
    if let Some(count) = root
        .get("count")
        .filter(|c| c.integer().is_some_and(|n| n > 1))
    {
        findings.warn(
            count.span,
            "`count` has no effect on a job: one task runs at a time",
            "remove it",
        );
    }
}

struct Job {
    schedule: String,
    schedule_span: Span,
    retries: Option<At<i64>>,
    timeout: Option<At<i64>>,
}

impl Job {
    fn read(root: &Node, findings: &mut Findings) -> Job {
        let schedule = root
            .get("on")
            .and_then(|on| on.text_at("schedule"))
            .filter(|s| !s.value.is_empty());
        let expression = match &schedule {
            None => {
                findings.error(
                    root.get("on").map_or(root.span, |n| n.span),
                    "`on.schedule` must be specified",
                    "for example `@daily`, `@every 2h`, `0 9 * * MON-FRI` or `rate(1 hour)`",
                );
                String::new()
            }
            Some(schedule) => schedule::expression(&schedule.value).unwrap_or_else(|problem| {
                findings.error(
                    schedule.span,
                    format!("`on.schedule`: {problem}"),
                    "for example `@daily`, `@every 2h`, `0 9 * * MON-FRI` or `rate(1 hour)`",
                );
                String::new()
            }),
        };
        let timeout = root.text_at("timeout").and_then(|text| {
            let nanoseconds = duration::parse(&text.value);
            match nanoseconds {
                Some(n) if n >= duration::SECOND && n % duration::SECOND == 0 => {
                    Some(At::new(duration::seconds(n), text.span))
                }
                Some(_) | None => {
                    findings.error(
                        text.span,
                        format!(
                            "`timeout` cannot be `{}`: it must be a duration of whole seconds",
                            text.value
                        ),
                        "for example 90s or 1h30m",
                    );
                    None
                }
            }
        });
        let retries = root.integer_at("retries");
        if let Some(retries) = retries.as_ref().filter(|r| r.value < 0) {
            findings.error(
                retries.span,
                format!("`retries` cannot be {}", retries.value),
                "write a number from 0 up",
            );
        }
        Job {
            schedule: expression,
            schedule_span: schedule.map(|s| s.span).unwrap_or_default(),
            retries,
            timeout,
        }
    }

    fn render(&self, task: &Task, scope: &Scope<'_>, stack: &mut Stack) {
        // EventBridge needs an expression even for a rule that never fires.
        let (expression, state) = match self.schedule.as_str() {
            "none" => ("rate(5 minutes)".into(), "DISABLED"),
            _ => (reference("Schedule"), "ENABLED"),
        };
        stack.resource(
            "Rule",
            resource("AWS::Events::Rule", "The rule that starts the job").properties(cfn!({
                "ScheduleExpression": (expression.at(self.schedule_span)),
                "State": (Value::from(state).at(self.schedule_span)),
                "Targets": [{
                    "Arn": (reference("StateMachine")),
                    "Id": "statemachine",
                    "RoleArn": (attribute("RuleRole", "Arn")),
                }],
            })),
        );
        let role = Role {
            policies: vec![policy(
                "EventRulePolicy",
                vec![allow(
                    "states:StartExecution".into(),
                    reference("StateMachine"),
                )],
            )],
            ..Role::new(Trust::Service("events.amazonaws.com"))
        };
        stack.resource(
            "RuleRole",
            role.render(scope, "A role with which the rule starts the state machine"),
        );
        let separator = "\",\"";
        let network = &task.network;
        stack.resource(
            "StateMachine",
            resource("AWS::StepFunctions::StateMachine", "The state machine that runs the task").properties(cfn!({
                "StateMachineName": (sub("${AppName}-${EnvName}-${WorkloadName}")),
                "RoleArn": (attribute("StateMachineRole", "Arn")),
                "LoggingConfiguration": {
                    "Destinations": [{
                        "CloudWatchLogsLogGroup": { "LogGroupArn": (attribute("LogGroup", "Arn")) },
                    }],
                    "IncludeExecutionData": true,
                    "Level": "ALL",
                },
                "DefinitionSubstitutions": {
                    "ContainerName": (reference("WorkloadName")),
                    "Cluster": (environment_export("ClusterId")),
                    "TaskDefinition": (reference("TaskDefinition")),
                    "Partition": (reference("AWS::Partition")),
                    "Subnets": (Value::Call("Join".into(), Box::new(Value::List(vec![separator.into(), network.subnets()])))),
                    "AssignPublicIp": (network.assign_public_ip()),
                    "SecurityGroups": (join(separator, network.groups(scope))),
                },
                "DefinitionString": (self.definition()),
            })),
        );
        stack.resource(
            "StateMachineRole",
            machine_role().render(scope, "A role with which the state machine runs tasks"),
        );
    }

    /// The state machine as JSON.
    fn definition(&self) -> Value {
        let mut run = json!({
            "Type": "Task",
            "Resource": "arn:${Partition}:states:::ecs:runTask.sync",
            "Parameters": {
                "LaunchType": "FARGATE",
                "PlatformVersion": "LATEST",
                "Cluster": "${Cluster}",
                "TaskDefinition": "${TaskDefinition}",
                "PropagateTags": "TASK_DEFINITION",
                "Group.$": "$$.Execution.Name",
                "NetworkConfiguration": {
                    "AwsvpcConfiguration": {
                        "Subnets": ["${Subnets}"],
                        "AssignPublicIp": "${AssignPublicIp}",
                        "SecurityGroups": ["${SecurityGroups}"],
                    }
                }
            },
            "End": true
        });
        if let Some(retries) = &self.retries {
            run["Retry"] = json!([{
                "ErrorEquals": ["States.ALL"],
                "IntervalSeconds": 10,
                "MaxAttempts": retries.value,
                "BackoffRate": 1.5
            }]);
        }
        let mut machine = json!({
            "Version": "1.0",
            "Comment": "Runs the job's task on Fargate",
            "StartAt": "Run Fargate Task",
            "States": { "Run Fargate Task": run }
        });
        if let Some(timeout) = &self.timeout {
            machine["TimeoutSeconds"] = json!(timeout.value);
        }
        let span = self
            .timeout
            .as_ref()
            .or(self.retries.as_ref())
            .map(|at| at.span)
            .unwrap_or_default();
        Value::from(serde_json::to_string_pretty(&machine).unwrap_or_default()).at(span)
    }
}

fn machine_role() -> Role {
    let cluster = || on_cluster("ClusterID");
    let logs = cfn!([
        "logs:CreateLogDelivery",
        "logs:GetLogDelivery",
        "logs:UpdateLogDelivery",
        "logs:DeleteLogDelivery",
        "logs:ListLogDeliveries",
        "logs:PutResourcePolicy",
        "logs:DescribeResourcePolicies",
        "logs:DescribeLogGroups",
    ]);
    let roles = cfn!([
        (attribute("ExecutionRole", "Arn")),
        (attribute("TaskRole", "Arn"))
    ]);
    let rule = sub(
        "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/StepFunctionsGetEventsForECSTaskRule",
    );
    Role {
        policies: vec![policy(
            "StateMachine",
            vec![
                allow("iam:PassRole".into(), roles),
                allow_if("ecs:RunTask".into(), reference("TaskDefinition"), cluster()),
                allow_if(cfn!(["ecs:StopTask", "ecs:DescribeTasks"]), "*", cluster()),
                allow(logs, "*"),
                allow(
                    cfn!(["events:PutTargets", "events:PutRule", "events:DescribeRule"]),
                    rule,
                ),
            ],
        )],
        ..Role::new(Trust::Service("states.amazonaws.com"))
    }
}
