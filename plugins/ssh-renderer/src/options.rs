//! Command line options that carry meaning, and facts: the JSON next to the manifest.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Options of the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Options {
    /// Patterns of `--hosts`.
    pub hosts: Option<Vec<String>>,
    /// Patterns of `--roles`.
    pub roles: Option<Vec<String>>,
    /// Only the primary host.
    pub primary: bool,
    /// No hooks.
    pub skip_hooks: bool,
    /// The image is in the registry already.
    pub skip_push: bool,
    /// Names of the project's secrets; `None` when they are not known.
    pub secrets: Option<Vec<String>>,
}

/// What the host found out for `needs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// Hooks that exist, by name.
    pub hook: BTreeMap<String, bool>,
}
