//! Building the programs that run inside containers: static, so that an image needs nothing else.

use std::env;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::LabError;
use crate::command::{command, run};

/// Linked against nothing: runs in an empty image.
#[cfg(target_arch = "x86_64")]
pub const STATIC_TARGET: &str = "x86_64-unknown-linux-musl";
/// Linked against nothing: runs in an empty image.
#[cfg(target_arch = "aarch64")]
pub const STATIC_TARGET: &str = "aarch64-unknown-linux-musl";

/// The folder of the repository's root manifest.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("this crate is in tests/lab")
}

/// The cargo that runs us, or the one in `PATH`.
pub fn program() -> &'static str {
    option_env!("CARGO")
        .filter(|cargo| Path::new(cargo).exists())
        .unwrap_or("cargo")
}

/// Builds with `arguments` in `folder` and returns the program that came of it.
pub fn build(folder: &Path, arguments: &[&str]) -> Result<PathBuf, LabError> {
    let mut cargo = command(
        program(),
        [
            "build",
            "--quiet",
            "--release",
            "--message-format=json-render-diagnostics",
        ],
    );
    cargo.args(arguments).current_dir(folder);
    // What cargo sets for a running test is about that test's crate, and would make every build start afresh.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_")
            || text.starts_with("CARGO_MANIFEST_")
            || text.starts_with("CARGO_BIN_")
        {
            cargo.env_remove(&name);
        }
    }
    let messages = run(&mut cargo)?;
    let program = |line: &str| {
        serde_json::from_str::<Value>(line).ok()?["executable"]
            .as_str()
            .map(PathBuf::from)
    };
    let built = messages.lines().rev().find_map(program);
    built.ok_or_else(|| {
        LabError::Step(format!(
            "find the program that `{}` built",
            crate::command::line(&cargo)
        ))
    })
}
