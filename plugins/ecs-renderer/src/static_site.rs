//! Static Site: files in a bucket behind CloudFront.

mod copy;
mod domain;
mod files;

use crate::alias::{self, Alias};
use crate::cfn;
use crate::cfn::{Value, attribute, reference, resource, sub, sub_with};
use crate::diagnostic::Findings;
use crate::environment;
use crate::handover;
use crate::iam::{allow, document};
use crate::package::SiteFile;
use crate::schema::{Object, Shape};
use crate::scope::Scope;
use crate::stack::{Kind, Stack};
use crate::yaml::{At, Node};
use std::collections::BTreeSet;

/// Keys of the manifest.
pub(crate) const SHAPE: Object = Object {
    fields: &[
        ("name", Shape::Text),
        ("type", Shape::Text),
        ("environments", Shape::Any),
        (
            "http",
            Shape::Object(&Object {
                fields: &[("alias", Shape::Text), ("certificate", Shape::Text)],
                exclusive: &[],
            }),
        ),
        ("files", files::SHAPE),
    ],
    exclusive: &[],
};

/// AWS's managed policy for content that rarely changes.
const CACHE_POLICY: &str = "658327ea-f89d-4fab-a63d-7e88639e58f6";
/// Serves `index.html` for directories.
const REWRITE: &str = "// plimsoll: a folder is answered with its index.html\nfunction handler(event) {\n  var request = event.request;\n  var name = request.uri.substring(request.uri.lastIndexOf('/') + 1);\n  if (name === '') {\n    request.uri += 'index.html';\n  } else if (name.indexOf('.') < 0) {\n    request.uri += '/index.html';\n  }\n  return request;\n}\n";

/// Renders the stack; `paths` are the project's files, and folders with a slash at their end, if they are known.
pub(crate) fn render(
    root: &Node,
    scope: &Scope<'_>,
    paths: Option<&BTreeSet<String>>,
    findings: &mut Findings,
) -> Stack {
    let mut site = Site::read(root, scope, paths, findings);
    let files = std::mem::take(&mut site.files);
    let mut stack = site.render(scope);
    stack.site_files = files;
    stack
}

struct Site {
    alias: Option<At<String>>,
    certificate: Option<At<String>>,
    bucket: String,
    mapping: String,
    files: Vec<SiteFile>,
}

impl Site {
    fn read(
        root: &Node,
        scope: &Scope<'_>,
        paths: Option<&BTreeSet<String>>,
        findings: &mut Findings,
    ) -> Site {
        let http = root.get("http");
        let alias = http.and_then(|h| h.text_at("alias"));
        let certificate = http.and_then(|h| h.text_at("certificate"));
        if let (None, Some(certificate)) = (&alias, &certificate) {
            findings.error(
                certificate.span,
                "`http.certificate` needs `http.alias`",
                "say which name the certificate is for",
            );
        }
        if let Some(certificate) = &certificate {
            let parts: Vec<&str> = certificate.value.split(':').collect();
            let region = parts.get(3).copied().unwrap_or_default();
            if parts.len() < 6 || parts[0] != "arn" {
                findings.error(
                    certificate.span,
                    format!(
                        "`http.certificate` cannot be `{}`, which is no ARN",
                        certificate.value
                    ),
                    "write the ARN of a certificate in us-east-1",
                );
            } else if region != "us-east-1" {
                findings.error(
                    certificate.span,
                    format!("`http.certificate` lies in {region}, CloudFront takes certificates of us-east-1 only"),
                    "request or import the certificate in us-east-1",
                );
            }
        }
        let files = files::read(root, paths, scope, findings);
        if let (true, Some(alias), None) = (scope.full_checks(), &alias, &certificate) {
            if scope.facts.domain().is_none() {
                findings.error(
                    alias.span,
                    format!(
                        "`http.alias` {} needs a domain or a certificate",
                        alias.value
                    ),
                    "associate a domain with the application, or set `http.certificate`",
                );
            } else {
                let name = Alias {
                    name: alias.value.clone(),
                    hosted_zone: None,
                    span: alias.span,
                };
                alias::check_zones(&[name], scope, findings);
            }
        }
        environment::check(scope, &[], findings);
        let facts = scope.facts;
        let told = facts.static_site.asset_mapping_url.clone();
        let own = || {
            facts.deployment.as_ref()?;
            let text = handover::mapping(&files, facts);
            let key = handover::mapping_key(facts, scope.name, &text);
            Some(format!("s3://{}/{key}", facts.artifacts.bucket))
        };
        let url = told.or_else(own).unwrap_or_default();
        let (bucket, mapping) = url
            .strip_prefix("s3://")
            .and_then(|rest| rest.split_once('/'))
            .map_or((facts.artifacts.bucket.clone(), String::new()), |(b, k)| {
                (b.to_owned(), k.to_owned())
            });
        Site {
            alias,
            certificate,
            bucket,
            mapping,
            files,
        }
    }

    /// True if Copilot requests the certificate and writes the records.
    fn manages_domain(&self) -> bool {
        self.alias.is_some() && self.certificate.is_none()
    }

    fn render(&self, scope: &Scope<'_>) -> Stack {
        let mut stack = Stack::default();
        stack.parameter("AppName", Kind::Text, scope.app());
        stack.parameter("EnvName", Kind::Text, scope.environment());
        stack.parameter("WorkloadName", Kind::Text, scope.name);
        scope.artifacts(&mut stack);
        bucket(&mut stack);
        self.distribution(scope, &mut stack);
        if self.manages_domain() {
            self.domain(scope, &mut stack);
        }
        self.trigger(scope, &mut stack);
        self.machine(scope, &mut stack);
        let partition = scope.facts.partition();
        stack.resource(
            "EnvManagerS3Access",
            resource("AWS::IAM::Policy", "Lets the environment's manager empty the bucket").properties(cfn!({
                "PolicyName": (sub("${WorkloadName}-S3Access")),
                "PolicyDocument": (document(vec![allow(
                    cfn!(["s3:ListBucket", "s3:ListBucketVersions", "s3:DeleteObject", "s3:DeleteObjectVersion"]),
                    cfn!([
                        (sub(format!("arn:{partition}:s3:::${{Bucket}}"))),
                        (sub(format!("arn:{partition}:s3:::${{Bucket}}/*"))),
                    ]),
                )])),
                "Roles": [(sub("${AppName}-${EnvName}-EnvManagerRole"))],
            })),
        );
        scope.addons.render(Value::Absent, &mut stack);
        stack.output(
            "CloudFrontDistributionDomainName",
            "Domain name of the distribution",
            attribute("CloudFrontDistribution", "DomainName"),
        );
        if let Some(alias) = &self.alias {
            stack.output(
                "CloudFrontDistributionAlternativeDomainName",
                "The site's own domain name",
                Value::from(alias),
            );
        }
        stack
    }

    fn distribution(&self, scope: &Scope<'_>, stack: &mut Stack) {
        let name = format!("{}-{}-{}", scope.app(), scope.environment(), scope.name);
        stack.resource(
            "CloudFrontOriginAccessControl",
            resource(
                "AWS::CloudFront::OriginAccessControl",
                "Lets CloudFront, and nobody else, read the bucket",
            )
            .properties(cfn!({ "OriginAccessControlConfig": {
                "Name": (name.clone()),
                "OriginAccessControlOriginType": "s3",
                "SigningBehavior": "always",
                "SigningProtocol": "sigv4",
            }})),
        );
        stack.resource(
            "CloudFrontViewerRequestRewriteFunction",
            resource("AWS::CloudFront::Function", "Finds the index page of folders").properties(cfn!({
                "Name": (name),
                "AutoPublish": true,
                "FunctionCode": REWRITE,
                "FunctionConfig": { "Comment": "Serves index.html for folders", "Runtime": "cloudfront-js-1.0" },
            })),
        );
        let certificate = match (&self.alias, &self.certificate) {
            (Some(_), Some(arn)) => Value::from(arn),
            (Some(_), None) => reference("CertificateValidatorAction"),
            (None, _) => Value::Absent,
        };
        let viewer = (!certificate.is_absent()).then(|| {
            cfn!({
                "AcmCertificateArn": (certificate),
                "MinimumProtocolVersion": "TLSv1",
                "SslSupportMethod": "sni-only",
            })
        });
        let origin = || sub("copilot-${AppName}-${EnvName}-${WorkloadName}");
        let rewrite = attribute("CloudFrontViewerRequestRewriteFunction", "FunctionARN");
        stack.resource(
            "CloudFrontDistribution",
            resource("AWS::CloudFront::Distribution", "The distribution that serves the files").properties(cfn!({
                "DistributionConfig": {
                    "Aliases": (self.aliases()),
                    "DefaultCacheBehavior": {
                        "AllowedMethods": ["GET", "HEAD"],
                        "CachePolicyId": CACHE_POLICY,
                        "Compress": true,
                        "FunctionAssociations": [{ "EventType": "viewer-request", "FunctionARN": (rewrite) }],
                        "TargetOriginId": (origin()),
                        "ViewerProtocolPolicy": "redirect-to-https",
                    },
                    "Enabled": true,
                    "IPV6Enabled": true,
                    "Origins": [{
                        "Id": (origin()),
                        "DomainName": (attribute("Bucket", "RegionalDomainName")),
                        "OriginAccessControlId": (reference("CloudFrontOriginAccessControl")),
                        "S3OriginConfig": { "OriginAccessIdentity": "" },
                    }],
                    "ViewerCertificate": (viewer),
                },
            })),
        );
    }

    fn aliases(&self) -> Value {
        self.alias
            .as_ref()
            .map_or(Value::Absent, |a| Value::List(vec![a.into()]))
    }
}

fn bucket(stack: &mut Stack) {
    stack.resource(
        "Bucket",
        resource("AWS::S3::Bucket", "The bucket that holds the files").properties(cfn!({
            "AccessControl": "Private",
            "BucketEncryption": {
                "ServerSideEncryptionConfiguration": [{
                    "ServerSideEncryptionByDefault": { "SSEAlgorithm": "AES256" },
                }],
            },
            "OwnershipControls": { "Rules": [{ "ObjectOwnership": "BucketOwnerEnforced" }] },
            "PublicAccessBlockConfiguration": {
                "BlockPublicAcls": true,
                "BlockPublicPolicy": true,
                "IgnorePublicAcls": true,
                "RestrictPublicBuckets": true,
            },
            "VersioningConfiguration": { "Status": "Enabled" },
        })),
    );
    let bucket_arn = |rest: &str| {
        sub_with(
            format!("arn:${{AWS::Partition}}:s3:::${{bucket}}{rest}"),
            cfn!({ "bucket": (reference("Bucket")) }),
        )
    };
    let distribution = sub_with(
        "arn:${AWS::Partition}:cloudfront::${AWS::AccountId}:distribution/${cfDistributionID}",
        cfn!({ "cfDistributionID": (reference("CloudFrontDistribution")) }),
    );
    stack.resource(
        "BucketPolicyForCloudFront",
        resource(
            "AWS::S3::BucketPolicy",
            "Lets only CloudFront read the bucket, and only over HTTPS",
        )
        .properties(cfn!({
            "Bucket": (reference("Bucket")),
            "PolicyDocument": (document(vec![
                cfn!({
                    "Sid": "ForceHTTPS",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": [(sub("${Bucket.Arn}")), (sub("${Bucket.Arn}/*"))],
                    "Condition": { "Bool": { "aws:SecureTransport": false } },
                }),
                cfn!({
                    "Sid": "AllowCloudFrontServicePrincipalReadOnly",
                    "Effect": "Allow",
                    "Principal": { "Service": "cloudfront.amazonaws.com" },
                    "Action": "s3:GetObject",
                    "Resource": [(bucket_arn("")), (bucket_arn("/*"))],
                    "Condition": { "StringEquals": { "AWS:SourceArn": (distribution) } },
                }),
            ])),
        })),
    );
}
