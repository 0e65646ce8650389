//! Requests and responses arrive as they were sent.

use http_body_util::Full;
use hyper::header::HOST;
use hyper::{Method, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Health, Proxy, Target, done, eventually, exchange};

async fn proxy_with(flags: &str) -> Proxy {
    let proxy = Proxy::start().await;
    let target = Target::start("app", Health::Well).await;
    assert_eq!(proxy.deploy("web", &target, flags).await, done());
    proxy
}

#[tokio::test]
async fn large_bodies_stream_both_ways() {
    let proxy = proxy_with("").await;
    let body = "0123456789abcdef".repeat(500_000);
    let request = Request::post("/echo")
        .header(HOST, "app")
        .body(Full::from(body.clone()))
        .unwrap();
    let (status, echoed) = exchange(proxy.server.http, request).await;
    assert_eq!(status, 200);
    assert!(echoed == body);
}

#[tokio::test]
async fn a_chunked_request_and_a_waiting_client_are_served() {
    let proxy = proxy_with("").await;
    let mut client = TcpStream::connect(proxy.server.http).await.unwrap();
    let head = "POST /echo HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    client.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    client
        .write_all(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello world"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_head_request_has_headers_only_and_a_kept_connection_goes_on_after_it() {
    let proxy = proxy_with("").await;
    let mut client = TcpStream::connect(proxy.server.http).await.unwrap();
    client.write_all(b"HEAD / HTTP/1.1\r\nHost: app\r\n\r\nGET / HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 2, "{answer}");
    assert_eq!(
        answer.to_lowercase().matches("content-length: 3").count(),
        2,
        "{answer}"
    );
    assert!(
        answer.ends_with("\r\n\r\napp") && answer.matches("app").count() == 1,
        "{answer}"
    );
}

#[tokio::test]
async fn the_target_learns_who_asked_and_for_what() {
    let proxy = proxy_with("").await;
    let request = Request::get("/headers?a=b")
        .header(HOST, "app.example.com")
        .header("connection", "x-private")
        .header("x-private", "1")
        .header("x-forwarded-for", "192.0.2.1")
        .body(Full::default())
        .unwrap();
    let (_, told) = exchange(proxy.server.http, request).await;
    for line in [
        "/headers?a=b",
        "host: app.example.com",
        "x-forwarded-for: 192.0.2.1, 127.0.0.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: app.example.com",
    ] {
        assert!(
            told.lines().any(|told| told == line),
            "{line} is not in\n{told}"
        );
    }
    for name in [
        "x-request-id: ",
        "x-request-start: t=",
        "x-kamal-target: 127.0.0.1:",
    ] {
        assert!(told.contains(name), "{name} is not in\n{told}");
    }
    assert!(!told.contains("x-private"), "{told}");
}

#[tokio::test]
async fn a_client_is_not_believed_where_headers_are_not_forwarded() {
    let proxy = proxy_with("--forward-headers=false").await;
    let request = Request::get("/headers")
        .header(HOST, "app")
        .header("x-forwarded-for", "192.0.2.1")
        .body(Full::default())
        .unwrap();
    let (_, told) = exchange(proxy.server.http, request).await;
    assert!(told.contains("x-forwarded-for: 127.0.0.1\n"), "{told}");
}

#[tokio::test]
async fn a_body_over_the_limit_gets_413_whether_its_length_is_told_or_not() {
    let proxy = proxy_with("--buffer-requests --max-request-body=10").await;
    let request = Request::post("/echo")
        .header(HOST, "app")
        .body(Full::from("12345678901"))
        .unwrap();
    assert_eq!(exchange(proxy.server.http, request).await.0, 413);
    let mut client = TcpStream::connect(proxy.server.http).await.unwrap();
    client
        .write_all(b"POST /echo HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n")
        .await
        .unwrap();
    let mut answer = [0; 12];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn a_target_that_is_gone_gives_502_and_one_that_is_slow_504() {
    let proxy = proxy_with("--target-timeout=100ms").await;
    assert_eq!(proxy.get("/slow?2000").await.0, 504);
    assert_eq!(
        proxy.tell("deploy web --target=127.0.0.1:1 --force").await,
        done()
    );
    assert_eq!(proxy.get("/").await.0, 502);
}

#[tokio::test]
async fn the_log_has_a_line_for_every_request_also_of_a_client_that_left() {
    let proxy = proxy_with("--log-request-header=User-Agent").await;
    let request = Request::builder()
        .method(Method::GET)
        .uri("/")
        .header(HOST, "app")
        .header("user-agent", "test")
        .body(Full::default())
        .unwrap();
    exchange(proxy.server.http, request).await;
    let mut client = TcpStream::connect(proxy.server.http).await.unwrap();
    client
        .write_all(b"GET /slow?3000 HTTP/1.1\r\nHost: app\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    drop(client);
    eventually(|| proxy.requests().len() == 2).await;
    let lines = proxy.requests();
    assert_eq!(lines[0]["status"], 200);
    assert_eq!(lines[0]["req_user_agent"], "test");
    assert_eq!(lines[0]["resp_bytes"], 3);
    assert_eq!(lines[1]["status"], 499);
    assert_eq!(lines[1]["complete"], false);
}
