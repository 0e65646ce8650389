//! LastPass, by `lpass`.

use super::{Fetched, Programs, Vault, VaultError, Wish, failed, json, listed};

pub(super) struct LastPass;

impl Vault for LastPass {
    fn program(&self) -> Option<(&'static str, &'static [&'static str])> {
        Some(("LastPass CLI", &["lpass", "--version"]))
    }

    fn fetch(&self, wish: &Wish, programs: &dyn Programs) -> Result<Fetched, VaultError> {
        let account = wish.account()?;
        let status = programs.run(&["lpass", "status", "--color", "never"], &[], false);
        if status.text.trim() != format!("Logged in as {account}.")
            && !programs.run(&["lpass", "login", account], &[], false).ok
        {
            return failed("Failed to login to LastPass");
        }
        let names = wish.prefixed();
        let mut argv = vec!["lpass", "show"];
        argv.extend(names.iter().map(String::as_str));
        argv.push("--json");
        let said = programs.run(&argv, &[], false);
        if !said.ok {
            return failed(format!("Could not read {} from LastPass", listed(&names)));
        }
        let items = json(&said)?;
        let fetched: Fetched = items
            .as_array()
            .into_iter()
            .flatten()
            .map(|item| {
                let name = item["fullname"].as_str().unwrap_or_default();
                (name.to_owned(), item["password"].clone())
            })
            .collect();
        let missing: Vec<&str> = names
            .iter()
            .map(String::as_str)
            .filter(|name| !fetched.contains_key(*name))
            .collect();
        if !missing.is_empty() {
            return failed(format!("Could not find {} in LastPass", missing.join(", ")));
        }
        Ok(fetched)
    }
}
