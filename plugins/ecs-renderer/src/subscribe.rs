//! `subscribe`: a worker's queues and what flows into them.

mod backlog;
mod queue;

use crate::cfn;
use crate::cfn::{Value, attribute, join, logical_id, reference, resource, sub, sub_with};
use crate::diagnostic::Findings;
use crate::publish::topic_name;
use crate::schema::{Object, Shape};
use crate::scope::Scope;
use crate::stack::Stack;
use crate::yaml::{Data, Node, Span};
use queue::{QUEUE, Queue};
use std::collections::BTreeMap;

/// Keys of `subscribe`.
pub(crate) const SHAPE: Shape = Shape::Object(&Object {
    fields: &[
        (
            "topics",
            Shape::List(&Shape::Object(&Object {
                fields: &[
                    ("name", Shape::Text),
                    ("service", Shape::Text),
                    ("filter_policy", Shape::Map(&Shape::Any)),
                    (
                        "queue",
                        Shape::Either(
                            &[Shape::Boolean, Shape::Object(&QUEUE)],
                            "true, false or a map",
                        ),
                    ),
                ],
                exclusive: &[],
            })),
        ),
        ("queue", Shape::Object(&QUEUE)),
    ],
    exclusive: &[],
});

/// The section.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subscribe {
    topics: Vec<Subscription>,
    queue: Queue,
}

#[derive(Clone, Debug)]
struct Subscription {
    name: String,
    service: String,
    filter: Option<Node>,
    queue: Option<Queue>,
    span: Span,
}

impl Subscribe {
    /// Reads and checks the section.
    pub(crate) fn read(root: &Node, scope: &Scope<'_>, findings: &mut Findings) -> Subscribe {
        let Some(subscribe) = root.get("subscribe") else {
            return Subscribe::default();
        };
        let queue = subscribe
            .get("queue")
            .map(|q| Queue::read(q, "subscribe.queue", findings))
            .unwrap_or_default();
        let topics: Vec<Subscription> = subscribe
            .items_at("topics")
            .iter()
            .enumerate()
            .filter_map(|(i, topic)| {
                Subscription::read(
                    topic,
                    &format!("subscribe.topics[{i}]"),
                    queue.fifo,
                    findings,
                )
            })
            .collect();
        if topics.is_empty() {
            if let Some(node) = subscribe.get("queue") {
                findings.warn(
                    node.span,
                    "`subscribe.queue` has no effect without `subscribe.topics`",
                    "add the topics to subscribe to",
                );
            }
            return Subscribe::default();
        }
        if scope.full_checks() {
            for topic in &topics {
                let name = format!(
                    "{}-{}-{}-{}",
                    scope.app(),
                    scope.environment(),
                    topic.service,
                    topic.name
                );
                let deployed = scope
                    .facts
                    .topics
                    .iter()
                    .any(|arn| arn.rsplit(':').next() == Some(&name));
                if !deployed {
                    findings.error(
                        topic.span,
                        format!("topic `{name}` is not deployed in the environment"),
                        format!(
                            "deploy service `{}` with `publish.topics` first",
                            topic.service
                        ),
                    );
                }
            }
        }
        Subscribe { topics, queue }
    }

    fn own_queues(&self) -> impl Iterator<Item = (&Subscription, &Queue)> {
        self.topics
            .iter()
            .filter_map(|t| t.queue.as_ref().map(|q| (t, q)))
    }

    /// Logical ids of all queues, the shared one first.
    pub(crate) fn queues(&self) -> Vec<String> {
        std::iter::once("EventsQueue".to_owned())
            .chain(self.own_queues().map(|(t, _)| t.queue_id()))
            .collect()
    }

    /// The variables that tell the container its queues.
    pub(crate) fn variables(&self) -> Vec<Value> {
        let mut variables =
            vec![cfn!({ "Name": "COPILOT_QUEUE_URI", "Value": (reference("EventsQueue")) })];
        let mut names = BTreeMap::new();
        let mut references = Vec::new();
        for (topic, _) in self.own_queues() {
            let url = format!("{}URL", topic.id());
            names.insert(topic.variable_key(), format!("${{{url}}}"));
            references.push((url.into(), reference(topic.queue_id())));
        }
        if !references.is_empty() {
            let json = serde_json::to_string(&names).unwrap_or_default();
            variables.push(cfn!({
                "Name": "COPILOT_TOPIC_QUEUE_URIS",
                "Value": (sub_with(json, Value::Map(references))),
            }));
        }
        variables
    }

    /// Adds the key, queues, policies and subscriptions.
    pub(crate) fn render(&self, stack: &mut Stack) {
        for topic in &self.topics {
            let queue = topic
                .queue
                .as_ref()
                .map_or_else(|| "EventsQueue".to_owned(), |_| topic.queue_id());
            stack.resource(
                format!("{}SNSTopicSubscription", topic.id()),
                resource(
                    "AWS::SNS::Subscription",
                    format!("The subscription to {} of {}", topic.name, topic.service),
                )
                .properties(cfn!({
                    "TopicArn": (topic.arn()),
                    "Protocol": "sqs",
                    "FilterPolicy": (topic.filter.as_ref().map(|f| filter_policy(f).at(f.span))),
                    "Endpoint": (attribute(&queue, "Arn")),
                }))
                .at(topic.span),
            );
        }
        stack.resource("EventsKMSKey", queue::key());
        self.queue.render("", stack);
        let shared: Vec<Value> = self
            .topics
            .iter()
            .filter(|t| t.queue.is_none())
            .map(|t| t.send("EventsQueue"))
            .collect();
        stack.resource("QueuePolicy", queue::queue_policy("EventsQueue", shared));
        for (topic, queue) in self.own_queues() {
            queue.render(&topic.id(), stack);
            let id = topic.queue_id();
            stack.resource(
                format!("{}QueuePolicy", topic.id()),
                queue::queue_policy(&id, vec![topic.send(&id)]),
            );
        }
    }
}

impl Subscription {
    fn read(
        topic: &Node,
        path: &str,
        default_fifo: bool,
        findings: &mut Findings,
    ) -> Option<Subscription> {
        let name = topic_name(topic, path, findings);
        let service = topic.text_at("service");
        match &service {
            None => findings.error(
                topic.span,
                format!("`{path}.service` must be specified"),
                "name the service that publishes the topic",
            ),
            Some(service) if !is_service_name(&service.value) => findings.error(
                service.span,
                format!("`{path}.service` cannot be `{}`, which is not a service name", service.value),
                "service names begin with a lower-case letter and hold letters, digits and single dashes",
            ),
            Some(_) => {}
        }
        let node = topic.get("queue");
        let queue = match node {
            Some(q) if q.boolean() == Some(true) => Some(Queue::plain(q.span)),
            Some(q) if q.entries().is_some() => {
                Some(Queue::read(q, &format!("{path}.queue"), findings))
            }
            Some(_) | None => None,
        };
        let fifo = queue.as_ref().map_or(default_fifo, |q| q.fifo);
        let name = name?;
        Some(Subscription {
            name: format!("{}{}", name.value, if fifo { ".fifo" } else { "" }),
            service: service?.value,
            filter: topic
                .get("filter_policy")
                .filter(|f| f.entries().is_some_and(|e| !e.is_empty()))
                .cloned(),
            queue,
            span: name.span,
        })
    }

    fn id(&self) -> String {
        format!("{}{}", logical_id(&self.service), logical_id(&self.name))
    }

    fn queue_id(&self) -> String {
        format!("{}EventsQueue", self.id())
    }

    /// The key in `COPILOT_TOPIC_QUEUE_URIS`: the topic's part begins with a capital.
    fn variable_key(&self) -> String {
        let topic = logical_id(&self.name);
        let mut characters = topic.chars();
        let first: String = characters
            .next()
            .map(|c| c.to_ascii_uppercase())
            .into_iter()
            .collect();
        format!(
            "{}{first}{}EventsQueue",
            logical_id(&self.service),
            characters.as_str()
        )
    }

    fn arn(&self) -> Value {
        join(
            "",
            vec![
                sub("arn:${AWS::Partition}:sns:${AWS::Region}:${AWS::AccountId}:"),
                reference("AppName"),
                "-".into(),
                reference("EnvName"),
                format!("-{}-{}", self.service, self.name).into(),
            ],
        )
    }

    /// Lets the topic send to a queue.
    fn send(&self, queue: &str) -> Value {
        cfn!({
            "Effect": "Allow",
            "Principal": { "Service": "sns.amazonaws.com" },
            "Action": ["sqs:SendMessage"],
            "Resource": (attribute(queue, "Arn")),
            "Condition": { "ArnEquals": { "aws:SourceArn": (self.arn()) } },
        })
        .at(self.span)
    }
}

/// Lower-case letters, digits and dashes, beginning with a letter; no two dashes together and none at the end.
fn is_service_name(name: &str) -> bool {
    name.len() >= 2
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !name.contains("--")
        && !name.ends_with('-')
}

/// A filter policy as the data it is: keys sorted, numbers and booleans kept.
fn filter_policy(node: &Node) -> Value {
    match &node.data {
        Data::Map(entries) => {
            let sorted: BTreeMap<&str, &Node> =
                entries.iter().map(|(k, v)| (k.text.as_str(), v)).collect();
            Value::Map(
                sorted
                    .into_iter()
                    .map(|(k, v)| (k.to_owned().into(), filter_policy(v)))
                    .collect(),
            )
        }
        Data::List(items) => Value::List(items.iter().map(filter_policy).collect()),
        Data::Scalar(scalar) => {
            if node.is_null() {
                Value::Raw("null".into())
            } else if let Some(flag) = node.boolean().filter(|_| scalar.text.len() > 3) {
                flag.into()
            } else if node.number().is_some() {
                Value::Raw(scalar.text.clone().into())
            } else {
                scalar.text.clone().into()
            }
        }
    }
}
