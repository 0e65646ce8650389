//! Texts, numbers and commands as they are written.

use super::{Answer, Fault, Reader, Value};

/// Whether `\n` and `#{…}` mean something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    Raw,
    Interpolated,
}

impl Reader<'_, '_, '_, '_> {
    /// A literal, if one comes next.
    pub(super) fn literal(&mut self) -> Result<Option<Value>, Fault> {
        let start = self.at;
        let rest = self.rest();
        let mut characters = rest.chars();
        let value = match (characters.next(), characters.next(), characters.next()) {
            (Some('\''), ..) => self.text(1, '\'', '\'', Text::Raw)?,
            (Some('"'), ..) => self.text(1, '"', '"', Text::Interpolated)?,
            (Some('`'), ..) => {
                let command = self.text(1, '`', '`', Text::Interpolated)?;
                return self.command(start, &command).map(Some);
            }
            (Some('%'), Some(kind @ ('x' | 'q' | 'Q')), Some(open))
                if open.is_ascii_punctuation() =>
            {
                let style = if kind == 'q' {
                    Text::Raw
                } else {
                    Text::Interpolated
                };
                let text = self.text(3, open, closing(open), style)?;
                if kind == 'x' {
                    return self.command(start, &text).map(Some);
                }
                text
            }
            (Some('%'), Some(open @ ('(' | '[' | '{')), _) => {
                self.text(2, open, closing(open), Text::Interpolated)?
            }
            (Some(digit), ..) if digit.is_ascii_digit() => return self.number().map(Some),
            _ => return Ok(None),
        };
        Ok(Some(Value::Text(value)))
    }

    fn number(&mut self) -> Answer {
        let start = self.at;
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let written = &rest[..end.unwrap_or(rest.len())];
        let fraction = rest[written.len()..].starts_with('.')
            && rest[written.len() + 1..].starts_with(|c: char| c.is_ascii_digit());
        self.at += written.len();
        let decimal = !written.starts_with('0') || written == "0";
        match written.replace('_', "").parse() {
            Ok(number) if decimal && !fraction => Ok(Value::Int(number)),
            Ok(_) | Err(_) => Err(Fault::unsupported(
                start,
                written.len(),
                "this kind of number",
            )),
        }
    }

    /// What stands between two delimiters, the first of which is `skip` bytes long with what leads to it.
    fn text(&mut self, skip: usize, open: char, close: char, style: Text) -> Result<String, Fault> {
        let start = self.at;
        self.at += skip;
        let mut text = String::new();
        let mut nested = 0;
        loop {
            let Some(character) = self.rest().chars().next() else {
                let fault = Fault::fails(start, skip, "this text has no end");
                return Err(fault.help(format!("close it with `{close}`")));
            };
            self.at += character.len_utf8();
            match character {
                '\\' => self.escape(&mut text, open, close, style)?,
                '#' if style == Text::Interpolated && self.rest().starts_with('{') => {
                    self.at += 1;
                    self.deeper()?;
                    text.push_str(&self.statements()?.to_text());
                    self.depth -= 1;
                    self.expects("}")?;
                }
                '#' if style == Text::Interpolated && self.rest().starts_with(['@', '$']) => {
                    return Err(Fault::unsupported(self.at - 1, 2, "this kind of variable"));
                }
                c if c == close && nested == 0 => return Ok(text),
                c => {
                    if open != close {
                        nested += usize::from(c == open);
                        nested -= usize::from(c == close);
                    }
                    text.push(c);
                }
            }
        }
    }

    /// What follows a backslash.
    fn escape(
        &mut self,
        text: &mut String,
        open: char,
        close: char,
        style: Text,
    ) -> Result<(), Fault> {
        let Some(character) = self.rest().chars().next() else {
            return Ok(());
        };
        let start = self.at - 1;
        self.at += character.len_utf8();
        if style == Text::Raw {
            if !(character == '\\' || character == open || character == close) {
                text.push('\\');
            }
            text.push(character);
            return Ok(());
        }
        text.push(match character {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'e' => '\u{1b}',
            's' => ' ',
            '0' => '\0',
            '\n' => return Ok(()),
            'a' | 'b' | 'c' | 'f' | 'v' | 'u' | 'x' | 'C' | 'M' | '1'..='9' => {
                return Err(Fault::unsupported(start, 2, "this escape"));
            }
            other => other,
        });
        Ok(())
    }
}

fn closing(open: char) -> char {
    match open {
        '(' => ')',
        '[' => ']',
        '{' => '}',
        '<' => '>',
        other => other,
    }
}
