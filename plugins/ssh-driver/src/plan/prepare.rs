//! Before anything boots: images, the network, the proxy, and containers an earlier deploy left running.

use std::collections::BTreeSet;

use release::{Proxy, Value};

use crate::call::{Call, ContainerSpec, LogConfig, Promise, PublishedPort};
use crate::facts::HostFacts;
use crate::plan::{Input, Note, Refusal, boot_config};
use crate::step::{Boot, Step, Task};

/// Pulls and checks the images of what boots on a host. Without a registry the image is in the Engine already, and only
/// checked.
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
    let pulls = release.credentials.is_some() || release.local_registry.is_some();
    // Where Kamal would put files of variables: by these folders it tells that there is an application on a host, and
    // leaves its proxy.
    let path = format!("{}/env/roles", release.app_directory());
    let mut round = vec![input.promise(host, "app/directory", Call::MakeDirectory { path })];
    if pulls {
        let line = format!("Pulled image with version {}", input.desired.version());
        round.push(input.audit(host, "image/audit", None, &[&line]));
        for (number, image) in references.iter().enumerate() {
            let call = Call::Pull {
                image: (*image).clone(),
                digest: Some(Value::slot(format!("image/{}", release.image.name))),
                credentials: release.credentials.clone(),
            };
            round.push(input.promise(host, &numbered("image/pull".into(), number), call));
        }
    }
    Some(Step {
        id: format!("{host}/image"),
        title: match pulls {
            true => format!("pull {first} on {host}"),
            false => format!("check image {first} on {host}"),
        },
        host: Some(host.to_owned()),
        task: Task::Image {
            rounds: vec![round],
            references: references.into_iter().cloned().collect(),
        },
    })
}

/// Pulls the images of what boots on a host that are not there, as `docker run` does by itself.
pub fn missing_images(
    input: &Input<'_>,
    host: &str,
    boots: &[(String, Boot)],
) -> Result<Option<Step>, Refusal> {
    let release = &input.desired.release;
    if release.credentials.is_none() && release.local_registry.is_none() {
        return Ok(None);
    }
    let facts = input.facts(host)?;
    let boots_here = |name: &str| {
        boots
            .iter()
            .any(|(at, boot)| at == host && boot.role == name)
    };
    let there = |image: &String| {
        facts
            .images
            .iter()
            .any(|one| one.references.contains(image))
    };
    let roles = input.desired.roles_on(host).into_iter();
    let missing: BTreeSet<&String> = roles
        .filter(|(name, _)| boots_here(name))
        .map(|(_, role)| &role.image)
        .filter(|image| !there(image))
        .collect();
    let pulls = missing.iter().enumerate().map(|(number, image)| {
        let call = Call::Pull {
            image: (*image).clone(),
            digest: None,
            credentials: release.credentials.clone(),
        };
        input.promise(host, &numbered("image/pull".into(), number), call)
    });
    let rounds = vec![pulls.collect()];
    let title = format!("pull what is missing on {host}");
    Ok(input.work("image", host, "image", title, rounds))
}

/// Readies a host; `None` when there is nothing to do.
pub fn plan(
    input: &Input<'_>,
    host: &str,
    proxy: bool,
    stale: bool,
) -> Result<Option<Step>, Refusal> {
    let facts = input.facts(host)?;
    let mut first = Vec::new();
    let mut second = Vec::new();
    if proxy {
        if !facts.network {
            let name = input.desired.release.network.clone();
            first.push(input.promise(host, "network", Call::CreateNetwork { name }));
        }
        if let Some(proxy) = input.desired.proxies.get(host) {
            let (before, then) = ensure_proxy(input, host, facts, proxy)?;
            first.extend(before);
            second.extend(then);
        }
    }
    if stale {
        first.extend(stop_stale(input, host, facts));
    }
    let title = format!("prepare {host}");
    Ok(input.work("prepare", host, "prepare", title, vec![first, second]))
}

/// Stops containers that an earlier deploy left running.
pub fn stop_stale(input: &Input<'_>, host: &str, facts: &HostFacts) -> Vec<Promise> {
    let mut stops = Vec::new();
    for (name, role) in input.desired.roles_on(host) {
        for container in facts.stale(&input.desired.release, name) {
            let call = Call::Stop {
                name: container.name.clone(),
                timeout: input.desired.stop_timeout(role),
            };
            let id = format!("stale/{}", container.name);
            stops.push(input.promise(host, &id, call).or_not());
        }
    }
    stops
}

/// What makes the proxy run: rounds before it, and the one that starts it.
pub fn ensure_proxy(
    input: &Input<'_>,
    host: &str,
    facts: &HostFacts,
    proxy: &Proxy,
) -> Result<(Vec<Promise>, Vec<Promise>), Refusal> {
    let Some(found) = &facts.proxy else {
        return Ok(new_proxy(input, host, facts, proxy));
    };
    let version = found.image.rsplit_once(':').map_or("", |(_, tag)| tag);
    if is_older(version, Proxy::MINIMUM_VERSION) {
        return Err(Refusal::ProxyTooOld {
            host: host.to_owned(),
            version: version.to_owned(),
        });
    }
    let start = (!found.running).then(|| {
        let name = Proxy::CONTAINER.to_owned();
        input.promise(host, "proxy/start", Call::Start { name })
    });
    Ok((Vec::new(), start.into_iter().collect()))
}

/// What makes a new proxy: its folders and its image, and the container.
pub fn new_proxy(
    input: &Input<'_>,
    host: &str,
    facts: &HostFacts,
    proxy: &Proxy,
) -> (Vec<Promise>, Vec<Promise>) {
    let spec = boot_config::applied(proxy, &facts.boot_config, proxy_spec(proxy));
    let directories = proxy
        .volumes
        .iter()
        .filter_map(|volume| home_directory(&volume.shown()))
        .enumerate();
    let mut before: Vec<Promise> = directories
        .map(|(number, path)| {
            let id = numbered("proxy/directory".into(), number);
            input.promise(host, &id, Call::MakeDirectory { path })
        })
        .collect();
    if !facts.proxy_image || spec.image != proxy.image {
        let call = Call::Pull {
            image: spec.image.clone(),
            digest: None,
            credentials: proxy.credentials.clone(),
        };
        before.push(input.promise(host, "proxy/pull", call));
    }
    let run = input.promise(host, "proxy/run", Call::Run { spec });
    (before, vec![run])
}

/// There is work even if nothing boots: the proxy does not run, or a stale container does.
pub fn is_due(input: &Input<'_>, host: &str, proxy: bool, stale: bool) -> bool {
    let left = |facts: &HostFacts| {
        let mut roles = input.desired.roles_on(host).into_iter();
        roles.any(|(role, _)| !facts.stale(&input.desired.release, role).is_empty())
    };
    proxy && starts_proxy(input, host) || stale && input.facts.get(host).is_some_and(left)
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
        help: Some(
            "replace it with `proxy reboot`, which interrupts its applications for a moment".into(),
        ),
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
