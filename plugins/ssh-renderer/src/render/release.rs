//! The document of the whole release.

use std::collections::BTreeMap;

use release::{Boot, Credentials, Image, Lock, Release, Value};

use crate::config::accessory::Accessory;
use crate::config::{Config, boot};
use crate::diagnostic::Findings;
use crate::render::source::Sources;
use crate::render::{Rendering, error_pages, hook, image};
use crate::selection::Selection;

/// What concerns all hosts. The accessories are those that are meant.
pub fn document(
    rendering: &Rendering<'_>,
    accessories: &[&Accessory],
    credentials: Option<Credentials>,
    sources: &mut Sources,
    findings: &mut Findings,
) -> Release {
    let Rendering {
        config,
        selection,
        input,
        scope,
        version,
        ..
    } = *rendering;
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
    let details = Value::text("Locked by: ")
        .and_slot("performer")
        .and_text(" at ")
        .and_slot("now");
    Release {
        service: config.service.clone(),
        destination: config.destination.clone(),
        version: Some(version.to_owned()).filter(|version| !version.is_empty()),
        image: Image {
            name: config.service.clone(),
            repository: config.repository(),
            latest: image::latest(config),
        },
        credentials,
        local_registry: image::local_registry(config),
        app_hosts: own(&selection.app_hosts),
        proxy_hosts: own(&selection.proxy_hosts),
        accessory_hosts: own(&selection.accessory_hosts),
        unselected_roles: unselected_roles(config, selection),
        accessories: accessories
            .iter()
            .filter(|accessory| selection.hosts.iter().any(|host| accessory.is_on(host)))
            .map(|accessory| accessory.name.clone())
            .collect(),
        error_pages: scope
            .boots
            .then(|| error_pages::document(config, &input.facts))
            .flatten(),
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
                "\nVersion: {}\nMessage: Automatic deploy lock",
                input.version
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
            limit: selection.limit.and_then(|limit| u32::try_from(limit).ok()),
            wait: boot::wait(config, findings),
            parallel_roles: boot::parallel_roles(config),
        },
        hooks: hook::calls(config, selection, input, version),
    }
}

/// Selected hosts with roles that are not.
fn unselected_roles(config: &Config, selection: &Selection<'_>) -> BTreeMap<String, Vec<String>> {
    let is_selected = |name: &str| selection.roles.iter().any(|role| role.name == name);
    let mut unselected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for role in config.roles.iter().filter(|role| !is_selected(&role.name)) {
        for host in selection.hosts.iter().filter(|host| role.is_on(host)) {
            let roles = unselected.entry((*host).to_owned()).or_default();
            roles.push(role.name.clone());
        }
    }
    unselected
}
