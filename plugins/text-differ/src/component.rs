//! The differ behind the interface of plimsoll's components.

use crate::changes::Action;
use crate::documents::{self, Document};
use crate::render::Style;

mod bindings {
    wit_bindgen::generate!({ world: "differ-plugin", path: "../../wit" });
}

use bindings::exports::plimsoll::deploy::differ::{self, Guest};
use bindings::plimsoll::deploy::types;

struct TextDiffer;

impl Guest for TextDiffer {
    fn diff(input: differ::Input) -> Result<differ::Difference, Vec<types::Diagnostic>> {
        let style = match input.style {
            differ::Style::Tree => Style::Tree,
            differ::Style::Collapsed => Style::Collapsed,
        };
        match documents::diff_documents(
            &borrowed(&input.observed),
            &borrowed(&input.desired),
            style,
        ) {
            Ok(difference) => Ok(differ::Difference {
                changes: difference
                    .changes
                    .into_iter()
                    .map(|(address, change)| sent(address, change))
                    .collect(),
                text: difference.text,
            }),
            Err(problems) => Err(problems.iter().map(diagnostic).collect()),
        }
    }
}

fn borrowed(documents: &[types::Document]) -> Vec<Document<'_>> {
    documents
        .iter()
        .map(|document| Document {
            address: &document.address,
            media_type: &document.media_type,
            body: &document.body,
        })
        .collect()
}

fn sent(address: String, change: crate::Change) -> types::Change {
    types::Change {
        address,
        action: match change.action {
            Action::Create => types::Action::Create,
            Action::Update => types::Action::Update,
            Action::Delete => types::Action::Delete,
        },
        pointer: change.pointer,
        before: change.before,
        after: change.after,
    }
}

fn diagnostic(problem: &documents::Problem) -> types::Diagnostic {
    let code = match problem {
        documents::Problem::Unreadable { .. } => "unreadable-document",
        documents::Problem::Twice { .. } => "repeated-address",
    };
    types::Diagnostic {
        severity: types::Severity::Error,
        code: code.to_owned(),
        message: problem.to_string(),
        at: None,
        help: None,
    }
}

bindings::export!(TextDiffer with_types_in bindings);
