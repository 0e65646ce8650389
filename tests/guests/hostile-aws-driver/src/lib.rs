//! A driver for AWS that follows a script: `settings.observe` and `settings.apply` are the calls it makes. What came of
//! each call is its observed document, or its outcome.
#![cfg(target_family = "wasm")]

wit_bindgen::generate!({ path: "../../../wit", world: "driver-plugin" });

use exports::plimsoll::deploy::driver::{Failure, Guest, Outcome, Proposal, Report, Step};
use plimsoll::deploy::cloudformation::{ChangeSet, Kind, Stack};
use plimsoll::deploy::ecs::Service;
use plimsoll::deploy::s3::{Object, Source};
use plimsoll::deploy::types::{CapError, Change, Context, Document, Part};
use plimsoll::deploy::{logs, s3};
use serde_json::Value as Json;

struct Hostile;

impl Guest for Hostile {
    async fn observe(context: Context, _: Vec<Document>) -> Result<Vec<Document>, Failure> {
        let results = follow(&settings(&context)["observe"]).await;
        let body = serde_json::to_string(&results).unwrap_or_default();
        Ok(vec![Document {
            address: "observed/results".to_owned(),
            media_type: "application/json".to_owned(),
            body,
        }])
    }

    async fn plan(
        _: Context,
        _: Vec<Document>,
        _: Vec<Document>,
        _: Vec<Change>,
    ) -> Result<Proposal, Failure> {
        Ok(Proposal {
            steps: vec![],
            diagnostics: vec![],
        })
    }

    async fn apply(context: Context, _: Vec<Document>, _: Vec<Step>) -> Result<Outcome, Failure> {
        let results = follow(&settings(&context)["apply"]).await;
        let outputs = results
            .into_iter()
            .enumerate()
            .map(|(n, result)| (n.to_string(), result))
            .collect();
        Ok(Outcome {
            summary: "followed the script".to_owned(),
            outputs,
            reports: vec![],
        })
    }

    async fn show(_: Context, _: Vec<Document>) -> Result<Vec<Report>, Failure> {
        Ok(vec![])
    }
}

fn settings(context: &Context) -> Json {
    serde_json::from_str(&context.settings).unwrap_or_default()
}

fn text(json: &Json, key: &str) -> String {
    json[key].as_str().unwrap_or_default().to_owned()
}

fn some(json: &Json, key: &str) -> Option<String> {
    json[key].as_str().map(str::to_owned)
}

async fn follow(script: &Json) -> Vec<String> {
    let mut results = Vec::new();
    for call in script.as_array().into_iter().flatten() {
        results.push(match perform(call).await {
            Ok(answer) => format!("done: {answer}"),
            Err(error) => format!("{error:?}"),
        });
    }
    results
}

async fn perform(call: &Json) -> Result<String, CapError> {
    let effect = text(call, "effect");
    let stack = || Stack::open(&text(call, "stack"));
    let done = |()| "ok".to_owned();
    match text(call, "do").as_str() {
        "describe" => stack()?.describe().await.map(|found| format!("{found:?}")),
        "template" => stack()?.template().await.map(|found| format!("{found:?}")),
        "linked" => {
            let found = stack()?.linked_template(text(call, "parameter")).await;
            found.map(|found| format!("{found:?}"))
        }
        "nested" => {
            let nested = stack()?.nested(text(call, "id")).await?;
            nested.delete(effect, None).await.map(done)
        }
        "create" => {
            let input = ChangeSet {
                name: text(call, "name"),
                kind: Kind::Create,
                template: vec![Part::Text(text(call, "template"))],
                inputs: text(call, "inputs"),
                capabilities: vec!["CAPABILITY_IAM".to_owned()],
                role: some(call, "role"),
            };
            stack()?.create_change_set(effect, input).await.map(done)
        }
        "execute" => {
            let rollback = call["rollback"].as_bool().unwrap_or(true);
            let execute = stack()?;
            execute
                .execute_change_set(effect, text(call, "name"), rollback)
                .await
                .map(done)
        }
        "delete" => stack()?.delete(effect, some(call, "role")).await.map(done),
        "cancel" => stack()?.cancel_update(effect).await.map(done),
        "put" => {
            let source = if let Some(address) = some(call, "document") {
                Source::Document(address)
            } else if let Some(path) = some(call, "file") {
                Source::File(path)
            } else if let Some(path) = some(call, "archive") {
                Source::Archive(path)
            } else {
                Source::Function(text(call, "function"))
            };
            let object = Object {
                bucket: text(call, "bucket"),
                key: text(call, "key"),
                source,
                content_type: None,
            };
            s3::put(effect, object).await
        }
        "service" => {
            let service = Service::of_stack(text(call, "stack"), text(call, "resource")).await?;
            Ok(service.map_or("none".to_owned(), |_| "a service".to_owned()))
        }
        "logs" => logs::tail(text(call, "group"), "s".to_owned(), 5)
            .await
            .map(|lines| format!("{lines:?}")),
        other => Ok(format!("what is {other}?")),
    }
}

export!(Hostile);
