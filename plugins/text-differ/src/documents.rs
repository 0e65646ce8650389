//! Observed documents against desired ones, by address.

use std::rc::Rc;

use crate::changes::{Change, changes};
use crate::compare::{DiffError, Side, diff_nodes};
use crate::load::{LoadError, load, load_words};
use crate::node::Node;
use crate::render::{Paint, Style, render};
use crate::shape::{Rules, Shapes};
use crate::tree::{Difference, Place, Tree, What};

/// One document of a deployment.
#[derive(Debug, Clone, Copy)]
pub struct Document<'a> {
    /// Stable name, such as `stack/web` or `host/web-1/role/web`.
    pub address: &'a str,
    /// Media type; `text/…` other than YAML is compared as one piece of text.
    pub media_type: &'a str,
    /// YAML, JSON or other text.
    pub body: &'a str,
}

/// What differs between two sets of documents.
#[derive(Debug, Default)]
pub struct DocumentsDifference {
    /// With the address of the document each is in, always by the semantic rules.
    pub changes: Vec<(String, Change)>,
    /// For people.
    pub text: String,
}

/// Documents that can't be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A body is not what its media type says.
    #[error("{} document `{address}`: {}", side_name(error.side), error.error)]
    Unreadable {
        /// The document.
        address: String,
        /// What is wrong with it.
        error: DiffError,
    },
    /// An address must name one document.
    #[error("{} document `{address}` is there twice", side_name(*side))]
    Twice {
        /// The address.
        address: String,
        /// Where it is there twice.
        side: Side,
    },
}

/// How documents are called on each side.
fn side_name(side: Side) -> &'static str {
    match side {
        Side::Old => "observed",
        Side::New => "desired",
    }
}

/// Compares documents of the same address; the rest is created or deleted.
///
/// Desired documents come in their order, then those that vanish. Each has its address on a line of its own, except
/// that a template (any document but plimsoll's own kinds) that alone differs is shown bare, as Copilot does.
/// [`Style::Collapsed`] prints templates by [`Rules::Copilot`]; the changes are by [`Rules::Semantic`] all the same.
pub fn diff_documents(
    observed: &[Document<'_>],
    desired: &[Document<'_>],
    style: Style,
) -> Result<DocumentsDifference, Vec<Problem>> {
    let mut problems = repeated(observed, Side::Old);
    problems.extend(repeated(desired, Side::New));
    let find = |list: &[Document<'_>], address: &str| {
        list.iter().position(|document| document.address == address)
    };
    let wanted = desired.iter().map(|new| {
        (
            find(observed, new.address).map(|index| &observed[index]),
            Some(new),
        )
    });
    let vanished = observed
        .iter()
        .filter(|old| find(desired, old.address).is_none())
        .map(|old| (Some(old), None));

    let mut found = Vec::new();
    let mut shown: Vec<(&Document<'_>, Tree)> = Vec::new();
    for (old, new) in wanted.chain(vanished) {
        let Some(document) = new.or(old) else {
            continue;
        };
        let compare = |rules| {
            diff_bodies(old, new, rules).map_err(|error| Problem::Unreadable {
                address: document.address.to_owned(),
                error,
            })
        };
        let semantic = match compare(Rules::Semantic) {
            Ok(tree) => tree,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        found.extend(
            changes(&semantic)
                .into_iter()
                .map(|change| (document.address.to_owned(), change)),
        );
        let tree = match style {
            Style::Collapsed if is_template(document) => {
                compare(Rules::Copilot).map_err(|problem| vec![problem])?
            }
            Style::Collapsed | Style::Tree => semantic,
        };
        if !tree.is_empty() {
            shown.push((document, tree));
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let tree = match shown.as_slice() {
        [(document, _)] if is_template(document) => shown.remove(0).1,
        _ => Tree {
            differences: shown
                .into_iter()
                .map(|(document, tree)| addressed(document.address, tree))
                .collect(),
        },
    };
    Ok(DocumentsDifference {
        changes: found,
        text: render(&tree, style, Paint::Plain),
    })
}

/// The tree as one difference at its address.
fn addressed(address: &str, tree: Tree) -> Difference {
    let mut differences = tree.differences;
    let what = match differences.pop() {
        Some(Difference {
            place: Place::Document,
            what,
        }) => what,
        last => {
            differences.extend(last);
            What::Inside(differences)
        }
    };
    Difference {
        place: Place::Address(Rc::from(address)),
        what,
    }
}

fn is_template(document: &Document<'_>) -> bool {
    !document.media_type.contains("vnd.plimsoll")
}

fn repeated(documents: &[Document<'_>], side: Side) -> Vec<Problem> {
    let mut addresses: Vec<&str> = documents.iter().map(|document| document.address).collect();
    addresses.sort_unstable();
    let mut twice: Vec<&str> = addresses
        .windows(2)
        .filter(|pair| pair[0] == pair[1])
        .map(|pair| pair[0])
        .collect();
    twice.dedup();
    twice
        .into_iter()
        .map(|address| Problem::Twice {
            address: address.to_owned(),
            side,
        })
        .collect()
}

fn diff_bodies(
    old: Option<&Document<'_>>,
    new: Option<&Document<'_>>,
    rules: Rules,
) -> Result<Tree, DiffError> {
    let mut shapes = Shapes::new(rules);
    let mut read = |document: Option<&Document<'_>>, side| {
        document
            .map_or(Ok(None), |document| read(document, &mut shapes))
            .map_err(|error| DiffError { side, error })
    };
    let old = read(old, Side::Old)?;
    let new = read(new, Side::New)?;
    Ok(diff_nodes(old, new, shapes))
}

fn read(document: &Document<'_>, shapes: &mut Shapes) -> Result<Option<Rc<Node>>, LoadError> {
    if document.media_type.starts_with("text/") && !document.media_type.contains("yaml") {
        load_words(document.body, shapes).map(Some)
    } else {
        load(document.body, shapes)
    }
}
