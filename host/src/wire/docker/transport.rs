//! HTTP connections to one Docker Engine: dialled through what leads there, kept alive, one opened ahead.
//!
//! A call on a connection that is ready costs one round trip. Through SSH the opening of another costs one more, so one is
//! opened as soon as the last is taken.

use std::{
    io,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use bollard::BollardRequest;
use futures::Stream;
use http_body_util::{Either, Full, StreamBody};
use hyper::{
    Response, Uri,
    body::{Bytes, Frame, Incoming},
    client::conn::http1,
    header::{HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;

use crate::wire::{
    Ssh, WireError,
    network::{self, Connection},
};

/// What leads to the Engine.
#[derive(Clone)]
pub(super) enum Way {
    Unix(PathBuf),
    Tcp(String),
    /// A Unix socket of a host, forwarded by its sshd.
    Forwarded {
        ssh: Ssh,
        socket: String,
    },
    /// `docker system dial-stdio` on a host whose sshd doesn't forward.
    Stdio(Ssh),
}

/// bollard's own body type, which it has no public name for.
type Body =
    Either<Full<Bytes>, StreamBody<Pin<Box<dyn Stream<Item = io::Result<Frame<Bytes>>> + Send>>>>;
type Sender = http1::SendRequest<Body>;

/// Idle connections kept. Those through `dial-stdio` are SSH sessions, of which a host allows ten.
const IDLE: usize = 16;
const IDLE_STDIO: usize = 2;

pub(super) struct Transport {
    way: Way,
    /// How messages name the Engine's place.
    pub(super) place: String,
    idle: Mutex<Vec<Sender>>,
    ahead: Mutex<Option<JoinHandle<Result<Sender, WireError>>>>,
}

impl Transport {
    pub(super) fn new(way: Way, place: String) -> Arc<Self> {
        Arc::new(Self {
            way,
            place,
            idle: Mutex::default(),
            ahead: Mutex::default(),
        })
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(
        self: &Arc<Self>,
        request: BollardRequest,
    ) -> Result<Response<Incoming>, WireError> {
        let during = request.uri().path().to_owned();
        let mut request = for_engine(request);
        loop {
            let (mut sender, kind) = self.sender().await?;
            self.open_ahead();
            match sender.try_send_request(request).await {
                Ok(response) => {
                    self.take_back(sender);
                    return Ok(response);
                }
                Err(mut error) => match (error.take_message(), kind) {
                    // The Engine had closed it while it was idle, and has seen nothing of the request.
                    (Some(unsent), Kept::Idle) => request = unsent,
                    _ => return Err(self.lost(&during, &error.into_error())),
                },
            }
        }
    }

    pub(super) fn lost(&self, during: &str, error: &hyper::Error) -> WireError {
        let ended = match &self.way {
            Way::Forwarded { ssh, .. } | Way::Stdio(ssh) => ssh.ended(),
            Way::Unix(_) | Way::Tcp(_) => None,
        };
        WireError::ConnectionLost {
            place: self.place.clone(),
            during: during.to_owned(),
            why: ended.unwrap_or_else(|| with_sources(error)),
        }
    }

    async fn sender(&self) -> Result<(Sender, Kept), WireError> {
        let idle = {
            let mut idle = lock(&self.idle);
            idle.retain(|sender| !sender.is_closed());
            idle.pop()
        };
        if let Some(sender) = idle {
            return Ok((sender, Kept::Idle));
        }
        let ahead = lock(&self.ahead).take();
        if let Some(opening) = ahead
            && let Ok(Ok(sender)) = opening.await
            && !sender.is_closed()
        {
            return Ok((sender, Kept::Idle));
        }
        Ok((open(&self.way, &self.place).await?, Kept::Fresh))
    }

    /// Local sockets open faster than they are worth opening ahead.
    fn open_ahead(&self) {
        if matches!(self.way, Way::Unix(_) | Way::Tcp(_)) || !lock(&self.idle).is_empty() {
            return;
        }
        let mut ahead = lock(&self.ahead);
        if ahead.is_none() {
            let (way, place) = (self.way.clone(), self.place.clone());
            *ahead = Some(tokio::spawn(async move { open(&way, &place).await }));
        }
    }

    /// Puts the connection back once its answer has been read to the end; one that was upgraded never is.
    fn take_back(self: &Arc<Self>, mut sender: Sender) {
        let transport: Weak<Self> = Arc::downgrade(self);
        tokio::spawn(async move {
            if sender.ready().await.is_ok()
                && let Some(transport) = transport.upgrade()
            {
                let most = if matches!(transport.way, Way::Stdio(_)) {
                    IDLE_STDIO
                } else {
                    IDLE
                };
                let mut idle = lock(&transport.idle);
                if idle.len() < most {
                    idle.push(sender);
                }
            }
        });
    }
}

enum Kept {
    Idle,
    Fresh,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn open(way: &Way, place: &str) -> Result<Sender, WireError> {
    let stream: Connection = match way {
        Way::Unix(path) => network::unix(path)
            .await
            .map_err(|error| refused(place, path.display(), &error))?,
        Way::Tcp(address) => network::dial_authority(address)
            .await
            .map_err(|error| refused(place, address, &error))?,
        Way::Forwarded { ssh, socket } => Box::new(ssh.streamlocal(socket).await?),
        Way::Stdio(ssh) => Box::new(
            ssh.pipe(&["docker", "system", "dial-stdio"].map(String::from))
                .await?,
        ),
    };
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| WireError::ConnectionLost {
            place: place.to_owned(),
            during: "the handshake".into(),
            why: error.to_string(),
        })?;
    tokio::spawn(connection.with_upgrades());
    Ok(sender)
}

fn refused(place: &str, socket: impl std::fmt::Display, error: &io::Error) -> WireError {
    match error.kind() {
        io::ErrorKind::PermissionDenied => WireError::DockerDenied {
            place: place.to_owned(),
            user: std::env::var("USER").unwrap_or_else(|_| "you".into()),
        },
        io::ErrorKind::NotFound => WireError::DockerAbsent {
            place: place.to_owned(),
            why: format!("there is no {socket}"),
        },
        _ => WireError::DockerAbsent {
            place: place.to_owned(),
            why: format!("{socket}: {error}"),
        },
    }
}

/// The request as the Engine wants it, from what bollard makes of it.
fn for_engine(request: BollardRequest) -> BollardRequest {
    let (mut parts, body) = request.into_parts();
    if let Some(path) = parts.uri.path_and_query() {
        parts.uri = Uri::from(path.clone());
    }
    parts
        .headers
        .insert(HOST, HeaderValue::from_static("docker"));
    // The Engine reads this as URL-safe base64, and takes a login that it can't read for none; bollard 0.21 sends the
    // ordinary alphabet, which differs as soon as a password has a `~`, `?` or `>` in an unlucky place.
    if let Some(auth) = parts.headers.get_mut("x-registry-auth") {
        let safe = auth.as_bytes().iter().map(|byte| match byte {
            b'+' => b'-',
            b'/' => b'_',
            other => *other,
        });
        if let Ok(safe) = HeaderValue::from_bytes(&safe.collect::<Vec<u8>>()) {
            *auth = safe;
        }
        auth.set_sensitive(true);
    }
    BollardRequest::from_parts(parts, body)
}

/// hyper's errors say little without their causes.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
