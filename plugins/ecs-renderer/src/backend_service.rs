//! Backend Service: an ECS service that only the environment can reach, by name or through the internal load balancer.

use crate::cfn;
use crate::cfn::{Value, equals, not, reference, when};
use crate::count::Scaled;
use crate::custom_resource::Controller;
use crate::deployment::{self, Deployment};
use crate::diagnostic::Findings;
use crate::ecs_fields;
use crate::environment;
use crate::facts::Side;
use crate::http::{self, Http};
use crate::image;
use crate::observability;
use crate::ports::{Ports, Protocol};
use crate::schema::Object;
use crate::scope::Scope;
use crate::service::{Service, discovery, gov_cloud, registry};
use crate::stack::{Kind, Stack};
use crate::task::{Surroundings, Task};
use crate::yaml::Node;

/// Keys of the manifest.
pub(crate) const SHAPE: Object = Object {
    fields: ecs_fields!(
        ("image", image::WITH_PORT),
        ("http", http::MAP),
        ("observability", observability::SHAPE),
        ("deployment", deployment::SHAPE),
    ),
    exclusive: &[],
};

/// Renders the stack.
pub(crate) fn render(root: &Node, scope: &Scope<'_>, findings: &mut Findings) -> Stack {
    let http = Http::read(root, Side::Private, scope, findings);
    let task = Task::read(
        root,
        Scaled::Listening {
            http: http.is_some(),
        },
        scope,
        findings,
    );
    let deployment = Deployment::read(root, findings);
    let main_port = task.port.as_ref().map(|p| p.value);
    let ports = Ports::gather(
        scope.name,
        task.port.as_ref(),
        &task.sidecars,
        &http.as_ref().map(Http::claims).unwrap_or_default(),
        &[],
        findings,
    );
    let targets = http
        .as_ref()
        .map(|h| h.targets(scope.name, main_port, &task.sidecars, &ports, findings))
        .unwrap_or_default();
    let balancer = http
        .as_ref()
        .and_then(|h| h.feature("InternalALBWorkloads"));
    let features: Vec<_> = balancer.into_iter().chain(task.features()).collect();
    environment::check(scope, &features, findings);
    let (container, port) = match targets.first() {
        Some(target) => (target.container.clone(), Some(target.port)),
        None => (scope.name.to_owned(), main_port),
    };
    if let Some(alias) = task.network.connect.as_ref().and_then(|c| c.alias.as_ref())
        && port.is_none()
    {
        findings.error(
            alias.span,
            "`network.connect.alias` needs an exposed port",
            "add `image.port`, or remove the alias",
        );
    }

    let mut stack = Stack::default();
    task.parameters(scope, &mut stack);
    let number = |port: Option<u16>| port.map_or_else(|| "-1".to_owned(), |p| p.to_string());
    stack.parameter("ContainerPort", Kind::Number, number(main_port));
    stack.number_with_default("LogRetention", 30, task.retention());
    stack.parameter("TargetContainer", Kind::Text, container);
    stack.parameter("TargetPort", Kind::Number, number(port));
    if let Some(http) = &http {
        stack.parameter("HTTPSEnabled", Kind::Flag, http.is_https(scope).to_string());
        stack.parameter("RulePath", Kind::Text, http.rules[0].path.clone());
    }
    gov_cloud(&mut stack);
    stack.condition("ExposePort", not(equals(reference("TargetPort"), -1)));

    let serves = port.is_some_and(|p| ports.find(p).is_none_or(|e| e.protocol == Protocol::Tcp));
    let around = Surroundings {
        target: port.filter(|_| serves),
        variables: http
            .as_ref()
            .map(|h| cfn!({ "Name": "COPILOT_LB_DNS", "Value": (h.dns_name()) }))
            .into_iter()
            .collect(),
        ports,
    };
    task.render(scope, &around, &mut stack, findings);
    discovery(&mut stack);
    let controller = Controller {
        features,
        aliases: Vec::new(),
    };
    controller.render(scope, &mut stack);
    let mut depends_on: Vec<Value> = vec!["EnvControllerAction".into()];
    let mut load_balancers = Vec::new();
    if let Some(http) = &http {
        depends_on.extend(http.render(scope, &targets, &mut stack));
        load_balancers = http.service_entries(&targets);
    }
    Service {
        task: &task,
        deployment: &deployment,
        depends_on,
        serves,
        load_balancers,
        grace_period: http.as_ref().and_then(Http::grace_period),
        registries: when("ExposePort", registry()),
    }
    .render(scope, &mut stack);
    task.count
        .scaling(scope, &mut stack, http.as_ref().map(Http::dimensions), &[]);
    scope.addons.render(controller.dependency(), &mut stack);
    stack
}
