//! Running other programs: the lab is made of Debian's own tools.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::{env, fs, thread};

use crate::LabError;

/// Folders where Debian keeps what only root is expected to use; a user's `PATH` often lacks them.
const SYSTEM_FOLDERS: [&str; 2] = ["/usr/sbin", "/sbin"];

/// A command of `program` with `arguments`.
pub fn command<S: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// The same as root: as it is when we are root, else through sudo.
pub fn as_root<S: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = S>) -> Command {
    let found = find(program);
    let program = found
        .as_deref()
        .map_or(OsStr::new(program), Path::as_os_str);
    let mut command = if is_root() {
        Command::new(program)
    } else {
        let mut sudo = Command::new("sudo");
        sudo.arg(program);
        sudo
    };
    command.args(arguments);
    command
}

/// Whether this process is root's.
pub fn is_root() -> bool {
    static ROOT: OnceLock<bool> = OnceLock::new();
    *ROOT.get_or_init(|| fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0))
}

/// Where `program` is, in `PATH` or among the system's own.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(SYSTEM_FOLDERS.map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Runs it to its end and returns what it wrote to stdout, trimmed.
pub fn run(command: &mut Command) -> Result<String, LabError> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| not_started(command, source))?;
    finished(command, output)
}

/// Runs it with `input` on its stdin.
pub fn run_with_input(command: &mut Command, input: &[u8]) -> Result<String, LabError> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| not_started(command, source))?;
    let mut stdin = child.stdin.take().expect("stdin was asked for as a pipe");
    let output = thread::scope(|scope| {
        // A program that stops reading tells why itself: its status and stderr, not our broken pipe.
        scope.spawn(move || {
            let _ = stdin.write_all(input);
        });
        child.wait_with_output()
    })
    .map_err(|source| not_started(command, source))?;
    finished(command, output)
}

/// Runs it with our own terminal, for long work the user wants to see.
pub fn run_shown(command: &mut Command) -> Result<(), LabError> {
    let status = command
        .status()
        .map_err(|source| not_started(command, source))?;
    if status.success() {
        return Ok(());
    }
    Err(LabError::Command {
        command: line(command),
        status,
        output: "see above".to_owned(),
    })
}

/// Whether it starts and succeeds.
pub fn succeeds(command: &mut Command) -> bool {
    run(command).is_ok()
}

/// The command as one line, for messages.
pub fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

/// `word` as one word of a POSIX shell.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn not_started(command: &Command, source: std::io::Error) -> LabError {
    LabError::Start {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    }
}

fn finished(command: &Command, output: Output) -> Result<String, LabError> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let said = [text(&output.stderr), text(&output.stdout)];
    Err(LabError::Command {
        command: line(command),
        status: output.status,
        output: said
            .into_iter()
            .find(|said| !said.is_empty())
            .unwrap_or_else(|| "no output".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_word_reaches_a_shell_unchanged() {
        for word in [
            "plain",
            "two words",
            "it's",
            "$HOME",
            "",
            "a;b",
            "{{.ID}}",
            "\"q\"",
            "new\nline",
        ] {
            let printed = Command::new("sh")
                .arg("-c")
                .arg(format!("printf %s {}", quote(word)))
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(printed.stdout).unwrap(), word);
        }
    }

    #[test]
    fn a_failing_command_is_named_with_what_it_said() {
        let error = run(&mut command("sh", ["-c", "echo no >&2; exit 3"]))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("sh -c") && error.contains("exit status: 3") && error.ends_with("no"),
            "{error}"
        );
    }

    #[test]
    fn large_input_and_large_output_do_not_block_each_other() {
        let input = vec![b'x'; 4 << 20];
        assert_eq!(
            run_with_input(&mut command("cat", [""; 0]), &input)
                .unwrap()
                .len(),
            input.len()
        );
    }
}
