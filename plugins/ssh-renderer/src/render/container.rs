//! What containers of roles and of accessories have in common.

use std::collections::BTreeMap;

use release::{Log, Part, Value};

use crate::config::env::Env;
use crate::config::options::{self, plain};
use crate::diagnostic::{Findings, Mark};
use crate::render::source::Sources;
use crate::secret::Secrets;
use crate::shell::quoted;
use crate::yaml::{Entry, Kind, Node};

/// Where something is rendered: its document, and what is said on the way.
pub struct Place<'p> {
    /// Address of the document.
    pub address: &'p str,
    /// Where its properties come from.
    pub sources: &'p mut Sources,
    /// What is wrong.
    pub findings: &'p mut Findings,
}

impl Place<'_> {
    /// Notes where a property comes from.
    pub fn mark(&mut self, keys: &[&str], at: Option<Mark>) {
        self.sources.add(self.address, keys, at);
    }
}

/// What `docker run` is told, as far as keys and options of the configuration say it.
#[derive(Debug)]
pub struct Container {
    /// Environment.
    pub env: BTreeMap<String, Value>,
    /// Labels.
    pub labels: BTreeMap<String, Value>,
    /// Volumes.
    pub volumes: Vec<Value>,
    /// Networks.
    pub networks: Vec<String>,
    /// Restart policy.
    pub restart: String,
    /// Other options.
    pub options: Vec<(String, Value)>,
}

/// The environment: secrets, then the given variables, then clear values; the later ones win, as Docker lets `--env` win
/// over the env file and the later `--env` over the earlier. `starts`: secrets must be there.
pub fn env(
    own: &Env,
    given: &[(&str, &str)],
    secrets: &Secrets<'_>,
    starts: bool,
    place: &mut Place<'_>,
) -> BTreeMap<String, Value> {
    let mut env = BTreeMap::new();
    let mut add = |name: &str, value: Value, at: Option<Mark>, place: &mut Place<'_>| {
        place.mark(&["env", name], at);
        env.insert(name.to_owned(), value);
    };
    for secret in &own.secret {
        if starts {
            secrets.check(&secret.key, Some(secret.at), place.findings);
        }
        let value = Value::env_file_secret(&secret.key);
        add(&secret.name, value, Some(secret.at), place);
    }
    for (name, value) in given {
        add(name, Value::text(*value), None, place);
    }
    for clear in &own.clear {
        add(
            &clear.name,
            clear_value(&clear.name, &clear.value),
            Some(clear.at),
            place,
        );
    }
    env
}

/// Without a value, Docker copies a variable from the shell that starts it.
pub fn clear_value(name: &str, value: &Node) -> Value {
    if value.is_present() || value.kind == Kind::Bool(false) {
        quoted(&value.to_text())
    } else {
        Value::inherit(name)
    }
}

/// Labels of several sections over the given ones; the path is the section's.
pub fn labels(
    given: &[(&str, &str)],
    sections: &[Option<&Node>],
    place: &mut Place<'_>,
) -> BTreeMap<String, Value> {
    let given = given
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Value::text(*value)));
    let mut labels: BTreeMap<String, Value> = given.collect();
    for section in sections.iter().flatten() {
        for Entry { key, value } in section.entries() {
            let name = key.to_text();
            let value = match value.is_present() || value.as_bool().is_some() {
                true => quoted(&value.to_text()),
                false => Value::default(),
            };
            place.mark(&["labels", &name], Some(key.at));
            labels.insert(name, value);
        }
    }
    labels
}

/// A `logging` section; anything in it replaces the default of 10 MB.
pub fn log(logging: Option<&Node>) -> Log {
    let get = |key: &str| {
        logging
            .and_then(|logging| logging.get(key))
            .filter(|node| node.is_present())
    };
    let option = |Entry { key, value }: &Entry| {
        let value = match value.is_present() || value.as_bool().is_some() {
            true => quoted(&value.to_text()),
            false => Value::default(),
        };
        (key.to_text(), value)
    };
    let options = get("options").map(Node::entries).unwrap_or_default();
    let log = Log {
        driver: get("driver").map(|node| quoted(&node.to_text())),
        options: options.iter().map(option).collect(),
    };
    if log == Log::default() {
        let size = ("max-size".to_owned(), Value::text("10m"));
        return Log {
            options: BTreeMap::from([size]),
            ..log
        };
    }
    log
}

impl Container {
    /// Adds `options`. Those that mean the same as a key of the configuration go where that key goes.
    pub fn add_options(&mut self, options: Option<&Node>, path: &str, place: &mut Place<'_>) {
        let restart = options.and_then(|options| options.get("restart"));
        if let Some(policy) = restart {
            self.restart = policy.to_text();
            place.mark(&["restart"], Some(policy.at));
        }
        for option in options::flatten(options) {
            self.add_option(option, path, place);
        }
    }

    fn add_option(&mut self, option: options::DockerOption, path: &str, place: &mut Place<'_>) {
        let at = Some(option.at);
        let path = format!("{path}/{}", option.name);
        match option.name.as_str() {
            "network" | "net" => {
                self.networks
                    .push(plain(&option.value, &path, option.at, place.findings));
            }
            "volume" => {
                place.mark(&["volumes", &self.volumes.len().to_string()], at);
                self.volumes.push(super::unquoted::below_home(option.value));
            }
            "label" => {
                let (name, value) = pair(&option.value);
                place.mark(&["labels", &name], at);
                self.labels.insert(name, value.unwrap_or_default());
            }
            "env" => {
                let (name, value) = pair(&option.value);
                place.mark(&["env", &name], at);
                let value = value.unwrap_or_else(|| Value::inherit(&name));
                self.env.insert(name, value);
            }
            _ => {
                place.mark(&["options", &self.options.len().to_string()], at);
                self.options.push((option.name, option.value));
            }
        }
    }
}

/// `NAME=VALUE`, or just a name.
fn pair(value: &Value) -> (String, Option<Value>) {
    let mut parts = value.parts().iter().cloned();
    match parts.next() {
        Some(Part::Text(text)) => match text.split_once('=') {
            Some((name, first)) => {
                let rest: Value = parts.collect();
                (name.to_owned(), Some(Value::text(first).and(rest)))
            }
            None => (value.shown().into_owned(), None),
        },
        Some(_) | None => (value.shown().into_owned(), None),
    }
}
