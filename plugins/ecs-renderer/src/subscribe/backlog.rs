//! The function that measures how many messages wait for each task.

use super::Subscribe;
use crate::cfn;
use crate::cfn::{Value, attribute, join, reference, resource, sub};
use crate::count::Count;
use crate::custom_resource::{Function, looking_at_services};
use crate::iam::{Role, allow, named, policy};
use crate::scope::Scope;
use crate::stack::Stack;

impl Subscribe {
    /// Adds the function that measures how many messages wait for each task.
    pub(crate) fn backlog(&self, scope: &Scope<'_>, count: &Count, stack: &mut Stack) {
        if !count.follows_queues() {
            return;
        }
        let queues = self.queues();
        let each = |what: &str| {
            queues
                .iter()
                .map(|q| attribute(q, what))
                .collect::<Vec<Value>>()
        };
        stack.resource(
            "BacklogPerTaskCalculatorLogGroup",
            resource("AWS::Logs::LogGroup", "").properties(cfn!({
                "LogGroupName": (join("/", vec![
                    "/aws".into(),
                    "lambda".into(),
                    sub("${BacklogPerTaskCalculatorFunction}"),
                ])),
                "RetentionInDays": 3,
            })),
        );
        let function = Function {
            timeout: 600,
            ..Function::new(
                "BacklogPerTaskCalculatorFunction",
                "BacklogPerTaskCalculatorRole",
            )
        };
        let mut properties = function.properties(scope);
        if let Value::Map(entries) = &mut properties {
            entries.push((
                "Environment".into(),
                cfn!({ "Variables": {
                    "CLUSTER_NAME": (cfn::environment_export("ClusterId")),
                    "SERVICE_NAME": (reference("Service")),
                    "NAMESPACE": (sub("${AppName}-${EnvName}-${WorkloadName}")),
                    "QUEUE_NAMES": (join(",", each("QueueName"))),
                }}),
            ));
        }
        stack.resource(
            "BacklogPerTaskCalculatorFunction",
            resource("AWS::Lambda::Function", "").properties(properties),
        );
        let role = Role::function(vec![policy(
            "BacklogPerTaskCalculatorAccess",
            vec![
                looking_at_services(),
                named(
                    "SQS",
                    allow(
                        cfn!(["sqs:GetQueueAttributes", "sqs:GetQueueUrl"]),
                        Value::List(each("Arn")),
                    ),
                ),
            ],
        )]);
        stack.resource(
            "BacklogPerTaskCalculatorRole",
            role.render(
                scope,
                "A role that lets the backlog function count messages and tasks",
            ),
        );
        stack.resource(
            "BacklogPerTaskScheduledRule",
            resource("AWS::Events::Rule", "Measures the backlog every minute")
                .depends_on(cfn!(["BacklogPerTaskCalculatorLogGroup"]))
                .properties(cfn!({
                    "ScheduleExpression": "rate(1 minute)",
                    "State": "ENABLED",
                    "Targets": [{
                        "Arn": (attribute("BacklogPerTaskCalculatorFunction", "Arn")),
                        "Id": "BacklogPerTaskCalculatorFunctionTrigger",
                    }],
                })),
        );
        stack.resource(
            "PermissionToInvokeBacklogPerTaskCalculatorLambda",
            resource("AWS::Lambda::Permission", "").properties(cfn!({
                "FunctionName": (reference("BacklogPerTaskCalculatorFunction")),
                "Action": "lambda:InvokeFunction",
                "Principal": "events.amazonaws.com",
                "SourceArn": (attribute("BacklogPerTaskScheduledRule", "Arn")),
            })),
        );
    }
}
