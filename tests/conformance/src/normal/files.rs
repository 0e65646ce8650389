//! What was put into the homes of hosts, and what was taken out of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::{Facts, Object};
use crate::world::{Change, Host, What};

const PROXY_PAGES: &str = "/error_pages/";

/// Paths that changed in some way, each once, in order.
fn paths(facts: &Facts<'_>, host: &str, change: &[Change]) -> Vec<String> {
    let mut paths = Vec::new();
    for seen in facts.on(host) {
        if let What::File { path, change: what } = &seen.what
            && change.contains(what)
            && !paths.contains(path)
        {
            paths.push(path.clone());
        }
    }
    paths
}

fn home<'a>(facts: &'a Facts<'_>, host: &str) -> Option<&'a Host> {
    facts.inner.hosts.get(host)
}

/// Whether the host's user was put into a group.
pub(super) fn joined_a_group(facts: &Facts<'_>, host: &str) -> bool {
    let record = |host: &Host| host.home.parent().map(|folder| folder.join("usermod"));
    home(facts, host)
        .and_then(record)
        .is_some_and(|file| file.exists())
}

/// Owners that were given to paths.
fn owners(home: &Path) -> BTreeMap<PathBuf, String> {
    let text = fs::read_to_string(home.parent().unwrap_or(home).join("owners")).unwrap_or_default();
    let pairs = text.lines().filter_map(|line| line.split_once('\t'));
    pairs
        .map(|(owner, path)| (PathBuf::from(path), owner.to_owned()))
        .collect()
}

/// Files that were put on hosts.
pub(super) fn uploads(facts: &Facts<'_>) -> Json {
    let mut uploads = Vec::new();
    for (name, host) in &facts.inner.hosts {
        let owners = owners(&host.home);
        let mut pages: BTreeMap<String, Object> = BTreeMap::new();
        for path in paths(facts, name, &[Change::New, Change::Changed]) {
            let Some((mode, digest)) = host.files.get(&path) else {
                continue;
            };
            if digest.is_empty() || path.ends_with("-audit.log") || path.contains("/lock-") {
                continue;
            }
            let real = host.home.join(&path);
            let content =
                String::from_utf8_lossy(&fs::read(&real).unwrap_or_default()).into_owned();
            if path.contains(".kamal/proxy/apps-config") && path.contains(PROXY_PAGES) {
                let (folder, file) = path.rsplit_once('/').unwrap_or(("", &path));
                pages
                    .entry(folder.to_owned())
                    .or_default()
                    .insert(file.to_owned(), json!(content));
                continue;
            }
            let kind = match path.as_str() {
                path if path.contains("/tls/") && path.ends_with(".pem") => "tls",
                path if path.starts_with(".kamal/") && path.contains("/env/") => "env-file",
                path if path.starts_with(".kamal/") => continue,
                _ => "accessory-file",
            };
            uploads.push(json!({
                "host": name, "kind": kind, "path": format!("<HOME>/{path}"), "mode": format!("{mode:04o}"),
                "owner": owners.get(&real), "content": content,
            }));
        }
        for (folder, files) in pages {
            uploads.push(json!({"host": name, "kind": "error-pages", "path": format!("<HOME>/{folder}"), "files": files}));
        }
    }
    Json::Array(uploads)
}

/// Directories of accessories: those that were made and have nothing put into them.
pub(super) fn directories(facts: &Facts<'_>, name: &str) -> Json {
    let Some(host) = home(facts, name) else {
        return Json::Null;
    };
    let owners = owners(&host.home);
    let new = paths(facts, name, &[Change::New]);
    let leaf = |path: &&String| {
        !new.iter()
            .any(|other| other.starts_with(&format!("{path}/")))
    };
    let made = new
        .iter()
        .filter(|path| !path.starts_with(".kamal"))
        .filter(leaf)
        .filter_map(|path| {
            let (mode, digest) = host.files.get(path)?;
            if !digest.is_empty() {
                return None;
            }
            let owner = owners.get(&host.home.join(path));
            let mode = (*mode != 0o755 || owner.is_some()).then(|| format!("{mode:04o}"));
            Some(json!({"path": format!("<HOME>/{path}"), "mode": mode, "owner": owner}))
        });
    Json::Array(made.collect())
}

/// Directories that were removed, without what was removed with them by the same command.
pub(super) fn removed(facts: &Facts<'_>, name: &str) -> BTreeSet<String> {
    let mut removed = BTreeSet::new();
    let mut gone: Vec<&String> = Vec::new();
    let mut settle = |gone: &mut Vec<&String>| {
        let whole = |path: &&&String| {
            !gone
                .iter()
                .any(|other| path.starts_with(&format!("{other}/")))
        };
        let own = |path: &&&String| {
            !path.contains("/lock-")
                && !path.contains("/assets/")
                && !path.contains(PROXY_PAGES)
                && !path.ends_with(".new")
        };
        removed.extend(
            gone.iter()
                .filter(whole)
                .filter(own)
                .map(|path| format!("<HOME>/{path}")),
        );
        gone.clear();
    };
    for seen in facts.on(name) {
        match &seen.what {
            What::Ran { .. } => settle(&mut gone),
            What::File {
                path,
                change: Change::Gone,
            } => gone.push(path),
            _ => {}
        }
    }
    settle(&mut gone);
    removed
}

/// Older error pages were cleared away, whether there were any or not.
pub(super) fn error_pages_cleaned(facts: &Facts<'_>, name: &str) -> Json {
    let cleared = facts.on(name).any(|seen| {
        matches!(&seen.what, What::Ran { line, code: 0 }
            if line.contains("rm -rf") && line.contains("/error_pages"))
    });
    match cleared {
        true => json!(true),
        false => Json::Null,
    }
}

/// The version that a container was made of.
fn version_of(body: &Json) -> &str {
    let env = body["Env"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Json::as_str);
    let mut versions = env.filter_map(|pair| pair.strip_prefix("KAMAL_VERSION="));
    versions.next().unwrap_or_default()
}

/// Assets of roles: their volumes on the host.
pub(super) fn assets(facts: &Facts<'_>, name: &str) -> Json {
    let Some(host) = home(facts, name) else {
        return Json::Null;
    };
    let mut entries = Vec::new();
    for seen in facts.on(name) {
        let What::Created { name: made, body } = &seen.what else {
            continue;
        };
        let role = body["Labels"]["role"].as_str().unwrap_or_default();
        for bind in super::container::texts(&body["HostConfig"]["Binds"]) {
            let bind = super::home(&bind, &host.home);
            let mut parts = bind.splitn(3, ':');
            let (Some(volume), Some(path)) = (parts.next(), parts.next()) else {
                continue;
            };
            let Some((before, version)) = volume.split_once("/assets/volumes/") else {
                continue;
            };
            let changed = paths(facts, name, &[Change::New, Change::Changed]);
            // Whether there was anything to clear or not.
            let cleaned = facts.on(name).any(|seen| {
                matches!(&seen.what, What::Ran { line, code: 0 }
                    if line.contains("rm -rf") && line.contains("/assets/volumes"))
            });
            let other = changed.iter().find_map(|path| {
                let (_, rest) = path.split_once("/assets/volumes/")?;
                let (folder, _) = rest.split_once('/')?;
                (folder != version && folder.starts_with(&format!("{role}-")))
                    .then(|| format!("{before}/assets/volumes/{folder}"))
            });
            // A version that runs already has this very volume.
            let described = facts.inner.case.state.hosts.get(name);
            let again = described.is_some_and(|host| {
                let same = |c: &crate::case::Container| c.running && c.name == *made;
                host.containers.iter().any(same)
            });
            let other = other.or(again.then(|| volume.to_owned()));
            entries.push(json!({
                "container": format!("{}-assets", made.trim_end_matches(version_of(body)).trim_end_matches('-')),
                "image": super::container::shown(facts, name, body["Image"].as_str().unwrap_or_default()),
                "path": path, "volume": volume, "extract_to": format!("{before}/assets/extracted/{version}"),
                "merged_with": other, "cleaned": cleaned.then_some(true),
            }));
        }
    }
    Json::Array(entries)
}

/// Lines of the audit log, without time and performer.
pub(super) fn audit(facts: &Facts<'_>, name: &str) -> Json {
    let Some(host) = home(facts, name) else {
        return Json::Null;
    };
    let entries = fs::read_dir(host.home.join(".kamal"))
        .into_iter()
        .flatten()
        .flatten();
    let mut lines = Vec::new();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().ends_with("-audit.log"))
    {
        for line in fs::read_to_string(entry.path()).unwrap_or_default().lines() {
            let rest = line.splitn(3, "] ").nth(2).unwrap_or(line);
            lines.push(json!(rest));
        }
    }
    Json::Array(lines)
}
