//! Compiles the default components to `wasm32-wasip2` and writes their bytes and digests as constants.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

use sha2::{Digest, Sha256};

mod compile;

/// Package, the role it is for, and the target: `ecs`, `ssh`, or `any`.
const COMPONENTS: &[(&str, &str, &str)] = &[
    ("ecs-renderer", "renderer", "ecs"),
    ("ecs-driver", "driver", "ecs"),
    ("ssh-renderer", "renderer", "ssh"),
    ("ssh-driver", "driver", "ssh"),
    ("text-differ", "differ", "any"),
    ("baseline-policy", "policy", "any"),
];

fn main() {
    let workspace =
        PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo")).join("../..");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    for watched in [
        "wit",
        "plugins/custom-resources",
        "plugins/release",
        "plugins/bundle/compile.rs",
        "Cargo.lock",
        "Cargo.toml",
    ]
    .into_iter()
    .map(str::to_owned)
    .chain(
        COMPONENTS
            .iter()
            .map(|(name, ..)| format!("plugins/{name}")),
    ) {
        println!(
            "cargo::rerun-if-changed={}",
            workspace.join(watched).display()
        );
    }
    let packages: Vec<&str> = COMPONENTS.iter().map(|(name, ..)| *name).collect();
    let files = compile::compile(&workspace, &out.join("components"), &packages);

    let mut constants =
        String::from("/// The default components.\npub const COMPONENTS: &[Component] = &[\n");
    for ((name, role, target), file) in COMPONENTS.iter().zip(&files) {
        let bytes = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let digest = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>();
        writeln!(constants, "    Component {{ name: {name:?}, role: {role:?}, target: {target:?}, sha256: {digest:?}, bytes: include_bytes!({file:?}) }},")
            .expect("writing to a string");
    }
    constants.push_str("];\n");
    fs::write(out.join("components.rs"), constants).expect("OUT_DIR can be written");
}
