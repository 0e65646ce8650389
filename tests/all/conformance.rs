//! Scores against recorded behaviour of AWS Copilot and of Kamal, in `../shared/conformance`: data that is not part of
//! this project.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Folder, conformance};

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
    let Some(data) = conformance("copilot") else {
        return;
    };
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

/// The adapter, `tests/conformance`.
fn adapter(arguments: &[&Path]) {
    let done = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--package", "conformance", "--"])
        .args(arguments)
        .status()
        .unwrap();
    assert!(done.success(), "{arguments:?}");
}

/// Names of the vectors that pass, of all, by the scorer of the set.
fn passing(data: &Path, arguments: &[&Path]) -> (BTreeSet<String>, usize) {
    let score = Command::new("python3")
        .arg(data.join("compare.py"))
        .args(["--json", "--max", "0"])
        .args(arguments)
        .output()
        .unwrap();
    let said: serde_json::Value = serde_json::from_slice(&score.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&score.stderr)));
    let cases = said["cases"].as_object().unwrap();
    let passing = cases
        .iter()
        .filter(|(_, case)| case["pass"] == true)
        .map(|(id, _)| id.clone());
    (passing.collect(), cases.len())
}

/// What has passed once keeps passing: `tests/conformance/passing/SET.txt` has the names. `CONFORMANCE_ACCEPT=1` writes
/// them anew.
fn hold(set: &str, passing: &BTreeSet<String>, of: usize) {
    let list = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/conformance/passing")
        .join(set)
        .with_extension("txt");
    let text = fs::read_to_string(&list).unwrap_or_default();
    let held: BTreeSet<String> = text.lines().map(str::to_owned).collect();
    let lost: Vec<&String> = held.difference(passing).collect();
    let won: Vec<&String> = passing.difference(&held).collect();
    println!(
        "{set}: {} of {of} pass; not on the list yet: {won:?}",
        passing.len()
    );
    if std::env::var_os("CONFORMANCE_ACCEPT").is_some() {
        let names: String = passing.iter().map(|name| format!("{name}\n")).collect();
        fs::create_dir_all(list.parent().unwrap()).unwrap();
        return fs::write(&list, names).unwrap();
    }
    assert!(lost.is_empty(), "{set}: these passed before: {lost:?}");
}

#[test]
fn a_steady_deploy_takes_ten_round_trips_whatever_the_number_of_hosts() {
    let counted = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--package", "conformance", "--"])
        .args(["trips", "1", "5"])
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&counted.stdout);
    println!("hosts, round trips after the login:\n{printed}");
    let trips: Vec<u32> = printed
        .lines()
        .filter_map(|line| line.split(' ').nth(1)?.parse().ok())
        .collect();
    let said = String::from_utf8_lossy(&counted.stderr);
    assert_eq!(trips.len(), 2, "{printed}{said}");
    assert!(trips.iter().all(|trips| *trips <= 10), "{printed}");
}

#[test]
fn what_kamal_does_to_its_hosts_is_what_we_do() {
    let Some(data) = conformance("kamal") else {
        return;
    };
    let folder = Folder::new();
    let (cases, out) = (data.join("cases/visible"), folder.path().join("cases"));
    adapter(&[Path::new("cases"), &cases, &out]);
    let (names, of) = passing(&data, &[Path::new("--batch"), &cases, &out]);
    hold("cases", &names, of);
}

#[test]
fn configurations_are_taken_and_refused_as_kamal_does() {
    let Some(data) = conformance("kamal") else {
        return;
    };
    let folder = Folder::new();
    let (cases, out) = (
        data.join("config/visible/cases.json"),
        folder.path().join("config.json"),
    );
    adapter(&[Path::new("config"), &cases, &out]);
    let (names, of) = passing(&data, &[Path::new("--config"), &cases, &out]);
    hold("config", &names, of);
}

#[test]
fn values_are_read_and_written_as_kamal_does() {
    let Some(data) = conformance("kamal") else {
        return;
    };
    let folder = Folder::new();
    let (vectors, out) = (data.join("text/visible"), folder.path().join("text"));
    adapter(&[Path::new("text"), &vectors, &out]);
    let (mut all, mut count) = (BTreeSet::new(), 0);
    for entry in fs::read_dir(&vectors).unwrap() {
        let file = entry.unwrap().path();
        let answers = out.join(file.file_name().unwrap());
        let (names, of) = passing(&data, &[Path::new("--text"), &file, &answers]);
        all.extend(names);
        count += of;
    }
    hold("text", &all, count);
}
