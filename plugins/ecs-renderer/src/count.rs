//! `count`: how many tasks, on which capacity, and what makes the number change.

mod scaling;

use crate::cfn;
use crate::cfn::{Value, attribute, reference};
use crate::diagnostic::Findings;
use crate::duration;
use crate::platform::Platform;
use crate::schema::{Object, Shape};
use crate::yaml::{At, Node, Span};

const COOLDOWN: Shape = Shape::Object(&Object {
    fields: &[("in", Shape::Duration), ("out", Shape::Duration)],
    exclusive: &[],
});

const SCALING: Shape = Shape::Either(
    &[
        Shape::Integer,
        Shape::Object(&Object {
            fields: &[("value", Shape::Integer), ("cooldown", COOLDOWN)],
            exclusive: &[],
        }),
    ],
    "a whole number or a map with `value` and `cooldown`",
);

/// A number of tasks, or how to find it.
pub(crate) const SHAPE: Shape = Shape::Either(
    &[
        Shape::Integer,
        Shape::Object(&Object {
            fields: &[
                ("spot", Shape::Integer),
                (
                    "range",
                    Shape::Either(
                        &[
                            Shape::Text,
                            Shape::Object(&Object {
                                fields: &[
                                    ("min", Shape::Integer),
                                    ("max", Shape::Integer),
                                    ("spot_from", Shape::Integer),
                                ],
                                exclusive: &[],
                            }),
                        ],
                        "`min-max` or a map with `min` and `max`",
                    ),
                ),
                ("cooldown", COOLDOWN),
                ("cpu_percentage", SCALING),
                ("memory_percentage", SCALING),
                ("requests", SCALING),
                (
                    "response_time",
                    Shape::Either(
                        &[
                            Shape::Duration,
                            Shape::Object(&Object {
                                fields: &[("value", Shape::Duration), ("cooldown", COOLDOWN)],
                                exclusive: &[],
                            }),
                        ],
                        "a duration or a map with `value` and `cooldown`",
                    ),
                ),
                (
                    "queue_delay",
                    Shape::Object(&Object {
                        fields: &[
                            ("acceptable_latency", Shape::Duration),
                            ("msg_processing_time", Shape::Duration),
                            ("cooldown", COOLDOWN),
                        ],
                        exclusive: &[],
                    }),
                ),
            ],
            exclusive: &[
                &["spot"],
                &[
                    "range",
                    "cooldown",
                    "cpu_percentage",
                    "memory_percentage",
                    "requests",
                    "response_time",
                    "queue_delay",
                ],
            ],
        }),
    ],
    "a whole number or a map",
);

/// The section.
#[derive(Clone, Debug)]
pub(crate) enum Count {
    /// So many tasks.
    Fixed(At<i64>),
    /// So many tasks on spare capacity.
    Spot(At<i64>),
    /// Between two numbers.
    Range(Range),
}

/// A scaling number of tasks.
#[derive(Clone, Debug)]
pub(crate) struct Range {
    min: At<i64>,
    max: At<i64>,
    spot_from: Option<At<i64>>,
    metrics: Vec<Metric>,
    span: Span,
}

/// What the number of tasks follows.
#[derive(Clone, Debug)]
struct Metric {
    measure: Measure,
    target: Value,
    cooldown_in: Value,
    cooldown_out: Value,
    span: Span,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    Cpu,
    Memory,
    Requests,
    ResponseTime,
    QueueDelay,
}

impl Measure {
    const ALL: [Measure; 5] = [
        Measure::Cpu,
        Measure::Memory,
        Measure::Requests,
        Measure::ResponseTime,
        Measure::QueueDelay,
    ];

    /// The key below `count`.
    fn key(self) -> &'static str {
        match self {
            Measure::Cpu => "cpu_percentage",
            Measure::Memory => "memory_percentage",
            Measure::Requests => "requests",
            Measure::ResponseTime => "response_time",
            Measure::QueueDelay => "queue_delay",
        }
    }

    /// True for what a load balancer measures.
    fn needs_load_balancer(self) -> bool {
        matches!(self, Measure::Requests | Measure::ResponseTime)
    }
}

/// What kind of workload counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scaled {
    /// Behind a load balancer, or not at the moment.
    Listening {
        /// Rules of an application load balancer exist.
        http: bool,
    },
    /// Works off queues.
    Working,
    /// Cannot scale.
    Job,
}

impl Count {
    /// Reads and checks the field.
    pub(crate) fn read(
        root: &Node,
        scaled: Scaled,
        platform: Option<&Platform>,
        findings: &mut Findings,
    ) -> Count {
        let Some(count) = root.get("count") else {
            return Count::Fixed(At::new(1, Span::default()));
        };
        if let Some(number) = count.integer() {
            return Count::Fixed(At::new(number, count.span));
        }
        let one = Count::Fixed(At::new(1, count.span));
        let set = |key: &str| count.get(key).is_some();
        let metrics: Vec<Measure> = Measure::ALL.into_iter().filter(|m| set(m.key())).collect();
        if scaled == Scaled::Job {
            if count
                .entries()
                .is_some_and(|e| e.iter().any(|(_, v)| !v.is_null()))
            {
                findings.error(
                    count.span,
                    "`count` cannot have autoscaling options for a job",
                    "write a number, or leave it out",
                );
            }
            return one;
        }
        check_metrics(count, &metrics, scaled, findings);
        let arm = platform.is_some_and(Platform::is_arm);
        if let Some(spot) = count.integer_at("spot") {
            if let Some(other) = ["range", "cooldown"]
                .into_iter()
                .chain(metrics.iter().map(|m| m.key()))
                .find(|k| set(k))
            {
                findings.error(
                    spot.span,
                    format!("`count.spot` and `count.{other}` exclude each other"),
                    "for scaling on spare capacity write `range: {min: …, max: …, spot_from: …}`",
                );
            }
            refuse_arm_spot(arm, spot.span, findings);
            return Count::Spot(spot);
        }
        let Some(range) = count.get("range") else {
            if let Some(metric) = metrics.first() {
                findings.error(
                    count.span,
                    format!(
                        "`count.range` must be specified with `count.{}`",
                        metric.key()
                    ),
                    "say how many tasks there may be, for example `range: 1-10`",
                );
            } else if let Some(cooldown) = count.get("cooldown") {
                no_metric("cooldown", cooldown.span, scaled, findings);
            }
            return one;
        };
        if metrics.is_empty() {
            let key = if set("cooldown") { "cooldown" } else { "range" };
            no_metric(key, range.span, scaled, findings);
        }
        let Some(Limits {
            min,
            max,
            spot_from,
        }) = read_range(range, findings)
        else {
            return one;
        };
        if min.value > max.value {
            findings.error(
                range.span,
                format!(
                    "`count.range` has min {} above max {}",
                    min.value, max.value
                ),
                "write the smaller number first",
            );
        }
        if let Some(from) = &spot_from {
            refuse_arm_spot(arm, from.span, findings);
        }
        let metrics = metrics
            .into_iter()
            .filter_map(|name| read_metric(count, name, findings))
            .collect();
        Count::Range(Range {
            min,
            max,
            spot_from,
            metrics,
            span: range.span,
        })
    }

    /// The value of the parameter `TaskCount`.
    pub(crate) fn parameter(&self) -> String {
        match self {
            Count::Fixed(n) | Count::Spot(n) => n.value.to_string(),
            Count::Range(range) => range.min.value.to_string(),
        }
    }

    /// `DesiredCount` of the service.
    pub(crate) fn desired(&self) -> Value {
        match self {
            Count::Fixed(n) | Count::Spot(n) => reference("TaskCount").at(n.span),
            Count::Range(range) => {
                attribute("DynamicDesiredCountAction", "DesiredCount").at(range.span)
            }
        }
    }

    /// `CapacityProviderStrategy`, if tasks run on spare capacity.
    pub(crate) fn capacity(&self) -> Value {
        let spot = cfn!({ "CapacityProvider": "FARGATE_SPOT", "Weight": 1 });
        match self {
            Count::Fixed(_) => Value::Absent,
            Count::Spot(n) => cfn!([(spot)]).at(n.span),
            Count::Range(range) => match &range.spot_from {
                None => Value::Absent,
                Some(from) if from.value <= range.min.value => cfn!([(spot)]).at(from.span),
                Some(from) => {
                    let base = from.value - 1;
                    cfn!([(spot), { "CapacityProvider": "FARGATE", "Weight": 0, "Base": (base) }])
                        .at(from.span)
                }
            },
        }
    }

    /// True if the number of tasks follows the length of queues.
    pub(crate) fn follows_queues(&self) -> bool {
        matches!(self, Count::Range(range) if range.metrics.iter().any(|m| m.measure == Measure::QueueDelay))
    }

    /// Where `count` asks for load balancer metrics, if it does.
    pub(crate) fn load_balancer_metric(&self) -> Option<Span> {
        match self {
            Count::Range(range) => range
                .metrics
                .iter()
                .find(|m| m.measure.needs_load_balancer())
                .map(|m| m.span),
            Count::Fixed(_) | Count::Spot(_) => None,
        }
    }
}

fn refuse_arm_spot(arm: bool, span: Span, findings: &mut Findings) {
    if arm {
        findings.error(
            span,
            "`count` asks for Fargate Spot, which Copilot does not give to ARM tasks",
            "remove `spot`, or choose an x86_64 `platform`",
        );
    }
}

fn no_metric(key: &str, span: Span, scaled: Scaled, findings: &mut Findings) {
    let metrics = match scaled {
        Scaled::Listening { .. } => "cpu_percentage, memory_percentage, requests or response_time",
        Scaled::Working | Scaled::Job => "cpu_percentage, memory_percentage or queue_delay",
    };
    findings.error(
        span,
        format!("`count.{key}` needs a metric to follow: {metrics}"),
        "add one, for example `cpu_percentage: 70`",
    );
}

fn check_metrics(count: &Node, metrics: &[Measure], scaled: Scaled, findings: &mut Findings) {
    for metric in metrics {
        let key = metric.key();
        let span = count.get(key).map(|n| n.span).unwrap_or_default();
        let (message, cure) = match scaled {
            Scaled::Working if metric.needs_load_balancer() => (
                format!("`count.{key}` is not possible for a worker, which has no load balancer"),
                "follow `queue_delay` instead",
            ),
            Scaled::Listening { .. } if *metric == Measure::QueueDelay => (
                format!("`count.{key}` is not possible for a service without queues"),
                "only worker services have queues; follow `cpu_percentage` instead",
            ),
            Scaled::Listening { http: false } if metric.needs_load_balancer() => (
                format!(
                    "`count.{key}` needs `http`: without it there is no load balancer to measure"
                ),
                "add an `http` section, or follow `cpu_percentage`",
            ),
            Scaled::Working | Scaled::Listening { .. } | Scaled::Job => continue,
        };
        findings.error(span, message, cure);
    }
}

/// How many tasks there may be, and from which on they run on spare capacity.
struct Limits {
    min: At<i64>,
    max: At<i64>,
    spot_from: Option<At<i64>>,
}

fn read_range(range: &Node, findings: &mut Findings) -> Option<Limits> {
    let span = range.span;
    if let Some(text) = range.text() {
        let digits = |s: &str| {
            s.chars()
                .all(|c| c.is_ascii_digit())
                .then(|| s.parse::<i64>().ok())
                .flatten()
        };
        let parsed = text
            .split_once('-')
            .and_then(|(a, b)| Some((digits(a)?, digits(b)?)));
        let Some((min, max)) = parsed else {
            findings.error(
                span,
                format!("`count.range` cannot be `{text}`"),
                "write `min-max`, for example 1-10",
            );
            return None;
        };
        return Some(Limits {
            min: At::new(min, span),
            max: At::new(max, span),
            spot_from: None,
        });
    }
    let (min, max) = (range.integer_at("min"), range.integer_at("max"));
    let (Some(min), Some(max)) = (min, max) else {
        findings.error(
            span,
            "`count.range` needs both `min` and `max`",
            "add the missing number",
        );
        return None;
    };
    let spot_from = range.integer_at("spot_from");
    for number in [Some(&min), Some(&max), spot_from.as_ref()]
        .into_iter()
        .flatten()
    {
        if number.value < 0 {
            findings.error(
                number.span,
                format!("`count.range` cannot hold {}", number.value),
                "write a number from 0 up",
            );
        }
    }
    Some(Limits {
        min,
        max,
        spot_from,
    })
}

fn read_metric(count: &Node, measure: Measure, findings: &mut Findings) -> Option<Metric> {
    let name = measure.key();
    let node = count.get(name)?;
    let target = if measure == Measure::QueueDelay {
        queue_target(node, findings)?
    } else {
        let value = match node.entries() {
            None => node,
            Some(_) => node.get("value").or_else(|| {
                findings.error(
                    node.span,
                    format!("`count.{name}.value` must be specified"),
                    "say which value to keep",
                );
                None
            })?,
        };
        if measure == Measure::ResponseTime {
            let nanoseconds = value.text().and_then(duration::parse)?;
            Value::number(duration::exact_seconds(nanoseconds)).at(value.span)
        } else {
            let number = value.integer()?;
            let percentage = matches!(measure, Measure::Cpu | Measure::Memory);
            if percentage && !(0..=100).contains(&number) {
                findings.error(
                    value.span,
                    format!("`count.{name}` cannot be {number}"),
                    "a percentage is between 0 and 100",
                );
            }
            Value::from(number).at(value.span)
        }
    };
    let cooldown = |key: &str, default: i64| {
        let own = node.get("cooldown").and_then(|c| c.seconds_at(key));
        let general = count.get("cooldown").and_then(|c| c.seconds_at(key));
        own.or(general).map_or_else(|| default.into(), Value::from)
    };
    Some(Metric {
        measure,
        target,
        cooldown_in: cooldown("in", 120),
        cooldown_out: cooldown("out", 60),
        span: node.span,
    })
}

/// Messages a task may have waiting: latency over processing time.
fn queue_target(node: &Node, findings: &mut Findings) -> Option<Value> {
    let mut read = |key: &str| {
        let found = node.duration_at(key).filter(|d| d.value > 0);
        if found.is_none() {
            findings.error(
                node.get(key).map_or(node.span, |n| n.span),
                format!("`count.queue_delay.{key}` must be specified and above 0"),
                "for example `acceptable_latency: 10m` and `msg_processing_time: 250ms`",
            );
        }
        found
    };
    let (latency, processing) = (read("acceptable_latency"), read("msg_processing_time"));
    let (latency, processing) = (latency?, processing?);
    if processing.value > latency.value {
        findings.error(
            processing.span,
            "`count.queue_delay.msg_processing_time` is longer than `acceptable_latency`",
            "a message takes at least its processing time; accept more latency",
        );
    }
    Some(Value::from(latency.value / processing.value).at(latency.span))
}
