//! What survives a restart of the proxy.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::options::Options;

const FILE: &str = "kamal-proxy.state";

/// A service as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kept {
    /// Its name.
    pub name: String,
    /// How it is routed and treated.
    pub options: Options,
    /// Its targets, as `name:port`.
    pub active_targets: Vec<String>,
    /// Whether it was stopped, and with which message.
    pub mode: Mode,
}

/// Whether a service answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It does.
    Running,
    /// Everybody gets 503 and this message.
    Stopped(String),
}

/// The file in `folder`, read; `None` if there is none.
pub fn read(folder: &Path) -> io::Result<Option<Vec<Kept>>> {
    match fs::read(folder.join(FILE)) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes the file, whole or not at all.
pub fn write(folder: &Path, services: &[Kept]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let fresh: PathBuf = folder.join("kamal-proxy.state.new");
    fs::write(&fresh, serde_json::to_vec(services)?)?;
    fs::rename(fresh, folder.join(FILE))
}
