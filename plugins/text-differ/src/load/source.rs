//! What the parser's events leave out: names of anchors, and brackets.

use saphyr_parser::Span;

/// The text by character, to look at what the parser's events leave out.
pub(super) enum Source<'a> {
    Ascii(&'a str),
    Unicode(Vec<char>),
}

impl<'a> Source<'a> {
    pub(super) fn new(text: &'a str) -> Source<'a> {
        if text.is_ascii() {
            Source::Ascii(text)
        } else {
            Source::Unicode(text.chars().collect())
        }
    }

    fn at(&self, index: usize) -> Option<char> {
        match self {
            Source::Ascii(text) => text.as_bytes().get(index).map(|byte| char::from(*byte)),
            Source::Unicode(chars) => chars.get(index).copied(),
        }
    }

    /// The first character of a node behind its tag and anchor.
    pub(super) fn after_properties(&self, span: Span) -> Option<char> {
        let mut index = span.start.index();
        while let Some(char) = self.at(index) {
            match char {
                '!' | '&' => {
                    while self.at(index).is_some_and(is_anchor_char) {
                        index += 1;
                    }
                }
                '#' => {
                    while self.at(index).is_some_and(|char| char != '\n') {
                        index += 1;
                    }
                }
                _ if char.is_whitespace() => index += 1,
                _ => return Some(char),
            }
        }
        None
    }

    /// `name` of `*name`.
    pub(super) fn alias(&self, span: Span) -> String {
        (span.start.index() + 1..span.end.index())
            .filter_map(|index| self.at(index))
            .collect()
    }

    /// `name` of `&name`, before or after a tag.
    pub(super) fn anchor(&self, span: Span) -> String {
        let mut index = span.start.index();
        while self.at(index).is_some_and(|char| char != '&') {
            index += 1;
        }
        (index + 1..)
            .map_while(|index| self.at(index))
            .take_while(|char| is_anchor_char(*char))
            .collect()
    }
}

fn is_anchor_char(char: char) -> bool {
    !char.is_whitespace() && !matches!(char, ',' | '[' | ']' | '{' | '}')
}
