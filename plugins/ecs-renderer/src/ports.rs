//! Which container listens on which port, gathered from `image.port`, sidecars, `http` and `nlb`.

use crate::cfn;
use crate::cfn::Value;
use crate::diagnostic::Findings;
use crate::sidecar::Sidecar;
use crate::yaml::{At, Span};

/// How a port speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// TLS, ended at the load balancer.
    Tls,
}

impl Protocol {
    /// As a container sees it: TLS has ended, what is left is TCP.
    pub(crate) fn inside(self) -> Protocol {
        match self {
            Protocol::Tcp | Protocol::Tls => Protocol::Tcp,
            Protocol::Udp => Protocol::Udp,
        }
    }

    /// Lower case.
    pub(crate) fn lower(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Tls => "tls",
        }
    }

    /// Upper case.
    pub(crate) fn upper(self) -> &'static str {
        match self {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
            Protocol::Tls => "TLS",
        }
    }
}

/// Reads `81`, `81/udp` or `443/TLS`; nothing if it is neither.
pub(crate) fn parse_port(text: &str) -> Option<(u16, Option<Protocol>)> {
    let (number, protocol) = match text.split_once('/') {
        Some((number, protocol)) => {
            let protocol = match protocol.to_lowercase().as_str() {
                "tcp" => Protocol::Tcp,
                "udp" => Protocol::Udp,
                "tls" => Protocol::Tls,
                _ => return None,
            };
            (number, Some(protocol))
        }
        None => (text, None),
    };
    Some((number.parse().ok()?, protocol))
}

/// A port that a container listens on.
#[derive(Clone, Debug)]
pub(crate) struct Exposed {
    /// Port.
    pub(crate) port: u16,
    /// Container.
    pub(crate) container: String,
    /// Protocol inside the task.
    pub(crate) protocol: Protocol,
    /// Where it was said.
    pub(crate) span: Span,
}

/// What asks for a port.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    /// The port.
    pub(crate) port: u16,
    /// The container, if named.
    pub(crate) container: Option<String>,
    /// Protocol inside the task.
    pub(crate) protocol: Protocol,
    /// Where it was said.
    pub(crate) span: Span,
}

/// All ports of a task.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ports {
    exposed: Vec<Exposed>,
}

impl Ports {
    /// Gathers ports; later claims yield to earlier ones: sidecars, load balancer rules, listeners, the main port.
    pub(crate) fn gather(
        main: &str,
        main_port: Option<&At<u16>>,
        sidecars: &[Sidecar],
        rules: &[Claim],
        listeners: &[Claim],
        findings: &mut Findings,
    ) -> Ports {
        let mut ports = Ports::default();
        for sidecar in sidecars {
            if let Some(port) = &sidecar.port {
                ports.claim(
                    port.value,
                    &sidecar.name,
                    sidecar.protocol,
                    port.span,
                    findings,
                );
            }
        }
        for claim in rules.iter().chain(listeners) {
            let owner = ports.owner(claim.port).map(str::to_owned);
            let container = claim
                .container
                .clone()
                .or(owner)
                .unwrap_or_else(|| main.to_owned());
            ports.claim(claim.port, &container, claim.protocol, claim.span, findings);
        }
        if let Some(port) = main_port
            && !ports
                .exposed
                .iter()
                .any(|e| e.port == port.value && e.container == main)
        {
            ports.claim(port.value, main, Protocol::Tcp, port.span, findings);
        }
        ports
    }

    fn claim(
        &mut self,
        port: u16,
        container: &str,
        protocol: Protocol,
        span: Span,
        findings: &mut Findings,
    ) {
        match self.exposed.iter().find(|e| e.port == port) {
            Some(held) if held.container != container => findings.error(
                span,
                format!("containers `{}` and `{container}` are exposing the same port {port}", held.container),
                "the containers of a task share one network; choose another port",
            ),
            Some(held) if held.protocol != protocol => findings.error(
                span,
                format!(
                    "container `{container}` is exposing the same port {port} with protocol {} and {}",
                    held.protocol.lower(),
                    protocol.lower()
                ),
                "choose another port, or the same protocol",
            ),
            Some(_) => {}
            None => self.exposed.push(Exposed { port, container: container.to_owned(), protocol, span }),
        }
    }

    /// The container that listens on a port.
    pub(crate) fn owner(&self, port: u16) -> Option<&str> {
        self.find(port).map(|e| e.container.as_str())
    }

    /// The port as exposed.
    pub(crate) fn find(&self, port: u16) -> Option<&Exposed> {
        self.exposed.iter().find(|e| e.port == port)
    }

    /// `PortMappings` of a container, ascending; the port others connect to is named.
    pub(crate) fn mappings(&self, container: &str, target: Option<u16>) -> Value {
        let mut mine: Vec<&Exposed> = self
            .exposed
            .iter()
            .filter(|e| e.container == container)
            .collect();
        if mine.is_empty() {
            return Value::Absent;
        }
        mine.sort_by_key(|e| e.port);
        let mappings = mine
            .into_iter()
            .map(|e| {
                let name =
                    (Some(e.port) == target && e.protocol == Protocol::Tcp).then_some("target");
                cfn!({
                    "ContainerPort": (e.port),
                    "Protocol": (e.protocol.lower()),
                    "Name": (name),
                })
                .at(e.span)
            })
            .collect();
        Value::List(mappings)
    }
}
