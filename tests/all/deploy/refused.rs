//! What stops a deploy: named, with a cure, and without a lock or half a change left.

use std::fs;

use lab::proxy_stand_in::CONTAINER;
use lab::{Engine, Host};

use super::{Stage, answer};

/// Fails with these words and a hint, and leaves every server as it is.
fn refuses(stage: &Stage, arguments: &[&str], words: &[&str]) -> String {
    let engines = || -> Vec<String> {
        stage
            .up()
            .map(|host| stage.containers(Engine::On(host)))
            .collect()
    };
    let before = engines();
    let said = stage.fails(arguments);
    for word in words {
        assert!(said.contains(word), "{word} is missing:\n{said}");
    }
    assert!(
        said.lines().any(|line| line.starts_with("error: ")),
        "{said}"
    );
    assert!(
        said.lines().any(|line| line.starts_with("hint: ")),
        "{said}"
    );
    assert_eq!(engines(), before);
    said
}

#[test]
fn a_server_that_is_down_is_named_and_the_other_is_left_alone() {
    let Some(stage) = Stage::new(2) else { return };
    stage.deploys(&[]);
    let down = Down::new(stage.host(1));
    stage.project.commit("two").unwrap();
    refuses(&stage, &[], &[&down.0.address]);
    drop(down);
    stage.deploys(&[]);
}

/// A server without power, until this is dropped.
struct Down(Host);

impl Down {
    fn new(host: &Host) -> Self {
        host.stop().unwrap();
        Self(host.clone())
    }
}

impl Drop for Down {
    fn drop(&mut self) {
        self.0.start().unwrap();
    }
}

#[test]
fn a_lock_is_respected_and_its_holder_named() {
    let Some(stage) = Stage::new(1) else { return };
    let host = stage.host(0).clone();
    // As Kamal takes it.
    let take = "mkdir -p .kamal/lock-hello && printf 'Locked by: ada at 2026-02-03T04:05:06Z\\nVersion: 9\\nMessage: Automatic deploy lock' | base64 > .kamal/lock-hello/details";
    host.ssh(&["sh", "-c", take]).unwrap();
    let said = stage.run(&["deploy", "--yes"]);
    assert_eq!(said.code, Some(1), "{}", said.stderr);
    assert!(
        said.stderr
            .contains("Locked by: ada at 2026-02-03T04:05:06Z"),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr.contains("hint: ") && said.stderr.contains(".kamal/lock-hello"),
        "{}",
        said.stderr
    );
    assert!(
        host.ssh(&["cat", ".kamal/lock-hello/details"]).is_ok(),
        "it is still theirs"
    );
    assert_eq!(stage.containers(Engine::On(&host)), "");
    host.ssh(&["rm", "-r", ".kamal/lock-hello"]).unwrap();
    stage.deploys(&[]);
}

#[test]
fn an_image_without_the_service_label_is_refused() {
    let Some(stage) = Stage::new(1) else { return };
    let image = format!("{}:unlabelled", stage.repository());
    let folder = stage.project.folder.to_string_lossy().into_owned();
    let mut pack = std::process::Command::new("tar");
    pack.args(["-C", &folder, "-c", "bin/hello"]);
    lab::image::import(pack, Engine::Local, &["CMD [\"/bin/hello\"]"], &image).unwrap();
    stage.lab.registry.push(&image).unwrap();
    Engine::Local.docker(&["rmi", &image]).unwrap();
    refuses(
        &stage,
        &["-P", "--version", "unlabelled"],
        &[&image, "'service' label", "hint: build it with"],
    );
}

#[test]
fn a_version_that_was_never_pushed_is_not_deployed() {
    let Some(stage) = Stage::new(1) else { return };
    let image = format!("{}:never", stage.repository());
    refuses(&stage, &["-P", "--version", "never"], &[&image]);
}

#[test]
fn a_registry_that_refuses_the_password_is_named() {
    let Some(stage) = Stage::new(1) else { return };
    stage
        .project
        .write(".kamal/secrets", "REGISTRY_PASSWORD=wrong-pass-word\n")
        .unwrap();
    stage.project.commit("wrong password").unwrap();
    let said = refuses(&stage, &[], &[&stage.lab.registry.address]);
    assert!(!said.contains("wrong-pass-word"), "{said}");
}

#[test]
fn a_port_that_somebody_else_has_is_named_and_a_second_try_works() {
    let Some(stage) = Stage::new(1) else { return };
    let host = stage.host(0).clone();
    host.docker(&[
        "run",
        "-d",
        "--name",
        "squatter",
        "-p",
        "80:80",
        lab::proxy_stand_in::IMAGE,
    ])
    .unwrap();
    let said = stage.fails(&[]);
    assert!(
        said.contains("port 80") && said.contains(&host.address),
        "{said}"
    );
    assert!(
        said.lines().any(|line| line.starts_with("hint: ")),
        "{said}"
    );
    host.docker(&["rm", "-f", "squatter"]).unwrap();
    let version = stage.project.version().unwrap();
    stage.deploys(&[]);
    assert!(answer(&host.address).contains(&version));
    assert!(host.docker(&["port", CONTAINER, "80"]).is_ok());
}

#[test]
fn a_server_without_docker_is_named_and_a_bootstrap_installs_it() {
    let Some(stage) = Stage::new(0) else { return };
    let bare = stage.lab.host_without_docker().unwrap();
    stage
        .home
        .write(".ssh/known_hosts", bare.known_hosts_line.clone() + "\n");
    super::write_key(&stage.home, &bare);
    let manifest = stage
        .manifest("")
        .replace("servers:\n", &format!("servers:\n  - {}\n", bare.address));
    stage.configure(&manifest);
    refuses(&stage, &[], &[&bare.address, "Docker"]);

    // Docker's own script can't be had here: one that leaves a trace stands in for it.
    let installed = Installed(bare);
    let stand_in = "printf '#!/bin/sh\\necho \"echo $2 > /root/installed\"\\n' > /usr/local/bin/curl && chmod +x /usr/local/bin/curl";
    installed.0.ssh(&["sh", "-c", stand_in]).unwrap();
    let said = stage.run(&["kamal", "server", "bootstrap"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let script = installed.0.ssh(&["cat", "/root/installed"]).unwrap();
    assert_eq!(script, "https://get.docker.com");
}

/// The server without Docker, which is as it was when this is dropped.
struct Installed(Host);

impl Drop for Installed {
    fn drop(&mut self) {
        let files = ["rm", "-f", "/usr/local/bin/curl", "/root/installed"];
        self.0.ssh(&files).unwrap();
    }
}

#[test]
fn a_changed_host_key_is_refused() {
    let Some(stage) = Stage::new(1) else { return };
    // What the client trusts is another server's key.
    let key = "AAAAC3NzaC1lZDI1NTE5AAAAIEYHkSRoXXi7QIbh4X3Yv5Nb1TvXDXQ7KQhTfBTZTzxw";
    let line = format!("{} ssh-ed25519 {key}\n", stage.host(0).address);
    stage.home.write(".ssh/known_hosts", line);
    refuses(&stage, &[], &[&stage.host(0).address, "known_hosts"]);
}

#[test]
fn a_key_that_opens_nothing_is_refused() {
    let Some(stage) = Stage::new(1) else { return };
    let key = stage.home.path().join(".ssh/id_ed25519");
    fs::remove_file(&key).unwrap();
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status()
        .unwrap();
    assert!(made.success());
    refuses(&stage, &[], &[&stage.host(0).address]);
}
