//! One role's container on one host: run beside the current one, switch, stop the current one.

use release::{Role, Value};
use sha2::{Digest, Sha256};

use crate::call::{Call, ContainerSpec, LogConfig, Promise};
use crate::facts::{Container, HostFacts};
use crate::plan::{Input, Note, Refusal, files};
use crate::request::Command;
use crate::step::{Boot, Ready, Step, Task};

/// Boots with their hosts, in boot order, and what people should know.
type Boots = (Vec<(String, Boot)>, Vec<Note>);

/// Boots of everything that differs, or of everything.
pub fn plan(input: &Input<'_>, always: bool) -> Result<Boots, Refusal> {
    let desired = input.desired;
    let mut due = Vec::new();
    let mut settled = false;
    for (group, hosts) in desired.release.boot.groups.iter().enumerate() {
        for host in hosts {
            for (name, role) in desired.roles_on(host) {
                let place = Place {
                    input,
                    host,
                    name,
                    role,
                    facts: input.facts(host)?,
                };
                if always || !place.is_in_place() {
                    due.push((group, place));
                } else {
                    settled |= name == desired.release.primary_role;
                }
            }
        }
    }
    if let Command::Rollback { version } = &input.request.command {
        due.iter()
            .try_for_each(|(_, place)| place.can_go_back(version))?;
    }
    let first_gate = due
        .iter()
        .filter(|(_, place)| place.name == desired.release.primary_role)
        .map(|(group, _)| *group)
        .min();
    let notes = due.iter().filter_map(|(_, place)| place.note());
    let notes = notes.collect();
    let boots = due.into_iter().map(|(group, place)| {
        let gatekeeper = place.name == desired.release.primary_role;
        // A later group's gatekeeper can't be waited for: groups follow each other.
        let waits = !gatekeeper && !settled && first_gate.is_some_and(|gate| gate <= group);
        (place.host.to_owned(), place.boot(group, gatekeeper, waits))
    });
    Ok((boots.collect(), notes))
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
        steps.extend(input.hook("pre-app-boot", around));
        steps.extend(group.iter().map(|(host, boot)| Step {
            id: format!("{host}/boot/{}", boot.role),
            title: format!("start {} on {host}", boot.container),
            host: Some(host.clone()),
            task: Task::Boot(Box::new(boot.clone())),
        }));
        steps.extend(input.hook("post-app-boot", around));
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

pub(super) fn hex(text: &str, digits: usize) -> String {
    let mut hex: String = Sha256::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    hex.truncate(digits);
    hex
}

/// A container of a role as it is run, with that name.
pub(super) fn spec(input: &Input<'_>, name: &str, role: &Role, container: &str) -> ContainerSpec {
    let release = &input.desired.release;
    let derived = [
        ("KAMAL_CONTAINER_NAME", input.desired.container(name)),
        ("KAMAL_VERSION", input.desired.version().to_owned()),
    ];
    let derived = derived
        .into_iter()
        .filter(|(name, _)| !role.env.contains_key(*name));
    let derived = derived.map(|(name, text)| (name.to_owned(), Value::text(text)));
    let own = role
        .env
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()));
    let mut labels = role.labels.clone();
    let destination = release.destination.as_deref().unwrap_or_default();
    for (name, value) in [
        ("service", &*release.service),
        ("role", name),
        ("destination", destination),
    ] {
        labels
            .entry(name.to_owned())
            .or_insert_with(|| Value::text(value));
    }
    let log = LogConfig {
        driver: role.log.driver.clone(),
        options: role.log.options.clone().into_iter().collect(),
    };
    let assets = files::assets_volume(input, name, role);
    ContainerSpec {
        name: container.to_owned(),
        image: role.image.clone(),
        hostname: None,
        command: role.command.clone(),
        env: derived.chain(own).collect(),
        labels: labels.into_iter().collect(),
        ports: Vec::new(),
        volumes: role.volumes.iter().cloned().chain(assets).collect(),
        networks: role.networks.clone(),
        restart: role.restart.clone(),
        log,
        options: role.options.clone(),
    }
}

/// `kamal-proxy deploy` for a role of a host, to a container's id or a slot with it.
pub(super) fn route(
    input: &Input<'_>,
    host: &str,
    id: &str,
    (name, role): (&str, &Role),
    target: Value,
) -> Option<Promise> {
    let release = &input.desired.release;
    let route = role.proxy.as_ref()?;
    let target = Value::text("--target=")
        .and(target)
        .and_text(format!(":{}", route.port));
    let pages = route.error_pages.then(|| {
        Value::text(format!(
            "--error-pages={}/error_pages/{}",
            release.proxy_directory_inside(),
            input.desired.version()
        ))
    });
    let words = ["deploy", &release.prefix(name)].map(Value::text);
    let flags = route.flags.iter().cloned().chain(pages);
    let words = words.into_iter().chain([target]).chain(flags);
    Some(input.proxy_command(host, id, words.collect()))
}

struct Place<'a> {
    input: &'a Input<'a>,
    host: &'a str,
    name: &'a str,
    role: &'a Role,
    facts: &'a HostFacts,
}

impl Place<'_> {
    fn current(&self) -> Option<&Container> {
        self.facts.current(&self.input.desired.release, self.name)
    }

    fn is_in_place(&self) -> bool {
        let wanted = self.input.desired.container(self.name);
        let current = self.current();
        current.is_some_and(|container| container.name == wanted)
            && !self.input.role_changed(self.host, self.name)
    }

    /// The container that has the new one's name.
    fn taken(&self) -> Option<&Container> {
        let name = self.input.desired.container(self.name);
        self.facts.container(&name)
    }

    fn can_go_back(&self, version: &str) -> Result<(), Refusal> {
        match self.taken() {
            Some(_) => Ok(()),
            None => Err(Refusal::NoContainer {
                version: version.to_owned(),
                container: self.input.desired.container(self.name),
                host: self.host.to_owned(),
            }),
        }
    }

    /// The kept container says itself what it ran with: the new one becomes a copy of it.
    fn restores(&self) -> bool {
        let rollback = matches!(self.input.request.command, Command::Rollback { .. });
        let says = |container: &Container| self.facts.restorable.contains(&container.name);
        rollback && self.taken().is_some_and(says)
    }

    fn note(&self) -> Option<Note> {
        let rollback = matches!(self.input.request.command, Command::Rollback { .. });
        (rollback && !self.restores()).then(|| Note {
            code: "rollback-reconfigures",
            message: format!(
                "{} on {} does not say what it ran with, so it is run with today's configuration",
                self.input.desired.container(self.name),
                self.host
            ),
            help: None,
        })
    }

    fn boot(&self, group: usize, gatekeeper: bool, waits: bool) -> Boot {
        let desired = self.input.desired;
        let version = desired.version();
        let container = desired.container(self.name);
        let timeout = desired.stop_timeout(self.role);
        let taken = self.taken();
        let renamed = taken.map(replaced_name);
        let rename = renamed.clone().map(|to| {
            let new_version = to
                .strip_prefix(&format!("{}-", desired.release.prefix(self.name)))
                .unwrap_or(&to);
            let message = format!("Renaming container {version} to {new_version}");
            [self.audit("audit-rename", &message), {
                let call = Call::Rename {
                    name: container.clone(),
                    to: to.clone(),
                };
                self.promise("rename", call)
            }]
        });
        let current = self.current().map(|current| match (taken, &renamed) {
            (Some(taken), Some(renamed)) if taken.id == current.id => renamed.clone(),
            (_, _) => current.name.clone(),
        });
        let stop = |name: &str| Call::Stop {
            name: name.to_owned(),
            timeout,
        };
        let run = match renamed.filter(|_| self.restores()) {
            Some(existing) => Call::RunLike {
                existing,
                name: container.clone(),
            },
            None => {
                let spec = spec(self.input, self.name, self.role, &container);
                Call::Run {
                    spec: ContainerSpec {
                        hostname: Some(self.hostname(&container)),
                        ..spec
                    },
                }
            }
        };
        let stop_current = current
            .as_deref()
            .map(|name| self.promise("stop", stop(name)).or_not());
        let cleanup = files::cleanup(self.input, self.host, self.name, self.role);
        // As Kamal: without an old container nothing is old.
        let cleanup = cleanup.into_iter().filter(|_| current.is_some());
        Boot {
            group,
            role: self.name.to_owned(),
            gatekeeper,
            waits,
            rename: rename.into_iter().flatten().collect(),
            start: vec![
                self.audit("audit-boot", &format!("Booted app version {version}")),
                self.promise("run", run),
            ],
            ready: self.ready(),
            settle: stop_current.into_iter().chain(cleanup).collect(),
            undo: Promise::on_failure(self.id("undo"), self.host, stop(&container)),
            current,
            container,
        }
    }

    fn promise(&self, what: &str, call: Call) -> Promise {
        Promise::always(self.id(what), self.host, call)
    }

    fn id(&self, what: &str) -> String {
        format!("{}/{}", self.host, self.id_here(what))
    }

    fn id_here(&self, what: &str) -> String {
        format!("{}/{what}", self.input.desired.release.prefix(self.name))
    }

    fn audit(&self, what: &str, message: &str) -> Promise {
        let id = self.id_here(what);
        self.input
            .audit(self.host, &id, Some(self.name), &[message])
    }

    fn ready(&self) -> Ready {
        let release = &self.input.desired.release;
        let target = Value::slot(format!("created/{}", self.id("run")));
        let role = (self.name, self.role);
        let id = self.id_here("route");
        match route(self.input, self.host, &id, role, target) {
            Some(switch) => Ready::Route {
                switch: Box::new(switch),
            },
            None => Ready::Watch {
                deploy_timeout: release.deploy_timeout,
                readiness_delay: release.readiness_delay,
            },
        }
    }

    /// The host's name, with twelve digits behind it.
    fn hostname(&self, container: &str) -> String {
        let prefix = Role::hostname_prefix(self.host);
        let seed = format!("{} {} {container}", self.input.deployment_id, self.host);
        format!("{prefix}-{}", hex(&seed, 12))
    }
}
