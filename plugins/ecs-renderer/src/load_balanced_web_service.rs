//! Load Balanced Web Service: an ECS service behind the environment's public load balancer, its own network load
//! balancer, or both.

use crate::cfn;
use crate::cfn::{Value, attribute, equals, reference};
use crate::count::Scaled;
use crate::custom_resource::Controller;
use crate::deployment::{self, Deployment};
use crate::diagnostic::Findings;
use crate::ecs_fields;
use crate::environment;
use crate::facts::Side;
use crate::http::{self, Http};
use crate::image;
use crate::nlb::{self, Nlb};
use crate::observability;
use crate::ports::{Ports, Protocol};
use crate::schema::Object;
use crate::scope::Scope;
use crate::service::{Service, discovery, gov_cloud, registry};
use crate::stack::{Kind, Stack};
use crate::task::{Surroundings, Task};
use crate::yaml::{At, Node};

/// Keys of the manifest.
pub(crate) const SHAPE: Object = Object {
    fields: ecs_fields!(
        ("image", image::WITH_PORT),
        ("http", http::SHAPE),
        ("nlb", nlb::SHAPE),
        ("observability", observability::SHAPE),
        ("deployment", deployment::SHAPE),
    ),
    exclusive: &[],
};

/// Renders the stack.
pub(crate) fn render(root: &Node, scope: &Scope<'_>, findings: &mut Findings) -> Stack {
    let http = Http::read(root, Side::Public, scope, findings);
    let nlb = Nlb::read(root, scope, findings);
    check_listeners(root, http.is_some(), nlb.is_some(), findings);
    let task = Task::read(
        root,
        Scaled::Listening {
            http: http.is_some(),
        },
        scope,
        findings,
    );
    if let (Some(http), Some(span)) = (&http, task.count.load_balancer_metric())
        && http.imported.is_some()
    {
        findings.warn(
            span,
            "CloudWatch knows an imported load balancer by its full name, but existing stacks have its short name: this metric may never report",
            "patch the dimension in overrides/cfn.patches.yml, or scale by `cpu_percentage`",
        );
    }
    let deployment = Deployment::read(root, findings);
    if root.dig("image.port").is_none() {
        findings.error(
            root.get("image").map_or(root.span, |i| i.span),
            "`image.port` must be specified",
            "say which port the container listens on",
        );
    }
    let main_port = task.port.as_ref().map(|p| p.value);
    let ports = Ports::gather(
        scope.name,
        task.port.as_ref(),
        &task.sidecars,
        &http.as_ref().map(Http::claims).unwrap_or_default(),
        &nlb.as_ref().map(Nlb::claims).unwrap_or_default(),
        findings,
    );
    let rule_targets = http
        .as_ref()
        .map(|h| h.targets(scope.name, main_port, &task.sidecars, &ports, findings))
        .unwrap_or_default();
    let listener_targets = nlb
        .as_ref()
        .map(|n| n.targets(scope.name, &task.sidecars, &ports, findings))
        .unwrap_or_default();
    let balancer = http.as_ref().and_then(|h| h.feature("ALBWorkloads"));
    let task_features = task.features();
    let needed: Vec<_> = balancer.iter().chain(&task_features).cloned().collect();
    environment::check(scope, &needed, findings);

    let mut stack = Stack::default();
    task.parameters(scope, &mut stack);
    let (container, port) = match rule_targets.first() {
        Some(target) => (target.container.clone(), target.port),
        None => (scope.name.to_owned(), main_port.unwrap_or_default()),
    };
    let domain = scope.facts.domain().is_some();
    stack.parameter(
        "ContainerPort",
        Kind::Number,
        main_port.unwrap_or_default().to_string(),
    );
    stack.parameter("DNSDelegated", Kind::Flag, domain.to_string());
    stack.parameter("LogRetention", Kind::Number, task.retention());
    stack.parameter("TargetContainer", Kind::Text, container);
    stack.parameter("TargetPort", Kind::Number, port.to_string());
    if let Some(http) = &http {
        stack.parameter("HTTPSEnabled", Kind::Flag, http.is_https(scope).to_string());
        stack.parameter("RulePath", Kind::Text, http.rules[0].path.clone());
    }
    if let Some(nlb) = &nlb {
        stack.parameter("NLBAliases", Kind::Optional, nlb.aliases());
        stack.parameter("NLBPort", Kind::Text, nlb.port());
    }
    gov_cloud(&mut stack);
    stack.condition(
        "HasAssociatedDomain",
        equals(reference("DNSDelegated"), true),
    );

    let tcp = ports.find(port).is_none_or(|e| e.protocol == Protocol::Tcp);
    let around = Surroundings {
        target: Some(port).filter(|_| tcp),
        variables: http
            .as_ref()
            .map(|h| cfn!({ "Name": "COPILOT_LB_DNS", "Value": (h.dns_name()) }))
            .into_iter()
            .collect(),
        ports,
    };
    task.render(scope, &around, &mut stack, findings);
    discovery(&mut stack);
    // Even a service without `http` may have left names behind, so only an imported load balancer has none to manage.
    let shared_aliases = http.as_ref().is_none_or(|h| h.imported.is_none());
    let controller = Controller {
        features: balancer
            .into_iter()
            .chain(shared_aliases.then_some(At::new("Aliases", root.span)))
            .chain(task_features)
            .collect(),
        aliases: http
            .as_ref()
            .filter(|h| h.imported.is_none())
            .map(Http::all_aliases)
            .unwrap_or_default(),
    };
    controller.render(scope, &mut stack);
    let mut depends_on: Vec<Value> = Vec::new();
    let mut load_balancers: Vec<Value> = Vec::new();
    if let Some(http) = &http {
        depends_on.extend(http.render(scope, &rule_targets, &mut stack));
        load_balancers.extend(http.service_entries(&rule_targets));
    }
    if let Some(nlb) = &nlb {
        depends_on.extend(nlb.render(scope, &task.network, &listener_targets, &mut stack));
        load_balancers.extend(nlb.service_entries(&listener_targets));
        stack.output(
            "PublicNetworkLoadBalancerDNSName",
            "DNS name of the network load balancer",
            attribute("PublicNetworkLoadBalancerV2", "DNSName"),
        );
    }
    let grace_period = http
        .as_ref()
        .and_then(Http::grace_period)
        .or_else(|| nlb.as_ref().and_then(Nlb::grace_period));
    Service {
        task: &task,
        deployment: &deployment,
        depends_on,
        serves: tcp,
        load_balancers,
        grace_period,
        registries: registry(),
    }
    .render(scope, &mut stack);
    task.count
        .scaling(scope, &mut stack, http.as_ref().map(Http::dimensions), &[]);
    scope.addons.render(controller.dependency(), &mut stack);
    stack
}

fn check_listeners(root: &Node, http: bool, nlb: bool, findings: &mut Findings) {
    let switch = root.get("http");
    match switch.and_then(Node::boolean) {
        None if switch.is_none() => findings.error(
            root.span,
            "`http` must be specified",
            "add `http:` with `path: '/'`, or `http: false` beside `nlb`",
        ),
        Some(true) => findings.error(
            switch.map_or(root.span, |s| s.span),
            "`http` is true, but nothing says which paths to serve",
            "write `http:` with `path: '/'`",
        ),
        Some(false) if !nlb => findings.error(
            switch.map_or(root.span, |s| s.span),
            "must specify at least one of `http` or `nlb`: nothing listens",
            "remove `http: false`, or add `nlb`",
        ),
        Some(false) | None => {}
    }
    let health = |key: &str| {
        root.get(key)
            .and_then(|n| n.get("healthcheck"))
            .and_then(|h| h.get("grace_period"))
    };
    if let (true, true, Some(_), Some(second)) = (http, nlb, health("http"), health("nlb")) {
        findings.error(
            second.span,
            "`grace_period` is set below both `http` and `nlb`",
            "a service has one grace period; remove one of them",
        );
    }
}
