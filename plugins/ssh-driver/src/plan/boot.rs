//! One role's container on one host: run beside the current one, switch, stop the current one.

use release::{Proxy, Role, Value};
use sha2::{Digest, Sha256};

use crate::call::{Call, ContainerSpec, LogConfig, Promise};
use crate::facts::{Container, HostFacts};
use crate::plan::{Input, Refusal, hook};
use crate::step::{Boot, Ready, Step, Task};

/// Boots of everything that differs, with their hosts, in boot order.
pub fn plan(input: &Input<'_>) -> Result<Vec<(String, Boot)>, Refusal> {
    let desired = input.desired;
    let mut due = Vec::new();
    let mut settled = false;
    for (group, hosts) in desired.release.boot.groups.iter().enumerate() {
        for host in hosts {
            let facts = input.facts.get(host);
            for (name, role) in desired.roles_on(host) {
                let facts = facts.ok_or_else(|| Refusal::NotObserved(host.clone()))?;
                let current = facts.current(&desired.release, name);
                let in_place =
                    current.is_some_and(|container| container.name == desired.container(name));
                if !in_place || input.role_changed(host, name) {
                    due.push((group, host, name, role, facts, current));
                } else {
                    settled |= name == desired.release.primary_role;
                }
            }
        }
    }
    let first_gate = due
        .iter()
        .filter(|boot| boot.2 == desired.release.primary_role)
        .map(|boot| boot.0)
        .min();
    let boots = due
        .into_iter()
        .map(|(group, host, name, role, facts, current)| {
            let gatekeeper = name == desired.release.primary_role;
            // A later group's gatekeeper can't be waited for: groups follow each other.
            let waits = !gatekeeper && !settled && first_gate.is_some_and(|gate| gate <= group);
            let place = Place {
                input,
                host,
                name,
                role,
                facts,
                current,
            };
            (host.clone(), place.boot(group, gatekeeper, waits))
        });
    Ok(boots.collect())
}

/// The steps of all groups, with the hooks around them and the waits after them.
pub fn in_groups(input: &Input<'_>, boots: &[(String, Boot)]) -> Vec<Step> {
    let mut steps = Vec::new();
    for group in boots.chunk_by(|(_, before), (_, boot)| before.group == boot.group) {
        let Some((_, first)) = group.first() else {
            continue;
        };
        let mut hosts: Vec<&str> = group.iter().map(|(host, _)| host.as_str()).collect();
        hosts.dedup();
        let around = Some((first.group, hosts.as_slice()));
        steps.extend(hook(input, "pre-app-boot", around));
        steps.extend(group.iter().map(|(host, boot)| Step {
            id: format!("{host}/boot/{}", boot.role),
            title: format!("start {} on {host}", boot.container),
            host: Some(host.clone()),
            task: Task::Boot(Box::new(boot.clone())),
        }));
        steps.extend(hook(input, "post-app-boot", around));
        let seconds = input.desired.release.boot.wait;
        if seconds > 0 {
            steps.push(Step {
                id: format!("wait/{}", first.group + 1),
                title: format!("wait {seconds} s"),
                host: None,
                task: Task::Wait { seconds },
            });
        }
    }
    steps
}

/// The name a container gets that is in the way: as Kamal's, with digits that are the same in every plan.
pub fn replaced_name(container: &Container) -> String {
    format!("{}_replaced_{}", container.name, hex(&container.id, 16))
}

fn hex(text: &str, digits: usize) -> String {
    let mut hex: String = Sha256::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    hex.truncate(digits);
    hex
}

struct Place<'a> {
    input: &'a Input<'a>,
    host: &'a str,
    name: &'a str,
    role: &'a Role,
    facts: &'a HostFacts,
    current: Option<&'a Container>,
}

impl Place<'_> {
    fn boot(&self, group: usize, gatekeeper: bool, waits: bool) -> Boot {
        let desired = self.input.desired;
        let version = desired.version();
        let container = desired.container(self.name);
        let timeout = desired.stop_timeout(self.role);
        let taken = self
            .facts
            .containers
            .iter()
            .find(|other| other.name == container);
        let rename = taken.map(|taken| {
            let to = replaced_name(taken);
            let new_version = to
                .strip_prefix(&format!("{}-", desired.release.prefix(self.name)))
                .unwrap_or(&to);
            let message = format!("Renaming container {version} to {new_version}");
            [self.audit("audit-rename", &message), {
                let call = Call::Rename {
                    name: container.clone(),
                    to: to.clone(),
                };
                Promise::always(self.id("rename"), self.host, call)
            }]
        });
        let current = self.current.map(|current| match taken {
            Some(taken) if taken.id == current.id => replaced_name(taken),
            Some(_) | None => current.name.clone(),
        });
        let stop = |name: &str| Call::Stop {
            name: name.to_owned(),
            timeout,
        };
        Boot {
            group,
            role: self.name.to_owned(),
            gatekeeper,
            waits,
            rename: rename.into_iter().flatten().collect(),
            start: vec![
                self.audit("audit-boot", &format!("Booted app version {version}")),
                Promise::always(
                    self.id("run"),
                    self.host,
                    Call::Run {
                        spec: self.spec(&container),
                    },
                ),
            ],
            ready: self.ready(),
            stop_current: current
                .as_deref()
                .map(|name| Promise::always(self.id("stop"), self.host, stop(name))),
            undo: Promise::on_failure(self.id("undo"), self.host, stop(&container)),
            current,
            container,
        }
    }

    fn id(&self, what: &str) -> String {
        format!(
            "{}/{}/{what}",
            self.host,
            self.input.desired.release.prefix(self.name)
        )
    }

    fn audit(&self, id: &str, message: &str) -> Promise {
        self.input
            .audit(self.id(id), self.host, Some(self.name), message)
    }

    fn ready(&self) -> Ready {
        let release = &self.input.desired.release;
        let Some(route) = &self.role.proxy else {
            return Ready::Watch {
                deploy_timeout: release.deploy_timeout,
                readiness_delay: release.readiness_delay,
            };
        };
        let target = Value::text("--target=").and_slot(format!("created/{}", self.id("run")));
        let words = ["kamal-proxy", "deploy", &release.prefix(self.name)].map(Value::text);
        let flags = route.flags.iter().cloned();
        let command = words
            .into_iter()
            .chain([target.and_text(format!(":{}", route.port))])
            .chain(flags)
            .collect();
        let call = Call::Exec {
            container: Proxy::CONTAINER.to_owned(),
            command,
        };
        Ready::Route {
            switch: Box::new(Promise::always(self.id("route"), self.host, call)),
        }
    }

    fn spec(&self, container: &str) -> ContainerSpec {
        let release = &self.input.desired.release;
        let derived = [
            ("KAMAL_CONTAINER_NAME", container),
            ("KAMAL_VERSION", self.input.desired.version()),
        ];
        let derived = derived
            .iter()
            .filter(|(name, _)| !self.role.env.contains_key(*name));
        let derived = derived.map(|(name, text)| ((*name).to_owned(), Value::text(*text)));
        let own = self
            .role
            .env
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()));
        let mut labels = self.role.labels.clone();
        let destination = release.destination.as_deref().unwrap_or_default();
        for (name, value) in [
            ("service", &*release.service),
            ("role", self.name),
            ("destination", destination),
        ] {
            labels
                .entry(name.to_owned())
                .or_insert_with(|| Value::text(value));
        }
        let log = LogConfig {
            driver: self.role.log.driver.clone(),
            options: self.role.log.options.clone().into_iter().collect(),
        };
        ContainerSpec {
            name: container.to_owned(),
            image: self.role.image.clone(),
            hostname: Some(self.hostname(container)),
            command: self.role.command.clone(),
            env: derived.chain(own).collect(),
            labels: labels.into_iter().collect(),
            ports: Vec::new(),
            volumes: self.role.volumes.clone(),
            networks: self.role.networks.clone(),
            restart: self.role.restart.clone(),
            log,
            options: self.role.options.clone(),
        }
    }

    /// The host's name, with twelve digits behind it.
    fn hostname(&self, container: &str) -> String {
        let prefix = Role::hostname_prefix(self.host);
        format!(
            "{prefix}-{}",
            hex(
                &format!("{} {} {container}", self.input.deployment_id, self.host),
                12
            )
        )
    }
}
