//! The visible vectors of Copilot's diff engine, where they are on this machine.

use std::fs;
use std::path::{Path, PathBuf};

use crate::collapsed;

/// The vectors, or none after saying why. Under `CI=true` they have to be there.
fn vectors() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/conformance/copilot/diff/visible");
    if path.is_dir() {
        return Some(path);
    }
    let missing = format!("no conformance vectors at {}", path.display());
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
    println!("skipped: {missing}");
    None
}

#[test]
fn every_visible_vector_is_printed_byte_by_byte() {
    let Some(path) = vectors() else { return };
    let mut folders: Vec<PathBuf> = fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    let mut compared = 0;
    let mut wrong = Vec::new();
    for folder in folders {
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        for (new, expected) in [("new.yml", "expected.txt"), ("control.yml", "control.txt")] {
            if folder.join(new).exists() {
                compared += 1;
                if collapsed(&read("old.yml"), &read(new)) != read(expected) {
                    wrong.push(folder.join(new));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {compared} differ: {wrong:#?}",
        wrong.len()
    );
    assert!(
        compared >= 99,
        "only {compared} vectors at {}",
        path.display()
    );
}
