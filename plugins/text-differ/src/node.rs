//! One value of a document, with what is needed to print it again as it was written.

use std::rc::Rc;

/// A value of a document: scalar, sequence, mapping or alias, with its tag and anchor.
#[derive(Debug)]
pub struct Node {
    pub(crate) content: Content,
    /// `!Sub`, `!!str`, or a whole tag URI; none when the text has no tag.
    pub(crate) tag: Option<Rc<str>>,
    pub(crate) anchor: Option<Rc<str>>,
    /// Nodes with the same shape are the same value under the rules of the comparison.
    pub(crate) shape: u32,
    pub(crate) holds: Holds,
    /// Nodes of this subtree, aliases expanded.
    pub(crate) weight: u32,
    /// Levels of this subtree, aliases expanded.
    pub(crate) depth: u16,
}

#[derive(Debug)]
pub(crate) enum Content {
    Scalar { text: Rc<str>, style: ScalarStyle },
    Sequence { items: Vec<Rc<Node>>, flow: bool },
    Mapping(Mapping),
    Alias { name: Rc<str>, target: Rc<Node> },
}

#[derive(Debug)]
pub(crate) struct Mapping {
    /// As written, merge keys included.
    pub(crate) entries: Vec<(Rc<Node>, Rc<Node>)>,
    /// Sorted by the key's bytes, merge keys expanded.
    pub(crate) by_key: Vec<Entry>,
    pub(crate) flow: bool,
}

/// A key and its value.
pub(crate) type Entry = (Rc<str>, Rc<Node>);

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScalarStyle {
    Plain,
    Single,
    Double,
    Literal,
    Folded,
}

/// What a subtree holds: lets a comparison skip work that can't matter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Holds {
    /// An intrinsic function.
    pub(crate) intrinsic: bool,
    /// A key `Manifest`.
    pub(crate) manifest: bool,
    /// A key `Metadata`.
    pub(crate) metadata: bool,
}

impl Holds {
    pub(crate) fn and(self, other: Holds) -> Holds {
        Holds {
            intrinsic: self.intrinsic || other.intrinsic,
            manifest: self.manifest || other.manifest,
            metadata: self.metadata || other.metadata,
        }
    }
}

impl Node {
    /// The text of a scalar, without quotes and tag.
    pub(crate) fn scalar(&self) -> Option<&Rc<str>> {
        match &self.content {
            Content::Scalar { text, .. } => Some(text),
            Content::Sequence { .. } | Content::Mapping(_) | Content::Alias { .. } => None,
        }
    }

    pub(crate) fn is_mapping(&self) -> bool {
        matches!(self.content, Content::Mapping(_))
    }

    /// A scalar without quotes and tag, whose meaning is that of its letters: `~`, `true`, `12`.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(
            self.content,
            Content::Scalar {
                style: ScalarStyle::Plain,
                ..
            }
        ) && self.tag.is_none()
    }

    /// The node an alias stands for; any other node stands for itself.
    pub(crate) fn resolved(self: &Rc<Self>) -> &Rc<Self> {
        let mut node = self;
        while let Content::Alias { target, .. } = &node.content {
            node = target;
        }
        node
    }
}
