//! 1Password, by `op`.

use serde_json::Value as Json;

use super::{Fetched, Programs, Vault, VaultError, Wish, error, failed, json};

pub(super) struct OnePassword;

impl Vault for OnePassword {
    fn program(&self) -> Option<(&'static str, &'static [&'static str])> {
        Some(("1Password CLI", &["op", "--version"]))
    }

    fn fetch(&self, wish: &Wish, programs: &dyn Programs) -> Result<Fetched, VaultError> {
        let account = wish.account()?;
        let session = log_in(account, programs)?;
        let mut fetched = Fetched::new();
        for (vault, item, fields) in items(wish)? {
            let mut argv = vec!["op", "item", "get", &item, "--vault", &vault];
            argv.extend(["--format", "json", "--account", account]);
            if let Some(session) = &session {
                argv.extend(["--session", session]);
            }
            let labels: Vec<String> = fields
                .iter()
                .map(|field| format!("label={field}"))
                .collect();
            let labels = labels.join(",");
            if !labels.is_empty() {
                argv.extend(["--fields", &labels]);
            }
            let said = programs.run(&argv, &[], false);
            if !said.ok {
                let what = match fields.is_empty() {
                    true => String::new(),
                    false => format!("{} ", fields.join(", ")),
                };
                return failed(format!(
                    "Could not read {what}from {item} in the {vault} 1Password vault"
                ));
            }
            let answer = json(&said)?;
            // One field is an object, several are a list, all of an item are below `fields`.
            let found = match (fields.len(), answer) {
                (0, Json::Object(mut whole)) => whole.remove("fields").unwrap_or_default(),
                (_, one @ Json::Object(_)) => Json::Array(vec![one]),
                (_, list) => list,
            };
            for field in found.as_array().into_iter().flatten() {
                let reference = field["reference"].as_str().unwrap_or_default();
                let name = reference.strip_prefix("op://").unwrap_or(reference);
                let name = name.strip_suffix("/password").unwrap_or(name);
                fetched.insert(name.to_owned(), field["value"].clone());
            }
        }
        Ok(fetched)
    }
}

/// A session's token, when there was none.
fn log_in(account: &str, programs: &dyn Programs) -> Result<Option<String>, VaultError> {
    let known = ["op", "account", "get", "--account", account];
    if programs.run(&known, &[], true).ok {
        return Ok(None);
    }
    let sign_in = ["op", "signin", "--account", account, "--force", "--raw"];
    let said = programs.run(&sign_in, &[], false);
    if !said.ok {
        return failed("Failed to login to 1Password");
    }
    Ok(Some(said.text.trim().to_owned()).filter(|token| !token.is_empty()))
}

/// Vault, item and its fields, in the order of the first name of each; no fields are all of them.
fn items(wish: &Wish) -> Result<Vec<(String, String, Vec<String>)>, VaultError> {
    let bare = |name: &str| name.strip_prefix("op://").unwrap_or(name).to_owned();
    let unplaced = || error("say which vault and item with `--from VAULT/ITEM`");
    if wish.names.is_empty() {
        let from = bare(wish.from.as_deref().unwrap_or_default());
        let (vault, item) = from.split_once('/').ok_or_else(unplaced)?;
        let item = item.split('/').next().unwrap_or(item);
        return Ok(vec![(vault.to_owned(), item.to_owned(), Vec::new())]);
    }
    let mut items: Vec<(String, String, Vec<String>)> = Vec::new();
    for name in wish.prefixed() {
        let name = bare(&name);
        let mut parts = name.split('/');
        let vault = parts.next().unwrap_or_default();
        let item = parts.next().ok_or_else(unplaced)?;
        let rest: Vec<&str> = parts.collect();
        let field = match rest.is_empty() {
            true => "password".to_owned(),
            false => rest.join("."),
        };
        match items.iter_mut().find(|(v, i, _)| v == vault && i == item) {
            Some((_, _, fields)) => fields.push(field),
            None => items.push((vault.to_owned(), item.to_owned(), vec![field])),
        }
    }
    Ok(items)
}
