//! What a plan is made of. A step's task is its payload: `apply` needs nothing else to carry it out.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::call::{Call, Promise};
use crate::facts::HostFacts;
use crate::observed;
use release::Release;

/// Calls that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Unique in the plan.
    pub id: String,
    /// For people: `start app-web-3f2a on web-1`.
    pub title: String,
    /// Where; `None` for hooks and waits.
    pub host: Option<String>,
    /// What.
    pub task: Task,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "kebab-case")]
pub enum Task {
    /// Takes the lock, then makes sure that the hosts are as the plan assumed.
    Lock {
        /// Takes it.
        acquire: Promise,
        /// Host to containers.
        assumes: BTreeMap<String, Vec<Assumed>>,
    },
    /// Gets the images onto a host and checks them. Done on all hosts at the same time.
    Image {
        /// Rounds of calls.
        rounds: Vec<Vec<Promise>>,
        /// References that must be there and belong to the service.
        references: Vec<String>,
    },
    /// Runs a hook.
    Hook {
        /// Runs it.
        run: Promise,
    },
    /// Calls on a host, round after round. Steps of the same phase that follow each other are done at the same time.
    Work {
        /// `prepare`.
        phase: String,
        /// Rounds of calls.
        rounds: Vec<Vec<Promise>>,
    },
    /// Fails, because what it needs was not there when the plan was made.
    Impossible {
        /// What is missing.
        why: String,
    },
    /// Replaces a role's container on a host. A group's hosts boot at the same time.
    Boot(Box<Boot>),
    /// Waits between groups.
    Wait {
        /// How long.
        seconds: u32,
    },
    /// Gives the lock back.
    Unlock {
        /// Gives it back.
        release: Promise,
    },
}

/// Replaces a role's container on a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Boot {
    /// Boot group, counted from 0.
    pub group: usize,
    /// Role.
    pub role: String,
    /// The new container.
    pub container: String,
    /// The container that works now.
    pub current: Option<String>,
    /// Others wait for it: it is of the primary role.
    pub gatekeeper: bool,
    /// It waits until a container of the primary role is healthy.
    pub waits: bool,
    /// Clears the name, when it is taken.
    pub rename: Vec<Promise>,
    /// Starts the new container.
    pub start: Vec<Promise>,
    /// When the new container is ready.
    pub ready: Ready,
    /// Stops the current container, and removes its assets and error pages.
    pub settle: Vec<Promise>,
    /// Stops the new container when it does not become ready.
    pub undo: Promise,
}

/// When a new container is ready.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum Ready {
    /// The proxy says so: it waits for health, switches, and drains the old container.
    Route {
        /// Tells the proxy.
        switch: Box<Promise>,
    },
    /// The Engine says so.
    Watch {
        /// Seconds it may take.
        deploy_timeout: u32,
        /// Seconds a container without a health check must keep running.
        readiness_delay: u32,
    },
}

/// A container as the plan assumes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Assumed {
    /// Name.
    pub name: String,
    /// Full id.
    pub id: String,
    /// It runs.
    pub running: bool,
}

impl Assumed {
    /// What a plan relies on: the containers of its destination, by name.
    pub fn of(facts: &HostFacts, release: &Release) -> Vec<Self> {
        let assume = |container: &crate::facts::Container| Self {
            name: container.name.clone(),
            id: container.id.clone(),
            running: container.is_running(),
        };
        let mut containers: Vec<Self> = facts.of_destination(release).map(assume).collect();
        containers.sort();
        containers
    }

    /// What changed on a host since it was observed, in words; `None` when nothing did.
    pub fn drift(host: &str, assumed: &[Self], found: &[Self]) -> Option<String> {
        let named = |name: &str, containers: &[Self]| {
            containers
                .iter()
                .find(|container| container.name == name)
                .cloned()
        };
        let gone = assumed
            .iter()
            .find(|container| named(&container.name, found).is_none());
        let other = found.iter().find(|container| !assumed.contains(container));
        let before = other.and_then(|container| named(&container.name, assumed));
        let what = match (gone, other, before) {
            (Some(gone), _, _) => format!("container {} is gone", gone.name),
            (None, Some(other), None) => format!("container {} is new", other.name),
            (None, Some(other), Some(before)) => match (other.id == before.id, other.running) {
                (false, _) => format!("container {} is another one", other.name),
                (true, true) => format!("container {} was started", other.name),
                (true, false) => format!("container {} was stopped", other.name),
            },
            (None, None, _) => return None,
        };
        Some(format!(
            "{host} changed since the plan was made: {what}\nhint: make a new plan"
        ))
    }
}

/// What to go back to after these steps: the version of everything they replace. `None` when nothing or several
/// versions are replaced, or another configuration of the same one.
pub fn previous_version(steps: &[Step], release: &Release) -> Option<String> {
    let replaced: BTreeSet<String> = steps
        .iter()
        .filter_map(|step| match &step.task {
            Task::Boot(boot) => observed::version(release, &boot.role, boot.current.as_deref()?),
            Task::Lock { .. }
            | Task::Image { .. }
            | Task::Hook { .. }
            | Task::Work { .. }
            | Task::Impossible { .. }
            | Task::Wait { .. }
            | Task::Unlock { .. } => None,
        })
        .collect();
    let mut versions = replaced.into_iter();
    let only = versions.next().filter(|_| versions.next().is_none());
    // A container that cleared its name for its successor has that version, and `_replaced_…` after it.
    only.filter(|version| !version.contains("_replaced_"))
}

impl Step {
    /// The calls it promises, in order.
    pub fn promises(&self) -> Vec<&Promise> {
        match &self.task {
            Task::Lock { acquire, .. } => vec![acquire],
            Task::Image { rounds, .. } | Task::Work { rounds, .. } => {
                rounds.iter().flatten().collect()
            }
            Task::Hook { run } => vec![run],
            Task::Boot(boot) => boot.promises(),
            Task::Wait { .. } | Task::Impossible { .. } => Vec::new(),
            Task::Unlock { release } => vec![release],
        }
    }
}

/// What can be done once the last boots are ready, while what they replaced is stopped; empty when that would be too
/// early for something in it.
pub fn beside_the_last_boots<'a>(boots: &[Step], next: &'a [Step]) -> &'a [Step] {
    let mut stopped = boots.iter().flat_map(|step| match &step.task {
        Task::Boot(boot) => boot.settle.as_slice(),
        Task::Lock { .. }
        | Task::Image { .. }
        | Task::Hook { .. }
        | Task::Work { .. }
        | Task::Impossible { .. }
        | Task::Wait { .. }
        | Task::Unlock { .. } => &[],
    });
    let finishes = next
        .iter()
        .all(|step| matches!(&step.task, Task::Work { phase, .. } if phase == Task::FINISH));
    let goes = |name: &str, host: &str| {
        let removals = next.iter().flat_map(Step::promises);
        removals
            .filter(|promise| promise.subject == host)
            .any(|promise| matches!(&promise.call, Call::Remove { name: gone } if gone == name))
    };
    let too_early = stopped.any(
        |promise| matches!(&promise.call, Call::Stop { name, .. } if goes(name, &promise.subject)),
    );
    match finishes && !too_early {
        true => next,
        false => &[],
    }
}

/// Which steps go first, so that the others find in a mirror what they fetch: one for each mirror. Without a mirror none
/// has to wait.
pub fn first_of_mirrors(
    steps: &[Step],
    mirror: impl Fn(&str) -> Option<String>,
) -> (Vec<&Step>, Vec<&Step>) {
    let mut seen = BTreeSet::new();
    let (first, rest): (Vec<_>, Vec<_>) = steps.iter().partition(|step| {
        let mirror = step.host.as_deref().and_then(&mirror);
        mirror.is_some_and(|mirror| seen.insert(mirror))
    });
    (first, rest)
}

impl Task {
    /// Phase of what follows the last boots.
    pub const FINISH: &str = "finish";
    /// Phase of what is done about images that nobody uses any more.
    pub const IMAGES: &str = "images";

    /// Done at the same time as the step before it.
    pub fn joins(&self, before: &Self) -> bool {
        match (before, self) {
            (Self::Image { .. }, Self::Image { .. }) => true,
            (Self::Work { phase: before, .. }, Self::Work { phase, .. }) => before == phase,
            // What nobody uses any more needs no lock to go.
            (Self::Work { phase, .. }, Self::Unlock { .. }) => phase == Self::IMAGES,
            (Self::Boot(before), Self::Boot(boot)) => before.group == boot.group,
            (
                Self::Lock { .. }
                | Self::Image { .. }
                | Self::Hook { .. }
                | Self::Work { .. }
                | Self::Impossible { .. }
                | Self::Boot(_)
                | Self::Wait { .. }
                | Self::Unlock { .. },
                _,
            ) => false,
        }
    }
}

impl Boot {
    fn promises(&self) -> Vec<&Promise> {
        let switch = match &self.ready {
            Ready::Route { switch } => Some(&**switch),
            Ready::Watch { .. } => None,
        };
        self.rename
            .iter()
            .chain(&self.start)
            .chain(switch)
            .chain(&self.settle)
            .chain([&self.undo])
            .collect()
    }
}
