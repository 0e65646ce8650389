//! A template's text as one value: YAML or JSON, short tags as the long functions they stand for.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use serde_yaml::Value as Yaml;

use crate::wire::Refusal;

/// The most a template given in the request itself may have.
pub(crate) const BODY_LIMIT: usize = 51_200;

/// A template that was read, and the text it came from.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    /// As it was given.
    pub(crate) body: String,
    /// Intrinsic functions in their long form.
    pub(crate) value: Value,
}

impl Template {
    /// Reads YAML, of which JSON is a part.
    pub(crate) fn read(body: &str) -> Result<Self, Refusal> {
        let malformed = |why: &str| Refusal::validation(format!("Template format error: {why}"));
        let yaml: Yaml = serde_yaml::from_str(body)
            .map_err(|error| malformed(&format!("YAML not well-formed. ({error})")))?;
        let value = plain(yaml);
        let has_resources = value["Resources"]
            .as_object()
            .is_some_and(|all| !all.is_empty());
        if !has_resources {
            return Err(malformed("At least one Resources member must be defined."));
        }
        for (name, resource) in section(&value, "Resources") {
            if resource["Type"].as_str().is_none() {
                return Err(malformed(&format!(
                    "[/Resources/{name}] Every Resources object must contain a Type member."
                )));
            }
        }
        Ok(Self {
            body: body.to_owned(),
            value,
        })
    }

    /// A section's members, in order; none when the template lacks it.
    pub(crate) fn section(&self, name: &str) -> impl Iterator<Item = (&String, &Value)> {
        section(&self.value, name)
    }

    /// A resource's declaration.
    pub(crate) fn resource(&self, name: &str) -> &Value {
        &self.value["Resources"][name]
    }

    /// `AWS::ECS::Service` of a resource.
    pub(crate) fn kind(&self, name: &str) -> &str {
        self.resource(name)["Type"].as_str().unwrap_or_default()
    }

    /// Capabilities a caller must state before this is deployed.
    pub(crate) fn capabilities(&self) -> Vec<&'static str> {
        let mut needed = Vec::new();
        let mut named = false;
        for (_, resource) in self.section("Resources") {
            let kind = resource["Type"].as_str().unwrap_or_default();
            if kind.starts_with("AWS::IAM::") {
                let properties = &resource["Properties"];
                named |= [
                    "RoleName",
                    "UserName",
                    "GroupName",
                    "ManagedPolicyName",
                    "InstanceProfileName",
                ]
                .iter()
                .any(|name| !properties[*name].is_null());
                if needed.is_empty() {
                    needed.push("CAPABILITY_IAM");
                }
            }
        }
        if named {
            needed = vec!["CAPABILITY_NAMED_IAM"];
        }
        if !self.value["Transform"].is_null() {
            needed.push("CAPABILITY_AUTO_EXPAND");
        }
        needed
    }

    /// Refuses when `stated` lacks what the template needs.
    pub(crate) fn check_capabilities(&self, stated: &[String]) -> Result<(), Refusal> {
        let has = |name: &str| {
            stated.iter().any(|given| {
                given == name || (name == "CAPABILITY_IAM" && given == "CAPABILITY_NAMED_IAM")
            })
        };
        match self.capabilities().into_iter().find(|needed| !has(needed)) {
            None => Ok(()),
            Some(missing) => Err(Refusal::new(
                "InsufficientCapabilitiesException",
                format!("Requires capabilities : [{missing}]"),
            )),
        }
    }
}

fn section<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value[name].as_object().into_iter().flatten()
}

/// YAML as JSON, `!Sub x` as `{"Fn::Sub": "x"}`.
fn plain(yaml: Yaml) -> Value {
    match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(bool) => Value::Bool(bool),
        Yaml::Number(number) => serde_json::to_value(number).unwrap_or(Value::Null),
        Yaml::String(text) => Value::String(text),
        Yaml::Sequence(items) => items.into_iter().map(plain).collect(),
        Yaml::Mapping(map) => Value::Object(
            map.into_iter()
                .map(|(key, value)| (key_text(key), plain(value)))
                .collect(),
        ),
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let tag = tag.trim_start_matches('!');
            let value = plain(tagged.value);
            let (name, value) = match tag {
                "Ref" | "Condition" => (tag.to_owned(), value),
                "GetAtt" => ("Fn::GetAtt".to_owned(), attribute_path(value)),
                other => (format!("Fn::{other}"), value),
            };
            Value::Object(Map::from_iter([(name, value)]))
        }
    }
}

fn key_text(key: Yaml) -> String {
    match plain(key) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// `A.B.C` as `["A", "B.C"]`.
fn attribute_path(value: Value) -> Value {
    match value.as_str().and_then(|text| text.split_once('.')) {
        Some((resource, attribute)) => serde_json::json!([resource, attribute]),
        None => value,
    }
}

/// Names a value refers to by `Ref`, `Fn::GetAtt` and `Fn::Sub`.
pub(crate) fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Object(map) => {
            for (key, value) in map {
                match (key.as_str(), value) {
                    ("Ref", Value::String(name)) => {
                        found.insert(name.clone());
                    }
                    ("Fn::GetAtt", Value::String(path)) => {
                        found.insert(path.split('.').next().unwrap_or_default().to_owned());
                    }
                    ("Fn::GetAtt", Value::Array(path)) => {
                        found.extend(path.first().and_then(Value::as_str).map(str::to_owned));
                    }
                    ("Fn::Sub", _) => {
                        let (text, own) = substitution(value);
                        let own_names = own.and_then(Value::as_object);
                        for name in placeholders(text) {
                            if !own_names.is_some_and(|own| own.contains_key(name)) {
                                found.insert(name.split('.').next().unwrap_or_default().to_owned());
                            }
                        }
                        own.into_iter().for_each(|own| references(own, found));
                    }
                    _ => references(value, found),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The text of `Fn::Sub` and its own variables.
pub(crate) fn substitution(value: &Value) -> (&str, Option<&Value>) {
    match value {
        Value::Array(items) => (
            items.first().and_then(Value::as_str).unwrap_or_default(),
            items.get(1),
        ),
        other => (other.as_str().unwrap_or_default(), None),
    }
}

/// Names between `${` and `}`, those that begin with `!` left out.
pub(crate) fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split("${")
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name.trim())
        .filter(|name| !name.starts_with('!'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn short_tags_are_long_functions_and_dates_are_text() {
        let template = Template::read(
            "AWSTemplateFormatVersion: 2010-09-09\nResources:\n  A:\n    Type: T\n    Properties:\n      P: !GetAtt B.Outputs.C\n      Q: !Join ['', [!Ref X, !Sub '${Y}']]\n      R: 012345678901\n",
        )
        .unwrap();
        assert_eq!(template.value["AWSTemplateFormatVersion"], "2010-09-09");
        assert_eq!(
            template.resource("A")["Properties"],
            json!({
                "P": { "Fn::GetAtt": ["B", "Outputs.C"] },
                "Q": { "Fn::Join": ["", [{ "Ref": "X" }, { "Fn::Sub": "${Y}" }]] },
                "R": "012345678901",
            })
        );
    }

    #[test]
    fn references_are_found_in_every_form() {
        let mut found = BTreeSet::new();
        references(
            &json!([{ "Ref": "A" }, { "Fn::GetAtt": "B.X" }, { "Fn::GetAtt": ["C", "X"] },
                { "Fn::Sub": ["${D.E} ${F} ${!G} ${own}", { "own": { "Ref": "H" } }] }]),
            &mut found,
        );
        assert_eq!(found.into_iter().collect::<String>(), "ABCDFH");
    }
}
