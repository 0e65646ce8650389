//! Nodes back to YAML text, with the layout of the library Copilot prints with.
//!
//! Indentation goes to the next multiple of four, except that a collection in a list's item only skips the `- `;
//! lines are never folded; quotes, flow and block style stay as they were written.

mod scalar;

use crate::node::{Content, Mapping, Node, ScalarStyle};
use crate::plain;

/// A value on its own; ends with a newline.
pub(crate) fn value(node: &Node) -> String {
    let mut writer = Writer::default();
    writer.node(node, Slot::Root);
    writer.finish()
}

/// A list with this item only.
pub(crate) fn item(node: &Node) -> String {
    let mut writer = Writer {
        indent: Some(0),
        ..Writer::default()
    };
    writer.indicator("-", true, false, true);
    writer.node(node, Slot::Item);
    writer.finish()
}

/// A mapping with this entry only.
pub(crate) fn entry(key: &str, node: &Node) -> String {
    let mut writer = Writer {
        indent: Some(0),
        ..Writer::default()
    };
    let style = if key.contains('\n') {
        ScalarStyle::Literal
    } else if plain::is_text(key) {
        ScalarStyle::Plain
    } else {
        ScalarStyle::Double
    };
    let simple = scalar::is_simple_key(key, None, None);
    writer.block_entry(simple, |writer, slot| writer.scalar(key, style, slot), node);
    writer.finish()
}

/// Where a node stands in its parent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    Root,
    /// Of a list in block style.
    Item,
    /// A key that fits on its line.
    SimpleKey,
    Other,
}

struct Writer {
    out: String,
    column: usize,
    /// The last thing written separates tokens.
    whitespace: bool,
    /// Nothing but indentation and `-`, `?`, `:` is on the line so far.
    indention: bool,
    /// None outside the outermost value.
    indent: Option<usize>,
    flow_level: usize,
}

impl Default for Writer {
    fn default() -> Writer {
        Writer {
            out: String::new(),
            column: 0,
            whitespace: true,
            indention: true,
            indent: None,
            flow_level: 0,
        }
    }
}

const STEP: usize = 4;

impl Writer {
    fn finish(mut self) -> String {
        self.indent = None;
        self.write_indent();
        self.out
    }

    fn node(&mut self, node: &Node, slot: Slot) {
        if let Content::Alias { name, .. } = &node.content {
            self.indicator("*", true, false, false);
            self.name(name);
            return;
        }
        if let Some(anchor) = &node.anchor {
            self.indicator("&", true, false, false);
            self.name(anchor);
        }
        if let Some(tag) = &node.tag {
            self.tag(tag);
        }
        match &node.content {
            Content::Alias { .. } => {}
            Content::Scalar { text, style } => self.scalar(text, *style, slot),
            Content::Sequence { items, flow }
                if *flow || self.flow_level > 0 || items.is_empty() =>
            {
                self.flow('[', ']', items, slot, |writer, item| {
                    writer.node(item, Slot::Other)
                });
            }
            Content::Sequence { items, .. } => {
                let outer = self.deeper(false, slot);
                for item in items {
                    self.write_indent();
                    self.indicator("-", true, false, true);
                    self.node(item, Slot::Item);
                }
                self.indent = outer;
            }
            Content::Mapping(Mapping { entries, flow, .. })
                if *flow || self.flow_level > 0 || entries.is_empty() =>
            {
                self.flow('{', '}', entries, slot, |writer, (key, value)| {
                    writer.flow_entry(key, value)
                });
            }
            Content::Mapping(Mapping { entries, .. }) => {
                let outer = self.deeper(false, slot);
                for (key, value) in entries {
                    let simple = scalar::is_simple(key);
                    self.block_entry(simple, |writer, slot| writer.node(key, slot), value);
                }
                self.indent = outer;
            }
        }
    }

    fn flow<T>(
        &mut self,
        open: char,
        close: char,
        items: &[T],
        slot: Slot,
        mut write: impl FnMut(&mut Writer, &T),
    ) {
        self.indicator(open.encode_utf8(&mut [0; 4]), true, true, false);
        let outer = self.deeper(true, slot);
        self.flow_level += 1;
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.indicator(",", false, false, false);
            }
            write(self, item);
        }
        self.flow_level -= 1;
        self.indent = outer;
        self.indicator(close.encode_utf8(&mut [0; 4]), false, false, false);
    }

    fn flow_entry(&mut self, key: &Node, value: &Node) {
        if scalar::is_simple(key) {
            self.node(key, Slot::SimpleKey);
            self.indicator(":", false, false, false);
        } else {
            self.indicator("?", true, false, false);
            self.node(key, Slot::Other);
            self.indicator(":", true, false, false);
        }
        self.node(value, Slot::Other);
    }

    fn block_entry(
        &mut self,
        simple: bool,
        write_key: impl FnOnce(&mut Writer, Slot),
        value: &Node,
    ) {
        self.write_indent();
        if simple {
            write_key(self, Slot::SimpleKey);
            self.indicator(":", false, false, false);
        } else {
            self.indicator("?", true, false, true);
            write_key(self, Slot::Other);
            self.write_indent();
            self.indicator(":", true, false, true);
        }
        self.node(value, Slot::Other);
    }

    fn tag(&mut self, tag: &str) {
        if !self.whitespace {
            self.put(' ');
        }
        let (handle, suffix, end) = if let Some(suffix) = tag.strip_prefix("!!") {
            ("!!", suffix, "")
        } else if let Some(suffix) = tag.strip_prefix('!') {
            ("!", suffix, "")
        } else {
            ("!<", tag, ">")
        };
        self.text(handle);
        let mut bytes = [0; 4];
        for char in suffix.chars() {
            if char.is_ascii_alphanumeric() || "-;/?:@&=+$,_.~*'()[]".contains(char) {
                self.put(char);
            } else {
                for byte in char.encode_utf8(&mut bytes).bytes() {
                    self.text(&format!("%{byte:02X}"));
                }
            }
        }
        self.text(end);
        self.whitespace = false;
        self.indention = false;
    }

    fn name(&mut self, name: &str) {
        self.text(name);
        self.whitespace = false;
        self.indention = false;
    }

    /// Goes one level in; returns the indentation to go back to.
    fn deeper(&mut self, flow: bool, slot: Slot) -> Option<usize> {
        let outer = self.indent;
        self.indent = Some(match outer {
            None if flow => STEP,
            None => 0,
            Some(indent) if slot == Slot::Item => indent + 2,
            Some(indent) => STEP * (indent / STEP + 1),
        });
        outer
    }

    fn indicator(&mut self, text: &str, separate: bool, whitespace: bool, indention: bool) {
        if separate && !self.whitespace {
            self.put(' ');
        }
        self.text(text);
        self.whitespace = whitespace;
        self.indention &= indention;
    }

    /// Goes to the indentation of the current level, on a new line if need be.
    fn write_indent(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.line_break('\n');
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
    }

    fn line_break(&mut self, char: char) {
        self.out.push(char);
        self.column = 0;
        self.indention = true;
    }

    fn put(&mut self, char: char) {
        self.out.push(char);
        self.column += 1;
    }

    fn text(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
    }
}
