//! `network`: placement, security groups and service connect.

use crate::cfn;
use crate::cfn::{
    Value, attribute, environment_export, environment_list, if_else, import, join, no_value,
    reference,
};
use crate::diagnostic::Findings;
use crate::schema::{Object, Shape, TEXT_OR_EXPORT};
use crate::scope::Scope;
use crate::task::cloudwatch_logs;
use crate::yaml::{At, Node, Span};

/// Keys of `network` for services and jobs on ECS.
pub(crate) const SHAPE: Shape = Shape::Object(&Object {
    fields: &[
        (
            "vpc",
            Shape::Object(&Object {
                fields: &[
                    ("placement", PLACEMENT),
                    ("security_groups", SECURITY_GROUPS),
                ],
                exclusive: &[],
            }),
        ),
        (
            "connect",
            Shape::Either(
                &[
                    Shape::Boolean,
                    Shape::Object(&Object {
                        fields: &[("alias", Shape::Text)],
                        exclusive: &[],
                    }),
                ],
                "true, false or a map with an alias",
            ),
        ),
    ],
    exclusive: &[],
});

/// Keys of `network` for App Runner services.
pub(crate) const APP_RUNNER_SHAPE: Shape = Shape::Object(&Object {
    fields: &[(
        "vpc",
        Shape::Object(&Object {
            fields: &[("placement", PLACEMENT)],
            exclusive: &[],
        }),
    )],
    exclusive: &[],
});

const PLACEMENT: Shape = Shape::Either(
    &[
        Shape::Text,
        Shape::Object(&Object {
            fields: &[(
                "subnets",
                Shape::Either(
                    &[
                        Shape::List(&Shape::Text),
                        Shape::Object(&Object {
                            fields: &[("from_tags", Shape::Map(&crate::schema::TEXTS))],
                            exclusive: &[],
                        }),
                    ],
                    "a list of subnet ids or a map with `from_tags`",
                ),
            )],
            exclusive: &[],
        }),
    ],
    "`public`, `private` or a map with `subnets`",
);

const GROUPS: Shape = Shape::List(&TEXT_OR_EXPORT);

const SECURITY_GROUPS: Shape = Shape::Either(
    &[
        GROUPS,
        Shape::Object(&Object {
            fields: &[("groups", GROUPS), ("deny_default", Shape::Boolean)],
            exclusive: &[],
        }),
    ],
    "a list of security groups or a map with `groups`",
);

/// Where tasks run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Placement {
    /// In the environment's public subnets, with public addresses.
    Public,
    /// In its private subnets.
    Private,
    /// In these subnets.
    Subnets(Vec<Value>),
}

/// The section.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// Where tasks run; `None` if nothing was said.
    pub(crate) placement: Option<At<Placement>>,
    /// Further security groups.
    pub(crate) security_groups: Vec<Value>,
    /// Leaves out the environment's own security group.
    pub(crate) deny_default: bool,
    /// Service connect, if it is switched on.
    pub(crate) connect: Option<Connect>,
    /// Where `connect` stands.
    pub(crate) connect_span: Option<Span>,
}

/// Service connect.
#[derive(Clone, Debug)]
pub(crate) struct Connect {
    /// The name others reach the service by.
    pub(crate) alias: Option<At<String>>,
}

impl Network {
    /// Reads the section; `from_tags` is looked up in the facts.
    pub(crate) fn read(root: &Node, scope: &Scope<'_>, findings: &mut Findings) -> Network {
        let vpc = root.dig("network.vpc");
        let placement = vpc
            .and_then(|vpc| vpc.get("placement"))
            .and_then(|node| read_placement(node, scope, findings).map(|p| At::new(p, node.span)));
        let groups = vpc.and_then(|vpc| vpc.get("security_groups"));
        let list = groups.map_or(&[][..], |g| {
            g.items().unwrap_or_else(|| g.items_at("groups"))
        });
        if let Some(deny) = groups
            .and_then(|g| g.boolean_at("deny_default"))
            .filter(|d| d.value)
            && list.is_empty()
            && scope.addons.security_groups().next().is_none()
        {
            findings.warn(
                deny.span,
                "`network.vpc.security_groups.deny_default` leaves the tasks without any security group",
                "name at least one below `groups`",
            );
        }
        let connect = root.dig("network.connect");
        let enabled = connect.is_some_and(|c| c.boolean() == Some(true) || c.entries().is_some());
        Network {
            placement,
            security_groups: list.iter().map(text_or_import).collect(),
            deny_default: groups
                .and_then(|g| g.boolean_at("deny_default"))
                .is_some_and(|d| d.value),
            connect: enabled.then(|| Connect {
                alias: connect.and_then(|c| c.text_at("alias")),
            }),
            connect_span: connect.map(|c| c.span),
        }
    }

    /// The feature that private placement needs of the environment.
    pub(crate) fn feature(&self) -> Option<At<&'static str>> {
        let placement = self.placement.as_ref()?;
        (placement.value == Placement::Private).then(|| At::new("NATWorkloads", placement.span))
    }

    fn placement_span(&self) -> Span {
        self.placement.as_ref().map(|p| p.span).unwrap_or_default()
    }

    /// `ENABLED` or `DISABLED`.
    pub(crate) fn assign_public_ip(&self) -> Value {
        let public = self
            .placement
            .as_ref()
            .is_none_or(|p| p.value == Placement::Public);
        Value::from(if public { "ENABLED" } else { "DISABLED" }).at(self.placement_span())
    }

    /// The subnets tasks run in.
    pub(crate) fn subnets(&self) -> Value {
        let subnets = match self.placement.as_ref().map(|p| &p.value) {
            None | Some(Placement::Public) => environment_list("PublicSubnets"),
            Some(Placement::Private) => environment_list("PrivateSubnets"),
            Some(Placement::Subnets(ids)) => Value::list(ids.clone()),
        };
        subnets.at(self.placement_span())
    }

    /// The security groups of tasks: the environment's, the manifest's, the addons'.
    pub(crate) fn groups(&self, scope: &Scope<'_>) -> Vec<Value> {
        let mut groups = Vec::new();
        if !self.deny_default {
            groups.push(environment_export("EnvironmentSecurityGroup"));
        }
        groups.extend(self.security_groups.iter().cloned());
        groups.extend(
            scope
                .addons
                .security_groups()
                .map(|o| attribute("AddonsStack", &format!("Outputs.{}", o.name))),
        );
        groups
    }

    /// `NetworkConfiguration` of an ECS service.
    pub(crate) fn configuration(&self, scope: &Scope<'_>) -> Value {
        cfn!({ "AwsvpcConfiguration": {
            "AssignPublicIp": (self.assign_public_ip()),
            "Subnets": (self.subnets()),
            "SecurityGroups": (Value::List(self.groups(scope))),
        }})
    }

    /// `ServiceConnectConfiguration`; a service that exposes a port is also a server.
    pub(crate) fn connect_configuration(&self, scope: &Scope<'_>, exposes_port: bool) -> Value {
        let Some(connect) = &self.connect else {
            let off = if_else("IsGovCloud", no_value(), cfn!({ "Enabled": false }));
            return off.at(self.connect_span.unwrap_or_default());
        };
        let services = exposes_port.then(|| {
            let name = connect.alias.as_ref().map_or_else(
                || reference("WorkloadName"),
                |a| Value::raw(&a.value).at(a.span),
            );
            cfn!([{
                "PortName": "target",
                "DiscoveryName": (join("-", vec![reference("WorkloadName"), "sc".into()])),
                "ClientAliases": [{ "Port": (reference("TargetPort")), "DnsName": (name) }],
            }])
        });
        cfn!({
            "Enabled": true,
            "Namespace": (Value::raw(&scope.facts.environment.service_discovery_endpoint)),
            "LogConfiguration": (cloudwatch_logs()),
            "Services": (services),
        })
        .at(self.connect_span.unwrap_or_default())
    }
}

/// A literal, or the import of `from_cfn`.
pub(crate) fn text_or_import(node: &Node) -> Value {
    match node.text_at("from_cfn") {
        Some(export) => import(export.value).at(node.span),
        None => node
            .own_text()
            .map_or(Value::Absent, |t| Value::raw(&t.value).at(t.span)),
    }
}

fn read_placement(node: &Node, scope: &Scope<'_>, findings: &mut Findings) -> Option<Placement> {
    if let Some(text) = node.text() {
        return match text {
            "public" => Some(Placement::Public),
            "private" => Some(Placement::Private),
            other => {
                findings.error(
                    node.span,
                    format!("`network.vpc.placement` cannot be `{other}`"),
                    "write public, private, or a map with `subnets`",
                );
                None
            }
        };
    }
    let subnets = node.get("subnets")?;
    let tags = subnets.sorted_at("from_tags");
    if tags.is_empty() {
        return Some(Placement::Subnets(
            subnets
                .texts()
                .iter()
                .map(|s| Value::raw(&s.value).at(s.span))
                .collect(),
        ));
    }
    let found: Vec<Value> = scope
        .facts
        .subnets
        .iter()
        .filter(|subnet| {
            tags.iter().all(|(key, wanted)| {
                let wanted = wanted.texts();
                subnet.tags.get(&key.text).is_some_and(|value| {
                    wanted.is_empty() || wanted.iter().any(|w| w.value == *value)
                })
            })
        })
        .map(|subnet| Value::raw(&subnet.id).at(subnets.span))
        .collect();
    if found.is_empty() {
        findings.error(
            subnets.span,
            "`network.vpc.placement.subnets.from_tags` selects no subnet of the environment",
            "every tag must match; compare with the tags of the VPC's subnets",
        );
    }
    Some(Placement::Subnets(found))
}
