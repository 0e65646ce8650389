//! From what is there and what should be to steps: a pure function. Kamal's order, with the lock taken first and
//! only what differs done.
//!
//! * [`prepare`]: images, network, proxy, stale containers.
//! * [`boot`]: one role's container on one host.
//! * [`finish`]: the `latest` tag, and what is pruned.

pub mod boot;
pub mod finish;
pub mod prepare;

use std::collections::{BTreeMap, BTreeSet};

use release::{Proxy, Role, Value};

use crate::call::{Call, Promise};
use crate::desired::Desired;
use crate::facts::HostFacts;
use crate::step::{Assumed, Step, Task};

/// What `plan` works from.
#[derive(Clone, Debug)]
pub struct Input<'a> {
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
#[derive(Clone, Debug, PartialEq)]
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
    pub help: String,
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
        "kamal-proxy on {host} is version {version}, and {minimum} is the oldest that works\nhint: update it with `kamal proxy reboot`",
        minimum = prepare::MINIMUM_PROXY
    )]
    ProxyTooOld {
        /// Host.
        host: String,
        /// Its version.
        version: String,
    },
}

/// Makes the plan.
pub fn plan(input: &Input<'_>) -> Result<Proposal, Refusal> {
    let hosts = input.desired.hosts();
    for host in &hosts {
        input.facts(host)?;
    }
    let notes = hosts
        .iter()
        .filter_map(|host| prepare::changed_proxy(input, host))
        .collect();
    let boots = boot::plan(input)?;
    let prepared = hosts
        .iter()
        .map(|host| prepare::plan(input, host))
        .collect::<Result<Vec<_>, _>>()?;
    let work = !boots.is_empty() || hosts.iter().any(|host| prepare::is_due(input, host));
    if !work {
        return Ok(Proposal {
            steps: Vec::new(),
            notes,
        });
    }
    let mut steps = vec![lock(input, &hosts)?];
    steps.extend(
        hosts
            .iter()
            .filter_map(|host| prepare::images(input, host, &boots)),
    );
    steps.extend(hook(input, "pre-deploy", None));
    steps.extend(prepared.into_iter().flatten());
    steps.extend(boot::in_groups(input, &boots));
    if !boots.is_empty() {
        let finished = hosts
            .iter()
            .map(|host| finish::plan(input, host, &boots))
            .collect::<Result<Vec<_>, _>>()?;
        steps.extend(finished.into_iter().flatten());
    }
    steps.push(unlock(input));
    steps.extend(hook(input, "post-deploy", None));
    Ok(Proposal { steps, notes })
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

    /// A line of the audit log: when, who, destination, role, what.
    fn audit(&self, id: String, host: &str, role: Option<&str>, message: &str) -> Promise {
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
        let line = line.and_text(format!("]{tags} {message}"));
        Promise::always(
            id,
            host,
            Call::Append {
                path: self.desired.release.audit_log.clone(),
                line,
            },
        )
    }
}

fn lock(input: &Input<'_>, hosts: &[&str]) -> Result<Step, Refusal> {
    let release = &input.desired.release;
    let host = &release.primary_host;
    let acquire = Call::Acquire {
        host: host.clone(),
        path: release.lock.path.clone(),
        details: release.lock.details.clone(),
    };
    let assume = |host: &&str| Ok(((*host).to_owned(), Assumed::of(input.facts(host)?, release)));
    Ok(Step {
        id: "lock".into(),
        title: format!("take the deploy lock on {host}"),
        host: Some(host.clone()),
        task: Task::Lock {
            acquire: Promise::always("lock/acquire", host, acquire),
            assumes: hosts.iter().map(assume).collect::<Result<_, _>>()?,
        },
    })
}

fn unlock(input: &Input<'_>) -> Step {
    let host = &input.desired.release.primary_host;
    Step {
        id: "unlock".into(),
        title: format!("give the deploy lock on {host} back"),
        host: Some(host.clone()),
        task: Task::Unlock {
            release: Promise::always("lock/release", host, Call::Release {}),
        },
    }
}

/// A hook, when the project has it; around a boot group it is told the group's hosts.
fn hook(input: &Input<'_>, name: &str, group: Option<(usize, &[&str])>) -> Option<Step> {
    let mut env = input.desired.release.hooks.get(name)?.env.clone();
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

#[cfg(test)]
mod tests;
