//! Copilot's commands, by the binary, against the double of AWS: only the endpoint and the keys are configured.
//!
//! * [`assets`]: what addons refer to is packed and uploaded.
//! * [`deploys`]: created, updated, rolled back, with nothing to do; one command for each kind of workload.
//! * [`flags`]: every flag of the deploying commands.
//! * [`failures`]: what goes wrong on the way: the cause is named, the state that is left, and what comes next.
//! * [`hostile`]: a renderer that wants more than the manifest names.
//! * [`images`]: built and pushed to a real registry, with functions that node runs.
//! * [`refused`]: what stops a deploy before it changes anything.
//! * [`kinds`]: what only some types of workloads have.
//! * [`secrets`]: credentials reach nobody.
//! * [`several`]: several workloads, planned together and deployed in groups.
//! * [`terminal`]: what somebody at a terminal sees and answers.
//! * [`unchanged`]: stacks that Copilot has made, and workloads that nobody changed since.

mod assets;
mod deploys;
mod failures;
mod flags;
mod hostile;
mod images;
mod kinds;
mod refused;
mod secrets;
mod several;
mod terminal;
mod unchanged;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use aws_double::seed::{Application, Environment};
use aws_double::{Double, Options};

use crate::support::{Folder, plimsoll};

/// Longer than any stack takes here.
const PATIENCE: Duration = Duration::from_secs(60);
/// In every key, token and password that the double gives.
const CANARY: &str = "canary-";
/// Where images come from that nobody builds.
const IMAGE: &str = "public.ecr.aws/docker/library/nginx:1.27";

/// Somebody's workspace, their home, and an AWS with their application in it.
struct Stage {
    double: Double,
    home: Folder,
    workspace: PathBuf,
}

/// What a command printed, and how it ended.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Stage {
    /// The application `shop` with the environment `test`, the service `api`, the web service `web` and the job `report`.
    fn new() -> Self {
        Self::with(Options::default())
    }

    fn with(options: Options) -> Self {
        let stage = Self::of(options, &Self::application());
        stage.write("copilot/.workspace", "application: shop\n");
        stage.write("copilot/api/manifest.yml", &service("one"));
        stage.write(
            "copilot/web/manifest.yml",
            &format!(
                "name: web\ntype: Load Balanced Web Service\nimage:\n  location: {IMAGE}\n  port: 80\nhttp:\n  path: '/'\ncpu: 256\nmemory: 512\ncount: 1\n"
            ),
        );
        stage.write(
            "copilot/report/manifest.yml",
            &format!(
                "name: report\ntype: Scheduled Job\nimage:\n  location: {IMAGE}\non:\n  schedule: '@daily'\ncpu: 256\nmemory: 512\n"
            ),
        );
        stage
    }

    fn application() -> Application {
        let mut application = Application::new("shop", "test")
            .workload("api", "Backend Service")
            .workload("web", "Load Balanced Web Service")
            .workload("report", "Scheduled Job");
        // Functions are imitated: nobody switches the balancer on.
        application.environments = vec![with_balancer("test")];
        application
    }

    /// An empty workspace.
    fn of(options: Options, application: &Application) -> Self {
        let double = Double::start(options).unwrap();
        double.seed(application).unwrap();
        let home = Folder::new();
        let workspace = home.path().join("workspace");
        fs::create_dir_all(&workspace).unwrap();
        double.forget_requests();
        Self {
            double,
            home,
            workspace,
        }
    }

    /// Writes a file of the workspace.
    fn write(&self, name: &str, text: &str) {
        let path = self.workspace.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The binary in the workspace, without a terminal.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = plimsoll(self.home.path(), &self.workspace);
        command
            .args(words)
            .envs(self.double.environment())
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end. Whatever it says and leaves has no secret in it.
    fn run(&self, words: &[&str]) -> Said {
        let said = said(self.command(words));
        self.shows_no_secret(&said);
        said
    }

    /// Runs it, and it succeeds.
    fn succeed(&self, words: &[&str]) -> Said {
        let said = self.run(words);
        assert_eq!(said.code, Some(0), "{words:?}: {said}");
        said
    }

    /// Runs it, and it fails with exit code 1.
    fn fail(&self, words: &[&str]) -> Said {
        let said = self.run(words);
        assert_eq!(said.code, Some(1), "{words:?}: {said}");
        said
    }

    /// No secret is in the output, nor in any file that was left behind.
    fn shows_no_secret(&self, said: &Said) {
        let output = format!("{}{}", said.stdout, said.stderr);
        assert!(!output.contains(CANARY), "{output}");
        let mut files = Vec::new();
        all_files(self.home.path(), &mut files);
        for file in files {
            let bytes = fs::read(&file).unwrap_or_default();
            let found = bytes
                .windows(CANARY.len())
                .any(|window| window == CANARY.as_bytes());
            assert!(!found, "a secret in {}", file.display());
        }
    }

    fn status(&self, stack: &str) -> String {
        self.double.stack_status(stack).unwrap_or_default()
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "code {:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.code, self.stdout, self.stderr
        )
    }
}

impl Said {
    /// Both streams together hold all of these.
    fn holds(&self, parts: &[&str]) {
        let text = format!("{}{}", self.stdout, self.stderr);
        for part in parts {
            assert!(text.contains(part), "no `{part}` in: {self}");
        }
    }

    /// Neither stream holds any of these.
    fn lacks(&self, parts: &[&str]) {
        let text = format!("{}{}", self.stdout, self.stderr);
        for part in parts {
            assert!(!text.contains(part), "`{part}` in: {self}");
        }
    }
}

fn said(mut command: Command) -> Said {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

fn all_files(folder: &std::path::Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => all_files(&path, found),
            Ok(kind) if kind.is_file() => found.push(path),
            _ => {}
        }
    }
}

/// An environment in which load-balanced services find their balancer.
fn with_balancer(name: &str) -> Environment {
    let mut environment = Environment::new(name);
    environment.parameters = vec![("ALBWorkloads".to_owned(), "web".to_owned())];
    environment
}

/// The manifest of `api`; another greeting is another revision.
fn service(greeting: &str) -> String {
    format!(
        "name: api\ntype: Backend Service\nimage:\n  location: {IMAGE}\n  port: 80\ncpu: 256\nmemory: 512\ncount: 1\nvariables:\n  GREETING: {greeting}\n"
    )
}
