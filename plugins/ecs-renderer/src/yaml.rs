//! YAML text to a tree that remembers where everything stood.
//!
//! Anchors, aliases and `<<` merge keys are resolved here. Hostile documents (deep nesting, alias bombs) are refused with a
//! finding; nothing in this module panics.

mod parse;

pub use parse::parse;

/// A stretch of one line of one source file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// Which of the request's files, in the order of [`crate::diagnostic::Sources`].
    pub file: u16,
    /// 1-based line; 0 means "nowhere in particular".
    pub line: u32,
    /// 1-based column, in characters.
    pub column: u32,
    /// Characters, at least 1.
    pub length: u32,
}

/// A mapping key and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// The key as text.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// One value of the document.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub span: Span,
    /// A local tag such as `!Sub`, without the exclamation mark.
    pub tag: Option<String>,
    /// What it is.
    pub data: Data,
}

/// The kinds of value.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// A text, number, boolean or null.
    Scalar(Scalar),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in document order, without duplicate keys.
    Map(Vec<(Key, Node)>),
}

/// A scalar as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar {
    /// The text after unescaping.
    pub text: String,
    /// Written without quotes, so that it may be a number, a boolean or null.
    pub plain: bool,
    /// Written as a `|` block.
    pub literal: bool,
    /// Characters from the start of the file: first, and one past the last.
    pub range: (usize, usize),
}

/// What a document could not be read for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct YamlError {
    /// Where.
    pub span: Span,
    /// Why, a lowercase fragment.
    pub message: String,
}

impl Node {
    /// A node that stands for an absent value.
    pub fn null(span: Span) -> Node {
        Node::plain(span, "")
    }

    /// A plain scalar.
    pub fn plain(span: Span, text: &str) -> Node {
        Node {
            span,
            tag: None,
            data: Data::Scalar(Scalar {
                text: text.to_owned(),
                plain: true,
                literal: false,
                range: (0, 0),
            }),
        }
    }

    /// The scalar, if it is one.
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.data {
            Data::Scalar(scalar) => Some(scalar),
            Data::List(_) | Data::Map(_) => None,
        }
    }

    /// The items, if it is a sequence.
    pub fn items(&self) -> Option<&[Node]> {
        match &self.data {
            Data::List(items) => Some(items),
            Data::Scalar(_) | Data::Map(_) => None,
        }
    }

    /// The entries, if it is a mapping.
    pub fn entries(&self) -> Option<&[(Key, Node)]> {
        match &self.data {
            Data::Map(entries) => Some(entries),
            Data::Scalar(_) | Data::List(_) => None,
        }
    }

    /// True for `null`, `~` and nothing at all.
    pub fn is_null(&self) -> bool {
        self.scalar().is_some_and(|s| {
            s.plain && matches!(s.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
        })
    }

    /// The value under `key` of a mapping, unless it is null.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries()?
            .iter()
            .find(|(k, _)| k.text == key)
            .map(|(_, v)| v)
            .filter(|v| !v.is_null())
    }

    /// The value a dotted path leads to, unless it is null.
    pub fn dig(&self, path: &str) -> Option<&Node> {
        path.split('.').try_fold(self, |node, key| node.get(key))
    }

    /// The scalar's text, whatever its type; null has none.
    pub fn text(&self) -> Option<&str> {
        if self.is_null() {
            return None;
        }
        self.scalar().map(|s| s.text.as_str())
    }

    /// The value of a plain boolean.
    pub fn boolean(&self) -> Option<bool> {
        let scalar = self.scalar().filter(|s| s.plain)?;
        match scalar.text.as_str() {
            "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" => {
                Some(true)
            }
            "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n"
            | "N" => Some(false),
            _ => None,
        }
    }

    /// The value of a plain whole number.
    pub fn integer(&self) -> Option<i64> {
        let scalar = self.scalar().filter(|s| s.plain)?;
        integer(&scalar.text)
    }

    /// The value of a plain number.
    pub fn number(&self) -> Option<f64> {
        let scalar = self.scalar().filter(|s| s.plain)?;
        if let Some(whole) = integer(&scalar.text) {
            return Some(whole as f64);
        }
        let text = scalar.text.as_str();
        let numeric = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
            && text.contains(|c: char| c.is_ascii_digit());
        text.parse::<f64>()
            .ok()
            .filter(|n| numeric && n.is_finite())
    }

    /// What the node is called in messages.
    pub fn describe(&self) -> String {
        match &self.data {
            Data::Scalar(_) if self.is_null() => "nothing".to_owned(),
            Data::Scalar(scalar) => format!("`{}`", shorten(&scalar.text)),
            Data::List(_) => "a list".to_owned(),
            Data::Map(_) => "a map".to_owned(),
        }
    }
}

/// A value and the place it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> At<T> {
    /// A value with its place.
    pub fn new(value: T, span: Span) -> At<T> {
        At { value, span }
    }
}

impl<T: Into<crate::cfn::Value>> From<At<T>> for crate::cfn::Value {
    fn from(at: At<T>) -> crate::cfn::Value {
        at.value.into().at(at.span)
    }
}

impl<T: Clone + Into<crate::cfn::Value>> From<&At<T>> for crate::cfn::Value {
    fn from(at: &At<T>) -> crate::cfn::Value {
        at.value.clone().into().at(at.span)
    }
}

/// Typed reading of a mapping that the schema has already checked: what cannot be read is absent.
impl Node {
    /// The text under `key`.
    pub fn text_at(&self, key: &str) -> Option<At<String>> {
        let node = self.get(key)?;
        node.text().map(|t| At::new(t.to_owned(), node.span))
    }

    /// The whole number under `key`.
    pub fn integer_at(&self, key: &str) -> Option<At<i64>> {
        let node = self.get(key)?;
        node.integer().map(|n| At::new(n, node.span))
    }

    /// The port under `key`.
    pub fn port_at(&self, key: &str) -> Option<At<u16>> {
        let found = self.integer_at(key)?;
        u16::try_from(found.value)
            .ok()
            .map(|n| At::new(n, found.span))
    }

    /// The boolean under `key`.
    pub fn boolean_at(&self, key: &str) -> Option<At<bool>> {
        let node = self.get(key)?;
        node.boolean().map(|b| At::new(b, node.span))
    }

    /// The nanoseconds of the duration under `key`.
    pub fn duration_at(&self, key: &str) -> Option<At<i64>> {
        let node = self.get(key)?;
        node.text()
            .and_then(crate::duration::parse)
            .map(|n| At::new(n, node.span))
    }

    /// The whole seconds of the duration under `key`.
    pub fn seconds_at(&self, key: &str) -> Option<At<i64>> {
        self.duration_at(key)
            .map(|d| At::new(crate::duration::seconds(d.value), d.span))
    }

    /// The scalar itself if it is one, else the items' texts.
    pub fn texts(&self) -> Vec<At<String>> {
        match &self.data {
            Data::List(items) => items.iter().filter_map(Node::own_text).collect(),
            Data::Scalar(_) => self.own_text().into_iter().collect(),
            Data::Map(_) => Vec::new(),
        }
    }

    /// The texts under `key`; none if it is absent.
    pub fn texts_at(&self, key: &str) -> Vec<At<String>> {
        self.get(key).map(Node::texts).unwrap_or_default()
    }

    /// The items under `key`; none if it is absent.
    pub fn items_at(&self, key: &str) -> &[Node] {
        self.get(key).and_then(Node::items).unwrap_or_default()
    }

    /// The entries under `key` sorted by their keys; none if it is absent.
    pub fn sorted_at(&self, key: &str) -> Vec<(&Key, &Node)> {
        let entries = self.get(key).and_then(Node::entries).unwrap_or_default();
        let mut sorted: Vec<(&Key, &Node)> = entries.iter().map(|(k, v)| (k, v)).collect();
        sorted.sort_by(|(a, _), (b, _)| a.text.cmp(&b.text));
        sorted
    }

    /// The scalar with its place.
    pub fn own_text(&self) -> Option<At<String>> {
        self.text().map(|t| At::new(t.to_owned(), self.span))
    }
}

fn shorten(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() > 60 || line.len() < text.len() {
        line.chars().take(60).chain("…".chars()).collect()
    } else {
        line.to_owned()
    }
}

/// Reads a whole number as YAML writes them: decimal, `0x`, `0o`, `0b`, with underscores.
pub fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(rest) if text.starts_with('-') => (-1, rest),
        Some(rest) => (1, rest),
        None => (1, text),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let digits = digits.replace('_', "");
    let parsed = if let Some(hex) = digits.strip_prefix("0x") {
        i64::from_str_radix(hex, 16)
    } else if let Some(octal) = digits.strip_prefix("0o") {
        i64::from_str_radix(octal, 8)
    } else if let Some(binary) = digits.strip_prefix("0b") {
        i64::from_str_radix(binary, 2)
    } else {
        digits.parse()
    };
    parsed.ok().map(|n| sign * n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_and_merge_keys_are_resolved() {
        let node = parse(
            "a: &x {p: 1, q: 2}\nb:\n  <<: *x\n  q: 3\nc: [!Sub '${X}']\n",
            0,
        )
        .expect("valid");
        assert_eq!(node.dig("b.p").and_then(Node::integer), Some(1));
        assert_eq!(node.dig("b.q").and_then(Node::integer), Some(3));
        let item = &node.get("c").and_then(Node::items).expect("list")[0];
        assert_eq!(item.tag.as_deref(), Some("Sub"));
    }

    #[test]
    fn hostile_documents_are_refused() {
        let deep = "[".repeat(500);
        assert!(parse(&deep, 0).is_err());
        let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for (from, to) in ["ab", "bc", "cd", "de", "ef", "fg"]
            .iter()
            .map(|p| p.split_at(1))
        {
            let star = format!("*{from},").repeat(10);
            bomb.push_str(&format!("{to}: &{to} [{}]\n", star.trim_end_matches(',')));
        }
        assert!(
            parse(&bomb, 0)
                .is_err_and(|e| e.message.contains("aliases") || e.message.contains("too many"))
        );
        assert!(parse("a: 1\na: 2\n", 0).is_err_and(|e| e.message.contains("twice")));
    }

    #[test]
    fn numbers_are_read_as_yaml_writes_them() {
        for (text, value) in [
            ("80", Some(80)),
            ("-3", Some(-3)),
            ("0x1F", Some(31)),
            ("0o17", Some(15)),
            ("1_000", Some(1000)),
            ("", None),
            ("lots", None),
            ("1.5", None),
        ] {
            assert_eq!(integer(text), value, "{text}");
        }
    }
}
