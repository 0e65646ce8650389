//! The image: its names, how it is built, how it is pulled.

use release::{Credentials, Value};

use crate::config::Config;
use crate::config::builder;
use crate::config::registry::Credential;
use crate::diagnostic::Findings;
use crate::render::{Image, Input};
use crate::secret::Secrets;

/// `[registry.example.com/]image:VERSION`.
pub fn reference(config: &Config, version: &str) -> String {
    format!("{}:{version}", config.repository())
}

/// `[registry.example.com/]image:latest[-DESTINATION]`.
pub fn latest(config: &Config) -> String {
    match &config.destination {
        Some(destination) => format!("{}:latest-{destination}", config.repository()),
        None => format!("{}:latest", config.repository()),
    }
}

/// Credentials of the registry; `None` when images stay in the local Engine.
pub fn credentials(
    config: &Config,
    secrets: &Secrets<'_>,
    findings: &mut Findings,
) -> Option<Credentials> {
    let registry = config.registry.as_ref()?;
    if registry.is_local() {
        findings
            .not_yet("registry: a registry on this machine", Some(registry.at))
            .help("use a registry that the servers reach, or name every host `local` and remove `registry`");
        return None;
    }
    let mut value = |credential: &Option<Credential>| match credential {
        Some(Credential::Literal(text)) => Value::text(text),
        Some(Credential::Secret(name, at)) => {
            secrets.check(name, Some(*at), findings);
            Value::secret(name)
        }
        None => Value::default(),
    };
    Some(Credentials {
        server: registry.server.clone(),
        username: value(&registry.username),
        password: value(&registry.password),
    })
}

/// What the host builds and pushes, unless it is there already.
pub fn image(
    config: &Config,
    input: &Input,
    registry: Option<Credentials>,
    secrets: &Secrets<'_>,
    findings: &mut Findings,
) -> Image {
    let reference = reference(config, &input.version);
    let tags = vec![reference.clone(), latest(config)];
    let build = (!input.options.skip_push).then(|| builder::build(config, tags, secrets, findings));
    Image {
        name: config.service.clone(),
        reference,
        build,
        registry,
    }
}
