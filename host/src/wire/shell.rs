//! Command lines of templates and secrets files, run by the local shell as Kamal does, the programs of vaults, and the
//! program that gets the user's terminal.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::secret::vault::{Programs, Said};

/// Runs a line in a folder, with exactly these variables, for its standard output; its errors go to the user's
/// terminal, its exit status does not matter (`kamal.md` §4.2).
///
/// # Errors
/// When there is no shell.
pub fn run(
    line: &str,
    folder: &Path,
    environment: &BTreeMap<String, String>,
) -> Result<String, String> {
    let output = Command::new("/bin/sh")
        .args(["-c", line])
        .current_dir(folder)
        .env_clear()
        .envs(environment)
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("/bin/sh does not start: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Becomes another program of this machine, with this terminal. Returns only when there is no such program.
pub fn become_program(argv: &[String]) -> std::io::Error {
    use std::os::unix::process::CommandExt;
    match argv.split_first() {
        Some((program, words)) => Command::new(program).args(words).exec(),
        None => std::io::ErrorKind::InvalidInput.into(),
    }
}

/// Programs of this machine, run in a folder with exactly these variables.
pub struct Local<'a> {
    /// Where.
    pub folder: &'a Path,
    /// All of the environment.
    pub environment: &'a BTreeMap<String, String>,
}

impl Programs for Local<'_> {
    fn run(&self, argv: &[&str], variables: &[(&str, &str)], quiet: bool) -> Said {
        let Some((program, words)) = argv.split_first() else {
            return Said::default();
        };
        // The search is along the given PATH, not along our own.
        let program = self.variable("PATH").and_then(|path| {
            let candidates = path
                .split(':')
                .map(|folder| Path::new(folder).join(program));
            candidates.into_iter().find(|file| file.is_file())
        });
        let Some(program) = program else {
            return Said::default();
        };
        let stderr = if quiet {
            Stdio::null()
        } else {
            Stdio::inherit()
        };
        let output = Command::new(program)
            .args(words)
            .current_dir(self.folder)
            .env_clear()
            .envs(self.environment)
            .envs(variables.iter().copied())
            .stdin(Stdio::inherit())
            .stderr(stderr)
            .output();
        output.map_or_else(
            |_| Said::default(),
            |output| Said {
                text: String::from_utf8_lossy(&output.stdout).into_owned(),
                ok: output.status.success(),
            },
        )
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }
}

#[cfg(test)]
mod vaults;
