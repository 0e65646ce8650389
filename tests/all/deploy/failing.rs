//! A version that does not get well: the old one keeps serving.

use lab::Engine;

use super::{Stage, answer, assert_none_failed, probe};

#[test]
fn an_unhealthy_version_is_stopped_and_the_old_one_keeps_serving() {
    let Some(stage) = Stage::new(1) else { return };
    let host = stage.host(0).clone();
    let good = stage.project.version().unwrap();
    stage.deploys(&[]);
    let bad = stage.configure(&stage.manifest("env:\n  clear:\n    HELLO_UNHEALTHY: 1\n"));
    let prober = probe(&host.address);
    let said = stage.fails(&[]);
    assert_none_failed(&prober.stop());
    assert!(
        said.contains(&format!(
            "error: hello-web-{bad} on {} did not become healthy: ",
            host.address
        )),
        "{said}"
    );
    assert!(
        said.contains("times: Unexpected status (500)"),
        "what the proxy's probe came to: {said}"
    );
    assert!(
        said.contains("hello: listening on port 3000"),
        "the container's last lines: {said}"
    );
    assert!(
        said.contains(&format!(
            "{}: hello-web-{good} still works, hello-web-{bad} is stopped",
            host.address
        )),
        "{said}"
    );
    assert_eq!(
        stage.running(Engine::On(&host)),
        [format!("hello-web-{good}")]
    );

    stage.configure(&stage.manifest(""));
    let better = stage.project.commit("well again").unwrap();
    let verdict = stage.deploys(&[]);
    assert!(answer(&host.address).contains(&better));
    assert!(verdict.contains(&format!("--version {good}`")), "{verdict}");
}

#[test]
fn a_crashing_version_is_stopped_with_its_last_words_shown() {
    let Some(stage) = Stage::new(1) else { return };
    let host = stage.host(0).clone();
    let good = stage.project.version().unwrap();
    stage.deploys(&[]);
    let bad = stage.configure(&stage.manifest("env:\n  clear:\n    HELLO_CRASH: 1\n"));
    let prober = probe(&host.address);
    let said = stage.fails(&[]);
    assert_none_failed(&prober.stop());
    assert!(
        said.contains("hello: stopping at once because HELLO_CRASH is set"),
        "{said}"
    );
    assert!(
        said.contains(&format!(
            "hello-web-{good} still works, hello-web-{bad} is stopped"
        )),
        "{said}"
    );
    assert_eq!(
        stage.running(Engine::On(&host)),
        [format!("hello-web-{good}")]
    );
}

#[test]
fn when_one_of_two_servers_fails_each_is_told_with_what_it_runs() {
    let Some(stage) = Stage::new(2) else { return };
    let (well, ill) = (stage.host(0).clone(), stage.host(1).clone());
    let first = stage.project.version().unwrap();
    stage.deploys(&[]);
    let manifest = stage.manifest("").replace(
        &format!("  - {}\n", ill.address),
        &format!("  - {}: ill\n", ill.address),
    );
    let second = stage.configure(&format!(
        "{manifest}env:\n  tags:\n    ill:\n      HELLO_UNHEALTHY: 1\n"
    ));
    let probers = [probe(&well.address), probe(&ill.address)];
    let said = stage.fails(&[]);
    for prober in probers {
        assert_none_failed(&prober.stop());
    }
    assert!(
        said.contains(&format!("{}: hello-web-{second} works", well.address)),
        "{said}"
    );
    assert!(
        said.contains(&format!(
            "{}: hello-web-{first} still works, hello-web-{second} is stopped",
            ill.address
        )),
        "{said}"
    );
    assert_eq!(
        stage.running(Engine::On(&well)),
        [format!("hello-web-{second}")]
    );
    assert_eq!(
        stage.running(Engine::On(&ill)),
        [format!("hello-web-{first}")]
    );
}

#[test]
fn a_worker_that_comes_up_again_and_again_is_not_healthy_and_the_old_one_goes_on() {
    let Some(stage) = Stage::new(1) else { return };
    let host = stage.host(0).clone();
    let server = &host.address;
    let manifest = |command: &str| {
        stage.manifest("").replace(
            &format!("servers:\n  - {server}\n"),
            &format!("servers:\n  web:\n    - {server}\n  worker:\n    hosts:\n      - {server}\n    env:\n      clear:\n        {command}\n"),
        )
    };
    let first = stage.configure(&manifest("HELLO_CRASH: 0"));
    stage.deploys(&[]);
    let second = stage.configure(&manifest("HELLO_CRASH: 1"));
    let said = stage.fails(&[]);
    assert!(
        said.contains(&format!(
            "hello-worker-{second} on {server}: container not ready after 4 seconds (restarting)"
        )) && said.contains("hello: stopping at once because HELLO_CRASH is set"),
        "{said}"
    );
    let mut running = stage.running(Engine::On(&host));
    running.sort();
    assert_eq!(
        running,
        [
            format!("hello-web-{second}"),
            format!("hello-worker-{first}")
        ]
    );
}

#[test]
fn a_server_that_goes_down_in_the_middle_stops_the_rollout_there() {
    let Some(stage) = Stage::new(3) else { return };
    let first = stage.configure(&stage.manifest("boot:\n  limit: 1\n"));
    stage.deploys(&[]);
    let down = Down(stage.host(1).clone());
    let script = format!(
        "#!/bin/sh\n[ \"$KAMAL_HOSTS\" != {} ] || docker kill {}\n",
        down.0.address, down.0.name
    );
    super::commands::write_hook(&stage, "pre-app-boot", &script);
    let second = stage.project.commit("two").unwrap();
    let said = stage.fails(&[]);
    let [one, two, three] = [0, 1, 2].map(|number| stage.host(number).address.clone());
    assert!(
        said.contains(&format!("{one}: hello-web-{second} works")),
        "{said}"
    );
    assert!(said.contains(&format!("    {two}: ")), "{said}");
    assert!(
        said.contains(&format!("{three}: hello-web-{first} still works")),
        "{said}"
    );
    drop(down);
    stage.deploys(&["-H"]);
    for host in &stage.lab.hosts {
        assert_eq!(
            stage.running(Engine::On(host)),
            [format!("hello-web-{second}")]
        );
    }
}

/// A server that has power again when this is dropped.
struct Down(lab::Host);

impl Drop for Down {
    fn drop(&mut self) {
        self.0.start().unwrap();
    }
}

/// What is offered after a failure, without the program's name: the words of each command.
fn offered(said: &str) -> Vec<Vec<String>> {
    let lines = said
        .lines()
        .filter_map(|line| line.split_once(": plimsoll "));
    let words = |line: &str| {
        line.split(' ')
            .map(|word| word.trim_matches('\'').to_owned())
            .collect()
    };
    lines.map(|(_, line)| words(line.trim_end())).collect()
}

#[test]
fn a_deploy_that_stopped_halfway_is_finished_or_taken_back_by_the_commands_it_names() {
    let Some(stage) = Stage::new(2) else { return };
    let (well, ill) = (stage.host(0).clone(), stage.host(1).clone());
    let first = stage.project.version().unwrap();
    stage.deploys(&[]);
    let manifest = stage.manifest("").replace(
        &format!("  - {}\n", ill.address),
        &format!("  - {}: ill\n", ill.address),
    );
    let second = stage.configure(&format!(
        "{manifest}env:\n  tags:\n    ill:\n      HELLO_UNHEALTHY: 1\n"
    ));
    let commands = offered(&stage.fails(&[]));
    let [resume, undo] = commands.as_slice() else {
        panic!("{commands:?}");
    };
    assert_eq!(
        resume.join(" "),
        format!("deploy -P --version {second} -h {}", ill.address)
    );
    assert_eq!(
        undo.join(" "),
        format!("rollback {first} -h {}", well.address)
    );
    let runs = |words: &[String]| {
        let words: Vec<&str> = words.iter().map(String::as_str).chain(["--yes"]).collect();
        let said = stage.run(&words);
        assert_eq!(
            said.code,
            Some(0),
            "{words:?} {}{}",
            said.stdout,
            said.stderr
        );
    };
    let running = |host: &lab::Host| stage.running(Engine::On(host));
    runs(undo);
    assert_eq!(running(&well), [format!("hello-web-{first}")]);
    assert_eq!(running(&ill), [format!("hello-web-{first}")]);
    // What was the matter is mended: the rest can follow.
    stage.configure(&stage.manifest(""));
    runs(resume);
    assert_eq!(running(&well), [format!("hello-web-{first}")]);
    assert_eq!(running(&ill), [format!("hello-web-{second}")]);
}
