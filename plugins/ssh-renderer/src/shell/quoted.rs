//! Quoted values: Ruby's string escapes stay visible (a line break arrives as `\n`), except those that the shell undoes.
//! `${…}` is left to the shell.

use std::ops::Range;

use release::{Expansion, Value};

/// What a quoted value arrives as.
pub fn quoted(value: &str) -> Value {
    let mut whole = Value::default();
    let mut rest = 0;
    for expansion in expansions(value) {
        whole = whole
            .and_text(visible(value, rest..expansion.start))
            .and_remote(Expansion {
                text: escaped(&value[expansion.start + 2..expansion.end - 1]),
                command: false,
                split: false,
            });
        rest = expansion.end;
    }
    whole.and_text(visible(value, rest..value.len()))
}

/// Where the shell finds `${…}`, with dollar sign and braces. Kamal leaves a dollar sign alone when a closing brace
/// follows before anything that is not ASCII; the shell then looks for the brace that belongs to it.
pub(super) fn expansions(value: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = value[at..].find("${").map(|offset| at + offset) {
        match end_of_expansion(value, start) {
            Some(end) => {
                found.push(start..end);
                at = end;
            }
            None => at = start + 2,
        }
    }
    found
}

/// Whether Kamal leaves the dollar sign at a place to the shell.
pub(super) fn is_left_alone(value: &str, dollar: usize) -> bool {
    let inside = value[dollar..]
        .strip_prefix("${")
        .and_then(|rest| rest.split_once('}'));
    inside.is_some_and(|(inside, _)| inside.is_ascii())
}

fn end_of_expansion(value: &str, start: usize) -> Option<usize> {
    if !is_left_alone(value, start) {
        return None;
    }
    let mut depth = 0usize;
    let mut first = None;
    for (at, c) in value[start..].char_indices().map(|(at, c)| (start + at, c)) {
        match c {
            '$' if is_left_alone(value, at) => depth += 1,
            '}' => {
                first = first.or(Some(at + 1));
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            c if !c.is_ascii() => break,
            _ => {}
        }
    }
    // The shell would not find the end. What Kamal's own rule takes for one is nearest to what is meant.
    first
}

/// What the shell leaves of Ruby's escapes in a part of a value.
fn visible(value: &str, part: Range<usize>) -> String {
    let mut visible = String::with_capacity(part.len());
    for (at, c) in value[part.clone()].char_indices() {
        let next = value[part.start + at + c.len_utf8()..].chars().next();
        match escape(c, next) {
            Some(escape) if !matches!(c, '"' | '\\') => visible.push_str(&escape),
            Some(_) | None => visible.push(c),
        }
    }
    visible
}

/// As Kamal writes it between double quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        match (escape(c, next), c) {
            (Some(escape), _) => escaped.push_str(&escape),
            (None, '`') => escaped.push_str("\\`"),
            (None, '$') if !is_left_alone(text, at) => escaped.push_str("\\$"),
            (None, c) => escaped.push(c),
        }
    }
    escaped
}

/// Ruby's `String#dump` of an ASCII character; none when it stands for itself.
fn escape(c: char, next: Option<char>) -> Option<String> {
    let escape = match c {
        '"' | '\\' => format!("\\{c}"),
        '\n' => "\\n".to_owned(),
        '\t' => "\\t".to_owned(),
        '\r' => "\\r".to_owned(),
        '\u{7}' => "\\a".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\u{b}' => "\\v".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        '\u{1b}' => "\\e".to_owned(),
        '\0'..='\u{1f}' | '\u{7f}' => format!("\\x{:02X}", u32::from(c)),
        '#' if matches!(next, Some('{' | '$' | '@')) => "\\#".to_owned(),
        _ => return None,
    };
    Some(escape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_values_arrive_as_the_shell_leaves_them() {
        for (value, json) in [
            ("x y", r#""x y""#),
            ("$X `x` \"q\" \\ é", r#""$X `x` \"q\" \\ é""#),
            ("a\nb\t\u{1b}\u{1}", r#""a\\nb\\t\\e\\x01""#),
            ("a#{b}#", r#""a\\#{b}#""#),
            ("${", r#""${""#),
            ("a#${V}", r#"["a\\#",{"remote":"V"}]"#),
            ("a${V}b$c", r#"["a",{"remote":"V"},"b$c"]"#),
            ("${X:-a\"b}", r#"{"remote":"X:-a\\\"b"}"#),
            ("${X:-$(id)`id`}", r#"{"remote":"X:-\\$(id)\\`id\\`"}"#),
            ("${X:-${Y}}z", r#"[{"remote":"X:-${Y}"},"z"]"#),
            ("${é}${Y}", r#"["${é}",{"remote":"Y"}]"#),
            ("", r#""""#),
        ] {
            let found = quoted(value).to_json().to_string();
            assert_eq!(found, json, "{value}");
        }
    }
}
