//! Command lines of templates and secrets files, run by the local shell as Kamal does.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

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
