//! `${NAME}` in manifest values.
//!
//! Substitution happens in every environment's section, before types are looked at; what was substituted stays a text.

use crate::cfn::print;
use crate::diagnostic::{Findings, code};
use crate::yaml::{Data, Node, Scalar, Span};
use std::collections::{BTreeMap, BTreeSet};

/// Values that `${…}` may name.
#[derive(Clone, Debug)]
pub struct Variables<'a> {
    /// `COPILOT_APPLICATION_NAME`.
    pub application: &'a str,
    /// `COPILOT_ENVIRONMENT_NAME`.
    pub environment: &'a str,
    /// The process environment, as far as the manifest refers to it.
    pub process: &'a BTreeMap<String, String>,
}

/// A piece of the manifest text that substitution changed.
struct Edit {
    range: (usize, usize),
    text: String,
}

/// Substitutes in the whole tree and returns the manifest text with the same substitutions.
pub fn interpolate(
    root: &mut Node,
    text: &str,
    variables: &Variables<'_>,
    findings: &mut Findings,
) -> String {
    let mut edits = Vec::new();
    walk(root, variables, &mut edits, findings);
    edits.sort_by_key(|e: &Edit| e.range);
    edits.dedup_by_key(|e| e.range);
    let characters: Vec<char> = if edits.is_empty() {
        Vec::new()
    } else {
        text.chars().collect()
    };
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for edit in &edits {
        let (from, to) = edit.range;
        if from < done || to > characters.len() {
            continue;
        }
        out.extend(&characters[done..from]);
        out.push_str(&edit.text);
        done = to;
    }
    if edits.is_empty() {
        return text.to_owned();
    }
    out.extend(&characters[done..]);
    out
}

fn walk(
    node: &mut Node,
    variables: &Variables<'_>,
    edits: &mut Vec<Edit>,
    findings: &mut Findings,
) {
    let span = node.span;
    match &mut node.data {
        Data::List(items) => items
            .iter_mut()
            .for_each(|n| walk(n, variables, edits, findings)),
        Data::Map(entries) => {
            for (_, value) in entries.iter_mut() {
                walk(value, variables, edits, findings);
            }
        }
        Data::Scalar(scalar) => {
            if !scalar.text.contains("${") {
                return;
            }
            let Some(text) = substitute(&scalar.text, span, variables, findings) else {
                return;
            };
            if text == scalar.text {
                return;
            }
            if !scalar.literal
                && let Some(items) = text_array(&text)
            {
                let printed: Vec<String> = items
                    .iter()
                    .map(|i| print::scalar(i).into_owned())
                    .collect();
                edits.push(Edit {
                    range: scalar.range,
                    text: format!("[{}]", printed.join(", ")),
                });
                node.data = Data::List(items.into_iter().map(|i| quoted(span, i)).collect());
                return;
            }
            if !scalar.literal {
                edits.push(Edit {
                    range: scalar.range,
                    text: print::scalar(&text).into_owned(),
                });
            }
            scalar.text = text;
            scalar.plain = false;
        }
    }
}

fn quoted(span: Span, text: String) -> Node {
    Node {
        span,
        tag: None,
        data: Data::Scalar(Scalar {
            text,
            plain: false,
            literal: false,
            range: (0, 0),
        }),
    }
}

/// The items, if the text is a JSON array of texts with at least one item.
fn text_array(text: &str) -> Option<Vec<String>> {
    let items: Vec<String> = serde_json::from_str(text).ok()?;
    (!items.is_empty()).then_some(items)
}

fn substitute(
    text: &str,
    span: Span,
    variables: &Variables<'_>,
    findings: &mut Findings,
) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut known = true;
    while let Some(start) = rest.find("${") {
        let Some(name) = variable_name(&rest[start + 2..]) else {
            out.push_str(&rest[..start + 2]);
            rest = &rest[start + 2..];
            continue;
        };
        let after = &rest[start + 2 + name.len() + 1..];
        if let Some(before) = rest[..start].strip_suffix('\\') {
            out.push_str(before);
            out.push_str(&format!("${{{name}}}"));
        } else {
            out.push_str(&rest[..start]);
            match value(name, span, variables, findings) {
                Some(value) => out.push_str(value),
                None => known = false,
            }
        }
        rest = after;
    }
    out.push_str(rest);
    known.then_some(out)
}

/// Every name that the tree's values refer to.
pub fn names(node: &Node, found: &mut BTreeSet<String>) {
    match &node.data {
        Data::List(items) => items.iter().for_each(|item| names(item, found)),
        Data::Map(entries) => entries.iter().for_each(|(_, value)| names(value, found)),
        Data::Scalar(scalar) => {
            let pieces = scalar.text.split("${").skip(1);
            found.extend(pieces.filter_map(variable_name).map(str::to_owned));
        }
    }
}

/// The name at the start of `text` if a closing brace follows it.
fn variable_name(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
    let name = &text[..end];
    let valid = text[end..].starts_with('}')
        && !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit());
    valid.then_some(name)
}

fn value<'a>(
    name: &str,
    span: Span,
    variables: &Variables<'a>,
    findings: &mut Findings,
) -> Option<&'a str> {
    let predefined = match name {
        "COPILOT_APPLICATION_NAME" => Some(variables.application),
        "COPILOT_ENVIRONMENT_NAME" => Some(variables.environment),
        _ => None,
    };
    let process = variables.process.get(name).map(String::as_str);
    match (predefined, process) {
        (Some(predefined), Some(process)) if predefined != process => {
            findings.coded(code::VARIABLE).error(
                span,
                format!("predefined variable `{name}` is `{predefined}`, but the process environment says `{process}`"),
                format!("unset {name} in the shell"),
            );
            None
        }
        (Some(predefined), _) => Some(predefined),
        (None, Some(process)) => Some(process),
        (None, None) => {
            findings.coded(code::VARIABLE).error(
                span,
                format!("environment variable `{name}` is not defined"),
                format!("set {name} in the shell, or write `\\${{{name}}}` for the literal text"),
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    fn run(text: &str) -> (Node, String, bool) {
        let process = BTreeMap::from([
            ("TAG".to_owned(), "1e3".to_owned()),
            ("LIST".to_owned(), "[\"a\",\"b\"]".to_owned()),
        ]);
        let variables = Variables {
            application: "shop",
            environment: "test",
            process: &process,
        };
        let mut node = yaml::parse(text, 0).expect("valid yaml");
        let mut findings = Findings::default();
        let out = interpolate(&mut node, text, &variables, &mut findings);
        (node, out, findings.failed())
    }

    #[test]
    fn names_are_replaced_and_stay_texts() {
        let (node, text, failed) =
            run("a: x${TAG}\nb: ${TAG}\nc: \\${TAG}\nd: $TAG\ne: ${COPILOT_APPLICATION_NAME}\n");
        assert!(!failed);
        for (key, value) in [
            ("a", "x1e3"),
            ("b", "1e3"),
            ("c", "${TAG}"),
            ("d", "$TAG"),
            ("e", "shop"),
        ] {
            assert_eq!(node.get(key).and_then(Node::text), Some(value), "{key}");
        }
        assert_eq!(node.get("b").and_then(Node::number), None);
        assert_eq!(text, "a: x1e3\nb: '1e3'\nc: '${TAG}'\nd: $TAG\ne: shop\n");
    }

    #[test]
    fn a_json_array_of_texts_becomes_a_list() {
        let (node, text, _) = run("a: ${LIST}\n");
        assert_eq!(
            node.get("a").and_then(Node::items).map(<[Node]>::len),
            Some(2)
        );
        assert_eq!(text, "a: [a, b]\n");
    }

    #[test]
    fn an_unknown_name_is_refused() {
        assert!(run("a: ${NOPE}\n").2);
    }
}
