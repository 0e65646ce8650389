//! The calls that change the world. `plan` promises them, `apply` makes them, and both read the same value: what
//! was approved and what is done can't drift apart.

use release::{Credentials, Value};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// One mutating call, as the host knows it: its JSON is the operation (`docker.run`) and the arguments, keyed as in
/// the WIT.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "operation",
    content = "arguments",
    rename_all_fields = "kebab-case"
)]
pub enum Call {
    /// Pulls an image.
    #[serde(rename = "docker.pull")]
    Pull {
        /// `registry.example.com/team/app:VERSION`.
        image: String,
        /// What it must turn out to be, usually the slot `image/NAME`.
        digest: Option<Value>,
        /// Sent with this pull and stored nowhere.
        credentials: Option<Credentials>,
    },
    /// Makes a network.
    #[serde(rename = "docker.create-network")]
    CreateNetwork {
        /// Its name.
        name: String,
    },
    /// Creates and starts a container.
    #[serde(rename = "docker.run")]
    Run {
        /// The container.
        spec: ContainerSpec,
    },
    /// Creates and starts a container like another.
    #[serde(rename = "docker.run-like")]
    RunLike {
        /// The other one.
        existing: String,
        /// The new one.
        name: String,
    },
    /// Runs a container to its end.
    #[serde(rename = "docker.run-once")]
    RunOnce {
        /// The container.
        spec: ContainerSpec,
    },
    /// Copies a directory out of an image.
    #[serde(rename = "docker.extract")]
    Extract {
        /// The image.
        image: String,
        /// Directory in it.
        path: String,
        /// Name of a container made for this.
        container: String,
        /// Where to.
        directory: String,
    },
    /// Starts a container that is there.
    #[serde(rename = "docker.start")]
    Start {
        /// Container.
        name: String,
    },
    /// Stops a container.
    #[serde(rename = "docker.stop")]
    Stop {
        /// Container.
        name: String,
        /// Seconds until it is killed; `None` is Docker's own.
        timeout: Option<u32>,
    },
    /// Renames a container.
    #[serde(rename = "docker.rename")]
    Rename {
        /// Old name.
        name: String,
        /// New name.
        to: String,
    },
    /// Removes a container that does not run.
    #[serde(rename = "docker.remove")]
    Remove {
        /// Container.
        name: String,
    },
    /// Runs a command in a container.
    #[serde(rename = "docker.exec")]
    Exec {
        /// Container.
        container: String,
        /// As whom; `None` is the container's own user.
        user: Option<String>,
        /// The command, word by word.
        command: Vec<Value>,
    },
    /// Gives an image one more name.
    #[serde(rename = "docker.tag")]
    Tag {
        /// The image.
        image: String,
        /// The name.
        reference: String,
    },
    /// Takes a name from an image, and the image away with its last name.
    #[serde(rename = "docker.remove-image")]
    RemoveImage {
        /// The name.
        reference: String,
    },
    /// Removes dangling images.
    #[serde(rename = "docker.prune-images")]
    PruneImages {
        /// All of these must be on the image.
        labels: Vec<(String, String)>,
    },
    /// Makes a directory and its parents.
    #[serde(rename = "ssh.make-directory")]
    MakeDirectory {
        /// Relative to the home directory.
        path: String,
    },
    /// Appends lines to a file.
    #[serde(rename = "ssh.append")]
    Append {
        /// Relative to the home directory.
        path: String,
        /// Without their line ends.
        lines: Vec<Value>,
    },
    /// Writes a file.
    #[serde(rename = "ssh.put")]
    Put {
        /// Relative to the home directory.
        path: String,
        /// As in `chmod`: 0o600.
        mode: u32,
        /// What is in it.
        content: Value,
    },
    /// Changes who may use a file or directory.
    #[serde(rename = "ssh.set-access")]
    Own {
        /// Relative to the home directory.
        path: String,
        /// As `chmod` takes it.
        mode: Option<String>,
        /// As `chown` takes it.
        owner: Option<String>,
    },
    /// Removes a file, or a directory with all that is in it.
    #[serde(rename = "ssh.remove")]
    RemovePath {
        /// Relative to the home directory.
        path: String,
    },
    /// Removes all of a directory's entries with a prefix but one.
    #[serde(rename = "ssh.keep-only")]
    KeepOnly {
        /// Relative to the home directory.
        directory: String,
        /// How their names begin.
        prefix: String,
        /// The one.
        keep: String,
    },
    /// Copies what a directory lacks from another.
    #[serde(rename = "ssh.merge")]
    Merge {
        /// Where from.
        source: String,
        /// Where to.
        target: String,
    },
    /// Installs Docker where there is none.
    #[serde(rename = "ssh.install-docker")]
    InstallDocker {},
    /// Takes the deploy lock.
    #[serde(rename = "lock.acquire")]
    Acquire {
        /// Where the lock directory is made.
        host: String,
        /// The lock directory.
        path: String,
        /// Who, what, why.
        details: Value,
        /// How long to wait for somebody else's.
        wait: Option<Patience>,
    },
    /// Takes the deploy lock for a person.
    #[serde(rename = "lock.leave")]
    Leave {
        /// Where the lock directory is made.
        host: String,
        /// The lock directory.
        path: String,
        /// Who, what, why.
        details: Value,
    },
    /// Removes the deploy lock, whoever has it.
    #[serde(rename = "lock.break")]
    Break {
        /// Where the lock directory is.
        host: String,
        /// The lock directory.
        path: String,
    },
    /// Gives the deploy lock back.
    #[serde(rename = "lock.release")]
    Release {},
    /// Runs a hook of the project.
    #[serde(rename = "hook.run")]
    Hook {
        /// `pre-deploy`.
        name: String,
        /// Added to the deployer's environment.
        env: Vec<(String, Value)>,
    },
}

impl Call {
    /// Interface and function: `docker.run`.
    pub fn operation(&self) -> String {
        self.json()["operation"]
            .as_str()
            .expect("every variant has its name as tag")
            .to_owned()
    }

    /// The call's own arguments in canonical form.
    pub fn arguments(&self) -> Json {
        self.json()["arguments"].take()
    }

    /// Removes or stops something.
    pub fn is_destructive(&self) -> bool {
        match self.impact() {
            Impact::Removes | Impact::Unlocks => true,
            Impact::Adds | Impact::Nothing => false,
        }
    }

    /// A host is another one afterwards: not by images, locks, log lines or hooks.
    pub fn changes_host(&self) -> bool {
        match self.impact() {
            Impact::Removes | Impact::Adds => true,
            Impact::Unlocks | Impact::Nothing => false,
        }
    }

    /// It is made over SSH, and not by the Engine.
    pub fn is_over_ssh(&self) -> bool {
        self.operation().starts_with("ssh.")
    }

    fn impact(&self) -> Impact {
        match self {
            Self::Stop { .. }
            | Self::Remove { .. }
            | Self::RemoveImage { .. }
            | Self::PruneImages { .. }
            | Self::RemovePath { .. }
            | Self::KeepOnly { .. } => Impact::Removes,
            Self::CreateNetwork { .. }
            | Self::Run { .. }
            | Self::RunLike { .. }
            | Self::RunOnce { .. }
            | Self::Extract { .. }
            | Self::Start { .. }
            | Self::Rename { .. }
            | Self::Exec { .. }
            | Self::Tag { .. }
            | Self::MakeDirectory { .. }
            | Self::Put { .. }
            | Self::Own { .. }
            | Self::Merge { .. }
            | Self::InstallDocker {} => Impact::Adds,
            Self::Break { .. } => Impact::Unlocks,
            Self::Pull { .. }
            | Self::Append { .. }
            | Self::Acquire { .. }
            | Self::Leave { .. }
            | Self::Release {}
            | Self::Hook { .. } => Impact::Nothing,
        }
    }

    fn json(&self) -> Json {
        serde_json::to_value(self)
            .expect("text, numbers, lists and maps with text keys always serialise")
    }
}

/// What a call leaves of a host's state.
#[derive(Clone, Copy)]
enum Impact {
    /// Something is gone, or has stopped.
    Removes,
    /// Something is there, runs, or is called otherwise.
    Adds,
    /// Somebody's lock is gone.
    Unlocks,
    /// Images, the deploy's own lock, log lines and hooks: nothing that a deploy is about.
    Nothing,
}

/// How long to wait for a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patience {
    /// Seconds in all.
    pub timeout: u32,
    /// Seconds between two attempts.
    pub interval: u32,
}

/// A container to create.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ContainerSpec {
    /// Name.
    pub name: String,
    /// Image reference.
    pub image: String,
    /// Host name inside the container.
    pub hostname: Option<String>,
    /// `None` runs the image's own command.
    pub command: Option<Vec<Value>>,
    /// Environment.
    pub env: Vec<(String, Value)>,
    /// Labels.
    pub labels: Vec<(String, Value)>,
    /// Published ports.
    pub ports: Vec<PublishedPort>,
    /// `SOURCE:TARGET[:OPTIONS]`.
    pub volumes: Vec<Value>,
    /// Networks, the first joined at creation.
    pub networks: Vec<String>,
    /// Restart policy.
    pub restart: String,
    /// Logging.
    pub log: LogConfig,
    /// Other `docker run` options by long name.
    pub options: Vec<(String, Value)>,
}

/// A published port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PublishedPort {
    /// Address to bind; `None` is all.
    pub host_ip: Option<String>,
    /// Port on the host.
    pub host_port: u16,
    /// Port in the container.
    pub container_port: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
}

/// Logging of a container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LogConfig {
    /// `None` is the Engine's default driver.
    pub driver: Option<Value>,
    /// Driver options.
    pub options: Vec<(String, Value)>,
}

/// When a promised call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// When everything goes well.
    Always,
    /// Only when its step fails.
    OnFailure,
}

/// A call with the name under which it is promised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Promise {
    /// Unique in the plan: `web-1/app-web/run`.
    pub id: String,
    /// The host it happens on; for hooks, the hook's name.
    pub subject: String,
    /// When it is made.
    pub moment: Moment,
    /// That it fails, or ends with another code than 0, stops nothing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub may_fail: bool,
    /// What it says is shown to people.
    #[serde(default, skip_serializing_if = "is_false")]
    pub shown: bool,
    /// What is done.
    #[serde(flatten)]
    pub call: Call,
}

impl Promise {
    /// A call that is made when everything goes well.
    pub fn always(id: impl Into<String>, subject: &str, call: Call) -> Self {
        Self {
            id: id.into(),
            subject: subject.to_owned(),
            moment: Moment::Always,
            may_fail: false,
            shown: false,
            call,
        }
    }

    /// The same where a failure stops nothing.
    #[must_use]
    pub fn or_not(self) -> Self {
        Self {
            may_fail: true,
            ..self
        }
    }

    /// The same with its output shown to people.
    #[must_use]
    pub fn shown(self) -> Self {
        Self {
            shown: true,
            ..self
        }
    }

    /// A call that is made when its step fails.
    pub fn on_failure(id: impl Into<String>, subject: &str, call: Call) -> Self {
        Self {
            moment: Moment::OnFailure,
            ..Self::always(id, subject, call)
        }
    }

    /// Removes or stops something that is there before the deploy. What is undone on failure is the deploy's own.
    pub fn is_destructive(&self) -> bool {
        self.moment == Moment::Always && self.call.is_destructive()
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests;
