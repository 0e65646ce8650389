//! YAML text to a tree in which every node knows its place, read as Kamal's Psych reads it (YAML 1.1): see
//! [`scalar`] for what plain words mean.

pub mod dump;
pub mod node;
pub mod scalar;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use crate::diagnostic::{Findings, Mark};
pub use dump::dump;
pub use node::{Entry, Kind, Node};

/// Deeper trees are refused: everything after this is recursive.
const DEPTH: usize = 64;

/// Nodes after aliases are expanded; stops documents that grow exponentially.
const NODES: usize = 200_000;

/// What to do about the parser's commonest complaints.
const CURES: [(&str, &str); 6] = [
    ("tab", "indent with spaces"),
    ("quoted scalar, found unexpected end", "close the quote"),
    ("unknown anchor", "define it with `&name` before it is used"),
    (
        "illegal placement of ':'",
        "close the bracket above, or put a value that contains a colon in quotes",
    ),
    (
        "flow",
        "close the bracket or brace, and separate what is in it with commas",
    ),
    ("cannot start any token", "put the value in quotes"),
];

/// Reads the first document of a file; an empty file is null. `None` when it can't be read, which is then in the
/// findings.
pub fn read(text: &str, file: usize, findings: &mut Findings) -> Option<Node> {
    let mut builder = Builder {
        file,
        ..Builder::default()
    };
    let mut parser = Parser::new_from_str(text);
    loop {
        let (event, span) = match parser.next_event()? {
            Ok(next) => next,
            Err(error) => {
                let at = Mark {
                    length: 0,
                    ..builder.mark(Span::empty(*error.marker()))
                };
                let diagnostic = findings.error(
                    "invalid-yaml",
                    format!("invalid YAML: {}", error.info()),
                    Some(at),
                );
                if let Some((_, cure)) =
                    CURES.iter().find(|(words, _)| error.info().contains(words))
                {
                    diagnostic.help(*cure);
                }
                return None;
            }
        };
        match builder.take(event, span, findings) {
            Ok(()) => {}
            Err((message, at)) => {
                findings.error("invalid-yaml", format!("invalid YAML: {message}"), Some(at));
                return None;
            }
        }
        if builder.done {
            let empty = Node {
                kind: Kind::Null,
                at: Mark {
                    file,
                    line: 1,
                    column: 1,
                    length: 0,
                },
            };
            return Some(builder.root.unwrap_or(empty));
        }
    }
}

/// A collection that is still open.
struct Open {
    node: Node,
    anchor: usize,
    /// The key that waits for its value, in a mapping.
    key: Option<Node>,
}

/// Puts events together; a stack instead of recursion, so that depth is bounded before it hurts.
#[derive(Default)]
struct Builder {
    file: usize,
    stack: Vec<Open>,
    anchors: Vec<(usize, Node)>,
    root: Option<Node>,
    nodes: usize,
    done: bool,
}

type Refused = (String, Mark);

impl Builder {
    fn mark(&self, span: Span) -> Mark {
        let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let one_line = span.start.line() == span.end.line();
        Mark {
            file: self.file,
            line: small(span.start.line().max(1)),
            column: small(span.start.col() + 1),
            length: if one_line {
                small(span.end.col().saturating_sub(span.start.col()))
            } else {
                0
            },
        }
    }

    fn take(
        &mut self,
        event: Event<'_>,
        span: Span,
        findings: &mut Findings,
    ) -> Result<(), Refused> {
        let at = self.mark(span);
        match event {
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => Ok(()),
            Event::DocumentEnd | Event::StreamEnd => {
                self.done = true;
                Ok(())
            }
            Event::Alias(anchor) => {
                let node = self
                    .anchors
                    .iter()
                    .rev()
                    .find(|(id, _)| *id == anchor)
                    .map(|(_, node)| node.clone());
                self.add(
                    node.ok_or_else(|| ("an alias to what contains it".to_owned(), at))?,
                    0,
                    findings,
                )
            }
            Event::Scalar(text, style, anchor, tag) => {
                let kind = resolve(&text, style, tag.as_deref());
                self.add(Node { kind, at }, anchor, findings)
            }
            Event::SequenceStart(anchor, _) => self.open(
                Node {
                    kind: Kind::List(Vec::new()),
                    at,
                },
                anchor,
            ),
            Event::MappingStart(anchor, _) => self.open(
                Node {
                    kind: Kind::Map(Vec::new()),
                    at,
                },
                anchor,
            ),
            Event::SequenceEnd | Event::MappingEnd => match self.stack.pop() {
                Some(open) => self.add(open.node, open.anchor, findings),
                None => Ok(()),
            },
        }
    }

    fn open(&mut self, node: Node, anchor: usize) -> Result<(), Refused> {
        if self.stack.len() >= DEPTH {
            return Err((format!("nested deeper than {DEPTH} levels"), node.at));
        }
        self.stack.push(Open {
            node: Node {
                at: Mark {
                    length: 0,
                    ..node.at
                },
                ..node
            },
            anchor,
            key: None,
        });
        Ok(())
    }

    /// Puts a finished node where it belongs.
    fn add(&mut self, node: Node, anchor: usize, findings: &mut Findings) -> Result<(), Refused> {
        self.nodes += node.weight();
        if self.nodes > NODES {
            return Err(("aliases expand to too much".to_owned(), node.at));
        }
        if anchor > 0 {
            self.anchors.push((anchor, node.clone()));
        }
        let Some(open) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        if let Kind::Map(entries) = &mut open.node.kind {
            match open.key.take() {
                None => open.key = Some(node),
                Some(key) => insert(entries, key, node, findings),
            }
        } else if let Kind::List(items) = &mut open.node.kind {
            items.push(node);
        }
        Ok(())
    }
}

/// Merge keys take effect where they stand: what follows them wins, what precedes them loses.
fn insert(entries: &mut Vec<Entry>, key: Node, value: Node, findings: &mut Findings) {
    if key.as_str() == Some("<<") {
        match value.kind {
            Kind::Map(merged) => {
                return merged
                    .into_iter()
                    .for_each(|e| node::put(entries, e.key, e.value));
            }
            Kind::List(items) if items.iter().all(|item| item.as_map().is_some()) => {
                let mut merged = Vec::new();
                for item in items.into_iter().rev() {
                    if let Kind::Map(inner) = item.kind {
                        inner
                            .into_iter()
                            .for_each(|e| node::put(&mut merged, e.key, e.value));
                    }
                }
                return merged
                    .into_iter()
                    .for_each(|e| node::put(entries, e.key, e.value));
            }
            kind => return node::put(entries, key, Node { kind, at: value.at }),
        }
    }
    if let Some(earlier) = entries.iter().find(|e| e.key.kind == key.kind)
        && earlier.key.at.file == key.at.file
        && earlier.key.at.line < key.at.line
        && key.as_str().is_some()
    {
        let line = earlier.key.at.line;
        findings
            .warn(
                "duplicate-key",
                format!(
                    "key \"{}\" is given twice, first on line {line}",
                    key.to_text()
                ),
                Some(key.at),
            )
            .help("keep one of them: the last one counts");
    }
    node::put(entries, key, value);
}

/// What a scalar means, given how it is written.
fn resolve(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Kind {
    let plain = style == ScalarStyle::Plain;
    let Some(tag) = tag else {
        return if plain {
            scalar::resolve(text)
        } else {
            Kind::Text(text.to_owned())
        };
    };
    let suffix = match (tag.is_yaml_core_schema(), tag.handle.as_str()) {
        (true, _) | (false, "!") => tag.suffix.as_str(),
        (false, _) => "",
    };
    match suffix {
        "" if tag.handle == "!" || (tag.handle.is_empty() && tag.suffix == "!") => {
            match (plain, text) {
                (true, "") => Kind::Null,
                _ => Kind::Text(text.to_owned()),
            }
        }
        "str" | "binary" => Kind::Text(text.to_owned()),
        "float" => match scalar::resolve(text) {
            Kind::Int(number) => Kind::Float(number as f64),
            other => other,
        },
        _ => scalar::resolve(text),
    }
}
