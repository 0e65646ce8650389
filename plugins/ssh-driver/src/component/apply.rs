//! Carries out approved steps: the phases one after the other, a phase's hosts at the same time. What fails is
//! undone where it failed; what already serves goes on serving.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use futures::future::{join, join_all, join3};

use super::bindings::exports::plimsoll::deploy::driver::{
    Failure, Leftover, Outcome, Partial, Report,
};
use super::bindings::plimsoll::deploy::clock;
use super::bindings::plimsoll::deploy::log::{Level, log};
use super::bindings::plimsoll::deploy::progress::{Event, Phase, emit};
use super::convert::words;
use super::trouble::{Trouble, together};
use super::world::{self, Answer, Ended, World, did_not_happen};
use crate::aftermath::Aftermath;
use crate::call::{Call, Promise};
use crate::desired::Desired;
use crate::facts::HostFacts;
use crate::gate::{All, Gate, Passage};
use crate::step::{self, Assumed, Step, Task};

/// Carries out the steps. `raw`: of what commands say only standard output is reported, to the byte.
pub(super) async fn apply(
    desired: Desired,
    steps: Vec<Step>,
    raw: bool,
) -> Result<Outcome, Failure> {
    let deploy = Deploy {
        aftermath: RefCell::new(Aftermath::of(&steps)),
        steps,
        world: World::of(desired.all_hosts().len()),
        desired,
        gate: Gate::default(),
        ready: All::default(),
        images: All::default(),
        there: RefCell::default(),
        reports: RefCell::default(),
        raw,
    };
    match deploy.run().await {
        Ok(()) => Ok(deploy.outcome()),
        Err(trouble) => {
            deploy.unlock().await;
            Err(deploy.failure(trouble))
        }
    }
}

/// Milliseconds after which the world may have changed while the lock was waited for.
const WAITED: u64 = 5000;

/// One deploy under way.
pub(super) struct Deploy {
    pub(super) desired: Desired,
    steps: Vec<Step>,
    pub(super) world: World,
    pub(super) gate: Gate,
    /// Everything in a group of boots is ready.
    pub(super) ready: All,
    /// The images of a group's hosts are found to be good.
    pub(super) images: All,
    /// Pulls that are not needed: the image is there.
    there: RefCell<BTreeSet<String>>,
    pub(super) aftermath: RefCell<Aftermath>,
    reports: RefCell<Vec<Report>>,
    raw: bool,
}

impl Deploy {
    async fn run(&self) -> Result<(), Trouble> {
        let phases: Vec<&[Step]> = self
            .steps
            .chunk_by(|before, step| step.task.joins(&before.task))
            .collect();
        let mut phases = phases.into_iter().peekable();
        // Images that were pulled, and not looked at yet.
        let mut pulled: &[Step] = &[];
        while let Some(phase) = phases.next() {
            let next = phases.peek().copied().unwrap_or_default();
            if let (
                [
                    Step {
                        task: Task::Lock { .. },
                        ..
                    },
                ],
                [
                    Step {
                        task: Task::Image { .. },
                        ..
                    },
                    ..,
                ],
            ) = (phase, next)
            {
                phases.next();
                self.lock_and_pull(phase, next).await?;
                pulled = next;
            } else if let [
                Step {
                    task: Task::Image { .. },
                    ..
                },
                ..,
            ] = phase
            {
                self.find_images(phase).await;
                self.phase(phase).await?;
                pulled = phase;
            } else if let [
                Step {
                    task: Task::Boot(_),
                    ..
                },
                ..,
            ] = phase
            {
                let images = std::mem::take(&mut pulled);
                let after = step::beside_the_last_boots(phase, next);
                self.boots(phase, images, after).await?;
                if !after.is_empty() {
                    phases.next();
                }
            } else {
                self.phase(phase).await?;
            }
            // Whatever comes next, the images it may need are good; but a boot can begin meanwhile.
            let boots_next = matches!(
                phases.peek(),
                Some([
                    Step {
                        task: Task::Boot(_),
                        ..
                    },
                    ..
                ])
            );
            if !boots_next {
                self.check_images(std::mem::take(&mut pulled)).await?;
            }
        }
        Ok(())
    }

    /// Takes the lock, and looks for the images meanwhile. Then the look at the hosts, and the pulls, which would do no harm
    /// if it ended badly: at the same time, as neither needs the other.
    async fn lock_and_pull(&self, lock: &[Step], pulls: &[Step]) -> Result<(), Trouble> {
        for step in lock {
            let Task::Lock { acquire, assumes } = &step.task else {
                continue;
            };
            tell(step, Phase::Started, &step.title);
            let begun = clock::now_unix_ms();
            let found = join(self.find_images(pulls), self.mirrors(pulls));
            let (acquired, ((), mirrors)) = join(self.world.perform(acquire), found).await;
            if let Err(error) = acquired {
                tell(step, Phase::Failed, first_line(&words(&error)));
                return Err(Trouble::Call(error));
            }
            tell(step, Phase::Succeeded, &step.title);
            // Whoever had the lock may have pruned.
            if clock::now_unix_ms().saturating_sub(begun) > WAITED {
                self.find_images(pulls).await;
            }
            let pulled = async {
                let (first, rest) =
                    step::first_of_mirrors(pulls, |host| mirrors.get(host).cloned());
                self.at_once(first).await?;
                self.at_once(rest).await
            };
            let (unchanged, pulled) = join(self.unchanged(assumes), pulled).await;
            together(vec![unchanged, pulled])?;
        }
        Ok(())
    }

    /// Host to the mirror that it pulls through, when there are several hosts. What can't be found out is no mirror.
    async fn mirrors(&self, pulls: &[Step]) -> BTreeMap<String, String> {
        let hosts = pulls.iter().filter_map(|step| step.host.as_deref());
        let hosts: BTreeSet<&str> = hosts.filter(|_| pulls.len() > 1).collect();
        let asked = hosts.into_iter().map(|host| async move {
            let engine = self.world.engine(host).await.ok()?;
            let mirror = engine.mirror().await.ok()??;
            Some((host.to_owned(), mirror))
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// Notes which of the images to pull are there already. What can't be found out is pulled.
    async fn find_images(&self, pulls: &[Step]) {
        let promises = pulls.iter().flat_map(Step::promises);
        let found = promises.map(|promise| async move {
            let Call::Pull {
                image,
                digest: Some(digest),
                ..
            } = &promise.call
            else {
                return None;
            };
            let engine = self.world.engine(&promise.subject).await.ok()?;
            let there = engine.has_image(image, digest).await.ok()?;
            there.then(|| promise.id.clone())
        });
        let found = join_all(found).await.into_iter().flatten().collect();
        self.there.replace(found);
    }

    /// A group of boots; `after` begins once all of them are ready, while what they replaced is stopped.
    async fn boots(&self, phase: &[Step], images: &[Step], after: &[Step]) -> Result<(), Trouble> {
        self.ready.expect(phase.len());
        self.images.expect(1);
        let check = async {
            let checked = self.check_images(images).await;
            self.images.count(checked.is_ok());
            checked
        };
        let after = async {
            match self.ready.pass().await {
                Passage::Open => self.phase(after).await,
                Passage::Closed => Ok(()),
            }
        };
        let (checked, mut done, after) = join3(check, self.group(phase), after).await;
        done.extend([checked, after]);
        together(done)
    }

    /// The images that steps got onto their hosts are there, and the service's own.
    async fn check_images(&self, steps: &[Step]) -> Result<(), Trouble> {
        let checks = steps.iter().flat_map(|step| {
            let host = step.host.as_deref().unwrap_or_default();
            let references: &[String] = match &step.task {
                Task::Image { references, .. } => references,
                Task::Lock { .. }
                | Task::Hook { .. }
                | Task::Work { .. }
                | Task::Impossible { .. }
                | Task::Boot(_)
                | Task::Wait { .. }
                | Task::Unlock { .. } => &[],
            };
            references
                .iter()
                .map(move |reference| self.check_image(host, reference))
        });
        together(join_all(checks).await)
    }

    /// Steps of a phase, at the same time.
    async fn phase(&self, phase: &[Step]) -> Result<(), Trouble> {
        self.at_once(phase).await
    }

    async fn at_once<'a>(&self, steps: impl IntoIterator<Item = &'a Step>) -> Result<(), Trouble> {
        together(join_all(steps.into_iter().map(|step| self.step(step))).await)
    }

    /// The hosts are as the plan assumed.
    async fn unchanged(&self, assumes: &BTreeMap<String, Vec<Assumed>>) -> Result<(), Trouble> {
        let hosts: Vec<&str> = assumes.keys().map(String::as_str).collect();
        self.world.connect(&hosts).await?;
        let checks = assumes
            .iter()
            .map(|(host, assumed)| self.check(host, assumed));
        together(join_all(checks).await)
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
                self.unchanged(assumes).await
            }
            Task::Image { rounds, .. } => self.rounds(rounds).await,
            Task::Hook { run } => self.hook(run).await,
            Task::Work { rounds, .. } => self.rounds(rounds).await,
            Task::Impossible { why } => Err(Trouble::Refused(why.clone())),
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
        let engine = self.world.engine(host).await?;
        let containers = engine.containers(&release.service).await?;
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
        let engine = self.world.engine(host).await?;
        let image = engine.inspect_image(reference).await?;
        let Some(image) = image else {
            return Err(Trouble::Refused(format!(
                "image {reference} is not on {host}"
            )));
        };
        let service = &self.desired.release.service;
        match image["Config"]["Labels"]["service"].as_str() {
            Some(label) if label == service => Ok(()),
            Some(_) | None => Err(Trouble::Refused(format!(
                "Image {reference} is missing the 'service' label on {host}\nhint: build it with `--label service={service}`"
            ))),
        }
    }

    async fn hook(&self, run: &Promise) -> Result<(), Trouble> {
        match self.world.perform(run).await? {
            Answer::Ended(Ended { code, stdout, .. }) if code != 0 => Err(Trouble::Failed {
                message: format!("Hook `{}` failed: exit status {code}", run.subject),
                details: stdout.lines().map(str::to_owned).collect(),
            }),
            Answer::Ended(_) | Answer::Done | Answer::Created(_) | Answer::Was(_) => Ok(()),
        }
    }

    /// Makes calls round by round.
    async fn rounds(&self, rounds: &[Vec<Promise>]) -> Result<(), Trouble> {
        for round in rounds {
            self.round(round).await?;
        }
        Ok(())
    }

    /// Makes calls at the same time. A failing one does not stop those in flight.
    pub(super) async fn round(&self, round: &[Promise]) -> Result<(), Trouble> {
        let there = self.there.borrow().clone();
        let needed = round.iter().filter(|promise| !there.contains(&promise.id));
        let promises: Vec<&Promise> = needed.collect();
        self.world.open(&promises).await?;
        let done = join_all(promises.into_iter().map(|promise| self.call(promise))).await;
        together(done)
    }

    /// Makes a call, and judges what came of it.
    async fn call(&self, promise: &Promise) -> Result<(), Trouble> {
        let answer = self.world.perform(promise).await;
        let result = match answer {
            Ok(Answer::Ended(ended)) => {
                if promise.shown {
                    self.report(promise, &ended);
                }
                match ended.code {
                    0 => Ok(()),
                    _ => Err(ended.trouble(promise)),
                }
            }
            Ok(Answer::Was(was)) => {
                self.said(promise, was);
                Ok(())
            }
            Ok(Answer::Done | Answer::Created(_)) => Ok(()),
            Err(error) if did_not_happen(&error) => return Err(Trouble::Call(error)),
            Err(error) => Err(Trouble::Call(error)),
        };
        match result {
            Err(trouble) if promise.may_fail => {
                let (what, host) = (promise.call.operation(), &promise.subject);
                log(
                    Level::Info,
                    &format!("{what} on {host}: {}", trouble.words()),
                );
                Ok(())
            }
            result => result,
        }
    }

    /// What a command said, for people.
    fn report(&self, promise: &Promise, ended: &Ended) {
        let lines: Vec<&str> = match self.raw {
            // Joined by line breaks it is what it was.
            true => ended.stdout.split('\n').collect(),
            false => ended.stdout.lines().chain(ended.stderr.lines()).collect(),
        };
        self.reports.borrow_mut().push(Report {
            host: Some(promise.subject.clone()),
            title: "App".to_owned(),
            lines: lines.into_iter().map(str::to_owned).collect(),
        });
    }

    /// What became of a lock, in Kamal's words.
    fn said(&self, promise: &Promise, was: bool) {
        let line = match (&promise.call, was) {
            (Call::Leave { .. }, _) => "Acquired the deploy lock",
            (_, true) => "Released the deploy lock",
            (_, false) => "There is no deploy lock",
        };
        self.reports.borrow_mut().push(Report {
            host: None,
            title: String::new(),
            lines: vec![line.to_owned()],
        });
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
        let booted = self
            .steps
            .iter()
            .any(|step| matches!(step.task, Task::Boot(_)));
        let hosts = self.desired.hosts();
        let version = self.desired.version();
        let outputs = [
            Some(("hosts".to_owned(), hosts.join(","))),
            Some(("version".to_owned(), version.to_owned())),
            step::previous_version(&self.steps, &self.desired.release)
                .map(|version| ("previous-version".to_owned(), version)),
            self.desired.url().map(|url| ("url".into(), url)),
        ];
        let count = |number: usize| match number {
            1 => "1 host".to_owned(),
            number => format!("{number} hosts"),
        };
        let touched: BTreeSet<&str> = self
            .steps
            .iter()
            .filter_map(|step| step.host.as_deref())
            .collect();
        let (summary, outputs) = match booted {
            true => (
                format!("version {version} on {}", count(hosts.len())),
                outputs.into_iter().flatten().collect(),
            ),
            false => (format!("done on {}", count(touched.len())), Vec::new()),
        };
        Outcome {
            summary,
            outputs,
            reports: self.reports.take(),
        }
    }

    fn failure(&self, trouble: Trouble) -> Failure {
        let (message, mut details) = match (trouble, self.world.is_changed()) {
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
        // What was said where it went well, too.
        for report in self.reports.take() {
            let host = report.host.iter();
            details.extend(host.map(|host| format!("{} Host: {host}", report.title)));
            details.extend(report.lines);
        }
        let left = self.aftermath.borrow().leftovers(&self.desired.release);
        let leftovers = left
            .into_iter()
            .map(|left| Leftover {
                host: left.host,
                state: left.state,
                unfinished: left.unfinished,
                replaced: left.replaced,
            })
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
