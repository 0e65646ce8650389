//! Why a deploy did not happen, or did not finish.

use crate::capability;
use crate::report::Finding;
use crate::sandbox::SandboxError;
use crate::wire::WireError;
use crate::wit::driver::exports::plimsoll::deploy::driver::{Failure, Partial};
use crate::wit::types::CapError;

/// Why a deploy did not happen, or did not finish. Messages are for people; [`DeployError::hints`] has the cures.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// The project's files: not there, not readable, or not what was locked.
    #[error("{}", first_line(.0))]
    Project(String),
    /// Errors in the project's files; they were shown.
    #[error("{}", found(.0))]
    Findings(Vec<Finding>),
    /// A component.
    #[error("{0}")]
    Sandbox(#[from] SandboxError),
    /// A client of ours.
    #[error("failed to {doing}: {source}")]
    Wire {
        /// What for.
        doing: String,
        /// Why.
        source: WireError,
    },
    /// A capability refused or failed.
    #[error("{}", first_line(&capability::error::in_words(.0)))]
    Capability(CapError),
    /// A driver refused; nothing was changed.
    #[error("{}", first_line(.0))]
    Refused(String),
    /// Some of it was done.
    #[error("{}", first_line(&.0.message))]
    Partial(Partial),
    /// Mandatory violations; they were shown.
    #[error("stopped by {0} mandatory policy violation(s); nothing was changed")]
    Violations(usize),
    /// Somebody said no, or nobody was there.
    #[error("{0}")]
    NotApproved(String),
    /// A hook failed.
    #[error("hook {name} failed with code {code}")]
    Hook {
        /// Its name.
        name: String,
        /// Its exit code.
        code: i32,
        /// What it said.
        text: String,
    },
    /// A component's plan makes no sense.
    #[error("plugin `{plugin}` made a plan that can't be approved: {why}")]
    Plan {
        /// The driver.
        plugin: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file of facts.
    #[error("{0}")]
    Facts(String),
    /// Ctrl-C.
    #[error("interrupted{0}")]
    Interrupted(String),
}

impl DeployError {
    /// Cures, each for a line of its own.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Sandbox(error) => error.hint().into_iter().collect(),
            Self::Wire { source, .. } => source.hint().into_iter().collect(),
            Self::Capability(error) => later_lines(&capability::error::in_words(error)),
            Self::Refused(text) | Self::Project(text) => later_lines(text),
            Self::Partial(partial) => later_lines(&partial.message),
            Self::Violations(_) => {
                vec!["correct what is named above, or change the policy in plimsoll.yml".to_owned()]
            }
            Self::Hook { text, .. } if !text.trim().is_empty() => {
                vec![format!("it said:\n{}", text.trim_end())]
            }
            Self::Hook { .. }
            | Self::Findings(_)
            | Self::NotApproved(_)
            | Self::Plan { .. }
            | Self::Facts(_)
            | Self::Interrupted(_) => Vec::new(),
        }
    }

    /// What a driver says went wrong.
    pub fn from_failure(failure: Failure) -> Self {
        match failure {
            Failure::Refused(why) => Self::Refused(why),
            Failure::Partial(partial) => Self::Partial(partial),
            Failure::Capability(CapError::Cancelled) => Self::Interrupted(String::new()),
            Failure::Capability(error) => Self::Capability(error),
        }
    }
}

fn found(findings: &[Finding]) -> String {
    let count = findings.len();
    format!(
        "{count} error{} in the project's files; nothing was changed",
        if count == 1 { "" } else { "s" }
    )
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// The lines after the first, without the word that marks a hint.
fn later_lines(text: &str) -> Vec<String> {
    text.lines()
        .skip(1)
        .map(|line| line.strip_prefix("hint: ").unwrap_or(line).to_owned())
        .collect()
}
