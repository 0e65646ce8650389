//! One request, from the client to a target and back.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use hyper::http::uri::PathAndQuery;
use hyper::upgrade::{OnUpgrade, on};
use hyper::{Method, Request, Response, StatusCode, Uri, Version, client};
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;
use tokio::time::timeout;

use crate::body::{Answer, AnyBody};
use crate::log::{Log, Record};
use crate::names::Names;
use crate::options::Options;
use crate::respond::{page, to_https};
use crate::router::{Route, Router};
use crate::state::Mode;
use crate::target::{InFlight, Phase};

/// Headers about one connection, which are not passed on.
const HOP_BY_HOP: [&str; 4] = [
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
];
/// For a service without a limit of its own.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// The proxy, as a request sees it.
#[derive(Debug)]
pub struct Proxy {
    /// The services.
    pub router: Router,
    /// Where targets are.
    pub names: Arc<Names>,
    /// Where requests are logged.
    pub log: Arc<Log>,
}

impl Proxy {
    /// Answers a request.
    pub async fn answer(&self, remote: SocketAddr, request: Request<Incoming>) -> Response<Answer> {
        let mut record = Record::new(&self.log);
        let host = host_of(&request).to_owned();
        let path = request.uri().path().to_owned();
        for (name, value) in [
            ("method", request.method().as_str()),
            ("host", &host),
            ("path", &path),
        ] {
            record.note(name, value);
        }
        record.note("query", request.uri().query().unwrap_or_default());
        record.note("remote_addr", remote.ip().to_string());
        let host_name = host
            .rsplit_once(':')
            .map_or(host.as_str(), |(name, _)| name);
        let Some(route) = self.router.route(host_name, &path) else {
            return finished(page(StatusCode::NOT_FOUND, "", None), record, None);
        };
        let Route {
            service,
            prefix,
            target,
        } = route;
        record.note("service", service.name.as_str());
        for name in &service.options.log_request_headers {
            note_header(&mut record, "req", name, request.headers());
        }
        if service.options.tls && service.options.tls_redirect {
            let path_and_query = request
                .uri()
                .path_and_query()
                .map_or("/", PathAndQuery::as_str);
            return finished(to_https(host_name, path_and_query), record, None);
        }
        let Some(target) = target else {
            let is_check = [Method::GET, Method::HEAD].contains(request.method())
                && path == service.options.health.path;
            let response = match &service.mode {
                _ if is_check => page(StatusCode::OK, "", None),
                Mode::Stopped(message) => page(
                    StatusCode::SERVICE_UNAVAILABLE,
                    message,
                    Some(&service.options),
                ),
                Mode::Running => page(StatusCode::BAD_GATEWAY, "", Some(&service.options)),
            };
            return finished(response, record, None);
        };
        record.note("target", target.target().address());
        let outgoing = Outgoing {
            remote,
            host,
            options: &service.options,
            prefix: &prefix,
        };
        match self.pass(outgoing, request, &mut record, &target).await {
            Ok(response) => {
                for name in &service.options.log_response_headers {
                    note_header(&mut record, "resp", name, response.headers());
                }
                finished(response, record, Some(target))
            }
            Err(failure) => {
                record.note("error", failure.why.as_str());
                finished(
                    page(failure.status, "", Some(&service.options)),
                    record,
                    None,
                )
            }
        }
    }

    /// Sends the request to the target; an error is what the client is told instead.
    async fn pass(
        &self,
        outgoing: Outgoing<'_>,
        mut request: Request<Incoming>,
        record: &mut Record,
        in_flight: &InFlight,
    ) -> Result<Response<AnyBody>, Failure> {
        let target = in_flight.target();
        let limit = outgoing.options.max_request_body;
        if limit > 0 && request.body().size_hint().lower() > limit {
            return Err(Failure::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body too large",
            ));
        }
        let upgrade = upgrade_asked(request.headers()).map(|protocol| (protocol, on(&mut request)));
        let protocol = upgrade.as_ref().map(|(protocol, _)| protocol);
        let request = outgoing.rewrite(request, protocol, record, &target.address());

        let exchange = async {
            // A connection of its own for each request: none is ever found closed by a target that is on its way out.
            let stream = self
                .names
                .connect(&target.name, target.port)
                .await
                .map_err(|error| Failure::new(StatusCode::BAD_GATEWAY, error))?;
            let handshake = client::conn::http1::handshake(TokioIo::new(stream)).await;
            let (mut sender, connection) =
                handshake.map_err(|error| Failure::new(StatusCode::BAD_GATEWAY, error))?;
            tokio::spawn(connection.with_upgrades());
            sender
                .send_request(request)
                .await
                .map_err(Failure::of_exchange)
        };
        let patience = Some(outgoing.options.target_timeout)
            .filter(|limit| !limit.is_zero())
            .unwrap_or(FOR_EVER);
        let response = tokio::select! {
            response = timeout(patience, exchange) => response.map_err(|_| Failure::new(StatusCode::GATEWAY_TIMEOUT, "no answer in time"))??,
            () = Arc::clone(target).reaches(Phase::Cut) => return Err(Failure::new(StatusCode::GATEWAY_TIMEOUT, "drain timeout")),
        };
        Ok(incoming(
            response,
            upgrade.map(|(_, client)| client),
            in_flight,
        ))
    }
}

/// What the client is told when the target did not answer, and why.
struct Failure {
    status: StatusCode,
    why: String,
}

impl Failure {
    fn new(status: StatusCode, why: impl ToString) -> Failure {
        Failure {
            status,
            why: why.to_string(),
        }
    }

    fn of_exchange(error: hyper::Error) -> Failure {
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            if cause.is::<LengthLimitError>() {
                return Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "body too large");
            }
            source = cause.source();
        }
        Failure::new(StatusCode::BAD_GATEWAY, error)
    }
}

/// What a request is changed by on its way to the target.
struct Outgoing<'a> {
    remote: SocketAddr,
    host: String,
    options: &'a Options,
    prefix: &'a str,
}

impl Outgoing<'_> {
    fn rewrite(
        &self,
        request: Request<Incoming>,
        protocol: Option<&HeaderValue>,
        record: &mut Record,
        target: &str,
    ) -> Request<AnyBody> {
        let (mut parts, body) = request.into_parts();
        parts.uri = self.path(&parts.uri);
        parts.version = Version::HTTP_11;
        let headers = &mut parts.headers;
        remove_hop_by_hop(headers);
        headers.remove(EXPECT);
        if let Some(protocol) = protocol {
            headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(UPGRADE, protocol.clone());
        }
        set(headers, "host", &self.host);
        self.forwarded(headers);
        let id = match headers.get("x-request-id").and_then(|id| id.to_str().ok()) {
            Some(id) => id.to_owned(),
            None => new_request_id(),
        };
        set(headers, "x-request-id", &id);
        record.note("request_id", id);
        let arrived = record
            .arrived()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        set(
            headers,
            "x-request-start",
            &format!("t={}", arrived.as_millis()),
        );
        set(headers, "x-kamal-target", target);
        let limit = usize::try_from(self.options.max_request_body).unwrap_or(usize::MAX);
        let body = match limit {
            0 => body.map_err(Into::into).boxed_unsync(),
            limit => Limited::new(body, limit).boxed_unsync(),
        };
        Request::from_parts(parts, body)
    }

    /// Path and query alone, as a server expects them, without the prefix where that is not for the target.
    fn path(&self, uri: &Uri) -> Uri {
        let whole = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let rest = if self.options.strip_path_prefix && self.prefix != "/" {
            &whole[self.prefix.len()..]
        } else {
            whole
        };
        let path = if rest.starts_with('/') {
            rest.to_owned()
        } else {
            format!("/{rest}")
        };
        path.parse().unwrap_or_else(|_| uri.clone())
    }

    fn forwarded(&self, headers: &mut HeaderMap) {
        let believed = |name: &str| {
            headers
                .get(name)
                .filter(|_| self.options.forward_headers)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let remote = self.remote.ip().to_string();
        let hops =
            believed("x-forwarded-for").map_or(remote.clone(), |hops| format!("{hops}, {remote}"));
        let proto = believed("x-forwarded-proto").unwrap_or_else(|| "http".to_owned());
        let host = believed("x-forwarded-host").unwrap_or_else(|| self.host.clone());
        for (name, value) in [
            ("x-forwarded-for", hops),
            ("x-forwarded-proto", proto),
            ("x-forwarded-host", host),
        ] {
            set(headers, name, &value);
        }
    }
}

/// The target's response as the client gets it. After a 101 the two connections are joined until the target is drained.
fn incoming(
    mut response: Response<Incoming>,
    client: Option<OnUpgrade>,
    in_flight: &InFlight,
) -> Response<AnyBody> {
    let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let protocol = response.headers().get(UPGRADE).cloned();
    if let (true, Some(client)) = (switched, client) {
        let target = on(&mut response);
        // Counted on its own, because the answer is over when the conversation begins.
        let busy = in_flight.target().begin();
        tokio::spawn(async move {
            let joined = async {
                let (client, target) = tokio::try_join!(client, target)?;
                // Either side may go away as it likes.
                let _ =
                    copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(target)).await;
                Ok::<(), hyper::Error>(())
            };
            tokio::select! {
                _ = joined => {}
                () = Arc::clone(busy.target()).reaches(Phase::Draining) => {}
            }
        });
    }
    let (mut parts, body) = response.into_parts();
    remove_hop_by_hop(&mut parts.headers);
    parts.version = Version::HTTP_11;
    if let (true, Some(protocol)) = (switched, protocol) {
        parts
            .headers
            .insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        parts.headers.insert(UPGRADE, protocol);
    }
    Response::from_parts(parts, body.map_err(Into::into).boxed_unsync())
}

fn finished(
    response: Response<AnyBody>,
    mut record: Record,
    in_flight: Option<InFlight>,
) -> Response<Answer> {
    record.status = Some(response.status());
    response.map(|body| Answer::new(body, record, in_flight))
}

fn host_of<B>(request: &Request<B>) -> &str {
    let header = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    // In absolute form the URI counts, not the header.
    request
        .uri()
        .authority()
        .map(|authority| authority.as_str())
        .or(header)
        .unwrap_or_default()
}

fn upgrade_asked(headers: &HeaderMap) -> Option<HeaderValue> {
    let connection = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let asked = connection
        .flat_map(|value| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    headers.get(UPGRADE).filter(|_| asked).cloned()
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        // Whoever names these to have them dropped would change how the message is framed or routed.
        .filter(|name| ![CONTENT_LENGTH, HOST].contains(name))
        .collect();
    for name in named
        .into_iter()
        .chain([CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE])
    {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    match HeaderValue::from_str(value) {
        Ok(value) => drop(headers.insert(name, value)),
        Err(_) => drop(headers.remove(name)),
    }
}

fn note_header(record: &mut Record, side: &str, name: &str, headers: &HeaderMap) {
    let value = headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    record.note(
        &format!("{side}_{}", name.to_lowercase().replace('-', "_")),
        value,
    );
}

fn new_request_id() -> String {
    let random = || RandomState::new().hash_one(0);
    format!("{:016x}{:016x}", random(), random())
}
