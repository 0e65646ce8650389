//! Two mappings side by side.

use std::cmp::Ordering;
use std::rc::Rc;

use crate::node::{Entry, Mapping, Node};

/// The keys of two mappings in order, with their values.
pub(super) struct Union<'a> {
    old: &'a [Entry],
    new: &'a [Entry],
}

impl<'a> Union<'a> {
    pub(super) fn of(old: &'a Mapping, new: &'a Mapping) -> Union<'a> {
        Union {
            old: &old.by_key,
            new: &new.by_key,
        }
    }
}

impl<'a> Iterator for Union<'a> {
    type Item = (&'a Rc<str>, Option<&'a Rc<Node>>, Option<&'a Rc<Node>>);

    fn next(&mut self) -> Option<Self::Item> {
        let order = match (self.old.first(), self.new.first()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((old, _)), Some((new, _))) => old.cmp(new),
        };
        let take = |list: &mut &'a [Entry]| {
            let (first, rest) = list
                .split_first()
                .expect("the order came from a first entry");
            *list = rest;
            first
        };
        Some(match order {
            Ordering::Less => {
                let (key, old) = take(&mut self.old);
                (key, Some(old), None)
            }
            Ordering::Greater => {
                let (key, new) = take(&mut self.new);
                (key, None, Some(new))
            }
            Ordering::Equal => {
                let (key, old) = take(&mut self.old);
                let (_, new) = take(&mut self.new);
                (key, Some(old), Some(new))
            }
        })
    }
}
