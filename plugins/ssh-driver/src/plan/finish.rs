//! After everything runs: the `latest` tag.

use crate::call::{Call, Promise};
use crate::plan::Input;
use crate::plan::prune::Pruning;
use crate::step::{Step, Task};

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

/// Tags and prunes on a host, with one entry in the audit log for both; the images, of which no lock has to be held, in a
/// step of their own.
pub fn steps(
    input: &Input<'_>,
    host: &str,
    tag: Option<(String, Vec<Promise>)>,
    prune: Option<Pruning>,
) -> [Option<Step>; 2] {
    let Some((line, tag)) = tag else {
        return [None, None];
    };
    let mut lines = vec![line.as_str()];
    let mut first = tag;
    let mut images = Vec::new();
    let mut what = "tag";
    if let Some(prune) = prune {
        lines.extend(prune.lines);
        first.extend(prune.containers);
        images = prune.images;
        what = "tag and prune";
    }
    first.insert(0, input.audit(host, "finish/audit", None, &lines));
    let title = format!("{what} on {host}");
    let old = format!("remove old images from {host}");
    [
        input.work(Task::FINISH, host, "finish", title, vec![first]),
        input.work(Task::IMAGES, host, "images", old, vec![images]),
    ]
}
