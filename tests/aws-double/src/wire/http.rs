//! A request taken apart, an answer to put together, and plain HTTP to moto.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// What is sent back.
pub(crate) type Answer = Response<Full<Bytes>>;

/// A request, read to its end.
pub(crate) struct Call {
    /// Method, address and headers.
    pub(crate) head: Parts,
    /// The whole body; what was sent in chunks is one piece.
    pub(crate) body: Bytes,
    /// The service of the signature's scope: `cloudformation`, `s3`; empty when nothing is signed.
    pub(crate) service: String,
    /// The region of the signature's scope.
    pub(crate) region: String,
    /// Who signed.
    pub(crate) access_key: String,
}

impl Call {
    /// Takes the scope from the signature, in the header or in a presigned address.
    pub(crate) fn new(head: Parts, body: Bytes, default_region: &str) -> Self {
        let header = |name: &str| {
            head.headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
        };
        let signed = header("authorization")
            .split_once("Credential=")
            .map(|(_, rest)| rest.split([',', ' ']).next().unwrap_or_default().to_owned());
        let presigned = || {
            let pairs = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
            pairs
                .into_iter()
                .find(|(name, _)| name == "X-Amz-Credential")
                .map(|(_, value)| value.into_owned())
        };
        let scope = signed.or_else(presigned).unwrap_or_default();
        let mut words = scope.split('/');
        let access_key = words.next().unwrap_or_default().to_owned();
        let region = words.nth(1).unwrap_or(default_region).to_owned();
        let service = words.next().unwrap_or_default().to_owned();
        Self {
            head,
            body,
            service,
            region,
            access_key,
        }
    }

    /// A header's text, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.head
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The operation: of the query protocol, of the JSON protocols, or method and path where the path says it.
    pub(crate) fn action(&self) -> String {
        if let Some((_, action)) = self.header("x-amz-target").rsplit_once('.') {
            return action.to_owned();
        }
        let asked = form_urlencoded::parse(&self.body).find(|(name, _)| name == "Action");
        match asked {
            Some((_, action)) if self.head.method == Method::POST && self.service != "s3" => {
                action.into_owned()
            }
            _ => format!("{} {}", self.head.method, self.head.uri.path()),
        }
    }

    /// The body of the JSON protocols; nothing else is as good as an empty object.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| Value::Object(Default::default()))
    }
}

/// An answer with a body.
pub(crate) fn answer(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Answer {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, content_type)
        .body(Full::new(body.into()))
        .expect("a status, a type and a body make an answer")
}

/// JSON as the JSON protocols send it.
pub(crate) fn json(status: StatusCode, value: &Value) -> Answer {
    answer(status, "application/x-amz-json-1.1", value.to_string())
}

/// One request to `server`, read to the end of its answer.
pub(crate) async fn send(
    server: SocketAddr,
    method: Method,
    path: &str,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, HeaderMap, Bytes), String> {
    let told = |error: &dyn std::fmt::Display| format!("{method} {server}{path}: {error}");
    let uri: Uri = path.parse().map_err(|error| told(&error))?;
    let stream = TcpStream::connect(server)
        .await
        .map_err(|error| told(&error))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| told(&error))?;
    let driving = tokio::spawn(connection);
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method.clone();
    *request.uri_mut() = uri;
    for (name, value) in headers {
        if ![CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].contains(name)
            && name.as_str() != "expect"
        {
            request.headers_mut().append(name, value.clone());
        }
    }
    if !request.headers().contains_key(HOST) {
        let host = server
            .to_string()
            .parse()
            .expect("an address is a header's text");
        request.headers_mut().insert(HOST, host);
    }
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| told(&error))?;
    let (head, body) = response.into_parts();
    let body = body
        .collect()
        .await
        .map_err(|error| told(&error))?
        .to_bytes();
    driving.abort();
    Ok((head.status, head.headers, body))
}
