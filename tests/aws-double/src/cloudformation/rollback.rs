//! Undoing an update: what was changed gets its old properties back, what was made goes.

use std::sync::Arc;

use super::delete;
use super::resource::{self, Change, Operation};
use crate::world::World;

/// Goes back to what the stack was before the update. `skipped` resources are taken to be as they were.
pub(crate) async fn undo_update(world: &Arc<World>, id: &str, reason: &str, skipped: &[String]) {
    world.change(id, |stack| {
        stack.enter("UPDATE_ROLLBACK_IN_PROGRESS", Some(reason))
    });
    let Some(previous) = world.read(id, |stack| stack.previous.clone()) else {
        return world.change(id, |stack| stack.enter("UPDATE_ROLLBACK_COMPLETE", None));
    };
    let touched = world.read(id, |stack| stack.touched.clone());
    let mut failed = Vec::new();
    for old in previous
        .resources
        .iter()
        .filter(|old| touched.contains(&old.name))
    {
        if skipped.contains(&old.name) {
            world.change(id, |stack| {
                stack.enter_resource(&old.name, "UPDATE_COMPLETE", None);
            });
            continue;
        }
        if !restore(world, id, old).await {
            failed.push(old.name.clone());
            break;
        }
    }
    if !failed.is_empty() {
        let why = format!(
            "The following resource(s) failed to update: [{}]. ",
            failed.join(", ")
        );
        return world.change(id, |stack| {
            stack.enter("UPDATE_ROLLBACK_FAILED", Some(&why))
        });
    }
    // Replaced resources stand again: what replaced them goes instead.
    let (new, made) = world.change(id, |stack| {
        stack.enter("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", None);
        let superseded = std::mem::take(&mut stack.superseded);
        let old_ones: Vec<String> = previous
            .resources
            .iter()
            .map(|it| it.physical.clone())
            .collect();
        let new: Vec<_> = superseded
            .into_iter()
            .filter(|it| !old_ones.contains(&it.physical))
            .collect();
        let made: Vec<String> = stack
            .version
            .resources
            .iter()
            .map(|it| it.name.clone())
            .filter(|name| previous.resource(name).is_none())
            .collect();
        (new, made)
    });
    for resource in new {
        delete::forget_physical(world, id, resource).await;
    }
    for name in made.into_iter().rev() {
        delete::one(world, id, &name).await;
    }
    world.change(id, |stack| {
        let statuses: Vec<_> = std::mem::take(&mut stack.version.resources);
        stack.version = *previous;
        for resource in &mut stack.version.resources {
            if let Some(now) = statuses.iter().find(|now| now.name == resource.name) {
                resource.status = now.status.clone();
                resource.at = now.at;
            }
        }
        stack.previous = None;
        stack.touched.clear();
        stack.enter("UPDATE_ROLLBACK_COMPLETE", None);
    });
}

async fn restore(world: &Arc<World>, id: &str, old: &super::stack::Resource) -> bool {
    let name = &old.name;
    let current = world.change(id, |stack| {
        let current = stack.resource(name).cloned();
        if current.is_none() {
            stack.version.resources.push(old.clone());
        }
        stack.enter_resource(name, "UPDATE_IN_PROGRESS", None);
        current
    });
    let operation = Operation {
        world: world.clone(),
        stack: id.to_owned(),
        name: name.clone(),
        kind: old.kind.clone(),
        properties: old.properties.clone(),
        old: Some(old.clone()),
    };
    let restored = match world.injected(&operation, "ROLLBACK").await {
        Some(why) => Err(why),
        None => resource::make(&operation, Change::Restore).await.map(drop),
    };
    world.change(id, |stack| match restored {
        Ok(()) => {
            let replaced =
                current.filter(|now| now.physical != old.physical && !now.physical.is_empty());
            stack.superseded.extend(replaced);
            if let Some(resource) = stack.resource_mut(name) {
                *resource = old.clone();
            }
            stack.enter_resource(name, "UPDATE_COMPLETE", None);
            true
        }
        Err(why) => {
            stack.enter_resource(name, "UPDATE_FAILED", Some(&why));
            false
        }
    })
}
