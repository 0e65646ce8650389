//! CloudFormation's intrinsic functions: `!Sub x` and `{Fn::Sub: x}` are one call in two forms.

use std::rc::Rc;

use crate::node::{Content, Mapping, Node};
use crate::shape::Rules;

/// Names without `!` and `Fn::`.
const NAMES: [&str; 18] = [
    "Ref",
    "Condition",
    "Base64",
    "Cidr",
    "FindInMap",
    "GetAtt",
    "GetAZs",
    "ImportValue",
    "Join",
    "Select",
    "Split",
    "Sub",
    "Transform",
    "And",
    "Equals",
    "If",
    "Not",
    "Or",
];

/// The function whose argument may be `A.B` or `[A, B]`.
pub(crate) const GET_ATT: &str = "GetAtt";

/// How a call is written.
#[derive(Debug)]
pub(crate) enum Form<'a> {
    /// A tag: `!Sub x`.
    Short(&'static str),
    /// A mapping with one key: `{Fn::Sub: x}`; with the key and the argument.
    Long(&'static str, &'a Rc<str>, &'a Rc<Node>),
}

impl Form<'_> {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Form::Short(name) | Form::Long(name, ..) => name,
        }
    }
}

/// The call a node is, if it is one.
///
/// Copilot's engine looks for the tag on scalars and sequences only, and does not know `!Transform`.
pub(crate) fn form<'a>(content: &'a Content, tag: Option<&str>, rules: Rules) -> Option<Form<'a>> {
    let short = tag.and_then(short_name);
    match (content, rules) {
        (Content::Mapping(mapping), Rules::Copilot) => long_form(mapping),
        (Content::Mapping(mapping), Rules::Semantic) => match tag {
            Some(_) => short.map(Form::Short),
            None => long_form(mapping),
        },
        (
            Content::Scalar { .. } | Content::Sequence { .. } | Content::Alias { .. },
            Rules::Copilot,
        ) => short.filter(|name| *name != "Transform").map(Form::Short),
        (
            Content::Scalar { .. } | Content::Sequence { .. } | Content::Alias { .. },
            Rules::Semantic,
        ) => short.map(Form::Short),
    }
}

fn long_form(mapping: &Mapping) -> Option<Form<'_>> {
    let [(key, body)] = mapping.entries.as_slice() else {
        return None;
    };
    let key = key.scalar()?;
    long_name(key).map(|name| Form::Long(name, key, body))
}

/// `Sub` for `!Sub`.
pub(crate) fn short_name(tag: &str) -> Option<&'static str> {
    let bare = tag.strip_prefix('!')?;
    NAMES.into_iter().find(|name| *name == bare)
}

fn long_name(key: &str) -> Option<&'static str> {
    let bare = key.strip_prefix("Fn::");
    NAMES.into_iter().find(|name| {
        if is_bare(name) {
            *name == key
        } else {
            Some(*name) == bare
        }
    })
}

/// The key of the long form: `Fn::Sub` for `Sub`, `Ref` for `Ref`.
pub(crate) fn long_key(name: &str) -> String {
    if is_bare(name) {
        name.to_owned()
    } else {
        format!("Fn::{name}")
    }
}

fn is_bare(name: &str) -> bool {
    matches!(name, "Ref" | "Condition")
}

/// `A.B.C` as logical id and attribute: `A`, `B.C`.
pub(crate) fn split_attribute(text: &str) -> Vec<Rc<str>> {
    text.splitn(2, '.')
        .map(|part| part.trim_matches(' '))
        .filter(|part| !part.is_empty())
        .map(Rc::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_from_short_to_long_and_back() {
        for (short, long) in [
            ("!Ref", "Ref"),
            ("!Condition", "Condition"),
            ("!Sub", "Fn::Sub"),
            ("!GetAZs", "Fn::GetAZs"),
        ] {
            let name = short_name(short).expect("a known function");
            assert_eq!(long_key(name), long);
            assert_eq!(long_name(long), Some(name));
        }
        for unknown in ["Fn::Ref", "Fn::Condition", "Sub", "Fn::Magic", "Fn::", ""] {
            assert_eq!(long_name(unknown), None, "{unknown}");
        }
        for unknown in ["!Magic", "Sub", "!", "!!Sub", "!Fn::Sub"] {
            assert_eq!(short_name(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn an_attribute_begins_after_the_first_dot() {
        for (text, parts) in [
            ("A.B", vec!["A", "B"]),
            ("A.B.C", vec!["A", "B.C"]),
            ("A", vec!["A"]),
            ("A. B", vec!["A", "B"]),
            ("A.", vec!["A"]),
            ("", vec![]),
        ] {
            assert_eq!(
                split_attribute(text)
                    .iter()
                    .map(|part| &**part)
                    .collect::<Vec<_>>(),
                parts
            );
        }
    }
}
