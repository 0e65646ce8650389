//! Kamal's `test` adapter: a secret's value is its name, reversed. Projects are tried with it.

use serde_json::Value as Json;

use super::{Fetched, Programs, Vault, VaultError, Wish};

pub(super) struct Reversed;

impl Vault for Reversed {
    fn program(&self) -> Option<(&'static str, &'static [&'static str])> {
        None
    }

    fn fetch(&self, wish: &Wish, _programs: &dyn Programs) -> Result<Fetched, VaultError> {
        let value = |name: &String| {
            let name = name.replace("LPAREN", "(").replace("RPAREN", ")");
            Json::String(name.chars().rev().collect())
        };
        let names = wish.prefixed();
        Ok(names
            .iter()
            .map(|name| (name.clone(), value(name)))
            .collect())
    }
}
