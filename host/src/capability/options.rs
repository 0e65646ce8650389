//! A container's specification as the Engine API takes it: the options of `docker run`, by their long names.
//!
//! Names and units: Docker's command line reference, `docker container run`, and the Engine API's
//! `ContainerCreate` (1.41).

use serde_json::{Map, Value as Json, json};

use crate::wit::docker::{ContainerSpec, LogConfig, Port};

/// Body of `POST /containers/create`. `env` are the resolved `NAME=value` pairs; `home` stands for relative sources
/// of volumes.
///
/// # Errors
/// In words, for an option or a form this version does not know.
pub fn engine_body(spec: &ContainerSpec, env: Vec<String>, home: &str) -> Result<Json, String> {
    let mut body = Map::new();
    let mut host = Map::new();
    body.insert("Image".into(), json!(spec.image));
    body.insert("Env".into(), json!(env));
    body.insert(
        "Labels".into(),
        Json::Object(
            spec.labels
                .iter()
                .map(|(k, v)| (k.clone(), json!(v)))
                .collect(),
        ),
    );
    if let Some(hostname) = &spec.hostname {
        body.insert("Hostname".into(), json!(hostname));
    }
    if let Some(command) = &spec.command {
        body.insert("Cmd".into(), json!(command));
    }
    let binds = spec
        .volumes
        .iter()
        .map(|volume| absolute(volume, home))
        .collect::<Result<Vec<_>, _>>()?;
    host.insert("Binds".into(), json!(binds));
    host.insert("RestartPolicy".into(), restart(&spec.restart)?);
    host.insert("LogConfig".into(), log(&spec.log));
    if let Some(first) = spec.networks.first() {
        host.insert("NetworkMode".into(), json!(first));
        body.insert(
            "NetworkingConfig".into(),
            json!({"EndpointsConfig": {first: {}}}),
        );
    }
    ports(&spec.ports, &mut body, &mut host);
    for (name, value) in &spec.options {
        option(name, value, &mut body, &mut host)
            .map_err(|why| format!("option {name} {value:?}: {why}"))?;
    }
    body.insert("HostConfig".into(), Json::Object(host));
    Ok(Json::Object(body))
}

/// A volume with its source made absolute.
fn absolute(volume: &str, home: &str) -> Result<String, String> {
    let (source, rest) = volume
        .split_once(':')
        .ok_or_else(|| format!("volume {volume:?} has no target (expected SOURCE:TARGET)"))?;
    let source = match source {
        named if !named.contains('/') => named.to_owned(),
        absolute if absolute.starts_with('/') => absolute.to_owned(),
        relative => format!("{home}/{}", relative.trim_start_matches("./")),
    };
    Ok(format!("{source}:{rest}"))
}

fn restart(policy: &str) -> Result<Json, String> {
    let (name, count) = policy.split_once(':').unwrap_or((policy, "0"));
    let count: u32 = count
        .parse()
        .map_err(|_| format!("restart policy {policy:?}: expected a number after the colon"))?;
    match name {
        "no" | "always" | "unless-stopped" | "on-failure" => {
            Ok(json!({"Name": name, "MaximumRetryCount": count}))
        }
        _ => Err(format!(
            "restart policy {policy:?}: expected no, always, unless-stopped or on-failure[:N]"
        )),
    }
}

fn log(log: &LogConfig) -> Json {
    let options: Map<String, Json> = log
        .options
        .iter()
        .map(|(k, v)| (k.clone(), json!(v)))
        .collect();
    json!({"Type": log.driver.as_deref().unwrap_or(""), "Config": options})
}

fn ports(ports: &[Port], body: &mut Map<String, Json>, host: &mut Map<String, Json>) {
    for port in ports {
        publish(
            &format!("{}/{}", port.container_port, port.protocol),
            port.host_ip.as_deref(),
            &port.host_port.to_string(),
            body,
            host,
        );
    }
}

fn publish(
    container: &str,
    ip: Option<&str>,
    host_port: &str,
    body: &mut Map<String, Json>,
    host: &mut Map<String, Json>,
) {
    insert_into(body, "ExposedPorts", container, json!({}));
    let binding = json!({"HostIp": ip.unwrap_or(""), "HostPort": host_port});
    let bindings = host.entry("PortBindings").or_insert_with(|| json!({}));
    if let Some(list) = bindings
        .as_object_mut()
        .map(|all| all.entry(container).or_insert_with(|| json!([])))
        .and_then(Json::as_array_mut)
    {
        list.push(binding);
    }
}

fn insert_into(map: &mut Map<String, Json>, field: &str, key: &str, value: Json) {
    if let Some(object) = map
        .entry(field)
        .or_insert_with(|| json!({}))
        .as_object_mut()
    {
        object.insert(key.to_owned(), value);
    }
}

fn push(map: &mut Map<String, Json>, field: &str, item: Json) {
    if let Some(list) = map.entry(field).or_insert_with(|| json!([])).as_array_mut() {
        list.push(item);
    }
}

fn option(
    name: &str,
    value: &str,
    body: &mut Map<String, Json>,
    host: &mut Map<String, Json>,
) -> Result<(), String> {
    let text = || json!(value);
    let pair = || value.split_once('=').ok_or("expected NAME=VALUE");
    let field = match name {
        // strings
        "user" => return Ok(drop(body.insert("User".into(), text()))),
        "workdir" => return Ok(drop(body.insert("WorkingDir".into(), text()))),
        "stop-signal" => return Ok(drop(body.insert("StopSignal".into(), text()))),
        "entrypoint" => return Ok(drop(body.insert("Entrypoint".into(), json!([value])))),
        "domainname" => return Ok(drop(body.insert("Domainname".into(), text()))),
        "cpuset-cpus" => ("CpusetCpus", text()),
        "cpuset-mems" => ("CpusetMems", text()),
        "cgroup-parent" => ("CgroupParent", text()),
        "cgroupns" => ("CgroupnsMode", text()),
        "ipc" => ("IpcMode", text()),
        "pid" => ("PidMode", text()),
        "uts" => ("UTSMode", text()),
        "userns" => ("UsernsMode", text()),
        "runtime" => ("Runtime", text()),
        // flags
        "init" => ("Init", flag(value)?),
        "privileged" => ("Privileged", flag(value)?),
        "read-only" => ("ReadonlyRootfs", flag(value)?),
        "oom-kill-disable" => ("OomKillDisable", flag(value)?),
        "tty" => return Ok(drop(body.insert("Tty".into(), flag(value)?))),
        "interactive" => return Ok(drop(body.insert("OpenStdin".into(), flag(value)?))),
        // sizes
        "memory" => ("Memory", bytes(value)?),
        "memory-reservation" => ("MemoryReservation", bytes(value)?),
        "memory-swap" if value == "-1" => ("MemorySwap", json!(-1)),
        "memory-swap" => ("MemorySwap", bytes(value)?),
        "shm-size" => ("ShmSize", bytes(value)?),
        // numbers
        "cpus" => ("NanoCpus", nano_cpus(value)?),
        "cpu-shares" => ("CpuShares", number(value)?),
        "cpu-period" => ("CpuPeriod", number(value)?),
        "cpu-quota" => ("CpuQuota", number(value)?),
        "pids-limit" => ("PidsLimit", number(value)?),
        "oom-score-adj" => ("OomScoreAdj", number(value)?),
        "memory-swappiness" => ("MemorySwappiness", number(value)?),
        "stop-timeout" => return Ok(drop(body.insert("StopTimeout".into(), number(value)?))),
        // lists
        "cap-add" => return Ok(push(host, "CapAdd", text())),
        "cap-drop" => return Ok(push(host, "CapDrop", text())),
        "dns" => return Ok(push(host, "Dns", text())),
        "dns-search" => return Ok(push(host, "DnsSearch", text())),
        "dns-option" => return Ok(push(host, "DnsOptions", text())),
        "group-add" => return Ok(push(host, "GroupAdd", text())),
        "security-opt" => return Ok(push(host, "SecurityOpt", text())),
        "device-cgroup-rule" => return Ok(push(host, "DeviceCgroupRules", text())),
        "add-host" => return Ok(push(host, "ExtraHosts", json!(value.replacen('=', ":", 1)))),
        "device" => return Ok(push(host, "Devices", device(value))),
        "ulimit" => return ulimit(value).map(|limit| push(host, "Ulimits", limit)),
        "gpus" => return gpus(value).map(|request| push(host, "DeviceRequests", request)),
        // maps
        "sysctl" => {
            return pair()
                .map(|(k, v)| insert_into(host, "Sysctls", k, json!(v)))
                .map_err(str::to_owned);
        }
        "label" => {
            return pair()
                .map(|(k, v)| insert_into(body, "Labels", k, json!(v)))
                .map_err(str::to_owned);
        }
        "storage-opt" => {
            return pair()
                .map(|(k, v)| insert_into(host, "StorageOpt", k, json!(v)))
                .map_err(str::to_owned);
        }
        "tmpfs" => {
            let (path, options) = value.split_once(':').unwrap_or((value, ""));
            return Ok(insert_into(host, "Tmpfs", path, json!(options)));
        }
        "expose" => {
            let port = if value.contains('/') {
                value.to_owned()
            } else {
                format!("{value}/tcp")
            };
            return Ok(insert_into(body, "ExposedPorts", &port, json!({})));
        }
        "publish" => return published(value, body, host),
        // health
        "health-cmd" => {
            return Ok(insert_into(
                body,
                "Healthcheck",
                "Test",
                json!(["CMD-SHELL", value]),
            ));
        }
        "health-interval" => {
            return nanoseconds(value).map(|t| insert_into(body, "Healthcheck", "Interval", t));
        }
        "health-timeout" => {
            return nanoseconds(value).map(|t| insert_into(body, "Healthcheck", "Timeout", t));
        }
        "health-start-period" => {
            return nanoseconds(value).map(|t| insert_into(body, "Healthcheck", "StartPeriod", t));
        }
        "health-retries" => {
            return number(value).map(|n| insert_into(body, "Healthcheck", "Retries", n));
        }
        "no-healthcheck" => return Ok(insert_into(body, "Healthcheck", "Test", json!(["NONE"]))),
        _ => return Err("this version of plimsoll does not know it".to_owned()),
    };
    host.insert(field.0.to_owned(), field.1);
    Ok(())
}

fn flag(value: &str) -> Result<Json, String> {
    match value {
        "true" | "" => Ok(json!(true)),
        "false" => Ok(json!(false)),
        _ => Err("expected true or false".to_owned()),
    }
}

fn number(value: &str) -> Result<Json, String> {
    value
        .parse::<i64>()
        .map(|n| json!(n))
        .map_err(|_| "expected a whole number".to_owned())
}

fn nano_cpus(value: &str) -> Result<Json, String> {
    let cpus: f64 = value
        .parse()
        .map_err(|_| "expected a number such as 1.5".to_owned())?;
    if !(0.0..=100_000.0).contains(&cpus) {
        return Err("expected a number of CPUs".to_owned());
    }
    #[expect(clippy::cast_possible_truncation, reason = "bounded just above")]
    let nano = (cpus * 1e9).round() as i64;
    Ok(json!(nano))
}

/// `512m`, `1g`, `1024`: powers of 1024, as Docker reads them.
fn bytes(value: &str) -> Result<Json, String> {
    let lower = value.to_ascii_lowercase();
    let digits = lower.trim_end_matches("ib").trim_end_matches('b');
    let (digits, shift) = match digits.strip_suffix(['k', 'm', 'g', 't']) {
        Some(rest) => (
            rest,
            match digits.as_bytes().last() {
                Some(b'k') => 10,
                Some(b'm') => 20,
                Some(b'g') => 30,
                _ => 40,
            },
        ),
        None => (digits, 0),
    };
    let expected = || "expected a size such as 512m".to_owned();
    match digits.parse::<i64>() {
        Ok(whole) => whole
            .checked_mul(1 << shift)
            .map(|n| json!(n))
            .ok_or_else(expected),
        Err(_) => {
            let fraction: f64 = digits.parse().map_err(|_| expected())?;
            let scaled = fraction
                * f64::from(1_u32 << (shift % 32))
                * if shift >= 32 { 2_f64.powi(32) } else { 1.0 };
            if !(0.0..=1e18).contains(&scaled) {
                return Err(expected());
            }
            #[expect(clippy::cast_possible_truncation, reason = "bounded just above")]
            let whole = scaled as i64;
            Ok(json!(whole))
        }
    }
}

/// A Go duration (`1m30s`, `500ms`) in nanoseconds.
fn nanoseconds(value: &str) -> Result<Json, String> {
    let expected = || "expected a duration such as 30s or 1m30s".to_owned();
    let mut rest = value;
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .ok_or_else(expected)?;
        let amount: i64 = rest[..digits].parse().map_err(|_| expected())?;
        rest = &rest[digits..];
        let (unit, scale) = [
            ("ms", 1_000_000),
            ("us", 1000),
            ("ns", 1),
            ("h", 3_600_000_000_000),
            ("m", 60_000_000_000),
            ("s", 1_000_000_000),
        ]
        .into_iter()
        .find(|(unit, _)| rest.starts_with(unit))
        .ok_or_else(expected)?;
        rest = &rest[unit.len()..];
        total = amount
            .checked_mul(scale)
            .and_then(|n| total.checked_add(n))
            .ok_or_else(expected)?;
    }
    if value.is_empty() {
        Err(expected())
    } else {
        Ok(json!(total))
    }
}

/// `/dev/a[:/dev/b[:rwm]]`.
fn device(value: &str) -> Json {
    let mut parts = value.splitn(3, ':');
    let source = parts.next().unwrap_or_default();
    let second = parts.next();
    // `/dev/a:rwm` gives permissions only.
    let (target, permissions) = match (second, parts.next()) {
        (Some(only), None) if !only.starts_with('/') => (source, only),
        (target, permissions) => (target.unwrap_or(source), permissions.unwrap_or("rwm")),
    };
    json!({"PathOnHost": source, "PathInContainer": target, "CgroupPermissions": permissions})
}

/// `nofile=1024[:2048]`.
fn ulimit(value: &str) -> Result<Json, String> {
    let expected = || "expected NAME=SOFT[:HARD]".to_owned();
    let (name, limits) = value.split_once('=').ok_or_else(expected)?;
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    let soft: i64 = soft.parse().map_err(|_| expected())?;
    let hard: i64 = hard.parse().map_err(|_| expected())?;
    Ok(json!({"Name": name, "Soft": soft, "Hard": hard}))
}

/// `all`, or a count.
fn gpus(value: &str) -> Result<Json, String> {
    let count = match value {
        "all" => -1,
        count => count
            .parse::<i64>()
            .map_err(|_| "expected `all` or a count".to_owned())?,
    };
    Ok(json!({"Count": count, "Capabilities": [["gpu"]]}))
}

/// `[IP:]HOST:CONTAINER[/PROTOCOL]` or `CONTAINER`.
fn published(
    value: &str,
    body: &mut Map<String, Json>,
    host: &mut Map<String, Json>,
) -> Result<(), String> {
    let (ports, protocol) = value.split_once('/').unwrap_or((value, "tcp"));
    let (before, container) = ports.rsplit_once(':').unwrap_or(("", ports));
    let (ip, host_port) = before.rsplit_once(':').unwrap_or(("", before));
    let is_port = |text: &str| text.parse::<u16>().is_ok();
    if !is_port(container) || !(host_port.is_empty() || is_port(host_port)) {
        return Err("expected [IP:]HOST-PORT:CONTAINER-PORT".to_owned());
    }
    let ip = ip.trim_start_matches('[').trim_end_matches(']');
    publish(
        &format!("{container}/{protocol}"),
        (!ip.is_empty()).then_some(ip),
        host_port,
        body,
        host,
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> ContainerSpec {
        ContainerSpec {
            name: "app-web-1".into(),
            image: "r/app:1".into(),
            hostname: Some("web-1-0123456789ab".into()),
            command: None,
            env: vec![],
            labels: vec![
                ("service".into(), "app".into()),
                ("destination".into(), String::new()),
            ],
            ports: vec![Port {
                host_ip: None,
                host_port: 80,
                container_port: 80,
                protocol: "tcp".into(),
            }],
            volumes: vec![
                "data:/data".into(),
                "/srv/x:/x:ro".into(),
                ".kamal/proxy:/p".into(),
            ],
            networks: vec!["kamal".into()],
            restart: "unless-stopped".into(),
            log: LogConfig {
                driver: None,
                options: vec![("max-size".into(), "10m".into())],
            },
            options: vec![],
        }
    }

    #[test]
    fn a_specification_becomes_the_body_docker_run_would_send() {
        let body = engine_body(&spec(), vec!["A=b".into()], "/root").expect("valid");
        assert_eq!(
            body,
            json!({
                "Image": "r/app:1", "Env": ["A=b"], "Labels": {"service": "app", "destination": ""}, "Hostname": "web-1-0123456789ab",
                "NetworkingConfig": {"EndpointsConfig": {"kamal": {}}}, "ExposedPorts": {"80/tcp": {}},
                "HostConfig": {
                    "Binds": ["data:/data", "/srv/x:/x:ro", "/root/.kamal/proxy:/p"],
                    "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
                    "LogConfig": {"Type": "", "Config": {"max-size": "10m"}},
                    "NetworkMode": "kamal",
                    "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "80"}]},
                },
            })
        );
    }

    #[test]
    fn options_become_fields_in_the_engines_units() {
        for (name, value, pointer, expected) in [
            (
                "cpus",
                "1.5",
                "/HostConfig/NanoCpus",
                json!(1_500_000_000_i64),
            ),
            ("memory", "512m", "/HostConfig/Memory", json!(536_870_912)),
            ("memory", "1.5g", "/HostConfig/Memory", json!(1_610_612_736)),
            (
                "health-interval",
                "1m30s",
                "/Healthcheck/Interval",
                json!(90_000_000_000_i64),
            ),
            (
                "ulimit",
                "nofile=10:20",
                "/HostConfig/Ulimits/0",
                json!({"Name": "nofile", "Soft": 10, "Hard": 20}),
            ),
            (
                "publish",
                "127.0.0.1:3306:3306",
                "/HostConfig/PortBindings",
                json!({"80/tcp": [{"HostIp": "", "HostPort": "80"}], "3306/tcp": [{"HostIp": "127.0.0.1", "HostPort": "3306"}]}),
            ),
            (
                "add-host",
                "db=10.0.0.1",
                "/HostConfig/ExtraHosts",
                json!(["db:10.0.0.1"]),
            ),
            (
                "device",
                "/dev/fuse:rw",
                "/HostConfig/Devices/0",
                json!({"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "rw"}),
            ),
            (
                "gpus",
                "all",
                "/HostConfig/DeviceRequests/0/Count",
                json!(-1),
            ),
            ("privileged", "true", "/HostConfig/Privileged", json!(true)),
            ("init", "", "/HostConfig/Init", json!(true)),
        ] {
            let spec = ContainerSpec {
                options: vec![(name.into(), value.into())],
                ..spec()
            };
            let body = engine_body(&spec, vec![], "/root").expect(name);
            assert_eq!(body.pointer(pointer), Some(&expected), "{name}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        for (name, value) in [
            ("cpus", "many"),
            ("memory", "-"),
            ("volcano", "1"),
            ("health-interval", "soon"),
            ("publish", "a:b"),
            ("ulimit", "x"),
        ] {
            let spec = ContainerSpec {
                options: vec![(name.into(), value.into())],
                ..spec()
            };
            assert!(
                engine_body(&spec, vec![], "/root")
                    .expect_err("refused")
                    .contains(name)
            );
        }
    }
}
