//! What ECS remembers.

use std::time::SystemTime;

use serde_json::Value;

use crate::id;

/// Services, tasks and task definitions.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) services: Vec<Service>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) definitions: Vec<TaskDefinition>,
}

/// A service.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) cluster: String,
    /// `ACTIVE` or `INACTIVE`.
    pub(crate) status: &'static str,
    pub(crate) desired: u64,
    /// What an automatic rollback returns to.
    pub(crate) stable: Option<String>,
    pub(crate) breaker: Option<Breaker>,
    pub(crate) target_group: Option<String>,
    pub(crate) alarms: Vec<String>,
    pub(crate) tags: Vec<(String, String)>,
    /// The newest is the primary one.
    pub(crate) deployments: Vec<Deployment>,
    pub(crate) events: Vec<Event>,
    pub(crate) created: SystemTime,
}

/// Stops deployments that come to nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Breaker {
    /// And goes back to what ran before.
    pub(crate) rolls_back: bool,
}

/// One revision on its way to be the one that runs.
#[derive(Debug, Clone)]
pub(crate) struct Deployment {
    pub(crate) id: String,
    /// `PRIMARY`, `ACTIVE` or `INACTIVE`.
    pub(crate) status: &'static str,
    pub(crate) definition: String,
    pub(crate) desired: u64,
    pub(crate) running: u64,
    pub(crate) pending: u64,
    pub(crate) failed: u64,
    pub(crate) rollout: Rollout,
    pub(crate) reason: String,
    pub(crate) created: SystemTime,
    pub(crate) updated: SystemTime,
}

/// How far a deployment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rollout {
    InProgress,
    Completed,
    Failed,
}

impl Rollout {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
        }
    }
}

/// Something a service says.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) at: SystemTime,
    pub(crate) message: String,
}

/// A task, also one that has ended.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) arn: String,
    /// The service's name.
    pub(crate) service: String,
    pub(crate) definition: String,
    pub(crate) deployment: String,
    pub(crate) started: SystemTime,
    pub(crate) ended: Option<Ending>,
}

/// How a task ended.
#[derive(Debug, Clone)]
pub(crate) struct Ending {
    pub(crate) at: SystemTime,
    /// `TaskFailedToStart`, `EssentialContainerExited`, `ServiceSchedulerInitiated`.
    pub(crate) code: &'static str,
    pub(crate) reason: String,
    pub(crate) exit_code: Option<i32>,
    /// What the container itself says.
    pub(crate) container_reason: Option<String>,
}

/// A revision of a task definition.
#[derive(Debug, Clone)]
pub(crate) struct TaskDefinition {
    pub(crate) arn: String,
    pub(crate) family: String,
    pub(crate) revision: usize,
    /// As CloudFormation writes them.
    pub(crate) properties: Value,
    pub(crate) is_active: bool,
}

impl Service {
    pub(crate) fn say(&mut self, message: impl std::fmt::Display) {
        self.events.push(Event {
            id: id::uuid(),
            at: SystemTime::now(),
            message: format!("(service {}) {message}", self.name),
        });
    }

    /// The region of its ARN.
    pub(crate) fn region(&self) -> String {
        self.arn.split(':').nth(3).unwrap_or_default().to_owned()
    }

    /// The deployment of this id.
    pub(crate) fn deployment(&self, id: &str) -> Option<&Deployment> {
        self.deployments.iter().find(|it| it.id == id)
    }

    pub(crate) fn deployment_mut(&mut self, id: &str) -> Option<&mut Deployment> {
        self.deployments.iter_mut().find(|it| it.id == id)
    }
}

impl State {
    /// A service by its ARN, or by its name and its cluster's.
    pub(crate) fn service(&self, cluster: &str, name: &str) -> Option<&Service> {
        let cluster = cluster.rsplit('/').next().unwrap_or_default();
        let is_it = |it: &&Service| {
            it.arn == name || (it.name == name && (it.cluster == cluster || cluster.is_empty()))
        };
        self.services.iter().rev().find(is_it)
    }

    pub(crate) fn service_mut(&mut self, arn: &str) -> Option<&mut Service> {
        self.services.iter_mut().find(|it| it.arn == arn)
    }

    /// A revision by its ARN, by `family:revision`, or a family's newest.
    pub(crate) fn definition(&self, name: &str) -> Option<&TaskDefinition> {
        let short = name.rsplit('/').next().unwrap_or_default();
        let is_it = |it: &&TaskDefinition| {
            it.arn == name
                || format!("{}:{}", it.family, it.revision) == short
                || it.family == short
        };
        self.definitions.iter().rev().find(is_it)
    }

    /// Adds a revision.
    pub(crate) fn register(&mut self, arn_prefix: &str, family: &str, properties: Value) -> String {
        let of_family = self.definitions.iter().filter(|it| it.family == family);
        let revision = of_family.map(|it| it.revision).max().unwrap_or(0) + 1;
        let arn = format!("{arn_prefix}:task-definition/{family}:{revision}");
        self.definitions.push(TaskDefinition {
            arn: arn.clone(),
            family: family.to_owned(),
            revision,
            properties,
            is_active: true,
        });
        arn
    }
}
