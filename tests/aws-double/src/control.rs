//! `/_double/…`: what tests and people tell a double that runs in another process.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::rule::Rule;
use crate::wire::http::{Answer, answer as reply};
use crate::world::World;

const HELP: &str = "\
GET    /_double/requests             every request there was
DELETE /_double/requests             forget them
GET    /_double/rules                what goes wrong on purpose
POST   /_double/rules                one rule more, or a list of them
DELETE /_double/rules                nothing goes wrong any more
GET    /_double/stacks               names and states
PUT    /_double/stacks/NAME          {\"status\": …, \"reason\": …}: as if it were so
GET    /_double/wait/NAME?ms=30000   until the stack has come to rest
POST   /_double/expire               keys of assumed roles are no longer good
";

/// Answers a request to the double itself.
pub(crate) async fn answer(
    world: &Arc<World>,
    method: &Method,
    path: &str,
    query: &str,
    body: &[u8],
) -> Answer {
    let (word, name) = path.split_once('/').unwrap_or((path, ""));
    let done = match (method.as_str(), word) {
        ("GET", "requests") => Ok(json!(world.state().requests)),
        ("DELETE", "requests") => {
            world.state().requests.clear();
            Ok(json!({}))
        }
        ("GET", "rules") => Ok(json!(world.state().rules)),
        ("DELETE", "rules") => {
            world.state().rules.clear();
            Ok(json!({}))
        }
        ("POST", "rules") => add_rules(world, body),
        ("GET", "stacks") => Ok(stacks(world)),
        ("PUT", "stacks") => set_stack(world, name, body),
        ("GET", "wait") => {
            let limit = query.strip_prefix("ms=").and_then(|text| text.parse().ok());
            let limit = Duration::from_millis(limit.unwrap_or(30_000));
            wait(world, name, limit)
                .await
                .map(|status| json!({ "status": status }))
        }
        ("PUT", "respond") => respond(world, name, body),
        ("POST", "expire") => {
            expire(world);
            Ok(json!({}))
        }
        _ => Err(HELP.to_owned()),
    };
    match done {
        Ok(value) => reply(StatusCode::OK, "application/json", value.to_string()),
        Err(why) => reply(StatusCode::BAD_REQUEST, "text/plain", why),
    }
}

fn add_rules(world: &World, body: &[u8]) -> Result<Value, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let rules = match value {
        Value::Array(rules) => rules,
        one => vec![one],
    };
    let rules: Result<Vec<Rule>, _> = rules.into_iter().map(serde_json::from_value).collect();
    world
        .state()
        .rules
        .extend(rules.map_err(|error| error.to_string())?);
    Ok(json!({}))
}

/// A function's word about a custom resource.
fn respond(world: &World, token: &str, body: &[u8]) -> Result<Value, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let waiting = world.state().callbacks.remove(token);
    // Telling it again changes nothing.
    if let Some(waiting) = waiting {
        let _ = waiting.send(value);
    }
    Ok(json!({}))
}

fn stacks(world: &World) -> Value {
    let state = world.state();
    let stack = |stack: &crate::cloudformation::Stack| json!({ "name": stack.name, "region": stack.region, "status": stack.status, "reason": stack.reason });
    state.stacks.iter().map(stack).collect()
}

fn set_stack(world: &World, name: &str, body: &[u8]) -> Result<Value, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let status = value["status"].as_str().ok_or("say the status")?;
    set_status(world, name, status, value["reason"].as_str())?;
    Ok(json!({}))
}

/// Puts a stack into a state, as if it had come to it.
pub(crate) fn set_status(
    world: &World,
    name: &str,
    status: &str,
    reason: Option<&str>,
) -> Result<(), String> {
    let id = id(world, name)?;
    world.change(&id, |stack| stack.enter(status, reason));
    Ok(())
}

fn id(world: &World, name: &str) -> Result<String, String> {
    let state = world.state();
    let mut known = state.stacks.iter().rev();
    let found = known.find(|stack| stack.name == name || stack.id == name);
    found
        .map(|stack| stack.id.clone())
        .ok_or_else(|| format!("there is no stack {name}"))
}

/// Waits until a stack has come to rest, and says in which state.
pub(crate) async fn wait(world: &World, name: &str, limit: Duration) -> Result<String, String> {
    let begun = Instant::now();
    loop {
        let status = id(world, name).map(|id| world.read(&id, |stack| stack.status.clone()));
        match status {
            Ok(status) if !status.ends_with("_IN_PROGRESS") => return Ok(status),
            other if begun.elapsed() > limit => {
                return Err(format!("{name} did not come to rest: {other:?}"));
            }
            _ => {}
        }
        let _ = tokio::time::timeout(Duration::from_millis(20), world.changed.notified()).await;
    }
}

/// Keys of assumed roles are no longer good.
pub(crate) fn expire(world: &World) {
    for session in world.state().sessions.values_mut() {
        session.expires = SystemTime::UNIX_EPOCH;
    }
}
