//! Arrows between the host's modules point down, and every test file is named in `main.rs`.

use std::fs;
use std::path::{Path, PathBuf};

/// From the top. A module may use those after it.
const LAYERS: &[&str] = &[
    "cli",
    "pipeline",
    "plugin",
    "sandbox",
    "capability",
    "report",
    "grant",
    "manifest",
    "wire",
    "plan",
    "interrupt",
    "secret",
    "wit",
];

/// All sources below a folder.
pub fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The layer a file belongs to: its first component below `src`.
fn layer(source: &Path, file: &Path) -> Option<usize> {
    let first = file
        .strip_prefix(source)
        .ok()?
        .iter()
        .next()?
        .to_str()?
        .trim_end_matches(".rs")
        .to_owned();
    LAYERS.iter().position(|layer| *layer == first)
}

/// `crate::NAME` mentions of a line of code.
fn mentions(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split("//").next().unwrap_or_default();
    code.split("crate::").skip(1).map(|rest| {
        rest.split(|c: char| !c.is_alphanumeric() && c != '_')
            .next()
            .unwrap_or_default()
    })
}

#[test]
fn a_module_uses_only_modules_below_it() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&source, &mut files);
    let mut wrong = Vec::new();
    for file in &files {
        let Some(own) = layer(&source, file) else {
            continue;
        };
        // The bindings name the types behind their resources.
        if LAYERS[own] == "wit" {
            continue;
        }
        for (number, line) in fs::read_to_string(file).unwrap().lines().enumerate() {
            for name in mentions(line) {
                if LAYERS
                    .iter()
                    .position(|layer| *layer == name)
                    .is_some_and(|used| used < own)
                {
                    wrong.push(format!(
                        "{}:{}: {} may not use {name}",
                        file.display(),
                        number + 1,
                        LAYERS[own]
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(files.len() > 50, "the sources were found");
}

#[test]
fn every_module_of_the_host_has_a_layer() {
    let library =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let modules: Vec<&str> = library
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    assert!(
        modules.len() > 5 && modules.iter().all(|module| LAYERS.contains(module)),
        "{modules:?}"
    );
}

#[test]
fn no_test_file_is_forgotten() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/all");
    let main = fs::read_to_string(folder.join("main.rs")).unwrap();
    for entry in fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.trim_end_matches(".rs");
        assert!(
            module == "main" || main.contains(&format!("mod {module};")),
            "{name} is not in main.rs"
        );
    }
}

#[test]
fn the_main_path_is_read_in_one_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pipeline/deploy.rs");
    assert!(fs::read_to_string(path).unwrap().lines().count() <= 150);
}
