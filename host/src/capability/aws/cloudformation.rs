//! `plimsoll:deploy/cloudformation`: granted stacks, their templates, change sets and events.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value as Json, json};
use wasmtime::component::{Accessor, Resource};

use super::{Aws, covers_looking, filled, freshness, reach};
use crate::capability::error::from_wire;
use crate::capability::run::{Readers, Run};
use crate::capability::session::Call;
use crate::capability::{Answer, Powers, Session, View};
use crate::grant::Denied;
use crate::plan::canonical;
use crate::wire::WireError;
use crate::wire::aws::cloudformation::{Freshness, NewChangeSet};
use crate::wire::aws::s3::parse_url;
use crate::wit::cloudformation::{
    ChangeSet, ChangeSetState, Event, Host, HostStack, HostStackWithStore, Kind, ResourceChange,
    StackState,
};
use crate::wit::types::CapError;

/// States of a stack that never came into being: only these may be deleted.
const NEVER_WORKED: &[&str] = &[
    "REVIEW_IN_PROGRESS",
    "CREATE_IN_PROGRESS",
    "CREATE_FAILED",
    "ROLLBACK_IN_PROGRESS",
    "ROLLBACK_COMPLETE",
    "ROLLBACK_FAILED",
];

/// A stack that may be looked at.
#[derive(Clone)]
pub struct Stack {
    /// A granted name, or the ARN of a stack that a granted one contains.
    name: String,
    /// It is contained in another: to look at only.
    nested: bool,
}

struct Opened {
    session: Arc<Session>,
    stack: Stack,
}

/// What a document of parameters holds.
#[derive(Deserialize)]
struct Inputs {
    #[serde(rename = "Parameters")]
    parameters: BTreeMap<String, String>,
    #[serde(rename = "Tags")]
    tags: BTreeMap<String, String>,
}

fn failed(error: WireError) -> CapError {
    from_wire(&error)
}

impl Opened {
    fn of<T: Send + 'static>(
        accessor: &Accessor<T, Powers>,
        stack: &Resource<Stack>,
    ) -> wasmtime::Result<Self> {
        accessor.with(|mut access| {
            let view = access.get();
            Ok(Self {
                session: view.session.clone(),
                stack: view.table.get(stack)?.clone(),
            })
        })
    }

    fn aws(&self) -> Result<Arc<Aws>, CapError> {
        reach(&self.session)
    }

    fn call(&self, effect: String, operation: &'static str, arguments: Json) -> Call {
        Call {
            effect,
            operation,
            subject: self.stack.name.clone(),
            arguments,
        }
    }

    /// Looking at a stack is not yet changing it.
    fn may_change(&self) -> Result<(), Denied> {
        self.session.grants.covers_stack(&self.stack.name)
    }

    fn may_pass(&self, role: Option<&str>) -> Result<(), Denied> {
        role.map_or(Ok(()), |role| self.session.grants.covers_role(role))
    }

    async fn mutate(
        &self,
        call: Call,
        scope: Result<(), Denied>,
        work: impl Future<Output = Result<(), CapError>> + Send + 'static,
    ) -> Result<(), CapError> {
        let scope = scope.and_then(|()| self.may_change());
        self.session.mutate(call, scope, work).await
    }
}

impl Host for View<'_> {}

impl HostStack for View<'_> {
    fn open(&mut self, name: String) -> wasmtime::Result<Result<Resource<Stack>, CapError>> {
        if let Err(error) = reach(self.session) {
            return Ok(Err(error));
        }
        if let Err(denied) = covers_looking(self.session, &name) {
            return Ok(Err(self.session.deny(denied)));
        }
        let nested = false;
        Ok(Ok(self.table.push(Stack { name, nested })?))
    }

    fn name(&mut self, stack: Resource<Stack>) -> wasmtime::Result<String> {
        Ok(self.table.get(&stack)?.name.clone())
    }

    fn drop(&mut self, stack: Resource<Stack>) -> wasmtime::Result<()> {
        self.table.delete(stack)?;
        Ok(())
    }
}

impl<T: Send + 'static> HostStackWithStore<T> for Powers {
    async fn describe(
        accessor: &Accessor<T, Self>,
        stack: Resource<Stack>,
    ) -> Answer<Option<StackState>> {
        let opened = Opened::of(accessor, &stack)?;
        Ok(async {
            let aws = opened.aws()?;
            let _place = opened.session.budget()?;
            let found = aws
                .cloudformation
                .describe(&opened.stack.name, freshness(&opened.session))
                .await
                .map_err(failed)?;
            Ok(found.map(|found| StackState {
                id: found.id,
                status: found.status,
                reason: found.reason,
                parameters: found.parameters,
                tags: found.tags,
                outputs: found.outputs,
                changed: found.changed,
            }))
        }
        .await)
    }

    async fn template(
        accessor: &Accessor<T, Self>,
        stack: Resource<Stack>,
    ) -> Answer<Option<String>> {
        let opened = Opened::of(accessor, &stack)?;
        Ok(async {
            let aws = opened.aws()?;
            let _place = opened.session.budget()?;
            aws.cloudformation
                .template(&opened.stack.name, freshness(&opened.session))
                .await
                .map_err(failed)
        }
        .await)
    }

    async fn linked_template(
        accessor: &Accessor<T, Self>,
        stack: Resource<Stack>,
        parameter: String,
    ) -> Answer<Option<String>> {
        let opened = Opened::of(accessor, &stack)?;
        Ok(async {
            let aws = opened.aws()?;
            let _place = opened.session.budget()?;
            let state = aws
                .cloudformation
                .describe(&opened.stack.name, freshness(&opened.session))
                .await
                .map_err(failed)?;
            let parameters = state.map(|state| state.parameters).unwrap_or_default();
            let url = parameters.iter().find(|(name, _)| *name == parameter);
            // A URL elsewhere is nobody's template.
            let Some((bucket, key)) = url.and_then(|(_, url)| parse_url(url)) else {
                return Ok(None);
            };
            opened
                .session
                .grants
                .covers_object(bucket, key)
                .map_err(|denied| opened.session.deny(denied))?;
            aws.s3.text(bucket, key).await.map_err(failed)
        }
        .await)
    }

    async fn events(
        accessor: &Accessor<T, Self>,
        stack: Resource<Stack>,
        since: u64,
        seen: Option<String>,
    ) -> Answer<Vec<Event>> {
        let opened = Opened::of(accessor, &stack)?;
        Ok(async {
            let aws = opened.aws()?;
            let _place = opened.session.budget()?;
            let events = aws
                .cloudformation
                .events(&opened.stack.name, since, seen.as_deref())
                .await
                .map_err(failed)?;
            Ok(events
                .into_iter()
                .map(|event| Event {
                    id: event.id,
                    time: event.time,
                    resource_id: event.resource,
                    physical_id: event.physical,
                    resource_type: event.kind,
                    status: event.status,
                    reason: event.reason,
                })
                .collect())
        }
        .await)
    }

    async fn nested(
        accessor: &Accessor<T, Self>,
        stack: Resource<Stack>,
        id: String,
    ) -> Answer<Resource<Stack>> {
        let opened = Opened::of(accessor, &stack)?;
        let found = async {
            let aws = opened.aws()?;
            let _place = opened.session.budget()?;
            let look = |name: &str| {
                let (aws, name) = (aws.clone(), name.to_owned());
                async move { aws.cloudformation.describe(&name, Freshness::Now).await }
            };
            // AWS says what contains it, not the component; now, because before this deploy there may have been neither.
            let missing =
                || CapError::NotFound(format!("{id} is not part of stack {}", opened.stack.name));
            let own = look(&opened.stack.name)
                .await
                .map_err(failed)?
                .ok_or_else(missing)?;
            let inner = look(&id).await.map_err(failed)?.ok_or_else(missing)?;
            let top = own.root.as_deref().unwrap_or(&own.id);
            match inner.root.as_deref() == Some(top) && inner.id == id {
                true => Ok(Stack {
                    name: id.clone(),
                    nested: true,
                }),
                false => Err(missing()),
            }
        }
        .await;
        match found {
            Ok(inner) => Ok(Ok(
                accessor.with(|mut access| access.get().table.push(inner))?
            )),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn change_set(
        accessor: &Accessor<T, Self>,
        stack: Resource<Stack>,
        name: String,
    ) -> Answer<Option<ChangeSetState>> {
        let opened = Opened::of(accessor, &stack)?;
        Ok(async {
            let aws = opened.aws()?;
            let _place = opened.session.budget()?;
            let found = aws
                .cloudformation
                .change_set(&opened.stack.name, &name)
                .await
                .map_err(failed)?;
            // By its ARN a change set of any stack is found: of this one, or of one that it contains.
            let mine = |stack: &str| {
                let found = stack.split('/').nth(1).unwrap_or_default();
                found == opened.stack.name
                    || stack == opened.stack.name
                    || found.starts_with(&format!("{}-", opened.stack.name)) && !opened.stack.nested
            };
            Ok(found
                .filter(|found| mine(&found.stack))
                .map(|found| ChangeSetState {
                    status: found.status,
                    execution: found.execution,
                    reason: found.reason,
                    created: found.created,
                    changes: found
                        .changes
                        .into_iter()
                        .map(|change| ResourceChange {
                            action: change.action,
                            resource_id: change.resource,
                            resource_type: change.kind,
                            replacement: change.replacement,
                            nested: change.nested,
                        })
                        .collect(),
                }))
        }
        .await)
    }

    async fn create_change_set(
        accessor: &Accessor<T, Self>,
        stack: Resource<Stack>,
        effect: String,
        input: ChangeSet,
    ) -> Answer<()> {
        let opened = Opened::of(accessor, &stack)?;
        let kind = match input.kind {
            Kind::Create => "create",
            Kind::Update => "update",
        };
        let arguments = json!({"input": {
            "name": input.name,
            "kind": kind,
            "template": canonical::value(&input.template),
            "inputs": input.inputs,
            "capabilities": input.capabilities,
            "role": input.role,
        }});
        let call = opened.call(effect, "cloudformation.create-change-set", arguments);
        let scope = opened.may_pass(input.role.as_deref());
        let run = opened.session.run.clone();
        let stack = opened.stack.name.clone();
        let aws = match opened.aws() {
            Ok(aws) => aws,
            Err(error) => return Ok(Err(error)),
        };
        let work = async move {
            let template = run.resolve(&input.template, Readers::Everybody)?;
            let inputs = inputs(&run, &input.inputs)?;
            let fill = |pairs: BTreeMap<String, String>| {
                let filled = |(key, text): (String, String)| Ok((key, filled(&run, &text)?));
                pairs
                    .into_iter()
                    .map(filled)
                    .collect::<Result<Vec<_>, CapError>>()
            };
            let new = NewChangeSet {
                name: input.name,
                creates: input.kind == Kind::Create,
                template_url: template.expose().to_owned(),
                parameters: fill(inputs.parameters)?,
                tags: fill(inputs.tags)?,
                capabilities: input.capabilities,
                role: input.role,
            };
            aws.cloudformation
                .create_change_set(&stack, new)
                .await
                .map_err(failed)
        };
        Ok(opened.mutate(call, scope, work).await)
    }

    async fn execute_change_set(
        accessor: &Accessor<T, Self>,
        stack: Resource<Stack>,
        effect: String,
        name: String,
        rollback: bool,
    ) -> Answer<()> {
        let opened = Opened::of(accessor, &stack)?;
        let arguments = json!({"name": name, "rollback": rollback});
        let call = opened.call(effect, "cloudformation.execute-change-set", arguments);
        let stack = opened.stack.name.clone();
        let aws = match opened.aws() {
            Ok(aws) => aws,
            Err(error) => return Ok(Err(error)),
        };
        let work = async move {
            let execute = aws
                .cloudformation
                .execute_change_set(&stack, &name, rollback);
            execute.await.map_err(failed)
        };
        Ok(opened.mutate(call, Ok(()), work).await)
    }

    async fn delete_change_set(
        accessor: &Accessor<T, Self>,
        stack: Resource<Stack>,
        effect: String,
        name: String,
    ) -> Answer<()> {
        let opened = Opened::of(accessor, &stack)?;
        let call = opened.call(
            effect,
            "cloudformation.delete-change-set",
            json!({"name": name}),
        );
        let stack = opened.stack.name.clone();
        let aws = match opened.aws() {
            Ok(aws) => aws,
            Err(error) => return Ok(Err(error)),
        };
        let work = async move {
            let delete = aws.cloudformation.delete_change_set(&stack, &name);
            delete.await.map_err(failed)
        };
        Ok(opened.mutate(call, Ok(()), work).await)
    }

    async fn cancel_update(
        accessor: &Accessor<T, Self>,
        stack: Resource<Stack>,
        effect: String,
    ) -> Answer<()> {
        let opened = Opened::of(accessor, &stack)?;
        let call = opened.call(effect, "cloudformation.cancel-update", json!({}));
        let stack = opened.stack.name.clone();
        let aws = match opened.aws() {
            Ok(aws) => aws,
            Err(error) => return Ok(Err(error)),
        };
        let work = async move {
            aws.cloudformation
                .cancel_update(&stack)
                .await
                .map_err(failed)
        };
        Ok(opened.mutate(call, Ok(()), work).await)
    }

    async fn delete(
        accessor: &Accessor<T, Self>,
        stack: Resource<Stack>,
        effect: String,
        role: Option<String>,
    ) -> Answer<()> {
        let opened = Opened::of(accessor, &stack)?;
        let call = opened.call(effect, "cloudformation.delete", json!({"role": role}));
        let scope = opened.may_pass(role.as_deref());
        let stack = opened.stack.name.clone();
        let aws = match opened.aws() {
            Ok(aws) => aws,
            Err(error) => return Ok(Err(error)),
        };
        let work = async move {
            let state = aws.cloudformation.describe(&stack, Freshness::Now);
            let Some(state) = state.await.map_err(failed)? else {
                return Ok(());
            };
            // Whatever was promised and approved: what once worked may hold data.
            if !NEVER_WORKED.contains(&state.status.as_str()) {
                return Err(CapError::Other(format!(
                    "stack {stack} is {}: it worked once, and plimsoll deletes only what never did",
                    state.status
                )));
            }
            aws.cloudformation
                .delete(&stack, role)
                .await
                .map_err(failed)
        };
        Ok(opened.mutate(call, scope, work).await)
    }
}

/// Parameters and tags, from a document of the approved plan.
fn inputs(run: &Run, address: &str) -> Result<Inputs, CapError> {
    let document = run.approved(address)?;
    serde_json::from_str(&document.body).map_err(|error| {
        CapError::Other(format!("document `{address}` holds no parameters: {error}"))
    })
}
