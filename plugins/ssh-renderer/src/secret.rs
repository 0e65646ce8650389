//! Secrets by name, checked against those the project has.

use crate::config::Config;
use crate::diagnostic::{Findings, Mark};

/// The names that are known, and the file that should hold the others.
#[derive(Debug)]
pub struct Secrets<'a> {
    known: Option<&'a [String]>,
    path: String,
    file: String,
}

impl<'a> Secrets<'a> {
    /// With the names the project has, if the host told.
    pub fn new(config: &Config, known: Option<&'a [String]>) -> Self {
        let path = config
            .text("secrets_path")
            .unwrap_or(".kamal/secrets".to_owned());
        let file = match &config.destination {
            Some(destination) => format!("{path}.{destination}"),
            None => path.clone(),
        };
        Self { known, path, file }
    }

    /// Reports a name that the project lacks.
    pub fn check(&self, name: &str, at: Option<Mark>, findings: &mut Findings) {
        let Some(known) = self
            .known
            .filter(|known| known.iter().all(|known| known != name))
        else {
            return;
        };
        let Self { path, file, .. } = self;
        let message = match known {
            [] => format!(
                "Secret '{name}' not found, no secret files ({path}-common, {file}) provided"
            ),
            _ => format!("Secret '{name}' not found in {file}"),
        };
        findings
            .error("missing-secret", message, at)
            .help(format!("add a line `{name}=…` to {file}"));
    }
}
