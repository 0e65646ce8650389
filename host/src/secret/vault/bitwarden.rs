//! Bitwarden's password manager, by `bw`.

use serde_json::Value as Json;

use super::{Fetched, Programs, Said, Vault, VaultError, Wish, error, failed, json};

pub(super) struct Bitwarden;

impl Vault for Bitwarden {
    fn program(&self) -> Option<(&'static str, &'static [&'static str])> {
        Some(("Bitwarden CLI", &["bw", "--version"]))
    }

    fn fetch(&self, wish: &Wish, programs: &dyn Programs) -> Result<Fetched, VaultError> {
        let bw = unlock(wish.account()?, programs)?;
        let mut fetched = Fetched::new();
        for (item, fields) in items(&wish.prefixed()) {
            let said = bw.run(&["bw", "get", "item", &item]);
            if !said.ok {
                return failed(format!("Could not read {item} from Bitwarden"));
            }
            let found = json(&said)?;
            let password = &found["login"]["password"];
            let all = found["fields"].as_array().filter(|all| !all.is_empty());
            if !fields.is_empty() {
                take(&mut fetched, &item, &found, &fields)?;
            } else if !password.is_null() {
                fetched.insert(item, password.clone());
            } else if let Some(all) = all {
                let names = all.iter().filter_map(|field| field["name"].as_str());
                let names: Vec<String> = names.map(str::to_owned).collect();
                take(&mut fetched, &item, &found, &names)?;
            } else {
                return failed(format!(
                    "Item {item} is not a login type item and no fields were specified"
                ));
            }
        }
        Ok(fetched)
    }
}

fn take(
    fetched: &mut Fetched,
    item: &str,
    found: &Json,
    fields: &[String],
) -> Result<(), VaultError> {
    for field in fields {
        let mut all = found["fields"].as_array().into_iter().flatten();
        let value = all
            .find(|one| one["name"] == field.as_str())
            .ok_or_else(|| {
                error(format!(
                    "Could not find field {field} in item {item} in Bitwarden"
                ))
            })?;
        fetched.insert(format!("{item}/{field}"), value["value"].clone());
    }
    Ok(())
}

/// Items with the fields that are wanted of each; none is the password.
fn items(names: &[String]) -> Vec<(String, Vec<String>)> {
    let mut items: Vec<(String, Vec<String>)> = Vec::new();
    for name in names {
        let mut parts = name.split('/');
        let item = parts.next().unwrap_or_default();
        let field = parts.next().map(str::to_owned);
        match items.iter_mut().find(|(known, _)| known == item) {
            Some((_, fields)) => fields.extend(field),
            None => items.push((item.to_owned(), field.into_iter().collect())),
        }
    }
    items
}

/// `bw`, with the session that unlocks it.
struct Unlocked<'p> {
    programs: &'p dyn Programs,
    session: Option<String>,
}

impl Unlocked<'_> {
    fn run(&self, argv: &[&str]) -> Said {
        let session = self.session.as_deref();
        let variables: Vec<(&str, &str)> = session
            .map(|session| ("BW_SESSION", session))
            .into_iter()
            .collect();
        self.programs.run(argv, &variables, false)
    }

    fn status(&self) -> Result<String, VaultError> {
        let status = json(&self.run(&["bw", "status"]))?;
        Ok(status["status"].as_str().unwrap_or_default().to_owned())
    }
}

fn unlock<'p>(account: &str, programs: &'p dyn Programs) -> Result<Unlocked<'p>, VaultError> {
    let mut bw = Unlocked {
        programs,
        session: None,
    };
    let mut status = bw.status()?;
    if status == "unauthenticated" {
        bw.run(&["bw", "login", account]);
        status = bw.status()?;
    }
    if status == "locked" {
        let token = bw.run(&["bw", "unlock", "--raw"]).text.trim().to_owned();
        bw.session = Some(token).filter(|token| !token.is_empty());
        status = bw.status()?;
    }
    if status != "unlocked" {
        return failed("Failed to login to and unlock Bitwarden");
    }
    if !bw.run(&["bw", "sync"]).ok {
        return failed("Failed to sync Bitwarden");
    }
    Ok(bw)
}
