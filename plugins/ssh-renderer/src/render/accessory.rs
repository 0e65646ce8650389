//! The document of an accessory on a host.

use release::{Accessory, Credentials, Directory, FileRef, PlacedFile, Value};

use crate::config::env::Env;
use crate::config::{self, Config, registry};
use crate::diagnostic::{Findings, Mark};
use crate::options::Facts;
use crate::render::container::{Container, Place, env, labels, log};
use crate::render::image::{is_for, login};
use crate::render::route;
use crate::render::unquoted::{argument, below_home, command, volume};
use crate::secret::Secrets;
use crate::yaml::{Kind, Node};

/// What rendering an accessory depends on besides the configuration.
pub struct Given<'g> {
    /// Names of secrets.
    pub secrets: &'g Secrets<'g>,
    /// What the host found out.
    pub facts: &'g Facts,
    /// Login at the application's registry.
    pub credentials: Option<&'g Credentials>,
    /// It will be started: secrets and files must be there.
    pub starts: bool,
}

/// What should run on a host for an accessory.
pub fn document(
    config: &Config,
    accessory: &config::accessory::Accessory,
    host: &str,
    given: &Given<'_>,
    place: &mut Place<'_>,
) -> Accessory {
    let (spec, path) = (&accessory.spec, accessory.path());
    let name = accessory.container(&config.service);
    place.mark(&[], Some(accessory.at));
    for key in ["image", "port", "network"] {
        let property = if key == "port" { "options" } else { key };
        place.mark(&[property], spec.key_at(key));
    }
    let (image, credentials) = image(accessory, given, place);
    let line = spec
        .get("cmd")
        .filter(|cmd| cmd.is_truthy())
        .map(|cmd| {
            place.mark(&["command"], Some(cmd.at));
            command(cmd, &format!("{path}/cmd"), place.findings)
        })
        .unwrap_or_default();
    let own = Env::read(spec.get("env"), &format!("{path}/env"));
    let paths = paths(spec, &path, &name, place.findings);
    let mut container = Container {
        env: env(
            &own,
            &[("KAMAL_HOST", host)],
            given.secrets,
            given.starts,
            place,
        ),
        labels: labels(&[("service", &name)], &[spec.get("labels")], place),
        volumes: volumes(spec, &path, place),
        networks: vec![network(spec, &path, place.findings)],
        restart: "unless-stopped".to_owned(),
        options: port(spec, &path, place.findings),
    };
    let mounted = paths.iter().map(|path| path.volume.clone());
    container.volumes.extend(mounted);
    container.add_options(spec.get("options"), &format!("{path}/options"), place);
    let (files, directories): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| path.is_file);
    Accessory {
        container: name,
        image,
        credentials,
        command: Some(line.words).filter(|words| !words.is_empty()),
        shell_tail: line.tail,
        env: container.env,
        labels: container.labels,
        volumes: container.volumes,
        networks: container.networks,
        restart: container.restart,
        log: log(config.root.get("logging")),
        options: container.options,
        directories: directories.into_iter().map(Path::into_directory).collect(),
        files: files
            .into_iter()
            .filter_map(|path| path.into_file(accessory, given, place.findings))
            .collect(),
        proxy: route::of_accessory(config, accessory, given.secrets, given.starts, place),
    }
}

/// Files of the project that accessories need: where they are written, and their names.
pub fn files(spec: &Node) -> Vec<String> {
    let items = spec.get("files").map(Node::items).unwrap_or_default();
    items.iter().map(|item| written(item).local).collect()
}

fn image(
    accessory: &config::accessory::Accessory,
    given: &Given<'_>,
    place: &mut Place<'_>,
) -> (String, Option<Credentials>) {
    let spec = &accessory.spec;
    let own = spec
        .get("registry")
        .filter(|registry| registry.as_map().is_some_and(|map| !map.is_empty()))
        .map(registry::read_one);
    let name = spec
        .get("image")
        .and_then(Node::as_stringish)
        .unwrap_or_default();
    if given.starts && name.trim().is_empty() {
        let message = format!("{}: has no image", accessory.path());
        place
            .findings
            .warn("missing-key", message, Some(accessory.at))
            .help("add `image: NAME`");
    }
    let server = own.as_ref().and_then(|own| own.server.as_deref());
    let image = match server {
        Some(server) => format!("{server}/{name}"),
        None => name,
    };
    let credentials = match &own {
        Some(own) if own.is_local() => None,
        Some(own) => Some(login(own, given.secrets, given.starts, place.findings)),
        None => given
            .credentials
            .filter(|root| is_for(root, &image))
            .cloned(),
    };
    (image, credentials)
}

fn volumes(spec: &Node, path: &str, place: &mut Place<'_>) -> Vec<Value> {
    let items = spec.get("volumes").map(Node::items).unwrap_or_default();
    let mut volumes = Vec::new();
    for (index, item) in items.iter().enumerate() {
        place.mark(&["volumes", &volumes.len().to_string()], Some(item.at));
        let path = format!("{path}/volumes/{index}");
        volumes.extend(volume(item, &path, place.findings));
    }
    volumes
}

fn network(spec: &Node, path: &str, findings: &mut Findings) -> String {
    let Some(node) = spec.get("network").filter(|node| node.is_truthy()) else {
        return "kamal".to_owned();
    };
    let path = format!("{path}/network");
    let value = argument(node, &path, findings).unwrap_or_default();
    config::options::plain(&value, &path, node.at, findings)
}

/// `3306` publishes that port as itself; with a colon in it, it is said how.
fn port(spec: &Node, path: &str, findings: &mut Findings) -> Vec<(String, Value)> {
    let Some(node) = spec.get("port").filter(|node| node.is_truthy()) else {
        return Vec::new();
    };
    let value = argument(node, &format!("{path}/port"), findings).unwrap_or_default();
    let value = match value.shown().contains(':') {
        true => value,
        false => value.clone().and_text(":").and(value),
    };
    vec![("publish".to_owned(), value)]
}

/// A file or directory as it is written.
struct Written {
    local: String,
    remote: String,
    options: Option<String>,
    mode: Option<String>,
    owner: Option<String>,
    at: Mark,
}

fn written(item: &Node) -> Written {
    let text = |key: &str| item.get(key).and_then(Node::as_stringish);
    if item.as_map().is_some() {
        return Written {
            local: text("local").unwrap_or_default(),
            remote: text("remote").unwrap_or_default(),
            options: text("options"),
            mode: text("mode"),
            owner: text("owner"),
            at: item.at,
        };
    }
    let text = item.to_text();
    let mut parts = text.splitn(3, ':').map(str::to_owned);
    Written {
        local: parts.next().unwrap_or_default(),
        remote: parts.next().unwrap_or_default(),
        options: parts.next(),
        mode: None,
        owner: None,
        at: item.at,
    }
}

/// A file or directory on the host, and how it is mounted.
struct Path {
    is_file: bool,
    host: Value,
    volume: Value,
    written: Written,
}

fn paths(spec: &Node, path: &str, container: &str, findings: &mut Findings) -> Vec<Path> {
    let mut paths = Vec::new();
    for (key, is_file) in [("files", true), ("directories", false)] {
        let items = spec.get(key).map(Node::items).unwrap_or_default();
        for (index, item) in items.iter().enumerate() {
            let (written, path) = (written(item), format!("{path}/{key}/{index}"));
            if written.local.is_empty() || written.remote.is_empty() {
                findings
                    .error(
                        "missing-key",
                        format!("{path}: should say where it is and where it goes"),
                        Some(item.at),
                    )
                    .help("write `LOCAL:REMOTE`, or a mapping with `local` and `remote`");
                continue;
            }
            // On the host, files lie as they do in the container; directories by the name they are given.
            let host = match (is_file, written.local.starts_with('/')) {
                (true, _) => format!("{container}{}", written.remote),
                (false, true) => written.local.clone(),
                (false, false) => format!("{container}/{}", written.local),
            };
            let options = written
                .options
                .as_ref()
                .map(|options| format!(":{options}"));
            let volume = format!("{host}:{}{}", written.remote, options.unwrap_or_default());
            let mut unquoted = |text: String| {
                let node = Node {
                    kind: Kind::Text(text),
                    at: item.at,
                };
                let value = argument(&node, &path, findings);
                below_home(value.unwrap_or_default())
            };
            let (host, volume) = (unquoted(host), unquoted(volume));
            paths.push(Path {
                is_file,
                host,
                volume,
                written,
            });
        }
    }
    paths
}

impl Path {
    fn into_directory(self) -> Directory {
        Directory {
            path: self.host,
            mode: self.written.mode,
            owner: self.written.owner,
        }
    }

    /// None when the project has no such file, which is then in the findings if it is needed.
    fn into_file(
        self,
        accessory: &config::accessory::Accessory,
        given: &Given<'_>,
        findings: &mut Findings,
    ) -> Option<PlacedFile> {
        let local = self.written.local;
        let digest = given
            .facts
            .file
            .get(&local)
            .and_then(|found| found.get(&local));
        if digest.is_none() && given.starts {
            findings
                .error(
                    "missing-file",
                    format!("{}/files: Missing file: {local}", accessory.path()),
                    Some(self.written.at),
                )
                .help("paths are relative to the project");
        }
        let file = FileRef {
            path: local,
            digest: digest?.clone(),
            accessory: Some(accessory.name.clone()),
        };
        Some(PlacedFile {
            path: self.host,
            mode: self.written.mode.unwrap_or_else(|| "755".to_owned()),
            owner: self.written.owner,
            content: Value::file(file),
        })
    }
}
