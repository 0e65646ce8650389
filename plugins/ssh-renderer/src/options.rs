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

/// Something that rendering depends on, for the host to find out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// See `need` of `wit/renderer.wit`.
    pub kind: &'static str,
    /// Its name; empty when there is only one.
    pub name: String,
}

/// What the host found out for `needs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Facts {
    /// Hooks that exist, by name.
    pub hook: BTreeMap<String, bool>,
    /// By the name that was asked for, a file or folder: path to SHA-256.
    pub file: BTreeMap<String, BTreeMap<String, String>>,
    /// See [`Self::docker_arch`].
    pub docker_arch: BTreeMap<String, String>,
}

impl Facts {
    /// Architecture of this machine's Engine.
    pub fn docker_arch(&self) -> Option<&str> {
        self.docker_arch.get("").map(String::as_str)
    }
}
