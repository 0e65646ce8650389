//! Google Secret Manager, by `gcloud`.
//!
//! The account is `USER` or `USER|CHAIN`, where `default` is gcloud's own user and the chain is of service accounts
//! to impersonate. A name is `[PROJECT/]SECRET[/VERSION]`, where `default` is gcloud's own project.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::Value as Json;

use super::{Fetched, Programs, Vault, VaultError, Wish, failed, json};

pub(super) struct SecretManager;

impl Vault for SecretManager {
    fn program(&self) -> Option<(&'static str, &'static [&'static str])> {
        Some(("gcloud CLI", &["gcloud", "--version"]))
    }

    fn fetch(&self, wish: &Wish, programs: &dyn Programs) -> Result<Fetched, VaultError> {
        let account = wish.account()?;
        if !logged_in(programs)? {
            programs.run(&["gcloud", "auth", "login"], &[], false);
            if !logged_in(programs)? {
                return failed("could not login to gcloud");
            }
        }
        let (user, chain) = match account.split_once('|') {
            Some((user, chain)) => (user, Some(chain)),
            None => (account, None),
        };
        let mut fetched = Fetched::new();
        for name in wish.prefixed() {
            let mut parts = name.split('/');
            let (project, secret) = match (parts.next(), parts.next()) {
                (Some(project), Some(secret)) => (project, secret),
                (only, _) => ("default", only.unwrap_or_default()),
            };
            let version = parts.next().unwrap_or("latest");
            let mut argv: Vec<String> = ["gcloud", "secrets", "versions", "access", version]
                .map(str::to_owned)
                .to_vec();
            argv.push(format!("--secret={secret}"));
            argv.extend((project != "default").then(|| format!("--project={project}")));
            argv.extend((user != "default").then(|| format!("--account={user}")));
            argv.extend(chain.map(|chain| format!("--impersonate-service-account={chain}")));
            argv.push("--format=json".to_owned());
            let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
            let said = programs.run(&argv, &[], false);
            let item = format!("{project}/{secret}");
            let payload = json(&said).unwrap_or_default();
            let data = payload["payload"]["data"].as_str().filter(|_| said.ok);
            let bytes = data.and_then(|data| BASE64.decode(data).ok());
            let Some(bytes) = bytes else {
                return failed(format!("Could not read {item} from Google Secret Manager"));
            };
            let text = String::from_utf8_lossy(&bytes).into_owned();
            fetched.insert(item, Json::String(text));
        }
        Ok(fetched)
    }
}

fn logged_in(programs: &dyn Programs) -> Result<bool, VaultError> {
    let list = json(&programs.run(&["gcloud", "auth", "list", "--format=json"], &[], false))?;
    Ok(list.as_array().is_some_and(|accounts| !accounts.is_empty()))
}
