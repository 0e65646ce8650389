//! Registries: every name is one, has every image that is asked for, and believes every login.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::world::{World, canonical, manifest};

/// An authority that this run trusts, for certificates of any name.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// A new one, whose certificate is in a file.
    ///
    /// # Errors
    /// When there is no randomness, or no disk.
    pub fn new(file: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        let mut parameters = CertificateParams::new(Vec::new())?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)?;
        std::fs::write(file, issuer.pem())?;
        Ok(Self { issuer })
    }

    fn acceptor(&self, name: &str) -> Result<TlsAcceptor, Box<dyn std::error::Error>> {
        let key = KeyPair::generate()?;
        let certificate =
            CertificateParams::new(vec![name.to_owned()])?.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// Serves one connection with TLS.
pub async fn serve_tls<S>(world: World, authority: &Authority, stream: S, name: String)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let host = name
        .rsplit_once(':')
        .map_or(name.as_str(), |(host, _)| host);
    // A client that doesn't like the certificate leaves.
    let Ok(acceptor) = authority.acceptor(host).map_err(|error| error.to_string()) else {
        return;
    };
    if let Ok(stream) = acceptor.accept(stream).await {
        serve(world, stream, name).await;
    }
}

/// Serves one connection.
pub async fn serve<S>(world: World, stream: S, name: String)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let (world, name) = (world.clone(), name.clone());
        async move {
            let (head, body) = request.into_parts();
            let body = http_body_util::BodyExt::collect(body).await;
            let body = body
                .map(http_body_util::Collected::to_bytes)
                .unwrap_or_default();
            Ok::<_, Infallible>(answer(&world, &name, &head, &body))
        }
    });
    // It ends when the client leaves.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn answer(world: &World, name: &str, request: &Parts, body: &[u8]) -> Response<Full<Bytes>> {
    let path = request.uri.path();
    let respond = |status: StatusCode, digest: Option<String>, body: &str| {
        let mut response = Response::builder()
            .status(status)
            .header("Content-Type", "application/json");
        if let Some(digest) = digest {
            response = response.header("Docker-Content-Digest", digest);
        }
        response
            .body(Full::new(Bytes::from(body.to_owned())))
            .expect("the parts are valid")
    };
    let Some((repository, tag)) = path
        .strip_prefix("/v2/")
        .and_then(|rest| rest.rsplit_once("/manifests/"))
    else {
        return respond(StatusCode::OK, None, "{\"token\": \"t\"}");
    };
    let server = name.trim_end_matches(":443");
    let reference = match server {
        "registry-1.docker.io" | "index.docker.io" | "docker.io" => {
            format!("{}:{tag}", repository.trim_start_matches("library/"))
        }
        server => format!("{server}/{repository}:{tag}"),
    };
    if world.fault("manifest", server, &reference).is_some() {
        return respond(
            StatusCode::NOT_FOUND,
            None,
            "{\"errors\": [{\"message\": \"manifest unknown\"}]}",
        );
    }
    if request.method == hyper::Method::PUT {
        let digest = format!(
            "sha256:{}",
            crate::world::hex(&String::from_utf8_lossy(body))
        );
        world
            .lock()
            .put
            .insert(canonical(&reference), digest.clone());
        return respond(StatusCode::CREATED, Some(digest), "");
    }
    let digest = if tag.starts_with("sha256:") {
        tag.to_owned()
    } else {
        let put = world.lock().put.get(&canonical(&reference)).cloned();
        put.unwrap_or_else(|| manifest(&canonical(&reference)))
    };
    respond(StatusCode::OK, Some(digest), "{\"schemaVersion\": 2}")
}
