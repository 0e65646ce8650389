//! YAML patches: the user's changes to the finished template.

use crate::cfn::{Value, path};
use crate::diagnostic::{Findings, Sources, code};
use crate::yaml::{self, At, Node, Span};

/// The file that holds them, below `overrides/`.
pub const FILE: &str = "cfn.patches.yml";

/// A file of the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Path from the project's root.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl File {
    /// The last part of the path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// Applies what `overrides/` holds to the template.
pub fn apply(
    template: &mut Value,
    overrides: &[File],
    sources: &mut Sources,
    findings: &mut Findings,
) {
    let Some(first) = overrides.first() else {
        return;
    };
    let Some(file) = overrides.iter().find(|f| f.name() == FILE) else {
        let cdk = overrides.iter().find(|f| f.name() == "cdk.json");
        let shown = cdk.unwrap_or(first);
        let start = Span {
            file: sources.add(&shown.path, &shown.text),
            line: 1,
            column: 1,
            length: 1,
        };
        match cdk {
            Some(_) => findings.coded(code::OVERRIDE).error(
                start,
                "CDK overrides run npm and the project's scripts with your AWS credentials, which plimsoll does not do",
                "write the change as a YAML patch in overrides/cfn.patches.yml: a list of `op` (add, replace, remove), `path` \
                 (/Resources/Service/Properties/…) and `value`, then remove cdk.json",
            ),
            None => findings.coded(code::OVERRIDE).error(
                start,
                "the overrides folder holds no overrides",
                format!("put patches into overrides/{FILE}, or remove the folder"),
            ),
        }
        return;
    };
    let number = sources.add(&file.path, &file.text);
    let node = match yaml::parse(&file.text, number) {
        Ok(node) => node,
        Err(error) => {
            findings.coded(code::OVERRIDE).error(
                error.span,
                format!("{} is not YAML: {}", file.path, error.message),
                "",
            );
            return;
        }
    };
    let Some(items) = node.items() else {
        if node.entries().is_none_or(|e| !e.is_empty()) {
            findings.coded(code::OVERRIDE).error(
                node.span,
                "patches must be a list",
                "each item has `op`, `path` and, but for remove, `value`",
            );
        }
        return;
    };
    for item in items {
        if let Some(patch) = Patch::read(item, findings)
            && let Err(problem) = patch.apply(template)
        {
            findings.coded(code::OVERRIDE).error(
                patch.path.span,
                format!("cannot {} {}: {problem}", patch.op.word(), patch.path.value),
                "look at the template without patches for the right path",
            );
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Add,
    Remove,
    Replace,
}

impl Op {
    fn word(self) -> &'static str {
        match self {
            Op::Add => "add",
            Op::Remove => "remove",
            Op::Replace => "replace",
        }
    }
}

struct Patch {
    op: Op,
    path: At<String>,
    segments: Vec<String>,
    value: Value,
}

impl Patch {
    fn read(node: &Node, findings: &mut Findings) -> Option<Patch> {
        let op = match node.text_at("op").map(|o| o.value).as_deref() {
            Some("add") => Op::Add,
            Some("remove") => Op::Remove,
            Some("replace") => Op::Replace,
            other => {
                findings.coded(code::OVERRIDE).error(
                    node.get("op").map_or(node.span, |n| n.span),
                    format!("a patch cannot have `op` {}", other.unwrap_or("missing")),
                    "write add, remove or replace",
                );
                return None;
            }
        };
        let path = node
            .text_at("path")
            .filter(|p| p.value.is_empty() || p.value.starts_with('/'));
        let Some(path) = path else {
            findings.coded(code::OVERRIDE).error(
                node.get("path").map_or(node.span, |n| n.span),
                "a patch needs a `path` that begins with /",
                "for example /Resources/TaskDefinition/Properties/Tags",
            );
            return None;
        };
        let value = node
            .entries()
            .and_then(|e| e.iter().find(|(k, _)| k.text == "value"));
        let value = match (op, value) {
            (Op::Remove, _) => Value::Absent,
            (Op::Add | Op::Replace, Some((_, value))) => Value::from_node(value),
            (Op::Add | Op::Replace, None) => {
                findings.coded(code::OVERRIDE).error(
                    node.span,
                    format!("a patch that is to {} needs a `value`", op.word()),
                    "",
                );
                return None;
            }
        };
        let segments = path
            .value
            .split('/')
            .skip(1)
            .map(|s| s.replace("~1", "/").replace("~0", "~"))
            .collect();
        Some(Patch {
            op,
            value: value.at(path.span),
            path,
            segments,
        })
    }

    fn apply(&self, template: &mut Value) -> Result<(), String> {
        let Some((last, parents)) = self.segments.split_last() else {
            return match self.op {
                Op::Remove => Err("the whole template cannot be removed".to_owned()),
                Op::Add | Op::Replace => {
                    *template = self.value.clone();
                    Ok(())
                }
            };
        };
        let mut place = template;
        let mut walked = String::new();
        for segment in parents {
            walked.push('/');
            walked.push_str(segment);
            place = path::step(place, segment)
                .ok_or_else(|| format!("{walked} is not in the template"))?;
        }
        let missing = || format!("{walked}/{last} is not in the template");
        if let Value::Map(entries) = place.bare_mut() {
            let found = entries.iter().position(|(k, _)| k == last);
            return match (self.op, found) {
                (Op::Add | Op::Replace, Some(i)) => {
                    entries[i].1 = self.value.clone();
                    Ok(())
                }
                (Op::Add, None) => {
                    entries.push((last.clone().into(), self.value.clone()));
                    Ok(())
                }
                (Op::Remove, Some(i)) => {
                    entries.remove(i);
                    Ok(())
                }
                (Op::Remove | Op::Replace, None) => Err(missing()),
            };
        }
        let items = path::list_mut(place).ok_or_else(missing)?;
        if last == "-" {
            return match self.op {
                Op::Add => {
                    items.push(self.value.clone());
                    Ok(())
                }
                Op::Remove | Op::Replace => Err("`-` is only for adding".to_owned()),
            };
        }
        let index: usize = last
            .parse()
            .map_err(|_| format!("{walked} is a list, and `{last}` is no index"))?;
        let length = items.len();
        match self.op {
            Op::Add if index <= length => items.insert(index, self.value.clone()),
            Op::Replace if index < length => items[index] = self.value.clone(),
            Op::Remove if index < length => {
                items.remove(index);
            }
            Op::Add | Op::Replace | Op::Remove => {
                return Err(format!(
                    "index {index} is out of range, {walked} has {length} items"
                ));
            }
        }
        Ok(())
    }
}
