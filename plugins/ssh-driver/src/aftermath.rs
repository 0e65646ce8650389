//! What hosts are left with when a deploy does not finish.

use std::collections::BTreeMap;

use release::Release;

use crate::observed;
use crate::step::{Boot, Step, Task};

/// How far a role got on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing was done.
    Untouched,
    /// The new container did not become ready and is stopped.
    Stopped,
    /// The new container did not become ready, and it was not possible to stop it.
    NotStopped,
    /// The answer of the proxy was lost: either container may serve.
    InDoubt,
    /// The new container works; the old one was not stopped.
    Beside,
    /// The new container works alone.
    Done,
}

/// Progress of every role on every host.
#[derive(Clone, Debug, Default)]
pub struct Aftermath(BTreeMap<String, Vec<Entry>>);

#[derive(Clone, Debug)]
struct Entry {
    role: String,
    container: String,
    current: Option<String>,
    progress: Progress,
}

impl Aftermath {
    /// Everything the steps will boot, untouched.
    pub fn of(steps: &[Step]) -> Self {
        let mut hosts: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
        for step in steps {
            if let (Task::Boot(boot), Some(host)) = (&step.task, &step.host) {
                hosts.entry(host.clone()).or_default().push(Entry {
                    role: boot.role.clone(),
                    container: boot.container.clone(),
                    current: boot.current.clone(),
                    progress: Progress::Untouched,
                });
            }
        }
        Self(hosts)
    }

    /// Notes how far a boot got.
    pub fn note(&mut self, host: &str, boot: &Boot, progress: Progress) {
        let entries = self.0.get_mut(host).into_iter().flatten();
        entries
            .filter(|entry| entry.role == boot.role)
            .for_each(|entry| entry.progress = progress);
    }

    /// What each host is left with.
    pub fn leftovers(&self, release: &Release) -> Vec<Left> {
        let left = |(host, roles): (&String, &Vec<Entry>)| {
            let words: Vec<String> = roles.iter().map(Entry::words).collect();
            // One version that everything here replaced; a container that cleared its name is no version to go back to.
            let mut replaced = roles
                .iter()
                .filter(|role| role.may_serve())
                .map(|role| observed::version(release, &role.role, role.current.as_deref()?));
            let first = replaced.next().flatten();
            let first = first.filter(|version| !version.contains("_replaced_"));
            Left {
                host: host.clone(),
                state: words.join("; "),
                unfinished: !roles.iter().all(Entry::works),
                replaced: first
                    .filter(|first| replaced.all(|other| other.as_deref() == Some(first.as_str()))),
            }
        };
        self.0.iter().map(left).collect()
    }
}

/// What a host is left with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Host.
    pub host: String,
    /// What runs there, in words.
    pub state: String,
    /// Something has not become what it should be.
    pub unfinished: bool,
    /// The version that was replaced.
    pub replaced: Option<String>,
}

impl Entry {
    fn works(&self) -> bool {
        matches!(self.progress, Progress::Beside | Progress::Done)
    }

    fn may_serve(&self) -> bool {
        self.works() || self.progress == Progress::InDoubt
    }

    fn words(&self) -> String {
        let Self {
            role,
            container,
            current,
            progress,
        } = self;
        let still = match current {
            Some(current) => format!("{current} still works"),
            None => format!("nothing runs for role {role}"),
        };
        match (progress, current) {
            (Progress::Untouched, _) => still,
            (Progress::Stopped, _) => format!("{still}, {container} is stopped"),
            (Progress::NotStopped, _) => format!("{still}, {container} was not stopped"),
            (Progress::InDoubt, Some(current)) => {
                format!("{current} or {container} serves, both run")
            }
            (Progress::InDoubt, None) => format!("{container} runs and may serve"),
            (Progress::Beside, Some(current)) => {
                format!("{container} works, {current} was not stopped")
            }
            (Progress::Beside, None) | (Progress::Done, _) => format!("{container} works"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Call, Promise};
    use crate::step::Ready;

    fn boot(role: &str, current: Option<&str>) -> Step {
        let undo = Call::Stop {
            name: format!("app-{role}-2"),
            timeout: None,
        };
        let boot = Boot {
            group: 0,
            role: role.into(),
            container: format!("app-{role}-2"),
            current: current.map(str::to_owned),
            gatekeeper: true,
            waits: false,
            rename: Vec::new(),
            start: Vec::new(),
            ready: Ready::Watch {
                deploy_timeout: 30,
                readiness_delay: 7,
            },
            settle: Vec::new(),
            undo: Promise::on_failure("undo", "web-1", undo),
        };
        let task = Task::Boot(Box::new(boot));
        Step {
            id: format!("web-1/boot/{role}"),
            title: String::new(),
            host: Some("web-1".into()),
            task,
        }
    }

    #[test]
    fn every_host_is_told_what_runs_there() {
        for (progress, expected) in [
            (
                Progress::Untouched,
                "app-web-1 still works; nothing runs for role job",
            ),
            (
                Progress::Stopped,
                "app-web-1 still works, app-web-2 is stopped; nothing runs for role job",
            ),
            (
                Progress::NotStopped,
                "app-web-1 still works, app-web-2 was not stopped; nothing runs for role job",
            ),
            (
                Progress::InDoubt,
                "app-web-1 or app-web-2 serves, both run; nothing runs for role job",
            ),
            (
                Progress::Beside,
                "app-web-2 works, app-web-1 was not stopped; nothing runs for role job",
            ),
            (Progress::Done, "app-web-2 works; nothing runs for role job"),
        ] {
            let steps = [boot("web", Some("app-web-1")), boot("job", None)];
            let mut aftermath = Aftermath::of(&steps);
            let Task::Boot(web) = &steps[0].task else {
                panic!("a boot")
            };
            aftermath.note("web-1", web, progress);
            let left = aftermath.leftovers(&release());
            assert_eq!((left.len(), &*left[0].state), (1, expected));
        }
    }

    fn release() -> Release {
        let release = crate::plan::tests::desired(&[&["web-1"]], &[("web", &["web-1"])], |_| {});
        release.release
    }

    #[test]
    fn what_to_try_again_and_what_to_go_back_to() {
        for (current, progress, unfinished, replaced) in [
            (Some("app-web-1"), Progress::Untouched, true, None),
            (Some("app-web-1"), Progress::Stopped, true, None),
            (Some("app-web-1"), Progress::InDoubt, true, Some("1")),
            (Some("app-web-1"), Progress::Beside, false, Some("1")),
            (Some("app-web-1"), Progress::Done, false, Some("1")),
            (Some("app-web-2_replaced_0"), Progress::Done, false, None),
            (None, Progress::Done, false, None),
        ] {
            let steps = [boot("web", current)];
            let mut aftermath = Aftermath::of(&steps);
            let Task::Boot(web) = &steps[0].task else {
                panic!("a boot")
            };
            aftermath.note("web-1", web, progress);
            let left = aftermath.leftovers(&release());
            assert_eq!(left[0].unfinished, unfinished, "{current:?} {progress:?}");
            assert_eq!(
                left[0].replaced.as_deref(),
                replaced,
                "{current:?} {progress:?}"
            );
        }
    }
}
