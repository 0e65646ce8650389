//! Which manifest line made which property, for policies and errors that point at a document.

use crate::diagnostic::Mark;

/// A property and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The document.
    pub address: String,
    /// JSON pointer into it; empty for the whole.
    pub pointer: String,
    /// Where it is written.
    pub at: Mark,
}

/// Collects them.
#[derive(Debug, Default)]
pub struct Sources {
    all: Vec<Source>,
}

impl Sources {
    /// A property below several keys; nothing when its place is not known. The latest place counts.
    pub fn add(&mut self, address: &str, keys: &[&str], at: Option<Mark>) {
        let Some(at) = at else { return };
        let pointer: String = keys
            .iter()
            .map(|key| format!("/{}", key.replace('~', "~0").replace('/', "~1")))
            .collect();
        // Documents are made one after the other, so that the same property can only be near the end.
        let known = self
            .all
            .iter_mut()
            .rev()
            .take_while(|source| source.address == address);
        match known.into_iter().find(|source| source.pointer == pointer) {
            Some(source) => source.at = at,
            None => self.all.push(Source {
                address: address.to_owned(),
                pointer,
                at,
            }),
        }
    }

    /// All of them.
    pub fn into_all(self) -> Vec<Source> {
        self.all
    }
}
