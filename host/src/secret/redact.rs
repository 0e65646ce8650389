//! Takes known secrets out of text: output of commands, logs, errors, whatever a component or a person gets to see.
//!
//! It stops accidents and echoes. It can't stop a command that transforms a secret on purpose (`sha256sum`); the
//! grants on commands bound that.

use std::fmt;

use zeroize::Zeroizing;

use super::{Secret, encode};

/// Shorter values are not searched: they would be found everywhere.
const SHORTEST: usize = 4;

/// Finds secrets in their known forms and puts `[redacted:NAME]` in their place.
#[derive(Clone, Default)]
pub struct Redactor {
    /// Names, for the replacement.
    names: Vec<String>,
    /// Longest first.
    patterns: Vec<Pattern>,
    /// Indices of the patterns that begin with a byte, longest first.
    by_first: Vec<Vec<usize>>,
}

#[derive(Clone)]
struct Pattern {
    bytes: Zeroizing<Vec<u8>>,
    name: usize,
}

impl Redactor {
    /// Knows these secrets. Of two with the same value the first one's name is shown.
    pub fn new<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a Secret)>) -> Self {
        let mut redactor = Self::default();
        for (name, secret) in secrets {
            let text = secret.expose();
            if text.len() < SHORTEST {
                continue;
            }
            let index = redactor.names.len();
            redactor.names.push(name.to_owned());
            redactor.learn(text, index);
            for form in encode::disguises(text) {
                redactor.learn(&form, index);
            }
        }
        redactor
            .patterns
            .sort_by_key(|pattern| std::cmp::Reverse(pattern.bytes.len()));
        redactor.by_first = vec![Vec::new(); 256];
        for (index, pattern) in redactor.patterns.iter().enumerate() {
            redactor.by_first[usize::from(pattern.bytes[0])].push(index);
        }
        redactor
    }

    fn learn(&mut self, text: &str, name: usize) {
        let known = |pattern: &Pattern| pattern.bytes.as_slice() == text.as_bytes();
        if text.len() >= SHORTEST && !self.patterns.iter().any(known) {
            let bytes = Zeroizing::new(text.as_bytes().to_vec());
            self.patterns.push(Pattern { bytes, name });
        }
    }

    /// A text without secrets.
    pub fn redact(&self, text: &str) -> String {
        String::from_utf8(self.redact_bytes(text.as_bytes()))
            .expect("patterns are UTF-8, and UTF-8 is found in UTF-8 only at its borders")
    }

    /// Output that need not be UTF-8, without secrets.
    pub fn redact_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.stream();
        let mut clean = stream.push(bytes);
        clean.extend(stream.finish());
        clean
    }

    /// For output that comes in pieces: a secret is found across their borders too.
    pub fn stream(&self) -> RedactionStream<'_> {
        RedactionStream {
            redactor: self,
            held: Zeroizing::default(),
            covered: 0,
        }
    }

    /// The longest secret at the start of `bytes`.
    fn longest(&self, bytes: &[u8]) -> Option<&Pattern> {
        self.starting_with(bytes)
            .find(|pattern| bytes.starts_with(&pattern.bytes))
    }

    /// Whether `bytes` could become a longer match when more follows.
    fn may_grow(&self, bytes: &[u8]) -> bool {
        self.starting_with(bytes)
            .any(|pattern| pattern.bytes.len() > bytes.len() && pattern.bytes.starts_with(bytes))
    }

    fn starting_with(&self, bytes: &[u8]) -> impl Iterator<Item = &Pattern> {
        let first = bytes.first().map(|byte| usize::from(*byte));
        let indices = first.and_then(|first| self.by_first.get(first));
        indices
            .into_iter()
            .flatten()
            .map(|index| &self.patterns[*index])
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

/// A redaction under way. It holds back what may turn out to be the beginning of a secret, never more than the
/// longest one.
pub struct RedactionStream<'a> {
    redactor: &'a Redactor,
    held: Zeroizing<Vec<u8>>,
    /// How many bytes from the start of `held` on belong to a secret that was announced already.
    covered: usize,
}

impl RedactionStream<'_> {
    /// Takes a piece, answers what is safe to show so far.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        self.advance(false)
    }

    /// Nothing more comes: answers the rest.
    pub fn finish(mut self) -> Vec<u8> {
        self.advance(true)
    }

    fn advance(&mut self, last: bool) -> Vec<u8> {
        let mut clean = Vec::with_capacity(self.held.len());
        let mut at = 0;
        while at < self.held.len() {
            let rest = &self.held[at..];
            if !last && self.redactor.may_grow(rest) {
                break;
            }
            match self.redactor.longest(rest) {
                // Of secrets that overlap both go: the text is covered up to the end of the last one.
                Some(pattern) if at + pattern.bytes.len() > self.covered => {
                    self.covered = at + pattern.bytes.len();
                    let name = &self.redactor.names[pattern.name];
                    clean.extend_from_slice(format!("[redacted:{name}]").as_bytes());
                }
                Some(_) => {}
                None if at < self.covered => {}
                None => clean.push(rest[0]),
            }
            at += 1;
        }
        self.held.drain(..at);
        self.covered = self.covered.saturating_sub(at);
        clean
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::*;

    fn redactor(secrets: &[(&str, &str)]) -> Redactor {
        let secrets: Vec<(&str, Secret)> = secrets
            .iter()
            .map(|(name, value)| (*name, Secret::new(*value)))
            .collect();
        Redactor::new(secrets.iter().map(|(name, secret)| (*name, secret)))
    }

    #[test]
    fn secrets_are_found_in_all_their_forms() {
        let value = "p@ss \"w/rd\"?+é\\n";
        let redactor = redactor(&[("PW", value)]);
        let auth = STANDARD.encode(format!("user:{value}"));
        for text in [
            value.to_owned(),
            STANDARD.encode(value),
            STANDARD.encode(value).trim_end_matches('=').to_owned(),
            "p%40ss%20%22w%2Frd%22%3F%2B%C3%A9%5Cn".to_owned(),
            "p%40ss+%22w%2frd%22%3f%2b%c3%a9%5cn".to_owned(),
            "p@ss \\\"w/rd\\\"?+é\\\\n".to_owned(),
            "p@ss \"w/rd\"?+é\\\\n".to_owned(),
            auth.clone(),
            auth.replace('+', "-").replace('/', "_"),
        ] {
            let shown = redactor.redact(&format!("<{text}>"));
            assert!(shown.contains("[redacted:PW]"), "{text}: {shown}");
            assert!(shown.len() < 30, "{text}: {shown}");
        }
    }

    #[test]
    fn other_text_is_left_alone() {
        let redactor = redactor(&[("A", "abc"), ("B", ""), ("C", "secret")]);
        for text in ["", "abc", "secre", "s e c r e t", "ünïcode\n\0"] {
            assert_eq!(redactor.redact(text), text);
        }
        assert_eq!(
            redactor.redact_bytes(b"\xff\xfesecret\xff"),
            b"\xff\xfe[redacted:C]\xff"
        );
        assert_eq!(Redactor::default().redact("anything"), "anything");
    }

    #[test]
    fn the_longest_wins_and_overlapping_secrets_are_covered_whole() {
        for (secrets, text, expected) in [
            (
                &[("A", "abcd"), ("B", "abcdef")][..],
                "abcdefg",
                "[redacted:B]g",
            ),
            (
                &[("A", "abcd"), ("B", "abcdef")],
                "abcdeg",
                "[redacted:A]eg",
            ),
            (
                &[("A", "abcX"), ("B", "Xdef")],
                "-abcXdef-",
                "-[redacted:A][redacted:B]-",
            ),
            (&[("A", "abcdef"), ("B", "cdef")], "abcdef", "[redacted:A]"),
            (&[("A", "same1"), ("B", "same1")], "same1", "[redacted:A]"),
        ] {
            assert_eq!(redactor(secrets).redact(text), expected, "{text}");
        }
    }

    #[test]
    fn pieces_give_the_same_text_as_the_whole_wherever_it_is_cut() {
        let secrets = [
            ("A", "abcdef"),
            ("B", "defabc"),
            ("C", "aaaa"),
            ("D", "two\nlines"),
        ];
        let redactor = redactor(&secrets);
        let text = "xabcdefabcdefaaaaaaaabc abcde two\ntwo\nlines YWJjZGVm abcd".as_bytes();
        let whole = redactor.redact_bytes(text);
        for (_, value) in secrets {
            let shown = String::from_utf8_lossy(&whole).into_owned();
            assert!(!shown.contains(value), "{shown}");
        }
        for size in 1..text.len() {
            let mut stream = redactor.stream();
            let mut pieces = Vec::new();
            for piece in text.chunks(size) {
                pieces.extend(stream.push(piece));
            }
            pieces.extend(stream.finish());
            assert_eq!(pieces, whole, "pieces of {size}");
        }
    }

    #[test]
    fn no_more_is_held_back_than_the_longest_secret() {
        let redactor = redactor(&[("A", "aaaa")]);
        let mut stream = redactor.stream();
        for _ in 0..1000 {
            stream.push(b"aaaaaaaa");
            assert!(stream.held.len() < 4);
        }
    }

    #[test]
    fn a_private_key_is_found_line_by_line() {
        let key =
            "-----BEGIN KEY-----\nQUJDREVGR0hJSktMTU5P\nUFFSU1RVVldYWVphYmNk\n-----END KEY-----\n";
        let shown =
            redactor(&[("KEY", key)]).redact("12:00 UFFSU1RVVldYWVphYmNk\n-----BEGIN KEY-----");
        assert_eq!(shown, "12:00 [redacted:KEY]\n-----BEGIN KEY-----");
    }

    #[test]
    fn a_redactor_does_not_print_what_it_knows() {
        assert!(!format!("{:?}", redactor(&[("A", "hunter2")])).contains("hunter2"));
    }
}
