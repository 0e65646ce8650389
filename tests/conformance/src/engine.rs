//! A host's Docker Engine: its HTTP API, as far as anybody here uses it, on the simulated containers and images.
//! Shapes of requests and answers: the Engine API reference, 1.46.
//!
//! * [`containers`]: from their creation to their end.
//! * [`exec`]: commands in containers, which is how kamal-proxy is spoken to.
//! * [`images`]: pull, push, tag, remove.
//! * [`build`]: builds, on the deployer's machine.

mod build;
mod containers;
mod exec;
mod images;
pub mod proxy;

use std::collections::BTreeMap;
use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::world::{What, World};

/// An answer.
pub(crate) type Answer = Response<Full<Bytes>>;

/// A request, taken apart.
struct Call {
    world: World,
    host: String,
    query: Vec<(String, String)>,
    body: Bytes,
    login: Option<Json>,
    headers: hyper::HeaderMap,
}

impl Call {
    fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// `filters`, in either of its two forms.
    fn filters(&self) -> BTreeMap<String, Vec<String>> {
        let filters: Json = self
            .parameter("filters")
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        let values = |value: &Json| -> Vec<String> {
            match value {
                Json::Array(items) => items
                    .iter()
                    .filter_map(Json::as_str)
                    .map(str::to_owned)
                    .collect(),
                Json::Object(map) => map.keys().cloned().collect(),
                _ => Vec::new(),
            }
        };
        let object = filters.as_object().cloned().unwrap_or_default();
        object
            .iter()
            .map(|(key, value)| (key.clone(), values(value)))
            .collect()
    }

    fn saw(&self, what: What) {
        self.world.saw(&self.host, what);
    }
}

/// Serves one connection to its end.
pub async fn serve<S>(world: World, host: String, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let (world, host) = (world.clone(), host.clone());
        async move { Ok::<_, Infallible>(answer(world, host, request).await) }
    });
    let server = hyper::server::conn::http1::Builder::new();
    // It ends when the client leaves.
    let _ = server
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

async fn answer(world: World, host: String, mut request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    let query = pairs(request.uri().query().unwrap_or_default());
    let method = request.method().clone();
    let login = request
        .headers()
        .get("x-registry-auth")
        .and_then(|value| value.to_str().ok())
        .and_then(login);
    let upgrade = request.headers().contains_key(hyper::header::UPGRADE);
    let upgraded = upgrade.then(|| hyper::upgrade::on(&mut request));
    let headers = request.headers().clone();
    let body = match request.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return fail(400, &error.to_string()),
    };
    let call = Call {
        world,
        host,
        query,
        body,
        login,
        headers,
    };
    let decoded = decoded(&path);
    let mut words: Vec<&str> = decoded.split('/').filter(|word| !word.is_empty()).collect();
    if words.first().is_some_and(|word| word.starts_with("v1.")) {
        words.remove(0);
    }
    match (&method, words.as_slice()) {
        (_, ["_ping"]) => text("OK"),
        (_, ["version"]) => version(&call),
        (_, ["info"]) => info(&call),
        (_, ["auth"]) => document(&json!({"Status": "Login Succeeded", "IdentityToken": ""})),
        (_, ["containers", rest @ ..]) => containers::answer(&call, &method, rest).await,
        (_, ["exec", rest @ ..]) => exec::answer(&call, &method, rest, upgraded).await,
        (&Method::GET, ["events"]) => exec::next_end(&call).await,
        (_, ["images", rest @ ..]) => images::answer(&call, &method, rest).await,
        (_, ["networks", rest @ ..]) => networks(&call, &method, rest),
        (&Method::POST, ["volumes", "create"]) => {
            let name = call.json()["Name"].clone();
            created(
                &json!({"Name": name, "Driver": "local", "Mountpoint": "", "Labels": {}, "Scope": "local"}),
            )
        }
        (_, ["volumes"]) => document(&json!({"Volumes": [], "Warnings": []})),
        (&Method::DELETE, ["volumes", ..]) => nothing(),
        (_, ["session"]) => build::session(&call, upgraded),
        (_, ["grpc"]) => build::grpc(&call, upgraded),
        (&Method::POST, ["build"]) => build::build(&call).await,
        (&Method::POST, ["build", "prune"]) => {
            document(&json!({"CachesDeleted": [], "SpaceReclaimed": 0}))
        }
        _ => fail(404, &format!("page not found: {method} {path}")),
    }
}

fn version(call: &Call) -> Answer {
    let builds = call.world.fault("docker_missing", &call.host, "").is_none();
    let name = if builds { "Engine" } else { "Podman Engine" };
    document(&json!({
        "Components": [{"Name": name, "Version": "27.0.0", "Details": {}}],
        "Version": "27.0.0", "ApiVersion": "1.46", "MinAPIVersion": "1.24", "Os": "linux", "Arch": arch(call),
        "KernelVersion": "6.1.0", "GitCommit": "0000000", "GoVersion": "go1.21", "BuildTime": "2024-06-01T00:00:00Z",
    }))
}

fn arch(call: &Call) -> String {
    let inner = call.world.lock();
    inner
        .case
        .local
        .docker_arch
        .clone()
        .unwrap_or_else(|| "amd64".to_owned())
}

fn info(call: &Call) -> Answer {
    let mirror = call.world.lock().host(&call.host).mirror.clone();
    let arch = match arch(call).as_str() {
        "arm64" => "aarch64",
        _ => "x86_64",
    };
    document(&json!({
        "ID": call.host, "Architecture": arch, "OSType": "linux", "ServerVersion": "27.0.0", "Name": call.host,
        "RegistryConfig": {"Mirrors": mirror.into_iter().collect::<Vec<_>>(), "IndexConfigs": {}},
        "SecurityOptions": [], "Driver": "overlayfs", "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
    }))
}

fn networks(call: &Call, method: &Method, words: &[&str]) -> Answer {
    let there = call.world.lock().host(&call.host).networks.clone();
    let shown = |name: &String| json!({"Name": name, "Id": crate::world::hex(name), "Driver": "bridge", "Scope": "local", "Containers": {}, "Labels": {}});
    match (method, words) {
        (&Method::POST, ["create"]) => {
            let name = call.json()["Name"].as_str().unwrap_or_default().to_owned();
            call.saw(What::Network {
                name: name.clone(),
                made: true,
            });
            if there.contains(&name) {
                return fail(409, &format!("network with name {name} already exists"));
            }
            call.world
                .lock()
                .host(&call.host)
                .networks
                .insert(name.clone());
            created(&json!({"Id": crate::world::hex(&name), "Warning": ""}))
        }
        (&Method::GET, []) => {
            let names = call.filters().remove("name").unwrap_or_default();
            let matching = there
                .iter()
                .filter(|name| names.is_empty() || names.iter().any(|n| name.contains(n.as_str())));
            document(&Json::Array(matching.map(shown).collect()))
        }
        (&Method::GET, [name]) => match there.get(*name) {
            Some(name) => {
                // That it is ensured is seen by its being looked for.
                call.saw(What::Network {
                    name: name.clone(),
                    made: false,
                });
                document(&shown(name))
            }
            None => fail(404, &format!("network {name} not found")),
        },
        (&Method::POST, [_, "connect" | "disconnect"]) => text(""),
        (&Method::DELETE, [name]) => {
            call.world.lock().host(&call.host).networks.remove(*name);
            nothing()
        }
        _ => fail(404, "page not found"),
    }
}

/// The login that comes with a pull or push: Base64 in either alphabet, with or without padding.
fn login(header: &str) -> Option<Json> {
    use base64::Engine as _;
    use base64::alphabet::URL_SAFE;
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    let lenient =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engine = GeneralPurpose::new(&URL_SAFE, lenient);
    let bytes = engine
        .decode(header.replace('+', "-").replace('/', "_"))
        .ok()?;
    let login: Json = serde_json::from_slice(&bytes).ok()?;
    login["username"].is_string().then_some(login)
}

fn pairs(query: &str) -> Vec<(String, String)> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    let pair = |part: &str| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        (
            decoded(&key.replace('+', " ")),
            decoded(&value.replace('+', " ")),
        )
    };
    parts.map(pair).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = (byte == b'%')
            .then(|| after.get(..2))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code {
            Some(code) => {
                bytes.push(code);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn with(status: StatusCode, kind: &str, body: impl Into<Bytes>) -> Answer {
    Response::builder()
        .status(status)
        .header("Content-Type", kind)
        .header("Api-Version", "1.46")
        .header("Ostype", "linux")
        .body(Full::new(body.into()))
        .expect("the parts are valid")
}

fn document(value: &Json) -> Answer {
    with(StatusCode::OK, "application/json", value.to_string())
}

fn created(value: &Json) -> Answer {
    with(StatusCode::CREATED, "application/json", value.to_string())
}

fn text(body: &str) -> Answer {
    with(StatusCode::OK, "text/plain", body.to_owned())
}

fn nothing() -> Answer {
    with(StatusCode::NO_CONTENT, "text/plain", "")
}

fn lines(lines: &[Json]) -> Answer {
    let body: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    with(StatusCode::OK, "application/json", body)
}

fn fail(status: u16, message: &str) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    with(
        status,
        "application/json",
        json!({"message": message}).to_string(),
    )
}
