//! Files and commands on a host or on this machine: one set of verbs for both.
//!
//! Each verb is one command, hence one round trip. Relative paths start in the user's home, there as here.
//!
//! * [`trees`]: directories, and what is in them.
//! * [`bootstrap`]: Docker on a host that has none yet.

mod bootstrap;
mod trees;

use std::{path::PathBuf, process::Stdio, time::Duration};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub use bootstrap::DockerState;

use crate::wire::{Ssh, WireError, process::outside};

/// Where something is done.
#[derive(Clone)]
pub enum Place {
    /// This machine.
    Local,
    /// A host at the other end of an SSH connection.
    Remote(Ssh),
}

/// A command to run. No shell reads it: the words arrive as they are.
#[derive(Debug, Clone)]
pub struct Command {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// What the command reads; then its standard input ends.
    pub stdin: Option<Vec<u8>>,
    /// How long it may take; the local program is killed then, a remote one may run on.
    pub timeout: Duration,
    /// Bytes kept of each of standard output and standard error.
    pub max_output: usize,
}

impl Command {
    /// With nothing to read, a minute to run and a MiB of output.
    pub fn new<W: Into<String>>(argv: impl IntoIterator<Item = W>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            stdin: None,
            timeout: Duration::from_secs(60),
            max_output: 1 << 20,
        }
    }

    /// The same with something to read.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// The same with another time limit.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// What it is called in messages: the first words, without what may be a secret further on.
    pub(crate) fn summary(&self) -> String {
        let program = self.argv.first().map_or("", String::as_str);
        match self.argv.get(1) {
            Some(word) if word.len() <= 20 && !word.starts_with('-') => {
                format!("`{program} {word}`")
            }
            _ => format!("`{program}`"),
        }
    }
}

/// How a command ended, and what it printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// The exit code; 128 + signal when one killed it.
    pub code: i32,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
    /// Some output was dropped.
    pub truncated: bool,
}

impl ExecOutput {
    /// Standard output as text, without blanks around it.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }

    /// Standard error as text, without blanks around it.
    pub fn error_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim().to_owned()
    }
}

/// Output as it comes in, up to a limit for each stream.
pub(crate) struct Gathered {
    max: usize,
    output: ExecOutput,
}

impl Gathered {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max,
            output: ExecOutput {
                code: 0,
                stdout: Vec::new(),
                stderr: Vec::new(),
                truncated: false,
            },
        }
    }

    pub(crate) fn stdout(&mut self, bytes: &[u8]) {
        self.output.truncated |= keep(&mut self.output.stdout, bytes, self.max);
    }

    pub(crate) fn stderr(&mut self, bytes: &[u8]) {
        self.output.truncated |= keep(&mut self.output.stderr, bytes, self.max);
    }

    pub(crate) fn finish(self, code: i32) -> ExecOutput {
        ExecOutput {
            code,
            ..self.output
        }
    }
}

fn keep(buffer: &mut Vec<u8>, bytes: &[u8], max: usize) -> bool {
    let room = max.saturating_sub(buffer.len()).min(bytes.len());
    buffer.extend_from_slice(&bytes[..room]);
    room < bytes.len()
}

/// What came of asking for a directory that nobody else may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exclusive {
    /// It is ours now.
    Made,
    /// Somebody was first; this is in their file.
    AlreadyThere {
        /// Empty when they haven't written it yet.
        content: Vec<u8>,
    },
}

/// Whether there was something to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// It was there and no longer is.
    Gone,
    /// There was nothing.
    WasNotThere,
}

/// The exit code by which our scripts say "the answer is no", as against "that failed".
const NO: i32 = 65;

/// A connection that breaks ends the script's input early: a file of the wrong length is not put in place.
const PUT: &str = r#"set -e
[ ! -d "$1" ] || { echo "it is a directory" >&2; exit 1; }
case $1 in */*) mkdir -p -- "${1%/*}/";; esac
new=$1.$$.new
trap 'rm -f -- "$new"' EXIT
[ ! -e "$new" ] || rm -f -- "$new"
(umask 077; set -C; cat > "$new")
[ "$(wc -c < "$new")" -eq "$3" ] || { echo "the upload broke off" >&2; exit 1; }
chmod -- "$2" "$new"
mv -f -- "$new" "$1"
trap - EXIT"#;

const APPEND: &str = r#"set -e
case $1 in */*) mkdir -p -- "${1%/*}/";; esac
printf '%s' "$2" >> "$1""#;

const MAKE_DIRECTORY: &str = r#"mkdir -p -- "$1""#;

const READ: &str = r#"[ -e "$1" ] || exit 65
cat -- "$1""#;

const REMOVE: &str = r#"[ -e "$1" ] || [ -L "$1" ] || exit 65
rm -f -- "$1""#;

const MAKE_EXCLUSIVELY: &str = r#"case $1 in */*) mkdir -p -- "${1%/*}/" || exit 1;; esac
if error=$(mkdir -- "$1" 2>&1); then
  printf '%s' "$3" > "$1/$2" || { rm -f -- "$1/$2"; rmdir -- "$1"; exit 1; }
elif [ -d "$1" ]; then
  cat -- "$1/$2" 2>/dev/null; exit 65
else
  echo "$error" >&2; exit 1
fi"#;

const REMOVE_EXCLUSIVE: &str = r#"[ -d "$1" ] || exit 65
rm -f -- "$1/$2" && rmdir -- "$1""#;

impl Place {
    /// How messages name it.
    pub fn name(&self) -> String {
        match self {
            Self::Local => "this machine".into(),
            Self::Remote(ssh) => format!("host {}", ssh.host()),
        }
    }

    /// Runs a command and waits for its end; a code other than 0 is not an error.
    pub async fn exec(&self, command: Command) -> Result<ExecOutput, WireError> {
        match self {
            Self::Local => run_here(command).await,
            Self::Remote(ssh) => ssh.exec(command).await,
        }
    }

    /// Writes a file in one step: readers see the old content or the new. Makes the folders above it.
    pub async fn put(&self, path: &str, mode: u32, content: &[u8]) -> Result<(), WireError> {
        let (mode, length) = (format!("{mode:o}"), content.len().to_string());
        let what = format!("writing {path}");
        self.script(&what, PUT, &[path, &mode, &length], Some(content.to_vec()))
            .await?;
        Ok(())
    }

    /// Adds lines to a file, in one write. Makes the file and the folders above it.
    pub async fn append(&self, path: &str, lines: &[&str]) -> Result<(), WireError> {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let what = format!("appending to {path}");
        self.script(&what, APPEND, &[path, &text], None).await?;
        Ok(())
    }

    /// Makes a directory and the folders above it; there already is success.
    pub async fn make_directory(&self, path: &str) -> Result<(), WireError> {
        let what = format!("making directory {path}");
        self.script(&what, MAKE_DIRECTORY, &[path], None).await?;
        Ok(())
    }

    /// A file's content, up to 16 MiB, or `None` when there is no such file.
    pub async fn read(&self, path: &str) -> Result<Option<Vec<u8>>, WireError> {
        let output = self
            .script(&format!("reading {path}"), READ, &[path], None)
            .await?;
        if output.truncated {
            return Err(WireError::Invalid {
                what: format!("the size of {path}"),
                why: "over 16 MiB".into(),
            });
        }
        Ok((output.code != NO).then_some(output.stdout))
    }

    /// Removes a file.
    pub async fn remove(&self, path: &str) -> Result<Removed, WireError> {
        let output = self
            .script(&format!("removing {path}"), REMOVE, &[path], None)
            .await?;
        Ok(removed(&output))
    }

    /// Makes a directory that must not be there yet, with one file in it: Kamal's deploy lock.
    ///
    /// The making is atomic. Whoever comes between that and the writing of the file sees an empty content.
    pub async fn make_directory_exclusively(
        &self,
        path: &str,
        file: &str,
        content: &str,
    ) -> Result<Exclusive, WireError> {
        let what = format!("making {path}");
        let output = self
            .script(&what, MAKE_EXCLUSIVELY, &[path, file, content], None)
            .await?;
        Ok(if output.code == NO {
            Exclusive::AlreadyThere {
                content: output.stdout,
            }
        } else {
            Exclusive::Made
        })
    }

    /// Removes what [`Self::make_directory_exclusively`] made, and nothing else.
    pub async fn remove_exclusive_directory(
        &self,
        path: &str,
        file: &str,
    ) -> Result<Removed, WireError> {
        let what = format!("removing {path}");
        let output = self
            .script(&what, REMOVE_EXCLUSIVE, &[path, file], None)
            .await?;
        Ok(removed(&output))
    }

    /// Runs one of our scripts; its arguments are words, never part of its text.
    async fn script(
        &self,
        what: &str,
        script: &str,
        arguments: &[&str],
        stdin: Option<Vec<u8>>,
    ) -> Result<ExecOutput, WireError> {
        if let Some(nul) = arguments.iter().find(|argument| argument.contains('\0')) {
            return Err(WireError::Invalid {
                what: format!("{nul:?}"),
                why: "it contains a NUL".into(),
            });
        }
        if arguments
            .first()
            .is_none_or(|path| path.is_empty() || path.starts_with('~'))
        {
            return Err(WireError::Invalid {
                what: format!("path `{}`", arguments.first().unwrap_or(&"")),
                why: "paths are absolute, or relative to the home directory without `~`".into(),
            });
        }
        let argv = ["sh", "-c", script, "sh"]
            .iter()
            .chain(arguments)
            .map(ToString::to_string)
            .collect();
        let command = Command {
            argv,
            stdin,
            timeout: Duration::from_secs(120),
            max_output: 16 << 20,
        };
        let output = self.exec(command).await.map_err(|error| match error {
            WireError::TimedOut { after, .. } => WireError::TimedOut {
                what: format!("{what} on {}", self.name()),
                after,
            },
            other => other,
        })?;
        if output.code == 0 || output.code == NO {
            return Ok(output);
        }
        let stderr = output.error_text();
        Err(
            if stderr.contains("No space left on device") || stderr.contains("Disk quota exceeded")
            {
                WireError::DiskFull {
                    place: self.name(),
                    message: stderr,
                }
            } else {
                WireError::CommandFailed {
                    place: self.name(),
                    what: what.to_owned(),
                    code: output.code,
                    stderr,
                }
            },
        )
    }
}

fn removed(output: &ExecOutput) -> Removed {
    if output.code == NO {
        Removed::WasNotThere
    } else {
        Removed::Gone
    }
}

async fn run_here(command: Command) -> Result<ExecOutput, WireError> {
    let what = command.summary();
    let Some((program, arguments)) = command.argv.split_first() else {
        return Err(WireError::Invalid {
            what: "a command".into(),
            why: "it is empty".into(),
        });
    };
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .current_dir(std::env::home_dir().unwrap_or_else(|| PathBuf::from("/")))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(WireError::io(format!("starting {what}")))?;
    let (mut input, mut stdout, mut stderr) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let after = command.timeout;
    let feed = async {
        if let (Some(input), Some(bytes)) = (&mut input, &command.stdin) {
            // A command may end without reading all of its input: that is its business.
            let _ = input.write_all(bytes).await;
        }
        drop(input);
    };
    let max = command.max_output;
    let run = async {
        let ((), out, err) = tokio::join!(feed, drain(&mut stdout, max), drain(&mut stderr, max));
        Ok((child.wait().await?, out?, err?))
    };
    let (status, (stdout, more_out), (stderr, more_err)) =
        match tokio::time::timeout(after, outside(run)).await {
            Ok(result) => result.map_err(WireError::io(format!("running {what}")))?,
            Err(_) => {
                return Err(WireError::TimedOut {
                    what: format!("{what} on this machine"),
                    after,
                });
            }
        };
    use std::os::unix::process::ExitStatusExt;
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(ExecOutput {
        code,
        stdout,
        stderr,
        truncated: more_out || more_err,
    })
}

/// Reads to the end, keeps up to `max` bytes, and says whether there were more.
async fn drain(
    reader: &mut Option<impl AsyncReadExt + Unpin>,
    max: usize,
) -> std::io::Result<(Vec<u8>, bool)> {
    let (mut kept, mut more) = (Vec::new(), false);
    let Some(reader) = reader else {
        return Ok((kept, more));
    };
    let mut buffer = vec![0; 64 << 10];
    loop {
        match reader.read(&mut buffer).await? {
            0 => return Ok((kept, more)),
            n => more |= keep(&mut kept, &buffer[..n], max),
        }
    }
}
