//! What each manifest field may hold. Every section states its own shape; this module checks a document against it.

use crate::diagnostic::{Findings, code, suggestion};
use crate::duration;
use crate::yaml::{Data, Node};

/// What a value may be.
#[derive(Debug)]
pub enum Shape {
    /// Any scalar, taken as text.
    Text,
    /// A whole number.
    Integer,
    /// A port: 0 to 65535.
    Port,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A duration such as `2m30s`.
    Duration,
    /// Anything at all.
    Any,
    /// A sequence.
    List(&'static Shape),
    /// Free keys. A value that is not an object is replaced as a whole by an environment.
    Map(&'static Shape),
    /// Known keys.
    Object(&'static Object),
    /// One of several forms, told apart by their kind. The text says them in a message.
    Either(&'static [Shape], &'static str),
}

/// The known keys of a mapping.
#[derive(Debug)]
pub struct Object {
    /// Keys and what they hold.
    pub fields: &'static [(&'static str, Shape)],
    /// Groups of keys of which only one can be meant: setting a key in an environment clears the other groups.
    pub exclusive: &'static [&'static [&'static str]],
}

impl Object {
    /// The shape below `key`.
    pub fn field(&self, key: &str) -> Option<&'static Shape> {
        self.fields.iter().find(|(k, _)| *k == key).map(|(_, s)| s)
    }
}

/// A text, or a list of texts.
pub const TEXTS: Shape = Shape::Either(
    &[Shape::Text, Shape::List(&Shape::Text)],
    "a text or a list of texts",
);
/// A text, or the name of a CloudFormation export.
pub const TEXT_OR_EXPORT: Shape = Shape::Either(
    &[Shape::Text, Shape::Object(&EXPORT)],
    "a text or `from_cfn: <export>`",
);
/// `from_cfn: <export>`.
pub const EXPORT: Object = Object {
    fields: &[("from_cfn", Shape::Text)],
    exclusive: &[],
};

/// How strictly a mistake is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    /// Copilot refuses it.
    Strict,
    /// Below a field with several forms Copilot drops what it cannot read.
    Dropping,
}

/// Checks `node` against `shape`: wrong types are errors, unknown keys are warnings.
///
/// Values that Copilot would silently drop are set to null, after a warning.
pub fn check(node: &mut Node, shape: &Shape, path: &str, findings: &mut Findings) {
    inspect(node, shape, path, Mood::Strict, findings);
}

/// True if the node could be read as `shape`.
fn inspect(
    node: &mut Node,
    shape: &Shape,
    path: &str,
    mood: Mood,
    findings: &mut Findings,
) -> bool {
    if node.is_null() {
        return true;
    }
    match shape {
        Shape::Any => true,
        Shape::Text
        | Shape::Integer
        | Shape::Port
        | Shape::Number
        | Shape::Boolean
        | Shape::Duration => {
            let problem = scalar_problem(node, shape);
            if let Some((wanted, cure)) = problem {
                let what = if path.is_empty() {
                    "the manifest".to_owned()
                } else {
                    format!("`{path}`")
                };
                let message = format!("{what} must be {wanted}, found {}", node.describe());
                report(node, message, cure, mood, findings);
                return false;
            }
            true
        }
        Shape::List(item) => match &mut node.data {
            Data::List(items) => {
                let mut good = true;
                for (i, value) in items.iter_mut().enumerate() {
                    good &= inspect(value, item, &format!("{path}[{i}]"), mood, findings);
                }
                good
            }
            Data::Scalar(_) | Data::Map(_) => {
                let cure = "start each item with a dash".to_owned();
                refuse(node, path, "a list", cure, mood, findings)
            }
        },
        Shape::Map(value_shape) => match &mut node.data {
            Data::Map(entries) => {
                let mut good = true;
                for (key, value) in entries.iter_mut() {
                    good &= inspect(value, value_shape, &join(path, &key.text), mood, findings);
                }
                good
            }
            Data::Scalar(_) | Data::List(_) => {
                let cure = "write `name: value` pairs".to_owned();
                refuse(node, path, "a map", cure, mood, findings)
            }
        },
        Shape::Object(object) => inspect_object(node, object, path, mood, findings),
        Shape::Either(forms, wanted) => inspect_either(node, forms, wanted, path, mood, findings),
    }
}

/// Says what a value must be; it is not good.
fn refuse(
    node: &mut Node,
    path: &str,
    wanted: &str,
    cure: String,
    mood: Mood,
    findings: &mut Findings,
) -> bool {
    let message = format!("`{path}` must be {wanted}, found {}", node.describe());
    report(node, message, cure, mood, findings);
    false
}

fn inspect_object(
    node: &mut Node,
    object: &Object,
    path: &str,
    mood: Mood,
    findings: &mut Findings,
) -> bool {
    let Data::Map(entries) = &mut node.data else {
        let keys: Vec<&str> = object.fields.iter().map(|(k, _)| *k).collect();
        let cure = format!("its keys are {}", keys.join(", "));
        return refuse(node, path, "a map", cure, mood, findings);
    };
    let mut good = true;
    for (key, value) in entries.iter_mut() {
        match object.field(&key.text) {
            Some(shape) => good &= inspect(value, shape, &join(path, &key.text), mood, findings),
            // A common way to keep anchors.
            None if key.text.starts_with("x-") => {}
            None => {
                let names = object.fields.iter().map(|(k, _)| *k);
                let help = match suggestion(&key.text, names) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!(
                        "known here: {}",
                        object
                            .fields
                            .iter()
                            .map(|(k, _)| *k)
                            .collect::<Vec<_>>()
                            .join(", ")
                    ),
                };
                let place = if path.is_empty() {
                    String::new()
                } else {
                    format!(" below `{path}`")
                };
                findings.coded(code::UNKNOWN_KEY).warn(
                    key.span,
                    format!("unknown key `{}`{place} has no effect", key.text),
                    help,
                );
            }
        }
    }
    good
}

fn inspect_either(
    node: &mut Node,
    forms: &[Shape],
    wanted: &str,
    path: &str,
    mood: Mood,
    findings: &mut Findings,
) -> bool {
    let fitting = forms.iter().find(|form| match &node.data {
        Data::Map(_) => matches!(form, Shape::Object(_) | Shape::Map(_)),
        Data::List(_) => matches!(form, Shape::List(_)),
        Data::Scalar(_) => scalar_problem(node, form).is_none(),
    });
    let Some(form) = fitting else {
        let message = format!("`{path}` must be {wanted}, found {}", node.describe());
        report(node, message, String::new(), mood, findings);
        return false;
    };
    if let (Data::Map(entries), Shape::Object(object)) = (&node.data, form) {
        let known = |k: &str| object.field(k).is_some();
        let unreadable = |(k, v): &(crate::yaml::Key, Node)| {
            !known(&k.text) || v.is_null() || {
                let mut copy = v.clone();
                let shape = object.field(&k.text).unwrap_or(&Shape::Any);
                !inspect(&mut copy, shape, "", Mood::Strict, &mut Findings::default())
            }
        };
        if !entries.iter().any(|(k, _)| known(&k.text)) {
            let keys: Vec<&str> = object.fields.iter().map(|(k, _)| *k).collect();
            let message = format!("`{path}` must be {wanted}, found a map without any of its keys");
            report(
                node,
                message,
                format!("its keys are {}", keys.join(", ")),
                mood,
                findings,
            );
            return false;
        }
        if entries.iter().all(unreadable) && entries.iter().any(|(_, v)| !v.is_null()) {
            // Nothing in it can be read: Copilot then tries the other forms and gives up.
            return inspect(node, form, path, Mood::Strict, findings);
        }
    }
    inspect(node, form, path, Mood::Dropping, findings)
}

/// What a scalar of this shape should have been, and the cure.
fn scalar_problem(node: &Node, shape: &Shape) -> Option<(&'static str, String)> {
    let quoted = node.scalar().is_some_and(|s| !s.plain).then(|| {
        "a quoted or substituted value stays a text: write it without quotes and without `${}`"
            .to_owned()
    });
    match shape {
        Shape::Text => node.scalar().is_none().then(|| ("a text", String::new())),
        Shape::Integer => node
            .integer()
            .is_none()
            .then(|| ("a whole number", quoted.unwrap_or_default())),
        Shape::Port => node
            .integer()
            .filter(|n| (0..=65535).contains(n))
            .is_none()
            .then(|| {
                (
                    "a whole number between 0 and 65535",
                    quoted.unwrap_or_default(),
                )
            }),
        Shape::Number => node
            .number()
            .is_none()
            .then(|| ("a number", quoted.unwrap_or_default())),
        Shape::Boolean => node
            .boolean()
            .is_none()
            .then(|| ("true or false", quoted.unwrap_or_default())),
        Shape::Duration => node.text().and_then(duration::parse).is_none().then(|| {
            (
                "a duration",
                "write a number and a unit, for example 30s, 2m30s or 1h".to_owned(),
            )
        }),
        Shape::Any => None,
        Shape::List(_) | Shape::Map(_) | Shape::Object(_) | Shape::Either(..) => {
            Some(("a list or a map", String::new()))
        }
    }
}

fn report(node: &mut Node, message: String, cure: String, mood: Mood, findings: &mut Findings) {
    let mut findings = findings.coded(code::WRONG_TYPE);
    match mood {
        Mood::Strict => findings.error(node.span, message, cure),
        Mood::Dropping => {
            findings.warn(node.span, format!("{message}; the value is dropped"), cure);
            *node = Node::null(node.span);
        }
    }
}

/// A dotted path one key longer.
pub fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
