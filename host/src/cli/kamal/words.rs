//! Words of a POSIX shell's command line, taken apart and put together as Ruby's `shellwords` does.

/// The words of a line: quotes and backslashes as in a shell, nothing expanded. `None` when a quote does not end.
pub(super) fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            c if c.is_ascii_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next()? {
                        '"' => break,
                        '\\' => match rest.next()? {
                            c @ ('$' | '`' | '"' | '\\' | '\n') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().extend(rest.next()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

/// A word that a shell reads back as it was.
pub(super) fn escape(word: &str) -> String {
    if word.is_empty() {
        return "''".to_owned();
    }
    let mut escaped = String::with_capacity(word.len());
    for c in word.chars() {
        match c {
            '\n' => escaped.push_str("'\n'"),
            c if c.is_ascii_alphanumeric() || "_-.,:+/@".contains(c) => escaped.push(c),
            c => escaped.extend(['\\', c]),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_a_shell() {
        for (line, words) in [
            (
                "app exec --reuse -i \"bin/rails console\"",
                &["app", "exec", "--reuse", "-i", "bin/rails console"][..],
            ),
            (
                r#"a 'b "c"' "d \" $e" f\ g '' h"i"'j'"#,
                &["a", r#"b "c""#, r#"d " $e"#, "f g", "", "hij"],
            ),
            (" \n ", &[]),
        ] {
            assert_eq!(split(line).expect("splits"), words, "{line}");
        }
        assert_eq!(split("a 'b"), None);
        for word in ["", "plain", r#"{"a/b":"c d\n$e'"}"#, "two\nlines", "é"] {
            assert_eq!(split(&escape(word)).expect("splits"), [word], "{word}");
        }
    }
}
