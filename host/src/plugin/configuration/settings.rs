//! A YAML tree as JSON, for the settings that a plugin gets.

use serde_json::{Map, Number, Value};

use crate::manifest::{
    Diagnostic,
    tree::{Data, Node},
};

/// More values than any settings have: aliases can make a small text large.
const LARGEST: usize = 10_000;

/// Scalars by the core schema of YAML 1.2: what is in quotes is text.
pub(super) fn json(node: &Node) -> Result<Value, Diagnostic> {
    let mut left = LARGEST;
    convert(node, &mut left).ok_or_else(|| {
        let message = format!("these settings have more than {LARGEST} values");
        Diagnostic::error("settings", message)
            .at(node.at.clone())
            .help("put what is large into a file, and name the file")
    })
}

fn convert(node: &Node, left: &mut usize) -> Option<Value> {
    *left = left.checked_sub(1)?;
    Some(match &node.data {
        Data::Scalar { .. } if node.is_null() => Value::Null,
        Data::Scalar { text, plain: true } => scalar(text),
        Data::Scalar { text, plain: false } => Value::from(text.as_str()),
        Data::Sequence(items) => {
            let items = items.iter().map(|item| convert(item, left));
            Value::Array(items.collect::<Option<_>>()?)
        }
        Data::Mapping(entries) => {
            let entry = |entry: &crate::manifest::tree::Entry| {
                Some((entry.key.clone(), convert(&entry.value, left)?))
            };
            Value::Object(entries.iter().map(entry).collect::<Option<Map<_, _>>>()?)
        }
    })
}

fn scalar(text: &str) -> Value {
    match text {
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    if let (true, Ok(number)) = (numeric, text.parse::<i64>()) {
        return Value::from(number);
    }
    let decimal = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
    let float = text
        .parse::<f64>()
        .ok()
        .filter(|_| numeric && text.chars().all(decimal));
    match float.and_then(Number::from_f64) {
        Some(number) => Value::Number(number),
        None => Value::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_become_json() {
        for (yaml, expected) in [
            ("a: 1\nb: '1'", r#"{"a":1,"b":"1"}"#),
            (
                "a: [true, no, ~, 1.5, -2, 1e3, 1.2.3, +, .]",
                r#"{"a":[true,"no",null,1.5,-2,1000.0,"1.2.3","+","."]}"#,
            ),
            ("x: &x {k: v}\ny: *x", r#"{"x":{"k":"v"},"y":{"k":"v"}}"#),
            ("a: 2024-01-01", r#"{"a":"2024-01-01"}"#),
            ("a: nan\nb: inf", r#"{"a":"nan","b":"inf"}"#),
        ] {
            let node = Node::parse("p", yaml).expect(yaml);
            assert_eq!(json(&node).expect(yaml).to_string(), expected);
        }
    }

    #[test]
    fn aliases_cannot_make_settings_large() {
        let mut text = String::from("a0: &a0 [1]\n");
        for level in 1..40 {
            let below = format!("*a{}", level - 1);
            text += &format!("a{level}: &a{level} [{below}, {below}]\n");
        }
        let node = Node::parse("p", &text).expect("it is small to read");
        assert!(json(&node).is_err());
    }
}
