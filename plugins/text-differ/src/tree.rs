//! Where two documents differ.

use std::rc::Rc;

use crate::node::Node;

/// The differences of two documents; empty when they say the same.
#[derive(Debug, Default)]
pub struct Tree {
    /// In the order of the document's keys (bytewise); one entry at [`Place::Document`] when a side is empty.
    pub differences: Vec<Difference>,
}

impl Tree {
    /// Whether the documents say the same.
    pub fn is_empty(&self) -> bool {
        self.differences.is_empty()
    }
}

/// One place where two documents differ, or a run of list items where they don't.
#[derive(Debug)]
pub struct Difference {
    /// Where, seen from the parent.
    pub place: Place,
    /// What is different there.
    pub what: What,
}

/// A place below its parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The document itself.
    Document,
    /// One of several documents, by its address.
    Address(Rc<str>),
    /// The value of a mapping's key. `Fn::Sub` and its like also stand for the short form.
    Key(Rc<str>),
    /// A list's item: its index in the old and in the new list. Both are the index the item has or would have.
    Item {
        /// Index in the old list, from 0.
        old: usize,
        /// Index in the new list, from 0.
        new: usize,
    },
}

/// What is different at a place.
#[derive(Debug)]
pub enum What {
    /// The value is on both sides and differs inside.
    Inside(Vec<Difference>),
    /// Only the new document has it.
    Added(Rc<Node>),
    /// Only the old document has it.
    Removed(Rc<Node>),
    /// Both have a value that can't be compared piece by piece.
    Replaced {
        /// The value of the old document.
        old: Rc<Node>,
        /// The value of the new document.
        new: Rc<Node>,
    },
    /// So many list items in a row are the same.
    Unchanged(usize),
}
