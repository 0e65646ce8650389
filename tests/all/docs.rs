//! What the documentation says is true: its commands, exit codes, examples, links and tests are there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use plimsoll::plugin::configuration::Configuration;

use crate::layering::rust_files;
use crate::support::Folder;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Path and text of every document.
fn documents() -> Vec<(PathBuf, String)> {
    let root = workspace();
    let mut paths: Vec<PathBuf> = [
        "README.md",
        "CHANGELOG.md",
        "host/README.md",
        "wit/README.md",
        "tests/lab/README.md",
        "plugins/custom-resources/README.md",
        "plugins/ecs-renderer/README.md",
        "plugins/ssh-renderer/README.md",
    ]
    .map(|name| root.join(name))
    .to_vec();
    files(&root.join("docs"), &mut paths);
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

/// All files below a folder.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push(path),
        }
    }
}

/// Text in backticks.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// Commands that begin with `program`: in backticks, or after a prompt.
fn commands<'t>(text: &'t str, program: &str) -> Vec<&'t str> {
    let prompts = text.lines().filter_map(|line| line.strip_prefix("$ "));
    let begins = |line: &&str| {
        line.strip_prefix(program)
            .is_some_and(|rest| rest.starts_with(' '))
    };
    prompts.chain(code(text)).filter(begins).collect()
}

/// Fenced blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(found) = line.strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            if found == language {
                blocks.push(block.join("\n") + "\n");
            }
        }
    }
    blocks
}

fn plimsoll() -> Command {
    Command::new(env!("CARGO_BIN_EXE_plimsoll"))
}

#[test]
fn every_command_line_of_plimsoll_parses() {
    let mut count = 0;
    for (path, text) in documents() {
        for line in commands(&text, "plimsoll") {
            let words = line.split_whitespace().skip(1).filter(|word| *word != "…");
            // Help is answered only when everything before it was understood.
            let output = plimsoll().args(words).arg("--help").output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success(),
                "{}: `{line}`\n{said}",
                path.display()
            );
            count += 1;
        }
    }
    assert!(count > 10, "{count} were found");
}

/// Pages of `docs/commands`, and the command whose flags each lists.
const COMMANDS: [(&str, &str); 5] = [
    ("deploy.md", "deploy"),
    ("job-deploy.md", "job deploy"),
    ("package.md", "svc package"),
    ("package.md", "job package"),
    ("svc-deploy.md", "svc deploy"),
];

#[test]
fn the_flags_of_a_command_are_those_that_its_help_names() {
    for (page, command) in COMMANDS {
        let help = plimsoll()
            .args(command.split(' '))
            .arg("-h")
            .output()
            .unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        let (_, options) = help.split_once("Options:\n").unwrap();
        for folder in ["docs/commands", "docs/ja/commands"] {
            let text = fs::read_to_string(workspace().join(folder).join(page)).unwrap();
            let listed = blocks(&text, "");
            assert!(
                listed.iter().any(|block| words(block) == words(options)),
                "{folder}/{page} has to list:\n{options}"
            );
        }
    }
}

/// A text without the line breaks that depend on the terminal.
fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

#[test]
fn every_command_of_the_lab_is_there() {
    let main = fs::read_to_string(workspace().join("tests/lab/src/main.rs")).unwrap();
    for (path, text) in documents() {
        for line in commands(&text, "cargo lab") {
            let word = line.split_whitespace().nth(2).unwrap();
            assert!(
                main.contains(&format!("[\"{word}\"")),
                "{}: {line}",
                path.display()
            );
        }
    }
}

#[test]
fn the_exit_codes_are_those_that_the_help_names() {
    let output = plimsoll().arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let readme = fs::read_to_string(workspace().join("README.md")).unwrap();
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
        let code: u8 = cells.next()?.parse().ok()?;
        let meaning = cells.next()?.split(';').next()?;
        Some(format!("{code} {meaning}"))
    };
    let rows: Vec<String> = readme.lines().filter_map(row).collect();
    assert_eq!(rows.len(), 4, "{rows:?}");
    for row in rows {
        assert!(help.contains(&row), "{row:?} is not in {help:?}");
    }
}

#[test]
fn the_examples_of_the_readme_are_understood() {
    let readme = fs::read_to_string(workspace().join("README.md")).unwrap();
    let examples = blocks(&readme, "yaml");
    assert!(examples.len() > 2, "{examples:?}");
    for example in examples {
        if example.starts_with("plugins:") {
            Configuration::parse("plimsoll.yml", &example, &[])
                .unwrap_or_else(|found| panic!("{found:?}\n{example}"));
            continue;
        }
        let folder = Folder::new();
        folder.write("config/deploy.yml", &example);
        let output = plimsoll()
            .args(["config", "--version", "1"])
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .env(
                "XDG_CACHE_HOME",
                std::env::temp_dir().join("plimsoll-test-cache"),
            )
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}\n{example}");
    }
}

#[test]
fn every_link_leads_somewhere() {
    for (path, text) in documents() {
        for rest in text.split("](").skip(1) {
            let target = rest.split([')', '#']).next().unwrap();
            let there =
                target.starts_with("https://") || path.parent().unwrap().join(target).exists();
            assert!(there, "{}: {target}", path.display());
        }
    }
}

#[test]
fn every_test_that_the_claims_name_is_there() {
    let mut paths = Vec::new();
    rust_files(&workspace().join("tests/all"), &mut paths);
    let sources: String = paths
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let claims = fs::read_to_string(workspace().join("docs/security.md")).unwrap();
    let names: Vec<&str> = code(&claims)
        .filter(|text| text.matches('_').count() > 2 && !text.contains(['.', ' ', '/']))
        .collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        assert!(sources.contains(&format!("fn {name}()")), "{name}");
    }
}
