//! After everything runs: the `latest` tag.

use crate::call::{Call, Promise};
use crate::plan::Input;
use crate::plan::prune::Pruning;
use crate::step::Step;

/// What tags the image of a host's first role as the latest, and its line in the audit log; `None` where there is no role.
pub fn tag(input: &Input<'_>, host: &str) -> Option<(String, Vec<Promise>)> {
    let roles = input.desired.roles_on(host);
    let (_, role) = roles.first()?;
    let call = Call::Tag {
        image: role.image.clone(),
        reference: input.desired.release.image.latest.clone(),
    };
    let line = format!("Tagging {} as the latest image", role.image);
    Some((line, vec![input.promise(host, "tag", call)]))
}

/// Tags and prunes on a host, with one entry in the audit log for both.
pub fn step(
    input: &Input<'_>,
    host: &str,
    tag: Option<(String, Vec<Promise>)>,
    prune: Option<Pruning>,
) -> Option<Step> {
    let (line, tag) = tag?;
    let mut lines = vec![line.as_str()];
    let mut rounds = vec![tag];
    let what = match prune {
        Some(prune) => {
            lines.extend(prune.lines);
            let mut pruning = prune.rounds.into_iter();
            rounds[0].extend(pruning.next().into_iter().flatten());
            rounds.extend(pruning);
            "tag and prune"
        }
        None => "tag",
    };
    rounds[0].insert(0, input.audit(host, "finish/audit", None, &lines));
    input.work(
        "finish",
        host,
        "finish",
        format!("{what} on {host}"),
        rounds,
    )
}
