//! YAML as a tree that knows where everything was written. Aliases and merge keys are resolved, tags are ignored.

use std::{collections::HashMap, rc::Rc};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};

use super::diagnostic::{Diagnostic, Position};

/// Deepest nesting: far above any manifest, far below what would exhaust the stack of a reader or of `Drop`.
const DEPTH: usize = 64;

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it begins.
    pub at: Position,
    /// What it is.
    pub data: Data,
}

/// What a [`Node`] is. Aliases share their nodes, so that a document can't grow when it is read.
#[derive(Clone, Debug)]
pub enum Data {
    /// Text, and whether it was written without quotes.
    Scalar {
        /// As the author meant it: without quotes, with escapes resolved.
        text: String,
        /// Plain scalars may be null, booleans or numbers.
        plain: bool,
    },
    /// Items in order.
    Sequence(Vec<Rc<Node>>),
    /// Entries in order; of a key given twice the last value.
    Mapping(Vec<Entry>),
}

/// A key, its place, and its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// Where the key is.
    pub at: Position,
    /// The value.
    pub value: Rc<Node>,
}

impl Node {
    /// Reads the first document of a text. A text without one is null.
    pub fn parse(path: &str, text: &str) -> Result<Rc<Self>, Diagnostic> {
        Builder {
            path,
            anchors: HashMap::new(),
            open: Vec::new(),
        }
        .read(text)
    }

    /// Text of a scalar that is not null.
    pub fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar { text, .. } if !self.is_null() => Some(text),
            Data::Scalar { .. } | Data::Sequence(_) | Data::Mapping(_) => None,
        }
    }

    /// Nothing, `~` or `null`.
    pub fn is_null(&self) -> bool {
        match &self.data {
            Data::Scalar { text, plain } => {
                *plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            Data::Sequence(_) | Data::Mapping(_) => false,
        }
    }

    /// A boolean, by the words of YAML 1.1.
    pub fn boolean(&self) -> Option<bool> {
        match &self.data {
            Data::Scalar { text, plain: true } => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" => Some(true),
                "false" | "no" | "off" => Some(false),
                _ => None,
            },
            Data::Scalar { .. } | Data::Sequence(_) | Data::Mapping(_) => None,
        }
    }

    /// Items of a sequence; nothing for anything else.
    pub fn items(&self) -> &[Rc<Self>] {
        match &self.data {
            Data::Sequence(items) => items,
            Data::Scalar { .. } | Data::Mapping(_) => &[],
        }
    }

    /// Entries of a mapping; nothing for anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.data {
            Data::Mapping(entries) => entries,
            Data::Scalar { .. } | Data::Sequence(_) => &[],
        }
    }

    /// The value of a key, when this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Rc<Self>> {
        self.entries()
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.value)
    }

    /// What this is, for messages: `a list`.
    pub fn kind(&self) -> &'static str {
        match &self.data {
            Data::Scalar { .. } if self.is_null() => "nothing",
            Data::Scalar { .. } => "a single value",
            Data::Sequence(_) => "a list",
            Data::Mapping(_) => "a map",
        }
    }

    /// Lays `over` over this: maps merge key by key, anything else is replaced (ActiveSupport's `deep_merge`).
    pub fn overlaid(self: &Rc<Self>, over: &Rc<Self>) -> Rc<Self> {
        let (Data::Mapping(base), Data::Mapping(top)) = (&self.data, &over.data) else {
            return Rc::clone(over);
        };
        let mut merged = base.clone();
        for entry in top {
            match merged.iter_mut().find(|known| known.key == entry.key) {
                Some(known) => known.value = known.value.overlaid(&entry.value),
                None => merged.push(entry.clone()),
            }
        }
        Rc::new(Self {
            at: self.at.clone(),
            data: Data::Mapping(merged),
        })
    }
}

/// A collection that is not closed yet.
struct Open {
    node: Node,
    anchor: usize,
    /// The key that waits for its value.
    key: Option<Key>,
}

struct Key {
    text: String,
    at: Position,
    merge: bool,
}

struct Builder<'a> {
    path: &'a str,
    anchors: HashMap<usize, Rc<Node>>,
    open: Vec<Open>,
}

impl Builder<'_> {
    fn read(mut self, text: &str) -> Result<Rc<Node>, Diagnostic> {
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| {
                let at = self.in_text(*error.marker(), text);
                Diagnostic::error("yaml", format!("this is not YAML: {}", error.info()))
                    .at(at)
                    .help("check the indentation, and put quotes around values that hold `: `, ` #`, or begin with one of @ ` % & * [ { | >")
            })?;
            let at = self.span(span);
            let (node, anchor) = match event {
                Event::Scalar(text, style, anchor, _) => {
                    let data = Data::Scalar {
                        text: text.into_owned(),
                        plain: style == ScalarStyle::Plain,
                    };
                    (Rc::new(Node { at, data }), anchor)
                }
                Event::SequenceStart(anchor, _) => {
                    self.begin(at, Data::Sequence(Vec::new()), anchor)?;
                    continue;
                }
                Event::MappingStart(anchor, _) => {
                    self.begin(at, Data::Mapping(Vec::new()), anchor)?;
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    let open = self.open.pop().expect("the parser closes what it opened");
                    (Rc::new(open.node), open.anchor)
                }
                Event::Alias(id) => match self.anchors.get(&id) {
                    Some(node) => (Rc::clone(node), 0),
                    None => {
                        return Err(Diagnostic::error("yaml", "this alias refers to itself").at(at));
                    }
                },
                Event::DocumentEnd | Event::StreamEnd => break,
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => continue,
            };
            if anchor > 0 {
                self.anchors.insert(anchor, Rc::clone(&node));
            }
            if let Some(root) = self.place(node)? {
                return Ok(root);
            }
        }
        Ok(Rc::new(Node {
            at: self.position(Marker::new(0, 1, 0), 0),
            data: Data::Scalar {
                text: String::new(),
                plain: true,
            },
        }))
    }

    fn begin(&mut self, at: Position, data: Data, anchor: usize) -> Result<(), Diagnostic> {
        if self.open.len() == DEPTH {
            let message = format!("this is nested more than {DEPTH} levels deep");
            return Err(Diagnostic::error("yaml", message).at(at));
        }
        self.open.push(Open {
            node: Node { at, data },
            anchor,
            key: None,
        });
        Ok(())
    }

    /// Puts a finished node where it belongs; answers it when it is the whole document.
    fn place(&mut self, node: Rc<Node>) -> Result<Option<Rc<Node>>, Diagnostic> {
        let Some(open) = self.open.last_mut() else {
            return Ok(Some(node));
        };
        match &mut open.node.data {
            Data::Sequence(items) => items.push(node),
            Data::Mapping(entries) => match open.key.take() {
                None => open.key = Some(Key::of(&node)?),
                Some(key) if key.merge => merge(entries, &node)?,
                Some(key) => put(entries, key.text, key.at, node),
            },
            Data::Scalar { .. } => unreachable!("only collections are opened"),
        }
        Ok(None)
    }

    fn span(&self, span: Span) -> Position {
        let one_line = span.start.line() == span.end.line();
        self.position(span.start, if one_line { span.len() } else { 0 })
    }

    /// The place of an error; one at the end of the text is moved to where a reader sees the end.
    fn in_text(&self, marker: Marker, text: &str) -> Position {
        let written = text.trim_end();
        let lines = written.lines().count().max(1);
        if marker.line() <= lines {
            return self.position(marker, 0);
        }
        let last = written.lines().last().unwrap_or_default();
        self.position(Marker::new(0, lines, last.chars().count()), 0)
    }

    fn position(&self, marker: Marker, length: usize) -> Position {
        let number = |number| u32::try_from(number).unwrap_or(u32::MAX);
        Position {
            path: self.path.to_owned(),
            line: number(marker.line().max(1)),
            column: number(marker.col() + 1),
            length: number(length),
        }
    }
}

impl Key {
    fn of(node: &Node) -> Result<Self, Diagnostic> {
        match &node.data {
            Data::Scalar { text, plain } => Ok(Self {
                text: text.clone(),
                at: node.at.clone(),
                merge: *plain && text == "<<",
            }),
            Data::Sequence(_) | Data::Mapping(_) => {
                let message = format!("a key must be a word, this is {}", node.kind());
                Err(Diagnostic::error("yaml", message).at(node.at.clone()))
            }
        }
    }
}

fn put(entries: &mut Vec<Entry>, key: String, at: Position, value: Rc<Node>) {
    match entries.iter_mut().find(|entry| entry.key == key) {
        Some(entry) => (entry.at, entry.value) = (at, value),
        None => entries.push(Entry { key, at, value }),
    }
}

/// `<<: *defaults`, or a list of them of which the first wins. Keys that follow win over merged ones, as in Psych.
fn merge(entries: &mut Vec<Entry>, node: &Rc<Node>) -> Result<(), Diagnostic> {
    let one = |entries: &mut Vec<Entry>, node: &Node| match &node.data {
        Data::Mapping(merged) => {
            for entry in merged {
                put(
                    entries,
                    entry.key.clone(),
                    entry.at.clone(),
                    Rc::clone(&entry.value),
                );
            }
            Ok(())
        }
        Data::Scalar { .. } | Data::Sequence(_) => {
            let message = format!("`<<` merges maps, this is {}", node.kind());
            Err(Diagnostic::error("yaml", message).at(node.at.clone()))
        }
    };
    match &node.data {
        Data::Sequence(items) => items.iter().rev().try_for_each(|item| one(entries, item)),
        Data::Scalar { .. } | Data::Mapping(_) => one(entries, node),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree as JSON-like text, for comparing.
    fn shape(node: &Node) -> String {
        let list = |parts: Vec<String>| parts.join(",");
        match &node.data {
            Data::Scalar { .. } if node.is_null() => "null".into(),
            Data::Scalar { text, .. } => text.clone(),
            Data::Sequence(items) => {
                format!("[{}]", list(items.iter().map(|item| shape(item)).collect()))
            }
            Data::Mapping(entries) => {
                let entry = |entry: &Entry| format!("{}:{}", entry.key, shape(&entry.value));
                format!("{{{}}}", list(entries.iter().map(entry).collect()))
            }
        }
    }

    #[test]
    fn documents_become_trees() {
        for (text, expected) in [
            ("", "null"),
            ("# nothing\n", "null"),
            ("a: 1\nb: [x, 'y']\n", "{a:1,b:[x,y]}"),
            ("a: &x {k: 1}\nb: *x\n", "{a:{k:1},b:{k:1}}"),
            (
                "d: &d {k: 1, l: 2}\na:\n  <<: *d\n  l: 3\n",
                "{d:{k:1,l:2},a:{k:1,l:3}}",
            ),
            ("a: {k: 1, <<: {k: 2}}", "{a:{k:2}}"),
            ("a: {<<: [{k: 1}, {k: 2, l: 2}]}", "{a:{k:1,l:2}}"),
            ("a: {'<<': {k: 2}}", "{a:{<<:{k:2}}}"),
            ("a: 1\na: 2\n", "{a:2}"),
            ("a: 1\n---\nb: 2\n", "{a:1}"),
            ("a: ~\nb:\nc: ''\n", "{a:null,b:null,c:}"),
        ] {
            let tree = Node::parse("f.yml", text).expect(text);
            assert_eq!(shape(&tree), expected, "{text:?}");
        }
    }

    #[test]
    fn maps_are_overlaid_key_by_key_and_everything_else_is_replaced() {
        for (base, over, expected) in [
            ("a: 1\nb: 2", "b: 3\nc: 4", "{a:1,b:3,c:4}"),
            ("a: {x: 1, y: 2}", "a: {y: 3}", "{a:{x:1,y:3}}"),
            ("a: [1, 2]", "a: [3]", "{a:[3]}"),
            ("a: {x: 1}", "a: [3]", "{a:[3]}"),
            ("a: {x: 1}", "a: ~", "{a:null}"),
        ] {
            let parse = |text| Node::parse("f.yml", text).expect(text);
            assert_eq!(shape(&parse(base).overlaid(&parse(over))), expected);
        }
    }

    #[test]
    fn broken_yaml_is_refused_with_its_place() {
        for (text, line, column, part) in [
            ("a: 1\nb: [1,\n", 2, 7, "not YAML"),
            ("a: 'x\n", 1, 4, "not YAML"),
            ("a: b: c\n", 1, 5, "not YAML"),
            ("? [a]\n: b\n", 1, 3, "must be a word"),
            ("a: &x [*x]\n", 1, 8, "itself"),
            ("a: {<<: 3}\n", 1, 9, "merges maps"),
            ("a: *nope\n", 1, 4, "not YAML"),
        ] {
            let error = Node::parse("f.yml", text).expect_err(text);
            assert!(error.message.contains(part), "{text:?}: {error:?}");
            let at = error.at.expect("it has a place");
            assert_eq!((at.line, at.column), (line, column), "{text:?}");
        }
    }

    #[test]
    fn deep_nesting_and_alias_bombs_stay_small() {
        for text in [
            "[".repeat(100_000),
            "a: ".to_owned() + &"{a: ".repeat(100_000),
        ] {
            assert!(Node::parse("f.yml", &text).is_err());
        }
        let mut bomb = String::from("a0: &a0 [x]\n");
        for level in 1..60 {
            let below = format!("*a{}", level - 1);
            bomb += &format!("a{level}: &a{level} [{below}, {below}, {below}]\n");
        }
        assert!(Node::parse("f.yml", &bomb).is_ok());
    }

    #[test]
    fn keys_and_values_know_where_they_are() {
        let tree = Node::parse("f.yml", "a:\n  key: value\n").expect("YAML");
        let entry = &tree.get("a").expect("a").entries()[0];
        assert_eq!((entry.at.line, entry.at.column, entry.at.length), (2, 3, 3));
        let value = &entry.value.at;
        assert_eq!((value.line, value.column, value.length), (2, 8, 5));
    }
}
