//! One role's container on one host: started, made to serve, and undone when it does not work.

use futures::future::{join, join_all};
use release::Proxy;

use super::apply::{Deploy, tell};
use super::bindings::plimsoll::deploy::clock;
use super::bindings::plimsoll::deploy::docker::Prepared;
use super::bindings::plimsoll::deploy::log::{Level, log};
use super::bindings::plimsoll::deploy::progress::Phase;
use super::bindings::plimsoll::deploy::types::CapError;
use super::convert::words;
use super::trouble::Trouble;
use super::world::{self, Ended, Made, did_not_happen};
use crate::aftermath::Progress;
use crate::call::Call;
use crate::gate::Passage;
use crate::observed::route;
use crate::readiness::{self, Look, Next};
use crate::step::{Boot, Ready, Step};

/// Lines of a failed container's output that are shown.
const LAST_WORDS: u32 = 20;

/// Lines of the proxy's log in which its health checks are looked for, between those of requests.
const PROXY_LINES: u32 = 1000;

/// Why a new container does not work.
enum Unready {
    /// It, or the proxy, says why.
    Said {
        message: String,
        details: Vec<String>,
    },
    /// A call failed; the container does not serve.
    Call(CapError),
    /// A call failed; the container may serve.
    InDoubt(CapError),
    /// A call failed; the container serves all the same.
    Works(CapError),
}

impl From<CapError> for Unready {
    fn from(error: CapError) -> Self {
        Self::Call(error)
    }
}

impl Deploy {
    /// Boots a role, when its turn has come, once the images are found to be good.
    pub(super) async fn boot(&self, step: &Step, host: &str, boot: &Boot) -> Result<(), Trouble> {
        let started = self.in_turn(step, host, boot).await;
        self.ready.count(started.is_ok());
        started?;
        if !boot.settle.is_empty() {
            self.note(host, boot, Progress::Beside);
            if let Some(current) = &boot.current {
                tell(step, Phase::Running, &format!("stopping {current}"));
            }
            self.round(&boot.settle).await?;
        }
        self.note(host, boot, Progress::Done);
        Ok(())
    }

    async fn in_turn(&self, step: &Step, host: &str, boot: &Boot) -> Result<(), Trouble> {
        if boot.waits {
            let role = &self.desired.release.primary_role;
            tell(
                step,
                Phase::Running,
                &format!("waiting for the first container of role {role}"),
            );
            if self.gate.pass().await == Passage::Closed {
                return Err(Trouble::Halted);
            }
        }
        let started = self.start(step, host, boot).await;
        if boot.gatekeeper {
            match &started {
                Ok(()) => self.gate.open(),
                Err(_) => self.gate.give_up(),
            }
        }
        started
    }

    /// Starts the new container and waits until it works. Round trips are what this takes, so what can is done beside: the
    /// images are checked while the container is created, and the proxy's command is readied while it starts.
    async fn start(&self, step: &Step, host: &str, boot: &Boot) -> Result<(), Trouble> {
        world::all(
            boot.rename
                .iter()
                .map(|promise| self.world.perform(promise)),
        )
        .await?;
        let made = join_all(boot.start.iter().map(|promise| self.world.create(promise)));
        let (made, good) = join(made, self.images.pass()).await;
        let mut new = None;
        let mut failed = None;
        for (promise, made) in boot.start.iter().zip(made) {
            match made {
                Ok(made) => new = made.or(new),
                Err(error)
                    if matches!(promise.call, Call::Run { .. } | Call::RunLike { .. })
                        && did_not_happen(&error) =>
                {
                    return Err(Trouble::Call(error));
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if good == Passage::Closed {
            if let Some(Made::Half(created)) = new {
                // What can't be removed does no harm: it never ran.
                let _ = created.discard().await;
            }
            return Err(Trouble::Halted);
        }
        let ready = match (failed, new) {
            (Some(error), _) => Err(Unready::Call(error)),
            (None, new) => self.make_ready(step, host, boot, new).await,
        };
        match ready {
            Ok(()) => Ok(()),
            Err(Unready::Works(error)) => {
                self.note(host, boot, Progress::Beside);
                Err(Trouble::Call(error))
            }
            Err(Unready::InDoubt(error)) => {
                self.note(host, boot, Progress::InDoubt);
                Err(Trouble::Call(error))
            }
            Err(Unready::Call(error)) => {
                self.undo(host, boot).await;
                Err(Trouble::Call(error))
            }
            Err(Unready::Said {
                message,
                mut details,
            }) => {
                let (lines, ()) = join(
                    self.last_words(host, &boot.container),
                    self.undo(host, boot),
                )
                .await;
                details.extend(lines);
                Err(Trouble::Failed { message, details })
            }
        }
    }

    /// Starts what was made, and waits until it serves.
    async fn make_ready(
        &self,
        step: &Step,
        host: &str,
        boot: &Boot,
        new: Option<Made>,
    ) -> Result<(), Unready> {
        let start = async {
            match new {
                Some(made) => self.world.start(made).await.map(Some),
                None => Ok(None),
            }
        };
        let healthy = format!("waiting until {} is healthy", boot.container);
        match &boot.ready {
            Ready::Route { switch } => {
                let (started, prepared) = join(start, self.world.prepare(switch)).await;
                let (id, prepared) = (started?, prepared?);
                tell(step, Phase::Running, &healthy);
                match prepared {
                    Some(prepared) => self.switch(host, boot, &prepared, id.as_deref()).await,
                    None => Ok(()),
                }
            }
            Ready::Watch {
                deploy_timeout,
                readiness_delay,
            } => {
                start.await?;
                tell(step, Phase::Running, &healthy);
                self.watch(host, boot, *deploy_timeout, *readiness_delay)
                    .await
            }
        }
    }

    /// Has the proxy switch to the new container.
    async fn switch(
        &self,
        host: &str,
        boot: &Boot,
        switch: &Prepared,
        id: Option<&str>,
    ) -> Result<(), Unready> {
        match self.world.run(switch).await {
            Ok(Ended {
                code,
                stdout,
                stderr,
            }) if code != 0 => {
                let said: Vec<&str> = stderr
                    .lines()
                    .chain(stdout.lines())
                    .filter(|l| !l.trim().is_empty())
                    .collect();
                let why = said.first().copied().unwrap_or("the proxy gives no reason");
                let why = why.trim_start_matches("Error: ");
                let (probes, gone) = join(
                    self.probes(host, &boot.role),
                    self.is_gone(host, &boot.container),
                )
                .await;
                let message = match gone {
                    true => format!(
                        "Failed to get endpoint for {} on {host}, did the container boot?",
                        boot.role
                    ),
                    false => {
                        format!("{} on {host} did not become healthy: {why}", boot.container)
                    }
                };
                Err(Unready::Said {
                    message,
                    details: said
                        .into_iter()
                        .map(str::to_owned)
                        .chain(probes)
                        .map(|line| format!("{} on {host}: {line}", Proxy::CONTAINER))
                        .collect(),
                })
            }
            Ok(Ended { .. }) => Ok(()),
            Err(error) if did_not_happen(&error) => Err(Unready::Call(error)),
            // The answer is lost, but not the switch perhaps: stopping the new container could stop the application.
            Err(error) => match self.is_routed(host, &boot.role, id).await {
                Ok(true) => Err(Unready::Works(error)),
                Ok(false) => Err(Unready::Call(error)),
                Err(_) => Err(Unready::InDoubt(error)),
            },
        }
    }

    /// Whether a container is not there any more.
    async fn is_gone(&self, host: &str, container: &str) -> bool {
        let look = async { self.world.engine(host).await?.inspect(container).await };
        matches!(look.await, Ok(None))
    }

    /// What the proxy saw of the new container; nothing where its log can't be read.
    async fn probes(&self, host: &str, role: &str) -> Vec<String> {
        let Ok(engine) = self.world.engine(host).await else {
            return Vec::new();
        };
        let log = engine.logs(Proxy::CONTAINER, PROXY_LINES).await;
        readiness::probes(&self.desired.release.prefix(role), &log.unwrap_or_default())
    }

    async fn is_routed(&self, host: &str, role: &str, id: Option<&str>) -> Result<bool, CapError> {
        let engine = self.world.engine(host).await?;
        let state = engine
            .read_json(Proxy::CONTAINER, route::STATE_FILE)
            .await?;
        let targets = route::targets(&state);
        let targets = targets
            .get(&self.desired.release.prefix(role))
            .cloned()
            .unwrap_or_default();
        Ok(id.is_some_and(|id| targets.iter().any(|target| target.starts_with(id))))
    }

    /// Watches a container that no proxy checks.
    async fn watch(
        &self,
        host: &str,
        boot: &Boot,
        timeout: u32,
        delay: u32,
    ) -> Result<(), Unready> {
        let deadline = clock::now_unix_ms().saturating_add(u64::from(timeout) * 1000);
        let time_left = || {
            i64::try_from(deadline.saturating_sub(clock::now_unix_ms()).div_ceil(1000)).unwrap_or(0)
        };
        let mut attempt = 1;
        loop {
            let mut status = self.status(host, &boot.container).await?;
            let mut next = readiness::next(&status, Look::First, attempt, time_left(), delay);
            if let Next::Confirm(seconds) = next {
                world::sleep(seconds).await;
                status = self.status(host, &boot.container).await?;
                next = readiness::next(&status, Look::Second, attempt, time_left(), delay);
            }
            match next {
                Next::Ready => return Ok(()),
                Next::Retry(seconds) | Next::Confirm(seconds) => world::sleep(seconds).await,
                Next::GiveUp => {
                    let message = format!(
                        "{} on {host}: container not ready after {timeout} seconds ({status})",
                        boot.container
                    );
                    return Err(Unready::Said {
                        message,
                        details: Vec::new(),
                    });
                }
            }
            attempt += 1;
        }
    }

    async fn status(&self, host: &str, container: &str) -> Result<String, CapError> {
        let description = self.world.engine(host).await?.inspect(container).await?;
        Ok(readiness::status(&description.unwrap_or_default()).to_owned())
    }

    async fn last_words(&self, host: &str, container: &str) -> Vec<String> {
        let heading = format!("last lines of {container} on {host}:");
        let read = async {
            let engine = self.world.engine(host).await?;
            engine.logs(container, LAST_WORDS).await
        };
        match read.await {
            Ok(lines) if lines.is_empty() => {
                vec![format!("{container} on {host} has written nothing")]
            }
            Ok(lines) => [heading].into_iter().chain(lines).collect(),
            Err(error) => vec![format!(
                "the lines of {container} on {host} can't be read: {}",
                words(&error)
            )],
        }
    }

    async fn undo(&self, host: &str, boot: &Boot) {
        match self.world.perform(&boot.undo).await {
            Ok(_) | Err(CapError::NotFound(_)) => self.note(host, boot, Progress::Stopped),
            Err(error) => {
                log(
                    Level::Warn,
                    &format!(
                        "{} on {host} was not stopped: {}",
                        boot.container,
                        words(&error)
                    ),
                );
                self.note(host, boot, Progress::NotStopped);
            }
        }
    }

    fn note(&self, host: &str, boot: &Boot, progress: Progress) {
        self.aftermath.borrow_mut().note(host, boot, progress);
    }
}
