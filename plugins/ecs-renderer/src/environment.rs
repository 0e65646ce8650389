//! What a workload needs of its environment, checked against what the environment has.

use crate::diagnostic::Findings;
use crate::scope::Scope;
use crate::yaml::{At, Span};

/// Optional parts: parameter of the environment's stack, what people call it, the version that brought it.
const FEATURES: [(&str, &str, &str); 6] = [
    ("ALBWorkloads", "public load balancer (ALB)", "v1.0.0"),
    ("EFSWorkloads", "managed EFS file system", "v1.3.0"),
    (
        "NATWorkloads",
        "NAT gateways for private placement",
        "v1.3.0",
    ),
    ("Aliases", "aliases", "v1.4.0"),
    (
        "InternalALBWorkloads",
        "internal load balancer (ALB)",
        "v1.10.0",
    ),
    (
        "AppRunnerPrivateWorkloads",
        "App Runner private services",
        "v1.23.0",
    ),
];

/// Refuses environments that are not deployed, or lack a part the workload needs.
pub(crate) fn check(scope: &Scope<'_>, needed: &[At<&'static str>], findings: &mut Findings) {
    if !scope.full_checks() {
        return;
    }
    let environment = &scope.facts.environment;
    if environment.version == "bootstrap" {
        findings.error(
            Span::default(),
            format!(
                "cannot deploy to the undeployed environment `{}`",
                environment.name
            ),
            format!(
                "deploy it first: copilot env deploy --name {}",
                environment.name
            ),
        );
        return;
    }
    for At {
        value: feature,
        span,
    } in needed
    {
        if scope.has_feature(feature) {
            continue;
        }
        let (name, since) = FEATURES
            .iter()
            .find(|(id, _, _)| id == feature)
            .map_or((*feature, "a later version"), |(_, name, since)| {
                (*name, *since)
            });
        findings.error(
            *span,
            format!("the manifest needs the feature {name} ({feature}), which environment `{}` does not have", environment.name),
            format!(
                "the environment is on {}, the feature came with {since}: run copilot env deploy --name {}",
                environment.version, environment.name
            ),
        );
    }
}
