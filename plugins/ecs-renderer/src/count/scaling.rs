//! The scaling target and its policies.

use super::{Count, Measure, Metric};
use crate::cfn;
use crate::cfn::{Value, attribute, environment_export, join, reference, resource};
use crate::custom_resource::dynamic_desired_count;
use crate::iam::{Role, Trust, service_policy};
use crate::scope::Scope;
use crate::stack::Stack;

impl Count {
    /// Adds the scaling target and its policies.
    ///
    /// `load_balancer` and `target_group` are the dimensions of load balancer metrics; `queues` are the logical ids of a
    /// worker's queues.
    pub(crate) fn scaling(
        &self,
        scope: &Scope<'_>,
        stack: &mut Stack,
        dimensions: Option<(Value, Value)>,
        queues: &[String],
    ) {
        let Count::Range(range) = self else {
            return;
        };
        dynamic_desired_count(scope, stack);
        let role = Role {
            managed: vec![service_policy("AmazonEC2ContainerServiceAutoscaleRole")],
            ..Role::new(Trust::Service("ecs-tasks.amazonaws.com"))
        };
        stack.resource(
            "AutoScalingRole",
            role.render(
                scope,
                "A role that lets application auto scaling change the service",
            ),
        );
        stack.resource(
            "AutoScalingTarget",
            resource(
                "AWS::ApplicationAutoScaling::ScalableTarget",
                "The limits of the number of tasks",
            )
            .properties(cfn!({
                "MinCapacity": (&range.min),
                "MaxCapacity": (&range.max),
                "ResourceId": (join("/", vec![
                    "service".into(),
                    environment_export("ClusterId"),
                    attribute("Service", "Name"),
                ])),
                "ScalableDimension": "ecs:service:DesiredCount",
                "ServiceNamespace": "ecs",
                "RoleARN": (attribute("AutoScalingRole", "Arn")),
            })),
        );
        for metric in &range.metrics {
            match metric.measure {
                Measure::Cpu => metric.predefined("ECSServiceAverageCPUUtilization", stack),
                Measure::Memory => metric.predefined("ECSServiceAverageMemoryUtilization", stack),
                Measure::Requests => metric.load_balancer(
                    "ALBSumRequestCountPerTarget",
                    "RequestCountPerTarget",
                    "Sum",
                    dimensions.as_ref(),
                    stack,
                ),
                Measure::ResponseTime => metric.load_balancer(
                    "ALBAverageResponseTime",
                    "TargetResponseTime",
                    "Average",
                    dimensions.as_ref(),
                    stack,
                ),
                Measure::QueueDelay => queues.iter().for_each(|q| metric.queue(q, stack)),
            }
        }
    }
}

impl Metric {
    fn policy(
        &self,
        id: String,
        name: Value,
        specification: (&'static str, Value),
        description: &str,
        stack: &mut Stack,
    ) {
        let (key, specification) = specification;
        stack.resource(
            format!("AutoScalingPolicy{id}"),
            resource("AWS::ApplicationAutoScaling::ScalingPolicy", description)
                .properties(cfn!({
                    "PolicyName": (name),
                    "PolicyType": "TargetTrackingScaling",
                    "ScalingTargetId": (reference("AutoScalingTarget")),
                    "TargetTrackingScalingPolicyConfiguration": {
                        (key): (specification),
                        "ScaleInCooldown": (self.cooldown_in.clone()),
                        "ScaleOutCooldown": (self.cooldown_out.clone()),
                        "TargetValue": (self.target.clone()),
                    },
                }))
                .at(self.span),
        );
    }

    fn name(kind: &'static str) -> Value {
        join(
            "-",
            vec![
                reference("WorkloadName"),
                kind.into(),
                "ScalingPolicy".into(),
            ],
        )
    }

    fn predefined(&self, kind: &'static str, stack: &mut Stack) {
        let specification = cfn!({ "PredefinedMetricType": kind });
        self.policy(
            kind.to_owned(),
            Metric::name(kind),
            ("PredefinedMetricSpecification", specification),
            "Keeps the load of each task near its target",
            stack,
        );
    }

    fn load_balancer(
        &self,
        kind: &'static str,
        metric: &'static str,
        statistic: &'static str,
        dimensions: Option<&(Value, Value)>,
        stack: &mut Stack,
    ) {
        let Some((load_balancer, target_group)) = dimensions else {
            return;
        };
        let specification = cfn!({
            "Dimensions": [
                { "Name": "LoadBalancer", "Value": (load_balancer.clone()) },
                { "Name": "TargetGroup", "Value": (target_group.clone()) },
            ],
            "MetricName": metric,
            "Namespace": "AWS/ApplicationELB",
            "Statistic": statistic,
        });
        self.policy(
            kind.to_owned(),
            Metric::name(kind),
            ("CustomizedMetricSpecification", specification),
            "Keeps what the load balancer measures near its target",
            stack,
        );
    }

    fn queue(&self, queue: &str, stack: &mut Stack) {
        let name = join(
            "-",
            vec![
                reference("WorkloadName"),
                "BacklogPerTask".into(),
                attribute(queue, "QueueName"),
            ],
        );
        let specification = cfn!({
            "Namespace": (cfn::sub("${AppName}-${EnvName}-${WorkloadName}")),
            "MetricName": "BacklogPerTask",
            "Statistic": "Average",
            "Dimensions": [{ "Name": "QueueName", "Value": (attribute(queue, "QueueName")) }],
            "Unit": "Count",
        });
        self.policy(
            queue.to_owned(),
            name,
            ("CustomizedMetricSpecification", specification),
            "Keeps the messages that wait for each task near their target",
            stack,
        );
    }
}
