//! The image every server of the lab runs: this machine's own distribution, made with debootstrap because no image can be pulled everywhere.

use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

use crate::command::{as_root, command, run, succeeds};
use crate::report::say;
use crate::{Engine, LabError, state};

/// What a server has, beyond the smallest system.
const PACKAGES: [&str; 8] = [
    "ca-certificates",
    "curl",
    "docker.io",
    "iproute2",
    "iptables",
    "openssh-server",
    "procps",
    "xz-utils",
];

/// Returns the name of the image, after making it where it is not there (about 40 s).
pub fn make() -> Result<String, LabError> {
    let system = System::read()?;
    let image = format!("plimsoll-lab/host:{}", system.codename);
    if succeeds(&mut Engine::Local.command(&["image", "inspect", &image])) {
        return Ok(image);
    }
    say(format!(
        "making the servers' image from {} (once, about a minute)",
        system.mirror
    ));
    if !is_known("docker.io") {
        run(&mut as_root("apt-get", ["-q", "update"]))?;
    }
    let tree = state::folder()?.join("base");
    remove_tree(&tree)?;
    let include = format!("--include={}", packages().join(","));
    let components = format!("--components={}", system.components);
    let tree_text = tree.to_string_lossy();
    run(&mut as_root(
        "debootstrap",
        [
            "--variant=minbase",
            &include,
            &components,
            &system.codename,
            &tree_text,
            &system.mirror,
        ],
    ))?;
    let pack = as_root(
        "tar",
        [
            "-C",
            &tree_text,
            "--numeric-owner",
            "--exclude=./proc/*",
            "--exclude=./sys/*",
            "--exclude=./dev/*",
            "--exclude=./var/cache/apt/archives/*.deb",
            "--exclude=./var/lib/apt/lists/*",
            "--exclude=./etc/ssh/ssh_host_*",
            "-c",
            ".",
        ],
    );
    import(pack, Engine::Local, &[], &image)?;
    remove_tree(&tree)?;
    Ok(image)
}

/// Makes `image` on `engine` of the tar archive that `pack` writes, changed by Dockerfile instructions.
///
/// `docker import` needs no builder, so any client and any Engine can do it.
pub fn import(
    mut pack: Command,
    engine: Engine,
    changes: &[&str],
    image: &str,
) -> Result<(), LabError> {
    let mut arguments = vec!["import"];
    for change in changes {
        arguments.extend(["--change", change]);
    }
    arguments.extend(["-", image]);
    let mut packing = pack
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|source| LabError::Start {
            program: "tar".to_owned(),
            source,
        })?;
    let archive = packing
        .stdout
        .take()
        .expect("stdout was asked for as a pipe");
    let mut import = engine.command(&arguments);
    let output = import
        .stdin(archive)
        .output()
        .map_err(|source| LabError::Start {
            program: "docker".to_owned(),
            source,
        })?;
    let packed = packing.wait().map_err(|source| LabError::Start {
        program: "tar".to_owned(),
        source,
    })?;
    match [(&pack, packed), (&import, output.status)]
        .into_iter()
        .find(|(_, status)| !status.success())
    {
        None => Ok(()),
        Some((command, status)) => Err(LabError::Command {
            command: crate::command::line(command),
            status,
            output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        }),
    }
}

/// Newer releases keep the client in a package of its own.
pub fn packages() -> Vec<&'static str> {
    let mut packages = PACKAGES.to_vec();
    if is_known("docker-cli") {
        packages.push("docker-cli");
    }
    packages
}

/// Whether this machine's package lists have `package`.
pub fn is_known(package: &str) -> bool {
    run(&mut command(
        "apt-cache",
        ["show", "--no-all-versions", package],
    ))
    .is_ok_and(|text| !text.is_empty())
}

/// The distribution of this machine and where it gets its packages.
struct System {
    codename: String,
    mirror: String,
    components: &'static str,
}

impl System {
    fn read() -> Result<System, LabError> {
        let path = Path::new("/etc/os-release");
        let release = fs::read_to_string(path).map_err(LabError::file(path))?;
        let value = |key: &str| {
            let line = release
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.map(|value| value.trim_matches('"').to_owned())
        };
        let codename = value("VERSION_CODENAME").ok_or_else(|| LabError::Machine {
            problem: "find the name of this machine's release in /etc/os-release".to_owned(),
            hint: "the lab runs on Debian and Ubuntu".to_owned(),
        })?;
        let (mirror, components) = match value("ID").as_deref() {
            // Docker is in Ubuntu's second component.
            Some("ubuntu") => (ubuntu_mirror(), "main,universe"),
            _ => ("http://deb.debian.org/debian", "main"),
        };
        Ok(System {
            mirror: own_mirror(&codename).unwrap_or_else(|| mirror.to_owned()),
            codename,
            components,
        })
    }
}

fn ubuntu_mirror() -> &'static str {
    match env::consts::ARCH {
        "x86_64" => "http://archive.ubuntu.com/ubuntu",
        _ => "http://ports.ubuntu.com/ubuntu-ports",
    }
}

/// The mirror apt is configured with, which may be the only one that can be reached.
fn own_mirror(codename: &str) -> Option<String> {
    let mut list = command(
        "apt-get",
        [
            "indextargets",
            "--format",
            "$(RELEASE) $(COMPONENT) $(REPO_URI)",
            "Created-By: Packages",
        ],
    );
    let wanted = format!("{codename} main ");
    let targets = run(&mut list).ok()?;
    // debootstrap speaks HTTP; `mirror+file:` and the like are apt's own.
    let mirror = targets
        .lines()
        .filter_map(|line| line.strip_prefix(&wanted))
        .find(|uri| uri.starts_with("http"));
    mirror.map(str::to_owned)
}

fn remove_tree(tree: &Path) -> Result<(), LabError> {
    run(&mut as_root(
        "rm",
        [Path::new("-rf"), Path::new("--one-file-system"), tree],
    ))
    .map(drop)
}
