//! The ends of commands in containers, as the Engine tells them by itself: a code that is told need not be asked for.
//!
//! Fields of an event: the Engine API's `GET /events` (1.41): `Actor.Attributes` of `exec_die` has `execID` and
//! `exitCode`.

use std::{future::pending, sync::Arc};

use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::AbortHandle};

use super::{Engine, names, request, transport::Transport};

/// Commands that end from now on.
pub(super) struct Ends {
    told: mpsc::UnboundedReceiver<(String, i64)>,
    listening: AbortHandle,
}

impl Engine {
    /// Begins to listen. What the Engine does not tell is asked for: nothing fails here.
    pub(super) fn ends(&self, container: &str) -> Ends {
        let filters =
            json!({"type": ["container"], "event": ["exec_die"], "container": [container]});
        let path = format!(
            "/events{}",
            names::query(&[("filters", &filters.to_string())])
        );
        let (tell, told) = mpsc::unbounded_channel();
        let transport = Arc::clone(&self.transport);
        let listening = tokio::spawn(listen(transport, path, tell)).abort_handle();
        Ends { told, listening }
    }
}

impl Ends {
    /// Returns once a command has ended; never, when it is not told.
    pub(super) async fn of(&mut self, id: &str) -> i64 {
        while let Some((ended, code)) = self.told.recv().await {
            if ended == id {
                return code;
            }
        }
        pending().await
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(
    transport: Arc<Transport>,
    path: String,
    tell: mpsc::UnboundedSender<(String, i64)>,
) {
    let Ok(answer) = transport.send(request("GET", &path)).await else {
        return;
    };
    let mut body = answer.into_body();
    let mut line = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        for byte in frame.data_ref().into_iter().flatten() {
            if *byte != b'\n' {
                line.push(*byte);
                continue;
            }
            if let Some(end) = end(&std::mem::take(&mut line))
                && tell.send(end).is_err()
            {
                return;
            }
        }
    }
}

/// Which command, and its code.
fn end(line: &[u8]) -> Option<(String, i64)> {
    let event: Value = serde_json::from_slice(line).ok()?;
    let attributes = &event["Actor"]["Attributes"];
    let code = attributes["exitCode"].as_str()?.parse().ok()?;
    Some((attributes["execID"].as_str()?.to_owned(), code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_tells_the_code_of_a_command() {
        let event = |attributes: Value| {
            json!({"Type": "container", "Action": "exec_die", "Actor": {"ID": "c", "Attributes": attributes}}).to_string()
        };
        for (attributes, expected) in [
            (
                json!({"execID": "e1", "exitCode": "3", "name": "kamal-proxy"}),
                Some(("e1".to_owned(), 3)),
            ),
            (json!({"execID": "e1"}), None),
            (json!({"exitCode": "0"}), None),
        ] {
            assert_eq!(end(event(attributes).as_bytes()), expected);
        }
        assert_eq!(end(b"no JSON"), None);
    }
}
