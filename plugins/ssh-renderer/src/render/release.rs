//! The document of the whole release.

use release::{Boot, Credentials, Image, Lock, Release, Value};

use crate::config::{Config, boot};
use crate::diagnostic::Findings;
use crate::render::source::Sources;
use crate::render::{Input, hook, image};
use crate::selection::Selection;

/// What concerns all hosts.
pub fn document(
    config: &Config,
    selection: &Selection<'_>,
    input: &Input,
    credentials: Option<Credentials>,
    sources: &mut Sources,
    findings: &mut Findings,
) -> Release {
    let own = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
    for (key, pointer) in [
        ("service", vec!["service"]),
        ("image", vec!["image", "repository"]),
        ("registry", vec!["credentials"]),
        ("servers", vec!["hosts"]),
        ("primary_role", vec!["primary_role"]),
        ("retain_containers", vec!["retain_containers"]),
        ("deploy_timeout", vec!["deploy_timeout"]),
        ("drain_timeout", vec!["drain_timeout"]),
        ("readiness_delay", vec!["readiness_delay"]),
        ("boot", vec!["boot"]),
    ] {
        sources.add(Release::ADDRESS, &pointer, config.root.key_at(key));
    }
    let app = config.service_and_destination();
    let version = &input.version;
    let details = Value::text("Locked by: ")
        .and_slot("performer")
        .and_text(" at ")
        .and_slot("now");
    Release {
        service: config.service.clone(),
        destination: config.destination.clone(),
        version: Some(version.clone()),
        image: Image {
            name: config.service.clone(),
            repository: config.repository(),
            latest: image::latest(config),
        },
        credentials,
        local_registry: None,
        app_hosts: own(&selection.app_hosts),
        proxy_hosts: own(&selection.proxy_hosts),
        accessory_hosts: own(&selection.accessory_hosts),
        unselected_roles: Default::default(),
        accessories: Vec::new(),
        error_pages: None,
        hosts: own(&selection.hosts),
        primary_host: selection.primary_host.to_owned(),
        primary_role: selection
            .primary_role
            .map(|role| role.name.clone())
            .unwrap_or_default(),
        roles: selection
            .roles
            .iter()
            .map(|role| role.name.clone())
            .collect(),
        lock: Lock {
            path: format!(".kamal/lock-{app}"),
            details: details.and_text(format!(
                "\nVersion: {version}\nMessage: Automatic deploy lock"
            )),
        },
        audit_log: format!(".kamal/{app}-audit.log"),
        network: "kamal".to_owned(),
        retain_containers: config.number("retain_containers", 5),
        deploy_timeout: config.number("deploy_timeout", 30),
        drain_timeout: config.number("drain_timeout", 30),
        readiness_delay: config.number("readiness_delay", 7),
        boot: Boot {
            groups: selection.groups.iter().map(|group| own(group)).collect(),
            limit: None,
            wait: boot::wait(config, findings),
            parallel_roles: boot::parallel_roles(config),
        },
        hooks: hook::calls(config, selection, input),
    }
}
