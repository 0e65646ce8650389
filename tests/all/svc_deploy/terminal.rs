//! What somebody at a terminal sees and answers: the tree of resources with their states and seconds, the panel of a service that
//! rolls out, the question at Ctrl-C. The terminal is a real one, of `script`.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use aws_double::{Options, Rule, Trouble};

use super::{PATIENCE, Stage, service};
use crate::support::plimsoll_at;

const STACK: &str = "shop-test-api";
const CTRL_C: &str = "\u{3}";

/// A command at a terminal of 120 columns and 50 lines.
struct Terminal {
    script: Child,
    keys: ChildStdin,
    screen: Receiver<Vec<u8>>,
    shown: String,
    /// What was waited for is before this.
    seen: usize,
}

impl Terminal {
    fn run(stage: &Stage, words: &str) -> Self {
        let line = format!("stty rows 50 cols 120; exec \"$PLIMSOLL\" {words}");
        let mut script = plimsoll_at("script", stage.home.path(), &stage.workspace);
        script
            .args([
                "--quiet",
                "--return",
                "--flush",
                "--command",
                &line,
                "/dev/null",
            ])
            .env("PLIMSOLL", env!("CARGO_BIN_EXE_plimsoll"))
            .env("SHELL", "/bin/sh")
            .envs(stage.double.environment())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut script = script.spawn().unwrap();
        let (told, screen) = channel();
        let mut output = script.stdout.take().unwrap();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count) = output.read(&mut piece)
                && count > 0
                && told.send(piece[..count].to_vec()).is_ok()
            {}
        });
        Self {
            keys: script.stdin.take().unwrap(),
            script,
            screen,
            shown: String::new(),
            seen: 0,
        }
    }

    /// Reads until this has come up after what was waited for before.
    fn sees(&mut self, text: &str) {
        let begun = Instant::now();
        loop {
            if let Some(at) = self.shown[self.seen..].find(text) {
                self.seen += at + text.len();
                return;
            }
            let left = PATIENCE.saturating_sub(begun.elapsed());
            match self.screen.recv_timeout(left) {
                Ok(piece) => self.shown.push_str(&String::from_utf8_lossy(&piece)),
                Err(why) => panic!("no `{text}` ({why}) in:\n{}", self.shown),
            }
        }
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Everything that was shown until the command ended with this code.
    fn ends(mut self, code: i32) -> String {
        let begun = Instant::now();
        let status = loop {
            while let Ok(piece) = self.screen.try_recv() {
                self.shown.push_str(&String::from_utf8_lossy(&piece));
            }
            if let Some(status) = self.script.try_wait().unwrap() {
                break status;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "it does not end:\n{}",
                self.shown
            );
            std::thread::sleep(Duration::from_millis(50));
        };
        while let Ok(piece) = self.screen.recv_timeout(Duration::from_secs(1)) {
            self.shown.push_str(&String::from_utf8_lossy(&piece));
        }
        assert_eq!(status.code(), Some(code), "{}", self.shown);
        assert!(!self.shown.contains(super::CANARY), "{}", self.shown);
        std::mem::take(&mut self.shown)
    }
}

/// A service that was deployed, and a change whose task definition takes long.
fn slow(seconds: u64) -> Stage {
    let stage = Stage::new();
    stage.succeed(&["svc", "deploy", "-n", "api", "-e", "test", "--yes"]);
    stage.write("copilot/api/manifest.yml", &service("two"));
    let update = Rule::resource(STACK, "TaskDefinition", "UPDATE");
    stage
        .double
        .rule(update.delayed(Duration::from_secs(seconds)));
    stage
}

const DEPLOY: &str = "svc deploy -n api -e test";
const QUESTION: &str = "[k]eep waiting, [d]etach (it goes on without plimsoll), or [c]ancel it?";

#[test]
fn the_tree_shows_states_and_seconds_and_the_panel_of_the_service() {
    let stage = Stage::with(Options {
        task_time: Duration::from_millis(1500),
        ..Options::default()
    });
    let mut terminal = Terminal::run(&stage, DEPLOY);
    terminal.sees("Carry this out? [y/N]");
    terminal.types("y\n");
    terminal.sees("- Creating the infrastructure for stack shop-test-api");
    terminal.sees("[create in progress]");
    terminal.sees("Deployments");
    terminal.sees("Revision  Rollout        Desired  Running  Failed  Pending");
    terminal.sees("PRIMARY  1         [in progress]  1");
    terminal.sees("Deployed service api.");
    let shown = terminal.ends(0);
    // Drawn anew in its place, with the time that it took.
    assert!(
        shown.contains("A\u{1b}[J- Creating the infrastructure"),
        "{shown}"
    );
    let last = shown
        .rsplit("- Creating the infrastructure")
        .next()
        .unwrap();
    assert!(
        last.contains("[create complete]") && last.contains("s]"),
        "{last}"
    );
    assert!(
        last.contains("The service that keeps the tasks running"),
        "{last}"
    );
}

#[test]
fn seconds_pass_while_nothing_else_happens() {
    let stage = slow(7);
    let mut terminal = Terminal::run(&stage, &format!("{DEPLOY} --yes"));
    terminal.sees("[update in progress]");
    for second in 1..=5 {
        terminal.sees(&format!("[{second}."));
    }
    terminal.ends(0);
}

#[test]
fn a_failure_comes_first_with_its_whole_cause_and_the_manifests_line() {
    let stage = slow(0);
    let trouble = Trouble::CannotPull;
    stage
        .double
        .rule(Rule::tasks("*", trouble).of("shop-test-api:2"));
    let mut terminal = Terminal::run(&stage, &format!("{DEPLOY} --yes"));
    terminal.sees("Latest 2 stopped tasks");
    let shown = terminal.ends(1);
    let last = shown.rsplit("\u{1b}[J").next().unwrap();
    let lines: Vec<&str> = last.lines().filter(|line| line.contains('✗')).collect();
    assert!(
        lines[0].contains("The service that keeps the tasks running [update failed]"),
        "{last}"
    );
    let words = last.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("docker/library/nginx:1.27: not found"),
        "{last}"
    );
    assert!(last.contains("--> copilot/api/manifest.yml:"), "{last}");
}

#[test]
fn ctrl_c_asks_and_keeps_waiting_when_told_to() {
    let stage = slow(6);
    let mut terminal = Terminal::run(&stage, &format!("{DEPLOY} --yes"));
    terminal.sees("[update in progress]");
    terminal.types(CTRL_C);
    terminal.sees(QUESTION);
    terminal.types("k\n");
    terminal.sees("Deployed service api.");
    terminal.ends(0);
    assert_eq!(stage.status(STACK), "UPDATE_COMPLETE");
}

#[test]
fn ctrl_c_asks_and_leaves_the_deployment_to_itself() {
    let stage = slow(6);
    let mut terminal = Terminal::run(&stage, &format!("{DEPLOY} --yes"));
    terminal.sees("[update in progress]");
    terminal.types(CTRL_C);
    terminal.sees(QUESTION);
    terminal.types("d\n");
    terminal.sees("stack shop-test-api goes on without plimsoll; watch it: `aws cloudformation describe-stack-events");
    terminal.ends(0);
    assert_eq!(stage.status(STACK), "UPDATE_IN_PROGRESS");
    assert_eq!(
        stage.double.wait(STACK, PATIENCE).unwrap(),
        "UPDATE_COMPLETE"
    );
}

#[test]
fn ctrl_c_asks_and_cancels_the_update() {
    let stage = slow(8);
    let mut terminal = Terminal::run(&stage, &format!("{DEPLOY} --yes"));
    terminal.sees("[update in progress]");
    terminal.types(CTRL_C);
    terminal.sees(QUESTION);
    terminal.types("c\n");
    terminal.sees("- Canceling stack update shop-test-api");
    terminal.sees("rolled back service api to the previous configuration");
    terminal.ends(0);
    assert_eq!(stage.status(STACK), "UPDATE_ROLLBACK_COMPLETE");
}

#[test]
fn ctrl_c_twice_leaves_at_once() {
    let stage = slow(8);
    let mut terminal = Terminal::run(&stage, &format!("{DEPLOY} --yes"));
    terminal.sees("[update in progress]");
    terminal.types(CTRL_C);
    terminal.sees(QUESTION);
    terminal.types(CTRL_C);
    terminal.sees("goes on without plimsoll");
    terminal.ends(0);
    assert_eq!(
        stage.double.wait(STACK, PATIENCE).unwrap(),
        "UPDATE_COMPLETE"
    );
}

#[test]
fn no_at_the_difference_is_no_failure_and_changes_nothing() {
    let stage = slow(0);
    stage.double.forget_requests();
    let mut terminal = Terminal::run(&stage, &format!("{DEPLOY} --diff"));
    terminal.sees("one -> two");
    terminal.sees("Continue with the deployment? (y/N)");
    terminal.types("n\n");
    terminal.ends(0);
    assert_eq!(stage.double.count("cloudformation", "CreateChangeSet"), 0);
}

#[test]
fn what_is_missing_is_asked_for() {
    let stage = Stage::new();
    let mut terminal = Terminal::run(&stage, "svc deploy --yes");
    terminal.sees("Only found one option, defaulting to: test");
    terminal.sees("Select a service in your workspace");
    terminal.sees("1. api");
    terminal.sees("2. web");
    terminal.types("api\n");
    terminal.sees("Deployed service api.");
    terminal.ends(0);
}
