//! Everything a double knows, and how its parts get at it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use lab::node::Node;
use serde_json::Value;
use tokio::sync::{Notify, oneshot};

use crate::cloudformation::resource::Operation;
use crate::cloudformation::stack::Stack;
use crate::cloudformation::{ChangeSet, StackInstance};
use crate::ecs;
use crate::record::Request;
use crate::rule::{Effect, Place, Rule};
use crate::sts::Session;

/// What stays the same while a double runs.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) account: String,
    pub(crate) region: String,
    /// Events, parameters and so on a page.
    pub(crate) page: usize,
    /// What runs functions of stacks; they are imitated where nothing does.
    pub(crate) node: Option<Node>,
    /// Where everything else is answered.
    pub(crate) moto: Option<SocketAddr>,
    /// Whether images are pushed here, so that those that were not are missing.
    pub(crate) has_registry: bool,
    /// How long CloudFormation waits for a service.
    pub(crate) stabilise: Duration,
    /// The keys of the account's owner.
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
}

/// A double's memory.
pub(crate) struct World {
    pub(crate) settings: Settings,
    /// How long a resource takes, in milliseconds.
    pub(crate) resource_ms: AtomicU64,
    /// How long a task of a service takes, in milliseconds.
    pub(crate) task_ms: AtomicU64,
    /// `127.0.0.1:PORT`, once it listens.
    pub(crate) address: OnceLock<SocketAddr>,
    /// When it started.
    pub(crate) begun: Instant,
    state: Mutex<State>,
    /// Told after every change of a stack.
    pub(crate) changed: Notify,
}

/// What changes.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) stacks: Vec<Stack>,
    pub(crate) change_sets: Vec<ChangeSet>,
    pub(crate) ecs: ecs::State,
    pub(crate) instances: Vec<StackInstance>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) requests: Vec<Request>,
    /// Passwords that were given for the registry.
    pub(crate) registry_tokens: Vec<String>,
    /// Custom resources that wait for their function's word, by token.
    pub(crate) callbacks: BTreeMap<String, oneshot::Sender<Value>>,
    pub(crate) sessions: BTreeMap<String, Session>,
}

/// A value that other stacks may import.
pub(crate) struct Export {
    pub(crate) stack: String,
    pub(crate) name: String,
    pub(crate) value: String,
}

impl World {
    pub(crate) fn new(
        settings: Settings,
        resource_time: Duration,
        task_time: Duration,
    ) -> Arc<Self> {
        Arc::new(Self {
            settings,
            resource_ms: AtomicU64::new(milliseconds(resource_time)),
            task_ms: AtomicU64::new(milliseconds(task_time)),
            address: OnceLock::new(),
            begun: Instant::now(),
            state: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Everything that changes. Not held across an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics with this lock")
    }

    /// Reads a stack.
    pub(crate) fn read<T>(&self, id: &str, read: impl FnOnce(&Stack) -> T) -> T {
        read(self.state().stack(id))
    }

    /// Changes a stack.
    pub(crate) fn change<T>(&self, id: &str, change: impl FnOnce(&mut Stack) -> T) -> T {
        let done = change(self.state().stack_mut(id));
        self.changed.notify_waiters();
        done
    }

    /// Waits as long as resources take, or as a rule says; the reason when a rule makes it fail.
    pub(crate) async fn injected(&self, operation: &Operation, word: &str) -> Option<String> {
        let stack = self.read(&operation.stack, |stack| stack.name.clone());
        let rule = self.rule(|place| match place {
            Place::Resource {
                stack: wanted,
                resource,
                operation: words,
            } => wanted.matches(&stack) && resource.matches(&operation.name) && words.matches(word),
            Place::Request { .. } | Place::Tasks { .. } => false,
        });
        let extra = rule.as_ref().map_or(0, |rule| rule.delay_ms);
        let usual = self.resource_ms.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(usual.saturating_add(extra))).await;
        match rule?.then {
            Effect::Fail { reason } => Some(reason),
            Effect::Pass
            | Effect::Refuse { .. }
            | Effect::Answer { .. }
            | Effect::Drop
            | Effect::Tasks(_) => None,
        }
    }

    /// The first rule for a place that is not used up; this counts as one use.
    pub(crate) fn rule(&self, is_place: impl Fn(&Place) -> bool) -> Option<Rule> {
        let mut state = self.state();
        for rule in &mut state.rules {
            if !is_place(&rule.at) || rule.times == Some(0) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            if let Some(times) = &mut rule.times {
                *times -= 1;
            }
            return Some(rule.clone());
        }
        None
    }
}

impl State {
    /// A stack by its id; stacks are never forgotten.
    pub(crate) fn stack(&self, id: &str) -> &Stack {
        let found = self.stacks.iter().find(|stack| stack.id == id);
        found.expect("stacks are never forgotten")
    }

    pub(crate) fn stack_mut(&mut self, id: &str) -> &mut Stack {
        let found = self.stacks.iter_mut().find(|stack| stack.id == id);
        found.expect("stacks are never forgotten")
    }

    /// The id of a stack by its id, or by the name of one that is not gone.
    pub(crate) fn find_stack(&self, region: &str, name: &str) -> Option<&Stack> {
        self.stacks.iter().find(|stack| {
            stack.id == name || (stack.name == name && stack.region == region && !stack.is_gone())
        })
    }

    /// What stacks of a region export.
    pub(crate) fn exports(&self, region: &str) -> Vec<Export> {
        let stacks = self
            .stacks
            .iter()
            .filter(|stack| stack.region == region && !stack.is_gone());
        stacks
            .flat_map(|stack| {
                stack.version.outputs.iter().filter_map(|output| {
                    Some(Export {
                        stack: stack.id.clone(),
                        name: output.export.clone()?,
                        value: output.value.clone(),
                    })
                })
            })
            .collect()
    }

    /// Names of stacks that import `export`.
    pub(crate) fn importers(&self, region: &str, export: &str) -> Vec<String> {
        let uses = |stack: &&Stack| {
            stack.region == region && !stack.is_gone() && stack.version.imports.contains(export)
        };
        let stacks = self.stacks.iter().filter(uses);
        stacks.map(|stack| stack.name.clone()).collect()
    }
}

/// A duration as it is counted here.
pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
