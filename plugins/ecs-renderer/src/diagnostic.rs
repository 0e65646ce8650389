//! Findings: what is wrong with the user's files, where, and what to do about it.

use crate::yaml::Span;
use std::cmp::Reverse;

/// Whether a finding stops the render.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Copilot accepts this silently, although it does not do what it seems to.
    Warning,
    /// Refused.
    Error,
}

/// Codes of findings, for programs that read them.
pub mod code {
    /// A rule of the manifest, or of its environment, is broken.
    pub const INVALID: &str = "invalid-manifest";
    /// A value is ignored.
    pub const NO_EFFECT: &str = "no-effect";
    /// A key that no field has.
    pub const UNKNOWN_KEY: &str = "unknown-key";
    /// A value of the wrong type.
    pub const WRONG_TYPE: &str = "wrong-type";
    /// Not YAML, or YAML that is refused.
    pub const SYNTAX: &str = "syntax";
    /// A `${NAME}` that cannot be substituted.
    pub const VARIABLE: &str = "undefined-variable";
    /// An addon that cannot be merged or given its parameters.
    pub const ADDON: &str = "invalid-addon";
    /// An override that cannot be applied.
    pub const OVERRIDE: &str = "invalid-override";
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Does it stop the render?
    pub severity: Severity,
    /// One of [`code`].
    pub code: &'static str,
    /// A sentence without a full stop, naming the field and the value.
    pub message: String,
    /// The cure.
    pub help: Option<String>,
    /// Where it stands; `None` if it concerns the facts or a missing file.
    pub at: Option<Place>,
}

/// A place in one of the user's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Path as given in the request.
    pub path: String,
    /// 1-based.
    pub line: u32,
    /// 1-based, in characters.
    pub column: u32,
    /// Characters to underline, at least 1.
    pub length: u32,
    /// The whole line, without its line break.
    pub source: String,
}

impl Diagnostic {
    /// The finding as people read it: message, place with a caret, cure.
    pub fn render(&self) -> String {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let mut out = format!("{word}: {}\n", self.message);
        if let Some(at) = &self.at {
            let number = at.line.to_string();
            let margin = " ".repeat(number.len());
            let indent: String = at
                .source
                .chars()
                .take(at.column.saturating_sub(1) as usize)
                .map(|c| if c == '\t' { '\t' } else { ' ' })
                .collect();
            let room = at
                .source
                .chars()
                .count()
                .saturating_sub(at.column.saturating_sub(1) as usize);
            let carets = "^".repeat((at.length as usize).min(room.max(1)));
            out.push_str(&format!(
                "{margin}--> {}:{}:{}\n{margin} |\n{number} | {}\n{margin} | {indent}{carets}\n",
                at.path, at.line, at.column, at.source
            ));
        }
        if let Some(help) = &self.help {
            out.push_str(&format!("hint: {help}\n"));
        }
        out
    }
}

/// The request's files, so that spans can be shown.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
}

#[derive(Clone, Debug)]
struct Source {
    path: String,
    lines: Vec<String>,
}

impl Sources {
    /// Adds a file and returns the number spans carry.
    pub fn add(&mut self, path: &str, text: &str) -> u16 {
        let lines = text.lines().map(str::to_owned).collect();
        self.files.push(Source {
            path: path.to_owned(),
            lines,
        });
        u16::try_from(self.files.len() - 1).unwrap_or(u16::MAX)
    }

    /// Turns a span into a place, if it lies in one of the files.
    pub fn place(&self, span: Span) -> Option<Place> {
        let index = (span.line as usize).checked_sub(1)?;
        let file = self.files.get(span.file as usize)?;
        Some(Place {
            path: file.path.clone(),
            line: span.line,
            column: span.column.max(1),
            length: span.length.max(1),
            source: file.lines.get(index).cloned().unwrap_or_default(),
        })
    }
}

/// Collects findings while the files are read.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    found: Vec<(Span, Diagnostic)>,
}

impl Findings {
    /// Adds an error.
    pub fn error(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.coded(code::INVALID).error(span, message, help);
    }

    /// Adds a warning.
    pub fn warn(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.coded(code::NO_EFFECT).warn(span, message, help);
    }

    /// Findings with another than the usual code.
    pub fn coded(&mut self, code: &'static str) -> Coded<'_> {
        Coded {
            findings: self,
            code,
        }
    }

    /// Makes every warning about the user's files an error.
    pub fn harden(&mut self) {
        for (_, diagnostic) in self.found.iter_mut().filter(|(span, _)| span.line > 0) {
            diagnostic.severity = Severity::Error;
        }
    }

    /// True once something stops the render.
    pub fn failed(&self) -> bool {
        self.found
            .iter()
            .any(|(_, d)| d.severity == Severity::Error)
    }

    /// All findings with their places: errors first, then in file order, those without a place last.
    pub fn finish(mut self, sources: &Sources) -> Vec<Diagnostic> {
        self.found.sort_by_key(|(at, found)| {
            (
                Reverse(found.severity),
                at.line == 0,
                at.file,
                at.line,
                at.column,
            )
        });
        self.found
            .into_iter()
            .map(|(span, mut diagnostic)| {
                diagnostic.at = sources.place(span);
                diagnostic
            })
            .collect()
    }
}

/// Findings under one code.
pub struct Coded<'a> {
    findings: &'a mut Findings,
    code: &'static str,
}

impl Coded<'_> {
    /// Adds an error.
    pub fn error(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.add(Severity::Error, span, message.into(), help.into());
    }

    /// Adds a warning.
    pub fn warn(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.add(Severity::Warning, span, message.into(), help.into());
    }

    fn add(&mut self, severity: Severity, span: Span, message: String, help: String) {
        let found = &mut self.findings.found;
        if !found
            .iter()
            .any(|(at, d)| *at == span && d.message == message)
        {
            let help = Some(help).filter(|h| !h.is_empty());
            found.push((
                span,
                Diagnostic {
                    severity,
                    code: self.code,
                    message,
                    help,
                    at: None,
                },
            ));
        }
    }
}

/// The candidate most like `word`, if any is close enough to be what was meant.
pub fn suggestion<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).clamp(1, 3);
    let lowered = word.to_lowercase();
    candidates
        .into_iter()
        .map(|c| (distance(&lowered, &c.to_lowercase()), c))
        .filter(|(d, _)| *d <= limit)
        .min_by_key(|(d, _)| *d)
        .map(|(_, c)| c)
}

/// Insertions, deletions, replacements and swaps of neighbours between two words; underscores and dashes are free.
fn distance(a: &str, b: &str) -> usize {
    let strip = |s: &str| {
        s.chars()
            .filter(|c| !matches!(c, '_' | '-'))
            .take(64)
            .collect::<Vec<char>>()
    };
    let (a, b) = (strip(a), strip(b));
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1)
                .min(rows[i][j - 1] + 1)
                .min(rows[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_the_key_that_was_meant() {
        let keys = [
            "environments",
            "healthcheck",
            "variables",
            "read_only",
            "cpu",
        ];
        for (typo, meant) in [
            ("enviroments", Some("environments")),
            ("heathcheck", Some("healthcheck")),
            ("varaibles", Some("variables")),
            ("readonly", Some("read_only")),
            ("completely", None),
        ] {
            assert_eq!(suggestion(typo, keys), meant, "{typo}");
        }
    }

    #[test]
    fn a_finding_shows_its_line_and_a_caret() {
        let mut sources = Sources::default();
        let file = sources.add("copilot/api/manifest.yml", "name: api\ncpu: lots\n");
        let mut findings = Findings::default();
        findings.error(
            Span {
                file,
                line: 2,
                column: 6,
                length: 4,
            },
            "`cpu` is not a number",
            "write 256",
        );
        let text = findings.finish(&sources)[0].render();
        assert_eq!(
            text,
            "error: `cpu` is not a number\n --> copilot/api/manifest.yml:2:6\n  |\n2 | cpu: lots\n  |      ^^^^\nhint: write 256\n"
        );
    }
}
