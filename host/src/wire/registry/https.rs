//! One small HTTPS request at a time: all that asking a registry takes.

use std::{
    fs, io,
    net::IpAddr,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    HeaderMap, Method, Request, StatusCode,
    body::Bytes,
    client::conn::http1,
    header::{HOST, HeaderName, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

use crate::wire::network;

/// Manifests and tokens are far smaller.
const LARGEST: usize = 4 << 20;

pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    pub(super) body: Bytes,
}

pub(super) enum Fault {
    /// TLS came about with nobody we trust.
    Untrusted(String),
    Unreachable(String),
    Silent,
}

impl Answer {
    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn digest(&self) -> Option<String> {
        let digest = self.headers.get("docker-content-digest")?.to_str().ok()?;
        digest.starts_with("sha256:").then(|| digest.to_owned())
    }

    /// The registry's own words, if it has any.
    pub(super) fn message(&self) -> Option<String> {
        let said: Value = serde_json::from_slice(&self.body).ok()?;
        let text = said["errors"][0]["message"]
            .as_str()
            .or_else(|| said["details"].as_str())?;
        Some(text.to_owned())
    }
}

/// Sends a request to an `https://` address, and to the same by plain HTTP if it is on this machine and has no TLS.
pub(super) async fn send(
    method: Method,
    url: &str,
    headers: &[(HeaderName, String)],
    body: &str,
    limit: Duration,
) -> Result<Answer, Fault> {
    timeout(limit, exchange(method, url, headers, body))
        .await
        .unwrap_or(Err(Fault::Silent))
}

async fn exchange(
    method: Method,
    url: &str,
    headers: &[(HeaderName, String)],
    body: &str,
) -> Result<Answer, Fault> {
    let unreachable = |why: String| Fault::Unreachable(why);
    let (scheme, rest) = url
        .split_once("://")
        .ok_or_else(|| unreachable(format!("`{url}` is no address")))?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()),
        _ => (authority, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port: u16 = port.unwrap_or(if scheme == "http" { 80 } else { 443 });
    let dial = || async move {
        network::dial(host, port)
            .await
            .map_err(|error| unreachable(format!("{authority}: {error}")))
    };
    let mut request =
        Request::builder()
            .method(method)
            .uri(if path.is_empty() { "/" } else { path });
    request = request
        .header(HOST, authority)
        .header(USER_AGENT, "plimsoll");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
        .map_err(|error| unreachable(error.to_string()))?;

    if scheme == "http" {
        return talk(dial().await?, request).await;
    }
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| unreachable(format!("{host}: {error}")))?;
    match TlsConnector::from(trust(authority))
        .connect(name, dial().await?)
        .await
    {
        Ok(stream) => talk(stream, request).await,
        // Docker's own exception, for registries that are started for a try.
        Err(error) if is_local(authority) && !is_certificate(&error) => {
            tracing::debug!(%authority, %error, "no TLS here: plain HTTP");
            talk(dial().await?, request).await
        }
        Err(error) if is_certificate(&error) => Err(Fault::Untrusted(error.to_string())),
        Err(error) => Err(unreachable(format!("{authority}: {error}"))),
    }
}

fn is_certificate(error: &io::Error) -> bool {
    use tokio_rustls::rustls::Error;
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>());
    matches!(inner, Some(Error::InvalidCertificate(_)))
}

/// Whether a registry (`host` or `host:port`) is on this machine.
pub(super) fn is_local(authority: &str) -> bool {
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host)
        .trim_matches(['[', ']']);
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

async fn talk<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Answer, Fault>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let broken = |error: hyper::Error| Fault::Unreachable(format!("the connection broke: {error}"));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    tokio::spawn(connection);
    let (head, body) = sender
        .send_request(request)
        .await
        .map_err(broken)?
        .into_parts();
    let body = Limited::new(body, LARGEST).collect().await;
    let body =
        body.map_err(|error| Fault::Unreachable(format!("the answer broke off: {error}")))?;
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body: body.to_bytes(),
    })
}

/// The system's authorities, and those that Docker was told to trust for this registry.
fn trust(authority: &str) -> Arc<ClientConfig> {
    static SYSTEM: OnceLock<RootCertStore> = OnceLock::new();
    let system = SYSTEM.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        // One that can't be read leaves the others.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots
    });
    let mut roots = system.clone();
    for certificate in extra(&Path::new("/etc/docker/certs.d").join(authority)) {
        // The same: Docker goes on without it.
        let _ = roots.add(certificate);
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has the suites of TLS 1.2 and 1.3");
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

fn extra(folder: &Path) -> Vec<CertificateDer<'static>> {
    let files = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let files = files.filter(|file| file.extension().is_some_and(|extension| extension == "crt"));
    files
        .filter_map(|file| CertificateDer::pem_file_iter(file).ok())
        .flatten()
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_local() {
        for (authority, local) in [
            ("localhost:5000", true),
            ("localhost", true),
            ("127.0.0.1:5000", true),
            ("127.9.9.9", true),
            ("[::1]:5000", true),
            ("localhost.example.com", false),
            ("172.31.77.1:5000", false),
            ("ghcr.io", false),
        ] {
            assert_eq!(is_local(authority), local, "{authority}");
        }
    }
}
