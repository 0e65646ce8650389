//! Compiles the guests of the tests and writes their paths as constants.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

#[path = "../../plugins/bundle/compile.rs"]
mod compile;

const GUESTS: &[&str] = &[
    "greedy-renderer",
    "hostile-aws-driver",
    "hostile-driver",
    "hostile-renderer",
    "no-fridays",
];

fn main() {
    let workspace =
        PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo")).join("../..");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    for watched in [
        "wit",
        "tests/guests",
        "plugins/bundle/compile.rs",
        "Cargo.toml",
    ] {
        println!(
            "cargo::rerun-if-changed={}",
            workspace.join(watched).display()
        );
    }
    let mut constants = String::new();
    for (name, file) in GUESTS
        .iter()
        .zip(compile::compile(&workspace, &out.join("guests"), GUESTS))
    {
        let constant = name.to_uppercase().replace('-', "_");
        writeln!(
            constants,
            "/// Path of `{name}`.\npub const {constant}: &str = {file:?};"
        )
        .expect("writing to a string");
    }
    fs::write(out.join("guests.rs"), constants).expect("OUT_DIR can be written");
}
