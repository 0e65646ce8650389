//! Asking a target whether it is well.

use std::time::Duration;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::header::{HOST, LOCATION, USER_AGENT};
use hyper::{Request, client};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::log::Log;
use crate::names::Names;
use crate::options::HealthCheck;
use crate::target::Target;

/// As many as Go's client follows.
const MOST_REDIRECTS: usize = 10;

/// Waits until `target` answers 2xx, for `limit` at most. False if it never did. What came of each question is logged.
pub async fn becomes_healthy(
    target: &Target,
    check: &HealthCheck,
    names: &Names,
    log: &Log,
    limit: Duration,
) -> bool {
    let asking = async {
        let mut ticks = interval(check.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let answer = timeout(check.timeout, probe(target, check, names)).await;
            match answer.unwrap_or_else(|_| Err("Request timed out".to_owned())) {
                Ok(()) => return log.event("Healthcheck succeeded"),
                Err(why) => log.told("Healthcheck failed", json!({ "error": why })),
            }
        }
    };
    timeout(limit, asking).await.is_ok()
}

/// One question, redirects followed; the error is what kamal-proxy logs, or close to it.
async fn probe(target: &Target, check: &HealthCheck, names: &Names) -> Result<(), String> {
    let (mut name, mut port) = (target.name.clone(), check.port.unwrap_or(target.port));
    let mut host = check
        .host
        .clone()
        .unwrap_or_else(|| format!("{name}:{port}"));
    let mut path = check.path.clone();
    for _ in 0..=MOST_REDIRECTS {
        match ask(&name, port, &host, &path, names).await {
            Some(Answer::Status(200..300)) => return Ok(()),
            Some(Answer::Status(status)) => return Err(format!("Unexpected status ({status})")),
            Some(Answer::Elsewhere(location)) => {
                if let Some(rest) = location.strip_prefix("http://") {
                    let (authority, rest) = rest.split_once('/').unwrap_or((rest, ""));
                    host = authority.to_owned();
                    let (to, at) = authority.split_once(':').unwrap_or((authority, "80"));
                    let Ok(at) = at.parse() else {
                        return Err(format!("unusable redirect to {location}"));
                    };
                    (name, port, path) = (to.to_owned(), at, format!("/{rest}"));
                } else if location.starts_with('/') {
                    path = location;
                } else {
                    // https, which the stand-in does not speak, or nonsense.
                    return Err(format!("unusable redirect to {location}"));
                }
            }
            None => return Err(format!("Get \"http://{name}:{port}{path}\": no answer")),
        }
    }
    Err(format!("stopped after {MOST_REDIRECTS} redirects"))
}

enum Answer {
    Status(u16),
    Elsewhere(String),
}

async fn ask(name: &str, port: u16, host: &str, path: &str, names: &Names) -> Option<Answer> {
    let stream = names.connect(name, port).await.ok()?;
    let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .ok()?;
    let request = Request::get(path)
        .header(HOST, host)
        .header(USER_AGENT, "kamal-proxy")
        .body(Empty::<Bytes>::new())
        .ok()?;
    let conversation = async {
        let response = sender.send_request(request).await.ok()?;
        let location = response
            .headers()
            .get(LOCATION)
            .and_then(|location| location.to_str().ok());
        Some(match location {
            Some(location) if response.status().is_redirection() => {
                Answer::Elsewhere(location.to_owned())
            }
            _ => Answer::Status(response.status().as_u16()),
        })
    };
    // Both run here, so that giving up on the question closes its connection.
    tokio::select! {
        answer = conversation => answer,
        _ = connection => None,
    }
}
