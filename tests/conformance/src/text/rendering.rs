//! Codecs of the renderer: YAML, quoting, patterns, selection.

use std::cmp::Ordering;

use release::{Part, Value};
use serde_json::{Value as Json, json};
use ssh_renderer::config::Config;
use ssh_renderer::diagnostic::Findings;
use ssh_renderer::options::Options;
use ssh_renderer::render::build::remote_name;
use ssh_renderer::selection::select;
use ssh_renderer::shell::argument::{argument, argumentize, optionize};
use ssh_renderer::shell::quoted;
use ssh_renderer::yaml::{self, Entry, Kind, Node};
use ssh_renderer::{glob, version};

use super::text;

fn strings(json: &Json) -> Vec<String> {
    json.as_array()
        .into_iter()
        .flatten()
        .filter_map(|s| s.as_str().map(str::to_owned))
        .collect()
}

/// A scalar after `k: `.
pub fn scalar(vector: &Json) -> Json {
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

/// A document, as JSON.
pub fn document(vector: &Json) -> Json {
    match yaml::read(text(vector, "text"), 0, &mut Findings::default()) {
        Some(node) => json!({ "expected": to_json(&node) }),
        None => json!({ "error": true }),
    }
}

/// Patterns of hosts and roles.
pub fn glob_matches(vector: &Json) -> Json {
    let items = strings(&vector["items"]);
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    json!({ "expected": glob::select(&strings(&vector["filters"]), &items) })
}

/// What filters leave of a configuration.
pub fn selection(vector: &Json) -> Json {
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

/// A quoted value.
pub fn quoting(vector: &Json) -> Json {
    let value = text(vector, "value");
    json!({ "normal_form": normal_form(&quoted(value)), "argument": argument(value) })
}

fn normal_form(value: &Value) -> Json {
    let part = |part: &Part| match part {
        Part::Remote(expansion) => json!({ "remote": expansion.text }),
        Part::Text(text) => json!(text),
        Part::Secret(..) | Part::Slot(_) | Part::Inherit(_) | Part::File(_) => Json::Null,
    };
    match value.parts() {
        [] => json!(""),
        [only] => part(only),
        many => json!({ "concat": many.iter().map(part).collect::<Vec<_>>() }),
    }
}

/// Image tags, as Kamal compares those of its proxy: without their `v`.
pub fn version_order(vector: &Json) -> Json {
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

/// Maps and lists as Docker's arguments.
pub fn arguments(vector: &Json) -> Json {
    let tree = yaml::read(&vector["map"].to_string(), 0, &mut Findings::default());
    let Some(tree) = tree else {
        return Json::Null;
    };
    let words = match text(vector, "fn") {
        "optionize" => optionize(&tree, vector["with"].as_str()),
        _ => argumentize(text(vector, "flag"), &tree),
    };
    json!({ "expected": words })
}

/// Name of a remote builder.
pub fn builder_name(vector: &Json) -> Json {
    json!({ "expected": remote_name(text(vector, "remote")) })
}

/// What a container's host name begins with.
pub fn hostname(vector: &Json) -> Json {
    json!({ "prefix": release::Role::hostname_prefix(text(vector, "host")) })
}
