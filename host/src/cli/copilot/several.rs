//! `deploy` in a Copilot workspace: several workloads, group by group.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use futures::future::join_all;

use super::arguments::{Several, Shared};
use super::choose::{self, Chosen};
use super::deploy::{carry_out, run};
use super::start::{self, Consent, Place, Ready};
use super::{Called, Kind, outcome};
use crate::cli::environment::Environment;
use crate::interrupt::Interrupt;
use crate::manifest::copilot::Workspace;
use crate::pipeline::DeployError;
use crate::pipeline::several::{self, One};
use crate::report::{Format, Reporter, Verdict};

/// Workloads with their priorities; those without one come last.
type Named = Vec<(String, Option<u32>)>;

/// Runs the command to its exit code.
pub(in crate::cli) fn deploy(
    called: Called,
    arguments: &Several,
    yes: bool,
    diff: bool,
    format: Format,
) -> ExitCode {
    let consent = Consent {
        yes: yes || arguments.shared.diff_yes || (called.as_copilot && !diff),
        diff: diff || arguments.shared.diff_yes,
    };
    run(called, format, async |environment, reporter| {
        all(&environment, &reporter, arguments, consent).await
    })
}

async fn all(
    environment: &Environment,
    reporter: &Arc<Reporter>,
    arguments: &Several,
    consent: Consent,
) -> Result<(), DeployError> {
    let flags = &arguments.shared;
    let workspace =
        Workspace::find(&environment.folder, flags.app.as_deref()).map_err(start::lost)?;
    let named = named(&arguments.name)?;
    let known = workspace.workloads();
    if let Some((name, _)) = named.iter().find(|(name, _)| !known.contains(name)) {
        return Err(DeployError::Project(format!(
            "no workload `{name}` in this workspace\nhint: it has {}",
            known.join(", ")
        )));
    }
    let session = start::session(reporter).await?;
    let chosen =
        choose::environment(&session, reporter, &workspace, flags.env.as_deref(), None).await?;
    let groups = groups(reporter, &workspace, &chosen, named, arguments.all)?;
    let place = Place {
        environment,
        reporter,
        workspace: &workspace,
        session: &session,
        interrupt: &Interrupt::default(),
    };
    let names: Vec<&str> = groups.iter().flatten().map(String::as_str).collect();
    if let [name] = names.as_slice() {
        let (ready, kind) = prepare(&place, &chosen, name, flags, consent).await?;
        return carry_out(&ready, name, kind).await;
    }
    reporter.aside(&order(&groups));
    let preparing = names
        .iter()
        .map(|name| prepare(&place, &chosen, name, flags, consent));
    let ready = several::together(&names, join_all(preparing).await)?;
    let ready: BTreeMap<&str, (Ready, Kind)> = names.iter().copied().zip(ready).collect();
    let one = |name: &'_ String| {
        let (name, (ready, _)) = ready
            .get_key_value(name.as_str())
            .expect("each was prepared");
        One {
            name,
            request: &ready.request,
            host: &ready.host,
        }
    };
    let groups: Vec<Vec<One<'_>>> = groups
        .iter()
        .map(|group| group.iter().map(one).collect())
        .collect();
    let ended = async |one: &One<'_>, verdict: &Verdict| {
        let (ready, kind) = &ready[one.name];
        outcome::tell(ready, one.name, *kind, verdict).await;
        Ok(())
    };
    let again = |left: &[Vec<&str>]| command(left, &chosen.environment, flags);
    several::deploy(&groups, ended, again).await
}

/// What it takes to deploy one of them.
async fn prepare(
    place: &Place<'_>,
    chosen: &Chosen,
    name: &str,
    flags: &Shared,
    consent: Consent,
) -> Result<(Ready, Kind), DeployError> {
    let components = &chosen.records.components;
    let kind = components.get(name).map(|found| found.kind.as_str());
    // A static site has no tasks to start anew: it takes no part in that.
    let flags = Shared {
        force: flags.force && kind != Some("Static Site"),
        ..flags.clone()
    };
    let kind = Kind::of(kind.unwrap_or_default());
    let command = format!("{} deploy", kind.group());
    let ready = start::ready(place, chosen, name, &flags, consent, &command).await?;
    Ok((ready, kind))
}

/// The command that deploys groups, as this one would have.
fn command(groups: &[Vec<&str>], environment: &str, flags: &Shared) -> String {
    let mut line = "plimsoll deploy".to_owned();
    for (number, group) in groups.iter().enumerate() {
        for name in group {
            match groups.len() {
                1 => line.push_str(&format!(" -n {name}")),
                _ => line.push_str(&format!(" -n {name}/{}", number + 1)),
            }
        }
    }
    line.push_str(&format!(" --env {environment}"));
    if let Some(tag) = &flags.tag {
        line.push_str(&format!(" --tag {tag}"));
    }
    for (key, value) in &flags.resource_tags {
        line.push_str(&format!(" --resource-tags {key}={value}"));
    }
    for (name, given) in [
        ("force", flags.force),
        ("detach", flags.detach),
        ("no-rollback", flags.no_rollback),
        ("allow-downgrade", flags.allow_downgrade),
    ] {
        if given {
            line.push_str(&format!(" --{name}"));
        }
    }
    line
}

/// `api/1`: the name and its priority.
fn named(words: &[String]) -> Result<Named, DeployError> {
    let mut found = Named::new();
    for word in words {
        let (name, priority) = match word.split_once('/') {
            None => (word.as_str(), None),
            Some((name, number)) => {
                let number = number.parse().map_err(|_| {
                    DeployError::Project(format!(
                        "`{word}`: the priority must be a number\nhint: write it as {name}/1"
                    ))
                })?;
                (name, Some(number))
            }
        };
        if found.iter().any(|(known, _)| known == name) {
            return Err(DeployError::Project(format!(
                "`{name}` is named twice\nhint: name every workload once"
            )));
        }
        found.push((name.to_owned(), priority));
    }
    Ok(found)
}

/// The groups, in order.
fn groups(
    reporter: &Reporter,
    workspace: &Workspace,
    chosen: &Chosen,
    named: Named,
    everything: bool,
) -> Result<Vec<Vec<String>>, DeployError> {
    let initialised = choose::initialised(workspace, &chosen.records, None);
    if let Some((name, _)) = named.iter().find(|(name, _)| !initialised.contains(name)) {
        return Err(DeployError::Project(format!(
            "`{name}` is not initialised in application `{}`\nhint: do that with `copilot svc init --name {name}`, or `copilot job init` for a job",
            workspace.application
        )));
    }
    let named = match (named.is_empty(), everything, initialised.as_slice()) {
        (true, false, [only]) => {
            reporter.aside(&format!("Only found one option, defaulting to: {only}"));
            vec![(only.clone(), None)]
        }
        (true, false, []) | (true, true, []) => {
            return Err(DeployError::Project(format!(
                "no workload of this workspace is initialised in application `{}`\nhint: do that with `copilot svc init` or `copilot job init`",
                workspace.application
            )));
        }
        (true, false, several) => return asked(reporter, several),
        (_, _, _) => named,
    };
    Ok(grouped(named, if everything { &initialised } else { &[] }))
}

/// Asks group by group until nothing is left, or nothing more is wanted.
fn asked(reporter: &Reporter, all: &[String]) -> Result<Vec<Vec<String>>, DeployError> {
    let mut left = all.to_vec();
    let mut groups = Vec::new();
    while !left.is_empty() {
        let question = format!(
            "Select workloads to deploy in your {} deployment group (nothing to end)",
            ordinal(groups.len() + 1)
        );
        let group = choose::some(reporter, &question, "--name or --all", &left)?;
        if group.is_empty() {
            break;
        }
        left.retain(|name| !group.contains(name));
        groups.push(group);
    }
    if groups.is_empty() {
        return Err(DeployError::NotApproved(
            "nothing was chosen; nothing was changed".to_owned(),
        ));
    }
    Ok(groups)
}

/// By ascending priority; those without one are the last group, with the rest behind them.
fn grouped(named: Named, rest: &[String]) -> Vec<Vec<String>> {
    let mut by_priority: BTreeMap<(bool, u32), Vec<String>> = BTreeMap::new();
    let rest = rest
        .iter()
        .filter(|name| !named.iter().any(|(known, _)| known == *name));
    let rest: Vec<(String, Option<u32>)> = rest.map(|name| (name.clone(), None)).collect();
    for (name, priority) in named.into_iter().chain(rest) {
        let key = (priority.is_none(), priority.unwrap_or_default());
        by_priority.entry(key).or_default().push(name);
    }
    by_priority.into_values().collect()
}

/// What will happen, in order.
fn order(groups: &[Vec<String>]) -> String {
    let count: usize = groups.iter().map(Vec::len).sum();
    let mut text = format!("Will deploy {count} workloads in the following order.");
    for (number, group) in groups.iter().enumerate() {
        text.push_str(&format!("\n{}. {}", number + 1, group.join(", ")));
    }
    text
}

fn ordinal(number: usize) -> String {
    let suffix = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        (_, _) => "th",
    };
    format!("{number}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn groups_are_in_the_order_of_priorities_and_the_rest_comes_last() {
        let named = named(&words("web api/2 db/1 worker/2")).expect("valid");
        assert_eq!(
            grouped(named.clone(), &[]),
            [words("db"), words("api worker"), words("web")]
        );
        assert_eq!(
            grouped(named, &words("api cron web")),
            [words("db"), words("api worker"), words("web cron")]
        );
        assert_eq!(order(&[words("db"), words("api web")]).lines().count(), 3);
    }

    #[test]
    fn what_is_left_is_deployed_by_a_command_in_the_same_order() {
        let flags = Shared {
            tag: Some("v1".to_owned()),
            no_rollback: true,
            resource_tags: vec![("a".to_owned(), "b".to_owned())],
            ..Shared::default()
        };
        let left = vec![vec!["api"], vec!["web", "cron"]];
        assert_eq!(
            command(&left, "test", &flags),
            "plimsoll deploy -n api/1 -n web/2 -n cron/2 --env test --tag v1 --resource-tags a=b --no-rollback"
        );
        let one = vec![vec!["api", "web"]];
        assert_eq!(
            command(&one, "test", &Shared::default()),
            "plimsoll deploy -n api -n web --env test"
        );
    }

    #[test]
    fn names_that_make_no_sense_are_refused() {
        for (text, why) in [("api/x", "must be a number"), ("api api/1", "named twice")] {
            let refused = named(&words(text)).expect_err("refused").to_string();
            assert!(refused.contains(why), "{refused}");
        }
        assert_eq!(
            [ordinal(1), ordinal(2), ordinal(3), ordinal(11), ordinal(21)],
            ["1st", "2nd", "3rd", "11th", "21st"]
        );
    }
}
