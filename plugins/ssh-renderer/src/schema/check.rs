//! A tree against a shape: every finding, each with the path Kamal would name.

use crate::diagnostic::Findings;
use crate::schema::Shape;
use crate::yaml::{Entry, Kind, Node};

/// `servers/web` and `hosts` to `servers/web/hosts`.
pub fn join(path: &str, key: &str) -> String {
    match (path.is_empty(), key.is_empty()) {
        (true, _) => key.to_owned(),
        (_, true) => path.to_owned(),
        (false, false) => format!("{path}/{key}"),
    }
}

/// `path: message`, or just the message for the whole file.
pub fn say(path: &str, message: &str) -> String {
    if path.is_empty() {
        message.to_owned()
    } else {
        format!("{path}: {message}")
    }
}

/// Checks a value; true when it has the right shape all the way down.
pub fn check(node: &Node, shape: &Shape, path: &str, findings: &mut Findings) -> bool {
    match shape {
        Shape::Any => true,
        Shape::Text => expect(
            node.as_stringish().is_some(),
            node,
            "a string",
            path,
            findings,
        ),
        Shape::Integer => expect(node.as_int().is_some(), node, "an integer", path, findings),
        Shape::Boolean => expect(node.as_bool().is_some(), node, "a boolean", path, findings),
        Shape::AnyMap => expect(node.as_map().is_some(), node, "a hash", path, findings),
        Shape::Switch => expect(
            node.as_map().is_some() || node.as_bool().is_some(),
            node,
            "a hash",
            path,
            findings,
        ),
        Shape::AnyMapOrList => {
            let good = node.as_map().is_some() || node.as_list().is_some();
            expect(good, node, "an array or a hash", path, findings)
        }
        Shape::Ssl => {
            let good = node.as_map().is_some() || node.as_bool().is_some();
            expect(good, node, "a boolean or a hash", path, findings)
        }
        Shape::List(item) => {
            expect(node.as_list().is_some(), node, "an array", path, findings)
                && each_item(node.items(), path, |node, path| {
                    check(node, item, path, findings)
                })
        }
        Shape::OneOrList(item) => {
            let mut unheard = Findings::default();
            let good = match node.as_list() {
                Some(items) => each_item(items, path, |node, path| {
                    check(node, item, path, &mut unheard)
                }),
                None => check(node, item, path, &mut unheard),
            };
            expect(good, node, "an array or a string", path, findings)
        }
        Shape::MapOf(value) => {
            expect(node.as_map().is_some(), node, "a hash", path, findings)
                && each_entry(node.entries(), path, |node, path| {
                    check(node, value, path, findings)
                })
        }
        Shape::Keys(keys) => {
            expect(node.as_map().is_some(), node, "a hash", path, findings) && {
                let known = unknown_keys(node, keys.iter().map(|(key, _)| *key), path, findings);
                let mut good = true;
                for Entry { key, value } in node.entries() {
                    let shape = keys.iter().find(|(known, _)| key.as_str() == Some(known));
                    good &= shape.is_none_or(|(name, shape)| {
                        check(value, shape, &join(path, name), findings)
                    });
                }
                known && good
            }
        }
        Shape::Hosts => hosts(node, path, findings),
        Shape::SshConfig => match node.as_list() {
            Some(items) => each_item(items, path, |node, path| {
                check(node, &Shape::Text, path, findings)
            }),
            None => {
                let good = node.as_bool().is_some() || node.as_str().is_some();
                expect(
                    good,
                    node,
                    "a boolean or a string or an array",
                    path,
                    findings,
                )
            }
        },
        Shape::Paths => {
            expect(node.as_list().is_some(), node, "an array", path, findings)
                && each_item(node.items(), path, |node, path| {
                    one_path(node, path, findings)
                })
        }
        Shape::HooksOutput => match node.as_map() {
            Some(hooks) => each_entry(hooks, path, |node, path| {
                expect(node.as_stringish().is_some(), node, LEVEL, path, findings)
            }),
            None => expect(node.as_stringish().is_some(), node, LEVEL, path, findings),
        },
    }
}

const LEVEL: &str = "a string or a symbol";

fn expect(good: bool, node: &Node, what: &str, path: &str, findings: &mut Findings) -> bool {
    if !good {
        let found = match &node.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "a boolean",
            Kind::Int(_) => "an integer",
            Kind::Float(_) => "a number with a point",
            Kind::Text(_) => "a string",
            Kind::Symbol(_) => "a symbol",
            Kind::Date(_) => "a date",
            Kind::Time(_) => "a time",
            Kind::List(_) => "an array",
            Kind::Map(_) => "a hash",
        };
        let diagnostic = findings.error(
            "wrong-type",
            say(path, &format!("should be {what}")),
            Some(node.at),
        );
        match (&node.kind, what) {
            (Kind::Null, _) => diagnostic.help("give it a value, or remove the key"),
            (Kind::Text(text), "an integer") if text.parse::<i64>().is_ok() => {
                diagnostic.help("remove the quotes")
            }
            (Kind::Date(_) | Kind::Time(_), "a string") => {
                diagnostic.help(format!("this is {found}: put it in quotes"))
            }
            _ => diagnostic.help(format!("this is {found}")),
        }
    }
    good
}

/// Every item is looked at, also after a bad one.
fn each_item(items: &[Node], path: &str, mut good: impl FnMut(&Node, &str) -> bool) -> bool {
    let mut all = true;
    for (index, item) in items.iter().enumerate() {
        all &= good(item, &join(path, &index.to_string()));
    }
    all
}

fn each_entry(entries: &[Entry], path: &str, mut good: impl FnMut(&Node, &str) -> bool) -> bool {
    let mut all = true;
    for Entry { key, value } in entries {
        all &= good(value, &join(path, &key.to_text()));
    }
    all
}

/// Reports the keys of a mapping that nobody knows; at the root, `x-…` belongs to the user.
pub fn unknown_keys<'k>(
    node: &Node,
    known: impl Iterator<Item = &'k str> + Clone,
    path: &str,
    findings: &mut Findings,
) -> bool {
    let unknown: Vec<&Node> = node
        .entries()
        .iter()
        .map(|e| &e.key)
        .filter(|key| {
            key.as_str()
                .is_none_or(|key| known.clone().all(|k| k != key))
        })
        .filter(|key| !(path.is_empty() && key.to_text().starts_with("x-")))
        .collect();
    let Some(first) = unknown.first() else {
        return true;
    };
    let names: Vec<String> = unknown.iter().map(|key| key.to_text()).collect();
    let plural = if names.len() > 1 { "s" } else { "" };
    let message = say(path, &format!("unknown key{plural}: {}", names.join(", ")));
    let diagnostic = findings.error("unknown-key", message, Some(first.at));
    let near: Vec<String> = names
        .iter()
        .filter_map(|name| nearest(name, known.clone()))
        .collect();
    if near.is_empty() {
        diagnostic.help(format!(
            "known here: {}",
            known.collect::<Vec<_>>().join(", ")
        ));
    } else {
        diagnostic.help(format!(
            "did you mean {}?",
            near.iter()
                .map(|n| format!("`{n}`"))
                .collect::<Vec<_>>()
                .join(", ")
        ));
    }
    false
}

/// Whether a key is there after all, in another spelling: then it is not missing as well.
pub fn misspelt(node: &Node, shape: &Shape, key: &str) -> bool {
    let Shape::Keys(keys) = shape else {
        return false;
    };
    let known = keys.iter().map(|(key, _)| *key);
    let mut names = node.entries().iter().map(|e| e.key.to_text());
    names.any(|name| {
        known.clone().all(|known| known != name)
            && nearest(&name, known.clone()).as_deref() == Some(key)
    })
}

/// The known name closest to a misspelt one, when it is close enough to be meant.
pub fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<String> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    known
        .map(|known| (strsim::osa_distance(&name, known), known))
        .filter(|(distance, known)| *distance <= known.chars().count().max(3) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known.to_owned())
}

/// Host names, or one host with its tags.
pub fn hosts(node: &Node, path: &str, findings: &mut Findings) -> bool {
    expect(node.as_list().is_some(), node, "an array", path, findings)
        && each_item(node.items(), path, |item, path| {
            let Some(entries) = item.as_map() else {
                return expect(
                    item.as_stringish().is_some(),
                    item,
                    "a string or a hash",
                    path,
                    findings,
                );
            };
            let [Entry { key, value: tags }] = entries else {
                findings
                    .error(
                        "multiple-hosts",
                        say(path, "multiple hosts found"),
                        Some(item.at),
                    )
                    .help("give every host its own list item");
                return false;
            };
            let path = join(path, &key.to_text());
            match tags.as_list() {
                Some(tags) => each_item(tags, &path, |tag, path| {
                    check(tag, &Shape::Text, path, findings)
                }),
                None => expect(
                    tags.as_stringish().is_some(),
                    tags,
                    "a string or an array",
                    &path,
                    findings,
                ),
            }
        })
}

fn one_path(node: &Node, path: &str, findings: &mut Findings) -> bool {
    if node.as_map().is_none() {
        return expect(
            node.as_stringish().is_some(),
            node,
            "a string or a hash",
            path,
            findings,
        );
    }
    let mut good = true;
    for key in ["local", "remote", "mode", "owner", "options"] {
        good &= node
            .get(key)
            .is_none_or(|value| check(value, &Shape::Text, &join(path, key), findings));
    }
    good
}
