//! Carries out approved steps, one after the other.

use futures::future::join_all;

use super::bindings::exports::plimsoll::deploy::driver::{Failure, Leftover, Outcome, Partial};
use super::bindings::plimsoll::deploy::cloudformation::{ChangeSetState, Stack};
use super::bindings::plimsoll::deploy::interruption::{self, Wish};
use super::bindings::plimsoll::deploy::progress::{Event, Phase, emit};
use super::bindings::plimsoll::deploy::types::CapError;
use super::bindings::plimsoll::deploy::{clock, s3};
use super::convert;
use super::force::{Forced, force};
use super::watch::{End, Watch, is_passing};
use crate::call::{Call, Promise};
use crate::cause::{self, Cause};
use crate::deployment::{Deployment, Desired};
use crate::patience::{LIMIT, Patience};
use crate::plan::{Step, Task};
use crate::stack::{self, Outcome as Standing, outcome};
use crate::tree;

/// Uploads at the same time.
const AT_ONCE: usize = 16;
/// What CloudFormation says of a change set without changes.
const EMPTY: &[&str] = &["didn't contain changes", "No updates are to be performed"];

/// Why a deploy stops.
pub(super) enum Trouble {
    /// Nothing was changed.
    Refused(String),
    /// A call failed.
    Call(CapError),
    /// Something was changed, and then something failed.
    Failed {
        message: String,
        /// Last words of what failed.
        details: Vec<String>,
        /// What is left.
        state: String,
    },
}

impl From<CapError> for Trouble {
    fn from(error: CapError) -> Self {
        Self::Call(error)
    }
}

/// What became of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Became {
    Changed,
    Unchanged,
    Cancelled,
    Detached,
    Stored,
}

/// Carries out the steps.
pub(super) async fn apply(desired: Desired, steps: Vec<Step>) -> Result<Outcome, Failure> {
    let stack = Stack::open(&desired.deployment.stack).map_err(Failure::Capability)?;
    let mut deploy = Deploy {
        desired: &desired,
        stack: &stack,
        begun: clock::now_unix_ms(),
        change_set: None,
        became: None,
        forced: false,
        detach: false,
        executes: false,
        half_done: None,
    };
    for step in &steps {
        if let Err(trouble) = deploy.step(step).await {
            return Err(deploy.failure(trouble));
        }
        // What is cancelled or goes on without us is not followed by anything.
        if matches!(deploy.became, Some(Became::Cancelled | Became::Detached)) {
            break;
        }
    }
    Ok(deploy.outcome())
}

struct Deploy<'a> {
    desired: &'a Desired,
    stack: &'a Stack,
    begun: u64,
    change_set: Option<ChangeSetState>,
    became: Option<Became>,
    forced: bool,
    detach: bool,
    /// The stack was asked to change.
    executes: bool,
    /// The stack, if an earlier deploy left it half done.
    half_done: Option<stack::Stack>,
}

impl Deploy<'_> {
    fn deployment(&self) -> &Deployment {
        &self.desired.deployment
    }

    async fn step(&mut self, step: &Step) -> Result<(), Trouble> {
        tell(&step.id, Phase::Started, &step.title);
        match &step.task {
            Task::Upload { assumes, puts } => {
                self.check(assumes.as_ref()).await?;
                self.half_done = assumes
                    .clone()
                    .filter(|stack| stack.status.ends_with("_FAILED"));
                upload(puts).await?;
                let done = format!("uploaded {} objects", puts.len());
                tell(&step.id, Phase::Succeeded, &done);
            }
            Task::Store { puts } => {
                upload(puts).await?;
                let done = format!("uploaded {} objects", puts.len());
                tell(&step.id, Phase::Succeeded, &done);
                self.became = Some(Became::Stored);
            }
            Task::Clear { delete } => self.clear(delete).await?,
            Task::Propose { propose, drop } => self.propose(propose, drop).await?,
            Task::Execute {
                execute,
                undo,
                creates,
                detach,
            } => {
                self.detach = *detach;
                // Without changes there is nothing to execute.
                if self.became.is_none() {
                    self.execute(execute, undo, *creates).await?;
                }
            }
            Task::Force {
                force: Some(promise),
                service: Some(service),
            } => {
                let (since, detach) = (self.begun, self.detach);
                match force(self.deployment(), promise, service, since, detach).await? {
                    Forced::Done => self.forced = true,
                    Forced::Already => {}
                    Forced::Detached => self.became = Some(Became::Detached),
                }
            }
            Task::Force { .. } => {}
        }
        Ok(())
    }

    /// Nobody else was at work since the plan was made.
    async fn check(&self, assumes: Option<&stack::Stack>) -> Result<(), Trouble> {
        let found = self.stack.describe().await?;
        let found = found.as_ref().map(convert::stack);
        let key = |stack: &stack::Stack| (stack.id.clone(), stack.status.clone(), stack.changed);
        if found.as_ref().map(key) == assumes.map(key) {
            return Ok(());
        }
        // A state that can't be deployed to says best itself what to do.
        stack::way(found.as_ref(), self.deployment(), true).map_err(Trouble::Refused)?;
        let status = |stack: Option<&stack::Stack>| match stack {
            Some(stack) => stack.status.clone(),
            None => "absent".to_owned(),
        };
        Err(Trouble::Refused(format!(
            "stack {} changed since the plan was made: it was {}, and is {}\nhint: make a new plan: `{}`",
            self.deployment().stack,
            status(assumes),
            status(found.as_ref()),
            self.deployment().command()
        )))
    }

    /// Deletes what never worked.
    async fn clear(&self, delete: &Promise) -> Result<(), Trouble> {
        let title = format!("Delete stack {}", self.deployment().stack);
        let mut watch = Watch::begin(self.desired, self.stack, title, None).await?;
        self.delete(delete).await?;
        watch.leaves();
        match self.gone(&mut watch).await? {
            true => Ok(()),
            false => Err(Trouble::Call(CapError::Cancelled)),
        }
    }

    async fn delete(&self, promise: &Promise) -> Result<(), CapError> {
        let Call::Delete { role } = &promise.call else {
            return Ok(());
        };
        self.stack.delete(promise.id.clone(), role.clone()).await
    }

    /// Waits until a stack is deleted; not, when the user doesn't want to wait.
    async fn gone(&self, watch: &mut Watch<'_>) -> Result<bool, Trouble> {
        match watch.run().await {
            End::Status(status) if status == "DELETE_COMPLETE" => Ok(true),
            End::Status(status) => {
                let (cause, details) = watch.explain().await;
                Err(self.ended(&status, &cause, details))
            }
            End::Lost(why) => Err(self.lost(&why)),
            End::Detached | End::Cancel => Ok(false),
        }
    }

    async fn propose(&mut self, propose: &Promise, drop: &Promise) -> Result<(), Trouble> {
        let Call::Propose { input } = &propose.call else {
            return Ok(());
        };
        let stack = &self.deployment().stack;
        let proposed = convert::change_set(input);
        let create = self.stack.create_change_set(propose.id.clone(), proposed);
        create.await?;
        let state = self.proposed(&input.name).await?;
        if state.status == "CREATE_COMPLETE" {
            let done = format!("proposed infrastructure changes for stack {stack}");
            tell("propose", Phase::Succeeded, &done);
            self.change_set = Some(state);
            return Ok(());
        }
        // It is of no use any more. What can't be dropped does no harm either.
        let dropped = self
            .stack
            .delete_change_set(drop.id.clone(), input.name.clone());
        let _ = dropped.await;
        let reason = state.reason.unwrap_or_default();
        let is_empty = EMPTY.iter().any(|words| reason.contains(words));
        if let (true, Some(left)) = (is_empty, &self.half_done) {
            return Err(Trouble::Refused(format!(
                "stack {stack} is {}, and has this template already: there is nothing to go on with{}",
                left.status,
                next(&left.status, self.deployment())
            )));
        }
        if is_empty {
            let done = format!("no new infrastructure changes for stack {stack}");
            tell("propose", Phase::Skipped, &done);
            self.became = Some(Became::Unchanged);
            return Ok(());
        }
        Err(Trouble::Refused(format!(
            "CloudFormation refuses the changes to stack {stack}: {}\nhint: correct it, then `{}`; the stack is as it was",
            tree::plain(&reason),
            self.deployment().command()
        )))
    }

    /// The change set, once CloudFormation has worked it out.
    async fn proposed(&self, name: &str) -> Result<ChangeSetState, Trouble> {
        let mut patience = Patience::default();
        loop {
            let pause = match self.stack.change_set(name.to_owned()).await {
                Ok(Some(state)) if is_worked_out(&state) => return Ok(state),
                Ok(Some(_)) => patience.quiet(),
                Ok(None) => return Err(Trouble::Refused(format!("change set {name} is gone"))),
                Err(error) if is_passing(&error) => patience.refused(),
                Err(error) => return Err(error.into()),
            };
            if clock::now_unix_ms().saturating_sub(self.begun) > LIMIT {
                let why = format!("change set {name} is not ready after 90 minutes");
                return Err(Trouble::Refused(why));
            }
            match interruption::wait(pause).await {
                Wish::None => {}
                // Nothing is under way yet that could go on.
                Wish::Detach | Wish::Cancel => return Err(Trouble::Call(CapError::Cancelled)),
            }
        }
    }

    async fn execute(
        &mut self,
        execute: &Promise,
        undo: &Promise,
        creates: bool,
    ) -> Result<(), Trouble> {
        let Call::Execute { name, rollback } = &execute.call else {
            return Ok(());
        };
        let verb = match creates {
            true => "Creating",
            false => "Updating",
        };
        let title = format!(
            "{verb} the infrastructure for stack {}",
            self.deployment().stack
        );
        let change_set = self.change_set.take();
        let mut watch = Watch::begin(self.desired, self.stack, title, change_set.as_ref()).await?;
        let (id, name) = (execute.id.clone(), name.clone());
        // From here on Ctrl-C is a question: what is begun now goes on without us.
        if !matches!(interruption::wait(0).await, Wish::None) {
            return Err(Trouble::Call(CapError::Cancelled));
        }
        self.executes = true;
        self.stack.execute_change_set(id, name, *rollback).await?;
        if self.detach {
            self.became = Some(Became::Detached);
            return Ok(());
        }
        let mut cancelled = false;
        loop {
            let status = match watch.run().await {
                End::Status(status) => status,
                End::Cancel => {
                    cancelled |= self.undo(undo, &mut watch).await;
                    continue;
                }
                End::Detached => {
                    self.became = Some(Became::Detached);
                    return Ok(());
                }
                End::Lost(why) => return Err(self.lost(&why)),
            };
            self.became = Some(match (outcome(&status), cancelled) {
                (Standing::Good, _) => Became::Changed,
                (Standing::Undone, true) => Became::Cancelled,
                (Standing::Undone | Standing::Stuck | Standing::Busy, _) => {
                    let (cause, details) = watch.explain().await;
                    return Err(self.ended(&status, &cause, details));
                }
            });
            return Ok(());
        }
    }

    /// Undoes what is under way. Whether it is: it may have ended meanwhile.
    async fn undo(&self, undo: &Promise, watch: &mut Watch<'_>) -> bool {
        let stack = &self.deployment().stack;
        let (done, title) = match &undo.call {
            Call::Cancel {} => (
                self.stack.cancel_update(undo.id.clone()).await,
                format!("Canceling stack update {stack}"),
            ),
            _ => {
                watch.leaves();
                (self.delete(undo).await, format!("Delete stack {stack}"))
            }
        };
        match done {
            Ok(()) => watch.retitle(title),
            Err(error) => {
                let why = format!("it can't be cancelled any more: {}", convert::words(&error));
                tell("execute", Phase::Failed, &why);
                return false;
            }
        }
        true
    }

    /// It ended otherwise than wanted.
    fn ended(&self, status: &str, cause: &Cause, details: Vec<String>) -> Trouble {
        let deployment = self.deployment();
        let stack = &deployment.stack;
        let state = match status {
            "UPDATE_ROLLBACK_COMPLETE" => "it is as it was before this deploy",
            "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" => {
                "nothing of it runs; the next deploy deletes what is left and makes it anew"
            }
            "DELETE_COMPLETE" => "it is gone",
            _ => "it is half done",
        };
        Trouble::Failed {
            message: format!(
                "stack {stack} did not complete successfully and exited with status {status}: {}\nhint: {}{}",
                cause.what,
                cause.hint,
                next(status, deployment)
            ),
            details,
            state: format!("{status}: {state}"),
        }
    }

    /// What happens is not seen any more.
    fn lost(&self, why: &str) -> Trouble {
        Trouble::Failed {
            message: format!(
                "what becomes of stack {} is not known: {why}\nhint: it goes on without plimsoll; watch it: `{}`",
                self.deployment().stack,
                cause::events(self.deployment())
            ),
            details: Vec::new(),
            state: "it goes on".to_owned(),
        }
    }

    fn failure(&self, trouble: Trouble) -> Failure {
        match trouble {
            Trouble::Refused(why) => Failure::Refused(why),
            // What the host itself forbids, or the user ends, it says best.
            Trouble::Call(
                error @ (CapError::Denied(_) | CapError::NotPlanned(_) | CapError::Cancelled),
            ) => Failure::Capability(error),
            Trouble::Call(error) => {
                let (state, hint) = match self.executes {
                    false => ("it is as it was before this deploy", String::new()),
                    true => (
                        "whether it changes is not known",
                        format!(
                            "\nhint: see whether it does: `{}`",
                            cause::events(self.deployment())
                        ),
                    ),
                };
                self.failure(Trouble::Failed {
                    message: format!("failed to {}{hint}", convert::words(&error)),
                    details: Vec::new(),
                    state: state.to_owned(),
                })
            }
            Trouble::Failed {
                message,
                details,
                state,
            } => Failure::Partial(Partial {
                message,
                details,
                leftovers: vec![Leftover {
                    host: self.deployment().stack.clone(),
                    state,
                    unfinished: false,
                    replaced: None,
                }],
            }),
        }
    }

    /// `status` is `deployed`, `unchanged`, `pushed`, `uploaded`, `cancelled` or `detached`.
    fn outcome(&self) -> Outcome {
        let deployment = self.deployment();
        let (noun, workload, stack) = (deployment.noun(), &deployment.workload, &deployment.stack);
        let (status, summary) = match (self.became, self.forced) {
            (Some(Became::Changed), _) => ("deployed", format!("deployed {noun} {workload}")),
            (Some(Became::Stored), _) => (
                "uploaded",
                format!("uploaded what the template of {workload} refers to"),
            ),
            (Some(Became::Cancelled), _) => (
                "cancelled",
                format!("rolled back {noun} {workload} to the previous configuration"),
            ),
            (Some(Became::Detached), _) => (
                "detached",
                format!(
                    "stack {stack} goes on without plimsoll; watch it: `{}`",
                    cause::events(deployment)
                ),
            ),
            (Some(Became::Unchanged) | None, true) => {
                ("deployed", format!("deployed {noun} {workload} again"))
            }
            (Some(Became::Unchanged), false) => (
                "unchanged",
                format!("no new infrastructure changes for stack {stack}"),
            ),
            (None, false) => (
                "pushed",
                format!("the next run of {workload} takes what was pushed"),
            ),
        };
        Outcome {
            summary,
            outputs: vec![
                ("status".to_owned(), status.to_owned()),
                ("stack".to_owned(), stack.clone()),
            ],
            reports: Vec::new(),
        }
    }
}

/// The one legal next step of a state that can't just be deployed to, as a hint.
fn next(status: &str, deployment: &Deployment) -> String {
    let left = stack::Stack {
        id: String::new(),
        status: status.to_owned(),
        reason: None,
        changed: 0,
    };
    let refusal = stack::way(Some(&left), deployment, true).err();
    let hint = refusal.as_deref().and_then(|text| text.split_once('\n'));
    hint.map(|(_, hint)| format!("\n{hint}"))
        .unwrap_or_default()
}

fn is_worked_out(state: &ChangeSetState) -> bool {
    state.status != "CREATE_PENDING" && !state.status.ends_with("_IN_PROGRESS")
}

/// Uploads, several at a time. All that began end before the first error is told.
async fn upload(puts: &[Promise]) -> Result<(), Trouble> {
    for some in puts.chunks(AT_ONCE) {
        let calls = some.iter().filter_map(|promise| match &promise.call {
            Call::Put { object } => Some(s3::put(promise.id.clone(), convert::object(object))),
            _ => None,
        });
        let ended: Result<Vec<String>, CapError> = join_all(calls).await.into_iter().collect();
        ended?;
    }
    Ok(())
}

/// Says how a step goes.
pub(super) fn tell(step: &str, phase: Phase, message: &str) {
    emit(&Event {
        step: step.to_owned(),
        host: None,
        phase,
        message: message.to_owned(),
    });
}
