//! Commands, matched word by word and never as a joined line.

use std::fmt;

use super::{PatternError, Segment, Tail, not_empty};

/// A command: `systemctl restart web`, `docker ps *` (one more word), `kamal-proxy **` (any more words).
///
/// The last character of a word may be `*`. A word that matched a wildcard never leads out of a folder: `..` between
/// slashes is refused, so `rm -r .kamal/apps/*` does not cover `rm -r .kamal/apps/../../x`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ArgvPattern {
    words: Vec<Segment>,
    /// `**` as the last word.
    more: bool,
}

impl ArgvPattern {
    /// Any command at all: nobody writes this, it only follows from something that is granted as a whole.
    pub fn any() -> Self {
        Self {
            words: Vec::new(),
            more: true,
        }
    }

    /// Reads a pattern from a line, split at spaces.
    pub fn parse(line: &str) -> Result<Self, PatternError> {
        if line.contains(['"', '\'', '\\', '$', '`', '|', ';', '&', '<', '>']) {
            let problem = "a command is words, not a shell line";
            let help =
                "write words that hold spaces or signs as a list: [\"sh\", \"-c\", \"a | b\"]";
            return Err(PatternError::new(line, problem, help));
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        Self::of(line, &words)
    }

    /// Reads a pattern from words.
    pub fn parse_words(words: &[&str]) -> Result<Self, PatternError> {
        Self::of(&words.join(" "), words)
    }

    /// These words and no others, whatever is in them.
    pub fn exact(words: &[&str]) -> Self {
        Self {
            words: words.iter().copied().map(Segment::exact).collect(),
            more: false,
        }
    }

    fn of(whole: &str, words: &[&str]) -> Result<Self, PatternError> {
        not_empty(whole)?;
        let (words, more) = match words.split_last() {
            Some((&"**", words)) => (words, true),
            Some(_) | None => (words, false),
        };
        match words.first() {
            Some(first) if !first.is_empty() && !first.contains('*') => {}
            Some(_) | None => {
                let help = "name the program: `systemctl restart *`";
                return Err(PatternError::new(
                    whole,
                    "the first word is a program",
                    help,
                ));
            }
        }
        let word = |word: &&str| {
            let (text, tail) = match word.strip_suffix('*') {
                Some(text) => (text, Tail::Any),
                None => (*word, Tail::Exact),
            };
            if text.contains('*') {
                let problem = "a wildcard stands only at the end of a word";
                let help = "write `prefix*` for one word, `**` as the last word for any more words";
                return Err(PatternError::new(whole, problem, help));
            }
            let text = text.to_owned();
            Ok(Segment { text, tail })
        };
        Ok(Self {
            words: words.iter().map(word).collect::<Result<_, _>>()?,
            more,
        })
    }

    /// Whether it covers a command.
    pub fn covers(&self, argv: &[&str]) -> bool {
        let fits = argv.len() == self.words.len() || (self.more && argv.len() > self.words.len());
        fits && self
            .words
            .iter()
            .zip(argv)
            .all(|(pattern, word)| match pattern.tail {
                Tail::Exact => *word == pattern.text,
                Tail::Any => {
                    word.starts_with(&pattern.text)
                        && !word.split('/').any(|segment| segment == "..")
                }
            })
    }
}

impl fmt::Display for ArgvPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words: Vec<String> = self.words.iter().map(ToString::to_string).collect();
        if self.more {
            words.push("**".to_owned());
        }
        f.write_str(&words.join(" "))
    }
}
