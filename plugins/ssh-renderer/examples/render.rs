//! Renders what comes on standard input, `{"environment", "version", "manifest": [{"path", "text"}], "options",
//! "facts"}`, and prints documents, images and hooks, or findings, as JSON.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use serde::Deserialize;
use serde_json::{Value as Json, json};
use ssh_renderer::command::Request as AskedFor;
use ssh_renderer::diagnostic::Diagnostic;
use ssh_renderer::options::{Facts, Options};
use ssh_renderer::render::File;
use ssh_renderer::{Input, render};

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Request {
    environment: String,
    version: String,
    manifest: Vec<Written>,
    options: Options,
    facts: Facts,
    request: AskedFor,
}

#[derive(Deserialize)]
struct Written {
    path: String,
    text: String,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let request: Request = serde_json::from_reader(std::io::stdin())?;
    let input = Input {
        environment: request.environment,
        version: request.version,
        manifest: request
            .manifest
            .into_iter()
            .map(|file| File {
                path: file.path,
                text: file.text,
            })
            .collect(),
        options: request.options,
        facts: request.facts,
        request: request.request,
    };
    let answer = match render(&input) {
        Ok(output) => {
            let documents = output.documents.iter().map(|document| {
                let body: Json = serde_json::from_str(&document.body.to_text())
                    .unwrap_or_else(|_| Json::String(document.body.to_text()));
                (document.address.clone(), body)
            });
            let pairs = |env: &[(String, ::release::Value)]| -> Json {
                Json::Object(
                    env.iter()
                        .map(|(name, value)| (name.clone(), value.to_json()))
                        .collect(),
                )
            };
            json!({
                "documents": documents.collect::<serde_json::Map<_, _>>(),
                "images": output.images.iter().map(|image| json!({
                    "name": image.name,
                    "reference": image.reference,
                    "build": image.build.as_ref().map(|build| json!({
                        "context": build.context, "dockerfile": build.dockerfile, "target": build.target,
                        "args": pairs(&build.args), "labels": build.labels, "platforms": build.platforms,
                        "tags": build.tags,
                        "builder": build.builder.as_ref().map(|builder| json!({
                            "name": builder.name, "driver": builder.driver, "local": builder.local_platforms,
                            "remote": builder.remote_platforms, "url": builder.remote, "cache_from": builder.cache_from,
                            "cache_to": builder.cache_to, "secrets": builder.secrets,
                            "ssh": builder.ssh.as_ref().map(::release::Value::to_json), "provenance": builder.provenance,
                            "sbom": builder.sbom, "pack": builder.pack.as_ref().map(|pack| json!({
                                "builder": pack.builder, "buildpacks": pack.buildpacks,
                            })),
                        })),
                    })),
                    "registry": image.registry,
                })).collect::<Vec<_>>(),
                "hooks": output.hooks.iter().map(|hook| {
                    json!({ "moment": hook.moment, "name": hook.name, "env": pairs(&hook.env) })
                }).collect::<Vec<_>>(),
                "sources": output.sources.iter().map(|source| {
                    format!("{}#{} {}:{}:{}", source.address, source.pointer, source.at.file, source.at.line, source.at.column)
                }).collect::<Vec<_>>(),
                "diagnostics": told(&input, &output.diagnostics),
            })
        }
        Err(diagnostics) => json!({ "diagnostics": told(&input, &diagnostics) }),
    };
    println!("{}", serde_json::to_string_pretty(&answer)?);
    Ok(())
}

fn told(input: &Input, diagnostics: &[Diagnostic]) -> Vec<Json> {
    let one = |d: &Diagnostic| {
        let at = d.at.and_then(|at| {
            let path = &input.manifest.get(at.file)?.path;
            Some(format!("{path}:{}:{}+{}", at.line, at.column, at.length))
        });
        json!({ "severity": format!("{:?}", d.severity), "code": d.code, "message": d.message, "at": at, "help": d.help })
    };
    diagnostics.iter().map(one).collect()
}
