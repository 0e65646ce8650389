//! The certificate and records of the site's own name.

use super::Site;
use crate::cfn;
use crate::cfn::{Value, attribute, environment_export, reference, resource};
use crate::custom_resource::Function;
use crate::iam::{Role, allow, named, policy};
use crate::nlb::certificate_statements;
use crate::scope::Scope;
use crate::stack::Stack;

/// The hosted zone of every CloudFront distribution.
const CLOUDFRONT_ZONE: &str = "Z2FDTNDATAQYW2";

impl Site {
    /// The certificate and records of the alias.
    pub(super) fn domain(&self, scope: &Scope<'_>, stack: &mut Stack) {
        let root_role = || Value::from(scope.facts.dns_delegation_role());
        let action = |kind: &'static str, function: &str, more: Vec<(&'static str, Value)>| {
            let mut properties = cfn!({
                "ServiceToken": (attribute(function, "Arn")),
                "EnvHostedZoneId": (environment_export("HostedZone")),
                "EnvName": (reference("EnvName")),
                "AppName": (reference("AppName")),
                "ServiceName": (reference("WorkloadName")),
                "RootDNSRole": (root_role()),
                "DomainName": (scope.facts.domain().map(Value::raw)),
                "Aliases": (self.aliases()),
            });
            if let Value::Map(entries) = &mut properties {
                entries.extend(more.into_iter().map(|(k, v)| (k.into(), v)));
            }
            resource(kind, "").properties(properties)
        };
        stack.resource(
            "CertificateValidatorAction",
            action(
                "Custom::CertificateValidationFunction",
                "CertificateValidationFunction",
                vec![("IsCloudFrontCertificate", true.into())],
            ),
        );
        let function = Function::new("CertificateValidationFunction", "CertificateValidatorRole");
        stack.resource(function.id, function.render(scope, ""));
        let mut statements = vec![
            named(
                "AllowAssumeRole",
                allow("sts:AssumeRole".into(), root_role()),
            ),
            named(
                "HostedZoneUpdateAndWait",
                allow("route53:ChangeResourceRecordSets".into(), "*"),
            ),
            named(
                "HostedZoneRead",
                allow(
                    cfn!(["route53:ListResourceRecordSets", "route53:GetChange"]),
                    "*",
                ),
            ),
        ];
        statements.extend(certificate_statements());
        let role = Role::function(vec![policy("CertValidatorPolicy", statements)]);
        stack.resource(
            "CertificateValidatorRole",
            role.render(
                scope,
                "A role that lets a function request and validate the certificate",
            ),
        );
        stack.resource(
            "CustomDomainAction",
            action(
                "Custom::CustomDomainFunction",
                "CustomDomainFunction",
                vec![
                    (
                        "PublicAccessDNS",
                        attribute("CloudFrontDistribution", "DomainName"),
                    ),
                    ("PublicAccessHostedZoneID", CLOUDFRONT_ZONE.into()),
                ],
            ),
        );
        let function = Function::new("CustomDomainFunction", "CustomDomainRole");
        stack.resource(function.id, function.render(scope, ""));
        let zones = cfn!([
            "route53:ChangeResourceRecordSets",
            "route53:Get*",
            "route53:Describe*",
            "route53:ListResourceRecordSets",
            "route53:ListHostedZonesByName",
        ]);
        let role = Role::function(vec![policy(
            "CustomDomainPolicy",
            vec![
                named(
                    "AllowAssumeRole",
                    allow("sts:AssumeRole".into(), root_role()),
                ),
                named("HostedZoneAccess", allow(zones, "*")),
            ],
        )]);
        stack.resource(
            "CustomDomainRole",
            role.render(
                scope,
                "A role that lets a function point the alias at the distribution",
            ),
        );
    }
}
