//! What can go wrong in the lab, in words that fit "failed to …".

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

/// Why the lab could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A program could not be started at all.
    #[error("start `{program}`: {source}")]
    Start {
        /// Name of the program as it was looked up.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program ran and failed.
    #[error("run `{command}` ({status}): {output}")]
    Command {
        /// The command line, words joined by spaces.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to stderr, or to stdout when that is empty; trimmed.
        output: String,
    },
    /// A file or folder could not be read or written.
    #[error("use {}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something that was started did not become ready.
    #[error("see {what} within {} s: {detail}", limit.as_secs())]
    NotReady {
        /// What was waited for.
        what: String,
        /// How long.
        limit: Duration,
        /// The last thing it said.
        detail: String,
    },
    /// The machine lacks something the lab can't bring itself.
    #[error("{problem}\nhint: {hint}")]
    Machine {
        /// What is wrong with this machine.
        problem: String,
        /// What its owner can do.
        hint: String,
    },
    /// An HTTP request got no whole answer.
    #[error("fetch {url}: {why}")]
    Http {
        /// What was asked for.
        url: String,
        /// What happened instead.
        why: String,
    },
    /// A step of the demonstration or of the tests did not do what it must.
    #[error("{0}")]
    Step(String),
}

impl LabError {
    /// For `map_err` on an operation on `path`.
    pub fn file(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> LabError {
        let path = path.as_ref().to_owned();
        move |source| LabError::File { path, source }
    }
}
