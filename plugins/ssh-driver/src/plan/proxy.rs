//! `proxy …`.

use release::Proxy as Document;

use crate::call::{Call, Promise};
use crate::facts::HostFacts;
use crate::plan::{Input, Note, Proposal, Refusal, boot_config, prepare};
use crate::request::Proxy;
use crate::step::Step;

/// Steps of a command.
pub fn plan(input: &Input<'_>, action: &Proxy) -> Result<Proposal, Refusal> {
    let mut notes = Vec::new();
    let steps = match action {
        Proxy::SetBootConfig(config) => return boot_config::set(input, config),
        Proxy::ResetBootConfig => return boot_config::reset(input),
        Proxy::Boot => boot(input)?,
        Proxy::Reboot { rolling } => reboot(input, *rolling)?,
        Proxy::Remove { force } => remove(input, *force, &mut notes)?,
        Proxy::Start
        | Proxy::Stop
        | Proxy::Restart
        | Proxy::RemoveContainer
        | Proxy::RemoveImage
        | Proxy::RemoveDirectory => {
            let mut steps = Vec::new();
            for host in input.desired.proxy_hosts() {
                let facts = input.facts(host)?;
                let rounds = match action {
                    Proxy::Start => start(input, host, facts),
                    Proxy::Stop => stop(input, host, facts),
                    Proxy::Restart => {
                        let stop = stop(input, host, facts).into_iter();
                        stop.chain(start(input, host, facts)).collect()
                    }
                    Proxy::RemoveContainer => remove_container(input, host, facts),
                    Proxy::RemoveImage => remove_image(input, host),
                    Proxy::RemoveDirectory
                    | Proxy::Boot
                    | Proxy::Reboot { .. }
                    | Proxy::Remove { .. }
                    | Proxy::SetBootConfig(_)
                    | Proxy::ResetBootConfig => remove_directory(input, host),
                };
                let title = format!("{} kamal-proxy on {host}", verb(action));
                steps.extend(input.work("proxy", host, "proxy", title, rounds));
            }
            steps
        }
    };
    Ok(Proposal {
        steps: input.locked(&[], steps)?,
        notes,
    })
}

fn verb(action: &Proxy) -> &'static str {
    match action {
        Proxy::Start => "start",
        Proxy::Stop => "stop",
        Proxy::Restart => "restart",
        Proxy::Boot => "boot",
        Proxy::Reboot { .. } => "reboot",
        Proxy::SetBootConfig(_) | Proxy::ResetBootConfig => "configure",
        Proxy::Remove { .. }
        | Proxy::RemoveContainer
        | Proxy::RemoveImage
        | Proxy::RemoveDirectory => "remove",
    }
}

fn boot(input: &Input<'_>) -> Result<Vec<Step>, Refusal> {
    let mut steps = Vec::new();
    for host in input.desired.hosts() {
        steps.extend(prepare::plan(input, host, true, false)?);
    }
    Ok(steps)
}

type Rounds = Vec<Vec<Promise>>;

/// A new container, host after host or all at once. Its routes are in its volume, and come back with it.
fn reboot(input: &Input<'_>, rolling: bool) -> Result<Vec<Step>, Refusal> {
    let hosts = input.desired.proxy_hosts();
    let groups: Vec<&[&str]> = match rolling {
        true => hosts.chunks(1).collect(),
        false => vec![&hosts],
    };
    let mut steps = Vec::new();
    for (number, group) in groups.into_iter().enumerate() {
        steps.extend(input.hook("pre-proxy-reboot", Some((number, group))));
        for host in group {
            let facts = input.facts(host)?;
            let Some(proxy) = input.desired.proxies.get(*host) else {
                continue;
            };
            let audit = input.audit(host, "proxy/audit", None, &["Rebooted proxy"]);
            let (before, run) = prepare::new_proxy(input, host, facts, proxy);
            // Before anything stops: what can't be pulled must not interrupt anybody.
            let mut rounds = vec![[audit].into_iter().chain(before).collect()];
            if let Some(found) = &facts.proxy {
                rounds.extend(stopped(input, host, found.running));
                rounds.push(vec![remove_proxy(input, host)]);
            }
            rounds.push(run);
            let title = format!("replace kamal-proxy on {host}");
            let phase = format!("proxy-reboot/{number}");
            steps.extend(input.work(&phase, host, "proxy-reboot", title, rounds));
        }
        steps.extend(input.hook("post-proxy-reboot", Some((number, group))));
    }
    Ok(steps)
}

fn start(input: &Input<'_>, host: &str, facts: &HostFacts) -> Rounds {
    let audit = input.audit(host, "proxy/audit-start", None, &["Started proxy"]);
    let start = facts.proxy.as_ref().map(|_| {
        let name = Document::CONTAINER.to_owned();
        input.promise(host, "proxy/start", Call::Start { name })
    });
    vec![[audit].into_iter().chain(start).collect()]
}

fn stop(input: &Input<'_>, host: &str, facts: &HostFacts) -> Rounds {
    let audit = input.audit(host, "proxy/audit-stop", None, &["Stopped proxy"]);
    let running = facts.proxy.as_ref().is_some_and(|proxy| proxy.running);
    let stop = stopped(input, host, running).into_iter().flatten();
    vec![[audit].into_iter().chain(stop).collect()]
}

fn stopped(input: &Input<'_>, host: &str, running: bool) -> Option<Vec<Promise>> {
    running.then(|| {
        let call = Call::Stop {
            name: Document::CONTAINER.to_owned(),
            timeout: None,
        };
        vec![input.promise(host, "proxy/stop", call).or_not()]
    })
}

fn remove_proxy(input: &Input<'_>, host: &str) -> Promise {
    let name = Document::CONTAINER.to_owned();
    input.promise(host, "proxy/remove", Call::Remove { name })
}

fn remove_container(input: &Input<'_>, host: &str, facts: &HostFacts) -> Rounds {
    let audit = input.audit(
        host,
        "proxy/audit-container",
        None,
        &["Removed proxy container"],
    );
    let remove = facts.proxy.as_ref().map(|_| remove_proxy(input, host));
    vec![[audit].into_iter().chain(remove).collect()]
}

fn remove_image(input: &Input<'_>, host: &str) -> Rounds {
    let audit = input.audit(host, "proxy/audit-image", None, &["Removed proxy image"]);
    let image = input.desired.proxies.get(host).map(|proxy| {
        let call = Call::RemoveImage {
            reference: proxy.image.clone(),
        };
        input.promise(host, "proxy/remove-image", call)
    });
    vec![[audit].into_iter().chain(image).collect()]
}

fn remove_directory(input: &Input<'_>, host: &str) -> Rounds {
    let path = ".kamal/proxy".to_owned();
    vec![vec![input.promise(
        host,
        "proxy/remove-directory",
        Call::RemovePath { path },
    )]]
}

/// Everything of the proxy, unless other applications need it.
pub fn remove(input: &Input<'_>, force: bool, notes: &mut Vec<Note>) -> Result<Vec<Step>, Refusal> {
    let hosts = input.desired.proxy_hosts();
    for host in &hosts {
        // Kamal counts folders; its own is gone by then in `remove`, and counts in `proxy remove`.
        let own = input.desired.release.app();
        let removes = matches!(input.request.command, crate::request::Command::Remove);
        let mut apps = input.facts(host)?.apps.iter();
        if !force && apps.any(|app| !(removes && *app == own)) {
            notes.push(Note {
                code: "proxy-stays",
                message: "Not removing the proxy, as other apps are installed, ignore this check with kamal proxy remove --force".to_owned(),
                help: None,
            });
            return Ok(Vec::new());
        }
    }
    let mut steps = Vec::new();
    for host in hosts {
        let facts = input.facts(host)?;
        let rounds = [
            stop(input, host, facts),
            remove_container(input, host, facts),
            remove_image(input, host),
            remove_directory(input, host),
        ];
        let title = format!("remove kamal-proxy from {host}");
        let rounds = rounds.concat();
        steps.extend(input.work("proxy-remove", host, "proxy-remove", title, rounds));
    }
    Ok(steps)
}
