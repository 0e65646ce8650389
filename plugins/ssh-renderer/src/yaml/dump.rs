//! A tree as Psych writes it.

use crate::yaml::node::{Entry, Kind, Node};
use crate::yaml::scalar;

/// The document, with `---` before it and a line break at its end.
pub fn dump(node: &Node) -> String {
    let mut out = "---".to_owned();
    below(node, 0, After::Start, &mut out);
    out
}

/// What a node follows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    /// `---`
    Start,
    /// A key: lists are not indented below it.
    Key,
    /// The dash of a list: what follows begins in the same line.
    Dash,
}

fn below(node: &Node, indent: usize, after: After, out: &mut String) {
    let begin = |first: bool, indent: usize, out: &mut String| match first && after == After::Dash {
        true => out.push(' '),
        false => start(indent, out),
    };
    match &node.kind {
        Kind::Map(entries) if !entries.is_empty() => {
            for (index, Entry { key, value }) in entries.iter().enumerate() {
                begin(index == 0, indent, out);
                out.push_str(&scalar_text(key));
                out.push(':');
                below(value, indent + 2, After::Key, out);
            }
        }
        Kind::List(items) if !items.is_empty() => {
            let indent = match after {
                After::Key => indent.saturating_sub(2),
                After::Start | After::Dash => indent,
            };
            for (index, item) in items.iter().enumerate() {
                begin(index == 0, indent, out);
                out.push('-');
                below(item, indent + 2, After::Dash, out);
            }
        }
        Kind::Map(_) => out.push_str(" {}\n"),
        Kind::List(_) => out.push_str(" []\n"),
        Kind::Text(text) if text.contains('\n') => block(text, indent, out),
        Kind::Null
        | Kind::Bool(_)
        | Kind::Int(_)
        | Kind::Float(_)
        | Kind::Text(_)
        | Kind::Symbol(_)
        | Kind::Date(_)
        | Kind::Time(_) => {
            let text = scalar_text(node);
            if node.kind != Kind::Null {
                out.push(' ');
            }
            out.push_str(&text);
            out.push('\n');
        }
    }
}

fn start(indent: usize, out: &mut String) {
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out.extend(std::iter::repeat_n(' ', indent));
}

fn block(text: &str, indent: usize, out: &mut String) {
    let chomp = match text.ends_with('\n') {
        true if text.ends_with("\n\n") => "+",
        true => "",
        false => "-",
    };
    out.push_str(" |");
    out.push_str(chomp);
    out.push('\n');
    for line in text.trim_end_matches('\n').split('\n') {
        if !line.is_empty() {
            out.extend(std::iter::repeat_n(' ', indent));
        }
        out.push_str(line);
        out.push('\n');
    }
}

fn scalar_text(node: &Node) -> String {
    match &node.kind {
        Kind::Symbol(name) => format!(":{}", text(name)),
        Kind::Text(plain) => text(plain),
        Kind::Null
        | Kind::Bool(_)
        | Kind::Int(_)
        | Kind::Float(_)
        | Kind::Date(_)
        | Kind::Time(_)
        | Kind::List(_)
        | Kind::Map(_) => node.to_text(),
    }
}

/// Quoted where it would be read as something else.
fn text(plain: &str) -> String {
    let control = |c: char| c.is_control();
    if plain.contains(control) {
        return format!("{plain:?}");
    }
    let special = plain.is_empty()
        || !matches!(scalar::resolve(plain), Kind::Text(_))
        || plain.starts_with([
            '-', '?', ':', ',', '[', ']', '{', '}', '#', '&', '*', '!', '|', '>', '\'', '"', '%',
            '@', '`', ' ',
        ]) && !is_plain_start(plain)
        || plain.ends_with([' ', ':'])
        || plain.contains(": ")
        || plain.contains(" #")
        || ["y", "n", "Y", "N"].contains(&plain);
    match special {
        true if plain.starts_with('-') && !plain.contains(['"', '\\']) => format!("\"{plain}\""),
        true => format!("'{}'", plain.replace('\'', "''")),
        false => plain.to_owned(),
    }
}

/// `-x`, `?x` and `:x` may stand for themselves, but Psych quotes words that begin with dashes.
fn is_plain_start(plain: &str) -> bool {
    plain.starts_with('-')
        && !plain.starts_with("--")
        && plain.len() > 1
        && !plain.starts_with("- ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_as_it_was() {
        let source = concat!(
            "---\n",
            ":roles:\n",
            "- web\n",
            ":version: '123'\n",
            ":empty: []\n",
            ":none: {}\n",
            ":log:\n",
            "- \"--log-opt\"\n",
            "- max-size=\"10m\"\n",
            ":level: :fatal\n",
            ":deep:\n",
            "  a:\n",
            "    b: 'y'\n",
            "    text: |-\n",
            "      one\n",
            "      two\n",
            "  list:\n",
            "  - x: 1\n",
            "    z: true\n",
            "  - - a\n",
        );
        let read = |text: &str| {
            let mut findings = crate::diagnostic::Findings::default();
            crate::yaml::read(text, 0, &mut findings)
                .ok_or(findings)
                .expect("valid")
        };
        let tree = read(source);
        let written = dump(&tree);
        assert_eq!(read(&written), tree, "{written}");
        assert_eq!(
            written.lines().take(19).collect::<Vec<_>>(),
            source.lines().take(19).collect::<Vec<_>>()
        );
    }

    #[test]
    fn texts_that_look_like_something_else_are_quoted() {
        for (plain, written) in [
            ("a b", "a b"),
            ("yes", "'yes'"),
            ("3306:3306", "3306:3306"),
            ("22:22", "'22:22'"),
            ("a: b", "'a: b'"),
            ("*", "'*'"),
            ("it's: x", "'it''s: x'"),
            ("", "''"),
        ] {
            assert_eq!(text(plain), written, "{plain}");
        }
    }
}
