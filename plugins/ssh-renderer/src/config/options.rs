//! `options`: any options of `docker run`. Some of them mean the same as keys of the configuration and go there.

use crate::diagnostic::{Findings, Mark};
use crate::schema::check::join;
use crate::shell::{Piece, quoted};
use crate::yaml::{Entry, Kind, Node};

/// One option; a list gives several of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerOption {
    /// Long name without dashes.
    pub name: String,
    /// `true` for a flag.
    pub value: String,
    /// Where it is written.
    pub at: Mark,
}

/// The options in the order of the file, without `restart`.
pub fn flatten(options: Option<&Node>, path: &str, findings: &mut Findings) -> Vec<DockerOption> {
    let mut flat = Vec::new();
    let entries = options.map(Node::entries).unwrap_or_default();
    for Entry { key, value } in entries.iter().filter(|e| e.key.to_text() != "restart") {
        let name = key.to_text();
        let path = join(path, &name);
        let mut add = |node: &Node| {
            let flag = matches!(node.kind, Kind::Bool(true) | Kind::Null);
            let value = if flag {
                "true".to_owned()
            } else {
                literal(node, &path, findings)
            };
            flat.push(DockerOption {
                name: name.clone(),
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

/// What a quoted value is in the container; values that only the server's shell knows are refused.
pub fn literal(node: &Node, path: &str, findings: &mut Findings) -> String {
    let mut literal = String::new();
    for piece in quoted(&node.to_text()) {
        match piece {
            Piece::Text(text) => literal.push_str(&text),
            Piece::Remote(variable) => {
                findings
                    .not_yet(
                        format!("{path}: `${{{variable}}}` from the server's environment"),
                        Some(node.at),
                    )
                    .help("write the value here, or put it in a secret");
            }
        }
    }
    literal
}
