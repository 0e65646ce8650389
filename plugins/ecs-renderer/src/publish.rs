//! `publish`: topics others can subscribe to.

use crate::cfn;
use crate::cfn::{Value, logical_id, reference, resource, sub};
use crate::diagnostic::Findings;
use crate::iam::{allow, document, policy};
use crate::schema::{Object, Shape};
use crate::scope::Scope;
use crate::stack::Stack;
use crate::yaml::{At, Node, Span};
use std::collections::BTreeMap;

/// Keys of `publish`.
pub(crate) const SHAPE: Shape = Shape::Object(&Object {
    fields: &[(
        "topics",
        Shape::List(&Shape::Object(&Object {
            fields: &[
                ("name", Shape::Text),
                (
                    "fifo",
                    Shape::Either(
                        &[
                            Shape::Boolean,
                            Shape::Object(&Object {
                                fields: &[("content_based_deduplication", Shape::Boolean)],
                                exclusive: &[],
                            }),
                        ],
                        "true, false or a map with `content_based_deduplication`",
                    ),
                ),
            ],
            exclusive: &[],
        })),
    )],
    exclusive: &[],
});

/// A topic.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    name: String,
    fifo: bool,
    content_based_deduplication: Option<At<bool>>,
    span: Span,
}

/// Checks a topic's name; `None` after a finding.
pub(crate) fn topic_name(topic: &Node, path: &str, findings: &mut Findings) -> Option<At<String>> {
    let Some(name) = topic.text_at("name").filter(|n| !n.value.is_empty()) else {
        findings.error(
            topic.span,
            format!("`{path}.name` must be specified"),
            "give the topic a name",
        );
        return None;
    };
    if !name
        .value
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    {
        findings.error(
            name.span,
            format!("`{path}.name` cannot be `{}`", name.value),
            "a topic name holds letters, digits, dashes and underscores",
        );
    }
    Some(name)
}

/// Reads and checks the section.
pub(crate) fn read(root: &Node, findings: &mut Findings) -> Vec<Topic> {
    let topics = root
        .get("publish")
        .map_or(&[][..], |p| p.items_at("topics"));
    topics
        .iter()
        .enumerate()
        .filter_map(|(i, topic)| {
            let name = topic_name(topic, &format!("publish.topics[{i}]"), findings)?;
            let fifo = topic.get("fifo");
            Some(Topic {
                name: name.value,
                fifo: fifo.is_some_and(|f| {
                    f.boolean() == Some(true) || f.entries().is_some_and(|e| !e.is_empty())
                }),
                content_based_deduplication: fifo
                    .and_then(|f| f.boolean_at("content_based_deduplication")),
                span: name.span,
            })
        })
        .collect()
}

impl Topic {
    fn full_name(&self) -> String {
        format!("{}{}", self.name, if self.fifo { ".fifo" } else { "" })
    }

    fn id(&self) -> String {
        format!("{}SNSTopic", logical_id(&self.full_name()))
    }
}

/// The value of `COPILOT_SNS_TOPIC_ARNS`.
pub(crate) fn variable(topics: &[Topic], scope: &Scope<'_>) -> Value {
    if topics.is_empty() {
        return Value::Absent;
    }
    let environment = &scope.facts.environment;
    let arns: BTreeMap<String, String> = topics
        .iter()
        .map(|topic| {
            let name = topic.full_name();
            let arn = format!(
                "arn:{}:sns:{}:{}:{}-{}-{}-{name}",
                scope.facts.partition(),
                environment.region,
                environment.account_id,
                scope.app(),
                scope.environment(),
                scope.name
            );
            (name, arn)
        })
        .collect();
    let json = serde_json::to_string(&arns).unwrap_or_default();
    cfn!({ "Name": "COPILOT_SNS_TOPIC_ARNS", "Value": (json) })
}

/// The policy that lets the workload publish.
pub(crate) fn publish_policy(topics: &[Topic]) -> Value {
    if topics.is_empty() {
        return Value::Absent;
    }
    let ids = topics
        .iter()
        .map(|t| reference(t.id()).at(t.span))
        .collect();
    policy(
        "Publish2SNS",
        vec![allow("sns:Publish".into(), Value::List(ids))],
    )
}

/// Adds the topics.
pub(crate) fn render(topics: &[Topic], stack: &mut Stack) {
    for topic in topics {
        let id = topic.id();
        stack.resource(
            id.clone(),
            resource(
                "AWS::SNS::Topic",
                format!("The topic {}", topic.full_name()),
            )
            .properties(cfn!({
                "TopicName": (sub(format!("${{AWS::StackName}}-{}", topic.full_name()))),
                "FifoTopic": (topic.fifo.then_some(true)),
                "ContentBasedDeduplication": (topic.content_based_deduplication.as_ref()),
                "KmsMasterKeyId": "alias/aws/sns",
            }))
            .at(topic.span),
        );
        let statement = cfn!({
            "Effect": "Allow",
            "Principal": { "AWS": (sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:root")) },
            "Action": ["sns:Subscribe"],
            "Resource": (reference(id.clone())),
            "Condition": { "StringEquals": { "sns:Protocol": "sqs" } },
        });
        stack.resource(
            format!("{id}Policy"),
            resource("AWS::SNS::TopicPolicy", "")
                .depends_on(id.clone())
                .properties(cfn!({
                    "Topics": [(reference(id))],
                    "PolicyDocument": (document(vec![statement])),
                })),
        );
    }
}
