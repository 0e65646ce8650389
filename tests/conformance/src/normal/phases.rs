//! The coarse order of what happened.

use super::Facts;
use crate::world::{LOCAL, PROXY, What};

/// Phases by the time of what belongs to them.
pub(super) fn timeline(facts: &Facts<'_>) -> Vec<(u128, String)> {
    let mut line: Vec<(u128, String)> = Vec::new();
    let roles = |host: &str, name: &str| {
        facts
            .on(host)
            .any(|seen| matches!(&seen.what, What::Created { name: made, .. } if made == name))
    };
    let mut booted = false;
    for seen in &facts.inner.seen {
        let phase = match &seen.what {
            What::Built { .. } | What::Pushed { .. } => "build",
            What::Pulled { image, .. } if image.contains(PROXY) => "proxy",
            What::Pulled { .. } if seen.host != LOCAL => "pull",
            What::LockTaken { .. } => "lock",
            What::LockGone { .. } => "unlock",
            What::Created { name, .. } | What::Started { name, .. } if name == PROXY => "proxy",
            What::Created { body, .. } if body["Labels"]["role"].is_string() => {
                booted = true;
                "boot:1"
            }
            What::Created { body, .. } if body["Labels"]["service"].is_string() => "accessories",
            What::Stopped { name, labels, .. }
                if labels.contains_key("role") && !roles(&seen.host, name) =>
            {
                match (booted, facts.boots()) {
                    (true, _) => continue,
                    (false, true) => "stale",
                    (false, false) => "app-stop",
                }
            }
            What::Tagged { to, .. } if to.contains(":latest") => "tag",
            What::ImagesPruned { .. } => "prune",
            What::DockerInstalled => "bootstrap",
            _ => continue,
        };
        line.push((seen.real, phase.to_owned()));
    }
    for record in &facts.records {
        if let Some(hook) = &record.hook {
            line.push((record.real, format!("hook:{hook}")));
        } else if record.arguments.iter().any(|word| word == "build") {
            line.push((record.real, "build".to_owned()));
        }
    }
    line.sort_by_key(|(real, _)| *real);
    line
}

/// The phases, each once where it began; hooks each time.
pub(super) fn phases(facts: &Facts<'_>) -> Vec<String> {
    let mut phases: Vec<String> = Vec::new();
    for (_, phase) in timeline(facts) {
        if phase.starts_with("hook:") || !phases.contains(&phase) {
            phases.push(phase);
        }
    }
    phases
}
