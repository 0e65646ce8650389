//! ECS: how a service's deployment goes, and why its tasks stopped.

use aws_sdk_ecs::Client;
use aws_sdk_ecs::types::DesiredStatus;
use aws_smithy_types::DateTime;

use super::{AwsError, Session, Why};
use crate::wire::WireError;

/// Tasks that are looked at: ECS describes that many at once.
const TASKS: usize = 100;

/// A deployment of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Id.
    pub id: String,
    /// `PRIMARY`, `ACTIVE`, `INACTIVE`.
    pub status: String,
    /// `IN_PROGRESS`, `COMPLETED`, `FAILED`; empty when not said.
    pub rollout: String,
    /// Why.
    pub reason: Option<String>,
    /// Of the task definition.
    pub revision: String,
    /// Tasks wanted.
    pub desired: u32,
    /// Tasks that run.
    pub running: u32,
    /// Tasks that start.
    pub pending: u32,
    /// Tasks that failed.
    pub failed: u32,
    /// Milliseconds since 1970.
    pub created: u64,
    /// Milliseconds since 1970.
    pub updated: u64,
}

/// What ECS says about a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceEvent {
    /// Id.
    pub id: String,
    /// Milliseconds since 1970.
    pub time: u64,
    /// In ECS's words.
    pub message: String,
}

/// A service as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceState {
    /// `ACTIVE`, `DRAINING`, `INACTIVE`.
    pub status: String,
    /// Tasks wanted.
    pub desired: u32,
    /// Tasks that run.
    pub running: u32,
    /// Newest first.
    pub deployments: Vec<Deployment>,
    /// Newest first.
    pub events: Vec<ServiceEvent>,
    /// Names of the alarms that can stop a deployment.
    pub alarms: Vec<String>,
}

/// A container of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Name.
    pub name: String,
    /// None if it never ran.
    pub exit_code: Option<i32>,
    /// Why it stopped.
    pub reason: Option<String>,
}

/// A task that stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The last part of its ARN.
    pub id: String,
    /// `STOPPED`
    pub status: String,
    /// `STOPPED`
    pub desired_status: String,
    /// Milliseconds since 1970; 0 while it runs.
    pub stopped: u64,
    /// Why.
    pub reason: Option<String>,
    /// `EssentialContainerExited`, …
    pub code: Option<String>,
    /// Of its task definition.
    pub revision: String,
    /// Its containers.
    pub containers: Vec<Container>,
}

/// The services of a session's account and region.
#[derive(Clone)]
pub struct Ecs {
    client: Client,
}

impl Ecs {
    /// Nothing is asked yet.
    pub fn new(session: &Session) -> Self {
        Self {
            client: Client::new(session.config()),
        }
    }

    /// A service by its ARN; none when there is none.
    ///
    /// # Errors
    /// When AWS does not answer, or refuses.
    pub async fn service(&self, arn: &str) -> Result<Option<ServiceState>, WireError> {
        let (cluster, name) = place(arn);
        let what = format!("look at service {name} (ecs DescribeServices)");
        let answer = self
            .client
            .describe_services()
            .set_cluster(cluster.map(str::to_owned))
            .services(arn)
            .send()
            .await;
        let answer = match answer.map_err(|error| AwsError::of(what, &error)) {
            Ok(answer) => answer,
            Err(error) if error.why == Why::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(answer
            .services
            .unwrap_or_default()
            .into_iter()
            .next()
            .map(state))
    }

    /// Tasks of a service that stopped lately, newest first.
    ///
    /// # Errors
    /// When AWS does not answer, or refuses.
    pub async fn stopped_tasks(&self, arn: &str) -> Result<Vec<Task>, WireError> {
        let (cluster, name) = place(arn);
        let what = format!("list stopped tasks of service {name} (ecs ListTasks)");
        let answer = self
            .client
            .list_tasks()
            .set_cluster(cluster.map(str::to_owned))
            .service_name(name)
            .desired_status(DesiredStatus::Stopped)
            .send()
            .await;
        let mut arns = answer
            .map_err(|error| AwsError::of(what, &error))?
            .task_arns
            .unwrap_or_default();
        arns.truncate(TASKS);
        if arns.is_empty() {
            return Ok(Vec::new());
        }
        let what = format!("look at stopped tasks of service {name} (ecs DescribeTasks)");
        let answer = self
            .client
            .describe_tasks()
            .set_cluster(cluster.map(str::to_owned))
            .set_tasks(Some(arns))
            .send()
            .await;
        let answer = answer.map_err(|error| AwsError::of(what, &error))?;
        let mut tasks: Vec<Task> = answer
            .tasks
            .unwrap_or_default()
            .into_iter()
            .map(task)
            .collect();
        tasks.sort_by_key(|task| std::cmp::Reverse(task.stopped));
        Ok(tasks)
    }

    /// Starts a new deployment of what is configured.
    ///
    /// # Errors
    /// When AWS does not answer, or refuses.
    pub async fn force_deployment(&self, arn: &str) -> Result<(), WireError> {
        let (cluster, name) = place(arn);
        let what = format!("deploy service {name} again (ecs UpdateService)");
        let answer = self
            .client
            .update_service()
            .set_cluster(cluster.map(str::to_owned))
            .service(name)
            .force_new_deployment(true)
            .send()
            .await;
        answer.map_err(|error| AwsError::of(what, &error))?;
        Ok(())
    }
}

/// Cluster and name of `arn:aws:ecs:REGION:ACCOUNT:service/CLUSTER/NAME`; an old ARN has no cluster.
fn place(arn: &str) -> (Option<&str>, &str) {
    let mut parts = arn.split('/').skip(1);
    match (parts.next(), parts.next()) {
        (Some(cluster), Some(name)) => (Some(cluster), name),
        (Some(name), None) => (None, name),
        (None, _) => (None, arn),
    }
}

fn milliseconds(time: Option<&DateTime>) -> u64 {
    time.and_then(|time| time.to_millis().ok())
        .and_then(|time| u64::try_from(time).ok())
        .unwrap_or_default()
}

fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

/// `7` of `arn:…:task-definition/app-test-api:7`.
fn revision(arn: Option<&str>) -> String {
    let last = arn.unwrap_or_default().rsplit(':').next();
    last.unwrap_or_default().to_owned()
}

fn state(service: aws_sdk_ecs::types::Service) -> ServiceState {
    let deployments = service.deployments().iter().map(|deployment| Deployment {
        id: deployment.id().unwrap_or_default().to_owned(),
        status: deployment.status().unwrap_or_default().to_owned(),
        rollout: deployment
            .rollout_state()
            .map(|state| state.as_str().to_owned())
            .unwrap_or_default(),
        reason: deployment.rollout_state_reason().map(str::to_owned),
        revision: revision(deployment.task_definition()),
        desired: count(deployment.desired_count()),
        running: count(deployment.running_count()),
        pending: count(deployment.pending_count()),
        failed: count(deployment.failed_tasks()),
        created: milliseconds(deployment.created_at()),
        updated: milliseconds(deployment.updated_at()),
    });
    let events = service.events().iter().map(|event| ServiceEvent {
        id: event.id().unwrap_or_default().to_owned(),
        time: milliseconds(event.created_at()),
        message: event.message().unwrap_or_default().to_owned(),
    });
    let alarms = service
        .deployment_configuration()
        .and_then(|configuration| configuration.alarms())
        .filter(|alarms| alarms.enable())
        .map(|alarms| alarms.alarm_names().to_vec());
    ServiceState {
        status: service.status().unwrap_or_default().to_owned(),
        desired: count(service.desired_count()),
        running: count(service.running_count()),
        deployments: deployments.collect(),
        events: events.collect(),
        alarms: alarms.unwrap_or_default(),
    }
}

fn task(task: aws_sdk_ecs::types::Task) -> Task {
    let arn = task.task_arn().unwrap_or_default();
    let containers = task.containers().iter().map(|container| Container {
        name: container.name().unwrap_or_default().to_owned(),
        exit_code: container.exit_code(),
        reason: container.reason().map(str::to_owned),
    });
    Task {
        id: arn.rsplit('/').next().unwrap_or_default().to_owned(),
        status: task.last_status().unwrap_or_default().to_owned(),
        desired_status: task.desired_status().unwrap_or_default().to_owned(),
        stopped: milliseconds(task.stopped_at().or(task.stopping_at())),
        reason: task.stopped_reason().map(str::to_owned),
        code: task.stop_code().map(|code| code.as_str().to_owned()),
        revision: revision(task.task_definition_arn()),
        containers: containers.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_name_and_revision_are_read_from_arns() {
        let arn = "arn:aws:ecs:eu-west-1:1:service/cluster-1/app-test-api";
        assert_eq!(place(arn), (Some("cluster-1"), "app-test-api"));
        assert_eq!(place("arn:aws:ecs:eu-west-1:1:service/old"), (None, "old"));
        assert_eq!(
            revision(Some("arn:aws:ecs:r:1:task-definition/app-test-api:7")),
            "7"
        );
        assert_eq!(revision(None), "");
    }
}
