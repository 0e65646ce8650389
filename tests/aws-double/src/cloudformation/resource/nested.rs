//! A stack as a resource of another.

use std::sync::Arc;

use serde_json::Value;

use super::{Change, Made, Operation, initiated};
use crate::cloudformation::delete as whole;
use crate::cloudformation::deploy::{self, Kind, Target};
use crate::cloudformation::evaluate::{Identity, text_of};
use crate::cloudformation::stack::Stack;
use crate::cloudformation::template::Template;
use crate::world::World;
use crate::{id, moto};

/// Creates the nested stack, or updates the one there is.
pub(super) async fn make(operation: &Operation) -> Result<Made, String> {
    let world = &operation.world;
    let target = target(world, &operation.stack, &operation.properties).await?;
    let old = operation.old.as_ref().map(|old| old.physical.clone());
    let (id, kind) = match old {
        Some(id) => (id, Kind::Update),
        None => {
            let id = begin(world, &operation.stack, &operation.name);
            (id, Kind::Create)
        }
    };
    if kind == Kind::Create {
        initiated(operation, Change::Create, &id);
    }
    let token = world.read(&operation.stack, |stack| stack.token.clone());
    let is_rollback_disabled = world.read(&operation.stack, |stack| stack.is_rollback_disabled);
    deploy::begin(world, &id, kind, token, is_rollback_disabled);
    deploy::run(world.clone(), id.clone(), target, kind).await;
    let (status, reason, outputs) = world.read(&id, |stack| {
        let told = stack
            .events
            .iter()
            .rev()
            .filter(|event| event.physical == stack.id);
        let why = told.filter_map(|event| event.reason.clone()).next();
        (stack.status.clone(), why, stack.version.outputs.clone())
    });
    if !matches!(status.as_str(), "CREATE_COMPLETE" | "UPDATE_COMPLETE") {
        let verb = if kind == Kind::Create {
            "created"
        } else {
            "updated"
        };
        let reason = reason.unwrap_or_default();
        let reason = reason.trim_end_matches("Rollback requested by user.");
        return Err(format!(
            "Embedded stack {id} was not successfully {verb}: {reason}"
        ));
    }
    let attributes = outputs
        .into_iter()
        .map(|output| {
            (
                format!("Outputs.{}", output.key),
                Value::String(output.value),
            )
        })
        .collect();
    Ok(Made {
        identity: Identity {
            reference: id.clone(),
            attributes,
        },
        physical: id,
    })
}

/// A nested stack that exists in name only: the one that a change set has announced, or a new one.
pub(crate) fn begin(world: &World, outer: &str, resource: &str) -> String {
    let mut state = world.state();
    let (name, region) = {
        let outer = state.stack(outer);
        (format!("{}-{resource}-", outer.name), outer.region.clone())
    };
    let announced = state.stacks.iter().find(|stack| {
        stack.parent.as_deref() == Some(outer)
            && stack.status == "REVIEW_IN_PROGRESS"
            && stack.name.starts_with(&name)
    });
    if let Some(stack) = announced {
        return stack.id.clone();
    }
    let name = format!("{name}{}", id::suffix(12));
    let mut stack = Stack::new(&world.settings.account, &region, &name);
    stack.parent = Some(outer.to_owned());
    let id = stack.id.clone();
    state.stacks.push(stack);
    id
}

/// What a nested stack with these properties is to become.
pub(crate) async fn target(
    world: &Arc<World>,
    outer: &str,
    properties: &Value,
) -> Result<Target, String> {
    let url = text_of(&properties["TemplateURL"]);
    let body = moto::template(world, &url)
        .await
        .map_err(|refusal| refusal.message)?;
    let template = Template::read(&body).map_err(|refusal| refusal.message)?;
    let text = |value: &Value| match value {
        Value::Array(items) => items.iter().map(text_of).collect::<Vec<_>>().join(","),
        other => text_of(other),
    };
    let parameters = properties["Parameters"].as_object().into_iter().flatten();
    let (tags, capabilities, role) = world.read(outer, |stack| {
        let version = &stack.version;
        (
            version.tags.clone(),
            version.capabilities.clone(),
            version.role.clone(),
        )
    });
    Ok(Target {
        template,
        parameters: parameters
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
        tags,
        capabilities,
        role,
    })
}

/// Deletes the nested stack.
pub(super) async fn delete(operation: &Operation) -> Result<(), String> {
    let Some(id) = operation.old.as_ref().map(|old| old.physical.clone()) else {
        return Ok(());
    };
    let world = &operation.world;
    world.change(&id, |stack| stack.enter("DELETE_IN_PROGRESS", None));
    Box::pin(whole::whole(world, &id)).await;
    match world.read(&id, |stack| (stack.is_gone(), stack.reason.clone())) {
        (true, _) => Ok(()),
        (false, reason) => Err(reason.unwrap_or_default()),
    }
}
