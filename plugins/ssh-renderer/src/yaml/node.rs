//! The tree: Ruby's values with places, and Ruby's text for them, which is what ends up in environments and labels.

use crate::diagnostic::Mark;

/// A value and where it was written.
#[derive(Clone, Debug)]
pub struct Node {
    /// The value.
    pub kind: Kind,
    /// Where it begins.
    pub at: Mark,
}

/// A value, as Psych loads it.
#[derive(Clone, Debug)]
pub enum Kind {
    /// `~`, or nothing.
    Null,
    /// `yes`, `off`, …
    Bool(bool),
    /// Decimal, octal, hexadecimal, binary or sexagesimal.
    Int(i128),
    /// Decimal with a point.
    Float(f64),
    /// A string.
    Text(String),
    /// `:name`, without the colon.
    Symbol(String),
    /// `YYYY-MM-DD`.
    Date(String),
    /// A date with a time.
    Time(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping in the order of the file; keys are unique.
    Map(Vec<Entry>),
}

/// One key of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Any scalar; strings nearly always.
    pub key: Node,
    /// Its value.
    pub value: Node,
}

/// Places do not count: `a` is `a` wherever it stands.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

/// As in Ruby, the order of a mapping's keys does not count.
impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b,
            (Self::Text(a), Self::Text(b))
            | (Self::Symbol(a), Self::Symbol(b))
            | (Self::Date(a), Self::Date(b))
            | (Self::Time(a), Self::Time(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => {
                a.len() == b.len() && a.iter().all(|entry| b.contains(entry))
            }
            _ => false,
        }
    }
}

impl Node {
    /// A string's text; nothing for what merely looks like one.
    pub fn as_str(&self) -> Option<&str> {
        if let Kind::Text(text) = &self.kind {
            Some(text)
        } else {
            None
        }
    }

    /// The text of anything that Kamal accepts where a string is wanted: strings, symbols, numbers, booleans.
    pub fn as_stringish(&self) -> Option<String> {
        match &self.kind {
            Kind::Text(_) | Kind::Symbol(_) | Kind::Int(_) | Kind::Float(_) | Kind::Bool(_) => {
                Some(self.to_text())
            }
            Kind::Null | Kind::Date(_) | Kind::Time(_) | Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// A whole number.
    pub fn as_int(&self) -> Option<i128> {
        if let Kind::Int(number) = self.kind {
            Some(number)
        } else {
            None
        }
    }

    /// A boolean.
    pub fn as_bool(&self) -> Option<bool> {
        if let Kind::Bool(value) = self.kind {
            Some(value)
        } else {
            None
        }
    }

    /// A list's items.
    pub fn as_list(&self) -> Option<&[Node]> {
        if let Kind::List(items) = &self.kind {
            Some(items)
        } else {
            None
        }
    }

    /// A mapping's entries.
    pub fn as_map(&self) -> Option<&[Entry]> {
        if let Kind::Map(entries) = &self.kind {
            Some(entries)
        } else {
            None
        }
    }

    /// The entries, none when it is no mapping.
    pub fn entries(&self) -> &[Entry] {
        self.as_map().unwrap_or_default()
    }

    /// The items, none when it is no list.
    pub fn items(&self) -> &[Node] {
        self.as_list().unwrap_or_default()
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries()
            .iter()
            .find(|e| e.key.as_str() == Some(key))
            .map(|e| &e.value)
    }

    /// The value at the end of several keys.
    pub fn dig(&self, keys: &[&str]) -> Option<&Node> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// Where a key is written.
    pub fn key_at(&self, key: &str) -> Option<Mark> {
        self.entries()
            .iter()
            .find(|e| e.key.as_str() == Some(key))
            .map(|e| e.key.at)
    }

    /// Ruby's truth: everything but null and false.
    pub fn is_truthy(&self) -> bool {
        !matches!(self.kind, Kind::Null | Kind::Bool(false))
    }

    /// Rails' `present?`: neither null, false, empty, nor white space.
    pub fn is_present(&self) -> bool {
        match &self.kind {
            Kind::Null | Kind::Bool(false) => false,
            Kind::Text(text) | Kind::Symbol(text) => !text.trim().is_empty(),
            Kind::List(items) => !items.is_empty(),
            Kind::Map(entries) => !entries.is_empty(),
            Kind::Bool(true) | Kind::Int(_) | Kind::Float(_) | Kind::Date(_) | Kind::Time(_) => {
                true
            }
        }
    }

    /// Ruby's `to_s`.
    pub fn to_text(&self) -> String {
        match &self.kind {
            Kind::Null => String::new(),
            Kind::Bool(value) => value.to_string(),
            Kind::Int(number) => number.to_string(),
            Kind::Float(number) => float_text(*number),
            Kind::Text(text) | Kind::Symbol(text) | Kind::Date(text) | Kind::Time(text) => {
                text.clone()
            }
            Kind::List(_) | Kind::Map(_) => self.inspect(),
        }
    }

    /// Ruby's `inspect`.
    fn inspect(&self) -> String {
        match &self.kind {
            Kind::Null => "nil".to_owned(),
            Kind::Text(text) => format!("{text:?}"),
            Kind::Symbol(text) => format!(":{text}"),
            Kind::List(items) => {
                let items: Vec<_> = items.iter().map(Node::inspect).collect();
                format!("[{}]", items.join(", "))
            }
            Kind::Map(entries) => {
                let pairs: Vec<_> = entries
                    .iter()
                    .map(|e| format!("{}=>{}", e.key.inspect(), e.value.inspect()))
                    .collect();
                format!("{{{}}}", pairs.join(", "))
            }
            Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Date(_) | Kind::Time(_) => {
                self.to_text()
            }
        }
    }

    /// Merges an overlay into this: mappings recursively, everything else is replaced. Keys keep their place.
    pub fn merge(&mut self, overlay: Node) {
        let overlay = match (&mut self.kind, overlay) {
            (
                Kind::Map(entries),
                Node {
                    kind: Kind::Map(more),
                    ..
                },
            ) => {
                for Entry { key, value } in more {
                    match entries.iter_mut().find(|e| e.key == key) {
                        Some(entry)
                            if entry.value.as_map().is_some() && value.as_map().is_some() =>
                        {
                            entry.value.merge(value);
                        }
                        Some(entry) => *entry = Entry { key, value },
                        None => entries.push(Entry { key, value }),
                    }
                }
                return;
            }
            (_, overlay) => overlay,
        };
        *self = overlay;
    }

    /// How many nodes there are.
    pub(crate) fn weight(&self) -> usize {
        match &self.kind {
            Kind::List(items) => 1 + items.iter().map(Node::weight).sum::<usize>(),
            Kind::Map(entries) => {
                1 + entries
                    .iter()
                    .map(|e| e.key.weight() + e.value.weight())
                    .sum::<usize>()
            }
            Kind::Null
            | Kind::Bool(_)
            | Kind::Int(_)
            | Kind::Float(_)
            | Kind::Text(_)
            | Kind::Symbol(_)
            | Kind::Date(_)
            | Kind::Time(_) => 1,
        }
    }
}

/// Sets a key: a known one keeps its place.
pub(crate) fn put(entries: &mut Vec<Entry>, key: Node, value: Node) {
    match entries.iter_mut().find(|e| e.key == key) {
        Some(entry) => *entry = Entry { key, value },
        None => entries.push(Entry { key, value }),
    }
}

/// Ruby's `Float#to_s`: shortest digits, scientific outside 1e-4..1e16.
fn float_text(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if number == 0.0 || (-4..16).contains(&exponent) {
        return format!("{number:?}");
    }
    let point = if digits.contains('.') { "" } else { ".0" };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}{point}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_read_as_ruby_prints_them() {
        for (number, text) in [
            (1.0, "1.0"),
            (0.5, "0.5"),
            (0.0001, "0.0001"),
            (0.00001, "1.0e-05"),
            (1e15, "1000000000000000.0"),
            (1e16, "1.0e+16"),
            (1.5e100, "1.5e+100"),
            (-0.0, "-0.0"),
        ] {
            assert_eq!(float_text(number), text);
        }
    }

    #[test]
    fn merging_keeps_places_and_replaces_lists() {
        let read = |text: &str| crate::yaml::read(text, 0, &mut Default::default()).expect("valid");
        let mut base = read("a: {x: 1, y: [1, 2]}\nb: 2\n");
        base.merge(read("a: {y: [3], z: 4}\nc: 5\n"));
        assert_eq!(
            base.to_text(),
            r#"{"a"=>{"x"=>1, "y"=>[3], "z"=>4}, "b"=>2, "c"=>5}"#
        );
    }
}
