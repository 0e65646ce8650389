//! What an existing stack keeps: texts that only people read, and the code of functions that did not change.
//!
//! Our sentences are not Copilot's. Without this the first plan of a stack that Copilot made would change a description in every
//! resource, and replace each security group, whose description cannot change. So texts stay as they are deployed, wherever a
//! resource stays what it is; a new stack gets ours.

use crate::cfn::Value;
use crate::yaml::{self, Node};
use custom_resources::{Deployed, functions};
use serde_json::Value as Json;

/// Properties that describe their resource, by its type.
const TEXTS: &[(&str, &str)] = &[
    ("AWS::CloudFront::Function", "FunctionConfig.Comment"),
    ("AWS::CloudWatch::Alarm", "AlarmDescription"),
    // Cannot change: CloudFormation would replace the group.
    ("AWS::EC2::SecurityGroup", "GroupDescription"),
    ("AWS::EC2::SecurityGroupIngress", "Description"),
    ("AWS::Route53::RecordSetGroup", "Comment"),
    ("AWS::ServiceDiscovery::Service", "Description"),
    ("AWS::StepFunctions::StateMachine", "Definition.Comment"),
];

/// The first line of every version of our own viewer function.
pub(crate) const OUR_VIEWER_FUNCTION: &str = "// plimsoll: ";

/// Lets `template` keep what `deployed` has; `workload` is the manifest's `type`.
pub(crate) fn keep(template: &mut Value, deployed: &Node, workload: &str) {
    keep_text(template, deployed, "Description");
    for section in ["Parameters", "Outputs"] {
        each(template, deployed, section, |_, ours, theirs| {
            keep_text(ours, theirs, "Description");
        });
    }
    each(template, deployed, "Resources", |id, ours, theirs| {
        let kind = ours.get("Type").and_then(Value::as_text).map(str::to_owned);
        let Some(kind) = kind.filter(|kind| text(theirs, "Type") == Some(kind)) else {
            return;
        };
        keep_resource_descriptions(ours, theirs);
        let (Some(ours), Some(theirs)) = (ours.get_mut("Properties"), theirs.get("Properties"))
        else {
            return;
        };
        if let Some((_, path)) = TEXTS.iter().find(|(of, _)| *of == kind) {
            keep_path(ours, theirs, path);
        }
        match kind.as_str() {
            "AWS::Lambda::Function" => keep_code(id, ours, theirs, workload),
            "AWS::CloudFront::Function" => keep_viewer_function(ours, theirs),
            "AWS::StepFunctions::StateMachine" => keep_definition(ours, theirs),
            "AWS::EC2::SecurityGroup" => keep_rules(ours, theirs),
            _ => {}
        }
    });
}

/// Where a template differs at every render.
const MARKS: [&str; 2] = [
    "Metadata.Version",
    "Resources.DynamicDesiredCountAction.Properties.UpdateID",
];

/// Lets a template that is otherwise the deployed one keep its version and its random id: then there is nothing to do.
/// Whatever changes gets new ones: the number of tasks is looked up anew.
pub(crate) fn keep_marks(template: &mut Value, deployed: &Node) {
    let mut marked = template.clone();
    for path in MARKS {
        if let Some((path, key)) = path.rsplit_once('.') {
            let ours = path
                .split('.')
                .try_fold(&mut marked, |at, key| at.get_mut(key));
            let theirs = path.split('.').try_fold(deployed, |at, key| at.get(key));
            if let (Some(ours), Some(theirs)) = (ours, theirs) {
                keep_text(ours, theirs, key);
            }
        }
    }
    let mut theirs = canonical(&Value::from_node(deployed));
    let mut ours = canonical(&marked);
    for side in [&mut ours, &mut theirs] {
        // What a manifest says in a comment changes nothing.
        if let Some(metadata) = side.get_mut("Metadata").and_then(Json::as_object_mut) {
            metadata.remove("Manifest");
        }
    }
    if ours == theirs {
        *template = marked;
    }
}

/// The addons' template as it is deployed, if ours says the same: it is called after its text, which is another tool's.
pub(crate) fn keep_addons(ours: String, deployed: Option<&str>) -> String {
    let meaning = |text: &str| Some(canonical(&Value::from_node(&yaml::parse(text, 0).ok()?)));
    match deployed {
        Some(theirs) if meaning(theirs) == meaning(&ours) => theirs.to_owned(),
        Some(_) | None => ours,
    }
}

/// A template in one form: long intrinsics, texts without their quotes, no order of keys.
fn canonical(value: &Value) -> Json {
    let attribute = |body: Json| match body.as_str().and_then(|text| text.split_once('.')) {
        Some((resource, name)) => Json::from(vec![resource, name]),
        None => body,
    };
    match value.bare() {
        Value::Raw(text) | Value::Text(text) => Json::from(text.as_ref()),
        Value::List(items) => Json::Array(items.iter().map(canonical).collect()),
        Value::Map(entries) => {
            let entry = |(key, value): &(std::borrow::Cow<'static, str>, Value)| {
                let body = canonical(value);
                let body = match key.as_ref() {
                    "Fn::GetAtt" => attribute(body),
                    _ => body,
                };
                (key.to_string(), body)
            };
            Json::Object(entries.iter().map(entry).collect())
        }
        Value::Call(name, body) => {
            let body = canonical(body);
            let (key, body) = match name.as_ref() {
                "Ref" | "Condition" => (name.to_string(), body),
                "GetAtt" => ("Fn::GetAtt".to_owned(), attribute(body)),
                name => (format!("Fn::{name}"), body),
            };
            Json::Object([(key, body)].into_iter().collect())
        }
        Value::Absent | Value::From(..) => Json::Null,
    }
}

/// Calls `with` for the entries that both have in a section.
fn each(
    template: &mut Value,
    deployed: &Node,
    section: &str,
    mut with: impl FnMut(&str, &mut Value, &Node),
) {
    let Some(Value::Map(entries)) = template.get_mut(section).map(Value::bare_mut) else {
        return;
    };
    for (name, ours) in entries {
        if let Some(theirs) = deployed.get(section).and_then(|s| s.get(name)) {
            with(name, ours, theirs);
        }
    }
}

/// The entry `key` as deployed: another text, one that we would not write, or none at all.
fn keep_text(ours: &mut Value, theirs: &Node, key: &str) {
    let Value::Map(entries) = ours.bare_mut() else {
        return;
    };
    let place = entries.iter().position(|(k, _)| k == key);
    match (place, theirs.get(key).map(Value::from_node)) {
        (Some(place), Some(text)) => entries[place].1 = text,
        (Some(place), None) => drop(entries.remove(place)),
        (None, Some(text)) => entries.insert(0, (key.to_owned().into(), text)),
        (None, None) => {}
    }
}

/// The same at a dotted path, as far as both have it.
fn keep_path(ours: &mut Value, theirs: &Node, path: &str) {
    match path.split_once('.') {
        None => keep_text(ours, theirs, path),
        Some((key, rest)) => {
            if let (Some(ours), Some(theirs)) = (ours.get_mut(key), theirs.get(key)) {
                keep_path(ours, theirs, rest);
            }
        }
    }
}

/// `Metadata`, which holds nothing but what progress displays call the resource.
fn keep_resource_descriptions(ours: &mut Value, theirs: &Node) {
    let entries = theirs.get("Metadata").and_then(Node::entries);
    let described = |key: &str| key.ends_with(":description");
    if entries.is_none_or(|entries| entries.iter().all(|(key, _)| described(&key.text))) {
        keep_text(ours, theirs, "Metadata");
    }
}

/// The rules of a group, if they are as many: their descriptions.
fn keep_rules(ours: &mut Value, theirs: &Node) {
    let rules = ours.get_mut("SecurityGroupIngress").map(Value::bare_mut);
    if let (Some(Value::List(ours)), theirs) = (rules, theirs.items_at("SecurityGroupIngress"))
        && ours.len() == theirs.len()
    {
        for (ours, theirs) in ours.iter_mut().zip(theirs) {
            keep_text(ours, theirs, "Description");
        }
    }
}

/// A state machine that is a JSON text: the deployed text, if nothing but its comment differs.
fn keep_definition(ours: &mut Value, theirs: &Node) {
    let meaning = |text: &str| {
        let mut machine: Json = serde_json::from_str(text).ok()?;
        machine.as_object_mut()?.remove("Comment");
        Some(machine)
    };
    let deployed = text(theirs, "DefinitionString");
    if let (Some(ours), Some(theirs)) = (ours.get_mut("DefinitionString"), deployed)
        && let (Some(old), Some(new)) = (meaning(theirs), ours.as_text().and_then(meaning))
        && old == new
    {
        *ours.bare_mut() = Value::from(theirs.to_owned());
    }
}

/// The code that CloudFront runs stands in the template. Code of another maker does what ours does, and stays.
fn keep_viewer_function(ours: &mut Value, theirs: &Node) {
    let is_ours = |code: &str| code.starts_with(OUR_VIEWER_FUNCTION);
    if text(theirs, "FunctionCode").is_some_and(|code| !is_ours(code)) {
        keep_text(ours, theirs, "FunctionCode");
    }
}

/// The code of a Lambda function, by the rule of [`Deployed::stays`].
fn keep_code(id: &str, ours: &mut Value, theirs: &Node, workload: &str) {
    let key = theirs.get("Code").and_then(|code| text(code, "S3Key"));
    let deployed = Deployed {
        key: key.unwrap_or_default(),
        handler: text(theirs, "Handler").unwrap_or_default(),
        runtime: text(theirs, "Runtime").unwrap_or_default(),
    };
    let function = functions(workload).iter().find(|f| f.id == id);
    if key.is_some() && function.is_some_and(|function| deployed.stays(function)) {
        keep_text(ours, theirs, "Code");
    }
}

/// The text under a key, quoted or not.
fn text<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    node.get(key)?.scalar().map(|scalar| scalar.text.as_str())
}
