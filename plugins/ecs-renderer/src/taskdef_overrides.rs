//! `taskdef_overrides`: values put into the task definition by path.

use crate::cfn::{Value, path};
use crate::diagnostic::Findings;
use crate::schema::{Object, Shape};
use crate::yaml::{At, Node};

/// A list of paths and values.
pub(crate) const SHAPE: Shape = Shape::List(&Shape::Object(&Object {
    fields: &[("path", Shape::Text), ("value", Shape::Any)],
    exclusive: &[],
}));

/// One override.
#[derive(Clone, Debug)]
pub(crate) struct Override {
    path: At<String>,
    segments: Vec<Segment>,
    value: Value,
}

#[derive(Clone, Debug, PartialEq)]
enum Segment {
    Key(String),
    Index(usize),
    Append,
}

/// Reads and checks the list.
pub(crate) fn read(root: &Node, findings: &mut Findings) -> Vec<Override> {
    root.items_at("taskdef_overrides")
        .iter()
        .enumerate()
        .filter_map(|(i, node)| {
            let Some(path) = node.text_at("path") else {
                findings.error(
                    node.span,
                    format!("`taskdef_overrides[{i}].path` must be specified"),
                    "for example `ContainerDefinitions[0].Ulimits[-].Name`",
                );
                return None;
            };
            let Some(segments) = parse(&path.value) else {
                findings.error(
                    path.span,
                    format!("`taskdef_overrides[{i}].path` cannot be `{}`", path.value),
                    "write keys with dots between them, `[n]` for an item and `[-]` for a new one",
                );
                return None;
            };
            if is_reserved(&segments) {
                findings.error(
                    path.span,
                    format!(
                        "`taskdef_overrides[{i}].path` `{}` cannot be overridden",
                        path.value
                    ),
                    "`Family` and container names identify the task definition",
                );
                return None;
            }
            let value = node
                .entries()
                .and_then(|e| e.iter().find(|(k, _)| k.text == "value"))
                .map_or(Value::Raw("null".into()), |(_, v)| Value::from_node(v));
            Some(Override {
                value: value.at(path.span),
                path,
                segments,
            })
        })
        .collect()
}

fn parse(path: &str) -> Option<Vec<Segment>> {
    let mut segments = Vec::new();
    for part in path.split('.') {
        let (key, mut rest) = part.split_at(part.find('[').unwrap_or(part.len()));
        if key.is_empty() || key.contains(']') {
            return None;
        }
        segments.push(Segment::Key(key.to_owned()));
        while !rest.is_empty() {
            let (index, tail) = rest.strip_prefix('[')?.split_once(']')?;
            segments.push(if index == "-" {
                Segment::Append
            } else {
                Segment::Index(index.parse().ok()?)
            });
            rest = tail;
        }
    }
    Some(segments)
}

fn is_reserved(segments: &[Segment]) -> bool {
    let is_key = |segment: &Segment, name: &str| matches!(segment, Segment::Key(k) if k == name);
    match segments {
        [family] => is_key(family, "Family"),
        [list, Segment::Index(_), name] => {
            is_key(list, "ContainerDefinitions") && is_key(name, "Name")
        }
        _ => false,
    }
}

/// Applies the overrides to the properties of the task definition.
pub(crate) fn apply(overrides: &[Override], properties: &mut Value, findings: &mut Findings) {
    for change in overrides {
        if let Err(problem) = put(properties, &change.segments, "", &change.value) {
            findings.error(
                change.path.span,
                format!(
                    "`taskdef_overrides` path `{}` cannot be applied: {problem}",
                    change.path.value
                ),
                "use [-] to append to a list",
            );
        }
    }
}

fn put(value: &mut Value, segments: &[Segment], at: &str, new: &Value) -> Result<(), String> {
    let Some((segment, rest)) = segments.split_first() else {
        *value = new.clone();
        return Ok(());
    };
    match segment {
        Segment::Key(key) => {
            let fresh = || Value::Map(Vec::new());
            if !matches!(value.bare(), Value::Map(_)) {
                *value = fresh();
            }
            let Value::Map(entries) = value.bare_mut() else {
                return Ok(());
            };
            let index = match entries.iter().position(|(k, _)| k == key) {
                Some(index) => index,
                None => {
                    let start = match rest.first() {
                        Some(Segment::Index(_) | Segment::Append) => Value::List(Vec::new()),
                        Some(Segment::Key(_)) | None => fresh(),
                    };
                    entries.push((key.clone().into(), start));
                    entries.len() - 1
                }
            };
            let place = if at.is_empty() {
                key.clone()
            } else {
                format!("{at}.{key}")
            };
            put(&mut entries[index].1, rest, &place, new)
        }
        Segment::Index(index) => {
            let items = path::list_mut(value).ok_or_else(|| format!("{at} is not a list"))?;
            let length = items.len();
            let item = items.get_mut(*index).ok_or_else(|| {
                format!("cannot specify {at}[{index}] because the current length is {length}: index out of range")
            })?;
            put(item, rest, &format!("{at}[{index}]"), new)
        }
        Segment::Append => {
            if !matches!(value.bare(), Value::List(_) | Value::Call(..)) {
                *value = Value::List(Vec::new());
            }
            let items = path::list_mut(value).ok_or_else(|| format!("{at} is not a list"))?;
            items.push(Value::Map(Vec::new()));
            let last = items.len() - 1;
            put(&mut items[last], rest, &format!("{at}[{last}]"), new)
        }
    }
}
