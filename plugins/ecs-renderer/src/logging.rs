//! `logging`: retention, and FireLens routing of the main container's output.

use crate::cfn;
use crate::cfn::Value;
use crate::container::{check_env_file, environment_files};
use crate::diagnostic::Findings;
use crate::schema::{Object, Shape};
use crate::task::cloudwatch_logs;
use crate::variables::{SECRETS, VARIABLES, read_secrets, read_variables};
use crate::yaml::{At, Node};

/// Keys of `logging`.
pub(crate) const SHAPE: Shape = Shape::Object(&Object {
    fields: &[
        ("retention", Shape::Integer),
        ("image", Shape::Text),
        ("destination", Shape::Map(&Shape::Text)),
        ("enableMetadata", Shape::Boolean),
        ("secretOptions", SECRETS),
        ("configFilePath", Shape::Text),
        ("variables", VARIABLES),
        ("secrets", SECRETS),
        ("env_file", Shape::Text),
    ],
    exclusive: &[],
});

/// Name of the log router's container, also in the facts.
pub(crate) const ROUTER: &str = "firelens_log_router";

const DEFAULT_IMAGE: &str = "public.ecr.aws/aws-observability/aws-for-fluent-bit:stable";

/// Days that CloudWatch Logs can keep events.
const RETENTIONS: [i64; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
];

/// The section.
#[derive(Clone, Debug)]
pub(crate) struct Logging {
    /// Days, as the parameter's value.
    pub(crate) retention: String,
    /// The section, if it routes logs.
    router: Option<Node>,
}

impl Logging {
    /// Reads and checks the section.
    pub(crate) fn read(root: &Node, findings: &mut Findings) -> Logging {
        let Some(logging) = root.get("logging") else {
            return Logging {
                retention: "30".to_owned(),
                router: None,
            };
        };
        let retention = logging.integer_at("retention");
        if let Some(days) = retention
            .as_ref()
            .filter(|d| !RETENTIONS.contains(&d.value))
        {
            findings.warn(
                days.span,
                format!("`logging.retention` of {} days is not one CloudWatch Logs accepts", days.value),
                "it keeps events for 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653 days",
            );
        }
        check_env_file(logging, "logging", findings);
        let routes = logging
            .entries()
            .is_some_and(|e| e.iter().any(|(k, v)| k.text != "retention" && !v.is_null()));
        Logging {
            retention: retention.map_or(30, |d| d.value).to_string(),
            router: routes.then(|| logging.clone()),
        }
    }

    /// True if a log router runs beside the main container.
    pub(crate) fn routes(&self) -> bool {
        self.router.is_some()
    }

    /// The router's environment file.
    pub(crate) fn env_file(&self) -> Option<At<String>> {
        self.router.as_ref()?.text_at("env_file")
    }

    /// `LogConfiguration` of the main container.
    pub(crate) fn configuration(&self) -> Value {
        let Some(router) = &self.router else {
            return cloudwatch_logs();
        };
        let options: Vec<_> = router
            .sorted_at("destination")
            .into_iter()
            .map(|(key, value)| {
                let text: Value = value.text().unwrap_or_default().to_owned().into();
                (key.text.clone().into(), text.at(key.span))
            })
            .collect();
        let secrets: Vec<Value> = read_secrets(router, "secretOptions")
            .iter()
            .map(|s| s.entry("ValueFrom"))
            .collect();
        cfn!({
            "LogDriver": "awsfirelens",
            "Options": ((!options.is_empty()).then_some(Value::Map(options))),
            "SecretOptions": ((!secrets.is_empty()).then_some(Value::List(secrets))),
        })
        .at(router.span)
    }

    /// The router's container, if there is one; `common` is the environment every container gets.
    pub(crate) fn container(&self, common: &[Value]) -> Value {
        let Some(router) = &self.router else {
            return Value::Absent;
        };
        let image = router
            .text_at("image")
            .map_or_else(|| DEFAULT_IMAGE.into(), |i| Value::raw(&i.value).at(i.span));
        let secrets: Vec<Value> = read_secrets(router, "secrets")
            .iter()
            .map(|s| s.entry("ValueFrom"))
            .collect();
        let variables = read_variables(router, "variables");
        let environment = common
            .iter()
            .cloned()
            .chain(variables.iter().map(|v| v.entry("Value")))
            .collect();
        let metadata = router
            .boolean_at("enableMetadata")
            .map_or_else(|| true.into(), Value::from);
        let file = router.text_at("configFilePath");
        cfn!({
            "Name": (ROUTER.to_owned()),
            "Image": (image),
            "Secrets": ((!secrets.is_empty()).then_some(Value::List(secrets))),
            "Environment": (Value::List(environment)),
            "EnvironmentFiles": (environment_files("HasLoggingEnvFile".into(), "LoggingEnvFileARN".into())),
            "FirelensConfiguration": {
                "Type": "fluentbit",
                "Options": {
                    "enable-ecs-log-metadata": (metadata),
                    "config-file-type": (file.is_some().then_some("file")),
                    "config-file-value": (file),
                },
            },
            "LogConfiguration": (cloudwatch_logs()),
        })
        .at(router.span)
    }
}
