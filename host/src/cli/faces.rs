//! Whose command line it is: plimsoll's own, or that of a tool it stands in for.
//!
//! A symlink called `kamal` or `copilot`, and `plimsoll kamal …` or `plimsoll copilot …`, answer as that tool does.
//! Kamal's commands also answer below plimsoll's own name.

use std::ffi::OsString;
use std::path::Path;

use super::kamal::{self, Face};
use crate::sandbox::aot;

/// A command line, and who reads it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Kamal's, without the name.
    Kamal {
        /// As whom.
        face: Face,
        /// What follows the name.
        words: Vec<String>,
    },
    /// plimsoll's own, with the name.
    Own {
        /// Copilot's commands are among its own: it was called by that name.
        as_copilot: bool,
        /// Without the word that says so.
        line: Vec<OsString>,
    },
}

/// Reads the name it was called by, and the first word.
pub(super) fn seen(line: Vec<OsString>) -> Line {
    let name = line
        .first()
        .and_then(|name| Path::new(name).file_name()?.to_str());
    let first = line.get(1).and_then(|word| word.to_str());
    match (name, first) {
        // Under whatever name it was started, it calls itself to compile.
        (_, Some(aot::COMPILE_COMMAND)) => own(false, line),
        (Some("kamal"), _) => kamals(Face::Kamal, line, 1),
        (Some("copilot"), _) => own(true, line),
        (_, Some("kamal")) => kamals(Face::Kamal, line, 2),
        (_, Some("copilot")) => {
            let mut line = line;
            line.remove(1);
            own(true, line)
        }
        (_, Some(word)) if kamal::also_ours().contains(&word) => kamals(Face::Plimsoll, line, 1),
        (_, _) => own(false, line),
    }
}

fn own(as_copilot: bool, line: Vec<OsString>) -> Line {
    Line::Own { as_copilot, line }
}

fn kamals(face: Face, line: Vec<OsString>, from: usize) -> Line {
    let words = line.into_iter().skip(from);
    Line::Kamal {
        face,
        words: words
            .map(|word| word.to_string_lossy().into_owned())
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_it_is_called_by_decides_then_the_first_word() {
        let seen = |line: &str| seen(line.split(' ').map(OsString::from).collect());
        let kamal = |face, words: &[&str]| Line::Kamal {
            face,
            words: words.iter().map(|word| (*word).to_owned()).collect(),
        };
        let words = |line: &str| line.split(' ').map(OsString::from).collect();
        let own = |line: &str| own(false, words(line));
        let copilot = |line: &str| super::own(true, words(line));
        for (line, expected) in [
            (
                "/usr/bin/kamal deploy -h x",
                kamal(Face::Kamal, &["deploy", "-h", "x"]),
            ),
            ("kamal", kamal(Face::Kamal, &[])),
            ("plimsoll kamal plan", kamal(Face::Kamal, &["plan"])),
            ("plimsoll app logs", kamal(Face::Plimsoll, &["app", "logs"])),
            (
                "plimsoll rollback 1",
                kamal(Face::Plimsoll, &["rollback", "1"]),
            ),
            ("plimsoll deploy -P", own("plimsoll deploy -P")),
            ("plimsoll plan", own("plimsoll plan")),
            ("plimsoll config", own("plimsoll config")),
            ("plimsoll --help", own("plimsoll --help")),
            (
                "bin/copilot svc package",
                copilot("bin/copilot svc package"),
            ),
            (
                "plimsoll copilot svc package",
                copilot("plimsoll svc package"),
            ),
        ] {
            assert_eq!(seen(line), expected, "{line}");
        }
    }
}
