//! How the files get from the artifact bucket into the site's own.

use super::Site;
use crate::cfn;
use crate::cfn::{Value, attribute, reference, resource, sub};
use crate::custom_resource::Function;
use crate::iam::{Role, Trust, allow, allow_if, policy, service_policy, tagged_with_service};
use crate::scope::Scope;
use crate::stack::Stack;

impl Site {
    /// What starts the copying when the files changed.
    pub(super) fn trigger(&self, scope: &Scope<'_>, stack: &mut Stack) {
        let mut before = vec![
            "Bucket",
            "BucketPolicyForCloudFront",
            "CloudFrontOriginAccessControl",
            "CloudFrontDistribution",
            "TriggerStateMachineFunction",
            "TriggerStateMachineFunctionRole",
            "CopyAssetsStateMachine",
            "CopyAssetsStateMachineRole",
            "EnvManagerS3Access",
        ];
        if self.manages_domain() {
            before.extend([
                "CustomDomainAction",
                "CustomDomainFunction",
                "CustomDomainRole",
                "CertificateValidatorAction",
                "CertificateValidationFunction",
                "CertificateValidatorRole",
            ]);
        }
        let before: Vec<Value> = before.into_iter().map(Value::from).collect();
        stack.resource(
            "TriggerStateMachineAction",
            resource("Custom::TriggerStateMachine", "The upload of the files")
                .depends_on(before)
                .properties(cfn!({
                    "ServiceToken": (attribute("TriggerStateMachineFunction", "Arn")),
                    "StateMachineARN": (attribute("CopyAssetsStateMachine", "Arn")),
                    "AssetMappingFilePath": (Value::raw(&self.mapping)),
                })),
        );
        let function = Function::new(
            "TriggerStateMachineFunction",
            "TriggerStateMachineFunctionRole",
        );
        stack.resource(function.id, function.render(scope, ""));
        let role = Role {
            managed: vec![service_policy("AWSLambdaBasicExecutionRole")],
            policies: vec![policy(
                "TriggerStateMachine",
                vec![allow(
                    "states:StartSyncExecution".into(),
                    attribute("CopyAssetsStateMachine", "Arn"),
                )],
            )],
            ..Role::new(Trust::Service("lambda.amazonaws.com"))
        };
        stack.resource(
            "TriggerStateMachineFunctionRole",
            role.render(scope, "A role that lets a function start the copying"),
        );
    }

    /// What copies the files from the artifact bucket.
    pub(super) fn machine(&self, scope: &Scope<'_>, stack: &mut Stack) {
        let partition = scope.facts.partition();
        let task = |service: &str| format!("arn:{partition}:states:::aws-sdk:{service}");
        let source = format!("States.Format('{}/{{}}', $.path)", self.bucket);
        let copy = |content_type: Option<&'static str>| {
            cfn!({
                "Type": "Task",
                "Resource": (task("s3:copyObject")),
                "Parameters": {
                    "Bucket": (reference("Bucket")),
                    "CopySource.$": (source.clone()),
                    "Key.$": "$.destPath",
                    "ContentType.$": (content_type),
                    "MetadataDirective": "REPLACE",
                },
                "End": true,
            })
        };
        stack.resource(
            "CopyAssetsStateMachine",
            resource("AWS::StepFunctions::StateMachine", "Copies the files into the bucket").properties(cfn!({
                "StateMachineType": "EXPRESS",
                "RoleArn": (attribute("CopyAssetsStateMachineRole", "Arn")),
                "Definition": {
                    "Comment": "Copies each file of the mapping, then empties the cache",
                    "StartAt": "GetMappingFile",
                    "States": {
                        "GetMappingFile": {
                            "Type": "Task",
                            "Resource": (task("s3:getObject")),
                            "Parameters": { "Bucket": (Value::raw(&self.bucket)), "Key": (Value::raw(&self.mapping)) },
                            "ResultSelector": { "files.$": "States.StringToJson($.Body)" },
                            "ResultPath": "$.GetMappingFile",
                            "Next": "CopyFiles",
                        },
                        "CopyFiles": {
                            "Type": "Map",
                            "ItemsPath": "$.GetMappingFile.files",
                            "ItemProcessor": {
                                "ProcessorConfig": { "Mode": "INLINE" },
                                "StartAt": "ContentTypeChoice",
                                "States": {
                                    "ContentTypeChoice": {
                                        "Type": "Choice",
                                        "Choices": [{
                                            "Or": [
                                                { "Variable": "$.contentType", "IsPresent": false },
                                                { "Variable": "$.contentType", "StringMatches": "" },
                                            ],
                                            "Next": "CopyFile",
                                        }],
                                        "Default": "CopyFileWithContentType",
                                    },
                                    "CopyFile": (copy(None)),
                                    "CopyFileWithContentType": (copy(Some("$.contentType"))),
                                },
                            },
                            "Next": "InvalidateCache",
                        },
                        "InvalidateCache": {
                            "Type": "Task",
                            "Resource": (task("cloudfront:createInvalidation")),
                            "Parameters": {
                                "DistributionId": (reference("CloudFrontDistribution")),
                                "InvalidationBatch": {
                                    "CallerReference.$": "States.UUID()",
                                    "Paths": { "Items": ["/*"], "Quantity": 1 },
                                },
                            },
                            "End": true,
                        },
                    },
                },
            })),
        );
        stack.resource("CopyAssetsStateMachineRole", self.machine_role(scope));
    }

    fn machine_role(&self, scope: &Scope<'_>) -> Value {
        let partition = scope.facts.partition();
        let bucket = format!("arn:{partition}:s3:::{}", self.bucket);
        let read = cfn!([
            (format!("{bucket}/{}", self.mapping)),
            (format!("{bucket}/local-assets/*"))
        ]);
        let through_bucket = cfn!({ "StringEquals": {
            "kms:EncryptionContext:aws:s3:arn": (bucket),
            "kms:ViaService": (sub("s3.${AWS::Region}.amazonaws.com")),
        }});
        let invalidation = cfn!([
            "acm:ListCertificates",
            "cloudfront:GetDistribution",
            "cloudfront:GetStreamingDistribution",
            "cloudfront:GetDistributionConfig",
            "cloudfront:ListDistributions",
            "cloudfront:ListCloudFrontOriginAccessIdentities",
            "cloudfront:CreateInvalidation",
            "cloudfront:GetInvalidation",
            "cloudfront:ListInvalidations",
            "elasticloadbalancing:DescribeLoadBalancers",
            "iam:ListServerCertificates",
            "sns:ListSubscriptionsByTopic",
            "sns:ListTopics",
            "waf:GetWebACL",
            "waf:ListWebACLs",
        ]);
        let role = Role {
            policies: vec![
                policy(
                    "ArtifactBucketAccess",
                    vec![
                        allow("s3:GetObject".into(), read),
                        allow_if(
                            "kms:Decrypt".into(),
                            reference("ArtifactKeyARN"),
                            through_bucket,
                        ),
                    ],
                ),
                policy(
                    "ServiceBucketAccess",
                    vec![allow(
                        cfn!(["s3:PutObject"]),
                        sub(format!("arn:{partition}:s3:::${{Bucket}}/*")),
                    )],
                ),
                policy(
                    "CacheInvalidation",
                    vec![
                        allow_if(invalidation, "*", tagged_with_service("aws")),
                        allow(
                            cfn!(["s3:ListAllMyBuckets"]),
                            format!("arn:{partition}:s3:::*"),
                        ),
                    ],
                ),
            ],
            ..Role::new(Trust::Services("states.amazonaws.com"))
        };
        role.render(scope, "A role with which the state machine copies files")
    }
}
