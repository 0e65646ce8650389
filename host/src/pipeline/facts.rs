//! A recorded observation: with one, nothing contacts a server.

use std::path::Path;

use serde_json::{Value as Json, json};

use super::DeployError;
use crate::wit::types::Document;

/// Version of the file.
const SCHEMA: u64 = 1;

/// Reads a recorded observation.
///
/// # Errors
/// Names the file, and what was expected of it.
pub fn read(path: &Path) -> Result<Vec<Document>, DeployError> {
    let fail = |why: String| {
        DeployError::Facts(format!(
            "failed to read facts from {}: {why}",
            path.display()
        ))
    };
    let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
    let json: Json = serde_json::from_str(&text).map_err(|error| {
        fail(format!(
            "line {}, column {}: {error}",
            error.line(),
            error.column()
        ))
    })?;
    if json["schema"] != SCHEMA {
        return Err(fail(format!(
            "expected \"schema\": {SCHEMA}, found {}",
            json["schema"]
        )));
    }
    let documents = json["observed"]
        .as_array()
        .ok_or_else(|| fail("expected a list \"observed\"".to_owned()))?;
    let document = |json: &Json| {
        let text = |key: &str| json[key].as_str().map(str::to_owned);
        let body = match &json["body"] {
            Json::String(text) => text.clone(),
            tree => tree.to_string(),
        };
        Some(Document {
            address: text("address")?,
            media_type: text("media-type")?,
            body,
        })
    };
    let read: Option<Vec<Document>> = documents.iter().map(document).collect();
    read.ok_or_else(|| {
        fail("every observed document needs address, media-type and body".to_owned())
    })
}

/// Records an observation.
///
/// # Errors
/// When the file can't be written.
pub fn write(path: &Path, observed: &[Document]) -> Result<(), DeployError> {
    let body = |text: &str| serde_json::from_str::<Json>(text).unwrap_or_else(|_| json!(text));
    let documents: Vec<Json> = observed
        .iter()
        .map(|d| json!({"address": d.address, "media-type": d.media_type, "body": body(&d.body)}))
        .collect();
    let json = json!({"schema": SCHEMA, "observed": documents});
    let text = serde_json::to_string_pretty(&json).unwrap_or_default() + "\n";
    std::fs::write(path, text).map_err(|error| {
        DeployError::Facts(format!(
            "failed to write facts to {}: {error}",
            path.display()
        ))
    })
}
