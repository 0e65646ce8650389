//! What a plugin may do: grants as data, and whether they cover a request. Pure: nothing here reads or calls anything.
//!
//! Grants are a ceiling, written by the user in `plimsoll.yml` or derived from the project's own manifest
//! (`derive`). The approved plan narrows them further. Every refusal carries the line of `plimsoll.yml` that would
//! have allowed it (`cover`).

use std::collections::{BTreeMap, BTreeSet};

pub mod cover;
pub mod derive;
pub mod pattern;

pub use cover::Denied;
pub use derive::{Facts, Workload};
pub use pattern::{
    ArgvPattern, HostPattern, ImagePattern, MountPattern, NamePattern, OptionPattern, PathPattern,
    PatternError,
};

/// All grants of one plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Name of the plugin in `plimsoll.yml`, for the rules that refusals name.
    pub plugin: String,
    /// Docker Engines and what is in them.
    pub docker: DockerGrants,
    /// Commands and files on hosts.
    pub ssh: SshGrants,
    /// Directories that may be deploy locks, on hosts of `ssh.hosts`.
    pub lock: Vec<PathPattern>,
    /// Hooks of the project.
    pub hook: Vec<NamePattern>,
    /// An AWS account and what is in it.
    pub aws: AwsGrants,
    /// Secrets, each with the sinks it may reach.
    pub secrets: BTreeMap<String, BTreeSet<Sink>>,
}

/// `grants.docker`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DockerGrants {
    /// Engines: `local`, or hosts.
    pub hosts: Vec<HostPattern>,
    /// Containers by name.
    pub containers: Vec<NamePattern>,
    /// Labels that tell own containers from others of a similar name: `service: app`. A container that has such a
    /// label with another value is not covered by a pattern with a wildcard (services `app` and `app-web` share the
    /// prefix `app-`).
    pub labels: Vec<(String, String)>,
    /// Images to pull, run, tag and remove.
    pub images: Vec<ImagePattern>,
    /// Networks to join and create.
    pub networks: Vec<NamePattern>,
    /// Host side of volumes.
    pub mounts: Vec<MountPattern>,
    /// Commands in containers.
    pub exec: Vec<ExecGrant>,
    /// Files to read from containers.
    pub read_files: Vec<ReadGrant>,
    /// Options of `docker run` that give a container power over its host.
    pub options: Vec<OptionPattern>,
}

/// `grants.aws`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwsGrants {
    /// Accounts by their twelve digits. Without one nothing else counts.
    pub accounts: Vec<NamePattern>,
    /// Regions.
    pub regions: Vec<NamePattern>,
    /// Stacks to change, with the services in them.
    pub stacks: Vec<NamePattern>,
    /// Stacks to look at.
    pub observed_stacks: Vec<NamePattern>,
    /// Roles that CloudFormation may be given, by ARN.
    pub roles: Vec<PathPattern>,
    /// Objects to write, and to read templates from: `bucket/key`.
    pub objects: Vec<PathPattern>,
    /// Files of the project to upload.
    pub files: Vec<PathPattern>,
    /// Log groups to read.
    pub log_groups: Vec<PathPattern>,
}

/// A command in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecGrant {
    /// Which containers.
    pub container: NamePattern,
    /// Which commands.
    pub command: ArgvPattern,
}

/// Files of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadGrant {
    /// Which containers.
    pub container: NamePattern,
    /// Which files.
    pub path: PathPattern,
}

/// `grants.ssh`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SshGrants {
    /// Hosts to connect to; `local` is this machine.
    pub hosts: Vec<HostPattern>,
    /// Commands.
    pub run: Vec<ArgvPattern>,
    /// Files and directories to write; relative ones are below the user's home.
    pub write: Vec<PathPattern>,
    /// Files and directories to read.
    pub read: Vec<PathPattern>,
    /// Docker may be installed where there is none.
    pub install_docker: bool,
}

/// Where the bytes of a secret may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sink {
    /// Environment of a container.
    ContainerEnv,
    /// Login at a registry, for a pull.
    Registry,
    /// Content of a file on a host.
    File,
    /// Standard input of a command on a host.
    Stdin,
    /// Environment of a project hook.
    Hook,
}

impl Sink {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::ContainerEnv,
        Self::Registry,
        Self::File,
        Self::Stdin,
        Self::Hook,
    ];

    /// As `plimsoll.yml` writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::ContainerEnv => "container-env",
            Self::Registry => "registry",
            Self::File => "file",
            Self::Stdin => "stdin",
            Self::Hook => "hook",
        }
    }

    /// The sink of a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sink| sink.word() == word)
    }
}

impl Grants {
    /// A plugin without any power.
    pub fn none(plugin: impl Into<String>) -> Self {
        Self {
            plugin: plugin.into(),
            ..Self::default()
        }
    }

    /// Adds what `more` grants, for the same plugin.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        let docker = &mut self.docker;
        docker.hosts.extend(more.docker.hosts);
        docker.containers.extend(more.docker.containers);
        docker.labels.extend(more.docker.labels);
        docker.images.extend(more.docker.images);
        docker.networks.extend(more.docker.networks);
        docker.mounts.extend(more.docker.mounts);
        docker.exec.extend(more.docker.exec);
        docker.read_files.extend(more.docker.read_files);
        docker.options.extend(more.docker.options);
        self.ssh.hosts.extend(more.ssh.hosts);
        self.ssh.run.extend(more.ssh.run);
        self.ssh.write.extend(more.ssh.write);
        let aws = &mut self.aws;
        aws.accounts.extend(more.aws.accounts);
        aws.regions.extend(more.aws.regions);
        aws.stacks.extend(more.aws.stacks);
        aws.observed_stacks.extend(more.aws.observed_stacks);
        aws.roles.extend(more.aws.roles);
        aws.objects.extend(more.aws.objects);
        aws.files.extend(more.aws.files);
        aws.log_groups.extend(more.aws.log_groups);
        self.ssh.read.extend(more.ssh.read);
        self.ssh.install_docker |= more.ssh.install_docker;
        self.lock.extend(more.lock);
        self.hook.extend(more.hook);
        for (name, sinks) in more.secrets {
            self.secrets.entry(name).or_default().extend(sinks);
        }
        self
    }
}
