//! Doppler, by `doppler`.

use super::{Fetched, Programs, Vault, VaultError, Wish, failed, json, listed};

pub(super) struct Doppler;

impl Vault for Doppler {
    fn needs_account(&self) -> bool {
        false
    }

    fn program(&self) -> Option<(&'static str, &'static [&'static str])> {
        Some(("Doppler CLI", &["doppler", "--version"]))
    }

    fn fetch(&self, wish: &Wish, programs: &dyn Programs) -> Result<Fetched, VaultError> {
        if !programs.run(&["doppler", "me", "--json"], &[], true).ok
            && !programs.run(&["doppler", "login", "-y"], &[], false).ok
        {
            return failed("Failed to login to Doppler");
        }
        let names = wish.prefixed();
        let last = |name: &'_ String| name.rsplit('/').next().unwrap_or_default().to_owned();
        let bare: Vec<String> = names.iter().map(last).collect();
        let mut argv = vec!["doppler", "secrets", "get"];
        argv.extend(bare.iter().map(String::as_str));
        argv.push("--json");
        // A service token stands for one project and configuration.
        let token = programs.variable("DOPPLER_TOKEN");
        if !token.is_some_and(|token| token.starts_with("dp.st")) {
            let mut parts = names.first().map_or("", String::as_str).split('/');
            let (Some(project), Some(config)) = (parts.next(), parts.next()) else {
                return failed("Missing project or config from '--from=project/config' option");
            };
            argv.extend(["-p", project, "-c", config]);
        }
        let said = programs.run(&argv, &[], false);
        if !said.ok {
            return failed(format!("Could not read {} from Doppler", listed(&names)));
        }
        let items = json(&said)?;
        let computed = items.as_object().into_iter().flatten();
        Ok(computed
            .map(|(name, item)| (name.clone(), item["computed"].clone()))
            .collect())
    }
}
