//! Custom resources: their function is run; where nothing runs functions, what Copilot's do is done here.

use serde_json::{Map, Value, json};

use super::{Change, Made, Operation};
use crate::cloudformation::evaluate::{Identity, text_of};
use crate::{id, lambda};

/// Runs the function's creation or update.
pub(super) async fn make(operation: &Operation, change: Change) -> Result<Made, String> {
    let old = operation.old.as_ref();
    let kind = if old.is_some() { "Update" } else { "Create" };
    let made_up = || format!("{}-{}", operation.name, id::hex(8));
    let (physical, attributes) = match run(operation, kind).await? {
        Some(answer) => {
            let physical = match &answer["PhysicalResourceId"] {
                Value::Null => made_up(),
                physical => text_of(physical),
            };
            (
                physical,
                answer["Data"].as_object().cloned().unwrap_or_default(),
            )
        }
        None => {
            let physical = old.map_or_else(made_up, |old| old.physical.clone());
            (physical, imitated(operation))
        }
    };
    super::initiated(operation, change, &physical);
    Ok(Made {
        identity: Identity {
            reference: physical.clone(),
            attributes,
        },
        physical,
    })
}

/// Runs the function's deletion.
pub(super) async fn delete(operation: &Operation) -> Result<(), String> {
    run(operation, "Delete").await.map(drop)
}

/// The function's answer; nothing when there is nothing to run, or nothing to run it with.
async fn run(operation: &Operation, kind: &str) -> Result<Option<Value>, String> {
    let world = &operation.world;
    let arn = text_of(&operation.properties["ServiceToken"]);
    let (Some(node), Some(function)) = (&world.settings.node, lambda::find(world, &arn)) else {
        return Ok(None);
    };
    let mut properties = operation.properties.clone();
    as_text(&mut properties);
    let mut event = json!({
        "RequestType": kind,
        "RequestId": id::uuid(),
        "StackId": operation.stack,
        "ServiceToken": arn,
        "LogicalResourceId": operation.name,
        "ResourceType": operation.kind,
        "ResourceProperties": properties,
    });
    if let Some(old) = &operation.old {
        event["PhysicalResourceId"] = json!(old.physical);
        if kind == "Update" {
            let mut properties = old.properties.clone();
            as_text(&mut properties);
            event["OldResourceProperties"] = properties;
        }
    }
    let answer = lambda::request(world, node, &function, event).await?;
    if answer["Status"] == "SUCCESS" {
        return Ok(Some(answer));
    }
    Err(format!(
        "Received response status [FAILED] from custom resource. Message returned: {} (RequestId: {})",
        text_of(&answer["Reason"]),
        id::uuid()
    ))
}

/// Functions get numbers and truth as text.
fn as_text(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(as_text),
        Value::Object(map) => map.values_mut().for_each(as_text),
        Value::Bool(_) | Value::Number(_) => *value = Value::String(value.to_string()),
        Value::Null | Value::String(_) => {}
    }
}

fn imitated(operation: &Operation) -> Map<String, Value> {
    let properties = &operation.properties;
    match operation.kind.as_str() {
        "Custom::EnvControllerFunction" => {
            let environment = text_of(&properties["EnvStack"]);
            let state = operation.world.state();
            let region = &state.stack(&operation.stack).region;
            let found = state.find_stack(region, &environment);
            let outputs = found.into_iter().flat_map(|stack| &stack.version.outputs);
            outputs
                .map(|output| (output.key.clone(), json!(output.value)))
                .collect()
        }
        "Custom::RulePriorityFunction" => {
            let paths = properties["RulePath"].as_array().map_or(1, Vec::len);
            let name = |index: usize| match index {
                0 => "Priority".to_owned(),
                index => format!("Priority{index}"),
            };
            (0..paths)
                .map(|index| (name(index), json!(index + 1)))
                .collect()
        }
        "Custom::DynamicDesiredCountFunction" => {
            let count = properties["DefaultDesiredCount"].clone();
            Map::from_iter([("DesiredCount".to_owned(), count)])
        }
        _ => Map::new(),
    }
}
