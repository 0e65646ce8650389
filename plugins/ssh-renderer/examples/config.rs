//! Answers conformance configurations for `compare.py --config`, as far as rendering decides: `config CASES.json`.
//! ERB, git and the reading of secrets files are the host's and not done here.
//!
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};
use ssh_renderer::command::Request;
use ssh_renderer::diagnostic::{Diagnostic, Severity};
use ssh_renderer::options::{Facts, Options};
use ssh_renderer::render::{Body, File, Output};
use ssh_renderer::{Input, render};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = arguments
        .iter()
        .find(|argument| !argument.starts_with('-'))
        .ok_or("usage: config CASES.json")?;
    let cases: Vec<Json> = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let mut answers = Map::new();
    for case in &cases {
        let id = case["id"].as_str().unwrap_or_default();
        let argv: Vec<&str> = case["argv"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
            .collect();
        answers.insert(
            id.to_owned(),
            answer(render(&input(case, &argv)), argv[0] == "deploy"),
        );
    }
    println!("{}", Json::Object(answers));
    Ok(())
}

fn answer(rendered: Result<Output, Vec<Diagnostic>>, deploys: bool) -> Json {
    match rendered {
        Ok(output) if deploys => json!({ "verdict": "accept", "boots": boots(&output) }),
        Ok(_) => json!({ "verdict": "accept" }),
        Err(diagnostics) => {
            let errors = diagnostics.iter().filter(|d| d.severity == Severity::Error);
            let messages: Vec<&str> = errors.map(|d| d.message.as_str()).collect();
            json!({ "verdict": "reject", "message": messages.join("\n") })
        }
    }
}

fn input(case: &Json, argv: &[&str]) -> Input {
    let value = |flags: [&str; 2]| {
        let at = argv.iter().position(|argument| flags.contains(argument))?;
        argv.get(at + 1).map(|value| (*value).to_owned())
    };
    let list = |flags| Some(value(flags)?.split(',').map(str::to_owned).collect());
    let destination = value(["-d", "--destination"]).unwrap_or_default();
    let files = |path: &str| {
        case["files"]
            .get(path)
            .and_then(Json::as_str)
            .map(str::to_owned)
    };
    let overlay = format!("config/deploy.{destination}.yml");
    let manifest = ["config/deploy.yml", &overlay]
        .into_iter()
        .filter_map(|path| {
            Some(File {
                path: path.to_owned(),
                text: files(path)?,
            })
        })
        .collect();
    let secrets = if destination.is_empty() {
        ".kamal/secrets".to_owned()
    } else {
        format!(".kamal/secrets.{destination}")
    };
    let names = files(&secrets).unwrap_or_default();
    let names = names
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0.to_owned()))
        .collect();
    let hooks = case["executable"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Json::as_str);
    let hooks = hooks.filter_map(|path| Some((path.rsplit_once('/')?.1.to_owned(), true)));
    let version =
        value(["--version", "--version"]).or(case["env"]["VERSION"].as_str().map(str::to_owned));
    Input {
        environment: destination.clone(),
        version: version.unwrap_or_default(),
        request: Request {
            command: argv
                .iter()
                .take_while(|word| !word.starts_with('-') && **word != "all")
                .copied()
                .collect::<Vec<_>>()
                .join(" "),
            name: argv.contains(&"all").then(|| "all".to_owned()),
            version: None,
        },
        manifest,
        options: Options {
            hosts: list(["-h", "--hosts"]),
            roles: list(["-r", "--roles"]),
            primary: argv
                .iter()
                .any(|argument| ["-p", "--primary"].contains(argument)),
            skip_hooks: false,
            skip_push: argv
                .iter()
                .any(|argument| ["-P", "--skip-push"].contains(argument)),
            secrets: Some(names),
        },
        facts: Facts {
            hook: BTreeMap::from_iter(hooks),
            file: case["files"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(path, _)| {
                    (
                        path.clone(),
                        BTreeMap::from([(path.clone(), "0".to_owned())]),
                    )
                })
                .collect(),
            docker_arch: BTreeMap::from([(String::new(), "amd64".to_owned())]),
        },
    }
}

fn boots(output: &Output) -> Vec<String> {
    let release = output
        .documents
        .iter()
        .find_map(|document| match &document.body {
            Body::Release(release) => Some(release),
            _ => None,
        });
    let roles = output
        .documents
        .iter()
        .filter_map(|document| ::release::Role::parse_address(&document.address));
    roles
        .filter_map(|(_, role)| {
            let release = release?;
            Some(format!(
                "{}-{}",
                release.prefix(role),
                release.version.clone().unwrap_or_default()
            ))
        })
        .collect()
}
