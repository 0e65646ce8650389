//! Scores against recorded behaviour of AWS Copilot, in `../shared/conformance`: data that is not part of this project.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Folder;

/// The folder with the data, or none after saying why. Under `CI=true` it has to be there.
fn data(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/conformance")
        .join(name);
    if folder.is_dir() {
        return Some(folder.canonicalize().unwrap());
    }
    let missing = format!("skipped: no conformance data at {}", folder.display());
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
    println!("{missing}");
    None
}

/// The binary with its components compiled beside it, as `just dist` ships it: the scorer gives every run a new home.
fn shipped(folder: &Folder) -> PathBuf {
    let binary = folder.path().join("plimsoll");
    std::fs::copy(env!("CARGO_BIN_EXE_plimsoll"), &binary).unwrap();
    let precompiled = Command::new(&binary)
        .args(["plugin", "precompile"])
        .arg(folder.path().join("plimsoll-aot"))
        .status()
        .unwrap();
    assert!(precompiled.success());
    binary
}

#[test]
fn copilots_templates_refusals_and_differences_are_ours() {
    let Some(data) = data("copilot") else { return };
    let folder = Folder::new();
    let score = Command::new(lab::python::with_yaml().unwrap())
        .arg(data.join("score.py"))
        .arg("--tool")
        .arg(shipped(&folder))
        .args(["--set", "visible"])
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&score.stdout);
    let closing: Vec<&str> = printed.lines().rev().take(6).collect();
    println!(
        "{}",
        closing.iter().rev().copied().collect::<Vec<_>>().join("\n")
    );
    assert!(
        score.status.success(),
        "{printed}\n{}",
        String::from_utf8_lossy(&score.stderr)
    );
}
