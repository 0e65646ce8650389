//! Taking away what the demonstration left on this machine, and nothing else.

use std::env;
use std::fs;
use std::path::PathBuf;

use crate::command::succeeds;
use crate::report::say;
use crate::{Engine, LabError, engine, proxy_stand_in, state};

const SERVICE: &str = "hello";
const NETWORK: &str = "kamal";
/// Keeps the proxy's state.
const VOLUME: &str = "kamal-proxy-config";

/// Removes the sample's containers and images, its files in `~/.kamal`, and the proxy with its network when nothing else uses them.
pub fn clean() -> Result<(), LabError> {
    let _lock = state::lock("lock")?;
    if engine::answers() {
        containers()?;
        images()?;
    }
    remove_files()
}

fn containers() -> Result<(), LabError> {
    let docker = |words: &[&str]| Engine::Local.docker(words);
    let ours = docker(&["ps", "-aq", "--filter", &format!("label=service={SERVICE}")])?;
    let ours: Vec<&str> = ours.lines().collect();
    if !ours.is_empty() {
        docker(&[&["rm", "-f", "-v"], &ours[..]].concat())?;
        say(format!("removed {} container(s) of {SERVICE}", ours.len()));
    }
    let others = docker(&[
        "ps",
        "-a",
        "--filter",
        &format!("network={NETWORK}"),
        "--format",
        "{{.Names}}",
    ])?;
    let others: Vec<&str> = others
        .lines()
        .filter(|name| *name != proxy_stand_in::CONTAINER)
        .collect();
    if !others.is_empty() {
        say(format!(
            "left kamal-proxy and its network, which {} still need(s)",
            others.join(", ")
        ));
        // Its route would lead nowhere. A proxy that is not running has nothing to forget.
        succeeds(&mut Engine::Local.command(&[
            "exec",
            proxy_stand_in::CONTAINER,
            "kamal-proxy",
            "remove",
            "hello-web",
        ]));
        return Ok(());
    }
    for (what, inspect, remove) in [
        (
            "kamal-proxy",
            vec!["container", "inspect", proxy_stand_in::CONTAINER],
            vec!["rm", "-f", "-v", proxy_stand_in::CONTAINER],
        ),
        (
            "the network kamal",
            vec!["network", "inspect", NETWORK],
            vec!["network", "rm", NETWORK],
        ),
        (
            "the volume kamal-proxy-config",
            vec!["volume", "inspect", VOLUME],
            vec!["volume", "rm", VOLUME],
        ),
    ] {
        if succeeds(&mut Engine::Local.command(&inspect)) {
            docker(&remove)?;
            say(format!("removed {what}"));
        }
    }
    Ok(())
}

fn images() -> Result<(), LabError> {
    let mut images = Vec::new();
    let filter = format!("label=service={SERVICE}");
    for of_image in [["--filter", &filter], ["--filter", "reference=hello"]] {
        images.extend(
            Engine::Local
                .docker(&[&["images", "-q"], &of_image[..]].concat())?
                .lines()
                .map(str::to_owned),
        );
    }
    if proxy_stand_in::is_loaded(Engine::Local) {
        images.push(proxy_stand_in::IMAGE.to_owned());
    }
    images.sort();
    images.dedup();
    for image in &images {
        Engine::Local.docker(&["rmi", "-f", image])?;
    }
    if !images.is_empty() {
        say(format!("removed {} image(s)", images.len()));
    }
    Ok(())
}

/// What deploying to this machine leaves in the home directory, as on any server; empty folders go too.
fn remove_files() -> Result<(), LabError> {
    let Some(home) = env::var_os("HOME").map(PathBuf::from) else {
        return Ok(());
    };
    let kamal = home.join(".kamal");
    for name in [
        format!("apps/{SERVICE}"),
        format!("proxy/apps-config/{SERVICE}"),
        format!("lock-{SERVICE}"),
    ] {
        let folder = kamal.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(LabError::file(&folder))?;
        }
    }
    state::remove(&kamal.join(format!("{SERVICE}-audit.log")))?;
    for folder in ["apps", "proxy/apps-config", "proxy", ""] {
        // Refused while there is something of another service in it, as it should be.
        let _ = fs::remove_dir(kamal.join(folder));
    }
    let staged = state::folder()?.join("demo");
    if staged.exists() {
        fs::remove_dir_all(&staged).map_err(LabError::file(&staged))?;
    }
    Ok(())
}
