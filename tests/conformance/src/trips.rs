//! How often a deploy waits for an answer of a server, one time after the other: what a round trip adds on a simulated
//! clock, from the last login on.
//!
//! The same deploy runs twice, once with servers that are far away. What it takes longer is trips, and nothing else: no
//! time is measured, so a busy machine changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::batch::Bench;
use crate::case::{Case, Container, Git, Host, State};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The variable that says how many milliseconds a round trip to a server takes.
pub const ROUND_TRIP: &str = "CONFORMANCE_ROUND_TRIP";
/// Far enough away that no work on a server is a part of it.
const FAR: u64 = 2000;
const REPOSITORY: &str = "registry.example.com/acme/app";

/// Counts and prints, a line for each number of hosts: the number, and the trips.
///
/// # Errors
/// When a deploy can't be set up, or fails.
pub fn run(hosts: &[&str]) -> Result<()> {
    let bench = Bench::new()?;
    for hosts in hosts {
        println!("{hosts} {}", count(&bench, hosts.parse()?)?);
    }
    Ok(())
}

/// Round trips of a deploy of one proxied role to so many hosts, on which a version runs and older ones are kept.
///
/// # Errors
/// When it can't be set up, or fails.
pub fn count(bench: &Bench, hosts: usize) -> Result<u64> {
    let near = took(bench, hosts, 0)?;
    // Real programs run on the servers: on a busy machine one that is late can cost a trip.
    let mut far = u64::MAX;
    for _ in 0..6 {
        far = far.min(took(bench, hosts, FAR)?);
    }
    Ok((far.saturating_sub(near) + FAR / 2) / FAR)
}

/// Simulated milliseconds from the last login to the last thing that was done.
fn took(bench: &Bench, hosts: usize, round_trip: u64) -> Result<u64> {
    let names: Vec<String> = (1..=hosts)
        .map(|n| format!("10.0.{}.{}", n / 200, n % 200 + 1))
        .collect();
    let project = bench.folder().join("far-away");
    write(&project, &names)?;
    let case = Case {
        id: format!("trips-{hosts}-{round_trip}"),
        argv: ["deploy", "-P", "--version", "9"].map(str::to_owned).into(),
        env: BTreeMap::from([(ROUND_TRIP.to_owned(), round_trip.to_string())]),
        git: Git {
            repo: true,
            ..Git::default()
        },
        state: State {
            hosts: names.into_iter().map(|name| (name, settled())).collect(),
            ..State::default()
        },
        ..Case::default()
    };
    let document = bench.run(&case, &project)?;
    if document["exit_code"] != 0 {
        return Err(format!("the deploy failed: {}", document["error"]).into());
    }
    document["clock"]
        .as_u64()
        .ok_or_else(|| "nothing was seen".into())
}

fn write(project: &Path, hosts: &[String]) -> Result<()> {
    fs::create_dir_all(project.join("config"))?;
    fs::create_dir_all(project.join(".kamal"))?;
    let manifest = format!(
        "service: app\nimage: acme/app\nservers: [{}]\nregistry:\n  server: registry.example.com\n  username: user\n  password: [PASSWORD]\nbuilder:\n  arch: amd64\n",
        hosts.join(", ")
    );
    fs::write(project.join("config/deploy.yml"), manifest)?;
    fs::write(project.join(".kamal/secrets"), "PASSWORD=secret\n")?;
    Ok(fs::write(project.join("Dockerfile"), "FROM scratch\n")?)
}

/// A host after many deploys: version 8 runs, and the seven before it are there.
fn settled() -> Host {
    let container = |version: u32| Container {
        name: format!("app-web-{version}"),
        running: version == 8,
        image: format!("{REPOSITORY}:{version}"),
        labels: [("service", "app"), ("role", "web"), ("destination", "")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    };
    let tag = |name: String, version: u32| {
        (
            format!("{REPOSITORY}:{name}"),
            format!("{REPOSITORY}:{version}"),
        )
    };
    Host {
        containers: (1..=8).map(container).collect(),
        tags: (1..=8)
            .map(|version| tag(version.to_string(), version))
            .chain([tag("latest".to_owned(), 8)])
            .collect(),
        ..Host::default()
    }
}
