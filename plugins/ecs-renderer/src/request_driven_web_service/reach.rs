//! How the service reaches the VPC, how the VPC reaches the service, and the service's own domain name.

use super::Service;
use crate::cfn;
use crate::cfn::{Value, attribute, environment_export, reference, resource, sub};
use crate::custom_resource::{Controller, Function};
use crate::iam::{Role, allow, policy};
use crate::scope::Scope;
use crate::stack::Stack;

/// The layer with the AWS SDK that the custom domain function needs: account and version by region, as AWS publishes it.
const SDK_LAYERS: [(&str, &str, u32); 21] = [
    ("af-south-1", "392341123054", 7),
    ("ap-east-1", "118857876118", 14),
    ("ap-northeast-1", "249908578461", 15),
    ("ap-northeast-2", "296580773974", 14),
    ("ap-northeast-3", "961244031340", 14),
    ("ap-south-1", "631267018583", 14),
    ("ap-southeast-1", "468957933125", 14),
    ("ap-southeast-2", "817496625479", 14),
    ("ca-central-1", "778625758767", 14),
    ("eu-central-1", "292169987271", 14),
    ("eu-north-1", "642425348156", 14),
    ("eu-south-1", "426215560912", 7),
    ("eu-west-1", "399891621064", 14),
    ("eu-west-2", "142628438157", 14),
    ("eu-west-3", "959311844005", 14),
    ("me-south-1", "507411403535", 10),
    ("sa-east-1", "640010853179", 14),
    ("us-east-1", "668099181075", 15),
    ("us-east-2", "259788987135", 14),
    ("us-west-1", "325793726646", 15),
    ("us-west-2", "420165488524", 14),
];

impl Service {
    /// What lets the service reach the VPC.
    pub(super) fn connector(&self, controller: &Controller, stack: &mut Stack) {
        if self.network.placement.is_none() {
            return;
        }
        stack.resource(
            "ServiceSecurityGroup",
            resource("AWS::EC2::SecurityGroup", "The security group of the service").properties(cfn!({
                "GroupDescription": (sub("Connections of ${WorkloadName} into the VPC")),
                "VpcId": (environment_export("VpcId")),
                "Tags": [{ "Key": "Name", "Value": (sub("copilot-${AppName}-${EnvName}-${WorkloadName}")) }],
            })),
        );
        stack.resource(
            "EnvironmentSecurityGroupIngressFromServiceSecurityGroup",
            resource("AWS::EC2::SecurityGroupIngress", "").properties(cfn!({
                "Description": "From the service to the environment.",
                "GroupId": (environment_export("EnvironmentSecurityGroup")),
                "IpProtocol": (-1),
                "SourceSecurityGroupId": (reference("ServiceSecurityGroup")),
            })),
        );
        stack.resource(
            "VpcConnector",
            resource(
                "AWS::AppRunner::VpcConnector",
                "The connection of the service to the VPC",
            )
            .depends_on(controller.dependency())
            .properties(cfn!({
                "Subnets": (self.network.subnets()),
                "SecurityGroups": [
                    (reference("ServiceSecurityGroup")),
                    (environment_export("EnvironmentSecurityGroup")),
                ],
                "Tags": (self.tags()),
            })),
        );
    }

    /// What lets the VPC reach a private service.
    pub(super) fn ingress(&self, stack: &mut Stack) {
        let Some(private) = &self.private else {
            return;
        };
        let endpoint = match &private.endpoint {
            Some(endpoint) => Value::raw(&endpoint.value).at(endpoint.span),
            None => attribute("EnvControllerAction", "AppRunnerVpcEndpointId"),
        };
        stack.resource(
            "AppRunnerVpcIngressConnection",
            resource(
                "AWS::AppRunner::VpcIngressConnection",
                "The way from the VPC to the service",
            )
            .properties(cfn!({
                "ServiceArn": (attribute("Service", "ServiceArn")),
                "IngressVpcConfiguration": {
                    "VpcId": (environment_export("VpcId")),
                    "VpcEndpointId": (endpoint),
                },
                "Tags": (self.tags()),
            }))
            .at(private.span),
        );
    }

    pub(super) fn custom_domain(&self, scope: &Scope<'_>, stack: &mut Stack) {
        let Some(alias) = &self.alias else {
            return;
        };
        let region = &scope.facts.environment.region;
        let layer =
            SDK_LAYERS
                .iter()
                .find(|(r, _, _)| r == region)
                .map(|(region, account, version)| {
                    let arn = format!(
                        "arn:aws:lambda:{region}:{account}:layer:AWSLambda-Node-AWS-SDK:{version}"
                    );
                    Value::List(vec![arn.into()])
                });
        let function = Function::new("CustomDomainFunction", "CustomResourceRole");
        let mut properties = function.properties(scope);
        if let (Value::Map(entries), Some(layer)) = (&mut properties, layer) {
            entries.push(("Layers".into(), layer));
        }
        stack.resource(
            function.id,
            resource("AWS::Lambda::Function", "").properties(properties),
        );
        stack.resource(
            "CustomDomainAction",
            resource(
                "Custom::CustomDomainFunction",
                "The service's own domain name",
            )
            .depends_on("CustomDomainFunction")
            .properties(cfn!({
                "ServiceToken": (attribute("CustomDomainFunction", "Arn")),
                "ServiceARN": (attribute("Service", "ServiceArn")),
                "AppDNSRole": (scope.facts.dns_delegation_role()),
                "CustomDomain": (Value::raw(&alias.value).at(alias.span)),
                "AppDNSName": (scope.facts.domain().map(Value::raw)),
            }))
            .at(alias.span),
        );
        let actions = cfn!([
            "apprunner:AssociateCustomDomain",
            "apprunner:DisassociateCustomDomain",
            "apprunner:DescribeCustomDomains",
            "sts:AssumeRole",
            "route53:ChangeResourceRecordSets",
            "route53:ListHostedZonesByName",
        ]);
        let role = Role::function(vec![policy(
            "DNSandACMAccess",
            vec![allow(actions, cfn!(["*"]))],
        )]);
        stack.resource(
            "CustomResourceRole",
            role.render(scope, "A role that lets a function set up the domain name"),
        );
    }
}
