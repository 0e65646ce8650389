//! Looks at a stack under way until it is done: its events, its nested stacks', its environment's, its service.

use futures::future::{join, join_all};

use super::apply::tell;
use super::bindings::plimsoll::deploy::cloudformation::{self, Stack};
use super::bindings::plimsoll::deploy::ecs::Service;
use super::bindings::plimsoll::deploy::interruption::{self, Wish};
use super::bindings::plimsoll::deploy::progress::Phase;
use super::bindings::plimsoll::deploy::types::CapError;
use super::bindings::plimsoll::deploy::{clock, logs, progress};
use super::convert;
use crate::cause::{self, Cause};
use crate::deployment::{Deployment, Desired};
use crate::patience::{LIMIT, Patience, SILENCE, TICK};
use crate::rollout::Rollout;
use crate::stack::{Outcome, outcome};
use crate::template::Template;
use crate::tree::{Failure, Tree};

/// The custom resource that changes the environment's stack.
const CONTROLLER: &str = "Custom::EnvControllerFunction";
/// Lines of a container's log that are shown.
const LAST_WORDS: u32 = 20;
/// How far back the last event before a change is looked for, in milliseconds: clocks differ.
const BACK: u64 = 60_000;

/// How watching ended.
pub(super) enum End {
    /// With this status of the stack.
    Status(String),
    /// The user wants to be left alone.
    Detached,
    /// The user wants it undone.
    Cancel,
    /// It takes too long, or AWS can't be reached: why.
    Lost(String),
}

/// A stack under way.
pub(super) struct Watch<'a> {
    desired: &'a Desired,
    stack: &'a Stack,
    template: Template,
    tree: Tree,
    /// Milliseconds since 1970: what was before is not of it.
    since: u64,
    nested: Vec<Nested>,
    environment: Option<Nested>,
    service: Option<Service>,
    rollout: Option<Rollout>,
    /// The revision that worked before, until something else is deployed: then what it does is not looked at any more.
    before: Option<String>,
    has_moved: bool,
    status: String,
    /// AWS did not answer last time.
    is_deaf: bool,
    /// It was asked to be deleted: what is gone has no events to be asked for by its name.
    leaves: bool,
    begun: u64,
}

/// Another stack that is part of it.
struct Nested {
    resource: String,
    stack: Stack,
    tree: Tree,
}

impl<'a> Watch<'a> {
    /// Begins to watch a stack, before what changes it begins.
    pub(super) async fn begin(
        desired: &'a Desired,
        stack: &'a Stack,
        title: String,
        change_set: Option<&cloudformation::ChangeSetState>,
    ) -> Result<Self, CapError> {
        let template = Template::read(&desired.template);
        let begun = clock::now_unix_ms();
        let created = change_set.map_or(begun, |set| set.created);
        let since = created.saturating_sub(BACK);
        let (look, revision) = join(
            join(stack.describe(), stack.events(since, None)),
            revision(desired, &template),
        )
        .await;
        let (state, before) = look;
        let (id, before) = (state?.map(|state| state.id).unwrap_or_default(), before?);
        let mut tree = Tree::new(title, &template).of(&id);
        if let Some(last) = before.last() {
            tree = tree.after(&last.id);
        }
        for change in change_set.iter().flat_map(|set| &set.changes) {
            tree.announce(&change.resource_id, &change.resource_type);
        }
        Ok(Self {
            desired,
            stack,
            template,
            tree,
            since: before.last().map_or(since, |last| last.time),
            nested: Vec::new(),
            environment: None,
            service: None,
            rollout: None,
            before: revision,
            has_moved: false,
            status: String::new(),
            is_deaf: false,
            leaves: false,
            begun,
        })
    }

    fn deployment(&self) -> &'a Deployment {
        &self.desired.deployment
    }

    /// Another title from here on: what is under way has turned.
    pub(super) fn retitle(&mut self, title: String) {
        self.tree.retitle(title);
    }

    /// From here on the stack is being deleted.
    pub(super) fn leaves(&mut self) {
        self.leaves = true;
    }

    /// Looks until it is done, or the user wants something.
    pub(super) async fn run(&mut self) -> End {
        let mut patience = Patience::default();
        let mut heard = clock::now_unix_ms();
        loop {
            let pause = match self.look().await {
                Ok(news) => {
                    heard = clock::now_unix_ms();
                    self.is_deaf = false;
                    self.show(None);
                    // On its way out, a creation that was cut short fails first.
                    let ends = !self.leaves || self.status.starts_with("DELETE_");
                    if ends && is_final(&self.status) {
                        return End::Status(self.status.clone());
                    }
                    match news {
                        true => patience.news(),
                        false => patience.quiet(),
                    }
                }
                Err(error) if is_passing(&error) => {
                    let why = convert::words(&error);
                    if clock::now_unix_ms().saturating_sub(heard) > SILENCE {
                        return End::Lost(why);
                    }
                    if !self.is_deaf {
                        // Without its hint: nobody has to do anything yet.
                        let first = why.lines().next().unwrap_or_default();
                        let told = format!("AWS is out of reach, and is asked again: {first}");
                        tell("execute", Phase::Failed, &told);
                    }
                    self.is_deaf = true;
                    patience.refused()
                }
                Err(error) => return End::Lost(convert::words(&error)),
            };
            if clock::now_unix_ms().saturating_sub(self.begun) > LIMIT {
                return End::Lost("it is not done after 90 minutes".to_owned());
            }
            match self.wait(pause).await {
                Wish::None => {}
                Wish::Detach => return End::Detached,
                Wish::Cancel => return End::Cancel,
            }
        }
    }

    /// Waits, and lets the seconds pass that are shown.
    async fn wait(&self, mut pause: u32) -> Wish {
        loop {
            let tick = pause.min(TICK);
            let wish = interruption::wait(tick).await;
            pause -= tick;
            if pause == 0 || !matches!(wish, Wish::None) {
                return wish;
            }
            self.show(None);
        }
    }

    /// One look. Whether there was anything new. Only the stack itself has to answer.
    async fn look(&mut self) -> Result<bool, CapError> {
        let (since, seen) = (self.since, self.tree.last().map(str::to_owned));
        let own = self.stack.events(since, seen);
        let parts = self.nested.iter_mut().chain(&mut self.environment);
        let parts = join_all(parts.map(|part| part.look(since)));
        let service = look_at_service(self.service.as_ref(), since);
        let (own, (parts, rollout)) = join(own, join(parts, service)).await;
        let own: Vec<_> = own?.into_iter().map(convert::event).collect();
        let mut of_stack = own.iter().filter(|event| self.tree.is_own(event));
        if let Some(last) = of_stack.next_back() {
            self.status.clone_from(&last.status);
        }
        if self.leaves && own.is_empty() && self.stack.describe().await?.is_none() {
            "DELETE_COMPLETE".clone_into(&mut self.status);
        }
        let news = self.tree.take(&own) | parts.contains(&true) | self.remember(rollout);
        self.widen().await;
        Ok(news)
    }

    /// Keeps what tells most: the tasks of a service that is rolled back are gone before the end.
    fn remember(&mut self, rollout: Option<Rollout>) -> bool {
        let Some(mut rollout) = rollout else {
            return false;
        };
        if let Some(known) = &self.rollout {
            rollout.keep_tasks_of(known);
        }
        if let Some(before) = &self.before {
            self.has_moved |= rollout.moves_on_from(before);
            if self.has_moved {
                rollout.forget_revision(before);
            }
        }
        let changed = self.rollout.as_ref() != Some(&rollout);
        self.rollout = Some(rollout);
        changed
    }

    /// Begins to look at what has begun meanwhile. What can't be looked at is done without.
    async fn widen(&mut self) {
        let known = |id: &str| self.nested.iter().any(|nested| nested.resource == id);
        let begun: Vec<(String, String)> = self
            .tree
            .nested()
            .filter(|(id, _)| !known(id))
            .map(|(id, stack)| (id.to_owned(), stack.to_owned()))
            .collect();
        for (resource, id) in begun {
            if let Ok(stack) = self.stack.nested(id.clone()).await {
                let addons = Template::read(self.desired.addons.as_deref().unwrap_or_default());
                let tree = Tree::new(format!("The stack of {resource}"), &addons)
                    .of(&id)
                    .below(&self.tree.line_id(&resource));
                let mut nested = Nested {
                    resource,
                    stack,
                    tree,
                };
                // At once: what is around it may have ended already.
                nested.look(self.since).await;
                self.nested.push(nested);
            }
        }
        if self.environment.is_none()
            && let Some(resource) = self.tree.running_of(CONTROLLER)
        {
            self.environment = self.environment(resource.to_owned()).await;
        }
        if self.service.is_none()
            && let Some(service) = self.template.service()
            && self.tree.has_begun(service)
        {
            let stack = self.deployment().stack.clone();
            let found = Service::of_stack(stack, service.to_owned()).await;
            self.service = found.ok().flatten();
        }
    }

    /// The environment's stack, which the controller changes.
    async fn environment(&self, resource: String) -> Option<Nested> {
        let name = &self.deployment().environment_stack;
        let stack = Stack::open(name).ok()?;
        let (state, template) = join(stack.describe(), stack.template()).await;
        let template = Template::read(&template.ok()??);
        let title = format!("Updating the environment's stack {name}");
        let tree = Tree::new(title, &template)
            .of(&state.ok()??.id)
            .below(&self.tree.line_id(&resource));
        Some(Nested {
            resource,
            stack,
            tree,
        })
    }

    /// Shows how everything stands; a cause is told where it belongs.
    fn show(&self, cause: Option<&Cause>) {
        let now = clock::now_unix_ms();
        let deployment = self.deployment();
        let mut lines = self.tree.lines(now);
        for part in self.nested.iter().chain(&self.environment) {
            // A stack in which nothing happens is not shown: the controller often has nothing to do.
            if part.tree.last().is_some() {
                lines.extend(part.tree.lines(now));
            }
        }
        let mut items: Vec<progress::Item> = lines
            .into_iter()
            .map(|line| convert::item(line, deployment))
            .collect();
        if let (Some(rollout), Some(service)) = (&self.rollout, self.template.service()) {
            let id = self.tree.line_id(service);
            for item in items.iter_mut().filter(|item| item.id == id) {
                item.tables = convert::tables(rollout);
            }
        }
        if let (Some(cause), Some(failure)) = (cause, self.tree.failure()) {
            let id = self.tree.line_id(&failure.resource);
            for item in items.iter_mut().filter(|item| item.id == id) {
                // A cause says it all, with what CloudFormation says of it.
                item.reasons
                    .retain(|reason| !cause.what.contains(reason.as_str()));
                item.reasons.insert(0, cause.what.clone());
                item.about = convert::of_cause(cause, deployment).or(item.about.take());
            }
        }
        progress::show(&items);
    }

    /// What failed first, in the innermost stack.
    fn failure(&self) -> Option<Failure> {
        let outer = self.tree.failure()?;
        let mut parts = self.nested.iter().chain(&self.environment);
        let inner = parts
            .find(|part| part.resource == outer.resource)
            .and_then(|part| part.tree.failure());
        Some(match inner {
            Some(inner) => Failure {
                resource: format!("{}/{}", outer.resource, inner.resource),
                ..inner.clone()
            },
            None => outer.clone(),
        })
    }

    /// Why it failed, and what a container said at last. Shows it, too.
    pub(super) async fn explain(&mut self) -> (Cause, Vec<String>) {
        let told = self
            .rollout
            .as_ref()
            .is_some_and(|rollout| !rollout.stopped.is_empty());
        if !told {
            let latest = look_at_service(self.service.as_ref(), self.since).await;
            self.remember(latest);
        }
        let failure = self.failure();
        let mut cause = cause::find(failure.as_ref(), self.rollout.as_ref(), self.deployment());
        if let (Some(outer), Some(inner)) = (self.tree.failure(), &failure)
            && inner.resource != outer.resource
        {
            // The inner stack's template is not the manifest's: its resource here is.
            cause.pointer = Some(format!("/Resources/{}", outer.resource));
        }
        let details = match &cause.log {
            Some((container, task)) => last_words(self.deployment(), container, task).await,
            None => Vec::new(),
        };
        self.show(Some(&cause));
        (cause, details)
    }
}

/// The revision that a service runs before it is changed.
async fn revision(desired: &Desired, template: &Template) -> Option<String> {
    let stack = desired.deployment.stack.clone();
    let service = Service::of_stack(stack, template.service()?.to_owned()).await;
    let state = service.ok()??.describe().await.ok()?;
    let mut deployments = state.deployments.into_iter();
    let primary = deployments.find(|deployment| deployment.status == "PRIMARY");
    primary.map(|deployment| deployment.revision)
}

impl Nested {
    async fn look(&mut self, since: u64) -> bool {
        let seen = self.tree.last().map(str::to_owned);
        let events = self.stack.events(since, seen).await.unwrap_or_default();
        let events: Vec<_> = events.into_iter().map(convert::event).collect();
        self.tree.take(&events)
    }
}

/// How a service stands, without what is of earlier deployments.
pub(super) async fn look_at_service(service: Option<&Service>, since: u64) -> Option<Rollout> {
    let service = service?;
    let (state, stopped) = join(service.describe(), service.stopped_tasks()).await;
    let rollout = convert::rollout(state.ok()?, stopped.unwrap_or_default());
    Some(rollout.since(since))
}

/// The last lines of a container's log, where Copilot's log driver puts them.
pub(super) async fn last_words(
    deployment: &Deployment,
    container: &str,
    task: &str,
) -> Vec<String> {
    let group = format!("/copilot/{}", deployment.stack);
    let stream = format!("copilot/{container}/{task}");
    let lines = logs::tail(group, stream, LAST_WORDS).await;
    let lines = lines.unwrap_or_default().into_iter();
    lines.map(|line| format!("{container} | {line}")).collect()
}

/// Trying again helps.
pub(super) fn is_passing(error: &CapError) -> bool {
    matches!(error, CapError::Unavailable(_) | CapError::TimedOut(_))
}

/// The stack has come to rest. A change set that is not executed yet is no rest.
fn is_final(status: &str) -> bool {
    !status.is_empty() && status != "REVIEW_IN_PROGRESS" && outcome(status) != Outcome::Busy
}
