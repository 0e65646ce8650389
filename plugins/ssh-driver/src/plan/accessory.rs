//! `accessory …`, and the accessories of `setup` and `remove`.

use release::{Accessory as Document, Directory, PlacedFile, Value};

use crate::call::{Call, ContainerSpec, LogConfig, Promise};
use crate::facts::{Container, HostFacts};
use crate::plan::{Input, Note, Proposal, Refusal, boot};
use crate::request::Accessory;
use crate::step::Step;

/// Host, name, what it is.
type Named<'a> = (&'a str, &'a str, &'a Document);
type Rounds = Vec<Vec<Promise>>;

/// Steps of a command.
pub fn plan(input: &Input<'_>, name: &str, action: &Accessory) -> Result<Proposal, Refusal> {
    let named = input.desired.accessories_named(name);
    if named.is_empty() && name != "all" {
        if !input.request.reboot {
            return Err(unknown(input, name));
        }
        // Kamal says so, which the renderer did, and ends well, with the lock taken and given back.
        let locks = !matches!(action, Accessory::Exec { .. });
        let steps = match locks {
            true => input.locked(&[], Vec::new())?,
            false => Vec::new(),
        };
        return Ok(Proposal {
            steps,
            notes: Vec::new(),
        });
    }
    let mut notes = Vec::new();
    let steps = match action {
        Accessory::Boot => boot(input, &named, &mut notes)?,
        Accessory::Exec { words, reuse } => {
            return Ok(Proposal {
                steps: exec(input, &named, words, *reuse)?,
                notes,
            });
        }
        Accessory::Remove => remove(input, &named)?,
        Accessory::Reboot
        | Accessory::Start
        | Accessory::Stop
        | Accessory::Restart
        | Accessory::RemoveContainer
        | Accessory::RemoveImage
        | Accessory::RemoveDirectory => {
            let mut steps = Vec::new();
            for one in &named {
                let rounds = here(input, *one, action)?;
                let title = format!("{} {} on {}", verb(action), one.1, one.0);
                let phase = format!("accessory/{}", one.1);
                steps.extend(input.work(
                    &phase,
                    one.0,
                    &format!("accessory/{}", one.1),
                    title,
                    rounds,
                ));
            }
            steps
        }
    };
    Ok(Proposal {
        steps: input.locked(&[], steps)?,
        notes,
    })
}

fn unknown(input: &Input<'_>, name: &str) -> Refusal {
    let names = input.desired.release.accessories.clone();
    let options = match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => "none".to_owned(),
    };
    Refusal::NoAccessory {
        name: name.to_owned(),
        options,
    }
}

fn verb(action: &Accessory) -> &'static str {
    match action {
        Accessory::Boot => "boot",
        Accessory::Reboot => "reboot",
        Accessory::Start => "start",
        Accessory::Stop => "stop",
        Accessory::Restart => "restart",
        Accessory::Exec { .. } => "run a command in",
        Accessory::Remove
        | Accessory::RemoveContainer
        | Accessory::RemoveImage
        | Accessory::RemoveDirectory => "remove",
    }
}

fn here(input: &Input<'_>, one: Named<'_>, action: &Accessory) -> Result<Rounds, Refusal> {
    let facts = input.facts(one.0)?;
    Ok(match action {
        Accessory::Start => start(input, one, facts),
        Accessory::Stop => stop(input, one, facts),
        Accessory::Restart => [stop(input, one, facts), start(input, one, facts)].concat(),
        Accessory::RemoveContainer => remove_container(input, one, facts),
        Accessory::RemoveImage => remove_image(input, one),
        Accessory::RemoveDirectory => remove_directory(input, one),
        Accessory::Reboot | Accessory::Boot | Accessory::Remove | Accessory::Exec { .. } => {
            let line = format!("Pull {} accessory image", one.1);
            let audit = audit(input, one, "pull", &line);
            let pull = pull(input, one);
            [
                vec![vec![audit, pull]],
                stop(input, one, facts),
                remove_container(input, one, facts),
                prepared(input, one, facts),
                booted(input, one),
            ]
            .concat()
        }
    })
}

/// Boots those that are not there.
pub fn boot(
    input: &Input<'_>,
    named: &[Named<'_>],
    notes: &mut Vec<Note>,
) -> Result<Vec<Step>, Refusal> {
    let mut steps = Vec::new();
    for one in named {
        let (host, name, document) = *one;
        let facts = input.facts(host)?;
        let mut rounds = prepared(input, *one, facts);
        if found(facts, name).is_empty() {
            let there = facts.accessory_images.contains(&document.image);
            if !there && let Some(first) = rounds.first_mut() {
                first.push(pull(input, *one));
            }
            rounds.extend(booted(input, *one));
        } else {
            notes.push(Note {
                code: "accessory-exists",
                message: format!("Skipping booting `{name}` on {host}, a container already exists"),
                help: None,
            });
            // In `setup` it is left alone altogether.
            if matches!(input.request.command, crate::request::Command::Setup) {
                continue;
            }
        }
        let title = format!("boot {name} on {host}");
        let phase = format!("accessories/{name}");
        steps.extend(input.work(&phase, host, &format!("accessory/{name}"), title, rounds));
    }
    Ok(steps)
}

fn found<'a>(facts: &'a HostFacts, name: &str) -> &'a [Container] {
    facts.accessories.get(name).map_or(&[], Vec::as_slice)
}

fn id(one: Named<'_>, what: &str) -> String {
    format!("{}/{what}", one.2.container)
}

fn audit(input: &Input<'_>, one: Named<'_>, what: &str, line: &str) -> Promise {
    input.audit(one.0, &id(one, &format!("audit-{what}")), None, &[line])
}

fn pull(input: &Input<'_>, one: Named<'_>) -> Promise {
    let call = Call::Pull {
        image: one.2.image.clone(),
        digest: None,
        credentials: one.2.credentials.clone(),
    };
    input.promise(one.0, &id(one, "pull"), call)
}

/// Networks, directories and files.
fn prepared(input: &Input<'_>, one: Named<'_>, facts: &HostFacts) -> Rounds {
    let (host, _, document) = one;
    let missing = |network: &&String| **network != input.desired.release.network || !facts.network;
    let networks = document.networks.iter().filter(missing);
    let mut first: Vec<Promise> = networks
        .map(|network| {
            let name = network.clone();
            let id = id(one, &format!("network/{name}"));
            input.promise(host, &id, Call::CreateNetwork { name })
        })
        .collect();
    let (mut second, mut third, mut fourth) = (Vec::new(), Vec::new(), Vec::new());
    for (number, Directory { path, mode, owner }) in document.directories.iter().enumerate() {
        let path = path.shown().into_owned();
        let make = Call::MakeDirectory { path: path.clone() };
        first.push(input.promise(host, &id(one, &format!("directory/{}", number + 1)), make));
        if mode.is_some() || owner.is_some() {
            let own = Call::Own {
                path,
                mode: mode.clone(),
                owner: owner.clone(),
            };
            second.push(input.promise(host, &id(one, &format!("owner/{}", number + 1)), own));
        }
    }
    for (number, file) in document.files.iter().enumerate() {
        let PlacedFile {
            path,
            mode,
            owner,
            content,
        } = file;
        let path = path.shown().into_owned();
        let octal = u32::from_str_radix(mode, 8).ok();
        let put = Call::Put {
            path: path.clone(),
            mode: octal.unwrap_or(0o644),
            content: content.clone(),
        };
        third.push(input.promise(host, &id(one, &format!("file/{}", number + 1)), put));
        let symbolic = octal.is_none().then(|| mode.clone());
        if symbolic.is_some() || owner.is_some() {
            let own = Call::Own {
                path,
                mode: symbolic,
                owner: owner.clone(),
            };
            fourth.push(input.promise(host, &id(one, &format!("file-owner/{}", number + 1)), own));
        }
    }
    vec![first, second, third, fourth]
}

/// The container, and its route.
fn booted(input: &Input<'_>, one: Named<'_>) -> Rounds {
    let (host, name, document) = one;
    let spec = spec(document, &document.container);
    let run = input.promise(host, &id(one, "run"), Call::Run { spec });
    let line = format!("Booted {name} accessory");
    let route = document.proxy.as_ref().map(|route| {
        let target = Value::text("--target=")
            .and_slot(format!("created/{}", run.id))
            .and_text(format!(":{}", route.port));
        let words = ["deploy", &document.container].map(Value::text);
        let flags = route.flags.iter().cloned();
        let words = words.into_iter().chain([target]).chain(flags);
        input.proxy_command(host, &id(one, "route"), words.collect())
    });
    vec![
        vec![audit(input, one, "boot", &line), run],
        route.into_iter().collect(),
    ]
}

fn spec(document: &Document, container: &str) -> ContainerSpec {
    let mut labels = document.labels.clone();
    labels
        .entry("service".to_owned())
        .or_insert_with(|| Value::text(&*document.container));
    ContainerSpec {
        name: container.to_owned(),
        image: document.image.clone(),
        hostname: None,
        command: document.command.clone(),
        env: document.env.clone().into_iter().collect(),
        labels: labels.into_iter().collect(),
        ports: Vec::new(),
        volumes: document.volumes.clone(),
        networks: document.networks.clone(),
        restart: document.restart.clone(),
        log: LogConfig {
            driver: document.log.driver.clone(),
            options: document.log.options.clone().into_iter().collect(),
        },
        options: document.options.clone(),
    }
}

fn start(input: &Input<'_>, one: Named<'_>, facts: &HostFacts) -> Rounds {
    let line = format!("Started {} accessory", one.1);
    let starts = found(facts, one.1).iter().map(|container| {
        let name = container.name.clone();
        let id = id(one, &format!("start/{name}"));
        input.promise(one.0, &id, Call::Start { name })
    });
    let routes = one.2.proxy.as_ref().zip(found(facts, one.1).first());
    let route = routes.map(|(route, container)| {
        let short: String = container.id.chars().take(12).collect();
        let target = Value::text(format!("--target={short}:{}", route.port));
        let words = ["deploy", &one.2.container].map(Value::text);
        let flags = route.flags.iter().cloned();
        let words = words.into_iter().chain([target]).chain(flags);
        input.proxy_command(one.0, &id(one, "route"), words.collect())
    });
    let audit = audit(input, one, "start", &line);
    vec![
        [audit].into_iter().chain(starts).collect(),
        route.into_iter().collect(),
    ]
}

fn stop(input: &Input<'_>, one: Named<'_>, facts: &HostFacts) -> Rounds {
    let line = format!("Stopped {} accessory", one.1);
    let audit = audit(input, one, "stop", &line);
    let running: Vec<_> = found(facts, one.1)
        .iter()
        .filter(|container| container.is_running())
        .collect();
    let unroute = one
        .2
        .proxy
        .as_ref()
        .filter(|_| !running.is_empty())
        .map(|_| {
            let words = ["remove", &one.2.container].map(Value::text).into();
            input
                .proxy_command(one.0, &id(one, "remove-route"), words)
                .or_not()
        });
    let stops = running.into_iter().map(|container| {
        let name = container.name.clone();
        let id = id(one, &format!("stop/{name}"));
        input
            .promise(
                one.0,
                &id,
                Call::Stop {
                    name,
                    timeout: None,
                },
            )
            .or_not()
    });
    vec![
        [audit].into_iter().chain(unroute).collect(),
        stops.collect(),
    ]
}

fn remove_container(input: &Input<'_>, one: Named<'_>, facts: &HostFacts) -> Rounds {
    let line = format!("Remove {} accessory container", one.1);
    let audit = audit(input, one, "remove", &line);
    let removes = found(facts, one.1).iter().map(|container| {
        let name = container.name.clone();
        let id = id(one, &format!("remove/{name}"));
        input.promise(one.0, &id, Call::Remove { name })
    });
    vec![[audit].into_iter().chain(removes).collect()]
}

fn remove_image(input: &Input<'_>, one: Named<'_>) -> Rounds {
    let line = format!("Removed {} accessory image", one.1);
    let reference = one.2.image.clone();
    let remove = Call::RemoveImage { reference };
    vec![vec![
        audit(input, one, "image", &line),
        input.promise(one.0, &id(one, "remove-image"), remove),
    ]]
}

fn remove_directory(input: &Input<'_>, one: Named<'_>) -> Rounds {
    let path = one.2.container.clone();
    let remove = Call::RemovePath { path };
    vec![vec![input.promise(
        one.0,
        &id(one, "remove-directory"),
        remove,
    )]]
}

/// Containers, images and data.
pub fn remove(input: &Input<'_>, named: &[Named<'_>]) -> Result<Vec<Step>, Refusal> {
    let mut steps = Vec::new();
    for one in named {
        let (host, name, _) = *one;
        let facts = input.facts(host)?;
        let rounds = [
            stop(input, *one, facts),
            remove_container(input, *one, facts),
            remove_image(input, *one),
            remove_directory(input, *one),
        ];
        let title = format!("remove {name} and its data from {host}");
        let phase = format!("accessory-remove/{name}");
        let what = format!("accessory-remove/{name}");
        steps.extend(input.work(&phase, host, &what, title, rounds.concat()));
    }
    Ok(steps)
}

fn exec(
    input: &Input<'_>,
    named: &[Named<'_>],
    words: &[String],
    reuse: bool,
) -> Result<Vec<Step>, Refusal> {
    let mut steps = Vec::new();
    for one in named {
        let (host, name, document) = *one;
        let facts = input.facts(host)?;
        let command: Vec<Value> = words.iter().map(Value::text).collect();
        let mut rounds = Vec::new();
        let call = match reuse {
            true => {
                let mut all = found(facts, name).iter();
                let running = all.find(|container| container.is_running());
                let container = running.ok_or_else(|| Refusal::NothingRuns {
                    role: name.to_owned(),
                    host: host.to_owned(),
                })?;
                Call::Exec {
                    container: container.name.clone(),
                    user: None,
                    command,
                }
            }
            false => {
                if !facts.accessory_images.contains(&document.image) {
                    rounds.push(vec![pull(input, *one)]);
                }
                let seed = format!("{} {host} {name}", input.deployment_id);
                let container = format!("{}-exec-{}", document.container, boot::hex(&seed, 6));
                let mut spec = spec(document, &container);
                spec.options.retain(|(name, _)| name != "publish");
                Call::RunOnce {
                    spec: ContainerSpec {
                        labels: Vec::new(),
                        restart: "no".to_owned(),
                        command: Some(command),
                        ..spec
                    },
                }
            }
        };
        rounds.push(vec![input.promise(host, &id(*one, "exec"), call).shown()]);
        let title = format!("run {} for {name} on {host}", words.join(" "));
        steps.extend(input.work("exec", host, &format!("exec/{name}"), title, rounds));
    }
    Ok(steps)
}
