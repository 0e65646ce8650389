//! The task definition and its containers.

use super::{Surroundings, Task, cloudwatch_logs, workload_name};
use crate::cfn;
use crate::cfn::{Value, attribute, reference, sub};
use crate::container::{self, environment_files};
use crate::diagnostic::Findings;
use crate::image::Source;
use crate::observability;
use crate::platform::Platform;
use crate::publish::{self};
use crate::scope::Scope;
use crate::sidecar::Sidecar;
use crate::storage::{mount_point, mount_points_variable};
use crate::variables::{read_secrets, read_variables};
use crate::yaml::{Node, Span};

impl Task {
    pub(super) fn definition(&self, scope: &Scope<'_>, around: &Surroundings) -> Value {
        let common = self.common_variables(scope, around);
        let mut containers = vec![
            self.main_container(scope, around, &common),
            self.logging.container(&common),
            self.tracing.map_or(Value::Absent, observability::collector),
        ];
        containers.extend(
            self.sidecars
                .iter()
                .map(|s| sidecar_container(s, scope, around, &common)),
        );
        cfn!({
            "Family": (workload_name("", "")),
            "NetworkMode": "awsvpc",
            "RequiresCompatibilities": ["FARGATE"],
            "Cpu": (reference("TaskCPU").at(self.cpu.span)),
            "Memory": (reference("TaskMemory").at(self.memory.span)),
            "EphemeralStorage": (self.storage.ephemeral_storage()),
            "RuntimePlatform": (Platform::runtime(self.platform.as_ref())),
            "ExecutionRoleArn": (attribute("ExecutionRole", "Arn")),
            "TaskRoleArn": (attribute("TaskRole", "Arn")),
            "ContainerDefinitions": (containers),
            "Volumes": (self.storage.volumes()),
        })
    }

    /// Variables that every container gets.
    fn common_variables(&self, scope: &Scope<'_>, around: &Surroundings) -> Vec<Value> {
        let endpoint = Value::raw(&scope.facts.environment.service_discovery_endpoint);
        let mut variables = vec![
            cfn!({ "Name": "COPILOT_APPLICATION_NAME", "Value": (sub("${AppName}")) }),
            cfn!({ "Name": "COPILOT_SERVICE_DISCOVERY_ENDPOINT", "Value": (endpoint) }),
            cfn!({ "Name": "COPILOT_ENVIRONMENT_NAME", "Value": (sub("${EnvName}")) }),
            cfn!({ "Name": "COPILOT_SERVICE_NAME", "Value": (sub("${WorkloadName}")) }),
        ];
        variables.extend(scope.addons.variables());
        variables.push(publish::variable(&self.topics, scope));
        variables.extend(around.variables.iter().cloned());
        variables.retain(|v| !v.is_absent());
        variables
    }

    fn main_container(&self, scope: &Scope<'_>, around: &Surroundings, common: &[Value]) -> Value {
        let none = Node::null(Span::default());
        let image = self.root.get("image").unwrap_or(&none);
        let span = match &self.source {
            Some(Source::Build(build)) => build.span,
            Some(Source::Location(location)) => location.span,
            None => Span::default(),
        };
        let mut secrets: Vec<Value> = self.secrets.iter().map(|s| s.entry("ValueFrom")).collect();
        secrets.extend(
            scope
                .addons
                .secrets()
                .map(|o| cfn!({ "Name": (o.variable()), "ValueFrom": (o.value()) })),
        );
        let mut environment = common.to_vec();
        environment.extend(self.variables.iter().map(|v| v.entry("Value")));
        environment.push(self.storage.mount_points_variable());
        cfn!({
            "Name": (reference("WorkloadName")),
            "Image": (reference("ContainerImage").at(span)),
            "Secrets": ((!secrets.is_empty()).then_some(Value::List(secrets))),
            "Environment": (environment),
            "EnvironmentFiles": (environment_files("HasEnvFile".into(), "EnvFileARN".into())),
            "LogConfiguration": (self.logging.configuration()),
            "EntryPoint": (self.entrypoint.clone()),
            "Command": (self.command.clone()),
            "MountPoints": (self.storage.mount_points()),
            "DockerLabels": (container::labels(image)),
            "DependsOn": (container::depends_on(image)),
            "PortMappings": (around.ports.mappings(scope.name, around.target)),
            "HealthCheck": (container::health_check(image)),
            "ReadonlyRootFilesystem": (self.storage.readonly_root.as_ref()),
            "RepositoryCredentials": (container::credentials(image.text_at("credentials"))),
        })
    }
}

fn sidecar_container(
    sidecar: &Sidecar,
    scope: &Scope<'_>,
    around: &Surroundings,
    common: &[Value],
) -> Value {
    let node = &sidecar.node;
    let id = sidecar.id();
    let secrets: Vec<Value> = read_secrets(node, "secrets")
        .iter()
        .map(|s| s.entry("ValueFrom"))
        .collect();
    let mut environment = common.to_vec();
    environment.extend(
        read_variables(node, "variables")
            .iter()
            .map(|v| v.entry("Value")),
    );
    let points = node.items_at("mount_points");
    let texts: Vec<(String, String)> = points
        .iter()
        .map(|p| {
            let text = |key: &str| p.text_at(key).map(|t| t.value).unwrap_or_default();
            (text("source_volume"), text("path"))
        })
        .collect();
    environment.push(mount_points_variable(
        texts.iter().map(|(a, b)| (a.as_str(), b.as_str())),
    ));
    let mounts: Vec<Value> = points
        .iter()
        .map(|p| {
            let read_only = p
                .boolean_at("read_only")
                .map_or_else(|| true.into(), Value::from);
            let volume = p
                .text_at("source_volume")
                .map(|v| v.value)
                .unwrap_or_default();
            mount_point(&volume, p.text_at("path").as_ref(), read_only).at(p.span)
        })
        .collect();
    // Quotes were checked when the manifest was read.
    let mut ignored = Findings::default();
    cfn!({
        "Name": (Value::raw(&sidecar.name)),
        "Image": (sidecar.image(scope)),
        "Essential": (sidecar.essential.as_ref()),
        "EntryPoint": (container::command(node, "entrypoint", &mut ignored)),
        "Command": (container::command(node, "command", &mut ignored)),
        "PortMappings": (around.ports.mappings(&sidecar.name, around.target)),
        "HealthCheck": (container::health_check(node)),
        "Environment": (environment),
        "EnvironmentFiles": (environment_files(format!("HasEnvFileFor{id}"), format!("EnvFileARNFor{id}"))),
        "Secrets": ((!secrets.is_empty()).then_some(Value::List(secrets))),
        "LogConfiguration": (cloudwatch_logs()),
        "DockerLabels": (container::labels(node)),
        "DependsOn": (container::depends_on(node)),
        "RepositoryCredentials": (container::credentials(node.text_at("credentialsParameter"))),
        "MountPoints": ((!mounts.is_empty()).then_some(Value::List(mounts))),
    })
    .at(sidecar.span)
}
