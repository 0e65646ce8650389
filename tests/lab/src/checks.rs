//! Everything that must hold before a change is merged, one step after the other.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use crate::command::find;
use crate::report::{print, say};
use crate::servers::{Down, down};
use crate::{LabError, cargo, setup, state};

/// A step: its name and the words after `cargo`.
type Step = (&'static str, &'static [&'static str]);

const STEPS: [Step; 4] = [
    ("format", &["fmt", "--all", "--check"]),
    (
        "clippy",
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ],
    ),
    // The glue of the components is only there for their own target.
    (
        "clippy of components",
        &[
            "clippy",
            "--quiet",
            "--target",
            "wasm32-wasip2",
            "--package",
            "baseline-policy",
            "--package",
            "ecs-driver",
            "--package",
            "ecs-renderer",
            "--package",
            "ssh-driver",
            "--package",
            "ssh-renderer",
            "--package",
            "text-differ",
            "--",
            "-D",
            "warnings",
        ],
    ),
    ("build", &["build", "--workspace", "--quiet"]),
];
const NEXTEST: Step = (
    "tests",
    &["nextest", "run", "--workspace", "--no-fail-fast"],
);
const TEST: Step = ("tests", &["test", "--workspace", "--no-fail-fast"]);

/// Runs every step until one fails. Under `CI=true` the lab is taken down at the end, whatever happened.
pub fn check() -> Result<(), LabError> {
    setup::needed()?;
    let tally = Mutex::new(Tally::default());
    let tests = if find("cargo-nextest").is_some() {
        NEXTEST
    } else {
        TEST
    };
    let checked = STEPS
        .into_iter()
        .chain([tests])
        .try_for_each(|step| run(step, &tally));
    if is_ci() {
        crate::aws::down()?;
        down(Down::Everything)?;
    }
    let tally = tally.into_inner().unwrap_or_default();
    print(format!("{} passed, {} failed", tally.passed, tally.failed));
    checked
}

/// Whether a machine runs this and nobody looks on.
pub fn is_ci() -> bool {
    env::var("CI").is_ok_and(|ci| ci == "true" || ci == "1")
}

fn run((name, words): Step, tally: &Mutex<Tally>) -> Result<(), LabError> {
    let begun = Instant::now();
    let mut step = Command::new(cargo::program());
    step.args(words).current_dir(cargo::workspace());
    if is_ci() && env::var_os("CARGO_TARGET_DIR").is_none() {
        step.env(
            "CARGO_TARGET_DIR",
            state::cache()?.join("plimsoll-ci-target"),
        );
    }
    let line = crate::command::line(&step);
    let start = |source| LabError::Start {
        program: line.clone(),
        source,
    };
    let mut child = step
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(start)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        scope.spawn(|| stdout.map(|from| pass_on(from, std::io::stdout(), tally)));
        scope.spawn(|| stderr.map(|from| pass_on(from, std::io::stderr(), tally)));
    });
    let status = child.wait().map_err(start)?;
    let verdict = if status.success() { "ok" } else { "failed" };
    say(format!(
        "{name}: {verdict} in {:.1} s",
        begun.elapsed().as_secs_f64()
    ));
    if status.success() {
        Ok(())
    } else {
        Err(LabError::Step(format!(
            "pass the step `{name}`: cargo {}",
            words.join(" ")
        )))
    }
}

/// Tests counted so far.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: usize,
    failed: usize,
}

impl Tally {
    /// Adds what a runner's closing line says: `test result: ok. 9 passed; 0 failed; …`, or nextest's `Summary [ 3.2s] 5 tests run: 4 passed, 1 timed out`.
    fn read(&mut self, line: &str) {
        if !line.contains("test result:") && !line.contains("Summary [") {
            return;
        }
        let words: Vec<&str> = line
            .split([' ', ',', ';', '(', ')'])
            .filter(|word| !word.is_empty())
            .collect();
        for pair in words.windows(2) {
            let count = pair[0].parse().unwrap_or(0);
            match pair[1] {
                "passed" => self.passed += count,
                "failed" | "timed" | "exec" => self.failed += count,
                _ => {}
            }
        }
    }
}

/// Copies lines as they come, and counts.
fn pass_on(from: impl Read, mut to: impl Write, tally: &Mutex<Tally>) {
    for line in BufReader::new(from).split(b'\n') {
        let Ok(mut line) = line else { return };
        tally
            .lock()
            .expect("nothing panics with this lock")
            .read(&String::from_utf8_lossy(&line));
        line.push(b'\n');
        // A terminal that went away is no reason to stop.
        let _ = to.write_all(&line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_lines_of_both_runners_are_counted() {
        let mut tally = Tally::default();
        for line in [
            "test result: ok. 9 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "     Summary [   1.2s] 7 tests run: 4 passed (1 slow), 2 failed, 1 timed out, 3 skipped",
            "a test that says 5 passed",
        ] {
            tally.read(line);
        }
        assert_eq!(
            tally,
            Tally {
                passed: 16,
                failed: 4
            }
        );
    }
}
