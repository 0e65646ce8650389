//! What `proxy boot_config` left on a host: files in `.kamal/proxy`, each in place of a default of the proxy's container
//! (`kamal.md` §1.3, §1.15). Deprecated since there is `proxy.run`, which they do not count beside.

use std::collections::BTreeMap;

use release::{Proxy, Value};

use crate::call::{Call, ContainerSpec, PublishedPort};
use crate::plan::{Input, Note, Proposal, Refusal};
use crate::request::{BootConfig, words};

/// The files.
pub const FILES: [&str; 4] = ["options", "image", "image_version", "run_command"];

/// Where they are.
pub fn path(file: &str) -> String {
    format!(".kamal/proxy/{file}")
}

/// The container with what the files say.
pub fn applied(
    proxy: &Proxy,
    files: &BTreeMap<String, String>,
    spec: ContainerSpec,
) -> ContainerSpec {
    if !proxy.defaults {
        return spec;
    }
    let mut spec = spec;
    let text = |file: &str| files.get(file).map(|text| text.trim().to_owned());
    let (repository, version) = spec.image.rsplit_once(':').unwrap_or((&spec.image, ""));
    let repository = text("image").unwrap_or_else(|| repository.to_owned());
    let version = text("image_version").unwrap_or_else(|| version.to_owned());
    spec.image = format!("{repository}:{version}");
    // What can't be split is left to the default: it was never accepted by a shell either.
    if let Some(command) = text("run_command").and_then(|text| words(&text).ok()) {
        let command: Vec<Value> = command.into_iter().map(Value::text).collect();
        spec.command = Some(command).filter(|words| !words.is_empty());
    }
    if let Some(options) = text("options").and_then(|text| words(&text).ok()) {
        spec.ports.clear();
        spec.log.options.clear();
        for (name, value) in flags(&options) {
            match (&*name, published(&value), value.split_once('=')) {
                ("publish" | "p", Some(port), _) => spec.ports.push(port),
                ("log-opt", _, Some((key, value))) => {
                    spec.log.options.push((key.to_owned(), Value::text(value)));
                }
                ("log-driver", _, _) => spec.log.driver = Some(Value::text(value)),
                (_, _, _) => spec.options.push((name, Value::text(value))),
            }
        }
    }
    spec
}

/// `--name value`, `--name=value` and `--flag`, as pairs.
fn flags(words: &[String]) -> Vec<(String, String)> {
    let mut flags = Vec::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let name = word.trim_start_matches('-');
        match name.split_once('=') {
            Some((name, value)) if !matches!(name, "log-opt" | "label" | "env") => {
                flags.push((name.to_owned(), value.to_owned()));
            }
            Some(_) | None => {
                let value = words.next_if(|next| !next.starts_with('-'));
                let value = value.map_or("true", String::as_str);
                flags.push((name.to_owned(), value.to_owned()));
            }
        }
    }
    flags
}

/// `[IP:]HOST:CONTAINER`.
fn published(value: &str) -> Option<PublishedPort> {
    let (before, container) = value.rsplit_once(':')?;
    let (ip, host) = match before.rsplit_once(':') {
        Some((ip, host)) => (Some(ip), host),
        None => (None, before),
    };
    Some(PublishedPort {
        host_ip: ip.map(|ip| ip.trim_matches(['[', ']']).to_owned()),
        host_port: host.parse().ok()?,
        container_port: container.parse().ok()?,
        protocol: "tcp".into(),
    })
}

/// `proxy boot_config set`.
pub fn set(input: &Input<'_>, config: &BootConfig) -> Result<Proposal, Refusal> {
    let files = texts(config);
    write(input, &files)
}

/// `proxy boot_config reset`.
pub fn reset(input: &Input<'_>) -> Result<Proposal, Refusal> {
    write(input, &BTreeMap::new())
}

/// The files that are not the defaults.
fn texts(config: &BootConfig) -> BTreeMap<&'static str, String> {
    let mut options = Vec::new();
    if config.publish {
        let addresses: Vec<String> = match config.publish_host_ip.as_slice() {
            [] => vec![String::new()],
            given => given
                .iter()
                .map(|ip| format!("{}:", bracketed(ip)))
                .collect(),
        };
        for ip in addresses {
            options.push(format!("--publish {ip}{}:80", config.http_port));
            options.push(format!("--publish {ip}{}:443", config.https_port));
        }
    }
    if !config.log_max_size.is_empty() {
        options.push(format!("--log-opt max-size={}", config.log_max_size));
    }
    options.extend(config.metrics_port.map(|port| format!("--expose={port}")));
    options.extend(
        config
            .docker_options
            .iter()
            .map(|option| format!("--{option}")),
    );
    let debug = config.debug.then(|| "--debug".to_owned());
    let metrics = config
        .metrics_port
        .map(|port| format!("--metrics-port \"{port}\""));
    let run: Vec<String> = debug.into_iter().chain(metrics).collect();
    let repository = config.repository.as_deref().unwrap_or(REPOSITORY);
    let registry = config.registry.iter().cloned();
    let image: Vec<String> = registry.chain([repository.to_owned()]).collect();
    let candidates = [
        ("options", options.join(" "), OPTIONS),
        ("image", image.join("/"), REPOSITORY),
        (
            "image_version",
            config
                .image_version
                .clone()
                .unwrap_or_else(|| Proxy::MINIMUM_VERSION.to_owned()),
            Proxy::MINIMUM_VERSION,
        ),
        (
            "run_command",
            match run.is_empty() {
                true => String::new(),
                false => format!("kamal-proxy run {}", run.join(" ")),
            },
            "",
        ),
    ];
    let own = candidates
        .into_iter()
        .filter(|(_, text, default)| text != default);
    own.map(|(file, text, _)| (file, text)).collect()
}

const REPOSITORY: &str = "basecamp/kamal-proxy";
const OPTIONS: &str = "--publish 80:80 --publish 443:443 --log-opt max-size=10m";

fn bracketed(ip: &str) -> String {
    match ip.contains(':') && !ip.starts_with('[') {
        true => format!("[{ip}]"),
        false => ip.to_owned(),
    }
}

fn write(input: &Input<'_>, files: &BTreeMap<&str, String>) -> Result<Proposal, Refusal> {
    let mut steps = Vec::new();
    for host in input.desired.proxy_hosts() {
        let promises = FILES.map(|file| {
            let path = path(file);
            let call = match files.get(file) {
                Some(text) => Call::Put {
                    path,
                    mode: 0o644,
                    content: Value::text(text),
                },
                None => Call::RemovePath { path },
            };
            input.promise(host, &format!("boot-config/{file}"), call)
        });
        let title = format!("write the configuration of kamal-proxy on {host}");
        steps.extend(input.work("proxy", host, "boot-config", title, vec![promises.into()]));
    }
    Ok(Proposal {
        steps: input.locked(&[], steps)?,
        notes: vec![Note {
            code: "proxy-boot-config",
            message:
                "`proxy boot_config` is deprecated, and counts only on hosts without `proxy.run`"
                    .to_owned(),
            help: Some("write the same under `proxy: run:` in the manifest".to_owned()),
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::LogConfig;

    #[test]
    fn files_hold_what_is_not_the_default() {
        assert_eq!(texts(&BootConfig::default()), BTreeMap::new());
        let config = BootConfig {
            publish_host_ip: vec!["127.0.0.1".into(), "::1".into()],
            http_port: 8080,
            log_max_size: String::new(),
            registry: Some("r.io".into()),
            image_version: Some("v1".into()),
            metrics_port: Some(9090),
            debug: true,
            docker_options: vec!["memory=1g".into()],
            ..BootConfig::default()
        };
        let expected = [
            ("image", "r.io/basecamp/kamal-proxy"),
            ("image_version", "v1"),
            (
                "options",
                "--publish 127.0.0.1:8080:80 --publish 127.0.0.1:443:443 --publish [::1]:8080:80 --publish [::1]:443:443 --expose=9090 --memory=1g",
            ),
            (
                "run_command",
                "kamal-proxy run --debug --metrics-port \"9090\"",
            ),
        ];
        let expected = expected.map(|(file, text)| (file, text.to_owned()));
        assert_eq!(texts(&config), expected.into_iter().collect());
    }

    #[test]
    fn files_replace_what_is_the_default() {
        let spec = ContainerSpec {
            name: "kamal-proxy".into(),
            image: "basecamp/kamal-proxy:v0.9.2".into(),
            hostname: None,
            command: None,
            env: vec![],
            labels: vec![],
            ports: vec![],
            volumes: vec![],
            networks: vec![],
            restart: "unless-stopped".into(),
            log: LogConfig {
                driver: None,
                options: vec![],
            },
            options: vec![],
        };
        let proxy = Proxy {
            image: spec.image.clone(),
            credentials: None,
            defaults: true,
            command: None,
            ports: vec![],
            env: BTreeMap::new(),
            labels: BTreeMap::new(),
            volumes: vec![],
            networks: vec![],
            restart: spec.restart.clone(),
            log: release::Log::default(),
            options: vec![],
        };
        let files = [
            (
                "options",
                "--publish [::1]:8080:80 --log-opt max-size=5m --expose=9090 --memory 1g\n",
            ),
            ("run_command", "kamal-proxy run --metrics-port \"9090\""),
            ("image_version", "v1\n"),
        ];
        let files: BTreeMap<String, String> = files
            .map(|(file, text)| (file.to_owned(), text.to_owned()))
            .into();
        let applied_spec = applied(&proxy, &files, spec.clone());
        assert_eq!(applied_spec.image, "basecamp/kamal-proxy:v1");
        let command = ["kamal-proxy", "run", "--metrics-port", "9090"];
        assert_eq!(applied_spec.command, Some(command.map(Value::text).into()));
        assert_eq!(
            applied_spec.ports,
            [PublishedPort {
                host_ip: Some("::1".into()),
                host_port: 8080,
                container_port: 80,
                protocol: "tcp".into()
            }]
        );
        assert_eq!(
            applied_spec.log.options,
            [("max-size".into(), Value::text("5m"))]
        );
        let options = [("expose", "9090"), ("memory", "1g")];
        let options = options.map(|(name, value)| (name.to_owned(), Value::text(value)));
        assert_eq!(applied_spec.options, options);
        let configured = Proxy {
            defaults: false,
            ..proxy
        };
        assert_eq!(applied(&configured, &files, spec.clone()), spec);
    }
}
