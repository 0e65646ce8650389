//! Before anything boots: images, the network, the proxy, and containers an earlier deploy left running.

use std::collections::BTreeSet;

use release::{Credentials, Proxy, Value};

use crate::call::{Call, ContainerSpec, LogConfig, Promise, PublishedPort};
use crate::facts::HostFacts;
use crate::plan::{Input, Note, Refusal};
use crate::step::{Boot, Step, Task};

/// Older proxies do not know all options of `kamal-proxy deploy` that Kamal 2.12 sends.
pub const MINIMUM_PROXY: &str = "v0.9.2";

/// Pulls and checks the images of what boots on a host. Without registry credentials the image is in the Engine
/// already, and only checked.
pub fn images(input: &Input<'_>, host: &str, boots: &[(String, Boot)]) -> Option<Step> {
    let release = &input.desired.release;
    let booted: BTreeSet<&str> = boots
        .iter()
        .filter(|(at, _)| at == host)
        .map(|(_, boot)| &*boot.role)
        .collect();
    let roles = input
        .desired
        .roles_on(host)
        .into_iter()
        .filter(|(name, _)| booted.contains(name));
    let references: BTreeSet<&String> = roles.map(|(_, role)| &role.image).collect();
    let first = references.first()?;
    let title = match release.credentials {
        Some(_) => format!("pull {first} on {host}"),
        None => format!("check image {first} on {host}"),
    };
    let pulls = release.credentials.iter().flat_map(|credentials| {
        let audit = format!("Pulled image with version {}", input.desired.version());
        let audit = input.audit(format!("{host}/image/audit"), host, None, &audit);
        let pull = |(number, image): (usize, &&String)| {
            let call = Call::Pull {
                image: (*image).clone(),
                digest: Some(Value::slot(format!("image/{}", release.image.name))),
                credentials: Some(credentials.clone()),
            };
            Promise::always(numbered(format!("{host}/image/pull"), number), host, call)
        };
        [audit]
            .into_iter()
            .chain(references.iter().enumerate().map(pull))
            .collect::<Vec<_>>()
    });
    let round: Vec<Promise> = pulls.collect();
    Some(Step {
        id: format!("{host}/image"),
        title,
        host: Some(host.to_owned()),
        task: Task::Image {
            rounds: if round.is_empty() {
                Vec::new()
            } else {
                vec![round]
            },
            references: references.into_iter().cloned().collect(),
        },
    })
}

/// Readies a host; `None` when there is nothing to do.
pub fn plan(input: &Input<'_>, host: &str) -> Result<Option<Step>, Refusal> {
    let facts = input.facts(host)?;
    let release = &input.desired.release;
    let promise = |id: String, call| Promise::always(format!("{host}/{id}"), host, call);
    let mut first = Vec::new();
    let mut second = Vec::new();
    if !facts.network {
        first.push(promise(
            "network".into(),
            Call::CreateNetwork {
                name: release.network.clone(),
            },
        ));
    }
    if let Some(proxy) = input.desired.proxies.get(host) {
        match &facts.proxy {
            Some(found) => {
                let version = found.image.rsplit_once(':').map_or("", |(_, tag)| tag);
                if is_older(version, MINIMUM_PROXY) {
                    return Err(Refusal::ProxyTooOld {
                        host: host.to_owned(),
                        version: version.to_owned(),
                    });
                }
                if !found.running {
                    let name = Proxy::CONTAINER.to_owned();
                    second.push(promise("proxy/start".into(), Call::Start { name }));
                }
            }
            None => {
                let directories = proxy
                    .volumes
                    .iter()
                    .filter_map(|volume| home_directory(&volume.shown()))
                    .enumerate();
                first.extend(directories.map(|(number, path)| {
                    promise(
                        numbered("proxy/directory".into(), number),
                        Call::MakeDirectory { path },
                    )
                }));
                if !facts.proxy_image {
                    let credentials = release
                        .credentials
                        .as_ref()
                        .filter(|given| is_for(given, &proxy.image));
                    let call = Call::Pull {
                        image: proxy.image.clone(),
                        digest: None,
                        credentials: credentials.cloned(),
                    };
                    first.push(promise("proxy/pull".into(), call));
                }
                second.push(promise(
                    "proxy/run".into(),
                    Call::Run {
                        spec: proxy_spec(proxy),
                    },
                ));
            }
        }
    }
    for (name, role) in input.desired.roles_on(host) {
        for container in facts.stale(release, name) {
            let call = Call::Stop {
                name: container.name.clone(),
                timeout: input.desired.stop_timeout(role),
            };
            first.push(promise(format!("stale/{}", container.name), call));
        }
    }
    let rounds: Vec<_> = [first, second]
        .into_iter()
        .filter(|round| !round.is_empty())
        .collect();
    Ok((!rounds.is_empty()).then(|| Step {
        id: format!("{host}/prepare"),
        title: format!("prepare {host}"),
        host: Some(host.to_owned()),
        task: Task::Prepare { rounds },
    }))
}

/// There is work even if nothing boots: the proxy does not run, or a stale container does.
pub fn is_due(input: &Input<'_>, host: &str) -> bool {
    let stale = |facts: &HostFacts| {
        let mut roles = input.desired.roles_on(host).into_iter();
        roles.any(|(role, _)| !facts.stale(&input.desired.release, role).is_empty())
    };
    starts_proxy(input, host) || input.facts.get(host).is_some_and(stale)
}

/// The proxy has to be started or created.
fn starts_proxy(input: &Input<'_>, host: &str) -> bool {
    let running = input
        .facts
        .get(host)
        .and_then(|facts| facts.proxy.as_ref())
        .is_some_and(|proxy| proxy.running);
    input.desired.proxies.contains_key(host) && !running
}

/// A proxy that is there but configured differently stays: replacing it would interrupt every application behind it.
pub fn changed_proxy(input: &Input<'_>, host: &str) -> Option<Note> {
    let there = input
        .facts
        .get(host)
        .is_some_and(|facts| facts.proxy.is_some());
    (there && !starts_proxy(input, host) && input.proxy_changed(host)).then(|| Note {
        code: "proxy-differs",
        message: format!(
            "kamal-proxy on {host} is not as configured, and a deploy does not replace it"
        ),
        help:
            "replace it with `kamal proxy reboot`, which interrupts its applications for a moment"
                .into(),
    })
}

fn proxy_spec(proxy: &Proxy) -> ContainerSpec {
    let port = |port: &release::Port| PublishedPort {
        host_ip: port.host_ip.clone(),
        host_port: port.host_port,
        container_port: port.container_port,
        protocol: "tcp".into(),
    };
    ContainerSpec {
        name: Proxy::CONTAINER.to_owned(),
        image: proxy.image.clone(),
        hostname: None,
        command: proxy.command.clone(),
        env: proxy.env.clone().into_iter().collect(),
        labels: proxy.labels.clone().into_iter().collect(),
        ports: proxy.ports.iter().map(port).collect(),
        volumes: proxy.volumes.clone(),
        networks: proxy.networks.clone(),
        restart: proxy.restart.clone(),
        log: LogConfig {
            driver: proxy.log.driver.clone(),
            options: proxy.log.options.clone().into_iter().collect(),
        },
        options: proxy.options.clone(),
    }
}

/// The directory below the home directory that a volume mounts. Docker would make it, but as root's.
fn home_directory(volume: &str) -> Option<String> {
    let (source, _) = volume.split_once(':')?;
    let relative = source.contains('/') && !source.starts_with('/');
    relative.then(|| source.strip_prefix("./").unwrap_or(source).to_owned())
}

/// The credentials are those of the image's registry. A first part with a dot, a port or `localhost` is a registry;
/// without it, the image is Docker Hub's.
fn is_for(credentials: &Credentials, image: &str) -> bool {
    let is_registry = |part: &&str| part.contains(['.', ':']) || *part == "localhost";
    let registry = image
        .split_once('/')
        .map(|(first, _)| first)
        .filter(is_registry);
    credentials.server.as_deref() == registry
}

fn numbered(id: String, number: usize) -> String {
    if number == 0 {
        id
    } else {
        format!("{id}/{}", number + 1)
    }
}

/// Compares dotted versions number by number. A tag that is no version, such as `latest`, is never older.
fn is_older(version: &str, minimum: &str) -> bool {
    let numbers = |text: &str| -> Option<Vec<u64>> {
        let release = text
            .strip_prefix('v')
            .unwrap_or(text)
            .split(['-', '+'])
            .next()
            .unwrap_or_default();
        release.split('.').map(|part| part.parse().ok()).collect()
    };
    match (numbers(version), numbers(minimum)) {
        (Some(mut version), Some(mut minimum)) => {
            let parts = version.len().max(minimum.len());
            version.resize(parts, 0);
            minimum.resize(parts, 0);
            version < minimum
        }
        (None, _) | (_, None) => false,
    }
}
