//! Scalars: which style a text allows, and how each style is written.

use super::{STEP, Slot, Writer};
use crate::node::{Content, Node, ScalarStyle};

/// Longest key, in bytes with anchor and tag, that is written without `?`.
const MAX_SIMPLE_KEY: usize = 128;

/// Whether a node can be a key on the line of its value.
pub(super) fn is_simple(key: &Node) -> bool {
    match &key.content {
        Content::Scalar { text, .. } => {
            is_simple_key(text, key.tag.as_deref(), key.anchor.as_deref())
        }
        Content::Sequence { .. } | Content::Mapping(_) | Content::Alias { .. } => false,
    }
}

pub(super) fn is_simple_key(text: &str, tag: Option<&str>, anchor: Option<&str>) -> bool {
    let length = |part: Option<&str>| part.map_or(0, str::len);
    !text.contains(is_break) && text.len() + length(tag) + length(anchor) <= MAX_SIMPLE_KEY
}

impl Writer {
    pub(super) fn scalar(&mut self, text: &str, wanted: ScalarStyle, slot: Slot) {
        let style = self.allowed(text, wanted, slot);
        let outer = self.deeper(true, slot);
        match style {
            ScalarStyle::Plain => self.plain(text),
            ScalarStyle::Single => self.single_quoted(text),
            ScalarStyle::Double => self.double_quoted(text),
            ScalarStyle::Literal => self.literal(text),
            ScalarStyle::Folded => self.folded(text),
        }
        self.indent = outer;
    }

    /// The wanted style, or the next one that can hold the text here.
    fn allowed(&self, text: &str, wanted: ScalarStyle, slot: Slot) -> ScalarStyle {
        let traits = Traits::of(text);
        let in_flow = self.flow_level > 0;
        let mut style = wanted;
        if slot == Slot::SimpleKey && traits.multiline {
            style = ScalarStyle::Double;
        }
        if style == ScalarStyle::Plain {
            let plain = if in_flow {
                traits.plain_in_flow
            } else {
                traits.plain_in_block
            };
            if !plain || (text.is_empty() && (in_flow || slot == Slot::SimpleKey)) {
                style = ScalarStyle::Single;
            }
        }
        if style == ScalarStyle::Single && !traits.single_quoted {
            style = ScalarStyle::Double;
        }
        let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        if block && (!traits.block || in_flow || slot == Slot::SimpleKey) {
            style = ScalarStyle::Double;
        }
        style
    }

    fn plain(&mut self, text: &str) {
        if !text.is_empty() {
            if !self.whitespace {
                self.put(' ');
            }
            self.text(text);
            self.whitespace = false;
        }
        self.indention = false;
    }

    fn single_quoted(&mut self, text: &str) {
        self.indicator("'", true, false, false);
        let mut breaks = false;
        for char in text.chars() {
            if is_break(char) {
                if !breaks && char == '\n' {
                    self.line_break('\n');
                }
                self.line_break(char);
                breaks = true;
                continue;
            }
            if breaks {
                self.write_indent();
                breaks = false;
            }
            if char == '\'' {
                self.put('\'');
            }
            self.put(char);
            self.indention = false;
        }
        self.indicator("'", false, false, false);
    }

    fn double_quoted(&mut self, text: &str) {
        self.indicator("\"", true, false, false);
        for char in text.chars() {
            if is_printable(char) && !is_break(char) && !matches!(char, '"' | '\\') {
                self.put(char);
                continue;
            }
            let code = u32::from(char);
            let escape = match char {
                '\0' => "0",
                '\x07' => "a",
                '\x08' => "b",
                '\t' => "t",
                '\n' => "n",
                '\x0b' => "v",
                '\x0c' => "f",
                '\r' => "r",
                '\x1b' => "e",
                '"' => "\"",
                '\\' => "\\",
                '\u{85}' => "N",
                '\u{2028}' => "L",
                '\u{2029}' => "P",
                _ if code <= 0xFF => &format!("x{code:02X}"),
                _ if code <= 0xFFFF => &format!("u{code:04X}"),
                _ => &format!("U{code:08X}"),
            };
            self.put('\\');
            self.text(escape);
        }
        self.indicator("\"", false, false, false);
    }

    fn literal(&mut self, text: &str) {
        self.block_header("|", text);
        let mut breaks = true;
        for char in text.chars() {
            if is_break(char) {
                self.line_break(char);
                breaks = true;
                continue;
            }
            if breaks {
                self.write_indent();
                breaks = false;
            }
            self.put(char);
            self.indention = false;
        }
    }

    fn folded(&mut self, text: &str) {
        self.block_header(">", text);
        // Looked at from the head of the text at every break, as the library does.
        let opening = text.trim_start_matches(is_break).chars().next();
        let opening_is_blank = opening.is_none_or(is_blank);
        let (mut breaks, mut leading_spaces) = (true, true);
        for char in text.chars() {
            if is_break(char) {
                if !breaks && !leading_spaces && char == '\n' && !opening_is_blank {
                    self.line_break('\n');
                }
                self.line_break(char);
                breaks = true;
                continue;
            }
            if breaks {
                self.write_indent();
                leading_spaces = is_blank(char);
                breaks = false;
            }
            self.put(char);
            self.indention = false;
        }
    }

    /// `|` or `>` with the hints for indentation and trailing newlines.
    fn block_header(&mut self, indicator: &str, text: &str) {
        self.indicator(indicator, true, false, false);
        if text.starts_with(|char| char == ' ' || is_break(char)) {
            self.indicator(&STEP.to_string(), false, false, false);
        }
        let mut last = text.chars().rev();
        match (last.next().map(is_break), last.next().map(is_break)) {
            (Some(true), Some(false)) => {}
            (Some(true), Some(true) | None) => self.indicator("+", false, false, false),
            (Some(false) | None, _) => self.indicator("-", false, false, false),
        }
        self.whitespace = true;
    }
}

/// Which styles can hold a text.
struct Traits {
    multiline: bool,
    plain_in_flow: bool,
    plain_in_block: bool,
    single_quoted: bool,
    block: bool,
}

impl Traits {
    fn of(text: &str) -> Traits {
        if text.is_empty() {
            return Traits {
                multiline: false,
                plain_in_flow: false,
                plain_in_block: true,
                single_quoted: true,
                block: false,
            };
        }
        let document_marker = text.starts_with("---") || text.starts_with("...");
        // Characters that mean something in flow and in block style.
        let (mut flow, mut block) = (document_marker, document_marker);
        let (mut tab, mut special, mut multiline) = (false, false, false);
        let (mut break_space, mut space_break) = (false, false);
        let (mut after_space, mut after_break, mut after_blank) = (false, false, true);
        let mut chars = text.chars().peekable();
        let mut first = true;
        while let Some(char) = chars.next() {
            let before_blank = chars.peek().is_none_or(|next| is_blank(*next));
            match char {
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"'
                | '%' | '@' | '`'
                    if first =>
                {
                    flow = true;
                    block = true;
                }
                '-' if first && before_blank => {
                    flow = true;
                    block = true;
                }
                ':' => {
                    flow = true;
                    block |= before_blank;
                }
                '?' => {
                    flow = true;
                    block |= first && before_blank;
                }
                ',' | '[' | ']' | '{' | '}' => flow = true,
                '#' if after_blank => {
                    flow = true;
                    block = true;
                }
                '\t' => tab = true,
                _ => {}
            }
            special |= char != '\t' && !is_printable(char);
            multiline |= is_break(char);
            break_space |= char == ' ' && after_break;
            space_break |= is_break(char) && after_space;
            after_space = char == ' ';
            after_break = is_break(char);
            after_blank = is_blank(char) || is_break(char);
            first = false;
        }
        let at_edge =
            |matches: fn(char) -> bool| text.starts_with(matches) || text.ends_with(matches);
        let padded = at_edge(|char| char == ' ') || at_edge(is_break);
        let plain = !(padded || break_space || space_break || tab || special || multiline);
        Traits {
            multiline,
            plain_in_flow: plain && !flow,
            plain_in_block: plain && !block,
            single_quoted: !(break_space || space_break || tab || special),
            block: !(text.ends_with(' ') || space_break || special),
        }
    }
}

fn is_blank(char: char) -> bool {
    matches!(char, ' ' | '\t')
}

fn is_break(char: char) -> bool {
    matches!(char, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What may stand in a scalar without an escape: no control characters, nothing beyond the basic plane.
fn is_printable(char: char) -> bool {
    matches!(char, '\n' | ' '..='~' | '\u{A0}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}')
        && char != '\u{FEFF}'
}
