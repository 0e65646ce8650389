//! `deployment`: how tasks are replaced, and which alarms undo it.

use crate::cfn;
use crate::cfn::{
    Value, attribute, environment_export, if_else, no_value, reference, resource, select_split,
};
use crate::diagnostic::Findings;
use crate::schema::{Object, Shape};
use crate::scope::Scope;
use crate::stack::Stack;
use crate::yaml::{At, Node, Span};

/// The section's keys, with further alarms.
macro_rules! shape {
    ($($alarm:expr),*) => {
        Shape::Object(&Object {
            fields: &[
                ("rolling", Shape::Text),
                (
                    "rollback_alarms",
                    Shape::Either(
                        &[
                            Shape::List(&Shape::Text),
                            Shape::Object(&Object {
                                fields: &[
                                    ("cpu_utilization", Shape::Number),
                                    ("memory_utilization", Shape::Number),
                                    $($alarm),*
                                ],
                                exclusive: &[],
                            }),
                        ],
                        "a list of alarm names or a map of thresholds",
                    ),
                ),
            ],
            exclusive: &[],
        })
    };
}

/// Keys for services behind load balancers and backends.
pub(crate) const SHAPE: Shape = shape!();

/// Keys for workers.
pub(crate) const WORKER_SHAPE: Shape = shape!(("messages_delayed", Shape::Integer));

/// The section.
#[derive(Clone, Debug)]
pub(crate) struct Deployment {
    recreate: bool,
    rolling_span: Span,
    alarms: Alarms,
    alarms_span: Span,
}

#[derive(Clone, Debug)]
enum Alarms {
    None,
    Names(Vec<At<String>>),
    Thresholds(Vec<Threshold>),
}

#[derive(Clone, Debug)]
struct Threshold {
    measure: Measure,
    value: Value,
    span: Span,
}

#[derive(Clone, Copy, Debug)]
enum Measure {
    Cpu,
    Memory,
    MessagesDelayed,
}

impl Deployment {
    /// Reads and checks the section.
    pub(crate) fn read(root: &Node, findings: &mut Findings) -> Deployment {
        let deployment = root.get("deployment");
        let rolling = deployment.and_then(|d| d.text_at("rolling"));
        let recreate = match rolling.as_ref().map(|r| r.value.to_lowercase()) {
            None => false,
            Some(text) if text == "default" => false,
            Some(text) if text == "recreate" => true,
            Some(_) => {
                if let Some(rolling) = &rolling {
                    findings.error(
                        rolling.span,
                        format!("`deployment.rolling` cannot be `{}`", rolling.value),
                        "write default (new tasks first) or recreate (old tasks stop first)",
                    );
                }
                false
            }
        };
        let node = deployment.and_then(|d| d.get("rollback_alarms"));
        let alarms = match node {
            None => Alarms::None,
            Some(node) if node.items().is_some_and(|i| i.is_empty()) => Alarms::None,
            Some(node) if node.items().is_some() => Alarms::Names(node.texts()),
            Some(node) => {
                let read = |key: &str, measure| {
                    let value = node.get(key)?;
                    Some(Threshold {
                        measure,
                        value: Value::raw(value.text()?),
                        span: value.span,
                    })
                };
                let thresholds: Vec<Threshold> = [
                    read("cpu_utilization", Measure::Cpu),
                    read("memory_utilization", Measure::Memory),
                    read("messages_delayed", Measure::MessagesDelayed),
                ]
                .into_iter()
                .flatten()
                .collect();
                if thresholds.is_empty() {
                    Alarms::None
                } else {
                    Alarms::Thresholds(thresholds)
                }
            }
        };
        Deployment {
            recreate,
            rolling_span: rolling.map(|r| r.span).unwrap_or_default(),
            alarms,
            alarms_span: node.map(|n| n.span).unwrap_or_default(),
        }
    }

    /// `DeploymentConfiguration`.
    pub(crate) fn configuration(&self, scope: &Scope<'_>) -> Value {
        let (minimum, maximum) = if self.recreate { (0, 100) } else { (100, 200) };
        let alarms = match &self.alarms {
            Alarms::None => {
                let off = cfn!({ "AlarmNames": [], "Enable": false, "Rollback": true });
                if_else("IsGovCloud", no_value(), off)
            }
            Alarms::Names(names) => {
                let names = names
                    .iter()
                    .map(|n| Value::raw(&n.value).at(n.span))
                    .collect();
                cfn!({ "AlarmNames": (Value::List(names)), "Enable": true, "Rollback": true })
            }
            Alarms::Thresholds(thresholds) => {
                let names = thresholds.iter().map(|t| t.name(scope).into()).collect();
                cfn!({ "AlarmNames": (Value::List(names)), "Enable": true, "Rollback": true })
            }
        };
        cfn!({
            "DeploymentCircuitBreaker": { "Enable": true, "Rollback": true },
            "MinimumHealthyPercent": (Value::from(minimum).at(self.rolling_span)),
            "MaximumPercent": (Value::from(maximum).at(self.rolling_span)),
            "Alarms": (alarms.at(self.alarms_span)),
        })
    }

    /// Adds the alarms whose thresholds the manifest gives.
    pub(crate) fn alarms(&self, scope: &Scope<'_>, stack: &mut Stack) {
        if let Alarms::Thresholds(thresholds) = &self.alarms {
            for threshold in thresholds {
                stack.resource(threshold.id(), threshold.alarm(scope));
            }
        }
    }
}

impl Threshold {
    fn id(&self) -> &'static str {
        match self.measure {
            Measure::Cpu => "CPURollbackAlarm",
            Measure::Memory => "MemoryRollbackAlarm",
            Measure::MessagesDelayed => "MessagesDelayedRollbackAlarm",
        }
    }

    fn name(&self, scope: &Scope<'_>) -> String {
        let suffix = match self.measure {
            Measure::Cpu => "CopilotRollbackCPUAlarm",
            Measure::Memory => "CopilotRollbackMemAlarm",
            Measure::MessagesDelayed => "CopilotRollbackMsgsDelayedAlarm",
        };
        let mut name = format!(
            "{}-{}-{}-{suffix}",
            scope.app(),
            scope.environment(),
            scope.name
        );
        // CloudWatch takes 255 characters; the end tells alarms apart.
        if name.len() > 255 {
            let cut = name.len() - 255;
            name = name.chars().skip(cut).collect();
        }
        name
    }

    fn alarm(&self, scope: &Scope<'_>) -> Value {
        let service = cfn!([
            { "Name": "ClusterName", "Value": (environment_export("ClusterId")) },
            { "Name": "ServiceName", "Value": (select_split(2, "/", reference("Service"))) },
        ]);
        let (namespace, metric, unit, dimensions, what) = match self.measure {
            Measure::Cpu => ("AWS/ECS", "CPUUtilization", "Percent", service, "CPU use"),
            Measure::Memory => (
                "AWS/ECS",
                "MemoryUtilization",
                "Percent",
                service,
                "memory use",
            ),
            Measure::MessagesDelayed => (
                "AWS/SQS",
                "ApproximateNumberOfMessagesDelayed",
                "Count",
                cfn!([{ "Name": "QueueName", "Value": (attribute("EventsQueue", "QueueName")) }]),
                "the number of delayed messages",
            ),
        };
        resource(
            "AWS::CloudWatch::Alarm",
            format!("An alarm on {what} that undoes a deployment"),
        )
        .properties(cfn!({
            "AlarmDescription": (format!("Undo a deployment when {what} reaches its threshold.")),
            "AlarmName": (self.name(scope)),
            "Namespace": namespace,
            "Dimensions": (dimensions),
            "MetricName": metric,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "DatapointsToAlarm": 2,
            "EvaluationPeriods": 3,
            "Period": 60,
            "Statistic": "Average",
            "Threshold": (self.value.clone()),
            "Unit": unit,
        }))
        .at(self.span)
    }
}
