//! The double of AWS in `tests/aws-double` as a process for people, and moto, which answers for the services it lacks.

pub mod demo;
pub mod name;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::command::{command, run, run_shown};
use crate::engine::last_lines;
use crate::report::say;
use crate::{LabError, cargo, process, state};

/// Released in 2026; what it answers is relied on in detail.
const MOTO: &str = "moto[server]==5.2.*";
/// Serves moto, and ends when nobody asked for a while.
const PROGRAM: &str = include_str!("aws/serve.py");
const DOUBLE: &str = "aws-double";
const START_LIMIT: Duration = Duration::from_secs(60);

/// Where moto answers on this machine; it is installed and started if need be, and shared by everybody.
///
/// What it keeps is apart by account: `x-moto-account-id` says which. It ends by itself after a while without requests.
pub fn moto() -> Result<SocketAddr, LabError> {
    let _lock = state::lock("aws-lock")?;
    let python = install()?;
    let folder = state::folder()?.join("aws");
    state::make_private(&folder)?;
    let pid_file = folder.join("moto.pid");
    let port_file = folder.join("moto.port");
    let address = || -> Option<SocketAddr> {
        let port = fs::read_to_string(&port_file).ok()?.trim().parse().ok()?;
        Some((Ipv4Addr::LOCALHOST, port).into())
    };
    let answers =
        |address: &SocketAddr| TcpStream::connect_timeout(address, Duration::from_secs(1)).is_ok();
    if process::running(&pid_file, "moto").is_some()
        && let Some(address) = address().filter(answers)
    {
        return Ok(address);
    }
    state::remove(&port_file)?;
    let program = folder.join("serve.py");
    state::write(&program, 0o600, PROGRAM)?;
    let log_file = folder.join("moto.log");
    let log = fs::File::create(&log_file).map_err(LabError::file(&log_file))?;
    let errors = log.try_clone().map_err(LabError::file(&log_file))?;
    let python = python.to_string_lossy();
    let mut moto = command(
        "setsid",
        [
            &*python,
            &*program.to_string_lossy(),
            &*port_file.to_string_lossy(),
        ],
    );
    moto.stdin(Stdio::null()).stdout(log).stderr(errors);
    let mut child = moto.spawn().map_err(|source| LabError::Start {
        program: "moto".to_owned(),
        source,
    })?;
    state::write(&pid_file, 0o600, child.id().to_string())?;
    let begun = Instant::now();
    loop {
        if let Some(address) = address().filter(answers) {
            return Ok(address);
        }
        let ended = child.try_wait().is_ok_and(|status| status.is_some());
        if ended || begun.elapsed() > START_LIMIT {
            return Err(LabError::NotReady {
                what: "moto listen".to_owned(),
                limit: START_LIMIT,
                detail: last_lines(&log_file, 3),
            });
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Starts the double of `tests/aws-double` with the application `demo` in it, unless it runs, and returns what a shell
/// reads to come to it.
pub fn up() -> Result<String, LabError> {
    let folder = state::folder()?.join("aws");
    state::make_private(&folder)?;
    let pid_file = folder.join("double.pid");
    let environment = folder.join("environment");
    if process::running(&pid_file, DOUBLE).is_some() && environment.exists() {
        return env();
    }
    say("building the double of AWS");
    let package = ["--quiet", "--package", DOUBLE];
    let mut build = command(cargo::program(), ["build"]);
    run_shown(build.args(package).current_dir(cargo::workspace()))?;
    state::remove(&environment)?;
    let log_file = folder.join("double.log");
    let log = fs::File::create(&log_file).map_err(LabError::file(&log_file))?;
    let errors = log.try_clone().map_err(LabError::file(&log_file))?;
    // `cargo run` becomes the program it runs: the process is the same.
    let mut double = command("setsid", [cargo::program(), "run"]);
    double
        .args(package)
        .arg("--")
        .arg(&environment)
        .current_dir(cargo::workspace())
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors);
    let mut child = double.spawn().map_err(|source| LabError::Start {
        program: DOUBLE.to_owned(),
        source,
    })?;
    state::write(&pid_file, 0o600, child.id().to_string())?;
    let begun = Instant::now();
    while !environment.exists() {
        let ended = child.try_wait().is_ok_and(|status| status.is_some());
        if ended || begun.elapsed() > 2 * START_LIMIT {
            return Err(LabError::NotReady {
                what: "the double of AWS answer".to_owned(),
                limit: 2 * START_LIMIT,
                detail: last_lines(&log_file, 3),
            });
        }
        thread::sleep(Duration::from_millis(50));
    }
    env()
}

/// What a shell reads to come to the double that runs.
pub fn env() -> Result<String, LabError> {
    let file = state::folder()?.join("aws/environment");
    fs::read_to_string(&file).map_err(|_| LabError::Machine {
        problem: "find the double of AWS".to_owned(),
        hint: "start it with `cargo lab aws up`".to_owned(),
    })
}

/// Stops the double, and moto behind it.
pub fn down() -> Result<(), LabError> {
    let folder = state::folder()?.join("aws");
    state::make_private(&folder)?;
    if process::stop(&folder.join("double.pid"), DOUBLE)? {
        say("stopped the double of AWS");
    }
    state::remove(&folder.join("environment"))?;
    name::forget()?;
    stop_moto()
}

/// Stops moto, and what it kept is gone.
pub fn stop_moto() -> Result<(), LabError> {
    let _lock = state::lock("aws-lock")?;
    let folder = state::folder()?.join("aws");
    if process::stop(&folder.join("moto.pid"), "moto")? {
        say("stopped moto");
    }
    Ok(())
}

/// The Python that has moto, installed at the first call. The caller holds the lock.
fn install() -> Result<PathBuf, LabError> {
    let folder = state::cache()?.join("plimsoll-moto");
    let done = folder.join("done");
    if !done.exists() {
        say("installing moto");
        run(command("python3", ["-m", "venv", "--clear"]).arg(&folder))?;
        let pip = folder.join("bin/pip");
        run(&mut command(
            &pip.to_string_lossy(),
            ["install", "--quiet", MOTO],
        ))?;
        state::write(&done, 0o600, MOTO)?;
    }
    Ok(folder.join("bin/python"))
}
