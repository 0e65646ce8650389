//! Vaults that secrets are fetched from, each by its own program: Kamal's adapters (`kamal.md` §4.4).
//!
//! An adapter decides what to ask and reads the answers; running programs is the caller's part ([`Programs`]).

use serde_json::{Map, Value as Json};

mod aws;
mod bitwarden;
mod bitwarden_sm;
mod doppler;
mod enpass;
mod gcp;
mod last_pass;
mod one_password;
mod passbolt;
mod reversed;

/// What a program answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Its standard output.
    pub text: String,
    /// It exited with 0.
    pub ok: bool,
}

/// Runs the programs of vaults. They may ask on the terminal.
pub trait Programs {
    /// Runs one with these words, and these variables added to the environment. `quiet` drops what it prints to
    /// standard error. A program that isn't there is one that failed.
    fn run(&self, argv: &[&str], variables: &[(&str, &str)], quiet: bool) -> Said;

    /// A variable of the environment.
    fn variable(&self, name: &str) -> Option<String>;
}

/// What to fetch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Secrets, as the vault names them.
    pub names: Vec<String>,
    /// `--account`: never empty.
    pub account: Option<String>,
    /// `--from`: vault or folder.
    pub from: Option<String>,
}

/// Secrets by the names that `kamal secrets extract` looks for, in the order in which the vault has them.
pub type Fetched = Map<String, Json>;

/// Why nothing was fetched. Kamal's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct VaultError(String);

/// A kind of vault.
pub trait Vault {
    /// Whether it can't do without `--account`.
    fn needs_account(&self) -> bool {
        true
    }

    /// Its program, as messages name it, and the words that make it answer when it is there.
    fn program(&self) -> Option<(&'static str, &'static [&'static str])>;

    /// Logs in where that is needed and fetches.
    fn fetch(&self, wish: &Wish, programs: &dyn Programs) -> Result<Fetched, VaultError>;
}

/// Names of vaults, as `--adapter` takes them.
pub const NAMES: &[&str] = &[
    "1password",
    "aws_secrets_manager",
    "bitwarden",
    "bitwarden-sm",
    "doppler",
    "enpass",
    "gcp",
    "lastpass",
    "passbolt",
];

/// A vault by the name that `--adapter` says.
///
/// # Errors
/// When there is none of that name.
pub fn named(name: &str) -> Result<Box<dyn Vault>, VaultError> {
    Ok(match name.to_lowercase().as_str() {
        "1password" | "one_password" => Box::new(one_password::OnePassword),
        "lastpass" | "last_pass" => Box::new(last_pass::LastPass),
        "bitwarden" => Box::new(bitwarden::Bitwarden),
        "bitwarden-sm" | "bitwarden_secrets_manager" => Box::new(bitwarden_sm::BitwardenSm),
        "aws_secrets_manager" => Box::new(aws::SecretsManager),
        "doppler" => Box::new(doppler::Doppler),
        "enpass" => Box::new(enpass::Enpass),
        "gcp" | "gcp_secret_manager" => Box::new(gcp::SecretManager),
        "passbolt" => Box::new(passbolt::Passbolt),
        "test" => Box::new(reversed::Reversed),
        _ => {
            return Err(error(format!(
                "Unknown secrets adapter: {name}\nhint: these are known: {}",
                NAMES.join(", ")
            )));
        }
    })
}

/// Fetches from a vault, once its program was found.
///
/// # Errors
/// In Kamal's words.
pub fn fetch(
    vault: &dyn Vault,
    wish: &Wish,
    programs: &dyn Programs,
) -> Result<Fetched, VaultError> {
    if let Some((name, probe)) = vault.program()
        && !programs.run(probe, &[], true).ok
    {
        return Err(error(format!("{name} is not installed")));
    }
    vault.fetch(wish, programs)
}

/// The secret of a name among those fetched: exactly that name, or the first that ends with `/NAME`.
///
/// # Errors
/// When there is none, or `fetched` is not what `fetch` prints.
pub fn extract(name: &str, fetched: &str) -> Result<String, VaultError> {
    let read: Fetched = serde_json::from_str(fetched)
        .map_err(|why| error(format!("what was fetched is no JSON object: {why}")))?;
    let suffix = format!("/{name}");
    let exact = read.get(name).filter(|value| !value.is_null());
    let found = exact.or_else(|| {
        let mut entries = read.iter();
        entries
            .find(|(key, _)| key.ends_with(&suffix))
            .map(|(_, value)| value)
    });
    match found {
        None | Some(Json::Null) => Err(error(format!("Could not find secret {name}"))),
        Some(Json::String(text)) => Ok(text.clone()),
        Some(other) => Ok(other.to_string()),
    }
}

impl Wish {
    /// The names, below `--from`.
    fn prefixed(&self) -> Vec<String> {
        let prefix = |name: &String| match &self.from {
            Some(from) => format!("{from}/{name}"),
            None => name.clone(),
        };
        self.names.iter().map(prefix).collect()
    }

    fn account(&self) -> Result<&str, VaultError> {
        let missing = || error("Missing required option '--account'");
        self.account.as_deref().ok_or_else(missing)
    }
}

fn error(text: impl Into<String>) -> VaultError {
    VaultError(text.into())
}

/// The JSON a program printed.
fn json(said: &Said) -> Result<Json, VaultError> {
    serde_json::from_str(&said.text)
        .map_err(|why| error(format!("the vault's answer is no JSON: {why}")))
}

fn failed<T>(text: impl Into<String>) -> Result<T, VaultError> {
    Err(error(text))
}

/// A list as Ruby shows it, which Kamal's messages have: `["a", "b"]`.
fn listed(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    format!("[{}]", quoted.join(", "))
}
