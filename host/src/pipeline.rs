//! The stages of a deploy, each a file, and the straight path through them in [`deploy`]. What takes another path:
//! [`several`] (`deploy` of several workloads), [`images`] (`build …`), [`registry`], [`servers`] (`server exec`), [`terminal`] (`-i`, `logs -f`) and [`package`].
//!
//! Stages know sequence and power; what documents mean is the components' to say.

pub mod approve;
pub mod bounds;
pub mod build;
pub mod check;
pub mod compare;
pub mod copilot;
pub mod deploy;
pub mod drive;
pub mod error;
pub mod facts;
pub mod images;
pub mod observe;
pub mod package;
pub mod recovery;
pub mod registry;
pub mod render;
pub mod servers;
pub mod several;
pub mod show;
pub mod terminal;
pub mod version;

use std::path::PathBuf;
use std::sync::Arc;

use crate::capability::{Run, Session, Stage};
use crate::interrupt::Interrupt;
use crate::manifest::Project;
use crate::plugin::{Plugin, Plugins};
use crate::report::{Event, Reporter};
use crate::sandbox::{Loaded, Sandbox};
use crate::wit::types::Context;
use recovery::Again;

pub use error::DeployError;

/// What every stage is handed.
pub struct Host {
    /// Runs components.
    pub sandbox: Sandbox,
    /// Holds what this run holds.
    pub run: Arc<Run>,
    /// Shows what happens.
    pub reporter: Arc<Reporter>,
    /// Ctrl-C.
    pub interrupt: Interrupt,
    /// The user's files.
    pub project: Project,
    /// The components.
    pub plugins: Plugins,
    /// What was gathered of a Copilot workload; none in a project that is Kamal's.
    pub copilot: Option<copilot::Target>,
}

/// How far a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Render and print the documents.
    Config,
    /// Everything up to approval.
    Plan,
    /// Everything.
    Deploy,
}

/// What the user asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// How far to go.
    pub goal: Goal,
    /// Twelve hexadecimal digits.
    pub deployment_id: String,
    /// What renderer and driver are told of it: `command`, and the options that mean something to the target.
    pub asked: serde_json::Value,
    /// `--version`, or the `VERSION` variable.
    pub version: Option<String>,
    /// `--destination`.
    pub destination: Option<String>,
    /// Show the plan before it is carried out.
    pub shows_plan: bool,
    /// Approve without asking.
    pub yes: bool,
    /// `--diff`: the difference alone is shown, and Copilot's question asked.
    pub diff: bool,
    /// The image exists already.
    pub skip_push: bool,
    /// No hook runs.
    pub skip_hooks: bool,
    /// Build without the cache.
    pub no_cache: bool,
    /// `--hosts` patterns.
    pub hosts: Vec<String>,
    /// `--roles` patterns.
    pub roles: Vec<String>,
    /// `--primary`.
    pub primary: bool,
    /// A recorded observation instead of the servers.
    pub facts: Option<PathBuf>,
    /// Where to record the observation.
    pub save_facts: Option<PathBuf>,
    /// How the command line is repeated, for lines that undo this run or go on with it.
    pub again: Again,
}

impl Request {
    /// What is asked for, in Kamal's words: `deploy`, `app stop`.
    pub fn command(&self) -> &str {
        self.asked["command"].as_str().unwrap_or("deploy")
    }
}

impl Host {
    /// A plugin, ready to be called, with powers for one call.
    ///
    /// # Errors
    /// When it asks for more than it may have.
    pub fn ready(
        &self,
        plugin: &Plugin,
        stage: Stage,
    ) -> Result<(Loaded, Arc<Session>), DeployError> {
        let loaded = plugin.link(&self.sandbox)?;
        Ok((
            loaded,
            Session::new(
                self.run.clone(),
                &plugin.name,
                &plugin.sha256,
                plugin.grants.clone(),
                stage,
            ),
        ))
    }

    /// The context of a call: the run's, with the plugin's own settings.
    pub fn context(&self, context: &Context, plugin: &Plugin) -> Context {
        Context {
            settings: plugin.settings.clone(),
            ..context.clone()
        }
    }

    /// Reads the project's secrets. Their files may run commands: done here, where waiting is allowed, and before
    /// anything has to be redacted.
    async fn read_secrets(&self) -> Result<(), DeployError> {
        let run = self.run.clone();
        let reading = tokio::task::spawn_blocking(move || {
            run.redactor();
        });
        let read = reading.await;
        read.map_err(|crash| DeployError::Project(format!("the secrets can't be read: {crash}")))
    }

    /// Says that a stage begins.
    pub fn stage(&self, name: &'static str, text: impl Into<String>) {
        self.reporter.emit(&Event::Stage {
            name,
            text: text.into(),
        });
    }
}
