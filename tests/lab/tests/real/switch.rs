//! The stand-in, the sample and the prober together: what a deploy does to a server, by hand.

use std::thread;
use std::time::{Duration, Instant};

use lab::command::command;
use lab::prober::Prober;
use lab::proxy_stand_in::{self, CONTAINER, IMAGE};
use lab::{Engine, Host, Lab, image, sample};

/// Starts a version of the sample and returns the short id of its container.
fn run(host: &Host, version: &str, environment: &[&str]) -> String {
    let name = format!("hello-web-{version}");
    let said = format!("KAMAL_VERSION={version}");
    let mut words = vec![
        "run",
        "-d",
        "--network",
        "kamal",
        "--name",
        &name,
        "-e",
        &said,
    ];
    words.extend(environment.iter().flat_map(|variable| ["-e", variable]));
    words.push("hello:test");
    host.docker(&words).unwrap()[..12].to_owned()
}

fn switch(host: &Host, id: &str, flags: &[&str]) -> Result<String, lab::LabError> {
    let target = format!("--target={id}:3000");
    let words = [
        "exec",
        CONTAINER,
        "kamal-proxy",
        "deploy",
        "hello-web",
        &target,
        "--buffer-requests",
        "--buffer-responses=false",
    ];
    host.docker(&[&words, flags].concat())
}

#[test]
fn versions_are_switched_under_load_and_no_request_is_dropped() {
    let Some(lab) = Lab::for_test(1).unwrap() else {
        return;
    };
    let host = &lab.hosts[0];
    let engine = Engine::On(host);
    host.reset(&[]).unwrap();
    proxy_stand_in::load(engine).unwrap();
    let title = "{{index .Config.Labels \"org.opencontainers.image.title\"}}";
    assert_eq!(
        host.docker(&["image", "inspect", "--format", title, IMAGE])
            .unwrap(),
        "kamal-proxy"
    );
    let folder = std::env::temp_dir().join(format!("plimsoll-switch-{}", std::process::id()));
    let project = sample::stage(&folder, "Hello").unwrap();
    let pack = command(
        "tar",
        [
            "-C",
            &*project.folder.to_string_lossy(),
            "--transform=s,bin/,,",
            "-c",
            "bin/hello",
            "greeting.txt",
        ],
    );
    image::import(pack, engine, &["CMD [\"/hello\"]"], "hello:test").unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    host.docker(&["network", "create", "kamal"]).unwrap();
    let volume = "kamal-proxy-config:/home/kamal-proxy/.config/kamal-proxy";
    let proxy = [
        "run",
        "-d",
        "--name",
        CONTAINER,
        "--network",
        "kamal",
        "--publish",
        "80:80",
        "--volume",
        volume,
        IMAGE,
    ];
    host.docker(&proxy).unwrap();

    let mut old = run(host, "v1", &[]);
    switch(host, &old, &[]).unwrap();
    let prober = Prober::start(
        &format!("http://{}/slow?ms=20", host.address),
        100,
        Some("app.example.com"),
    )
    .unwrap();
    thread::sleep(Duration::from_millis(500));
    for version in ["v2", "v3"] {
        let new = run(host, version, &[]);
        switch(host, &new, &["--drain-timeout=30s"]).unwrap();
        let begun = Instant::now();
        host.docker(&["stop", &old]).unwrap();
        assert!(
            begun.elapsed() < Duration::from_secs(3),
            "the sample took {:?} to stop",
            begun.elapsed()
        );
        old = new;
    }
    let ill = run(host, "v4", &["HELLO_UNHEALTHY=1"]);
    let refused = switch(host, &ill, &["--deploy-timeout=2s"])
        .unwrap_err()
        .to_string();
    assert!(
        refused.ends_with("Error: target failed to become healthy within configured timeout (2s)"),
        "{refused}"
    );
    // The proxy itself may restart: it remembers.
    let report = prober.stop();
    assert_eq!(report.failed, [], "{report}");
    assert_eq!(report.answers.len(), 3, "{report:?}");
    let logged = proxy_stand_in::requests(engine).unwrap();
    assert_eq!(logged.len(), report.sent);
    assert!(logged.iter().all(|request| request.complete
        && request.status == 200
        && request.service == "hello-web"));
    assert!(
        logged
            .iter()
            .filter(|request| request.target.starts_with(&old))
            .count()
            > 0
    );

    let crashed = run(host, "v5", &["HELLO_CRASH=1"]);
    assert_eq!(host.docker(&["wait", &crashed]).unwrap(), "1");
    host.docker(&["restart", CONTAINER]).unwrap();
    let answer = lab::http::get(
        &format!("http://{}/", host.address),
        None,
        Duration::from_secs(5),
    )
    .unwrap();
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, "Hello from version v3\n")
    );
    host.reset(&["hello", "basecamp/kamal-proxy"]).unwrap();
}
