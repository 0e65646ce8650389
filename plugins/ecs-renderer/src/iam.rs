//! Roles and policies.

use crate::cfn;
use crate::cfn::{Value, reference, resource, sub};
use crate::scope::Scope;

/// Version of the policy language.
const VERSION: &str = "2012-10-17";

/// A policy document.
pub(crate) fn document(statements: Vec<Value>) -> Value {
    cfn!({ "Version": VERSION, "Statement": (Value::list(statements)) })
}

/// An inline policy.
pub(crate) fn policy(name: impl Into<Value>, statements: Vec<Value>) -> Value {
    cfn!({ "PolicyName": (name.into()), "PolicyDocument": (document(statements)) })
}

/// An `Allow` statement.
pub(crate) fn allow(actions: Value, resources: impl Into<Value>) -> Value {
    cfn!({ "Effect": "Allow", "Action": (actions), "Resource": (resources.into()) })
}

/// An `Allow` statement under a condition.
pub(crate) fn allow_if(actions: Value, resources: impl Into<Value>, condition: Value) -> Value {
    cfn!({
        "Effect": "Allow",
        "Action": (actions),
        "Resource": (resources.into()),
        "Condition": (condition),
    })
}

/// A statement with an id.
pub(crate) fn named(sid: &'static str, mut statement: Value) -> Value {
    if let Value::Map(entries) = &mut statement {
        entries.insert(0, ("Sid".into(), sid.into()));
    }
    statement
}

/// The condition that a resource carries this application's and environment's tags.
pub(crate) fn tagged(prefix: &str) -> Value {
    cfn!({ "StringEquals": {
        (format!("{prefix}:ResourceTag/copilot-application")): (sub("${AppName}")),
        (format!("{prefix}:ResourceTag/copilot-environment")): (sub("${EnvName}")),
    }})
}

/// As [`tagged`], and this workload's.
pub(crate) fn tagged_with_service(prefix: &str) -> Value {
    cfn!({ "StringEquals": {
        (format!("{prefix}:ResourceTag/copilot-application")): (sub("${AppName}")),
        (format!("{prefix}:ResourceTag/copilot-environment")): (sub("${EnvName}")),
        (format!("{prefix}:ResourceTag/copilot-service")): (sub("${WorkloadName}")),
    }})
}

/// Who may assume a role. The form of the document differs between roles that existing stacks already have.
pub(crate) enum Trust {
    /// Texts.
    Service(&'static str),
    /// A list of services, the action as text.
    Services(&'static str),
    /// Lists.
    Function,
}

impl Trust {
    fn document(self) -> Value {
        let (action, service) = match self {
            Trust::Service(service) => (cfn!("sts:AssumeRole"), Value::from(service)),
            Trust::Services(service) => (cfn!("sts:AssumeRole"), cfn!([service])),
            Trust::Function => (cfn!(["sts:AssumeRole"]), cfn!(["lambda.amazonaws.com"])),
        };
        document(vec![cfn!({
            "Effect": "Allow",
            "Principal": { "Service": (service) },
            "Action": (action),
        })])
    }
}

/// What a role is made of.
pub(crate) struct Role {
    /// Who may assume it.
    pub(crate) trust: Trust,
    /// Its IAM path, if not the default.
    pub(crate) path: Option<&'static str>,
    /// Managed policies.
    pub(crate) managed: Vec<Value>,
    /// Inline policies.
    pub(crate) policies: Vec<Value>,
    /// A condition of the resource.
    pub(crate) condition: Option<&'static str>,
}

impl Role {
    /// A role without policies.
    pub(crate) fn new(trust: Trust) -> Role {
        Role {
            trust,
            path: None,
            managed: Vec::new(),
            policies: Vec::new(),
            condition: None,
        }
    }

    /// The role of a custom resource's function.
    pub(crate) fn function(policies: Vec<Value>) -> Role {
        Role {
            trust: Trust::Function,
            path: Some("/"),
            managed: vec![service_policy("AWSLambdaBasicExecutionRole")],
            policies,
            condition: None,
        }
    }

    /// The resource.
    pub(crate) fn render(self, scope: &Scope<'_>, description: &str) -> Value {
        let description = match &scope.boundary {
            Some(boundary) => format!("{description}, bounded by {boundary}"),
            None => description.to_owned(),
        };
        let boundary = scope.boundary.as_ref().map(|name| {
            sub(format!(
                "arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:policy/{name}"
            ))
        });
        let list = |items: Vec<Value>| (!items.is_empty()).then(|| Value::list(items));
        let mut builder = resource("AWS::IAM::Role", description);
        if let Some(condition) = self.condition {
            builder = builder.condition(condition);
        }
        builder.properties(cfn!({
            "AssumeRolePolicyDocument": (self.trust.document()),
            "Path": (self.path),
            "ManagedPolicyArns": (list(self.managed)),
            "PermissionsBoundary": (boundary),
            "Policies": (list(self.policies)),
        }))
    }
}

/// ARN of an AWS managed policy below `service-role/`.
pub(crate) fn service_policy(name: &str) -> Value {
    sub(format!(
        "arn:${{AWS::Partition}}:iam::aws:policy/service-role/{name}"
    ))
}

/// Nobody inside a container may touch IAM.
pub(crate) fn deny_iam() -> Value {
    policy(
        "DenyIAM",
        vec![cfn!({ "Effect": "Deny", "Action": "iam:*", "Resource": "*" })],
    )
}

/// Reading this environment's secrets, and the keys they are encrypted with.
pub(crate) fn secrets_policy(name: impl Into<Value>) -> Value {
    let everywhere = |rest: &str| cfn!([(sub(format!("arn:${{AWS::Partition}}:{rest}")))]);
    policy(
        name,
        vec![
            allow_if(
                cfn!(["ssm:GetParameters"]),
                everywhere("ssm:${AWS::Region}:${AWS::AccountId}:parameter/*"),
                tagged("ssm"),
            ),
            allow_if(
                cfn!(["secretsmanager:GetSecretValue"]),
                everywhere("secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:*"),
                tagged("secretsmanager"),
            ),
            allow(cfn!(["kms:Decrypt"]), cfn!([(reference("ArtifactKeyARN"))])),
            named(
                "DecryptTaggedKMSKey",
                allow_if(
                    cfn!(["kms:Decrypt"]),
                    everywhere("kms:${AWS::Region}:${AWS::AccountId}:key/*"),
                    tagged("aws"),
                ),
            ),
        ],
    )
}
