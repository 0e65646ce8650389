//! Findings about the user's files: what is wrong, where, and the cure.

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Note,
    /// Probably not what was meant.
    Warning,
    /// Can't be deployed.
    Error,
}

/// A place in one of the manifest's files, by the number of the file. Line and column count from 1, the column
/// counts characters; a length of 0 means unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Index into the files of the manifest.
    pub file: usize,
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
    /// Characters from the column on.
    pub length: u32,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Stable, kebab-case.
    pub code: &'static str,
    /// What is wrong; begins with the path of the key, as Kamal names it.
    pub message: String,
    /// Where.
    pub at: Option<Mark>,
    /// The cure, in the imperative.
    pub help: Option<String>,
}

impl Diagnostic {
    /// Adds the cure.
    pub fn help(&mut self, help: impl Into<String>) {
        self.help = Some(help.into());
    }
}

/// Collects findings, so that all of them can be told at once.
#[derive(Debug, Default)]
pub struct Findings {
    all: Vec<Diagnostic>,
}

impl Findings {
    /// Adds a finding, unless the same has been said of the same place.
    fn add(
        &mut self,
        severity: Severity,
        code: &'static str,
        message: String,
        at: Option<Mark>,
    ) -> &mut Diagnostic {
        let known = self
            .all
            .iter()
            .position(|d| d.code == code && d.message == message && d.at == at);
        let index = known.unwrap_or_else(|| {
            self.all.push(Diagnostic {
                severity,
                code,
                message,
                at,
                help: None,
            });
            self.all.len() - 1
        });
        &mut self.all[index]
    }

    /// Something that can't be deployed.
    pub fn error(
        &mut self,
        code: &'static str,
        message: impl Into<String>,
        at: Option<Mark>,
    ) -> &mut Diagnostic {
        self.add(Severity::Error, code, message.into(), at)
    }

    /// Something that is probably not what was meant.
    pub fn warn(
        &mut self,
        code: &'static str,
        message: impl Into<String>,
        at: Option<Mark>,
    ) -> &mut Diagnostic {
        self.add(Severity::Warning, code, message.into(), at)
    }

    /// Something good to know.
    pub fn note(
        &mut self,
        code: &'static str,
        message: impl Into<String>,
        at: Option<Mark>,
    ) -> &mut Diagnostic {
        self.add(Severity::Note, code, message.into(), at)
    }

    /// Adds what another look found, except at places where an error is known already: it would only follow from it.
    pub fn absorb(&mut self, later: Self) {
        let known: Vec<Mark> = self
            .all
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .filter_map(|d| d.at)
            .collect();
        self.all.extend(
            later
                .all
                .into_iter()
                .filter(|d| d.at.is_none_or(|at| !known.contains(&at))),
        );
    }

    /// Whether anything stops the deploy.
    pub fn has_errors(&self) -> bool {
        self.all.iter().any(|d| d.severity == Severity::Error)
    }

    /// All of them, in the order of the files; those without a place first.
    pub fn into_sorted(self) -> Vec<Diagnostic> {
        let place = |d: &Diagnostic| d.at.map(|at| (at.file, at.line, at.column));
        let mut sorted: Vec<Diagnostic> = Vec::with_capacity(self.all.len());
        for diagnostic in self.all {
            let index = sorted.partition_point(|earlier| place(earlier) <= place(&diagnostic));
            sorted.insert(index, diagnostic);
        }
        sorted
    }
}
