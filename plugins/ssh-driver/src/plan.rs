//! From what is asked for and what is there to steps: a pure function. Kamal's order, with the lock taken first and only
//! what differs done.
//!
//! * [`deploy`]: `deploy`, `redeploy`, `setup`, `rollback` and `app boot`.
//! * [`bootstrap`]: Docker on hosts that have none.
//! * [`prepare`]: images, network, proxy, stale containers.
//! * [`boot_config`]: what `proxy boot_config` left on a host.
//! * [`files`]: assets, error pages, certificates.
//! * [`boot`]: one role's container on one host.
//! * [`finish`]: the `latest` tag.
//! * [`prune`]: what is kept of the past.
//! * [`app`], [`proxy`], [`accessory`], [`remove`], [`lock`]: the other commands.

pub mod accessory;
pub mod app;
pub mod boot;
pub mod boot_config;
pub mod bootstrap;
pub mod deploy;
pub mod files;
pub mod finish;
pub mod lock;
pub mod prepare;
pub mod proxy;
pub mod prune;
pub mod remove;

use std::collections::{BTreeMap, BTreeSet};

use release::{Proxy, Role, Value};

use crate::call::{Call, Patience, Promise};
use crate::desired::Desired;
use crate::facts::HostFacts;
use crate::request::{Command, Request};
use crate::step::{Assumed, Step, Task};

/// What `plan` works from.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// What the user asked for.
    pub request: &'a Request,
    /// What should be.
    pub desired: &'a Desired,
    /// Host to what is there.
    pub facts: &'a BTreeMap<String, HostFacts>,
    /// Addresses of documents that differ.
    pub changed: &'a BTreeSet<String>,
    /// Twelve hexadecimal digits, new for every plan.
    pub deployment_id: &'a str,
}

/// Steps, and what people should know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proposal {
    /// Empty when nothing has to be done.
    pub steps: Vec<Step>,
    /// Warnings.
    pub notes: Vec<Note>,
}

/// A warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Stable, kebab-case.
    pub code: &'static str,
    /// What is the matter.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The facts of a host are missing.
    #[error(
        "host {0} was not observed\nhint: record the facts again, with the hosts of today's configuration"
    )]
    NotObserved(String),
    /// The proxy does not know the options Kamal's configuration can have.
    #[error(
        "kamal-proxy version {version} is too old, run `kamal proxy reboot` in order to update to at least {minimum} (on {host})\nhint: `plimsoll proxy reboot` does the same",
        minimum = Proxy::MINIMUM_VERSION
    )]
    ProxyTooOld {
        /// Host.
        host: String,
        /// Its version.
        version: String,
    },
    /// A version to go back to is not there.
    #[error(
        "The app version '{version}' is not available as a container (use 'kamal app containers' for available versions): {container} is not on {host}\nhint: `plimsoll deploy -P --version {version}` deploys it from the registry"
    )]
    NoContainer {
        /// Version.
        version: String,
        /// Container that is missing.
        container: String,
        /// Where.
        host: String,
    },
    /// There is no accessory of that name.
    #[error("No accessory by the name of '{name}' (options: {options})")]
    NoAccessory {
        /// Name that was given.
        name: String,
        /// Names there are.
        options: String,
    },
    /// Docker is missing, and can't be installed.
    #[error(
        "Docker is not installed on {0} and can't be automatically installed without having root access and either `wget` or `curl`. Install Docker manually: https://docs.docker.com/engine/install/"
    )]
    NoDocker(String),
    /// Nothing runs that a command could be run in.
    #[error("no container of role {role} runs on {host}\nhint: leave --reuse out to run one")]
    NothingRuns {
        /// Role, or accessory.
        role: String,
        /// Host.
        host: String,
    },
    /// A command that only looks.
    #[error("this command changes nothing, so there is nothing to plan")]
    OnlyLooks,
}

/// Makes the plan.
pub fn plan(input: &Input<'_>) -> Result<Proposal, Refusal> {
    match &input.request.command {
        Command::Deploy | Command::Redeploy | Command::Setup | Command::Rollback { .. } => {
            deploy::plan(input)
        }
        Command::App(action) => app::plan(input, action),
        Command::Proxy(action) => proxy::plan(input, action),
        Command::Accessory { name, action } => accessory::plan(input, name, action),
        Command::Prune(what) => prune::plan(input, *what),
        Command::Remove => remove::plan(input),
        Command::LockAcquire { message } => Ok(lock::leave(input, message)),
        Command::LockRelease => Ok(lock::break_(input)),
        Command::Bootstrap => bootstrap::command(input),
        Command::RegistryLogin | Command::RegistryLogout => Ok(Proposal {
            steps: Vec::new(),
            notes: vec![Note {
                code: "no-login",
                message:
                    "credentials go with every pull: servers are not logged in to the registry"
                        .to_owned(),
                help: None,
            }],
        }),
        Command::Show(_) => Err(Refusal::OnlyLooks),
    }
}

impl Input<'_> {
    fn facts(&self, host: &str) -> Result<&HostFacts, Refusal> {
        self.facts
            .get(host)
            .ok_or_else(|| Refusal::NotObserved(host.to_owned()))
    }

    fn role_changed(&self, host: &str, role: &str) -> bool {
        self.changed.contains(&Role::address(host, role))
    }

    fn proxy_changed(&self, host: &str) -> bool {
        self.changed.contains(&Proxy::address(host))
    }

    /// A call on a host, under a name that has the host's before it.
    fn promise(&self, host: &str, id: &str, call: Call) -> Promise {
        Promise::always(format!("{host}/{id}"), host, call)
    }

    /// A line of the audit log: when, who, destination, role, what.
    fn audit_line(&self, role: Option<&str>, message: &str) -> Value {
        let tags = self
            .desired
            .release
            .destination
            .as_deref()
            .into_iter()
            .chain(role);
        let tags: String = tags.map(|tag| format!(" [{tag}]")).collect();
        let line = Value::text("[")
            .and_slot("now")
            .and_text("] [")
            .and_slot("performer");
        line.and_text(format!("]{tags} {message}"))
    }

    /// Lines of the audit log, in one call.
    fn audit(&self, host: &str, id: &str, role: Option<&str>, messages: &[&str]) -> Promise {
        let lines = messages
            .iter()
            .map(|message| self.audit_line(role, message));
        self.promise(
            host,
            id,
            Call::Append {
                path: self.desired.release.audit_log.clone(),
                lines: lines.collect(),
            },
        )
    }

    /// A step of calls on a host; `None` without any.
    fn work(
        &self,
        phase: &str,
        host: &str,
        what: &str,
        title: String,
        rounds: Vec<Vec<Promise>>,
    ) -> Option<Step> {
        let rounds: Vec<_> = rounds
            .into_iter()
            .filter(|round| !round.is_empty())
            .collect();
        (!rounds.is_empty()).then(|| Step {
            id: format!("{host}/{what}"),
            title,
            host: Some(host.to_owned()),
            task: Task::Work {
                phase: phase.to_owned(),
                rounds,
            },
        })
    }

    /// The steps with the deploy lock around them. The containers of these hosts must be the ones the plan was made for.
    fn locked(&self, hosts: &[&str], steps: Vec<Step>) -> Result<Vec<Step>, Refusal> {
        if self.request.lock_held {
            return Ok(steps);
        }
        let mut all = vec![self.lock(hosts)?];
        all.extend(steps);
        all.push(self.unlock());
        Ok(all)
    }

    fn lock(&self, hosts: &[&str]) -> Result<Step, Refusal> {
        let release = &self.desired.release;
        let host = &release.primary_host;
        let acquire = Call::Acquire {
            host: host.clone(),
            path: release.lock.path.clone(),
            details: release.lock.details.clone(),
            wait: self.request.lock_wait.map(|wait| Patience {
                timeout: wait.timeout,
                interval: wait.interval,
            }),
        };
        let mut assumes = BTreeMap::new();
        for host in hosts {
            let facts = self.facts(host)?;
            if facts.has_engine() {
                assumes.insert((*host).to_owned(), Assumed::of(facts, release));
            }
        }
        Ok(Step {
            id: "lock".into(),
            title: format!("take the deploy lock on {host}"),
            host: Some(host.clone()),
            task: Task::Lock {
                acquire: Promise::always("lock/acquire", host, acquire),
                assumes,
            },
        })
    }

    fn unlock(&self) -> Step {
        let host = &self.desired.release.primary_host;
        Step {
            id: "unlock".into(),
            title: format!("give the deploy lock on {host} back"),
            host: Some(host.clone()),
            task: Task::Unlock {
                release: Promise::always("lock/release", host, Call::Release {}),
            },
        }
    }

    /// A hook, when the project has it; around a group it is told the group's hosts.
    fn hook(&self, name: &str, group: Option<(usize, &[&str])>) -> Option<Step> {
        let mut env = self.desired.release.hooks.get(name)?.env.clone();
        let mut id = format!("hook/{name}");
        if let Some((number, hosts)) = group {
            env.insert("KAMAL_HOSTS".into(), Value::text(hosts.join(",")));
            id = format!("{id}/{}", number + 1);
        }
        let call = Call::Hook {
            name: name.to_owned(),
            env: env.into_iter().collect(),
        };
        Some(Step {
            id: id.clone(),
            title: format!("run hook {name}"),
            host: None,
            task: Task::Hook {
                run: Promise::always(id, name, call),
            },
        })
    }

    /// A command of kamal-proxy on a host.
    fn proxy_command(&self, host: &str, id: &str, words: Vec<Value>) -> Promise {
        let command = [Value::text("kamal-proxy")].into_iter().chain(words);
        let call = Call::Exec {
            container: Proxy::CONTAINER.to_owned(),
            user: None,
            command: command.collect(),
        };
        self.promise(host, id, call)
    }
}

#[cfg(test)]
pub(crate) mod tests;
