//! Passbolt, by `passbolt`. A name is `FOLDER/…/SECRET`.

use serde_json::Value as Json;

use super::{Fetched, Programs, Vault, VaultError, Wish, failed, json, listed};

pub(super) struct Passbolt;

impl Vault for Passbolt {
    fn needs_account(&self) -> bool {
        false
    }

    fn program(&self) -> Option<(&'static str, &'static [&'static str])> {
        Some(("Passbolt CLI", &["passbolt", "--version"]))
    }

    fn fetch(&self, wish: &Wish, programs: &dyn Programs) -> Result<Fetched, VaultError> {
        if !programs.run(&["passbolt", "verify"], &[], false).ok {
            return failed("Failed to login to Passbolt");
        }
        let names = wish.prefixed();
        if names.is_empty() {
            return failed("No secrets given to fetch");
        }
        let folders = Folders::of(&names, programs)?;
        let mut conditions = Vec::new();
        let mut secrets: Vec<&str> = Vec::new();
        for name in &names {
            let (path, secret) = match name.rsplit_once('/') {
                Some((path, secret)) => (Some(path), secret),
                None => (None, name.as_str()),
            };
            secrets.push(secret);
            match path {
                None => conditions.push(named(secret)),
                Some(path) => {
                    let inside = folders
                        .at(path)
                        .map(|folder| format!("({} && {})", named(secret), below(&folder.id)));
                    conditions.extend(inside);
                }
            }
        }
        let filter = conditions.join(" || ");
        let mut argv = vec!["passbolt", "list", "resources", "--filter", &filter];
        for folder in &folders.0 {
            argv.extend(["--folder", &folder.id]);
        }
        argv.extend(["--column", "name", "--column", "password", "--json"]);
        let said = programs.run(&argv, &[], false);
        if !said.ok {
            return failed(format!("Could not read {} from Passbolt", listed(&names)));
        }
        let items = json(&said)?;
        let fetched: Fetched = items
            .as_array()
            .into_iter()
            .flatten()
            .map(|item| (text(item, "name"), item["password"].clone()))
            .collect();
        let missing: Vec<&str> = secrets
            .into_iter()
            .filter(|secret| !fetched.contains_key(*secret))
            .collect();
        if !missing.is_empty() {
            return failed(format!(
                "Could not find the following secrets in Passbolt: {}",
                missing.join(", ")
            ));
        }
        Ok(fetched)
    }
}

fn text(item: &Json, key: &str) -> String {
    item[key].as_str().unwrap_or_default().to_owned()
}

/// Conditions of passbolt's filters (CEL); texts are quoted as in JSON.
fn named(name: &str) -> String {
    format!("Name == {}", Json::String(name.to_owned()))
}

fn below(folder: &str) -> String {
    format!("FolderParentID == {}", Json::String(folder.to_owned()))
}

struct Folder {
    id: String,
    /// `a/b`
    path: String,
}

struct Folders(Vec<Folder>);

impl Folders {
    /// The folders on the way to all secrets.
    fn of(names: &[String], programs: &dyn Programs) -> Result<Self, VaultError> {
        let mut paths: Vec<&str> = Vec::new();
        for (path, _) in names.iter().filter_map(|name| name.rsplit_once('/')) {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        let mut found = Self(Vec::new());
        if paths.is_empty() {
            return Ok(found);
        }
        let mut tops: Vec<&str> = Vec::new();
        for top in paths.iter().filter_map(|path| path.split('/').next()) {
            if !tops.contains(&top) {
                tops.push(top);
            }
        }
        let filter: Vec<String> = tops.iter().map(|top| named(top)).collect();
        let said = list(&filter.join(" || "), programs);
        if !said.ok {
            return failed("Could not read folders from Passbolt");
        }
        for folder in json(&said)?.as_array().into_iter().flatten() {
            // One of the same name deeper down is another folder.
            if folder["folder_parent_id"]
                .as_str()
                .unwrap_or_default()
                .is_empty()
            {
                found.0.push(Folder {
                    id: text(folder, "id"),
                    path: text(folder, "name"),
                });
            }
        }
        for path in &paths {
            found.descend(path, programs)?;
        }
        let missing: Vec<&str> = paths
            .into_iter()
            .filter(|path| found.at(path).is_none())
            .collect();
        if !missing.is_empty() {
            return failed(format!(
                "Could not find the following folders in Passbolt: {}",
                missing.join(", ")
            ));
        }
        Ok(found)
    }

    /// Finds the folders of a path that are below its first.
    fn descend(&mut self, path: &str, programs: &dyn Programs) -> Result<(), VaultError> {
        let mut parts = path.split('/');
        let mut at = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let Some(parent) = self.at(&at) else {
                return Ok(());
            };
            let filter = format!("{} && {}", named(part), below(&parent.id));
            at = format!("{at}/{part}");
            if self.at(&at).is_some() {
                continue;
            }
            let said = list(&filter, programs);
            if !said.ok {
                return Ok(());
            }
            if let Some(folder) = json(&said)?.get(0) {
                let (id, path) = (text(folder, "id"), at.clone());
                self.0.push(Folder { id, path });
            }
        }
        Ok(())
    }

    fn at(&self, path: &str) -> Option<&Folder> {
        self.0.iter().find(|folder| folder.path == path)
    }
}

fn list(filter: &str, programs: &dyn Programs) -> super::Said {
    programs.run(
        &["passbolt", "list", "folders", "--filter", filter, "--json"],
        &[],
        false,
    )
}
