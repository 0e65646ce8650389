//! From a connection to the part that answers, with everything written down and rules obeyed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::record::Request;
use crate::rule::{Effect, Place};
use crate::wire::http::{self, Answer};
use crate::wire::{Call, Refusal};
use crate::world::World;
use crate::{balancer, cloudformation, control, ecs, moto, registry, sts};

/// Answers until the runtime ends.
pub(crate) async fn serve(world: Arc<World>, listener: TcpListener) -> Infallible {
    accept(listener, move |request| {
        let world = world.clone();
        async move { respond(&world, request).await }
    })
    .await
}

/// Answers every request of every connection.
pub(crate) async fn accept<F>(
    listener: TcpListener,
    respond: impl Fn(hyper::Request<Incoming>) -> F + Clone + Send + Sync + 'static,
) -> Infallible
where
    F: Future<Output = Result<Answer, Dropped>> + Send + 'static,
{
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of files for a moment.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let respond = respond.clone();
        tokio::spawn(async move {
            // A client that goes away, or is sent away by a rule, is no failure of ours.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(respond))
                .await;
        });
    }
}

/// Why a connection is closed without an answer.
#[derive(Debug)]
pub(crate) struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("dropped by a rule")
    }
}
impl std::error::Error for Dropped {}

async fn respond(world: &Arc<World>, request: hyper::Request<Incoming>) -> Result<Answer, Dropped> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
    if let Some(path) = head.uri.path().strip_prefix("/_double/") {
        let path = path.to_owned();
        let query = head.uri.query().unwrap_or_default();
        return Ok(control::answer(world, &head.method, &path, query, &body).await);
    }
    let call = Call::new(head, body, &world.settings.region);
    recorded(world, &call, || answer(world, &call)).await
}

/// Writes a request down, lets rules have their way with it, and else answers it.
pub(crate) async fn recorded<F: Future<Output = Answer>>(
    world: &World,
    call: &Call,
    answer: impl FnOnce() -> F,
) -> Result<Answer, Dropped> {
    let number = record(world, call);
    let answer = obey(world, call, answer).await;
    let mut state = world.state();
    if let Some(request) = state.requests.get_mut(number) {
        request.ended = world.begun.elapsed();
        request.status = answer.as_ref().map_or(0, |answer| answer.status().as_u16());
    }
    answer
}

fn record(world: &World, call: &Call) -> usize {
    let now = world.begun.elapsed();
    let request = Request {
        service: call.service.clone(),
        action: call.action(),
        region: call.region.clone(),
        access_key: call.access_key.clone(),
        begun: now,
        ended: now,
        status: 0,
        user_agent: call.header("user-agent").to_owned(),
        body: match call.service.as_str() {
            "s3" | "registry" => String::new(),
            _ => String::from_utf8_lossy(&call.body).into_owned(),
        },
    };
    let mut state = world.state();
    state.requests.push(request);
    state.requests.len() - 1
}

async fn obey<F: Future<Output = Answer>>(
    world: &World,
    call: &Call,
    answer: impl FnOnce() -> F,
) -> Result<Answer, Dropped> {
    let action = call.action();
    let rule = world.rule(|place| match place {
        Place::Request {
            service,
            action: wanted,
            holding,
        } => {
            service.matches(&call.service)
                && wanted.matches(&action)
                && (holding.is_empty() || String::from_utf8_lossy(&call.body).contains(holding))
        }
        Place::Resource { .. } | Place::Tasks { .. } => false,
    });
    let Some(rule) = rule else {
        return Ok(answer().await);
    };
    tokio::time::sleep(Duration::from_millis(rule.delay_ms)).await;
    match rule.then {
        Effect::Drop => Err(Dropped),
        Effect::Refuse {
            code,
            message,
            status,
        } => Ok(refuse(call, &Refusal::new(code, message).status(status))),
        Effect::Answer { body } => {
            let is_json = body.starts_with(['{', '[']);
            let kind = if is_json {
                "application/x-amz-json-1.1"
            } else {
                "text/xml"
            };
            Ok(http::answer(StatusCode::OK, kind, body))
        }
        Effect::Pass | Effect::Fail { .. } | Effect::Tasks(_) => Ok(answer().await),
    }
}

fn refuse(call: &Call, refusal: &Refusal) -> Answer {
    if call.service == "registry" {
        return registry::refuse(refusal);
    }
    let is_json = !call.header("x-amz-target").is_empty();
    refusal.answer(&call.service, is_json)
}

async fn answer(world: &Arc<World>, call: &Call) -> Answer {
    if let Err(refusal) = sts::check(world, call) {
        return refuse(call, &refusal);
    }
    let own = match call.service.as_str() {
        "cloudformation" => return cloudformation::answer(world, call).await,
        "ecs" => Some(ecs::answer(world, call)),
        "ecr" => registry::handle(world, call),
        "elasticloadbalancing" => balancer::handle(world, call),
        "tagging" => ecs::tagged(world, call),
        "sts" => sts::handle(world, call),
        _ => None,
    };
    match own {
        Some(answer) => answer,
        None => moto::forward(world, call).await,
    }
}
