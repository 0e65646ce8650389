//! Docker on hosts that have none (`kamal server bootstrap`).

use crate::call::Call;
use crate::plan::{Input, Proposal, Refusal};
use crate::step::Step;

/// Installs Docker where it is missing, then runs the hook `docker-setup`.
pub fn plan(input: &Input<'_>, hosts: &[&str]) -> Result<Vec<Step>, Refusal> {
    let mut steps = Vec::new();
    for host in hosts {
        let docker = input.facts(host)?.docker.unwrap_or_default();
        if docker.is_ready() {
            continue;
        }
        if !docker.can_be_ready() {
            return Err(Refusal::NoDocker((*host).to_owned()));
        }
        let install = input.promise(host, "bootstrap/docker", Call::InstallDocker {});
        let title = match docker.installed {
            true => format!("let the user use Docker on {host}"),
            false => format!("install Docker on {host}"),
        };
        steps.extend(input.work("bootstrap", host, "bootstrap", title, vec![vec![install]]));
    }
    steps.extend(input.hook("docker-setup", None));
    Ok(steps)
}

/// `server bootstrap`.
pub fn command(input: &Input<'_>) -> Result<Proposal, Refusal> {
    let steps = plan(input, &input.desired.meant_hosts())?;
    // Kamal takes its lock all the same.
    if steps.is_empty() && !input.request.reboot {
        return Ok(Proposal::default());
    }
    Ok(Proposal {
        steps: input.locked(&[], steps)?,
        notes: Vec::new(),
    })
}
