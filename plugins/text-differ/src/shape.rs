//! Numbers for values: under the rules of a comparison, equal values have equal numbers.
//!
//! The numbers are given out exactly, by looking the value up, so that no two values can be made to collide.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::intrinsic::{self, Form, GET_ATT};
use crate::node::{Content, Holds, Mapping, Node, ScalarStyle};
use crate::plain;

/// What counts as a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// As Copilot's last releases compare, to the letter.
    ///
    /// A tag is no difference by itself (`!Ref X` equals `X`), `~` differs from `null`, aliases are compared by name,
    /// and once a key `Metadata` was met, every key `Manifest` is passed over.
    Copilot,
    /// What CloudFormation and Docker would see.
    ///
    /// Tags count, spellings of null and of truth values don't, aliases stand for their value, every form of an
    /// intrinsic is the same at every depth; only `Metadata.Manifest` (the copy of the manifest) and an `UpdateID`
    /// that changes from one UUID to another are passed over. JSON is printed as YAML.
    Semantic,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shape {
    Null,
    Scalar(Rc<str>),
    Alias(Rc<str>),
    Sequence(Vec<u32>),
    /// Keys (as scalars) and values, in the order of the keys.
    Mapping(Vec<(u32, u32)>),
    Call(&'static str, u32),
    Tagged(Rc<str>, u32),
}

/// Makes nodes and gives them their shapes. Nodes can be compared only with nodes of the same maker.
#[derive(Debug)]
pub(crate) struct Shapes {
    rules: Rules,
    known: BTreeMap<Shape, u32>,
}

impl Shapes {
    pub(crate) fn new(rules: Rules) -> Shapes {
        Shapes {
            rules,
            known: BTreeMap::new(),
        }
    }

    pub(crate) fn rules(&self) -> Rules {
        self.rules
    }

    /// A node with its shape and sums over its children.
    pub(crate) fn node(
        &mut self,
        content: Content,
        tag: Option<Rc<str>>,
        anchor: Option<Rc<str>>,
    ) -> Rc<Node> {
        let mut holds = Holds::default();
        let mut weight = 1u32;
        let mut depth = 0u16;
        let mut count = |child: &Node| {
            holds = holds.and(child.holds);
            weight = weight.saturating_add(child.weight);
            depth = depth.max(child.depth);
        };
        match &content {
            Content::Scalar { .. } => {}
            Content::Alias { target, .. } => {
                weight = target.weight;
                depth = target.depth - 1;
            }
            Content::Sequence { items, .. } => items.iter().for_each(|item| count(item)),
            Content::Mapping(mapping) => {
                mapping.by_key.iter().for_each(|(_, value)| count(value));
                holds.manifest |= mapping.by_key.iter().any(|(key, _)| &**key == "Manifest");
                holds.metadata |= mapping.by_key.iter().any(|(key, _)| &**key == "Metadata");
            }
        }
        holds.intrinsic |= intrinsic::form(&content, tag.as_deref(), self.rules).is_some();
        let shape = self.shape(&content, tag.as_ref());
        Rc::new(Node {
            content,
            tag,
            anchor,
            shape,
            holds,
            weight,
            depth: depth.saturating_add(1),
        })
    }

    /// The node without its tag: the argument of a call in short form.
    pub(crate) fn untagged(&mut self, node: &Rc<Node>) -> Rc<Node> {
        let content = match &node.content {
            Content::Scalar { text, style } => Content::Scalar {
                text: text.clone(),
                style: *style,
            },
            Content::Sequence { items, flow } => Content::Sequence {
                items: items.clone(),
                flow: *flow,
            },
            Content::Mapping(mapping) => Content::Mapping(Mapping {
                entries: mapping.entries.clone(),
                by_key: mapping.by_key.clone(),
                flow: mapping.flow,
            }),
            Content::Alias { name, target } => Content::Alias {
                name: name.clone(),
                target: target.clone(),
            },
        };
        self.node(content, None, None)
    }

    /// The argument `A.B` of `GetAtt` as `[A, B]`.
    pub(crate) fn attribute_list(&mut self, text: &str) -> Rc<Node> {
        let parts = intrinsic::split_attribute(text);
        let items = parts
            .into_iter()
            .map(|text| {
                self.node(
                    Content::Scalar {
                        text,
                        style: ScalarStyle::Plain,
                    },
                    None,
                    None,
                )
            })
            .collect();
        self.node(Content::Sequence { items, flow: true }, None, None)
    }

    fn shape(&mut self, content: &Content, tag: Option<&Rc<str>>) -> u32 {
        match self.rules {
            Rules::Copilot => self.bare(content),
            Rules::Semantic => match (
                intrinsic::form(content, tag.map(|tag| &**tag), self.rules),
                tag,
            ) {
                (Some(Form::Short(GET_ATT)), _) => {
                    let argument = self.attribute(content);
                    self.number(Shape::Call(GET_ATT, argument))
                }
                (Some(Form::Long(GET_ATT, _, body)), _) if body.tag.is_none() => {
                    let argument = self.attribute(&body.resolved().content);
                    self.number(Shape::Call(GET_ATT, argument))
                }
                (Some(Form::Short(name)), _) => {
                    let argument = self.bare(content);
                    self.number(Shape::Call(name, argument))
                }
                (Some(Form::Long(name, _, body)), _) => self.number(Shape::Call(name, body.shape)),
                (None, Some(tag)) if !tag.starts_with("!!") => {
                    let inner = self.bare(content);
                    self.number(Shape::Tagged(tag.clone(), inner))
                }
                (None, _) => self.bare(content),
            },
        }
    }

    fn attribute(&mut self, argument: &Content) -> u32 {
        match argument {
            Content::Scalar { text, .. } => self.attribute_list(text).shape,
            Content::Sequence { .. } | Content::Mapping(_) | Content::Alias { .. } => {
                self.bare(argument)
            }
        }
    }

    /// The shape without the node's own tag.
    fn bare(&mut self, content: &Content) -> u32 {
        let semantic = self.rules == Rules::Semantic;
        let shape = match content {
            Content::Scalar {
                text,
                style: ScalarStyle::Plain,
            } if semantic && plain::is_null(text) => Shape::Null,
            Content::Scalar {
                text,
                style: ScalarStyle::Plain,
            } if semantic => match plain::boolean(text) {
                Some(truth) => Shape::Scalar(Rc::from(if truth { "true" } else { "false" })),
                None => Shape::Scalar(text.clone()),
            },
            Content::Scalar { text, .. } => Shape::Scalar(text.clone()),
            Content::Alias { target, .. } if semantic => return target.shape,
            Content::Alias { name, .. } => Shape::Alias(name.clone()),
            Content::Sequence { items, .. } => {
                Shape::Sequence(items.iter().map(|item| item.shape).collect())
            }
            Content::Mapping(mapping) => Shape::Mapping(
                mapping
                    .by_key
                    .iter()
                    .map(|(key, value)| (self.number(Shape::Scalar(key.clone())), value.shape))
                    .collect(),
            ),
        };
        self.number(shape)
    }

    fn number(&mut self, shape: Shape) -> u32 {
        let next = u32::try_from(self.known.len()).expect("texts are far smaller than 4 GB");
        *self.known.entry(shape).or_insert(next)
    }
}
