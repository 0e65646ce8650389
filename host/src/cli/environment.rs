//! Everything taken from the process's surroundings, in one place.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the module that reads the surroundings"
)]

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

/// The command line, from the name this binary was called by.
pub(super) fn arguments() -> impl Iterator<Item = OsString> {
    env::args_os()
}

/// The surroundings of a run.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Variables with a UTF-8 name and value.
    pub variables: BTreeMap<String, String>,
    /// Where plimsoll was called.
    pub folder: PathBuf,
    /// The user's home.
    pub home: PathBuf,
    /// Compiled components: `$XDG_CACHE_HOME/plimsoll/aot`.
    pub aot: PathBuf,
    /// Journals and the fingerprint key: `$XDG_STATE_HOME/plimsoll`.
    pub state: PathBuf,
    /// This binary.
    pub executable: PathBuf,
}

impl Environment {
    /// Reads them.
    ///
    /// # Errors
    /// When there is no current folder, or no home.
    pub fn read() -> io::Result<Self> {
        let variables: BTreeMap<String, String> = env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let home = env::home_dir()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "HOME is not set"))?;
        let below = |variable: &str, default: &str| {
            let set = variables
                .get(variable)
                .filter(|path| path.starts_with('/'))
                .map(PathBuf::from);
            set.unwrap_or_else(|| home.join(default)).join("plimsoll")
        };
        Ok(Self {
            folder: env::current_dir()?,
            aot: below("XDG_CACHE_HOME", ".cache").join("aot"),
            state: below("XDG_STATE_HOME", ".local/state"),
            executable: env::current_exe()?,
            home: home.clone(),
            variables,
        })
    }

    /// A variable that is set to something.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Colours are wanted (<https://no-color.org>).
    pub fn colour(&self) -> bool {
        self.variable("NO_COLOR").is_none()
    }
}
