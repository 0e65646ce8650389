//! AWS Secrets Manager, by `aws`.

use serde_json::Value as Json;

use super::{Fetched, Programs, Vault, VaultError, Wish, failed, json, listed};

pub(super) struct SecretsManager;

impl Vault for SecretsManager {
    fn needs_account(&self) -> bool {
        false
    }

    fn program(&self) -> Option<(&'static str, &'static [&'static str])> {
        Some(("AWS CLI", &["aws", "--version"]))
    }

    fn fetch(&self, wish: &Wish, programs: &dyn Programs) -> Result<Fetched, VaultError> {
        let names = wish.prefixed();
        let mut argv = vec![
            "aws",
            "secretsmanager",
            "batch-get-secret-value",
            "--secret-id-list",
        ];
        argv.extend(names.iter().map(String::as_str));
        if let Some(profile) = &wish.account {
            argv.extend(["--profile", profile]);
        }
        argv.extend(["--output", "json"]);
        let said = programs.run(&argv, &[], false);
        if !said.ok {
            return failed(format!(
                "Could not read {} from AWS Secrets Manager",
                listed(&names)
            ));
        }
        let answer = json(&said)?;
        let errors = answer["Errors"]
            .as_array()
            .filter(|errors| !errors.is_empty());
        if let Some(errors) = errors {
            let text = |error: &Json, key: &str| error[key].as_str().unwrap_or_default().to_owned();
            let each: Vec<String> = errors
                .iter()
                .map(|error| format!("{}: {}", text(error, "SecretId"), text(error, "Message")))
                .collect();
            return failed(each.join(" "));
        }
        let mut fetched = Fetched::new();
        for secret in answer["SecretValues"].as_array().into_iter().flatten() {
            let name = secret["Name"].as_str().unwrap_or_default();
            let text = secret["SecretString"].as_str().unwrap_or_default();
            match serde_json::from_str(text) {
                Ok(Json::Object(parts)) => {
                    for (key, value) in parts {
                        fetched.insert(format!("{name}/{key}"), Json::String(plain(&value)));
                    }
                }
                Ok(value) => drop(fetched.insert(name.to_owned(), Json::String(plain(&value)))),
                // It is a text, and no JSON.
                Err(_) => drop(fetched.insert(name.to_owned(), Json::String(text.to_owned()))),
            }
        }
        Ok(fetched)
    }
}

fn plain(value: &Json) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
