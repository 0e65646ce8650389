//! Template values to YAML text, the same bytes every time.

use super::Value;
use std::borrow::Cow;
use std::fmt::Write;

/// Longest intrinsic call that is written on one line.
const LINE: usize = 160;

/// The YAML text of `value`, two spaces per level, ending in a line break.
pub fn yaml(value: &Value) -> String {
    let mut out = String::new();
    match value.bare() {
        Value::Map(entries) if !entries.is_empty() => map(&mut out, entries, 0, false),
        Value::List(items) if !items.is_empty() => list(&mut out, items, 0, false),
        other => {
            out.push_str(&flow(other).unwrap_or_default());
            out.push('\n');
        }
    }
    out
}

fn map(out: &mut String, entries: &super::Map, indent: usize, inline_first: bool) {
    for (i, (key, value)) in entries.iter().enumerate() {
        if i > 0 || !inline_first {
            pad(out, indent);
        }
        out.push_str(&scalar(key));
        out.push(':');
        after(out, value, indent);
    }
}

fn list(out: &mut String, items: &[Value], indent: usize, inline_first: bool) {
    for (i, value) in items.iter().enumerate() {
        if i > 0 || !inline_first {
            pad(out, indent);
        }
        out.push('-');
        match value.bare() {
            Value::Map(entries) if !entries.is_empty() => {
                out.push(' ');
                map(out, entries, indent + 2, true);
            }
            Value::List(items) if !items.is_empty() => {
                out.push(' ');
                list(out, items, indent + 2, true);
            }
            Value::Call(name, argument) if matches!(argument.bare(), Value::Call(..)) => {
                out.push(' ');
                out.push_str(&long_name(name));
                out.push(':');
                after(out, argument, indent + 2);
            }
            _ => after(out, value, indent),
        }
    }
}

/// What follows a key's colon or an item's dash.
fn after(out: &mut String, value: &Value, indent: usize) {
    match value.bare() {
        Value::Map(entries) if !entries.is_empty() => {
            out.push('\n');
            map(out, entries, indent + 2, false);
        }
        Value::List(items) if !items.is_empty() => {
            out.push('\n');
            list(out, items, indent + 2, false);
        }
        Value::Call(name, argument) => call(out, name, argument.bare(), value, indent),
        Value::Text(text) if fits_literal(text) => {
            let chomp = if text.ends_with('\n') { "|" } else { "|-" };
            out.push(' ');
            out.push_str(chomp);
            out.push('\n');
            for line in text.trim_end_matches('\n').split('\n') {
                if !line.is_empty() {
                    pad(out, indent + 2);
                    out.push_str(line);
                }
                out.push('\n');
            }
        }
        other => {
            out.push(' ');
            out.push_str(&flow(other).unwrap_or_else(|| "null".to_owned()));
            out.push('\n');
        }
    }
}

fn call(out: &mut String, name: &str, argument: &Value, whole: &Value, indent: usize) {
    if let Value::Call(..) = argument {
        // A tag cannot carry another tag, so the outer function takes its long form.
        out.push('\n');
        pad(out, indent + 2);
        out.push_str(&long_name(name));
        out.push(':');
        after(out, argument, indent + 2);
        return;
    }
    let line = flow(whole).filter(|l| l.len() <= LINE);
    match (argument, line) {
        (Value::List(items), None) if !items.is_empty() => {
            let _ = writeln!(out, " !{name}");
            list(out, items, indent + 2, false);
        }
        (Value::Map(entries), None) if !entries.is_empty() => {
            let _ = writeln!(out, " !{name}");
            map(out, entries, indent + 2, false);
        }
        (_, Some(line)) => {
            let _ = writeln!(out, " {line}");
        }
        (other, None) => {
            let _ = writeln!(out, " !{name} {}", flow(other).unwrap_or_default());
        }
    }
}

/// The value on one line, or nothing if it holds a map that reads better as a block.
fn flow(value: &Value) -> Option<String> {
    match value.bare() {
        Value::Absent => Some("null".to_owned()),
        Value::Raw(text) => Some(text.to_string()),
        Value::Text(text) => Some(scalar(text).into_owned()),
        Value::List(items) => {
            let items: Option<Vec<String>> = items.iter().map(flow).collect();
            Some(format!("[{}]", items?.join(", ")))
        }
        Value::Map(entries) if entries.is_empty() => Some("{}".to_owned()),
        Value::Map(_) | Value::From(..) => None,
        Value::Call(name, argument) => match argument.bare() {
            inner @ Value::Call(..) => Some(format!("{{'{}': {}}}", long_name(name), flow(inner)?)),
            inner => Some(format!("!{name} {}", flow(inner)?)),
        },
    }
}

fn long_name(name: &str) -> String {
    if name == "Ref" || name == "Condition" {
        name.to_owned()
    } else {
        format!("Fn::{name}")
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// A text as a scalar that every YAML version reads as that text.
pub fn scalar(text: &str) -> Cow<'_, str> {
    if plain_is_text(text) {
        return Cow::Borrowed(text);
    }
    if !text.chars().any(needs_escape) {
        return format!("'{}'", text.replace('\'', "''")).into();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if needs_escape(c) => {
                let n = u32::from(c);
                let _ = if n <= 0xffff {
                    write!(out, "\\u{n:04x}")
                } else {
                    write!(out, "\\U{n:08x}")
                };
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out.into()
}

fn needs_escape(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

/// Words that some YAML version reads as something else; none is longer than five letters.
const RESERVED: [&str; 11] = [
    "true", "false", "yes", "no", "on", "off", "null", "y", "n", "nan", "inf",
];

/// True if the unquoted text is read as exactly this text, and as a text, inside and outside of brackets.
fn plain_is_text(text: &str) -> bool {
    let bytes = text.as_bytes();
    let first = bytes
        .first()
        .is_some_and(|b| b.is_ascii_alphabetic() || b"/_".contains(b));
    // Nearly every key and value comes by here.
    let fits = |(i, byte): (usize, &u8)| match byte {
        b':' => bytes.get(i + 1).is_some_and(|next| *next != b' '),
        b' ' => i + 1 < bytes.len(),
        _ => byte.is_ascii_alphanumeric() || b"_./@$-*=+%".contains(byte),
    };
    first
        && bytes.iter().enumerate().all(fits)
        && !(bytes.len() <= 5 && RESERVED.iter().any(|word| text.eq_ignore_ascii_case(word)))
}

/// True if the text may be written without quotes at all, also inside brackets.
pub fn fits_plain(text: &str) -> bool {
    let first = text.chars().next();
    let starts = first.is_some_and(|c| {
        c.is_alphanumeric() || "/_.+$".contains(c) || (c == '-' && text.len() > 1)
    });
    starts
        && !text.starts_with("- ")
        && !text.starts_with("---")
        && !text.starts_with("...")
        && !text.ends_with(' ')
        && !text.ends_with(':')
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.chars().any(|c| {
            needs_escape(c) || matches!(c, ',' | '[' | ']' | '{' | '}' | '"' | '\'' | '\\')
        })
}

fn fits_literal(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    body.contains('\n')
        && !body.ends_with('\n')
        && !body.starts_with([' ', '\n', '\t'])
        && !body
            .split('\n')
            .any(|line| line.ends_with(' ') || line.ends_with('\t') && line.trim().is_empty())
        && !text
            .chars()
            .any(|c| c != '\n' && c != '\t' && needs_escape(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cfn;
    use crate::cfn::{if_else, join, no_value, reference, sub, sub_with};

    #[test]
    fn values_print_as_short_intrinsics_in_block_style() {
        let value = cfn!({
            "Cluster": (cfn::environment_export("ClusterId")),
            "Name": (join("-", vec![reference("AppName"), "sc".into()])),
            "Alarms": (if_else("IsGovCloud", no_value(), cfn!({"Enable": false, "Names": []}))),
            "Code": (sub_with("${a}", cfn!({"a": (reference("A"))}))),
            "List": [{"Key": "1", "Value": (sub("x: ${Y}"))}, [1, 2]],
            "Missing": (None::<Value>),
        });
        let text = "Cluster:\n  Fn::ImportValue: !Sub '${AppName}-${EnvName}-ClusterId'\n\
            Name: !Join ['-', [!Ref AppName, sc]]\n\
            Alarms: !If\n  - IsGovCloud\n  - !Ref AWS::NoValue\n  - Enable: false\n    Names: []\n\
            Code: !Sub\n  - '${a}'\n  - a: !Ref A\n\
            List:\n  - Key: '1'\n    Value: !Sub 'x: ${Y}'\n  - - 1\n    - 2\n";
        assert_eq!(yaml(&value), text);
    }

    #[test]
    fn texts_are_quoted_when_yaml_would_read_something_else() {
        for (text, printed) in [
            ("web", "web"),
            ("yes", "'yes'"),
            ("2012-10-17", "'2012-10-17'"),
            ("", "''"),
            ("it's", "'it''s'"),
            ("a\nb", "\"a\\nb\""),
            ("*", "'*'"),
            ("arn:aws:sns", "arn:aws:sns"),
            ("a: b", "'a: b'"),
            ("x #y", "'x #y'"),
        ] {
            assert_eq!(scalar(text), printed);
        }
    }

    #[test]
    fn texts_are_bare_only_where_every_yaml_reads_them_as_they_are() {
        for bare in [
            "Service", "/x", "_a", "a b", "a:b", "x=1+2%", "trues", "a - *b",
        ] {
            assert_eq!(scalar(bare), bare);
        }
        for quoted in [
            "", " a", "a ", "a: b", "a:", "a #b", "a, b", "[a", "a'b", "1", "-a", "true", "Yes",
            "NULL", "off", "*a", "ä",
        ] {
            assert!(scalar(quoted).starts_with('\''), "{quoted}");
        }
        assert_eq!(scalar("a\nb"), r#""a\nb""#);
    }
}
