//! Copilot's command line: `svc`, `job`, and `deploy` in a Copilot workspace.
//!
//! * [`arguments`]: the flags, as Copilot's users know them.
//! * [`package`]: `svc package`, `job package` and `explain`.
//! * [`choose`]: what was not said: asked, or the only one there is.
//! * [`start`]: from what was chosen to a host that is ready.
//! * [`deploy`]: `svc deploy` and `job deploy`.
//! * [`several`]: `deploy` of several workloads.
//! * [`outcome`]: how it ended, with the addresses of what was deployed.

pub mod arguments;
pub mod choose;
pub mod deploy;
pub mod outcome;
pub mod package;
pub mod several;
pub mod start;

use std::io;
use std::process::ExitCode;

use super::arguments::Deploy as DeployArguments;
use super::environment::Environment;
use crate::manifest::copilot::Workspace;
use arguments::Workload;
use tokio::runtime::Runtime;

/// `svc …` and `job …`.
pub(super) fn workload(called: Called, kind: Kind, command: &Workload) -> ExitCode {
    match command {
        Workload::Package(arguments) => package::package(called, kind, arguments),
        Workload::Deploy(arguments) => deploy::deploy(called, kind, arguments),
    }
}

/// How a command was called.
#[derive(Clone, Copy)]
pub(super) struct Called {
    /// Makes the runtime.
    pub(super) runtime: fn() -> io::Result<Runtime>,
    /// By Copilot's name: nothing is asked that Copilot does not ask.
    pub(super) as_copilot: bool,
}

/// What of Copilot's there is, for who asks for something else.
pub(super) const OFFER: &str = "note: of Copilot's commands there are svc deploy, svc package, job deploy, job package and deploy. Applications and \
environments stay as Copilot made them.";

/// Whether `deploy` means workloads of a Copilot workspace: by its flags, then by what is in the folder.
pub(super) fn is_meant(called: Called, arguments: &DeployArguments) -> bool {
    if called.as_copilot || arguments.copilot.given() {
        return true;
    }
    if arguments.target.is_kamals() {
        return false;
    }
    let Ok(environment) = Environment::read() else {
        return false;
    };
    !environment.folder.join("config/deploy.yml").exists()
        && Workspace::root(&environment.folder).is_some()
}

/// Services and jobs have commands of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `svc`
    Service,
    /// `job`
    Job,
}

impl Kind {
    /// The command group.
    pub fn group(self) -> &'static str {
        match self {
            Self::Service => "svc",
            Self::Job => "job",
        }
    }

    /// For people.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Job => "job",
        }
    }

    /// Of a workload of this type.
    pub fn of(workload_type: &str) -> Self {
        match workload_type {
            "Scheduled Job" => Self::Job,
            _ => Self::Service,
        }
    }
}
