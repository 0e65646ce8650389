//! CloudFormation values: what a template is made of, before it is text.

pub mod explain;
pub mod path;
pub mod print;

use crate::yaml::{Data, Node, Span};
use std::borrow::Cow;

/// A template value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Left out of the map or list it is put into.
    Absent,
    /// A scalar written without quotes: a number, a boolean, or a text that YAML may read as one.
    Raw(Cow<'static, str>),
    /// A text, whatever it looks like.
    Text(Cow<'static, str>),
    /// A sequence.
    List(Vec<Value>),
    /// A mapping in printing order.
    Map(Map),
    /// An intrinsic function by its short name: `Ref`, `Sub`, `GetAtt`, `If`.
    Call(Cow<'static, str>, Box<Value>),
    /// A value that a line of the manifest made; transparent everywhere else.
    From(Span, Box<Value>),
}

/// Entries of a mapping; keys are unique.
pub type Map = Vec<(Cow<'static, str>, Value)>;

/// Builds a [`Value`] from something that looks like JSON; expressions stand in parentheses.
///
/// `cfn!({ "Type": "AWS::SNS::Topic", "Properties": { "FifoTopic": (fifo.then_some(true)) } })`; entries that are
/// `None` or [`Value::Absent`] are left out.
#[macro_export]
macro_rules! cfn {
    ({ $($key:tt : $value:tt),* $(,)? }) => {
        $crate::cfn::Value::map(vec![$(($crate::cfn_key!($key), $crate::cfn!($value))),*])
    };
    ([ $($value:tt),* $(,)? ]) => { $crate::cfn::Value::list(vec![$($crate::cfn!($value)),*]) };
    (($value:expr)) => { $crate::cfn::Value::from($value) };
    ($value:expr) => { $crate::cfn::Value::from($value) };
}

/// A key of [`cfn!`]: a literal, or an expression in parentheses.
#[macro_export]
macro_rules! cfn_key {
    (($key:expr)) => {
        ::std::borrow::Cow::from($key)
    };
    ($key:literal) => {
        ::std::borrow::Cow::Borrowed($key)
    };
}

impl Value {
    /// A mapping without its absent entries.
    pub fn map(entries: Map) -> Value {
        Value::Map(
            entries
                .into_iter()
                .filter(|(_, v)| !v.is_absent())
                .collect(),
        )
    }

    /// A list without its absent items.
    pub fn list(items: Vec<Value>) -> Value {
        Value::List(items.into_iter().filter(|v| !v.is_absent()).collect())
    }

    /// A number of any kind, printed as Rust prints it (`0.25`, `60`).
    pub fn number(n: impl ToString) -> Value {
        Value::Raw(n.to_string().into())
    }

    /// A scalar as the user wrote it, unquoted if YAML can hold it that way.
    pub fn raw(text: &str) -> Value {
        if print::fits_plain(text) {
            Value::Raw(text.to_owned().into())
        } else {
            text.to_owned().into()
        }
    }

    /// Remembers the manifest line this value comes from.
    pub fn at(self, span: Span) -> Value {
        if span.line == 0 || self.is_absent() {
            self
        } else {
            Value::From(span, Box::new(self))
        }
    }

    /// The manifest line this value comes from; nowhere in particular if it was not noted.
    pub fn span(&self) -> Span {
        match self {
            Value::From(span, _) => *span,
            Value::Absent
            | Value::Raw(_)
            | Value::Text(_)
            | Value::List(_)
            | Value::Map(_)
            | Value::Call(..) => Span::default(),
        }
    }

    /// The value without the memory of where it came from.
    pub fn bare(&self) -> &Value {
        match self {
            Value::From(_, inner) => inner.bare(),
            Value::Absent
            | Value::Raw(_)
            | Value::Text(_)
            | Value::List(_)
            | Value::Map(_)
            | Value::Call(..) => self,
        }
    }

    /// As [`Value::bare`], to change it.
    pub fn bare_mut(&mut self) -> &mut Value {
        match self {
            Value::From(_, inner) => inner.bare_mut(),
            Value::Absent
            | Value::Raw(_)
            | Value::Text(_)
            | Value::List(_)
            | Value::Map(_)
            | Value::Call(..) => self,
        }
    }

    /// True for [`Value::Absent`].
    pub fn is_absent(&self) -> bool {
        matches!(self.bare(), Value::Absent)
    }

    /// The entry `key` of a mapping.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self.bare() {
            Value::Map(entries) => entries.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            Value::Absent
            | Value::Raw(_)
            | Value::Text(_)
            | Value::List(_)
            | Value::Call(..)
            | Value::From(..) => None,
        }
    }

    /// The entry `key` of a mapping, to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        match self.bare_mut() {
            Value::Map(entries) => entries.iter_mut().find(|(k, _)| k == key).map(|(_, v)| v),
            Value::Absent
            | Value::Raw(_)
            | Value::Text(_)
            | Value::List(_)
            | Value::Call(..)
            | Value::From(..) => None,
        }
    }

    /// The text of a scalar.
    pub fn as_text(&self) -> Option<&str> {
        match self.bare() {
            Value::Raw(text) | Value::Text(text) => Some(text),
            Value::Absent | Value::List(_) | Value::Map(_) | Value::Call(..) | Value::From(..) => {
                None
            }
        }
    }

    /// A value as the user wrote it in an addon, a patch or an override.
    pub fn from_node(node: &Node) -> Value {
        let value = match &node.data {
            Data::Scalar(scalar) if scalar.plain && node.tag.is_none() => {
                if node.is_null() {
                    Value::Raw("null".into())
                } else {
                    Value::raw(&scalar.text)
                }
            }
            Data::Scalar(scalar) => scalar.text.clone().into(),
            Data::List(items) => Value::List(items.iter().map(Value::from_node).collect()),
            Data::Map(entries) => Value::Map(
                entries
                    .iter()
                    .map(|(k, v)| (k.text.clone().into(), Value::from_node(v)))
                    .collect(),
            ),
        };
        match &node.tag {
            Some(tag) => Value::Call(tag.clone().into(), Box::new(value)),
            None => value,
        }
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Value {
        Value::Text(Cow::Borrowed(text))
    }
}

// A blanket `&str` would collide with the static one, and most texts are owned anyway.
impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(Cow::Owned(text))
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Value {
        Value::Text(Cow::Owned(text.clone()))
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Value {
        Value::Raw(if b { "true" } else { "false" }.into())
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Value {
        Value::number(n)
    }
}

impl From<i32> for Value {
    fn from(n: i32) -> Value {
        Value::number(n)
    }
}

impl From<u16> for Value {
    fn from(n: u16) -> Value {
        Value::number(n)
    }
}

impl From<u32> for Value {
    fn from(n: u32) -> Value {
        Value::number(n)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Value {
        Value::list(items)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Absent, Into::into)
    }
}

fn call(name: &'static str, argument: impl Into<Value>) -> Value {
    Value::Call(name.into(), Box::new(argument.into()))
}

/// `!Ref name`.
pub fn reference(name: impl Into<Cow<'static, str>>) -> Value {
    call("Ref", Value::Text(name.into()))
}

/// `!Sub text`.
pub fn sub(text: impl Into<Cow<'static, str>>) -> Value {
    call("Sub", Value::Text(text.into()))
}

/// `!Sub [text, variables]`.
pub fn sub_with(text: impl Into<Cow<'static, str>>, variables: Value) -> Value {
    call("Sub", vec![Value::Text(text.into()), variables])
}

/// `!GetAtt resource.attribute`.
pub fn attribute(resource: &str, attribute: &str) -> Value {
    call("GetAtt", format!("{resource}.{attribute}"))
}

/// `!Join [separator, parts]`.
pub fn join(separator: &'static str, parts: Vec<Value>) -> Value {
    call("Join", vec![separator.into(), Value::list(parts)])
}

/// `Fn::ImportValue` of an export the user named.
pub fn import(name: impl Into<Value>) -> Value {
    call("ImportValue", name)
}

/// `Fn::ImportValue` of `<app>-<env>-<suffix>`, an output of the environment stack.
pub fn environment_export(suffix: &str) -> Value {
    import(sub(format!("${{AppName}}-${{EnvName}}-{suffix}")))
}

/// The items of a comma list that the environment stack exports.
pub fn environment_list(suffix: &str) -> Value {
    call("Split", vec![",".into(), environment_export(suffix)])
}

/// `!Select [index, !Split [separator, from]]`.
pub fn select_split(index: i64, separator: &'static str, from: Value) -> Value {
    call(
        "Select",
        vec![
            index.into(),
            call("Split", vec![Value::from(separator), from]),
        ],
    )
}

/// `!If [condition, yes, no]`.
pub fn if_else(condition: impl Into<Cow<'static, str>>, yes: Value, no: Value) -> Value {
    call("If", vec![Value::Text(condition.into()), yes, no])
}

/// `!If [condition, value, !Ref AWS::NoValue]`.
pub fn when(condition: impl Into<Cow<'static, str>>, value: Value) -> Value {
    if_else(condition, value, no_value())
}

/// `!Ref AWS::NoValue`.
pub fn no_value() -> Value {
    reference("AWS::NoValue")
}

/// `!Equals [a, b]`.
pub fn equals(a: Value, b: impl Into<Value>) -> Value {
    call("Equals", vec![a, b.into()])
}

/// `!Not [condition]`.
pub fn not(condition: Value) -> Value {
    call("Not", vec![condition])
}

/// The condition that parameter `name` is not the empty text.
pub fn is_set(name: impl Into<Cow<'static, str>>) -> Value {
    not(equals(reference(name), ""))
}

/// A text without anything but ASCII letters and digits, as logical ids must be.
pub fn logical_id(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// A resource under construction.
pub struct Resource {
    kind: &'static str,
    description: String,
    condition: Value,
    depends_on: Value,
}

/// Begins a resource; the description is what progress displays call it.
pub fn resource(kind: &'static str, description: impl Into<String>) -> Resource {
    Resource {
        kind,
        description: description.into(),
        condition: Value::Absent,
        depends_on: Value::Absent,
    }
}

impl Resource {
    /// Created only if the condition holds.
    pub fn condition(mut self, condition: &'static str) -> Resource {
        self.condition = condition.into();
        self
    }

    /// Created after these; a text or a list.
    pub fn depends_on(mut self, depends_on: impl Into<Value>) -> Resource {
        self.depends_on = depends_on.into();
        self
    }

    /// Finishes the resource.
    pub fn properties(self, properties: Value) -> Value {
        let metadata = if self.description.is_empty() {
            Value::Absent
        } else {
            cfn!({ "aws:copilot:description": (self.description) })
        };
        cfn!({
            "Metadata": (metadata),
            "Condition": (self.condition),
            "Type": (self.kind),
            "DependsOn": (self.depends_on),
            "Properties": (properties),
        })
    }
}
