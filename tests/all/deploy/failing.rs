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
