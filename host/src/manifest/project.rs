//! A project, found and read.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    diagnostic::{Diagnostic, Position, render_diagnostic},
    kamal::Envelope,
    origin::Origins,
};
use crate::secret::{RunCommand, Secret, SecretFile, SecretStore};

/// What kind of manifest a project has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// `config/deploy.yml`
    Kamal,
    /// `copilot/WORKLOAD/manifest.yml`
    Copilot,
}

/// A manifest file.
#[derive(Clone, Debug)]
pub struct ManifestFile {
    /// Relative to the project where it is inside: `config/deploy.yml`.
    pub path: String,
    /// As it is on disk.
    pub source: String,
    /// With its template resolved. It may hold what commands and variables answered.
    pub text: String,
    pub(super) origins: Origins,
}

/// A hook of the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// File name: `pre-deploy`.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// A hook that is there and not executable fails when its moment comes.
    pub executable: bool,
}

/// The user's own `plimsoll.yml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigurationFile {
    /// Relative to the project.
    pub path: String,
    /// As it is on disk.
    pub text: String,
}

/// Everything of a project that the host reads before anything else happens.
#[derive(Clone)]
pub struct Project {
    /// Where the tool was started; relative paths begin here.
    pub root: PathBuf,
    /// What kind of manifest it has.
    pub flavour: Flavour,
    /// `-d`.
    pub destination: Option<String>,
    /// The manifest, then its overlay.
    pub files: Vec<ManifestFile>,
    /// The facts that powers are derived from.
    pub envelope: Envelope,
    /// Hooks, sorted by name.
    pub hooks: Vec<Hook>,
    /// Secrets files that exist, in the order of reading.
    pub secret_files: Vec<SecretFile>,
    /// `plimsoll.yml`, when there is one.
    pub configuration: Option<ConfigurationFile>,
    /// Commands that it allows.
    pub allowed_commands: Vec<String>,
    /// The process environment with `KAMAL_DESTINATION` and what the template loaded (`Dotenv.load`). Hooks and
    /// commands of secrets files run in it.
    pub environment: BTreeMap<String, String>,
    /// Answers of commands in templates that became registry passwords, by command line: to be hidden like secrets.
    /// Other answers are not: a version from `git rev-parse HEAD` is in every name on a server.
    pub command_outputs: Vec<(String, Secret)>,
}

impl Project {
    /// The secrets. `run` gets command lines of secrets files when the first secret is needed.
    pub fn secrets(&self, run: RunCommand) -> SecretStore {
        SecretStore::new(
            self.secret_files.clone(),
            self.envelope.secret_paths(),
            self.environment.clone(),
            run,
        )
    }

    /// What the manifest itself holds that must not be shown, with the names to show instead.
    pub fn hidden(&self) -> Vec<(String, Secret)> {
        let passwords = self.envelope.passwords();
        let passwords = passwords.map(|secret| ("registry password".to_owned(), secret.clone()));
        self.command_outputs
            .iter()
            .cloned()
            .chain(passwords)
            .collect()
    }

    /// Text of a file of the project as its author wrote it, by its path in positions.
    pub fn source(&self, path: &str) -> Option<&str> {
        let configuration = self.configuration.as_ref();
        let configuration = configuration.filter(|file| file.path == path);
        let manifest = self.files.iter().find(|file| file.path == path);
        manifest
            .map(|file| file.source.as_str())
            .or(configuration.map(|file| file.text.as_str()))
    }

    /// The place in the author's text of a place in the resolved text, which is what components talk about.
    pub fn locate(&self, at: &Position) -> Position {
        match self.files.iter().find(|file| file.path == at.path) {
            Some(file) => file.origins.trace(at, &file.text, &file.source),
            None => at.clone(),
        }
    }

    /// Shows a finding of a component about the resolved text, in the author's text.
    pub fn show(&self, diagnostic: &Diagnostic) -> String {
        let located = Diagnostic {
            at: diagnostic.at.as_ref().map(|at| self.locate(at)),
            ..diagnostic.clone()
        };
        render_diagnostic(&located, |path| self.source(path))
    }

    /// A path of the project.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projects_and_secrets_can_be_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Project>();
        shared::<SecretStore>();
    }
}
