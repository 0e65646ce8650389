//! Images are built and pushed to a real registry, and functions run by node: everything as in the README's one line.

use std::fs;
use std::path::Path;
use std::process::Command;

use aws_double::double::Pushes;
use aws_double::seed::Application;
use aws_double::{Options, Rule};

use super::{Said, Stage};
use crate::support::Folder;

/// `examples/copilot` as somebody's own repository, with something to put into its images; `None` where nothing can be built.
fn example() -> Option<Stage> {
    if !lab::setup::missing_packages().is_empty() && !lab::checks::is_ci() {
        return None;
    }
    let stage = Stage::of(
        Options {
            registry: Pushes::ForTest,
            runs_functions: true,
            ..Options::default()
        },
        &Application::demo(),
    );
    copy(
        &lab::cargo::workspace().join("examples/copilot"),
        &stage.workspace,
    );
    stage.write(
        "bin/hello",
        "not a program, which nobody minds who does not run it\n",
    );
    git(
        &stage,
        &["-c", "init.defaultBranch=main", "init", "--quiet"],
    );
    commit(&stage);
    Some(stage)
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn git(stage: &Stage, words: &[&str]) {
    let done = Command::new("git")
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
        .args(words)
        .current_dir(&stage.workspace)
        .status()
        .unwrap();
    assert!(done.success());
}

fn commit(stage: &Stage) {
    git(stage, &["add", "--all"]);
    git(
        stage,
        &["commit", "--quiet", "--allow-empty", "--message", "one"],
    );
}

fn pushed(stage: &Stage) -> usize {
    let requests = stage.double.requests();
    let is_push = |it: &&aws_double::Request| {
        it.service == "registry"
            && it.action.starts_with("PUT")
            && it.action.contains("/manifests/")
    };
    requests.iter().filter(is_push).count()
}

#[test]
fn the_example_is_deployed_whole_and_has_nothing_to_do_then() {
    let Some(stage) = example() else { return };
    let said = stage.succeed(&["deploy", "--all", "-e", "test", "--yes"]);
    said.holds(&[
        "Deployed service web.",
        "Deployed service api.",
        "Deployed report.",
    ]);
    for stack in ["demo-test-web", "demo-test-api", "demo-test-report"] {
        assert_eq!(stage.status(stack), "CREATE_COMPLETE", "{said}");
    }
    // The function of `web` has switched the environment's balancer on.
    assert_eq!(stage.status("demo-test"), "UPDATE_COMPLETE");
    assert!(pushed(&stage) >= 3, "{said}");
    let before = pushed(&stage);
    let said = stage.succeed(&["svc", "deploy", "-n", "api", "-e", "test", "--yes"]);
    said.holds(&["No changes"]);
    assert_eq!(pushed(&stage), before, "{said}");
}

#[test]
fn a_tag_names_the_image() {
    let Some(stage) = example() else { return };
    stage.succeed(&[
        "svc", "deploy", "-n", "api", "-e", "test", "--tag", "v7", "--yes",
    ]);
    let requests = stage.double.requests();
    assert!(
        requests
            .iter()
            .any(|it| it.action == "PUT /v2/demo/api/manifests/v7")
    );
    let image = stage
        .double
        .stack_parameter("demo-test-api", "ContainerImage")
        .unwrap();
    assert!(image.ends_with("/demo/api:v7"), "{image}");
}

fn refused(stage: &Stage) -> Said {
    let said = stage.fail(&["svc", "deploy", "-n", "api", "-e", "test", "--yes"]);
    assert_eq!(
        stage.double.count("cloudformation", "ExecuteChangeSet"),
        0,
        "{said}"
    );
    assert_eq!(stage.status("demo-test-api"), "", "{said}");
    said
}

#[test]
fn a_push_that_is_refused_changes_no_stack() {
    let Some(stage) = example() else { return };
    let why =
        "User: arn:aws:sts::1:assumed-role/x is not authorized to perform: ecr:InitiateLayerUpload";
    stage
        .double
        .rule(Rule::request("registry", "POST *").refused(403, "DENIED", why));
    refused(&stage).holds(&[
        "demo/api",
        "not authorized to perform: ecr:InitiateLayerUpload",
        "nothing was changed",
        "hint:",
    ]);
}

#[test]
fn a_disk_that_is_full_changes_no_stack() {
    let Some(stage) = example() else { return };
    // More than the Engine's disk holds.
    let disk = Folder::new();
    let Some(engine) = SmallEngine::start(&disk) else {
        println!("skipped: no Engine of its own on a small disk here");
        return;
    };
    stage.write("bin/hello", &"a program of some size\n".repeat(3_000_000));
    let mut command = stage.command(&["svc", "deploy", "-n", "api", "-e", "test", "--yes"]);
    command.env("DOCKER_HOST", engine.address());
    let said = super::said(command);
    stage.shows_no_secret(&said);
    assert_eq!(said.code, Some(1), "{said}");
    said.holds(&[
        "is full",
        "no space left on device",
        "nothing was changed",
        "docker system prune",
    ]);
    assert_eq!(stage.double.count("cloudformation", "CreateChangeSet"), 0);
    assert_eq!(stage.status("demo-test-api"), "");
}

/// An Engine whose disk is a small piece of memory. Only root can make one.
struct SmallEngine<'a> {
    disk: &'a Folder,
    process: std::process::Child,
}

impl<'a> SmallEngine<'a> {
    fn start(disk: &'a Folder) -> Option<Self> {
        let path = disk.path();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=48m", "tmpfs"])
            .arg(path)
            .status();
        if !mounted.is_ok_and(|status| status.success()) {
            return None;
        }
        let log = fs::File::create(path.join("log")).unwrap();
        // In a network of its own: an Engine without a bridge takes `docker0` away from the one that has it.
        let process = Command::new("unshare")
            .args(["--net", "dockerd"])
            .arg("--host")
            .arg(format!("unix://{}", path.join("socket").display()))
            .arg("--data-root")
            .arg(path.join("data"))
            .arg("--exec-root")
            .arg(path.join("run"))
            .arg("--pidfile")
            .arg(path.join("pid"))
            .args(["--bridge=none", "--iptables=false", "--ip6tables=false"])
            .stdin(std::process::Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .ok()?;
        let engine = Self { disk, process };
        let begun = std::time::Instant::now();
        while begun.elapsed() < std::time::Duration::from_secs(60) {
            let answers = Command::new("docker")
                .args(["--host", &engine.address(), "version"])
                .output();
            if answers.is_ok_and(|output| output.status.success()) {
                return Some(engine);
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        let log = fs::read_to_string(path.join("log")).unwrap_or_default();
        panic!("the Engine does not answer: {log}");
    }

    fn address(&self) -> String {
        format!("unix://{}", self.disk.path().join("socket").display())
    }
}

impl Drop for SmallEngine<'_> {
    fn drop(&mut self) {
        let pid = self.process.id().to_string();
        let _ = Command::new("kill").arg(&pid).status();
        let _ = self.process.wait();
        let _ = Command::new("umount")
            .arg("-l")
            .arg(self.disk.path())
            .status();
    }
}

#[test]
fn a_build_that_fails_changes_no_stack() {
    let Some(stage) = example() else { return };
    stage.write("Dockerfile", "FROM scratch\nCOPY nothing /\n");
    refused(&stage).holds(&["nothing"]);
}

#[test]
fn no_engine_is_needed_when_nothing_is_built() {
    let stage = Stage::new();
    let mut command = stage.command(&["svc", "deploy", "-n", "api", "-e", "test", "--yes"]);
    command.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let said = super::said(command);
    assert_eq!(said.code, Some(0), "{said}");
}
