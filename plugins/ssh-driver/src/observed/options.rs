//! Other options of `docker run`. Only desired ones are looked at, and of those only the ones that can be read back;
//! the rest counts as unchanged until the next version.

use release::Value;
use serde_json::Value as Json;

use crate::observed::{Inspected, strings};

/// The desired options with their observed values.
pub fn options(desired: &[(String, Value)], inspected: &Inspected) -> Vec<(String, Value)> {
    let texts: Vec<(String, String)> = desired
        .iter()
        .map(|(name, value)| (name.clone(), value.shown().into_owned()))
        .collect();
    let values = |name: &str| -> Vec<Value> {
        let same = desired.iter().filter(|(other, _)| other == name);
        same.map(|(_, value)| value.clone()).collect()
    };
    let remote: Vec<&str> = desired
        .iter()
        .filter(|(_, value)| value.is_remote())
        .map(|(name, _)| name.as_str())
        .collect();
    let observed = option_texts(&texts, inspected, &remote).into_iter();
    observed
        .map(|(name, text)| {
            let values = values(&name);
            let same = values.iter().find(|value| value.shown() == text);
            let value = same.cloned().unwrap_or_else(|| Value::text(text));
            (name, value)
        })
        .collect()
}

/// Of options that are `remote`, the host's shell knows the values: they count as unchanged.
fn option_texts(
    desired: &[(String, String)],
    inspected: &Inspected,
    remote: &[&str],
) -> Vec<(String, String)> {
    let mut observed = Vec::new();
    let mut done: Vec<&str> = Vec::new();
    for (name, _) in desired {
        if done.contains(&name.as_str()) {
            continue;
        }
        done.push(name);
        let wanted: Vec<&String> = desired
            .iter()
            .filter(|(other, _)| other == name)
            .map(|(_, value)| value)
            .collect();
        let values = match found(name, &inspected.container) {
            Some(values)
                if !remote.contains(&name.as_str())
                    && canonical(name, &wanted)
                        != canonical(name, &values.iter().collect::<Vec<_>>()) =>
            {
                values
            }
            Some(_) | None => wanted.into_iter().cloned().collect(),
        };
        observed.extend(values.into_iter().map(|value| (name.clone(), value)));
    }
    observed
}

/// Values of an option in the Engine's description; none when it is not set, `None` when it can't be told.
fn found(name: &str, container: &Json) -> Option<Vec<String>> {
    let host = &container["HostConfig"];
    let config = &container["Config"];
    let flag = |json: &Json| vec![json.as_bool().unwrap_or(false).to_string()];
    let number = |json: &Json| match json.as_i64() {
        Some(0) | None => Vec::new(),
        Some(number) => vec![number.to_string()],
    };
    let text = |json: &Json| match json.as_str() {
        Some("") | None => Vec::new(),
        Some(text) => vec![text.to_owned()],
    };
    Some(match name {
        "privileged" => flag(&host["Privileged"]),
        "init" => flag(&host["Init"]),
        "read-only" => flag(&host["ReadonlyRootfs"]),
        "cpus" => host["NanoCpus"]
            .as_u64()
            .filter(|n| *n > 0)
            .map(|n| cpus(n).to_string())
            .into_iter()
            .collect(),
        "memory" => number(&host["Memory"]),
        "memory-reservation" => number(&host["MemoryReservation"]),
        "memory-swap" => number(&host["MemorySwap"]),
        "shm-size" => number(&host["ShmSize"]),
        "cpu-shares" => number(&host["CpuShares"]),
        "pids-limit" => number(&host["PidsLimit"]),
        "cpuset-cpus" => text(&host["CpusetCpus"]),
        "user" => text(&config["User"]),
        "workdir" => text(&config["WorkingDir"]),
        "stop-signal" => text(&config["StopSignal"]),
        "add-host" => strings(&host["ExtraHosts"]),
        "cap-add" => strings(&host["CapAdd"]),
        "cap-drop" => strings(&host["CapDrop"]),
        "dns" => strings(&host["Dns"]),
        "group-add" => strings(&host["GroupAdd"]),
        "publish" => published(&host["PortBindings"]),
        _ => return None,
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a host's CPUs in billionths are far below 2^53"
)]
fn cpus(billionths: u64) -> f64 {
    billionths as f64 / 1e9
}

fn published(bindings: &Json) -> Vec<String> {
    let one = |port: &str, binding: &Json| {
        let (ip, host) = (
            binding["HostIp"].as_str().unwrap_or_default(),
            binding["HostPort"].as_str().unwrap_or_default(),
        );
        let ip = if ip.is_empty() {
            String::new()
        } else {
            format!("{ip}:")
        };
        format!("{ip}{host}:{}", port.strip_suffix("/tcp").unwrap_or(port))
    };
    let all = bindings.as_object().into_iter().flatten();
    all.flat_map(|(port, hosts)| {
        hosts
            .as_array()
            .into_iter()
            .flatten()
            .map(move |binding| one(port, binding))
    })
    .collect()
}

/// Values that mean the same are written the same.
fn canonical(name: &str, values: &[&String]) -> Vec<String> {
    let one = |value: &str| match name {
        "memory" | "memory-reservation" | "memory-swap" | "shm-size" => {
            bytes(value).map_or_else(|| value.to_owned(), |bytes| bytes.to_string())
        }
        "cpus" => value
            .parse()
            .map_or_else(|_| value.to_owned(), |cpus: f64| cpus.to_string()),
        "cap-add" | "cap-drop" => {
            let upper = value.to_uppercase();
            upper
                .strip_prefix("CAP_")
                .map(str::to_owned)
                .unwrap_or(upper)
        }
        "publish" => {
            let value = value.strip_suffix("/tcp").unwrap_or(value);
            value.strip_prefix("0.0.0.0:").unwrap_or(value).to_owned()
        }
        // Docker accepts both.
        "add-host" => value.replacen('=', ":", 1),
        _ => value.to_owned(),
    };
    let mut values: Vec<String> = values.iter().map(|value| one(value)).collect();
    values.sort();
    values
}

/// Docker's sizes: a number with `b`, `k`, `m`, `g` or `t`, in powers of 1024.
fn bytes(text: &str) -> Option<i64> {
    let text = text.to_lowercase();
    let text = text
        .strip_suffix("ib")
        .or(text.strip_suffix('b'))
        .unwrap_or(&text);
    let (number, power) = match text.char_indices().last()? {
        (at, 'k') => (&text[..at], 1),
        (at, 'm') => (&text[..at], 2),
        (at, 'g') => (&text[..at], 3),
        (at, 't') => (&text[..at], 4),
        _ => (text, 0),
    };
    let number: i64 = number.trim().parse().ok()?;
    number.checked_mul(1_i64.checked_shl(10 * power)?)
}
