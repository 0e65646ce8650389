//! Resources that other services must know of too: they are made at moto as well.

use serde_json::{Value, json};

use super::{Change, Made, Operation};
use crate::cloudformation::evaluate::text_of;
use crate::moto;

/// Makes it there, where there is something to make.
pub(super) async fn make(operation: &Operation, change: Change, made: &Made) -> Result<(), String> {
    if !matches!(change, Change::Create | Change::Replace)
        || operation.world.settings.moto.is_none()
    {
        return Ok(());
    }
    let properties = &operation.properties;
    let physical = made.physical.as_str();
    match operation.kind.as_str() {
        "AWS::ECR::Repository" => {
            let body = json!({ "repositoryName": physical, "tags": tags(operation) });
            call(
                operation,
                "ecr",
                "AmazonEC2ContainerRegistry_V20150921.CreateRepository",
                body,
            )
            .await
        }
        "AWS::Logs::LogGroup" => {
            let body = json!({ "logGroupName": physical });
            call(operation, "logs", "Logs_20140328.CreateLogGroup", body).await
        }
        "AWS::SecretsManager::Secret" => {
            let value = match &properties["SecretString"] {
                Value::Null => "generated".to_owned(),
                value => text_of(value),
            };
            let name = physical.split(":secret:").nth(1).unwrap_or(physical);
            let name = name.rsplit_once('-').map_or(name, |(name, _)| name);
            let body = json!({ "Name": name, "SecretString": value });
            call(
                operation,
                "secretsmanager",
                "secretsmanager.CreateSecret",
                body,
            )
            .await
        }
        "AWS::SSM::Parameter" => {
            let body = json!({
                "Name": physical,
                "Value": text_of(&properties["Value"]),
                "Type": properties["Type"],
            });
            call(operation, "ssm", "AmazonSSM.PutParameter", body).await
        }
        "AWS::S3::Bucket" => {
            let region = region(operation);
            moto::make_bucket(&operation.world, &region, physical).await
        }
        "AWS::SNS::Topic" => {
            let name = physical.rsplit(':').next().unwrap_or_default();
            let mut form = vec![
                ("Action".to_owned(), "CreateTopic".to_owned()),
                ("Name".to_owned(), name.to_owned()),
            ];
            for (index, tag) in tags(operation).iter().enumerate() {
                form.push((
                    format!("Tags.member.{}.Key", index + 1),
                    text_of(&tag["Key"]),
                ));
                form.push((
                    format!("Tags.member.{}.Value", index + 1),
                    text_of(&tag["Value"]),
                ));
            }
            moto::query(&operation.world, &region(operation), "sns", &form)
                .await
                .map(drop)
        }
        _ => Ok(()),
    }
}

/// Deletes it there. What is there no longer is as good.
pub(super) async fn delete(operation: &Operation) -> Result<(), String> {
    let Some(old) = &operation.old else {
        return Ok(());
    };
    if operation.world.settings.moto.is_none() {
        return Ok(());
    }
    let physical = old.physical.as_str();
    let (service, target, body) = match operation.kind.as_str() {
        "AWS::ECR::Repository" => (
            "ecr",
            "AmazonEC2ContainerRegistry_V20150921.DeleteRepository",
            json!({ "repositoryName": physical, "force": true }),
        ),
        "AWS::Logs::LogGroup" => (
            "logs",
            "Logs_20140328.DeleteLogGroup",
            json!({ "logGroupName": physical }),
        ),
        "AWS::SSM::Parameter" => (
            "ssm",
            "AmazonSSM.DeleteParameter",
            json!({ "Name": physical }),
        ),
        _ => return Ok(()),
    };
    let _ = call(operation, service, target, body).await;
    Ok(())
}

fn region(operation: &Operation) -> String {
    operation
        .world
        .read(&operation.stack, |stack| stack.region.clone())
}

/// The stack's tags, which its resources have too.
fn tags(operation: &Operation) -> Vec<Value> {
    let of_stack = operation
        .world
        .read(&operation.stack, |stack| stack.version.tags.clone());
    of_stack
        .into_iter()
        .map(|(key, value)| json!({ "Key": key, "Value": value }))
        .collect()
}

async fn call(
    operation: &Operation,
    service: &str,
    target: &str,
    body: Value,
) -> Result<(), String> {
    moto::json(&operation.world, &region(operation), service, target, &body)
        .await
        .map(drop)
}
