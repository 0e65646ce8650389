//! Codecs of the host: secrets files, env files, templates.

use std::collections::BTreeMap;
use std::io;

use plimsoll::manifest::erb::{self, World};
use plimsoll::secret::{Secret, SecretFile, SecretStore, encode};
use plimsoll::wire::shell;
use serde_json::{Map, Value as Json, json};

use super::text;

/// Variables of a vector; null is none.
fn environment(vector: &Json) -> BTreeMap<String, String> {
    let pairs = vector["env"].as_object().into_iter().flatten();
    pairs
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}

fn run(line: &str, environment: &BTreeMap<String, String>) -> Result<String, String> {
    shell::run(line, &std::env::temp_dir(), environment)
}

/// Files of secrets, as a project has them.
pub fn secrets(vector: &Json) -> Json {
    let own = match vector["destination"].as_str() {
        Some(destination) => format!(".kamal/secrets.{destination}"),
        None => ".kamal/secrets".to_owned(),
    };
    let paths = vec![".kamal/secrets-common".to_owned(), own];
    let file = |path: &String| {
        Some(SecretFile {
            path: path.clone(),
            text: Secret::new(vector["files"][path].as_str()?),
        })
    };
    let files = paths.iter().filter_map(file).collect();
    let environment = environment(vector);
    let shell = environment.clone();
    let store = SecretStore::new(
        files,
        paths,
        environment,
        Box::new(move |line| run(line, &shell)),
    );
    match store.all() {
        Ok(all) => {
            let pairs = all
                .iter()
                .map(|(name, value)| (name.clone(), json!(value.expose())));
            json!({ "expected": pairs.collect::<Map<_, _>>() })
        }
        Err(error) => json!({ "error": error.to_string() }),
    }
}

/// What a container has of an env file.
pub fn env_file(vector: &Json) -> Json {
    let pairs = vector["map"].as_object().into_iter().flatten();
    let encoded = pairs.map(|(name, value)| {
        let value = encode::env_file(value.as_str().unwrap_or_default());
        (name.clone(), json!(value.as_str()))
    });
    json!({ "container_env": encoded.collect::<Map<_, _>>() })
}

/// A template. What it runs counts as allowed.
pub fn template(vector: &Json) -> Json {
    let source = text(vector, "text");
    let allowed = commands(source);
    let files = &vector["files"];
    let mut world = World {
        environment: environment(vector),
        allowed_commands: &allowed,
        run: &run,
        read_file: &|path| {
            let text = files[path].as_str().map(str::to_owned);
            text.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
        },
        docker_arch: &|| Ok("amd64".to_owned()),
    };
    match erb::render("config/deploy.yml", source, &mut world) {
        Ok(rendered) => json!({ "expected": rendered.text }),
        Err(finding) => json!({ "error": finding.message }),
    }
}

/// What stands between backquotes and in `%x(…)`.
fn commands(source: &str) -> Vec<String> {
    let mut commands = Vec::new();
    for (open, close) in [("`", "`"), ("%x(", ")"), ("%x{", "}"), ("%x[", "]")] {
        let mut rest = source;
        while let Some((_, from)) = rest.split_once(open) {
            let Some((command, after)) = from.split_once(close) else {
                break;
            };
            commands.push(command.trim().to_owned());
            rest = after;
        }
    }
    commands
}
