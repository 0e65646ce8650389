//! Flags as cobra reads them: `--name=value`, `--name value`, a bare `--name` for a switch, lists by repetition or commas.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::duration;

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing, or `=true` or `=false`.
    Switch,
    /// Any text.
    Text,
    /// Texts, repeated or separated by commas.
    List,
    /// A number of bytes, requests or ports.
    Number,
    /// A duration as Go writes it.
    Duration,
}

/// The flags of one command, by name.
pub type Known = &'static [(&'static str, Kind)];

/// A command line, taken apart: words that are no flags, and the values given to each flag.
#[derive(Debug, Default)]
pub struct Flags {
    /// Words that are no flags, in order.
    pub words: Vec<String>,
    values: BTreeMap<&'static str, Vec<String>>,
}

impl Flags {
    /// Reads the words of a command line; the error is cobra's text.
    pub fn read(known: Known, words: &[String]) -> Result<Flags, String> {
        let mut flags = Flags::default();
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            let Some(flag) = word.strip_prefix("--").filter(|flag| !flag.is_empty()) else {
                if word == "--" {
                    flags.words.extend(rest.cloned());
                    break;
                }
                if word.starts_with('-') && word.len() > 1 {
                    return Err(format!(
                        "unknown shorthand flag: '{}' in {word}",
                        &word[1..2]
                    ));
                }
                flags.words.push(word.clone());
                continue;
            };
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag, None),
            };
            let (name, kind) = *known
                .iter()
                .find(|(known, _)| *known == name)
                .ok_or_else(|| format!("unknown flag: --{name}"))?;
            let value = match (value, kind) {
                (Some(value), _) => value,
                (None, Kind::Switch) => "true".to_owned(),
                (None, Kind::Text | Kind::List | Kind::Number | Kind::Duration) => rest
                    .next()
                    .cloned()
                    .ok_or_else(|| format!("flag needs an argument: --{name}"))?,
            };
            check(name, kind, &value)?;
            let values = flags.values.entry(name).or_default();
            match kind {
                Kind::List => values.extend(value.split(',').map(str::to_owned)),
                Kind::Switch | Kind::Text | Kind::Number | Kind::Duration => *values = vec![value],
            }
        }
        Ok(flags)
    }

    /// Whether the flag was given at all.
    pub fn is_given(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// All values of a list.
    pub fn list(&self, name: &str) -> Vec<String> {
        self.values.get(name).cloned().unwrap_or_default()
    }

    /// The text of a flag that was given and is not empty.
    pub fn text(&self, name: &str) -> Option<String> {
        self.values
            .get(name)?
            .last()
            .filter(|text| !text.is_empty())
            .cloned()
    }

    /// A switch, or what it is when not given.
    pub fn switch(&self, name: &str, otherwise: bool) -> bool {
        self.text(name)
            .and_then(|text| switch(&text))
            .unwrap_or(otherwise)
    }

    /// A number, or what it is when not given.
    pub fn number(&self, name: &str, otherwise: u64) -> u64 {
        self.text(name)
            .and_then(|text| text.parse().ok())
            .unwrap_or(otherwise)
    }

    /// A duration, or what it is when not given.
    pub fn duration(&self, name: &str, otherwise: Duration) -> Duration {
        self.text(name)
            .and_then(|text| duration::parse(&text))
            .unwrap_or(otherwise)
    }
}

fn check(name: &str, kind: Kind, value: &str) -> Result<(), String> {
    let why = match kind {
        Kind::Switch if switch(value).is_none() => {
            format!("strconv.ParseBool: parsing {value:?}: invalid syntax")
        }
        Kind::Number if value.parse::<u64>().is_err() => {
            format!("strconv.ParseInt: parsing {value:?}: invalid syntax")
        }
        Kind::Duration if duration::parse(value).is_none() => {
            format!("time: invalid duration {value:?}")
        }
        Kind::Switch | Kind::Text | Kind::List | Kind::Number | Kind::Duration => return Ok(()),
    };
    Err(format!(
        "invalid argument {value:?} for \"--{name}\" flag: {why}"
    ))
}

fn switch(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Known = &[
        ("target", Kind::List),
        ("tls", Kind::Switch),
        ("max", Kind::Number),
        ("wait", Kind::Duration),
        ("path", Kind::Text),
    ];

    fn read(line: &str) -> Result<Flags, String> {
        Flags::read(
            KNOWN,
            &line.split(' ').map(str::to_owned).collect::<Vec<_>>(),
        )
    }

    #[test]
    fn every_form_of_a_flag_is_read() {
        let flags =
            read("web --target=a:1,b:2 --target c --tls --max 5 --wait=1m30s --path=/x -- --rest")
                .unwrap();
        assert_eq!(flags.words, ["web", "--rest"]);
        assert_eq!(flags.list("target"), ["a:1", "b:2", "c"]);
        assert!(flags.switch("tls", false));
        assert_eq!(flags.number("max", 0), 5);
        assert_eq!(
            flags.duration("wait", Duration::ZERO),
            Duration::from_secs(90)
        );
        assert_eq!(flags.text("path").as_deref(), Some("/x"));
        assert!(!read("--tls=false").unwrap().switch("tls", true));
        assert!(read("web").unwrap().switch("tls", true));
    }

    #[test]
    fn what_cobra_refuses_is_refused_in_its_words() {
        let table = [
            ("--bogus", "unknown flag: --bogus"),
            ("--bogus=1", "unknown flag: --bogus"),
            ("-x", "unknown shorthand flag: 'x' in -x"),
            ("--max", "flag needs an argument: --max"),
            (
                "--tls=maybe",
                "invalid argument \"maybe\" for \"--tls\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax",
            ),
            (
                "--tls=\"false\"",
                "invalid argument \"\\\"false\\\"\" for \"--tls\" flag: strconv.ParseBool: parsing \"\\\"false\\\"\": invalid syntax",
            ),
            (
                "--wait=30",
                "invalid argument \"30\" for \"--wait\" flag: time: invalid duration \"30\"",
            ),
        ];
        for (line, error) in table {
            assert_eq!(read(line).unwrap_err(), error);
        }
    }
}
