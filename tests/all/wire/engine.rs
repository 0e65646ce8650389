//! The Docker Engine: here, through SSH, absent, too old, and what a call costs.

use std::{
    process::Command as Process,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use lab::{Host, Lab};
use plimsoll::wire::{
    Command, Engine, Place, WireError,
    docker::{Ensured, Logs, Removal, Which},
};
use serde_json::json;

use super::*;

#[tokio::test]
async fn what_keeps_docker_from_answering_is_named() {
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("no-docker");
    let bare = lab.host_without_docker().unwrap();
    let error = unwrap_err(Engine::over_ssh(&connect(&home, &bare).await).await);
    assert!(
        matches!(&error, WireError::DockerAbsent { why, .. } if why == "it is not installed"),
        "{error}"
    );

    // A user of the same key who isn't in the group.
    let host = &lab.hosts[0];
    host.ssh(&["sh", "-c", "id outsider 2>/dev/null || useradd --create-home --shell /bin/bash --password '*' outsider; install -D -m 600 -o outsider -g outsider /root/.ssh/authorized_keys /home/outsider/.ssh/authorized_keys"]).unwrap();
    let error =
        unwrap_err(Engine::over_ssh(&connect(&home, &host.as_user("outsider")).await).await);
    assert!(
        matches!(&error, WireError::DockerDenied { user, .. } if user == "outsider"),
        "{error}"
    );
    assert!(
        error
            .hint()
            .unwrap()
            .contains("usermod -aG docker outsider")
    );
    assert!(
        Engine::over_ssh(&connect(&home, &host.as_user("deploy")).await)
            .await
            .is_ok()
    );

    let error = unwrap_err(Engine::at("unix:///nowhere/docker.sock").await);
    assert!(matches!(&error, WireError::DockerAbsent { .. }), "{error}");
    let error = unwrap_err(Engine::at("tcp://127.0.0.1:1").await);
    assert!(matches!(&error, WireError::DockerAbsent { .. }), "{error}");
}

#[tokio::test]
async fn an_engine_that_is_too_old_is_refused() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let answer = "HTTP/1.1 200 OK\r\nApi-Version: 1.27\r\nServer: Docker/17.03.2-ce (linux)\r\nContent-Length: 2\r\n\r\n[]";
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let engine = Engine::at(&format!("tcp://{address}")).await.unwrap();
    let error = unwrap_err(engine.containers(Which::All, &[]).await);
    assert!(
        matches!(&error, WireError::DockerTooOld { version, .. } if version == "17.03.2-ce"),
        "{error}"
    );
}

#[tokio::test]
async fn a_container_lives_its_life() {
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("life");
    let ssh = connect(&home, &lab.hosts[0]).await;
    for engine in [engine_here().await, Engine::over_ssh(&ssh).await.unwrap()] {
        live(&engine).await;
    }
}

async fn live(engine: &Engine) {
    let image = shell_image(engine, "life").await;
    let label = format!("wire-test={}", std::process::id());
    let name = format!("wire-life-{}", std::process::id());
    let network = format!("wire-net-{}", std::process::id());
    let (key, value) = label.split_once('=').unwrap();
    let body = |script: &str| {
        json!({
            "Image": image,
            "Cmd": ["sh", "-c", script],
            "Labels": { key: value },
            "HostConfig": { "NetworkMode": network },
        })
    };
    assert_eq!(engine.version().await.unwrap().os, "linux");
    assert!(!engine.network_exists(&network).await.unwrap());
    assert_eq!(
        engine.ensure_network(&network).await.unwrap(),
        Ensured::Created
    );
    assert_eq!(
        engine.ensure_network(&network).await.unwrap(),
        Ensured::There
    );

    assert_eq!(engine.inspect_container(&name).await.unwrap(), None);
    let script =
        "trap 'echo bye; exit 0' TERM; echo out; echo err >&2; while :; do sleep 0.1; done";
    let id = engine.create(&name, &body(script)).await.unwrap();
    let error = unwrap_err(engine.create(&name, &body(script)).await);
    assert!(
        matches!(&error, WireError::NameTaken { name: taken, .. } if *taken == name),
        "{error}"
    );
    assert!(
        engine
            .containers(Which::Running, std::slice::from_ref(&label))
            .await
            .unwrap()
            .is_empty()
    );
    engine.start(&name).await.unwrap();
    engine.start(&name).await.unwrap();
    let list = engine
        .containers(Which::Running, std::slice::from_ref(&label))
        .await
        .unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(
        (
            &list[0].id,
            &list[0].names,
            &list[0].image,
            list[0].state.as_str()
        ),
        (&id, &vec![name.clone()], &image, "running")
    );
    assert_eq!(list[0].labels["wire"], "life");
    let inspected = engine.inspect_container(&id).await.unwrap().unwrap();
    assert_eq!(inspected["State"]["Running"], true);

    let sh = |script: &str| Command::new(["sh", "-c", script]);
    let output = engine
        .exec(
            &name,
            sh("echo $WHO; echo err >&2; exit 5"),
            &["WHO=me and you".into()],
        )
        .await
        .unwrap();
    assert_eq!(
        (
            output.code,
            output.text().as_str(),
            output.error_text().as_str()
        ),
        (5, "me and you", "err")
    );
    let megabytes = vec![b'x'; 3_000_000];
    let mut echo = Command::new(["cat"]).stdin(megabytes.clone());
    echo.max_output = 4 << 20;
    assert!(engine.exec(&name, echo, &[]).await.unwrap().stdout == megabytes);
    assert!(
        [126, 127].contains(
            &engine
                .exec(&name, Command::new(["nope"]), &[])
                .await
                .unwrap()
                .code
        )
    );
    let slow = Command::new(["sleep", "20"]).timeout(Duration::from_millis(300));
    assert!(matches!(
        unwrap_err(engine.exec(&name, slow, &[]).await),
        WireError::TimedOut { .. }
    ));
    let many = (0..20).map(|number| {
        engine
            .exec(&name, Command::new(["echo", &number.to_string()]), &[])
            .map_text()
    });
    let answers = futures::future::join_all(many).await;
    assert_eq!(
        answers,
        (0..20).map(|number| number.to_string()).collect::<Vec<_>>()
    );

    let logs = String::from_utf8(engine.logs(&name, Logs::default()).await.unwrap()).unwrap();
    assert!(logs.contains("out\n") && logs.contains("err\n"), "{logs:?}");
    let one = engine
        .logs(
            &name,
            Logs {
                tail: Some(1),
                timestamps: true,
                since: None,
            },
        )
        .await
        .unwrap();
    let one = String::from_utf8(one).unwrap();
    assert!(one.lines().count() == 1 && one.starts_with("20"), "{one}");

    let renamed = format!("{name}-renamed");
    engine.rename(&name, &renamed).await.unwrap();
    assert!(matches!(
        unwrap_err(engine.remove(&renamed, Removal::OnlyStopped).await),
        WireError::Remote { status: 409, .. }
    ));
    engine.stop(&renamed, Some(5)).await.unwrap();
    engine.stop(&renamed, Some(5)).await.unwrap();
    assert_eq!(
        engine.wait(&renamed, Duration::from_secs(5)).await.unwrap(),
        0
    );
    let logs = String::from_utf8(
        engine
            .logs(
                &renamed,
                Logs {
                    tail: Some(1),
                    ..Logs::default()
                },
            )
            .await
            .unwrap(),
    )
    .unwrap();
    assert_eq!(logs, "bye\n");
    let error = unwrap_err(engine.exec(&renamed, Command::new(["true"]), &[]).await);
    assert!(
        matches!(&error, WireError::Remote { status: 409, .. }),
        "{error}"
    );
    engine.remove(&renamed, Removal::OnlyStopped).await.unwrap();
    for error in [
        unwrap_err(engine.start(&renamed).await),
        unwrap_err(engine.stop(&renamed, None).await),
        unwrap_err(engine.rename(&renamed, &name).await),
        unwrap_err(engine.remove(&renamed, Removal::EvenRunning).await),
        unwrap_err(engine.logs(&renamed, Logs::default()).await),
        unwrap_err(engine.exec(&renamed, Command::new(["true"]), &[]).await),
    ] {
        assert!(
            matches!(&error, WireError::NotFound { what, .. } if what == &format!("container {renamed}")),
            "{error:?}"
        );
    }
    let error = unwrap_err(
        engine
            .create(
                "wire-none",
                &json!({ "Image": "no/such:1", "HostConfig": { "NetworkMode": network } }),
            )
            .await,
    );
    assert_eq!(
        error.to_string(),
        format!("image no/such:1 doesn't exist on {}", engine.place())
    );
    for name in ["../images/json", "a/b", ""] {
        assert!(matches!(
            unwrap_err(engine.remove(name, Removal::EvenRunning).await),
            WireError::Invalid { .. }
        ));
    }

    // A port that another has.
    let publishing = json!({
        "Image": image,
        "Cmd": ["sleep", "60"],
        "ExposedPorts": { "80/tcp": {} },
        "HostConfig": { "PortBindings": { "80/tcp": [{ "HostPort": "18099" }] } },
    });
    let (first, second) = (format!("{name}-first"), format!("{name}-second"));
    engine.create(&first, &publishing).await.unwrap();
    engine.create(&second, &publishing).await.unwrap();
    engine.start(&first).await.unwrap();
    let error = unwrap_err(engine.start(&second).await);
    assert!(
        matches!(&error, WireError::PortTaken { port, .. } if port == "18099"),
        "{error}"
    );
    for name in [&first, &second] {
        engine.remove(name, Removal::EvenRunning).await.unwrap();
    }

    let copy = format!("{image}-copy");
    engine.tag(&image, &copy).await.unwrap();
    assert!(engine.inspect_image(&copy).await.unwrap().is_some());
    for name in [&image, &copy] {
        engine.remove_image(name).await.unwrap();
    }
    assert!(matches!(
        unwrap_err(engine.remove_image(&image).await),
        WireError::NotFound { .. }
    ));
    engine.prune_images(&["wire=life".into()]).await.unwrap();
    // The Engine API has no verb here for removing networks; the test does it the long way.
    let docker = if engine.place() == "this machine" {
        None
    } else {
        Some(engine.place().trim_start_matches("host ").to_owned())
    };
    remove_network(docker, &network);
}

trait MapText {
    async fn map_text(self) -> String;
}

impl<F: Future<Output = Result<plimsoll::wire::ExecOutput, WireError>>> MapText for F {
    async fn map_text(self) -> String {
        self.await.unwrap().text()
    }
}

fn remove_network(host: Option<String>, network: &str) {
    let done = match host {
        None => Process::new("docker")
            .args(
                std::env::var("PLIMSOLL_TEST_ENGINE")
                    .map_or(vec![], |engine| vec!["-H".to_owned(), engine]),
            )
            .args(["network", "rm", network])
            .output()
            .unwrap()
            .status
            .success(),
        Some(address) => {
            let lab = Lab::up(1).unwrap();
            let host = lab
                .hosts
                .iter()
                .find(|host| host.address == address)
                .unwrap();
            host.docker(&["network", "rm", network]).is_ok()
        }
    };
    assert!(done, "{network} stays");
}

/// The time of one call on an open connection, in round trips of 150 ms.
async fn round_trips<T>(call: impl Future<Output = T>) -> (T, f64) {
    let begun = Instant::now();
    let result = call.await;
    (result, begun.elapsed().as_secs_f64() / 0.150)
}

#[tokio::test]
async fn a_call_on_an_open_connection_costs_one_round_trip() {
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("trips");
    let (host, _path) = lab.hosts[0].behind(Duration::from_millis(150)).unwrap();
    let place = Place::Remote(connect(&home, &host).await);
    let Place::Remote(ssh) = &place else {
        unreachable!()
    };
    let engine = Engine::over_ssh(ssh).await.unwrap();
    let file = format!("/tmp/wire-trips-{}", std::process::id());
    // What was opened ahead is there after a while, as it is in a deploy.
    let pause = || tokio::time::sleep(Duration::from_millis(500));
    let mut counts = Vec::new();
    for _ in 0..3 {
        pause().await;
        counts.push((
            "exec",
            round_trips(ssh.exec(Command::new(["true"]))).await.1,
        ));
        pause().await;
        counts.push((
            "put",
            round_trips(place.put(&file, 0o600, &[7; 100_000])).await.1,
        ));
        pause().await;
        counts.push((
            "list",
            round_trips(engine.containers(Which::All, &[])).await.1,
        ));
        counts.push((
            "list again",
            round_trips(engine.containers(Which::All, &[])).await.1,
        ));
        counts.push(("inspect", round_trips(engine.inspect_image("nope")).await.1));
        let twenty = (0..20).map(|_| engine.containers(Which::All, &[]));
        counts.push((
            "twenty at once",
            round_trips(futures::future::join_all(twenty)).await.1 - 1.0,
        ));
    }
    place.remove(&file).await.unwrap();
    // Work on the server and on this busy machine takes part of a round trip; a second one would show.
    for (what, trips) in &counts {
        assert!(*trips < 1.9, "{what}: {trips:.2} round trips; {counts:.2?}");
    }
}

#[tokio::test]
async fn docker_is_reached_where_sshd_forwards_nothing() {
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("stdio");
    let host = lab.hosts[0].clone();
    // A second sshd on the host, on a port of its own, with forwarding off.
    let port = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    let pid = format!("/run/sshd-{port}.pid");
    let sshd =
        format!("/usr/sbin/sshd -p {port} -o AllowStreamLocalForwarding=no -o PidFile={pid}");
    host.ssh(&["sh", "-c", &sshd]).unwrap();
    let host = Host { port, ..host };
    let ssh = connect(&home, &host).await;
    assert!(known_hosts(&home).starts_with(&format!("[{}]:{port} ", host.address)));
    let engine = Engine::over_ssh(&ssh).await.unwrap();
    let image = shell_image(&engine, "stdio").await;
    let name = format!("wire-stdio-{}", std::process::id());
    let body = json!({ "Image": image, "Cmd": ["sleep", "60"] });
    engine.create(&name, &body).await.unwrap();
    engine.start(&name).await.unwrap();
    let many = (0..20).map(|number| {
        engine
            .exec(&name, Command::new(["echo", &number.to_string()]), &[])
            .map_text()
    });
    let calls = futures::future::join_all(many);
    let commands = (0..20).map(|number| {
        ssh.exec(Command::new(["echo", &number.to_string()]))
            .map_text()
    });
    let (calls, commands) = tokio::join!(calls, futures::future::join_all(commands));
    let expected: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!((&calls, &commands), (&expected, &expected));
    engine.remove(&name, Removal::EvenRunning).await.unwrap();
    engine.remove_image(&image).await.unwrap();
    lab.hosts[0]
        .ssh(&["sh", "-c", &format!("kill $(cat {pid})")])
        .unwrap();
}

#[tokio::test]
async fn connections_that_the_engine_closed_are_replaced() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    // An Engine that hangs up after every answer without having announced it.
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            let mut request = [0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            let body = match request[..read].starts_with(b"GET /version") {
                true => r#"{"Version":"20.10.0","ApiVersion":"1.41","Os":"linux","Arch":"amd64"}"#,
                false => "[]",
            };
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let engine = Engine::at(&format!("tcp://{address}")).await.unwrap();
    for _ in 0..20 {
        assert!(engine.containers(Which::All, &[]).await.unwrap().is_empty());
    }
    assert_eq!(connections.load(Ordering::Relaxed), 20);
}
