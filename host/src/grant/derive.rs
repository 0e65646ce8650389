//! Grants of a project without its own: what its manifest names, and what Kamal leaves on servers. Nothing else.
//!
//! Names on servers: Kamal 2.12, `lib/kamal/configuration/*.rb`, `lib/kamal/commands/*.rb`.

use super::{
    ArgvPattern, DockerGrants, ExecGrant, Grants, HostPattern, ImagePattern, MountPattern,
    NamePattern, OptionPattern, PathPattern, ReadGrant, Sink, SshGrants,
};
use crate::manifest::kamal::{DockerOption, Envelope, Use};

mod workload;

pub use workload::Workload;

/// What the project has besides its manifest.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// Names of the hooks that exist.
    pub hooks: &'a [String],
    /// Names of all secrets in the secrets files: hooks get them all.
    pub secrets: &'a [String],
}

/// Where kamal-proxy keeps its routes, in its container.
const PROXY_STATE: &str = "/home/kamal-proxy/.config/kamal-proxy/kamal-proxy.state";

impl Grants {
    /// What a Kamal project's own driver may do.
    pub fn from_envelope(plugin: &str, envelope: &Envelope, facts: Facts<'_>) -> Self {
        let mut grants = Self::none(plugin);
        let hosts: Vec<HostPattern> = envelope
            .hosts
            .iter()
            .map(|host| HostPattern::exact(host))
            .collect();
        grants.docker = docker(envelope);
        grants.docker.hosts.clone_from(&hosts);
        grants.ssh = SshGrants {
            hosts,
            run: commands(envelope),
            write: writable(envelope),
            read: readable(envelope),
            install_docker: true,
        };
        if !envelope.service.is_empty() {
            let lock = format!(".kamal/lock-{}", envelope.service_and_destination());
            grants.lock.extend(PathPattern::exact(&lock));
        }
        grants.hook = facts.hooks.iter().map(NamePattern::exact).collect();
        grants.grant_secrets(envelope, facts);
        grants
    }

    fn grant_secrets(&mut self, envelope: &Envelope, facts: Facts<'_>) {
        for used in &envelope.secrets {
            let sink = match used.used {
                Use::ContainerEnv(_) => Sink::ContainerEnv,
                Use::Registry => Sink::Registry,
                Use::Certificate => Sink::File,
                // The host's own: they never reach a driver's calls.
                Use::SshKey | Use::Build => continue,
            };
            self.secrets
                .entry(used.name.clone())
                .or_default()
                .insert(sink);
        }
        if !facts.hooks.is_empty() {
            for name in facts.secrets {
                self.secrets
                    .entry(name.clone())
                    .or_default()
                    .insert(Sink::Hook);
            }
        }
    }
}

fn docker(envelope: &Envelope) -> DockerGrants {
    let mut docker = DockerGrants::default();
    let proxy = NamePattern::exact("kamal-proxy");
    if !envelope.service.is_empty() {
        docker
            .containers
            .push(NamePattern::prefix(format!("{}-", envelope.service)));
        docker
            .labels
            .push(("service".to_owned(), envelope.service.clone()));
    }
    docker.containers.push(proxy.clone());
    docker.containers.extend(
        envelope
            .accessories
            .iter()
            .map(|a| NamePattern::exact(&a.container)),
    );

    let own = envelope.repository();
    docker
        .images
        .extend(own.as_deref().and_then(ImagePattern::repository));
    docker.images.extend(
        envelope
            .proxy_images
            .iter()
            .filter_map(|image| ImagePattern::repository(image)),
    );
    let accessories = envelope
        .accessories
        .iter()
        .filter_map(|accessory| accessory.reference());
    docker
        .images
        .extend(accessories.filter_map(|reference| ImagePattern::exact(&reference)));

    docker.networks.push(NamePattern::exact("kamal"));
    docker.networks.extend(
        envelope
            .accessories
            .iter()
            .filter_map(|a| a.network.as_ref())
            .map(NamePattern::exact),
    );

    docker.mounts.push(MountPattern::Volume(NamePattern::exact(
        "kamal-proxy-config",
    )));
    docker
        .mounts
        .extend(folders(envelope).into_iter().map(MountPattern::Path));
    let volumes = envelope
        .accessories
        .iter()
        .flat_map(|accessory| &accessory.volumes);
    let volumes = envelope.volumes.iter().chain(volumes);
    docker
        .mounts
        .extend(volumes.filter_map(|source| MountPattern::exact(&braced(source))));

    for option in options(envelope) {
        match option.name.as_str() {
            "network" | "net" => docker.networks.push(NamePattern::exact(&option.value)),
            _ => docker
                .mounts
                .extend(option.mounted().and_then(MountPattern::exact)),
        }
        docker
            .options
            .push(OptionPattern::exact(&option.name, &option.value));
    }

    for command in ["kamal-proxy **", "chown kamal-proxy **"] {
        docker.exec.push(ExecGrant {
            container: proxy.clone(),
            command: ArgvPattern::parse(command).expect("it is a command pattern"),
        });
    }
    // The application's own: what runs in them is its business, as it is when they are started.
    let own = docker.containers.iter().filter(|name| **name != proxy);
    docker.exec.extend(own.map(|container| ExecGrant {
        container: container.clone(),
        command: ArgvPattern::any(),
    }));
    docker.read_files.push(ReadGrant {
        container: proxy,
        path: PathPattern::exact(PROXY_STATE).expect("it is a plain path"),
    });
    docker
}

/// `$NAME/x` as the host writes it: `${NAME}/x`. What it holds is the host's; that it may be mounted is the manifest's.
fn braced(source: &str) -> String {
    let name = source.strip_prefix('$').unwrap_or_default();
    let end = name
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(name.len());
    let (name, rest) = name.split_at(end);
    match name {
        "" | "HOME" | "PWD" => source.to_owned(),
        name => format!("${{{name}}}{rest}"),
    }
}

/// All options that the manifest gives to containers.
fn options(envelope: &Envelope) -> impl Iterator<Item = &DockerOption> {
    let roles = envelope.roles.iter().flat_map(|role| &role.options);
    let accessories = envelope
        .accessories
        .iter()
        .flat_map(|accessory| &accessory.options);
    roles.chain(accessories).chain(&envelope.proxy_options)
}

/// What Kamal leaves to the servers' shells, as the driver and the host run it.
fn commands(envelope: &Envelope) -> Vec<ArgvPattern> {
    let commands = envelope.commands.iter();
    commands
        .map(|command| ArgvPattern::exact(&["sh", "-c", command]))
        .collect()
}

/// Folders in the home directory that are Kamal's or an accessory's own, and directories that are made outside of them.
fn writable(envelope: &Envelope) -> Vec<PathPattern> {
    let accessories = envelope.accessories.iter();
    let directories = accessories.flat_map(|accessory| &accessory.directories);
    let directories = directories.filter_map(|path| PathPattern::exact(path));
    folders(envelope).into_iter().chain(directories).collect()
}

/// What is looked at: the audit log, names of the applications on a host, the old way of configuring the proxy. Not the
/// files with environments, which Kamal leaves beside them.
fn readable(envelope: &Envelope) -> Vec<PathPattern> {
    let audit = (!envelope.service.is_empty())
        .then(|| format!(".kamal/{}-audit.log", envelope.service_and_destination()));
    let proxy = ["options", "image", "image_version", "run_command"];
    let proxy = proxy.map(|file| format!(".kamal/proxy/{file}"));
    let all = audit
        .into_iter()
        .chain([".kamal/apps".to_owned()])
        .chain(proxy);
    all.filter_map(|path| PathPattern::exact(&path)).collect()
}

/// Folders in the home directory that are Kamal's or an accessory's own.
fn folders(envelope: &Envelope) -> Vec<PathPattern> {
    let own = envelope
        .accessories
        .iter()
        .map(|accessory| accessory.container.as_str());
    let folders = std::iter::once(".kamal").chain(own.filter(|name| !name.contains('/')));
    folders.filter_map(PathPattern::below).collect()
}

#[cfg(test)]
mod tests;
