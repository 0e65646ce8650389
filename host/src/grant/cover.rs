//! Whether grants cover a request, and if not, which line of `plimsoll.yml` would.

use std::collections::BTreeMap;

use super::{Grants, Sink, pattern::is_reference};
use crate::manifest::kamal::DockerOption;

/// A refusal. Mirrors `denial` of `wit/types.wit`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{request} is not granted ({capability})\nhint: if you want it, add to plimsoll.yml: {rule}"
)]
pub struct Denied {
    /// `docker`, `ssh`, `lock`, `hook`, `aws`, `secrets`.
    pub capability: &'static str,
    /// What was asked: `container "db"`.
    pub request: String,
    /// What would allow it: `plugins.ssh-driver.grants.docker.containers += "db"`.
    pub rule: String,
}

impl Denied {
    /// Says on which host.
    #[must_use]
    pub fn on(mut self, host: &str) -> Self {
        self.request = format!("{} on {}", self.request, quoted(host).trim_matches('"'));
        self
    }

    /// Says what was to be done: `run container "db"`.
    #[must_use]
    pub fn while_doing(mut self, verb: &str) -> Self {
        self.request = format!("{verb} {}", self.request);
        self
    }
}

type Answer = Result<(), Denied>;

mod aws;

/// Options of `docker run` that give a container nothing beyond itself. All others need a grant.
const HARMLESS: &[&str] = &[
    "add-host",
    "annotation",
    "blkio-weight",
    "cap-drop",
    "cpu-count",
    "cpu-percent",
    "cpu-period",
    "cpu-quota",
    "cpu-shares",
    "cpus",
    "cpuset-cpus",
    "cpuset-mems",
    "detach",
    "dns",
    "dns-option",
    "dns-search",
    "domainname",
    "entrypoint",
    "env",
    "expose",
    "health-cmd",
    "health-interval",
    "health-retries",
    "health-start-interval",
    "health-start-period",
    "health-timeout",
    "hostname",
    "init",
    "interactive",
    "ip",
    "ip6",
    "label",
    "log-driver",
    "log-opt",
    "mac-address",
    "memory",
    "memory-reservation",
    "memory-swap",
    "memory-swappiness",
    "name",
    "network-alias",
    "no-healthcheck",
    "pids-limit",
    "platform",
    "publish",
    "publish-all",
    "pull",
    "quiet",
    "read-only",
    "restart",
    "rm",
    "shm-size",
    "stop-signal",
    "stop-timeout",
    "tmpfs",
    "tty",
    "ulimit",
    "user",
    "workdir",
];

impl Grants {
    /// The Engine of a host.
    pub fn covers_docker_host(&self, host: &str) -> Answer {
        let any = self.docker.hosts.iter().any(|pattern| pattern.covers(host));
        self.unless(
            any,
            "docker",
            format!("Docker Engine of {}", quoted(host)),
            "docker.hosts",
            &quoted(host),
        )
    }

    /// A container by its name, for a new one or for questions.
    pub fn covers_container(&self, name: &str) -> Answer {
        let any = self
            .docker
            .containers
            .iter()
            .any(|pattern| pattern.covers(name));
        self.unless(
            any,
            "docker",
            format!("container {}", quoted(name)),
            "docker.containers",
            &quoted(name),
        )
    }

    /// A container that a rule without a wildcard names: whatever its labels are, it is meant.
    pub fn covers_container_by_name(&self, name: &str) -> bool {
        let exact = |pattern: &&super::NamePattern| !pattern.is_wild() && pattern.covers(name);
        self.docker.containers.iter().any(|pattern| exact(&pattern))
    }

    /// A container by its name and labels: one that exists, or is to be created. See `DockerGrants::labels`.
    pub fn covers_labelled_container(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Answer {
        let foreign = labels.iter().find(|(label, value)| {
            let granted = self
                .docker
                .labels
                .iter()
                .filter(|(known, _)| known == *label);
            let mut own = granted.map(|(_, own)| own).peekable();
            own.peek().is_some() && own.all(|own| own != *value)
        });
        let any = self
            .docker
            .containers
            .iter()
            .any(|pattern| pattern.covers(name) && (foreign.is_none() || !pattern.is_wild()));
        let request = match foreign {
            Some((label, value)) => {
                format!(
                    "container {} with the label {}",
                    quoted(name),
                    quoted(&format!("{label}={value}"))
                )
            }
            None => format!("container {}", quoted(name)),
        };
        self.unless(any, "docker", request, "docker.containers", &quoted(name))
    }

    /// An image to pull, run, tag or remove.
    pub fn covers_image(&self, reference: &str) -> Answer {
        let any = self
            .docker
            .images
            .iter()
            .any(|pattern| pattern.covers(reference));
        // The repository is what a rule should name: tags change with every deploy.
        let repository = reference.split('@').next().unwrap_or(reference);
        let name = repository.rfind('/').map_or(0, |slash| slash + 1);
        let tag = repository[name..]
            .find(':')
            .map_or(repository.len(), |colon| name + colon);
        let rule = match is_reference(reference) {
            true => quoted(&format!("{}:*", &repository[..tag])),
            false => quoted(reference),
        };
        self.unless(
            any,
            "docker",
            format!("image {}", quoted(reference)),
            "docker.images",
            &rule,
        )
    }

    /// A network to join or create. `host` shares the host's own network and needs a rule that names it.
    pub fn covers_network(&self, name: &str) -> Answer {
        let mut patterns = self.docker.networks.iter();
        let own = matches!(name, "host") || name.starts_with("container:");
        let any = patterns.any(|pattern| pattern.covers(name) && !(own && pattern.is_wild()));
        self.unless(
            any,
            "docker",
            format!("network {}", quoted(name)),
            "docker.networks",
            &quoted(name),
        )
    }

    /// The source of a mount: what stands before the first colon of a volume.
    pub fn covers_mount(&self, source: &str) -> Answer {
        let any = self
            .docker
            .mounts
            .iter()
            .any(|pattern| pattern.covers(source));
        self.unless(
            any,
            "docker",
            format!("mount of {}", quoted(source)),
            "docker.mounts",
            &quoted(source),
        )
    }

    /// An option of `docker run`. Volumes and networks are judged as such; `mount`, which can make volumes out of
    /// host folders, needs a grant of its own besides.
    pub fn covers_option(&self, name: &str, value: &str) -> Answer {
        let option = DockerOption {
            name: name.replace('_', "-"),
            value: value.to_owned(),
        };
        let mount = || {
            option
                .mounted()
                .map_or(Ok(()), |source| self.covers_mount(source))
        };
        match option.name.as_str() {
            "volume" | "v" => return mount(),
            "network" | "net" => return self.covers_network(value),
            _ => {}
        }
        let any = HARMLESS.contains(&option.name.as_str())
            || self
                .docker
                .options
                .iter()
                .any(|pattern| pattern.covers(name, value));
        let shown = match value {
            "true" => quoted(&option.name),
            value => quoted(&format!("{}={value}", option.name)),
        };
        self.unless(
            any,
            "docker",
            format!("option {shown}"),
            "docker.options",
            &shown,
        )?;
        mount()
    }

    /// A command in a container.
    pub fn covers_exec(&self, container: &str, command: &[&str]) -> Answer {
        let any = self
            .docker
            .exec
            .iter()
            .any(|grant| grant.container.covers(container) && grant.command.covers(command));
        let request = format!(
            "command {} in container {}",
            words(command),
            quoted(container)
        );
        let key = format!("docker.exec.{}", key(container));
        self.unless(any, "docker", request, &key, &rule_words(command))
    }

    /// A file to read from a container.
    pub fn covers_read_file(&self, container: &str, path: &str) -> Answer {
        let any = self
            .docker
            .read_files
            .iter()
            .any(|grant| grant.container.covers(container) && grant.path.covers(path));
        let request = format!("file {} of container {}", quoted(path), quoted(container));
        let key = format!("docker.read-files.{}", key(container));
        self.unless(any, "docker", request, &key, &quoted(path))
    }

    /// A host to connect to.
    pub fn covers_ssh_host(&self, host: &str) -> Answer {
        let any = self.ssh.hosts.iter().any(|pattern| pattern.covers(host));
        self.unless(
            any,
            "ssh",
            format!("connection to {}", quoted(host)),
            "ssh.hosts",
            &quoted(host),
        )
    }

    /// A command on a host.
    pub fn covers_command(&self, command: &[&str]) -> Answer {
        let any = self.ssh.run.iter().any(|pattern| pattern.covers(command));
        self.unless(
            any,
            "ssh",
            format!("command {}", words(command)),
            "ssh.run",
            &rule_words(command),
        )
    }

    /// A file or directory to write on a host.
    pub fn covers_write(&self, path: &str) -> Answer {
        let any = self.ssh.write.iter().any(|pattern| pattern.covers(path));
        self.unless(
            any,
            "ssh",
            format!("writing {}", quoted(path)),
            "ssh.write",
            &quoted(path),
        )
    }

    /// A file or directory to read on a host.
    pub fn covers_read(&self, path: &str) -> Answer {
        let any = self.ssh.read.iter().any(|pattern| pattern.covers(path));
        self.unless(
            any,
            "ssh",
            format!("reading {}", quoted(path)),
            "ssh.read",
            &quoted(path),
        )
    }

    /// To install Docker on a host.
    pub fn covers_install_docker(&self) -> Answer {
        if self.ssh.install_docker {
            return Ok(());
        }
        Err(Denied {
            capability: "ssh",
            request: "installing Docker".to_owned(),
            rule: format!(
                "plugins.{}.grants.ssh.install-docker: true",
                key(&self.plugin)
            ),
        })
    }

    /// A directory to be the deploy lock. The host is judged by [`covers_ssh_host`](Self::covers_ssh_host).
    pub fn covers_lock(&self, path: &str) -> Answer {
        let any = self.lock.iter().any(|pattern| pattern.covers(path));
        self.unless(
            any,
            "lock",
            format!("lock {}", quoted(path)),
            "lock",
            &quoted(path),
        )
    }

    /// A hook of the project.
    pub fn covers_hook(&self, name: &str) -> Answer {
        let any = self.hook.iter().any(|pattern| pattern.covers(name));
        self.unless(
            any,
            "hook",
            format!("hook {}", quoted(name)),
            "hook",
            &quoted(name),
        )
    }

    /// A secret on its way to a sink.
    pub fn covers_secret(&self, name: &str, sink: Sink) -> Answer {
        let any = self
            .secrets
            .get(name)
            .is_some_and(|sinks| sinks.contains(&sink));
        let request = format!("secret {} in {}", quoted(name), sink.word());
        let key = format!("secrets.{}", key(name));
        self.unless(any, "secrets", request, &key, &quoted(sink.word()))
    }

    /// The fingerprint of a secret: of any that may reach a sink.
    pub fn covers_fingerprint(&self, name: &str) -> Answer {
        let any = self
            .secrets
            .get(name)
            .is_some_and(|sinks| !sinks.is_empty());
        let key = format!("secrets.{}", key(name));
        let sink = quoted(Sink::ContainerEnv.word());
        self.unless(
            any,
            "secrets",
            format!("fingerprint of secret {}", quoted(name)),
            &key,
            &sink,
        )
    }

    fn unless(
        &self,
        covered: bool,
        capability: &'static str,
        request: String,
        at: &str,
        add: &str,
    ) -> Answer {
        if covered {
            return Ok(());
        }
        let rule = format!("plugins.{}.grants.{at} += {add}", key(&self.plugin));
        Err(Denied {
            capability,
            request,
            rule,
        })
    }
}

/// A text in quotes, with everything unusual escaped, at most 200 characters of it: it came from a component.
fn quoted(text: &str) -> String {
    const LONGEST: usize = 200;
    let shown: String = text.chars().take(LONGEST).collect();
    let cut = if shown.len() < text.len() { "…" } else { "" };
    let mut result = String::from("\"");
    for c in shown.chars() {
        match c {
            '"' | '\\' => result.extend(['\\', c]),
            '\n' => result.push_str("\\n"),
            '\t' => result.push_str("\\t"),
            c if c.is_ascii_graphic() || c == ' ' || c.is_alphanumeric() => result.push(c),
            c if u32::from(c) <= 0xffff => result.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => result.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    result.push_str(cut);
    result.push('"');
    result
}

/// A key of a path of keys: in quotes where it is not a plain word.
fn key(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    match !name.is_empty() && name.chars().all(plain) {
        true => name.to_owned(),
        false => quoted(name),
    }
}

fn words(command: &[&str]) -> String {
    let words: Vec<String> = command.iter().map(|word| quoted(word)).collect();
    format!("[{}]", words.join(", "))
}

/// The pattern of a command: a line where its words are plain, else a list. A `*` in a word can only be covered by a
/// wildcard.
fn rule_words(command: &[&str]) -> String {
    let pattern: Vec<String> = command
        .iter()
        .map(|word| match word.find('*') {
            Some(star) => word[..=star].to_owned(),
            None => (*word).to_owned(),
        })
        .collect();
    let line = |c: char| {
        c.is_alphanumeric()
            || matches!(
                c,
                '-' | '_' | '.' | '/' | ':' | '=' | ',' | '@' | '+' | '%' | '*'
            )
    };
    let plain = |word: &String| !word.is_empty() && word.chars().all(line);
    match pattern.iter().all(plain) {
        true => quoted(&pattern.join(" ")),
        false => words(&pattern.iter().map(String::as_str).collect::<Vec<_>>()),
    }
}

#[cfg(test)]
mod tests;
