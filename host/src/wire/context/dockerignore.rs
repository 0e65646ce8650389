//! `.dockerignore`, by Docker's rules, which are not git's: patterns are anchored at the context's root, the last one
//! that matches a path or a folder above it decides, and `!` takes back.

use crate::wire::WireError;

/// The patterns of one file, in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Ignore {
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone)]
struct Pattern {
    keeps: bool,
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Character(char),
    /// `?`
    One,
    /// `*`: anything but `/`.
    Some,
    /// `**` before something: nothing, or whole folders.
    Folders,
    /// `**` at the end, or before the plain end of a name (`**.md`).
    Everything,
    /// `[a-z]`, `[^a-z]`
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Ignore {
    /// Reads the text of a `.dockerignore`. `name` is its name, for messages.
    pub(super) fn parse(text: &str, name: &str) -> Result<Self, WireError> {
        let mut patterns = Vec::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, line) in text.lines().enumerate() {
            if line.starts_with('#') {
                continue;
            }
            let line = line.trim();
            let (keeps, pattern) = match line.strip_prefix('!') {
                Some(pattern) => (true, pattern.trim()),
                None => (false, line),
            };
            if line.is_empty() {
                continue;
            }
            let invalid = |why: &str| WireError::Invalid {
                what: format!("line {} of {name}, `{line}`,", index + 1),
                why: why.to_owned(),
            };
            if pattern.is_empty() {
                return Err(invalid("`!` needs a pattern"));
            }
            let tokens = tokens(&clean(pattern)).ok_or_else(|| invalid("`[` is not closed"))?;
            patterns.push(Pattern { keeps, tokens });
        }
        Ok(Self { patterns })
    }

    /// Patterns of ours first, so that those of the file can take them back.
    pub(super) fn after(mut self, mut first: Self) -> Self {
        first.patterns.append(&mut self.patterns);
        first
    }

    /// Whether a path, relative to the root and with `/`, is left out.
    pub(super) fn ignores(&self, path: &str) -> bool {
        let text: Vec<char> = path.chars().collect();
        let parents: Vec<usize> = text
            .iter()
            .enumerate()
            .filter(|(_, c)| **c == '/')
            .map(|(index, _)| index)
            .collect();
        let mut ignored = false;
        for pattern in &self.patterns {
            // A pattern that could only confirm what holds already needs no look.
            if pattern.keeps != ignored {
                continue;
            }
            let matched = matches(&pattern.tokens, &text)
                || parents
                    .iter()
                    .any(|end| matches(&pattern.tokens, &text[..*end]));
            if matched {
                ignored = !pattern.keeps;
            }
        }
        ignored
    }

    /// Whether something in a folder that is left out may be taken back.
    pub(super) fn takes_back(&self) -> bool {
        self.patterns.iter().any(|pattern| pattern.keeps)
    }
}

/// Go's `filepath.Clean`, and no leading slash.
fn clean(pattern: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            // Above the root of an absolute pattern there is only the root.
            ".." if pattern.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    if parts.is_empty() {
        ".".into()
    } else {
        parts.join("/")
    }
}

fn tokens(pattern: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' if chars.next_if_eq(&'*').is_some() => {
                // `**/` is the same as `**`, except that Docker takes `**.md` by its end.
                let folders = chars.next_if_eq(&'/').is_some();
                let by_its_end =
                    tokens.is_empty() && !folders && !chars.clone().any(|c| "*?[]\\".contains(c));
                if chars.peek().is_none() || by_its_end {
                    Token::Everything
                } else {
                    Token::Folders
                }
            }
            '*' => Token::Some,
            '?' => Token::One,
            '\\' => Token::Character(chars.next().unwrap_or('\\')),
            '[' => {
                let negated = chars.next_if_eq(&'^').is_some();
                let mut ranges = Vec::new();
                loop {
                    let from = match chars.next()? {
                        ']' if !ranges.is_empty() => break,
                        '\\' => chars.next()?,
                        c => c,
                    };
                    let to = match chars.next_if_eq(&'-') {
                        Some(_) if chars.peek() == Some(&']') => {
                            ranges.push(('-', '-'));
                            from
                        }
                        Some(_) => match chars.next()? {
                            '\\' => chars.next()?,
                            c => c,
                        },
                        None => from,
                    };
                    ranges.push((from, to));
                }
                Token::Class { negated, ranges }
            }
            c => Token::Character(c),
        });
    }
    Some(tokens)
}

fn matches(tokens: &[Token], text: &[char]) -> bool {
    let Some((token, rest)) = tokens.split_first() else {
        return text.is_empty();
    };
    match token {
        Token::Everything => (0..=text.len()).any(|n| matches(rest, &text[n..])),
        Token::Some => {
            let end = text.iter().position(|c| *c == '/').unwrap_or(text.len());
            (0..=end).any(|n| matches(rest, &text[n..]))
        }
        Token::Folders => {
            matches(rest, text)
                || text
                    .iter()
                    .enumerate()
                    .any(|(n, c)| *c == '/' && matches(rest, &text[n + 1..]))
        }
        Token::One => text.first().is_some_and(|c| *c != '/') && matches(rest, &text[1..]),
        Token::Character(wanted) => text.first() == Some(wanted) && matches(rest, &text[1..]),
        Token::Class { negated, ranges } => {
            text.first().is_some_and(|c| {
                ranges.iter().any(|(from, to)| (from..=to).contains(&c)) != *negated
            }) && matches(rest, &text[1..])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_left_out_as_docker_does() {
        for (patterns, path, ignored) in [
            ("a", "a", true),
            ("a", "a/b/c", true),
            ("a", "b/a", false),
            ("/a", "a", true),
            ("./a/", "a/b", true),
            ("a/../b", "b", true),
            ("*.md", "README.md", true),
            ("*.md", "docs/README.md", false),
            ("**/*.md", "docs/deep/README.md", true),
            ("**/*.md", "README.md", true),
            ("**.md", "docs/README.md", true),
            ("**.md", "README.md", true),
            ("**/.md", "README.md", false),
            ("**.m?", "README.md", false),
            ("a/**.md", "a/README.md", false),
            ("docs/**", "docs/a/b", true),
            ("docs/**", "docs", false),
            ("**/node_modules", "a/b/node_modules/c/d", true),
            ("a/**/z", "a/z", true),
            ("a/**/z", "a/b/c/z", true),
            ("a/**/z", "a/b/c/zz", false),
            ("*/temp*", "x/temporary", true),
            ("*/temp*", "x/y/temporary", false),
            ("*/*/temp*", "x/y/temporary/z", true),
            ("temp?", "tempa", true),
            ("temp?", "temp", false),
            ("temp?", "temp/", false),
            ("[a-c].txt", "b.txt", true),
            ("[^a-c].txt", "b.txt", false),
            ("[^a-c].txt", "d.txt", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("*\n!keep", "keep", false),
            ("*\n!keep", "keep/inside", false),
            ("*\n!keep", "other", true),
            ("*\n!keep/this", "keep/this", false),
            ("*\n!keep/this", "keep/that", true),
            (
                "*.md\n!README*.md\nREADME-secret.md",
                "README-secret.md",
                true,
            ),
            (
                "*.md\nREADME-secret.md\n!README*.md",
                "README-secret.md",
                false,
            ),
            ("!a\na", "a", true),
            ("# a\n  b  ", "b", true),
            ("# a", "# a", false),
            (" #a", "#a", true),
            ("! a\n", "a", false),
            ("*", "a/b", true),
            ("**", "a/b", true),
            (".", "a", false),
            ("é?", "éa", true),
            ("a.b", "axb", false),
            ("a+(b)", "a+(b)", true),
        ] {
            let ignore = Ignore::parse(patterns, ".dockerignore").unwrap();
            assert_eq!(ignore.ignores(path), ignored, "{patterns:?} {path}");
        }
    }

    #[test]
    fn broken_patterns_are_named_with_their_line() {
        let error = Ignore::parse("a\n[b\n", ".dockerignore").unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 2 of .dockerignore, `[b`, is not valid: `[` is not closed"
        );
        assert!(Ignore::parse("!", "x").is_err());
    }

    #[test]
    fn patterns_given_first_can_be_taken_back() {
        let ours = Ignore::parse(".git", "").unwrap();
        let theirs = Ignore::parse("!.git/HEAD", "").unwrap();
        let both = theirs.after(ours);
        assert!(both.ignores(".git/config"));
        assert!(!both.ignores(".git/HEAD"));
        assert!(both.takes_back());
    }
}
