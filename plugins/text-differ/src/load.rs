//! YAML or JSON text to a tree of nodes.
//!
//! Refuses what could take a component down: deep nesting, aliases that multiply, texts of a size no template has.

mod error;
mod source;

use std::collections::BTreeMap;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle as Written, Span, Tag};

pub use self::error::LoadError;
use self::source::Source;
use crate::node::{Content, Entry, Mapping, Node, ScalarStyle};
use crate::plain;
use crate::shape::{Rules, Shapes};

/// Largest text, in bytes. CloudFormation takes templates of up to 1 MiB.
const MAX_BYTES: usize = 4 << 20;
/// Deepest nesting, aliases expanded.
const MAX_DEPTH: u16 = 96;
/// Most nodes of a document, aliases expanded.
const MAX_NODES: u32 = 300_000;

/// Tag of the key `<<`.
const MERGE: &str = "!!merge";

/// The root mapping of a text; none when the text holds no value.
pub(crate) fn load(text: &str, shapes: &mut Shapes) -> Result<Option<Rc<Node>>, LoadError> {
    if text.len() > MAX_BYTES {
        return Err(LoadError::TooLarge { bytes: text.len() });
    }
    // Under the semantic rules JSON is read without its style, to be printed as YAML.
    let json = text.trim_start().starts_with('{');
    let mut loader = Loader {
        source: Source::new(text),
        restyle: json && shapes.rules() == Rules::Semantic,
        shapes,
        open: Vec::new(),
        anchors: BTreeMap::new(),
        read: 0,
        merged: 0,
        root: None,
    };
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| LoadError::Syntax {
            line: error.marker().line(),
            column: error.marker().col() + 1,
            message: error.info().to_owned(),
        })?;
        if matches!(event, Event::DocumentStart(_)) {
            documents += 1;
            if documents > 1 {
                return Err(LoadError::SecondDocument {
                    line: span.start.line(),
                });
            }
        }
        loader.event(event, span)?;
    }
    let Some((root, line)) = loader.root else {
        return Ok(None);
    };
    if root.is_plain() && root.scalar().is_some_and(|text| plain::is_null(text)) {
        let empty = Content::Mapping(Mapping {
            entries: Vec::new(),
            by_key: Vec::new(),
            flow: true,
        });
        return Ok(Some(shapes.node(empty, None, None)));
    }
    if root.is_mapping() {
        Ok(Some(root))
    } else {
        Err(LoadError::NotAMapping { line })
    }
}

/// A text without structure.
pub(crate) fn load_words(text: &str, shapes: &mut Shapes) -> Result<Rc<Node>, LoadError> {
    if text.len() > MAX_BYTES {
        return Err(LoadError::TooLarge { bytes: text.len() });
    }
    let style = if text.contains('\n') {
        ScalarStyle::Literal
    } else {
        ScalarStyle::Double
    };
    Ok(shapes.node(
        Content::Scalar {
            text: Rc::from(text),
            style,
        },
        None,
        None,
    ))
}

struct Loader<'a, 's> {
    source: Source<'a>,
    restyle: bool,
    shapes: &'s mut Shapes,
    open: Vec<Open>,
    /// By the parser's number; none while the value is still open.
    anchors: BTreeMap<usize, Option<Rc<Node>>>,
    /// Values read so far.
    read: u32,
    /// Keys visited for merge keys so far.
    merged: usize,
    root: Option<(Rc<Node>, usize)>,
}

/// A collection whose end was not read yet.
struct Open {
    kind: Kind,
    tag: Option<Rc<str>>,
    anchor: Option<(usize, Rc<str>)>,
    flow: bool,
    line: usize,
}

enum Kind {
    Sequence(Vec<Rc<Node>>),
    Mapping {
        entries: Vec<(Rc<Node>, Rc<Node>)>,
        lines: Vec<usize>,
        key: Option<Rc<Node>>,
    },
}

impl Loader<'_, '_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), LoadError> {
        let line = span.start.line();
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
            Event::Alias(id) => {
                let name = self.source.alias(span);
                let Some(target) = self.anchors.get(&id).cloned().flatten() else {
                    return Err(LoadError::SelfReference { line, name });
                };
                let node = self.shapes.node(
                    Content::Alias {
                        name: Rc::from(name),
                        target,
                    },
                    None,
                    None,
                );
                self.close(node, None, line)
            }
            Event::Scalar(text, style, anchor, tag) => {
                let anchor = self.anchor(anchor, span);
                let content = Content::Scalar {
                    style: self.style(style, &text),
                    text: Rc::from(&*text),
                };
                let name = anchor.as_ref().map(|(_, name)| name.clone());
                let tag = match &*text {
                    "<<" if style == Written::Plain && tag.is_none() => Some(Rc::from(MERGE)),
                    _ => tag.as_deref().and_then(tag_text),
                };
                let node = self.shapes.node(content, tag, name);
                self.close(node, anchor, line)
            }
            Event::SequenceStart(anchor, tag) => self.begin(
                Kind::Sequence(Vec::new()),
                '[',
                anchor,
                tag.as_deref(),
                span,
            ),
            Event::MappingStart(anchor, tag) => {
                let kind = Kind::Mapping {
                    entries: Vec::new(),
                    lines: Vec::new(),
                    key: None,
                };
                self.begin(kind, '{', anchor, tag.as_deref(), span)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let open = self.open.pop().expect("the parser closes what it opened");
                let name = open.anchor.as_ref().map(|(_, name)| name.clone());
                let content = match open.kind {
                    Kind::Sequence(items) => Content::Sequence {
                        items,
                        flow: open.flow,
                    },
                    Kind::Mapping {
                        entries,
                        lines,
                        key: _,
                    } => {
                        let by_key = self.by_key(&entries, &lines)?;
                        Content::Mapping(Mapping {
                            entries,
                            by_key,
                            flow: open.flow,
                        })
                    }
                };
                let node = self.shapes.node(content, open.tag, name);
                self.close(node, open.anchor, open.line)
            }
        }
    }

    fn begin(
        &mut self,
        kind: Kind,
        bracket: char,
        anchor: usize,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<(), LoadError> {
        let line = span.start.line();
        if self.open.len() >= usize::from(MAX_DEPTH) {
            return Err(LoadError::TooDeep { line });
        }
        let inherited = self.open.last().is_some_and(|open| open.flow);
        let flow =
            !self.restyle && (inherited || self.source.after_properties(span) == Some(bracket));
        let anchor = self.anchor(anchor, span);
        self.open.push(Open {
            kind,
            tag: tag.and_then(tag_text),
            anchor,
            flow,
            line,
        });
        Ok(())
    }

    /// Registers an anchor as open and finds its name.
    fn anchor(&mut self, id: usize, span: Span) -> Option<(usize, Rc<str>)> {
        if id == 0 {
            return None;
        }
        self.anchors.insert(id, None);
        Some((id, Rc::from(self.source.anchor(span))))
    }

    /// Puts a finished value where it belongs.
    fn close(
        &mut self,
        node: Rc<Node>,
        anchor: Option<(usize, Rc<str>)>,
        line: usize,
    ) -> Result<(), LoadError> {
        self.read += 1;
        if node.weight > MAX_NODES || self.read > MAX_NODES {
            return Err(LoadError::TooMany { line });
        }
        if node.depth > MAX_DEPTH {
            return Err(LoadError::TooDeep { line });
        }
        if let Some((id, _)) = anchor {
            self.anchors.insert(id, Some(node.clone()));
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some((node, line)),
            Some(Kind::Sequence(items)) => items.push(node),
            Some(Kind::Mapping {
                entries,
                lines,
                key,
            }) => match key.take() {
                Some(key) => entries.push((key, node)),
                None if node.scalar().is_some() => {
                    *key = Some(node);
                    lines.push(line);
                }
                None => return Err(LoadError::ComplexKey { line }),
            },
        }
        Ok(())
    }

    /// The entries by the bytes of their keys, with merge keys expanded: own keys win, then earlier merges.
    fn by_key(
        &mut self,
        entries: &[(Rc<Node>, Rc<Node>)],
        lines: &[usize],
    ) -> Result<Vec<Entry>, LoadError> {
        let mut own = Vec::with_capacity(entries.len());
        let mut merge = None;
        for ((key, value), line) in entries.iter().zip(lines) {
            let text = key.scalar().expect("other keys were refused");
            if key.tag.as_deref() == Some(MERGE) {
                if merge.replace((value, *line)).is_some() {
                    return Err(LoadError::DuplicateKey {
                        line: *line,
                        key: "<<".to_owned(),
                    });
                }
            } else {
                own.push((text.clone(), value.clone(), *line));
            }
        }
        own.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        if let Some(pair) = own.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(LoadError::DuplicateKey {
                line: pair[1].2,
                key: pair[1].0.to_string(),
            });
        }
        let own = own.into_iter().map(|(key, value, _)| (key, value));
        let Some((value, line)) = merge else {
            return Ok(own.collect());
        };
        let mut all: BTreeMap<Rc<str>, Rc<Node>> = own.collect();
        let sources = match &value.content {
            Content::Sequence { items, .. } => items.iter().collect(),
            Content::Scalar { .. } | Content::Mapping(_) | Content::Alias { .. } => vec![value],
        };
        for source in sources {
            let Content::Mapping(mapping) = &source.resolved().content else {
                return Err(LoadError::BadMerge { line });
            };
            self.merged += mapping.by_key.len() + 1;
            if self.merged > MAX_NODES as usize {
                return Err(LoadError::TooMany { line });
            }
            for (key, value) in &mapping.by_key {
                all.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        Ok(all.into_iter().collect())
    }

    fn style(&self, written: Written, text: &str) -> ScalarStyle {
        match written {
            Written::Plain => ScalarStyle::Plain,
            Written::SingleQuoted | Written::DoubleQuoted if self.restyle => {
                if text.contains('\n') {
                    ScalarStyle::Literal
                } else if plain::is_text(text) {
                    ScalarStyle::Plain
                } else {
                    ScalarStyle::Double
                }
            }
            Written::SingleQuoted => ScalarStyle::Single,
            Written::DoubleQuoted => ScalarStyle::Double,
            Written::Literal => ScalarStyle::Literal,
            Written::Folded => ScalarStyle::Folded,
        }
    }
}

/// `!Sub`, `!!str` or the whole URI; none for the non-specific `!`.
fn tag_text(tag: &Tag) -> Option<Rc<str>> {
    if tag.is_yaml_core_schema() {
        return Some(Rc::from(format!("!!{}", tag.suffix)));
    }
    match (tag.handle.as_str(), tag.suffix.as_str()) {
        ("", "!") | ("!", "") => None,
        (handle, suffix) => Some(Rc::from(format!("{handle}{suffix}"))),
    }
}
