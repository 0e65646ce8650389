//! The promise the proxy is there for: a switch drops nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http_body_util::Full;
use hyper::Request;
use hyper::header::HOST;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::support::{Health, Proxy, Target, ask, connect, done, eventually, get};

/// Nanoseconds since 1970, as in the log.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos() as u64
}

fn at(line: &Value, time: &str) -> u64 {
    line[time].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_switches_under_load_drop_no_request() {
    let proxy = Proxy::start().await;
    let targets = [
        Target::start("a", Health::Well).await,
        Target::start("b", Health::Well).await,
    ];
    assert_eq!(proxy.deploy("web", &targets[0], "").await, done());
    let (over, sent) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let address = proxy.server.http;
    let clients: Vec<_> = (0..8)
        .map(|number| {
            let (over, sent) = (Arc::clone(&over), Arc::clone(&sent));
            tokio::spawn(async move {
                let mut kept = connect(address).await;
                while !over.load(Ordering::SeqCst) {
                    sent.fetch_add(1, Ordering::SeqCst);
                    let path = if number % 2 == 0 { "/" } else { "/slow?7" };
                    let (status, body) = if number < 4 {
                        let request = Request::get(path)
                            .header(HOST, "app")
                            .body(Full::default())
                            .unwrap();
                        ask(&mut kept, request)
                            .await
                            .expect("a kept connection is kept")
                    } else {
                        get(address, "app", path).await
                    };
                    assert_eq!(status, 200);
                    assert!(["a", "b"].contains(&body.as_str()), "{body}");
                }
            })
        })
        .collect();
    // Of each deploy: when it returned, and when the next one began.
    let mut quiet = Vec::new();
    for turn in 1..=20 {
        assert_eq!(proxy.deploy("web", &targets[turn % 2], "").await, done());
        let returned = now();
        sleep(Duration::from_millis(20)).await;
        quiet.push((turn, returned, now()));
    }
    over.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    let sent = sent.load(Ordering::SeqCst);
    assert!(sent > 400, "only {sent} requests");
    eventually(|| proxy.requests().len() == sent).await;
    let lines = proxy.requests();
    assert!(
        lines
            .iter()
            .all(|line| line["status"] == 200 && line["complete"] == true),
        "{lines:?}"
    );
    // When a deploy has returned, the old target has nothing left to do, and it gets nothing before it is deployed again.
    for (turn, from, to) in quiet {
        let old = format!("127.0.0.1:{}", targets[(turn + 1) % 2].port);
        let busy = |line: &&Value| {
            line["target"] == old.as_str()
                && at(line, "arrived") < to
                && at(line, "completed") > from
        };
        let late: Vec<&Value> = lines.iter().filter(busy).collect();
        assert!(late.is_empty(), "turn {turn}: {late:?}");
    }
}

#[tokio::test]
async fn a_deploy_returns_when_the_old_target_has_finished() {
    let proxy = Proxy::start().await;
    let (old, new) = (
        Target::start("old", Health::Well).await,
        Target::start("new", Health::Well).await,
    );
    assert_eq!(proxy.deploy("web", &old, "").await, done());
    let address = proxy.server.http;
    let begun = Instant::now();
    let slow = tokio::spawn(async move { get(address, "app", "/slow?400").await });
    sleep(Duration::from_millis(50)).await;
    let deployed = async {
        assert_eq!(
            proxy.deploy("web", &new, "--drain-timeout=5s").await,
            done()
        );
        begun.elapsed()
    };
    let meanwhile = async {
        sleep(Duration::from_millis(150)).await;
        assert_eq!(proxy.get("/").await.1, "new");
    };
    let (took, ()) = tokio::join!(deployed, meanwhile);
    assert!(
        took >= Duration::from_millis(400) && took < Duration::from_secs(2),
        "{took:?}"
    );
    let (status, body) = slow.await.unwrap();
    assert_eq!((status.as_u16(), body.as_str()), (200, "old"));
}

#[tokio::test]
async fn what_outlives_the_drain_timeout_gets_504() {
    let proxy = Proxy::start().await;
    let (old, new) = (
        Target::start("old", Health::Well).await,
        Target::start("new", Health::Well).await,
    );
    assert_eq!(proxy.deploy("web", &old, "").await, done());
    let address = proxy.server.http;
    let slow = tokio::spawn(async move { get(address, "app", "/slow?5000").await });
    sleep(Duration::from_millis(50)).await;
    let begun = Instant::now();
    assert_eq!(
        proxy.deploy("web", &new, "--drain-timeout=200ms").await,
        done()
    );
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(slow.await.unwrap().0, 504);
}

#[tokio::test]
async fn an_upgraded_connection_passes_and_ends_with_its_target() {
    let proxy = Proxy::start().await;
    let (old, new) = (
        Target::start("old", Health::Well).await,
        Target::start("new", Health::Well).await,
    );
    assert_eq!(proxy.deploy("web", &old, "").await, done());
    let mut socket = TcpStream::connect(proxy.server.http).await.unwrap();
    socket
        .write_all(
            b"GET /socket HTTP/1.1\r\nHost: app\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
        )
        .await
        .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(
        head.starts_with("http/1.1 101") && head.contains("upgrade: echo"),
        "{head}"
    );
    let mut buffer = [0; 5];
    for word in [b"hello", b"again"] {
        socket.write_all(word).await.unwrap();
        socket.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, word);
    }
    let begun = Instant::now();
    assert_eq!(
        proxy.deploy("web", &new, "--drain-timeout=10s").await,
        done()
    );
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "an open socket must not hold a deploy up"
    );
    assert_eq!(socket.read(&mut buffer).await.unwrap_or(0), 0);
}
