//! The project's own hooks: executables that run on this machine with everything the user may do.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;

use crate::wire::{WireError, process::outside};

/// What a hook did.
#[derive(Debug)]
pub struct HookOutput {
    /// Exit code; 128 and the signal when one ended it.
    pub code: i32,
    /// The first 64 KiB of standard output, then those of standard error.
    pub text: Vec<u8>,
}

/// Bytes kept of each stream.
const KEPT: u64 = 64 << 10;

/// Runs an executable in `project` with `env` added to our environment, and kills it after `limit`.
///
/// # Errors
/// `NotFound` when it is not there, `Io` when it does not start, `TimedOut`.
pub async fn run(
    hook: &Path,
    project: &Path,
    env: &[(&str, &str)],
    limit: Duration,
) -> Result<HookOutput, WireError> {
    let what = format!("hook {}", hook.display());
    if !hook.exists() {
        return Err(WireError::NotFound {
            place: "this machine".into(),
            what,
        });
    }
    let io = |source| WireError::Io {
        what: what.clone(),
        source,
    };
    let mut child = Command::new(hook)
        .current_dir(project)
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(io)?;
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let all = async {
        let (stdout, stderr, status) =
            tokio::join!(keep(out.as_mut()), keep(err.as_mut()), child.wait());
        let status = status.map_err(io)?;
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        let code = status
            .code()
            .or(signal.map(|signal| 128 + signal))
            .unwrap_or(-1);
        Ok(HookOutput {
            code,
            text: [stdout, stderr].concat(),
        })
    };
    tokio::time::timeout(limit, outside(all))
        .await
        .map_err(|_| WireError::TimedOut {
            what: what.clone(),
            after: limit,
        })?
}

/// Reads to the end and keeps the beginning.
async fn keep<R: tokio::io::AsyncRead + Unpin>(stream: Option<&mut R>) -> Vec<u8> {
    let mut kept = Vec::new();
    if let Some(stream) = stream {
        // A stream that breaks ends where it broke.
        let _ = (&mut *stream).take(KEPT).read_to_end(&mut kept).await;
        let _ = tokio::io::copy(stream, &mut tokio::io::sink()).await;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn a_hook_has_the_variables_it_is_given_and_its_code_is_kept() {
        let folder = std::env::temp_dir().join(format!("plimsoll-hook-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("creates");
        let hook = folder.join("pre-deploy");
        std::fs::write(
            &hook,
            "#!/bin/sh\necho $KAMAL_VERSION; echo oops >&2; exit 3\n",
        )
        .expect("writes");
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755))
            .expect("sets the mode");
        let output = run(
            &hook,
            &folder,
            &[("KAMAL_VERSION", "abc")],
            Duration::from_secs(10),
        )
        .await
        .expect("runs");
        assert_eq!(
            (output.code, output.text.as_slice()),
            (3, &b"abc\noops\n"[..])
        );
        std::fs::write(&hook, "#!/bin/sh\nsleep 60\n").expect("writes");
        let slow = run(&hook, &folder, &[], Duration::from_millis(200)).await;
        assert!(matches!(slow, Err(WireError::TimedOut { .. })), "{slow:?}");
        std::fs::remove_dir_all(folder).expect("removes");
    }
}
