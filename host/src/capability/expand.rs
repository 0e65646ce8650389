//! What only a host's shell knows: `${VARIABLE}` and `$(command)` of the manifest, asked for in one command.
//!
//! A variable can't run anything. A command runs only if the grants have `sh -c COMMAND`, as the manifest's own do.

use std::collections::BTreeMap;

use super::run::{Readers, Run};
use super::session::Session;
use crate::wire::Command;
use crate::wit::types::{CapError, Expansion, Part};

/// Answers of a host's shell.
#[derive(Debug, Default)]
pub(crate) struct Expanded {
    expansions: BTreeMap<(String, bool), String>,
    inherited: BTreeMap<String, Option<String>>,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Question {
    Variable(String),
    Command(String),
    Inherit(String),
}

impl Expanded {
    /// Asks the shell of a host for everything in these values that it has to be asked for; when there is nothing, nobody
    /// is asked.
    pub(crate) async fn of<'a>(
        session: &Session,
        host: &str,
        values: impl IntoIterator<Item = &'a [Part]>,
    ) -> Result<Self, CapError> {
        let mut questions = Vec::new();
        for part in values.into_iter().flatten() {
            if let Some(question) = Question::of(part)? {
                if let Question::Command(text) = &question {
                    let covered = session.grants.covers_command(&["sh", "-c", text]);
                    covered.map_err(|denied| session.deny(denied.on(host)))?;
                }
                if !questions.contains(&question) {
                    questions.push(question);
                }
            }
        }
        if questions.is_empty() {
            return Ok(Self::default());
        }
        let wire = |error| super::error::from_wire(&error);
        let place = session.run.hosts.place(host).await.map_err(wire)?;
        let output = place.exec(command(&questions)).await.map_err(wire)?;
        let answers: Vec<String> = output
            .stdout
            .split(|byte| *byte == 0)
            .map(|answer| String::from_utf8_lossy(answer).into_owned())
            .collect();
        if output.code != 0 || answers.len() != questions.len() + 1 {
            return Err(CapError::Other(format!(
                "the shell of {host} does not tell what is in its variables: {}",
                output.error_text()
            )));
        }
        let mut expanded = Self::default();
        for (question, answer) in questions.into_iter().zip(answers) {
            match question {
                Question::Variable(text) => drop(expanded.expansions.insert((text, false), answer)),
                Question::Command(text) => drop(expanded.expansions.insert((text, true), answer)),
                Question::Inherit(name) => {
                    let value = answer.strip_prefix('+').map(str::to_owned);
                    expanded.inherited.insert(name, value);
                }
            }
        }
        Ok(expanded)
    }

    /// A value as one text. `None` for a variable that is not inherited, as the host has none.
    pub(crate) fn text(
        &self,
        run: &Run,
        value: &[Part],
        readers: Readers,
    ) -> Result<Option<String>, CapError> {
        if let [Part::Inherit(name)] = value {
            return Ok(self.inherited.get(name).cloned().flatten());
        }
        let mut text = String::new();
        for part in value {
            match part {
                Part::Remote(expansion) => text.push_str(self.expansion(expansion)?),
                other => text.push_str(run.resolve(std::slice::from_ref(other), readers)?.expose()),
            }
        }
        Ok(Some(text))
    }

    /// A value as the words that a shell makes of it.
    pub(crate) fn words(&self, run: &Run, value: &[Part]) -> Result<Vec<String>, CapError> {
        let mut words = Vec::new();
        let mut word: Option<String> = (value.is_empty()).then(String::new);
        for part in value {
            match part {
                Part::Remote(expansion) if expansion.split => {
                    let answer = self.expansion(expansion)?;
                    let blank = |c: char| matches!(c, ' ' | '\t' | '\n');
                    if answer.starts_with(blank) {
                        words.extend(word.take());
                    }
                    let mut pieces = answer.split(blank).filter(|piece| !piece.is_empty());
                    if let Some(first) = pieces.next() {
                        word.get_or_insert_default().push_str(first);
                    }
                    for piece in pieces {
                        words.extend(word.replace(piece.to_owned()));
                    }
                    if answer.ends_with(blank) {
                        words.extend(word.take());
                    }
                }
                other => {
                    let text = self.text(run, std::slice::from_ref(other), Readers::Everybody)?;
                    word.get_or_insert_default()
                        .push_str(&text.unwrap_or_default());
                }
            }
        }
        words.extend(word);
        Ok(words)
    }

    fn expansion(&self, expansion: &Expansion) -> Result<&str, CapError> {
        let key = (expansion.text.clone(), expansion.command);
        let answer = self.expansions.get(&key).map(String::as_str);
        answer.ok_or_else(|| {
            CapError::Other(format!("`{}` was not asked of the host", expansion.text))
        })
    }
}

impl Question {
    fn of(part: &Part) -> Result<Option<Self>, CapError> {
        Ok(match part {
            Part::Remote(expansion) if expansion.command => {
                Some(Self::Command(expansion.text.clone()))
            }
            Part::Remote(expansion) if is_variable(&expansion.text) => {
                Some(Self::Variable(expansion.text.clone()))
            }
            Part::Inherit(name) if is_name(name) => Some(Self::Inherit(name.clone())),
            Part::Remote(Expansion { text, .. }) | Part::Inherit(text) => {
                return Err(CapError::Other(format!(
                    "`${{{text}}}` is not a variable that a host is asked for\nhint: write `${{NAME}}` or `${{NAME:-text}}`"
                )));
            }
            Part::Text(_) | Part::Secret(_) | Part::Slot(_) | Part::File(_) => None,
        })
    }
}

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A name, with what a shell does to its value: nothing in it can end the expansion, or begin another one.
fn is_variable(text: &str) -> bool {
    let length = text.strip_prefix('#').is_some_and(is_name);
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    let (name, operator) = text.split_at(end);
    let plain = !operator.contains(['}', '{', '"', '\'', '`', '$', '\\', '\n', '\0']);
    length || is_name(name) && plain
}

/// The answers come in order, each with a NUL after it. Commands are arguments, never part of the script.
fn command(questions: &[Question]) -> Command {
    let mut script = String::new();
    let mut arguments = Vec::new();
    for question in questions {
        script.push_str(&match question {
            Question::Variable(text) => format!("printf '%s\\0' \"${{{text}}}\"\n"),
            Question::Command(text) => {
                arguments.push(text.clone());
                format!("printf '%s\\0' \"$(eval \"${{{}}}\")\"\n", arguments.len())
            }
            Question::Inherit(name) => format!(
                "if [ \"${{{name}+x}}\" ]; then printf '+%s\\0' \"${{{name}}}\"; else printf '%s\\0' -; fi\n"
            ),
        });
    }
    let words = ["sh", "-c", &script, "sh"].map(str::to_owned);
    Command::new(words.into_iter().chain(arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_can_run_nothing() {
        for text in ["A", "A_1", "A:-x y", "A-", "#A", "A:+set"] {
            assert!(is_variable(text), "{text}");
        }
        for text in [
            "",
            "1",
            "A}; id; ${B",
            "A:-$(id)",
            "A:-`id`",
            "A:-${B}",
            "A\"",
            "A:-\\",
            "A\n",
            "!A",
            "@",
        ] {
            assert!(!is_variable(text), "{text}");
        }
    }

    #[test]
    fn a_host_is_asked_once_for_everything() {
        let asked = command(&[
            Question::Variable("A:-x".into()),
            Question::Command("id -u".into()),
            Question::Inherit("B".into()),
        ]);
        assert_eq!(
            asked.argv[2],
            "printf '%s\\0' \"${A:-x}\"\nprintf '%s\\0' \"$(eval \"${1}\")\"\nif [ \"${B+x}\" ]; then printf '+%s\\0' \"${B}\"; else printf '%s\\0' -; fi\n"
        );
        assert_eq!(asked.argv[3..], ["sh", "id -u"]);
    }
}
