//! What `kamal config` prints: the merged configuration with its defaults, as YAML with Ruby's symbols for keys.

use crate::config::Config;
use crate::render::{Rendering, image};
use crate::shell::argument::{argumentize, optionize};
use crate::yaml::{Entry, Kind, Node, dump};

/// Address of the document.
pub const ADDRESS: &str = "settings";
/// Its media type.
pub const MEDIA_TYPE: &str = "application/yaml";

/// The text.
pub fn yaml(rendering: &Rendering<'_>) -> String {
    let Rendering {
        config,
        selection,
        version,
        ..
    } = *rendering;
    let root = &config.root;
    let names = |names: &[&str]| list(names.iter().map(|name| text(name)).collect());
    let roles: Vec<&str> = config.roles.iter().map(|role| role.name.as_str()).collect();
    let given = |key: &str| root.get(key).cloned();
    let volumes = given("volumes").unwrap_or_else(|| list(Vec::new()));
    let words = |words: Vec<String>| list(words.iter().map(|word| text(word)).collect());
    let pairs = [
        ("roles", Some(names(&roles))),
        ("hosts", Some(names(&config.all_hosts()))),
        ("primary_host", Some(text(selection.primary_host))),
        ("version", Some(text(version))),
        ("repository", Some(text(&config.repository()))),
        (
            "absolute_image",
            Some(text(&image::reference(config, version))),
        ),
        (
            "service_with_version",
            Some(text(&format!("{}-{version}", config.service))),
        ),
        (
            "volume_args",
            Some(words(argumentize("--volume", &volumes))),
        ),
        ("ssh_options", Some(ssh(config))),
        (
            "sshkit",
            Some(given("sshkit").unwrap_or_else(|| map(Vec::new()))),
        ),
        ("builder", given("builder")),
        ("accessories", given("accessories")),
        ("logging", Some(words(logging(config)))),
    ];
    let pairs = pairs
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)));
    dump(&map(pairs.collect()))
}

fn ssh(config: &Config) -> Node {
    let given = |key: &str| config.root.dig(&["ssh", key]).cloned();
    let proxy = given("proxy").map(|proxy| match proxy.to_text() {
        jump if jump.contains('@') => text(&jump),
        jump => text(&format!("root@{jump}")),
    });
    let pairs = [
        ("user", Some(given("user").unwrap_or_else(|| text("root")))),
        ("port", Some(given("port").unwrap_or_else(|| number(22)))),
        ("proxy", proxy),
        ("proxy_command", given("proxy_command")),
        ("keepalive", Some(flag(true))),
        ("keepalive_interval", Some(number(30))),
        ("keys_only", given("keys_only")),
        ("keys", given("keys")),
        ("config", given("config")),
        ("forward_agent", given("forward_agent")),
        (
            "log_level",
            Some(symbol(
                &given("log_level").map_or("fatal".to_owned(), |level| level.to_text()),
            )),
        ),
    ];
    let pairs = pairs
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)));
    map(pairs.collect())
}

fn logging(config: &Config) -> Vec<String> {
    let get = |key: &str| {
        let node = config.root.dig(&["logging", key]);
        node.filter(|node| node.is_present())
    };
    let driver = get("driver").map(|driver| map(vec![("log-driver", driver.clone())]));
    let options = get("options").map(|options| argumentize("--log-opt", options));
    match (driver, options) {
        (None, None) => argumentize("--log-opt", &map(vec![("max-size", text("10m"))])),
        (driver, options) => {
            let driver = driver.map(|driver| {
                let Kind::Map(entries) = driver.kind else {
                    return Vec::new();
                };
                let plain = entries.into_iter().map(|entry| Entry {
                    key: text(&entry.key.to_text()),
                    ..entry
                });
                optionize(&node(Kind::Map(plain.collect())), None)
            });
            [driver.unwrap_or_default(), options.unwrap_or_default()].concat()
        }
    }
}

fn node(kind: Kind) -> Node {
    Node {
        kind,
        at: Default::default(),
    }
}

fn text(text: &str) -> Node {
    node(Kind::Text(text.to_owned()))
}

fn symbol(name: &str) -> Node {
    node(Kind::Symbol(name.to_owned()))
}

fn number(number: i128) -> Node {
    node(Kind::Int(number))
}

fn flag(flag: bool) -> Node {
    node(Kind::Bool(flag))
}

fn list(items: Vec<Node>) -> Node {
    node(Kind::List(items))
}

fn map(pairs: Vec<(&str, Node)>) -> Node {
    let entry = |(key, value)| Entry {
        key: symbol(key),
        value,
    };
    node(Kind::Map(pairs.into_iter().map(entry).collect()))
}
