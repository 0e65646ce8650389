//! The simulated hosts, and the log of what was done to them. Everything that serves shares one of these.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use crate::case::{self, Case, Fault};

/// Name of the proxy's container.
pub const PROXY: &str = "kamal-proxy";
/// The deployer's own machine, as the cases call it.
pub const LOCAL: &str = "(local)";

/// All hosts, shared.
#[derive(Clone)]
pub struct World(Arc<Mutex<Inner>>);

/// What the lock guards.
pub struct Inner {
    /// The case.
    pub case: Case,
    /// Everything of this run is below it.
    pub folder: PathBuf,
    /// By name; those that the case does not describe are made when somebody asks for them.
    pub hosts: BTreeMap<String, Host>,
    /// What was done, in order.
    pub seen: Vec<Seen>,
    /// Name of the service, as the project's manifest has it.
    pub service: String,
    /// Repository of the application's images, with its registry.
    pub repository: String,
    /// Digests of manifests that were put into registries, by reference.
    pub put: BTreeMap<String, String>,
    /// Names that the secrets files define.
    pub secrets: Vec<String>,
    /// Sessions of builds, by id.
    pub sessions: BTreeMap<String, BuildSession>,
    /// Times that a fault was met.
    pub met: BTreeMap<String, u32>,
    /// A command in a container has ended.
    pub ended: Arc<Notify>,
    numbers: u64,
}

/// Something that was done.
#[derive(Clone, Debug)]
pub struct Seen {
    /// On the simulated clock.
    pub at: Duration,
    /// Nanoseconds since 1970, really.
    pub real: u128,
    /// Where.
    pub host: String,
    /// What.
    pub what: What,
}

/// What was done on a host.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum What {
    LoggedIn {
        user: String,
        port: u16,
        via: Option<String>,
    },
    Forwarding {
        port: u16,
        user: String,
        ssh_port: u16,
    },
    Ran {
        line: String,
        code: i32,
    },
    LockTaken {
        name: String,
        details: String,
    },
    LockGone {
        name: String,
    },
    File {
        path: String,
        change: Change,
    },
    Pulled {
        image: String,
        login: Option<Json>,
        failed: bool,
    },
    Pushed {
        image: String,
        login: Option<Json>,
    },
    Built {
        built: Json,
        failed: bool,
    },
    Network {
        name: String,
        made: bool,
    },
    Created {
        name: String,
        body: Json,
    },
    Started {
        name: String,
        fresh: bool,
    },
    NotStarted {
        name: String,
    },
    Stopped {
        name: String,
        timeout: Option<i64>,
        labels: BTreeMap<String, String>,
    },
    Renamed {
        from: String,
        to: String,
    },
    Removed {
        name: String,
        labels: BTreeMap<String, String>,
    },
    ImageRemoved {
        reference: String,
    },
    ImagesListed {
        labels: Vec<String>,
    },
    ContainersListed {
        labels: Vec<String>,
    },
    ImagesPruned {
        labels: Vec<String>,
    },
    PruneFailed,
    Tagged {
        from: String,
        to: String,
    },
    Proxy {
        words: Vec<String>,
        ok: bool,
    },
    Inspected {
        name: String,
    },
    Logs {
        name: String,
    },
    Archive {
        name: String,
        path: String,
    },
    DockerInstalled,
}

/// What the client of a build offers to BuildKit.
#[derive(Clone, Debug, Default)]
pub struct BuildSession {
    /// The name that it goes by.
    pub name: String,
    /// What it can be asked for.
    pub methods: Vec<String>,
    /// Secrets that it handed out.
    pub secrets: Vec<String>,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is there now.
    New,
    /// Its content or mode is another.
    Changed,
    /// It is gone.
    Gone,
}

/// A host.
#[derive(Debug, Default)]
pub struct Host {
    /// Oldest first.
    pub containers: Vec<Container>,
    /// Image ids by reference.
    pub tags: BTreeMap<String, String>,
    /// Labels of images by id.
    pub labels: BTreeMap<String, BTreeMap<String, String>>,
    /// References of manifests, by image id: `repository@sha256:…`.
    pub digests: BTreeMap<String, BTreeSet<String>>,
    /// Docker networks.
    pub networks: BTreeSet<String>,
    /// Docker answers.
    pub docker: bool,
    /// The user's home, a real folder.
    pub home: PathBuf,
    /// The proxy's routes: service, container.
    pub routes: BTreeMap<String, String>,
    /// Services whose route was changed in this run.
    pub routed: BTreeSet<String>,
    /// Executions in containers, by id.
    pub executions: BTreeMap<String, Execution>,
    /// Files of the home: path, mode and digest.
    pub files: BTreeMap<String, (u32, String)>,
    /// Names and details of the locks that are there.
    pub locks: BTreeMap<String, String>,
    /// It answers to SSH.
    pub root: bool,
    /// First registry mirror.
    pub mirror: Option<String>,
}

/// An execution in a container.
#[derive(Clone, Debug, Default)]
pub struct Execution {
    /// The container's name.
    pub container: String,
    /// The command.
    pub words: Vec<String>,
    /// Its end.
    pub code: Option<i32>,
}

/// A container.
#[derive(Clone, Debug, Default)]
pub struct Container {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// As it was asked for.
    pub image: String,
    /// `sha256:…`.
    pub image_id: String,
    /// `created`, `running` or `exited`.
    pub state: &'static str,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Body of the request that made it.
    pub body: Json,
    /// Seconds since 1970.
    pub created: i64,
    /// It was made in this run.
    pub ours: bool,
    /// Times that its health was read.
    pub asked: usize,
    /// When it was last started, on the simulated clock.
    pub started: Duration,
}

/// A hexadecimal name for anything.
pub fn hex(of: &str) -> String {
    Sha256::digest(of)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The digest that registries give the manifest of a reference.
pub fn manifest(reference: &str) -> String {
    format!(
        "sha256:{}",
        hex(&format!("manifest of {}", canonical(reference)))
    )
}

/// The id of an image.
pub fn image_id(reference: &str) -> String {
    format!("sha256:{}", hex(&format!("image {}", canonical(reference))))
}

/// `repository:tag`, without Docker Hub's own name.
pub fn canonical(reference: &str) -> String {
    let mut name = reference;
    for prefix in ["docker.io/library/", "docker.io/", "index.docker.io/"] {
        name = name.strip_prefix(prefix).unwrap_or(name);
    }
    let last = name.rsplit('/').next().unwrap_or(name);
    if name.contains('@') || last.contains(':') {
        name.to_owned()
    } else {
        format!("{name}:latest")
    }
}

impl Container {
    /// Whether it runs.
    pub fn running(&self) -> bool {
        self.state == "running"
    }
}

impl Host {
    /// A container by name, id or the beginning of one.
    pub fn container(&mut self, name: &str) -> Option<&mut Container> {
        let name = name.trim_start_matches('/');
        let exact = self.containers.iter().position(|c| c.name == name);
        let place = exact.or_else(|| {
            let hex = name.len() >= 8 && name.chars().all(|c| c.is_ascii_hexdigit());
            hex.then(|| self.containers.iter().position(|c| c.id.starts_with(name)))?
        })?;
        self.containers.get_mut(place)
    }

    /// The id of an image by reference, id or digest.
    pub fn image(&self, reference: &str) -> Option<String> {
        if let Some(id) = self.tags.get(&canonical(reference)) {
            return Some(id.clone());
        }
        if self.labels.contains_key(reference) {
            return Some(reference.to_owned());
        }
        let short = format!("sha256:{}", reference.trim_start_matches("sha256:"));
        let by_id = self
            .labels
            .keys()
            .find(|id| reference.len() >= 12 && id.starts_with(&short));
        let by_digest = || {
            self.digests
                .iter()
                .find(|(_, all)| all.contains(reference))
                .map(|(id, _)| id)
        };
        by_id.or_else(by_digest).cloned()
    }

    /// Puts an image there that came from nowhere: no registry's digest is known of it.
    fn had_image(&mut self, reference: &str, id: &str, labels: BTreeMap<String, String>) {
        self.labels.entry(id.to_owned()).or_insert(labels);
        self.tags.insert(canonical(reference), id.to_owned());
    }

    /// Puts an image there under a reference.
    pub fn put_image(&mut self, reference: &str, id: &str, labels: BTreeMap<String, String>) {
        let reference = canonical(reference);
        self.labels.entry(id.to_owned()).or_insert(labels);
        if let Some((repository, _)) = reference.rsplit_once(':') {
            let digest = format!("{repository}@{}", manifest(&reference));
            self.digests
                .entry(id.to_owned())
                .or_default()
                .insert(digest);
        }
        self.tags.insert(reference, id.to_owned());
    }

    /// Images without a name and without a container go.
    pub fn forget_unused(&mut self, id: &str) {
        let named = self.tags.values().any(|named| named == id);
        let used = self.containers.iter().any(|c| c.image_id == id);
        if !named && !used {
            self.labels.remove(id);
            self.digests.remove(id);
        }
    }
}

impl World {
    /// The hosts of a case, with everything of theirs below `folder`.
    pub fn new(case: Case, folder: &Path, service: &str, repository: &str) -> Self {
        let names: Vec<String> = case.state.hosts.keys().cloned().collect();
        let world = Self(Arc::new(Mutex::new(Inner {
            case,
            folder: folder.to_owned(),
            hosts: BTreeMap::new(),
            seen: Vec::new(),
            service: service.to_owned(),
            repository: repository.to_owned(),
            put: BTreeMap::new(),
            secrets: Vec::new(),
            sessions: BTreeMap::new(),
            met: BTreeMap::new(),
            ended: Arc::default(),
            numbers: 0,
        })));
        for name in names {
            world.lock().host(&name);
        }
        world
    }

    /// Exclusive access. Never held while waiting.
    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault that concerns an object, if there is one; an interruption that is due happens.
    pub fn fault(&self, op: &str, host: &str, object: &str) -> Option<Fault> {
        let inner = self.lock();
        let faults = &inner.case.state.faults;
        let interrupts = |fault: &&Fault| {
            fault.op == "interrupt"
                && fault.at.as_deref() == Some(op)
                && fault.host.as_deref().is_none_or(|named| named == host)
        };
        if let Some(fault) = faults.iter().find(interrupts) {
            let signal = match fault.signal.as_deref() {
                Some("TERM" | "SIGTERM") => rustix::process::Signal::TERM,
                _ => rustix::process::Signal::INT,
            };
            // A signal to ourselves arrives.
            let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
        }
        faults
            .iter()
            .find(|fault| fault.hits(op, host, object))
            .cloned()
    }

    /// Writes down what was done.
    pub fn saw(&self, host: &str, what: What) {
        self.lock().saw(host, what);
    }

    /// Simulated milliseconds from the last login to the last thing that was done.
    pub fn since_login(&self) -> Option<u64> {
        let inner = self.lock();
        let logins = inner.seen.iter();
        let login = logins
            .filter(|seen| matches!(seen.what, What::LoggedIn { .. }))
            .map(|seen| seen.at)
            .max()?;
        let last = inner.seen.iter().map(|seen| seen.at).max()?;
        u64::try_from(last.saturating_sub(login).as_millis()).ok()
    }
}

/// The simulated clock.
pub fn now() -> Duration {
    use std::sync::OnceLock;
    static START: OnceLock<tokio::time::Instant> = OnceLock::new();
    START.get_or_init(tokio::time::Instant::now).elapsed()
}

impl Inner {
    /// Writes down what was done.
    pub fn saw(&mut self, host: &str, what: What) {
        let real = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos();
        self.seen.push(Seen {
            at: now(),
            real,
            host: host.to_owned(),
            what,
        });
    }

    /// A number that nobody had before.
    pub fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// A host; one that nobody has heard of has a network, a running proxy and nothing else.
    pub fn host(&mut self, name: &str) -> &mut Host {
        if !self.hosts.contains_key(name) {
            let described = self.case.state.hosts.get(name).cloned().unwrap_or_default();
            let home = self
                .folder
                .join("hosts")
                .join(hex(name).split_at(8).0)
                .join("home");
            let service = self.service.clone();
            let host = made(name, &described, home, &service);
            self.hosts.insert(name.to_owned(), host);
        }
        self.hosts.get_mut(name).expect("it was put there just now")
    }

    /// Labels that an image has from its building.
    pub fn image_labels(&self, reference: &str) -> BTreeMap<String, String> {
        let ours = repository(reference) == repository(&self.repository);
        ours.then(|| ("service".to_owned(), self.service.clone()))
            .into_iter()
            .collect()
    }
}

/// A reference without its tag.
pub fn repository(reference: &str) -> String {
    let canonical = canonical(reference);
    match canonical.split_once('@') {
        Some((repository, _)) => repository.to_owned(),
        None => canonical
            .rsplit_once(':')
            .map(|(repository, _)| repository.to_owned())
            .unwrap_or(canonical),
    }
}

fn made(name: &str, described: &case::Host, home: PathBuf, service: &str) -> Host {
    let mut host = Host {
        docker: described.docker,
        root: described.root,
        mirror: described.mirror.clone(),
        home,
        ..Host::default()
    };
    if described.network {
        host.networks.insert("kamal".to_owned());
    }
    let proxy = described.proxy.as_ref().map(|proxy| case::Container {
        name: PROXY.to_owned(),
        running: proxy.running,
        image: format!("basecamp/kamal-proxy:{}", proxy.version),
        labels: BTreeMap::from([(
            "org.opencontainers.image.title".to_owned(),
            PROXY.to_owned(),
        )]),
    });
    let service_label = BTreeMap::from([("service".to_owned(), service.to_owned())]);
    for (index, container) in proxy.iter().chain(&described.containers).enumerate() {
        let id = image_id(&container.image);
        let of_image = if container.labels.contains_key("role") {
            service_label.clone()
        } else if container.name == PROXY {
            container.labels.clone()
        } else {
            BTreeMap::new()
        };
        host.had_image(&container.image, &id, of_image);
        host.containers.push(Container {
            id: hex(&format!("{name} {} {index}", container.name)),
            name: container.name.clone(),
            image: container.image.clone(),
            image_id: id,
            state: if container.running {
                "running"
            } else {
                "exited"
            },
            labels: container.labels.clone(),
            body: if container.name == PROXY {
                proxy_body(&host.home, &container.image)
            } else {
                Json::Null
            },
            created: 1_700_000_000 + i64::try_from(index).unwrap_or(0) * 60,
            ..Container::default()
        });
    }
    for (tag, image) in &described.tags {
        let id = host.image(image).unwrap_or_else(|| image_id(image));
        host.had_image(tag, &id, service_label.clone());
        // The image a tag stands for is there under its own name too.
        host.had_image(image, &id, service_label.clone());
    }
    host
}

/// How Kamal makes the proxy's container (`kamal.md` §1.3, RUN).
fn proxy_body(home: &Path, image: &str) -> Json {
    let port = |port: &str| serde_json::json!([{"HostIp": "", "HostPort": port}]);
    serde_json::json!({
        "Image": image, "Env": [], "Labels": {}, "ExposedPorts": {"80/tcp": {}, "443/tcp": {}},
        "HostConfig": {
            "Binds": [
                "kamal-proxy-config:/home/kamal-proxy/.config/kamal-proxy",
                format!("{}/.kamal/proxy/apps-config:/home/kamal-proxy/.apps-config", home.display()),
            ],
            "NetworkMode": "kamal", "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}},
            "PortBindings": {"80/tcp": port("80"), "443/tcp": port("443")},
        },
        "NetworkingConfig": {"EndpointsConfig": {"kamal": {}}},
    })
}
