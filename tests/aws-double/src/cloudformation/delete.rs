//! Deleting: a whole stack, a creation that failed, one resource.

use std::sync::Arc;

use super::resource::{self, Operation};
use super::stack::Resource;
use crate::world::World;

/// Deletes the stack, which was marked busy by its caller.
pub(crate) async fn whole(world: &Arc<World>, id: &str) {
    let failed = all(world, id, &[]).await;
    end(world, id, failed, "DELETE");
}

/// After a creation that failed: everything goes, the stack stays as a memory of it.
pub(crate) async fn undo_creation(world: &Arc<World>, id: &str, reason: &str) {
    world.change(id, |stack| {
        stack.enter("ROLLBACK_IN_PROGRESS", Some(reason))
    });
    let failed = all(world, id, &[]).await;
    end(world, id, failed, "ROLLBACK");
}

/// Deletes everything but `kept`, the last made first; names what would not go.
async fn all(world: &Arc<World>, id: &str, kept: &[String]) -> Vec<String> {
    let superseded = world.change(id, |stack| std::mem::take(&mut stack.superseded));
    for old in superseded {
        forget_physical(world, id, old).await;
    }
    let names: Vec<String> = world.read(id, |stack| {
        let names = stack.version.resources.iter().map(|it| it.name.clone());
        names.filter(|name| !kept.contains(name)).collect()
    });
    let mut failed = Vec::new();
    for name in names.into_iter().rev() {
        if !one(world, id, &name).await {
            failed.push(name);
        }
    }
    failed
}

fn end(world: &World, id: &str, failed: Vec<String>, word: &str) {
    world.change(id, |stack| {
        if !failed.is_empty() {
            let why = format!(
                "The following resource(s) failed to delete: [{}]. ",
                failed.join(", ")
            );
            return stack.enter(&format!("{word}_FAILED"), Some(&why));
        }
        stack.version.outputs.clear();
        stack.version.imports.clear();
        stack.previous = None;
        stack.enter(&format!("{word}_COMPLETE"), None);
    });
}

/// Deletes one resource. False when it would not go.
pub(crate) async fn one(world: &Arc<World>, id: &str, name: &str) -> bool {
    let Some(old) = world.read(id, |stack| stack.resource(name).cloned()) else {
        return true;
    };
    if old.is_retained && !old.physical.is_empty() {
        world.change(id, |stack| {
            stack.enter_resource(name, "DELETE_SKIPPED", None);
            stack.version.resources.retain(|it| it.name != name);
        });
        return true;
    }
    world.change(id, |stack| {
        stack.enter_resource(name, "DELETE_IN_PROGRESS", None)
    });
    let gone = delete_physical(world, id, &old).await;
    world.change(id, |stack| match gone {
        Ok(()) => {
            stack.enter_resource(name, "DELETE_COMPLETE", None);
            stack.version.resources.retain(|it| it.name != name);
            true
        }
        Err(why) => {
            stack.enter_resource(name, "DELETE_FAILED", Some(&why));
            false
        }
    })
}

/// Deletes what was replaced, under the name of what replaced it.
pub(crate) async fn forget_physical(world: &Arc<World>, id: &str, old: Resource) {
    let say = |status: &str, reason: Option<&str>| {
        world.change(id, |stack| {
            stack.record(
                &old.name,
                &old.kind,
                &old.physical,
                status,
                reason,
                Some(&old.properties),
            );
        });
    };
    say("DELETE_IN_PROGRESS", None);
    match delete_physical(world, id, &old).await {
        Ok(()) => say("DELETE_COMPLETE", None),
        Err(why) => say("DELETE_FAILED", Some(&why)),
    }
}

async fn delete_physical(world: &Arc<World>, id: &str, old: &Resource) -> Result<(), String> {
    let operation = Operation {
        world: world.clone(),
        stack: id.to_owned(),
        name: old.name.clone(),
        kind: old.kind.clone(),
        properties: old.properties.clone(),
        old: Some(old.clone()),
    };
    if let Some(why) = world.injected(&operation, "DELETE").await {
        return Err(why);
    }
    if old.physical.is_empty() {
        return Ok(());
    }
    resource::delete(&operation).await
}
