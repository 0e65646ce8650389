//! Two trees of nodes to a tree of differences.

mod items;
mod union;

use std::rc::Rc;

use self::items::Items;
use self::union::Union;
use crate::align::{align, align_ends};
use crate::intrinsic::{Form, GET_ATT, form, long_key};
use crate::load::{LoadError, load};
use crate::node::{Content, Mapping, Node};
use crate::shape::{Rules, Shapes};
use crate::tree::{Difference, Place, Tree, What};

/// Steps of work for all lists of a comparison together; past them, lists are compared from their ends only.
const MAX_STEPS: usize = 8_000_000;
/// Steps for one list, each of which takes four bytes for as long as the list is aligned.
const MAX_LIST_STEPS: usize = 3_000_000;

/// One of two documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What is there.
    Old,
    /// What is wanted.
    New,
}

/// A document that can't be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} document: {error}", match side { Side::Old => "old", Side::New => "new" })]
pub struct DiffError {
    /// Which of the two.
    pub side: Side,
    /// What is wrong with it.
    pub error: LoadError,
}

/// Compares two texts of YAML or JSON; an empty text is a document that is not there.
pub fn diff(old: &str, new: &str, rules: Rules) -> Result<Tree, DiffError> {
    let mut shapes = Shapes::new(rules);
    let old = load(old, &mut shapes).map_err(|error| DiffError {
        side: Side::Old,
        error,
    })?;
    let new = load(new, &mut shapes).map_err(|error| DiffError {
        side: Side::New,
        error,
    })?;
    Ok(diff_nodes(old, new, shapes))
}

/// Compares two root mappings made by `shapes`.
pub(crate) fn diff_nodes(old: Option<Rc<Node>>, new: Option<Rc<Node>>, shapes: Shapes) -> Tree {
    let whole = |what| Tree {
        differences: vec![Difference {
            place: Place::Document,
            what,
        }],
    };
    match (old, new) {
        (None, None) => Tree::default(),
        (None, Some(new)) => whole(What::Added(new)),
        (Some(old), None) => whole(What::Removed(old)),
        (Some(old), Some(new)) => match (&old.content, &new.content) {
            _ if old.shape == new.shape => Tree::default(),
            (Content::Mapping(old), Content::Mapping(new)) => {
                let mut comparison = Comparison {
                    shapes,
                    past_metadata: false,
                    steps: MAX_STEPS,
                };
                let root = Scope {
                    active: Active::All,
                    at: At::Root,
                };
                Tree {
                    differences: comparison.mappings(old, new, root),
                }
            }
            _ => whole(What::Replaced { old, new }),
        },
    }
}

struct Comparison {
    shapes: Shapes,
    /// A key `Metadata` was met, so that keys `Manifest` are passed over ([`Rules::Copilot`]).
    past_metadata: bool,
    /// Steps left.
    steps: usize,
}

/// What a comparison knows of the place it is at.
#[derive(Clone, Copy)]
struct Scope {
    active: Active,
    at: At,
}

/// Which of Copilot's special comparisons are still in use: inside one of them, only that one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Active {
    All,
    Attributes,
    Forms,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Root,
    Metadata,
    Elsewhere,
}

impl Scope {
    /// Inside a call, where only `active` comparisons go on.
    fn inside(active: Active) -> Scope {
        Scope {
            active,
            at: At::Elsewhere,
        }
    }

    fn below(self, key: &str) -> Scope {
        let at = if self.at == At::Root && key == "Metadata" {
            At::Metadata
        } else {
            At::Elsewhere
        };
        Scope { at, ..self }
    }
}

/// How two values are compared.
enum Pairing<'a> {
    Same,
    /// They can't be taken apart.
    Whole,
    /// Two forms of a call: only the arguments count, shown under the long form's key.
    Arguments {
        key: Rc<str>,
        old: Rc<Node>,
        new: Rc<Node>,
        active: Active,
    },
    Sequences(&'a [Rc<Node>], &'a [Rc<Node>]),
    Mappings(&'a Mapping, &'a Mapping),
}

impl Comparison {
    /// The differences of two values; none when they are equal.
    fn values(&mut self, old: &Rc<Node>, new: &Rc<Node>, scope: Scope) -> Option<What> {
        if old.shape == new.shape {
            self.pass(old, scope);
            return None;
        }
        let (inner_old, inner_new) = self.resolved(old, new);
        let differences = match self.pairing(inner_old, inner_new, scope.active) {
            Pairing::Same => return None,
            Pairing::Whole => {
                return Some(What::Replaced {
                    old: old.clone(),
                    new: new.clone(),
                });
            }
            Pairing::Arguments {
                key,
                old,
                new,
                active,
            } => {
                let what = self.values(&old, &new, Scope::inside(active))?;
                vec![Difference {
                    place: Place::Key(key),
                    what,
                }]
            }
            Pairing::Sequences(old, new) => self.sequences(old, new, scope),
            Pairing::Mappings(old, new) => self.mappings(old, new, scope),
        };
        if differences.is_empty() {
            None
        } else {
            Some(What::Inside(differences))
        }
    }

    fn mappings(&mut self, old: &Mapping, new: &Mapping, scope: Scope) -> Vec<Difference> {
        let mut differences = Vec::new();
        for (key, old, new) in Union::of(old, new) {
            if self.is_passed_over(key, old, new, scope) {
                continue;
            }
            let what = match (old, new) {
                (Some(old), Some(new)) => self.values(old, new, scope.below(key)),
                (Some(old), None) => Some(What::Removed(old.clone())),
                (None, Some(new)) => Some(What::Added(new.clone())),
                (None, None) => None,
            };
            differences.extend(what.map(|what| Difference {
                place: Place::Key(key.clone()),
                what,
            }));
        }
        differences
    }

    fn sequences(&mut self, old: &[Rc<Node>], new: &[Rc<Node>], scope: Scope) -> Vec<Difference> {
        let scope = scope.below("");
        let limit = self.steps.min(MAX_LIST_STEPS);
        let mut equal = |i: usize, j: usize| self.are_equal(&old[i], &new[j], scope);
        let (pairs, steps) = align(old.len(), new.len(), limit, &mut equal);
        let pairs = pairs.unwrap_or_else(|| align_ends(old.len(), new.len(), &mut equal));
        self.steps = self.steps.saturating_sub(steps);

        let mut found = Items::default();
        let (mut i, mut j) = (0, 0);
        for (next_old, next_new) in pairs.into_iter().chain([(old.len(), new.len())]) {
            while i < next_old || j < next_new {
                let place = Place::Item { old: i, new: j };
                if i < next_old && j < next_new {
                    found.push(place, self.values(&old[i], &new[j], scope));
                    i += 1;
                    j += 1;
                } else if i < next_old {
                    found.push(place, Some(What::Removed(old[i].clone())));
                    i += 1;
                } else {
                    found.push(place, Some(What::Added(new[j].clone())));
                    j += 1;
                }
            }
            if i < old.len() && j < new.len() {
                self.pass(&old[i], scope);
                found.push(Place::Item { old: i, new: j }, None);
            }
            i += 1;
            j += 1;
        }
        found.finish()
    }

    /// Whether two list items count as the same one.
    fn are_equal(&mut self, old: &Rc<Node>, new: &Rc<Node>, scope: Scope) -> bool {
        if old.shape == new.shape {
            return true;
        }
        let forms = old.holds.intrinsic && new.holds.intrinsic;
        let manifest = self.past_metadata && (old.holds.manifest || new.holds.manifest);
        if self.shapes.rules() == Rules::Semantic || !(forms || manifest) || self.steps == 0 {
            return false;
        }
        self.steps -= 1;
        match self.pairing(old, new, scope.active) {
            Pairing::Same => true,
            Pairing::Whole => false,
            Pairing::Arguments {
                key: _,
                old,
                new,
                active,
            } => self.are_equal(&old, &new, Scope::inside(active)),
            Pairing::Sequences(old, new) => {
                old.len() == new.len()
                    && old
                        .iter()
                        .zip(new)
                        .all(|(old, new)| self.are_equal(old, new, scope))
            }
            Pairing::Mappings(old, new) => Union::of(old, new).all(|(key, old, new)| {
                self.is_passed_over(key, old, new, scope)
                    || match (old, new) {
                        (Some(old), Some(new)) => self.are_equal(old, new, scope.below(key)),
                        (Some(_), None) | (None, Some(_)) | (None, None) => false,
                    }
            }),
        }
    }

    /// Under the semantic rules an alias is its value.
    fn resolved<'a>(&self, old: &'a Rc<Node>, new: &'a Rc<Node>) -> (&'a Rc<Node>, &'a Rc<Node>) {
        match self.shapes.rules() {
            Rules::Copilot => (old, new),
            Rules::Semantic => (old.resolved(), new.resolved()),
        }
    }

    fn pairing<'a>(&mut self, old: &'a Rc<Node>, new: &'a Rc<Node>, active: Active) -> Pairing<'a> {
        let rules = self.shapes.rules();
        let forms = (
            form(&old.content, old.tag.as_deref(), rules),
            form(&new.content, new.tag.as_deref(), rules),
        );
        if let (Some(old_form), Some(new_form)) = forms
            && old_form.name() == new_form.name()
        {
            let within = |active| {
                if rules == Rules::Copilot {
                    active
                } else {
                    Active::All
                }
            };
            if old_form.name() == GET_ATT
                && active != Active::Forms
                && let Some((old, new)) =
                    self.attributes(argument(old, &old_form), argument(new, &new_form))
            {
                let key = Rc::from(long_key(GET_ATT));
                return Pairing::Arguments {
                    key,
                    old,
                    new,
                    active: within(Active::Attributes),
                };
            }
            if active != Active::Attributes {
                let arguments = match (old_form, new_form) {
                    (Form::Long(_, key, body), Form::Short(_)) => {
                        Some((key, body.clone(), self.untagged(new)))
                    }
                    (Form::Short(_), Form::Long(_, key, body)) => {
                        Some((key, self.untagged(old), body.clone()))
                    }
                    (Form::Short(_), Form::Short(_)) | (Form::Long(..), Form::Long(..)) => None,
                };
                if let Some((key, old, new)) = arguments {
                    return Pairing::Arguments {
                        key: key.clone(),
                        old,
                        new,
                        active: within(Active::Forms),
                    };
                }
            }
        }
        if rules == Rules::Semantic && significant_tag(old) != significant_tag(new) {
            return Pairing::Whole;
        }
        match (&old.content, &new.content) {
            (Content::Scalar { .. }, Content::Scalar { .. })
            | (Content::Alias { .. }, Content::Alias { .. }) => {
                if old.shape == new.shape {
                    Pairing::Same
                } else {
                    Pairing::Whole
                }
            }
            (Content::Sequence { items: old, .. }, Content::Sequence { items: new, .. }) => {
                Pairing::Sequences(old, new)
            }
            (Content::Mapping(old), Content::Mapping(new)) => Pairing::Mappings(old, new),
            _ => Pairing::Whole,
        }
    }

    /// The arguments of two calls of `GetAtt`, both as lists or both as texts; none when they are neither.
    fn attributes(&mut self, old: &Rc<Node>, new: &Rc<Node>) -> Option<(Rc<Node>, Rc<Node>)> {
        match (&old.content, &new.content) {
            (Content::Scalar { text, .. }, Content::Sequence { .. }) => {
                Some((self.shapes.attribute_list(text), self.untagged(new)))
            }
            (Content::Sequence { .. }, Content::Scalar { text, .. }) => {
                Some((self.untagged(old), self.shapes.attribute_list(text)))
            }
            (Content::Scalar { .. }, Content::Scalar { .. })
            | (Content::Sequence { .. }, Content::Sequence { .. }) => {
                Some((self.untagged(old), self.untagged(new)))
            }
            _ => None,
        }
    }

    /// The argument of a call in short form. Copying it is work, too.
    fn untagged(&mut self, node: &Rc<Node>) -> Rc<Node> {
        if let Content::Sequence { items, .. } = &node.content {
            self.steps = self.steps.saturating_sub(items.len());
        }
        self.shapes.untagged(node)
    }

    /// Whether the value of a key is not compared at all.
    fn is_passed_over(
        &mut self,
        key: &str,
        old: Option<&Rc<Node>>,
        new: Option<&Rc<Node>>,
        scope: Scope,
    ) -> bool {
        match self.shapes.rules() {
            Rules::Copilot if scope.active != Active::All => false,
            Rules::Copilot if self.past_metadata => key == "Manifest",
            Rules::Copilot => {
                self.past_metadata = key == "Metadata";
                false
            }
            Rules::Semantic => match (key, old, new) {
                ("Manifest", _, _) => scope.at == At::Metadata,
                ("UpdateID", Some(old), Some(new)) => is_uuid(old) && is_uuid(new),
                _ => false,
            },
        }
    }

    /// Notes what a comparison would have met in a value that was skipped because both sides are the same.
    fn pass(&mut self, node: &Node, scope: Scope) {
        if scope.active == Active::All {
            self.past_metadata |= node.holds.metadata;
        }
    }
}

/// The argument of a call as it stands: for the short form the node itself.
fn argument<'a>(node: &'a Rc<Node>, form: &Form<'a>) -> &'a Rc<Node> {
    match form {
        Form::Short(_) => node,
        Form::Long(_, _, body) => body,
    }
}

/// A tag that means something: not those of YAML's own types.
fn significant_tag(node: &Node) -> Option<&str> {
    node.tag.as_deref().filter(|tag| !tag.starts_with("!!"))
}

fn is_uuid(node: &Rc<Node>) -> bool {
    node.scalar().is_some_and(|text| {
        text.len() == 36
            && text.bytes().enumerate().all(|(index, byte)| match index {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            })
    })
}
