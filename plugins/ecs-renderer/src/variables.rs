//! `variables` and `secrets`: what containers find in their environment.

use crate::cfn;
use crate::cfn::{Value, import, sub};
use crate::schema::{Object, Shape, TEXT_OR_EXPORT};
use crate::yaml::{Node, Span};

/// Name to value, or to the export that holds it.
pub(crate) const VARIABLES: Shape = Shape::Map(&TEXT_OR_EXPORT);

/// Name to the parameter, secret or export that holds it.
pub(crate) const SECRETS: Shape = Shape::Map(&Shape::Either(
    &[
        Shape::Text,
        Shape::Object(&Object {
            fields: &[("from_cfn", Shape::Text), ("secretsmanager", Shape::Text)],
            exclusive: &[],
        }),
    ],
    "a text, `from_cfn: <export>` or `secretsmanager: <name>`",
));

/// A name and its value.
#[derive(Clone, Debug)]
pub(crate) struct Variable {
    /// The name.
    pub(crate) name: String,
    /// The value.
    pub(crate) value: Value,
    /// Where it stands.
    pub(crate) span: Span,
}

impl Variable {
    /// `{Name, <key>}`.
    pub(crate) fn entry(&self, key: &'static str) -> Value {
        cfn!({ "Name": (Value::raw(&self.name)), (key): (self.value.clone()) }).at(self.span)
    }
}

/// The variables under `key`, sorted by name; a null is the empty text.
pub(crate) fn read_variables(node: &Node, key: &str) -> Vec<Variable> {
    node.sorted_at(key)
        .into_iter()
        .map(|(name, node)| {
            let value = match node.text_at("from_cfn") {
                Some(export) => import(export.value),
                None => node.text().unwrap_or_default().to_owned().into(),
            };
            Variable {
                name: name.text.clone(),
                value,
                span: name.span,
            }
        })
        .collect()
}

/// The secrets under `key`, sorted by name.
pub(crate) fn read_secrets(node: &Node, key: &str) -> Vec<Variable> {
    node.sorted_at(key)
        .into_iter()
        .filter(|(_, node)| !node.is_null())
        .map(|(name, node)| {
            let value = if let Some(export) = node.text_at("from_cfn") {
                import(export.value)
            } else if let Some(secret) = node.text_at("secretsmanager") {
                sub(format!(
                    "arn:${{AWS::Partition}}:secretsmanager:${{AWS::Region}}:${{AWS::AccountId}}:secret:{}",
                    secret.value
                ))
            } else {
                node.text().map_or(Value::Absent, Value::raw)
            };
            Variable { name: name.text.clone(), value, span: name.span }
        })
        .collect()
}
