//! Request-Driven Web Service: an App Runner service.

mod reach;

use crate::alias::is_in_zone;
use crate::cfn;
use crate::cfn::{Value, attribute, equals, if_else, no_value, reference, resource, sub, when};
use crate::custom_resource::Controller;
use crate::diagnostic::Findings;
use crate::environment;
use crate::iam::{Role, Trust, deny_iam, secrets_policy, service_policy};
use crate::image::{self, Source};
use crate::network::{self, Network, Placement};
use crate::observability;
use crate::package::ContainerImage;
use crate::publish::{self, Topic};
use crate::schema::{Object, Shape, TEXTS};
use crate::scope::Scope;
use crate::stack::{Kind, Stack};
use crate::variables::{SECRETS, VARIABLES, Variable, read_secrets, read_variables};
use crate::yaml::{At, Node, Span};

const HEALTH_CHECK: Shape = Shape::Either(
    &[
        Shape::Text,
        Shape::Object(&Object {
            fields: &[
                ("path", Shape::Text),
                ("healthy_threshold", Shape::Integer),
                ("unhealthy_threshold", Shape::Integer),
                ("interval", Shape::Duration),
                ("timeout", Shape::Duration),
            ],
            exclusive: &[],
        }),
    ],
    "a path or a map",
);

/// Keys of the manifest.
pub(crate) const SHAPE: Object = Object {
    fields: &[
        ("name", Shape::Text),
        ("type", Shape::Text),
        ("environments", Shape::Any),
        ("image", image::APP_RUNNER),
        ("cpu", Shape::Integer),
        ("memory", Shape::Integer),
        ("platform", crate::platform::SHAPE),
        ("command", TEXTS),
        ("variables", VARIABLES),
        ("secrets", SECRETS),
        ("tags", Shape::Map(&Shape::Text)),
        ("publish", publish::SHAPE),
        ("network", network::APP_RUNNER_SHAPE),
        ("observability", observability::SHAPE),
        ("count", Shape::Text),
        (
            "http",
            Shape::Object(&Object {
                fields: &[
                    ("healthcheck", HEALTH_CHECK),
                    ("alias", Shape::Text),
                    (
                        "private",
                        Shape::Either(
                            &[
                                Shape::Boolean,
                                Shape::Object(&Object {
                                    fields: &[("endpoint", Shape::Text)],
                                    exclusive: &[],
                                }),
                            ],
                            "true, false or a map with `endpoint`",
                        ),
                    ),
                ],
                exclusive: &[],
            }),
        ),
    ],
    exclusive: &[],
};

/// Renders the stack.
pub(crate) fn render(root: &Node, scope: &Scope<'_>, findings: &mut Findings) -> Stack {
    let service = Service::read(root, scope, findings);
    service.render(scope)
}

struct Service {
    source: Option<Source>,
    port: Option<At<u16>>,
    cpu: i64,
    memory: i64,
    command: Option<At<String>>,
    variables: Vec<Variable>,
    secrets: Vec<Variable>,
    tags: Vec<Value>,
    topics: Vec<Topic>,
    network: Network,
    tracing: Option<Span>,
    count: Option<At<String>>,
    health: Option<Node>,
    alias: Option<At<String>>,
    private: Option<Private>,
}

struct Private {
    endpoint: Option<At<String>>,
    span: Span,
}

impl Service {
    fn read(root: &Node, scope: &Scope<'_>, findings: &mut Findings) -> Service {
        let network = Network::read(root, scope, findings);
        if let Some(placement) = network
            .placement
            .as_ref()
            .filter(|p| p.value == Placement::Public)
        {
            findings.error(
                placement.span,
                "`network.vpc.placement` cannot be `public` for App Runner",
                "write private or subnets to reach the VPC, or leave it out",
            );
        }
        check_platform(root, findings);
        check_size(root, findings);
        let source = image::main_source(root, findings);
        if let Some(Source::Location(location)) = &source
            && repository_type(&location.value).is_none()
        {
            findings.error(
                location.span,
                format!("image `{}` is not supported by App Runner", location.value),
                "App Runner takes images of Amazon ECR only: <account>.dkr.ecr.<region>.amazonaws.com/… or public.ecr.aws/…",
            );
        }
        if root.dig("image.port").is_none() {
            findings.error(
                root.get("image").map_or(root.span, |i| i.span),
                "`image.port` must be specified",
                "say which port the container listens on",
            );
        }
        let http = root.get("http");
        let alias = http.and_then(|h| h.text_at("alias"));
        if let Some(alias) = alias.as_ref().filter(|_| scope.full_checks()) {
            check_alias(alias, scope, findings);
        }
        let private = http.and_then(|h| h.get("private"));
        let private_on =
            private.filter(|p| p.boolean() == Some(true) || p.get("endpoint").is_some());
        let needed: Vec<_> = network.feature().into_iter().collect();
        environment::check(scope, &needed, findings);
        Service {
            source,
            port: root.get("image").and_then(|i| i.port_at("port")),
            cpu: root.integer_at("cpu").map_or(1024, |n| n.value),
            memory: root.integer_at("memory").map_or(2048, |n| n.value),
            command: root.get("command").map(|c| {
                let words: Vec<String> = c.texts().into_iter().map(|t| t.value).collect();
                At::new(words.join(" "), c.span)
            }),
            variables: read_variables(root, "variables"),
            secrets: read_secrets(root, "secrets"),
            tags: root
                .sorted_at("tags")
                .into_iter()
                .map(|(key, value)| {
                    let text = Value::raw(value.text().unwrap_or_default());
                    cfn!({ "Key": (Value::raw(&key.text)), "Value": (text) }).at(key.span)
                })
                .collect(),
            topics: publish::read(root, findings),
            network,
            tracing: observability::read_strict(root, findings),
            count: root.text_at("count"),
            health: http.and_then(|h| h.get("healthcheck")).cloned(),
            alias,
            private: private_on.map(|p| Private {
                endpoint: p.text_at("endpoint"),
                span: p.span,
            }),
        }
    }

    fn render(&self, scope: &Scope<'_>) -> Stack {
        let mut stack = Stack::default();
        self.parameters(scope, &mut stack);
        if let Some(Source::Build(build)) = &self.source {
            stack.images.push(ContainerImage {
                container: scope.name.to_owned(),
                build: build.clone(),
                platform: Some("linux/amd64".to_owned()),
            });
        }
        let access = Role {
            managed: vec![service_policy("AWSAppRunnerServicePolicyForECRAccess")],
            condition: Some("NeedsAccessRole"),
            ..Role::new(Trust::Services("build.apprunner.amazonaws.com"))
        };
        stack.resource(
            "AccessRole",
            access.render(scope, "A role with which App Runner pulls the image"),
        );
        stack.resource("InstanceRole", self.instance_role(scope));
        publish::render(&self.topics, &mut stack);
        let private = self.private.as_ref().filter(|p| p.endpoint.is_none());
        let private = private.map(|p| At::new("AppRunnerPrivateWorkloads", p.span));
        let features = private.into_iter().chain(self.network.feature()).collect();
        let controller = Controller {
            features,
            aliases: Vec::new(),
        };
        if !controller.features.is_empty() {
            controller.render(scope, &mut stack);
        }
        self.connector(&controller, &mut stack);
        stack.resource("Service", self.service(scope));
        self.ingress(&mut stack);
        self.custom_domain(scope, &mut stack);
        scope.addons.render(controller.dependency(), &mut stack);
        stack
    }

    fn parameters(&self, scope: &Scope<'_>, stack: &mut Stack) {
        let image = image::reference(self.source.as_ref(), scope);
        stack.parameter("AppName", Kind::Text, scope.app());
        stack.parameter("EnvName", Kind::Text, scope.environment());
        stack.parameter("WorkloadName", Kind::Text, scope.name);
        stack.parameter(
            "ImageRepositoryType",
            Kind::Text,
            repository_type(&image).unwrap_or_default(),
        );
        stack.parameter("ContainerImage", Kind::Text, image);
        let port = self.port.as_ref().map_or(0, |p| p.value);
        stack.parameter("ContainerPort", Kind::Number, port.to_string());
        stack.parameter("InstanceCPU", Kind::Text, self.cpu.to_string());
        stack.parameter("InstanceMemory", Kind::Text, self.memory.to_string());
        for (parameter, value) in self.health_values() {
            match value {
                Some(value) => stack.parameter(parameter, Kind::Optional, value),
                None => stack.declare(parameter, Kind::Optional),
            }
        }
        scope.artifacts(stack);
        stack.condition(
            "NeedsAccessRole",
            equals(reference("ImageRepositoryType"), "ECR"),
        );
        for (parameter, _) in self.health_values() {
            stack.condition_set(format!("Has{parameter}"), parameter);
        }
    }

    fn health_values(&self) -> [(&'static str, Option<String>); 5] {
        let node = self.health.as_ref();
        let path = node.and_then(|n| n.own_text().or_else(|| n.text_at("path")));
        let number = |key: &str| {
            node.and_then(|n| n.integer_at(key))
                .map(|n| n.value.to_string())
        };
        let seconds = |key: &str| {
            node.and_then(|n| n.seconds_at(key))
                .map(|n| n.value.to_string())
        };
        [
            ("HealthCheckPath", path.map(|p| p.value)),
            ("HealthCheckInterval", seconds("interval")),
            ("HealthCheckTimeout", seconds("timeout")),
            ("HealthCheckHealthyThreshold", number("healthy_threshold")),
            (
                "HealthCheckUnhealthyThreshold",
                number("unhealthy_threshold"),
            ),
        ]
    }

    fn instance_role(&self, scope: &Scope<'_>) -> Value {
        let mut policies = vec![deny_iam()];
        if !self.secrets.is_empty() || scope.addons.secrets().next().is_some() {
            policies.push(secrets_policy("AccessCopilotTaggedSecrets"));
        }
        policies.push(publish::publish_policy(&self.topics));
        if let Some(span) = self.tracing {
            policies.push(observability::instance_policy().at(span));
        }
        policies.retain(|p| !p.is_absent());
        let role = Role {
            managed: scope.addons.policies(),
            policies,
            ..Role::new(Trust::Services("tasks.apprunner.amazonaws.com"))
        };
        role.render(scope, "A role the container acts with")
    }

    fn tags(&self) -> Value {
        let mut tags: Vec<Value> = [
            ("copilot-application", "AppName"),
            ("copilot-environment", "EnvName"),
            ("copilot-service", "WorkloadName"),
        ]
        .into_iter()
        .map(|(key, parameter)| cfn!({ "Key": key, "Value": (reference(parameter)) }))
        .collect();
        tags.extend(self.tags.iter().cloned());
        Value::List(tags)
    }

    fn environment(&self, scope: &Scope<'_>) -> Value {
        let mut variables: Vec<Value> = [
            ("COPILOT_APPLICATION_NAME", "AppName"),
            ("COPILOT_ENVIRONMENT_NAME", "EnvName"),
            ("COPILOT_SERVICE_NAME", "WorkloadName"),
        ]
        .into_iter()
        .map(|(name, parameter)| cfn!({ "Name": name, "Value": (reference(parameter)) }))
        .collect();
        let endpoint = &scope.facts.environment.service_discovery_endpoint;
        if self.network.placement.is_some() && !endpoint.is_empty() {
            variables.push(cfn!({ "Name": "COPILOT_SERVICE_DISCOVERY_ENDPOINT", "Value": (Value::raw(endpoint)) }));
        }
        variables.push(publish::variable(&self.topics, scope));
        variables.extend(self.variables.iter().map(|v| v.entry("Value")));
        variables.extend(scope.addons.variables());
        variables.extend(
            scope
                .addons
                .secrets()
                .map(|o| cfn!({ "Name": (format!("{}_ARN", o.variable())), "Value": (o.value()) })),
        );
        Value::list(variables)
    }

    fn service(&self, scope: &Scope<'_>) -> Value {
        let mut secrets: Vec<Value> = self.secrets.iter().map(|s| s.entry("Value")).collect();
        secrets.extend(
            scope
                .addons
                .secrets()
                .map(|o| cfn!({ "Name": (o.variable()), "Value": (o.value()) })),
        );
        let egress = if self.network.placement.is_some() {
            cfn!({ "EgressType": "VPC", "VpcConnectorArn": (reference("VpcConnector")) })
        } else {
            cfn!({ "EgressType": "DEFAULT" })
        };
        let ingress = self
            .private
            .as_ref()
            .map(|p| cfn!({ "IsPubliclyAccessible": false }).at(p.span));
        let health = self
            .health
            .as_ref()
            .filter(|_| self.health_values().iter().any(|(_, v)| v.is_some()));
        let health = health.map(|node| {
            let optional =
                |parameter: &'static str| when(format!("Has{parameter}"), reference(parameter));
            cfn!({
                "Protocol": "HTTP",
                "Path": (optional("HealthCheckPath")),
                "Interval": (optional("HealthCheckInterval")),
                "Timeout": (optional("HealthCheckTimeout")),
                "HealthyThreshold": (optional("HealthCheckHealthyThreshold")),
                "UnhealthyThreshold": (optional("HealthCheckUnhealthyThreshold")),
            })
            .at(node.span)
        });
        let partition = scope.facts.partition();
        let tracing = self.tracing.map(|span| {
            let arn = format!(
                "arn:{partition}:apprunner:${{AWS::Region}}:${{AWS::AccountId}}:observabilityconfiguration/DefaultConfiguration/1/00000000000000000000000000000001"
            );
            cfn!({ "ObservabilityEnabled": true, "ObservabilityConfigurationArn": (sub(arn)) }).at(span)
        });
        let scaling = self.count.as_ref().map(|count| {
            let arn = format!(
                "arn:${{AWS::Partition}}:apprunner:${{AWS::Region}}:${{AWS::AccountId}}:autoscalingconfiguration/{}",
                count.value
            );
            sub(arn).at(count.span)
        });
        let access = cfn!({ "AccessRoleArn": (attribute("AccessRole", "Arn")) });
        let port_span = self.port.as_ref().map(|p| p.span).unwrap_or_default();
        resource("AWS::AppRunner::Service", "The service that keeps the container running").properties(cfn!({
            "ServiceName": (sub("${AppName}-${EnvName}-${WorkloadName}")),
            "SourceConfiguration": {
                "AuthenticationConfiguration": (if_else("NeedsAccessRole", access, no_value())),
                "AutoDeploymentsEnabled": false,
                "ImageRepository": {
                    "ImageIdentifier": (reference("ContainerImage")),
                    "ImageRepositoryType": (reference("ImageRepositoryType")),
                    "ImageConfiguration": {
                        "Port": (reference("ContainerPort").at(port_span)),
                        "RuntimeEnvironmentVariables": (self.environment(scope)),
                        "RuntimeEnvironmentSecrets": ((!secrets.is_empty()).then_some(Value::List(secrets))),
                        "StartCommand": (self.command.as_ref().map(|c| Value::raw(&c.value).at(c.span))),
                    },
                },
            },
            "InstanceConfiguration": {
                "Cpu": (reference("InstanceCPU")),
                "Memory": (reference("InstanceMemory")),
                "InstanceRoleArn": (attribute("InstanceRole", "Arn")),
            },
            "NetworkConfiguration": { "EgressConfiguration": (egress), "IngressConfiguration": (ingress) },
            "HealthCheckConfiguration": (health),
            "ObservabilityConfiguration": (tracing),
            "AutoScalingConfigurationArn": (scaling),
            "Tags": (self.tags()),
        }))
    }
}

/// App Runner runs x86 Linux only. (Copilot refuses every `platform`, also the right one.)
fn check_platform(root: &Node, findings: &mut Findings) {
    let Some(platform) = crate::platform::Platform::read(root, findings) else {
        return;
    };
    if platform.is_windows() || platform.is_arm() {
        findings.error(
            platform.span,
            "`platform` of an App Runner service must be linux/x86_64",
            "remove the key",
        );
    }
}

fn check_size(root: &Node, findings: &mut Findings) {
    let sizes = [
        (256, &[512, 1024][..]),
        (512, &[1024]),
        (1024, &[2048, 3072, 4096]),
        (2048, &[4096, 6144]),
        (4096, &[8192, 10240, 12288]),
    ];
    let read =
        |key: &str, default: i64| root.integer_at(key).unwrap_or(At::new(default, root.span));
    let (cpu, memory) = (read("cpu", 1024), read("memory", 2048));
    let fits = sizes
        .iter()
        .any(|(c, m)| *c == cpu.value && m.contains(&memory.value));
    if !fits {
        findings.warn(
            memory.span,
            format!("App Runner has no instances with `cpu` {} and `memory` {}", cpu.value, memory.value),
            "256 goes with 512 or 1024; 512 with 1024; 1024 with 2048 to 4096; 2048 with 4096 or 6144; 4096 with 8192 to 12288",
        );
    }
}

/// `ECR`, `ECR_PUBLIC`, or nothing for images App Runner does not take.
fn repository_type(image: &str) -> Option<&'static str> {
    if image.starts_with("public.ecr.aws/") {
        return Some("ECR_PUBLIC");
    }
    let (registry, _) = image.split_once('/')?;
    let mut parts = registry.split('.');
    let account = parts.next()?;
    let private = account.len() == 12
        && account.chars().all(|c| c.is_ascii_digit())
        && parts.next() == Some("dkr")
        && parts.next() == Some("ecr")
        && registry.contains(".amazonaws.com");
    private.then_some("ECR")
}

fn check_alias(alias: &At<String>, scope: &Scope<'_>, findings: &mut Findings) {
    let Some(domain) = scope.facts.domain() else {
        findings.error(
            alias.span,
            format!("alias `{}` needs a domain", alias.value),
            "associate a domain with the application",
        );
        return;
    };
    let app = format!("{}.{domain}", scope.app());
    let inside_app = alias.value == app || alias.value.ends_with(&format!(".{app}"));
    let below = is_in_zone(&alias.value, domain) && alias.value != domain;
    if inside_app || !below {
        findings.error(
            alias.span,
            format!(
                "alias `{}` is not possible: App Runner takes names directly below {domain}",
                alias.value
            ),
            format!("for example {}.{domain}", scope.name),
        );
    }
}
