//! What a template's functions come to, given parameters and what exists so far.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::template::{Template, references, substitution};

/// What a resource is known by once it exists.
#[derive(Debug, Clone, Default)]
pub(crate) struct Identity {
    /// What `Ref` gives.
    pub(crate) reference: String,
    /// What `Fn::GetAtt` gives.
    pub(crate) attributes: Map<String, Value>,
}

/// Where a template is evaluated.
pub(crate) struct Scope {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) stack_name: String,
    pub(crate) stack_id: String,
    /// Exports of the region, by name.
    pub(crate) exports: BTreeMap<String, String>,
}

/// A template with its parameters.
pub(crate) struct Evaluation<'a> {
    template: &'a Template,
    scope: &'a Scope,
    /// Text, or a list of texts for list types.
    parameters: BTreeMap<String, Value>,
    /// Resources that exist.
    pub(crate) known: BTreeMap<String, Identity>,
    /// Exports that were asked for.
    imported: RefCell<BTreeSet<String>>,
}

/// Why a template can't be evaluated, in CloudFormation's words.
pub(crate) type Wrong = String;

impl<'a> Evaluation<'a> {
    /// Checks what was `given` against the template's parameters.
    pub(crate) fn new(
        template: &'a Template,
        scope: &'a Scope,
        given: &[(String, String)],
    ) -> Result<Self, Wrong> {
        let mut parameters = BTreeMap::new();
        let mut missing = Vec::new();
        let given: BTreeMap<&str, &str> = given
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        for (name, declared) in template.section("Parameters") {
            let default = || declared.get("Default").map(text_of);
            let value = given.get(name.as_str()).map(|value| (*value).to_owned());
            let Some(value) = value.or_else(default) else {
                missing.push(name.as_str());
                continue;
            };
            check_parameter(name, &value, declared)?;
            let kind = declared["Type"].as_str().unwrap_or("String");
            let is_list = kind == "CommaDelimitedList" || kind.starts_with("List<");
            let value = if is_list {
                value.split(',').map(str::trim).collect()
            } else {
                Value::String(value)
            };
            parameters.insert(name.clone(), value);
        }
        if !missing.is_empty() {
            return Err(format!(
                "Parameters: [{}] must have values",
                missing.join(", ")
            ));
        }
        let unknown: Vec<&str> = given
            .keys()
            .copied()
            .filter(|name| template.value["Parameters"].get(name).is_none())
            .collect();
        if !unknown.is_empty() {
            return Err(format!(
                "Parameters: [{}] do not exist in the template",
                unknown.join(", ")
            ));
        }
        Ok(Self {
            template,
            scope,
            parameters,
            known: BTreeMap::new(),
            imported: RefCell::default(),
        })
    }

    /// Every parameter as the text it was given as.
    pub(crate) fn parameters(&self) -> Vec<(String, String)> {
        let text = |value: &Value| match value {
            Value::Array(items) => items.iter().map(text_of).collect::<Vec<_>>().join(","),
            other => text_of(other),
        };
        self.template
            .section("Parameters")
            .filter_map(|(name, _)| Some((name.clone(), text(self.parameters.get(name)?))))
            .collect()
    }

    /// Exports that were asked for so far.
    pub(crate) fn imports(&self) -> BTreeSet<String> {
        self.imported.borrow().clone()
    }

    /// Whether a member with a `Condition` is wanted.
    pub(crate) fn is_wanted(&self, member: &Value) -> Result<bool, Wrong> {
        match member["Condition"].as_str() {
            Some(name) => self.condition(name),
            None => Ok(true),
        }
    }

    fn condition(&self, name: &str) -> Result<bool, Wrong> {
        let Some(condition) = self.template.value["Conditions"].get(name) else {
            return Err(format!(
                "Template format error: Unresolved condition dependency {name}"
            ));
        };
        Ok(is_true(&self.value(condition)?))
    }

    /// Wanted resources with what each waits for, in an order in which they can be made.
    pub(crate) fn order(&self) -> Result<Vec<(String, BTreeSet<String>)>, Wrong> {
        let mut wanted = Vec::new();
        for (name, resource) in self.template.section("Resources") {
            if self.is_wanted(resource)? {
                let mut names = BTreeSet::new();
                references(&resource["Properties"], &mut names);
                self.check_references(&names)?;
                match &resource["DependsOn"] {
                    Value::String(one) => names.extend([one.clone()]),
                    Value::Array(all) => {
                        names.extend(all.iter().filter_map(Value::as_str).map(str::to_owned));
                    }
                    _ => {}
                }
                wanted.push((name.clone(), names));
            }
        }
        let all: BTreeSet<String> = wanted.iter().map(|(name, _)| name.clone()).collect();
        for (_, waits) in &mut wanted {
            waits.retain(|name| all.contains(name));
        }
        let mut ordered: Vec<(String, BTreeSet<String>)> = Vec::new();
        let mut done = BTreeSet::new();
        while !wanted.is_empty() {
            let (ready, rest): (Vec<_>, Vec<_>) = wanted
                .into_iter()
                .partition(|(_, waits)| waits.is_subset(&done));
            if ready.is_empty() {
                let names: Vec<String> = rest.into_iter().map(|(name, _)| name).collect();
                return Err(format!(
                    "Circular dependency between resources: [{}]",
                    names.join(", ")
                ));
            }
            done.extend(ready.iter().map(|(name, _)| name.clone()));
            ordered.extend(ready);
            wanted = rest;
        }
        Ok(ordered)
    }

    fn check_references(&self, names: &BTreeSet<String>) -> Result<(), Wrong> {
        let unknown: Vec<&str> = names
            .iter()
            .map(String::as_str)
            .filter(|name| {
                !name.starts_with("AWS::")
                    && !self.parameters.contains_key(*name)
                    && self.template.value["Resources"].get(*name).is_none()
            })
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        Err(format!(
            "Template format error: Unresolved resource dependencies [{}] in the Resources block of the template",
            unknown.join(", ")
        ))
    }

    /// A resource's properties as they are now.
    pub(crate) fn properties(&self, name: &str) -> Result<Value, Wrong> {
        match self.template.resource(name).get("Properties") {
            Some(properties) => self.value(properties),
            None => Ok(json!({})),
        }
    }

    /// A value with its functions evaluated; `AWS::NoValue` at the top is null.
    pub(crate) fn value(&self, value: &Value) -> Result<Value, Wrong> {
        Ok(self.maybe(value)?.unwrap_or(Value::Null))
    }

    fn text(&self, value: &Value) -> Result<String, Wrong> {
        Ok(text_of(&self.value(value)?))
    }

    /// None for `AWS::NoValue`: the property or item is as if it was not there.
    fn maybe(&self, value: &Value) -> Result<Option<Value>, Wrong> {
        match value {
            Value::Array(items) => {
                let items: Result<Vec<Option<Value>>, Wrong> =
                    items.iter().map(|item| self.maybe(item)).collect();
                Ok(Some(items?.into_iter().flatten().collect()))
            }
            Value::Object(map) => {
                if let Some((name, argument)) = map.iter().next()
                    && map.len() == 1
                    && (name.starts_with("Fn::") || name == "Ref" || name == "Condition")
                    && (name != "Condition" || argument.is_string())
                {
                    return self.function(name, argument);
                }
                let mut evaluated = Map::new();
                for (key, value) in map {
                    if let Some(value) = self.maybe(value)? {
                        evaluated.insert(key.clone(), value);
                    }
                }
                Ok(Some(Value::Object(evaluated)))
            }
            other => Ok(Some(other.clone())),
        }
    }

    fn function(&self, name: &str, argument: &Value) -> Result<Option<Value>, Wrong> {
        let part = |index: usize| argument.get(index).unwrap_or(&Value::Null);
        let list = |value: &Value| -> Result<Vec<Value>, Wrong> {
            match self.value(value)? {
                Value::Array(items) => Ok(items),
                other => Err(format!("Template error: {name} needs a list, not {other}")),
            }
        };
        let value = match name {
            "Ref" => return self.reference(argument.as_str().unwrap_or_default()),
            "Condition" => Value::Bool(self.condition(argument.as_str().unwrap_or_default())?),
            "Fn::If" => {
                let chosen = if self.condition(part(0).as_str().unwrap_or_default())? {
                    1
                } else {
                    2
                };
                return self.maybe(part(chosen));
            }
            "Fn::GetAtt" => self.attribute(argument)?,
            "Fn::Sub" => self.substitute(argument)?.into(),
            "Fn::Join" => {
                let items = list(part(1))?;
                let texts: Vec<String> = items.iter().map(text_of).collect();
                texts.join(part(0).as_str().unwrap_or_default()).into()
            }
            "Fn::Split" => {
                let text = self.text(part(1))?;
                text.split(part(0).as_str().unwrap_or_default()).collect()
            }
            "Fn::Select" => {
                let index = self.text(part(0))?;
                let items = list(part(1))?;
                let chosen = index.parse().ok().and_then(|index: usize| items.get(index));
                chosen.cloned().ok_or_else(|| {
                    format!("Template error: Fn::Select cannot select nonexistent value at index {index}")
                })?
            }
            "Fn::FindInMap" => {
                let keys = list(argument)?;
                let path = keys
                    .iter()
                    .fold(&self.template.value["Mappings"], |map, key| {
                        map.get(text_of(key)).unwrap_or(&Value::Null)
                    });
                if path.is_null() {
                    return Err(format!(
                        "Template error: Unable to get mapping for {argument}"
                    ));
                }
                path.clone()
            }
            "Fn::GetAZs" => {
                let region = self.text(argument)?;
                let region = if region.is_empty() {
                    &self.scope.region
                } else {
                    &region
                };
                ["a", "b", "c"]
                    .map(|zone| format!("{region}{zone}"))
                    .into_iter()
                    .collect()
            }
            "Fn::Base64" => STANDARD.encode(self.text(argument)?).into(),
            "Fn::ImportValue" => {
                let name = self.text(argument)?;
                self.imported.borrow_mut().insert(name.clone());
                match self.scope.exports.get(&name) {
                    Some(value) => value.clone().into(),
                    None => return Err(format!("No export named {name} found.")),
                }
            }
            "Fn::Equals" => Value::Bool(self.text(part(0))? == self.text(part(1))?),
            "Fn::Not" => Value::Bool(!is_true(&self.value(part(0))?)),
            "Fn::And" | "Fn::Or" => {
                let mut all = Vec::new();
                for item in argument.as_array().into_iter().flatten() {
                    all.push(is_true(&self.value(item)?));
                }
                Value::Bool(if name == "Fn::And" {
                    all.iter().all(|it| *it)
                } else {
                    all.contains(&true)
                })
            }
            "Fn::ToJsonString" => self.value(argument)?.to_string().into(),
            "Fn::Length" => list(argument)?.len().into(),
            other => return Err(format!("Template error: unsupported function: {other}")),
        };
        Ok(Some(value))
    }

    fn reference(&self, name: &str) -> Result<Option<Value>, Wrong> {
        let scope = self.scope;
        let text = match name {
            "AWS::NoValue" => return Ok(None),
            "AWS::NotificationARNs" => return Ok(Some(json!([]))),
            "AWS::AccountId" => &scope.account,
            "AWS::Region" => &scope.region,
            "AWS::StackName" => &scope.stack_name,
            "AWS::StackId" => &scope.stack_id,
            "AWS::Partition" => partition(&scope.region),
            "AWS::URLSuffix" => dns_suffix(&scope.region),
            _ => {
                if let Some(value) = self.parameters.get(name) {
                    return Ok(Some(value.clone()));
                }
                match self.known.get(name) {
                    Some(resource) => &resource.reference,
                    None => return self.unknown(name, name).map(Some),
                }
            }
        };
        Ok(Some(text.to_owned().into()))
    }

    fn attribute(&self, argument: &Value) -> Result<Value, Wrong> {
        let (name, attribute) = match argument {
            Value::String(path) => path
                .split_once('.')
                .map(|(name, attribute)| (name.to_owned(), attribute.to_owned()))
                .ok_or_else(|| format!("Template error: every Fn::GetAtt object requires two non-empty parameters, not {path}"))?,
            other => (self.text(&other[0])?, self.text(&other[1])?),
        };
        match self.known.get(&name) {
            None => self.unknown(&name, &format!("{name}.{attribute}")),
            Some(resource) => match resource.attributes.get(&attribute) {
                Some(value) => Ok(value.clone()),
                None => Err(format!(
                    "Attribute: {attribute} was not found for resource: {name}"
                )),
            },
        }
    }

    /// Something a resource that does not exist yet will have; only good for telling what would change.
    fn unknown(&self, name: &str, what: &str) -> Result<Value, Wrong> {
        let resource = self.template.value["Resources"].get(name);
        match resource {
            None => Err(format!(
                "Template format error: Unresolved resource dependencies [{name}] in the Resources block of the template"
            )),
            Some(_) => Ok(format!("{{{{known after {what}}}}}").into()),
        }
    }

    fn substitute(&self, argument: &Value) -> Result<String, Wrong> {
        let (text, own) = substitution(argument);
        let mut done = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            done.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                done.push_str("${");
                rest = after;
                continue;
            };
            rest = after;
            let name = name.trim();
            if let Some(literal) = name.strip_prefix('!') {
                done.push_str(&format!("${{{literal}}}"));
            } else if let Some(value) = own.and_then(|own| own.get(name)) {
                done.push_str(&self.text(value)?);
            } else if name.contains('.') {
                done.push_str(&text_of(&self.attribute(&Value::String(name.to_owned()))?));
            } else {
                done.push_str(&text_of(&self.reference(name)?.unwrap_or(Value::Null)));
            }
        }
        done.push_str(rest);
        Ok(done)
    }
}

fn check_parameter(name: &str, value: &str, declared: &Value) -> Result<(), Wrong> {
    let allowed = declared["AllowedValues"].as_array();
    if allowed.is_some_and(|allowed| !allowed.iter().any(|one| text_of(one) == value)) {
        let allowed: Vec<String> = allowed.into_iter().flatten().map(text_of).collect();
        return Err(format!(
            "Parameter '{name}' must be one of AllowedValues: [{}]",
            allowed.join(", ")
        ));
    }
    if let Some(pattern) = declared["AllowedPattern"].as_str() {
        let matches = regex_lite::Regex::new(&format!("^(?:{pattern})$"))
            .map_or(true, |pattern| pattern.is_match(value));
        if !matches {
            let why = declared["ConstraintDescription"]
                .as_str()
                .map_or_else(|| format!("must match pattern {pattern}"), str::to_owned);
            return Err(format!("Parameter '{name}' {why}"));
        }
    }
    if declared["Type"] == "Number" && value.parse::<f64>().is_err() {
        return Err(format!("Parameter '{name}' must be a number"));
    }
    Ok(())
}

/// A scalar as CloudFormation compares and joins it.
pub(crate) fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn is_true(value: &Value) -> bool {
    text_of(value) == "true"
}

/// `aws`, `aws-cn` or `aws-us-gov`.
pub(crate) fn partition(region: &str) -> &'static str {
    match region {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// `amazonaws.com`, with `.cn` in China.
pub(crate) fn dns_suffix(region: &str) -> &'static str {
    if partition(region) == "aws-cn" {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        Scope {
            account: "123456789012".into(),
            region: "eu-west-1".into(),
            stack_name: "s".into(),
            stack_id: "arn:s".into(),
            exports: BTreeMap::from([("net".to_owned(), "vpc-1".to_owned())]),
        }
    }

    fn evaluated(expression: Value) -> Result<Value, Wrong> {
        let body = json!({
            "Parameters": { "P": { "Type": "String" }, "L": { "Type": "CommaDelimitedList", "Default": "a,b" } },
            "Conditions": { "Is": { "Fn::Equals": [{ "Ref": "P" }, "v"] }, "Not": { "Fn::Not": [{ "Condition": "Is" }] } },
            "Mappings": { "M": { "eu-west-1": { "x": 7 } } },
            "Resources": { "R": { "Type": "T" } },
        });
        let template = Template::read(&body.to_string()).unwrap();
        let scope = scope();
        let mut evaluation =
            Evaluation::new(&template, &scope, &[("P".to_owned(), "v".to_owned())]).unwrap();
        let attributes = Map::from_iter([("Arn".to_owned(), json!("arn:r"))]);
        evaluation.known.insert(
            "R".to_owned(),
            Identity {
                reference: "r-1".to_owned(),
                attributes,
            },
        );
        evaluation.value(&expression)
    }

    #[test]
    fn functions_come_to_what_cloudformation_says() {
        for (expression, expected) in [
            (json!({ "Ref": "P" }), json!("v")),
            (json!({ "Ref": "L" }), json!(["a", "b"])),
            (json!({ "Ref": "R" }), json!("r-1")),
            (json!({ "Fn::GetAtt": ["R", "Arn"] }), json!("arn:r")),
            (
                json!({ "Fn::Sub": "${R.Arn}/${P}/${AWS::AccountId}/${!P}" }),
                json!("arn:r/v/123456789012/${P}"),
            ),
            (
                json!({ "Fn::Sub": ["${x}", { "x": { "Ref": "R" } }] }),
                json!("r-1"),
            ),
            (json!({ "Fn::If": ["Is", 1, 2] }), json!(1)),
            (
                json!([{ "Fn::If": ["Not", 1, { "Ref": "AWS::NoValue" }] }, 3]),
                json!([3]),
            ),
            (
                json!({ "a": { "Ref": "AWS::NoValue" }, "b": 1 }),
                json!({ "b": 1 }),
            ),
            (
                json!({ "Fn::Select": ["1", { "Fn::Split": [":", "a:b"] }] }),
                json!("b"),
            ),
            (
                json!({ "Fn::FindInMap": ["M", { "Ref": "AWS::Region" }, "x"] }),
                json!(7),
            ),
            (
                json!({ "Fn::ImportValue": { "Fn::Sub": "net" } }),
                json!("vpc-1"),
            ),
            (
                json!({ "Fn::Join": ["-", ["a", 1, true]] }),
                json!("a-1-true"),
            ),
            (
                json!({ "Fn::Or": [{ "Condition": "Not" }, { "Fn::Equals": [true, "true"] }] }),
                json!(true),
            ),
        ] {
            assert_eq!(evaluated(expression.clone()), Ok(expected), "{expression}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(
            evaluated(json!({ "Fn::ImportValue": "nothing" })),
            Err("No export named nothing found.".to_owned())
        );
        assert!(
            evaluated(json!({ "Ref": "Nobody" }))
                .unwrap_err()
                .contains("[Nobody]")
        );
    }
}
