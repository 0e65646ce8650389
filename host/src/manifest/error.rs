//! What can go wrong while a project is found and read. The user's files are to blame, never a plugin.

use std::{io, path::PathBuf};

use super::diagnostic::{Diagnostic, Position};

/// Why a project could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A file that must be there is not.
    #[error("Configuration file not found in {}\nhint: {help}", .directory.join(.path).display())]
    Missing {
        /// What was looked for, relative to the directory unless absolute.
        path: PathBuf,
        /// Where.
        directory: PathBuf,
        /// The cure.
        help: String,
    },
    /// The project is of a kind that this version does not deploy.
    #[error("{} is a Copilot workspace, which this version can't deploy yet\nhint: {help}", .directory.display())]
    Copilot {
        /// The workspace.
        directory: PathBuf,
        /// What to do meanwhile.
        help: String,
    },
    /// A file is there and can't be read.
    #[error("can't read {}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not UTF-8 text of a reasonable size.
    #[error("{} {problem}", .path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// `is larger than 1 MiB`, `is not UTF-8 text (line 3)`.
        problem: String,
    },
    /// The command line names something that can't be.
    #[error(
        "destination {0:?} can't be part of a file name\nhint: -d takes the NAME of config/deploy.NAME.yml"
    )]
    Destination(String),
    /// Something in a file, with its place.
    #[error("{}", in_words(.0))]
    Invalid(Box<Diagnostic>),
}

impl ManifestError {
    /// The error as a finding, for `render_diagnostic`.
    pub fn diagnostic(&self) -> Diagnostic {
        let code = match self {
            Self::Invalid(diagnostic) => return (**diagnostic).clone(),
            Self::Missing { .. } => "file-missing",
            Self::Copilot { .. } => "copilot-workspace",
            Self::Unreadable { .. } => "file-unreadable",
            Self::NotText { .. } => "file-not-text",
            Self::Destination(_) => "destination-name",
        };
        let text = self.to_string();
        match text.split_once("\nhint: ") {
            Some((message, help)) => Diagnostic::error(code, message).help(help),
            None => Diagnostic::error(code, text),
        }
    }
}

impl From<Diagnostic> for ManifestError {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Invalid(Box::new(diagnostic))
    }
}

fn in_words(diagnostic: &Diagnostic) -> String {
    let place = match &diagnostic.at {
        Some(Position {
            path, line, column, ..
        }) => format!("{path}:{line}:{column}: "),
        None => String::new(),
    };
    let help = match &diagnostic.help {
        Some(help) => format!("\nhint: {help}"),
        None => String::new(),
    };
    format!("{place}{}{help}", diagnostic.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_of_an_error_becomes_the_help_of_its_diagnostic() {
        let error = ManifestError::Destination("a/b".into());
        let diagnostic = error.diagnostic();
        assert_eq!(
            diagnostic.message,
            "destination \"a/b\" can't be part of a file name"
        );
        assert!(diagnostic.help.is_some_and(|help| help.starts_with("-d ")));
    }

    #[test]
    fn an_error_in_a_file_names_the_place() {
        let at = Position {
            path: "plimsoll.yml".into(),
            line: 3,
            column: 5,
            length: 0,
        };
        let error =
            ManifestError::from(Diagnostic::error("x", "unknown key").at(at).help("drop it"));
        assert_eq!(
            error.to_string(),
            "plimsoll.yml:3:5: unknown key\nhint: drop it"
        );
    }
}
