//! Resources: which change their properties ask for, and how each is made, changed and deleted.

mod custom;
mod ecs;
mod mirror;
mod names;
pub(super) mod nested;

use std::sync::Arc;

use serde_json::Value;

use super::evaluate::Identity;
use super::stack::{Resource, STACK};
use crate::world::World;

/// Something to be done to one resource.
pub(crate) struct Operation {
    pub(crate) world: Arc<World>,
    /// The stack's id.
    pub(crate) stack: String,
    /// The logical name.
    pub(crate) name: String,
    pub(crate) kind: String,
    /// Evaluated.
    pub(crate) properties: Value,
    /// What there is already.
    pub(crate) old: Option<Resource>,
}

/// What is asked of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Create,
    /// In place.
    Update,
    /// By another one.
    Replace,
    /// Back to what it was.
    Restore,
}

/// A resource that is there.
pub(crate) struct Made {
    pub(crate) physical: String,
    pub(crate) identity: Identity,
}

/// Properties that can't be changed in place, by the type they belong to.
const FIXED: [(&str, &[&str]); 14] = [
    ("AWS::ECS::TaskDefinition", &["*"]),
    (
        "AWS::ECS::Service",
        &["ServiceName", "Cluster", "LaunchType"],
    ),
    ("AWS::ECS::Cluster", &["ClusterName"]),
    ("AWS::IAM::Role", &["RoleName", "Path"]),
    ("AWS::Logs::LogGroup", &["LogGroupName"]),
    (
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        &[
            "Name",
            "Port",
            "Protocol",
            "ProtocolVersion",
            "TargetType",
            "VpcId",
        ],
    ),
    (
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        &["Name", "Scheme", "Type"],
    ),
    (
        "AWS::ElasticLoadBalancingV2::Listener",
        &["LoadBalancerArn"],
    ),
    (
        "AWS::ElasticLoadBalancingV2::ListenerRule",
        &["ListenerArn"],
    ),
    (
        "AWS::EC2::SecurityGroup",
        &["GroupDescription", "GroupName", "VpcId"],
    ),
    (
        "AWS::ECR::Repository",
        &["RepositoryName", "EncryptionConfiguration"],
    ),
    ("AWS::S3::Bucket", &["BucketName"]),
    ("AWS::SNS::Topic", &["TopicName", "FifoTopic"]),
    ("AWS::SQS::Queue", &["QueueName", "FifoQueue"]),
];

/// What it takes to bring `old` to `properties`; nothing when they are the same.
pub(crate) fn change(old: &Resource, kind: &str, properties: &Value) -> Option<Change> {
    if old.kind != kind {
        return Some(Change::Replace);
    }
    if &old.properties == properties {
        return None;
    }
    let fixed = FIXED.iter().find(|(of, _)| *of == kind);
    let is_fixed = fixed.is_some_and(|(_, names)| {
        names.contains(&"*")
            || names
                .iter()
                .any(|name| old.properties[*name] != properties[*name])
    });
    Some(if is_fixed {
        Change::Replace
    } else {
        Change::Update
    })
}

/// Makes, changes or restores a resource; the reason when that fails.
pub(crate) async fn make(operation: &Operation, change: Change) -> Result<Made, String> {
    if operation.kind == STACK {
        return nested::make(operation).await;
    }
    if operation.kind.starts_with("Custom::")
        || operation.kind == "AWS::CloudFormation::CustomResource"
    {
        return custom::make(operation, change).await;
    }
    match operation.kind.as_str() {
        "AWS::ECS::TaskDefinition" => return Ok(ecs::define(operation, change)),
        "AWS::ECS::Service" => return ecs::serve(operation, change).await,
        _ => {}
    }
    let made = match (&operation.old, change) {
        (Some(old), Change::Update | Change::Restore) => {
            let identity = names::identity(operation, &old.physical);
            let physical = old.physical.clone();
            Made { physical, identity }
        }
        (_, Change::Create | Change::Replace) | (None, _) => {
            let physical = names::physical(operation);
            let identity = names::identity(operation, &physical);
            Made { physical, identity }
        }
    };
    initiated(operation, change, &made.physical);
    mirror::make(operation, change, &made).await?;
    Ok(made)
}

/// Says that work has begun on something that has a name by now.
fn initiated(operation: &Operation, change: Change, physical: &str) {
    if change != Change::Create {
        return;
    }
    operation.world.change(&operation.stack, |stack| {
        if let Some(resource) = stack.resource_mut(&operation.name) {
            resource.physical = physical.to_owned();
        }
        stack.enter_resource(
            &operation.name,
            "CREATE_IN_PROGRESS",
            Some("Resource creation Initiated"),
        );
    });
}

/// Deletes a resource; the reason when that fails.
pub(crate) async fn delete(operation: &Operation) -> Result<(), String> {
    if operation.kind == STACK {
        return nested::delete(operation).await;
    }
    if operation.kind.starts_with("Custom::")
        || operation.kind == "AWS::CloudFormation::CustomResource"
    {
        return custom::delete(operation).await;
    }
    if operation.kind.starts_with("AWS::ECS::") {
        ecs::delete(operation);
        return Ok(());
    }
    mirror::delete(operation).await
}
