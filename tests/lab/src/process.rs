//! Processes that outlive the command that started them: by their pid file, never by a broad name.

use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, thread};

use crate::command::{as_root, run};
use crate::{LabError, state};

/// How long a process may take to stop before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// The process a pid file names, when it still runs and is `program`.
///
/// A pid is used again after a while: the name guards against stopping a stranger.
pub fn running(pid_file: &Path, program: &str) -> Option<u32> {
    let pid = fs::read_to_string(pid_file).ok()?.trim().parse().ok()?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    // The kernel keeps 15 bytes of a name.
    let same = name.trim() == program.get(..15).unwrap_or(program);
    (same && is_alive(pid)).then_some(pid)
}

/// Stops the process a pid file names and removes the file. True if there was one.
pub fn stop(pid_file: &Path, program: &str) -> Result<bool, LabError> {
    let Some(pid) = running(pid_file, program) else {
        state::remove(pid_file)?;
        return Ok(false);
    };
    signal(pid, "TERM")?;
    if !is_gone_within(pid, STOP_LIMIT) {
        signal(pid, "KILL")?;
        is_gone_within(pid, STOP_LIMIT);
    }
    state::remove(pid_file)?;
    Ok(true)
}

fn signal(pid: u32, name: &str) -> Result<(), LabError> {
    run(&mut as_root("sh", ["-c", &format!("kill -{name} {pid}")])).map(drop)
}

fn is_gone_within(pid: u32, limit: Duration) -> bool {
    let start = Instant::now();
    while is_alive(pid) {
        if start.elapsed() > limit {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}

/// A process that ended but was not waited for yet (state `Z`) is not alive.
fn is_alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.trim_start().starts_with('Z'))
    })
}
