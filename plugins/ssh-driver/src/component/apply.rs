//! Carries out approved steps: the phases one after the other, a phase's hosts at the same time. What fails is
//! undone where it failed; what already serves goes on serving.

use std::cell::RefCell;

use futures::future::join_all;

use super::bindings::exports::plimsoll::deploy::driver::{Failure, Leftover, Outcome, Partial};
use super::bindings::plimsoll::deploy::log::{Level, log};
use super::bindings::plimsoll::deploy::progress::{Event, Phase, emit};
use super::convert::words;
use super::trouble::{Trouble, together};
use super::world::{self, Answer, Ended, World, did_not_happen};
use crate::aftermath::Aftermath;
use crate::call::Promise;
use crate::desired::Desired;
use crate::facts::HostFacts;
use crate::gate::Gate;
use crate::step::{self, Assumed, Step, Task};

/// Carries out the steps.
pub(super) async fn apply(desired: Desired, steps: Vec<Step>) -> Result<Outcome, Failure> {
    let world = World::connect(&steps, &desired.hosts())
        .await
        .map_err(Failure::Capability)?;
    let deploy = Deploy {
        aftermath: RefCell::new(Aftermath::of(&steps)),
        desired,
        steps,
        world,
        gate: Gate::default(),
    };
    match deploy.run().await {
        Ok(()) => Ok(deploy.outcome()),
        Err(trouble) => {
            deploy.unlock().await;
            Err(deploy.failure(trouble))
        }
    }
}

/// One deploy under way.
pub(super) struct Deploy {
    pub(super) desired: Desired,
    steps: Vec<Step>,
    pub(super) world: World,
    pub(super) gate: Gate,
    pub(super) aftermath: RefCell<Aftermath>,
}

impl Deploy {
    async fn run(&self) -> Result<(), Trouble> {
        for phase in self
            .steps
            .chunk_by(|before, step| step.task.joins(&before.task))
        {
            let done = match phase {
                [
                    Step {
                        task: Task::Boot(_),
                        ..
                    },
                    ..,
                ] => self.group(phase).await,
                steps => join_all(steps.iter().map(|step| self.step(step))).await,
            };
            together(done)?;
        }
        Ok(())
    }

    /// One step, with what people see of it.
    async fn step(&self, step: &Step) -> Result<(), Trouble> {
        tell(step, Phase::Started, &step.title);
        let done = self.carry_out(step).await;
        match &done {
            Ok(()) => tell(step, Phase::Succeeded, &done_words(step)),
            Err(Trouble::Halted) => tell(step, Phase::Skipped, "not started, as others failed"),
            Err(Trouble::Refused(message) | Trouble::Failed { message, .. }) => {
                tell(step, Phase::Failed, first_line(message))
            }
            Err(Trouble::Call(error)) => tell(step, Phase::Failed, first_line(&words(error))),
        }
        done
    }

    async fn carry_out(&self, step: &Step) -> Result<(), Trouble> {
        let host = step.host.as_deref().unwrap_or_default();
        match &step.task {
            Task::Lock { acquire, assumes } => {
                self.world.perform(acquire).await?;
                let checks = assumes
                    .iter()
                    .map(|(host, assumed)| self.check(host, assumed));
                together(join_all(checks).await)
            }
            Task::Image { rounds, references } => {
                self.world.rounds(rounds).await?;
                let checks = references
                    .iter()
                    .map(|reference| self.check_image(host, reference));
                together(join_all(checks).await)
            }
            Task::Hook { run } => self.hook(run).await,
            Task::Prepare { rounds } => Ok(self.world.rounds(rounds).await?),
            Task::Finish { rounds } => match self.world.rounds(rounds).await {
                // The new version serves: what could not be cleared away now is cleared away next time.
                Err(error) if !did_not_happen(&error) => {
                    let words = words(&error);
                    log(Level::Warn, &format!("failed to {}: {words}", step.title));
                    Ok(())
                }
                done => Ok(done?),
            },
            Task::Boot(boot) => {
                let booted = self.boot(step, host, boot).await;
                booted.map_err(|trouble| trouble.of(&boot.container, host))
            }
            Task::Wait { seconds } => {
                world::sleep(*seconds).await;
                Ok(())
            }
            Task::Unlock { release } => self
                .world
                .perform(release)
                .await
                .map(|_| ())
                .map_err(Trouble::Call),
        }
    }

    /// The containers are those the plan was made for.
    async fn check(&self, host: &str, assumed: &[Assumed]) -> Result<(), Trouble> {
        let release = &self.desired.release;
        let containers = self.world.engine(host).containers(&release.service).await?;
        let found = Assumed::of(
            &HostFacts {
                containers,
                ..HostFacts::default()
            },
            release,
        );
        match Assumed::drift(host, assumed, &found) {
            Some(drift) => Err(Trouble::Refused(drift)),
            None => Ok(()),
        }
    }

    /// The image is there and carries the label by which prune and Kamal know it.
    async fn check_image(&self, host: &str, reference: &str) -> Result<(), Trouble> {
        let image = self.world.engine(host).inspect_image(reference).await?;
        let Some(image) = image else {
            return Err(Trouble::Refused(format!(
                "image {reference} is not on {host}"
            )));
        };
        let service = &self.desired.release.service;
        match image["Config"]["Labels"]["service"].as_str() {
            Some(label) if label == service => Ok(()),
            Some(_) | None => Err(Trouble::Refused(format!(
                "image {reference} is missing the 'service' label on {host}\nhint: build it with `--label service={service}`"
            ))),
        }
    }

    async fn hook(&self, run: &Promise) -> Result<(), Trouble> {
        match self.world.perform(run).await? {
            Answer::Ended(Ended { code, stdout, .. }) if code != 0 => Err(Trouble::Failed {
                message: format!("hook `{}` failed: exit status {code}", run.subject),
                details: stdout.lines().map(str::to_owned).collect(),
            }),
            Answer::Ended(_) | Answer::Done | Answer::Created(_) => Ok(()),
        }
    }

    /// A boot group: hosts at the same time, a host's roles too if so configured.
    async fn group(&self, steps: &[Step]) -> Vec<Result<(), Trouble>> {
        let is_gatekeeper =
            |step: &&Step| matches!(&step.task, Task::Boot(boot) if boot.gatekeeper);
        self.gate.expect(steps.iter().filter(is_gatekeeper).count());
        if self.desired.release.boot.parallel_roles {
            return join_all(steps.iter().map(|step| self.step(step))).await;
        }
        let hosts = steps.chunk_by(|before, step| before.host == step.host);
        join_all(hosts.map(|steps| self.one_by_one(steps))).await
    }

    async fn one_by_one(&self, steps: &[Step]) -> Result<(), Trouble> {
        for (done, step) in steps.iter().enumerate() {
            let result = self.step(step).await;
            if result.is_err() {
                for skipped in &steps[done + 1..] {
                    tell(
                        skipped,
                        Phase::Skipped,
                        "not started, as another role failed",
                    );
                    if matches!(&skipped.task, Task::Boot(boot) if boot.gatekeeper) {
                        self.gate.give_up();
                    }
                }
                return result;
            }
        }
        Ok(())
    }

    /// Gives the lock back after a failure. Where this does not work, the host does it at the end of the run.
    async fn unlock(&self) {
        if !self.world.is_locked() {
            return;
        }
        for step in &self.steps {
            if let Task::Unlock { release } = &step.task
                && let Err(error) = self.world.perform(release).await
            {
                log(
                    Level::Warn,
                    &format!("the deploy lock was not given back: {}", words(&error)),
                );
            }
        }
    }

    fn outcome(&self) -> Outcome {
        let version = self.desired.version();
        let hosts = self.desired.hosts();
        let noun = if hosts.len() == 1 { "host" } else { "hosts" };
        let outputs = [
            Some(("hosts".to_owned(), hosts.join(","))),
            step::previous_version(&self.steps, &self.desired.release)
                .map(|version| ("previous-version".to_owned(), version)),
            self.desired.url().map(|url| ("url".into(), url)),
        ];
        Outcome {
            summary: format!("version {version} on {} {noun}", hosts.len()),
            outputs: outputs.into_iter().flatten().collect(),
        }
    }

    fn failure(&self, trouble: Trouble) -> Failure {
        let (message, details) = match (trouble, self.world.is_changed()) {
            (Trouble::Refused(message), false) => return Failure::Refused(message),
            (Trouble::Call(error), false) => return Failure::Capability(error),
            (Trouble::Failed { message, details }, false) => {
                return Failure::Refused(
                    [message]
                        .into_iter()
                        .chain(details)
                        .collect::<Vec<_>>()
                        .join("\n"),
                );
            }
            (Trouble::Refused(message), true) => (message, Vec::new()),
            (Trouble::Call(error), true) => (words(&error), Vec::new()),
            (Trouble::Failed { message, details }, true) => (message, details),
            (Trouble::Halted, _) => ("halted".to_owned(), Vec::new()),
        };
        let leftovers = self.aftermath.borrow().leftovers();
        let leftovers = leftovers
            .into_iter()
            .map(|(host, state)| Leftover { host, state })
            .collect();
        Failure::Partial(Partial {
            message,
            details,
            leftovers,
        })
    }
}

fn done_words(step: &Step) -> String {
    if let (Task::Boot(boot), Some(host)) = (&step.task, &step.host) {
        format!("{} works on {host}", boot.container)
    } else {
        step.title.clone()
    }
}

/// Without the hints, which come with the error that ends the deploy.
fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

/// An event of a step.
pub(super) fn tell(step: &Step, phase: Phase, message: &str) {
    emit(&Event {
        step: step.id.clone(),
        host: step.host.clone(),
        phase,
        message: message.to_owned(),
    });
}
