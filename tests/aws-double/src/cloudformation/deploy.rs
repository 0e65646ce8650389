//! Creating and updating: resources are made as soon as what they need exists; the first failure stops the rest.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;
use tokio::task::JoinSet;

use super::evaluate::{Evaluation, Identity, Scope, Wrong, text_of};
use super::resource::{self, Change, Made, Operation};
use super::stack::{Output, Resource, Stack, Version};
use super::template::Template;
use super::{delete, rollback};
use crate::world::World;

/// What a stack is to become.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) template: Template,
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) capabilities: Vec<String>,
    pub(crate) role: Option<String>,
}

/// Whether the stack is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Create,
    Update,
}

impl Kind {
    /// As it begins the names of states.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
        }
    }
}

/// Why a run of resources ended early.
enum Stop {
    /// These failed, in this order.
    Failed(Vec<String>),
    /// The user cancelled.
    Cancelled,
    /// The stack as a whole can't be: a sentence.
    Impossible(String),
}

/// A stack made from nothing, to its end; for seeding.
pub(crate) async fn create(world: &Arc<World>, region: &str, name: &str, target: Target) -> String {
    let stack = Stack::new(&world.settings.account, region, name);
    let id = stack.id.clone();
    world.state().stacks.push(stack);
    begin(world, &id, Kind::Create, None, false);
    run(world.clone(), id.clone(), target, Kind::Create).await;
    id
}

/// Marks the stack as busy before the caller is answered, so that no second change can begin.
pub(crate) fn begin(
    world: &World,
    id: &str,
    kind: Kind,
    token: Option<String>,
    is_rollback_disabled: bool,
) {
    world.change(id, |stack| {
        stack.token = token;
        stack.is_rollback_disabled = is_rollback_disabled;
        stack.cancel = Arc::default();
        // A failed update that was left as it is keeps what it can be rolled back to.
        if stack.previous.is_none() {
            stack.previous = Some(Box::new(stack.version.clone()));
            stack.touched.clear();
        }
        stack.enter(
            &format!("{}_IN_PROGRESS", kind.word()),
            Some("User Initiated"),
        );
    });
}

/// Works until the stack has come to rest. The stack was marked by [`begin`].
pub(crate) fn run(
    world: Arc<World>,
    id: String,
    target: Target,
    kind: Kind,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        world.change(&id, |stack| {
            // Resources get the stack's tags, and work is done in its role.
            stack.version.tags = target.tags.clone();
            stack.version.role = target.role.clone().or(stack.version.role.take());
        });
        let made = make_all(&world, &id, &target).await;
        let finished = match made {
            Ok(()) => finish(&world, &id, &target),
            Err(stop) => Err(stop),
        };
        let stop = match finished {
            Ok(()) => return clean_up(&world, &id, &target, kind).await,
            Err(stop) => stop,
        };
        let reason = match stop {
            Stop::Failed(names) => failed(&world, &id, &names),
            Stop::Cancelled => "User Initiated".to_owned(),
            Stop::Impossible(why) => why,
        };
        if world.read(&id, |stack| stack.is_rollback_disabled) {
            world.change(&id, |stack| {
                stack.enter(&format!("{}_FAILED", kind.word()), Some(&reason));
            });
            return;
        }
        match kind {
            Kind::Create => {
                let reason = format!("{reason}Rollback requested by user.");
                delete::undo_creation(&world, &id, &reason).await;
            }
            Kind::Update => rollback::undo_update(&world, &id, &reason, &[]).await,
        }
    })
}

/// `The following resource(s) failed to create: [A, B]. `
fn failed(world: &World, id: &str, names: &[String]) -> String {
    let of = |status: &str| -> Vec<&str> {
        let is_it = |name: &&String| {
            world.read(id, |stack| {
                stack
                    .resource(name)
                    .is_some_and(|resource| resource.status == status)
            })
        };
        names.iter().filter(is_it).map(String::as_str).collect()
    };
    let sentence = |(status, word): (&str, &str)| match of(status) {
        names if names.is_empty() => String::new(),
        names => format!(
            "The following resource(s) failed to {word}: [{}]. ",
            names.join(", ")
        ),
    };
    [("CREATE_FAILED", "create"), ("UPDATE_FAILED", "update")]
        .map(sentence)
        .concat()
}

/// Where the stack's template is evaluated.
pub(crate) fn scope(world: &World, id: &str) -> Scope {
    let state = world.state();
    let stack = state.stack(id);
    Scope {
        account: world.settings.account.clone(),
        region: stack.region.clone(),
        stack_name: stack.name.clone(),
        stack_id: stack.id.clone(),
        exports: state
            .exports(&stack.region)
            .into_iter()
            .map(|export| (export.name, export.value))
            .collect(),
    }
}

/// Evaluates with what the stack has now.
pub(crate) fn evaluate<T>(
    world: &World,
    id: &str,
    target: &Target,
    read: impl FnOnce(&Evaluation<'_>) -> Result<T, Wrong>,
) -> Result<T, Wrong> {
    let scope = scope(world, id);
    let mut evaluation = Evaluation::new(&target.template, &scope, &target.parameters)?;
    evaluation.known = world.read(id, |stack| {
        let known = |resource: &Resource| (resource.name.clone(), resource.identity.clone());
        stack
            .version
            .resources
            .iter()
            .filter(|resource| !resource.physical.is_empty())
            .map(known)
            .collect()
    });
    read(&evaluation)
}

async fn make_all(world: &Arc<World>, id: &str, target: &Target) -> Result<(), Stop> {
    let mut waiting =
        evaluate(world, id, target, |evaluation| evaluation.order()).map_err(Stop::Impossible)?;
    let mut done = BTreeSet::new();
    let mut failed = Vec::new();
    let mut running = JoinSet::new();
    let cancel = world.read(id, |stack| stack.cancel.clone());
    loop {
        let (ready, later): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|(_, needs)| failed.is_empty() && needs.is_subset(&done));
        waiting = later;
        for (name, _) in ready {
            match begin_resource(world, id, target, &name) {
                Ok(None) => {
                    done.insert(name);
                }
                Ok(Some(work)) => {
                    running.spawn(work);
                }
                Err(()) => failed.push(name),
            }
        }
        // Something that was ready at once may have made others ready.
        if failed.is_empty() && waiting.iter().any(|(_, needs)| needs.is_subset(&done)) {
            continue;
        }
        if !failed.is_empty() {
            running.shutdown().await;
            give_up(world, id);
            return Err(Stop::Failed(failed));
        }
        let joined = tokio::select! {
            joined = running.join_next() => joined,
            () = cancel.notified() => {
                running.shutdown().await;
                give_up(world, id);
                return Err(Stop::Cancelled);
            }
        };
        match joined {
            None => return Ok(()),
            Some(Ok((name, Ok(())))) => {
                done.insert(name);
            }
            Some(Ok((name, Err(())))) => failed.push(name),
            Some(Err(error)) => return Err(Stop::Impossible(format!("Internal failure: {error}"))),
        }
    }
}

/// What was under way when another resource failed.
fn give_up(world: &World, id: &str) {
    world.change(id, |stack| {
        let under_way: Vec<(String, String)> = stack
            .version
            .resources
            .iter()
            .filter(|resource| resource.status.ends_with("_IN_PROGRESS"))
            .map(|resource| (resource.name.clone(), resource.status.clone()))
            .collect();
        for (name, status) in under_way {
            let (word, operation) = if status.starts_with("CREATE") {
                ("creation", "CREATE")
            } else {
                ("update", "UPDATE")
            };
            stack.enter_resource(
                &name,
                &format!("{operation}_FAILED"),
                Some(&format!("Resource {word} cancelled")),
            );
        }
    });
}

type Work = Pin<Box<dyn Future<Output = (String, Result<(), ()>)> + Send>>;

/// Decides what has to be done for a resource: nothing, or work that says in the end whether it succeeded.
fn begin_resource(
    world: &Arc<World>,
    id: &str,
    target: &Target,
    name: &str,
) -> Result<Option<Work>, ()> {
    let kind = target.template.kind(name).to_owned();
    let old = world.read(id, |stack| stack.resource(name).cloned());
    let properties = match evaluate(world, id, target, |it| it.properties(name)) {
        Ok(properties) => properties,
        Err(why) => {
            let status = if old.is_some() {
                "UPDATE_FAILED"
            } else {
                "CREATE_FAILED"
            };
            world.change(id, |stack| {
                if old.is_none() {
                    stack
                        .version
                        .resources
                        .push(fresh(name, &kind, Value::Null, target));
                }
                stack.touched.insert(name.to_owned());
                stack.enter_resource(name, status, Some(&why));
            });
            return Err(());
        }
    };
    // What failed to be made is made again.
    let old = old.filter(|old| !old.physical.is_empty());
    let change = match &old {
        None => Change::Create,
        Some(old) if old.status.ends_with("FAILED") => Change::Update,
        Some(old) => match resource::change(old, &kind, &properties) {
            Some(change) => change,
            None => return Ok(None),
        },
    };
    let operation = Operation {
        world: world.clone(),
        stack: id.to_owned(),
        name: name.to_owned(),
        kind,
        properties,
        old,
    };
    let template = fresh(name, &operation.kind, operation.properties.clone(), target);
    Ok(Some(Box::pin(async move {
        let name = operation.name.clone();
        (name, make_one(operation, change, template).await)
    })))
}

/// A resource that was declared and not made yet.
fn fresh(name: &str, kind: &str, properties: Value, target: &Target) -> Resource {
    let policy = &target.template.resource(name)["DeletionPolicy"];
    Resource {
        name: name.to_owned(),
        kind: kind.to_owned(),
        physical: String::new(),
        properties,
        identity: Identity::default(),
        is_retained: policy
            .as_str()
            .is_some_and(|policy| policy.starts_with("Retain")),
        status: String::new(),
        reason: None,
        at: SystemTime::now(),
    }
}

async fn make_one(operation: Operation, change: Change, declared: Resource) -> Result<(), ()> {
    let (world, id, name) = (
        operation.world.clone(),
        operation.stack.clone(),
        operation.name.clone(),
    );
    let word = if change == Change::Create {
        "CREATE"
    } else {
        "UPDATE"
    };
    world.change(&id, |stack| {
        stack.touched.insert(name.clone());
        match stack.resource_mut(&name) {
            // The old identity stands until the new one is known.
            Some(resource) => resource.properties = declared.properties.clone(),
            None => stack.version.resources.push(declared.clone()),
        }
        let why = (change == Change::Replace).then_some(
            "Requested update requires the creation of a new physical resource; hence creating one.",
        );
        stack.enter_resource(&name, &format!("{word}_IN_PROGRESS"), why);
    });
    let made = match world.injected(&operation, word).await {
        Some(why) => Err(why),
        None => resource::make(&operation, change).await,
    };
    world.change(&id, |stack| match made {
        Ok(Made { physical, identity }) => {
            let replaced = operation
                .old
                .filter(|old| change != Change::Create && old.physical != physical);
            if let Some(resource) = stack.resource_mut(&name) {
                resource.kind = declared.kind;
                resource.is_retained = declared.is_retained;
                resource.physical = physical;
                resource.identity = identity;
            }
            stack.superseded.extend(replaced);
            stack.enter_resource(&name, &format!("{word}_COMPLETE"), None);
            Ok(())
        }
        Err(why) => {
            stack.enter_resource(&name, &format!("{word}_FAILED"), Some(&why));
            Err(())
        }
    })
}

/// Everything is made: outputs and exports take effect.
fn finish(world: &World, id: &str, target: &Target) -> Result<(), Stop> {
    let (outputs, imports, parameters) = evaluate(world, id, target, |evaluation| {
        let mut outputs = Vec::new();
        for (key, declared) in target.template.section("Outputs") {
            if !evaluation.is_wanted(declared)? {
                continue;
            }
            let export = &declared["Export"]["Name"];
            outputs.push(Output {
                key: key.clone(),
                value: text_of(&evaluation.value(&declared["Value"])?),
                description: declared["Description"].as_str().map(str::to_owned),
                export: match export {
                    Value::Null => None,
                    name => Some(text_of(&evaluation.value(name)?)),
                },
            });
        }
        // What resources import counts too, and they were evaluated one by one.
        for (name, _) in evaluation.order()? {
            evaluation.properties(&name)?;
        }
        Ok((outputs, evaluation.imports(), evaluation.parameters()))
    })
    .map_err(Stop::Impossible)?;
    check_exports(world, id, &outputs).map_err(Stop::Impossible)?;
    world.change(id, |stack| {
        let resources = std::mem::take(&mut stack.version.resources);
        stack.version = Version {
            template: Some(target.template.clone()),
            parameters,
            tags: target.tags.clone(),
            capabilities: target.capabilities.clone(),
            role: target.role.clone().or(stack.version.role.take()),
            outputs,
            imports,
            resources,
        };
    });
    Ok(())
}

fn check_exports(world: &World, id: &str, outputs: &[Output]) -> Result<(), String> {
    let state = world.state();
    let region = &state.stack(id).region;
    let new = |name: &str| {
        outputs
            .iter()
            .find(|output| output.export.as_deref() == Some(name))
    };
    for export in state.exports(region) {
        let again = new(&export.name);
        if export.stack != id {
            if again.is_some() {
                return Err(format!(
                    "Export with name {} is already exported by stack {}. Rollback requested by user.",
                    export.name,
                    state.stack(&export.stack).name
                ));
            }
            continue;
        }
        let users = state.importers(region, &export.name);
        let verb = match again {
            None => "deleted",
            Some(output) if output.value != export.value => "updated",
            Some(_) => continue,
        };
        if !users.is_empty() {
            return Err(format!(
                "Export {} cannot be {verb} as it is in use by {}",
                export.name,
                users.join(", ")
            ));
        }
    }
    Ok(())
}

async fn clean_up(world: &Arc<World>, id: &str, target: &Target, kind: Kind) {
    if kind == Kind::Create {
        return world.change(id, |stack| {
            stack.previous = None;
            stack.enter("CREATE_COMPLETE", None);
        });
    }
    let order = evaluate(world, id, target, |it| it.order()).unwrap_or_default();
    let wanted: BTreeSet<String> = order.into_iter().map(|(name, _)| name).collect();
    let (superseded, gone) = world.change(id, |stack| {
        stack.updated = Some(SystemTime::now());
        stack.enter("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", None);
        let gone: Vec<String> = stack
            .version
            .resources
            .iter()
            .map(|resource| resource.name.clone())
            .filter(|name| !wanted.contains(name))
            .collect();
        (std::mem::take(&mut stack.superseded), gone)
    });
    for old in superseded {
        delete::forget_physical(world, id, old).await;
    }
    for name in gone.into_iter().rev() {
        // What can't be deleted stays behind; the update is complete all the same.
        if !delete::one(world, id, &name).await {
            world.change(id, |stack| {
                stack.version.resources.retain(|it| it.name != name)
            });
        }
    }
    world.change(id, |stack| {
        stack.previous = None;
        stack.enter("UPDATE_COMPLETE", None);
    });
}
