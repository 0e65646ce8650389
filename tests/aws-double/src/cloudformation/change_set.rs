//! Change sets: what an execution would do, worked out without doing it.

use std::sync::Arc;
use std::time::SystemTime;

use super::deploy::{self, Kind, Target};
use super::resource::{self, Change, nested};
use super::stack::STACK;
use crate::id;
use crate::world::World;

/// What CloudFormation says when nothing would change.
const NO_CHANGES: &str = "The submitted information didn't contain changes. Submit different information to create a change set.";

/// A change set.
#[derive(Debug, Clone)]
pub(crate) struct ChangeSet {
    pub(crate) id: String,
    pub(crate) name: String,
    /// The stack's id.
    pub(crate) stack: String,
    pub(crate) kind: Kind,
    pub(crate) created: SystemTime,
    pub(crate) description: Option<String>,
    /// Empty when it can be executed.
    pub(crate) failure: Option<String>,
    /// `AVAILABLE`, `UNAVAILABLE`, `EXECUTE_COMPLETE`, …
    pub(crate) execution: String,
    pub(crate) changes: Vec<Planned>,
    pub(crate) target: Target,
    pub(crate) includes_nested: bool,
    /// The change set of the stack that contains this one's.
    pub(crate) parent: Option<String>,
}

/// A change of one resource.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    /// `Add`, `Modify` or `Remove`.
    pub(crate) action: &'static str,
    pub(crate) resource: String,
    pub(crate) kind: String,
    pub(crate) physical: Option<String>,
    /// `True` or `False`, of a modification.
    pub(crate) replacement: Option<&'static str>,
    /// Top-level properties that differ.
    pub(crate) properties: Vec<String>,
    /// The change set of a nested stack.
    pub(crate) nested: Option<String>,
}

impl ChangeSet {
    /// Compares a stack with what it is to become.
    pub(crate) fn new(world: &World, stack: &str, name: &str, kind: Kind, target: Target) -> Self {
        let compared = compare(world, stack, &target);
        let (changes, failure) = match compared {
            Ok(changes) if changes.is_empty() && !differs_otherwise(world, stack, &target) => {
                (changes, Some(NO_CHANGES.to_owned()))
            }
            Ok(changes) => (changes, None),
            Err(why) => (Vec::new(), Some(why)),
        };
        let arn = stack.split(":stack/").next().unwrap_or_default();
        Self {
            id: format!("{arn}:changeSet/{name}/{}", id::uuid()),
            name: name.to_owned(),
            stack: stack.to_owned(),
            kind,
            created: SystemTime::now(),
            description: None,
            execution: if failure.is_none() {
                "AVAILABLE"
            } else {
                "UNAVAILABLE"
            }
            .to_owned(),
            failure,
            changes,
            target,
            includes_nested: false,
            parent: None,
        }
    }

    /// `CREATE_COMPLETE` or `FAILED`.
    pub(crate) fn status(&self) -> &'static str {
        if self.failure.is_none() {
            "CREATE_COMPLETE"
        } else {
            "FAILED"
        }
    }
}

fn compare(world: &World, id: &str, target: &Target) -> Result<Vec<Planned>, String> {
    let current = world.read(id, |stack| stack.version.resources.clone());
    deploy::evaluate(world, id, target, |evaluation| {
        let order = evaluation.order()?;
        let mut changes = Vec::new();
        for (name, needs) in &order {
            let kind = target.template.kind(name);
            let properties = evaluation.properties(name)?;
            let Some(old) = current.iter().find(|old| &old.name == name) else {
                changes.push(Planned {
                    action: "Add",
                    resource: name.clone(),
                    kind: kind.to_owned(),
                    physical: None,
                    replacement: None,
                    properties: Vec::new(),
                    nested: None,
                });
                continue;
            };
            // What is replaced gets a new name, which what refers to it gets to see.
            let depends_on_new = needs.iter().any(|needed| {
                changes.iter().any(|change: &Planned| {
                    &change.resource == needed
                        && (change.replacement == Some("True") || change.action == "Add")
                        && refers(target, name, needed)
                })
            });
            let change = resource::change(old, kind, &properties)
                .or(depends_on_new.then_some(Change::Update));
            let Some(change) = change else { continue };
            let differing = properties.as_object().into_iter().flatten();
            changes.push(Planned {
                action: "Modify",
                resource: name.clone(),
                kind: kind.to_owned(),
                physical: Some(old.physical.clone()),
                replacement: Some(if change == Change::Replace {
                    "True"
                } else {
                    "False"
                }),
                properties: differing
                    .filter(|(key, value)| &old.properties[key.as_str()] != *value)
                    .map(|(key, _)| key.clone())
                    .collect(),
                nested: None,
            });
        }
        let removed = current
            .iter()
            .filter(|old| !order.iter().any(|(name, _)| name == &old.name));
        changes.extend(removed.map(|old| Planned {
            action: "Remove",
            resource: old.name.clone(),
            kind: old.kind.clone(),
            physical: Some(old.physical.clone()),
            replacement: None,
            properties: Vec::new(),
            nested: None,
        }));
        // What outputs say must be sayable as well.
        for (_, output) in target.template.section("Outputs") {
            if evaluation.is_wanted(output)? {
                evaluation.value(&output["Value"])?;
            }
        }
        Ok(changes)
    })
}

/// Change sets of the stacks that are resources of this one's, where they have changes.
pub(super) async fn nest(world: &Arc<World>, outer: &mut ChangeSet) -> Result<(), String> {
    for change in &mut outer.changes {
        if change.kind != STACK || change.action == "Remove" {
            continue;
        }
        let properties = deploy::evaluate(world, &outer.stack, &outer.target, |it| {
            it.properties(&change.resource)
        })?;
        let target = nested::target(world, &outer.stack, &properties).await?;
        let (stack, kind) = match &change.physical {
            Some(stack) => (stack.clone(), Kind::Update),
            None => {
                let stack = nested::begin(world, &outer.stack, &change.resource);
                (stack, Kind::Create)
            }
        };
        let mut inner = ChangeSet::new(world, &stack, &outer.name, kind, target);
        if inner.failure.is_some() {
            continue;
        }
        inner.parent = Some(outer.id.clone());
        inner.includes_nested = true;
        change.nested = Some(inner.id.clone());
        world.state().change_sets.push(inner);
    }
    Ok(())
}

/// Whether the properties of `name` mention `other`; waiting for it alone changes nothing.
fn refers(target: &Target, name: &str, other: &str) -> bool {
    let mut found = std::collections::BTreeSet::new();
    super::template::references(&target.template.resource(name)["Properties"], &mut found);
    found.contains(other)
}

/// Outputs and tags are changes too, though of no resource.
fn differs_otherwise(world: &World, id: &str, target: &Target) -> bool {
    world.read(id, |stack| {
        let outputs = stack
            .version
            .template
            .as_ref()
            .map(|it| &it.value["Outputs"]);
        let mut old_tags = stack.version.tags.clone();
        let mut new_tags = target.tags.clone();
        old_tags.sort();
        new_tags.sort();
        outputs != Some(&target.template.value["Outputs"]) || old_tags != new_tags
    })
}
