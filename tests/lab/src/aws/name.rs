//! Registries' names of ECR that lead to this machine: accounts with an address each, used by one double at a time.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::Path;

use crate::command::{as_root, run_with_input};
use crate::report::say;
use crate::{LabError, setup, state};

/// Regions in which the names are known.
const REGIONS: [&str; 2] = ["eu-west-1", "us-east-1"];
/// The account people see.
const PEOPLES: &str = "123456789012";
/// How many tests can use a registry at the same time.
const TESTS: u8 = 16;
/// Behind each line, so that it is found again.
const MARK: &str = "# plimsoll-lab";
const HOSTS: &str = "/etc/hosts";

/// An account whose registry is at an address of this machine, for as long as it is held.
#[derive(Debug)]
pub struct Name {
    /// `123456789012`.
    pub account: String,
    /// In 127.0.0.0/8: Engines ask there without TLS.
    pub address: Ipv4Addr,
    _held: File,
}

/// Who asks for a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// `cargo lab aws up`.
    People,
    /// A test: any name that nobody holds.
    Test,
}

/// Holds a name. The machine is made to know all of them at the first call.
pub fn name(holder: For) -> Result<Name, LabError> {
    {
        let _lock = state::lock("lock")?;
        setup::machine()?;
        tell()?;
    }
    let numbers = match holder {
        For::People => 0..=0,
        For::Test => 1..=TESTS,
    };
    for number in numbers.clone() {
        if let Some(held) = state::try_lock(&format!("aws-name-{number}"))? {
            return Ok(held_by(number, held));
        }
    }
    let number = *numbers.start();
    let held = state::lock(&format!("aws-name-{number}"))?;
    Ok(held_by(number, held))
}

fn held_by(number: u8, held: File) -> Name {
    Name {
        account: account(number),
        address: address(number),
        _held: held,
    }
}

fn account(number: u8) -> String {
    match number {
        0 => PEOPLES.to_owned(),
        number => format!("2000000000{number:02}"),
    }
}

fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 5, number + 1)
}

/// Writes the names to where this machine looks them up. An Engine sees them after 5 seconds, so they stay.
fn tell() -> Result<(), LabError> {
    let known = fs::read_to_string(HOSTS).map_err(LabError::file(Path::new(HOSTS)))?;
    let missing: String = (0..=TESTS)
        .flat_map(|number| REGIONS.map(|region| line(number, region)))
        .filter(|line| !known.contains(line.as_str()))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    say("naming registries of ECR in /etc/hosts");
    // In place: in a container the file itself is mounted and can't be replaced.
    run_with_input(&mut as_root("tee", ["-a", HOSTS]), missing.as_bytes())?;
    std::thread::sleep(std::time::Duration::from_secs(6));
    Ok(())
}

fn line(number: u8, region: &str) -> String {
    let (account, address) = (account(number), address(number));
    format!("{address} {account}.dkr.ecr.{region}.amazonaws.com {MARK}\n")
}

/// Lets everybody on this machine listen on port 80, where Engines look for a registry without TLS.
pub fn open_port() -> Result<(), LabError> {
    say("ports from 80 on may be listened on by everybody until this machine starts again");
    let setting = "net.ipv4.ip_unprivileged_port_start=80";
    crate::command::run(&mut as_root("sysctl", ["-q", "-w", setting])).map(drop)
}

/// This machine no longer knows the names.
pub fn forget() -> Result<(), LabError> {
    let known = fs::read_to_string(HOSTS).map_err(LabError::file(Path::new(HOSTS)))?;
    if !known.contains(MARK) {
        return Ok(());
    }
    let kept: String = known
        .lines()
        .filter(|line| !line.ends_with(MARK))
        .map(|line| format!("{line}\n"))
        .collect();
    run_with_input(&mut as_root("tee", [HOSTS]), kept.as_bytes()).map(drop)
}
