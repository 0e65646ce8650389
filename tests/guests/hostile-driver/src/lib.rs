//! A driver that follows a script: `settings.promise` is what it promises, `settings.observe` and `settings.apply`
//! are the calls it makes. What came of each call is its observed document, or its outcome.
#![cfg(target_family = "wasm")]

wit_bindgen::generate!({ path: "../../../wit", world: "driver-plugin" });

use exports::plimsoll::deploy::driver::{Failure, Guest, Outcome, Proposal, Report, Step};
use futures::future::join_all;
use plimsoll::deploy::docker::{ContainerSpec, Engine, LogConfig, LogLines};
use plimsoll::deploy::lock::Held;
use plimsoll::deploy::ssh::{Command, Session};
use plimsoll::deploy::types::{
    CapError, Change, Context, Document, Effect, Encoding, FileRef, Moment, Part, SecretRef,
};
use plimsoll::deploy::{clock, hook, lock, log, progress, secrets};
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
        context: Context,
        _: Vec<Document>,
        _: Vec<Document>,
        _: Vec<Change>,
    ) -> Result<Proposal, Failure> {
        let settings = settings(&context);
        let effects = settings["promise"]
            .as_array()
            .into_iter()
            .flatten()
            .map(effect)
            .collect();
        let title = settings["title"].as_str().unwrap_or("a step").to_owned();
        let step = Step {
            id: "step".to_owned(),
            title,
            host: None,
            effects,
            payload: "{}".to_owned(),
        };
        Ok(Proposal {
            steps: vec![step],
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

    async fn show(context: Context, _: Vec<Document>) -> Result<Vec<Report>, Failure> {
        let lines = follow(&settings(&context)["show"]).await;
        Ok(vec![Report {
            host: None,
            title: String::new(),
            lines,
        }])
    }
}

fn settings(context: &Context) -> Json {
    serde_json::from_str(&context.settings).unwrap_or_default()
}

fn text(json: &Json, key: &str) -> String {
    json[key].as_str().unwrap_or_default().to_owned()
}

fn effect(json: &Json) -> Effect {
    Effect {
        id: text(json, "id"),
        operation: text(json, "operation"),
        subject: text(json, "subject"),
        arguments: json["arguments"].to_string(),
        destructive: false,
        moment: Moment::Always,
    }
}

/// Text, `{"secret": NAME}`, or a file: `{"file": PATH, "digest": SHA256, "accessory": NAME}`.
fn value(json: &Json) -> Vec<Part> {
    match json {
        Json::String(text) => vec![Part::Text(text.clone())],
        file if file["file"].is_string() => vec![Part::File(FileRef {
            path: text(file, "file"),
            digest: text(file, "digest"),
            accessory: file["accessory"].as_str().map(str::to_owned),
        })],
        other => vec![Part::Secret(SecretRef {
            name: text(other, "secret"),
            encoding: Encoding::Verbatim,
        })],
    }
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

fn spec(call: &Json) -> ContainerSpec {
    let strings = |key: &str| {
        call[key]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|v| v.as_str().map(str::to_owned))
            .collect::<Vec<String>>()
    };
    let pairs = |key: &str| -> Vec<(String, Json)> {
        call[key]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    };
    ContainerSpec {
        name: text(call, "name"),
        image: text(call, "image"),
        hostname: None,
        command: None,
        env: pairs("env")
            .into_iter()
            .map(|(key, v)| (key, value(&v)))
            .collect(),
        labels: vec![],
        ports: vec![],
        volumes: strings("volumes")
            .into_iter()
            .map(|volume| vec![Part::Text(volume)])
            .collect(),
        networks: strings("networks"),
        restart: "no".to_owned(),
        log: LogConfig {
            driver: None,
            options: vec![],
        },
        options: pairs("options")
            .into_iter()
            .map(|(key, v)| (key, value(&v)))
            .collect(),
    }
}

async fn perform(call: &Json) -> Result<String, CapError> {
    let (effect, host, name) = (text(call, "effect"), text(call, "host"), text(call, "name"));
    let engine = async || Engine::connect(host.clone()).await;
    let session = async || Session::connect(host.clone()).await;
    Ok(match text(call, "do").as_str() {
        "connect" => engine().await.map(|engine| engine.host())?,
        "list" => format!(
            "{:?}",
            engine()
                .await?
                .containers(vec![])
                .await?
                .into_iter()
                .map(|c| c.name)
                .collect::<Vec<_>>()
        ),
        "inspect" => format!("{:?}", engine().await?.inspect(name).await?),
        "read-file" => format!(
            "{:?}",
            engine().await?.read_file(name, text(call, "path")).await?
        ),
        "logs" => {
            let wanted = LogLines {
                tail: Some(5),
                since: None,
                timestamps: true,
            };
            format!("{:?}", engine().await?.logs(name, wanted).await?)
        }
        "run-like" => {
            let existing = text(call, "existing");
            engine().await?.run_like(effect, existing, name).await?
        }
        "run-once" => format!("{:?}", engine().await?.run_once(effect, spec(call)).await?),
        "extract" => {
            let (image, path) = (text(call, "image"), text(call, "path"));
            let extracted = engine().await?;
            let directory = text(call, "directory");
            let extracted = extracted.extract(effect, image, path, name, directory);
            extracted.await.map(|()| String::new())?
        }
        "run" => engine().await?.run(effect, spec(call)).await?,
        "create" => {
            let created = engine().await?.create(effect, spec(call)).await?;
            created.start().await?
        }
        "prepare" => {
            let words = call["command"].as_array().into_iter().flatten();
            let command = words.map(value).collect();
            let engine = engine().await?;
            let prepared = engine.prepare(effect, name, None, command).await?;
            format!("{:?}", prepared.run().await?)
        }
        "has-image" => {
            let digest = value(&call["digest"]);
            let engine = engine().await?;
            let there = engine.has_image(text(call, "image"), digest).await?;
            there.to_string()
        }
        "stop" => engine()
            .await?
            .stop(effect, name, None)
            .await
            .map(|()| String::new())?,
        "remove" => engine()
            .await?
            .remove(effect, name)
            .await
            .map(|()| String::new())?,
        "exec" => {
            let command = call["command"]
                .as_array()
                .into_iter()
                .flatten()
                .map(value)
                .collect();
            let user = call["user"].as_str().map(str::to_owned);
            format!(
                "{:?}",
                engine().await?.exec(effect, name, user, command).await?
            )
        }
        "pull" => {
            engine()
                .await?
                .pull(effect, text(call, "image"), None, None)
                .await?
        }
        "ssh-run" => {
            let argv = call["argv"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|v| v.as_str().map(str::to_owned))
                .collect();
            let stdin = call.get("stdin").map(value);
            format!(
                "{:?}",
                session()
                    .await?
                    .run(
                        effect,
                        Command {
                            argv,
                            stdin,
                            timeout: None
                        }
                    )
                    .await?
            )
        }
        "ssh-put" => session()
            .await?
            .put(effect, text(call, "path"), 0o600, value(&call["content"]))
            .await
            .map(|()| String::new())?,
        "ssh-set-access" => session()
            .await?
            .set_access(effect, text(call, "path"), Some("777".to_owned()), None)
            .await
            .map(|()| String::new())?,
        "ssh-remove" => session()
            .await?
            .remove(effect, text(call, "path"))
            .await
            .map(|()| String::new())?,
        "ssh-keep-only" => session()
            .await?
            .keep_only(effect, text(call, "path"), text(call, "prefix"), name)
            .await
            .map(|()| String::new())?,
        "ssh-merge" => session()
            .await?
            .merge(effect, text(call, "source"), text(call, "path"))
            .await
            .map(|()| String::new())?,
        "ssh-read" => format!("{:?}", session().await?.read(text(call, "path")).await?),
        "ssh-names" => format!("{:?}", session().await?.names(text(call, "path")).await?),
        "install-docker" => session()
            .await?
            .install_docker(effect)
            .await
            .map(|()| String::new())?,
        "lock-leave" => {
            let details = value(&Json::String("hostile".to_owned()));
            lock::leave(effect, host, text(call, "path"), details)
                .await
                .map(|()| String::new())?
        }
        "lock-break" => lock::break_(effect, host, text(call, "path"))
            .await?
            .to_string(),
        "lock-read" => format!("{:?}", lock::read(host, text(call, "path")).await?),
        "lock" => {
            let held = Held::acquire(
                effect,
                host,
                text(call, "path"),
                value(&Json::String("hostile".to_owned())),
                None,
            )
            .await?;
            std::mem::forget(held);
            "locked".to_owned()
        }
        "hook" => format!("{:?}", hook::run(effect, name, vec![]).await?),
        "fingerprint" => {
            secrets::fingerprint(SecretRef {
                name,
                encoding: Encoding::Verbatim,
            })
            .await?
        }
        "sleep" => {
            clock::sleep_ms(call["ms"].as_u64().unwrap_or(0) as u32).await;
            clock::now_unix_ms().to_string()
        }
        "log" => {
            log::log(log::Level::Warn, &name);
            String::new()
        }
        "progress" => {
            let event = progress::Event {
                step: "step".to_owned(),
                host: None,
                phase: progress::Phase::Running,
                message: name,
            };
            progress::emit(&event);
            String::new()
        }
        "inspect-many" => {
            let count = call["count"].as_u64().unwrap_or(0);
            let engine = engine().await?;
            let all = join_all((0..count).map(|_| engine.inspect(name.clone()))).await;
            format!(
                "{} refused",
                all.iter()
                    .filter(|answer| matches!(answer, Err(CapError::Quota(_))))
                    .count()
            )
        }
        "spin" => loop {
            std::hint::black_box(0);
        },
        "trap" => panic!("trapped on purpose"),
        other => format!("unknown call {other:?}"),
    })
}

export!(Hostile);
