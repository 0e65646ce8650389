//! CloudFormation: stacks, change sets and events. What is read is remembered for those who say so: one run asks for
//! the same stack in several places.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::types::{Capability, ChangeSetType, Parameter, Tag};
use aws_smithy_types::DateTime;

use super::kept::Kept;
use super::{AwsError, Session, Why};
use crate::wire::WireError;

/// Largest number of events that are read at once: a stack has at most 500 resources.
const EVENTS: usize = 5_000;

/// Whether an answer of before will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// As it was when this run first asked.
    Remembered,
    /// As it is now.
    Now,
}

/// A stack as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StackState {
    /// ARN.
    pub id: String,
    /// Name.
    pub name: String,
    /// `UPDATE_COMPLETE`
    pub status: String,
    /// Why it has that status.
    pub reason: Option<String>,
    /// As they are in use.
    pub parameters: Vec<(String, String)>,
    /// Key, value.
    pub tags: Vec<(String, String)>,
    /// Key, value.
    pub outputs: Vec<(String, String)>,
    /// Milliseconds since 1970 of its last update, or creation.
    pub changed: u64,
    /// The outermost stack that it is nested in.
    pub root: Option<String>,
}

/// Something that happened to a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackEvent {
    /// Unique.
    pub id: String,
    /// Milliseconds since 1970.
    pub time: u64,
    /// Logical id.
    pub resource: String,
    /// Physical id.
    pub physical: Option<String>,
    /// `AWS::ECS::Service`
    pub kind: String,
    /// `CREATE_FAILED`
    pub status: String,
    /// In AWS's words.
    pub reason: Option<String>,
}

/// A resource that a change set changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceChange {
    /// `Add`, `Modify`, `Remove`, …
    pub action: String,
    /// Logical id.
    pub resource: String,
    /// `AWS::ECS::Service`
    pub kind: String,
    /// `True`, `False`, `Conditional`.
    pub replacement: Option<String>,
    /// The change set of a nested stack.
    pub nested: Option<String>,
}

/// A change set as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeSetState {
    /// Whether it could be made.
    pub status: String,
    /// Whether it can be executed, or was.
    pub execution: String,
    /// Why it has that status.
    pub reason: Option<String>,
    /// Milliseconds since 1970.
    pub created: u64,
    /// What it changes.
    pub changes: Vec<ResourceChange>,
    /// The stack it belongs to.
    pub stack: String,
}

/// A change set to make.
#[derive(Clone, Debug)]
pub struct NewChangeSet {
    /// Its name; also what makes a repeated request the same request.
    pub name: String,
    /// The stack is new.
    pub creates: bool,
    /// Where the template is.
    pub template_url: String,
    /// Name, value.
    pub parameters: Vec<(String, String)>,
    /// Key, value.
    pub tags: Vec<(String, String)>,
    /// `CAPABILITY_IAM`, …
    pub capabilities: Vec<String>,
    /// The role that CloudFormation acts with.
    pub role: Option<String>,
}

/// The stacks of a session's account and region.
#[derive(Clone)]
pub struct CloudFormation {
    client: Client,
    stacks: Kept<Option<StackState>>,
    templates: Kept<Option<String>>,
    /// ARNs by name: a deleted stack is found by its ARN alone.
    ids: Arc<Mutex<HashMap<String, String>>>,
}

impl CloudFormation {
    /// Nothing is asked yet.
    pub fn new(session: &Session) -> Self {
        Self {
            client: Client::new(session.config()),
            stacks: Kept::default(),
            templates: Kept::default(),
            ids: Arc::default(),
        }
    }

    /// A stack by name or ARN; none when there is none. A deleted one is none, unless it is asked for by its ARN.
    ///
    /// # Errors
    /// When AWS does not answer, or refuses.
    pub async fn describe(
        &self,
        stack: &str,
        freshness: Freshness,
    ) -> Result<Option<StackState>, WireError> {
        match freshness {
            Freshness::Remembered => self.stacks.get(stack, self.read_stack(stack)).await,
            Freshness::Now => self.read_stack(stack).await,
        }
    }

    async fn read_stack(&self, stack: &str) -> Result<Option<StackState>, WireError> {
        let what = format!("look at stack {stack} (cloudformation DescribeStacks)");
        let answer = self.client.describe_stacks().stack_name(stack).send().await;
        let found = absent(answer.map_err(|error| AwsError::of(what, &error)))?;
        let found = found.and_then(|answer| answer.stacks.unwrap_or_default().into_iter().next());
        let found = found.map(state);
        if let Some(found) = &found {
            let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
            ids.insert(stack.to_owned(), found.id.clone());
        }
        Ok(found)
    }

    /// The template as it was submitted; none when there is no such stack.
    ///
    /// # Errors
    /// When AWS does not answer, or refuses.
    pub async fn template(
        &self,
        stack: &str,
        freshness: Freshness,
    ) -> Result<Option<String>, WireError> {
        match freshness {
            Freshness::Remembered => self.templates.get(stack, self.read_template(stack)).await,
            Freshness::Now => self.read_template(stack).await,
        }
    }

    async fn read_template(&self, stack: &str) -> Result<Option<String>, WireError> {
        let what = format!("read the template of stack {stack} (cloudformation GetTemplate)");
        let answer = self.client.get_template().stack_name(stack).send().await;
        let found = absent(answer.map_err(|error| AwsError::of(what, &error)))?;
        // A stack that is only a change set yet has no template.
        Ok(found
            .and_then(|answer| answer.template_body)
            .filter(|body| !body.is_empty()))
    }

    /// Events from `since` (milliseconds since 1970) on, oldest first; of these only what came after the event `seen`. A
    /// stack that was there when this run looked tells how it was deleted.
    ///
    /// # Errors
    /// When AWS does not answer, or refuses.
    pub async fn events(
        &self,
        stack: &str,
        since: u64,
        seen: Option<&str>,
    ) -> Result<Vec<StackEvent>, WireError> {
        if let Some(events) = self.read_events(stack, since, seen).await? {
            return Ok(events);
        }
        let id = {
            let ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
            ids.get(stack).cloned()
        };
        match id {
            Some(id) => Ok(self
                .read_events(&id, since, seen)
                .await?
                .unwrap_or_default()),
            None => Ok(Vec::new()),
        }
    }

    async fn read_events(
        &self,
        stack: &str,
        since: u64,
        seen: Option<&str>,
    ) -> Result<Option<Vec<StackEvent>>, WireError> {
        let mut newest_first = Vec::new();
        let mut next = None;
        'pages: loop {
            let what = format!("follow stack {stack} (cloudformation DescribeStackEvents)");
            let request = self.client.describe_stack_events().stack_name(stack);
            let answer = request.set_next_token(next).send().await;
            let Some(page) = absent(answer.map_err(|error| AwsError::of(what, &error)))? else {
                return Ok(None);
            };
            for event in page.stack_events.unwrap_or_default() {
                let event = happened(event);
                if event.time < since
                    || Some(event.id.as_str()) == seen
                    || newest_first.len() >= EVENTS
                {
                    break 'pages;
                }
                newest_first.push(event);
            }
            next = page.next_token;
            if next.is_none() {
                break;
            }
        }
        newest_first.reverse();
        Ok(Some(newest_first))
    }

    /// The physical id and type of a resource; none when the stack has none of that name.
    ///
    /// # Errors
    /// When AWS does not answer, or refuses.
    pub async fn resource(
        &self,
        stack: &str,
        resource: &str,
    ) -> Result<Option<(String, String)>, WireError> {
        let what =
            format!("find {resource} of stack {stack} (cloudformation DescribeStackResources)");
        let request = self.client.describe_stack_resources().stack_name(stack);
        let answer = request.logical_resource_id(resource).send().await;
        let found = absent(answer.map_err(|error| AwsError::of(what, &error)))?;
        let resources = found.and_then(|answer| answer.stack_resources);
        let resource = resources.unwrap_or_default().into_iter().next();
        Ok(resource.and_then(|found| {
            let physical = found.physical_resource_id.filter(|id| !id.is_empty())?;
            Some((physical, found.resource_type.unwrap_or_default()))
        }))
    }

    /// A change set by its name and stack, or by its ARN; none when there is none.
    ///
    /// # Errors
    /// When AWS does not answer, or refuses.
    pub async fn change_set(
        &self,
        stack: &str,
        name: &str,
    ) -> Result<Option<ChangeSetState>, WireError> {
        let mut found: Option<ChangeSetState> = None;
        let mut next = None;
        loop {
            let what = format!(
                "look at change set {name} of stack {stack} (cloudformation DescribeChangeSet)"
            );
            let mut request = self.client.describe_change_set().change_set_name(name);
            if !name.starts_with("arn:") {
                request = request.stack_name(stack);
            }
            let answer = request.set_next_token(next).send().await;
            let Some(page) = absent(answer.map_err(|error| AwsError::of(what, &error)))? else {
                return Ok(None);
            };
            next = page.next_token().map(str::to_owned);
            let changes = page.changes().iter().filter_map(|change| {
                let change = change.resource_change()?;
                Some(ResourceChange {
                    action: change
                        .action()
                        .map(|a| a.as_str().to_owned())
                        .unwrap_or_default(),
                    resource: change.logical_resource_id().unwrap_or_default().to_owned(),
                    kind: change.resource_type().unwrap_or_default().to_owned(),
                    replacement: change.replacement().map(|r| r.as_str().to_owned()),
                    nested: change.change_set_id().map(str::to_owned),
                })
            });
            match &mut found {
                Some(found) => found.changes.extend(changes),
                None => {
                    found = Some(ChangeSetState {
                        status: page
                            .status()
                            .map(|s| s.as_str().to_owned())
                            .unwrap_or_default(),
                        execution: page
                            .execution_status()
                            .map(|s| s.as_str().to_owned())
                            .unwrap_or_default(),
                        reason: page.status_reason().map(str::to_owned),
                        created: page.creation_time().map(milliseconds).unwrap_or_default(),
                        changes: changes.collect(),
                        stack: page.stack_id().unwrap_or_default().to_owned(),
                    });
                }
            }
            if next.is_none() {
                return Ok(found);
            }
        }
    }

    /// Makes a change set. One of that name that is there already is this one: the answer to an earlier attempt was lost.
    ///
    /// # Errors
    /// When AWS does not answer, or refuses.
    pub async fn create_change_set(&self, stack: &str, new: NewChangeSet) -> Result<(), WireError> {
        let what = format!("propose changes to stack {stack} (cloudformation CreateChangeSet)");
        let parameters = new.parameters.into_iter().map(|(key, value)| {
            Parameter::builder()
                .parameter_key(key)
                .parameter_value(value)
                .build()
        });
        let tags = new
            .tags
            .into_iter()
            .map(|(key, value)| Tag::builder().key(key).value(value).build());
        let capabilities = new
            .capabilities
            .iter()
            .map(|name| Capability::from(name.as_str()));
        let kind = match new.creates {
            true => ChangeSetType::Create,
            false => ChangeSetType::Update,
        };
        let answer = self
            .client
            .create_change_set()
            .stack_name(stack)
            .change_set_name(&new.name)
            .client_token(&new.name)
            .change_set_type(kind)
            .template_url(new.template_url)
            .set_parameters(Some(parameters.collect()))
            .set_tags(Some(tags.collect()))
            .set_capabilities(Some(capabilities.collect()))
            .set_role_arn(new.role)
            .include_nested_stacks(true)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|error| error.is_already_exists_exception()) =>
            {
                Ok(())
            }
            Err(error) => Err(AwsError::of(what, &error).into()),
        }
    }

    /// Executes a change set. Being executed already is success: the answer to an earlier attempt was lost.
    ///
    /// # Errors
    /// When AWS does not answer, or refuses.
    pub async fn execute_change_set(
        &self,
        stack: &str,
        name: &str,
        rollback: bool,
    ) -> Result<(), WireError> {
        let what = format!("change stack {stack} (cloudformation ExecuteChangeSet)");
        let answer = self
            .client
            .execute_change_set()
            .stack_name(stack)
            .change_set_name(name)
            .client_request_token(name)
            // Absent means no, and is what Copilot sends.
            .set_disable_rollback((!rollback).then_some(true))
            .send()
            .await;
        let Err(error) = answer else { return Ok(()) };
        let maybe_done = error.as_service_error().is_some_and(|error| {
            error.is_invalid_change_set_status_exception()
                || error.is_token_already_exists_exception()
        });
        if maybe_done
            && let Some(state) = self.change_set(stack, name).await?
            && state.execution.starts_with("EXECUTE_")
            && state.execution != "EXECUTE_FAILED"
        {
            return Ok(());
        }
        Err(AwsError::of(what, &error).into())
    }

    /// Deletes a change set that was not executed.
    ///
    /// # Errors
    /// When AWS does not answer, or refuses.
    pub async fn delete_change_set(&self, stack: &str, name: &str) -> Result<(), WireError> {
        let what =
            format!("drop change set {name} of stack {stack} (cloudformation DeleteChangeSet)");
        let request = self.client.delete_change_set().stack_name(stack);
        let answer = request.change_set_name(name).send().await;
        absent(answer.map_err(|error| AwsError::of(what, &error))).map(drop)
    }

    /// Cancels an update that is under way.
    ///
    /// # Errors
    /// When AWS does not answer, or refuses.
    pub async fn cancel_update(&self, stack: &str) -> Result<(), WireError> {
        let what = format!("cancel the update of stack {stack} (cloudformation CancelUpdateStack)");
        let answer = self
            .client
            .cancel_update_stack()
            .stack_name(stack)
            .send()
            .await;
        answer.map_err(|error| AwsError::of(what, &error))?;
        Ok(())
    }

    /// Deletes a stack, as a role when there is one.
    ///
    /// # Errors
    /// When AWS does not answer, or refuses.
    pub async fn delete(&self, stack: &str, role: Option<String>) -> Result<(), WireError> {
        let what = format!("delete stack {stack} (cloudformation DeleteStack)");
        let request = self.client.delete_stack().stack_name(stack);
        let answer = request.set_role_arn(role).send().await;
        answer.map_err(|error| AwsError::of(what, &error))?;
        Ok(())
    }
}

/// Not being there is an answer.
fn absent<T>(answer: Result<T, AwsError>) -> Result<Option<T>, WireError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.why == Why::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn milliseconds(time: &DateTime) -> u64 {
    time.to_millis()
        .ok()
        .and_then(|time| u64::try_from(time).ok())
        .unwrap_or_default()
}

fn state(stack: aws_sdk_cloudformation::types::Stack) -> StackState {
    let pairs = |pairs: Option<Vec<(Option<String>, Option<String>)>>| {
        pairs
            .unwrap_or_default()
            .into_iter()
            .map(|(key, value)| (key.unwrap_or_default(), value.unwrap_or_default()))
            .collect()
    };
    let parameters = stack.parameters.map(|all| {
        all.into_iter()
            .map(|p| (p.parameter_key, p.resolved_value.or(p.parameter_value)))
            .collect()
    });
    let tags = stack
        .tags
        .map(|all| all.into_iter().map(|tag| (tag.key, tag.value)).collect());
    let outputs = stack.outputs.map(|all| {
        all.into_iter()
            .map(|output| (output.output_key, output.output_value))
            .collect()
    });
    let changed = stack.last_updated_time.or(stack.creation_time);
    StackState {
        id: stack.stack_id.unwrap_or_default(),
        name: stack.stack_name.unwrap_or_default(),
        status: stack
            .stack_status
            .map(|status| status.as_str().to_owned())
            .unwrap_or_default(),
        reason: stack.stack_status_reason,
        parameters: pairs(parameters),
        tags: pairs(tags),
        outputs: pairs(outputs),
        changed: changed.as_ref().map(milliseconds).unwrap_or_default(),
        root: stack.root_id,
    }
}

fn happened(event: aws_sdk_cloudformation::types::StackEvent) -> StackEvent {
    StackEvent {
        id: event.event_id.unwrap_or_default(),
        time: event
            .timestamp
            .as_ref()
            .map(milliseconds)
            .unwrap_or_default(),
        resource: event.logical_resource_id.unwrap_or_default(),
        physical: event.physical_resource_id.filter(|id| !id.is_empty()),
        kind: event.resource_type.unwrap_or_default(),
        status: event
            .resource_status
            .map(|status| status.as_str().to_owned())
            .unwrap_or_default(),
        reason: event.resource_status_reason,
    }
}
