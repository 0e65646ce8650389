//! `http`: listener rules of an application load balancer, the environment's or one that exists.

mod rules;

use crate::alias::{self, Alias};
use crate::diagnostic::Findings;
use crate::facts::{LoadBalancer, Side};
use crate::ports::{Claim, Ports, Protocol};
use crate::schema::{Object, Shape, TEXTS};
use crate::scope::Scope;
use crate::sidecar::Sidecar;
use crate::yaml::{At, Node, Span};
pub(crate) use rules::{alias_record, numbered, record_set, service_entry};

const HEALTH_CHECK: Shape = Shape::Either(
    &[
        Shape::Text,
        Shape::Object(&Object {
            fields: &[
                ("path", Shape::Text),
                ("port", Shape::Port),
                ("success_codes", Shape::Text),
                ("healthy_threshold", Shape::Integer),
                ("unhealthy_threshold", Shape::Integer),
                ("timeout", Shape::Duration),
                ("interval", Shape::Duration),
                ("grace_period", Shape::Duration),
            ],
            exclusive: &[],
        }),
    ],
    "a path or a map",
);

macro_rules! rule_fields {
    ($($more:expr),*) => {
        &[
            ("path", Shape::Text),
            ("version", Shape::Text),
            ("healthcheck", HEALTH_CHECK),
            ("stickiness", Shape::Boolean),
            ("alias", alias::SHAPE),
            ("hosted_zone", Shape::Text),
            ("deregistration_delay", Shape::Duration),
            ("target_container", Shape::Text),
            ("targetContainer", Shape::Text),
            ("target_port", Shape::Port),
            ("allowed_source_ips", TEXTS),
            ("redirect_to_https", Shape::Boolean),
            $($more),*
        ]
    };
}

/// The section as a map; a backend service takes nothing else.
pub(crate) const MAP: Shape = Shape::Object(&Object {
    fields: rule_fields!(
        ("alb", Shape::Text),
        (
            "additional_rules",
            Shape::List(&Shape::Object(&Object {
                fields: rule_fields!(),
                exclusive: &[]
            }))
        )
    ),
    exclusive: &[],
});

/// The section of a load balanced service: it may also be switched off.
pub(crate) const SHAPE: Shape = Shape::Either(&[Shape::Boolean, MAP], "false or a map");

/// A rule.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// Path as written.
    pub(crate) path: String,
    path_span: Span,
    version: Option<At<&'static str>>,
    health: HealthCheck,
    stickiness: Option<At<bool>>,
    /// Host names.
    pub(crate) aliases: Vec<Alias>,
    deregistration: Option<At<i64>>,
    target_container: Option<At<String>>,
    target_port: Option<At<u16>>,
    source_ips: Vec<At<String>>,
    redirect: Option<At<bool>>,
    span: Span,
}

#[derive(Clone, Debug, Default)]
struct HealthCheck {
    path: Option<At<String>>,
    port: Option<At<u16>>,
    success_codes: Option<At<String>>,
    healthy: Option<At<i64>>,
    unhealthy: Option<At<i64>>,
    timeout: Option<At<i64>>,
    interval: Option<At<i64>>,
    grace_period: Option<At<i64>>,
}

/// Where a rule or listener sends requests.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Container.
    pub(crate) container: String,
    /// Port.
    pub(crate) port: u16,
}

/// The section.
#[derive(Clone, Debug)]
pub(crate) struct Http<'a> {
    /// The main rule and the additional ones.
    pub(crate) rules: Vec<Rule>,
    /// The load balancer to use instead of the environment's.
    pub(crate) imported: Option<&'a LoadBalancer>,
    side: Side,
}

impl<'a> Http<'a> {
    /// Reads and checks the section; `None` if there is none, or it is switched off.
    pub(crate) fn read(
        root: &Node,
        side: Side,
        scope: &Scope<'a>,
        findings: &mut Findings,
    ) -> Option<Http<'a>> {
        let http = root.get("http").filter(|h| {
            h.entries()
                .is_some_and(|e| e.iter().any(|(_, v)| !v.is_null()))
        })?;
        let mut rules = vec![Rule::read(http, "http", findings)];
        for (i, rule) in http.items_at("additional_rules").iter().enumerate() {
            let path = format!("http.additional_rules[{i}]");
            let rule_read = Rule::read(rule, &path, findings);
            if let Some(grace) = &rule_read.health.grace_period {
                findings.error(
                    grace.span,
                    format!("`{path}.healthcheck.grace_period` cannot be set: it belongs to the main rule"),
                    "move it to `http.healthcheck.grace_period`",
                );
            }
            rules.push(rule_read);
        }
        let imported = http
            .text_at("alb")
            .and_then(|name| find_load_balancer(&name, scope, findings));
        let http = Http {
            rules,
            imported,
            side,
        };
        if scope.full_checks() {
            match side {
                Side::Public => http.check_public(scope, findings),
                Side::Private => http.check_private(scope, findings),
            }
        }
        if !http.is_https(scope) && http.imported.is_none() {
            for alias in http.rules.iter().flat_map(|r| &r.aliases) {
                findings.warn(
                    alias.span,
                    format!("alias `{}` has no effect without HTTPS", alias.name),
                    "associate a domain with the application, or import certificates into the environment",
                );
            }
        }
        Some(http)
    }

    /// Ports that rules ask for.
    pub(crate) fn claims(&self) -> Vec<Claim> {
        self.rules
            .iter()
            .filter_map(|rule| {
                let port = rule.target_port.as_ref()?;
                Some(Claim {
                    port: port.value,
                    container: rule.target_container.as_ref().map(|c| c.value.clone()),
                    protocol: Protocol::Tcp,
                    span: port.span,
                })
            })
            .collect()
    }

    /// Where each rule sends requests.
    pub(crate) fn targets(
        &self,
        main: &str,
        main_port: Option<u16>,
        sidecars: &[Sidecar],
        ports: &Ports,
        findings: &mut Findings,
    ) -> Vec<Target> {
        self.rules
            .iter()
            .map(|rule| rule.target(main, main_port, sidecars, ports, findings))
            .collect()
    }

    /// The feature that the rules need of the environment, unless their load balancer is imported.
    pub(crate) fn feature(&self, name: &'static str) -> Option<At<&'static str>> {
        self.imported
            .is_none()
            .then(|| At::new(name, self.rules[0].span))
    }

    /// True if the environment's load balancer listens with HTTPS for this workload.
    pub(crate) fn is_https(&self, scope: &Scope<'_>) -> bool {
        let certificates = !scope.facts.environment_certificates(self.side).is_empty();
        certificates || (self.side == Side::Public && scope.facts.domain().is_some())
    }

    /// Seconds a new task may take before health checks count.
    pub(crate) fn grace_period(&self) -> Option<At<i64>> {
        self.rules[0].health.grace_period.clone()
    }

    /// Distinct host names of all rules.
    pub(crate) fn all_aliases(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for alias in self.rules.iter().flat_map(|r| &r.aliases) {
            if !names.contains(&alias.name) {
                names.push(alias.name.clone());
            }
        }
        names
    }

    fn check_public(&self, scope: &Scope<'_>, findings: &mut Findings) {
        let facts = scope.facts;
        let certificates = facts.environment_certificates(Side::Public);
        let imports = !certificates.is_empty() || facts.cdn_certificate().is_some();
        for rule in &self.rules {
            if let Some(redirect) = rule
                .redirect
                .as_ref()
                .filter(|_| facts.domain().is_none() && !imports)
            {
                findings.error(
                    redirect.span,
                    "`redirect_to_https` has nothing to redirect to: there is no HTTPS",
                    "associate a domain with the application, or import certificates into the environment",
                );
            }
            if rule.aliases.is_empty() {
                if imports && self.imported.is_none() {
                    findings.error(
                        rule.span,
                        "`alias` must be specified: the environment imports certificates, and a rule needs a name they cover",
                        "add `alias` to every rule",
                    );
                }
                continue;
            }
            if let Some(alias) = rule.aliases.iter().find(|a| a.hosted_zone.is_some()) {
                if !imports {
                    findings.error(
                        alias.span,
                        format!("alias `{}` has a `hosted_zone`, but the environment imports no certificates", alias.name),
                        "import certificates into the environment, or leave the zone out",
                    );
                    continue;
                }
                if facts.has_cdn() {
                    findings.error(
                        alias.span,
                        format!("alias `{}` has a `hosted_zone`, but the environment's CDN stands before the load balancer", alias.name),
                        "leave the zone out and point the name at the CDN",
                    );
                }
            }
            if imports {
                if !certificates.is_empty() {
                    alias::check_certificates(&rule.aliases, &certificates, facts, findings);
                }
                if let Some(arn) = facts.cdn_certificate() {
                    alias::check_certificates(&rule.aliases, &[arn], facts, findings);
                }
            } else if facts.domain().is_some() {
                alias::check_zones(&rule.aliases, scope, findings);
            } else {
                let alias = &rule.aliases[0];
                findings.error(
                    alias.span,
                    format!("alias `{}` needs a domain or certificates", alias.name),
                    "associate a domain with the application, or import certificates into the environment",
                );
            }
        }
    }

    fn check_private(&self, scope: &Scope<'_>, findings: &mut Findings) {
        let certificates = scope.facts.environment_certificates(Side::Private);
        for rule in &self.rules {
            match (certificates.is_empty(), rule.aliases.first()) {
                (false, None) if self.imported.is_none() => findings.error(
                    rule.span,
                    "`alias` must be specified: the environment imports certificates for its internal load balancer",
                    "add `alias` to every rule",
                ),
                (true, Some(alias)) if self.imported.is_none() => findings.error(
                    alias.span,
                    format!("alias `{}` needs certificates on the environment's internal load balancer", alias.name),
                    "import certificates below `http.private` of the environment manifest",
                ),
                (false, Some(_)) => alias::check_certificates(&rule.aliases, &certificates, scope.facts, findings),
                _ => {}
            }
        }
    }
}

impl Rule {
    fn read(node: &Node, path: &str, findings: &mut Findings) -> Rule {
        let text = node.text_at("path");
        if text.is_none() {
            findings.error(
                node.span,
                format!("`{path}.path` must be specified"),
                "write `path: '/'` for everything, or the beginning of the paths to serve",
            );
        }
        let container = node.text_at("target_container");
        let old = node.text_at("targetContainer");
        if let (Some(_), Some(old)) = (&container, &old) {
            findings.error(
                old.span,
                format!("`{path}` has both `target_container` and `targetContainer`"),
                "keep `target_container`",
            );
        }
        let aliases = alias::read(node, path, findings);
        let source_ips = node.texts_at("allowed_source_ips");
        for address in source_ips.iter().filter(|a| !is_cidr(&a.value)) {
            findings.error(
                address.span,
                format!(
                    "`{path}.allowed_source_ips` cannot hold `{}`",
                    address.value
                ),
                "write a block of addresses, for example 192.0.2.0/24",
            );
        }
        if aliases.len() + source_ips.len() >= 5 {
            findings.error(
                node.span,
                format!(
                    "`{path}` has {} `alias` names and {} `allowed_source_ips`: a listener rule has room for four conditions beside its path",
                    aliases.len(),
                    source_ips.len()
                ),
                "spread them over `additional_rules` with the same path",
            );
        }
        Rule {
            path_span: text.as_ref().map(|t| t.span).unwrap_or_default(),
            path: text.map(|t| t.value).unwrap_or_default(),
            version: read_version(node, path, findings),
            health: HealthCheck::read(node),
            stickiness: node.boolean_at("stickiness"),
            aliases,
            deregistration: node.seconds_at("deregistration_delay"),
            target_container: container.or(old),
            target_port: node.port_at("target_port"),
            source_ips,
            redirect: node.boolean_at("redirect_to_https"),
            span: node.span,
        }
    }

    fn target(
        &self,
        main: &str,
        main_port: Option<u16>,
        sidecars: &[Sidecar],
        ports: &Ports,
        findings: &mut Findings,
    ) -> Target {
        let named = self.target_container.as_ref();
        check_container(named, "http.target_container", main, sidecars, findings);
        let container = match (named, &self.target_port) {
            (Some(name), _) => name.value.clone(),
            (None, Some(port)) => ports.owner(port.value).unwrap_or(main).to_owned(),
            (None, None) => main.to_owned(),
        };
        let declared = if container == main {
            main_port
        } else {
            sidecars
                .iter()
                .find(|s| s.name == container)
                .and_then(|s| s.port.as_ref())
                .map(|p| p.value)
        };
        let port = self.target_port.as_ref().map(|p| p.value).or(declared);
        if port.is_none()
            && named.is_none_or(|n| n.value == main || sidecars.iter().any(|s| s.name == n.value))
        {
            findings.error(
                named.map_or(self.span, |n| n.span),
                format!("container `{container}`, the target of `http`, does not expose a port"),
                "add `port` to the container, or `target_port` to the rule",
            );
        }
        let span = self.target_port.as_ref().map_or(self.span, |p| p.span);
        for (number, span) in [(port, span)]
            .into_iter()
            .chain(self.health.port.as_ref().map(|p| (Some(p.value), p.span)))
        {
            if let Some(exposed) = number
                .and_then(|n| ports.find(n))
                .filter(|e| e.protocol == Protocol::Udp)
            {
                findings.error(
                    span,
                    format!(
                        "`http` targets port {} of container `{}`, which speaks udp",
                        exposed.port, exposed.container
                    ),
                    "an application load balancer speaks HTTP over TCP; target another port",
                );
            }
        }
        Target {
            container,
            port: port.unwrap_or_default(),
        }
    }
}

impl HealthCheck {
    fn read(rule: &Node) -> HealthCheck {
        let Some(node) = rule.get("healthcheck") else {
            return HealthCheck::default();
        };
        if let Some(path) = node.own_text() {
            return HealthCheck {
                path: Some(path),
                ..HealthCheck::default()
            };
        }
        HealthCheck {
            path: node.text_at("path"),
            port: node.port_at("port"),
            success_codes: node.text_at("success_codes"),
            healthy: node.integer_at("healthy_threshold"),
            unhealthy: node.integer_at("unhealthy_threshold"),
            timeout: node.seconds_at("timeout"),
            interval: node.seconds_at("interval"),
            grace_period: node.seconds_at("grace_period"),
        }
    }
}

/// Checks that a target container exists.
pub(crate) fn check_container(
    named: Option<&At<String>>,
    field: &str,
    main: &str,
    sidecars: &[Sidecar],
    findings: &mut Findings,
) {
    let Some(name) =
        named.filter(|n| n.value != main && !sidecars.iter().any(|s| s.name == n.value))
    else {
        return;
    };
    let names: Vec<&str> = std::iter::once(main)
        .chain(sidecars.iter().map(|s| s.name.as_str()))
        .collect();
    findings.error(
        name.span,
        format!(
            "`{field}` names container `{}`, which does not exist",
            name.value
        ),
        format!("the containers are {}", names.join(", ")),
    );
}

fn read_version(node: &Node, path: &str, findings: &mut Findings) -> Option<At<&'static str>> {
    let version = node.text_at("version")?;
    let name = match version.value.to_lowercase().as_str() {
        "grpc" => "GRPC",
        "http1" => "HTTP1",
        "http2" => "HTTP2",
        _ => {
            findings.error(
                version.span,
                format!("`{path}.version` cannot be `{}`", version.value),
                "write grpc, http1 or http2",
            );
            return None;
        }
    };
    Some(At::new(name, version.span))
}

fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return false;
    };
    let Ok(bits) = bits.parse::<u8>() else {
        return false;
    };
    match address.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(_)) => bits <= 32,
        Ok(std::net::IpAddr::V6(_)) => bits <= 128,
        Err(_) => false,
    }
}

fn find_load_balancer<'a>(
    name: &At<String>,
    scope: &Scope<'a>,
    findings: &mut Findings,
) -> Option<&'a LoadBalancer> {
    let found = scope
        .facts
        .load_balancers
        .iter()
        .find(|lb| lb.arn == name.value || lb.name == name.value);
    let Some(found) = found else {
        findings.error(
            name.span,
            format!(
                "load balancer `{}` of `http.alb` does not exist",
                name.value
            ),
            "write the name or ARN of a load balancer in the environment's account and region",
        );
        return None;
    };
    let count = |protocol: &str| {
        found
            .listeners
            .iter()
            .filter(|l| l.protocol == protocol)
            .count()
    };
    let (http, https) = (count("HTTP"), count("HTTPS"));
    if scope.full_checks()
        && (http > 1 || https > 1 || http + https == 0 || found.listeners.len() > 2)
    {
        findings.error(
            name.span,
            format!(
                "load balancer `{}` of `http.alb` has {http} HTTP and {https} HTTPS listeners",
                found.name
            ),
            "it must have one listener, or one of each",
        );
    }
    Some(found)
}
