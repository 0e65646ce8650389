//! What plimsoll costs: its pure commands against an empty process, a deploy to two servers against one to one, one to a
//! server that is far away, and whether those who use a server notice.
//!
//! Only ratios within one run say something: the machine is as busy as it is. So what is compared is also measured in turns.

mod templates;
mod traffic;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::command::{command, run};
use crate::delay::DelayedPath;
use crate::report::{print, say};
use crate::sample::{self, Project};
use crate::{Engine, Lab, LabError, cargo, proxy_stand_in, setup, state};

/// Runs of each pure command.
const RUNS: usize = 40;
/// Deploys to each number of hosts.
const DEPLOYS: usize = 3;
/// Manifests of the project: one host, two hosts, and the first of them far away.
const MANIFESTS: [&str; 3] = ["config/one.yml", "config/two.yml", "config/far.yml"];
/// Added to every exchange with the server that is far away; its registry is as near as ever.
const FAR: Duration = Duration::from_millis(100);
/// The one that names all hosts.
const ALL: &str = "config/all.yml";
/// An observation of both hosts.
const FACTS: &str = "facts.json";

/// Prints the figures of `plimsoll`, or of the release build of this folder.
pub fn bench(plimsoll: Option<&Path>) -> Result<(), LabError> {
    setup::needed()?;
    let plimsoll = match plimsoll {
        Some(program) => fs::canonicalize(program).map_err(LabError::file(program))?,
        None => {
            say("building plimsoll");
            cargo::build(cargo::workspace(), &["--package", "plimsoll"])?
        }
    };
    let lab = Lab::take(3)?;
    let bench = Bench::prepare(plimsoll, &lab)?;
    bench.pure_commands()?;
    bench.deploys()?;
    traffic::measure(&lab, || bench.deploy(ALL))?;
    bench.clean()
}

struct Bench {
    plimsoll: PathBuf,
    project: Project,
    repository: String,
    /// The way to the server that is far away.
    _path: DelayedPath,
    /// A home of its own: known hosts, journals and compiled components of this run alone.
    home: PathBuf,
}

impl Bench {
    fn prepare(plimsoll: PathBuf, lab: &Lab) -> Result<Self, LabError> {
        let home = state::folder()?.join("bench");
        if home.exists() {
            fs::remove_dir_all(&home).map_err(LabError::file(&home))?;
        }
        let project = sample::stage(&home.join("hello"), "Hello")?;
        let registry = &lab.registry;
        let near: Vec<&str> = lab.hosts.iter().map(|host| host.address.as_str()).collect();
        let (far, path) = lab.hosts[0].behind(FAR)?;
        let far = format!("\"{}:{}\"", far.address, far.port);
        for (manifest, hosts) in MANIFESTS
            .into_iter()
            .zip([&near[..1], &near[..2], &[&*far]])
        {
            project.write(manifest, &configuration(lab, hosts))?;
        }
        project.write(ALL, &configuration(lab, &near))?;
        project.write(
            ".kamal/secrets",
            &format!("REGISTRY_PASSWORD={}\n", registry.password),
        )?;
        let repository = format!("{}/hello", registry.address);
        for host in &lab.hosts {
            host.reset(&[&repository])?;
            proxy_stand_in::load(Engine::On(host))?;
        }
        let bench = Self {
            plimsoll,
            project,
            repository,
            _path: path,
            home,
        };
        say("deploying a first version to both hosts");
        bench.deploy(MANIFESTS[1])?;
        bench.say_nothing(&["plan", "-c", MANIFESTS[1], "--save-facts", FACTS])?;
        Ok(bench)
    }

    /// Takes away what was built on this machine, and the project.
    fn clean(&self) -> Result<(), LabError> {
        let names = ["images", "--format", "{{.Repository}}:{{.Tag}}"];
        let images = Engine::Local.docker(&[&names[..], &[&self.repository]].concat())?;
        // By their names: the same image may be somebody else's under another.
        let named = images.lines().filter(|image| !image.ends_with("<none>"));
        for image in named {
            Engine::Local.docker(&["rmi", "-f", image])?;
        }
        fs::remove_dir_all(&self.home).map_err(LabError::file(&self.home))
    }

    /// plimsoll with these words, in the project.
    fn command(&self, words: &[&str]) -> Command {
        let mut plimsoll = Command::new(&self.plimsoll);
        plimsoll
            .args(words)
            .current_dir(&self.project.folder)
            .env("HOME", &self.home);
        for name in [
            "XDG_CACHE_HOME",
            "XDG_STATE_HOME",
            "SSH_AUTH_SOCK",
            "VERSION",
        ] {
            plimsoll.env_remove(name);
        }
        plimsoll
    }

    fn say_nothing(&self, words: &[&str]) -> Result<(), LabError> {
        run(&mut self.command(words)).map(drop)
    }

    /// A version that was never there, as a commit is one; how long its deploy takes.
    fn deploy(&self, manifest: &str) -> Result<Duration, LabError> {
        self.project.commit("Hello")?;
        let begun = Instant::now();
        self.say_nothing(&["deploy", "--yes", "-c", manifest])?;
        Ok(begun.elapsed())
    }

    fn pure_commands(&self) -> Result<(), LabError> {
        let empty = empty_process(&self.home)?;
        // The version after the one in the facts: there is something to plan.
        self.project.commit("Hello")?;
        let two = MANIFESTS[1];
        let ours = |name, words: &[&str]| Row::new(name, self.command(words));
        let mut rows = vec![
            Row::new("an empty Rust process", command(&empty, [""; 0])),
            ours("plimsoll config", &["config", "-c", two]),
            ours(
                "  which asks no git",
                &["config", "-c", two, "--version", "1"],
            ),
            ours(
                "plimsoll plan --facts",
                &["plan", "-c", two, "--facts", FACTS],
            ),
        ];
        rows.extend(templates::rows(&self.home, |folder, words| {
            let mut plimsoll = self.command(words);
            plimsoll.current_dir(folder);
            plimsoll
        })?);
        for row in &mut rows {
            row.run()?;
        }
        for _ in 0..RUNS {
            for row in &mut rows {
                let took = row.run()?;
                row.took.push(took);
            }
        }
        print(format!(
            "whole process, {RUNS} runs in turns, components compiled before, {}",
            self.plimsoll.display()
        ));
        let unit = median(&mut rows[0].took);
        for Row { name, took, .. } in &mut rows {
            let middle = median(took);
            print(format!(
                "  {name:<28} {:>8.2} ms   {:>6.1} × empty   (fastest {:.2} ms)",
                milliseconds(middle),
                middle.as_secs_f64() / unit.as_secs_f64(),
                milliseconds(took[0]),
            ));
        }
        Ok(())
    }

    fn deploys(&self) -> Result<(), LabError> {
        let mut took = MANIFESTS.map(|_| Vec::new());
        for round in 1..=DEPLOYS {
            say(format!(
                "deploying to one host, to two and to one far away, {round} of {DEPLOYS}"
            ));
            for (manifest, took) in MANIFESTS.into_iter().zip(&mut took) {
                took.push(self.deploy(manifest)?);
            }
        }
        print(format!(
            "deploy of a new version (build, push, pull, switch, drain, prune), {DEPLOYS} runs in turns"
        ));
        let one = median(&mut took[0]);
        let names = ["to 1 host", "to 2 hosts", "to 1 host, 100 ms away"];
        for (name, took) in names.into_iter().zip(&mut took) {
            let middle = median(took);
            print(format!(
                "  {name:<24} {:>8.2} s    {:>6.2} × one host  (fastest {:.2} s)",
                middle.as_secs_f64(),
                middle.as_secs_f64() / one.as_secs_f64(),
                took[0].as_secs_f64(),
            ));
        }
        let added = median(&mut took[2]).saturating_sub(one);
        print(format!(
            "  100 ms on SSH only add {:.2} s to a deploy to one host: {:.1} round trips, of TCP and the login too",
            added.as_secs_f64(),
            added.as_secs_f64() / FAR.as_secs_f64(),
        ));
        Ok(())
    }
}

/// `config/deploy.yml` for hosts of the lab, over SSH and with its registry.
fn configuration(lab: &Lab, hosts: &[&str]) -> String {
    let registry = &lab.registry;
    let key = lab
        .hosts
        .first()
        .map(|host| host.key_path.to_string_lossy())
        .unwrap_or_default();
    let arch = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "amd64",
    };
    format!(
        "service: hello\nimage: hello\nservers: [{}]\n\
         registry:\n  server: {}\n  username: {}\n  password: [REGISTRY_PASSWORD]\n\
         ssh:\n  config: false\n  keys_only: true\n  keys: [{key:?}]\n\
         proxy:\n  app_port: 3000\n  healthcheck: {{ path: /up, interval: 1 }}\n\
         builder:\n  arch: {arch}\n  context: .\n",
        hosts.join(", "),
        registry.address,
        registry.username,
    )
}

/// `fn main() {}`, compiled: what any process costs here.
fn empty_process(folder: &Path) -> Result<String, LabError> {
    let source = folder.join("empty.rs");
    state::write(&source, 0o644, "fn main() {}\n")?;
    let program = folder.join("empty").to_string_lossy().into_owned();
    let mut rustc = command("rustc", ["--edition=2024", "-O", "-o", &program]);
    run(rustc.arg(&source).current_dir(cargo::workspace()))?;
    Ok(program)
}

/// A command that is measured.
struct Row {
    name: &'static str,
    command: Command,
    /// The exit code it has to end with.
    code: i32,
    took: Vec<Duration>,
}

impl Row {
    fn new(name: &'static str, command: Command) -> Self {
        Self {
            name,
            command,
            code: 0,
            took: Vec::new(),
        }
    }

    fn ending_with(self, code: i32) -> Self {
        Self { code, ..self }
    }

    /// How long it takes from its start to its end.
    fn run(&mut self) -> Result<Duration, LabError> {
        self.command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let begun = Instant::now();
        let ended = self.command.status();
        let took = begun.elapsed();
        match ended {
            Ok(status) if status.code() == Some(self.code) => Ok(took),
            _ => Err(LabError::Step(format!(
                "measure `{}`: it does not end with code {}",
                crate::command::line(&self.command),
                self.code
            ))),
        }
    }
}

/// The middle one; sorts them. There is at least one.
fn median(took: &mut [Duration]) -> Duration {
    took.sort();
    took[took.len() / 2]
}

fn milliseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_of_what_was_measured() {
        let mut took = [9, 1, 5].map(Duration::from_millis);
        assert_eq!(median(&mut took), Duration::from_millis(5));
        assert_eq!(took[0], Duration::from_millis(1));
    }

    #[test]
    fn a_command_that_ends_otherwise_is_not_a_measurement() {
        let row = |program: &str| Row::new("a test", command(program, [""; 0]));
        assert!(row("false").run().is_err());
        assert!(row("true").run().is_ok());
        assert!(row("false").ending_with(1).run().is_ok());
    }
}
