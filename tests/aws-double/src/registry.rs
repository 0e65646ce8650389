//! The registry behind an account's name at ECR: Debian's own, behind ECR's login and its repositories.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{fs, io};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Method, StatusCode};
use lab::LabError;
use lab::command::{command, find};
use serde_json::{Value, json};

use crate::server::{self, Dropped};
use crate::wire::http::{Answer, answer, send};
use crate::wire::{Call, Refusal};
use crate::world::World;
use crate::{id, moto};

const START_LIMIT: Duration = Duration::from_secs(20);

/// A registry, gone when dropped with all that was pushed.
pub(crate) struct Registry {
    process: Mutex<Child>,
    folder: PathBuf,
    address: SocketAddr,
}

impl Registry {
    /// Starts Debian's registry on a port of its own.
    pub(crate) fn start() -> Result<Self, LabError> {
        let folder = std::env::temp_dir().join(format!("plimsoll-registry-{}", id::hex(8)));
        lab::state::make_private(&folder)?;
        let free = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|it| it.local_addr());
        let address = free.map_err(LabError::file(&folder))?;
        let data = json!(folder.join("data").to_string_lossy());
        let configuration = folder.join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{ level: error, accesslog: {{ disabled: true }} }}\n\
             storage: {{ filesystem: {{ rootdirectory: {data} }} }}\n\
             http: {{ addr: \"{address}\", relativeurls: true }}\n"
        );
        lab::state::write(&configuration, 0o600, text)?;
        let program = find("docker-registry").unwrap_or_else(|| "docker-registry".into());
        let mut registry = command(&program.to_string_lossy(), ["serve"]);
        let process = registry
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| LabError::Start {
                program: "docker-registry".to_owned(),
                source,
            })?;
        let process = Mutex::new(process);
        let registry = Self {
            process,
            folder,
            address,
        };
        let begun = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            if begun.elapsed() > START_LIMIT {
                return Err(LabError::NotReady {
                    what: format!("the registry listen on {address}"),
                    limit: START_LIMIT,
                    detail: String::new(),
                });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(registry)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        if let Ok(mut process) = self.process.lock() {
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Listens where Engines look for the registry.
pub(crate) fn listen(address: Ipv4Addr) -> Result<StdListener, LabError> {
    let bind = || {
        let listener = StdListener::bind((address, 80))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    match bind() {
        Err(error) if io::Error::kind(&error) == io::ErrorKind::PermissionDenied => {
            lab::aws::name::open_port()?;
            bind()
        }
        other => other,
    }
    .map_err(|error: io::Error| LabError::Step(format!("listen on {address}:80: {error}")))
}

/// Answers Engines until the runtime ends.
pub(crate) async fn serve(
    world: Arc<World>,
    registry: Arc<Registry>,
    listener: tokio::net::TcpListener,
) -> Infallible {
    server::accept(listener, move |request| {
        let (world, registry) = (world.clone(), registry.clone());
        async move { respond(&world, &registry, request).await }
    })
    .await
}

async fn respond(
    world: &Arc<World>,
    registry: &Registry,
    request: hyper::Request<Incoming>,
) -> Result<Answer, Dropped> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
    let mut call = Call::new(head, body, &world.settings.region);
    call.service = "registry".to_owned();
    // `123456789012.dkr.ecr.eu-west-1.amazonaws.com`.
    let region = call.header("host").split('.').nth(3).map(str::to_owned);
    call.region = region.unwrap_or_else(|| world.settings.region.clone());
    server::recorded(world, &call, || async {
        match check(world, &call).await {
            Err(refusal) => refuse(&refusal),
            Ok(()) => pass_on(world, registry, &call).await,
        }
    })
    .await
}

/// A refusal as registries write them.
pub(crate) fn refuse(refusal: &Refusal) -> Answer {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
    let body = json!({ "errors": [{ "code": refusal.code, "message": refusal.message }] });
    let mut answer = answer(status, "application/json", body.to_string());
    if status == StatusCode::UNAUTHORIZED {
        let challenge = "Basic realm=\"https://ecr\",service=\"ecr.amazonaws.com\"";
        answer.headers_mut().insert(
            "www-authenticate",
            challenge.parse().expect("it is a header's text"),
        );
    }
    answer
}

/// The login must be good, and the repository must be there.
async fn check(world: &World, call: &Call) -> Result<(), Refusal> {
    let login = call.header("authorization").strip_prefix("Basic ");
    let login = login.and_then(|text| STANDARD.decode(text).ok());
    let login = login.and_then(|bytes| String::from_utf8(bytes).ok());
    let Some(password) = login
        .as_deref()
        .and_then(|login| login.strip_prefix("AWS:"))
    else {
        return Err(Refusal::new("UNAUTHORIZED", "no basic auth credentials").status(401));
    };
    if !world
        .state()
        .registry_tokens
        .iter()
        .any(|token| token == password)
    {
        let why = "Your authorization token has expired. Reauthenticate and try again.";
        return Err(Refusal::new("DENIED", why).status(403));
    }
    let path = call.head.uri.path();
    let Some(name) = repository(path) else {
        return Ok(());
    };
    let body = json!({ "repositoryNames": [name] });
    let target = "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories";
    let there = moto::json(world, &call.region, "ecr", target, &body).await;
    there.map(drop).map_err(|_| {
        let account = &world.settings.account;
        let why = format!(
            "The repository with name '{name}' does not exist in the registry with id '{account}'"
        );
        Refusal::new("NAME_UNKNOWN", why).status(404)
    })
}

/// `demo/api` of `/v2/demo/api/manifests/latest`.
fn repository(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/v2/")?;
    let ends = ["/manifests/", "/blobs/", "/tags/"].map(|mark| rest.find(mark));
    ends.into_iter().flatten().min().map(|end| &rest[..end])
}

async fn pass_on(world: &World, registry: &Registry, call: &Call) -> Answer {
    let mut headers = call.head.headers.clone();
    headers.remove("authorization");
    let path = call
        .head
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let method = call.head.method.clone();
    match send(
        registry.address,
        method.clone(),
        path,
        &headers,
        call.body.clone(),
    )
    .await
    {
        Err(why) => refuse(&Refusal::new("UNKNOWN", why).status(503)),
        Ok((status, headers, body)) => {
            if method == Method::PUT && status.is_success() {
                let digest = headers.get("docker-content-digest");
                let digest = digest
                    .and_then(|digest| digest.to_str().ok())
                    .unwrap_or_default();
                note_image(world, call, digest).await;
            }
            moto::passed_on(status, &headers, body)
        }
    }
}

/// What was pushed is seen by `DescribeImages`.
async fn note_image(world: &World, call: &Call, digest: &str) {
    let path = call.head.uri.path();
    let (Some(name), Some((_, reference))) = (repository(path), path.rsplit_once("/manifests/"))
    else {
        return;
    };
    let mut body = json!({
        "repositoryName": name,
        "imageManifest": String::from_utf8_lossy(&call.body),
        "imageDigest": digest,
    });
    if !reference.starts_with("sha256:") {
        body["imageTag"] = json!(reference);
    }
    let target = "AmazonEC2ContainerRegistry_V20150921.PutImage";
    // The same image under the same tag again is nothing new.
    let _ = moto::json(world, &call.region, "ecr", target, &body).await;
}

/// Answers what moto gets wrong of ECR: its token ran out in 2015.
pub(crate) fn handle(world: &World, call: &Call) -> Option<Answer> {
    if call.action() != "GetAuthorizationToken" {
        return None;
    }
    let token = format!("canary-registry-token-{}", id::hex(12));
    world.state().registry_tokens.push(token.clone());
    let expires = std::time::SystemTime::now() + Duration::from_secs(12 * 60 * 60);
    let host = format!(
        "{}.dkr.ecr.{}.{}",
        crate::sts::account(world, &call.access_key),
        call.region,
        crate::cloudformation::evaluate::dns_suffix(&call.region)
    );
    let data: Value = json!([{
        "authorizationToken": STANDARD.encode(format!("AWS:{token}")),
        "expiresAt": id::seconds(expires),
        "proxyEndpoint": format!("https://{host}"),
    }]);
    Some(crate::wire::http::json(
        StatusCode::OK,
        &json!({ "authorizationData": data }),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_found_in_paths() {
        for (path, expected) in [
            ("/v2/", None),
            ("/v2/demo/api/manifests/latest", Some("demo/api")),
            ("/v2/demo/api/blobs/uploads/", Some("demo/api")),
            ("/v2/a/b/c/blobs/sha256:1", Some("a/b/c")),
        ] {
            assert_eq!(repository(path), expected, "{path}");
        }
    }
}
