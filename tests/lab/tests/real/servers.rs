//! Servers can be reached, changed, broken and made new again.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use lab::host::DEPLOY_USER;
use lab::{Host, Lab};

/// Logs in as a user who trusts only `line`.
fn logs_in(host: &Host, line: &str) -> bool {
    let known =
        std::env::temp_dir().join(format!("known-hosts-{}-{}", std::process::id(), host.port));
    fs::write(&known, format!("{line}\n")).unwrap();
    let mut ssh = Command::new("ssh");
    ssh.args([
        "-F",
        "/dev/null",
        "-o",
        "BatchMode=yes",
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        "LogLevel=QUIET",
    ]);
    ssh.arg("-o")
        .arg(format!("UserKnownHostsFile={}", known.display()));
    ssh.arg("-i")
        .arg(&host.key_path)
        .args(["-p", &host.port.to_string()])
        .arg(format!("{}@{}", host.user, host.address));
    let came_in = ssh.arg("true").status().unwrap().success();
    fs::remove_file(&known).unwrap();
    came_in
}

#[test]
fn servers_have_docker_and_two_users_and_keep_their_arguments_apart() {
    let Some(lab) = Lab::for_test(2).unwrap() else {
        return;
    };
    assert_eq!(lab.hosts.len(), 2);
    for (number, host) in lab.hosts.iter().enumerate() {
        assert_eq!(host.address, format!("172.31.77.{}", 11 + number));
        assert_eq!(host.ssh(&["hostname"]).unwrap(), host.name);
        assert_eq!(
            host.ssh(&["printf", "%s|", "two words", "$HOME", "it's"])
                .unwrap(),
            "two words|$HOME|it's|"
        );
        assert!(
            !host
                .docker(&["version", "--format", "{{.Server.Version}}"])
                .unwrap()
                .is_empty()
        );
        let deploy = host.as_user(DEPLOY_USER);
        assert_eq!(deploy.ssh(&["whoami"]).unwrap(), DEPLOY_USER);
        assert_eq!(
            deploy.docker(&["ps", "-q"]).unwrap(),
            host.docker(&["ps", "-q"]).unwrap()
        );
        assert!(host.as_user("nobody-here").ssh(&["true"]).is_err());
        assert!(logs_in(host, &host.known_hosts_line));
    }
}

#[test]
fn a_second_up_is_fast_and_finds_the_same_servers() {
    let Some(alone) = Lab::for_test(2).unwrap() else {
        return;
    };
    drop(alone);
    let first = Lab::up(2).unwrap();
    let begun = Instant::now();
    let second = Lab::up(2).unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(
        first.hosts[1].known_hosts_line,
        second.hosts[1].known_hosts_line
    );
    assert_eq!(first.registry.password, second.registry.password);
}

#[test]
fn the_bare_host_has_no_docker_at_all() {
    let Some(lab) = Lab::for_test(0).unwrap() else {
        return;
    };
    let bare = lab.host_without_docker().unwrap();
    assert_eq!(bare.ssh(&["whoami"]).unwrap(), "root");
    assert!(bare.ssh(&["sh", "-c", "command -v docker"]).is_err());
}

#[test]
fn a_new_host_key_is_not_the_one_that_was_trusted() {
    let Some(lab) = Lab::for_test(1).unwrap() else {
        return;
    };
    let old = &lab.hosts[0];
    let new = lab.new_host_key(old).unwrap();
    assert_ne!(old.known_hosts_line, new.known_hosts_line);
    assert!(!logs_in(&new, &old.known_hosts_line));
    assert!(logs_in(&new, &new.known_hosts_line));
}

#[test]
fn a_stopped_host_is_away_and_comes_back_with_its_containers() {
    let Some(lab) = Lab::for_test(1).unwrap() else {
        return;
    };
    let host = &lab.hosts[0];
    host.reset(&[]).unwrap();
    host.docker(&["network", "create", "kamal"]).unwrap();
    host.stop().unwrap();
    assert!(host.ssh(&["true"]).is_err());
    host.start().unwrap();
    assert!(
        host.docker(&["network", "ls", "--format", "{{.Name}}"])
            .unwrap()
            .lines()
            .any(|name| name == "kamal")
    );
    host.ssh(&["mkdir", "-p", "/root/.kamal/apps"]).unwrap();
    host.reset(&[]).unwrap();
    assert!(host.docker(&["network", "inspect", "kamal"]).is_err());
    assert!(host.ssh(&["test", "-e", "/root/.kamal"]).is_err());
}

#[test]
fn a_host_behind_a_delay_is_the_same_and_slower() {
    let Some(lab) = Lab::for_test(1).unwrap() else {
        return;
    };
    let host = &lab.hosts[0];
    let (far, _path) = host.behind(Duration::from_millis(100)).unwrap();
    assert!(logs_in(&far, &far.known_hosts_line));
    let begun = Instant::now();
    assert_eq!(far.ssh(&["hostname"]).unwrap(), host.name);
    // A login takes about ten round trips, and certainly three.
    assert!(
        begun.elapsed() > Duration::from_millis(300),
        "{:?}",
        begun.elapsed()
    );
}
