//! The commands: what `docker exec kamal-proxy kamal-proxy …` may say.

use std::time::Duration;

use crate::flags::{Flags, Kind, Known};
use crate::options::{DEPLOY, Options};
use crate::router::{Deployment, Router};
use crate::state::{Kept, Mode};

/// Flags of `run`. Each may also be given by the environment, as `HTTP_PORT` or `KAMAL_PROXY_HTTP_PORT`.
pub const RUN: Known = &[
    ("debug", Kind::Switch),
    ("http-port", Kind::Number),
    ("https-port", Kind::Number),
    ("metrics-port", Kind::Number),
    ("http3", Kind::Switch),
];
const STOP: Known = &[("drain-timeout", Kind::Duration), ("message", Kind::Text)];
const NONE: Known = &[];
/// Of deploying as of draining.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Does what the words say and returns what to print; the error is what follows `Error: `.
pub async fn run(words: &[String], router: &Router) -> Result<String, String> {
    let (command, words) = words.split_first().ok_or("no command")?;
    match command.as_str() {
        "deploy" => {
            let (service, flags) = one_service(DEPLOY, words)?;
            let targets = flags.list("target");
            if targets.is_empty() {
                return Err("required flag(s) \"target\" not set".to_owned());
            }
            let deployment = Deployment {
                service,
                targets,
                options: Options::read(&flags)?,
                deploy_timeout: flags.duration("deploy-timeout", DEFAULT_TIMEOUT),
                drain_timeout: flags.duration("drain-timeout", DEFAULT_TIMEOUT),
                force: flags.switch("force", false),
            };
            router
                .deploy(deployment)
                .await
                .map_err(|error| error.to_string())?;
        }
        "remove" | "rm" => {
            let (service, _) = one_service(NONE, words)?;
            router.remove(&service).map_err(|error| error.to_string())?;
        }
        "stop" => {
            let (service, flags) = one_service(STOP, words)?;
            let drain_timeout = flags.duration("drain-timeout", DEFAULT_TIMEOUT);
            let message = flags.text("message").unwrap_or_default();
            router
                .stop(&service, message, drain_timeout)
                .await
                .map_err(|error| error.to_string())?;
        }
        "resume" => {
            let (service, _) = one_service(NONE, words)?;
            router.resume(&service).map_err(|error| error.to_string())?;
        }
        "list" | "ls" => {
            Flags::read(NONE, words)?;
            return Ok(table(&router.list()));
        }
        other => return Err(format!("unknown command {other:?} for \"kamal-proxy\"")),
    }
    Ok(String::new())
}

fn one_service(known: Known, words: &[String]) -> Result<(String, Flags), String> {
    let mut flags = Flags::read(known, words)?;
    match flags.words.len() {
        1 => Ok((flags.words.remove(0), flags)),
        count => Err(format!("accepts 1 arg(s), received {count}")),
    }
}

fn table(services: &[Kept]) -> String {
    let mut rows = vec![["Service", "Host", "Path", "Target", "State", "TLS"].map(str::to_owned)];
    rows.extend(services.iter().map(|service| {
        let hosts = if service.options.hosts.is_empty() {
            "*".to_owned()
        } else {
            service.options.hosts.join(",")
        };
        let state = match service.mode {
            Mode::Running => "running",
            Mode::Stopped(_) => "stopped",
        };
        let tls = if service.options.tls { "yes" } else { "no" };
        [
            service.name.clone(),
            hosts,
            service.options.path_prefixes.join(","),
            service.active_targets.join(","),
            state.to_owned(),
            tls.to_owned(),
        ]
    }));
    let widths: Vec<usize> = (0..6)
        .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0))
        .collect();
    let line = |row: &[String; 6]| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
