//! Findings about the user's files, and the one way in which they are shown.

use std::fmt::Write as _;

/// A place in a project file. Line and column count from 1; the column counts characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Relative to the project: `config/deploy.yml`.
    pub path: String,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// Characters to underline from the column on; 0 when not known.
    pub length: u32,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Goes on, and probably is not what was meant.
    Warning,
    /// Stops here.
    Error,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One finding. Mirrors `diagnostic` of `wit/types.wit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Stable, kebab-case: `unknown-key`.
    pub code: String,
    /// A lowercase fragment without a full stop.
    pub message: String,
    /// Where it is, when it is in a file.
    pub at: Option<Position>,
    /// The cure, in the imperative.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error without a place and a cure, to be completed with [`at`](Self::at) and [`help`](Self::help).
    pub fn error(code: &str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code: code.to_owned(),
            message: message.into(),
            at: None,
            help: None,
        }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, position: Position) -> Self {
        self.at = Some(position);
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Of `candidates` the one that `word` is most likely a misspelling of.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = |candidate: &&str| {
        let distance = strsim::osa_distance(word, candidate);
        let longest = word.chars().count().max(candidate.chars().count());
        (distance * 3 <= longest).then_some(distance)
    };
    candidates
        .into_iter()
        .filter_map(|candidate| near(&candidate).map(|distance| (distance, candidate)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Shows a finding with its source line and a caret under the place, as rustc does, ending in a newline.
///
/// `source` answers the text of a project file, or none when it is not at hand. Control characters of the file and of
/// the message are shown as `\u{…}`, so that a file can't send escape sequences to the terminal.
pub fn render_diagnostic<'a>(
    diagnostic: &Diagnostic,
    source: impl Fn(&str) -> Option<&'a str>,
) -> String {
    let mut shown = format!(
        "{}[{}]: {}\n",
        diagnostic.severity.word(),
        visible(&diagnostic.code),
        visible(&diagnostic.message).replace('\n', "\n  ")
    );
    let mut margin = 1;
    if let Some(at) = &diagnostic.at {
        margin = at.line.to_string().len();
        let (path, line, column) = (visible(&at.path), at.line, at.column);
        let _ = writeln!(shown, "{:margin$}--> {path}:{line}:{column}", "");
        let text = source(&at.path).and_then(|text| text.lines().nth(line.max(1) as usize - 1));
        if let Some(text) = text {
            let excerpt = Excerpt::around(text, at);
            let _ = writeln!(shown, "{:margin$} |", "");
            let _ = writeln!(shown, "{line} | {}", excerpt.text);
            let _ = writeln!(
                shown,
                "{:margin$} | {:indent$}{}",
                "",
                "",
                "^".repeat(excerpt.width),
                indent = excerpt.indent
            );
        }
    }
    if let Some(help) = &diagnostic.help {
        let continued = format!("\n{:margin$}         ", "");
        let _ = writeln!(
            shown,
            "{:margin$} = help: {}",
            "",
            visible(help).replace('\n', &continued)
        );
    }
    shown
}

/// Widest excerpt of a source line, in characters.
const LINE_WIDTH: usize = 120;

/// The part of a line that is shown, and where the caret goes, in terminal cells.
struct Excerpt {
    text: String,
    indent: usize,
    width: usize,
}

impl Excerpt {
    fn around(line: &str, at: &Position) -> Self {
        let characters: Vec<char> = line.trim_end_matches('\r').chars().collect();
        let start = (at.column.max(1) as usize - 1).min(characters.len());
        let end = (start + at.length.max(1) as usize).min(characters.len().max(start + 1));
        let first = if end <= LINE_WIDTH {
            0
        } else {
            start.saturating_sub(LINE_WIDTH / 3)
        };
        let last = characters.len().min(first + LINE_WIDTH);
        let cells = |from: usize, to: usize| -> String {
            let part = characters.get(from..to.min(last)).unwrap_or_default();
            visible(&part.iter().collect::<String>().replace('\t', "    "))
        };
        let cut = if first > 0 { "…" } else { "" };
        let rest = if last < characters.len() { "…" } else { "" };
        Self {
            text: format!("{cut}{}{rest}", cells(first, last)),
            indent: width(cut) + width(&cells(first, start)),
            width: width(&cells(start, end)).max(1),
        }
    }
}

/// Text whose control characters, other than newlines, are spelled out.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        // Direction marks could make a line read as something else ("Trojan source").
        let misleading = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if character != '\n' && (character.is_control() || misleading) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Terminal cells of a text: East Asian wide characters and emoji take two.
fn width(text: &str) -> usize {
    let cells = |character| match character {
        '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200d}' | '\u{fe00}'..='\u{fe0f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    };
    text.chars().map(cells).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, column: u32, length: u32) -> Position {
        Position {
            path: "config/deploy.yml".into(),
            line,
            column,
            length,
        }
    }

    #[test]
    fn a_finding_shows_its_line_a_caret_and_the_cure() {
        let finding = Diagnostic::error("unknown-key", "unknown key \"servcie\"")
            .at(at(2, 1, 7))
            .help("did you mean \"service\"?");
        assert_eq!(
            render_diagnostic(&finding, |_| Some("# app\nservcie: app\n")),
            "error[unknown-key]: unknown key \"servcie\"\n \
             --> config/deploy.yml:2:1\n  |\n\
             2 | servcie: app\n  | ^^^^^^^\n  = help: did you mean \"service\"?\n"
        );
    }

    #[test]
    fn carets_stand_under_the_place_behind_tabs_and_wide_characters() {
        for (line, column, length, indent, width) in [
            ("abc", 2, 1, 1, 1),
            ("\tabc", 2, 2, 4, 2),
            ("中文: x", 5, 1, 6, 1),
            ("中文: x", 1, 2, 0, 4),
            ("abc", 9, 1, 3, 1),
            ("abc", 2, 99, 1, 2),
            ("abc", 2, 0, 1, 1),
            ("", 1, 0, 0, 1),
        ] {
            let excerpt = Excerpt::around(line, &at(1, column, length));
            assert_eq!((excerpt.indent, excerpt.width), (indent, width), "{line:?}");
        }
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let line = format!("{}X{}", "a".repeat(500), "b".repeat(500));
        let excerpt = Excerpt::around(&line, &at(1, 501, 1));
        assert!(excerpt.text.starts_with("…aaa") && excerpt.text.ends_with("bbb…"));
        assert_eq!(excerpt.text.chars().nth(excerpt.indent), Some('X'));
    }

    #[test]
    fn a_file_cannot_send_escape_sequences_to_the_terminal() {
        let finding = Diagnostic::error("x", "bad \u{1b}[31m value").at(at(1, 1, 1));
        let shown = render_diagnostic(&finding, |_| Some("\u{1b}]0;title\u{7}\u{202e}abc"));
        assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{shown}");
    }

    #[test]
    fn a_place_in_a_file_that_is_not_at_hand_is_still_named() {
        let finding = Diagnostic::error("x", "wrong").at(at(70, 3, 1));
        let shown = render_diagnostic(&finding, |_| None);
        assert_eq!(shown, "error[x]: wrong\n  --> config/deploy.yml:70:3\n");
    }

    #[test]
    fn only_a_likely_misspelling_is_suggested() {
        let keys = ["service", "servers", "ssh"];
        assert_eq!(nearest("servcie", keys), Some("service"));
        assert_eq!(nearest("server", keys), Some("servers"));
        assert_eq!(nearest("banana", keys), None);
    }
}
