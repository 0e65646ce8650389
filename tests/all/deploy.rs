//! Deploys, by the binary, to real servers: Docker Engines behind sshd, a registry with a password, requests all the while.
//!
//! * [`local`]: this machine, without SSH.
//! * [`servers`]: two servers and a registry.
//! * [`failing`]: a version that does not get well.
//! * [`refused`]: what stops a deploy before it changes anything.
//! * [`interrupted`]: Ctrl-C, and SIGTERM.
//! * [`hooks`]: the project's own scripts.
//! * [`commands`]: Kamal's commands, on a project with everything; [`normal`]: its containers in the conformance cases' words.
//! * [`adopted`]: servers that Kamal made.
//! * [`building`]: what `builder` says.
//! * [`kamal`]: what Kamal left behind, destinations, roles, retention.

mod adopted;
mod building;
mod commands;
mod failing;
mod hooks;
mod interrupted;
mod kamal;
mod local;
mod normal;
mod refused;
mod servers;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use lab::prober::{Prober, Report};
use lab::sample::{self, Project};
use lab::{Engine, Host, Lab, http, proxy_stand_in};
use serde_json::Value as Json;

use crate::support::{Folder, plimsoll};

/// Longer than any request should take.
const PATIENCE: Duration = Duration::from_secs(5);
/// A secret that must be seen nowhere.
const CANARY: &str = "canary-7c0ffee1";

/// Somebody's project, their home and their servers, new for a test.
struct Stage {
    lab: Lab,
    home: Folder,
    project: Project,
    /// Everything plimsoll ever said here.
    said: Mutex<String>,
    /// It is about this machine.
    cleans: bool,
}

impl Drop for Stage {
    fn drop(&mut self) {
        // This machine's port 80 is given back; servers are reset by whoever needs them.
        if self.cleans && !std::thread::panicking() {
            lab::clean::clean().unwrap();
        }
    }
}

/// What a deploy printed, and how it ended.
struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Stage {
    /// Servers as new, and `examples/hello` configured for them; `None` where there can't be any.
    fn new(servers: usize) -> Option<Self> {
        let stage = Self::bare(servers)?;
        for host in &stage.lab.hosts {
            host.reset(&[&stage.repository(), "hello"]).unwrap();
            proxy_stand_in::load(Engine::On(host)).unwrap();
        }
        stage.configure(&stage.manifest(""));
        Some(stage)
    }

    /// This machine as the only server, as new.
    fn local() -> Option<Self> {
        let mut stage = Self::bare(0)?;
        stage.cleans = true;
        lab::clean::clean().unwrap();
        assert!(
            Engine::Local
                .docker(&["container", "inspect", proxy_stand_in::CONTAINER])
                .is_err(),
            "somebody needs the kamal-proxy that runs on this machine"
        );
        proxy_stand_in::load(Engine::Local).unwrap();
        Some(stage)
    }

    fn bare(servers: usize) -> Option<Self> {
        let lab = Lab::for_test(servers).unwrap()?;
        let home = Folder::new();
        let project = sample::stage(&home.path().join("project"), "one").unwrap();
        let known: Vec<&str> = lab
            .hosts
            .iter()
            .map(|host| host.known_hosts_line.as_str())
            .collect();
        home.write(".ssh/known_hosts", known.join("\n") + "\n");
        if let Some(host) = lab.hosts.first() {
            write_key(&home, host);
        }
        let said = Mutex::default();
        Some(Self {
            lab,
            home,
            project,
            said,
            cleans: false,
        })
    }

    /// Where the project's images are pushed.
    fn repository(&self) -> String {
        format!("{}/hello", self.lab.registry.address)
    }

    /// The manifest of this stage's servers, with more at its end.
    fn manifest(&self, more: &str) -> String {
        let servers: String = self.lab.hosts.iter().fold(String::new(), |mut text, host| {
            let _ = writeln!(text, "  - {}", host.address);
            text
        });
        let registry = &self.lab.registry;
        format!(
            "service: hello\nimage: hello\nservers:\n{servers}\
             registry:\n  server: {}\n  username: {}\n  password:\n    - REGISTRY_PASSWORD\n\
             proxy:\n  app_port: 3000\n  healthcheck:\n    path: /up\n    interval: 1\n\
             deploy_timeout: 4\ndrain_timeout: 4\nreadiness_delay: 1\n\
             builder:\n  arch: amd64\n  context: .\n{more}",
            registry.address, registry.username
        )
    }

    /// The manifest for this machine, with more at its end.
    fn local_manifest(&self, more: &str) -> String {
        format!(
            "service: hello\nimage: hello\nservers:\n  - local\n\
             proxy:\n  app_port: 3000\n  healthcheck:\n    path: /up\n    interval: 1\n\
             deploy_timeout: 4\ndrain_timeout: 4\n\
             builder:\n  arch: amd64\n  context: .\n{more}"
        )
    }

    /// Writes manifest and secrets, and commits them.
    fn configure(&self, manifest: &str) -> String {
        let password = &self.lab.registry.password;
        let arch = if std::env::consts::ARCH == "aarch64" {
            "arch: arm64"
        } else {
            "arch: amd64"
        };
        self.project
            .write("config/deploy.yml", &manifest.replace("arch: amd64", arch))
            .unwrap();
        self.project
            .write(
                ".kamal/secrets",
                &format!("REGISTRY_PASSWORD={password}\nCANARY={CANARY}\n"),
            )
            .unwrap();
        self.project.commit("configured").unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = plimsoll(self.home.path(), &self.project.folder);
        command.args(arguments).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Said {
        self.note(self.command(arguments).output().unwrap())
    }

    fn note(&self, output: Output) -> Said {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let said = Said {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        };
        let mut all = self.said.lock().unwrap();
        *all += &said.stdout;
        *all += &said.stderr;
        said
    }

    /// Deploys; answers with the last line of standard output.
    fn deploys(&self, arguments: &[&str]) -> String {
        let said = self.run(&[&["deploy", "--yes"], arguments].concat());
        assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
        said.stdout.lines().last().unwrap_or_default().to_owned()
    }

    /// Deploys, and must fail; answers with standard error.
    fn fails(&self, arguments: &[&str]) -> String {
        let said = self.run(&[&["deploy", "--yes"], arguments].concat());
        assert_eq!(said.code, Some(1), "{}{}", said.stdout, said.stderr);
        self.assert_no_lock();
        said.stderr
    }

    /// Starts a deploy in the background.
    fn starts(&self, arguments: &[&str]) -> Child {
        self.command(&[&["deploy", "--yes"], arguments].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn host(&self, number: usize) -> &Host {
        &self.lab.hosts[number]
    }

    /// Names of the service's running containers on an Engine, newest first.
    fn running(&self, engine: Engine<'_>) -> Vec<String> {
        let filter = ["ps", "--filter", "label=service=hello"];
        let format = ["--format", "{{.Names}}"];
        let names = engine.docker(&[&filter[..], &format].concat()).unwrap();
        names.lines().map(str::to_owned).collect()
    }

    /// Every container of an Engine, with its id and whether it runs.
    fn containers(&self, engine: Engine<'_>) -> String {
        engine
            .docker(&[
                "ps",
                "-a",
                "--no-trunc",
                "--format",
                "{{.ID}} {{.Names}} {{.State}}",
            ])
            .unwrap()
    }

    /// Nobody holds a deploy lock anywhere.
    fn assert_no_lock(&self) {
        let here = fs::read_dir(self.home.path().join(".kamal"));
        let here = here.into_iter().flatten().flatten();
        let here: Vec<_> = here
            .map(|entry| entry.file_name())
            .filter(|name| name.to_string_lossy().starts_with("lock-"))
            .collect();
        assert!(here.is_empty(), "{here:?}");
        for host in self.up() {
            let there = host.ssh(&["sh", "-c", "ls -d .kamal/lock-* 2>/dev/null; true"]);
            assert_eq!(there.unwrap(), "", "on {}", host.name);
        }
    }

    /// The servers whose power is on.
    fn up(&self) -> impl Iterator<Item = &Host> {
        self.lab.hosts.iter().filter(|host| {
            let running = ["inspect", "--format", "{{.State.Running}}", &host.name];
            Engine::Local.docker(&running).unwrap() == "true"
        })
    }

    /// The journals of all runs, a value for each line.
    fn journals(&self) -> Vec<Json> {
        let files = self.journal_files().into_iter();
        let text: String = files
            .map(|file| fs::read_to_string(file).unwrap())
            .collect();
        // The last line of a run under way may be half written.
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    fn journal_files(&self) -> Vec<PathBuf> {
        let folder = self.home.path().join(".local/state/plimsoll/journal");
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        files.map(|entry| entry.path()).collect()
    }

    /// How often an operation was begun, over all runs.
    fn begun(&self, operation: &str) -> usize {
        let is_begun =
            |line: &&Json| line["kind"] == "intent" && line["entry"]["operation"] == operation;
        self.journals().iter().filter(is_begun).count()
    }
}

/// Gives a home the key that opens a server.
fn write_key(home: &Folder, host: &Host) {
    let key = home.write(".ssh/id_ed25519", fs::read(&host.key_path).unwrap());
    fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
}

/// What a server answers at `/`.
fn answer(address: &str) -> String {
    let url = format!("http://{address}/");
    http::get(&url, None, PATIENCE).unwrap().body
}

fn probe(address: &str) -> Prober {
    Prober::start(&format!("http://{address}/"), 50, None).unwrap()
}

fn assert_none_failed(report: &Report) {
    assert!(report.sent > 20, "{report}");
    assert!(report.failed.is_empty(), "{report}: {:?}", report.failed);
}

/// Waits until something is so.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
