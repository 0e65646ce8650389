//! YAML events to a tree.

use super::{Data, Key, Node, Scalar, Span, YamlError};
use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use std::borrow::Cow;
use std::collections::HashMap;

/// Deepest nesting that is read; deeper documents are refused.
const MAX_DEPTH: usize = 64;
/// Most nodes a document may have once its aliases are expanded.
const MAX_NODES: usize = 200_000;

/// Reads the first document of `text`; an empty text is an empty mapping.
pub fn parse(text: &str, file: u16) -> Result<Node, YamlError> {
    let mut builder = Builder {
        file,
        anchors: HashMap::new(),
        nodes: 0,
    };
    let mut parser = Parser::new_from_str(text);
    loop {
        let Some((event, span)) = builder.next(&mut parser)? else {
            return Ok(nothing(file));
        };
        match event {
            Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
            Event::StreamEnd | Event::DocumentEnd => {
                return Ok(nothing(file));
            }
            Event::Alias(_)
            | Event::Scalar(..)
            | Event::SequenceStart(..)
            | Event::MappingStart(..)
            | Event::SequenceEnd
            | Event::MappingEnd => return builder.node(&mut parser, event, span, 0),
        }
    }
}

/// What a file without a document holds.
fn nothing(file: u16) -> Node {
    let span = Span {
        file,
        line: 1,
        column: 1,
        length: 1,
    };
    Node {
        span,
        tag: None,
        data: Data::Map(Vec::new()),
    }
}

struct Builder {
    file: u16,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

type Input<'a> = saphyr_parser::StrInput<'a>;
type Found<'a> = (Event<'a>, saphyr_parser::Span);

impl Builder {
    fn next<'a>(&self, parser: &mut Parser<'a, Input<'a>>) -> Result<Option<Found<'a>>, YamlError> {
        match parser.next_event() {
            None => Ok(None),
            Some(Ok(found)) => Ok(Some(found)),
            Some(Err(error)) => Err(YamlError {
                span: Span {
                    file: self.file,
                    line: narrow(error.marker().line()),
                    column: narrow(error.marker().col() + 1),
                    length: 1,
                },
                message: error.info().to_owned(),
            }),
        }
    }

    fn span(&self, span: &saphyr_parser::Span) -> Span {
        let length = if span.start.line() == span.end.line() {
            span.end.col().saturating_sub(span.start.col()).max(1)
        } else {
            1
        };
        Span {
            file: self.file,
            line: narrow(span.start.line()),
            column: narrow(span.start.col() + 1),
            length: narrow(length),
        }
    }

    fn refuse(&self, span: Span, message: &str) -> YamlError {
        YamlError {
            span,
            message: message.to_owned(),
        }
    }

    fn node<'a>(
        &mut self,
        parser: &mut Parser<'a, Input<'a>>,
        event: Event<'a>,
        at: saphyr_parser::Span,
        depth: usize,
    ) -> Result<Node, YamlError> {
        let span = self.span(&at);
        if depth > MAX_DEPTH {
            return Err(self.refuse(span, "the document is nested too deeply"));
        }
        let before = self.nodes;
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(self.refuse(span, "the document has too many values"));
        }
        let (anchor, node) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let mut plain = style == ScalarStyle::Plain;
                let local = local_tag(tag.as_ref());
                if tag.is_some_and(|t| t.is_yaml_core_schema() && t.suffix == "str") {
                    plain = false;
                }
                let scalar = Scalar {
                    text: text.into_owned(),
                    plain: plain && local.is_none(),
                    literal: style == ScalarStyle::Literal,
                    range: (at.start.index(), at.end.index()),
                };
                let node = Node {
                    span,
                    tag: local,
                    data: Data::Scalar(scalar),
                };
                (anchor, node)
            }
            Event::SequenceStart(anchor, tag) => {
                let mut items = Vec::new();
                loop {
                    match self.next(parser)? {
                        None | Some((Event::SequenceEnd, _)) => break,
                        Some((event, at)) => items.push(self.node(parser, event, at, depth + 1)?),
                    }
                }
                let node = Node {
                    span,
                    tag: local_tag(tag.as_ref()),
                    data: Data::List(items),
                };
                (anchor, node)
            }
            Event::MappingStart(anchor, tag) => {
                let entries = self.entries(parser, depth)?;
                let node = Node {
                    span,
                    tag: local_tag(tag.as_ref()),
                    data: Data::Map(entries),
                };
                (anchor, node)
            }
            Event::Alias(id) => {
                let Some((node, size)) = self.anchors.get(&id) else {
                    return Err(self.refuse(span, "an alias refers to an anchor inside itself"));
                };
                self.nodes += size;
                if self.nodes > MAX_NODES {
                    return Err(self.refuse(span, "the document's aliases expand without end"));
                }
                return Ok(node.clone());
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => return Ok(Node::null(span)),
        };
        if anchor > 0 {
            self.anchors
                .insert(anchor, (node.clone(), self.nodes - before));
        }
        Ok(node)
    }

    fn entries<'a>(
        &mut self,
        parser: &mut Parser<'a, Input<'a>>,
        depth: usize,
    ) -> Result<Vec<(Key, Node)>, YamlError> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut merged: Vec<(Key, Node)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        loop {
            let (event, at) = match self.next(parser)? {
                None | Some((Event::MappingEnd, _)) => break,
                Some(found) => found,
            };
            let key = self.node(parser, event, at, depth + 1)?;
            let Some((event, at)) = self.next(parser)? else {
                break;
            };
            let mut value = self.node(parser, event, at, depth + 1)?;
            // A block below its key is best shown by the key.
            if value.scalar().is_none() && value.span.line > key.span.line {
                value.span = key.span;
            }
            let Some(scalar) = key.scalar() else {
                return Err(self.refuse(key.span, "a key must be a text"));
            };
            if scalar.text == "<<" && scalar.plain {
                merged.extend(merge_sources(value));
                continue;
            }
            let text = scalar.text.clone();
            if !seen.insert(text.clone()) {
                return Err(self.refuse(key.span, &format!("the key `{text}` appears twice")));
            }
            entries.push((
                Key {
                    text,
                    span: key.span,
                },
                value,
            ));
        }
        for (key, value) in merged {
            if seen.insert(key.text.clone()) {
                entries.push((key, value));
            }
        }
        Ok(entries)
    }
}

fn merge_sources(value: Node) -> Vec<(Key, Node)> {
    match value.data {
        Data::Map(entries) => entries,
        Data::List(items) => items.into_iter().flat_map(merge_sources).collect(),
        Data::Scalar(_) => Vec::new(),
    }
}

fn local_tag(tag: Option<&Cow<'_, Tag>>) -> Option<String> {
    tag.filter(|t| !t.is_yaml_core_schema() && t.handle == "!" && !t.suffix.is_empty())
        .map(|t| t.suffix.clone())
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
