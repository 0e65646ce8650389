//! Answers conformance vectors for `compare.py --text`: `text VECTORS.json`, where the file's name says what they are
//! (`yaml`, `yamldoc`, `glob`, `selection`, `args`, `quoting`, `version_cmp`).
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::cmp::Ordering;
use std::path::Path;

use release::{Part, Value};
use serde_json::{Map, Value as Json, json};
use ssh_renderer::config::Config;
use ssh_renderer::diagnostic::Findings;
use ssh_renderer::options::Options;
use ssh_renderer::render::build::remote_name;
use ssh_renderer::selection::select;
use ssh_renderer::shell::argument::{argument, argumentize, optionize};
use ssh_renderer::shell::quoted;
use ssh_renderer::yaml::{self, Entry, Kind, Node};
use ssh_renderer::{glob, version};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: text VECTORS.json")?;
    let vectors: Vec<Json> = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
    let kind = Path::new(&path)
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    let answer = match kind {
        "yaml" => scalar,
        "yamldoc" => document,
        "glob" => glob_matches,
        "selection" => selection,
        "quoting" => quoting,
        "args" => arguments,
        "version_cmp" => version_order,
        "buildername" => builder_name,
        other => return Err(format!("no adapter for {other}").into()),
    };
    let answers: Map<String, Json> = vectors
        .iter()
        .filter_map(|v| Some((v["id"].as_str()?.to_owned(), answer(v))))
        .collect();
    println!("{}", Json::Object(answers));
    Ok(())
}

fn text<'a>(vector: &'a Json, key: &str) -> &'a str {
    vector[key].as_str().unwrap_or_default()
}

fn strings(json: &Json) -> Vec<String> {
    json.as_array()
        .into_iter()
        .flatten()
        .filter_map(|s| s.as_str().map(str::to_owned))
        .collect()
}

fn scalar(vector: &Json) -> Json {
    let mut findings = Findings::default();
    let document = yaml::read(&format!("k: {}\n", text(vector, "text")), 0, &mut findings);
    let Some(node) = document.as_ref().and_then(|document| document.get("k")) else {
        return json!({ "error": true });
    };
    let kind = match &node.kind {
        Kind::Null => "null",
        Kind::Bool(_) => "bool",
        Kind::Int(_) => "int",
        Kind::Float(_) => "float",
        Kind::Text(_) => "string",
        Kind::Symbol(_) => "symbol",
        Kind::Date(_) => "date",
        Kind::Time(_) => "time",
        Kind::List(_) => "array",
        Kind::Map(_) => "hash",
    };
    let mut answer =
        json!({ "type": kind, "to_s": node.to_text(), "stringish": node.as_stringish().is_some() });
    if vector.get("json").is_some() {
        answer["json"] = to_json(node);
    }
    answer
}

fn to_json(node: &Node) -> Json {
    match &node.kind {
        Kind::Null => Json::Null,
        Kind::Bool(value) => json!(value),
        Kind::Int(number) => json!(i64::try_from(*number).unwrap_or(i64::MAX)),
        Kind::Float(number) => json!(number),
        Kind::Text(_) | Kind::Symbol(_) | Kind::Date(_) | Kind::Time(_) => json!(node.to_text()),
        Kind::List(items) => items.iter().map(to_json).collect(),
        Kind::Map(entries) => Json::Object(
            entries
                .iter()
                .map(|Entry { key, value }| (key.to_text(), to_json(value)))
                .collect(),
        ),
    }
}

fn document(vector: &Json) -> Json {
    match yaml::read(text(vector, "text"), 0, &mut Findings::default()) {
        Some(node) => json!({ "expected": to_json(&node) }),
        None => json!({ "error": true }),
    }
}

fn glob_matches(vector: &Json) -> Json {
    let items = strings(&vector["items"]);
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    json!({ "expected": glob::select(&strings(&vector["filters"]), &items) })
}

fn selection(vector: &Json) -> Json {
    let mut findings = Findings::default();
    let Some(root) = yaml::read(text(vector, "config"), 0, &mut findings) else {
        return json!({ "error": true });
    };
    let config = Config::read(root, None, &mut findings);
    let list = |key: &str| {
        vector[key]
            .as_str()
            .map(|s| s.split(',').map(str::to_owned).collect())
    };
    let options = Options {
        hosts: list("hosts"),
        roles: list("roles"),
        primary: vector["primary"].as_bool().unwrap_or(false),
        ..Options::default()
    };
    let selection = select(&config, &options, &mut findings);
    let Some(selection) = selection.filter(|_| !findings.has_errors()) else {
        return json!({ "error": true });
    };
    json!({ "expected": {
        "hosts": selection.hosts,
        "roles": selection.roles.iter().map(|role| role.name.as_str()).collect::<Vec<_>>(),
        "primary_host": selection.primary_host,
        "primary_role": selection.primary_role.map(|role| role.name.as_str()).unwrap_or_default(),
        "app_hosts": selection.app_hosts,
        "proxy_hosts": selection.proxy_hosts,
        "accessory_hosts": selection.accessory_hosts,
        "boot_groups": selection.groups,
    } })
}

fn quoting(vector: &Json) -> Json {
    let value = text(vector, "value");
    json!({ "normal_form": normal_form(&quoted(value)), "argument": argument(value) })
}

fn normal_form(value: &Value) -> Json {
    let part = |part: &Part| match part {
        Part::Remote(expansion) => json!({ "remote": expansion.text }),
        Part::Text(text) => json!(text),
        other => panic!("{other:?} in a quoted value"),
    };
    match value.parts() {
        [] => json!(""),
        [only] => part(only),
        many => json!({ "concat": many.iter().map(part).collect::<Vec<_>>() }),
    }
}

/// Image tags, as Kamal compares those of its proxy: without their `v`.
fn version_order(vector: &Json) -> Json {
    let bare = |key: &str| {
        text(vector, key)
            .strip_prefix('v')
            .unwrap_or(text(vector, key))
            .to_owned()
    };
    match version::compare(&bare("a"), &bare("b")) {
        Some(order) => json!({ "older": order == Ordering::Less }),
        None => json!({ "older": "error" }),
    }
}

fn arguments(vector: &Json) -> Json {
    let tree = yaml::read(&vector["map"].to_string(), 0, &mut Findings::default());
    let tree = tree.expect("JSON is YAML");
    let words = match text(vector, "fn") {
        "optionize" => optionize(&tree, vector["with"].as_str()),
        _ => argumentize(text(vector, "flag"), &tree),
    };
    json!({ "expected": words })
}

fn builder_name(vector: &Json) -> Json {
    json!({ "expected": remote_name(text(vector, "remote")) })
}
