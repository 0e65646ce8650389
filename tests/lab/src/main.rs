//! `cargo lab`: stands up what plimsoll is tried on.

use std::process::ExitCode;

use lab::report::{print, say};
use lab::servers::{Down, down};
use lab::{Lab, LabError, aws, bench, checks, clean, demo, setup, templates};

const HELP: &str = "\
usage: cargo lab <command>

  setup         install what is missing: Rust targets, Debian packages, a Docker Engine
  up N          N real servers (sshd and Docker) and a registry; prints how to reach them
  down [--all]  remove them; --all also stops the Docker Engine the lab started
  demo          deploy examples/hello to this machine, twice, and count dropped requests
  clean         take away what the demonstration left
  bench [FILE]  time of plimsoll's commands and of deploys to one host and to two
  aws demo      deploy examples/copilot to an AWS on this machine, without an account
  aws up|env|down  an AWS on this machine with a Copilot application in it, and how to reach it
  lint-templates  what cfn-lint says of the templates of the conformance data
  test          everything that must hold before a change is merged";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["setup"] => setup::all(),
        ["up"] => up(1),
        ["up", count] => match count.parse() {
            Ok(count) => up(count),
            Err(_) => return usage(),
        },
        ["down"] => down(Down::Lab),
        ["down", "--all"] => down(Down::Everything),
        ["demo"] => demo::demo(),
        ["clean"] => clean::clean(),
        ["bench"] => bench::bench(None),
        ["bench", plimsoll] => bench::bench(Some(plimsoll.as_ref())),
        ["aws", "up"] => aws::up().map(print),
        ["aws", "demo"] => aws::demo::demo(),
        ["aws", "env"] => aws::env().map(print),
        ["aws", "down"] => aws::down(),
        ["lint-templates"] => templates::lint(),
        ["test"] => checks::check(),
        ["help" | "--help" | "-h"] => {
            print(HELP);
            return ExitCode::SUCCESS;
        }
        _ => return usage(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format!("failed to {error}"));
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    say(HELP);
    ExitCode::from(2)
}

fn up(count: usize) -> Result<(), LabError> {
    let lab = Lab::up(count)?;
    for host in &lab.hosts {
        print(format!("{} {}", host.name, host.address));
    }
    if let Some(host) = lab.hosts.first() {
        print(format!(
            "ssh -i {} {}@{}",
            host.key_path.display(),
            host.user,
            host.address
        ));
    }
    let registry = &lab.registry;
    print(format!(
        "registry {} user {} password {} ca {}",
        registry.address,
        registry.username,
        registry.password,
        registry.ca_path.display()
    ));
    Ok(())
}
