//! How a deployment ended, in Copilot's words: what was deployed, and where it can be reached.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::Kind;
use super::start::Ready;
use crate::manifest::tree::Node;
use crate::report::Verdict;
use crate::wire::aws::cloudformation::{Freshness, StackState};

/// Says how it ended.
pub(super) async fn tell(ready: &Ready, name: &str, kind: Kind, verdict: &Verdict) {
    let reporter = &ready.host.reporter;
    let status = verdict
        .outputs
        .iter()
        .find(|(key, _)| key == "status")
        .map_or("deployed", |(_, status)| status.as_str());
    let noun = kind.noun();
    match status {
        "deployed" => {}
        "unchanged" => {
            reporter.outcome(
                verdict,
                &format!("No changes: {noun} {name} is deployed as configured already."),
            );
            if kind == Kind::Service && !ready.is_static_site() {
                reporter.aside("Set --force to force an update for the service.");
            }
            return;
        }
        _ => {
            reporter.outcome(verdict, &verdict.text);
            warn_of_balancer(ready, name);
            return;
        }
    }
    warn_of_balancer(ready, name);
    let mut text = match noun {
        "job" => format!("Deployed {name}."),
        _ => format!("Deployed service {name}."),
    };
    let aws = &ready.gathered.aws.cloudformation;
    let around = &ready.gathered.environment_stack.name;
    let own = crate::pipeline::copilot::gather::stack_name(
        &ready.gathered.application,
        &ready.gathered.environment,
        Some(name),
    );
    let looked_up = tokio::try_join!(
        aws.describe(around, Freshness::Now),
        aws.describe(&own, Freshness::Now),
        aws.template(&own, Freshness::Now),
    );
    let actions = match looked_up {
        Ok((around, state, template)) => {
            Deployed::of(ready, name, around, state, template).actions()
        }
        Err(error) => {
            // It is deployed all the same.
            reporter.aside(&format!("Where it can be reached is not known: {error}"));
            Vec::new()
        }
    };
    if !actions.is_empty() {
        text.push_str("\nRecommended follow-up action(s):");
        for action in actions {
            text.push_str(&format!("\n  - {action}"));
        }
    }
    reporter.outcome(verdict, &text);
}

/// What surprises people whose network load balancer is older than that.
fn warn_of_balancer(ready: &Ready, name: &str) {
    let inputs = ready.host.run.approved(&format!("parameters/{name}")).ok();
    let inputs: Option<Json> = inputs.and_then(|inputs| serde_json::from_str(&inputs.body).ok());
    if inputs.is_some_and(|inputs| inputs["Parameters"]["NLBPort"].is_string()) {
        ready.host.reporter.aside(
            "warning: since Copilot v1.33 a network load balancer has a security group, which an existing one can't get: one that was made before is made anew. Its domain name changes then; aliases follow it. Containers need to let in the balancer's security group only, not its subnets. See https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-security-groups.html",
        );
    }
}

/// What is deployed, as far as addresses follow from it.
#[derive(Clone, Debug, Default)]
struct Deployed {
    application: String,
    environment: String,
    workload: String,
    domain: Option<String>,
    /// Outputs of the environment's stack.
    around: BTreeMap<String, String>,
    /// Outputs of the workload's stack.
    outputs: BTreeMap<String, String>,
    /// Parameters of the workload's stack.
    parameters: BTreeMap<String, String>,
    template: String,
}

impl Deployed {
    fn of(
        ready: &Ready,
        name: &str,
        around: Option<StackState>,
        state: Option<StackState>,
        template: Option<String>,
    ) -> Self {
        let gathered = &ready.gathered;
        let state = state.unwrap_or_default();
        let domain = gathered.application.domain.clone();
        Self {
            application: gathered.application.name.clone(),
            environment: gathered.environment.name.clone(),
            workload: name.to_owned(),
            domain: (!domain.is_empty()).then_some(domain),
            around: around.unwrap_or_default().outputs.into_iter().collect(),
            outputs: state.outputs.into_iter().collect(),
            parameters: state.parameters.into_iter().collect(),
            template: template.unwrap_or_default(),
        }
    }

    /// What to do next, a sentence each.
    fn actions(&self) -> Vec<String> {
        let mut actions = Vec::new();
        let site = [
            "CloudFrontDistributionAlternativeDomainName",
            "CloudFrontDistributionDomainName",
        ];
        if let Some(host) = site.iter().find_map(|name| self.outputs.get(*name)) {
            actions.push(format!(
                "Your service is accessible at https://{host} over the internet."
            ));
        }
        let root = Node::parse("template", &self.template).ok();
        let resources = root.as_ref().and_then(|root| root.get("Resources"));
        let has = |id: &str| resources.is_some_and(|resources| resources.get(id).is_some());
        let balanced = self.parameters.contains_key("RulePath");
        let internal = has("LoadBalancerInternalDNSAlias")
            || self.template.contains("InternalHTTPListenerArn")
            || self.template.contains("InternalHTTPSListenerArn");
        let hosts = resources
            .map(|resources| aliases(resources))
            .unwrap_or_default();
        if balanced && internal {
            let host = match hosts.as_slice() {
                [] => format!(
                    "{}.{}.{}.internal",
                    self.workload, self.environment, self.application
                ),
                hosts => hosts.join(" or "),
            };
            actions.push(format!(
                "Your service is accessible at {}://{host}{} from your internal network.",
                self.scheme(),
                self.path()
            ));
        } else if balanced {
            actions.extend(self.public(&hosts));
        }
        if let Some(port) = self.parameters.get("NLBPort") {
            let aliases = self
                .parameters
                .get("NLBAliases")
                .filter(|names| !names.is_empty());
            let host = match (aliases, &self.domain) {
                (Some(names), _) => Some(names.replace(',', " or ")),
                (None, Some(domain)) => Some(format!(
                    "{}-nlb.{}.{}.{domain}",
                    self.workload, self.environment, self.application
                )),
                (None, None) => self
                    .outputs
                    .get("PublicNetworkLoadBalancerDNSName")
                    .cloned(),
            };
            actions.extend(host.map(|host| {
                format!("Your service is accessible at {host}:{port} over the internet.")
            }));
        }
        let port = self
            .parameters
            .get("TargetPort")
            .filter(|port| *port != "-1");
        if let (Some(port), false) = (port, balanced || self.parameters.contains_key("NLBPort")) {
            actions.extend(self.inside(resources.map(|node| &**node), port));
        }
        for (variable, sentence) in [
            (
                "COPILOT_QUEUE_URI",
                "Read messages from the queue whose URL your containers find in COPILOT_QUEUE_URI.",
            ),
            (
                "COPILOT_TOPIC_QUEUE_URIS",
                "Topics with a queue of their own: your containers find its URL in the JSON object in COPILOT_TOPIC_QUEUE_URIS.",
            ),
            (
                "COPILOT_SNS_TOPIC_ARNS",
                "Publish to your topics: your containers find their ARNs in the JSON object in COPILOT_SNS_TOPIC_ARNS.",
            ),
        ] {
            if self.template.contains(variable) {
                actions.push(sentence.to_owned());
            }
        }
        if has("CustomDomainAction") && has("InstanceRole") {
            actions.push(
                "The validation process for the alias can take more than 15 minutes.".to_owned(),
            );
        }
        actions
    }

    /// Through the environment's public load balancer.
    fn public(&self, aliases: &[String]) -> Option<String> {
        if self.scheme() == "https" {
            let host = match (aliases, &self.domain) {
                ([], Some(domain)) => format!(
                    "{}.{}.{}.{domain}",
                    self.workload, self.environment, self.application
                ),
                (names, _) => names.join(" or "),
            };
            let path = self.path();
            return (!host.is_empty()).then(|| {
                format!("Your service is accessible at https://{host}{path} over the internet.")
            });
        }
        let closed = self
            .around
            .get("PublicALBAccessible")
            .is_some_and(|open| open == "false");
        let balancer = self
            .around
            .get("PublicLoadBalancerDNSName")
            .filter(|_| !closed);
        let hosts: Vec<&str> = balancer
            .into_iter()
            .chain(self.around.get("CloudFrontDomainName"))
            .map(String::as_str)
            .collect();
        (!hosts.is_empty()).then(|| {
            format!(
                "Your service is accessible at http://{}{} over the internet.",
                hosts.join(" or "),
                self.path()
            )
        })
    }

    /// From other services of the environment.
    fn inside(&self, resources: Option<&Node>, port: &str) -> Vec<String> {
        let mut actions = Vec::new();
        let service =
            resources.and_then(|resources| resources.get("Service")?.get("Properties").cloned());
        let connect = service
            .as_ref()
            .and_then(|service| service.get("ServiceConnectConfiguration").cloned());
        let connected = connect.as_ref().and_then(|connect| {
            let first = connect.get("Services")?.items().first()?.clone();
            let alias = first.get("ClientAliases")?.items().first()?.clone();
            let name = alias
                .get("DnsName")
                .and_then(|name| name.text().map(str::to_owned));
            Some(name.unwrap_or_else(|| self.workload.clone()))
        });
        // A reference to the parameter is the workload's own name.
        if let Some(name) = connected {
            let name = match name.as_str() {
                "WorkloadName" => self.workload.as_str(),
                name => name,
            };
            actions.push(format!(
                "Your service is accessible at {name}:{port} with service connect."
            ));
        }
        actions.push(format!(
            "Your service is accessible at {}.{}.{}.local:{port} with service discovery.",
            self.workload, self.environment, self.application
        ));
        actions
    }

    fn scheme(&self) -> &'static str {
        match self.parameters.get("HTTPSEnabled").map(String::as_str) {
            Some("true") => "https",
            Some(_) | None => "http",
        }
    }

    /// `/` is said by saying nothing.
    fn path(&self) -> String {
        let path = self.parameters.get("RulePath").map_or("", String::as_str);
        match path.trim_matches('/') {
            "" => String::new(),
            path => format!("/{path}"),
        }
    }
}

/// Host names that listener rules forward.
fn aliases(resources: &Node) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for entry in resources.entries() {
        let rule = &entry.value;
        let kind = rule
            .get("Type")
            .and_then(|kind| kind.text().map(str::to_owned));
        if kind.as_deref() != Some("AWS::ElasticLoadBalancingV2::ListenerRule") {
            continue;
        }
        let conditions = rule
            .get("Properties")
            .and_then(|properties| properties.get("Conditions").cloned());
        let conditions = conditions.iter().flat_map(|list| list.items().to_vec());
        for condition in conditions {
            let values = condition
                .get("HostHeaderConfig")
                .and_then(|header| header.get("Values").cloned());
            for value in values.iter().flat_map(|values| values.items().to_vec()) {
                // Names that are worked out by CloudFormation are not texts, or hold references.
                if let Some(name) = value
                    .text()
                    .filter(|name| name.contains('.') && !name.contains("${"))
                    && !found.iter().any(|known| known == name)
                {
                    found.push(name.to_owned());
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    fn api() -> Deployed {
        Deployed {
            application: "shop".into(),
            environment: "test".into(),
            workload: "api".into(),
            around: map(&[("PublicLoadBalancerDNSName", "lb.example.net")]),
            ..Deployed::default()
        }
    }

    #[test]
    fn a_web_service_says_its_address() {
        let plain = Deployed {
            parameters: map(&[
                ("RulePath", "/"),
                ("HTTPSEnabled", "false"),
                ("TargetPort", "80"),
            ]),
            ..api()
        };
        assert_eq!(
            plain.actions(),
            ["Your service is accessible at http://lb.example.net over the internet."]
        );
        let secure = Deployed {
            parameters: map(&[
                ("RulePath", "shop"),
                ("HTTPSEnabled", "true"),
                ("TargetPort", "80"),
            ]),
            domain: Some("example.com".into()),
            ..api()
        };
        assert_eq!(
            secure.actions(),
            [
                "Your service is accessible at https://api.test.shop.example.com/shop over the internet."
            ]
        );
        let named = Deployed {
            template: "Resources: {HTTPSListenerRule: {Type: 'AWS::ElasticLoadBalancingV2::ListenerRule', Properties: {Conditions: [{Field: host-header, HostHeaderConfig: {Values: [a.example.com, b.example.com]}}]}}}".into(),
            ..secure.clone()
        };
        assert_eq!(
            named.actions(),
            [
                "Your service is accessible at https://a.example.com or b.example.com/shop over the internet."
            ]
        );
        let closed = Deployed {
            around: map(&[
                ("PublicLoadBalancerDNSName", "lb.example.net"),
                ("PublicALBAccessible", "false"),
            ]),
            ..plain
        };
        assert!(closed.actions().is_empty());
    }

    #[test]
    fn a_network_load_balancer_a_backend_and_a_site_say_theirs() {
        let network = Deployed {
            parameters: map(&[("NLBPort", "443"), ("TargetPort", "80")]),
            outputs: map(&[("PublicNetworkLoadBalancerDNSName", "nlb.example.net")]),
            ..api()
        };
        assert_eq!(
            network.actions(),
            ["Your service is accessible at nlb.example.net:443 over the internet."]
        );
        let backend = Deployed {
            parameters: map(&[("TargetPort", "8080")]),
            template: "Resources: {Service: {Properties: {ServiceConnectConfiguration: {Services: [{ClientAliases: [{DnsName: !Ref WorkloadName}]}]}}}}".into(),
            ..api()
        };
        assert_eq!(
            backend.actions(),
            [
                "Your service is accessible at api:8080 with service connect.",
                "Your service is accessible at api.test.shop.local:8080 with service discovery."
            ]
        );
        let site = Deployed {
            outputs: map(&[("CloudFrontDistributionDomainName", "d1.cloudfront.net")]),
            ..api()
        };
        assert_eq!(
            site.actions(),
            ["Your service is accessible at https://d1.cloudfront.net over the internet."]
        );
        let silent = Deployed {
            parameters: map(&[("TargetPort", "-1")]),
            ..api()
        };
        assert!(silent.actions().is_empty());
    }
}
