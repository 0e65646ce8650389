//! Findings as components say them (`plimsoll:deploy/types.diagnostic`), to and from ours.

use super::{Diagnostic, Position, Severity};
use crate::wit::types as wit;

impl From<&wit::Diagnostic> for Diagnostic {
    fn from(theirs: &wit::Diagnostic) -> Self {
        Self {
            severity: match theirs.severity {
                wit::Severity::Note => Severity::Note,
                wit::Severity::Warning => Severity::Warning,
                wit::Severity::Error => Severity::Error,
            },
            code: theirs.code.clone(),
            message: theirs.message.clone(),
            at: theirs.at.as_ref().map(|at| Position {
                path: at.path.clone(),
                line: at.line,
                column: at.column,
                length: at.length,
            }),
            help: theirs.help.clone(),
        }
    }
}

impl From<&Diagnostic> for wit::Diagnostic {
    fn from(ours: &Diagnostic) -> Self {
        Self {
            severity: match ours.severity {
                Severity::Note => wit::Severity::Note,
                Severity::Warning => wit::Severity::Warning,
                Severity::Error => wit::Severity::Error,
            },
            code: ours.code.clone(),
            message: ours.message.clone(),
            at: ours.at.as_ref().map(|at| wit::Position {
                path: at.path.clone(),
                line: at.line,
                column: at.column,
                length: at.length,
            }),
            help: ours.help.clone(),
        }
    }
}
