//! A proxy with its commands and its log, targets that behave as told, and a client.

use std::convert::Infallible;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HOST;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, client, server};
use hyper_util::rt::TokioIo;
use kamal_proxy_stand_in::control::{Answer, send};
use kamal_proxy_stand_in::log::Log;
use kamal_proxy_stand_in::names::Names;
use kamal_proxy_stand_in::server::{Server, Settings};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// A running proxy and all that a test asks of it.
pub(crate) struct Proxy {
    pub(crate) server: Server,
    pub(crate) folder: Arc<Folder>,
    log: Lines,
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Proxy {
    pub(crate) async fn start() -> Proxy {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("kamal-proxy-{}-{number}", std::process::id()));
        Proxy::start_in(Arc::new(Folder(folder))).await
    }

    pub(crate) async fn start_in(folder: Arc<Folder>) -> Proxy {
        let log = Lines::default();
        let settings = Settings {
            http: ([127, 0, 0, 1], 0).into(),
            socket: folder.0.join("kamal-proxy.sock"),
            state: folder.0.clone(),
            names: Names::read("0123456789ab=127.0.0.1"),
            log: Log::new(log.clone()),
        };
        let server = Server::start(settings).await.unwrap();
        Proxy {
            server,
            folder,
            log,
        }
    }

    /// A command, in one line.
    pub(crate) async fn tell(&self, line: &str) -> Answer {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        send(&self.folder.0.join("kamal-proxy.sock"), &words)
            .await
            .unwrap()
    }

    pub(crate) async fn deploy(&self, service: &str, target: &Target, flags: &str) -> Answer {
        self.tell(&format!(
            "deploy {service} --target=127.0.0.1:{} --health-check-interval=20ms {flags}",
            target.port
        ))
        .await
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, String) {
        get(self.server.http, "app.example.com", path).await
    }

    /// The lines of requests that are complete.
    pub(crate) fn requests(&self) -> Vec<Value> {
        let log = String::from_utf8(self.log.0.lock().unwrap().clone()).unwrap();
        let lines = log
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["msg"] == "Request").collect()
    }
}

/// A folder that goes when nobody has it any more.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn done() -> Answer {
    Answer::Done(String::new())
}

pub(crate) fn refused(why: &str) -> Answer {
    Answer::Refused(why.to_owned())
}

/// How a target answers `/up`.
#[derive(Clone, Copy)]
pub(crate) enum Health {
    Well,
    Ill,
    /// The first so many questions are answered 503.
    WellAfter(usize),
    /// `/up` redirects to `/well`.
    Elsewhere,
}

/// A server that says its name: `/` at once, `/slow?MS` late, `/echo` what it was sent, `/headers` what it was told, `/socket` upgraded.
pub(crate) struct Target {
    pub(crate) port: u16,
    pub(crate) checks: Arc<AtomicUsize>,
}

impl Target {
    pub(crate) async fn start(name: &'static str, health: Health) -> Target {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let checks = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&checks);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let checks = Arc::clone(&counted);
                let service = service_fn(move |request| {
                    let checks = Arc::clone(&checks);
                    async move { Ok::<_, Infallible>(answer(name, health, &checks, request).await) }
                });
                tokio::spawn(
                    server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .with_upgrades(),
                );
            }
        });
        Target { port, checks }
    }
}

async fn answer(
    name: &str,
    health: Health,
    checks: &AtomicUsize,
    mut request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let with = |status: u16, text: String| {
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response
    };
    match request.uri().path() {
        "/up" => {
            let asked = checks.fetch_add(1, Ordering::SeqCst);
            match health {
                Health::Well => with(200, String::new()),
                Health::WellAfter(count) if asked >= count => with(200, String::new()),
                Health::Ill | Health::WellAfter(_) => with(503, String::new()),
                Health::Elsewhere => {
                    let mut response = with(301, String::new());
                    response
                        .headers_mut()
                        .insert("location", "/well".parse().unwrap());
                    response
                }
            }
        }
        "/slow" => {
            sleep(Duration::from_millis(
                request.uri().query().unwrap().parse().unwrap(),
            ))
            .await;
            with(200, name.to_owned())
        }
        "/echo" => with(
            200,
            String::from_utf8(
                request
                    .into_body()
                    .collect()
                    .await
                    .unwrap()
                    .to_bytes()
                    .to_vec(),
            )
            .unwrap(),
        ),
        "/headers" => {
            let headers = request
                .headers()
                .iter()
                .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()));
            with(
                200,
                format!("{}\n{}", request.uri(), headers.collect::<String>()),
            )
        }
        "/socket" => {
            tokio::spawn(async move {
                let mut upgraded = TokioIo::new(hyper::upgrade::on(&mut request).await.unwrap());
                let mut buffer = [0; 64];
                while let Ok(count @ 1..) = upgraded.read(&mut buffer).await {
                    upgraded.write_all(&buffer[..count]).await.unwrap();
                }
            });
            let mut response = with(101, String::new());
            response
                .headers_mut()
                .insert("connection", "upgrade".parse().unwrap());
            response
                .headers_mut()
                .insert("upgrade", "echo".parse().unwrap());
            response
        }
        _ => with(200, name.to_owned()),
    }
}

pub(crate) async fn get(address: SocketAddr, host: &str, path: &str) -> (StatusCode, String) {
    let request = Request::get(path)
        .header(HOST, host)
        .body(Full::default())
        .unwrap();
    exchange(address, request).await
}

pub(crate) async fn exchange(
    address: SocketAddr,
    request: Request<Full<Bytes>>,
) -> (StatusCode, String) {
    let mut sender = connect(address).await;
    ask(&mut sender, request).await.unwrap()
}

pub(crate) async fn connect(address: SocketAddr) -> client::conn::http1::SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

pub(crate) async fn ask(
    sender: &mut client::conn::http1::SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, String), hyper::Error> {
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// Waits until `check` holds.
pub(crate) async fn eventually(mut check: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !check() {
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "it never came true"
        );
        sleep(Duration::from_millis(5)).await;
    }
}
