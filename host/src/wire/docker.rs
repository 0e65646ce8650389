//! The Docker Engine API, of this machine or through SSH.
//!
//! Each verb is one request, unless it says otherwise, with a bounded wait. Calls on one engine run side by side.
//! bollard makes the requests and reads the answers; where its types would drop what the Engine said (inspections,
//! progress, builds) the JSON is read as it is.

mod archive;
mod containers;
mod ends;
mod exec;
mod fault;
mod images;
mod names;
mod networks;
mod stream;
mod transport;

use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};

use bollard::{API_DEFAULT_VERSION as NEWEST, BollardRequest, Docker};
use http_body_util::BodyExt;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde_json::Value;

pub use containers::{ContainerSummary, Logs, Removal, Which};
pub use exec::Prepared;
pub(crate) use fault::{
    Call, name as name_fault, name_registry as name_registry_fault, registry_of,
};
pub use images::ImageSummary;
pub(crate) use names::{image as check_image, query};
pub use networks::Ensured;
pub use stream::Progress;
pub(crate) use stream::Said;
use transport::{Transport, Way};

use crate::wire::{Command, Ssh, WireError};

const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// Answers from the Engine's own memory.
const QUICK: Duration = Duration::from_secs(60);
/// Work on disk: a loaded server can take its time.
const SLOW: Duration = Duration::from_secs(300);
/// A pull, push or build may take hours, but not fall silent for so long.
const SILENCE: Duration = Duration::from_secs(900);

/// A Docker Engine that answers. Clones share its connections.
#[derive(Clone)]
pub struct Engine {
    transport: Arc<Transport>,
    docker: Docker,
}

/// What an Engine says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineVersion {
    /// `20.10.24`.
    pub version: String,
    /// `1.41`: the newest API it speaks.
    pub api: String,
    /// `linux`.
    pub os: String,
    /// In Go's words: `amd64`, `arm64`.
    pub arch: String,
    /// BuildKit is part of it: of Docker's Engine, not of Podman's, which speaks the rest of its API.
    pub buildkit: bool,
}

impl Engine {
    /// This machine's Engine: `DOCKER_HOST` (`unix://` or `tcp://`), else `/var/run/docker.sock`. Only the connection is
    /// opened: what is wrong with the Engine itself is said by the first call.
    pub async fn local() -> Result<Self, WireError> {
        let address = std::env::var("DOCKER_HOST")
            .ok()
            .filter(|address| !address.is_empty());
        Self::at(
            address
                .as_deref()
                .unwrap_or(&format!("unix://{DEFAULT_SOCKET}")),
        )
        .await
    }

    /// An Engine by its address: `unix:///path`, `tcp://host:port` (without TLS).
    pub async fn at(address: &str) -> Result<Self, WireError> {
        let way = match address.split_once("://") {
            Some(("unix", path)) => Way::Unix(path.into()),
            Some(("tcp" | "http", host)) => Way::Tcp(host.trim_end_matches('/').to_owned()),
            _ => {
                return Err(WireError::Invalid {
                    what: format!("DOCKER_HOST `{address}`"),
                    why: "`unix://` and `tcp://` are understood".into(),
                });
            }
        };
        Self::through(way, "this machine".into()).await
    }

    /// The Engine of a host, through its open connection.
    ///
    /// The socket is forwarded by sshd; where that is refused, `docker system dial-stdio` runs on the host instead, and if
    /// that fails too its words say what is the matter.
    pub async fn over_ssh(ssh: &Ssh) -> Result<Self, WireError> {
        let place = format!("host {}", ssh.host());
        let forwarded = Way::Forwarded {
            ssh: ssh.clone(),
            socket: DEFAULT_SOCKET.into(),
        };
        match Self::through(forwarded, place.clone()).await {
            Err(WireError::Remote { status: 0, .. }) => {
                diagnose(ssh, &place).await?;
                Self::through(Way::Stdio(ssh.clone()), place).await
            }
            result => result,
        }
    }

    async fn through(way: Way, place: String) -> Result<Self, WireError> {
        let transport = Transport::new(way, place.clone());
        within(&place, "connecting", QUICK, transport.connect()).await??;
        let carrier = Arc::clone(&transport);
        let send = move |request: BollardRequest| {
            let carrier = Arc::clone(&carrier);
            async move { carrier.send(request).await.map_err(into_bollard) }
        };
        // Waiting is bounded here, by verb; bollard's one limit for all would cut long ones off.
        let forever = 7 * 24 * 3600;
        let docker =
            Docker::connect_with_custom_transport(send, Some("http://docker"), forever, NEWEST)
                .map_err(|error| from_bollard(&call(&place, "connecting", ""), error))?;
        Ok(Self { transport, docker })
    }

    /// Sends a request that turns its connection into another protocol.
    pub(crate) async fn upgrade(
        &self,
        call: &Call,
        request: BollardRequest,
    ) -> Result<hyper::upgrade::Upgraded, WireError> {
        let answer = within(&call.place, &call.what, QUICK, self.transport.send(request)).await??;
        if answer.status() == hyper::StatusCode::SWITCHING_PROTOCOLS {
            return hyper::upgrade::on(answer)
                .await
                .map_err(|error| lost(call, &error.to_string()));
        }
        match body(&self.transport, &call.what, answer).await {
            Ok(_) => Err(fault::name(
                call,
                0,
                "the Engine didn't change the protocol",
            )),
            Err(error) => Err(error),
        }
    }

    /// What the Engine says about itself.
    pub async fn version(&self) -> Result<EngineVersion, WireError> {
        let call = self.call("asking for the version", "");
        let said = self.json(&call, QUICK, request("GET", "/version")).await?;
        let text = |key: &str| said[key].as_str().unwrap_or_default().to_owned();
        Ok(EngineVersion {
            version: text("Version"),
            api: text("ApiVersion"),
            os: text("Os"),
            arch: text("Arch"),
            buildkit: said["Components"]
                .as_array()
                .into_iter()
                .flatten()
                .all(|component| component["Name"] != "Podman Engine"),
        })
    }

    /// Whether it keeps images in containerd, which holds images of several platforms, and attestations.
    pub(crate) async fn keeps_images_in_containerd(&self) -> Result<bool, WireError> {
        let call = self.call("asking how it keeps images", "");
        let said = self.json(&call, QUICK, request("GET", "/info")).await?;
        let status = said["DriverStatus"].as_array().into_iter().flatten();
        Ok(status.filter_map(Value::as_array).any(|pair| {
            pair.iter()
                .any(|text| text == "io.containerd.snapshotter.v1")
        }))
    }

    /// The first registry mirror that it is set up with.
    pub async fn mirror(&self) -> Result<Option<String>, WireError> {
        let call = self.call("asking for its mirrors", "");
        let said = self.json(&call, QUICK, request("GET", "/info")).await?;
        let first = said["RegistryConfig"]["Mirrors"].get(0);
        Ok(first.and_then(Value::as_str).map(str::to_owned))
    }

    /// How messages name the Engine's place.
    pub fn place(&self) -> &str {
        &self.transport.place
    }

    /// What there is at a path, or `None`.
    async fn inspect(
        &self,
        path: &str,
        kind: &str,
        name: &str,
    ) -> Result<Option<Value>, WireError> {
        let subject = format!("{kind} {name}");
        let call = self.call(&format!("inspecting {subject}"), &subject);
        match self.json(&call, QUICK, request("GET", path)).await {
            Ok(value) => Ok(Some(value)),
            Err(WireError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One request, and the JSON document of its answer.
    async fn json(
        &self,
        call: &Call,
        limit: Duration,
        request: BollardRequest,
    ) -> Result<Value, WireError> {
        let exchange = async {
            let answer = self.transport.send(request).await?;
            body(&self.transport, &call.what, answer).await
        };
        match within(&call.place, &call.what, limit, exchange).await? {
            Err(WireError::Remote {
                status, message, ..
            }) => Err(fault::name(call, status, &message)),
            result => result,
        }
    }

    /// Sends a request and hands on what its answer says, line by line, until its end or an error of `hear`.
    pub(crate) async fn stream(
        &self,
        call: &Call,
        request: BollardRequest,
        hear: &mut (dyn FnMut(Said) -> Result<(), WireError> + Send),
    ) -> Result<(), WireError> {
        stream::read(&self.transport, call, request, SILENCE, hear).await
    }

    fn call(&self, what: &str, subject: &str) -> Call {
        call(self.place(), what, subject)
    }

    async fn within<T>(
        &self,
        call: &Call,
        limit: Duration,
        future: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, WireError> {
        within(&call.place, &call.what, limit, future)
            .await?
            .map_err(|error| from_bollard(call, error))
    }
}

fn call(place: &str, what: &str, subject: &str) -> Call {
    Call {
        place: place.to_owned(),
        what: what.to_owned(),
        subject: subject.to_owned(),
    }
}

async fn within<T>(
    place: &str,
    what: &str,
    limit: Duration,
    future: impl Future<Output = T>,
) -> Result<T, WireError> {
    tokio::time::timeout(limit, future)
        .await
        .map_err(|_| WireError::TimedOut {
            what: format!("{what} on {place}"),
            after: limit,
        })
}

fn with_labels(labels: &[String]) -> HashMap<String, Vec<String>> {
    let mut filters = HashMap::new();
    if !labels.is_empty() {
        filters.insert("label".to_owned(), labels.to_vec());
    }
    filters
}

/// A request without a body. Its path has passed [`names`].
pub(crate) fn request(method: &'static str, path: &str) -> BollardRequest {
    let mut request = BollardRequest::new(bollard::body_full(hyper::body::Bytes::new()));
    *request.method_mut() = match method {
        "GET" => hyper::Method::GET,
        _ => hyper::Method::POST,
    };
    *request.uri_mut() = path
        .parse()
        .expect("names and queries are checked or escaped before they get here");
    request
}

fn with_json(request: BollardRequest, document: &Value) -> BollardRequest {
    let (mut parts, _) = request.into_parts();
    let json = HeaderValue::from_static("application/json");
    parts.headers.insert(CONTENT_TYPE, json);
    BollardRequest::from_parts(parts, bollard::body_full(document.to_string().into()))
}

/// The request with a body that is sent as it comes.
pub(crate) fn with_body(
    request: BollardRequest,
    kind: &'static str,
    body: impl futures::Stream<Item = std::io::Result<hyper::body::Bytes>> + Send + 'static,
) -> BollardRequest {
    let (mut parts, _) = request.into_parts();
    parts
        .headers
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    BollardRequest::from_parts(parts, bollard::body_try_stream(body))
}

async fn body(
    transport: &Transport,
    path: &str,
    answer: hyper::Response<hyper::body::Incoming>,
) -> Result<Value, WireError> {
    let status = answer.status();
    let bytes = answer
        .into_body()
        .collect()
        .await
        .map_err(|error| transport.lost(path, &error))?
        .to_bytes();
    let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    if status.is_success() {
        return Ok(value);
    }
    let message = match value["message"].as_str() {
        Some(message) => message.to_owned(),
        None => String::from_utf8_lossy(&bytes).trim().to_owned(),
    };
    Err(WireError::Remote {
        place: transport.place.clone(),
        what: path.to_owned(),
        status: status.as_u16(),
        message,
    })
}

/// bollard has a place for IO errors: ours travels in it.
fn into_bollard(error: WireError) -> bollard::errors::Error {
    bollard::errors::Error::IOError {
        err: std::io::Error::other(error),
    }
}

fn from_bollard(call: &Call, error: bollard::errors::Error) -> WireError {
    use bollard::errors::Error;
    match error {
        Error::DockerResponseServerError {
            status_code,
            message,
        } => fault::name(call, status_code, &message),
        Error::IOError { err } => match err.downcast::<WireError>() {
            Ok(ours) => ours,
            Err(err) => lost(call, &err.to_string()),
        },
        Error::HyperResponseError { err } => lost(call, &err.to_string()),
        other => fault::name(call, 0, &other.to_string()),
    }
}

fn lost(call: &Call, why: &str) -> WireError {
    WireError::ConnectionLost {
        place: call.place.clone(),
        during: call.what.clone(),
        why: why.to_owned(),
    }
}

/// Asks the host itself why its socket can't be forwarded. Ok: only the forwarding is refused.
async fn diagnose(ssh: &Ssh, place: &str) -> Result<(), WireError> {
    const SCRIPT: &str = r#"if command -v docker >/dev/null 2>&1; then docker version --format '{{.Server.APIVersion}}'
elif [ -S "$1" ]; then echo "permission denied" >&2; exit 1
else exit 127; fi"#;
    let output = ssh
        .exec(Command::new(["sh", "-c", SCRIPT, "sh", DEFAULT_SOCKET]))
        .await?;
    let said = output.error_text();
    if output.code == 0 {
        Ok(())
    } else if output.code == 127 {
        Err(WireError::DockerAbsent {
            place: place.to_owned(),
            why: "it is not installed".into(),
        })
    } else if said.to_lowercase().contains("permission denied") {
        Err(WireError::DockerDenied {
            place: place.to_owned(),
            user: ssh.user().to_owned(),
        })
    } else {
        Err(WireError::DockerAbsent {
            place: place.to_owned(),
            why: said,
        })
    }
}
