//! Functions that act for CloudFormation during a deployment, and the environment controller that every workload has.

use crate::cfn;
use crate::cfn::{Value, attribute, environment_export, reference, resource, sub, sub_with};
use crate::iam::{Role, allow, allow_if, named, policy, tagged};
use crate::scope::Scope;
use crate::stack::Stack;
use crate::yaml::At;
use custom_resources::RUNTIME;

/// A function's code and limits.
pub(crate) struct Function {
    /// Logical id, also the key of its code in the facts.
    pub(crate) id: &'static str,
    /// Logical id of its role.
    pub(crate) role: &'static str,
    /// Seconds.
    pub(crate) timeout: i64,
}

impl Function {
    /// A function with the longest time a function may take.
    pub(crate) const fn new(id: &'static str, role: &'static str) -> Function {
        Function {
            id,
            role,
            timeout: 900,
        }
    }

    /// Its properties.
    pub(crate) fn properties(&self, scope: &Scope<'_>) -> Value {
        let function = scope
            .functions
            .iter()
            .find(|function| function.id == self.id)
            .expect("a type's functions are listed, and the tests render every one");
        cfn!({
            "Code": (code(scope, function)),
            "Handler": (function.handler()),
            "Timeout": (self.timeout),
            "MemorySize": 512,
            "Role": (attribute(self.role, "Arn")),
            "Runtime": RUNTIME,
        })
    }

    /// The resource.
    pub(crate) fn render(&self, scope: &Scope<'_>, description: &str) -> Value {
        resource("AWS::Lambda::Function", description).properties(self.properties(scope))
    }
}

/// Bucket and key of a function's code: what the facts say, `https://<bucket>.s3.<region>.<suffix>/<key>`, or where our archive
/// goes.
fn code(scope: &Scope<'_>, function: &custom_resources::Function) -> Value {
    let url = scope.facts.custom_resources.get(function.id);
    let parts = url
        .and_then(|url| url.strip_prefix("https://"))
        .and_then(|rest| rest.split_once('/'))
        .map(|(host, key)| {
            (
                host.split(".s3").next().unwrap_or(host).to_owned(),
                key.to_owned(),
            )
        });
    let (bucket, key) =
        parts.unwrap_or_else(|| (scope.facts.artifacts.bucket.clone(), function.key()));
    cfn!({ "S3Bucket": (bucket), "S3Key": (key) })
}

/// The condition that an action concerns this environment's cluster, under the name the stack uses for it.
pub(crate) fn on_cluster(variable: &'static str) -> Value {
    let arn = format!(
        "arn:${{AWS::Partition}}:ecs:${{AWS::Region}}:${{AWS::AccountId}}:cluster/${{{variable}}}"
    );
    let cluster = sub_with(arn, cfn!({ (variable): (environment_export("ClusterId")) }));
    cfn!({ "ArnEquals": { "ecs:cluster": (cluster) } })
}

/// The statement that a function may look at this environment's services.
pub(crate) fn looking_at_services() -> Value {
    let describe = cfn!(["ecs:DescribeServices"]);
    named("ECS", allow_if(describe, "*", on_cluster("ClusterName")))
}

/// What the workload asks its environment's stack to provide.
#[derive(Clone, Debug, Default)]
pub(crate) struct Controller {
    /// Parameters of the environment stack that must name this workload.
    pub(crate) features: Vec<At<&'static str>>,
    /// Host names the workload answers to.
    pub(crate) aliases: Vec<String>,
}

impl Controller {
    /// Adds the environment controller's action, function and role.
    pub(crate) fn render(&self, scope: &Scope<'_>, stack: &mut Stack) {
        let features = self.features.iter().map(Value::from).collect();
        let aliases = (!self.aliases.is_empty())
            .then(|| Value::list(self.aliases.iter().map(Value::from).collect()));
        stack.resource(
            "EnvControllerAction",
            resource(
                "Custom::EnvControllerFunction",
                "The shared parts of the environment that this workload needs",
            )
            .properties(cfn!({
                "ServiceToken": (attribute("EnvControllerFunction", "Arn")),
                "Workload": (reference("WorkloadName")),
                "Aliases": (aliases),
                "EnvStack": (sub("${AppName}-${EnvName}")),
                "Parameters": (Value::List(features)),
                "EnvVersion": (scope.facts.environment.version.clone()),
            })),
        );
        let function = Function::new("EnvControllerFunction", "EnvControllerRole");
        stack.resource("EnvControllerFunction", function.render(scope, ""));
        let role = Role::function(vec![
            policy(
                "EnvControllerStackUpdate",
                vec![allow_if(
                    cfn!([
                        "cloudformation:DescribeStacks",
                        "cloudformation:UpdateStack"
                    ]),
                    sub(
                        "arn:${AWS::Partition}:cloudformation:${AWS::Region}:${AWS::AccountId}:stack/${AppName}-${EnvName}/*",
                    ),
                    tagged("cloudformation"),
                )],
            ),
            policy(
                "EnvControllerRolePass",
                vec![allow_if(
                    cfn!(["iam:PassRole"]),
                    sub(
                        "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/${AppName}-${EnvName}-CFNExecutionRole",
                    ),
                    tagged("iam"),
                )],
            ),
        ]);
        stack.resource(
            "EnvControllerRole",
            role.render(
                scope,
                "A role that lets the environment controller update the environment's stack",
            ),
        );
    }

    /// What resources that use the controller's work depend on.
    pub(crate) fn dependency(&self) -> Value {
        if self.features.is_empty() {
            Value::Absent
        } else {
            "EnvControllerAction".into()
        }
    }
}

/// Adds the function that finds free listener rule priorities.
pub(crate) fn rule_priority(scope: &Scope<'_>, stack: &mut Stack) {
    let function = Function {
        timeout: 600,
        ..Function::new("RulePriorityFunction", "RulePriorityFunctionRole")
    };
    stack.resource("RulePriorityFunction", function.render(scope, ""));
    let role = Role::function(vec![policy(
        "RulePriorityGeneratorAccess",
        vec![allow(cfn!(["elasticloadbalancing:DescribeRules"]), "*")],
    )]);
    stack.resource(
        "RulePriorityFunctionRole",
        role.render(
            scope,
            "A role that lets the rule priority function read listener rules",
        ),
    );
}

/// Adds the action, function and role that keep the number of running tasks over a deployment of a scaling service.
pub(crate) fn dynamic_desired_count(scope: &Scope<'_>, stack: &mut Stack) {
    stack.resource(
        "DynamicDesiredCountAction",
        resource(
            "Custom::DynamicDesiredCountFunction",
            "The number of tasks that run now",
        )
        .properties(cfn!({
            "ServiceToken": (attribute("DynamicDesiredCountFunction", "Arn")),
            "Cluster": (environment_export("ClusterId")),
            "App": (reference("AppName")),
            "Env": (reference("EnvName")),
            "Svc": (reference("WorkloadName")),
            "DefaultDesiredCount": (reference("TaskCount")),
            "UpdateID": (scope.facts.unique_id.clone()),
        })),
    );
    let function = Function {
        timeout: 600,
        ..Function::new(
            "DynamicDesiredCountFunction",
            "DynamicDesiredCountFunctionRole",
        )
    };
    stack.resource("DynamicDesiredCountFunction", function.render(scope, ""));
    let role = Role::function(vec![policy(
        "DelegateDesiredCountAccess",
        vec![
            looking_at_services(),
            named(
                "ResourceGroups",
                allow(cfn!(["resource-groups:GetResources"]), "*"),
            ),
            named("Tags", allow(cfn!(["tag:GetResources"]), "*")),
        ],
    )]);
    stack.resource(
        "DynamicDesiredCountFunctionRole",
        role.render(
            scope,
            "A role that lets the desired count function look at the service",
        ),
    );
}
