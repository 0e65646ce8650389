//! When a container that no proxy checks is ready: healthy by its own health check, or still running after a while.
//! The rules and the waits are Kamal's.

use serde_json::Value as Json;

/// What to do after a look at a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is ready.
    Ready,
    /// It runs and has no health check: look once more after so many seconds.
    Confirm(u32),
    /// Look again after so many seconds.
    Retry(u32),
    /// Too late.
    GiveUp,
}

/// The container's health, or its state where it has no health check.
pub fn status(container: &Json) -> &str {
    let state = &container["State"];
    state["Health"]["Status"]
        .as_str()
        .or(state["Status"].as_str())
        .unwrap_or("missing")
}

/// Whether this is the look after the wait of `readiness_delay`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// It starts an attempt.
    First,
    /// It confirms an attempt.
    Second,
}

/// Decides after a look. Attempts count from 1; `time_left` in seconds may be negative.
pub fn next(status: &str, look: Look, attempt: u32, time_left: i64, readiness_delay: u32) -> Next {
    match (status, look) {
        ("running", Look::First) if readiness_delay > 0 => Next::Confirm(readiness_delay),
        ("running" | "healthy", Look::First | Look::Second) => Next::Ready,
        (_, Look::First | Look::Second) => match u32::try_from(time_left) {
            Ok(0) | Err(_) => Next::GiveUp,
            Ok(left) => Next::Retry(attempt.min(left)),
        },
    }
}

/// What the proxy's health checks came to since it was last told to deploy a service, from its log: lines of JSON,
/// a time before each. Equal answers are counted; a check does not name its target, but the proxy checks no service
/// that works.
pub fn probes(service: &str, log: &[String]) -> Vec<String> {
    let events: Vec<Json> = log
        .iter()
        .filter_map(|line| serde_json::from_str(&line[line.find('{')?..]).ok())
        .collect();
    let told = |event: &Json| event["msg"] == "Deploying" && event["service"] == service;
    let since = events
        .iter()
        .rposition(told)
        .map_or(&[][..], |at| &events[at..]);
    let failures: Vec<&str> = since
        .iter()
        .filter(|event| event["msg"] == "Healthcheck failed")
        .filter_map(|event| event["error"].as_str())
        .collect();
    failures
        .chunk_by(|before, error| before == error)
        .map(|same| match same {
            [once] => format!("health check failed: {once}"),
            more => format!("health check failed {} times: {}", more.len(), more[0]),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_are_those_of_the_last_deploy_of_the_service() {
        let line = |json: &str| format!("2026-11-20T11:43:44.2Z {json}");
        let log = [
            line(r#"{"msg":"Deploying","service":"app-web"}"#),
            line(r#"{"msg":"Healthcheck failed","error":"of another deploy"}"#),
            line(r#"{"msg":"Deploying","service":"app-web"}"#),
            line(r#"{"msg":"Deploying","service":"other"}"#),
            line(r#"{"msg":"Healthcheck failed","error":"Request timed out"}"#),
            line(r#"{"msg":"Request","path":"/"}"#),
            line(r#"{"msg":"Healthcheck failed","error":"Unexpected status (500)"}"#),
            "no JSON".to_owned(),
            line(r#"{"msg":"Healthcheck failed","error":"Unexpected status (500)"}"#),
        ];
        let expected = [
            "health check failed: Request timed out",
            "health check failed 2 times: Unexpected status (500)",
        ];
        assert_eq!(probes("app-web", &log), expected);
        assert_eq!(probes("app-job", &log), Vec::<String>::new());
    }

    #[test]
    fn a_container_is_ready_when_it_is_healthy_or_keeps_running() {
        for (status, look, attempt, left, delay, expected) in [
            ("healthy", Look::First, 1, 30, 7, Next::Ready),
            ("running", Look::First, 1, 30, 7, Next::Confirm(7)),
            ("running", Look::First, 1, 30, 0, Next::Ready),
            ("running", Look::Second, 1, 30, 7, Next::Ready),
            ("restarting", Look::Second, 1, 23, 7, Next::Retry(1)),
            ("starting", Look::First, 4, 20, 7, Next::Retry(4)),
            ("starting", Look::First, 9, 3, 7, Next::Retry(3)),
            ("unhealthy", Look::First, 9, 0, 7, Next::GiveUp),
            ("exited", Look::Second, 9, -2, 7, Next::GiveUp),
        ] {
            assert_eq!(
                next(status, look, attempt, left, delay),
                expected,
                "{status} {look:?} {attempt} {left}"
            );
        }
    }

    #[test]
    fn health_goes_before_state() {
        for (json, expected) in [
            (
                serde_json::json!({"State": {"Status": "running", "Health": {"Status": "starting"}}}),
                "starting",
            ),
            (
                serde_json::json!({"State": {"Status": "running"}}),
                "running",
            ),
            (serde_json::json!({}), "missing"),
        ] {
            assert_eq!(status(&json), expected);
        }
    }
}
