//! Enpass, by `enpass-cli`. It is offline, and has no account.

use serde_json::Value as Json;

use super::{Fetched, Programs, Vault, VaultError, Wish, failed, json};

pub(super) struct Enpass;

impl Vault for Enpass {
    fn needs_account(&self) -> bool {
        false
    }

    fn program(&self) -> Option<(&'static str, &'static [&'static str])> {
        Some(("Enpass CLI", &["enpass-cli", "version"]))
    }

    fn fetch(&self, wish: &Wish, programs: &dyn Programs) -> Result<Fetched, VaultError> {
        let Some(vault) = &wish.from else {
            return failed("say where the vault is with `--from PATH`");
        };
        let mut titles: Vec<&str> = Vec::new();
        for name in &wish.names {
            // `Title/label`, or a title alone.
            let title = match name.rsplit_once('/') {
                Some((title, _)) if !title.is_empty() => title,
                Some((_, name)) => name,
                None => name,
            };
            if !titles.contains(&title) {
                titles.push(title);
            }
        }
        let mut argv = vec!["enpass-cli", "-json", "-vault", vault, "show"];
        argv.extend(titles);
        let items = json(&programs.run(&argv, &[], false))?;
        let mut fetched = Fetched::new();
        for item in items.as_array().into_iter().flatten() {
            let text = |key: &str| item[key].as_str().filter(|text| !text.is_empty());
            let (Some(title), Some(password)) = (text("title"), text("password")) else {
                continue;
            };
            let key = match text("label") {
                Some(label) => format!("{title}/{label}"),
                None => title.to_owned(),
            };
            if wish.names.iter().any(|name| name == title || *name == key) {
                if fetched.contains_key(&key) {
                    return failed(format!("{key} is present more than once"));
                }
                fetched.insert(key, Json::String(password.to_owned()));
            }
        }
        Ok(fetched)
    }
}
