//! `observability`: traces to X-Ray.

use crate::cfn;
use crate::cfn::Value;
use crate::diagnostic::Findings;
use crate::iam::{allow, policy};
use crate::schema::{Object, Shape};
use crate::task::cloudwatch_logs;
use crate::yaml::{Node, Span};

/// Keys of `observability`.
pub(crate) const SHAPE: Shape = Shape::Object(&Object {
    fields: &[("tracing", Shape::Text)],
    exclusive: &[],
});

const TRACE: [&str; 5] = [
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:GetSamplingStatisticSummaries",
];

/// Where tracing is asked for, if it is; unknown vendors are ignored with a warning, as Copilot ignores them.
pub(crate) fn read(root: &Node, findings: &mut Findings) -> Option<Span> {
    let vendor = root.get("observability")?.text_at("tracing")?;
    if vendor.value.eq_ignore_ascii_case("awsxray") {
        return Some(vendor.span);
    }
    findings.warn(
        vendor.span,
        format!(
            "`observability.tracing` vendor `{}` is not known and has no effect",
            vendor.value
        ),
        "write awsxray",
    );
    None
}

/// As [`read`] for App Runner, where an unknown vendor is refused.
pub(crate) fn read_strict(root: &Node, findings: &mut Findings) -> Option<Span> {
    let vendor = root.get("observability")?.text_at("tracing")?;
    if vendor.value.eq_ignore_ascii_case("awsxray") {
        return Some(vendor.span);
    }
    findings.error(
        vendor.span,
        format!("`observability.tracing` cannot be `{}`", vendor.value),
        "write awsxray",
    );
    None
}

/// The container that collects traces.
pub(crate) fn collector(span: Span) -> Value {
    cfn!({
        "Name": "aws-otel-collector",
        "Image": "public.ecr.aws/aws-observability/aws-otel-collector:v0.17.0",
        "Command": ["--config=/etc/ecs/ecs-xray.yaml"],
        "LogConfiguration": (cloudwatch_logs()),
    })
    .at(span)
}

/// What the collector may do.
pub(crate) fn collector_policy() -> Value {
    let logs = [
        "logs:PutLogEvents",
        "logs:CreateLogGroup",
        "logs:CreateLogStream",
        "logs:DescribeLogStreams",
        "logs:DescribeLogGroups",
    ];
    let actions = logs.into_iter().chain(TRACE).map(Value::from).collect();
    policy(
        "AWSDistroOpenTelemetryPolicy",
        vec![allow(Value::List(actions), "*")],
    )
}

/// What an App Runner instance may do to send traces.
pub(crate) fn instance_policy() -> Value {
    let actions = TRACE
        .into_iter()
        .chain(["ssm:GetParameters"])
        .map(Value::from)
        .collect();
    policy(
        "EnableAWSXRayTracing",
        vec![allow(Value::List(actions), "*")],
    )
}
