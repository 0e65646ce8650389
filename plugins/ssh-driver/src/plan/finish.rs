//! After everything runs: the `latest` tag, and what is kept of the past.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::call::{Call, Promise};
use crate::facts::{Container, HostFacts};
use crate::plan::boot::replaced_name;
use crate::plan::{Input, Refusal};
use crate::step::{Boot, Step, Task};

/// Tags and prunes on a host.
pub fn plan(
    input: &Input<'_>,
    host: &str,
    boots: &[(String, Boot)],
) -> Result<Option<Step>, Refusal> {
    let release = &input.desired.release;
    let facts = input.facts(host)?;
    let roles = input.desired.roles_on(host);
    let Some((_, role)) = roles.first() else {
        return Ok(None);
    };
    let booted: Vec<&Boot> = boots
        .iter()
        .filter(|(at, _)| at == host)
        .map(|(_, boot)| boot)
        .collect();
    let promise = |id: String, call| Promise::always(format!("{host}/{id}"), host, call);
    let audit = |id: &str, message: &str| input.audit(format!("{host}/{id}"), host, None, message);
    let stopped = stopped_after(input, facts, host, &booted);
    let removed: Vec<&str> = stopped
        .iter()
        .skip(release.retain_containers as usize)
        .map(|(name, _)| name.as_str())
        .collect();
    let kept: BTreeSet<&str> = stopped
        .iter()
        .take(release.retain_containers as usize)
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
    let names = facts.images.iter().flat_map(|image| &image.references);
    let unused: BTreeSet<&String> = names
        .filter(|name| !kept.contains(name.as_str()) && !is_latest(name))
        .collect();
    let tag = Call::Tag {
        image: role.image.clone(),
        reference: release.image.latest.clone(),
    };
    let first = [
        audit(
            "tag/audit",
            &format!("Tagging {} as the latest image", role.image),
        ),
        audit("prune/audit", "Pruned containers"),
        audit("prune/image-audit", "Pruned images"),
        promise("tag".into(), tag),
    ];
    let removals = removed.into_iter().map(|name| {
        promise(
            format!("prune/{name}"),
            Call::Remove {
                name: name.to_owned(),
            },
        )
    });
    let first: Vec<Promise> = first.into_iter().chain(removals).collect();
    // After the containers that use them.
    let untags = unused.into_iter().map(|reference| {
        promise(
            format!("prune/image/{reference}"),
            Call::RemoveImage {
                reference: reference.clone(),
            },
        )
    });
    let dangling = Call::PruneImages {
        labels: vec![("service".into(), release.service.clone())],
    };
    let second: Vec<Promise> = untags.collect();
    // Alone, as an Engine fails to remove an image that it is pruning at the same moment.
    let third = vec![promise("prune/dangling".into(), dangling)];
    Ok(Some(Step {
        id: format!("{host}/finish"),
        title: format!("tag and prune on {host}"),
        host: Some(host.to_owned()),
        task: Task::Finish {
            rounds: [first, second, third]
                .into_iter()
                .filter(|round| !round.is_empty())
                .collect(),
        },
    }))
}

/// Containers of the destination that will not run when everything has booted, those replaced now and then the newest
/// first, under the names they will have.
fn stopped_after<'a>(
    input: &Input<'_>,
    facts: &'a HostFacts,
    host: &str,
    booted: &[&Boot],
) -> Vec<(String, &'a Container)> {
    let release = &input.desired.release;
    let stale: Vec<&str> = input
        .desired
        .roles_on(host)
        .into_iter()
        .flat_map(|(role, _)| facts.stale(release, role))
        .map(|container| container.id.as_str())
        .collect();
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
