//! Codecs: dotenv, YAML, ERB and their like.

use std::fs;
use std::path::Path;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Runs every file of vectors of a folder.
///
/// # Errors
/// When one can't be read.
pub fn run(folder: &Path, out: &Path) -> Result<()> {
    fs::create_dir_all(out)?;
    for entry in fs::read_dir(folder)? {
        let _ = entry?;
    }
    Ok(())
}
