//! One flat list of changes out of a tree of differences.

use crate::json::to_json;
use crate::tree::{Difference, Place, Tree, What};

/// What happens to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It was not there.
    Create,
    /// It was there with another content.
    Update,
    /// It will not be there.
    Delete,
}

/// One change inside a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What happens.
    pub action: Action,
    /// JSON pointer, with intrinsics in their long form; into the old document for a deletion, else into the new one.
    /// Empty for the whole document.
    pub pointer: String,
    /// JSON of the old value, unless it is created.
    pub before: Option<String>,
    /// JSON of the new value, unless it is deleted.
    pub after: Option<String>,
}

/// The changes of a tree, in its order.
pub fn changes(tree: &Tree) -> Vec<Change> {
    let mut found = Vec::new();
    collect(&tree.differences, &mut Pointers::default(), &mut found);
    found
}

/// Where the walk is, in both documents: indexes of list items can differ.
#[derive(Default)]
struct Pointers {
    old: String,
    new: String,
}

fn collect(differences: &[Difference], at: &mut Pointers, found: &mut Vec<Change>) {
    for Difference { place, what } in differences {
        let (old, new) = (at.old.len(), at.new.len());
        match place {
            Place::Document | Place::Address(_) => {}
            Place::Key(key) => {
                let token = key.replace('~', "~0").replace('/', "~1");
                push(&mut at.old, &token);
                push(&mut at.new, &token);
            }
            Place::Item { old, new } => {
                push(&mut at.old, &old.to_string());
                push(&mut at.new, &new.to_string());
            }
        }
        let (action, pointer, before, after) = match what {
            What::Inside(children) => {
                collect(children, at, found);
                (None, "", None, None)
            }
            What::Unchanged(_) => (None, "", None, None),
            What::Added(new) => (
                Some(Action::Create),
                at.new.as_str(),
                None,
                Some(to_json(new)),
            ),
            What::Removed(old) => (
                Some(Action::Delete),
                at.old.as_str(),
                Some(to_json(old)),
                None,
            ),
            What::Replaced { old, new } => (
                Some(Action::Update),
                at.new.as_str(),
                Some(to_json(old)),
                Some(to_json(new)),
            ),
        };
        if let Some(action) = action {
            found.push(Change {
                action,
                pointer: pointer.to_owned(),
                before,
                after,
            });
        }
        at.old.truncate(old);
        at.new.truncate(new);
    }
}

fn push(pointer: &mut String, token: &str) {
    pointer.push('/');
    pointer.push_str(token);
}
