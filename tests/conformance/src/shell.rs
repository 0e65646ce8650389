//! The remote user's shell: a real one, in a real home of its own below the run's folder, with programs of its own:
//! the plain ones of this machine, and stand-ins for those that would reach out of it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc;
use std::{fs, io};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use russh::server::Msg;
use russh::{Channel, ChannelMsg};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::world::{Change, Host, What, World, hex};

/// Programs of this machine that a remote shell has.
const PLAIN: &[&str] = &[
    "awk",
    "base64",
    "basename",
    "cat",
    "chmod",
    "cp",
    "cut",
    "date",
    "dirname",
    "du",
    "echo",
    "env",
    "expr",
    "false",
    "find",
    "getent",
    "grep",
    "head",
    "ln",
    "ls",
    "mkdir",
    "mktemp",
    "mv",
    "od",
    "printenv",
    "printf",
    "pwd",
    "readlink",
    "realpath",
    "rm",
    "sed",
    "seq",
    "sh",
    "sha256sum",
    "sleep",
    "sort",
    "stat",
    "tail",
    "tar",
    "tee",
    "test",
    "timeout",
    "touch",
    "tr",
    "true",
    "tty",
    "uname",
    "uniq",
    "wc",
    "xargs",
];

/// Stand-ins, as scripts.
const STAND_INS: &[(&str, &str)] = &[
    (
        "chown",
        r#"shift_r=; [ "$1" = -R ] && shift; owner=$1; shift; [ "$1" = -- ] && shift
for path; do printf '%s\t%s\n' "$owner" "$(realpath "$path")" >> "$CONFORMANCE_HOST/owners"; done"#,
    ),
    (
        "curl",
        r#"case "$*" in *get.docker.com*) echo 'touch "$CONFORMANCE_HOST/docker"';; *) exit 6;; esac"#,
    ),
    (
        "wget",
        r#"case "$*" in *get.docker.com*) echo 'touch "$CONFORMANCE_HOST/docker"';; *) exit 4;; esac"#,
    ),
    (
        "sudo",
        r#"while [ "${1#-}" != "$1" ]; do case $1 in -*l*) exit 0;; esac; shift; done; exec "$@""#,
    ),
    ("usermod", r#"echo "$@" >> "$CONFORMANCE_HOST/usermod""#),
    (
        "id",
        r#"u=${CONFORMANCE_USER:-root}; n=0; [ "$u" = root ] || n=1000
case "$*" in -u) echo $n;; -un) echo "$u";; -nG*|-Gn*) [ -s "$CONFORMANCE_HOST/usermod" ] && echo "$u docker" || echo "$u";; *) echo "uid=$n($u) gid=$n($u) groups=$n($u)";; esac"#,
    ),
    ("whoami", r#"echo "${CONFORMANCE_USER:-root}""#),
    (
        "hostname",
        r#"printf '%s\n' "__command.hostname${*:+ $*}.__""#,
    ),
    ("groups", r#"id -nG"#),
    ("kill", ":"),
    (
        "rmdir",
        r#"case "$*" in *lock-*) [ -z "$CONFORMANCE_UNLOCK" ] || { echo "$CONFORMANCE_UNLOCK" >&2; exit 1; };; esac
for path; do case $path in -*) ;; *) rm -d -- "$path" || exit 1;; esac; done"#,
    ),
];

/// Docker's command line, on a host that has Docker: what is copied out of a container is one file, and how it was asked
/// for is written down.
const DOCKER: &str = r#"case "$1" in -v|--version) echo "Docker version 27.0.0, build 0000000"; exit 0;;
version) echo 1.46; exit 0;; esac
case "$1 $2" in
  "container create"|"container rm") :;;
  "container cp") for last; do :; done; mkdir -p "$last"; echo "of the image" > "$last/file";;
  *) echo "docker: this command line is a stand-in" >&2; exit 125;;
esac
printf '%s\n' "$*" >> "$CONFORMANCE_HOST/docker-calls""#;

/// Makes the folders of programs: `programs` and `docker`.
///
/// # Errors
/// When they can't be written.
pub fn furnish(folder: &Path) -> io::Result<()> {
    let programs = folder.join("programs");
    let docker = folder.join("docker");
    for made in [&programs, &docker] {
        fs::create_dir_all(made)?;
    }
    for name in PLAIN {
        let real = ["/usr/bin", "/bin"].map(|place| Path::new(place).join(name));
        if let Some(real) = real.iter().find(|path| path.exists()) {
            let _ = std::os::unix::fs::symlink(real, programs.join(name));
        }
    }
    for (name, script) in STAND_INS {
        program(&programs.join(name), script)?;
    }
    program(&docker.join("docker"), DOCKER)
}

/// Writes a script that can be run.
///
/// # Errors
/// When it can't be written.
pub fn program(path: &Path, script: &str) -> io::Result<()> {
    // A link to a real program is not written through.
    let _ = fs::remove_file(path);
    fs::write(path, format!("#!/bin/sh\n{script}\n"))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

/// Keeps the simulated clock still as long as it lives: somebody works outside the runtime.
pub struct Working(mpsc::Sender<()>);

impl Working {
    /// Begins.
    pub fn begin() -> Self {
        let (working, ended) = mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || ended.recv().is_err());
        Self(working)
    }

    /// Ends.
    pub fn end(self) {
        drop(self.0);
    }
}

/// Runs a command for a channel, to its end.
pub async fn run(world: World, host: String, command: String, mut channel: Channel<Msg>) {
    let code = match attend(&world, &host, &command, &mut channel).await {
        Ok(code) => code,
        Err(error) => {
            let _ = channel.extended_data(1, error.to_string().as_bytes()).await;
            126
        }
    };
    // A client that has left hears nothing.
    let _ = channel
        .exit_status(u32::try_from(code).unwrap_or(255))
        .await;
    let _ = channel.eof().await;
    let _ = channel.close().await;
}

async fn attend(
    world: &World,
    host: &str,
    command: &str,
    channel: &mut Channel<Msg>,
) -> io::Result<i32> {
    let mut child = start(world, host, command)?;
    let (mut input, output, errors) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take());
    // A shell that waits to be told something does nothing.
    let waits = command.contains("read -r line");
    let mut working = (!waits).then(Working::begin);
    let mut told = Vec::new();
    let (mut output, mut errors) = (output.map(Open::new), errors.map(Open::new));
    let (mut out, mut err) = (vec![0; 32 << 10], vec![0; 32 << 10]);
    loop {
        tokio::select! {
            message = channel.wait(), if input.is_some() => match message {
                Some(ChannelMsg::Data { data }) => {
                    working.get_or_insert_with(Working::begin);
                    if told.len() < 64 << 10 {
                        told.extend_from_slice(&data);
                    }
                    if let Some(pipe) = &mut input {
                        // A command may end without reading all of its input.
                        let _ = pipe.write_all(&data).await;
                    }
                }
                Some(ChannelMsg::Eof) | None => {
                    if told.is_empty() && waits {
                        // Never used: the client has left.
                        let _ = child.kill().await;
                        return Ok(0);
                    }
                    input = None;
                }
                Some(_) => {}
            },
            read = read(&mut output, &mut out), if output.is_some() => match read {
                0 => output = None,
                read => drop(channel.data_bytes(out[..read].to_vec()).await),
            },
            read = read(&mut errors, &mut err), if errors.is_some() => match read {
                0 => errors = None,
                read => drop(channel.extended_data(1, &err[..read]).await),
            },
            else => break,
        }
        if output.is_none() && errors.is_none() {
            break;
        }
    }
    drop(input);
    let code = child.wait().await?.code().unwrap_or(137);
    let line = if told.is_empty() {
        command.to_owned()
    } else {
        String::from_utf8_lossy(&told)
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    notice(world, host, line, code);
    if let Some(working) = working {
        working.end();
    }
    Ok(code)
}

struct Open<R>(R);

impl<R> Open<R> {
    fn new(pipe: R) -> Self {
        Self(pipe)
    }
}

async fn read<R: tokio::io::AsyncRead + Unpin>(
    pipe: &mut Option<Open<R>>,
    into: &mut [u8],
) -> usize {
    match pipe {
        Some(Open(pipe)) => pipe.read(into).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}

fn start(world: &World, host: &str, command: &str) -> io::Result<tokio::process::Child> {
    let mut inner = world.lock();
    let folder = inner.folder.clone();
    let variables = remote_variables(&folder);
    let unlock = inner
        .case
        .state
        .faults
        .iter()
        .find(|fault| fault.hits("unlock", host, ""))
        .map(|fault| fault.message_or("rm: cannot remove the lock: Operation not permitted"));
    let here = inner.host(host);
    fs::create_dir_all(&here.home)?;
    let own = here.home.parent().unwrap_or(&here.home).to_owned();
    let programs = std::env::var_os("CONFORMANCE_PROGRAMS")
        .map(PathBuf::from)
        .unwrap_or_default();
    let mut path = programs.join("programs").display().to_string();
    if here.docker {
        path = format!("{path}:{}", programs.join("docker").display());
    }
    let user = if here.root { "root" } else { "deploy" };
    let mut process = Command::new("/bin/sh");
    process
        .args(["-c", command])
        .current_dir(&here.home)
        .env_clear()
        .envs(variables)
        .env("HOME", &here.home)
        .env("PATH", path)
        .env("USER", user)
        .env("LOGNAME", user)
        .env("CONFORMANCE_USER", user)
        .env("CONFORMANCE_HOST", &own)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if let Some(message) = unlock {
        process.env("CONFORMANCE_UNLOCK", message);
    }
    process.spawn()
}

/// Variables of the remote environment: those that the project names, each with a value that says whose it is.
fn remote_variables(folder: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(folder.join("remote-variables.json")).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Looks at what a command left behind.
fn notice(world: &World, host: &str, line: String, code: i32) {
    let mut inner = world.lock();
    let freed = inner
        .case
        .state
        .faults
        .iter()
        .find(|fault| fault.hits("lock_freed", host, ""))
        .and_then(|fault| fault.after_polls);
    let here = inner.host(host);
    let home = here.home.clone();
    let held_before = !here.locks.is_empty();
    let mut found = BTreeMap::new();
    // What can't be read is not there.
    let _ = walk(&home, &home, &mut found);
    let mut events = Vec::new();
    for (path, state) in &found {
        match here.files.get(path) {
            None => events.push((path.clone(), Change::New)),
            Some(before) if before != state => events.push((path.clone(), Change::Changed)),
            Some(_) => {}
        }
    }
    for path in here.files.keys().filter(|path| !found.contains_key(*path)) {
        events.push((path.clone(), Change::Gone));
    }
    here.files = found;
    let locks = locks(here);
    let before = std::mem::replace(&mut here.locks, locks.clone());
    let own = home.parent().unwrap_or(&home).to_owned();
    let installed = !here.docker && own.join("docker").exists();
    if installed {
        here.docker = true;
    }
    let about_lock = line.contains("lock-");
    inner.saw(host, What::Ran { line, code });
    if installed {
        inner.saw(host, What::DockerInstalled);
    }
    for (name, details) in &locks {
        if !before.contains_key(name) {
            inner.saw(
                host,
                What::LockTaken {
                    name: name.clone(),
                    details: details.clone(),
                },
            );
        }
    }
    for name in before.keys().filter(|name| !locks.contains_key(*name)) {
        inner.saw(host, What::LockGone { name: name.clone() });
    }
    for (path, change) in events {
        inner.saw(host, What::File { path, change });
    }
    if let Some(polls) = freed
        && about_lock
        && held_before
        && before == locks
    {
        let met = inner.met.entry(format!("lock_freed {host}")).or_default();
        *met += 1;
        if *met == polls {
            let here = inner.host(host);
            for name in locks.keys() {
                let _ = fs::remove_dir_all(here.home.join(".kamal").join(name));
            }
            here.locks.clear();
            let (home, mut found) = (here.home.clone(), BTreeMap::new());
            let _ = walk(&home, &home, &mut found);
            here.files = found;
        }
    }
}

/// Locks that are there, and their details.
fn locks(host: &Host) -> BTreeMap<String, String> {
    let entries = fs::read_dir(host.home.join(".kamal"))
        .into_iter()
        .flatten()
        .flatten();
    let locks = entries.filter_map(|entry| {
        let name = entry
            .file_name()
            .into_string()
            .ok()
            .filter(|name| name.starts_with("lock-"))?;
        if !entry.path().is_dir() {
            return None;
        }
        let text = fs::read(entry.path().join("details")).unwrap_or_default();
        let compact: Vec<u8> = text
            .into_iter()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect();
        let details = STANDARD.decode(&compact).unwrap_or(compact);
        Some((name, String::from_utf8_lossy(&details).into_owned()))
    });
    locks.collect()
}

/// Files and folders below a folder, with mode and digest; a folder's digest is empty.
fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, (u32, String)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let about = fs::symlink_metadata(&path)?;
        let name = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .display()
            .to_string();
        let mode = about.permissions().mode() & 0o7777;
        if about.is_dir() {
            found.insert(name, (mode, String::new()));
            walk(root, &path, found)?;
        } else {
            let content = fs::read(&path).unwrap_or_default();
            found.insert(name, (mode, hex(&String::from_utf8_lossy(&content))));
        }
    }
    Ok(())
}

/// Puts a host's home into its start state.
///
/// # Errors
/// When it can't be written.
pub fn settle(host: &mut Host, described: &crate::case::Host, lock: &str) -> io::Result<()> {
    let kamal = host.home.join(".kamal");
    fs::create_dir_all(&kamal)?;
    if let Some(details) = &described.lock {
        fs::create_dir_all(kamal.join(lock))?;
        let encoded = STANDARD.encode(details);
        let lines: Vec<&str> = encoded
            .as_bytes()
            .chunks(60)
            .map(|line| std::str::from_utf8(line).unwrap_or_default())
            .collect();
        fs::write(
            kamal.join(lock).join("details"),
            format!("{}\n", lines.join("\n")),
        )?;
    }
    for app in &described.other_apps {
        fs::create_dir_all(kamal.join("apps").join(app))?;
    }
    host.locks = locks(host);
    let (home, mut found) = (host.home.clone(), BTreeMap::new());
    walk(&home, &home, &mut found)?;
    host.files = found;
    Ok(())
}
