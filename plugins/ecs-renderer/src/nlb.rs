//! `nlb`: listeners of a network load balancer that belongs to the service.

mod listeners;

use crate::alias::{self, Alias};
use crate::cfn::Value;
use crate::diagnostic::Findings;
use crate::facts::Side;
use crate::http::{Target, check_container, numbered, service_entry};
use crate::ports::{Claim, Ports, Protocol, parse_port};
use crate::schema::{Object, Shape};
use crate::scope::Scope;
use crate::sidecar::Sidecar;
use crate::yaml::{At, Node, Span};

macro_rules! listener_fields {
    ($($more:expr),*) => {
        &[
            ("port", Shape::Text),
            ("target_port", Shape::Port),
            ("target_container", Shape::Text),
            ("ssl_policy", Shape::Text),
            ("stickiness", Shape::Boolean),
            (
                "healthcheck",
                Shape::Object(&Object {
                    fields: &[
                        ("port", Shape::Port),
                        ("healthy_threshold", Shape::Integer),
                        ("unhealthy_threshold", Shape::Integer),
                        ("timeout", Shape::Duration),
                        ("interval", Shape::Duration),
                        ("grace_period", Shape::Duration),
                    ],
                    exclusive: &[],
                }),
            ),
            ("deregistration_delay", Shape::Duration),
            $($more),*
        ]
    };
}

pub(crate) use listeners::certificate_statements;

/// Keys of `nlb`.
pub(crate) const SHAPE: Shape = Shape::Object(&Object {
    fields: listener_fields!(
        ("alias", alias::SHAPE),
        (
            "additional_listeners",
            Shape::List(&Shape::Object(&Object {
                fields: listener_fields!(),
                exclusive: &[]
            }))
        )
    ),
    exclusive: &[],
});

/// The section.
#[derive(Clone, Debug)]
pub(crate) struct Nlb {
    listeners: Vec<Listener>,
    aliases: Vec<Alias>,
}

#[derive(Clone, Debug)]
struct Listener {
    port: At<u16>,
    protocol: Protocol,
    target_port: Option<At<u16>>,
    target_container: Option<At<String>>,
    ssl_policy: Option<At<String>>,
    stickiness: Option<At<bool>>,
    deregistration: Option<At<i64>>,
    health: Option<Node>,
    span: Span,
}

impl Nlb {
    /// Reads and checks the section.
    pub(crate) fn read(root: &Node, scope: &Scope<'_>, findings: &mut Findings) -> Option<Nlb> {
        let nlb = root
            .get("nlb")
            .filter(|n| n.entries().is_some_and(|e| !e.is_empty()))?;
        let mut listeners: Vec<Listener> =
            Listener::read(nlb, "nlb", findings).into_iter().collect();
        for (i, node) in nlb.items_at("additional_listeners").iter().enumerate() {
            let path = format!("nlb.additional_listeners[{i}]");
            if let Some(grace) = node.get("healthcheck").and_then(|h| h.get("grace_period")) {
                findings.error(
                    grace.span,
                    format!("`{path}.healthcheck.grace_period` cannot be set: it belongs to the main listener"),
                    "move it to `nlb.healthcheck.grace_period`",
                );
            }
            listeners.extend(Listener::read(node, &path, findings));
        }
        let aliases = alias::read(nlb, "nlb", findings);
        if let Some(alias) = aliases.iter().find(|a| a.hosted_zone.is_some()) {
            findings.error(
                alias.span,
                format!("`nlb.alias` {} cannot have a `hosted_zone`", alias.name),
                "use a name below the application's domain",
            );
        }
        if let (true, Some(alias)) = (scope.full_checks(), aliases.first()) {
            if !scope
                .facts
                .environment_certificates(Side::Public)
                .is_empty()
            {
                findings.error(
                    alias.span,
                    format!("`nlb.alias` {} is not possible in an environment that imports certificates", alias.name),
                    "remove the certificates from the environment, or the alias",
                );
            } else if scope.facts.domain().is_none() {
                findings.error(
                    alias.span,
                    format!("`nlb.alias` {} needs a domain", alias.name),
                    "associate a domain with the application",
                );
            } else {
                alias::check_zones(&aliases, scope, findings);
            }
        }
        if scope.facts.domain().is_none()
            && let Some(listener) = listeners.iter().find(|l| l.protocol == Protocol::Tls)
        {
            findings.warn(
                listener.port.span,
                "a TLS listener of `nlb` has no certificate: the application has no domain",
                "associate a domain with the application, or use tcp",
            );
        }
        Some(Nlb { listeners, aliases })
    }

    /// Ports that listeners ask for.
    pub(crate) fn claims(&self) -> Vec<Claim> {
        self.listeners
            .iter()
            .map(|listener| {
                let port = listener.target_port.as_ref().unwrap_or(&listener.port);
                Claim {
                    port: port.value,
                    container: listener.target_container.as_ref().map(|c| c.value.clone()),
                    protocol: listener.protocol.inside(),
                    span: port.span,
                }
            })
            .collect()
    }

    /// Where each listener sends connections.
    pub(crate) fn targets(
        &self,
        main: &str,
        sidecars: &[Sidecar],
        ports: &Ports,
        findings: &mut Findings,
    ) -> Vec<Target> {
        self.listeners
            .iter()
            .map(|listener| {
                let named = listener.target_container.as_ref();
                check_container(named, "nlb.target_container", main, sidecars, findings);
                let declared = named
                    .and_then(|n| sidecars.iter().find(|s| s.name == n.value))
                    .and_then(|s| s.port.as_ref())
                    .map(|p| p.value);
                let port = listener
                    .target_port
                    .as_ref()
                    .map(|p| p.value)
                    .or(declared)
                    .unwrap_or(listener.port.value);
                let container = match named {
                    Some(name) => name.value.clone(),
                    None => ports.owner(port).unwrap_or(main).to_owned(),
                };
                let check = listener.health.as_ref().and_then(|h| h.port_at("port"));
                if let Some(exposed) = check
                    .as_ref()
                    .and_then(|p| ports.find(p.value))
                    .filter(|e| e.protocol == Protocol::Udp)
                {
                    findings.error(
                        check.as_ref().map(|p| p.span).unwrap_or_default(),
                        format!(
                            "`nlb.healthcheck.port` {} of container `{}` speaks udp",
                            exposed.port, exposed.container
                        ),
                        "health checks use TCP; name a port that speaks it",
                    );
                }
                Target { container, port }
            })
            .collect()
    }

    /// Seconds a new task may take before health checks count.
    pub(crate) fn grace_period(&self) -> Option<At<i64>> {
        self.listeners
            .first()?
            .health
            .as_ref()?
            .seconds_at("grace_period")
    }

    /// The value of the parameter `NLBPort`.
    pub(crate) fn port(&self) -> String {
        self.listeners
            .first()
            .map(|l| l.port.value.to_string())
            .unwrap_or_default()
    }

    /// The value of the parameter `NLBAliases`.
    pub(crate) fn aliases(&self) -> String {
        let names: Vec<&str> = self.aliases.iter().map(|a| a.name.as_str()).collect();
        names.join(",")
    }

    /// `LoadBalancers` entries of the service.
    pub(crate) fn service_entries(&self, targets: &[Target]) -> Vec<Value> {
        targets
            .iter()
            .enumerate()
            .map(|(i, t)| {
                service_entry(t, numbered("NetworkLoadBalancerTargetGroup", i))
                    .at(self.listeners[i].span)
            })
            .collect()
    }
}

impl Listener {
    fn read(node: &Node, path: &str, findings: &mut Findings) -> Option<Listener> {
        let Some(text) = node.text_at("port") else {
            findings.error(
                node.span,
                format!("`{path}.port` must be specified"),
                "write a port, with a protocol if you like: 443/tls",
            );
            return None;
        };
        let Some((port, protocol)) = parse_port(&text.value) else {
            findings.error(
                text.span,
                format!(
                    "`{path}.port` cannot be `{}`: a port, then a protocol tcp, udp or tls",
                    text.value
                ),
                "for example 443/tls",
            );
            return None;
        };
        if let (Some(Protocol::Tls), Some(sticky)) = (protocol, node.boolean_at("stickiness")) {
            findings.warn(
                sticky.span,
                format!("`{path}.stickiness` has no effect on a TLS listener"),
                "remove it",
            );
        }
        Some(Listener {
            port: At::new(port, text.span),
            protocol: protocol.unwrap_or(Protocol::Tcp),
            target_port: node.port_at("target_port"),
            target_container: node.text_at("target_container"),
            ssl_policy: node.text_at("ssl_policy"),
            stickiness: node.boolean_at("stickiness"),
            deregistration: node.seconds_at("deregistration_delay"),
            health: node.get("healthcheck").cloned(),
            span: node.span,
        })
    }
}
