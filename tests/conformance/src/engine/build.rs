//! Builds on the deployer's machine, as BuildKit does them for the Engine API.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::StatusCode;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value as Json, json};
use tokio::time::sleep;

use super::{Answer, Call, fail, lines, with};
use crate::world::{What, image_id};

/// The session in which BuildKit calls back. It is opened and kept; nothing here needs to call.
pub(super) fn session(_call: &Call, upgraded: Option<OnUpgrade>) -> Answer {
    let Some(upgraded) = upgraded else {
        return fail(400, "a session needs an upgrade");
    };
    tokio::spawn(async move {
        let Ok(stream) = upgraded.await else { return };
        let handshake = hyper::client::conn::http2::handshake::<
            _,
            _,
            http_body_util::Empty<bytes::Bytes>,
        >(TokioExecutor::new(), TokioIo::new(TokioIo::new(stream)));
        if let Ok((sender, connection)) = handshake.await {
            // It ends when the other side closes it.
            let _ = connection.await;
            drop(sender);
        }
    });
    let mut answer = with(StatusCode::SWITCHING_PROTOCOLS, "text/plain", "");
    let headers = answer.headers_mut();
    headers.insert(
        "connection",
        hyper::header::HeaderValue::from_static("Upgrade"),
    );
    headers.insert("upgrade", hyper::header::HeaderValue::from_static("h2c"));
    answer
}

pub(super) async fn build(call: &Call) -> Answer {
    sleep(Duration::from_secs(5)).await;
    let fault = call.world.fault("build", &call.host, "");
    call.saw(What::Built {
        query: call.query.clone(),
        failed: fault.is_some(),
    });
    if let Some(fault) = fault {
        let message = fault.message_or("failed to solve");
        return lines(&[json!({"errorDetail": {"message": message}, "error": message})]);
    }
    let tags: Vec<&str> = call
        .query
        .iter()
        .filter(|(key, _)| key == "t")
        .map(|(_, tag)| tag.as_str())
        .collect();
    let labels: BTreeMap<String, String> = call
        .parameter("labels")
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let id = image_id(tags.first().copied().unwrap_or("nameless"));
    let mut inner = call.world.lock();
    let host = inner.host(&call.host);
    for tag in tags {
        host.put_image(tag, &id, labels.clone());
    }
    lines(&[
        json!({"stream": "Step 1/1 : FROM scratch\n"}),
        json!({"id": "moby.image.id", "aux": {"ID": id}}),
        Json::Object(serde_json::Map::new()),
    ])
}
