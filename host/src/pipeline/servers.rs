//! What a user runs on servers by hand: `server exec`.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value as Json, json};

use super::observe::run_hooks;
use super::render::render;
use super::version::context;
use super::{DeployError, Host, Request};
use crate::report::Verdict;
use crate::wire::{Command, ExecOutput, WireError};
use crate::wit::types::Context;

/// Longest time a command may take. Kamal waits for ever.
const LIMIT: Duration = Duration::from_secs(3600);

/// The selected hosts, and where commands are written down on them.
pub(super) struct Servers {
    pub(super) context: Context,
    pub(super) hosts: Vec<String>,
    pub(super) primary_host: String,
    pub(super) primary_role: String,
    audit_log: String,
}

pub(super) async fn servers(request: &Request, host: &Host) -> Result<Servers, DeployError> {
    let context = context(request, host).await?;
    let rendered = render(request, host, &context).await?;
    run_hooks(host, &rendered, "before-observe").await?;
    host.read_secrets().await?;
    let release = rendered
        .documents
        .iter()
        .find(|document| document.address == "release");
    let body: Json = release
        .and_then(|document| serde_json::from_str(&document.body).ok())
        .unwrap_or_default();
    let hosts = body["hosts"].as_array().into_iter().flatten();
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    Ok(Servers {
        context,
        hosts: hosts.filter_map(Json::as_str).map(str::to_owned).collect(),
        primary_host: text("primary_host"),
        primary_role: text("primary_role"),
        audit_log: text("audit_log"),
    })
}

/// Runs the command of `server exec` on every selected host, by its login shell, and shows what each says.
///
/// # Errors
/// When a host can't be reached, or its command fails. All hosts were tried then.
pub async fn exec(request: &Request, host: &Host) -> Result<Verdict, DeployError> {
    let line = request.asked["cmd"].as_str().unwrap_or_default().trim();
    if line.is_empty() {
        return Err(DeployError::Refused(
            "No command provided. You must specify a command to execute.".to_owned(),
        ));
    }
    let servers = servers(request, host).await?;
    let raw = request.asked["raw"].as_bool() == Some(true);
    let runs = servers
        .hosts
        .iter()
        .map(|name| run(host, &servers, name, line));
    let mut failed = Vec::new();
    for (name, result) in servers.hosts.iter().zip(join_all(runs).await) {
        match result {
            Ok(output) if raw => host.reporter.data(&host.run.redacted(&output.stdout)),
            Ok(output) => {
                let text = host.run.redacted(&output.stdout);
                host.reporter
                    .data(&format!("App Host: {name}\n{}\n\n", text.trim_end()));
                if output.code != 0 {
                    let said = host.run.redacted(&output.stderr);
                    failed.push(format!(
                        "{name}: exit status {}\n{}",
                        output.code,
                        said.trim_end()
                    ));
                }
            }
            Err(error) => failed.push(format!("{name}: {error}")),
        }
    }
    if failed.is_empty() {
        let text = format!("ran it on {}", servers.hosts.join(", "));
        return Ok(host.verdict(text, &servers.context));
    }
    Err(DeployError::Refused(format!(
        "failed to run `{line}` on {} of {} hosts\n{}",
        failed.len(),
        servers.hosts.len(),
        failed.join("\n")
    )))
}

async fn run(
    host: &Host,
    servers: &Servers,
    name: &str,
    line: &str,
) -> Result<ExecOutput, WireError> {
    let entry = json!({"plugin": "host", "operation": "server.exec", "subject": name, "arguments": {"cmd": line}});
    host.run
        .journal
        .write("intent", &entry)
        .map_err(|source| WireError::Io {
            what: host.run.journal.path().display().to_string(),
            source,
        })?;
    let place = host.run.hosts.place(name).await?;
    // As Kamal writes it; a home that can't be written to is no reason to refuse.
    let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now());
    let said = format!(
        "[{now}] [{}] Executed cmd '{line}' on {name}\n",
        host.run.performer
    );
    let note = [
        "sh",
        "-c",
        "mkdir -p .kamal && cat >> \"$1\"",
        "sh",
        &servers.audit_log,
    ];
    let audit = Command::new(note).stdin(said.into_bytes());
    let _ = place.exec(audit).await?;
    place
        .exec(Command::new(["sh", "-c", line]).timeout(LIMIT))
        .await
}
