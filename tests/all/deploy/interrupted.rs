//! Ctrl-C, and SIGTERM: what was begun ends, nothing new begins, the lock is given back.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use lab::Engine;

use super::{Said, Stage, assert_none_failed, probe, wait_until};

fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill")
        .args(["-s", signal, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

/// Deploys a version that never gets healthy, and signals while the proxy waits for it.
fn signalled_while_waiting(stage: &Stage, signals: &[&str]) -> (String, Said, Duration) {
    let host = stage.host(0).clone();
    stage.deploys(&[]);
    let bad = stage.configure(&stage.manifest("env:\n  clear:\n    HELLO_UNHEALTHY: 1\n"));
    let prober = probe(&host.address);
    let before = stage.begun("docker.exec.start");
    let deploy = stage.starts(&[]);
    wait_until("the proxy is told", || {
        stage.begun("docker.exec.start") > before
    });
    let begun = Instant::now();
    for signal in signals {
        send(signal, &deploy);
        std::thread::sleep(Duration::from_millis(200));
    }
    let said = stage.note(deploy.wait_with_output().unwrap());
    let took = begun.elapsed();
    assert_none_failed(&prober.stop());
    stage.assert_no_lock();
    (bad, said, took)
}

#[test]
fn ctrl_c_during_a_health_wait_ends_the_step_at_hand_and_says_what_runs_where() {
    // Each ends as a shell says of it: 128 and its number.
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let Some(stage) = Stage::new(1) else { return };
        let good = stage.project.version().unwrap();
        let (bad, said, _) = signalled_while_waiting(&stage, &[signal]);
        assert_eq!(said.code, Some(code), "{}", said.stderr);
        assert!(
            said.stderr
                .contains("warning: interrupted: nothing new is begun"),
            "{}",
            said.stderr
        );
        assert!(
            said.stderr.contains(&format!(
                "hello-web-{good} still works, hello-web-{bad} is stopped"
            )),
            "{}",
            said.stderr
        );
        assert!(
            said.stderr
                .lines()
                .any(|line| line.starts_with("error: interrupted; ")),
            "{}",
            said.stderr
        );
        assert_eq!(
            stage.running(Engine::On(stage.host(0))),
            [format!("hello-web-{good}")]
        );
    }
}

#[test]
fn a_second_ctrl_c_stops_at_once_and_says_what_may_go_on() {
    let Some(stage) = Stage::new(1) else { return };
    let (_, said, took) = signalled_while_waiting(&stage, &["INT", "INT"]);
    assert_eq!(said.code, Some(130), "{}", said.stderr);
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(
        said.stderr.contains("not known to have ended")
            && said.stderr.contains("docker.exec.start on "),
        "{}",
        said.stderr
    );
    // Whatever that came to, the next deploy sets it right.
    stage.configure(&stage.manifest(""));
    stage.deploys(&[]);
    assert_eq!(stage.running(Engine::On(stage.host(0))).len(), 1);
}

#[test]
fn ctrl_c_between_the_calls_leaves_the_servers_as_they_were() {
    let Some(stage) = Stage::new(1) else { return };
    stage.deploys(&[]);
    let before = stage.containers(Engine::On(stage.host(0)));
    stage
        .project
        .write(".kamal/hooks/pre-deploy", "#!/bin/sh\nsleep 1\n")
        .unwrap();
    super::hooks::executable(&stage, "pre-deploy");
    stage.project.commit("two").unwrap();
    let deploy = stage.starts(&[]);
    wait_until("the hook runs", || stage.begun("hook.run") > 0);
    send("INT", &deploy);
    let said = stage.note(deploy.wait_with_output().unwrap());
    assert_eq!(said.code, Some(130), "{}", said.stderr);
    stage.assert_no_lock();
    assert_eq!(stage.containers(Engine::On(stage.host(0))), before);
}

#[test]
fn ctrl_c_before_the_image_is_there_stops_at_once() {
    let Some(stage) = Stage::new(1) else { return };
    let begun = stage.home.path().join("begun");
    let script = format!("#!/bin/sh\ntouch {}\nsleep 20\n", begun.display());
    stage
        .project
        .write(".kamal/hooks/pre-build", &script)
        .unwrap();
    super::hooks::executable(&stage, "pre-build");
    stage.project.commit("slow").unwrap();
    let deploy = stage.starts(&[]);
    wait_until("the hook runs", || begun.exists());
    let asked = Instant::now();
    send("INT", &deploy);
    let said = stage.note(deploy.wait_with_output().unwrap());
    assert_eq!(said.code, Some(130), "{}", said.stderr);
    assert!(
        said.stderr.contains("interrupted; no server was changed"),
        "{}",
        said.stderr
    );
    assert!(asked.elapsed() < Duration::from_secs(5), "{}", said.stderr);
    assert_eq!(stage.containers(Engine::On(stage.host(0))), "");
}

#[test]
fn what_a_killed_deploy_left_is_said_and_the_next_one_clears_it() {
    let Some(stage) = Stage::new(1) else { return };
    let host = stage.host(0).clone();
    let good = stage.project.version().unwrap();
    stage.deploys(&[]);
    let bad = stage.configure(&stage.manifest("env:\n  clear:\n    HELLO_UNHEALTHY: 1\n"));
    let prober = probe(&host.address);
    let before = stage.begun("docker.exec.start");
    let mut deploy = stage.starts(&[]);
    wait_until("the proxy is told", || {
        stage.begun("docker.exec.start") > before
    });
    deploy.kill().unwrap();
    deploy.wait().unwrap();
    let mut running = stage.running(Engine::On(&host));
    running.sort();
    let mut both = [&bad, &good].map(|version| format!("hello-web-{version}"));
    both.sort();
    assert_eq!(running, both);

    // Nobody was left to give the lock back: whose it is is said, and how it is given back.
    let next = stage.configure(&stage.manifest(""));
    let said = stage.run(&["deploy", "--yes"]);
    assert_eq!(said.code, Some(1), "{}", said.stderr);
    assert!(
        said.stderr.contains(&format!("Version: {bad}")) && said.stderr.contains("lock release"),
        "{}",
        said.stderr
    );
    let released = stage.run(&["kamal", "lock", "release"]);
    assert_eq!(released.code, Some(0), "{}", released.stderr);
    stage.deploys(&[]);
    assert_none_failed(&prober.stop());
    let running = stage.running(Engine::On(&host));
    assert_eq!(running, [format!("hello-web-{next}")]);
    stage.assert_no_lock();
}
