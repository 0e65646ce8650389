//! How the text of a secret is written when it reaches its sink.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use zeroize::Zeroizing;

/// `encoding` of `wit/types.wit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encoding {
    /// The text as it is.
    Verbatim,
    /// As a container sees it after Kamal's env file.
    EnvFile,
}

impl Encoding {
    /// The encoded text.
    pub fn apply(self, text: &str) -> Zeroizing<String> {
        match self {
            Self::Verbatim => Zeroizing::new(text.to_owned()),
            Self::EnvFile => env_file(text),
        }
    }
}

/// What a container sees of a value that went through Kamal's env file (Kamal 2.12 `lib/kamal/env_file.rb`): the
/// escapes of Ruby's `String#dump`, which Docker does not undo, except before a quote or `#`. Newlines become
/// backslash-n, backslashes double.
pub fn env_file(text: &str) -> Zeroizing<String> {
    let mut encoded = Zeroizing::new(String::with_capacity(text.len() + text.len() / 8));
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            // Kamal takes any `\#` for an escape, also when the backslash was the value's own.
            '\\' if ends_before_plain_hash(&characters) => encoded.push('\\'),
            '\\' => encoded.push_str("\\\\"),
            '\n' => encoded.push_str("\\n"),
            '\r' => encoded.push_str("\\r"),
            '\t' => encoded.push_str("\\t"),
            '\u{c}' => encoded.push_str("\\f"),
            '\u{b}' => encoded.push_str("\\v"),
            '\u{8}' => encoded.push_str("\\b"),
            '\u{7}' => encoded.push_str("\\a"),
            '\u{1b}' => encoded.push_str("\\e"),
            control if control.is_ascii_control() => {
                let code = u32::from(control);
                encoded.push_str("\\x");
                for digit in [code >> 4, code & 15] {
                    let digit = char::from_digit(digit, 16).expect("four bits are one digit");
                    encoded.push(digit.to_ascii_uppercase());
                }
            }
            other => encoded.push(other),
        }
    }
    encoded
}

/// Whether `#` follows that `String#dump` leaves alone: it escapes only `#{`, `#$` and `#@`.
fn ends_before_plain_hash(rest: &std::iter::Peekable<std::str::Chars<'_>>) -> bool {
    let mut rest = rest.clone();
    rest.next() == Some('#') && !matches!(rest.next(), Some('{' | '$' | '@'))
}

/// The other ways in which a secret may come back in output: Base64 (also as part of a longer text, in both
/// alphabets), URL-encoded, JSON-escaped, shell-quoted, as an env file, and line by line.
pub(super) fn disguises(text: &str) -> Vec<Zeroizing<String>> {
    let mut forms: Vec<Zeroizing<String>> = vec![
        Zeroizing::new(STANDARD.encode(text)),
        Zeroizing::new(STANDARD_NO_PAD.encode(text)),
        env_file(text),
        json(text),
        Zeroizing::new(text.replace('\'', "'\\''")),
        Zeroizing::new(text.trim().to_owned()),
    ];
    for upper in [true, false] {
        let url = url(text, upper);
        forms.push(Zeroizing::new(url.replace("%20", "+")));
        forms.push(url);
    }
    // Inside a longer Base64 text, such as a registry's `user:password`, only the middle is the secret's own. Of a
    // short secret the middle is too little to be told from chance.
    if text.len() >= 8 {
        forms.extend((0..3).map(|before| base64_middle(text, before)));
    }
    for index in 0..forms.len() {
        if forms[index].contains(['+', '/']) {
            let safe = forms[index].replace('+', "-").replace('/', "_");
            forms.push(Zeroizing::new(safe));
        }
    }
    // A private key printed line by line. Its frame (`-----BEGIN …`) is no secret.
    let lines = text.lines().map(str::trim);
    let telling = |line: &&str| line.len() >= 16 && !line.starts_with("-----") && *line != text;
    forms.extend(
        lines
            .filter(telling)
            .map(|line| Zeroizing::new(line.to_owned())),
    );
    forms
}

/// The characters of Base64 that depend on nothing but `text` when `before` (0 to 2) bytes modulo 3 stand before it.
fn base64_middle(text: &str, before: usize) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new(vec![0; before]);
    bytes.extend_from_slice(text.as_bytes());
    let encoded = Zeroizing::new(STANDARD_NO_PAD.encode(&*bytes));
    let first = (before * 8).div_ceil(6);
    let last = bytes.len() * 8 / 6;
    Zeroizing::new(encoded[first..last].to_owned())
}

fn url(text: &str, upper: bool) -> Zeroizing<String> {
    let digits = if upper {
        b"0123456789ABCDEF"
    } else {
        b"0123456789abcdef"
    };
    let mut encoded = Zeroizing::new(String::with_capacity(text.len() * 3));
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            other => {
                encoded.push('%');
                encoded.push(char::from(digits[usize::from(other >> 4)]));
                encoded.push(char::from(digits[usize::from(other & 15)]));
            }
        }
    }
    encoded
}

fn json(text: &str) -> Zeroizing<String> {
    let quoted = Zeroizing::new(serde_json::Value::from(text).to_string());
    Zeroizing::new(quoted[1..quoted.len() - 1].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_sees_what_kamals_env_file_makes_of_a_value() {
        for (value, seen) in [
            ("", ""),
            (" x ", " x "),
            ("a\nb", "a\\nb"),
            ("a\\b", "a\\\\b"),
            ("a\"b'c", "a\"b'c"),
            ("a#{b} #$c #@d", "a#{b} #$c #@d"),
            (
                "\r\t\u{1b}\u{7f}\u{0}\u{c}\u{b}\u{8}\u{7}",
                "\\r\\t\\e\\x7F\\x00\\f\\v\\b\\a",
            ),
            ("é中", "é中"),
            ("\\#x", "\\#x"),
            ("\\\\#x", "\\\\\\#x"),
            ("\\#{x}", "\\\\#{x}"),
            ("\\\"", "\\\\\""),
        ] {
            assert_eq!(*env_file(value), seen, "{value:?}");
        }
    }

    #[test]
    fn the_middle_of_base64_does_not_depend_on_its_surroundings() {
        for before in ["", "u", "us", "use"] {
            for after in ["", "x", "xy"] {
                let whole = STANDARD.encode(format!("{before}correct horse{after}"));
                let middle = base64_middle("correct horse", before.len() % 3);
                assert!(whole.contains(&*middle), "{before} {after}");
            }
        }
    }
}
