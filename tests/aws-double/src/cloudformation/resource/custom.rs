//! Custom resources: what Copilot's functions do, done here.

use serde_json::{Map, Value, json};

use super::{Change, Made, Operation};
use crate::cloudformation::evaluate::{Identity, text_of};
use crate::id;

/// Runs the function's creation or update.
pub(super) async fn make(operation: &Operation, change: Change) -> Result<Made, String> {
    let physical = operation.old.as_ref().map_or_else(
        || format!("{}-{}", operation.name, id::hex(8)),
        |old| old.physical.clone(),
    );
    super::initiated(operation, change, &physical);
    let attributes = attributes(operation);
    Ok(Made {
        identity: Identity {
            reference: physical.clone(),
            attributes,
        },
        physical,
    })
}

/// Runs the function's deletion.
pub(super) async fn delete(_operation: &Operation) -> Result<(), String> {
    Ok(())
}

fn attributes(operation: &Operation) -> Map<String, Value> {
    let properties = &operation.properties;
    match operation.kind.as_str() {
        "Custom::EnvControllerFunction" => {
            let environment = text_of(&properties["EnvStack"]);
            let state = operation.world.state();
            let region = &state.stack(&operation.stack).region;
            let found = state.find_stack(region, &environment);
            found
                .into_iter()
                .flat_map(|stack| &stack.version.outputs)
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
