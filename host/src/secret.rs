//! Secrets: text that is used and never shown. Any layer may use this one; it uses none.
//!
//! `store` holds a project's secrets and `dotenv` reads their files, `encode` writes them for their sinks, `redact`
//! takes them out of everything that comes back, `vault` fetches them from password managers.

use std::fmt;

use zeroize::Zeroizing;

pub mod dotenv;
pub mod encode;
pub mod redact;
pub mod store;
pub mod vault;

pub use encode::Encoding;
pub use redact::Redactor;
pub use store::{RunCommand, SecretError, SecretFile, SecretStore};

/// A password, token or key. Wiped when dropped; `Debug` and `Display` print `[redacted]`; it can't be serialised.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself, for the one call that has to send it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing to hide.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "[redacted] [redacted]");
        assert_eq!(secret.expose(), "hunter2");
    }
}
