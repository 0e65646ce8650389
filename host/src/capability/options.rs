//! A container's specification as the Engine API takes it: the options of `docker run`, by their long names.
//!
//! Names and units: Docker's command line reference, `docker container run`, and the Engine API's
//! `ContainerCreate` (1.41).

use serde_json::{Map, Value as Json, json};

use crate::wit::docker::Port;

/// A container's specification with everything in it known.
#[derive(Clone, Debug, Default)]
pub struct Plain {
    /// Image reference.
    pub image: String,
    /// Host name inside the container.
    pub hostname: Option<String>,
    /// None runs the image's own command.
    pub command: Option<Vec<String>>,
    /// Labels.
    pub labels: Vec<(String, String)>,
    /// Published ports.
    pub ports: Vec<Port>,
    /// `SOURCE:TARGET[:OPTIONS]`, or a `TARGET` of an anonymous volume.
    pub volumes: Vec<String>,
    /// The first is joined at creation.
    pub networks: Vec<String>,
    /// Restart policy.
    pub restart: String,
    /// None is the Engine's default driver.
    pub log_driver: Option<String>,
    /// Options of the log driver.
    pub log_options: Vec<(String, String)>,
    /// Other long options of `docker run`.
    pub options: Vec<(String, String)>,
}

/// Body of `POST /containers/create`. `env` are the resolved `NAME=value` pairs; `home` stands for relative sources
/// of volumes.
///
/// # Errors
/// In words, for an option or a form this version does not know.
pub fn engine_body(spec: &Plain, env: Vec<String>, home: &str) -> Result<Json, String> {
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
    host.insert("Binds".into(), json!([]));
    for volume in &spec.volumes {
        mount(volume, home, &mut body, &mut host)?;
    }
    host.insert("RestartPolicy".into(), restart(&spec.restart)?);
    host.insert("LogConfig".into(), log(spec));
    if let Some(first) = spec.networks.first() {
        host.insert("NetworkMode".into(), json!(first));
        body.insert(
            "NetworkingConfig".into(),
            json!({"EndpointsConfig": {first: {}}}),
        );
    }
    ports(&spec.ports, &mut body, &mut host);
    for (name, value) in &spec.options {
        option(name, value, home, &mut body, &mut host)
            .map_err(|why| format!("option {name} {value:?}: {why}"))?;
    }
    body.insert("HostConfig".into(), Json::Object(host));
    Ok(Json::Object(body))
}

/// A volume, its source made absolute; without a source it is anonymous.
fn mount(
    volume: &str,
    home: &str,
    body: &mut Map<String, Json>,
    host: &mut Map<String, Json>,
) -> Result<(), String> {
    let Some((source, rest)) = volume.split_once(':') else {
        if !volume.starts_with('/') {
            return Err(format!(
                "volume {volume:?}: expected SOURCE:TARGET, or a target that begins with a slash"
            ));
        }
        insert_into(body, "Volumes", volume, json!({}));
        return Ok(());
    };
    let source = match source {
        named if !named.contains('/') => named.to_owned(),
        absolute if absolute.starts_with('/') => absolute.to_owned(),
        relative => format!("{home}/{}", relative.trim_start_matches("./")),
    };
    push(host, "Binds", json!(format!("{source}:{rest}")));
    Ok(())
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

fn log(spec: &Plain) -> Json {
    let options: Map<String, Json> = spec
        .log_options
        .iter()
        .map(|(k, v)| (k.clone(), json!(v)))
        .collect();
    json!({"Type": spec.log_driver.as_deref().unwrap_or(""), "Config": options})
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

/// Where an option goes in the body.
enum Field {
    /// A field of the container.
    Body(&'static str),
    /// A field of `HostConfig`.
    Host(&'static str),
    /// An item of a list in `HostConfig`.
    HostItem(&'static str),
    /// An entry of a map in the container.
    BodyEntry(&'static str, String),
    /// An entry of a map in `HostConfig`.
    HostEntry(&'static str, String),
}

fn option(
    name: &str,
    value: &str,
    home: &str,
    body: &mut Map<String, Json>,
    host: &mut Map<String, Json>,
) -> Result<(), String> {
    match name {
        "publish" => return published(value, body, host),
        "volume" => return mount(value, home, body, host),
        "network" => {
            let networking = body.entry("NetworkingConfig").or_insert_with(|| json!({}));
            if let Some(networking) = networking.as_object_mut() {
                insert_into(networking, "EndpointsConfig", value, json!({}));
            }
            return Ok(());
        }
        "network-alias" => {
            let first = host
                .get("NetworkMode")
                .and_then(Json::as_str)
                .unwrap_or("bridge");
            let endpoint = body
                .get_mut("NetworkingConfig")
                .and_then(|networking| networking.get_mut("EndpointsConfig"))
                .and_then(|endpoints| endpoints.get_mut(first))
                .and_then(Json::as_object_mut);
            let endpoint = endpoint.ok_or("there is no network to have another name in")?;
            push(endpoint, "Aliases", json!(value));
            return Ok(());
        }
        "env" => {
            push(body, "Env", json!(value));
            return Ok(());
        }
        "label" => {
            let (key, value) = value.split_once('=').unwrap_or((value, ""));
            insert_into(body, "Labels", key, json!(value));
            return Ok(());
        }
        _ => {}
    }
    let (field, json) = read(name, value)?;
    match field {
        Field::Body(field) => drop(body.insert(field.to_owned(), json)),
        Field::Host(field) => drop(host.insert(field.to_owned(), json)),
        Field::HostItem(field) => push(host, field, json),
        Field::BodyEntry(field, key) => insert_into(body, field, &key, json),
        Field::HostEntry(field, key) => insert_into(host, field, &key, json),
    }
    Ok(())
}

/// The field of an option, and its value in the Engine's units.
fn read(name: &str, value: &str) -> Result<(Field, Json), String> {
    use Field::{Body, BodyEntry, Host, HostEntry, HostItem};
    let text = || json!(value);
    let pair = || value.split_once('=').ok_or("expected NAME=VALUE");
    let health = |key: &str| BodyEntry("Healthcheck", key.to_owned());
    Ok(match name {
        "user" => (Body("User"), text()),
        "workdir" => (Body("WorkingDir"), text()),
        "stop-signal" => (Body("StopSignal"), text()),
        "hostname" => (Body("Hostname"), text()),
        "publish-all" => (Host("PublishAllPorts"), flag(value)?),
        "domainname" => (Body("Domainname"), text()),
        "entrypoint" => (Body("Entrypoint"), json!([value])),
        "tty" => (Body("Tty"), flag(value)?),
        "interactive" => (Body("OpenStdin"), flag(value)?),
        "stop-timeout" => (Body("StopTimeout"), number(value)?),

        "annotation" => {
            pair().map(|(key, v)| (HostEntry("Annotations", key.to_owned()), json!(v)))?
        }
        "blkio-weight" => (Host("BlkioWeight"), number(value)?),
        "volume-driver" => (Host("VolumeDriver"), text()),
        "isolation" => (Host("Isolation"), text()),
        "link" => (HostItem("Links"), text()),
        "volumes-from" => (HostItem("VolumesFrom"), text()),
        "health-start-interval" => (health("StartInterval"), nanoseconds(value)?),
        "cpuset-cpus" => (Host("CpusetCpus"), text()),
        "cpuset-mems" => (Host("CpusetMems"), text()),
        "cgroup-parent" => (Host("CgroupParent"), text()),
        "cgroupns" => (Host("CgroupnsMode"), text()),
        "ipc" => (Host("IpcMode"), text()),
        "pid" => (Host("PidMode"), text()),
        "uts" => (Host("UTSMode"), text()),
        "userns" => (Host("UsernsMode"), text()),
        "runtime" => (Host("Runtime"), text()),
        "init" => (Host("Init"), flag(value)?),
        "privileged" => (Host("Privileged"), flag(value)?),
        "read-only" => (Host("ReadonlyRootfs"), flag(value)?),
        "oom-kill-disable" => (Host("OomKillDisable"), flag(value)?),
        "memory" => (Host("Memory"), bytes(value)?),
        "memory-reservation" => (Host("MemoryReservation"), bytes(value)?),
        "memory-swap" if value == "-1" => (Host("MemorySwap"), json!(-1)),
        "memory-swap" => (Host("MemorySwap"), bytes(value)?),
        "shm-size" => (Host("ShmSize"), bytes(value)?),
        "cpus" => (Host("NanoCpus"), nano_cpus(value)?),
        "cpu-shares" => (Host("CpuShares"), number(value)?),
        "cpu-period" => (Host("CpuPeriod"), number(value)?),
        "cpu-quota" => (Host("CpuQuota"), number(value)?),
        "pids-limit" => (Host("PidsLimit"), number(value)?),
        "oom-score-adj" => (Host("OomScoreAdj"), number(value)?),
        "memory-swappiness" => (Host("MemorySwappiness"), number(value)?),

        "cap-add" => (HostItem("CapAdd"), text()),
        "cap-drop" => (HostItem("CapDrop"), text()),
        "dns" => (HostItem("Dns"), text()),
        "dns-search" => (HostItem("DnsSearch"), text()),
        "dns-option" => (HostItem("DnsOptions"), text()),
        "group-add" => (HostItem("GroupAdd"), text()),
        "security-opt" => (HostItem("SecurityOpt"), text()),
        "device-cgroup-rule" => (HostItem("DeviceCgroupRules"), text()),
        "add-host" => (HostItem("ExtraHosts"), json!(value.replacen('=', ":", 1))),
        "device" => (HostItem("Devices"), device(value)),
        "ulimit" => (HostItem("Ulimits"), ulimit(value)?),
        "gpus" => (HostItem("DeviceRequests"), gpus(value)?),

        "sysctl" => pair().map(|(key, v)| (HostEntry("Sysctls", key.to_owned()), json!(v)))?,
        "storage-opt" => {
            pair().map(|(key, v)| (HostEntry("StorageOpt", key.to_owned()), json!(v)))?
        }
        "tmpfs" => {
            let (path, options) = value.split_once(':').unwrap_or((value, ""));
            (HostEntry("Tmpfs", path.to_owned()), json!(options))
        }
        "expose" if value.contains('/') => (BodyEntry("ExposedPorts", value.to_owned()), json!({})),
        "expose" => (BodyEntry("ExposedPorts", format!("{value}/tcp")), json!({})),
        "health-cmd" => (health("Test"), json!(["CMD-SHELL", value])),
        "no-healthcheck" => (health("Test"), json!(["NONE"])),
        "health-interval" => (health("Interval"), nanoseconds(value)?),
        "health-timeout" => (health("Timeout"), nanoseconds(value)?),
        "health-start-period" => (health("StartPeriod"), nanoseconds(value)?),
        "health-retries" => (health("Retries"), number(value)?),
        _ => return Err("this version of plimsoll does not know it".to_owned()),
    })
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

    fn spec() -> Plain {
        Plain {
            image: "r/app:1".into(),
            hostname: Some("web-1-0123456789ab".into()),
            command: None,
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
            log_driver: None,
            log_options: vec![("max-size".into(), "10m".into())],
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
            ("expose", "9090", "/ExposedPorts/9090~1tcp", json!({})),
            ("volume", "/x", "/Volumes/~1x", json!({})),
            (
                "volume",
                "./x/y:/y",
                "/HostConfig/Binds/3",
                json!("/root/x/y:/y"),
            ),
            ("label", "a=b=c", "/Labels/a", json!("b=c")),
            ("env", "A=1", "/Env/0", json!("A=1")),
            (
                "network-alias",
                "web",
                "/NetworkingConfig/EndpointsConfig/kamal/Aliases",
                json!(["web"]),
            ),
            (
                "network",
                "other",
                "/NetworkingConfig/EndpointsConfig",
                json!({"kamal": {}, "other": {}}),
            ),
        ] {
            let spec = Plain {
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
            let spec = Plain {
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
