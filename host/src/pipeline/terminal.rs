//! Commands that take the user's terminal along: `app exec -i`, `app logs -f`. As with Kamal it is the system's own `ssh`
//! that does, so that keys, agents and escape characters are as people know them.

use serde_json::{Value as Json, json};

use super::servers::servers;
use super::{DeployError, Host, Request};
use crate::manifest::kamal::{SshConfigFiles, SshSection};
use crate::wire::docker::Which;
use crate::wire::ssh::quote;
use crate::wire::{Engine, Target, WireError};

/// Whether a request needs the terminal.
pub fn needs_terminal(asked: &Json) -> bool {
    ["interactive", "follow"]
        .iter()
        .any(|flag| asked[*flag] == Json::Bool(true))
}

/// The command line to become.
///
/// # Errors
/// When the host can't be reached, or has no such container.
pub async fn terminal(request: &Request, host: &Host) -> Result<Vec<String>, DeployError> {
    let asked = &request.asked;
    let set = |flag: &str| asked[flag] == Json::Bool(true);
    if set("interactive") && (set("raw") || set("detach")) {
        let what = if set("raw") { "Raw" } else { "Detach" };
        return Err(refused(&format!(
            "{what} is not compatible with interactive"
        )));
    }
    let line = asked["cmd"].as_str().unwrap_or_default();
    if set("interactive") && line.is_empty() {
        return Err(refused(
            "No command provided. You must specify a command to execute.",
        ));
    }
    let servers = servers(request, host).await?;
    let mut place = servers.primary_host.clone();
    let container = match request.command() {
        "server exec" => None,
        "proxy logs" => Some("kamal-proxy".to_owned()),
        command if command.starts_with("accessory ") => {
            let name = asked["name"].as_str().unwrap_or_default();
            let accessories = &host.project.envelope.accessories;
            let accessory = accessories.iter().find(|own| own.name == name);
            let accessory = accessory
                .ok_or_else(|| refused(&format!("No accessory by the name of '{name}'")))?;
            let mut hosts = accessory
                .hosts
                .iter()
                .filter(|own| servers.hosts.contains(own));
            place = hosts.next().unwrap_or(&place).clone();
            Some(accessory.container.clone())
        }
        _ => Some(running(host, &place, &servers.primary_role).await?),
    };
    let there = match container {
        None => line.to_owned(),
        Some(container) if set("follow") => logs(asked, &container),
        Some(container) if set("reuse") => {
            format!("docker exec -it {}{container} {line}", variables(asked))
        }
        Some(container) => {
            let copy = copy(host, &place, &container, asked, line).await?;
            format!("docker start --attach --interactive {copy}")
        }
    };
    if place == crate::capability::hosts::LOCAL {
        return Ok(["sh", "-c", &there].map(str::to_owned).to_vec());
    }
    let target: Target = place.parse().map_err(|source| failed(&place, source))?;
    Ok(ssh(&host.project.envelope.ssh, &target, &there))
}

fn refused(why: &str) -> DeployError {
    DeployError::Refused(why.to_owned())
}

fn failed(place: &str, source: WireError) -> DeployError {
    DeployError::Wire {
        doing: format!("find a container on {place}"),
        source,
    }
}

/// The newest container of a role that runs.
async fn running(host: &Host, place: &str, role: &str) -> Result<String, DeployError> {
    let envelope = &host.project.envelope;
    let destination = envelope.destination.as_deref().unwrap_or_default();
    let labels = [
        format!("service={}", envelope.service),
        format!("role={role}"),
        format!("destination={destination}"),
    ];
    let fail = |source| failed(place, source);
    let engine = host.run.hosts.engine(place).await.map_err(fail)?;
    let mut found = engine
        .containers(Which::Running, &labels)
        .await
        .map_err(fail)?;
    found.sort_by_key(|container| container.created);
    let newest = found
        .pop()
        .and_then(|container| container.names.into_iter().next());
    newest.ok_or_else(|| {
        refused(&format!(
            "no container of role `{role}` runs on {place}\nhint: start one with `app boot`"
        ))
    })
}

/// A container for one command: the image and the environment of the one that runs, a terminal of its own, and gone when
/// the command has ended. Its variables never are on a command line.
async fn copy(
    host: &Host,
    place: &str,
    of: &str,
    asked: &Json,
    line: &str,
) -> Result<String, DeployError> {
    let fail = |source| failed(place, source);
    let engine: Engine = host.run.hosts.engine(place).await.map_err(fail)?;
    let there = engine.inspect_container(of).await.map_err(fail)?;
    let there = there.ok_or_else(|| refused(&format!("there is no container {of} on {place}")))?;
    let mut variables = there["Config"]["Env"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let given = asked["env"].as_object().into_iter().flatten();
    variables.extend(
        given.map(|(name, value)| json!(format!("{name}={}", value.as_str().unwrap_or_default()))),
    );
    let image = match asked["version"].as_str() {
        Some(version) => {
            let repository = host.project.envelope.repository().unwrap_or_default();
            json!(format!("{repository}:{version}"))
        }
        None => there["Config"]["Image"].clone(),
    };
    let network = there["HostConfig"]["NetworkMode"].clone();
    let specification = json!({
        "Image": image,
        "Env": variables,
        "Cmd": ["sh", "-c", line],
        "Tty": true,
        "OpenStdin": true,
        "StdinOnce": true,
        "AttachStdin": true,
        "AttachStdout": true,
        "AttachStderr": true,
        "HostConfig": {
            "AutoRemove": true,
            "NetworkMode": network,
            "Binds": there["HostConfig"]["Binds"],
        },
    });
    let name = format!("{of}-exec-{}", &host.run_id()[..6]);
    let entry = json!({"plugin": "host", "operation": "docker.create", "subject": place, "arguments": {"name": name, "image": image}});
    host.run.journal.write("intent", &entry).map_err(|source| {
        fail(WireError::Io {
            what: "the journal".to_owned(),
            source,
        })
    })?;
    engine.create(&name, &specification).await.map_err(fail)?;
    Ok(name)
}

impl Host {
    /// Twelve hexadecimal digits of this run, from its moment.
    fn run_id(&self) -> String {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos());
        format!("{:012x}", now & 0xffff_ffff_ffff)
    }
}

fn variables(asked: &Json) -> String {
    let given = asked["env"].as_object().into_iter().flatten();
    given
        .map(|(name, value)| {
            let pair = format!("{name}={}", value.as_str().unwrap_or_default());
            format!("--env {} ", quote(&[pair]))
        })
        .collect()
}

/// `docker logs --follow`, filtered as asked.
fn logs(asked: &Json, container: &str) -> String {
    let text = |flag: &str| asked[flag].as_str();
    let mut line = "docker logs".to_owned();
    if asked["skip-timestamps"] != Json::Bool(true) {
        line.push_str(" --timestamps");
    }
    if let Some(since) = text("since") {
        line.push_str(&format!(" --since {}", quote(&[since.to_owned()])));
    }
    // Ten lines to begin with, unless something else chooses them.
    let lines = asked["lines"].as_i64();
    let default = (text("since").is_none() && text("grep").is_none()).then_some(10);
    if let Some(lines) = lines.or(default) {
        line.push_str(&format!(" --tail {lines}"));
    }
    line.push_str(&format!(" --follow {container} 2>&1"));
    if let Some(pattern) = text("grep") {
        let options = text("grep-options").map(|options| format!(" {options}"));
        let pattern = quote(&[pattern.to_owned()]);
        line.push_str(&format!(" | grep {pattern}{}", options.unwrap_or_default()));
    }
    line
}

/// `ssh` with the project's options, as Kamal calls it.
fn ssh(section: &SshSection, target: &Target, line: &str) -> Vec<String> {
    let mut argv = vec!["ssh".to_owned()];
    match &section.config {
        SshConfigFiles::Default => {}
        SshConfigFiles::None => argv.extend(["-F", "/dev/null"].map(str::to_owned)),
        SshConfigFiles::Files(files) => {
            argv.extend(
                files
                    .iter()
                    .flat_map(|file| ["-F".to_owned(), file.clone()]),
            );
        }
    }
    match (&section.proxy, &section.proxy_command) {
        (Some(jump), _) => {
            let jump = match jump.contains('@') {
                true => jump.clone(),
                false => format!("root@{jump}"),
            };
            argv.extend(["-J".to_owned(), jump]);
        }
        (None, Some(command)) => {
            argv.extend(["-o".to_owned(), format!("ProxyCommand={command}")]);
        }
        (None, None) => {}
    }
    argv.extend(
        section
            .keys
            .iter()
            .flat_map(|key| ["-i".to_owned(), key.clone()]),
    );
    if section.keys_only {
        argv.extend(["-o", "IdentitiesOnly=yes"].map(str::to_owned));
    }
    let user = target.user.as_deref().unwrap_or(&section.user);
    let port = target.port.unwrap_or(section.port);
    argv.extend(["-t".to_owned(), format!("{user}@{}", target.host)]);
    argv.extend(["-p".to_owned(), port.to_string(), line.to_owned()]);
    argv
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Envelope;

    #[test]
    fn ssh_is_called_as_kamal_calls_it() {
        for (section, host, expected) in [
            ("{}", "web-1", "ssh -t root@web-1 -p 22 top"),
            (
                "{user: app, port: 2222}",
                "web-1",
                "ssh -t app@web-1 -p 2222 top",
            ),
            ("{}", "me@web-1:23", "ssh -t me@web-1 -p 23 top"),
            (
                "{proxy: jump.example.com}",
                "[::1]",
                "ssh -J root@jump.example.com -t root@::1 -p 22 top",
            ),
            (
                "{proxy_command: nc %h}",
                "a",
                "ssh -o ProxyCommand=nc %h -t root@a -p 22 top",
            ),
            (
                "{config: false, keys: [k], keys_only: true}",
                "a",
                "ssh -F /dev/null -i k -o IdentitiesOnly=yes -t root@a -p 22 top",
            ),
        ] {
            let manifest = format!("service: app\nssh: {section}\n");
            let envelope =
                Envelope::read(&[("config/deploy.yml", &manifest)], None).expect("reads");
            let target: Target = host.parse().expect("parses");
            assert_eq!(ssh(&envelope.ssh, &target, "top").join(" "), expected);
        }
    }

    #[test]
    fn logs_begin_with_ten_lines_unless_something_else_chooses_them() {
        for (asked, expected) in [
            (
                json!({}),
                "docker logs --timestamps --tail 10 --follow c 2>&1",
            ),
            (
                json!({"lines": 5, "skip-timestamps": true}),
                "docker logs --tail 5 --follow c 2>&1",
            ),
            (
                json!({"since": "5m"}),
                "docker logs --timestamps --since 5m --follow c 2>&1",
            ),
            (
                json!({"grep": "a b", "grep-options": "-i"}),
                "docker logs --timestamps --follow c 2>&1 | grep 'a b' -i",
            ),
        ] {
            assert_eq!(logs(&asked, "c"), expected);
        }
    }
}
