//! The lab itself: its network, its servers and its registry, brought up once and shared.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;

use crate::checks::is_ci;
use crate::command::{command, run, succeeds};
use crate::registry::{ADDRESS, GATEWAY, Registry};
use crate::report::say;
use crate::{Engine, Host, LabError, engine, image, registry, setup, state};

/// Name of the lock that users of the lab hold.
const USE: &str = "use";
const NETWORK: &str = "plimsoll-lab";
const SUBNET: &str = "172.31.77.0/24";
/// More would not fit this address plan, nor any machine that runs tests.
const MOST_HOSTS: usize = 50;
/// The host without Docker stands apart from the numbered ones.
const BARE_NUMBER: usize = 200;

/// Servers and a registry that are up.
///
/// Dropping it leaves them up, for the next test; `cargo lab down` removes them.
#[derive(Debug)]
pub struct Lab {
    /// The servers, in the order of their names.
    pub hosts: Vec<Host>,
    /// The registry they trust.
    pub registry: Registry,
    image: String,
    /// Keeps those who want to be alone waiting, or everybody.
    _use: File,
}

impl Lab {
    /// Brings up `hosts` servers and the registry, or finds them up.
    ///
    /// Several tests and processes may use them at once, so none may break them for the others: see [`Lab::take`].
    pub fn up(hosts: usize) -> Result<Lab, LabError> {
        Lab::bring_up(hosts, state::share(USE)?)
    }

    /// [`Lab::up`] for oneself: waits until nobody uses the lab, and keeps everybody waiting until it is dropped.
    ///
    /// For tests that reset a host, stop it, or change its key.
    pub fn take(hosts: usize) -> Result<Lab, LabError> {
        Lab::bring_up(hosts, state::lock(USE)?)
    }

    fn bring_up(hosts: usize, in_use: File) -> Result<Lab, LabError> {
        if hosts > MOST_HOSTS {
            return Err(LabError::Machine {
                problem: format!("bring up {hosts} hosts"),
                hint: format!("{MOST_HOSTS} is the most"),
            });
        }
        let _lock = state::lock("lock")?;
        setup::machine()?;
        let files = write_shared_files()?;
        if !succeeds(&mut Engine::Local.command(&["network", "inspect", NETWORK])) {
            Engine::Local.docker(&[
                "network",
                "create",
                "--subnet",
                SUBNET,
                "--gateway",
                GATEWAY,
                NETWORK,
            ])?;
        }
        let registry = registry::up()?;
        fs::copy(&registry.ca_path, files.join("ca.crt"))
            .map_err(LabError::file(files.join("ca.crt")))?;
        let image = image::make()?;
        let image = &image;
        let hosts: Result<Vec<Host>, LabError> = thread::scope(|scope| {
            let starting: Vec<_> = (1..=hosts)
                .map(|number| scope.spawn(move || start(&host(number)?, image, Kind::WithDocker)))
                .collect();
            let started = starting
                .into_iter()
                .map(|host| host.join().expect("starting a host does not panic"));
            started.collect()
        });
        Ok(Lab {
            hosts: hosts?,
            registry,
            image: image.clone(),
            _use: in_use,
        })
    }

    /// [`Lab::take`] for a test: `None`, with the reason said, where this machine was never set up for it. Under `CI=true` it is set up then.
    pub fn for_test(hosts: usize) -> Result<Option<Lab>, LabError> {
        let missing = setup::missing_packages();
        if missing.is_empty() || is_ci() {
            return Lab::take(hosts).map(Some);
        }
        say(format!(
            "skipped, because this machine lacks {}: `cargo lab setup` installs them",
            missing.join(", ")
        ));
        Ok(None)
    }

    /// A server that has sshd and not even the `docker` command.
    pub fn host_without_docker(&self) -> Result<Host, LabError> {
        let _lock = state::lock("lock")?;
        start(&host(BARE_NUMBER)?, &self.image, Kind::SshOnly)
    }

    /// Gives `host` another key, as a reinstalled or an impostor's server has, and returns the host with its new line.
    pub fn new_host_key(&self, host: &Host) -> Result<Host, LabError> {
        let script = "rm /etc/ssh/lab_host_key* && ssh-keygen -q -t ed25519 -N '' -C '' -f /etc/ssh/lab_host_key && pkill -HUP -o -x sshd";
        Engine::Local.docker(&["exec", &host.name, "sh", "-c", script])?;
        let key = host.wait_until_ready("true")?;
        host.wait_until_it_shows(&key)?;
        Ok(Host {
            known_hosts_line: format!("{} {key}", host.address),
            ..host.clone()
        })
    }
}

/// How much `down` takes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Down {
    /// Servers, network and registry.
    Lab,
    /// Also the Docker Engine, if the lab started it.
    Everything,
}

/// Removes what [`Lab::up`] made. The servers' image stays, for the next time.
pub fn down(what: Down) -> Result<(), LabError> {
    let _lock = state::lock("lock")?;
    if engine::answers() {
        let containers =
            Engine::Local.docker(&["ps", "-aq", "--filter", &format!("label={NETWORK}")])?;
        let containers: Vec<&str> = containers.lines().collect();
        if !containers.is_empty() {
            Engine::Local.docker(&[&["rm", "-f", "-v"], &containers[..]].concat())?;
            say(format!("removed {} server(s)", containers.len()));
        }
        remove_network()?;
    }
    registry::down()?;
    match what {
        Down::Lab => Ok(()),
        Down::Everything => engine::stop_if_ours(),
    }
}

fn remove_network() -> Result<(), LabError> {
    if !succeeds(&mut Engine::Local.command(&["network", "inspect", NETWORK])) {
        return Ok(());
    }
    let on_it = [
        "ps",
        "-a",
        "--filter",
        &format!("network={NETWORK}"),
        "--format",
        "{{.Names}}",
    ];
    let strangers = Engine::Local.docker(&on_it)?;
    if strangers.is_empty() {
        return Engine::Local.docker(&["network", "rm", NETWORK]).map(drop);
    }
    let strangers: Vec<&str> = strangers.lines().collect();
    say(format!(
        "left the network {NETWORK}, on which there is {}",
        strangers.join(", ")
    ));
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    WithDocker,
    SshOnly,
}

/// The host of that number, before anything is known about its key.
fn host(number: usize) -> Result<Host, LabError> {
    Ok(Host {
        name: match number {
            BARE_NUMBER => "plimsoll-lab-bare".to_owned(),
            number => format!("plimsoll-lab{number}"),
        },
        address: format!("172.31.77.{}", 10 + number),
        port: 22,
        user: "root".to_owned(),
        key_path: state::folder()?.join("id_ed25519"),
        known_hosts_line: String::new(),
    })
}

fn start(host: &Host, image: &str, kind: Kind) -> Result<Host, LabError> {
    let running = Engine::Local.docker(&["inspect", "--format", "{{.State.Running}}", &host.name]);
    match running.as_deref() {
        Ok("true") => {}
        Ok(_) => Engine::Local.docker(&["start", &host.name]).map(drop)?,
        Err(_) => create(host, image, kind)?,
    }
    let key = host.wait_until_ready(match kind {
        Kind::WithDocker => "docker version",
        Kind::SshOnly => "true",
    })?;
    Ok(Host {
        known_hosts_line: format!("{} {key}", host.address),
        ..host.clone()
    })
}

fn create(host: &Host, image: &str, kind: Kind) -> Result<(), LabError> {
    say(format!("starting server {} at {}", host.name, host.address));
    let privileges = privileges()?;
    let files = format!("{}:/lab:ro", state::folder()?.join("host").display());
    let registry = format!("REGISTRY={ADDRESS}");
    let mut arguments = vec![
        "run",
        "--detach",
        "--name",
        &host.name,
        "--hostname",
        &host.name,
        "--label",
        NETWORK,
    ];
    arguments.extend([
        "--network",
        NETWORK,
        "--ip",
        &host.address,
        "--env",
        &registry,
    ]);
    // A volume, because an overlay can't lie on an overlay.
    arguments.extend(["--volume", &files, "--volume", "/var/lib/docker"]);
    arguments.extend(privileges.iter().map(String::as_str));
    arguments.extend([image, "/bin/bash", "/lab/start"]);
    if let Kind::SshOnly = kind {
        arguments.push("ssh-only");
    }
    Engine::Local.docker(&arguments).map(drop)
}

/// What a container needs to run a Docker Engine of its own.
///
/// `--privileged` fails where the kernel withholds a capability from us (CAP_SYS_RESOURCE in some sandboxes): then every capability we do
/// have is given by name.
fn privileges() -> Result<Vec<String>, LabError> {
    let status = Path::new("/proc/self/status");
    let text = fs::read_to_string(status).map_err(LabError::file(status))?;
    let ours = text
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:"))
        .unwrap_or_default()
        .trim();
    let last = Path::new("/proc/sys/kernel/cap_last_cap");
    let last: u32 = fs::read_to_string(last)
        .map_err(LabError::file(last))?
        .trim()
        .parse()
        .unwrap_or(0);
    if u64::from_str_radix(ours, 16).is_ok_and(|ours| ours.count_ones() == last + 1) {
        return Ok(vec!["--privileged".to_owned()]);
    }
    let decoded = run(&mut command("capsh", [format!("--decode={ours}")]))?;
    let names = decoded
        .split_once('=')
        .map_or("", |(_, names)| names)
        .split(',');
    // Docker 20.10 does not know the three newest; dockerd needs none of them.
    let known =
        names.filter(|name| !["cap_bpf", "cap_perfmon", "cap_checkpoint_restore"].contains(name));
    let mut privileges: Vec<String> = known
        .filter_map(|name| name.strip_prefix("cap_"))
        .map(|name| format!("--cap-add={name}"))
        .collect();
    privileges.extend(
        ["seccomp", "apparmor", "systempaths"]
            .map(|limit| format!("--security-opt={limit}=unconfined")),
    );
    privileges.push("--device-cgroup-rule=a *:* rwm".to_owned());
    Ok(privileges)
}

/// What every server mounts at `/lab`; returns the folder.
fn write_shared_files() -> Result<PathBuf, LabError> {
    let state = state::folder()?;
    let key = state.join("id_ed25519");
    if !key.exists() {
        run(&mut command(
            "ssh-keygen",
            [
                "-q",
                "-t",
                "ed25519",
                "-N",
                "",
                "-C",
                "plimsoll-lab",
                "-f",
                &key.to_string_lossy(),
            ],
        ))?;
    }
    let folder = state.join("host");
    state::make_private(&folder)?;
    let public = key.with_extension("pub");
    fs::copy(&public, folder.join("authorized_keys")).map_err(LabError::file(&public))?;
    state::write(
        &folder.join("start"),
        0o755,
        include_str!("../host-start.sh"),
    )?;
    state::write(
        &folder.join("sshd.conf"),
        0o644,
        "HostKey /etc/ssh/lab_host_key\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n",
    )?;
    // Networks of their own: the servers' must not shadow this machine's.
    let networks = r#"{ "bip": "10.250.0.1/16", "default-address-pools": [ { "base": "10.251.0.0/16", "size": 24 } ] }"#;
    state::write(&folder.join("daemon.json"), 0o644, networks)?;
    Ok(folder)
}
