//! argv to one line for a POSIX shell.

/// Quotes each word so that `sh` reads back exactly `argv`.
///
/// sshd hands one string to the login shell; joining unquoted words is how a value becomes a command.
pub fn quote(argv: &[String]) -> String {
    argv.iter()
        .map(|word| quote_word(word))
        .collect::<Vec<_>>()
        .join(" ")
}

/// The same on one line, for a shell in which `$n` is a newline.
pub(super) fn quote_line(argv: &[String]) -> String {
    quote(argv).replace('\n', r#"'"$n"'"#)
}

fn quote_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_only_when_needed() {
        for (word, quoted) in [
            ("docker", "docker"),
            ("--format=x", "'--format=x'"),
            ("", "''"),
            ("a b", "'a b'"),
            ("$HOME", "'$HOME'"),
            ("it's", r"'it'\''s'"),
            ("a\nb", "'a\nb'"),
            ("é", "'é'"),
            ("~root", "'~root'"),
            ("a=b", "'a=b'"),
        ] {
            assert_eq!(quote_word(word), quoted);
        }
    }

    #[test]
    fn a_real_shell_reads_back_the_same_words() {
        let words: Vec<String> = [
            "", " ", "a'b", "\"", "\\", "$(id)", "`id`", "!", "*", "~", "#x", "a\nb\tc", "\u{1}é",
            "-n", "'", "''", "&&", ";",
        ]
        .map(String::from)
        .to_vec();
        let one_line = quote_line(&words);
        assert!(!one_line.contains('\n'), "{one_line}");
        for quoted in [quote(&words), one_line] {
            let script = format!("n='\n'; for w in {quoted}; do printf '%s\\0' \"$w\"; done");
            let output = std::process::Command::new("sh")
                .args(["-c", &script])
                .output()
                .unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            assert_eq!(text.split_terminator('\0').collect::<Vec<_>>(), words);
        }
    }
}
