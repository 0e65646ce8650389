//! What Kamal's values become on their way through the remote shell, without one. Kamal quotes values of
//! environments, labels and options, leaving `${VAR}` to the remote shell; `cmd` and volumes it does not quote at all.

/// A piece of what arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As it is.
    Text(String),
    /// The value of `${…}` in the remote shell, without the braces.
    Remote(String),
}

/// What a quoted value arrives as: Ruby's string escapes stay visible (a line break arrives as `\n`), except those
/// that the shell undoes.
pub fn quoted(value: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = value;
    while let Some(c) = rest.chars().next() {
        let inside = rest
            .strip_prefix("${")
            .and_then(|after| after.split_once('}'));
        if let Some((inside, after)) = inside.filter(|(inside, _)| inside.is_ascii()) {
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
            }
            pieces.push(Piece::Remote(inside.to_owned()));
            rest = after;
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            '\r' => text.push_str("\\r"),
            '\u{7}' => text.push_str("\\a"),
            '\u{8}' => text.push_str("\\b"),
            '\u{b}' => text.push_str("\\v"),
            '\u{c}' => text.push_str("\\f"),
            '\u{1b}' => text.push_str("\\e"),
            '\0'..='\u{1f}' | '\u{7f}' => text.push_str(&format!("\\x{:02X}", u32::from(c))),
            '#' if rest.starts_with(['{', '$', '@']) => text.push_str("\\#"),
            _ => text.push(c),
        }
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    pieces
}

/// Why a line can't be split without a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsplit {
    /// `$NAME`, `${…}`, `$(…)` or a backquote: only the remote shell knows what it is.
    Expansion(String),
    /// `;`, `&&`, `|`, `>`, a line break …: it would end or redirect the docker command.
    Operator(char),
    /// A quote that is never closed.
    OpenQuote(char),
}

/// Splits a line into words as a POSIX shell does, without expanding anything.
pub fn words(line: &str) -> Result<Vec<String>, Unsplit> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.trim().chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' => words.extend(word.take()),
            '\\' => match chars.next() {
                Some('\n') => {}
                Some(next) => word.get_or_insert_default().push(next),
                None => word.get_or_insert_default().push('\\'),
            },
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(inner) => word.push(inner),
                        None => return Err(Unsplit::OpenQuote('\'')),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('"') => break,
                        Some('\\') => match chars.next() {
                            Some('\n') => {}
                            Some(escaped @ ('$' | '`' | '"' | '\\')) => word.push(escaped),
                            Some(other) => word.extend(['\\', other]),
                            None => return Err(Unsplit::OpenQuote('"')),
                        },
                        Some(inner @ ('$' | '`')) => {
                            expansion(inner, &mut chars).map(|()| word.push(inner))?
                        }
                        Some(inner) => word.push(inner),
                        None => return Err(Unsplit::OpenQuote('"')),
                    }
                }
            }
            '$' | '`' => expansion(c, &mut chars).map(|()| word.get_or_insert_default().push(c))?,
            '#' if word.is_none() => break,
            ';' | '&' | '|' | '<' | '>' | '(' | ')' | '\n' => return Err(Unsplit::Operator(c)),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Fails unless a dollar sign stands for itself.
fn expansion(
    first: char,
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
) -> Result<(), Unsplit> {
    let begins = |c: &char| c.is_ascii_alphanumeric() || "_{(@*#?-$!".contains(*c);
    if first == '$' && !rest.peek().is_some_and(begins) {
        return Ok(());
    }
    let mut seen = first.to_string();
    seen.extend(
        rest.by_ref()
            .take_while(|c| !c.is_whitespace() && !"\"';|&/:".contains(*c))
            .take(40),
    );
    Err(Unsplit::Expansion(seen))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        for (line, expected) in [
            ("bin/jobs", vec!["bin/jobs"]),
            ("  a  b\tc ", vec!["a", "b", "c"]),
            ("sh -c 'a; b \"c\"'", vec!["sh", "-c", "a; b \"c\""]),
            (r#"a"b c"d '' e\ f"#, vec!["ab cd", "", "e f"]),
            (r#""a\"b\$c\d""#, vec![r#"a"b$c\d"#]),
            ("a # comment", vec!["a"]),
            ("a#b", vec!["a#b"]),
            ("cost 5$ \"$\"", vec!["cost", "5$", "$"]),
            ("a \\\n b", vec!["a", "b"]),
            ("bin/jobs\n", vec!["bin/jobs"]),
        ] {
            assert_eq!(words(line).expect(line), expected, "{line}");
        }
    }

    #[test]
    fn what_needs_a_shell_is_told_apart() {
        for (line, why) in [
            ("a && b", Unsplit::Operator('&')),
            ("a > f", Unsplit::Operator('>')),
            ("a\nb", Unsplit::Operator('\n')),
            ("a $HOME", Unsplit::Expansion("$HOME".into())),
            ("\"${X:-y}\" b", Unsplit::Expansion("${X".into())),
            ("a `date`", Unsplit::Expansion("`date`".into())),
            ("a 'b", Unsplit::OpenQuote('\'')),
            ("a \"b", Unsplit::OpenQuote('"')),
        ] {
            assert_eq!(words(line), Err(why), "{line}");
        }
    }

    #[test]
    fn quoted_values_arrive_as_the_shell_leaves_them() {
        let text = |t: &str| Piece::Text(t.to_owned());
        let remote = |t: &str| Piece::Remote(t.to_owned());
        for (value, pieces) in [
            ("x y", vec![text("x y")]),
            ("$X `x` \"q\" \\ é", vec![text("$X `x` \"q\" \\ é")]),
            ("a\nb\t\u{1b}\u{1}", vec![text("a\\nb\\t\\e\\x01")]),
            ("a#{b}#", vec![text("a\\#{b}#")]),
            ("${", vec![text("${")]),
            ("a${V}b$c", vec![text("a"), remote("V"), text("b$c")]),
            ("", vec![]),
        ] {
            assert_eq!(quoted(value), pieces, "{value}");
        }
    }
}
