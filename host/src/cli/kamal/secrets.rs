//! `secrets fetch`, `extract` and `print`, for people and for secrets files.

use std::collections::BTreeMap;
use std::path::Path;

use super::parse::{Asked, Call, parse};
use super::words;
use crate::secret::vault::{self, Programs, Wish};
use crate::secret::{SecretError, SecretStore};
use crate::wire::shell;

/// What `secrets fetch` and `secrets extract` print.
///
/// # Errors
/// In words: the vault's, or that an option is missing.
pub(super) fn answer(call: &Call, programs: &dyn Programs) -> Result<String, String> {
    if call.command.name() == "extract" {
        let [name, fetched] = call.words.as_slice() else {
            return Err("`secrets extract` takes a name and what was fetched".to_owned());
        };
        return vault::extract(name, fetched).map_err(|error| error.to_string());
    }
    let vault = vault::named(call.text("adapter").unwrap_or_default());
    let vault = vault.map_err(|error| error.to_string())?;
    let given = |name: &str| {
        call.text(name)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let wish = Wish {
        names: call.words.clone(),
        account: given("account"),
        from: given("from"),
    };
    if vault.needs_account() && wish.account.is_none() {
        return Err(NO_ACCOUNT.to_owned());
    }
    let fetched = vault::fetch(vault.as_ref(), &wish, programs);
    let fetched = fetched.map_err(|error| error.to_string())?;
    let json = serde_json::Value::Object(fetched).to_string();
    Ok(match call.is("inline") {
        true => words::escape(&json),
        false => json,
    })
}

/// The one refusal that Kamal prints as a result, with exit code 0.
pub(super) const NO_ACCOUNT: &str = "No value provided for required options '--account'";

/// What a `$(…)` in a secrets file stands for: `kamal secrets …` is answered here, everything else by the shell.
///
/// # Errors
/// When there is no shell, or in the vault's words.
pub(in crate::cli) fn substitute(
    line: &str,
    folder: &Path,
    environment: &BTreeMap<String, String>,
) -> Result<String, String> {
    let ours = words::split(line).filter(|words| {
        matches!(words.as_slice(), [kamal, secrets, ..] if kamal == "kamal" && secrets == "secrets")
    });
    let Some(mut argv) = ours else {
        return shell::run(line, folder, environment);
    };
    argv.remove(0);
    argv.push("--inline".to_owned());
    match parse(&argv, &[]) {
        Ok(Asked::Run(call)) if matches!(call.command.name(), "fetch" | "extract") => answer(
            &call,
            &shell::Local {
                folder,
                environment,
            },
        ),
        Ok(Asked::Run(_) | Asked::Help(_) | Asked::Tree) => {
            Err(format!("`{line}` has no place in a secrets file"))
        }
        Err(misuse) => Err(misuse.said("kamal").0),
    }
}

/// All secrets as lines, for `secrets print`.
///
/// # Errors
/// When a file can't be evaluated.
pub(super) fn printed(secrets: &SecretStore) -> Result<String, SecretError> {
    let lines = secrets.all()?.iter();
    Ok(lines
        .map(|(name, value)| format!("{name}={}\n", value.expose()))
        .collect())
}
