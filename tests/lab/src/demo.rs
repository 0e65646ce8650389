//! The demonstration: a first deploy to this machine, then a second one while somebody keeps asking.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::command::{command, line, run_shown, succeeds};
use crate::prober::Prober;
use crate::proxy_stand_in::{CONTAINER, IMAGE};
use crate::report::{print, say};
use crate::sample::{self, Project};
use crate::{Engine, LabError, cargo, engine, http, proxy_stand_in, setup, state};

/// Where a deploy to `local` can be seen.
const URL: &str = "http://127.0.0.1/";
const RATE: u32 = 50;
/// How long Docker Hub may take to send an image of 30 MB.
const PULL_LIMIT: Duration = Duration::from_secs(60);
/// How long the first byte of an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the demonstration; an error if anything went wrong, a single request among them.
pub fn demo() -> Result<(), LabError> {
    setup::needed()?;
    refuse_an_engine_that_is_only_roots()?;
    refuse_a_stranger_on_port_80()?;
    find_a_proxy()?;
    let plimsoll = build()?;
    let folder = state::folder()?.join("demo/hello");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(LabError::file(&folder))?;
    }
    let project = sample::stage(&folder, "Hello, world")?;
    say(format!("the project is in {}", folder.display()));

    deploy(&plimsoll, &project)?;
    let first = answer()?;
    print(format!("$ curl {URL}\n{first}"));

    project.commit("Hello again, world")?;
    let prober = Prober::start(URL, RATE, None)?;
    let deployed = deploy(&plimsoll, &project);
    // The old container is gone by now; whatever still went to it would fail.
    thread::sleep(Duration::from_secs(1));
    let report = prober.stop();
    deployed?;
    let second = answer()?;
    print(format!("$ curl {URL}\n{second}"));
    for (answer, count) in &report.answers {
        print(format!("{count:>6} × {}", answer.trim()));
    }
    print(format!(
        "while it was deployed, at {RATE} requests a second: {report}"
    ));
    print("`cargo lab clean` takes it all away again");
    if let Some((when, why)) = report.failed.first() {
        return Err(LabError::Step(format!(
            "deploy without a dropped request: after {} ms one got {why}",
            when.as_millis()
        )));
    }
    if first == second {
        return Err(LabError::Step(
            "see the second version answer: it is still the first".to_owned(),
        ));
    }
    Ok(())
}

/// Shown, because it takes minutes the first time.
pub(crate) fn build() -> Result<PathBuf, LabError> {
    say("building plimsoll");
    let mut shown = command(
        cargo::program(),
        ["build", "--release", "--package", "plimsoll"],
    );
    run_shown(shown.current_dir(cargo::workspace()))?;
    cargo::build(cargo::workspace(), &["--package", "plimsoll"])
}

fn deploy(plimsoll: &Path, project: &Project) -> Result<(), LabError> {
    let mut deploy = Command::new(plimsoll);
    deploy
        .args(["deploy", "--yes"])
        .current_dir(&project.folder);
    print("$ plimsoll deploy --yes");
    run_shown(&mut deploy)
}

fn answer() -> Result<String, LabError> {
    let answer = http::get(URL, None, PATIENCE)?;
    match answer.status {
        200 => Ok(answer.body.trim().to_owned()),
        status => Err(LabError::Step(format!(
            "see {URL} answer 200: it answers {status}"
        ))),
    }
}

/// plimsoll itself does not go through sudo.
pub(crate) fn refuse_an_engine_that_is_only_roots() -> Result<(), LabError> {
    if !engine::is_only_roots() {
        return Ok(());
    }
    Err(LabError::Machine {
        problem: "use the Docker Engine: its socket is for root and the group `docker`".to_owned(),
        hint: "run `sudo usermod -aG docker $USER`, log in again, and run this again".to_owned(),
    })
}

/// The proxy must have port 80; whoever has it now is named.
fn refuse_a_stranger_on_port_80() -> Result<(), LabError> {
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
    if TcpStream::connect_timeout(&here, Duration::from_secs(1)).is_err() {
        return Ok(());
    }
    let containers =
        Engine::Local.docker(&["ps", "--filter", "publish=80", "--format", "{{.Names}}"])?;
    let hint = match containers.lines().next() {
        Some(CONTAINER) => return Ok(()),
        Some(name) => format!("free it with `docker stop {name}`"),
        None => "find the program with `ss -ltnp sport = :80` and stop it".to_owned(),
    };
    Err(LabError::Machine {
        problem: "publish the proxy on port 80: something else listens there".to_owned(),
        hint,
    })
}

/// The real image where there is one or Docker Hub gives it; else the stand-in under the same name.
fn find_a_proxy() -> Result<(), LabError> {
    let is_there = succeeds(&mut Engine::Local.command(&["image", "inspect", IMAGE]));
    if is_there && !proxy_stand_in::is_loaded(Engine::Local) {
        return Ok(());
    }
    if !is_there && pull()? {
        return Ok(());
    }
    if !is_there {
        say(
            "Docker Hub can't be reached, so a stand-in for kamal-proxy from tests/kamal-proxy is used",
        );
    }
    proxy_stand_in::load(Engine::Local)
}

fn pull() -> Result<bool, LabError> {
    say(format!("pulling {IMAGE}"));
    let mut pull = Engine::Local.command(&["pull", "--quiet", IMAGE]);
    pull.stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let not_started = |source| LabError::Start {
        program: line(&Engine::Local.command(&["pull", IMAGE])),
        source,
    };
    let mut child = pull.spawn().map_err(not_started)?;
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(not_started)? {
            return Ok(status.success());
        }
        if begun.elapsed() > PULL_LIMIT {
            // It may have ended in between, which is as good.
            let _ = child.kill();
            let _ = child.wait();
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(100));
    }
}
