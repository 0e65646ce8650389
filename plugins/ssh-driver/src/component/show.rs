//! Requests that only look: all hosts at once.

use std::rc::Rc;

use release::Proxy;

use super::bindings::exports::plimsoll::deploy::driver::Report;
use super::bindings::plimsoll::deploy::docker::LogLines;
use super::bindings::plimsoll::deploy::lock;
use super::bindings::plimsoll::deploy::ssh::Session;
use super::bindings::plimsoll::deploy::types::{CapError, Document};
use super::reader::Reader;
use super::{observe, world};
use crate::desired::{Desired, parse};
use crate::facts::HostFacts;
use crate::places::Places;
use crate::request::{Logs, Request, Show};
use crate::{observed, show as text};

/// Lines of the audit log that are shown.
const AUDIT: usize = 50;
/// Lines of a container's log that are shown, unless the user says how many.
const LINES: u32 = 100;

/// What is asked to be shown.
pub(super) async fn show(
    request: &Request,
    what: &Show,
    desired: &Desired,
) -> Result<Vec<Report>, CapError> {
    match what {
        Show::LockStatus => lock_status(desired).await,
        Show::Audit => over_hosts("App", &desired.meant_hosts(), |host| audit(desired, host)).await,
        Show::BootConfig => over_hosts("Proxy", &desired.proxy_hosts(), boot_config).await,
        Show::ProxyLogs(logs) => {
            over_hosts("Proxy", &desired.proxy_hosts(), |host| {
                lines(host, Proxy::CONTAINER.to_owned(), logs)
            })
            .await
        }
        Show::AccessoryLogs { name, logs } => {
            let named = desired.accessories_named(name);
            let all = named.iter().map(|(host, _, accessory)| async {
                let lines = lines(host, accessory.container.clone(), logs).await?;
                Ok(report(host, format!("Accessory {name}"), lines))
            });
            world::all(all).await
        }
        Show::AppLogs(logs) => app_logs(request, desired, logs).await,
        Show::Details
        | Show::AppDetails
        | Show::AppContainers
        | Show::AppImages
        | Show::AppVersion
        | Show::StaleContainers
        | Show::ProxyDetails
        | Show::AccessoryDetails { .. } => tables(request, what, desired).await,
    }
}

fn report(host: &str, title: String, lines: Vec<String>) -> Report {
    Report {
        host: Some(host.to_owned()),
        title,
        lines,
    }
}

async fn over_hosts<'a, F: Future<Output = Result<Vec<String>, CapError>>>(
    title: &str,
    hosts: &[&'a str],
    read: impl Fn(&'a str) -> F,
) -> Result<Vec<Report>, CapError> {
    let reads = hosts.iter().map(|host| async {
        let lines = read(host).await?;
        Ok(report(host, title.to_owned(), lines))
    });
    world::all(reads).await
}

async fn lock_status(desired: &Desired) -> Result<Vec<Report>, CapError> {
    let release = &desired.release;
    let details = lock::read(release.primary_host.clone(), release.lock.path.clone()).await?;
    let lines = match details {
        Some(details) => details.lines().map(str::to_owned).collect(),
        None => vec!["There is no deploy lock".to_owned()],
    };
    Ok(vec![Report {
        host: None,
        title: String::new(),
        lines,
    }])
}

async fn audit(desired: &Desired, host: &str) -> Result<Vec<String>, CapError> {
    let session = Session::connect(host.to_owned()).await?;
    let log = session.read(desired.release.audit_log.clone()).await?;
    let log = log.unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    let last = lines.len().saturating_sub(AUDIT);
    Ok(lines[last..]
        .iter()
        .map(|line| (*line).to_owned())
        .collect())
}

async fn boot_config(host: &str) -> Result<Vec<String>, CapError> {
    let files = observe::boot_config_files(host).await?;
    Ok(files
        .into_iter()
        .map(|(file, text)| format!("{file}: {}", text.trim()))
        .collect())
}

/// The lines of a container that the user wants.
async fn lines(host: &str, container: String, logs: &Logs) -> Result<Vec<String>, CapError> {
    let reader = Reader::connect(host, &Rc::new(Places::on(1))).await?;
    let all = logs.since.is_some() || logs.grep.is_some();
    let tail = logs.lines.or_else(|| (!all).then_some(LINES));
    let wanted = LogLines {
        tail,
        since: logs.since.clone(),
        timestamps: !logs.skip_timestamps,
    };
    let found = reader.lines(&container, wanted).await?;
    let (grep, options) = (logs.grep.as_deref(), logs.grep_options.as_deref());
    Ok(text::grep(found, grep, options))
}

async fn app_logs(
    request: &Request,
    desired: &Desired,
    logs: &Logs,
) -> Result<Vec<Report>, CapError> {
    let facts = facts(request, desired).await?;
    let mut wanted = Vec::new();
    for (host, facts) in &facts {
        for (role, _) in desired.roles_on(host) {
            let current = facts.current(&desired.release, role);
            let named = logs.container_id.clone();
            if let Some(name) = named.or_else(|| current.map(|one| one.name.clone())) {
                wanted.push((host, name));
            }
        }
    }
    let reads = wanted.into_iter().map(|(host, name)| async move {
        let found = lines(host, name.clone(), logs).await?;
        Ok(report(host, name, found))
    });
    world::all(reads).await
}

/// Facts of every host that there is something to say of.
async fn facts(request: &Request, desired: &Desired) -> Result<Vec<(String, HostFacts)>, CapError> {
    let documents: Vec<Document> = observe::observe(request, desired, &[]).await?;
    let facts = documents.iter().filter_map(|document| {
        let host = HostFacts::parse_address(&document.address)?;
        let facts = parse(&document.address, &document.body).ok()?;
        Some((host.to_owned(), facts))
    });
    Ok(facts.collect())
}

async fn tables(
    request: &Request,
    what: &Show,
    desired: &Desired,
) -> Result<Vec<Report>, CapError> {
    let release = &desired.release;
    let app_hosts = desired.app_hosts();
    let mut reports = Vec::new();
    for (host, facts) in facts(request, desired).await? {
        let roles = || desired.roles_on(&host).into_iter();
        let of_app = || facts.of_destination(release);
        let running = || of_app().filter(|one| one.is_running());
        // Only what can be on a host is told of it.
        let has_app = app_hosts.contains(&host.as_str());
        let mut add = |title: &str, lines: Vec<String>| {
            if title != "App" || has_app {
                reports.push(report(&host, title.to_owned(), lines));
            }
        };
        let proxy = || {
            let proxy = facts.proxy.iter();
            let line = |running| match running {
                true => "running",
                false => "stopped",
            };
            proxy
                .map(|proxy| {
                    format!(
                        "{}  {}  {}",
                        Proxy::CONTAINER,
                        proxy.image,
                        line(proxy.running)
                    )
                })
                .collect()
        };
        let accessories = |name: Option<&str>| {
            let all = facts.accessories.iter();
            let wanted =
                all.filter(|(one, _)| name.is_none_or(|name| name == "all" || name == *one));
            text::containers(wanted.flat_map(|(_, containers)| containers))
        };
        let has_accessory = |name: &str| {
            let mut named = desired.accessories_named(name).into_iter();
            named.any(|(at, ..)| at == host)
        };
        match what {
            Show::Details => {
                if desired.proxies.contains_key(&host) {
                    add("Proxy", proxy());
                }
                add("App", text::containers(running()));
                if has_accessory("all") {
                    add("Accessories", accessories(None));
                }
            }
            Show::AppDetails => add("App", text::containers(running())),
            Show::AppContainers => add("App", text::containers(of_app())),
            Show::AppImages => add("App", text::images(&facts)),
            Show::AppVersion => {
                let versions = roles().filter_map(|(role, _)| {
                    let current = facts.current(release, role)?;
                    observed::version(release, role, &current.name)
                });
                add("App", versions.take(1).collect());
            }
            Show::StaleContainers => {
                let stale = roles().flat_map(|(role, _)| text::stale(&facts, release, role));
                add("App", stale.collect());
            }
            Show::ProxyDetails => add("Proxy", proxy()),
            Show::AccessoryDetails { name } if has_accessory(name) => {
                add(&format!("Accessory {name}"), accessories(Some(name)));
            }
            Show::AccessoryDetails { .. }
            | Show::Audit
            | Show::LockStatus
            | Show::AppLogs(_)
            | Show::ProxyLogs(_)
            | Show::BootConfig
            | Show::AccessoryLogs { .. } => {}
        }
    }
    // Kamal goes through all hosts for the proxy, then for the application, then for accessories.
    reports.sort_by_key(|report| match report.title.as_str() {
        "Proxy" => 0,
        "App" => 1,
        _ => 2,
    });
    Ok(reports)
}
