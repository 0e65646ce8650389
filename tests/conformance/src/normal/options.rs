//! Fields of a container's specification as the options of `docker run` that they come from.

use serde_json::{Value as Json, json};

use super::words::marked;
use super::{Facts, Object};

/// Text fields of the container.
const BODY: &[(&str, &str)] = &[
    ("User", "user"),
    ("WorkingDir", "workdir"),
    ("StopSignal", "stop-signal"),
    ("Domainname", "domainname"),
];

/// Text fields of `HostConfig`.
const TEXTS: &[(&str, &str)] = &[
    ("CpusetCpus", "cpuset-cpus"),
    ("CpusetMems", "cpuset-mems"),
    ("CgroupParent", "cgroup-parent"),
    ("CgroupnsMode", "cgroupns"),
    ("IpcMode", "ipc"),
    ("PidMode", "pid"),
    ("UTSMode", "uts"),
    ("UsernsMode", "userns"),
    ("Runtime", "runtime"),
];

const FLAGS: &[(&str, &str)] = &[
    ("Init", "init"),
    ("Privileged", "privileged"),
    ("ReadonlyRootfs", "read-only"),
    ("OomKillDisable", "oom-kill-disable"),
];

const SIZES: &[(&str, &str)] = &[
    ("Memory", "memory"),
    ("MemoryReservation", "memory-reservation"),
    ("MemorySwap", "memory-swap"),
    ("ShmSize", "shm-size"),
];

const NUMBERS: &[(&str, &str)] = &[
    ("CpuShares", "cpu-shares"),
    ("CpuPeriod", "cpu-period"),
    ("CpuQuota", "cpu-quota"),
    ("PidsLimit", "pids-limit"),
    ("OomScoreAdj", "oom-score-adj"),
    ("MemorySwappiness", "memory-swappiness"),
];

const LISTS: &[(&str, &str)] = &[
    ("CapAdd", "cap-add"),
    ("CapDrop", "cap-drop"),
    ("Dns", "dns"),
    ("DnsSearch", "dns-search"),
    ("DnsOptions", "dns-option"),
    ("GroupAdd", "group-add"),
    ("SecurityOpt", "security-opt"),
    ("DeviceCgroupRules", "device-cgroup-rule"),
    ("ExtraHosts", "add-host"),
];

const HEALTH: &[(&str, &str)] = &[
    ("Interval", "health-interval"),
    ("Timeout", "health-timeout"),
    ("StartPeriod", "health-start-period"),
];

/// The options of a body.
pub(super) fn options(facts: &Facts<'_>, body: &Json) -> Object {
    let host = &body["HostConfig"];
    let mut options = Object::new();
    let mut put = |name: &str, values: Vec<Json>| {
        if !values.is_empty() {
            options.insert(name.to_owned(), Json::Array(values));
        }
    };
    for (field, name) in BODY {
        put(name, text(&body[*field]));
    }
    for (field, name) in TEXTS {
        put(name, text(&host[*field]));
    }
    for (field, name) in LISTS {
        let items = host[*field].as_array().into_iter().flatten();
        put(name, items.filter_map(Json::as_str).map(marked).collect());
    }
    for (field, name) in SIZES {
        if let Some(bytes) = host[*field].as_i64() {
            let written = facts.given.written(name, |text| size(text) == Some(bytes));
            put(name, vec![json!(written.unwrap_or_else(|| rounded(bytes)))]);
        }
    }
    for (field, name) in NUMBERS {
        if let Some(number) = host[*field].as_i64() {
            put(name, vec![json!(number.to_string())]);
        }
    }
    if let Some(nano) = host["NanoCpus"].as_i64() {
        #[expect(clippy::cast_precision_loss, reason = "nobody has so many processors")]
        let cpus = nano as f64 / 1e9;
        let written = facts.given.written("cpus", |text| {
            text.parse::<f64>().is_ok_and(|n| (n - cpus).abs() < 1e-9)
        });
        put(
            "cpus",
            vec![json!(written.unwrap_or_else(|| cpus.to_string()))],
        );
    }
    let ulimits = host["Ulimits"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|limit| {
            let (name, soft, hard) = (
                limit["Name"].as_str().unwrap_or_default(),
                &limit["Soft"],
                &limit["Hard"],
            );
            json!(if soft == hard {
                format!("{name}={soft}")
            } else {
                format!("{name}={soft}:{hard}")
            })
        });
    put("ulimit", ulimits.collect());
    for (field, name) in [("Sysctls", "sysctl"), ("StorageOpt", "storage-opt")] {
        let pairs = host[field].as_object().into_iter().flatten();
        put(
            name,
            pairs
                .map(|(key, value)| json!(format!("{key}={}", value.as_str().unwrap_or_default())))
                .collect(),
        );
    }
    let tmpfs = host["Tmpfs"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(path, how)| match how.as_str() {
            Some("") | None => json!(path),
            Some(how) => json!(format!("{path}:{how}")),
        });
    put("tmpfs", tmpfs.collect());
    let devices = host["Devices"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|device| {
            let part = |key: &str| device[key].as_str().unwrap_or_default().to_owned();
            let (from, to, how) = (
                part("PathOnHost"),
                part("PathInContainer"),
                part("CgroupPermissions"),
            );
            json!(match (from == to, how == "rwm" || how.is_empty()) {
                (true, true) => from,
                (false, true) => format!("{from}:{to}"),
                _ => format!("{from}:{to}:{how}"),
            })
        });
    put("device", devices.collect());
    put(
        "gpus",
        host["DeviceRequests"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|_| {
                json!(
                    facts
                        .given
                        .written("gpus", |_| true)
                        .unwrap_or_else(|| "all".to_owned())
                )
            })
            .collect(),
    );
    let (published, exposed) = ports(body);
    put(
        "publish",
        published.iter().map(|port| marked(port)).collect(),
    );
    put("expose", exposed.iter().map(|port| json!(port)).collect());
    let aliases = body["NetworkingConfig"]["EndpointsConfig"]
        .as_object()
        .into_iter()
        .flatten();
    let aliases = aliases.flat_map(|(_, endpoint)| super::container::texts(&endpoint["Aliases"]));
    put("network-alias", aliases.map(|alias| json!(alias)).collect());
    let entrypoint = super::container::texts(&body["Entrypoint"]);
    if !entrypoint.is_empty() {
        put("entrypoint", vec![json!(entrypoint.join(" "))]);
    }
    if let Some(seconds) = body["StopTimeout"].as_i64() {
        put("stop-timeout", vec![json!(seconds.to_string())]);
    }
    let health = &body["Healthcheck"];
    match super::container::texts(&health["Test"]).as_slice() {
        [kind, command] if kind == "CMD-SHELL" => put("health-cmd", vec![json!(command)]),
        [kind] if kind == "NONE" => put("no-healthcheck", vec![json!("true")]),
        _ => {}
    }
    for (field, name) in HEALTH {
        if let Some(nano) = health[*field].as_i64() {
            let written = facts.given.written(name, |_| true);
            put(
                name,
                vec![json!(
                    written.unwrap_or_else(|| format!("{}s", nano / 1_000_000_000))
                )],
            );
        }
    }
    if let Some(retries) = health["Retries"].as_i64() {
        put("health-retries", vec![json!(retries.to_string())]);
    }
    for (field, name) in FLAGS {
        flag(&host[*field], name, &mut options);
    }
    for (field, name) in [("Tty", "tty"), ("OpenStdin", "interactive")] {
        flag(&body[field], name, &mut options);
    }
    options
}

fn flag(value: &Json, name: &str, options: &mut Object) {
    match value.as_bool() {
        Some(true) => drop(options.insert(name.to_owned(), json!(true))),
        Some(false) => drop(options.insert(name.to_owned(), json!(["false"]))),
        None => {}
    }
}

fn text(value: &Json) -> Vec<Json> {
    value
        .as_str()
        .filter(|text| !text.is_empty())
        .map(marked)
        .into_iter()
        .collect()
}

/// Ports that are published, `[IP:]HOST:CONTAINER[/udp]`, and those that are only exposed.
fn ports(body: &Json) -> (Vec<String>, Vec<String>) {
    let bindings = body["HostConfig"]["PortBindings"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    let short = |port: &str| port.trim_end_matches("/tcp").to_owned();
    let mut published = Vec::new();
    for (container, bound) in &bindings {
        for binding in bound.as_array().into_iter().flatten() {
            let ip = binding["HostIp"].as_str().unwrap_or_default();
            let port = binding["HostPort"].as_str().unwrap_or_default();
            let ip = if ip.contains(':') {
                format!("[{ip}]")
            } else {
                ip.to_owned()
            };
            published.push(match (ip.is_empty(), port.is_empty()) {
                (true, true) => short(container),
                (true, false) => format!("{port}:{}", short(container)),
                (false, _) => format!("{ip}:{port}:{}", short(container)),
            });
        }
    }
    let exposed = body["ExposedPorts"].as_object().into_iter().flatten();
    let exposed = exposed
        .map(|(port, _)| port)
        .filter(|port| !bindings.contains_key(*port));
    (published, exposed.map(|port| short(port)).collect())
}

/// `512m` in bytes.
fn size(text: &str) -> Option<i64> {
    let lower = text.to_ascii_lowercase();
    let digits = lower
        .trim_end_matches('b')
        .trim_end_matches(['k', 'm', 'g', 't']);
    let unit = lower.trim_end_matches('b').trim_start_matches(digits);
    let shift = match unit {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        _ => 40,
    };
    let number: f64 = digits.parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "sizes of memory"
    )]
    let bytes = (number * (1_i64 << shift) as f64) as i64;
    Some(bytes)
}

/// Bytes in the largest unit that they are whole in.
fn rounded(bytes: i64) -> String {
    for (shift, unit) in [(30, "g"), (20, "m"), (10, "k")] {
        if bytes > 0 && bytes % (1 << shift) == 0 {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    bytes.to_string()
}
