//! The operations clients call.

use std::sync::Arc;

use hyper::StatusCode;

use super::change_set::{self, ChangeSet};
use super::deploy::{self, Kind, Target};
use super::describe;
use super::stack::Stack;
use super::template::{BODY_LIMIT, Template};
use super::{delete, rollback, stack_set};
use crate::wire::http::{Answer, answer as reply};
use crate::wire::query::Fields;
use crate::wire::{Call, Refusal, xml};
use crate::world::{State, World};
use crate::{id, moto};

const NAMESPACE: &str = "http://cloudformation.amazonaws.com/doc/2010-05-15/";

type Done = Result<xml::Fields, Refusal>;

/// One operation: what was asked, and where.
pub(super) struct Asked<'a> {
    pub(super) world: &'a Arc<World>,
    pub(super) fields: Fields,
    pub(super) region: &'a str,
}

/// Answers a request to CloudFormation.
pub(crate) async fn answer(world: &Arc<World>, call: &Call) -> Answer {
    let asked = Asked {
        world,
        fields: Fields::read(&call.body),
        region: &call.region,
    };
    let action = asked.fields.get("Action").unwrap_or_default().to_owned();
    match asked.perform(&action).await {
        Ok(result) => {
            let text = format!(
                "<{action}Response xmlns=\"{NAMESPACE}\"><{action}Result>{}</{action}Result><ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></{action}Response>",
                result.done().inner(),
                id::uuid()
            );
            reply(StatusCode::OK, "text/xml", text)
        }
        Err(refusal) => refusal.answer("cloudformation", false),
    }
}

impl Asked<'_> {
    async fn perform(&self, action: &str) -> Done {
        match action {
            "CreateChangeSet" => self.create_change_set().await,
            "DescribeChangeSet" => self.describe_change_set(),
            "ExecuteChangeSet" => self.execute_change_set(),
            "DeleteChangeSet" => self.delete_change_set(),
            "ListChangeSets" => self.list_change_sets(),
            "CreateStack" => self.create_stack().await,
            "UpdateStack" => self.update_stack().await,
            "DeleteStack" => self.delete_stack(),
            "CancelUpdateStack" => self.cancel_update_stack(),
            "ContinueUpdateRollback" => self.continue_update_rollback(),
            "RollbackStack" => self.rollback_stack(),
            "UpdateTerminationProtection" => self.protect(),
            "DescribeStacks" => describe::stacks(self),
            "ListStacks" => describe::list_stacks(self),
            "DescribeStackEvents" => describe::events(self),
            "DescribeStackResources" => describe::resources(self),
            "DescribeStackResource" => describe::resource(self),
            "ListStackResources" => describe::list_resources(self),
            "GetTemplate" => describe::template(self),
            "GetTemplateSummary" => {
                let template = self.summarised().await?;
                Ok(describe::template_summary(&template))
            }
            "ValidateTemplate" => {
                let template = Template::read(&self.body().await?)?;
                Ok(describe::validated(&template))
            }
            "ListExports" => Ok(describe::exports(self)),
            "ListImports" => describe::imports(self),
            "ListStackInstances" => stack_set::list_instances(self),
            "DescribeStackInstance" => stack_set::describe_instance(self),
            "DescribeStackSet" => stack_set::describe(self),
            _ => Err(Refusal::new(
                "InvalidAction",
                format!(
                    "Could not find operation {action} for version 2010-05-15: this double does not have it"
                ),
            )),
        }
    }

    /// A field that must be there.
    pub(super) fn required(&self, name: &'static str) -> Result<&str, Refusal> {
        self.fields
            .get(name)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| Refusal::validation(format!("1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null")))
    }

    /// The id of the stack that is meant.
    pub(super) fn stack(&self) -> Result<String, Refusal> {
        let name = self.required("StackName")?;
        let state = self.world.state();
        state
            .find_stack(self.region, name)
            .map(|stack| stack.id.clone())
            .ok_or_else(|| no_stack(name))
    }

    async fn body(&self) -> Result<String, Refusal> {
        if let Some(url) = self.fields.get("TemplateURL") {
            return moto::template(self.world, url).await;
        }
        let body = self.fields.get("TemplateBody").ok_or_else(|| {
            Refusal::validation("Either Template URL or Template Body must be specified.")
        })?;
        if body.len() > BODY_LIMIT {
            return Err(Refusal::validation(format!(
                "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to {BODY_LIMIT}"
            )));
        }
        Ok(body.to_owned())
    }

    async fn summarised(&self) -> Result<Template, Refusal> {
        if self.fields.get("StackName").is_none() {
            return Template::read(&self.body().await?);
        }
        let id = self.stack()?;
        let template = self.world.read(&id, |stack| stack.version.template.clone());
        template.ok_or_else(|| {
            let name = self.fields.get("StackName").unwrap_or_default();
            Refusal::validation(format!("Stack with id {name} does not exist"))
        })
    }

    /// What is wanted of the stack, which may not exist yet.
    async fn target(&self, old: Option<&str>) -> Result<Target, Refusal> {
        let previous = old.map(|id| self.world.read(id, |stack| stack.version.clone()));
        let template = if self.fields.is_true("UsePreviousTemplate") {
            previous
                .as_ref()
                .and_then(|previous| previous.template.clone())
                .ok_or_else(|| Refusal::validation("No previous template to use"))?
        } else {
            Template::read(&self.body().await?)?
        };
        let capabilities = self.fields.list("Capabilities");
        template.check_capabilities(&capabilities)?;
        let mut parameters = Vec::new();
        for (index, (name, value)) in self
            .fields
            .pairs("Parameters", "ParameterKey", "ParameterValue")
            .into_iter()
            .enumerate()
        {
            let keeps = format!("Parameters.member.{}.UsePreviousValue", index + 1);
            let value = if self.fields.is_true(&keeps) {
                let kept = previous.iter().flat_map(|previous| &previous.parameters);
                let mut kept = kept
                    .filter(|(of, _)| *of == name)
                    .map(|(_, value)| value.clone());
                kept.next().ok_or_else(|| {
                    Refusal::validation(format!(
                        "Invalid input for parameter key {name}. Cannot specify usePreviousValue as true for a parameter key not in the previous template"
                    ))
                })?
            } else {
                value
            };
            parameters.push((name, value));
        }
        let tags = self.fields.pairs("Tags", "Key", "Value");
        // An update that says nothing of tags keeps them.
        let keeps_tags = tags.is_empty() && self.fields.get("Action") == Some("UpdateStack");
        Ok(Target {
            template,
            parameters,
            tags: match previous {
                Some(previous) if keeps_tags => previous.tags,
                _ => tags,
            },
            capabilities,
            role: self.fields.get("RoleARN").map(str::to_owned),
        })
    }

    async fn create_change_set(&self) -> Done {
        let name = self.required("StackName")?;
        let change_set = self.required("ChangeSetName")?;
        let is_name = change_set.starts_with(|c: char| c.is_ascii_alphabetic())
            && change_set.len() <= 128
            && change_set
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !is_name {
            return Err(Refusal::validation(format!(
                "1 validation error detected: Value '{change_set}' at 'changeSetName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
            )));
        }
        let kind = match self.fields.get("ChangeSetType") {
            Some("CREATE") => Kind::Create,
            _ => Kind::Update,
        };
        let old = self
            .world
            .state()
            .find_stack(self.region, name)
            .map(|stack| (stack.id.clone(), stack.status.clone()));
        match (&old, kind) {
            (None, Kind::Update) => {
                return Err(Refusal::validation(format!(
                    "Stack [{name}] does not exist"
                )));
            }
            (Some((_, status)), Kind::Create) if status != "REVIEW_IN_PROGRESS" => {
                return Err(Refusal::validation(format!(
                    "Stack [{name}] already exists and cannot be created again with the changeSet [{change_set}]."
                )));
            }
            _ => {}
        }
        let target = self.target(old.as_ref().map(|(id, _)| id.as_str())).await?;
        if kind == Kind::Update {
            let (id, _) = old.as_ref().expect("an update of nothing was refused");
            self.check_updatable(id)?;
        }
        let id = match old {
            Some((id, _)) => id,
            None => {
                let mut stack = Stack::new(&self.world.settings.account, self.region, name);
                stack.version.tags = target.tags.clone();
                stack.enter("REVIEW_IN_PROGRESS", Some("User Initiated"));
                let id = stack.id.clone();
                self.world.state().stacks.push(stack);
                id
            }
        };
        if self.find_change_set(&id, change_set).is_some() {
            return Err(Refusal::new(
                "AlreadyExistsException",
                format!("ChangeSet {change_set} already exists"),
            ));
        }
        let mut made = ChangeSet::new(self.world, &id, change_set, kind, target);
        made.description = self.fields.get("Description").map(str::to_owned);
        made.includes_nested = self.fields.is_true("IncludeNestedStacks");
        if made.includes_nested
            && let Err(why) = change_set::nest(self.world, &mut made).await
        {
            made.failure = Some(why);
            made.execution = "UNAVAILABLE".to_owned();
        }
        let answer = xml::Fields::default()
            .with("Id", &made.id)
            .with("StackId", &id);
        self.world.state().change_sets.push(made);
        Ok(answer)
    }

    fn check_updatable(&self, id: &str) -> Result<(), Refusal> {
        self.world.read(id, |stack| {
            let is_stuck = matches!(
                stack.status.as_str(),
                "ROLLBACK_COMPLETE"
                    | "ROLLBACK_FAILED"
                    | "UPDATE_ROLLBACK_FAILED"
                    | "DELETE_FAILED"
            ) || stack.status == "REVIEW_IN_PROGRESS";
            // A creation that failed and was left as it is can be tried again.
            let is_failed_creation = stack.status == "CREATE_FAILED" && !stack.is_rollback_disabled;
            if stack.is_busy() || is_stuck || is_failed_creation {
                return Err(Refusal::validation(format!(
                    "Stack:{} is in {} state and can not be updated.",
                    stack.id, stack.status
                )));
            }
            Ok(())
        })
    }

    fn find_change_set(&self, stack: &str, name: &str) -> Option<ChangeSet> {
        let state = self.world.state();
        let mut all = state.change_sets.iter();
        all.find(|it| it.id == name || (it.stack == stack && it.name == name))
            .cloned()
    }

    /// The change set that is meant.
    pub(super) fn change_set(&self) -> Result<ChangeSet, Refusal> {
        let name = self.required("ChangeSetName")?;
        let missing = || {
            Refusal::new(
                "ChangeSetNotFound",
                format!("ChangeSet [{name}] does not exist"),
            )
            .status(404)
        };
        if name.starts_with("arn:") {
            return self.find_change_set("", name).ok_or_else(missing);
        }
        let stack = self.stack()?;
        self.find_change_set(&stack, name).ok_or_else(missing)
    }

    fn describe_change_set(&self) -> Done {
        let change_set = self.change_set()?;
        describe::change_set(self, &change_set)
    }

    fn execute_change_set(&self) -> Done {
        let change_set = self.change_set()?;
        if change_set.execution != "AVAILABLE" {
            return Err(Refusal::new(
                "InvalidChangeSetStatus",
                format!(
                    "ChangeSet [{}] cannot be executed in its current status of [{}]",
                    change_set.id,
                    change_set.status()
                ),
            ));
        }
        if self.world.read(&change_set.stack, Stack::is_busy) {
            return Err(Refusal::validation(format!(
                "Stack:{} is in {} state and can not be updated.",
                change_set.stack,
                self.world
                    .read(&change_set.stack, |stack| stack.status.clone())
            )));
        }
        let status = self
            .world
            .read(&change_set.stack, |stack| stack.status.clone());
        let is_half_done = matches!(status.as_str(), "UPDATE_FAILED" | "CREATE_FAILED");
        if is_half_done && !self.fields.is_true("DisableRollback") {
            return Err(Refusal::validation(format!(
                "This stack is currently in a non-terminal [{status}] state. To update the stack from this state, please use the disable-rollback parameter with update-stack API. To rollback to the last known good state, use the rollback-stack API"
            )));
        }
        self.with_change_set(&change_set.id, |it| {
            it.execution = "EXECUTE_COMPLETE".to_owned()
        });
        let token = self.fields.get("ClientRequestToken").map(str::to_owned);
        let is_rollback_disabled = self.fields.is_true("DisableRollback");
        self.start(
            &change_set.stack,
            change_set.target,
            change_set.kind,
            token,
            is_rollback_disabled,
        );
        Ok(xml::Fields::default())
    }

    fn with_change_set(&self, id: &str, change: impl FnOnce(&mut ChangeSet)) {
        let mut state = self.world.state();
        if let Some(found) = state.change_sets.iter_mut().find(|it| it.id == id) {
            change(found);
        }
    }

    fn start(
        &self,
        id: &str,
        target: Target,
        kind: Kind,
        token: Option<String>,
        is_rollback_disabled: bool,
    ) {
        deploy::begin(self.world, id, kind, token, is_rollback_disabled);
        tokio::spawn(deploy::run(self.world.clone(), id.to_owned(), target, kind));
    }

    fn delete_change_set(&self) -> Done {
        let change_set = self.change_set()?;
        let mut state = self.world.state();
        let belongs =
            |it: &ChangeSet| it.id == change_set.id || it.parent.as_ref() == Some(&change_set.id);
        let inner: Vec<String> = state
            .change_sets
            .iter()
            .filter(|it| belongs(it))
            .map(|it| it.stack.clone())
            .collect();
        state.change_sets.retain(|it| !belongs(it));
        // Nested stacks that were only announced go with it.
        let announced = |stack: &Stack| {
            stack.parent.is_some()
                && stack.status == "REVIEW_IN_PROGRESS"
                && inner.contains(&stack.id)
        };
        state.stacks.retain(|stack| !announced(stack));
        Ok(xml::Fields::default())
    }

    fn list_change_sets(&self) -> Done {
        let stack = self.stack()?;
        let state = self.world.state();
        Ok(describe::change_sets(&state, &stack))
    }

    async fn create_stack(&self) -> Done {
        let name = self.required("StackName")?;
        if self.world.state().find_stack(self.region, name).is_some() {
            return Err(Refusal::new(
                "AlreadyExistsException",
                format!("Stack [{name}] already exists"),
            ));
        }
        let target = self.target(None).await?;
        let stack = Stack::new(&self.world.settings.account, self.region, name);
        let id = stack.id.clone();
        self.world.state().stacks.push(stack);
        let checked = deploy::evaluate(self.world, &id, &target, |it| it.order());
        if let Err(why) = checked {
            self.world.state().stacks.retain(|stack| stack.id != id);
            return Err(Refusal::validation(why));
        }
        let keeps = self.fields.is_true("DisableRollback")
            || self.fields.get("OnFailure") == Some("DO_NOTHING");
        let token = self.fields.get("ClientRequestToken").map(str::to_owned);
        self.start(&id, target, Kind::Create, token, keeps);
        Ok(xml::Fields::default().with("StackId", id))
    }

    async fn update_stack(&self) -> Done {
        let name = self.required("StackName")?;
        let id = self.stack()?;
        let target = self.target(Some(&id)).await?;
        self.check_updatable(&id)?;
        let made = ChangeSet::new(self.world, &id, name, Kind::Update, target);
        match made.failure {
            None => {}
            Some(why) if why.contains("didn't contain changes") => {
                return Err(Refusal::validation("No updates are to be performed."));
            }
            Some(why) => return Err(Refusal::validation(why)),
        }
        let token = self.fields.get("ClientRequestToken").map(str::to_owned);
        self.start(
            &id,
            made.target,
            Kind::Update,
            token,
            self.fields.is_true("DisableRollback"),
        );
        Ok(xml::Fields::default().with("StackId", id))
    }

    fn delete_stack(&self) -> Done {
        // A stack that is not there is as good as deleted.
        let Ok(id) = self.stack() else {
            return Ok(xml::Fields::default());
        };
        let refused = self.world.read(&id, |stack| {
            if stack.is_protected {
                return Some(format!(
                    "Stack [{}] cannot be deleted while TerminationProtection is enabled",
                    stack.name
                ));
            }
            let is_being_made = stack.status == "CREATE_IN_PROGRESS";
            (stack.is_busy() && !is_being_made).then(|| {
                format!(
                    "Stack [{}] cannot be deleted while in status {}",
                    stack.id, stack.status
                )
            })
        });
        if let Some(why) = refused {
            return Err(Refusal::validation(why));
        }
        if self.world.read(&id, Stack::is_gone) {
            return Ok(xml::Fields::default());
        }
        let world = self.world.clone();
        let in_use = export_in_use(&world.state(), &id);
        let was_busy = self.world.read(&id, Stack::is_busy);
        if let Some(why) = in_use {
            self.world.change(&id, |stack| {
                stack.enter("DELETE_IN_PROGRESS", Some("User Initiated"));
                stack.enter("DELETE_FAILED", Some(&why));
            });
            return Ok(xml::Fields::default());
        }
        if was_busy {
            let cancel = self.world.read(&id, |stack| stack.cancel.clone());
            self.world
                .change(&id, |stack| stack.is_rollback_disabled = true);
            cancel.notify_one();
        }
        self.world.change(&id, |stack| {
            stack.token = self.fields.get("ClientRequestToken").map(str::to_owned);
            if !was_busy {
                stack.enter("DELETE_IN_PROGRESS", Some("User Initiated"));
            }
        });
        tokio::spawn(async move {
            while was_busy && world.read(&id, |stack| stack.status == "CREATE_IN_PROGRESS") {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            if was_busy {
                world.change(&id, |stack| {
                    stack.enter("DELETE_IN_PROGRESS", Some("User Initiated"))
                });
            }
            delete::whole(&world, &id).await;
        });
        Ok(xml::Fields::default())
    }

    fn cancel_update_stack(&self) -> Done {
        let id = self.stack()?;
        let (status, cancel) = self
            .world
            .read(&id, |stack| (stack.status.clone(), stack.cancel.clone()));
        if status != "UPDATE_IN_PROGRESS" {
            return Err(Refusal::validation(
                "CancelUpdateStack cannot be called from current stack status",
            ));
        }
        self.world
            .change(&id, |stack| stack.is_rollback_disabled = false);
        cancel.notify_one();
        Ok(xml::Fields::default())
    }

    fn continue_update_rollback(&self) -> Done {
        let id = self.stack()?;
        let status = self.world.read(&id, |stack| stack.status.clone());
        if status != "UPDATE_ROLLBACK_FAILED" {
            return Err(Refusal::validation(format!(
                "Stack:{id} is in {status} state and can not continue rollback."
            )));
        }
        let skipped = self.fields.list("ResourcesToSkip");
        let world = self.world.clone();
        world.change(&id, |stack| {
            stack.status = "UPDATE_ROLLBACK_IN_PROGRESS".to_owned()
        });
        tokio::spawn(async move {
            rollback::undo_update(&world, &id, "User Initiated", &skipped).await;
        });
        Ok(xml::Fields::default())
    }

    fn rollback_stack(&self) -> Done {
        let id = self.stack()?;
        let status = self.world.read(&id, |stack| stack.status.clone());
        let world = self.world.clone();
        let stack = id.clone();
        match status.as_str() {
            "CREATE_FAILED" => {
                world.change(&id, |stack| {
                    stack.status = "ROLLBACK_IN_PROGRESS".to_owned()
                });
                tokio::spawn(async move {
                    delete::undo_creation(&world, &stack, "User Initiated").await;
                });
            }
            "UPDATE_FAILED" => {
                world.change(&id, |stack| {
                    stack.status = "UPDATE_ROLLBACK_IN_PROGRESS".to_owned()
                });
                tokio::spawn(async move {
                    rollback::undo_update(&world, &stack, "User Initiated", &[]).await;
                });
            }
            _ => {
                return Err(Refusal::validation(format!(
                    "Stack:{id} is in {status} state and can not be rolled back."
                )));
            }
        }
        Ok(xml::Fields::default().with("StackId", id))
    }

    fn protect(&self) -> Done {
        let id = self.stack()?;
        let is_protected = self.fields.is_true("EnableTerminationProtection");
        self.world
            .change(&id, |stack| stack.is_protected = is_protected);
        Ok(xml::Fields::default().with("StackId", id))
    }
}

/// Why a stack can't be deleted, if an export of it is imported.
fn export_in_use(state: &State, id: &str) -> Option<String> {
    let region = &state.stack(id).region;
    let mut own = state
        .exports(region)
        .into_iter()
        .filter(|export| export.stack == id);
    own.find_map(|export| {
        let users = state.importers(region, &export.name);
        (!users.is_empty()).then(|| {
            format!(
                "Export {} cannot be deleted as it is in use by {}",
                export.name,
                users.join(", ")
            )
        })
    })
}

/// For a name nobody has.
pub(super) fn no_stack(name: &str) -> Refusal {
    Refusal::validation(format!("Stack with id {name} does not exist"))
}
