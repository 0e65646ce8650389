//! `plimsoll:deploy/ecs` and `logs`: services of granted stacks, and what their tasks said.

use std::sync::{Arc, OnceLock};

use serde_json::json;
use wasmtime::component::{Accessor, Resource};

use super::{Aws, covers_looking, reach};
use crate::capability::error::from_wire;
use crate::capability::session::Call;
use crate::capability::{Answer, Powers, Session, View};
use crate::wire::WireError;
use crate::wit::ecs::{
    Container, Deployment, Host, HostService, HostServiceWithStore, ServiceEvent, ServiceState,
    Task,
};
use crate::wit::logs;
use crate::wit::types::CapError;

/// The types of resources that are services here.
const KINDS: &[(&str, Kind)] = &[
    ("AWS::ECS::Service", Kind::Ecs),
    ("AWS::AppRunner::Service", Kind::AppRunner),
];
/// Lines that are read of a log at most.
const LINES: u32 = 200;

/// Who runs a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ecs,
    AppRunner,
}

/// A service that a granted stack made.
#[derive(Clone)]
pub struct Service {
    stack: String,
    resource: String,
    arn: String,
    kind: Kind,
    /// What App Runner calls the deployment that was begun.
    operation: Arc<OnceLock<String>>,
}

struct Opened {
    session: Arc<Session>,
    service: Service,
}

impl Opened {
    fn of<T: Send + 'static>(
        accessor: &Accessor<T, Powers>,
        service: &Resource<Service>,
    ) -> wasmtime::Result<Self> {
        accessor.with(|mut access| {
            let view = access.get();
            Ok(Self {
                session: view.session.clone(),
                service: view.table.get(service)?.clone(),
            })
        })
    }
}

fn failed(error: WireError) -> CapError {
    from_wire(&error)
}

impl Host for View<'_> {}

impl HostService for View<'_> {
    fn drop(&mut self, service: Resource<Service>) -> wasmtime::Result<()> {
        self.table.delete(service)?;
        Ok(())
    }
}

impl<T: Send + 'static> HostServiceWithStore<T> for Powers {
    async fn of_stack(
        accessor: &Accessor<T, Self>,
        stack: String,
        resource: String,
    ) -> Answer<Option<Resource<Service>>> {
        let session = accessor.with(|mut access| Arc::clone(access.get().session));
        match find(&session, stack, resource).await {
            Ok(None) => Ok(Ok(None)),
            Ok(Some(service)) => {
                let service = accessor.with(|mut access| access.get().table.push(service))?;
                Ok(Ok(Some(service)))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    async fn describe(
        accessor: &Accessor<T, Self>,
        service: Resource<Service>,
    ) -> Answer<ServiceState> {
        let opened = Opened::of(accessor, &service)?;
        Ok(async {
            let aws = reach(&opened.session)?;
            let _place = opened.session.budget()?;
            let arn = &opened.service.arn;
            let found = match opened.service.kind {
                Kind::Ecs => aws.ecs.service(arn).await,
                Kind::AppRunner => {
                    let operation = opened.service.operation.get().map(String::as_str);
                    aws.session.app_runner_service(arn, operation).await
                }
            };
            let found = found.map_err(failed)?;
            let found = found.ok_or_else(|| {
                CapError::NotFound(format!("service {} is gone", opened.service.arn))
            })?;
            let deployments = found.deployments.into_iter().map(|one| Deployment {
                id: one.id,
                status: one.status,
                rollout: one.rollout,
                reason: one.reason,
                revision: one.revision,
                desired: one.desired,
                running: one.running,
                pending: one.pending,
                failed: one.failed,
                created: one.created,
                updated: one.updated,
            });
            let events = found.events.into_iter().map(|event| ServiceEvent {
                id: event.id,
                time: event.time,
                message: event.message,
            });
            Ok(ServiceState {
                status: found.status,
                desired: found.desired,
                running: found.running,
                deployments: deployments.collect(),
                events: events.collect(),
                alarms: alarms(&aws, found.alarms).await,
            })
        }
        .await)
    }

    async fn stopped_tasks(
        accessor: &Accessor<T, Self>,
        service: Resource<Service>,
    ) -> Answer<Vec<Task>> {
        let opened = Opened::of(accessor, &service)?;
        Ok(async {
            let aws = reach(&opened.session)?;
            let _place = opened.session.budget()?;
            let found = match opened.service.kind {
                Kind::Ecs => aws.ecs.stopped_tasks(&opened.service.arn).await,
                Kind::AppRunner => Ok(Vec::new()),
            };
            let found = found.map_err(failed)?;
            let run = &opened.session.run;
            // A reason may repeat what a container said.
            let redacted = |text: String| run.redacted(text.as_bytes());
            let tasks = found.into_iter().map(|task| Task {
                id: task.id,
                status: task.status,
                desired_status: task.desired_status,
                stopped: task.stopped,
                reason: task.reason.map(redacted),
                code: task.code,
                revision: task.revision,
                containers: task
                    .containers
                    .into_iter()
                    .map(|container| Container {
                        name: container.name,
                        exit_code: container.exit_code,
                        reason: container.reason.map(redacted),
                    })
                    .collect(),
            });
            Ok(tasks.collect())
        }
        .await)
    }

    async fn force_deployment(
        accessor: &Accessor<T, Self>,
        service: Resource<Service>,
        effect: String,
    ) -> Answer<()> {
        let opened = Opened::of(accessor, &service)?;
        let Service {
            stack,
            resource,
            arn,
            kind,
            operation,
        } = opened.service;
        let call = Call {
            effect,
            operation: "ecs.force-deployment",
            subject: format!("{stack}/{resource}"),
            arguments: json!({}),
        };
        let scope = opened.session.grants.covers_stack(&stack);
        let aws: Arc<Aws> = match reach(&opened.session) {
            Ok(aws) => aws,
            Err(error) => return Ok(Err(error)),
        };
        let work = async move {
            match kind {
                Kind::Ecs => aws.ecs.force_deployment(&arn).await,
                Kind::AppRunner => {
                    let begun = aws.session.start_app_runner_deployment(&arn).await;
                    begun.map(|id| drop(operation.set(id)))
                }
            }
            .map_err(failed)
        };
        Ok(opened.session.mutate(call, scope, work).await)
    }
}

/// The service that a resource of a stack is: CloudFormation says which, not the component.
async fn find(
    session: &Session,
    stack: String,
    resource: String,
) -> Result<Option<Service>, CapError> {
    let aws = reach(session)?;
    covers_looking(session, &stack).map_err(|denied| session.deny(denied))?;
    let _place = session.budget()?;
    let found = aws
        .cloudformation
        .resource(&stack, &resource)
        .await
        .map_err(failed)?;
    let Some((arn, found)) = found else {
        return Ok(None);
    };
    match KINDS.iter().find(|(name, _)| *name == found) {
        Some((_, kind)) => Ok(Some(Service {
            stack,
            resource,
            arn,
            kind: *kind,
            operation: Arc::default(),
        })),
        None => Err(CapError::Other(format!(
            "{resource} of stack {stack} is a {found}, not a service"
        ))),
    }
}

/// Alarms with their states. Who may not ask for these still sees the rest.
async fn alarms(aws: &Aws, names: Vec<String>) -> Vec<(String, String)> {
    if names.is_empty() {
        return Vec::new();
    }
    let known = aws.session.alarms(&names).await.unwrap_or_default();
    let state = |name: &String| {
        let found = known.iter().find(|(known, _)| known == name);
        found.map(|(_, state)| state.clone()).unwrap_or_default()
    };
    names
        .into_iter()
        .map(|name| (name.clone(), state(&name)))
        .collect()
}

impl logs::Host for View<'_> {}

impl<T: Send + 'static> logs::HostWithStore<T> for Powers {
    async fn tail(
        accessor: &Accessor<T, Self>,
        group: String,
        stream: String,
        lines: u32,
    ) -> Answer<Vec<String>> {
        let session = accessor.with(|mut access| Arc::clone(access.get().session));
        Ok(async {
            let aws = reach(&session)?;
            session
                .grants
                .covers_log_group(&group)
                .map_err(|denied| session.deny(denied))?;
            let _place = session.budget()?;
            let found = aws
                .logs
                .tail(&group, &stream, lines.min(LINES))
                .await
                .map_err(failed)?;
            let redacted = found
                .iter()
                .map(|line| session.run.redacted(line.as_bytes()));
            Ok(redacted.collect())
        }
        .await)
    }
}
