//! Nodes to JSON text: intrinsics in their long form, aliases as their value.

use std::fmt::Write as _;
use std::rc::Rc;

use crate::intrinsic::{GET_ATT, long_key, short_name, split_attribute};
use crate::node::{Content, Node};
use crate::plain;

/// A value as compact JSON.
///
/// A tag that is no intrinsic becomes a mapping with the tag as its key, so that it is not lost.
pub fn to_json(node: &Node) -> String {
    let mut out = String::new();
    write_node(&mut out, node);
    out
}

fn write_node(out: &mut String, node: &Node) {
    let Some(tag) = node.tag.as_deref().filter(|tag| !tag.starts_with("!!")) else {
        write_content(out, node);
        return;
    };
    let name = short_name(tag);
    out.push('{');
    write_text(out, &name.map_or_else(|| tag.to_owned(), long_key));
    out.push(':');
    match node.scalar() {
        Some(text) if name == Some(GET_ATT) => {
            let parts = split_attribute(text);
            write_list(out, &parts, |out, part: &Rc<str>| write_text(out, part));
        }
        _ => write_content(out, node),
    }
    out.push('}');
}

fn write_content(out: &mut String, node: &Node) {
    match &node.content {
        Content::Scalar { text, .. } if node.is_plain() => {
            if plain::is_null(text) {
                out.push_str("null");
            } else if let Some(truth) = plain::boolean(text) {
                out.push_str(if truth { "true" } else { "false" });
            } else if plain::is_json_number(text) {
                out.push_str(text);
            } else {
                write_text(out, text);
            }
        }
        Content::Scalar { text, .. } => write_text(out, text),
        Content::Alias { target, .. } => write_node(out, target),
        Content::Sequence { items, .. } => {
            write_list(out, items, |out, item| write_node(out, item))
        }
        Content::Mapping(mapping) => {
            out.push('{');
            for (index, (key, value)) in mapping.by_key.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_text(out, key);
                out.push(':');
                write_node(out, value);
            }
            out.push('}');
        }
    }
}

fn write_list<T>(out: &mut String, items: &[T], mut write: impl FnMut(&mut String, &T)) {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(']');
}

fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\x1f' => {
                let _ = write!(out, "\\u{:04x}", u32::from(char));
            }
            _ => out.push(char),
        }
    }
    out.push('"');
}
