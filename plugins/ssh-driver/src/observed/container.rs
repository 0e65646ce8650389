//! Command, volumes, networks, ports, restart, logging.

use release::{Assets, Log, Part, Port, Value};
use serde_json::Value as Json;

use crate::observed::{Inspected, as_desired, could_be, in_order_of, strings};

/// The reference the container was created from.
pub fn image(inspected: &Inspected) -> String {
    inspected.container["Config"]["Image"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// The command, unless it is the image's own and none is desired.
pub fn command(desired: Option<&Vec<Value>>, inspected: &Inspected) -> Option<Vec<Value>> {
    let found = &inspected.container["Config"]["Cmd"];
    let is_own = inspected
        .image
        .as_ref()
        .is_none_or(|image| same_words(&image["Config"]["Cmd"], found));
    match desired {
        None if is_own => None,
        // How many words the host's shell made of it is not known here.
        Some(words) if words.iter().any(is_split) => desired.cloned(),
        None | Some(_) => {
            let wanted = desired.map(Vec::as_slice).unwrap_or_default();
            let words = strings(found).into_iter();
            let words: Vec<Value> = words.map(|word| as_desired(wanted, word)).collect();
            Some(words).filter(|words| !words.is_empty())
        }
    }
}

fn is_split(word: &Value) -> bool {
    let split = |part: &Part| matches!(part, Part::Remote(expansion) if expansion.split);
    word.parts().iter().any(split)
}

fn same_words(one: &Json, other: &Json) -> bool {
    strings(one) == strings(other)
}

/// Bind mounts and volumes, and apart from them the assets, which are mounted from a folder that begins with `assets`. A
/// source below the home directory is written relative to it where that is how it is desired.
pub fn volumes(
    desired: &[Value],
    inspected: &Inspected,
    assets: Option<&str>,
) -> (Option<Assets>, Vec<Value>) {
    let mut mounted = None;
    let mut found = Vec::new();
    for bind in strings(&inspected.container["HostConfig"]["Binds"]) {
        match assets.and_then(|folder| as_assets(folder, &bind)) {
            Some(assets) if mounted.is_none() => mounted = Some(assets),
            Some(_) | None => {
                let same = desired.iter().find(|volume| is_bind(volume, &bind));
                found.push(same.cloned().unwrap_or_else(|| Value::text(bind)));
            }
        }
    }
    let anonymous = &inspected.container["Config"]["Volumes"];
    let is_anonymous = |path: &str| !path.contains(':') && anonymous.get(path).is_some();
    let anonymous = desired
        .iter()
        .filter(|volume| volume.as_text().is_some_and(is_anonymous));
    found.extend(anonymous.cloned());
    (mounted, in_order_of(desired, found))
}

/// `HOME/FOLDER…:PATH[:OPTIONS]`
fn as_assets(folder: &str, bind: &str) -> Option<Assets> {
    let (source, target) = bind.split_once(':')?;
    let (home, version) = source.split_once(folder)?;
    if !home.ends_with('/') || version.contains('/') {
        return None;
    }
    let (path, options) = match target.split_once(':') {
        Some((path, options)) => (path, Some(options.to_owned())),
        None => (target, None),
    };
    Some(Assets {
        path: path.to_owned(),
        options,
    })
}

/// The home directory is not known here: a relative source matches an absolute one that ends in it.
fn is_bind(volume: &Value, bind: &str) -> bool {
    let text = volume.shown();
    let relative = text
        .split_once(':')
        .is_some_and(|(source, _)| source.contains('/') && !source.starts_with('/'));
    let below_home = || {
        let volume = text.strip_prefix("./").unwrap_or(&text);
        bind.strip_suffix(volume)
            .is_some_and(|home| home.starts_with('/') && home.ends_with('/'))
    };
    could_be(volume, bind) || relative && below_home()
}

/// Networks it is connected to.
pub fn networks(desired: &[String], inspected: &Inspected) -> Vec<String> {
    let found = inspected.container["NetworkSettings"]["Networks"]
        .as_object()
        .into_iter()
        .flatten();
    in_order_of(desired, found.map(|(name, _)| name.clone()).collect())
}

/// Published TCP ports.
pub fn ports(desired: &[Port], inspected: &Inspected) -> Vec<Port> {
    let bindings = inspected.container["HostConfig"]["PortBindings"]
        .as_object()
        .into_iter()
        .flatten();
    let found = bindings.flat_map(|(name, hosts)| {
        let container_port = name.strip_suffix("/tcp").unwrap_or(name).parse().ok();
        hosts
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(move |host| {
                let ip = host["HostIp"]
                    .as_str()
                    .filter(|ip| !["", "0.0.0.0"].contains(ip));
                Some(Port {
                    host_ip: ip.map(str::to_owned),
                    host_port: host["HostPort"].as_str()?.parse().ok()?,
                    container_port: container_port?,
                })
            })
    });
    let all = |port: &Port| Port {
        host_ip: None,
        ..port.clone()
    };
    let everywhere = |port: &&Port| port.host_ip.as_deref() == Some("0.0.0.0");
    let as_desired = |port: Port| {
        desired
            .iter()
            .filter(everywhere)
            .find(|one| all(one) == port)
            .cloned()
            .unwrap_or(port)
    };
    in_order_of(desired, found.map(as_desired).collect())
}

/// The restart policy as `docker run` writes it.
pub fn restart(inspected: &Inspected) -> String {
    let policy = &inspected.container["HostConfig"]["RestartPolicy"];
    match (
        policy["Name"].as_str().unwrap_or_default(),
        policy["MaximumRetryCount"].as_u64(),
    ) {
        ("", _) => "no".into(),
        ("on-failure", Some(times)) if times > 0 => format!("on-failure:{times}"),
        (name, _) => name.to_owned(),
    }
}

/// Logging. The Engine's default driver and options come back as if they had been asked for, so only what is desired
/// is looked at.
pub fn log(desired: &Log, inspected: &Inspected) -> Log {
    let found = &inspected.container["HostConfig"]["LogConfig"];
    let as_desired = |wanted: &Value, found: &Json| {
        let found = found.as_str()?.to_owned();
        Some(as_desired(std::slice::from_ref(wanted), found))
    };
    let option = |(name, wanted): (&String, &Value)| {
        Some((
            name.clone(),
            as_desired(wanted, found["Config"].get(name)?)?,
        ))
    };
    Log {
        driver: desired
            .driver
            .as_ref()
            .and_then(|wanted| as_desired(wanted, &found["Type"])),
        options: desired.options.iter().filter_map(option).collect(),
    }
}
