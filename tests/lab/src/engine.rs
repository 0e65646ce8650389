//! Docker Engines: this machine's own, found or started, and those of the hosts.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use crate::command::{as_root, command, find, is_root, run, run_shown, succeeds};
use crate::report::say;
use crate::{Host, LabError, process, setup, state};

/// How long an Engine may take to answer after its start.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A Docker Engine to give commands to.
#[derive(Debug, Clone, Copy)]
pub enum Engine<'a> {
    /// This machine's: `DOCKER_HOST`, or the socket in `/var/run`.
    Local,
    /// A host's, through ssh.
    On(&'a Host),
}

impl Engine<'_> {
    /// The command `docker arguments…` on this Engine.
    pub fn command(&self, arguments: &[&str]) -> Command {
        match self {
            Engine::Local => docker(arguments),
            Engine::On(host) => {
                let words: Vec<&str> = std::iter::once("docker")
                    .chain(arguments.iter().copied())
                    .collect();
                host.ssh_command(&words)
            }
        }
    }

    /// Runs `docker arguments…` and returns what it prints.
    pub fn docker(&self, arguments: &[&str]) -> Result<String, LabError> {
        run(&mut self.command(arguments))
    }
}

/// The command `docker arguments…` on this machine, through sudo where only root may use the socket.
fn docker(arguments: &[&str]) -> Command {
    if is_only_roots() {
        as_root("docker", arguments)
    } else {
        command("docker", arguments)
    }
}

/// Whether an Engine is there, and its socket not for us.
pub fn is_only_roots() -> bool {
    // Remembered once there is an Engine to tell: set-up may install it between two questions.
    static ONLY_ROOTS: OnceLock<bool> = OnceLock::new();
    if let Some(known) = ONLY_ROOTS.get() {
        return *known;
    }
    match run(&mut command("docker", ["version"])) {
        Ok(_) => *ONLY_ROOTS.get_or_init(|| false),
        Err(error) if !is_root() && error.to_string().contains("permission denied") => {
            *ONLY_ROOTS.get_or_init(|| true)
        }
        Err(_) => false,
    }
}

/// Whether this machine's Engine answers.
pub fn answers() -> bool {
    succeeds(&mut Engine::Local.command(&["version", "--format", "{{.Server.Version}}"]))
}

/// Sees to it that this machine's Engine answers: installs and starts it where need be.
pub fn ensure() -> Result<(), LabError> {
    if answers() {
        return Ok(());
    }
    let _lock = state::lock("lock")?;
    setup::machine()
}

/// Starts this machine's Engine unless it answers already. The caller holds the lab's lock.
pub(crate) fn start_if_down() -> Result<(), LabError> {
    if answers() {
        return Ok(());
    }
    if let Some(chosen) = env::var_os("DOCKER_HOST").filter(|chosen| !chosen.is_empty()) {
        return Err(LabError::Machine {
            problem: format!(
                "reach the Docker Engine that DOCKER_HOST names: {}",
                chosen.to_string_lossy()
            ),
            hint: "start it, or unset DOCKER_HOST to use this machine's own".to_owned(),
        });
    }
    if Path::new("/run/systemd/system").is_dir() {
        say("starting the Docker Engine with systemctl");
        run(&mut as_root("systemctl", ["start", "docker"]))?;
    } else {
        start_by_hand()?;
    }
    let start = Instant::now();
    while !answers() {
        if start.elapsed() > START_LIMIT {
            return Err(LabError::NotReady {
                what: "the Docker Engine answer".to_owned(),
                limit: START_LIMIT,
                detail: last_lines(&log_file()?, 5),
            });
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Stops the Engine, if it is one the lab started. The caller holds the lab's lock.
pub(crate) fn stop_if_ours() -> Result<(), LabError> {
    if process::stop(&pid_file()?, "dockerd")? {
        say("stopped the Docker Engine that the lab had started");
    }
    Ok(())
}

/// For machines without systemd, such as containers: dockerd in its own session, with its pid and log in the lab's folder.
fn start_by_hand() -> Result<(), LabError> {
    let program = find("dockerd").ok_or_else(|| LabError::Machine {
        problem: "find a Docker Engine: none answers and `dockerd` is not installed".to_owned(),
        hint: "install docker.io, or set DOCKER_HOST to an Engine that answers".to_owned(),
    })?;
    say("starting a Docker Engine (`cargo lab down --all` stops it)");
    forget_the_dead()?;
    let (pid_file, log_file) = (pid_file()?, log_file()?);
    let log = fs::File::create(&log_file).map_err(LabError::file(&log_file))?;
    let errors = log.try_clone().map_err(LabError::file(&log_file))?;
    // The socket belongs to our own group, so that an ordinary user needs no sudo for it.
    let group = run(&mut command("id", ["-gn"]))?;
    // Forked, so that nothing of ours, sudo neither, stays between it and the machine's first process.
    let mut dockerd = as_root(
        "setsid",
        [
            "--fork",
            &program.to_string_lossy(),
            "--group",
            &group,
            "--pidfile",
            &pid_file.to_string_lossy(),
        ],
    );
    dockerd.stdin(Stdio::null()).stdout(log).stderr(errors);
    run_shown(&mut dockerd)
}

/// Removes what an Engine that was killed left. dockerd takes a containerd that nobody has waited for yet for one that
/// runs, and then waits for it in vain.
fn forget_the_dead() -> Result<(), LabError> {
    // Ours does not answer, or nobody would start one.
    if process::stop(&pid_file()?, "dockerd")? {
        thread::sleep(Duration::from_secs(1));
    }
    for (file, program) in [
        ("/var/run/docker/containerd/containerd.pid", "containerd"),
        ("/var/run/docker.pid", "dockerd"),
    ] {
        if Path::new(file).exists() && process::running(Path::new(file), program).is_none() {
            run(&mut as_root("rm", ["-f", file]))?;
        }
    }
    Ok(())
}

fn pid_file() -> Result<PathBuf, LabError> {
    Ok(state::folder()?.join("dockerd.pid"))
}

fn log_file() -> Result<PathBuf, LabError> {
    Ok(state::folder()?.join("dockerd.log"))
}

/// The end of a log, for messages.
pub(crate) fn last_lines(log: &Path, count: usize) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
