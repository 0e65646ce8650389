//! Builds, as BuildKit does them: through the Engine's `/build`, or by its own API. Beside both goes a session, in which
//! BuildKit calls back for what it needs.
//!
//! Messages: `moby/buildkit/api/services/control/control.proto` and `session/secrets/secrets.proto`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioExecutor;
use serde_json::{Value as Json, json};
use tokio::time::sleep;

use super::{Answer, Call, fail, lines, with};
use crate::world::{BuildSession, What, World, image_id};

/// What a build takes.
const BUILD: Duration = Duration::from_secs(5);

const SECRET: &str = "/moby.buildkit.secrets.v1.Secrets/GetSecret";

fn switching() -> Answer {
    let mut answer = with(StatusCode::SWITCHING_PROTOCOLS, "text/plain", "");
    let headers = answer.headers_mut();
    headers.insert(
        "connection",
        hyper::header::HeaderValue::from_static("Upgrade"),
    );
    headers.insert("upgrade", hyper::header::HeaderValue::from_static("h2c"));
    answer
}

/// The session in which BuildKit calls back: it asks for every secret that there could be, to see which it would get.
pub(super) fn session(call: &Call, upgraded: Option<OnUpgrade>) -> Answer {
    let Some(upgraded) = upgraded else {
        return fail(400, "a session needs an upgrade");
    };
    let header = |name: &str| -> Vec<String> {
        let values = call.headers.get_all(name).iter();
        values
            .filter_map(|value| value.to_str().ok())
            .map(str::to_owned)
            .collect()
    };
    let session = BuildSession {
        name: header("x-docker-expose-session-name")
            .pop()
            .unwrap_or_default(),
        methods: header("x-docker-expose-session-grpc-method"),
        secrets: Vec::new(),
    };
    let id = header("x-docker-expose-session-uuid")
        .pop()
        .unwrap_or_default();
    call.world.lock().sessions.insert(id.clone(), session);
    let world = call.world.clone();
    tokio::spawn(async move {
        let Ok(stream) = upgraded.await else { return };
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream);
        let Ok((mut sender, connection)) = handshake.await else {
            return;
        };
        let connection = tokio::spawn(connection);
        let names = world.lock().secrets.clone();
        for name in names {
            let message = [
                vec![0x0a, u8::try_from(name.len()).unwrap_or(0)],
                name.clone().into_bytes(),
            ]
            .concat();
            let request = Request::post(format!("http://session{SECRET}"))
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .body(Full::new(Bytes::from(framed(&message))))
                .expect("the parts are valid");
            let Ok(answer) = sender.send_request(request).await else {
                return;
            };
            let early = status(answer.headers());
            let collected = answer.into_body().collect().await;
            let late = collected
                .ok()
                .and_then(|body| body.trailers().and_then(status));
            if early.or(late) == Some(0)
                && let Some(session) = world.lock().sessions.get_mut(&id)
            {
                session.secrets.push(name);
            }
        }
        // It ends when the other side closes it.
        let _ = connection.await;
    });
    switching()
}

fn status(headers: &HeaderMap) -> Option<u32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes();
    [&[0][..], &length, message].concat()
}

/// The Engine's own `/build`.
pub(super) async fn build(call: &Call) -> Answer {
    let map = |name: &str| -> BTreeMap<String, String> {
        call.parameter(name)
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default()
    };
    let list = |name: &str| -> Vec<String> {
        call.query
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
            .collect()
    };
    let from: Vec<String> = call
        .parameter("cachefrom")
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let built = Json::Object(serde_json::Map::from_iter([
        ("session".to_owned(), json!(call.parameter("session"))),
        ("file".to_owned(), json!(call.parameter("dockerfile"))),
        ("target".to_owned(), json!(call.parameter("target"))),
        ("platforms".to_owned(), json!(list("platform"))),
        ("tags".to_owned(), json!(list("t"))),
        ("labels".to_owned(), json!(map("labels"))),
        ("build_args".to_owned(), json!(map("buildargs"))),
        (
            "no_cache".to_owned(),
            json!(call.parameter("nocache").is_some()),
        ),
        (
            "cache_from".to_owned(),
            json!(
                from.iter()
                    .map(|from| format!("type=registry,ref={from}"))
                    .collect::<Vec<_>>()
            ),
        ),
    ]));
    match done(&call.world, &call.host, built).await {
        Err(message) => lines(&[json!({"errorDetail": {"message": message}, "error": message})]),
        Ok(id) => lines(&[
            json!({"stream": "Step 1/1 : FROM scratch\n"}),
            json!({"id": "moby.image.id", "aux": {"ID": id}}),
        ]),
    }
}

/// A build that ends well, or in the words of the fault.
async fn done(world: &World, host: &str, built: Json) -> Result<String, String> {
    sleep(BUILD).await;
    let fault = world.fault("build", host, "");
    world.saw(
        host,
        What::Built {
            built: built.clone(),
            failed: fault.is_some(),
        },
    );
    if let Some(fault) = fault {
        return Err(fault.message_or("failed to solve"));
    }
    let tags: Vec<&str> = built["tags"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .collect();
    let labels: BTreeMap<String, String> =
        serde_json::from_value(built["labels"].clone()).unwrap_or_default();
    let id = image_id(tags.first().copied().unwrap_or("nameless"));
    let mut inner = world.lock();
    let host = inner.host(host);
    for tag in tags {
        host.put_image(tag, &id, labels.clone());
    }
    Ok(id)
}

/// BuildKit's own API: a connection of gRPC.
pub(super) fn grpc(call: &Call, upgraded: Option<OnUpgrade>) -> Answer {
    let Some(upgraded) = upgraded else {
        return fail(400, "gRPC needs an upgrade");
    };
    let (world, host) = (call.world.clone(), call.host.clone());
    tokio::spawn(async move {
        let Ok(stream) = upgraded.await else { return };
        let service = service_fn(move |request| {
            let (world, host) = (world.clone(), host.clone());
            async move { Ok::<_, Infallible>(control(world, host, request).await) }
        });
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        // It ends when the client leaves.
        let _ = server.serve_connection(stream, service).await;
    });
    switching()
}

type Streamed =
    Response<StreamBody<stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>>;

async fn control(world: World, host: String, request: Request<Incoming>) -> Streamed {
    let solve = request.uri().path().ends_with("/Solve");
    let body = request
        .into_body()
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    let mut frames = Vec::new();
    let mut trailers = HeaderMap::new();
    let mut end = |code: &'static str, message: &str| {
        trailers.insert("grpc-status", hyper::header::HeaderValue::from_static(code));
        let escaped: String = message
            .bytes()
            .map(|byte| match byte {
                b'%' | b'\n' => format!("%{byte:02X}"),
                _ => char::from(byte).to_string(),
            })
            .collect();
        if let Ok(message) = escaped.parse() {
            trailers.insert("grpc-message", message);
        }
    };
    if solve {
        match done(&world, &host, asked(body.get(5..).unwrap_or_default())).await {
            Ok(id) => {
                let entry = [text_field(1, "containerimage.digest"), text_field(2, &id)].concat();
                frames.push(Ok(Frame::data(Bytes::from(framed(&bytes_field(
                    1, &entry,
                ))))));
                end("0", "");
            }
            Err(message) => end("2", &message),
        }
    } else {
        end("0", "");
    }
    frames.push(Ok(Frame::trailers(trailers)));
    Response::builder()
        .header("content-type", "application/grpc")
        .body(StreamBody::new(stream::iter(frames)))
        .expect("the parts are valid")
}

/// What a request to solve asks for.
fn asked(message: &[u8]) -> Json {
    let mut attributes: BTreeMap<String, String> = BTreeMap::new();
    let (mut tags, mut from, mut to, mut session) =
        (Vec::new(), Vec::new(), Vec::new(), String::new());
    for (number, bytes) in fields(message) {
        match number {
            4 => {
                let (name, value) = pair(bytes);
                if name == "name" {
                    tags.extend(value.split(',').map(str::to_owned));
                }
            }
            5 => session = String::from_utf8_lossy(bytes).into_owned(),
            7 => {
                let (name, value) = pair(bytes);
                attributes.insert(name, value);
            }
            8 => {
                for (number, entry) in fields(bytes) {
                    let mut words = Vec::new();
                    for (number, part) in fields(entry) {
                        match number {
                            1 => words.insert(0, format!("type={}", String::from_utf8_lossy(part))),
                            2 => {
                                let (name, value) = pair(part);
                                words.push(format!("{name}={value}"));
                            }
                            _ => {}
                        }
                    }
                    match number {
                        4 => to.push(words.join(",")),
                        5 => from.push(words.join(",")),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    let named = |prefix: &str| -> BTreeMap<&str, &String> {
        attributes
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix(prefix)?, value)))
            .collect()
    };
    let attest = |kind: &str| {
        let value = attributes.get(&format!("attest:{kind}"))?;
        Some(if value.is_empty() {
            "true".to_owned()
        } else {
            value.clone()
        })
    };
    let platforms: Vec<&str> = attributes
        .get("platform")
        .map(|all| all.split(',').collect())
        .unwrap_or_default();
    json!({
        "session": session, "file": attributes.get("filename"), "target": attributes.get("target"),
        "platforms": platforms, "tags": tags, "labels": named("label:"), "build_args": named("build-arg:"),
        "no_cache": attributes.contains_key("no-cache"), "cache_from": from, "cache_to": to,
        "provenance": attest("provenance"), "sbom": attest("sbom"),
    })
}

/// Fields of a message that are bytes, with their numbers.
fn fields(mut rest: &[u8]) -> Vec<(u64, &[u8])> {
    let mut found = Vec::new();
    while let Some((key, after)) = varint(rest) {
        let Some((value, after)) = varint(after) else {
            break;
        };
        rest = after;
        if key & 7 == 2 {
            let length = usize::try_from(value).unwrap_or(usize::MAX);
            let Some(bytes) = rest.get(..length) else {
                break;
            };
            found.push((key >> 3, bytes));
            rest = &rest[length..];
        }
    }
    found
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

fn pair(bytes: &[u8]) -> (String, String) {
    let (mut name, mut value) = (String::new(), String::new());
    for (number, text) in fields(bytes) {
        let text = String::from_utf8_lossy(text).into_owned();
        match number {
            1 => name = text,
            2 => value = text,
            _ => {}
        }
    }
    (name, value)
}

fn bytes_field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        field.push(u8::try_from(length & 0x7f).unwrap_or(0) | 0x80);
        length >>= 7;
    }
    field.push(u8::try_from(length).unwrap_or(0));
    field.extend_from_slice(bytes);
    field
}

fn text_field(number: u8, text: &str) -> Vec<u8> {
    bytes_field(number, text.as_bytes())
}
