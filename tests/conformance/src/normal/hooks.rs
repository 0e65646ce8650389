//! How the project's hooks, and programs of the deployer's machine, were called: what stood in their place wrote down.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value as Json, json};

use super::{Facts, Object, phases, words};

/// A call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    /// Nanoseconds since 1970.
    pub(crate) real: u128,
    /// Name of the hook.
    pub(crate) hook: Option<String>,
    /// Name of the program.
    pub(crate) program: Option<String>,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
    /// Where it was called.
    pub(crate) folder: String,
    /// Its environment.
    pub(crate) env: BTreeMap<String, String>,
    /// Its exit code.
    pub(crate) code: Option<i32>,
}

/// Everything that was written down, in order.
pub(super) fn records(folder: &Path) -> Vec<Record> {
    let mut records: Vec<Record> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let path = entry.path();
            let kind = path.extension()?.to_str()?.to_owned();
            let real: u128 = path.file_stem()?.to_str()?.parse().ok()?;
            if kind != "hook" && kind != "program" {
                return None;
            }
            let mut record = Record {
                real,
                code: fs::read_to_string(path.with_extension("code"))
                    .ok()
                    .and_then(|code| code.trim().parse().ok()),
                ..Record::default()
            };
            let text = String::from_utf8_lossy(&fs::read(&path).ok()?).into_owned();
            let mut head = true;
            for pair in text.split('\0').filter(|pair| !pair.is_empty()) {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                match key {
                    "hook" if head => {
                        record.hook = Some(value.to_owned());
                        head = false;
                    }
                    "program" if head => record.program = Some(value.to_owned()),
                    "word" if head => record.arguments.push(value.to_owned()),
                    "folder" if head => {
                        record.folder = value.to_owned();
                        head = false;
                    }
                    _ => drop(record.env.insert(key.to_owned(), value.to_owned())),
                }
            }
            Some(record)
        })
        .collect();
    records.sort_by_key(|record| record.real);
    records
}

/// The hooks, in order.
pub(super) fn all(facts: &Facts<'_>) -> Json {
    let names = words::Names::of(facts);
    let order = phases::timeline(facts);
    let hooks = facts.records.iter().filter(|record| record.hook.is_some());
    let entry = |record: &Record| {
        let mut env = Object::new();
        for (key, value) in record
            .env
            .iter()
            .filter(|(key, _)| key.starts_with("KAMAL_"))
        {
            match key.as_str() {
                "KAMAL_RECORDED_AT" => {}
                "KAMAL_PERFORMER" if names.performer(value) => {
                    drop(env.insert(key.clone(), json!("<PERFORMER>")))
                }
                "KAMAL_RUNTIME" => drop(env.insert(key.clone(), json!("<N>"))),
                _ => drop(env.insert(key.clone(), json!(value))),
            }
        }
        let secrets: Vec<&String> = facts
            .given
            .secrets
            .iter()
            .filter(|name| record.env.contains_key(*name))
            .collect();
        let mut before = order
            .iter()
            .filter(|(real, name)| *real < record.real && !name.starts_with("hook:"));
        let mut after = order
            .iter()
            .filter(|(real, name)| *real > record.real && !name.starts_with("hook:"));
        json!({
            "name": record.hook, "env": env, "secrets": secrets, "exit": record.code,
            "after": before.next_back().map_or("start", |(_, name)| name.as_str()),
            "before": after.next().map_or("end", |(_, name)| name.as_str()),
        })
    };
    Json::Array(hooks.map(entry).collect())
}
