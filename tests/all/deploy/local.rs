//! This machine's own Docker Engine, without SSH.

use std::io::Write as _;
use std::process::{Command, Stdio};

use lab::Engine;
use serde_json::Value as Json;

use super::{Stage, answer, assert_none_failed, probe};

const HERE: &str = "127.0.0.1";

fn inspect(name: &str) -> Json {
    let text = Engine::Local.docker(&["inspect", name]).unwrap();
    serde_json::from_str::<Json>(&text).unwrap()[0].take()
}

#[test]
fn a_first_deploy_leaves_what_kamal_leaves_and_the_same_again_changes_nothing() {
    let Some(stage) = Stage::local() else { return };
    let version = stage.configure(
        &stage.local_manifest("env:\n  clear:\n    COLOUR: blue\n  secret:\n    - CANARY\n"),
    );
    let verdict = stage.deploys(&[]);
    assert!(
        verdict.starts_with(&format!("deployed {version} to local in ")),
        "{verdict}"
    );
    assert!(
        !verdict.contains("undo"),
        "there is nothing to go back to: {verdict}"
    );
    assert!(answer(HERE).contains(&version));

    let name = format!("hello-web-{version}");
    let container = inspect(&name);
    let config = &container["Config"];
    assert_eq!(config["Image"], format!("hello:{version}"));
    for (label, value) in [("service", "hello"), ("role", "web"), ("destination", "")] {
        assert_eq!(config["Labels"][label], value, "{label}");
    }
    let hostname = config["Hostname"].as_str().unwrap();
    let digits = hostname.strip_prefix("local-").unwrap();
    assert!(
        digits.len() == 12 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{hostname}"
    );
    let env: Vec<&str> = config["Env"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Json::as_str)
        .collect();
    for variable in [
        "KAMAL_HOST=local".to_owned(),
        format!("KAMAL_VERSION={version}"),
        format!("KAMAL_CONTAINER_NAME={name}"),
        "COLOUR=blue".to_owned(),
        format!("CANARY={}", super::CANARY),
    ] {
        assert!(
            env.contains(&variable.as_str()),
            "{variable} is not in {env:?}"
        );
    }
    let host = &container["HostConfig"];
    assert_eq!(host["RestartPolicy"]["Name"], "unless-stopped");
    assert_eq!(host["NetworkMode"], "kamal");
    assert_eq!(host["LogConfig"]["Config"]["max-size"], "10m");
    let proxy = inspect("kamal-proxy");
    assert_eq!(
        proxy["HostConfig"]["RestartPolicy"]["Name"],
        "unless-stopped"
    );
    assert!(
        proxy["HostConfig"]["PortBindings"]["80/tcp"].is_array()
            && proxy["HostConfig"]["PortBindings"]["443/tcp"].is_array()
    );
    assert!(
        Engine::Local
            .docker(&["image", "inspect", "hello:latest"])
            .is_ok()
    );

    let audit = std::fs::read_to_string(stage.home.path().join(".kamal/hello-audit.log")).unwrap();
    assert!(
        audit.contains(&format!(" [web] Booted app version {version}\n")),
        "{audit}"
    );
    assert!(
        audit.contains(&format!(" Tagging hello:{version} as the latest image\n"))
            && audit.contains(" Pruned images\n"),
        "{audit}"
    );
    stage.assert_no_lock();

    let (before, journals) = (stage.containers(Engine::Local), stage.journal_files().len());
    let again = stage.deploys(&[]);
    assert!(
        again.starts_with("nothing to do: ") && again.contains(&version),
        "{again}"
    );
    assert_eq!(stage.containers(Engine::Local), before);
    assert_eq!(
        stage.journal_files().len(),
        journals,
        "no privileged call was begun"
    );
}

#[test]
fn a_new_version_drops_no_request_and_the_verdict_says_how_to_go_back() {
    let Some(stage) = Stage::local() else { return };
    let first = stage.configure(&stage.local_manifest(""));
    stage.deploys(&[]);
    let second = stage.project.commit("two").unwrap();
    let prober = probe(HERE);
    let verdict = stage.deploys(&[]);
    assert!(answer(HERE).contains(&second));
    let undo = format!("plimsoll deploy -P --version {first}");
    assert!(
        verdict.ends_with(&format!("; undo with `{undo}`")),
        "{verdict}"
    );

    let words: Vec<&str> = undo.split(' ').skip(2).collect();
    stage.deploys(&words);
    let report = prober.stop();
    assert_none_failed(&report);
    assert_eq!(
        report.answers.len(),
        2,
        "both versions answered: {:?}",
        report.answers
    );
    assert!(answer(HERE).contains(&first));
    assert_eq!(stage.running(Engine::Local).len(), 1);
    stage.assert_no_lock();
}

/// Deploys at a terminal, and answers what is asked there.
fn at_a_terminal(stage: &Stage, answer: &str) -> (Option<i32>, String) {
    let deploy = stage.command(&["deploy"]);
    let program = deploy.get_program().to_string_lossy();
    let mut terminal = Command::new("script");
    terminal
        .args(["-qec", &format!("{program} deploy"), "/dev/null"])
        .current_dir(deploy.get_current_dir().unwrap())
        .env_clear()
        .envs(
            deploy
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = terminal.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(answer.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), said)
}

#[test]
fn at_a_terminal_it_shows_the_plan_and_asks() {
    let Some(stage) = Stage::local() else { return };
    let version = stage.configure(&stage.local_manifest(""));
    let (code, said) = at_a_terminal(&stage, "n\n");
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("Privileged calls, in order") && said.contains("Carry this out? [y/N]"),
        "{said}"
    );
    assert!(said.contains("not approved; nothing was changed"), "{said}");
    assert!(stage.journal_files().is_empty(), "{said}");

    let (code, said) = at_a_terminal(&stage, "y\n");
    assert_eq!(code, Some(0), "{said}");
    let name = format!("hello-web-{version}");
    assert!(
        said.contains(&format!("local                ✓ {name} works on local")),
        "progress is shown: {said}"
    );
    assert!(answer(HERE).contains(&version));
}
