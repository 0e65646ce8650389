//! HTTP connections to one Docker Engine: dialled through what leads there, kept alive, some opened ahead.
//!
//! A call on a connection that is ready costs one round trip. Through SSH the opening of another costs one more, so as
//! many as a look at a host takes are opened together, and another as soon as the last is taken. Nor is the Engine asked
//! which version of its API it speaks: a path without a version means the newest, and every answer says which that is.

use std::{
    collections::VecDeque,
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
    header::{HOST, HeaderMap, HeaderValue, SERVER},
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

type Opening = JoinHandle<Result<Sender, WireError>>;

/// Docker 20.10, of 2020: the oldest that this was tried on.
const OLDEST_API: (usize, usize) = (1, 41);

/// Connections opened together: as many as a look at a host takes at once, and two that are not back yet by the next.
const TOGETHER: usize = 8;
/// Idle connections kept. Those through `dial-stdio` are SSH sessions, of which a host allows ten.
const IDLE: usize = 16;
const IDLE_STDIO: usize = 2;

pub(super) struct Transport {
    way: Way,
    /// How messages name the Engine's place.
    pub(super) place: String,
    idle: Mutex<Vec<Sender>>,
    ahead: Mutex<VecDeque<Opening>>,
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

    /// Opens the first connections; fails as they do.
    pub(super) async fn connect(&self) -> Result<(), WireError> {
        let together = match self.way {
            Way::Unix(_) | Way::Tcp(_) => 1,
            Way::Forwarded { .. } => TOGETHER,
            Way::Stdio(_) => IDLE_STDIO,
        };
        for _ in 1..together {
            self.open_another();
        }
        let first = open(&self.way, &self.place).await?;
        lock(&self.idle).push(first);
        Ok(())
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
                    return match too_old(response.headers()) {
                        Some((version, api)) => Err(WireError::DockerTooOld {
                            place: self.place.clone(),
                            version,
                            api,
                            needed: format!("{}.{}", OLDEST_API.0, OLDEST_API.1),
                        }),
                        None => Ok(response),
                    };
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
        loop {
            let Some(opening) = lock(&self.ahead).pop_front() else {
                return Ok((open(&self.way, &self.place).await?, Kept::Fresh));
            };
            if let Ok(Ok(sender)) = opening.await
                && !sender.is_closed()
            {
                return Ok((sender, Kept::Idle));
            }
        }
    }

    /// Local sockets open faster than they are worth opening ahead.
    fn open_ahead(&self) {
        let local = matches!(self.way, Way::Unix(_) | Way::Tcp(_));
        if !local && lock(&self.idle).is_empty() && lock(&self.ahead).is_empty() {
            self.open_another();
        }
    }

    fn open_another(&self) {
        let (way, place) = (self.way.clone(), self.place.clone());
        let opening = tokio::spawn(async move { open(&way, &place).await });
        lock(&self.ahead).push_back(opening);
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
        parts.uri = unversioned(path.as_str()).unwrap_or_else(|| Uri::from(path.clone()));
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

/// The path without the version that bollard puts before it; none when there is none.
fn unversioned(path: &str) -> Option<Uri> {
    let (version, _) = path.strip_prefix("/v")?.split_once('/')?;
    let numbers = version.chars().all(|c| c.is_ascii_digit() || c == '.');
    path.get(2 + version.len()..)
        .filter(|_| numbers)?
        .parse()
        .ok()
}

/// Version and API of an Engine that says in an answer that it is older than what is supported.
fn too_old(headers: &HeaderMap) -> Option<(String, String)> {
    let api = headers.get("api-version")?.to_str().ok()?;
    let (major, minor) = api.split_once('.')?;
    let spoken: (usize, usize) = (major.parse().ok()?, minor.parse().ok()?);
    let server = headers.get(SERVER).and_then(|value| value.to_str().ok());
    let server = server.unwrap_or_default();
    let version = server.strip_prefix("Docker/").unwrap_or(server);
    let version = version.split(' ').next().unwrap_or_default();
    (spoken < OLDEST_API).then(|| (version.to_owned(), api.to_owned()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_means_the_newest_api() {
        for (path, expected) in [
            (
                "/v1.53/containers/json?all=true",
                Some("/containers/json?all=true"),
            ),
            ("/version", None),
            ("/vnext/x", None),
            ("/containers/json", None),
        ] {
            let found = unversioned(path).map(|uri| uri.to_string());
            assert_eq!(found.as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn an_old_engine_says_so_itself() {
        for (api, server, expected) in [
            (
                Some("1.27"),
                "Docker/17.03.2-ce (linux)",
                Some("17.03.2-ce"),
            ),
            (Some("1.40"), "", Some("")),
            (Some("1.41"), "Docker/20.10.5 (linux)", None),
            (Some("2.0"), "", None),
            (Some("new"), "", None),
            (None, "Docker/1.0", None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(api) = api {
                headers.insert("api-version", HeaderValue::from_static(api));
            }
            headers.insert(SERVER, HeaderValue::from_static(server));
            let found = too_old(&headers).map(|(version, _)| version);
            assert_eq!(found.as_deref(), expected, "{api:?} {server}");
        }
    }
}
