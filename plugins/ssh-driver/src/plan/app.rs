//! `app …`.

use std::collections::BTreeMap;

use release::{Role, Value};

use crate::call::{Call, ContainerSpec, Promise};
use crate::facts::{Container, HostFacts};
use crate::plan::{Input, Proposal, Refusal, boot, deploy, prepare};
use crate::request::{App, Exec};
use crate::step::{Step, Task};

/// Steps of a command.
pub fn plan(input: &Input<'_>, action: &App) -> Result<Proposal, Refusal> {
    let hosts = input.desired.app_hosts();
    let mut steps = Vec::new();
    match action {
        App::Boot { .. } => return deploy::plan(input),
        App::Exec(exec) => return run(input, exec),
        App::Remove => steps = remove(input)?,
        App::Start
        | App::Stop
        | App::Live
        | App::Maintenance { .. }
        | App::StopStale
        | App::RemoveContainer { .. }
        | App::RemoveContainers
        | App::RemoveImages
        | App::RemoveDirectories => {
            for host in &hosts {
                steps.extend(here(input, host, action)?);
            }
        }
    }
    Ok(Proposal {
        steps: input.locked(&hosts, steps)?,
        notes: Vec::new(),
    })
}

/// Steps on one host.
fn here(input: &Input<'_>, host: &str, action: &App) -> Result<Vec<Step>, Refusal> {
    let facts = input.facts(host)?;
    let roles = input.desired.roles_on(host);
    let whole = is_whole(input, host);
    let mut failing = None;
    let mut rounds: Vec<Vec<Promise>> = Vec::new();
    let mut add = |more: Vec<Vec<Promise>>| match input.desired.release.boot.parallel_roles {
        true => side_by_side(&mut rounds, more),
        false => rounds.extend(more),
    };
    for (name, role) in &roles {
        let prefix = input.desired.release.prefix(name);
        let command = |what: &str, words: Vec<Value>| {
            let words = [Value::text(what), Value::text(&*prefix)]
                .into_iter()
                .chain(words);
            input.proxy_command(host, &format!("{prefix}/{what}"), words.collect())
        };
        let routed = role.proxy.is_some();
        match action {
            App::Start => match start(input, host, facts, (name, role)) {
                Ok(more) => add(more),
                Err((more, why)) => {
                    add(more);
                    failing = failing.or(Some(why));
                }
            },
            App::Stop => add(stop(input, host, facts, (name, role))),
            App::Live if routed => add(vec![vec![command("resume", Vec::new())]]),
            App::Maintenance {
                drain_timeout,
                message,
            } if routed => {
                let drain = drain_timeout.unwrap_or(input.desired.release.drain_timeout);
                let drain = Value::text(format!("--drain-timeout={drain}s"));
                let message = message
                    .iter()
                    .map(|text| Value::text(format!("--message={text}")));
                add(vec![vec![command(
                    "stop",
                    [drain].into_iter().chain(message).collect(),
                )]]);
            }
            App::RemoveContainer { version } => {
                let line = format!("Removed app container with version {version}");
                let audit = input.audit(host, &format!("{prefix}/audit"), Some(name), &[&line]);
                let named = format!("{prefix}-{version}");
                let found = facts.container(&named).filter(|one| one.is_stopped());
                let remove = found.map(|one| remove_container(input, host, one));
                add(vec![[audit].into_iter().chain(remove).collect()]);
            }
            App::RemoveContainers => add(vec![removed(input, host, facts, name, None)]),
            App::Live
            | App::Maintenance { .. }
            | App::StopStale
            | App::RemoveImages
            | App::RemoveDirectories
            | App::Boot { .. }
            | App::Exec(_)
            | App::Remove => {}
        }
    }
    match action {
        App::StopStale => add(vec![prepare::stop_stale(input, host, facts)]),
        App::RemoveImages if whole => add(images(input, host, facts)),
        App::RemoveDirectories if whole => add(directories(input, host)),
        App::RemoveImages
        | App::RemoveDirectories
        | App::Start
        | App::Stop
        | App::Live
        | App::Maintenance { .. }
        | App::RemoveContainer { .. }
        | App::RemoveContainers
        | App::Boot { .. }
        | App::Exec(_)
        | App::Remove => {}
    }
    let (verb, phase) = match action {
        App::Start => ("start the application", "app-start"),
        App::Stop => ("stop the application", "app-stop"),
        App::Live => ("let requests through", "app-live"),
        App::Maintenance { .. } => (
            "answer requests with the maintenance page",
            "app-maintenance",
        ),
        App::StopStale => ("stop stale containers", "stale"),
        App::RemoveContainer { .. } | App::RemoveContainers => ("remove containers", "app-remove"),
        App::RemoveImages => ("remove images", "app-remove"),
        App::RemoveDirectories => ("remove the application's directories", "app-remove"),
        App::Boot { .. } | App::Exec(_) | App::Remove => ("", "app"),
    };
    let work = input.work(phase, host, phase, format!("{verb} on {host}"), rounds);
    let impossible = failing.map(|why| Step {
        id: format!("{host}/impossible"),
        title: format!("route to the application on {host}"),
        host: Some(host.to_owned()),
        task: Task::Impossible { why },
    });
    Ok(work.into_iter().chain(impossible).collect())
}

/// Several roles of a host at the same time: their first rounds together, their second ones, and so on.
fn side_by_side(rounds: &mut Vec<Vec<Promise>>, more: Vec<Vec<Promise>>) {
    for (number, round) in more.into_iter().enumerate() {
        match rounds.get_mut(number) {
            Some(there) => there.extend(round),
            None => rounds.push(round),
        }
    }
}

type Rounds = Vec<Vec<Promise>>;

/// Starts the version's container, and routes to what then runs; with what is missing for that.
fn start(
    input: &Input<'_>,
    host: &str,
    facts: &HostFacts,
    (name, role): (&str, &Role),
) -> Result<Rounds, (Rounds, String)> {
    let release = &input.desired.release;
    let prefix = release.prefix(name);
    let line = format!("Started app version {}", input.desired.version());
    let audit = input.audit(host, &format!("{prefix}/audit"), None, &[&line]);
    let wanted = input.desired.container(name);
    let there = facts.container(&wanted);
    let start = there.map(|_| {
        let call = Call::Start {
            name: wanted.clone(),
        };
        input
            .promise(host, &format!("{prefix}/start"), call)
            .or_not()
    });
    let first = vec![[audit].into_iter().chain(start).collect()];
    if role.proxy.is_none() {
        return Ok(first);
    }
    let mut started = facts.clone();
    for container in &mut started.containers {
        if container.name == wanted {
            container.state = "running".to_owned();
        }
    }
    let Some(current) = started.current(release, name) else {
        let why = format!("Failed to get endpoint for {name} on {host}, did the container boot?");
        return Err((first, why));
    };
    let target = Value::text(current.id.chars().take(12).collect::<String>());
    let id = format!("{prefix}/route");
    let route = boot::route(input, host, &id, (name, role), target);
    Ok(first
        .into_iter()
        .chain([route.into_iter().collect()])
        .collect())
}

/// Takes the role's container out of the proxy, and stops it.
fn stop(input: &Input<'_>, host: &str, facts: &HostFacts, (name, role): (&str, &Role)) -> Rounds {
    let prefix = input.desired.release.prefix(name);
    let audit = input.audit(
        host,
        &format!("{prefix}/audit-stop"),
        Some(name),
        &["Stopped app"],
    );
    let Some(current) = facts.current(&input.desired.release, name) else {
        return vec![vec![audit]];
    };
    let unroute = role.proxy.as_ref().map(|_| {
        let words = ["remove", &prefix].map(Value::text).into();
        let id = format!("{prefix}/remove-route");
        input.proxy_command(host, &id, words).or_not()
    });
    let stop = Call::Stop {
        name: current.name.clone(),
        timeout: input.desired.stop_timeout(role),
    };
    let stop = input
        .promise(host, &format!("{prefix}/stop"), stop)
        .or_not();
    vec![[audit].into_iter().chain(unroute).collect(), vec![stop]]
}

/// Everything of the application: its containers, and on hosts where all of its roles are meant its images and folders.
pub fn remove(input: &Input<'_>) -> Result<Vec<Step>, Refusal> {
    let mut steps = Vec::new();
    for host in input.desired.app_hosts() {
        let facts = input.facts(host)?;
        let mut rounds = Vec::new();
        for (name, role) in input.desired.roles_on(host) {
            rounds.extend(stop(input, host, facts, (name, role)));
        }
        let title = format!("stop the application on {host}");
        steps.extend(input.work("app-stop", host, "app-stop", title, rounds));
    }
    for host in input.desired.app_hosts() {
        let facts = input.facts(host)?;
        let mut rounds = vec![Vec::new()];
        for (name, _) in input.desired.roles_on(host) {
            let stopped = facts.current(&input.desired.release, name);
            rounds[0].extend(removed(input, host, facts, name, stopped));
        }
        if is_whole(input, host) {
            rounds.extend(images(input, host, facts));
            rounds.extend(directories(input, host));
        }
        let title = format!("remove the application from {host}");
        steps.extend(input.work("app-remove", host, "app-remove", title, rounds));
    }
    Ok(steps)
}

/// No role of the host is left out.
fn is_whole(input: &Input<'_>, host: &str) -> bool {
    !input.desired.release.unselected_roles.contains_key(host)
}

/// Removes a role's containers that do not run.
fn removed(
    input: &Input<'_>,
    host: &str,
    facts: &HostFacts,
    name: &str,
    stopped: Option<&Container>,
) -> Vec<Promise> {
    let prefix = input.desired.release.prefix(name);
    let id = format!("{prefix}/audit-remove");
    let audit = input.audit(host, &id, Some(name), &["Removed all app containers"]);
    let gone = facts
        .of_role(&input.desired.release, name)
        .filter(|one| one.is_stopped() || stopped.is_some_and(|stopped| stopped.id == one.id))
        .map(|one| remove_container(input, host, one));
    [audit].into_iter().chain(gone).collect()
}

fn remove_container(input: &Input<'_>, host: &str, container: &Container) -> Promise {
    let name = container.name.clone();
    let id = format!("remove/{name}");
    input.promise(host, &id, Call::Remove { name })
}

fn images(input: &Input<'_>, host: &str, facts: &HostFacts) -> Rounds {
    let audit = input.audit(host, "audit-images", None, &["Removed all app images"]);
    let names = facts.images.iter().flat_map(|image| &image.references);
    let untags = names.map(|reference| {
        let call = Call::RemoveImage {
            reference: reference.clone(),
        };
        input.promise(host, &format!("remove/image/{reference}"), call)
    });
    let dangling = Call::PruneImages {
        labels: vec![("service".into(), input.desired.release.service.clone())],
    };
    vec![
        [audit].into_iter().chain(untags).collect(),
        vec![input.promise(host, "remove/dangling", dangling)],
    ]
}

fn directories(input: &Input<'_>, host: &str) -> Rounds {
    let release = &input.desired.release;
    let own = release.app_directory();
    let line = format!("Removed {own}");
    let audit = input.audit(host, "audit-directories", None, &[&line]);
    let remove = |id: &str, path: String| input.promise(host, id, Call::RemovePath { path });
    vec![vec![
        audit,
        remove("remove/directory", own),
        remove("remove/proxy-directory", release.proxy_directory()),
    ]]
}

/// `app exec`.
fn run(input: &Input<'_>, exec: &Exec) -> Result<Proposal, Refusal> {
    let mut steps = Vec::new();
    for host in input.desired.app_hosts() {
        let facts = input.facts(host)?;
        for (name, role) in input.desired.roles_on(host) {
            let rounds = match exec.reuse {
                true => vec![vec![in_running(input, host, facts, (name, role), exec)?]],
                false => in_new(input, host, facts, (name, role), exec),
            };
            let title = format!("run {} for role {name} on {host}", exec.words.join(" "));
            steps.extend(input.work("exec", host, &format!("exec/{name}"), title, rounds));
        }
    }
    Ok(Proposal {
        steps,
        notes: Vec::new(),
    })
}

fn in_running(
    input: &Input<'_>,
    host: &str,
    facts: &HostFacts,
    (name, _): (&str, &Role),
    exec: &Exec,
) -> Result<Promise, Refusal> {
    let named = exec
        .version
        .as_ref()
        .map(|version| format!("{}-{version}", input.desired.release.prefix(name)));
    let found = match &named {
        Some(name) => facts.container(name),
        None => facts.current(&input.desired.release, name),
    };
    let container = found.ok_or_else(|| Refusal::NothingRuns {
        role: name.to_owned(),
        host: host.to_owned(),
    })?;
    let call = Call::Exec {
        container: container.name.clone(),
        user: None,
        command: with_env(&exec.env, &exec.words),
    };
    Ok(input.promise(host, &format!("exec/{name}"), call).shown())
}

fn with_env(env: &BTreeMap<String, String>, words: &[String]) -> Vec<Value> {
    let env = env.iter().map(|(name, value)| format!("{name}={value}"));
    let env: Vec<String> = env.collect();
    let prefix = (!env.is_empty()).then(|| "env".to_owned());
    let all = prefix.into_iter().chain(env).chain(words.iter().cloned());
    all.map(Value::text).collect()
}

fn in_new(
    input: &Input<'_>,
    host: &str,
    facts: &HostFacts,
    (name, role): (&str, &Role),
    exec: &Exec,
) -> Rounds {
    let release = &input.desired.release;
    let seed = format!("{} {host} {name}", input.deployment_id);
    let container = format!(
        "{}-exec-{}-{}",
        release.prefix(name),
        input.desired.version(),
        boot::hex(&seed, 6)
    );
    let mut spec = ContainerSpec {
        labels: Vec::new(),
        restart: "no".to_owned(),
        command: Some(exec.words.iter().map(Value::text).collect()),
        ..boot::spec(input, name, role, &container)
    };
    // Options that are about serving, not about running.
    spec.options.retain(|(name, _)| name != "publish");
    let added = exec.env.iter();
    spec.env
        .extend(added.map(|(name, value)| (name.clone(), Value::text(value))));
    let there = facts
        .images
        .iter()
        .any(|image| image.references.contains(&role.image));
    let pull = (!there).then(|| {
        let call = Call::Pull {
            image: role.image.clone(),
            digest: None,
            credentials: release.credentials.clone(),
        };
        input.promise(host, &format!("exec/{name}/pull"), call)
    });
    let call = match exec.detach {
        true => Call::Run { spec },
        false => Call::RunOnce { spec },
    };
    let run = input.promise(host, &format!("exec/{name}"), call).shown();
    vec![pull.into_iter().collect(), vec![run]]
}
