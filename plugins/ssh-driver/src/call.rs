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
    /// Appends a line to a file.
    #[serde(rename = "ssh.append")]
    Append {
        /// Relative to the home directory.
        path: String,
        /// Without its line end.
        line: Value,
    },
    /// Takes the deploy lock.
    #[serde(rename = "lock.acquire")]
    Acquire {
        /// Where the lock directory is made.
        host: String,
        /// The lock directory.
        path: String,
        /// Who, what, why.
        details: Value,
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
        match self {
            Self::Stop { .. }
            | Self::Remove { .. }
            | Self::RemoveImage { .. }
            | Self::PruneImages { .. } => true,
            Self::Pull { .. }
            | Self::CreateNetwork { .. }
            | Self::Run { .. }
            | Self::Start { .. }
            | Self::Rename { .. }
            | Self::Exec { .. }
            | Self::Tag { .. }
            | Self::MakeDirectory { .. }
            | Self::Append { .. }
            | Self::Acquire { .. }
            | Self::Release {}
            | Self::Hook { .. } => false,
        }
    }

    /// A host is another one afterwards: not by images, locks, log lines or hooks.
    pub fn changes_host(&self) -> bool {
        match self {
            Self::CreateNetwork { .. }
            | Self::Run { .. }
            | Self::Start { .. }
            | Self::Stop { .. }
            | Self::Rename { .. }
            | Self::Remove { .. }
            | Self::Exec { .. }
            | Self::Tag { .. }
            | Self::RemoveImage { .. }
            | Self::PruneImages { .. }
            | Self::MakeDirectory { .. } => true,
            Self::Pull { .. }
            | Self::Append { .. }
            | Self::Acquire { .. }
            | Self::Release {}
            | Self::Hook { .. } => false,
        }
    }

    fn json(&self) -> Json {
        serde_json::to_value(self)
            .expect("text, numbers, lists and maps with text keys always serialise")
    }
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
            call,
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_call_is_its_operation_and_its_arguments() {
        let text = || String::from("x");
        for (call, operation, arguments, destructive) in [
            (
                Call::Pull {
                    image: text(),
                    digest: None,
                    credentials: None,
                },
                "docker.pull",
                json!({"image": "x", "digest": null, "credentials": null}),
                false,
            ),
            (
                Call::CreateNetwork { name: text() },
                "docker.create-network",
                json!({"name": "x"}),
                false,
            ),
            (
                Call::Start { name: text() },
                "docker.start",
                json!({"name": "x"}),
                false,
            ),
            (
                Call::Stop {
                    name: text(),
                    timeout: Some(3),
                },
                "docker.stop",
                json!({"name": "x", "timeout": 3}),
                true,
            ),
            (
                Call::Rename {
                    name: text(),
                    to: text(),
                },
                "docker.rename",
                json!({"name": "x", "to": "x"}),
                false,
            ),
            (
                Call::Remove { name: text() },
                "docker.remove",
                json!({"name": "x"}),
                true,
            ),
            (
                Call::Exec {
                    container: text(),
                    command: vec![Value::text("x"), Value::slot("created/a").and_text(":80")],
                },
                "docker.exec",
                json!({"container": "x", "command": ["x", [{"slot": "created/a"}, ":80"]]}),
                false,
            ),
            (
                Call::Tag {
                    image: text(),
                    reference: text(),
                },
                "docker.tag",
                json!({"image": "x", "reference": "x"}),
                false,
            ),
            (
                Call::RemoveImage { reference: text() },
                "docker.remove-image",
                json!({"reference": "x"}),
                true,
            ),
            (
                Call::PruneImages {
                    labels: vec![(text(), text())],
                },
                "docker.prune-images",
                json!({"labels": [["x", "x"]]}),
                true,
            ),
            (
                Call::MakeDirectory { path: text() },
                "ssh.make-directory",
                json!({"path": "x"}),
                false,
            ),
            (
                Call::Append {
                    path: text(),
                    line: Value::slot("now"),
                },
                "ssh.append",
                json!({"path": "x", "line": {"slot": "now"}}),
                false,
            ),
            (
                Call::Acquire {
                    host: text(),
                    path: text(),
                    details: Value::text("x"),
                },
                "lock.acquire",
                json!({"host": "x", "path": "x", "details": "x"}),
                false,
            ),
            (Call::Release {}, "lock.release", json!({}), false),
            (
                Call::Hook {
                    name: text(),
                    env: vec![("A".into(), Value::secret("S"))],
                },
                "hook.run",
                json!({"name": "x", "env": [["A", {"secret": "S"}]]}),
                false,
            ),
        ] {
            assert_eq!(call.operation(), operation);
            assert_eq!(call.arguments(), arguments, "{operation}");
            assert_eq!(call.is_destructive(), destructive, "{operation}");
            let promise = Promise::always("id", "host", call);
            let json = serde_json::to_string(&promise).expect("serialises");
            assert_eq!(
                serde_json::from_str::<Promise>(&json).expect("parses"),
                promise,
                "{json}"
            );
        }
    }
}
