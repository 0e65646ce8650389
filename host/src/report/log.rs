//! A file that has everything a run said: Kamal's `output.file`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// An open file.
pub(super) struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    /// A new file in a folder: `2026-11-20T14-41-08[_staging]_app_boot.log`, in UTC.
    pub(super) fn create(
        folder: &Path,
        destination: Option<&str>,
        command: &str,
        now: SystemTime,
    ) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join(name(destination, command, now));
        Ok(Self {
            file: File::create(&path)?,
            path,
        })
    }

    /// Adds text. A full disk must not fail a deploy.
    pub(super) fn write(&mut self, text: &str) {
        let _ = self.file.write_all(text.as_bytes());
    }

    /// The last line, and where the file is.
    pub(super) fn end(mut self, failure: Option<&str>, took: Duration) -> PathBuf {
        let seconds = took.as_secs_f32();
        self.write(&match failure {
            None => format!("# Completed in {seconds:.1}s\n"),
            Some(why) => format!("# FAILED: {why} ({seconds:.1}s)\n"),
        });
        self.path
    }
}

fn name(destination: Option<&str>, command: &str, now: SystemTime) -> String {
    let stamp = humantime::format_rfc3339_seconds(now).to_string();
    let stamp = stamp.trim_end_matches('Z').replace(':', "-");
    let command = command.replace([' ', '-'], "_");
    match destination {
        Some(destination) => format!("{stamp}_{destination}_{command}.log"),
        None => format!("{stamp}_{command}.log"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_named_after_time_destination_and_command_and_ends_with_the_outcome() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        assert_eq!(
            name(Some("staging"), "app boot", now),
            "2001-09-09T01-46-40_staging_app_boot.log"
        );
        let folder = std::env::temp_dir().join(format!("plimsoll-log-{}", std::process::id()));
        for (failure, last) in [
            (None, "# Completed in 1.5s"),
            (Some("no disk"), "# FAILED: no disk (1.5s)"),
        ] {
            let mut log = Log::create(&folder, None, "deploy", now).expect("is made");
            log.write("hello\n");
            let path = log.end(failure, Duration::from_millis(1500));
            let text = fs::read_to_string(path).expect("is there");
            assert_eq!(text, format!("hello\n{last}\n"));
        }
        fs::remove_dir_all(folder).expect("removes");
    }
}
