//! Why a deploy did not happen, or did not finish.

use super::recovery::Recovery;
use super::several::Failed;
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
    #[error("{}", message(.0))]
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
    /// AWS.
    #[error("failed to {0}")]
    Aws(WireError),
    /// What is to be deployed was never built.
    #[error("failed to find image {reference}: it is not in {place}")]
    NoImage {
        /// The image.
        reference: String,
        /// Where it should be.
        place: String,
    },
    /// A capability refused or failed.
    #[error("{}", message(&capability::error::in_words(.0)))]
    Capability(CapError),
    /// A driver refused; nothing was changed.
    #[error("{}", message(.0))]
    Refused(String),
    /// Some of it was done.
    #[error("{}", message(&.0.message))]
    Partial(Partial, Box<Recovery>),
    /// Mandatory violations; they were shown.
    #[error("stopped by {0} mandatory policy violation(s); nothing was changed")]
    Violations(usize),
    /// Somebody said no, or nobody was there.
    #[error("{0}")]
    NotApproved(String),
    /// Somebody looked at the difference and said no: nothing failed.
    #[error("not continued; nothing was changed")]
    Declined,
    /// A hook failed.
    #[error("{}", message(&format!("Hook `{name}` failed: exit status {code}\n{text}")))]
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
    /// A renderer wants the host to do what the manifest does not say.
    #[error("plugin `{plugin}` is refused: it wants the host to {why}")]
    Overreach {
        /// The renderer.
        plugin: String,
        /// What it wants.
        why: String,
    },
    /// A file of facts.
    #[error("{0}")]
    Facts(String),
    /// Ctrl-C.
    #[error("interrupted{0}")]
    Interrupted(String),
    /// Some of several workloads.
    #[error("{}", several(.0))]
    Several(Box<Failed>),
}

impl DeployError {
    /// Cures, each for a line of its own.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Sandbox(error) => error.hint().into_iter().collect(),
            Self::Wire { source, .. } | Self::Aws(source) => source.hint().into_iter().collect(),
            Self::Capability(error) => hints_in(&capability::error::in_words(error)),
            Self::Refused(text) | Self::Project(text) => hints_in(text),
            Self::Partial(partial, _) => hints_in(&partial.message),
            Self::Violations(_) => {
                vec!["correct what is named above, or change the policy in plimsoll.yml".to_owned()]
            }
            Self::NoImage { .. } => vec![
                "deploy without -P to build it, or name a version that is there with --version"
                    .to_owned(),
            ],
            Self::Overreach { plugin, .. } => vec![format!(
                "the fault is the plugin's: a renderer may only ask for what the manifest says; report it to the author of `{plugin}`"
            )],
            Self::Several(failed) => {
                let errors = failed.errors.iter();
                let mut hints: Vec<String> = Vec::new();
                for hint in errors.flat_map(|(_, error)| error.hints()) {
                    if !hints.contains(&hint) {
                        hints.push(hint);
                    }
                }
                let next = failed.next.as_ref();
                hints.extend(next.map(|command| format!("then go on with `{command}`")));
                hints
            }
            Self::Hook { .. }
            | Self::Findings(_)
            | Self::NotApproved(_)
            | Self::Declined
            | Self::Plan { .. }
            | Self::Facts(_)
            | Self::Interrupted(_) => Vec::new(),
        }
    }

    /// It is Ctrl-C that ended it.
    pub fn is_interruption(&self) -> bool {
        if let Self::Several(failed) = self {
            return failed
                .errors
                .iter()
                .all(|(_, error)| error.is_interruption());
        }
        matches!(self, Self::Interrupted(_))
    }

    /// What a driver says went wrong.
    pub fn from_failure(failure: Failure) -> Self {
        match failure {
            Failure::Refused(why) => Self::Refused(why),
            Failure::Partial(partial) => Self::Partial(partial, Box::default()),
            Failure::Capability(CapError::Cancelled) => Self::Interrupted(String::new()),
            Failure::Capability(error) => Self::Capability(error),
        }
    }
}

/// One after the other, and what became of the rest.
fn several(failed: &Failed) -> String {
    let errors = failed.errors.iter();
    let mut text: String = errors
        .map(|(name, error)| format!("{name}: {error}\n"))
        .collect();
    text.push_str(&failed.rest);
    text
}

fn found(findings: &[Finding]) -> String {
    let count = findings.len();
    format!(
        "{count} error{} in the project's files; nothing was changed",
        if count == 1 { "" } else { "s" }
    )
}

const HINT: &str = "hint: ";

/// What is no hint.
fn message(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with(HINT))
        .collect();
    lines.join("\n").trim_end().to_owned()
}

/// Without the word that marks them. Two hosts may have the same one.
fn hints_in(text: &str) -> Vec<String> {
    let mut hints: Vec<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix(HINT))
        .map(str::to_owned)
        .collect();
    hints.dedup();
    hints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hints_are_hints_and_no_line_is_lost() {
        let error = DeployError::Refused(
            "a failed\nhint: look at a\nb failed\nit said so\nhint: look at b".to_owned(),
        );
        assert_eq!(error.to_string(), "a failed\nb failed\nit said so");
        assert_eq!(error.hints(), ["look at a", "look at b"]);
    }
}
