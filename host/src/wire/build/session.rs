//! BuildKit's session: while a build runs, it calls back for logins and secrets.
//!
//! The connection is turned round: after `POST /session` we are the server, of gRPC over HTTP/2. Three methods are offered;
//! to all others the answer is "unimplemented", which BuildKit takes well. Without a session an Engine refuses to fetch base
//! images from any registry that hands out tokens, public ones too.

use std::{
    convert::Infallible,
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
};

use futures::stream;
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::{
    HeaderMap, Request, Response,
    body::{Bytes, Frame, Incoming},
    header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, UPGRADE},
    server::conn::http2,
    service::service_fn,
};
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinHandle;

use super::{
    Private,
    protobuf::{Value, field, fields, text},
};
use crate::wire::{
    Engine, WireError,
    docker::{Call, request},
};

const CREDENTIALS: &str = "/moby.filesync.v1.Auth/Credentials";
const SECRET: &str = "/moby.buildkit.secrets.v1.Secrets/GetSecret";
const HEALTH: &str = "/grpc.health.v1.Health/Check";

/// gRPC's names for how a call ended.
const OK: &str = "0";
const NOT_FOUND: &str = "5";
const UNIMPLEMENTED: &str = "12";

/// An open session; it ends with this.
pub(super) struct Session {
    id: String,
    serving: JoinHandle<()>,
}

impl Session {
    pub(super) async fn open(
        engine: &Engine,
        call: &Call,
        private: &Private,
    ) -> Result<Self, WireError> {
        let id = random_id();
        let mut ask = request("POST", "/session");
        let headers = ask.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("h2c"));
        let uuid = HeaderValue::from_str(&id).expect("hex digits fit a header");
        headers.insert("x-docker-expose-session-uuid", uuid);
        headers.insert(
            "x-docker-expose-session-name",
            HeaderValue::from_static("plimsoll"),
        );
        let method = HeaderName::from_static("x-docker-expose-session-grpc-method");
        for name in [CREDENTIALS, SECRET, HEALTH] {
            headers.append(method.clone(), HeaderValue::from_static(name));
        }
        let stream = engine.upgrade(call, ask).await?;
        let private = Arc::new(private.clone());
        let serving = tokio::spawn(async move {
            let answer = service_fn(move |request| answer(request, Arc::clone(&private)));
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

type Body = StreamBody<stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;

async fn answer(
    request: Request<Incoming>,
    private: Arc<Private>,
) -> Result<Response<Body>, hyper::Error> {
    let (parts, body) = request.into_parts();
    // Questions are short; a longer one gets the answer to an empty one.
    let body = Limited::new(body, 1 << 20).collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    // One message: a flag for compression, its length, itself.
    let message = body.get(5..).unwrap_or_default();
    let (status, reply) = reply(parts.uri.path(), message, &private);

    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    let mut frames = Vec::new();
    if let Some(reply) = reply {
        let mut framed = vec![0];
        framed.extend(u32::try_from(reply.len()).unwrap_or(u32::MAX).to_be_bytes());
        framed.extend(reply);
        frames.push(Ok(Frame::data(framed.into())));
    }
    frames.push(Ok(Frame::trailers(trailers)));
    let mut response = Response::new(StreamBody::new(stream::iter(frames)));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    Ok(response)
}

/// How the call ended, and its answer.
fn reply(method: &str, message: &[u8], private: &Private) -> (&'static str, Option<Vec<u8>>) {
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

    fn private() -> Private {
        let login = |server: &str, username: &str| Credentials {
            server: server.into(),
            username: username.into(),
            password: "secret".into(),
        };
        Private {
            logins: vec![login("docker.io", "hub"), login("r.example:5000", "own")],
            secrets: vec![("token".into(), "hunter2".into())],
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
            (HEALTH, "", (OK, Some(vec![8, 1]))),
            (
                "/moby.filesync.v1.Auth/FetchToken",
                "r.example:5000",
                (UNIMPLEMENTED, None),
            ),
        ] {
            assert_eq!(
                reply(method, &field(1, subject.as_bytes()), &private()),
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
