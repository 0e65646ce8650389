//! A queue, its dead letters, its policy and the key that encrypts it.

use crate::cfn;
use crate::cfn::{Value, attribute, reference, resource, sub};
use crate::diagnostic::Findings;
use crate::iam::document;
use crate::schema::{Object, Shape};
use crate::stack::Stack;
use crate::yaml::{At, Node, Span};

/// Keys of a queue.
pub(super) const QUEUE: Object = Object {
    fields: &[
        ("retention", Shape::Duration),
        ("delay", Shape::Duration),
        ("timeout", Shape::Duration),
        (
            "dead_letter",
            Shape::Object(&Object {
                fields: &[("tries", Shape::Port)],
                exclusive: &[],
            }),
        ),
        (
            "fifo",
            Shape::Either(
                &[
                    Shape::Boolean,
                    Shape::Object(&Object {
                        fields: &[
                            ("content_based_deduplication", Shape::Boolean),
                            ("deduplication_scope", Shape::Text),
                            ("throughput_limit", Shape::Text),
                            ("high_throughput", Shape::Boolean),
                        ],
                        exclusive: &[],
                    }),
                ],
                "true, false or a map",
            ),
        ),
    ],
    exclusive: &[],
};

#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    retention: Option<At<i64>>,
    delay: Option<At<i64>>,
    timeout: Option<At<i64>>,
    tries: Option<At<i64>>,
    pub(super) fifo: bool,
    fifo_options: Option<Node>,
    pub(super) span: Span,
}

impl Queue {
    /// A queue without settings.
    pub(super) fn plain(span: Span) -> Queue {
        Queue {
            span,
            ..Queue::default()
        }
    }

    pub(super) fn read(node: &Node, path: &str, findings: &mut Findings) -> Queue {
        let fifo = node.get("fifo");
        let options = fifo.filter(|f| {
            f.entries()
                .is_some_and(|e| e.iter().any(|(_, v)| !v.is_null()))
        });
        if let Some(options) = options {
            check_fifo(options, &format!("{path}.fifo"), findings);
        }
        for (key, low, high) in [
            ("retention", 60, 1_209_600),
            ("delay", 0, 900),
            ("timeout", 0, 43_200),
        ] {
            if let Some(found) = node
                .seconds_at(key)
                .filter(|s| !(low..=high).contains(&s.value))
            {
                findings.warn(
                    found.span,
                    format!(
                        "`{path}.{key}` of {} seconds is not one SQS accepts",
                        found.value
                    ),
                    format!("it takes {low} to {high} seconds"),
                );
            }
        }
        Queue {
            retention: node.seconds_at("retention"),
            delay: node.seconds_at("delay"),
            timeout: node.seconds_at("timeout"),
            tries: node.get("dead_letter").and_then(|d| d.integer_at("tries")),
            fifo: fifo.is_some_and(|f| f.boolean() == Some(true)) || options.is_some(),
            fifo_options: options.cloned(),
            span: node.span,
        }
    }

    pub(super) fn render(&self, prefix: &str, stack: &mut Stack) {
        let key = || reference("EventsKMSKey");
        let fifo = self.fifo.then_some(true);
        let dead = format!("{prefix}DeadLetterQueue");
        if let Some(tries) = &self.tries {
            stack.resource(
                dead.clone(),
                resource(
                    "AWS::SQS::Queue",
                    "A queue for messages that could not be processed",
                )
                .properties(cfn!({
                    "KmsMasterKeyId": (key()),
                    "FifoQueue": (fifo),
                    "MessageRetentionPeriod": 1_209_600,
                }))
                .at(tries.span),
            );
            stack.resource(
                format!("{prefix}DeadLetterPolicy"),
                queue_policy(&dead, Vec::new()),
            );
        }
        let redrive = self.tries.as_ref().map(|tries| {
            cfn!({ "deadLetterTargetArn": (attribute(&dead, "Arn")), "maxReceiveCount": (tries) })
        });
        let options = self.fifo_options.as_ref();
        let high = options
            .and_then(|o| o.boolean_at("high_throughput"))
            .filter(|h| h.value);
        let option = |key: &str, fast: &'static str| match &high {
            Some(high) => Value::from(fast).at(high.span),
            None => options
                .and_then(|o| o.text_at(key))
                .map_or(Value::Absent, Value::from),
        };
        stack.resource(
            format!("{prefix}EventsQueue"),
            resource("AWS::SQS::Queue", "A queue of messages to process")
                .properties(cfn!({
                    "KmsMasterKeyId": (key()),
                    "FifoQueue": (fifo),
                    "FifoThroughputLimit": (option("throughput_limit", "perMessageGroupId")),
                    "DeduplicationScope": (option("deduplication_scope", "messageGroup")),
                    "ContentBasedDeduplication": (options.and_then(|o| o.boolean_at("content_based_deduplication"))),
                    "MessageRetentionPeriod": (self.retention.as_ref()),
                    "DelaySeconds": (self.delay.as_ref()),
                    "VisibilityTimeout": (self.timeout.as_ref()),
                    "RedrivePolicy": (redrive),
                }))
                .at(self.span),
        );
    }
}

fn check_fifo(options: &Node, path: &str, findings: &mut Findings) {
    let scope = options.text_at("deduplication_scope");
    let limit = options.text_at("throughput_limit");
    for (found, key, values) in [
        (&scope, "deduplication_scope", ["messageGroup", "queue"]),
        (
            &limit,
            "throughput_limit",
            ["perMessageGroupId", "perQueue"],
        ),
    ] {
        if let Some(found) = found
            .as_ref()
            .filter(|f| !values.contains(&f.value.as_str()))
        {
            findings.error(
                found.span,
                format!("`{path}.{key}` cannot be `{}`", found.value),
                format!("write {} or {}", values[0], values[1]),
            );
        }
    }
    if options.get("high_throughput").is_some()
        && let Some(found) = scope.as_ref().or(limit.as_ref())
    {
        findings.error(
            found.span,
            format!(
                "`{path}.high_throughput` excludes `deduplication_scope` and `throughput_limit`"
            ),
            "`high_throughput: true` already means messageGroup and perMessageGroupId",
        );
    }
    let is =
        |found: &Option<At<String>>, text: &str| found.as_ref().is_some_and(|f| f.value == text);
    if is(&limit, "perMessageGroupId") && is(&scope, "queue") {
        findings.error(
            options.span,
            format!("`{path}` cannot have `throughput_limit` perMessageGroupId with `deduplication_scope` queue"),
            "a limit for each message group needs deduplication for each message group",
        );
    }
}

/// Lets tasks receive from a queue, and what else.
pub(super) fn queue_policy(queue: &str, more: Vec<Value>) -> Value {
    let receive = cfn!({
        "Effect": "Allow",
        "Principal": { "AWS": [(attribute("TaskRole", "Arn"))] },
        "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage"],
        "Resource": (attribute(queue, "Arn")),
    });
    let statements = std::iter::once(receive).chain(more).collect();
    resource("AWS::SQS::QueuePolicy", "").properties(cfn!({
        "Queues": [(reference(queue.to_owned()))],
        "PolicyDocument": (document(statements)),
    }))
}

/// The key that encrypts the queues.
pub(super) fn key() -> Value {
    let statement = |sid: &'static str, principal: Value, actions: Value| cfn!({ "Sid": sid, "Effect": "Allow", "Principal": (principal), "Action": (actions), "Resource": "*" });
    let statements = vec![
        statement(
            "Allow key use",
            cfn!({ "AWS": (sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:root")) }),
            cfn!([
                "kms:Create*",
                "kms:Describe*",
                "kms:Enable*",
                "kms:List*",
                "kms:Put*",
                "kms:Update*",
                "kms:Revoke*",
                "kms:Disable*",
                "kms:Get*",
                "kms:Delete*",
                "kms:ScheduleKeyDeletion",
                "kms:CancelKeyDeletion",
                "kms:Tag*",
                "kms:UntagResource",
                "kms:Encrypt",
                "kms:Decrypt",
                "kms:ReEncrypt*",
                "kms:GenerateDataKey*",
            ]),
        ),
        statement(
            "Allow SNS encryption",
            cfn!({ "Service": "sns.amazonaws.com" }),
            cfn!(["kms:Decrypt", "kms:GenerateDataKey*"]),
        ),
        statement(
            "Allow SQS encryption",
            cfn!({ "Service": "sqs.amazonaws.com" }),
            cfn!([
                "kms:Encrypt",
                "kms:Decrypt",
                "kms:ReEncrypt*",
                "kms:GenerateDataKey*"
            ]),
        ),
        statement(
            "Allow task role encrypt/decrypt",
            cfn!({ "AWS": [(attribute("TaskRole", "Arn"))] }),
            cfn!(["kms:Encrypt", "kms:Decrypt"]),
        ),
    ];
    resource(
        "AWS::KMS::Key",
        "A key that encrypts messages in the queues",
    )
    .properties(cfn!({ "KeyPolicy": (document(statements)) }))
}
