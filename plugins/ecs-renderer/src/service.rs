//! The ECS service that the three service types share.

use crate::cfn;
use crate::cfn::{Value, attribute, environment_export, reference, resource};
use crate::deployment::Deployment;
use crate::scope::Scope;
use crate::stack::Stack;
use crate::task::Task;
use crate::yaml::At;

/// What differs between service types.
pub(crate) struct Service<'a> {
    /// The task it runs.
    pub(crate) task: &'a Task,
    /// How tasks are replaced.
    pub(crate) deployment: &'a Deployment,
    /// What must exist first.
    pub(crate) depends_on: Vec<Value>,
    /// Whether others can connect to it through service connect.
    pub(crate) serves: bool,
    /// Target groups, if a load balancer stands before it.
    pub(crate) load_balancers: Vec<Value>,
    /// Seconds before health checks count, if the manifest says.
    pub(crate) grace_period: Option<At<i64>>,
    /// `ServiceRegistries`.
    pub(crate) registries: Value,
}

impl Service<'_> {
    /// Adds the service and its alarms.
    pub(crate) fn render(self, scope: &Scope<'_>, stack: &mut Stack) {
        let capacity = self.task.count.capacity();
        let launch_type = capacity.is_absent().then_some("FARGATE");
        let balanced = !self.load_balancers.is_empty();
        let grace = self.grace_period.map_or_else(|| 60.into(), Value::from);
        stack.resource(
            "Service",
            resource("AWS::ECS::Service", "The service that keeps the tasks running")
                .depends_on(self.depends_on)
                .properties(cfn!({
                    "PlatformVersion": (self.task.platform_version()),
                    "Cluster": (environment_export("ClusterId")),
                    "TaskDefinition": (reference("TaskDefinition")),
                    "DesiredCount": (self.task.count.desired()),
                    "DeploymentConfiguration": (self.deployment.configuration(scope)),
                    "PropagateTags": "SERVICE",
                    "EnableExecuteCommand": (self.task.execute_command()),
                    "LaunchType": (launch_type),
                    "CapacityProviderStrategy": (capacity),
                    "ServiceConnectConfiguration": (self.task.network.connect_configuration(scope, self.serves)),
                    "NetworkConfiguration": (self.task.network.configuration(scope)),
                    "HealthCheckGracePeriodSeconds": (balanced.then_some(grace)),
                    "LoadBalancers": (balanced.then_some(Value::List(self.load_balancers))),
                    "ServiceRegistries": (self.registries),
                })),
        );
        self.deployment.alarms(scope, stack);
    }
}

/// Adds the name others find the service by, and exports it.
pub(crate) fn discovery(stack: &mut Stack) {
    stack.resource(
        "DiscoveryService",
        resource(
            "AWS::ServiceDiscovery::Service",
            "The name by which other services find this one",
        )
        .properties(cfn!({
            "Description": "Where the tasks are.",
            "DnsConfig": {
                "RoutingPolicy": "MULTIVALUE",
                "DnsRecords": [{ "TTL": 10, "Type": "A" }, { "TTL": 10, "Type": "SRV" }],
            },
            "HealthCheckCustomConfig": { "FailureThreshold": 1 },
            "Name": (reference("WorkloadName")),
            "NamespaceId": (environment_export("ServiceDiscoveryNamespaceID")),
        })),
    );
    stack.output(
        "DiscoveryServiceARN",
        "ARN of the discovery service",
        attribute("DiscoveryService", "Arn"),
    );
}

/// The registry entry of a service that listens.
pub(crate) fn registry() -> Value {
    cfn!([{
        "RegistryArn": (attribute("DiscoveryService", "Arn")),
        "Port": (reference("TargetPort")),
    }])
}

/// The condition that this is a GovCloud region, where some features are missing.
pub(crate) fn gov_cloud(stack: &mut Stack) {
    stack.condition(
        "IsGovCloud",
        cfn::equals(reference("AWS::Partition"), "aws-us-gov"),
    );
}
