//! Registries: which digest a tag stands for.
//!
//! Trust is Docker's: the system's authorities, and those in `/etc/docker/certs.d/<registry>/*.crt`. A registry on this
//! machine may do without TLS.

mod https;

use std::time::Duration;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use hyper::{Method, StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::wire::{Hidden, Refusal, WireError, docker};
use https::{Answer, Fault};

/// A registry is given so long for each answer.
const LIMIT: Duration = Duration::from_secs(30);

/// Every kind of manifest there is: an index first, because that is what a tag stands for when there is one.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, \
                         application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";

/// A login to one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `ghcr.io`, `172.31.77.1:5000`; `docker.io` for Docker Hub.
    pub server: String,
    /// Who logs in.
    pub username: Hidden,
    /// Their password or token.
    pub password: Hidden,
}

impl Credentials {
    /// The login as the Engine takes it with a request.
    pub(crate) fn engine_header(&self) -> String {
        let login = serde_json::json!({
            "username": self.username.reveal(),
            "password": self.password.reveal(),
            "serveraddress": self.engine_server(),
        });
        URL_SAFE.encode(login.to_string())
    }

    fn engine_server(&self) -> &str {
        match self.server.as_str() {
            // Docker Hub's login has the name of its first API.
            "" | "docker.io" => "https://index.docker.io/v1/",
            server => server,
        }
    }

    fn basic(&self) -> String {
        let login = format!("{}:{}", self.username.reveal(), self.password.reveal());
        format!("Basic {}", STANDARD.encode(login))
    }
}

/// The digest, `sha256:…`, of the manifest that an image's tag stands for, or `None` when there is no such image.
///
/// One request, or three where the registry wants a token first.
pub async fn manifest_digest(
    image: &str,
    credentials: Option<&Credentials>,
) -> Result<Option<String>, WireError> {
    let mut talk = Conversation::about(image, credentials)?;
    let (base, path) = address(image)?;
    let url = format!("{base}{path}");
    let accept = [(header::ACCEPT, MANIFESTS.to_owned())];
    let mut answer = talk.ask(Method::HEAD, &url, &accept, "").await?;
    if answer.status == StatusCode::OK && answer.digest().is_none() {
        // Old registries don't say: the digest is the manifest's own.
        answer = talk.ask(Method::GET, &url, &accept, "").await?;
    }
    match answer.status {
        StatusCode::OK => Ok(Some(answer.own_digest())),
        StatusCode::NOT_FOUND => Ok(None),
        _ => Err(talk.unexpected(&answer)),
    }
}

/// Tries a login, and keeps nothing of it.
pub async fn check_login(credentials: &Credentials) -> Result<(), WireError> {
    let host = match credentials.server.as_str() {
        "" | "docker.io" => "registry-1.docker.io",
        server => server,
    };
    let mut talk = Conversation {
        registry: &credentials.server,
        image: "a login",
        credentials: Some(credentials),
        login: Some(credentials.basic()),
    };
    let url = format!("https://{host}/v2/");
    let answer = talk.ask(Method::GET, &url, &[], "").await?;
    match answer.status {
        status if status.is_success() => Ok(()),
        _ => Err(talk.unexpected(&answer)),
    }
}

/// Makes one image of several, each for its own platforms, and gives it the tags of `references`, which are of one
/// repository. `parts` are platform, `linux/arm64`, and digest of what was pushed to the same repository. Returns the
/// digest of the whole.
pub async fn join_platforms(
    references: &[String],
    parts: &[(String, String)],
    credentials: Option<&Credentials>,
) -> Result<String, WireError> {
    let first = references.first().map_or("", String::as_str);
    let mut talk = Conversation::about(first, credentials)?;
    let accept = [(header::ACCEPT, MANIFESTS.to_owned())];
    let mut manifests: Vec<Value> = Vec::new();
    for (platform, digest) in parts {
        let (base, path) = address(first)?;
        let (folder, _) = path.rsplit_once('/').unwrap_or((&path, ""));
        let url = format!("{base}{folder}/{digest}");
        let answer = talk.ask(Method::GET, &url, &accept, "").await?;
        if answer.status != StatusCode::OK {
            return Err(talk.unexpected(&answer));
        }
        manifests.extend(descriptors(platform, digest, &answer.body));
    }
    let index = json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": manifests,
    });
    let index = index.to_string();
    for reference in references {
        let (base, path) = address(reference)?;
        let kind = [(header::CONTENT_TYPE, INDEX.to_owned())];
        let answer = talk
            .ask(Method::PUT, &format!("{base}{path}"), &kind, &index)
            .await?;
        if !answer.status.is_success() {
            return Err(talk.unexpected(&answer));
        }
    }
    Ok(format!("sha256:{}", hex(&Sha256::digest(&index))))
}

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// What an index says of an image: one entry for a manifest, its own entries for an index.
fn descriptors(platform: &str, digest: &str, body: &[u8]) -> Vec<Value> {
    let said: Value = serde_json::from_slice(body).unwrap_or_default();
    if let Some(inner) = said["manifests"].as_array() {
        return inner.clone();
    }
    let mut parts = platform.split('/');
    let (os, architecture) = (parts.next(), parts.next());
    let mut platform = json!({ "os": os, "architecture": architecture });
    if let Some(variant) = parts.next() {
        platform["variant"] = json!(variant);
    }
    let kind = said["mediaType"].as_str();
    vec![json!({
        "mediaType": kind.unwrap_or("application/vnd.oci.image.manifest.v1+json"),
        "digest": digest,
        "size": body.len(),
        "platform": platform,
    })]
}

/// Questions to one registry about one image, with a login that lasts.
struct Conversation<'a> {
    registry: &'a str,
    image: &'a str,
    credentials: Option<&'a Credentials>,
    login: Option<String>,
}

impl<'a> Conversation<'a> {
    fn about(image: &'a str, credentials: Option<&'a Credentials>) -> Result<Self, WireError> {
        Ok(Self {
            registry: docker::registry_of(docker::check_image(image)?),
            image,
            credentials,
            // A basic login can go along at once: a registry that wants a token says so all the same.
            login: credentials.map(Credentials::basic),
        })
    }

    async fn ask(
        &mut self,
        method: Method,
        url: &str,
        headers: &[(header::HeaderName, String)],
        body: &str,
    ) -> Result<Answer, WireError> {
        let answer = self.send(method.clone(), url, headers, body).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let Some(challenge) = Challenge::parse(&answer) else {
            return Ok(answer);
        };
        let refused = |refusal, message| self.refused(refusal, message);
        let token = token(&challenge, self.credentials, self.registry, &refused).await;
        self.login = Some(token.map_err(|error| match error {
            TokenError::Fault(fault) => self.fault(fault),
            TokenError::Refused(error) => error,
        })?);
        self.send(method, url, headers, body).await
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(header::HeaderName, String)],
        body: &str,
    ) -> Result<Answer, WireError> {
        let login = self.login.iter();
        let login = login.map(|login| (header::AUTHORIZATION, login.clone()));
        let headers: Vec<_> = headers.iter().cloned().chain(login).collect();
        let sent = https::send(method, url, &headers, body, LIMIT).await;
        sent.map_err(|fault| self.fault(fault))
    }

    fn refused(&self, refusal: Refusal, message: String) -> WireError {
        WireError::RegistryRefused {
            registry: self.registry.to_owned(),
            image: self.image.to_owned(),
            refusal,
            message,
        }
    }

    fn fault(&self, fault: Fault) -> WireError {
        match fault {
            Fault::Untrusted(why) => self.refused(Refusal::UnknownAuthority, why),
            Fault::Unreachable(why) => self.refused(Refusal::Unreachable, why),
            Fault::Silent => WireError::TimedOut {
                what: format!("asking {} for {}", self.registry, self.image),
                after: LIMIT,
            },
        }
    }

    fn unexpected(&self, answer: &Answer) -> WireError {
        let message = answer
            .message()
            .unwrap_or_else(|| format!("it answered {}", answer.status));
        match answer.status {
            StatusCode::UNAUTHORIZED => self.refused(Refusal::Unauthorized, message),
            StatusCode::FORBIDDEN => self.refused(Refusal::Denied, message),
            StatusCode::NOT_FOUND => self.refused(Refusal::NotFound, message),
            StatusCode::TOO_MANY_REQUESTS => self.refused(Refusal::RateLimited, message),
            other => WireError::Remote {
                place: format!("registry {}", self.registry),
                what: format!("asking for {}", self.image),
                status: other.as_u16(),
                message,
            },
        }
    }
}

impl Answer {
    fn own_digest(&self) -> String {
        self.digest()
            .unwrap_or_else(|| format!("sha256:{}", hex(&Sha256::digest(&self.body))))
    }
}

/// `https://registry` and `/v2/repository/manifests/tag`.
fn address(image: &str) -> Result<(String, String), WireError> {
    let image = docker::check_image(image)?;
    let registry = docker::registry_of(image);
    let rest = image
        .strip_prefix(registry)
        .and_then(|rest| rest.strip_prefix('/'))
        .unwrap_or(image);
    let (repository, reference) = match rest.split_once('@') {
        Some((repository, digest)) => (repository.split(':').next().unwrap_or(repository), digest),
        None => rest.rsplit_once(':').unwrap_or((rest, "latest")),
    };
    let (host, repository) = match registry {
        "docker.io" if repository.contains('/') => ("registry-1.docker.io", repository.to_owned()),
        "docker.io" => ("registry-1.docker.io", format!("library/{repository}")),
        other => (other, repository.to_owned()),
    };
    Ok((
        format!("https://{host}"),
        format!("/v2/{repository}/manifests/{reference}"),
    ))
}

/// `WWW-Authenticate: Bearer realm="…",service="…",scope="…"`.
#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    realm: String,
    service: Option<String>,
    scope: Option<String>,
}

impl Challenge {
    fn parse(answer: &Answer) -> Option<Self> {
        Self::read(answer.header(&header::WWW_AUTHENTICATE)?)
    }

    fn read(text: &str) -> Option<Self> {
        let (scheme, mut rest) = text.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut service, mut scope) = (None, None, None);
        while let Some((key, after)) = rest.split_once('=') {
            // A scope has commas inside its quotes.
            let (value, after) = match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => after.split_once(',').unwrap_or((after, "")),
            };
            match key.trim_matches([' ', ',']).to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value.to_owned()),
                "service" => service = Some(value.to_owned()),
                "scope" => scope = Some(value.to_owned()),
                _ => {}
            }
            rest = after;
        }
        Some(Self {
            realm: realm?,
            service,
            scope,
        })
    }
}

enum TokenError {
    Fault(Fault),
    Refused(WireError),
}

async fn token(
    challenge: &Challenge,
    credentials: Option<&Credentials>,
    registry: &str,
    refused: &impl Fn(Refusal, String) -> WireError,
) -> Result<String, TokenError> {
    // The password goes where the registry sends us, but never in the clear over a network.
    if !challenge.realm.starts_with("https://") && !https::is_local(registry) {
        let why = format!(
            "it sends logins to {}, which is not encrypted",
            challenge.realm
        );
        return Err(TokenError::Refused(refused(Refusal::Unauthorized, why)));
    }
    let pairs = [("service", &challenge.service), ("scope", &challenge.scope)];
    let pairs: Vec<(&str, &str)> = pairs
        .into_iter()
        .filter_map(|(key, value)| Some((key, value.as_deref()?)))
        .collect();
    let url = format!("{}{}", challenge.realm, docker::query(&pairs));
    let headers: Vec<_> = credentials
        .map(|login| (header::AUTHORIZATION, login.basic()))
        .into_iter()
        .collect();
    let answer = https::send(Method::GET, &url, &headers, "", LIMIT)
        .await
        .map_err(TokenError::Fault)?;
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    match said["token"]
        .as_str()
        .or_else(|| said["access_token"].as_str())
    {
        Some(token) if answer.status == StatusCode::OK => Ok(format!("Bearer {token}")),
        _ => {
            let message = answer
                .message()
                .unwrap_or_else(|| format!("it gave no token ({})", answer.status));
            let refusal = match answer.status {
                StatusCode::FORBIDDEN => Refusal::Denied,
                StatusCode::TOO_MANY_REQUESTS => Refusal::RateLimited,
                _ => Refusal::Unauthorized,
            };
            Err(TokenError::Refused(refused(refusal, message)))
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_asked_for_where_it_lives() {
        for (image, expected) in [
            (
                "nginx",
                "https://registry-1.docker.io/v2/library/nginx/manifests/latest",
            ),
            (
                "basecamp/kamal-proxy:v0.9.2",
                "https://registry-1.docker.io/v2/basecamp/kamal-proxy/manifests/v0.9.2",
            ),
            (
                "docker.io/a/b",
                "https://registry-1.docker.io/v2/a/b/manifests/latest",
            ),
            (
                "localhost:5000/a/b/c:1",
                "https://localhost:5000/v2/a/b/c/manifests/1",
            ),
            ("r.io/a@sha256:0f", "https://r.io/v2/a/manifests/sha256:0f"),
            (
                "r.io/a:1@sha256:0f",
                "https://r.io/v2/a/manifests/sha256:0f",
            ),
        ] {
            let (base, path) = address(image).unwrap();
            assert_eq!(base + &path, expected);
        }
        assert!(address("r.io/../a").is_err());
    }

    #[test]
    fn an_index_has_manifests_with_their_platforms_and_what_other_indexes_have() {
        let manifest = r#"{"mediaType":"application/vnd.docker.distribution.manifest.v2+json"}"#;
        assert_eq!(
            descriptors("linux/arm64/v8", "sha256:1", manifest.as_bytes()),
            [json!({
                "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                "digest": "sha256:1",
                "size": manifest.len(),
                "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"},
            })]
        );
        let index = br#"{"manifests":[{"digest":"sha256:2"},{"digest":"sha256:3"}]}"#;
        let inner = descriptors("linux/amd64", "sha256:1", index);
        assert_eq!(
            inner,
            [json!({"digest": "sha256:2"}), json!({"digest": "sha256:3"})]
        );
    }

    #[test]
    fn challenges_are_read() {
        let text = "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"repository:a/b:pull,push\"";
        assert_eq!(
            Challenge::read(text),
            Some(Challenge {
                realm: "https://auth.docker.io/token".into(),
                service: Some("registry.docker.io".into()),
                scope: Some("repository:a/b:pull,push".into()),
            })
        );
        assert_eq!(
            Challenge::read("bearer realm=\"x\", error=\"y\"")
                .unwrap()
                .realm,
            "x"
        );
        assert_eq!(Challenge::read("Basic realm=\"x\""), None);
        assert_eq!(Challenge::read("Bearer"), None);
    }

    #[test]
    fn credentials_are_not_printed_and_reach_the_engine_in_its_own_alphabet() {
        let credentials = Credentials {
            server: "docker.io".into(),
            username: "me".into(),
            password: "~~~???>>>hunter2".into(),
        };
        let printed = format!("{credentials:?}");
        assert!(
            !printed.contains("hunter2") && !printed.contains("me\""),
            "{printed}"
        );
        let header = credentials.engine_header();
        assert!(
            !header.contains(['+', '/']) && header.contains(['-', '_']),
            "{header}"
        );
        let decoded = String::from_utf8(URL_SAFE.decode(header).unwrap()).unwrap();
        assert!(
            decoded.contains("~~~???>>>hunter2") && decoded.contains("https://index.docker.io/v1/"),
            "{decoded}"
        );
    }
}
