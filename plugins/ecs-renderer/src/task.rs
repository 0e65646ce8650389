//! The task that the four ECS workload types run: its definition, roles and log group.

mod containers;
mod roles;

use crate::cfn;
use crate::cfn::{Value, join, reference, resource};
use crate::container::{self, Link, check_dependencies, check_env_file};
use crate::count::{Count, Scaled};
use crate::diagnostic::Findings;
use crate::image::{self, Source};
use crate::logging::{Logging, ROUTER};
use crate::network::Network;
use crate::observability;
use crate::package::{ContainerImage, EnvFile, clean_path};
use crate::platform::Platform;
use crate::ports::Ports;
use crate::publish::{self, Topic};
use crate::schema::{Object, Shape};
use crate::scope::Scope;
use crate::sidecar::{self, Sidecar};
use crate::stack::{Kind, Stack};
use crate::storage::Storage;
use crate::taskdef_overrides::{self, Override};
use crate::variables::{Variable, read_secrets, read_variables};
use crate::yaml::{At, Node, Span};

/// `exec`.
pub(crate) const EXEC: Shape = Shape::Either(
    &[
        Shape::Boolean,
        Shape::Object(&Object {
            fields: &[("enable", Shape::Boolean)],
            exclusive: &[],
        }),
    ],
    "true, false or a map with `enable`",
);

/// Fields that every ECS workload has.
#[macro_export]
macro_rules! ecs_fields {
    ($($field:expr),* $(,)?) => {
        &[
            ("name", $crate::schema::Shape::Text),
            ("type", $crate::schema::Shape::Text),
            ("environments", $crate::schema::Shape::Any),
            ("cpu", $crate::schema::Shape::Integer),
            ("memory", $crate::schema::Shape::Integer),
            ("platform", $crate::platform::SHAPE),
            ("count", $crate::count::SHAPE),
            ("exec", $crate::task::EXEC),
            ("entrypoint", $crate::schema::TEXTS),
            ("command", $crate::schema::TEXTS),
            ("variables", $crate::variables::VARIABLES),
            ("env_file", $crate::schema::Shape::Text),
            ("secrets", $crate::variables::SECRETS),
            ("storage", $crate::storage::SHAPE),
            ("logging", $crate::logging::SHAPE),
            ("sidecars", $crate::sidecar::SHAPE),
            ("network", $crate::network::SHAPE),
            ("publish", $crate::publish::SHAPE),
            ("taskdef_overrides", $crate::taskdef_overrides::SHAPE),
            $($field),*
        ]
    };
}

/// A task.
pub(crate) struct Task {
    root: Node,
    /// Where the main image comes from.
    pub(crate) source: Option<Source>,
    /// The main container's port.
    pub(crate) port: Option<At<u16>>,
    cpu: At<i64>,
    memory: At<i64>,
    /// What it runs on.
    pub(crate) platform: Option<Platform>,
    /// How many.
    pub(crate) count: Count,
    exec: Option<Span>,
    entrypoint: Value,
    command: Value,
    variables: Vec<Variable>,
    secrets: Vec<Variable>,
    storage: Storage,
    /// Containers beside the main one.
    pub(crate) sidecars: Vec<Sidecar>,
    logging: Logging,
    /// Where it runs.
    pub(crate) network: Network,
    topics: Vec<Topic>,
    overrides: Vec<Override>,
    tracing: Option<Span>,
}

/// What differs between types when the task is rendered.
#[derive(Default)]
pub(crate) struct Surroundings {
    /// Ports of all containers.
    pub(crate) ports: Ports,
    /// The port others connect to.
    pub(crate) target: Option<u16>,
    /// Variables of every container beyond the common ones.
    pub(crate) variables: Vec<Value>,
}

impl Task {
    /// Reads and checks what all ECS types have.
    pub(crate) fn read(
        root: &Node,
        scaled: Scaled,
        scope: &Scope<'_>,
        findings: &mut Findings,
    ) -> Task {
        let platform = Platform::read(root, findings);
        let windows = platform.as_ref().is_some_and(Platform::is_windows);
        let network = Network::read(root, scope, findings);
        if windows && network.connect.is_some() && matches!(scaled, Scaled::Listening { .. }) {
            findings.error(
                network.connect_span.unwrap_or_default(),
                "`network.connect` is not possible on Windows",
                "remove it; use service discovery instead",
            );
        }
        check_env_file(root, "env_file", findings);
        let number = |key: &str, default: i64| {
            root.integer_at(key)
                .unwrap_or(At::new(default, Span::default()))
        };
        let exec = root.get("exec").filter(|_| scaled != Scaled::Job);
        let exec = exec.and_then(|e| match e.boolean() {
            Some(on) => on.then_some(e.span),
            None => e
                .boolean_at("enable")
                .filter(|on| on.value)
                .map(|on| on.span),
        });
        let task = Task {
            source: image::main_source(root, findings),
            port: root.get("image").and_then(|i| i.port_at("port")),
            cpu: number("cpu", 256),
            memory: number("memory", 512),
            count: Count::read(root, scaled, platform.as_ref(), findings),
            platform,
            exec,
            entrypoint: container::command(root, "entrypoint", findings),
            command: container::command(root, "command", findings),
            variables: read_variables(root, "variables"),
            secrets: read_secrets(root, "secrets"),
            storage: Storage::read(root, windows, findings),
            sidecars: sidecar::read(root, findings),
            logging: Logging::read(root, findings),
            network,
            topics: publish::read(root, findings),
            overrides: taskdef_overrides::read(root, findings),
            tracing: observability::read(root, findings),
            root: root.clone(),
        };
        task.check_size(findings);
        task.check_containers(scope, findings);
        task
    }

    fn check_size(&self, findings: &mut Findings) {
        let (cpu, memory) = (self.cpu.value, self.memory.value);
        let fits = match cpu {
            256 => [512, 1024, 2048].contains(&memory),
            512 => (1024..=4096).contains(&memory) && memory % 1024 == 0,
            1024 => (2048..=8192).contains(&memory) && memory % 1024 == 0,
            2048 => (4096..=16384).contains(&memory) && memory % 1024 == 0,
            4096 => (8192..=30720).contains(&memory) && memory % 1024 == 0,
            8192 => (16384..=61440).contains(&memory) && memory % 4096 == 0,
            16384 => (32768..=122_880).contains(&memory) && memory % 8192 == 0,
            _ => false,
        };
        let windows = self.platform.as_ref().is_some_and(Platform::is_windows);
        if windows && cpu < 1024 {
            findings.warn(
                self.cpu.span,
                format!("Fargate has no Windows tasks with `cpu` {cpu}"),
                "write 1024, 2048 or 4096",
            );
        }
        if !fits {
            let span = if self.memory.span.line > 0 {
                self.memory.span
            } else {
                self.cpu.span
            };
            findings.warn(
                span,
                format!("Fargate has no tasks with `cpu` {cpu} and `memory` {memory}"),
                "256 goes with 512, 1024, 2048; 512 with 1024 to 4096; 1024 with 2048 to 8192; 2048 with 4096 to 16384; 4096 with 8192 to 30720",
            );
        }
    }

    fn check_containers(&self, scope: &Scope<'_>, findings: &mut Findings) {
        let mut containers = vec![Link {
            name: scope.name,
            essential: true,
            depends_on: self
                .root
                .get("image")
                .map(|i| i.sorted_at("depends_on"))
                .unwrap_or_default(),
        }];
        containers.extend(self.sidecars.iter().map(|s| Link {
            name: &s.name,
            essential: s.essential.as_ref().is_none_or(|e| e.value),
            depends_on: s.node.sorted_at("depends_on"),
        }));
        if self.logging.routes() {
            containers.push(Link {
                name: ROUTER,
                essential: true,
                depends_on: Vec::new(),
            });
        }
        check_dependencies(&containers, findings);
        self.check_mounts(findings);
        for (i, sidecar) in self.sidecars.iter().enumerate() {
            if let Some(twin) = self.sidecars[..i].iter().find(|s| s.id() == sidecar.id()) {
                findings.error(
                    sidecar.span,
                    format!("sidecars `{}` and `{}` get the same parameters: only letters and digits count", twin.name, sidecar.name),
                    "rename one of them",
                );
            }
        }
    }

    fn check_mounts(&self, findings: &mut Findings) {
        for sidecar in &self.sidecars {
            for point in sidecar.node.items_at("mount_points") {
                let Some(volume) = point.text_at("source_volume") else {
                    continue;
                };
                let names: Vec<&str> = self
                    .storage
                    .volumes
                    .iter()
                    .map(|v| v.name.as_str())
                    .collect();
                if !names.contains(&volume.value.as_str()) {
                    findings.warn(
                        volume.span,
                        format!(
                            "sidecar `{}` mounts volume `{}`, which `storage.volumes` does not have",
                            sidecar.name, volume.value
                        ),
                        format!("the volumes are: {}", names.join(", ")),
                    );
                }
            }
        }
    }

    /// Features the task needs of its environment.
    pub(crate) fn features(&self) -> Vec<At<&'static str>> {
        self.network
            .feature()
            .into_iter()
            .chain(self.storage.feature())
            .collect()
    }

    /// Adds parameters and conditions that all ECS types have.
    pub(crate) fn parameters(&self, scope: &Scope<'_>, stack: &mut Stack) {
        let facts = scope.facts;
        stack.parameter("AppName", Kind::Text, scope.app());
        stack.parameter("EnvName", Kind::Text, scope.environment());
        stack.parameter("WorkloadName", Kind::Text, scope.name);
        stack.parameter(
            "ContainerImage",
            Kind::Text,
            image::reference(self.source.as_ref(), scope),
        );
        stack.parameter("TaskCPU", Kind::Text, self.cpu.value.to_string());
        stack.parameter("TaskMemory", Kind::Text, self.memory.value.to_string());
        stack.parameter("TaskCount", Kind::Number, self.count.parameter());
        scope.artifacts(stack);
        let file = |container: &str| facts.env_files.get(container).cloned().unwrap_or_default();
        stack.parameter("EnvFileARN", Kind::Optional, file(scope.name));
        for sidecar in &self.sidecars {
            stack.parameter(
                format!("EnvFileARNFor{}", sidecar.id()),
                Kind::Optional,
                file(&sidecar.name),
            );
        }
        if self.logging.routes() {
            stack.parameter("LoggingEnvFileARN", Kind::Optional, file(ROUTER));
        }
        stack.condition_set("HasEnvFile", "EnvFileARN");
        self.uploads(scope, stack);
        for sidecar in &self.sidecars {
            let id = sidecar.id();
            stack.condition_set(format!("HasEnvFileFor{id}"), format!("EnvFileARNFor{id}"));
        }
        if self.logging.routes() {
            stack.condition_set("HasLoggingEnvFile", "LoggingEnvFileARN");
        }
    }

    /// Notes what must be built and uploaded first.
    fn uploads(&self, scope: &Scope<'_>, stack: &mut Stack) {
        let platform = self.platform.as_ref().map(Platform::build);
        let main = (scope.name, self.source.as_ref());
        let sidecars = self
            .sidecars
            .iter()
            .map(|s| (s.name.as_str(), s.source.as_ref()));
        for (container, source) in std::iter::once(main).chain(sidecars) {
            if let Some(Source::Build(build)) = source {
                stack.images.push(ContainerImage {
                    container: container.to_owned(),
                    build: build.clone(),
                    platform: platform.clone(),
                });
            }
        }
        let main = (scope.name, self.root.text_at("env_file"));
        let sidecars = self
            .sidecars
            .iter()
            .map(|s| (s.name.as_str(), s.node.text_at("env_file")));
        let router = (ROUTER, self.logging.env_file());
        for (container, path) in std::iter::once(main).chain(sidecars).chain([router]) {
            if let Some(path) = path {
                stack.env_files.push(EnvFile {
                    container: container.to_owned(),
                    path: clean_path(&path.value),
                });
            }
        }
    }

    /// Days the log group keeps events, as a parameter's value.
    pub(crate) fn retention(&self) -> String {
        self.logging.retention.clone()
    }

    /// Adds the log group, task definition, roles, access point and topics.
    pub(crate) fn render(
        &self,
        scope: &Scope<'_>,
        around: &Surroundings,
        stack: &mut Stack,
        findings: &mut Findings,
    ) {
        let name = |suffix: &str| workload_name("/copilot/", suffix);
        stack.resource(
            "LogGroup",
            resource("AWS::Logs::LogGroup", "The logs of the containers").properties(cfn!({
                "LogGroupName": (name("")),
                "RetentionInDays": (reference("LogRetention")),
            })),
        );
        let mut definition = self.definition(scope, around);
        taskdef_overrides::apply(&self.overrides, &mut definition, findings);
        stack.resource(
            "TaskDefinition",
            resource(
                "AWS::ECS::TaskDefinition",
                "The containers, and how they run",
            )
            .depends_on("LogGroup")
            .properties(definition),
        );
        stack.resource("ExecutionRole", self.execution_role(scope));
        stack.resource("TaskRole", self.task_role(scope));
        self.storage.access_point(scope, stack);
        publish::render(&self.topics, stack);
    }

    /// `EnableExecuteCommand`, if it is switched on.
    pub(crate) fn execute_command(&self) -> Value {
        self.exec
            .map_or(Value::Absent, |span| Value::from(true).at(span))
    }

    /// `PlatformVersion` of the service.
    pub(crate) fn platform_version(&self) -> Value {
        match &self.platform {
            Some(p) if p.is_windows() => Value::from("1.0.0").at(p.span),
            Some(_) | None => "LATEST".into(),
        }
    }
}

/// `<prefix><app>-<env>-<workload><suffix>`.
pub(crate) fn workload_name(prefix: &str, suffix: &str) -> Value {
    let mut parts = vec![
        reference("AppName"),
        "-".into(),
        reference("EnvName"),
        "-".into(),
        reference("WorkloadName"),
    ];
    if !prefix.is_empty() {
        parts.insert(0, prefix.to_owned().into());
    }
    if !suffix.is_empty() {
        parts.push(suffix.to_owned().into());
    }
    join("", parts)
}

/// Logs of a container to the workload's group.
pub(crate) fn cloudwatch_logs() -> Value {
    cfn!({
        "LogDriver": "awslogs",
        "Options": {
            "awslogs-region": (reference("AWS::Region")),
            "awslogs-group": (reference("LogGroup")),
            "awslogs-stream-prefix": "copilot",
        },
    })
}
