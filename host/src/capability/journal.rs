//! The journal: every privileged call before it is made and after, each line chained to the one before by its
//! hash. Secrets are in it by name only.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

/// One run's journal, a file of JSON lines.
pub struct Journal {
    path: PathBuf,
    written: Mutex<Written>,
}

struct Written {
    /// Opened at the first privileged call: a run without one leaves no file.
    file: Option<File>,
    number: u64,
    previous: String,
}

impl Journal {
    /// A journal at `path`.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            written: Mutex::new(Written {
                file: None,
                number: 0,
                previous: "0".repeat(64),
            }),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends an entry and waits until it is on the disk.
    ///
    /// # Errors
    /// When it can't be written: the call it announces must then not be made.
    pub fn write(&self, kind: &str, entry: &Json) -> io::Result<()> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.file.is_none() {
            if let Some(parent) = self.path.parent() {
                DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(parent)?;
            }
            written.file = Some(
                OpenOptions::new()
                    .create(true)
                    .append(true)
                    .mode(0o600)
                    .open(&self.path)?,
            );
        }
        let line = json!({
            "number": written.number,
            "time": humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string(),
            "kind": kind,
            "entry": entry,
            "previous": written.previous,
        })
        .to_string();
        let digest = digest(&line);
        if let Some(file) = &mut written.file {
            file.write_all(format!("{line}\n").as_bytes())?;
            file.sync_data()?;
        }
        written.number += 1;
        written.previous = digest;
        Ok(())
    }
}

fn digest(line: &str) -> String {
    Sha256::digest(line.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Checks a journal's chain.
///
/// # Errors
/// The number of the first line that is not what its successor, or itself, says.
pub fn verify(text: &str) -> Result<usize, usize> {
    let mut previous = "0".repeat(64);
    let mut count = 0;
    for (number, line) in text.lines().enumerate() {
        let entry: Json = serde_json::from_str(line).map_err(|_| number)?;
        if entry["previous"] != previous.as_str() || entry["number"] != number {
            return Err(number);
        }
        previous = digest(line);
        count += 1;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_or_missing_line_breaks_the_chain() {
        let path = std::env::temp_dir()
            .join(format!("plimsoll-journal-{}", std::process::id()))
            .join("j.jsonl");
        let journal = Journal::new(path.clone());
        for n in 0..3 {
            journal.write("intent", &json!({"n": n})).expect("writes");
        }
        let text = std::fs::read_to_string(&path).expect("written");
        assert_eq!(verify(&text), Ok(3));
        assert_eq!(verify(&text.replacen("\"n\":1", "\"n\":9", 1)), Err(2));
        let without_first: String = text
            .lines()
            .skip(1)
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(verify(&without_first), Err(0));
        std::fs::remove_dir_all(path.parent().expect("has one")).expect("removes");
    }
}
