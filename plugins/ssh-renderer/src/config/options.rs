//! `options`: any options of `docker run`. Some of them mean the same as keys of the configuration and go there.

use release::Value;

use crate::diagnostic::{Findings, Mark};
use crate::shell::quoted;
use crate::yaml::{Entry, Kind, Node};

/// One option; a list gives several of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerOption {
    /// Long name without dashes.
    pub name: String,
    /// `true` for a flag.
    pub value: Value,
    /// Where it is written.
    pub at: Mark,
}

/// The options in the order of the file, without `restart`.
pub fn flatten(options: Option<&Node>) -> Vec<DockerOption> {
    let mut flat = Vec::new();
    let entries = options.map(Node::entries).unwrap_or_default();
    for Entry { key, value } in entries.iter().filter(|e| e.key.to_text() != "restart") {
        let mut add = |node: &Node| {
            let value = match node.kind {
                Kind::Bool(true) | Kind::Null => Value::text("true"),
                _ => quoted(&node.to_text()),
            };
            flat.push(DockerOption {
                name: key.to_text(),
                value,
                at: node.at,
            });
        };
        if let Some(items) = value.as_list() {
            items.iter().for_each(&mut add);
        } else if let Some(pairs) = value.as_map() {
            // Kamal prints a mapping's pairs; nothing sensible comes of it, but it is accepted.
            for Entry { key, value } in pairs {
                add(&Node {
                    kind: Kind::List(vec![key.clone(), value.clone()]),
                    at: value.at,
                });
            }
        } else {
            add(value);
        }
    }
    flat
}

/// Text where only the configuration itself may say what it is: names of images and networks, on which grants depend.
pub fn plain(value: &Value, path: &str, at: Mark, findings: &mut Findings) -> String {
    if value.is_remote() {
        let shown = value.shown();
        let message = format!("{path}: `{shown}` is not known before it is deployed");
        findings
            .error("unknown-value", message, Some(at))
            .help("write it out, or use ERB: `<%= ENV[\"NAME\"] %>`");
    }
    value.shown().into_owned()
}
