//! What this machine needs before anything else, installed only where it is missing.

use std::env;
use std::path::Path;

use crate::command::{as_root, command, find, run, run_shown, succeeds};
use crate::report::say;
use crate::{LabError, cargo, engine, image, state};

/// Programs the lab runs, and the Debian package each comes in.
const PROGRAMS: [(&str, &str); 7] = [
    ("capsh", "libcap2-bin"),
    ("debootstrap", "debootstrap"),
    ("docker-registry", "docker-registry"),
    ("iptables", "iptables"),
    ("openssl", "openssl"),
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
];
/// Without it debootstrap, cargo and Engines trust no server.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Everything there is to install.
pub fn all() -> Result<(), LabError> {
    needed()?;
    just();
    Ok(())
}

/// What building, testing and the demonstration can't do without.
pub fn needed() -> Result<(), LabError> {
    rust_targets()?;
    let _lock = state::lock("lock")?;
    machine()?;
    if engine::is_only_roots() {
        say(
            "Docker is used through sudo: `sudo usermod -aG docker $USER`, and a new login, spare it",
        );
    }
    Ok(())
}

/// Debian packages and a Docker Engine that answers. The caller holds the lab's lock.
pub(crate) fn machine() -> Result<(), LabError> {
    packages()?;
    engine::start_if_down()
}

/// Where the crates of a component and of a static program are compiled for.
fn rust_targets() -> Result<(), LabError> {
    if find("rustup").is_none() {
        return Err(LabError::Machine {
            problem: "find rustup, which installs the targets wasm32-wasip2 and musl".to_owned(),
            hint: "install Rust from https://rustup.rs".to_owned(),
        });
    }
    let here =
        |arguments: &[&str]| run(command("rustup", arguments).current_dir(cargo::workspace()));
    let installed = here(&["target", "list", "--installed"])?;
    let wanted = ["wasm32-wasip2", cargo::STATIC_TARGET];
    let missing: Vec<&str> = wanted
        .into_iter()
        .filter(|target| !installed.lines().any(|line| line == *target))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    say(format!("installing Rust targets: {}", missing.join(", ")));
    here(&[&["target", "add"], &missing[..]].concat()).map(drop)
}

/// Debian packages this machine lacks.
pub fn missing_packages() -> Vec<&'static str> {
    let mut missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| find(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    if !Path::new(CERTIFICATES).exists() {
        missing.push("ca-certificates");
    }
    // Another Engine than Debian's is as good, and installing Debian's beside it would remove it.
    let has_engine = find("docker").is_some() && (find("dockerd").is_some() || engine::answers());
    if !has_engine {
        missing.push("docker.io");
    }
    missing.dedup();
    missing
}

fn packages() -> Result<(), LabError> {
    let mut missing = missing_packages();
    if missing.is_empty() {
        return Ok(());
    }
    if find("apt-get").is_none() {
        return Err(LabError::Machine {
            problem: format!("install {}: this is neither Debian nor Ubuntu", missing.join(", ")),
            hint: "install what gives the programs capsh, debootstrap, docker-registry, iptables, openssl, ssh and docker".to_owned(),
        });
    }
    apt(&["update"])?;
    if missing.contains(&"docker.io") && image::is_known("docker-cli") {
        missing.push("docker-cli");
    }
    install_known(&missing)?;
    // Its package starts a registry of its own on the port the lab's listens on.
    if missing.contains(&"docker-registry") && Path::new("/run/systemd/system").is_dir() {
        run(&mut as_root(
            "systemctl",
            ["disable", "--now", "docker-registry"],
        ))?;
    }
    Ok(())
}

/// Installs Debian packages. The caller holds the lab's lock.
pub(crate) fn install(packages: &[&str]) -> Result<(), LabError> {
    apt(&["update"])?;
    install_known(packages)
}

fn install_known(packages: &[&str]) -> Result<(), LabError> {
    say(format!(
        "installing Debian packages: {}",
        packages.join(", ")
    ));
    apt(&[&["install", "--no-install-recommends"], packages].concat())
}

fn apt(arguments: &[&str]) -> Result<(), LabError> {
    let words = ["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y"];
    run(&mut as_root("env", [&words[..], arguments].concat())).map(drop)
}

/// Recipes are a convenience: without `just` the aliases of cargo do.
fn just() {
    if find("just").is_some() {
        return;
    }
    say("installing just");
    let wheel =
        find("pip").is_some() && succeeds(&mut command("pip", ["install", "--quiet", "rust-just"]));
    // Version managers of Python (pyenv) put programs where only they look.
    if wheel
        && (succeeds(&mut command("pyenv", ["rehash"])) | find("just").is_some())
        && find("just").is_some()
    {
        return;
    }
    let mut install = command(cargo::program(), ["install", "--quiet", "--locked", "just"]);
    if let Err(error) = run_shown(install.current_dir(env::temp_dir())) {
        say(format!(
            "without just, which did not install: failed to {error}"
        ));
    }
}
