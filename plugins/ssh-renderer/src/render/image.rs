//! The image: its names, how it is built, how it is pulled.

use release::{Credentials, LocalRegistry, Value};

use crate::config::Config;
use crate::config::registry::{Credential, Registry};
use crate::diagnostic::Findings;
use crate::render::{Image, Input, build};
use crate::secret::Secrets;

/// `[registry.example.com/]image:VERSION`.
pub fn reference(config: &Config, version: &str) -> String {
    format!("{}:{version}", config.repository())
}

/// `latest[-DESTINATION]`.
pub fn latest_tag(config: &Config) -> String {
    match &config.destination {
        Some(destination) => format!("latest-{destination}"),
        None => "latest".to_owned(),
    }
}

/// `[registry.example.com/]image:latest[-DESTINATION]`.
pub fn latest(config: &Config) -> String {
    reference(config, &latest_tag(config))
}

/// Login at the application's registry; `None` when nobody logs in, or images stay in the local Engine. `used`: the
/// command logs in, so that secrets must be there.
pub fn credentials(
    config: &Config,
    secrets: &Secrets<'_>,
    used: bool,
    findings: &mut Findings,
) -> Option<Credentials> {
    let registry = config.registry.as_ref().filter(|own| !own.is_local())?;
    Some(login(registry, secrets, used, findings))
}

/// Login at a registry.
pub fn login(
    registry: &Registry,
    secrets: &Secrets<'_>,
    used: bool,
    findings: &mut Findings,
) -> Credentials {
    let mut value = |credential: &Option<Credential>| match credential {
        Some(Credential::Literal(text)) => Value::text(text),
        Some(Credential::Secret(name, at)) => {
            if used {
                secrets.check(name, Some(*at), findings);
            }
            Value::secret(name)
        }
        None => Value::default(),
    };
    Credentials {
        server: registry.server.clone(),
        username: value(&registry.username),
        password: value(&registry.password),
    }
}

/// Whether credentials are those of an image's registry. A first part with a dot, a port or `localhost` is a registry;
/// without it, the image is Docker Hub's.
pub fn is_for(credentials: &Credentials, image: &str) -> bool {
    let is_registry = |part: &&str| part.contains(['.', ':']) || *part == "localhost";
    let registry = image
        .split_once('/')
        .map(|(first, _)| first)
        .filter(is_registry);
    credentials.server.as_deref() == registry
}

/// The registry on this machine, when that is where images are.
pub fn local_registry(config: &Config) -> Option<LocalRegistry> {
    let registry = config.registry.as_ref()?;
    Some(LocalRegistry {
        port: registry.local_port()?,
        server: registry.server.clone()?,
    })
}

/// What the host builds and pushes, unless it is there already.
pub fn image(
    config: &Config,
    input: &Input,
    version: &str,
    registry: Option<Credentials>,
    secrets: &Secrets<'_>,
    findings: &mut Findings,
) -> Image {
    let reference = reference(config, version);
    let tags = vec![reference.clone(), latest(config)];
    let builds = !input.options.skip_push && input.request.command != "build pull";
    let build = builds.then(|| build::build(config, tags, &input.facts, secrets, findings));
    Image {
        name: config.service.clone(),
        reference,
        build,
        registry,
        local_registry: local_registry(config).map(|registry| registry.port),
    }
}
