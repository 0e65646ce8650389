//! Worker Service: an ECS service that works off queues.

use crate::cfn::{Value, no_value};
use crate::count::Scaled;
use crate::custom_resource::Controller;
use crate::deployment::{self, Deployment};
use crate::diagnostic::Findings;
use crate::ecs_fields;
use crate::environment;
use crate::image;
use crate::observability;
use crate::ports::Ports;
use crate::schema::Object;
use crate::scope::Scope;
use crate::service::{Service, gov_cloud};
use crate::stack::Stack;
use crate::subscribe::{self, Subscribe};
use crate::task::{Surroundings, Task};
use crate::yaml::Node;

/// Keys of the manifest.
pub(crate) const SHAPE: Object = Object {
    fields: ecs_fields!(
        ("image", image::WITHOUT_PORT),
        ("subscribe", subscribe::SHAPE),
        ("observability", observability::SHAPE),
        ("deployment", deployment::WORKER_SHAPE),
    ),
    exclusive: &[],
};

/// Renders the stack.
pub(crate) fn render(root: &Node, scope: &Scope<'_>, findings: &mut Findings) -> Stack {
    let task = Task::read(root, Scaled::Working, scope, findings);
    let deployment = Deployment::read(root, findings);
    let subscribe = Subscribe::read(root, scope, findings);
    if let Some(alias) = task.network.connect.as_ref().and_then(|c| c.alias.as_ref()) {
        findings.error(
            alias.span,
            "`network.connect.alias` is not possible for a worker, which has no port to reach",
            "write `connect: true` to reach others",
        );
    }
    let features = task.features();
    environment::check(scope, &features, findings);
    let ports = Ports::gather(scope.name, None, &task.sidecars, &[], &[], findings);

    let mut stack = Stack::default();
    task.parameters(scope, &mut stack);
    stack.number_with_default("LogRetention", 30, task.retention());
    gov_cloud(&mut stack);
    let around = Surroundings {
        ports,
        target: None,
        variables: subscribe.variables(),
    };
    task.render(scope, &around, &mut stack, findings);
    let controller = Controller {
        features,
        aliases: Vec::new(),
    };
    controller.render(scope, &mut stack);
    Service {
        task: &task,
        deployment: &deployment,
        depends_on: vec![Value::from("EnvControllerAction")],
        serves: false,
        load_balancers: Vec::new(),
        grace_period: None,
        registries: no_value(),
    }
    .render(scope, &mut stack);
    task.count
        .scaling(scope, &mut stack, None, &subscribe.queues());
    subscribe.backlog(scope, &task.count, &mut stack);
    subscribe.render(&mut stack);
    scope.addons.render(controller.dependency(), &mut stack);
    stack
}
