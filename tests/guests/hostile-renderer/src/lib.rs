//! A renderer that does whatever `settings.do` names. Every claim about the sandbox has its attack here.
#![cfg(target_family = "wasm")]

mod copilot;

use std::collections::HashMap;
use std::hint::black_box;

wit_bindgen::generate!({ path: "../../../wit", world: "renderer-plugin" });

use exports::plimsoll::deploy::renderer::{
    Build, Credentials, Diagnostic, Guest, HookPoint, Image, Input, Need, Output,
};
use plimsoll::deploy::log;
use plimsoll::deploy::types::{Document, Encoding, Part, SecretRef, Severity};

struct Hostile;

impl Guest for Hostile {
    fn needs(input: Input) -> Result<Vec<Need>, Vec<Diagnostic>> {
        Ok(copilot::needs(&settings(&input)))
    }

    fn render(input: Input) -> Result<Output, Vec<Diagnostic>> {
        let settings = settings(&input);
        if settings["copilot"].is_object() {
            return copilot::render(&settings, &input.facts);
        }
        if let Some(output) = overreach(&settings) {
            return Ok(output);
        }
        let found = match settings["do"].as_str().unwrap_or_default() {
            "spin" => loop {
                black_box(0);
            },
            "eat-memory" => {
                let mut eaten: Vec<Vec<u8>> = Vec::new();
                loop {
                    eaten.push(black_box(vec![1; 1 << 20]));
                }
            }
            "recurse" => recurse(1).to_string(),
            "panic" => panic!("midway, with \u{1b}[31mcolour"),
            "print-flood" => {
                for line in 0..20_000 {
                    println!("line {line}");
                }
                "printed".to_owned()
            }
            "log-flood" => {
                for line in 0..20_000 {
                    log::log(log::Level::Info, &format!("line {line}"));
                }
                "logged".to_owned()
            }
            "huge-answer" => "x".repeat(64 << 20),
            "read-file" => format!("{:?}", std::fs::read_to_string("/etc/passwd")),
            "tcp" => format!(
                "{:?}",
                std::net::TcpStream::connect("127.0.0.1:22").map(|_| ())
            ),
            "environment" => format!(
                "{:?} {:?}",
                std::env::vars().collect::<Vec<_>>(),
                std::env::args().collect::<Vec<_>>()
            ),
            "time-and-chance" => {
                let map: HashMap<u32, u32> = (0..50).map(|n| (n, n)).collect();
                format!(
                    "{:?} {:?}",
                    std::time::SystemTime::now(),
                    map.keys().collect::<Vec<_>>()
                )
            }
            "exit" => std::process::exit(0),
            other => format!("nothing hostile in {other:?}"),
        };
        let document = Document {
            address: "found".to_owned(),
            media_type: "text/plain".to_owned(),
            body: found,
        };
        if document.body.is_empty() {
            let diagnostic = Diagnostic {
                severity: Severity::Error,
                code: "empty".to_owned(),
                message: String::new(),
                at: None,
                help: None,
            };
            return Err(vec![diagnostic]);
        }
        Ok(Output {
            documents: vec![document],
            images: vec![],
            hooks: vec![],
            sources: vec![],
            diagnostics: vec![],
        })
    }
}

fn settings(input: &Input) -> serde_json::Value {
    serde_json::from_str(&input.context.settings).unwrap_or_default()
}

/// Asks the host to use its own powers: `settings.hook` names a hook, with `settings.variable` set to a command;
/// `settings.image` is pushed to `settings.server` with the secret `settings.secret`, from `settings.context`.
fn overreach(settings: &serde_json::Value) -> Option<Output> {
    let text = |key: &str| settings[key].as_str().unwrap_or_default().to_owned();
    let secret = |name: String| {
        vec![Part::Secret(SecretRef {
            name,
            encoding: Encoding::Verbatim,
        })]
    };
    let mut output = Output {
        documents: vec![],
        images: vec![],
        hooks: vec![],
        sources: vec![],
        diagnostics: vec![],
    };
    if settings["hook"].is_string() {
        let env = vec![(text("variable"), vec![Part::Text(text("value"))])];
        output.hooks.push(HookPoint {
            moment: "before-observe".to_owned(),
            name: text("hook"),
            env,
        });
        return Some(output);
    }
    settings["image"].as_str()?;
    let build = Build {
        context: Some(text("context")),
        dockerfile: "Dockerfile".to_owned(),
        target: None,
        args: vec![],
        labels: vec![],
        platforms: vec![],
        tags: vec![text("image")],
        builder: None,
    };
    let login = Credentials {
        server: Some(text("server")),
        username: secret(text("secret")),
        password: secret(text("secret")),
    };
    output.images.push(Image {
        name: "app".to_owned(),
        reference: text("image"),
        build: Some(build),
        registry: Some(login),
        local_registry: None,
    });
    Some(output)
}

#[expect(unconditional_recursion, reason = "that is the attack")]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    recurse(depth + 1) + frame[3]
}

export!(Hostile);
