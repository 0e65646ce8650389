//! Target groups, listener rules, their priorities and records.

use super::{Http, Rule, Target};
use crate::alias::Alias;
use crate::cfn;
use crate::cfn::{
    Value, attribute, environment_export, join, logical_id, reference, resource, sub,
};
use crate::custom_resource::rule_priority;
use crate::facts::{LoadBalancer, Side};
use crate::scope::Scope;
use crate::stack::Stack;

impl Http<'_> {
    fn attribute(&self, name: &str) -> Value {
        let prefix = match self.side {
            Side::Public => "",
            Side::Private => "Internal",
        };
        attribute("EnvControllerAction", &format!("{prefix}{name}"))
    }

    fn load_balancer_attribute(&self, name: &str) -> Value {
        let side = match self.side {
            Side::Public => "Public",
            Side::Private => "Internal",
        };
        attribute("EnvControllerAction", &format!("{side}LoadBalancer{name}"))
    }

    /// The load balancer's DNS name.
    pub(crate) fn dns_name(&self) -> Value {
        match self.imported {
            Some(lb) => Value::raw(&lb.dns_name),
            None => self.load_balancer_attribute("DNSName"),
        }
    }

    /// Dimensions of the main rule's metrics.
    pub(crate) fn dimensions(&self) -> (Value, Value) {
        let load_balancer = match self.imported {
            Some(lb) => Value::raw(&lb.name),
            None => self.load_balancer_attribute("FullName"),
        };
        (
            load_balancer,
            attribute(&self.target_group_id(0), "TargetGroupFullName"),
        )
    }

    /// Logical id of a rule's target group.
    pub(crate) fn target_group_id(&self, index: usize) -> String {
        numbered(
            if self.imported.is_some() {
                "TargetGroupForImportedALB"
            } else {
                "TargetGroup"
            },
            index,
        )
    }

    /// `LoadBalancers` entries of the service.
    pub(crate) fn service_entries(&self, targets: &[Target]) -> Vec<Value> {
        targets
            .iter()
            .enumerate()
            .map(|(i, target)| {
                service_entry(target, self.target_group_id(i)).at(self.rules[i].span)
            })
            .collect()
    }

    /// Adds target groups, rules, priorities and records; returns what the service depends on.
    pub(crate) fn render(
        &self,
        scope: &Scope<'_>,
        targets: &[Target],
        stack: &mut Stack,
    ) -> Vec<Value> {
        for (i, (rule, target)) in self.rules.iter().zip(targets).enumerate() {
            stack.resource(
                self.target_group_id(i),
                rule.target_group(target).at(rule.span),
            );
        }
        rule_priority(scope, stack);
        match self.imported {
            Some(load_balancer) => self.render_imported(load_balancer, stack),
            None => self.render_shared(scope, stack),
        }
    }

    fn render_shared(&self, scope: &Scope<'_>, stack: &mut Stack) -> Vec<Value> {
        let https = self.is_https(scope);
        let mut ids = Vec::new();
        for (i, rule) in self.rules.iter().enumerate() {
            let forward = cfn!([{ "TargetGroupArn": (reference(self.target_group_id(i))), "Type": "forward" }]);
            let hosts = self.hosts(rule, https);
            let mut add = |id: &str,
                           action: &'static str,
                           listener: &str,
                           actions: Value,
                           stack: &mut Stack| {
                let conditions = rule.conditions(&hosts);
                let rule_resource =
                    listener_rule(actions, conditions, self.attribute(listener), action, i)
                        .at(rule.span);
                stack.resource(numbered(id, i), rule_resource);
                ids.push(numbered(id, i).into());
            };
            if https {
                let plain = if rule.redirects() {
                    redirect()
                } else {
                    forward.clone()
                };
                let plain = plain.at(rule.redirect.as_ref().map(|r| r.span).unwrap_or_default());
                add(
                    "HTTPListenerRuleWithDomain",
                    "HTTPRuleWithDomainPriorityAction",
                    "HTTPListenerArn",
                    plain,
                    stack,
                );
                add(
                    "HTTPSListenerRule",
                    "HTTPSRulePriorityAction",
                    "HTTPSListenerArn",
                    forward,
                    stack,
                );
            } else {
                add(
                    "HTTPListenerRule",
                    "HTTPRulePriorityAction",
                    "HTTPListenerArn",
                    forward,
                    stack,
                );
            }
        }
        let actions: &[(&'static str, &str)] = if https {
            &[
                ("HTTPRuleWithDomainPriorityAction", "HTTPListenerArn"),
                ("HTTPSRulePriorityAction", "HTTPSListenerArn"),
            ]
        } else {
            &[("HTTPRulePriorityAction", "HTTPListenerArn")]
        };
        for (id, listener) in actions {
            stack.resource(*id, self.priorities(self.attribute(listener)));
        }
        self.records(
            https,
            self.load_balancer_attribute("DNSName"),
            self.load_balancer_attribute("HostedZone"),
            stack,
        );
        ids
    }

    fn render_imported(&self, load_balancer: &LoadBalancer, stack: &mut Stack) -> Vec<Value> {
        let listener = |protocol: &str| {
            load_balancer
                .listeners
                .iter()
                .find(|l| l.protocol == protocol)
                .map(|l| Value::raw(&l.arn))
        };
        let (http, https) = (listener("HTTP"), listener("HTTPS"));
        let mut ids = Vec::new();
        for (i, rule) in self.rules.iter().enumerate() {
            let forward = cfn!([{ "TargetGroupArn": (reference(self.target_group_id(i))), "Type": "forward" }]);
            let hosts: Vec<Value> = rule
                .aliases
                .iter()
                .map(|a| Value::raw(&a.name).at(a.span))
                .collect();
            let mut add = |id: &str,
                           action: &'static str,
                           listener: &Value,
                           actions: Value,
                           stack: &mut Stack| {
                let rule_resource = listener_rule(
                    actions,
                    rule.conditions(&hosts),
                    listener.clone(),
                    action,
                    i,
                )
                .at(rule.span);
                stack.resource(numbered(id, i), rule_resource);
                ids.push(numbered(id, i).into());
            };
            match (&https, &http) {
                (Some(https), http) => {
                    add(
                        "HTTPSListenerRuleForImportedALB",
                        "HTTPSRulePriorityAction",
                        https,
                        forward.clone(),
                        stack,
                    );
                    if let Some(http) = http {
                        let plain = if rule.redirects() {
                            redirect()
                        } else {
                            forward
                        };
                        add(
                            "HTTPListenerRedirectRuleForImportedALB",
                            "HTTPRedirectRulePriorityAction",
                            http,
                            plain,
                            stack,
                        );
                    }
                }
                (None, Some(http)) => {
                    add(
                        "HTTPListenerRuleForImportedALB",
                        "HTTPRulePriorityAction",
                        http,
                        forward,
                        stack,
                    );
                }
                (None, None) => {}
            }
        }
        match (https, http) {
            (Some(https), http) => {
                stack.resource("HTTPSRulePriorityAction", self.priorities(https));
                if let Some(http) = http {
                    stack.resource("HTTPRedirectRulePriorityAction", self.priorities(http));
                }
            }
            (None, Some(http)) => stack.resource("HTTPRulePriorityAction", self.priorities(http)),
            (None, None) => {}
        }
        for (i, group) in load_balancer.security_groups.iter().enumerate() {
            stack.resource(
                numbered("EnvironmentSecurityGroupIngressFromImportedALB", i),
                resource(
                    "AWS::EC2::SecurityGroupIngress",
                    "Lets the load balancer reach the environment",
                )
                .properties(cfn!({
                    "Description": "From the imported load balancer to the environment.",
                    "GroupId": (attribute("EnvControllerAction", "EnvironmentSecurityGroup")),
                    "IpProtocol": (-1),
                    "SourceSecurityGroupId": (Value::raw(group)),
                })),
            );
        }
        self.zone_records(
            Value::raw(&load_balancer.dns_name),
            &Value::raw(&load_balancer.hosted_zone_id),
            stack,
        );
        ids
    }

    /// Host names a rule answers to.
    fn hosts(&self, rule: &Rule, https: bool) -> Vec<Value> {
        let named = || {
            rule.aliases
                .iter()
                .map(|a| Value::raw(&a.name).at(a.span))
                .collect()
        };
        match (self.side, https, rule.aliases.is_empty()) {
            (_, true, false) => named(),
            (Side::Public, true, true) => vec![join(
                ".",
                vec![reference("WorkloadName"), environment_export("SubDomain")],
            )],
            (Side::Public, false, _) => Vec::new(),
            (Side::Private, _, _) => vec![self.load_balancer_attribute("DNSName"), internal_name()],
        }
    }

    fn priorities(&self, listener: Value) -> Value {
        let paths = self
            .rules
            .iter()
            .map(|r| Value::raw(&r.normal_path()).at(r.path_span))
            .collect();
        resource("Custom::RulePriorityFunction", "").properties(cfn!({
            "ServiceToken": (attribute("RulePriorityFunction", "Arn")),
            "RulePath": (Value::List(paths)),
            "ListenerArn": (listener),
        }))
    }

    fn records(&self, https: bool, dns_name: Value, hosted_zone: Value, stack: &mut Stack) {
        let unnamed = self.rules.iter().any(|r| r.aliases.is_empty());
        match self.side {
            Side::Public if https && unnamed => {
                let name = join(
                    ".",
                    vec![
                        reference("WorkloadName"),
                        environment_export("SubDomain"),
                        "".into(),
                    ],
                );
                let zone = environment_export("HostedZone");
                let records = vec![alias_record(name, dns_name.clone(), hosted_zone.clone())];
                stack.resource(
                    "LoadBalancerDNSAlias",
                    record_set(zone, records, "The default name of the workload"),
                );
            }
            Side::Private if !https => {
                let zone = attribute("EnvControllerAction", "InternalWorkloadsHostedZone");
                let records = vec![alias_record(
                    internal_name(),
                    dns_name.clone(),
                    hosted_zone.clone(),
                )];
                stack.resource(
                    "LoadBalancerInternalDNSAlias",
                    record_set(zone, records, "The internal name of the workload"),
                );
            }
            Side::Public | Side::Private => {}
        }
        if https {
            self.zone_records(dns_name, &hosted_zone, stack);
        }
    }

    /// Records in the zones that aliases of any rule name.
    fn zone_records(&self, dns_name: Value, hosted_zone: &Value, stack: &mut Stack) {
        let mut zones: Vec<(&str, Vec<&Alias>)> = Vec::new();
        for alias in self.rules.iter().flat_map(|r| &r.aliases) {
            let Some(zone) = alias.hosted_zone.as_deref() else {
                continue;
            };
            match zones.iter_mut().find(|(z, _)| *z == zone) {
                Some((_, names)) if names.iter().any(|a| a.name == alias.name) => {}
                Some((_, names)) => names.push(alias),
                None => zones.push((zone, vec![alias])),
            }
        }
        zones.sort_by_key(|(zone, _)| *zone);
        for (zone, aliases) in zones {
            let records = aliases
                .iter()
                .map(|a| {
                    alias_record(Value::raw(&a.name), dns_name.clone(), hosted_zone.clone())
                        .at(a.span)
                })
                .collect();
            stack.resource(
                format!("LoadBalancerDNSAlias{}", logical_id(zone)),
                record_set(
                    Value::raw(zone),
                    records,
                    "Names of the workload in a hosted zone",
                ),
            );
        }
    }
}

impl Rule {
    fn redirects(&self) -> bool {
        self.redirect.as_ref().is_none_or(|r| r.value)
    }

    fn normal_path(&self) -> String {
        if self.path.starts_with('/') {
            self.path.clone()
        } else {
            format!("/{}", self.path)
        }
    }

    fn conditions(&self, hosts: &[Value]) -> Value {
        let sources = (!self.source_ips.is_empty()).then(|| {
            let values = self
                .source_ips
                .iter()
                .map(|ip| Value::raw(&ip.value).at(ip.span))
                .collect();
            cfn!({ "Field": "source-ip", "SourceIpConfig": { "Values": (Value::List(values)) } })
        });
        let hosts = (!hosts.is_empty()).then(|| {
            cfn!({ "Field": "host-header", "HostHeaderConfig": { "Values": (Value::List(hosts.to_vec())) } })
        });
        let path = self.normal_path();
        let patterns = if path == "/" {
            cfn!(["/*"])
        } else {
            cfn!([(path.clone()), (format!("{path}/*"))])
        };
        cfn!([
            (sources),
            (hosts),
            {
                "Field": "path-pattern",
                "PathPatternConfig": { "Values": (patterns.at(self.path_span)) },
            },
        ])
    }

    fn target_group(&self, target: &Target) -> Value {
        let health = &self.health;
        let grpc = self.version.as_ref().is_some_and(|v| v.value == "GRPC");
        let path = health
            .path
            .as_ref()
            .map_or_else(|| "/".into(), |p| Value::raw(&p.value).at(p.span));
        // gRPC services report gRPC codes; the HTTP matcher Copilot writes there is refused by AWS.
        let matcher = health.success_codes.as_ref().map(|codes| {
            let key = if grpc { "GrpcCode" } else { "HttpCode" };
            cfn!({ (key): (Value::raw(&codes.value).at(codes.span)) })
        });
        let secure_check = health
            .port
            .as_ref()
            .is_some_and(|p| p.value == 443)
            .then_some("HTTPS");
        let delay = self
            .deregistration
            .as_ref()
            .map_or_else(|| 60.into(), Value::from);
        let sticky = self
            .stickiness
            .as_ref()
            .map_or_else(|| false.into(), Value::from);
        resource(
            "AWS::ElasticLoadBalancingV2::TargetGroup",
            "The tasks that answer a rule's requests",
        )
        .properties(cfn!({
            "HealthCheckPath": (path),
            "HealthCheckPort": (health.port.as_ref()),
            "HealthCheckProtocol": (secure_check),
            "Matcher": (matcher),
            "HealthyThresholdCount": (health.healthy.as_ref()),
            "UnhealthyThresholdCount": (health.unhealthy.as_ref()),
            "HealthCheckIntervalSeconds": (health.interval.as_ref()),
            "HealthCheckTimeoutSeconds": (health.timeout.as_ref()),
            "Port": (target.port),
            "Protocol": (if target.port == 443 { "HTTPS" } else { "HTTP" }),
            "ProtocolVersion": (self.version.as_ref()),
            "TargetGroupAttributes": [
                { "Key": "deregistration_delay.timeout_seconds", "Value": (delay) },
                { "Key": "stickiness.enabled", "Value": (sticky) },
            ],
            "TargetType": "ip",
            "VpcId": (environment_export("VpcId")),
        }))
    }
}

/// `id` for the first of several things, `id1`, `id2`… for the others.
pub(crate) fn numbered(id: &str, index: usize) -> String {
    if index == 0 {
        id.to_owned()
    } else {
        format!("{id}{index}")
    }
}

/// A `LoadBalancers` entry of a service.
pub(crate) fn service_entry(target: &Target, target_group: String) -> Value {
    cfn!({
        "ContainerName": (Value::raw(&target.container)),
        "ContainerPort": (target.port),
        "TargetGroupArn": (reference(target_group)),
    })
}

/// A record that follows a load balancer.
pub(crate) fn alias_record(name: Value, dns_name: Value, hosted_zone: Value) -> Value {
    cfn!({
        "Name": (name),
        "Type": "A",
        "AliasTarget": { "HostedZoneId": (hosted_zone), "DNSName": (dns_name) },
    })
}

/// Records of one zone.
pub(crate) fn record_set(zone: Value, records: Vec<Value>, what: &str) -> Value {
    resource("AWS::Route53::RecordSetGroup", what).properties(cfn!({
        "HostedZoneId": (zone),
        "Comment": (sub(format!("{what} ${{WorkloadName}}"))),
        "RecordSets": (Value::List(records)),
    }))
}

fn internal_name() -> Value {
    join(
        ".",
        vec![
            reference("WorkloadName"),
            attribute("EnvControllerAction", "InternalWorkloadsHostedZoneName"),
        ],
    )
}

fn redirect() -> Value {
    cfn!([{
        "Type": "redirect",
        "RedirectConfig": {
            "Protocol": "HTTPS",
            "Port": 443,
            "Host": "#{host}",
            "Path": "/#{path}",
            "Query": "#{query}",
            "StatusCode": "HTTP_301",
        },
    }])
}

fn listener_rule(
    actions: Value,
    conditions: Value,
    listener: Value,
    priority: &str,
    index: usize,
) -> Value {
    resource(
        "AWS::ElasticLoadBalancingV2::ListenerRule",
        "A rule that sends requests to the workload",
    )
    .properties(cfn!({
        "Actions": (actions),
        "Conditions": (conditions),
        "ListenerArn": (listener),
        "Priority": (attribute(priority, &numbered("Priority", index))),
    }))
}
