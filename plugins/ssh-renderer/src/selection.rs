//! Which hosts and roles this deploy is about (`kamal.md` §1.5).

use crate::config::role::Role;
use crate::config::{Config, boot, unique};
use crate::diagnostic::Findings;
use crate::glob;
use crate::options::Options;

/// What the filters leave.
#[derive(Debug)]
pub struct Selection<'a> {
    /// Hosts of roles and accessories, those of the primary role first.
    pub hosts: Vec<&'a str>,
    /// Roles, the primary one first.
    pub roles: Vec<&'a Role>,
    /// Holds the lock.
    pub primary_host: &'a str,
    /// Others wait for it; `None` when no role is selected.
    pub primary_role: Option<&'a Role>,
    /// Hosts with a role.
    pub app_hosts: Vec<&'a str>,
    /// Hosts with something behind the proxy.
    pub proxy_hosts: Vec<&'a str>,
    /// Hosts with an accessory.
    pub accessory_hosts: Vec<&'a str>,
    /// How many hosts boot together; `None` is all.
    pub limit: Option<usize>,
    /// Hosts that boot together.
    pub groups: Vec<Vec<&'a str>>,
    /// Roles that the user asked for, by name.
    pub asked_roles: Option<Vec<&'a str>>,
}

/// Applies the filters. `None` when nothing is left: because nothing matched, which is then in the findings, or
/// because there is no host at all.
pub fn select<'a>(
    config: &'a Config,
    options: &Options,
    findings: &mut Findings,
) -> Option<Selection<'a>> {
    let names: Vec<&str> = config.roles.iter().map(|role| role.name.as_str()).collect();
    let mut matched = |patterns: Option<&[String]>, items: &[&'a str], flag: &str| {
        let patterns = patterns.filter(|patterns| !patterns.is_empty())?;
        let found = glob::select(patterns, items);
        if found.is_empty() {
            findings
                .error(
                    "no-match",
                    format!("No --{flag} match for {}", patterns.join(",")),
                    None,
                )
                .help(format!("there are {}", items.join(", ")));
        }
        Some(found)
    };
    let all_hosts = config.all_hosts();
    let mut asked_hosts = matched(options.hosts.as_deref(), &all_hosts, "hosts");
    let asked_roles = matched(options.roles.as_deref(), &names, "roles");
    if asked_hosts.as_ref().is_some_and(Vec::is_empty)
        || asked_roles.as_ref().is_some_and(Vec::is_empty)
    {
        return None;
    }
    let specific: Option<Vec<&Role>> = asked_roles
        .as_ref()
        .map(|names| names.iter().filter_map(|name| config.role(name)).collect());
    let preferred = |roles: &[&'a Role]| {
        roles
            .iter()
            .find(|role| role.name == config.primary_role)
            .or(roles.first())
            .copied()
    };
    if options.primary {
        let role = match &specific {
            Some(roles) => roles.first().copied(),
            None => config.role(&config.primary_role),
        };
        asked_hosts = role
            .and_then(|role| role.host_names().next())
            .map(|host| vec![host]);
    }
    let base = asked_hosts.as_ref().unwrap_or(&all_hosts);
    let mut roles: Vec<&Role> = specific
        .clone()
        .unwrap_or_else(|| config.roles.iter().collect());
    roles.retain(|role| base.iter().any(|host| role.is_on(host)));
    let mut hosts = base.clone();
    if let Some(specific) = specific
        .as_ref()
        .filter(|roles| roles.iter().any(|role| !role.hosts.is_empty()))
    {
        hosts.retain(|host| specific.iter().any(|role| role.is_on(host)));
    }
    let primary_host = match &asked_hosts {
        Some(hosts) => hosts.first().copied(),
        None => {
            let role = specific
                .as_deref()
                .and_then(preferred)
                .or_else(|| config.role(&config.primary_role));
            role.and_then(|role| role.host_names().next())
        }
    };
    // With accessories alone, one of their hosts holds the lock.
    let alone = config.roles.is_empty().then(|| all_hosts.first().copied());
    let primary_host = primary_host.or(alone.flatten())?;
    let there: Vec<&Role> = roles
        .iter()
        .copied()
        .filter(|role| role.is_on(primary_host))
        .collect();
    let primary_role = preferred(&there);
    let is_primary = |role: &Role| primary_role.is_some_and(|primary| primary.name == role.name);
    let selected = hosts.clone();
    let only_selected = |candidates: Vec<&'a str>| -> Vec<&'a str> {
        candidates
            .into_iter()
            .filter(|host| selected.contains(host))
            .collect()
    };
    let app_hosts = only_selected(unique(config.roles.iter().flat_map(Role::host_names)));
    let on_primary = |host: &&str| {
        roles
            .iter()
            .any(|role| is_primary(role) && role.is_on(host))
    };
    let hosts = first(hosts, on_primary);
    let app_hosts = first(app_hosts, on_primary);
    let roles = first(roles, |role| is_primary(role));
    let proxied_roles = config
        .roles
        .iter()
        .filter(|role| role.proxy.is_some())
        .flat_map(Role::host_names);
    let proxied = config
        .accessories
        .iter()
        .filter(|accessory| accessory.proxy.is_some());
    let proxied = proxied.flat_map(|accessory| accessory.hosts.iter().map(String::as_str));
    let proxy_hosts = only_selected(unique(proxied_roles.chain(proxied)));
    let accessories = config
        .accessories
        .iter()
        .flat_map(|accessory| accessory.hosts.iter().map(String::as_str));
    let accessory_hosts = only_selected(unique(accessories));
    let limit = boot::limit(config, findings);
    let groups = match limit {
        Some(limit) => app_hosts.chunks(limit).map(<[_]>::to_vec).collect(),
        None => vec![app_hosts.clone()],
    };
    Some(Selection {
        hosts,
        roles,
        primary_host,
        primary_role,
        app_hosts,
        proxy_hosts,
        accessory_hosts,
        limit,
        groups,
        asked_roles,
    })
}

/// Those that come first, then the others, each in their order.
fn first<T>(items: Vec<T>, comes_first: impl Fn(&T) -> bool) -> Vec<T> {
    let (mut ordered, rest): (Vec<T>, Vec<T>) = items.into_iter().partition(comes_first);
    ordered.extend(rest);
    ordered
}
