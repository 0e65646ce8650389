//! `plimsoll:deploy/s3`: uploads of documents of the approved plan, of project files, of archives made of them, and of
//! our own functions.

use std::path::{Component, Path};
use std::sync::Arc;

use serde_json::json;
use sha2::{Digest, Sha256};
use wasmtime::component::Accessor;

use super::{filled, reach};
use crate::capability::error::from_wire;
use crate::capability::run::Run;
use crate::capability::session::Call;
use crate::capability::{Answer, Powers, Session, View};
use crate::manifest::copilot::asset::Asset;
use crate::wit::s3::{Host, HostWithStore, Object, Source};
use crate::wit::types::CapError;

/// Every type of workload that has functions.
const WORKLOADS: &[&str] = &[
    "Load Balanced Web Service",
    "Backend Service",
    "Worker Service",
    "Request-Driven Web Service",
    "Static Site",
    "Scheduled Job",
];
/// Stands in a key for the digest of what is uploaded.
const DIGEST: &str = "{sha256}";
/// Characters of a digest.
const LENGTH: usize = 64;
/// No file that a workload needs is larger.
const LARGEST: u64 = 5 << 30;

impl Host for View<'_> {}

impl<T: Send + 'static> HostWithStore<T> for Powers {
    async fn put(accessor: &Accessor<T, Self>, effect: String, object: Object) -> Answer<String> {
        let session = accessor.with(|mut access| Arc::clone(access.get().session));
        let aws = match reach(&session) {
            Ok(aws) => aws,
            Err(error) => return Ok(Err(error)),
        };
        let source = match &object.source {
            Source::Document(address) => json!({"document": address}),
            Source::File(path) => json!({"file": path}),
            Source::Archive(path) => json!({"archive": path}),
            Source::Function(id) => json!({"function": id}),
        };
        let call = Call {
            effect: effect.clone(),
            operation: "s3.put",
            subject: object.bucket.clone(),
            arguments: json!({"object": {
                "bucket": object.bucket,
                "key": object.key,
                "source": source,
                "content-type": object.content_type,
            }}),
        };
        let scope = covers(&session, &object);
        let run = session.run.clone();
        let work = async move {
            let Content { bytes, sha256 } = content(&run, &object).await?;
            let key = keyed(&object.key, &sha256)?;
            let content_type = object.content_type.or_else(|| by_extension(&key));
            let url = aws
                .s3
                .put(&object.bucket, &key, bytes, content_type)
                .await
                .map_err(|error| from_wire(&error))?;
            run.fill(format!("uploaded/{effect}"), url.clone());
            Ok(url)
        };
        Ok(session.mutate(call, scope, work).await)
    }
}

fn covers(session: &Session, object: &Object) -> Result<(), crate::grant::Denied> {
    let grants = &session.grants;
    grants.covers_object(&object.bucket, &object.key)?;
    match &object.source {
        Source::File(path) | Source::Archive(path) => grants.covers_file(path),
        Source::Document(_) | Source::Function(_) => Ok(()),
    }
}

/// What is uploaded, and the digest that its key names it by.
struct Content {
    bytes: Vec<u8>,
    sha256: String,
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        let digest = Sha256::digest(&bytes);
        Self {
            sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            bytes,
        }
    }
}

async fn content(run: &Run, object: &Object) -> Result<Content, CapError> {
    match &object.source {
        Source::Document(address) => {
            let document = run.approved(address)?;
            Ok(filled(run, &document.body)?.into_bytes().into())
        }
        Source::File(path) => Ok(file(run, path).await?.into()),
        Source::Archive(path) => archive(run, path).await,
        Source::Function(id) => Ok(function(id, &object.key)?.into()),
    }
}

/// A file or folder of the project, packed. The digest is that of what was packed, whatever was there before.
async fn archive(run: &Run, path: &str) -> Result<Content, CapError> {
    let (root, name) = (run.project.clone(), path.to_owned());
    let packing = tokio::task::spawn_blocking(move || Asset::find(&root, &name)?.pack());
    let packed = packing
        .await
        .map_err(|crash| CapError::Other(format!("failed to pack {path}: {crash}")))?;
    let packed = packed.map_err(|error| CapError::Other(format!("`{path}` {error}")))?;
    Ok(Content {
        bytes: packed.bytes,
        sha256: packed.sha256,
    })
}

/// A file of the project; a link must not lead out of it.
async fn file(run: &Run, path: &str) -> Result<Vec<u8>, CapError> {
    let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    let outside = || CapError::Other(format!("file {path} is outside of the project"));
    if !Path::new(path).components().all(inside) {
        return Err(outside());
    }
    let unread =
        |error: std::io::Error| CapError::NotFound(format!("failed to read {path}: {error}"));
    let project = tokio::fs::canonicalize(&run.project)
        .await
        .map_err(unread)?;
    let found = tokio::fs::canonicalize(project.join(path))
        .await
        .map_err(unread)?;
    if !found.starts_with(&project) {
        return Err(outside());
    }
    let size = tokio::fs::metadata(&found).await.map_err(unread)?.len();
    if size > LARGEST {
        return Err(CapError::Other(format!(
            "file {path} is too large to upload ({size} bytes)"
        )));
    }
    tokio::fs::read(&found).await.map_err(unread)
}

/// The code of one of our functions: under its own key, and under no other.
fn function(id: &str, key: &str) -> Result<Vec<u8>, CapError> {
    WORKLOADS
        .iter()
        .flat_map(|workload| custom_resources::functions(workload))
        .find(|function| function.id == id && function.key() == key)
        .map(|function| function.archive().bytes)
        .ok_or_else(|| {
            CapError::NotFound(format!(
                "plimsoll has no code of function {id} under the key {key}"
            ))
        })
}

/// The key with the content's digest in its place. A digest that is there already must be the content's: an object
/// that others trust by its name can't be replaced by something else.
fn keyed(key: &str, digest: &str) -> Result<String, CapError> {
    let key = key.replace(DIGEST, digest);
    let is_digest =
        |word: &&str| word.len() == LENGTH && word.bytes().all(|b| b.is_ascii_hexdigit());
    let mut words = key.split(['/', '.']).filter(is_digest);
    match words.find(|word| *word != digest) {
        Some(other) => Err(CapError::Other(format!(
            "{key} is named for content with the digest {other}, and this has {digest}\nhint: it changed since the plan was made; make a new plan"
        ))),
        None => Ok(key),
    }
}

/// The media type that Copilot's uploads have.
fn by_extension(key: &str) -> Option<String> {
    let extension = key.rsplit('/').next()?.rsplit_once('.')?.1;
    let kind = match extension {
        "yml" | "yaml" => "application/x-yaml",
        "zip" => "application/zip",
        "json" => "application/json",
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        _ => return None,
    };
    Some(kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_in_a_key_is_that_of_the_content() {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let of = |text: &str| Content::from(text.as_bytes().to_vec()).sha256;
        assert_eq!(of("abc"), digest);
        let expected = format!("manual/x/{digest}.yml");
        assert_eq!(keyed("manual/x/{sha256}.yml", digest), Ok(expected.clone()));
        assert_eq!(keyed(&expected, digest), Ok(expected.clone()));
        assert!(keyed(&expected, &of("abd")).is_err());
        assert_eq!(keyed("plain.yml", digest), Ok("plain.yml".to_owned()));
    }
}
