//! Commands in containers. Only kamal-proxy's own do anything.

use hyper::upgrade::OnUpgrade;
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::{Answer, Call, created, document, fail, lines, proxy, with};
use crate::world::{Execution, PROXY, hex};

/// Prepares a command.
pub(super) fn create(call: &Call, container: &str) -> Answer {
    let body = call.json();
    let words = body["Cmd"].as_array().into_iter().flatten();
    let words = words
        .filter_map(|word| word.as_str().map(str::to_owned))
        .collect();
    let mut inner = call.world.lock();
    let id = hex(&format!("execution {}", inner.number()));
    let host = inner.host(&call.host);
    let Some(found) = host.container(container) else {
        return fail(404, &format!("No such container: {container}"));
    };
    if !found.running() {
        return fail(409, &format!("container {} is not running", found.id));
    }
    let container = found.name.clone();
    host.executions.insert(
        id.clone(),
        Execution {
            container,
            words,
            code: None,
        },
    );
    created(&json!({"Id": id}))
}

pub(super) async fn answer(
    call: &Call,
    method: &Method,
    words: &[&str],
    upgraded: Option<OnUpgrade>,
) -> Answer {
    match (method, words) {
        (&Method::POST, [id, "start"]) => start(call, id, upgraded).await,
        (&Method::GET, [id, "json"]) => {
            let mut inner = call.world.lock();
            match inner.host(&call.host).executions.get(*id) {
                Some(execution) => document(&json!({
                    "ID": id, "Running": execution.code.is_none(), "ExitCode": execution.code, "OpenStdin": false,
                    "OpenStderr": true, "OpenStdout": true, "Pid": 1,
                })),
                None => fail(404, &format!("No such exec instance: {id}")),
            }
        }
        _ => fail(404, "page not found"),
    }
}

async fn start(call: &Call, id: &str, upgraded: Option<OnUpgrade>) -> Answer {
    let execution = {
        let mut inner = call.world.lock();
        inner.host(&call.host).executions.get(id).cloned()
    };
    let Some(execution) = execution else {
        return fail(404, &format!("No such exec instance: {id}"));
    };
    let (world, host, id) = (call.world.clone(), call.host.clone(), id.to_owned());
    let run = async move {
        let said = if execution.container == PROXY {
            proxy::run(&world, &host, &execution.words).await
        } else {
            proxy::Said::default()
        };
        let mut inner = world.lock();
        if let Some(execution) = inner.host(&host).executions.get_mut(&id) {
            execution.code = Some(said.code);
        }
        inner.ended.notify_waiters();
        drop(inner);
        [frame(1, &said.out), frame(2, &said.err)].concat()
    };
    let Some(upgraded) = upgraded else {
        return with(
            StatusCode::OK,
            "application/vnd.docker.multiplexed-stream",
            run.await,
        );
    };
    tokio::spawn(async move {
        let bytes = run.await;
        if let Ok(stream) = upgraded.await {
            let mut stream = TokioIo::new(stream);
            // A client that has left hears nothing.
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
    });
    let mut answer = with(
        StatusCode::SWITCHING_PROTOCOLS,
        "application/vnd.docker.multiplexed-stream",
        "",
    );
    let headers = answer.headers_mut();
    headers.insert(
        "connection",
        hyper::header::HeaderValue::from_static("Upgrade"),
    );
    headers.insert("upgrade", hyper::header::HeaderValue::from_static("tcp"));
    answer
}

/// The next command that ends in a container, as an event; the answer comes with it.
pub(super) async fn next_end(call: &Call) -> Answer {
    let containers = call.filters().remove("container").unwrap_or_default();
    let ended = call.world.lock().ended.clone();
    let ends = || {
        let mut inner = call.world.lock();
        let executions = &inner.host(&call.host).executions;
        let here = executions
            .iter()
            .filter(|(_, one)| containers.contains(&one.container));
        here.filter_map(|(id, one)| Some((id.clone(), one.code?)))
            .collect::<Vec<_>>()
    };
    let before = ends();
    loop {
        let next = ended.notified();
        if let Some((id, code)) = ends().into_iter().find(|end| !before.contains(end)) {
            let attributes = json!({"execID": id, "exitCode": code.to_string()});
            return lines(&[
                json!({"Type": "container", "Action": "exec_die", "Actor": {"ID": "", "Attributes": attributes}}),
            ]);
        }
        next.await;
    }
}

/// A piece of output as the Engine multiplexes it.
fn frame(stream: u8, text: &str) -> Vec<u8> {
    if text.is_empty() {
        return Vec::new();
    }
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut bytes = vec![stream, 0, 0, 0];
    bytes.extend_from_slice(&length);
    bytes.extend_from_slice(text.as_bytes());
    bytes
}
