//! What CloudFormation remembers of a stack.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;
use tokio::sync::Notify;

use super::evaluate::Identity;
use super::template::Template;
use crate::id;

/// A stack, whatever became of it.
#[derive(Debug, Clone)]
pub(crate) struct Stack {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) region: String,
    /// `CREATE_IN_PROGRESS` and so on.
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
    pub(crate) created: SystemTime,
    pub(crate) updated: Option<SystemTime>,
    /// The stack that has this one as a resource.
    pub(crate) parent: Option<String>,
    /// What it is made of now.
    pub(crate) version: Version,
    /// What a rollback returns to, while something is under way or failed.
    pub(crate) previous: Option<Box<Version>>,
    /// Resources of `previous` that an update has begun to change.
    pub(crate) touched: BTreeSet<String>,
    /// Physical resources that were replaced and are still there.
    pub(crate) superseded: Vec<Resource>,
    /// In the order they happened.
    pub(crate) events: Vec<Event>,
    /// The client's token of what is under way.
    pub(crate) token: Option<String>,
    pub(crate) is_protected: bool,
    pub(crate) is_rollback_disabled: bool,
    /// Told when the update under way must stop.
    pub(crate) cancel: Arc<Notify>,
}

/// What an update replaces as a whole, and a rollback restores.
#[derive(Debug, Clone, Default)]
pub(crate) struct Version {
    pub(crate) template: Option<Template>,
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) capabilities: Vec<String>,
    pub(crate) role: Option<String>,
    pub(crate) outputs: Vec<Output>,
    /// Names of exports of other stacks that this one uses.
    pub(crate) imports: BTreeSet<String>,
    /// In the order they were made.
    pub(crate) resources: Vec<Resource>,
}

/// A value a stack gives to its readers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) description: Option<String>,
    pub(crate) export: Option<String>,
}

/// A resource of a stack.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) name: String,
    /// `AWS::ECS::Service`.
    pub(crate) kind: String,
    /// Empty until it has one.
    pub(crate) physical: String,
    /// Evaluated.
    pub(crate) properties: Value,
    pub(crate) identity: Identity,
    /// `DeletionPolicy` keeps it.
    pub(crate) is_retained: bool,
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
    pub(crate) at: SystemTime,
}

/// Something that happened to a stack or to one of its resources.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) resource: String,
    pub(crate) physical: String,
    pub(crate) kind: String,
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
    pub(crate) at: SystemTime,
    pub(crate) token: Option<String>,
    pub(crate) properties: Option<Value>,
}

/// The type of a stack among resources.
pub(crate) const STACK: &str = "AWS::CloudFormation::Stack";

impl Stack {
    /// One that exists in name only.
    pub(crate) fn new(account: &str, region: &str, name: &str) -> Self {
        let partition = super::evaluate::partition(region);
        Self {
            id: format!(
                "arn:{partition}:cloudformation:{region}:{account}:stack/{name}/{}",
                id::uuid()
            ),
            name: name.to_owned(),
            region: region.to_owned(),
            status: "REVIEW_IN_PROGRESS".to_owned(),
            reason: None,
            created: SystemTime::now(),
            updated: None,
            parent: None,
            version: Version::default(),
            previous: None,
            touched: BTreeSet::new(),
            superseded: Vec::new(),
            events: Vec::new(),
            token: None,
            is_protected: false,
            is_rollback_disabled: false,
            cancel: Arc::default(),
        }
    }

    /// Whether something is under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.status.ends_with("IN_PROGRESS") && self.status != "REVIEW_IN_PROGRESS"
    }

    /// Whether its name can be used again.
    pub(crate) fn is_gone(&self) -> bool {
        self.status == "DELETE_COMPLETE"
    }

    /// Enters a state and says so.
    pub(crate) fn enter(&mut self, status: &str, reason: Option<&str>) {
        self.status = status.to_owned();
        self.reason = reason.map(str::to_owned);
        let (name, id) = (self.name.clone(), self.id.clone());
        self.record(&name, STACK, &id, status, reason, None);
    }

    /// Adds an event.
    pub(crate) fn record(
        &mut self,
        resource: &str,
        kind: &str,
        physical: &str,
        status: &str,
        reason: Option<&str>,
        properties: Option<&Value>,
    ) {
        self.events.push(Event {
            id: if kind == STACK && resource == self.name {
                id::uuid()
            } else {
                format!("{resource}-{status}-{}", id::uuid())
            },
            resource: resource.to_owned(),
            physical: physical.to_owned(),
            kind: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.map(str::to_owned),
            at: SystemTime::now(),
            token: self.token.clone(),
            properties: properties.cloned(),
        });
    }

    /// Enters a state for one resource and says so.
    pub(crate) fn enter_resource(&mut self, name: &str, status: &str, reason: Option<&str>) {
        let Some(resource) = self.resource_mut(name) else {
            return;
        };
        resource.status = status.to_owned();
        resource.reason = reason.map(str::to_owned);
        resource.at = SystemTime::now();
        let (kind, physical, properties) = (
            resource.kind.clone(),
            resource.physical.clone(),
            resource.properties.clone(),
        );
        self.record(name, &kind, &physical, status, reason, Some(&properties));
    }

    /// The resource of this name.
    pub(crate) fn resource(&self, name: &str) -> Option<&Resource> {
        self.version.resources.iter().find(|it| it.name == name)
    }

    /// The same, to be changed.
    pub(crate) fn resource_mut(&mut self, name: &str) -> Option<&mut Resource> {
        self.version.resources.iter_mut().find(|it| it.name == name)
    }
}

impl Version {
    /// The resource of this name.
    pub(crate) fn resource(&self, name: &str) -> Option<&Resource> {
        self.resources.iter().find(|it| it.name == name)
    }
}
