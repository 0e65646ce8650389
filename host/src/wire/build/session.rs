//! BuildKit's session: while a build runs, it calls back for logins, secrets, SSH agents and files.
//!
//! The connection is turned round: after `POST /session` we are the server, of gRPC over HTTP/2. A few methods are offered;
//! to all others the answer is "unimplemented", which BuildKit takes well. Without a session an Engine refuses to fetch base
//! images from any registry that hands out tokens, public ones too.

use std::{
    convert::Infallible,
    hash::{BuildHasher, Hasher, RandomState},
    path::Path,
    pin::Pin,
    sync::Arc,
};

use futures::{Stream, stream};
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::{
    HeaderMap, Request, Response,
    body::{Bytes, Frame, Incoming},
    header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, UPGRADE},
    server::conn::http2,
    service::service_fn,
};
use hyper_util::rt::TokioExecutor;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinHandle,
};

use super::{
    Private,
    grpc::{framed, unframed},
    packed,
    protobuf::{Value, field, fields, text},
};
use crate::wire::{
    Engine, WireError,
    context::Prepared,
    docker::{Call, request},
    network,
};

const CREDENTIALS: &str = "/moby.filesync.v1.Auth/Credentials";
const SECRET: &str = "/moby.buildkit.secrets.v1.Secrets/GetSecret";
const HEALTH: &str = "/grpc.health.v1.Health/Check";
const CHECK_AGENT: &str = "/moby.sshforward.v1.SSH/CheckAgent";
const FORWARD_AGENT: &str = "/moby.sshforward.v1.SSH/ForwardAgent";
const UPLOAD: &str = "/moby.upload.v1.Upload/Pull";

/// gRPC's names for how a call ended.
const OK: &str = "0";
const NOT_FOUND: &str = "5";
const UNIMPLEMENTED: &str = "12";
const INTERNAL: &str = "13";

/// Where BuildKit finds what the session uploads (`moby/buildkit/source/http/transport.go`).
pub(super) const UPLOAD_HOST: &str = "buildkit-session";

/// What a session has for a build.
pub(super) struct Offer {
    pub(super) private: Private,
    /// The files, where they don't go with the request itself.
    pub(super) context: Option<Arc<Prepared>>,
}

impl Offer {
    fn methods(&self) -> Vec<&'static str> {
        let mut methods = vec![CREDENTIALS, SECRET, HEALTH];
        if !self.private.agents.is_empty() {
            methods.extend([CHECK_AGENT, FORWARD_AGENT]);
        }
        methods.extend(self.context.iter().map(|_| UPLOAD));
        methods
    }

    fn agent(&self, id: &str) -> Option<&Path> {
        let id = if id.is_empty() { "default" } else { id };
        let mut agents = self.private.agents.iter();
        agents
            .find(|(known, _)| known == id)
            .map(|(_, socket)| socket.as_path())
    }
}

/// An open session; it ends with this.
pub(super) struct Session {
    id: String,
    serving: JoinHandle<()>,
}

impl Session {
    pub(super) async fn open(
        engine: &Engine,
        call: &Call,
        offer: Offer,
        name: Option<&str>,
    ) -> Result<Self, WireError> {
        let id = random_id();
        let mut ask = request("POST", "/session");
        let headers = ask.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("h2c"));
        let uuid = HeaderValue::from_str(&id).expect("hex digits fit a header");
        headers.insert("x-docker-expose-session-uuid", uuid);
        let name = name.and_then(|name| HeaderValue::from_str(name).ok());
        headers.insert(
            "x-docker-expose-session-name",
            name.unwrap_or(HeaderValue::from_static("plimsoll")),
        );
        let method = HeaderName::from_static("x-docker-expose-session-grpc-method");
        for name in offer.methods() {
            headers.append(method.clone(), HeaderValue::from_static(name));
        }
        let stream = engine.upgrade(call, ask).await?;
        let offer = Arc::new(offer);
        let serving = tokio::spawn(async move {
            let answer = service_fn(move |request| answer(request, Arc::clone(&offer)));
            let server = http2::Builder::new(TokioExecutor::new());
            // It ends when the Engine has what it needs, or the build is over.
            if let Err(error) = server.serve_connection(stream, answer).await {
                tracing::debug!(%error, "BuildKit's session ended");
            }
        });
        Ok(Self { id, serving })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Not to be guessed by others who use the same Engine. The standard library's hash keys come from the system's randomness.
fn random_id() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

type Frames = Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Infallible>> + Send>>;
type Body = StreamBody<Frames>;

async fn answer(
    request: Request<Incoming>,
    offer: Arc<Offer>,
) -> Result<Response<Body>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let frames = match (parts.uri.path(), &offer.context) {
        (UPLOAD, Some(context)) => upload(Arc::clone(context)),
        (FORWARD_AGENT, _) => {
            let id = parts.headers.get("buildkit.ssh.id");
            let id = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
            forward(offer.agent(id), body).await
        }
        (method, _) => {
            // Questions are short; a longer one gets the answer to an empty one.
            let body = Limited::new(body, 1 << 20).collect().await;
            let body = body.map(|body| body.to_bytes()).unwrap_or_default();
            // One message: a flag for compression, its length, itself.
            let message = body.get(5..).unwrap_or_default();
            let (status, reply) = reply(method, message, &offer);
            let message = reply.map(|reply| Frame::data(framed(&reply).into()));
            let frames = message.into_iter().chain([end(status)]).map(Ok);
            Box::pin(stream::iter(frames.collect::<Vec<_>>())) as Frames
        }
    };
    let mut response = Response::new(StreamBody::new(frames));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    Ok(response)
}

fn end(status: &'static str) -> Frame<Bytes> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    Frame::trailers(trailers)
}

/// `BytesMessage { data = 1 }`
fn bytes_message(bytes: &[u8]) -> Frame<Bytes> {
    Frame::data(framed(&field(1, bytes)).into())
}

/// The context's tar. A context that can't be packed ends without the end that says all is well.
fn upload(context: Arc<Prepared>) -> Frames {
    let (receive, _packing) = packed(context);
    let frames = stream::unfold(Some(receive), |receive| async {
        let mut receive = receive?;
        match receive.recv().await {
            Some(Ok(bytes)) => Some((Ok(bytes_message(&bytes)), Some(receive))),
            Some(Err(_)) => Some((Ok(end(INTERNAL)), None)),
            None => Some((Ok(end(OK)), None)),
        }
    });
    Box::pin(frames)
}

/// A conversation between a step of the build and an SSH agent of this machine.
async fn forward(agent: Option<&Path>, mut asked: Incoming) -> Frames {
    let socket = match agent {
        Some(agent) => network::unix(agent).await.ok(),
        None => None,
    };
    let Some(socket) = socket else {
        return Box::pin(stream::iter([Ok(end(NOT_FOUND))]));
    };
    let (reader, mut writer) = tokio::io::split(socket);
    tokio::spawn(async move {
        let mut waiting = Vec::new();
        while let Some(Ok(frame)) = asked.frame().await {
            let Ok(data) = frame.into_data() else { break };
            waiting.extend_from_slice(&data);
            while let Some((whole, message)) = unframed(&waiting) {
                let sent = fields(message).find_map(|(number, value)| match value {
                    Value::Bytes(bytes) if number == 1 => Some(bytes.to_vec()),
                    _ => None,
                });
                if writer.write_all(&sent.unwrap_or_default()).await.is_err() {
                    return;
                }
                waiting.drain(..whole);
            }
        }
        // The agent sees the end of what is asked, and ends too.
        let _ = writer.shutdown().await;
    });
    let frames = stream::unfold(Some(reader), |reader| async {
        let mut reader = reader?;
        let mut bytes = vec![0; 32 << 10];
        match reader.read(&mut bytes).await {
            Ok(read) if read > 0 => Some((Ok(bytes_message(&bytes[..read])), Some(reader))),
            Ok(_) | Err(_) => Some((Ok(end(OK)), None)),
        }
    });
    Box::pin(frames)
}

/// How the call ended, and its answer.
fn reply(method: &str, message: &[u8], offer: &Offer) -> (&'static str, Option<Vec<u8>>) {
    let private = &offer.private;
    // The first field of every question is what it is about.
    let subject = fields(message).find_map(|(number, value)| match value {
        Value::Bytes(bytes) if number == 1 => Some(text(bytes)),
        _ => None,
    });
    let subject = subject.unwrap_or_default();
    match method {
        HEALTH => (OK, Some(vec![1 << 3, 1])),
        CREDENTIALS => {
            let login = private
                .logins
                .iter()
                .find(|login| same_registry(&login.server, &subject));
            // An empty answer: try without.
            let answer = login.map(|login| {
                [
                    field(1, login.username.reveal().as_bytes()),
                    field(2, login.password.reveal().as_bytes()),
                ]
                .concat()
            });
            (OK, Some(answer.unwrap_or_default()))
        }
        CHECK_AGENT => match offer.agent(&subject) {
            Some(_) => (OK, Some(Vec::new())),
            None => (NOT_FOUND, None),
        },
        SECRET => match private.secrets.iter().find(|(id, _)| *id == subject) {
            Some((_, secret)) => (OK, Some(field(1, secret.reveal().as_bytes()))),
            None => (NOT_FOUND, None),
        },
        _ => (UNIMPLEMENTED, None),
    }
}

/// Docker Hub has many names.
fn same_registry(ours: &str, asked: &str) -> bool {
    let canonical = |name: &str| match name {
        "" | "docker.io" | "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        name => name.to_lowercase(),
    };
    canonical(ours) == canonical(asked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Credentials;

    fn offer() -> Offer {
        let login = |server: &str, username: &str| Credentials {
            server: server.into(),
            username: username.into(),
            password: "secret".into(),
        };
        let private = Private {
            logins: vec![login("docker.io", "hub"), login("r.example:5000", "own")],
            secrets: vec![("token".into(), "hunter2".into())],
            agents: vec![("default".into(), "/run/agent".into())],
        };
        Offer {
            private,
            context: None,
        }
    }

    #[test]
    fn questions_get_what_belongs_to_them_and_no_more() {
        let login =
            |username: &[u8]| (OK, Some([field(1, username), field(2, b"secret")].concat()));
        for (method, subject, expected) in [
            (CREDENTIALS, "registry-1.docker.io", login(b"hub")),
            (CREDENTIALS, "r.example:5000", login(b"own")),
            (CREDENTIALS, "r.example", (OK, Some(vec![]))),
            (CREDENTIALS, "evil.example", (OK, Some(vec![]))),
            (SECRET, "token", (OK, Some(field(1, b"hunter2")))),
            (SECRET, "other", (NOT_FOUND, None)),
            (CHECK_AGENT, "", (OK, Some(vec![]))),
            (CHECK_AGENT, "other", (NOT_FOUND, None)),
            (HEALTH, "", (OK, Some(vec![8, 1]))),
            (
                "/moby.filesync.v1.Auth/FetchToken",
                "r.example:5000",
                (UNIMPLEMENTED, None),
            ),
        ] {
            assert_eq!(
                reply(method, &field(1, subject.as_bytes()), &offer()),
                expected,
                "{method} {subject}"
            );
        }
    }

    #[test]
    fn ids_are_not_repeated() {
        assert_ne!(random_id(), random_id());
        assert_eq!(random_id().len(), 32);
    }
}
