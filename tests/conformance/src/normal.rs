//! What the servers saw, in Kamal's normal form (README of the conformance set, §2).
//!
//! * [`hosts`]: one host; [`container`]: one container; [`stops`]: why containers were stopped.
//! * [`files`]: what was put on hosts; [`hooks`]: how hooks were called; [`build`]: images.
//! * [`phases`]: the coarse order; [`words`]: names for what is different every time.

mod build;
mod container;
mod files;
mod hooks;
mod hosts;
mod options;
mod phases;
mod stops;
mod words;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value as Json, json};

use crate::given::Given;
use crate::world::{Inner, Seen, What};

/// A map as it is printed.
pub(crate) type Object = Map<String, Json>;

/// What this is derived from.
pub(crate) struct Facts<'a> {
    pub(crate) inner: &'a Inner,
    pub(crate) given: &'a Given,
    pub(crate) records: Vec<hooks::Record>,
}

impl Facts<'_> {
    /// Whether the command begins with these words.
    pub(crate) fn is(&self, words: &[&str]) -> bool {
        let said = &self.given.command;
        words.len() <= said.len() && words.iter().zip(said).all(|(word, said)| *word == said)
    }

    /// What was done on a host.
    pub(crate) fn on<'b>(&'b self, host: &'b str) -> impl Iterator<Item = &'b Seen> {
        self.inner.seen.iter().filter(move |seen| seen.host == host)
    }

    /// Whether a run took the lock.
    pub(crate) fn locked(&self) -> bool {
        let mut seen = self.inner.seen.iter();
        seen.any(|seen| matches!(seen.what, What::LockTaken { .. }))
    }

    /// Whether a run got past its lock, to the hosts: what only had to be there has been looked at by then.
    pub(crate) fn got_going(&self) -> bool {
        let done = self.inner.seen.iter().any(|seen| {
            matches!(
                &seen.what,
                What::Created { .. }
                    | What::Started { .. }
                    | What::Stopped { .. }
                    | What::Renamed { .. }
                    | What::ImagesPruned { .. }
                    | What::Proxy { .. }
                    | What::Tagged { .. }
            )
        });
        self.locked() && done
    }

    /// Commands that roll a version out.
    pub(crate) fn boots(&self) -> bool {
        [
            &["deploy"][..],
            &["redeploy"],
            &["setup"],
            &["rollback"],
            &["app", "boot"],
        ]
        .iter()
        .any(|words| self.is(words))
    }
}

/// The normal form, without what only the caller of the process knows.
pub fn document(inner: &Inner, given: &Given) -> Json {
    let facts = Facts {
        inner,
        given,
        records: hooks::records(&inner.folder.join("records")),
    };
    let mut top = Object::new();
    let lock = lock(&facts);
    top.insert("lock_host".into(), json!(lock_host(&facts)));
    top.insert("lock".into(), lock);
    top.insert("ssh".into(), ssh(&facts));
    top.extend(build::all(&facts));
    let hosts: Object = touched(&facts)
        .into_iter()
        .map(|host| (host.clone(), hosts::host(&facts, &host)))
        .collect();
    top.insert("hosts".into(), Json::Object(hosts));
    if let Some((groups, order)) = boots(&facts) {
        top.insert("boot_groups".into(), groups);
        top.insert("boot_order".into(), order);
    }
    top.insert("phases".into(), json!(phases::phases(&facts)));
    top.insert("hooks".into(), hooks::all(&facts));
    top.insert("uploads".into(), files::uploads(&facts));
    words::placed(Json::Object(top), &words::Names::of(&facts))
}

/// The same with the exit code and what was printed.
pub fn finished(mut seen: Json, code: Option<i32>, out: &str, err: &str) -> Json {
    let names = words::Names::read(&seen);
    if let Some(top) = seen.as_object_mut() {
        top.remove("names");
        top.insert("exit_code".into(), json!(code.unwrap_or(124)));
        top.insert(
            "stdout".into(),
            json!(names.in_text(&format!("{out}\n{err}"))),
        );
        if code != Some(0) {
            top.insert(
                "error".into(),
                json!(names.in_text(&format!("{err}\n{out}"))),
            );
        }
    }
    seen
}

/// Hosts with something to tell: those where something was changed; and when the deploy lock was wanted, all that the
/// run is about, touched or not.
fn touched(facts: &Facts<'_>) -> BTreeSet<String> {
    let seen = &facts.inner.seen;
    let mut hosts: BTreeSet<String> = seen
        .iter()
        .filter(|seen| changes(&seen.what))
        .map(|seen| seen.host.clone())
        .filter(|host| facts.inner.case.state.hosts.contains_key(host) || described(facts, host))
        .collect();
    let only_looked_at = facts.is(&["lock", "status"]) || facts.is(&["lock", "release"]);
    let locked = seen.iter().any(|seen| about_lock(&seen.what));
    if let (true, false, Some(selected)) = (locked, only_looked_at, &facts.given.selected) {
        hosts.extend(selected.hosts.iter().cloned());
    }
    hosts
}

/// Whether something concerns a deploy lock.
fn about_lock(what: &What) -> bool {
    match what {
        What::LockTaken { .. } | What::LockGone { .. } => true,
        What::Ran { line, .. } => line.contains("lock-"),
        _ => false,
    }
}

/// Whether something changes a host, or wants its lock.
fn changes(what: &What) -> bool {
    match what {
        What::LoggedIn { .. }
        | What::Network { .. }
        | What::ImagesListed { .. }
        | What::ContainersListed { .. }
        | What::Inspected { .. }
        | What::Logs { .. }
        | What::Archive { .. } => false,
        What::Ran { .. } => about_lock(what),
        What::Forwarding { .. }
        | What::LockTaken { .. }
        | What::LockGone { .. }
        | What::File { .. }
        | What::Pulled { .. }
        | What::Pushed { .. }
        | What::Built { .. }
        | What::Created { .. }
        | What::Started { .. }
        | What::NotStarted { .. }
        | What::Stopped { .. }
        | What::Renamed { .. }
        | What::Removed { .. }
        | What::ImageRemoved { .. }
        | What::ImagesPruned { .. }
        | What::PruneFailed
        | What::Tagged { .. }
        | What::Proxy { .. }
        | What::DockerInstalled => true,
    }
}

/// Whether a host is one of the configuration's, and not a way to one.
fn described(facts: &Facts<'_>, host: &str) -> bool {
    let config = facts.given.config.as_ref();
    config.is_some_and(|config| config.all_hosts().contains(&host))
}

fn lock(facts: &Facts<'_>) -> Json {
    let (mut name, mut details, mut released, mut asked) = (None, None, false, false);
    let mut wanted = None;
    for seen in &facts.inner.seen {
        match &seen.what {
            What::LockTaken {
                name: taken,
                details: said,
            } => {
                (name, details, released) = (Some(taken.clone()), Some(said.clone()), false);
            }
            What::LockGone { .. } => released = true,
            What::Ran { line, .. } if line.contains("lock-") => {
                asked = true;
                wanted = line.split("lock-").nth(1).map(|rest| {
                    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"_-.".contains(c));
                    format!("lock-{}", &rest[..end.unwrap_or(rest.len())])
                });
            }
            _ => {}
        }
    }
    if !asked && name.is_none() && !released {
        return Json::Null;
    }
    let line = |key: &str| {
        let details = details.as_deref()?;
        details
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .map(str::trim)
    };
    let acquired = name.is_some();
    let only_looked_at = facts.is(&["lock", "status"]) || facts.is(&["lock", "release"]);
    let name = name.or(wanted.filter(|_| !only_looked_at));
    json!({
        "name": name, "acquired": acquired, "released": released,
        "message": line("Message:"), "version": line("Version:"),
    })
}

fn lock_host(facts: &Facts<'_>) -> Option<String> {
    let found = facts.inner.seen.iter().find(|seen| about_lock(&seen.what));
    found.map(|seen| seen.host.clone())
}

fn ssh(facts: &Facts<'_>) -> Json {
    let login = facts.inner.seen.iter().find_map(|seen| match &seen.what {
        What::LoggedIn { user, port, via } if described(facts, &seen.host) => {
            Some((user, port, via))
        }
        _ => None,
    });
    let (Some((user, port, via)), false) = (login, touched(facts).is_empty()) else {
        return Json::Null;
    };
    let mut ssh = Object::new();
    ssh.insert("user".into(), json!(user));
    ssh.insert("port".into(), json!(port));
    if let Some(via) = via {
        let jumper = facts.inner.seen.iter().find_map(|seen| match &seen.what {
            What::LoggedIn { user, .. } if seen.host == *via => Some(user.clone()),
            _ => None,
        });
        ssh.insert(
            "jump".into(),
            json!(format!("{}@{via}", jumper.unwrap_or_default())),
        );
    }
    // Which of the deployer's own files are read is not for servers to see.
    let section = facts
        .given
        .config
        .as_ref()
        .and_then(|config| config.root.get("ssh"));
    if let Some(section) = section {
        if let Some(keys) = section.get("keys").filter(|keys| !keys.items().is_empty()) {
            let keys: Vec<String> = keys
                .items()
                .iter()
                .map(ssh_renderer::yaml::Node::to_text)
                .collect();
            ssh.insert("keys".into(), json!(keys));
        }
        for key in ["keys_only", "config"] {
            if let Some(value) = section.get(key).and_then(ssh_renderer::yaml::Node::as_bool) {
                ssh.insert(key.into(), json!(value));
            }
        }
        if let Some(command) = section.get("proxy_command") {
            ssh.insert("proxy_command".into(), json!(command.to_text()));
        }
    }
    Json::Object(ssh)
}

/// Groups of hosts that booted, and how. The order is what was seen: a group that began before the one in front of it
/// had ended is part of that.
fn boots(facts: &Facts<'_>) -> Option<(Json, Json)> {
    let selected = facts.given.selected.as_ref()?;
    let first = |host: &String| {
        facts.on(host).find_map(|seen| match &seen.what {
            What::Created { body, .. } if body["Labels"]["role"].is_string() => Some(seen.at),
            _ => None,
        })
    };
    // A group that a hook stopped had begun.
    let stopped = |group: &Vec<String>| {
        facts.records.iter().any(|record| {
            let hosts = record.env.get("KAMAL_HOSTS");
            record.hook.as_deref() == Some("pre-app-boot")
                && record.code.is_some_and(|code| code != 0)
                && hosts.is_some_and(|hosts| *hosts == group.join(","))
        })
    };
    let mut groups: Vec<Vec<String>> = Vec::new();
    let mut ended = None;
    for group in &selected.groups {
        let begun: Vec<_> = group.iter().filter_map(first).collect();
        let Some(begun) = begun.into_iter().min() else {
            groups.extend(stopped(group).then(|| group.clone()));
            continue;
        };
        let overlaps = ended.is_some_and(|ended| begun < ended);
        match groups.last_mut() {
            Some(before) if overlaps => before.extend(group.iter().cloned()),
            _ => groups.push(group.clone()),
        }
        let last = group.iter().filter_map(|host| {
            let healthy = facts.on(host).filter(|seen| {
                matches!(
                    seen.what,
                    What::Started { fresh: true, .. } | What::Proxy { ok: true, .. }
                )
            });
            healthy.map(|seen| seen.at).max()
        });
        ended = last.max();
    }
    if groups.is_empty() {
        return None;
    }
    let mut order = Object::new();
    order.insert("gatekeeper".into(), json!(selected.primary_role));
    order.insert("roles".into(), json!(selected.roles));
    order.insert("parallel_roles".into(), json!(selected.parallel));
    order.insert("limit".into(), json!(selected.limit));
    order.insert("wait".into(), json!(selected.wait));
    if selected.wait.is_some() {
        order.insert("waits".into(), json!(groups.len()));
    }
    Some((json!(groups), Json::Object(order)))
}

/// A path with the host's home as it is written in the normal form.
pub(crate) fn home(path: &str, home: &Path) -> String {
    path.replace(&home.display().to_string(), "<HOME>")
}
