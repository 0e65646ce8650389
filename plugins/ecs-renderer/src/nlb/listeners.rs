//! The load balancer, its listeners and target groups, its names and certificates.

use super::{Listener, Nlb};
use crate::cfn;
use crate::cfn::{
    Value, attribute, environment_export, environment_list, join, reference, resource, sub,
    sub_with,
};
use crate::custom_resource::Function;
use crate::http::{Target, alias_record, numbered, record_set};
use crate::iam::{Role, allow, allow_if, named, policy, tagged_with_service};
use crate::network::{Network, Placement};
use crate::ports::Protocol;
use crate::scope::Scope;
use crate::stack::Stack;

/// The newest policy that old clients still speak; the default for TLS listeners.
const SSL_POLICY: &str = "ELBSecurityPolicy-TLS13-1-2-2021-06";

impl Nlb {
    /// Adds the load balancer and all that belongs to it; returns what the service depends on.
    pub(crate) fn render(
        &self,
        scope: &Scope<'_>,
        network: &Network,
        targets: &[Target],
        stack: &mut Stack,
    ) -> Vec<Value> {
        let subnets = match network.placement.as_ref().map(|p| &p.value) {
            Some(Placement::Subnets(_)) => network.subnets(),
            None | Some(Placement::Public | Placement::Private) => {
                environment_list("PublicSubnets")
            }
        };
        stack.resource(
            "PublicNetworkLoadBalancerV2",
            resource(
                "AWS::ElasticLoadBalancingV2::LoadBalancer",
                "A network load balancer for the service",
            )
            .properties(cfn!({
                "Scheme": "internet-facing",
                "SecurityGroups": [(attribute("NetworkLoadBalancerSecurityGroup", "GroupId"))],
                "Subnets": (subnets),
                "Type": "network",
            })),
        );
        self.security(stack);
        for (i, (listener, target)) in self.listeners.iter().zip(targets).enumerate() {
            stack.resource(
                numbered("NLBListener", i),
                listener.render(i).at(listener.span),
            );
            stack.resource(
                numbered("NetworkLoadBalancerTargetGroup", i),
                listener.target_group(target).at(listener.span),
            );
        }
        if self.aliases.is_empty() {
            let name = join(
                ".",
                vec![
                    sub("${WorkloadName}-nlb"),
                    environment_export("SubDomain"),
                    "".into(),
                ],
            );
            let record = alias_record(
                name,
                attribute("PublicNetworkLoadBalancerV2", "DNSName"),
                attribute("PublicNetworkLoadBalancerV2", "CanonicalHostedZoneID"),
            );
            let group = record_set(
                environment_export("HostedZone"),
                vec![record],
                "The default name of the network load balancer",
            );
            stack.resource("NLBDNSAlias", conditional(group));
        } else {
            self.custom_domain(scope, stack);
        }
        if self.listeners.iter().any(|l| l.protocol == Protocol::Tls) {
            self.certificate(scope, stack);
        }
        (0..self.listeners.len())
            .map(|i| numbered("NLBListener", i).into())
            .collect()
    }

    fn security(&self, stack: &mut Stack) {
        let ingress = self
            .listeners
            .iter()
            .map(|l| {
                cfn!({
                    "CidrIp": "0.0.0.0/0",
                    "Description": (format!("Anyone may connect to port {}", l.port.value)),
                    "FromPort": (&l.port),
                    "IpProtocol": (l.protocol.inside().upper()),
                    "ToPort": (&l.port),
                })
                .at(l.span)
            })
            .collect();
        stack.resource(
            "NetworkLoadBalancerSecurityGroup",
            resource("AWS::EC2::SecurityGroup", "Who may connect to the network load balancer").properties(cfn!({
                "GroupDescription": (sub("Connections to the network load balancer of ${WorkloadName}")),
                "SecurityGroupIngress": (Value::List(ingress)),
                "Tags": [{ "Key": "Name", "Value": (sub("copilot-${AppName}-${EnvName}-${WorkloadName}-nlb")) }],
                "VpcId": (environment_export("VpcId")),
            })),
        );
        stack.resource(
            "EnvironmentSecurityGroupIngressFromNetworkLoadBalancerSecurityGroup",
            resource("AWS::EC2::SecurityGroupIngress", "").properties(cfn!({
                "Description": "From the network load balancer to the environment.",
                "GroupId": (environment_export("EnvironmentSecurityGroup")),
                "IpProtocol": (-1),
                "SourceSecurityGroupId": (attribute("NetworkLoadBalancerSecurityGroup", "GroupId")),
            })),
        );
    }

    fn alias_list(&self) -> Value {
        Value::List(
            self.aliases
                .iter()
                .map(|a| Value::raw(&a.name).at(a.span))
                .collect(),
        )
    }

    fn action(
        &self,
        kind: &'static str,
        function: &str,
        more: Vec<(&'static str, Value)>,
        scope: &Scope<'_>,
    ) -> Value {
        let mut properties = cfn!({
            "ServiceToken": (attribute(function, "Arn")),
            "EnvHostedZoneId": (environment_export("HostedZone")),
            "EnvName": (reference("EnvName")),
            "AppName": (reference("AppName")),
            "ServiceName": (reference("WorkloadName")),
            "RootDNSRole": (scope.facts.dns_delegation_role()),
            "DomainName": (scope.facts.domain().map(Value::raw)),
            "Aliases": (self.alias_list()),
        });
        if let Value::Map(entries) = &mut properties {
            entries.extend(more.into_iter().map(|(k, v)| (k.into(), v)));
        }
        resource(kind, "")
            .condition("HasAssociatedDomain")
            .properties(properties)
    }

    fn custom_domain(&self, scope: &Scope<'_>, stack: &mut Stack) {
        let more = vec![
            (
                "PublicAccessDNS",
                attribute("PublicNetworkLoadBalancerV2", "DNSName"),
            ),
            (
                "PublicAccessHostedZoneID",
                attribute("PublicNetworkLoadBalancerV2", "CanonicalHostedZoneID"),
            ),
        ];
        let function = Function::new("NLBCustomDomainFunction", "NLBCustomDomainRole");
        stack.resource(
            "NLBCustomDomainAction",
            self.action("Custom::NLBCustomDomainFunction", function.id, more, scope),
        );
        stack.resource(function.id, conditional(function.render(scope, "")));
        let role = Role::function(vec![policy("NLBCustomDomainPolicy", zone_statements())]);
        stack.resource(
            "NLBCustomDomainRole",
            role.render(
                scope,
                "A role that lets a function point the aliases at the network load balancer",
            ),
        );
    }

    fn certificate(&self, scope: &Scope<'_>, stack: &mut Stack) {
        let more = vec![(
            "LoadBalancerDNS",
            attribute("PublicNetworkLoadBalancerV2", "DNSName"),
        )];
        let function = Function::new("NLBCertValidatorFunction", "NLBCertValidatorRole");
        stack.resource(
            "NLBCertValidatorAction",
            self.action("Custom::NLBCertValidatorFunction", function.id, more, scope),
        );
        stack.resource(function.id, conditional(function.render(scope, "")));
        let mut statements = zone_statements();
        statements.extend(certificate_statements());
        let role = Role::function(vec![policy("NLBCertValidatorPolicy", statements)]);
        stack.resource(
            "NLBCertValidatorRole",
            role.render(
                scope,
                "A role that lets a function request and validate the certificate",
            ),
        );
    }
}

impl Listener {
    fn render(&self, index: usize) -> Value {
        let tls = self.protocol == Protocol::Tls;
        let certificates =
            tls.then(|| cfn!([{ "CertificateArn": (reference("NLBCertValidatorAction")) }]));
        let policy = tls.then(|| match &self.ssl_policy {
            Some(policy) => Value::raw(&policy.value).at(policy.span),
            None => SSL_POLICY.into(),
        });
        resource(
            "AWS::ElasticLoadBalancingV2::Listener",
            "A listener of the network load balancer",
        )
        .properties(cfn!({
            "DefaultActions": [{
                "TargetGroupArn": (reference(numbered("NetworkLoadBalancerTargetGroup", index))),
                "Type": "forward",
            }],
            "LoadBalancerArn": (reference("PublicNetworkLoadBalancerV2")),
            "Port": (&self.port),
            "Protocol": (self.protocol.upper()),
            "Certificates": (certificates),
            "SslPolicy": (policy),
        }))
    }

    fn target_group(&self, target: &Target) -> Value {
        let health = self.health.as_ref();
        let delay = self
            .deregistration
            .as_ref()
            .map_or_else(|| 60.into(), Value::from);
        let sticky = self
            .stickiness
            .as_ref()
            .filter(|_| self.protocol != Protocol::Tls)
            .map(|s| cfn!({ "Key": "stickiness.enabled", "Value": (s) }));
        resource(
            "AWS::ElasticLoadBalancingV2::TargetGroup",
            "The tasks that answer a listener's connections",
        )
        .properties(cfn!({
            "HealthCheckPort": (health.and_then(|h| h.port_at("port"))),
            "HealthyThresholdCount": (health.and_then(|h| h.integer_at("healthy_threshold"))),
            "UnhealthyThresholdCount": (health.and_then(|h| h.integer_at("unhealthy_threshold"))),
            "HealthCheckIntervalSeconds": (health.and_then(|h| h.seconds_at("interval"))),
            "HealthCheckTimeoutSeconds": (health.and_then(|h| h.seconds_at("timeout"))),
            "Port": (target.port),
            "Protocol": (self.protocol.inside().upper()),
            "TargetGroupAttributes": [
                { "Key": "deregistration_delay.timeout_seconds", "Value": (delay) },
                (sticky),
            ],
            "TargetType": "ip",
            "VpcId": (environment_export("VpcId")),
        }))
    }
}

/// Statements for requesting, describing and deleting this service's certificates.
pub(crate) fn certificate_statements() -> Vec<Value> {
    vec![
        named(
            "ServiceCertificateDelete",
            allow_if(
                "acm:DeleteCertificate".into(),
                "*",
                tagged_with_service("aws"),
            ),
        ),
        named("TaggedResourcesRead", allow("tag:GetResources".into(), "*")),
        named(
            "ServiceCertificateCreate",
            allow_if(
                cfn!(["acm:RequestCertificate", "acm:AddTagsToCertificate"]),
                "*",
                tagged_with_service("aws"),
            ),
        ),
        named(
            "CertificateRead",
            allow("acm:DescribeCertificate".into(), "*"),
        ),
    ]
}

fn zone_statements() -> Vec<Value> {
    let zone = sub_with(
        "arn:${AWS::Partition}:route53:::hostedzone/${EnvHostedZone}",
        cfn!({ "EnvHostedZone": (environment_export("HostedZone")) }),
    );
    vec![
        named("AllowAssumeRole", allow("sts:AssumeRole".into(), "*")),
        named(
            "EnvHostedZoneUpdateAndWait",
            allow("route53:ChangeResourceRecordSets".into(), zone),
        ),
        named(
            "EnvHostedZoneRead",
            allow(
                cfn!(["route53:ListResourceRecordSets", "route53:GetChange"]),
                "*",
            ),
        ),
    ]
}

/// The resource, only with a domain.
fn conditional(mut resource: Value) -> Value {
    if let Value::Map(entries) = resource.bare_mut() {
        let at = entries
            .iter()
            .position(|(k, _)| k == "Type")
            .unwrap_or_default();
        entries.insert(at, ("Condition".into(), "HasAssociatedDomain".into()));
    }
    resource
}
