//! The process of one case: plimsoll's own command line, on a simulated clock and a simulated network.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use plimsoll::cli::footing::Footing;

use crate::case::Case;
use crate::given::Given;
use crate::network::Simulated;
use crate::registry::Authority;
use crate::world::World;
use crate::{normal, shell, trips};

/// Runs the case that was set up in a folder. What the servers saw is in `seen.json` there, before this returns.
pub fn run(folder: &Path) -> ExitCode {
    match prepared(folder) {
        Ok((world, given, footing)) => {
            let case = world.lock().case.clone();
            let code = plimsoll::cli::main_on(line(&case), footing);
            let mut document = normal::document(&world.lock(), &given);
            if std::env::var_os(trips::ROUND_TRIP).is_some() {
                document["clock"] = world.since_login().into();
            }
            if let Err(error) = fs::write(folder.join("seen.json"), document.to_string()) {
                eprintln!("error: {error}");
            }
            code
        }
        Err(error) => {
            eprintln!("conformance: {error}");
            ExitCode::from(99)
        }
    }
}

/// The command line: the name `kamal`, by which plimsoll answers as Kamal does, and the case's own words.
fn line(case: &Case) -> Vec<OsString> {
    let kamal = std::iter::once("kamal".to_owned());
    kamal
        .chain(case.argv.iter().cloned())
        .map(OsString::from)
        .collect()
}

type Prepared = (World, Given, Footing);

fn prepared(folder: &Path) -> Result<Prepared, Box<dyn std::error::Error>> {
    let case: Case = serde_json::from_slice(&fs::read(folder.join("case.json"))?)?;
    let environment = std::env::vars().collect();
    let given = Given::read(&folder.join("project"), &case.argv, &environment);
    let service = given.service();
    let world = World::new(case, folder, &service, &given.repository());
    world.lock().secrets = given.secrets.iter().cloned().collect();
    let destination = crate::given::parse(&world.lock().case.argv)
        .1
        .remove("--destination");
    let lock = match destination {
        Some(destination) => format!("lock-{service}-{destination}"),
        None => format!("lock-{service}"),
    };
    {
        let mut inner = world.lock();
        let described = inner.case.state.hosts.clone();
        for (name, described) in described {
            let app = lock.trim_start_matches("lock-");
            folders(inner.host(&name), app)?;
            let here = inner.host(&name);
            let home = here.home.display().to_string();
            for container in &mut here.containers {
                let Some(role) = container.labels.get("role").cloned() else {
                    continue;
                };
                let destination = container
                    .labels
                    .get("destination")
                    .filter(|name| !name.is_empty());
                let prefix = match destination {
                    Some(destination) => format!("{service}-{role}-{destination}-"),
                    None => format!("{service}-{role}-"),
                };
                let version = container.name.strip_prefix(&prefix).unwrap_or_default();
                let image = &container.image;
                let body = given
                    .prior
                    .body(&name, &role, &container.name, version, image, &home);
                container.body = body.unwrap_or_default();
            }
            shell::settle(inner.host(&name), &described, &lock)?;
        }
    }
    let authority = Authority::new(&folder.join("authority.pem"))?;
    let round_trip = std::env::var(trips::ROUND_TRIP)
        .ok()
        .and_then(|milliseconds| milliseconds.parse().ok())
        .map_or(Duration::ZERO, Duration::from_millis);
    let footing = Footing {
        runtime: || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build()
        },
        network: Some(Box::new(Simulated::new(
            world.clone(),
            authority,
            round_trip,
        ))),
    };
    Ok((world, given, footing))
}

/// Folders that Kamal had made on a host, for what is there.
fn folders(host: &mut crate::world::Host, app: &str) -> std::io::Result<()> {
    let mut names = vec![".kamal".to_owned()];
    for container in &host.containers {
        match container.labels.get("role") {
            Some(_) => names.extend([
                format!(".kamal/apps/{app}"),
                format!(".kamal/proxy/apps-config/{app}"),
            ]),
            None if container.name == crate::world::PROXY => {
                names.push(".kamal/proxy/apps-config".to_owned());
            }
            None => names.push(container.name.clone()),
        }
    }
    names
        .iter()
        .try_for_each(|name| fs::create_dir_all(host.home.join(name)))
}
