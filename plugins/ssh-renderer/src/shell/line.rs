//! Unquoted text: words as a POSIX shell splits them, with what it replaces left to it.

use std::iter::Peekable;
use std::str::Chars;

use release::{Expansion, Value};

/// What becomes of a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Its words.
    pub words: Vec<Value>,
    /// From the first operator on (`;`, `&&`, `|`, `>`, a line break), when there is one: no word of the command any
    /// more.
    pub tail: Option<String>,
}

/// What is opened and never closed: a quote, `${`, `$(`, a backquote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open(pub &'static str);

/// Splits a line.
pub fn line(text: &str) -> Result<Line, Open> {
    let mut reader = Reader {
        chars: text.trim().chars().peekable(),
        word: None,
        words: Vec::new(),
    };
    let tail = reader.read()?;
    reader.words.extend(reader.word.take());
    Ok(Line {
        words: reader.words,
        tail,
    })
}

struct Reader<'t> {
    chars: Peekable<Chars<'t>>,
    /// The word that has begun, however empty.
    word: Option<Value>,
    words: Vec<Value>,
}

impl Reader<'_> {
    /// Answers what follows the first operator, the operator included.
    fn read(&mut self) -> Result<Option<String>, Open> {
        loop {
            let before = self.chars.clone();
            let Some(c) = self.chars.next() else {
                return Ok(None);
            };
            match c {
                ' ' | '\t' => self.words.extend(self.word.take()),
                '\\' => match self.chars.next() {
                    Some('\n') => {}
                    Some(next) => self.push(next),
                    None => self.push('\\'),
                },
                '\'' => {
                    let inside = self.until('\'').ok_or(Open("'"))?;
                    self.add(Value::text(inside));
                }
                '"' => self.double_quoted()?,
                '$' | '`' => self.expansion(c, true)?,
                '~' if self.word.is_none() && self.ends_tilde() => {
                    self.add(remote("HOME".to_owned(), false, false));
                }
                '#' if self.word.is_none() => {
                    return Ok(None);
                }
                ';' | '&' | '|' | '<' | '>' | '(' | ')' | '\n' => {
                    return Ok(Some(self.tail(c, before.collect())));
                }
                _ => self.push(c),
            }
        }
    }

    /// A number right before a redirection belongs to it: `2>&1`.
    fn tail(&mut self, operator: char, rest: String) -> String {
        let number = self
            .word
            .as_ref()
            .and_then(Value::as_text)
            .filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
            .map(str::to_owned);
        match number.filter(|_| matches!(operator, '<' | '>')) {
            Some(number) => {
                self.word = None;
                format!("{number}{rest}")
            }
            None => rest.trim().to_owned(),
        }
    }

    fn add(&mut self, value: Value) {
        let word = self.word.take().unwrap_or_default();
        self.word = Some(word.and(value));
    }

    fn push(&mut self, c: char) {
        self.add(Value::text(c));
    }

    /// A lone `~`, or one before a slash, is the home directory.
    fn ends_tilde(&mut self) -> bool {
        matches!(self.chars.peek(), None | Some('/' | ' ' | '\t' | '\n'))
    }

    fn until(&mut self, end: char) -> Option<String> {
        let mut inside = String::new();
        loop {
            match self.chars.next()? {
                c if c == end => return Some(inside),
                c => inside.push(c),
            }
        }
    }

    fn double_quoted(&mut self) -> Result<(), Open> {
        self.add(Value::default());
        loop {
            match self.chars.next().ok_or(Open("\""))? {
                '"' => return Ok(()),
                '\\' => match self.chars.next().ok_or(Open("\""))? {
                    '\n' => {}
                    escaped @ ('$' | '`' | '"' | '\\') => self.push(escaped),
                    other => self.add(Value::text(format!("\\{other}"))),
                },
                c @ ('$' | '`') => self.expansion(c, false)?,
                c => self.push(c),
            }
        }
    }

    /// What follows a dollar sign or a backquote.
    fn expansion(&mut self, first: char, split: bool) -> Result<(), Open> {
        let value = match (first, self.chars.peek().copied()) {
            ('`', _) => remote(self.backquoted()?, true, split),
            (_, Some('{')) => {
                self.chars.next();
                let inside = self.balanced('{', '}').ok_or(Open("${"))?;
                remote(inside, false, split)
            }
            (_, Some('(')) => {
                self.chars.next();
                let inside = self.balanced('(', ')').ok_or(Open("$("))?;
                match inside.strip_prefix('(').and_then(|i| i.strip_suffix(')')) {
                    Some(sum) => remote(format!("echo $(({sum}))"), true, split),
                    None => remote(inside, true, split),
                }
            }
            (_, Some(c)) if c.is_ascii_alphabetic() || c == '_' => {
                let mut name = String::new();
                let is_part = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
                while let Some(c) = self.chars.next_if(is_part) {
                    name.push(c);
                }
                remote(name, false, split)
            }
            (_, Some(c)) if c.is_ascii_digit() || "@*#?-$!".contains(c) => {
                self.chars.next();
                remote(c.to_string(), false, split)
            }
            (_, _) => Value::text("$"),
        };
        self.add(value);
        Ok(())
    }

    fn backquoted(&mut self) -> Result<String, Open> {
        let mut inside = String::new();
        loop {
            match self.chars.next().ok_or(Open("`"))? {
                '`' => return Ok(inside),
                '\\' => match self.chars.next().ok_or(Open("`"))? {
                    escaped @ ('$' | '`' | '\\') => inside.push(escaped),
                    other => inside.extend(['\\', other]),
                },
                c => inside.push(c),
            }
        }
    }

    /// Up to the closing one that belongs to an opening one which was read already; quotes hide both.
    fn balanced(&mut self, open: char, close: char) -> Option<String> {
        let mut inside = String::new();
        let mut depth = 1usize;
        let mut quote = None;
        loop {
            let c = self.chars.next()?;
            match (c, quote) {
                ('\\', None | Some('"')) => {
                    inside.push(c);
                    inside.push(self.chars.next()?);
                    continue;
                }
                ('\'' | '"', None) => quote = Some(c),
                (c, Some(opened)) if c == opened => quote = None,
                (c, None) if c == open && (open == '(' || inside.ends_with('$')) => depth += 1,
                (c, None) if c == close => {
                    depth -= 1;
                    if depth == 0 {
                        return Some(inside);
                    }
                }
                (_, _) => {}
            }
            inside.push(c);
        }
    }
}

fn remote(text: String, command: bool, split: bool) -> Value {
    Value::default().and_remote(Expansion {
        text,
        command,
        split,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        let line = line(text).expect("closed");
        let words: Vec<String> = line.words.iter().map(|w| w.to_json().to_string()).collect();
        let tail = line.tail.map(|tail| format!(" => {tail}"));
        words.join(" ") + &tail.unwrap_or_default()
    }

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        for (line, expected) in [
            ("bin/jobs", r#""bin/jobs""#),
            ("  a  b\tc ", r#""a" "b" "c""#),
            ("sh -c 'a; b \"c\"'", r#""sh" "-c" "a; b \"c\"""#),
            (r#"a"b c"d '' e\ f"#, r#""ab cd" "" "e f""#),
            (r#""a\"b\$c\d""#, r#""a\"b$c\\d""#),
            ("a # comment", r#""a""#),
            ("a#b", r#""a#b""#),
            ("cost 5$ \"$\"", r#""cost" "5$" "$""#),
            ("a \\\n b", r#""a" "b""#),
            ("bin/jobs\n", r#""bin/jobs""#),
            ("a~ b/~", r#""a~" "b/~""#),
            ("~other/x", r#""~other/x""#),
            ("", ""),
        ] {
            assert_eq!(json(line), expected, "{line}");
        }
    }

    #[test]
    fn what_the_shell_replaces_is_left_to_it() {
        for (line, expected) in [
            ("$A", r#"{"remote":"A","split":true}"#),
            ("a$A_1-b", r#"["a",{"remote":"A_1","split":true},"-b"]"#),
            ("\"x $A\"", r#"["x ",{"remote":"A"}]"#),
            ("${A:-b c}", r#"{"remote":"A:-b c","split":true}"#),
            ("\"${A:-${B}}\"", r#"{"remote":"A:-${B}"}"#),
            (
                "--n=$(hostname -f)",
                r#"["--n=",{"remote-command":"hostname -f","split":true}]"#,
            ),
            (
                "\"$(echo \")\" (a))\"",
                r#"{"remote-command":"echo \")\" (a)"}"#,
            ),
            ("`a \\`b\\``", r#"{"remote-command":"a `b`","split":true}"#),
            (
                "$((1 + 2))",
                r#"{"remote-command":"echo $((1 + 2))","split":true}"#,
            ),
            ("$?$", r#"[{"remote":"?","split":true},"$"]"#),
            ("~/x ~", r#"[{"remote":"HOME"},"/x"] {"remote":"HOME"}"#),
            ("'$A' \\$A", r#""$A" "$A""#),
        ] {
            assert_eq!(json(line), expected, "{line}");
        }
    }

    #[test]
    fn an_operator_ends_the_command() {
        for (line, expected) in [
            ("a && b", r#""a" => && b"#),
            ("a b; c", r#""a" "b" => ; c"#),
            ("a > f", r#""a" => > f"#),
            ("a 2>&1", r#""a" => 2>&1"#),
            ("a\nb", r#""a" => b"#),
            ("a\n\n", r#""a""#),
        ] {
            assert_eq!(json(line), expected, "{line}");
        }
    }

    #[test]
    fn what_is_never_closed_is_told() {
        for (text, open) in [
            ("a 'b", "'"),
            ("a \"b", "\""),
            ("\"a\\", "\""),
            ("${A", "${"),
            ("$(a", "$("),
            ("`a", "`"),
        ] {
            assert_eq!(line(text), Err(Open(open)), "{text}");
        }
    }
}
