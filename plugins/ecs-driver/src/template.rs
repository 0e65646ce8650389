//! The little of a template that a deploy must know: its resources in words, its version, and the mark by which a
//! scaling service is asked for its number of tasks. What the rest means is CloudFormation's to say.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser};

/// A template takes no more nesting than that.
const DEEPEST: usize = 96;
/// Templates are up to 1 MiB; what is larger is not looked at.
const LARGEST: usize = 4 << 20;

/// What a template says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    /// `Metadata.Version`
    pub version: Option<String>,
    /// By logical id.
    pub resources: BTreeMap<String, Resource>,
    /// `DynamicDesiredCountAction`'s `UpdateID`: new for every deploy, and of no meaning.
    pub update_id: Option<String>,
}

/// A resource of a template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    /// `AWS::ECS::Service`
    pub kind: String,
    /// `Metadata['aws:copilot:description']`: what people call it.
    pub description: Option<String>,
}

impl Template {
    /// Reads YAML or JSON. A text that is no template says nothing.
    pub fn read(text: &str) -> Self {
        let mut template = Self::default();
        if text.len() <= LARGEST {
            for (path, value) in scalars(text) {
                template.take(&path, value);
            }
        }
        template
    }

    fn take(&mut self, path: &[String], value: String) {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match path.as_slice() {
            ["Metadata", "Version"] => self.version = Some(value),
            ["Resources", id, "Type"] => self.resource(id).kind = value,
            ["Resources", id, "Metadata", "aws:copilot:description"] => {
                // A description without a word is none.
                self.resource(id).description = Some(value).filter(|text| !text.trim().is_empty());
            }
            [
                "Resources",
                "DynamicDesiredCountAction",
                "Properties",
                "UpdateID",
            ] => self.update_id = Some(value),
            _ => {}
        }
    }

    fn resource(&mut self, id: &str) -> &mut Resource {
        self.resources.entry(id.to_owned()).or_default()
    }

    /// Logical id of the service: ECS's, else App Runner's.
    pub fn service(&self) -> Option<&str> {
        let of = |kind: &str| {
            let mut found = self.resources.iter();
            found.find(|(_, resource)| resource.kind == kind)
        };
        of("AWS::ECS::Service")
            .or_else(|| of("AWS::AppRunner::Service"))
            .map(|(id, _)| id.as_str())
    }
}

/// A container that is being read.
enum Open {
    /// A mapping, and its key that waits for a value.
    Map(Option<String>),
    List,
}

/// Every text below mappings alone, with the keys that lead to it. What stands in lists is left out.
fn scalars(text: &str) -> Vec<(Vec<String>, String)> {
    let mut found = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let Ok((event, _)) = event else { break };
        match event {
            Event::MappingStart(..) => open.push(Open::Map(None)),
            Event::SequenceStart(..) => open.push(Open::List),
            Event::MappingEnd | Event::SequenceEnd => {
                open.pop();
                ended(&mut open);
            }
            Event::Scalar(value, ..) => {
                if let Some(Open::Map(key @ None)) = open.last_mut() {
                    *key = Some(value.to_string());
                    continue;
                }
                if let Some(path) = path(&open) {
                    found.push((path, value.to_string()));
                }
                ended(&mut open);
            }
            Event::Alias(_) => ended(&mut open),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {}
        }
        if open.len() > DEEPEST {
            break;
        }
    }
    found
}

/// A value ended: the key before it has what it waited for.
fn ended(open: &mut [Open]) {
    if let Some(Open::Map(key)) = open.last_mut() {
        *key = None;
    }
}

fn path(open: &[Open]) -> Option<Vec<String>> {
    open.iter()
        .map(|one| match one {
            Open::Map(key) => key.clone(),
            Open::List => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = r#"# a comment
AWSTemplateFormatVersion: 2010-09-09
Metadata:
  Version: v1.34.0
  Manifest: |
    name: api
    Resources:
      Fake: {Type: X}
Resources:
  Service:
    Metadata:
      'aws:copilot:description': 'An ECS service to run your tasks'
    Type: AWS::ECS::Service
    Properties:
      Tags: [{Key: a, Value: b}]
      Type: not a resource
  DynamicDesiredCountAction:
    Metadata:
      'aws:copilot:description': " "
    Type: Custom::DynamicDesiredCountFunction
    Properties:
      ServiceToken: !GetAtt F.Arn
      UpdateID: 7f8
"#;

    #[test]
    fn a_template_tells_its_version_its_resources_and_its_mark() {
        let template = Template::read(TEMPLATE);
        assert_eq!(template.version.as_deref(), Some("v1.34.0"));
        assert_eq!(template.update_id.as_deref(), Some("7f8"));
        assert_eq!(template.resources.len(), 2);
        assert_eq!(
            template.resources["Service"],
            Resource {
                kind: "AWS::ECS::Service".to_owned(),
                description: Some("An ECS service to run your tasks".to_owned()),
            }
        );
        assert_eq!(
            template.resources["DynamicDesiredCountAction"].description,
            None
        );
        assert_eq!(template.service(), Some("Service"));
        assert_eq!(
            Template::read("{\"Metadata\":{\"Version\":\"v2.0.0\"}}")
                .version
                .as_deref(),
            Some("v2.0.0")
        );
        assert_eq!(Template::read(": : ["), Template::default());
        let deep = "[".repeat(10_000);
        assert_eq!(Template::read(&deep), Template::default());
    }
}
