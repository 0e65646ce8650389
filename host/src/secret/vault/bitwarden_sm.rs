//! Bitwarden's secrets manager, by `bws`.

use super::{Fetched, Programs, Vault, VaultError, Wish, failed, json};

pub(super) struct BitwardenSm;

impl Vault for BitwardenSm {
    fn needs_account(&self) -> bool {
        false
    }

    fn program(&self) -> Option<(&'static str, &'static [&'static str])> {
        Some(("Bitwarden Secrets Manager CLI", &["bws", "--version"]))
    }

    fn fetch(&self, wish: &Wish, programs: &dyn Programs) -> Result<Fetched, VaultError> {
        if !programs.run(&["bws", "project", "list"], &[], false).ok {
            return failed(
                "Could not authenticate to Bitwarden Secrets Manager. Did you set a valid access token?",
            );
        }
        let names = wish.prefixed();
        let mut fetched = Fetched::new();
        let all = match names.as_slice() {
            [] => {
                return failed("You must specify what to retrieve from Bitwarden Secrets Manager");
            }
            [one] if one == "all" => Some(vec!["bws", "secret", "list"]),
            [one] => one
                .strip_suffix("/all")
                .map(|project| vec!["bws", "secret", "list", project]),
            _ => None,
        };
        if let Some(argv) = all {
            let said = programs.run(&argv, &[], false);
            if !said.ok {
                return failed("Could not read secrets from Bitwarden Secrets Manager");
            }
            for item in json(&said)?.as_array().into_iter().flatten() {
                let key = item["key"].as_str().unwrap_or_default();
                fetched.insert(key.to_owned(), item["value"].clone());
            }
            return Ok(fetched);
        }
        for id in &names {
            let said = programs.run(&["bws", "secret", "get", id], &[], false);
            if !said.ok {
                return failed(format!(
                    "Could not read {id} from Bitwarden Secrets Manager"
                ));
            }
            let item = json(&said)?;
            let key = item["key"].as_str().unwrap_or_default();
            fetched.insert(key.to_owned(), item["value"].clone());
        }
        Ok(fetched)
    }
}
