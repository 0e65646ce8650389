//! Answers that come line by line: pulls, pushes and builds.

use std::{sync::Arc, time::Duration};

use bollard::BollardRequest;
use http_body_util::BodyExt;
use serde_json::Value;

use super::{
    fault::{self, Call},
    transport::Transport,
};
use crate::wire::WireError;

/// A step of a pull or push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The layer, as 12 hex digits, or the tag; none for the whole.
    pub layer: Option<String>,
    /// `Downloading`, `Pull complete`, `Layer already exists`…
    pub status: String,
    /// Bytes so far, where they are counted.
    pub done: Option<u64>,
    /// Bytes in all, where they are known.
    pub total: Option<u64>,
}

impl Progress {
    /// The manifest's digest, in the lines that tell it: `Digest: sha256:…`, `v1: digest: sha256:… size: 528`.
    pub(super) fn digest(&self) -> Option<&str> {
        let (_, digest) = self
            .status
            .split_once("Digest: ")
            .or_else(|| self.status.split_once("digest: "))?;
        digest
            .split_whitespace()
            .next()
            .filter(|digest| digest.starts_with("sha256:"))
    }
}

/// One line of an answer.
#[derive(Debug)]
pub(crate) enum Said {
    Progress(Progress),
    /// A record beside the text: a digest, an image's id, BuildKit's trace.
    Aux {
        id: String,
        value: Value,
    },
    Error {
        /// 0 when it comes after the Engine had already said 200.
        status: u16,
        message: String,
    },
}

pub(super) async fn read(
    transport: &Arc<Transport>,
    call: &Call,
    request: BollardRequest,
    silence: Duration,
    hear: &mut (dyn FnMut(Said) -> Result<(), WireError> + Send),
) -> Result<(), WireError> {
    let silent = |_| WireError::TimedOut {
        what: format!("{} on {} (without a sign of life)", call.what, call.place),
        after: silence,
    };
    let answer = tokio::time::timeout(silence, transport.send(request))
        .await
        .map_err(silent)??;
    let status = answer.status();
    let mut body = answer.into_body();
    let mut buffer = Vec::new();
    while let Some(frame) = tokio::time::timeout(silence, body.frame())
        .await
        .map_err(silent)?
    {
        let frame = frame.map_err(|error| transport.lost(&call.what, &error))?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        buffer.extend_from_slice(data);
        if status.is_success() {
            while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = buffer.drain(..=end).collect();
                if let Some(said) = parse(&line) {
                    hear(said)?;
                }
            }
        }
    }
    if status.is_success() {
        return match parse(&buffer) {
            Some(said) => hear(said),
            None => Ok(()),
        };
    }
    let message = match serde_json::from_slice::<Value>(&buffer) {
        Ok(value) if value["message"].is_string() => {
            value["message"].as_str().unwrap_or_default().to_owned()
        }
        _ => String::from_utf8_lossy(&buffer).into_owned(),
    };
    hear(Said::Error {
        status: status.as_u16(),
        message: message.clone(),
    })?;
    Err(fault::name(call, status.as_u16(), &message))
}

fn parse(line: &[u8]) -> Option<Said> {
    let mut value: Value = serde_json::from_slice(line).ok()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let error = text(&value["errorDetail"]["message"]).or_else(|| text(&value["error"]));
    if let Some(message) = error {
        return Some(Said::Error { status: 0, message });
    }
    let id = text(&value["id"]);
    if !value["aux"].is_null() {
        return Some(Said::Aux {
            id: id.unwrap_or_default(),
            value: value["aux"].take(),
        });
    }
    Some(Said::Progress(Progress {
        layer: id,
        status: text(&value["status"])?,
        done: value["progressDetail"]["current"].as_u64(),
        total: value["progressDetail"]["total"].as_u64(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_found_in_both_forms() {
        for (status, expected) in [
            ("Digest: sha256:0f", Some("sha256:0f")),
            ("v1: digest: sha256:0f size: 528", Some("sha256:0f")),
            ("Pull complete", None),
        ] {
            let progress = Progress {
                layer: None,
                status: status.into(),
                done: None,
                total: None,
            };
            assert_eq!(progress.digest(), expected);
        }
    }

    #[test]
    fn lines_are_told_apart() {
        assert!(parse(br#"{"stream":"Step 1"}"#).is_none());
        assert!(matches!(
            parse(br#"{"errorDetail":{"message":"no"},"error":"no"}"#),
            Some(Said::Error { status: 0, message }) if message == "no"
        ));
        assert!(
            matches!(parse(br#"{"aux":{"ID":"sha256:0f"}}"#), Some(Said::Aux { value, .. }) if value["ID"] == "sha256:0f")
        );
        assert!(matches!(
            parse(
                br#"{"status":"Downloading","progressDetail":{"current":1,"total":2},"id":"ab"}"#
            ),
            Some(Said::Progress(Progress {
                done: Some(1),
                total: Some(2),
                ..
            }))
        ));
        assert!(parse(b"\r\n").is_none());
    }
}
