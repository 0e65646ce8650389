//! Addons: the user's own CloudFormation beside the workload, merged into one nested stack.

pub(crate) mod assets;

use crate::cfn;
use crate::cfn::{Map, Value, attribute, print, reference, resource};
use crate::diagnostic::{Findings, Sources, code};
use crate::facts::Facts;
use crate::patches::File;
use crate::stack::Stack;
use crate::yaml::{self, Node, Span};
use std::collections::BTreeSet;

const PARAMETERS_FILES: [&str; 2] = ["addons.parameters.yml", "addons.parameters.yaml"];
const RESERVED: [&str; 3] = ["App", "Env", "Name"];
const SECTIONS: [&str; 7] = [
    "Metadata",
    "Parameters",
    "Mappings",
    "Conditions",
    "Transform",
    "Resources",
    "Outputs",
];

/// The addons of a workload; empty without any.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addons {
    template: Option<Map>,
    extra_parameters: Map,
    outputs: Vec<Output>,
    /// Files and folders of the project, in whose place an object of S3 was put.
    uploads: Vec<assets::Upload>,
}

/// An output of the addons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    /// Its name.
    pub(crate) name: String,
    kind: OutputKind,
}

/// What the workload does with an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OutputKind {
    /// A secret: into the container's secrets.
    Secret,
    /// A managed policy: onto the task's role.
    Policy,
    /// A security group: onto the tasks, and a variable.
    SecurityGroup,
    /// Anything else: a variable.
    Variable,
}

impl Output {
    /// `!GetAtt AddonsStack.Outputs.<name>`.
    pub(crate) fn value(&self) -> Value {
        attribute("AddonsStack", &format!("Outputs.{}", self.name))
    }

    /// The name of the variable that carries it.
    pub(crate) fn variable(&self) -> String {
        snake_case(&self.name)
    }
}

impl Addons {
    /// Merges the addon files, and reads what their parameters are given. Only what is deployed refers to uploads.
    pub(crate) fn read(
        files: &[File],
        workload: &str,
        facts: &Facts,
        sources: &mut Sources,
        findings: &mut Findings,
    ) -> Addons {
        let (given, templates) = told_apart(files);
        let mut merged = Merge::default();
        let mut uploads = Vec::new();
        for file in templates {
            let Some(node) = read_file(file, sources, findings) else {
                continue;
            };
            if facts.deployment.is_none() {
                merged.add(&node, findings);
                continue;
            }
            let (node, more) = assets::packaged(&node, workload, facts, findings);
            uploads.extend(more);
            merged.add(&node, findings);
        }
        if merged.first.is_none() {
            if let Some(file) = given.first() {
                let span = Span {
                    file: sources.add(&file.path, &file.text),
                    line: 1,
                    column: 1,
                    length: 1,
                };
                findings.coded(code::ADDON).warn(
                    span,
                    format!("{} has no effect without an addon template", file.path),
                    "",
                );
            }
            return Addons::default();
        }
        let given = given.first().and_then(|file| {
            let node = read_file(file, sources, findings)?;
            Some(node)
        });
        let extra_parameters = merged.parameters(given.as_ref(), findings);
        let outputs = merged.outputs();
        Addons {
            extra_parameters,
            outputs,
            uploads,
            template: Some(merged.template()),
        }
    }

    /// What has to be uploaded before the addons are deployed.
    pub(crate) fn uploads(&self) -> &[assets::Upload] {
        &self.uploads
    }

    /// The text of the merged template.
    pub(crate) fn text(&self) -> Option<String> {
        self.template
            .as_ref()
            .map(|map| print::yaml(&Value::Map(map.clone())))
    }

    fn of(&self, kind: OutputKind) -> impl Iterator<Item = &Output> {
        self.outputs.iter().filter(move |o| o.kind == kind)
    }

    /// Security groups for the tasks.
    pub(crate) fn security_groups(&self) -> impl Iterator<Item = &Output> {
        self.of(OutputKind::SecurityGroup)
    }

    /// Policies for the task's role.
    pub(crate) fn policies(&self) -> Vec<Value> {
        self.of(OutputKind::Policy).map(Output::value).collect()
    }

    /// Secrets for the container.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &Output> {
        self.of(OutputKind::Secret)
    }

    /// Variables for the containers: plain outputs, then security groups.
    pub(crate) fn variables(&self) -> Vec<Value> {
        self.of(OutputKind::Variable)
            .chain(self.security_groups())
            .map(|o| cfn!({ "Name": (o.variable()), "Value": (o.value()) }))
            .collect()
    }

    /// Adds the nested stack, which exists if a template was uploaded.
    pub(crate) fn render(&self, depends_on: Value, stack: &mut Stack) {
        let mut parameters: Map = vec![
            ("App".into(), reference("AppName")),
            ("Env".into(), reference("EnvName")),
            ("Name".into(), reference("WorkloadName")),
        ];
        parameters.extend(self.extra_parameters.iter().cloned());
        stack.resource(
            "AddonsStack",
            resource("AWS::CloudFormation::Stack", "The workload's own resources")
                .condition("HasAddons")
                .depends_on(depends_on)
                .properties(cfn!({
                    "Parameters": (Value::Map(parameters)),
                    "TemplateURL": (reference("AddonsTemplateURL")),
                })),
        );
    }
}

/// Paths of the project that addons name where an object of S3 has to be. Files that can't be read name none.
pub(crate) fn assets_of(files: &[File]) -> BTreeSet<String> {
    let (_, templates) = told_apart(files);
    let read = templates
        .into_iter()
        .filter_map(|file| yaml::parse(&file.text, 0).ok());
    read.flat_map(|template| assets::named(&template)).collect()
}

/// What parameters are given, and the templates, sorted.
fn told_apart(files: &[File]) -> (Vec<&File>, Vec<&File>) {
    let is_yaml = |f: &&File| f.path.ends_with(".yml") || f.path.ends_with(".yaml");
    let mut files: Vec<&File> = files.iter().filter(is_yaml).collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
        .into_iter()
        .partition(|f| PARAMETERS_FILES.contains(&f.name()))
}

fn read_file(file: &File, sources: &mut Sources, findings: &mut Findings) -> Option<Node> {
    let number = sources.add(&file.path, &file.text);
    match yaml::parse(&file.text, number) {
        Ok(node) if node.entries().is_some() => Some(node),
        Ok(node) => {
            findings.coded(code::ADDON).error(
                node.span,
                format!("{} must be a map", file.path),
                "an addon is a CloudFormation template",
            );
            None
        }
        Err(error) => {
            findings.coded(code::ADDON).error(
                error.span,
                format!("{} is not YAML: {}", file.path, error.message),
                "",
            );
            None
        }
    }
}

/// A key of a section, where it stands, and its value.
type Entry = (String, Span, Value);

/// Templates becoming one.
#[derive(Default)]
struct Merge {
    sections: Vec<(String, Vec<Entry>)>,
    first: Option<Span>,
}

impl Merge {
    fn add(&mut self, template: &Node, findings: &mut Findings) {
        self.first.get_or_insert(template.span);
        for (key, section) in template.entries().unwrap_or_default() {
            if !SECTIONS.contains(&key.text.as_str()) {
                continue;
            }
            let Some(entries) = section.entries() else {
                if !section.is_null() {
                    self.put(
                        &key.text,
                        String::new(),
                        section.span,
                        Value::from_node(section),
                        findings,
                    );
                }
                continue;
            };
            for (name, value) in entries {
                self.put(
                    &key.text,
                    name.text.clone(),
                    name.span,
                    Value::from_node(value),
                    findings,
                );
            }
        }
    }

    fn put(
        &mut self,
        section: &str,
        name: String,
        span: Span,
        value: Value,
        findings: &mut Findings,
    ) {
        let index = match self.sections.iter().position(|(s, _)| s == section) {
            Some(index) => index,
            None => {
                self.sections.push((section.to_owned(), Vec::new()));
                self.sections.len() - 1
            }
        };
        let entries = &mut self.sections[index].1;
        match entries.iter().find(|(n, _, _)| *n == name) {
            Some((_, _, held)) if *held == value => {}
            Some(_) => findings.coded(code::ADDON).error(
                span,
                format!("addons define `{section}.{name}` twice, and differently"),
                "rename one of them",
            ),
            None => entries.push((name, span, value)),
        }
    }

    fn section(&self, name: &str) -> &[Entry] {
        self.sections
            .iter()
            .find(|(s, _)| s == name)
            .map(|(_, e)| e.as_slice())
            .unwrap_or_default()
    }

    /// Values for parameters that are not the three every addon has.
    fn parameters(&self, given: Option<&Node>, findings: &mut Findings) -> Map {
        let declared = self.section("Parameters");
        let top = self.first.unwrap_or_default();
        for name in RESERVED {
            if !declared.iter().any(|(n, _, _)| n == name) {
                findings.coded(code::ADDON).error(
                    top,
                    format!("addons must declare the parameter `{name}`"),
                    format!("add `{name}: {{Type: String}}` below Parameters"),
                );
            }
        }
        let values = given.map_or(&[][..], |g| {
            g.get("Parameters")
                .and_then(Node::entries)
                .unwrap_or_default()
        });
        if let Some(given) = given.filter(|g| g.get("Parameters").is_none()) {
            findings.coded(code::ADDON).error(
                given.span,
                "addons.parameters.yml must have a `Parameters` map",
                "write `Parameters:` above the values",
            );
        }
        for (key, _) in values {
            if RESERVED.contains(&key.text.as_str()) {
                findings.coded(code::ADDON).error(
                    key.span,
                    format!(
                        "addons.parameters.yml sets the reserved parameter `{}`",
                        key.text
                    ),
                    "App, Env and Name are filled in for you; remove the line",
                );
            } else if !declared.iter().any(|(n, _, _)| *n == key.text) {
                findings.coded(code::ADDON).warn(
                    key.span,
                    format!(
                        "addons.parameters.yml sets `{}`, which no addon declares",
                        key.text
                    ),
                    "CloudFormation refuses unknown parameters; declare it or remove the line",
                );
            }
        }
        for (name, span, declaration) in declared {
            let known =
                RESERVED.contains(&name.as_str()) || values.iter().any(|(k, _)| k.text == *name);
            if !known && declaration.get("Default").is_none() {
                findings.coded(code::ADDON).error(
                    *span,
                    format!("the addon parameter `{name}` has no value"),
                    "set it below `Parameters:` in addons.parameters.yml, or give it a Default",
                );
            }
        }
        values
            .iter()
            .filter(|(k, _)| !RESERVED.contains(&k.text.as_str()))
            .map(|(k, v)| (k.text.clone().into(), Value::from_node(v)))
            .collect()
    }

    /// Outputs by what their value refers to, sorted by name.
    fn outputs(&self) -> Vec<Output> {
        let resources = self.section("Resources");
        let mut outputs: Vec<Output> = self
            .section("Outputs")
            .iter()
            .map(|(name, _, output)| {
                let target = output.get("Value").and_then(referred);
                let kind = target
                    .and_then(|t| resources.iter().find(|(n, _, _)| *n == t))
                    .and_then(|(_, _, r)| r.get("Type"))
                    .and_then(Value::as_text);
                let kind = match kind {
                    Some("AWS::SecretsManager::Secret") => OutputKind::Secret,
                    Some("AWS::IAM::ManagedPolicy") => OutputKind::Policy,
                    Some("AWS::EC2::SecurityGroup") => OutputKind::SecurityGroup,
                    Some(_) | None => OutputKind::Variable,
                };
                Output {
                    name: name.clone(),
                    kind,
                }
            })
            .collect();
        outputs.sort_by(|a, b| a.name.cmp(&b.name));
        outputs
    }

    fn template(self) -> Map {
        let mut sections = self.sections;
        sections.sort_by_key(|(name, _)| SECTIONS.iter().position(|s| s == name));
        sections
            .into_iter()
            .map(|(name, entries)| {
                let value = match entries.as_slice() {
                    [(key, _, value)] if key.is_empty() => value.clone(),
                    _ => Value::Map(entries.into_iter().map(|(k, _, v)| (k.into(), v)).collect()),
                };
                (name.into(), value)
            })
            .collect()
    }
}

/// The logical id of `!Ref`, in either form.
fn referred(value: &Value) -> Option<String> {
    match value.bare() {
        Value::Call(name, argument) if name == "Ref" => argument.as_text().map(str::to_owned),
        Value::Map(entries) => match entries.as_slice() {
            [(key, target)] if key == "Ref" => target.as_text().map(str::to_owned),
            _ => None,
        },
        Value::Absent
        | Value::Raw(_)
        | Value::Text(_)
        | Value::List(_)
        | Value::Call(..)
        | Value::From(..) => None,
    }
}

/// `BucketName` → `BUCKET_NAME`: a word ends before a capital that follows a small letter or digit, or that begins a new
/// capitalised word.
fn snake_case(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (i, c) in characters.iter().enumerate() {
        if i > 0 && c.is_ascii_uppercase() {
            let after_small =
                characters[i - 1].is_ascii_lowercase() || characters[i - 1].is_ascii_digit();
            let begins_word = characters.get(i + 1).is_some_and(char::is_ascii_lowercase);
            if after_small || begins_word {
                out.push('_');
            }
        }
        out.push(c.to_ascii_uppercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_become_variable_names() {
        for (output, variable) in [
            ("BucketName", "BUCKET_NAME"),
            ("mySecret", "MY_SECRET"),
            ("HTTPURLFoo", "HTTPURL_FOO"),
            ("S3Bucket", "S3_BUCKET"),
            ("ID", "ID"),
        ] {
            assert_eq!(snake_case(output), variable);
        }
    }
}
