//! What is kept of the past: containers to go back to, and the images of what there is (`kamal.md` §1.9). By destination,
//! other than with Kamal, which counts the containers of all destinations together.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::call::{Call, Promise};
use crate::facts::{Container, HostFacts};
use crate::plan::boot::replaced_name;
use crate::plan::{Input, Proposal, Refusal};
use crate::request::Prune;
use crate::step::{Boot, Step};

/// Rounds of calls, and their lines for the audit log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pruning {
    /// Lines of the audit log.
    pub lines: Vec<&'static str>,
    /// First the containers.
    pub containers: Vec<Promise>,
    /// Then images that none of them uses any more: names, and what has no name.
    pub images: Vec<Promise>,
}

/// `prune …`.
pub fn plan(input: &Input<'_>, what: Prune) -> Result<Proposal, Refusal> {
    // Accessories' hosts too, as Kamal: other than a deploy, this is about nothing else.
    let hosts = input.desired.meant_hosts();
    let mut steps = Vec::new();
    for host in &hosts {
        let facts = input.facts(host)?;
        let retain = match what {
            Prune::All => Some(input.desired.release.retain_containers),
            Prune::Containers { retain } => {
                Some(retain.unwrap_or(input.desired.release.retain_containers))
            }
            Prune::Images => None,
        };
        let stopped = stopped_after(input, facts, host, None);
        let mut pruning = prune(input, host, facts, &stopped, retain);
        if let Prune::Containers { .. } = what {
            pruning.images.clear();
            pruning.lines.truncate(1);
        }
        let audit = input.audit(host, "prune/audit", None, &pruning.lines);
        pruning.containers.insert(0, audit);
        let title = format!("prune {host}");
        let rounds = vec![pruning.containers, pruning.images];
        steps.extend(input.work("prune", host, "prune", title, rounds));
    }
    Ok(Proposal {
        steps: input.locked(&hosts, steps)?,
        notes: Vec::new(),
    })
}

/// Prunes the hosts that were set up for accessories alone.
pub fn besides(input: &Input<'_>) -> Result<Vec<Step>, Refusal> {
    let hosts = input.desired.all_hosts().into_iter();
    let besides = hosts.filter(|host| input.desired.roles_on(host).is_empty());
    let steps = besides.map(|host| {
        let pruning = after_boots(input, host, &[])?;
        let audit = input.audit(host, "prune/audit", None, &pruning.lines);
        let rounds = vec![vec![audit], pruning.containers, pruning.images];
        let title = format!("prune {host}");
        Ok(input.work("finish", host, "prune", title, rounds))
    });
    Ok(steps
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .flatten()
        .collect())
}

/// What is pruned on a host after its boots.
pub fn after_boots(
    input: &Input<'_>,
    host: &str,
    booted: &[&(String, Boot)],
) -> Result<Pruning, Refusal> {
    let facts = input.facts(host)?;
    let booted: Vec<&Boot> = booted.iter().map(|(_, boot)| boot).collect();
    let stopped = stopped_after(input, facts, host, Some(&booted));
    let retain = input.desired.release.retain_containers;
    Ok(prune(input, host, facts, &stopped, Some(retain)))
}

/// Without a number to retain no container is removed.
fn prune(
    input: &Input<'_>,
    host: &str,
    facts: &HostFacts,
    stopped: &[(String, &Container)],
    retain: Option<u32>,
) -> Pruning {
    let release = &input.desired.release;
    let retained = retain.map_or(stopped.len(), |retain| retain as usize);
    let roles = input.desired.roles_on(host);
    let kept: BTreeSet<&str> = stopped
        .iter()
        .take(retained)
        .map(|(_, container)| *container)
        .chain(
            facts
                .containers
                .iter()
                .filter(|other| !stopped.iter().any(|(_, one)| one.id == other.id)),
        )
        .map(|container| container.image.as_str())
        .chain(roles.iter().map(|(_, role)| role.image.as_str()))
        .collect();
    let removals = stopped.iter().skip(retained).map(|(name, _)| {
        let call = Call::Remove { name: name.clone() };
        input.promise(host, &format!("prune/{name}"), call)
    });
    let names = facts.images.iter().flat_map(|image| &image.references);
    let unused: BTreeSet<&String> = names
        .filter(|name| !kept.contains(name.as_str()) && !is_latest(name))
        .collect();
    // After the containers that use them.
    let untags = unused.into_iter().map(|reference| {
        let call = Call::RemoveImage {
            reference: reference.clone(),
        };
        input.promise(host, &format!("prune/image/{reference}"), call)
    });
    let dangling = Call::PruneImages {
        labels: vec![("service".into(), release.service.clone())],
    };
    let dangling = [input.promise(host, "prune/dangling", dangling)];
    let containers = retain.is_some().then_some("Pruned containers");
    Pruning {
        lines: containers.into_iter().chain(["Pruned images"]).collect(),
        containers: removals.collect(),
        images: untags.chain(dangling).collect(),
    }
}

/// Containers of the destination that will not run when everything has booted, those replaced now and then the newest
/// first, under the names they will have.
fn stopped_after<'a>(
    input: &Input<'_>,
    facts: &'a HostFacts,
    host: &str,
    booted: Option<&[&Boot]>,
) -> Vec<(String, &'a Container)> {
    let release = &input.desired.release;
    let stale: Vec<&str> = input
        .desired
        .roles_on(host)
        .into_iter()
        // Without a deploy they go on running.
        .filter(|_| booted.is_some())
        .flat_map(|(role, _)| facts.stale(release, role))
        .map(|container| container.id.as_str())
        .collect();
    let booted = booted.unwrap_or_default();
    let replaced: Vec<&str> = booted
        .iter()
        .filter_map(|boot| facts.current(release, &boot.role))
        .map(|container| container.id.as_str())
        .collect();
    let name = |container: &Container| {
        let in_the_way = booted.iter().any(|boot| boot.container == container.name);
        if in_the_way {
            replaced_name(container)
        } else {
            container.name.clone()
        }
    };
    let stops = |container: &&Container| {
        container.is_stopped()
            || stale.contains(&&*container.id)
            || replaced.contains(&&*container.id)
    };
    let mut stopped: Vec<_> = facts
        .of_destination(release)
        .filter(stops)
        .map(|one| (name(one), one))
        .collect();
    // What served until now is what one goes back to, however old it is.
    stopped.sort_by_key(|(_, container)| {
        (
            !replaced.contains(&&*container.id),
            Reverse(container.created),
        )
    });
    stopped
}

/// `latest` and every destination's `latest-DESTINATION`.
fn is_latest(reference: &str) -> bool {
    let tag = reference
        .rsplit_once('/')
        .map_or(reference, |(_, name)| name)
        .rsplit_once(':')
        .map(|(_, tag)| tag);
    tag.is_some_and(|tag| tag == "latest" || tag.starts_with("latest-"))
}
