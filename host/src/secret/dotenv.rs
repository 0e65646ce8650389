//! The file format of `.kamal/secrets` and `.env`: dotenv 3.2 with Kamal's command substitution.
//!
//! dotenv defines the format by one regular expression; `line` is that expression by hand, with the backtracking that
//! decides odd lines. Commands are run by the caller, so that this module only computes.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::Secret;

mod line;

use line::Assignment;

/// What happens to a name that the environment has already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// The file wins (secrets).
    Overwrite,
    /// The environment wins (`Dotenv.load`).
    Keep,
}

/// Why a file could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DotenvError {
    /// `export NAME` without a value, of a name without one.
    #[error(
        "line {line}: `export {name}` exports a variable that has no value\nhint: give it one: `{name}=…`"
    )]
    Unset {
        /// From 1.
        line: usize,
        /// The variable.
        name: String,
    },
    /// The caller did not run a command.
    #[error("line {line}: {problem}")]
    Command {
        /// From 1.
        line: usize,
        /// The caller's words.
        problem: String,
    },
}

/// Runs a shell command for its standard output. Its exit status is ignored, as Kamal does; an error means that it
/// was not run at all.
pub type Run<'a> = dyn Fn(&str) -> Result<String, String> + 'a;

/// Reads a file. Values may use earlier ones, then those of `environment`.
pub fn parse(
    text: &str,
    environment: &BTreeMap<String, String>,
    existing: Existing,
    run: &Run<'_>,
) -> Result<BTreeMap<String, Secret>, DotenvError> {
    let text = unix_lines(text);
    let mut reader = Reader {
        environment,
        run,
        values: BTreeMap::new(),
        line: 0,
    };
    for assignment in line::assignments(&text) {
        reader.line = text[..assignment.at].matches('\n').count() + 1;
        reader.assign(&assignment, existing)?;
    }
    Ok(reader.values)
}

/// The names a file gives values to, in order, without evaluating anything.
pub fn names(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for assignment in line::assignments(&unix_lines(text)) {
        if !names.iter().any(|name| name == assignment.name) {
            names.push(assignment.name.to_owned());
        }
    }
    names
}

fn unix_lines(text: &str) -> Zeroizing<String> {
    let unix = Zeroizing::new(text.replace("\r\n", "\n"));
    Zeroizing::new(unix.replace('\r', "\n"))
}

struct Reader<'a> {
    environment: &'a BTreeMap<String, String>,
    run: &'a Run<'a>,
    values: BTreeMap<String, Secret>,
    line: usize,
}

impl Reader<'_> {
    fn assign(
        &mut self,
        assignment: &Assignment<'_>,
        existing: Existing,
    ) -> Result<(), DotenvError> {
        let name = assignment.name;
        let kept = match existing {
            Existing::Keep if name != "DOTENV_LINEBREAK_MODE" => self.environment.get(name),
            Existing::Keep | Existing::Overwrite => None,
        };
        let value = match (kept, assignment.value) {
            (Some(value), _) => Secret::new(value.as_str()),
            (None, Some(value)) => self.value(value)?,
            (None, None) if assignment.export => {
                if self.values.contains_key(name) {
                    return Ok(());
                }
                return Err(DotenvError::Unset {
                    line: self.line,
                    name: name.to_owned(),
                });
            }
            (None, None) => Secret::new(""),
        };
        self.values.insert(name.to_owned(), value);
        Ok(())
    }

    fn value(&self, written: &str) -> Result<Secret, DotenvError> {
        let written =
            written.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}' || c == '\0');
        let quoted = |quote: char| {
            let inner = written.strip_prefix(quote)?.strip_suffix(quote)?;
            Some(inner)
        };
        let value = match (quoted('\''), quoted('"')) {
            (Some(literal), _) => return Ok(Secret::new(literal)),
            (None, Some(inner)) if self.legacy_line_breaks() => {
                Zeroizing::new(inner.replace("\\n", "\n").replace("\\r", "\r"))
            }
            (None, Some(inner)) => {
                Zeroizing::new(inner.replace("\\n", "\\\\n").replace("\\r", "\\\\r"))
            }
            (None, None) => Zeroizing::new(written.to_owned()),
        };
        let value = unescaped(&value);
        let value = self.with_commands(&value)?;
        Ok(Secret::new(std::mem::take(
            &mut *self.with_variables(&value),
        )))
    }

    fn lookup(&self, name: &str) -> Option<&str> {
        match self.values.get(name) {
            Some(value) => Some(value.expose()),
            None => self.environment.get(name).map(String::as_str),
        }
    }

    fn legacy_line_breaks(&self) -> bool {
        self.lookup("DOTENV_LINEBREAK_MODE") == Some("legacy")
    }

    /// `$(command)` becomes its output without the last newline; `\$(…)` stays, without the backslash.
    fn with_commands(&self, text: &str) -> Result<Zeroizing<String>, DotenvError> {
        let mut result = Zeroizing::new(String::with_capacity(text.len()));
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            let (before, from) = rest.split_at(dollar);
            let Some(length) = command_length(&from[1..]) else {
                result.push_str(before);
                result.push('$');
                rest = &from[1..];
                continue;
            };
            let (substitution, after) = from.split_at(1 + length);
            if let Some(unescaped) = before.strip_suffix('\\') {
                result.push_str(unescaped);
                result.push_str(substitution);
            } else {
                result.push_str(before);
                let command = self.with_variables(&substitution[2..substitution.len() - 1]);
                let output = (self.run)(&command).map_err(|problem| DotenvError::Command {
                    line: self.line,
                    problem,
                })?;
                let output = Zeroizing::new(output);
                result.push_str(chomped(&output));
            }
            rest = after;
        }
        result.push_str(rest);
        Ok(result)
    }

    /// `$NAME` and `${NAME}` become their values, or nothing; `\$NAME` stays, without the backslash. Braces are not
    /// matched with each other, which is how dotenv reads `${NAME:-x}` as a value and the rest.
    fn with_variables(&self, text: &str) -> Zeroizing<String> {
        let mut result = Zeroizing::new(String::with_capacity(text.len()));
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            let (before, from) = rest.split_at(dollar);
            if from.starts_with("$(") {
                result.push_str(before);
                result.push('$');
                rest = &from[1..];
                continue;
            }
            let word = from[1..].strip_prefix('{').unwrap_or(&from[1..]);
            let length = word
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(word.len());
            let (name, after) = word.split_at(length);
            let after = after.strip_prefix('}').unwrap_or(after);
            let whole = &from[..from.len() - after.len()];
            if let Some(unescaped) = before.strip_suffix('\\') {
                result.push_str(unescaped);
                result.push_str(whole);
            } else if name.is_empty() {
                result.push_str(before);
                result.push_str(whole);
            } else {
                result.push_str(before);
                result.push_str(self.lookup(name).unwrap_or_default());
            }
            rest = after;
        }
        result.push_str(rest);
        result
    }
}

/// Backslashes go, except before `$` and at the end.
fn unescaped(text: &str) -> Zeroizing<String> {
    let mut result = Zeroizing::new(String::with_capacity(text.len()));
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            result.push(character);
            continue;
        }
        match characters.clone().next() {
            Some(next) if next != '$' => {
                result.push(next);
                characters.next();
            }
            Some(_) | None => result.push('\\'),
        }
    }
    result
}

/// Length of a balanced, nowhere empty parenthesis at the start of a text. Backslashes hide what follows them.
fn command_length(text: &str) -> Option<usize> {
    // One entry an open parenthesis: whether it holds something yet.
    let mut open: Vec<bool> = Vec::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '(' => open.push(false),
            ')' => {
                if !open.pop()? {
                    return None;
                }
                match open.last_mut() {
                    Some(holds) => *holds = true,
                    None => return Some(index + 1),
                }
            }
            other => {
                if other == '\\' && characters.next().is_none_or(|(_, next)| next == '\n') {
                    return None;
                }
                *open.last_mut()? = true;
            }
        }
    }
    None
}

fn chomped(text: &str) -> &str {
    match text.strip_suffix('\n') {
        Some(line) => line.strip_suffix('\r').unwrap_or(line),
        None => text.strip_suffix('\r').unwrap_or(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `echo WORDS` answers the words, anything else itself in angle brackets.
    fn shell(command: &str) -> Result<String, String> {
        Ok(match command.strip_prefix("echo ") {
            Some(words) => format!("{words}\n"),
            None => format!("<{command}>"),
        })
    }

    fn read(text: &str, existing: Existing) -> Result<String, DotenvError> {
        let environment = BTreeMap::from([("OUTER".to_owned(), "outer".to_owned())]);
        let values = parse(text, &environment, existing, &shell)?;
        let show = |(name, value): (&String, &Secret)| format!("{name}={}", value.expose());
        Ok(values.iter().map(show).collect::<Vec<_>>().join("|"))
    }

    #[test]
    fn values_are_unquoted_unescaped_and_substituted() {
        for (text, expected) in [
            ("A=plain value # c", "A=plain value"),
            ("A='$OUTER $(echo no) \\n'", "A=$OUTER $(echo no) \\n"),
            ("A=\"$OUTER ${OUTER}x \\n\"", "A=outer outerx \\n"),
            (
                "DOTENV_LINEBREAK_MODE=legacy\nA=\"x\\ny\"",
                "A=x\ny|DOTENV_LINEBREAK_MODE=legacy",
            ),
            ("A=$(echo hi)", "A=hi"),
            ("A=$(echo $OUTER)", "A=outer"),
            ("A=x\nB=$(echo ${A}y)z", "A=x|B=xyz"),
            ("A=$(echo $(x))", "A=$(x)"),
            ("A=$()", "A=$()"),
            ("A=$(f())", "A=$(f())"),
            ("A=\\$(echo no) \\$OUTER", "A=$(echo no) $OUTER"),
            ("A=$(cat x) $(cat y)", "A=<cat x> <cat y>"),
            ("A=$(open $(echo b)", "A=$(open b"),
            ("A=é$OUTERé", "A=éouteré"),
            ("OUTER=file\nB=$OUTER", "B=file|OUTER=file"),
            ("A='", "A='"),
            ("A=\"", "A=\""),
        ] {
            assert_eq!(
                read(text, Existing::Overwrite).expect(text),
                expected,
                "{text:?}"
            );
        }
    }

    #[test]
    fn dotenv_load_keeps_what_the_environment_has() {
        let text = "OUTER=file\nA=$OUTER";
        assert_eq!(
            read(text, Existing::Keep),
            Ok("A=outer|OUTER=outer".to_owned())
        );
    }

    #[test]
    fn an_export_of_nothing_is_refused_with_its_line() {
        let error = read("A=1\n\nexport B\n", Existing::Overwrite).expect_err("B has no value");
        assert!(
            error.to_string().starts_with("line 3: `export B`"),
            "{error}"
        );
        assert_eq!(
            read("B=1\nexport B\n", Existing::Overwrite),
            Ok("B=1".to_owned())
        );
    }

    #[test]
    fn a_command_that_was_not_run_is_named_with_its_line() {
        let refuse = |_: &str| Err("not allowed".to_owned());
        let error = parse(
            "A=1\nB=$(x)",
            &BTreeMap::new(),
            Existing::Overwrite,
            &refuse,
        );
        let problem = "not allowed".to_owned();
        assert_eq!(error, Err(DotenvError::Command { line: 2, problem }));
    }

    #[test]
    fn names_are_known_without_running_anything() {
        assert_eq!(names("B=$(x)\nexport A=1\n# C=2\nB=3\n"), ["B", "A"]);
    }
}
