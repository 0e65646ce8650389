//! Builds packages of this workspace as components. Shared by the bundle's and the test guests' build scripts.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds `packages` below `target` and answers where each component is.
pub(crate) fn compile(workspace: &Path, target: &Path, packages: &[&str]) -> Vec<PathBuf> {
    let mut cargo = Command::new(env::var_os("CARGO").expect("set by cargo"));
    cargo.current_dir(workspace).args([
        "build",
        "--quiet",
        "--locked",
        "--profile",
        "plugin",
        "--target",
        "wasm32-wasip2",
    ]);
    cargo.arg("--target-dir").arg(target);
    for name in packages {
        cargo.args(["--package", name]);
    }
    // Flags meant for the host's own target would change, or break, the components.
    const FOREIGN: &[&str] = &[
        "CARGO_ENCODED",
        "CARGO_PROFILE",
        "CARGO_BUILD",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTFLAGS",
    ];
    for (key, _) in env::vars_os() {
        if FOREIGN
            .iter()
            .any(|foreign| key.to_string_lossy().starts_with(foreign))
        {
            cargo.env_remove(&key);
        }
    }
    let status = cargo.status().expect("cargo runs");
    assert!(
        status.success(),
        "the components do not compile; without the target: rustup target add wasm32-wasip2"
    );
    packages
        .iter()
        .map(|name| {
            target
                .join("wasm32-wasip2/plugin")
                .join(format!("{}.wasm", name.replace('-', "_")))
        })
        .collect()
}
