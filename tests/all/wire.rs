//! The real clients against real servers: sshd, dockerd, a registry behind TLS and a password.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "tests start ssh-keygen, ssh-agent, openssl and docker"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command as Process, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use lab::{Host, Lab};
use plimsoll::wire::{
    Command, Credentials, Engine, Place, Refusal, Ssh, SshConfig, Target, WireError,
    build::{Build, BuildEvent, Private},
    context::Context,
    docker::{Ensured, Logs, Removal, Which},
    place::{Exclusive, Removed},
    registry::manifest_digest,
    ssh::{ConfigFiles, Proxy},
};
use serde_json::json;

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!(
            "plimsoll-wire-{name}-{}-{number}",
            std::process::id()
        ));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A home of its own: nothing of the user's configuration, keys or known hosts.
fn config(home: &Folder, host: &Host) -> SshConfig {
    SshConfig {
        user: Some(host.user.clone()),
        port: Some(host.port),
        keys: vec![host.key_path.clone()],
        keys_only: true,
        files: ConfigFiles::None,
        home: Some(home.0.clone()),
        ..SshConfig::default()
    }
}

fn target(host: &Host) -> Target {
    host.address.parse().unwrap()
}

async fn connect(home: &Folder, host: &Host) -> Ssh {
    Ssh::connect(&target(host), &config(home, host))
        .await
        .unwrap()
}

fn known_hosts(home: &Folder) -> String {
    fs::read_to_string(home.0.join(".ssh/known_hosts")).unwrap_or_default()
}

fn keygen(path: &Path, passphrase: &str, kind: &str) {
    let done = Process::new("ssh-keygen")
        .args(["-q", "-t", kind, "-N", passphrase, "-C", "", "-f"])
        .arg(path)
        .status()
        .unwrap();
    assert!(done.success());
}

#[track_caller]
fn unwrap_err<T>(result: Result<T, WireError>) -> WireError {
    match result {
        Ok(_) => panic!("it worked"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_new_host_is_remembered_and_a_changed_key_is_refused() {
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("known");
    connect(&home, &lab.hosts[0]).await;
    assert_eq!(
        known_hosts(&home),
        format!("{}\n", lab.hosts[0].known_hosts_line.trim())
    );
    connect(&home, &lab.hosts[0]).await;
    assert_eq!(known_hosts(&home).lines().count(), 1);

    let other = home.0.join("other");
    keygen(&other, "", "ed25519");
    let public = fs::read_to_string(other.with_extension("pub")).unwrap();
    home.write(
        ".ssh/known_hosts",
        format!("# comment\n{} {public}", lab.hosts[0].address),
    );
    let error =
        unwrap_err(Ssh::connect(&target(&lab.hosts[0]), &config(&home, &lab.hosts[0])).await);
    assert!(
        matches!(&error, WireError::HostKeyChanged { line: 2, .. }),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("ssh-keygen -R"), "{error:?}");
    // What the hint says is the cure.
    let file = home.0.join(".ssh/known_hosts");
    let forget = Process::new("ssh-keygen")
        .args(["-R", &lab.hosts[0].address, "-f"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(forget.status.success());
    connect(&home, &lab.hosts[0]).await;

    let strict = home.write("strict", "Host *\n  StrictHostKeyChecking yes\n");
    home.write(".ssh/known_hosts", "");
    let strict = SshConfig {
        files: ConfigFiles::These(vec![strict]),
        ..config(&home, &lab.hosts[0])
    };
    let error = unwrap_err(Ssh::connect(&target(&lab.hosts[0]), &strict).await);
    assert!(matches!(error, WireError::HostKeyUnknown { .. }), "{error}");
}

#[tokio::test]
async fn hashed_known_hosts_are_understood() {
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("hashed");
    let file = home.write(
        ".ssh/known_hosts",
        format!("{}\n", lab.hosts[0].known_hosts_line.trim()),
    );
    assert!(
        Process::new("ssh-keygen")
            .arg("-H")
            .arg("-f")
            .arg(&file)
            .output()
            .unwrap()
            .status
            .success()
    );
    assert!(known_hosts(&home).starts_with("|1|"));
    connect(&home, &lab.hosts[0]).await;
    assert_eq!(known_hosts(&home).lines().count(), 1);
}

#[tokio::test]
async fn a_login_that_fails_says_which_keys_were_tried() {
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("keys");
    let host = &lab.hosts[0];
    let wrong = home.0.join("wrong");
    keygen(&wrong, "", "ed25519");
    let missing = home.0.join("missing");
    let with = |keys: Vec<PathBuf>| SshConfig {
        keys,
        ..config(&home, host)
    };

    let error = unwrap_err(Ssh::connect(&target(host), &with(vec![wrong.clone(), missing])).await);
    assert!(
        matches!(&error, WireError::AuthenticationRefused { user, .. } if user == "root"),
        "{error}"
    );
    let text = error.to_string();
    assert!(
        text.contains("/wrong") && text.contains("/missing (No such file"),
        "{text}"
    );

    let locked = home.0.join("locked");
    keygen(&locked, "secret", "ed25519");
    let error = unwrap_err(Ssh::connect(&target(host), &with(vec![locked.clone()])).await);
    assert!(matches!(error, WireError::KeyLocked { .. }), "{error}");
    assert_eq!(
        error.hint().unwrap(),
        format!("add it to the agent with `ssh-add {}`", locked.display())
    );
    let locked_rsa = home.0.join("locked_rsa");
    let pem = [
        "-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "secret", "-f",
    ];
    assert!(
        Process::new("ssh-keygen")
            .args(pem)
            .arg(&locked_rsa)
            .status()
            .unwrap()
            .success()
    );
    let error = unwrap_err(Ssh::connect(&target(host), &with(vec![locked_rsa])).await);
    assert!(matches!(error, WireError::KeyLocked { .. }), "{error}");

    let garbage = SshConfig {
        keys: vec![],
        key_data: vec!["no key".into()],
        ..config(&home, host)
    };
    let text = unwrap_err(Ssh::connect(&target(host), &garbage).await).to_string();
    assert!(text.contains("key_data[0] (not a private key"), "{text}");

    let none = SshConfig {
        keys: vec![],
        ..config(&home, host)
    };
    let text = unwrap_err(Ssh::connect(&target(host), &none).await).to_string();
    assert!(text.contains("there was no key to try"), "{text}");

    // More keys than sshd bears: the refusal is told, not the broken connection.
    let many = vec![wrong; 8];
    let error = unwrap_err(Ssh::connect(&target(host), &with(many)).await);
    assert!(
        matches!(&error, WireError::AuthenticationRefused { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn keys_of_every_kind_and_from_everywhere_open_the_door() {
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("kinds");
    let host = &lab.hosts[0];
    let place = Place::Remote(connect(&home, host).await);
    let authorized =
        String::from_utf8(place.read(".ssh/authorized_keys").await.unwrap().unwrap()).unwrap();
    for (kind, name) in [("ecdsa", "id_ecdsa"), ("rsa", "id_rsa")] {
        let key = home.0.join(".ssh").join(name);
        keygen(&key, "", kind);
        let public = fs::read_to_string(key.with_extension("pub")).unwrap();
        place
            .append(".ssh/authorized_keys", &[public.trim()])
            .await
            .unwrap();
        // Default files, found in the home.
        let config = SshConfig {
            keys: vec![],
            keys_only: false,
            ..config(&home, host)
        };
        Ssh::connect(&target(host), &config).await.unwrap();
        let data = fs::read_to_string(&key).unwrap();
        let data = SshConfig {
            keys: vec![],
            key_data: vec![data.into()],
            ..config.clone()
        };
        fs::remove_file(&key).unwrap();
        Ssh::connect(&target(host), &data).await.unwrap();
    }
    place
        .put(".ssh/authorized_keys", 0o600, authorized.as_bytes())
        .await
        .unwrap();
}

/// An agent of the test's own.
struct Agent {
    child: Child,
    socket: PathBuf,
}

impl Agent {
    fn start(folder: &Folder) -> Self {
        let socket = folder.0.join("agent");
        let child = Process::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while !socket.exists() {
            assert!(
                begun.elapsed() < Duration::from_secs(5),
                "the agent doesn't start"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { child, socket }
    }

    fn add(&self, key: &Path) {
        let done = Process::new("ssh-add")
            .arg("-q")
            .arg(key)
            .env("SSH_AUTH_SOCK", &self.socket)
            .status()
            .unwrap();
        assert!(done.success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn the_agents_keys_are_used_and_unlock_the_locked_ones() {
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("agent");
    let host = &lab.hosts[0];
    let agent = Agent::start(&home);
    for number in 0..8 {
        let key = home.0.join(format!("other{number}"));
        keygen(&key, "", "ed25519");
        agent.add(&key);
    }
    agent.add(&host.key_path);
    let with = |keys: Vec<PathBuf>, keys_only| SshConfig {
        keys,
        keys_only,
        agent: Some(agent.socket.clone()),
        ..config(&home, host)
    };
    // The named key is taken from the agent before the eight others use up sshd's patience.
    let locked = home.0.join("locked");
    fs::copy(&host.key_path, &locked).unwrap();
    let lock = Process::new("ssh-keygen")
        .args(["-q", "-p", "-P", "", "-N", "secret", "-f"])
        .arg(&locked)
        .status();
    assert!(lock.unwrap().success());
    for keys_only in [true, false] {
        Ssh::connect(&target(host), &with(vec![locked.clone()], keys_only))
            .await
            .unwrap();
    }
    // Without a name the right one comes too late, and the message says so.
    let error = unwrap_err(Ssh::connect(&target(host), &with(vec![], false)).await);
    assert!(error.to_string().contains("agent key"), "{error}");
    let few = Folder::new("agent-few");
    let agent = Agent::start(&few);
    agent.add(&host.key_path);
    let config = SshConfig {
        agent: Some(agent.socket.clone()),
        keys: vec![],
        keys_only: false,
        ..config(&home, host)
    };
    Ssh::connect(&target(host), &config).await.unwrap();
}

#[tokio::test]
async fn hosts_that_are_not_there_are_told_apart() {
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("unreachable");
    let mut config = config(&home, &lab.hosts[0]);
    config.connect_timeout = Duration::from_millis(700);
    config.dns_retries = 1;

    let error = unwrap_err(Ssh::connect(&"no-such-host.invalid".parse().unwrap(), &config).await);
    assert!(matches!(&error, WireError::NameUnknown { .. }), "{error}");

    let error = unwrap_err(
        Ssh::connect(
            &format!("{}:1", lab.hosts[0].address).parse().unwrap(),
            &config,
        )
        .await,
    );
    assert!(
        matches!(&error, WireError::Unreachable { port: 1, why, .. } if why == "connection refused"),
        "{error}"
    );

    // An address of the lab's network that nobody has, and a documentation address that nothing answers for.
    for address in ["172.31.77.250", "192.0.2.1"] {
        let begun = Instant::now();
        let error = unwrap_err(Ssh::connect(&address.parse().unwrap(), &config).await);
        assert!(matches!(&error, WireError::Unreachable { .. }), "{error}");
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{:?}",
            begun.elapsed()
        );
    }

    // Something that listens but speaks no SSH.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            use tokio::io::AsyncWriteExt;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let error =
        unwrap_err(Ssh::connect(&format!("127.0.0.1:{port}").parse().unwrap(), &config).await);
    assert!(matches!(&error, WireError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_host_is_reached_through_jump_hosts_and_proxy_commands() {
    let lab = Lab::up(2).unwrap();
    let home = Folder::new("jump");
    let (jump, host) = (&lab.hosts[0], &lab.hosts[1]);
    let hop = |jump: String| SshConfig {
        proxy: Some(Proxy::Jump(jump)),
        ..config(&home, host)
    };
    let ssh = Ssh::connect(&target(host), &hop(jump.address.clone()))
        .await
        .unwrap();
    let who = ssh.exec(Command::new(["hostname"])).await.unwrap();
    assert_eq!(who.text(), host.name);
    let from = ssh
        .exec(Command::new(["sh", "-c", "echo $SSH_CONNECTION"]))
        .await
        .unwrap();
    assert!(from.text().starts_with(&jump.address), "{}", from.text());
    assert!(Engine::over_ssh(&ssh).await.is_ok());
    assert_eq!(known_hosts(&home).lines().count(), 2);

    let twice = format!("root@{}, root@{}:22", jump.address, host.address);
    let twice = SshConfig {
        proxy: Some(Proxy::Jump(twice)),
        ..config(&home, jump)
    };
    let ssh = Ssh::connect(&target(jump), &twice).await.unwrap();
    assert_eq!(
        ssh.exec(Command::new(["hostname"])).await.unwrap().text(),
        jump.name
    );

    let file = home.write(
        "config",
        format!(
            "Host web\n HostName {}\nHost *\n ProxyJump root@{}\n",
            host.address, jump.address
        ),
    );
    let from_file = SshConfig {
        files: ConfigFiles::These(vec![file]),
        ..config(&home, host)
    };
    let ssh = Ssh::connect(&"web".parse().unwrap(), &from_file)
        .await
        .unwrap();
    assert_eq!(
        ssh.exec(Command::new(["hostname"])).await.unwrap().text(),
        host.name
    );

    let nowhere = Ssh::connect(&target(host), &hop("root@127.0.0.1:1".into())).await;
    let error = unwrap_err(nowhere);
    assert!(matches!(&error, WireError::JumpFailed { .. }), "{error}");
    assert!(
        error.to_string().contains("can't be reached on port 1"),
        "{error}"
    );

    let beyond = Ssh::connect(
        &"172.31.77.250".parse().unwrap(),
        &hop(jump.address.clone()),
    )
    .await;
    assert!(matches!(unwrap_err(beyond), WireError::JumpFailed { .. }));

    let script = home.write("proxy.py", PROXY_COMMAND);
    let command = format!("python3 {} %h %p", script.display());
    let command = SshConfig {
        proxy: Some(Proxy::Command(command)),
        ..config(&home, host)
    };
    let ssh = Ssh::connect(&target(host), &command).await.unwrap();
    assert_eq!(
        ssh.exec(Command::new(["hostname"])).await.unwrap().text(),
        host.name
    );
}

/// What `nc HOST PORT` does, where it isn't installed.
const PROXY_COMMAND: &str = "
import os, socket, sys, threading
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def up():
    while data := os.read(0, 65536): s.sendall(data)
    s.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while data := s.recv(65536): os.write(1, data)
";

#[tokio::test]
async fn commands_arrive_word_by_word_and_answer_with_all_they_have() {
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("exec");
    for place in [
        Place::Local,
        Place::Remote(connect(&home, &lab.hosts[0]).await),
    ] {
        let words = [
            "",
            " ",
            "a'b",
            "\"$HOME\"",
            "$(id)",
            "`id`",
            "*",
            "~",
            "a\nb",
            "é",
            ";",
            "&&",
            "-n",
        ];
        let mut argv = vec!["printf", "%s|"];
        argv.extend(words);
        let output = place.exec(Command::new(argv)).await.unwrap();
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            words.join("|") + "|"
        );

        let output = place
            .exec(Command::new(["sh", "-c", "echo out; echo err >&2; exit 3"]))
            .await
            .unwrap();
        assert_eq!(
            (
                output.code,
                output.text().as_str(),
                output.error_text().as_str()
            ),
            (3, "out", "err")
        );
        let output = place
            .exec(Command::new(["sh", "-c", "kill -KILL $$"]))
            .await
            .unwrap();
        assert_eq!(output.code, 137);

        // Much more than any window, both ways.
        let megabytes: Vec<u8> = (0..20_000_000_u32).map(|n| (n % 251) as u8).collect();
        let mut echo = Command::new(["cat"]).stdin(megabytes.clone());
        echo.max_output = 32 << 20;
        let output = place.exec(echo).await.unwrap();
        assert!(output.stdout == megabytes && !output.truncated);
        // A command that doesn't read what it is given.
        let output = place
            .exec(Command::new(["true"]).stdin(megabytes))
            .await
            .unwrap();
        assert_eq!(output.code, 0);

        let mut chatty = Command::new(["sh", "-c", "yes | head -c 100000"]);
        chatty.max_output = 10;
        let output = place.exec(chatty).await.unwrap();
        assert_eq!(
            (output.stdout.as_slice(), output.truncated),
            (&b"y\ny\ny\ny\ny\n"[..], true)
        );

        let begun = Instant::now();
        let slow = Command::new(["sleep", "20"]).timeout(Duration::from_millis(300));
        let error = unwrap_err(place.exec(slow).await);
        assert!(matches!(error, WireError::TimedOut { .. }), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
    let ssh = connect(&home, &lab.hosts[0]).await;
    assert_eq!(
        ssh.exec(Command::new(["no-such-program"]))
            .await
            .unwrap()
            .code,
        127
    );
    assert!(matches!(
        Place::Local.exec(Command::new(["no-such-program"])).await,
        Err(WireError::Io { .. })
    ));

    // More at once than the sessions a server allows.
    let many = (0..40).map(|number| {
        let ssh = ssh.clone();
        async move {
            ssh.exec(Command::new([
                "sh",
                "-c",
                &format!("sleep 0.05; echo {number}"),
            ]))
            .await
            .unwrap()
            .text()
        }
    });
    let answers = futures::future::join_all(many).await;
    assert_eq!(
        answers,
        (0..40).map(|number| number.to_string()).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_ended() {
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("late");
    let ssh = connect(&home, &lab.hosts[0]).await;
    let seconds = (100_000 + std::process::id()).to_string();
    for _ in 0..12 {
        let slow = Command::new(["sleep", &seconds]).timeout(Duration::from_millis(50));
        let error = unwrap_err(ssh.exec(slow).await);
        assert!(
            matches!(&error, WireError::TimedOut { what, .. } if what.starts_with("`sleep")),
            "{error}"
        );
    }
    let begun = Instant::now();
    while ssh
        .exec(Command::new(["pgrep", "-f", &format!("^sleep {seconds}$")]))
        .await
        .unwrap()
        .code
        == 0
    {
        assert!(begun.elapsed() < Duration::from_secs(5), "it still runs");
    }
    assert!(matches!(
        unwrap_err(ssh.exec(Command::new(["a\0b"])).await),
        WireError::Invalid { .. }
    ));
}

#[tokio::test]
async fn a_port_of_the_host_leads_back_here_and_nowhere_else() {
    use tokio::io::AsyncWriteExt;
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("back");
    let ssh = connect(&home, &lab.hosts[0]).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream
                .write_all(b"HTTP/1.0 200 OK\r\n\r\nfrom the deployer")
                .await;
        }
    });
    let forwarding = ssh.forward_back(0, &here.to_string()).await.unwrap();
    let url = format!("http://127.0.0.1:{}/", forwarding.port());
    let get = || ssh.exec(Command::new(["curl", "-s", "--max-time", "5", &url]));
    let answers = futures::future::join_all((0..5).map(|_| get())).await;
    for answer in answers {
        assert_eq!(answer.unwrap().text(), "from the deployer");
    }
    let taken = ssh.forward_back(forwarding.port(), "127.0.0.1:1").await;
    assert!(taken.is_err_and(|error| matches!(error, WireError::PortTaken { .. })));
    assert_eq!(get().await.unwrap().text(), "from the deployer");
    drop(forwarding);
    let begun = Instant::now();
    while get().await.unwrap().code == 0 {
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "it is still forwarded"
        );
    }
}

#[tokio::test]
async fn files_are_written_whole_with_their_mode() {
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("files");
    let folder = format!("plimsoll-test-{}", std::process::id());
    for place in [
        Place::Local,
        Place::Remote(connect(&home, &lab.hosts[0]).await),
    ] {
        let run = |script: String| place.exec(Command::new(["sh", "-c", &script]));
        let file = format!("{folder}/deep er/it's");
        let content: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 256) as u8).collect();
        place.put(&file, 0o600, &content).await.unwrap();
        assert!(place.read(&file).await.unwrap() == Some(content));
        place.put(&file, 0o644, b"new").await.unwrap();
        assert_eq!(
            place.read(&file).await.unwrap().as_deref(),
            Some(&b"new"[..])
        );
        let list = run(format!("cd '{folder}/deep er' && ls -lA | tail -n +2"))
            .await
            .unwrap()
            .text();
        assert!(
            list.starts_with("-rw-r--r--") && list.lines().count() == 1,
            "{list}"
        );
        place.put(&file, 0o755, b"").await.unwrap();
        assert_eq!(place.read(&file).await.unwrap().as_deref(), Some(&b""[..]));

        place
            .append(&format!("{folder}/log"), &["one 'two' $three"])
            .await
            .unwrap();
        place
            .append(&format!("{folder}/log"), &["four"])
            .await
            .unwrap();
        let log = place.read(&format!("{folder}/log")).await.unwrap().unwrap();
        assert_eq!(String::from_utf8(log).unwrap(), "one 'two' $three\nfour\n");

        assert_eq!(place.read(&format!("{folder}/none")).await.unwrap(), None);
        assert_eq!(
            place.remove(&format!("{folder}/log")).await.unwrap(),
            Removed::Gone
        );
        assert_eq!(
            place.remove(&format!("{folder}/log")).await.unwrap(),
            Removed::WasNotThere
        );

        let error = unwrap_err(place.put(&folder, 0o600, b"x").await);
        assert!(
            matches!(&error, WireError::CommandFailed { stderr, .. } if stderr == "it is a directory"),
            "{error}"
        );
        assert!(matches!(
            unwrap_err(place.put("~/x", 0o600, b"x").await),
            WireError::Invalid { .. }
        ));
        assert!(matches!(
            unwrap_err(place.put("/proc/x/y", 0o600, b"x").await),
            WireError::CommandFailed { .. }
        ));
        run(format!("rm -r '{folder}'")).await.unwrap();
    }
}

#[tokio::test]
async fn a_full_disk_is_named() {
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("full");
    let place = Place::Remote(connect(&home, &lab.hosts[0]).await);
    let mount = format!("/mnt/full{}", std::process::id());
    let run = |script: String| place.exec(Command::new(["sh", "-c", &script]));
    let made = run(format!(
        "mkdir -p {mount} && mount -t tmpfs -o size=64k none {mount}"
    ))
    .await
    .unwrap();
    assert_eq!(made.code, 0, "{}", made.error_text());
    let error = unwrap_err(
        place
            .put(&format!("{mount}/file"), 0o600, &[b'x'; 200_000])
            .await,
    );
    assert!(matches!(error, WireError::DiskFull { .. }), "{error}");
    assert_eq!(run(format!("ls -A {mount}")).await.unwrap().text(), "");
    run(format!("umount {mount} && rmdir {mount}"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_directory_is_made_for_one_of_many() {
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("lock");
    let lock = format!(".plimsoll-test-{}/lock-app", std::process::id());
    for place in [
        Place::Local,
        Place::Remote(connect(&home, &lab.hosts[0]).await),
    ] {
        let claims = (0..12).map(|number| {
            let (place, lock) = (place.clone(), lock.clone());
            async move {
                place
                    .make_directory_exclusively(&lock, "details", &format!("by {number}\n"))
                    .await
                    .unwrap()
            }
        });
        let claims = futures::future::join_all(claims).await;
        let winners: Vec<usize> = claims
            .iter()
            .enumerate()
            .filter(|(_, claim)| **claim == Exclusive::Made)
            .map(|(number, _)| number)
            .collect();
        assert_eq!(winners.len(), 1, "{claims:?}");
        let held = place
            .make_directory_exclusively(&lock, "details", "late")
            .await
            .unwrap();
        assert_eq!(
            held,
            Exclusive::AlreadyThere {
                content: format!("by {}\n", winners[0]).into_bytes()
            }
        );
        assert_eq!(
            place
                .remove_exclusive_directory(&lock, "details")
                .await
                .unwrap(),
            Removed::Gone
        );
        assert_eq!(
            place
                .remove_exclusive_directory(&lock, "details")
                .await
                .unwrap(),
            Removed::WasNotThere
        );
        let failed = place
            .make_directory_exclusively("/proc/lock", "details", "x")
            .await;
        assert!(matches!(
            unwrap_err(failed),
            WireError::CommandFailed { .. }
        ));
        place
            .exec(Command::new(["rmdir", lock.split('/').next().unwrap()]))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_lost_connection_is_noticed() {
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("lost");
    let ssh = connect(&home, &lab.hosts[0]).await;
    let engine = Engine::over_ssh(&ssh).await.unwrap();
    let waiting = tokio::spawn({
        let ssh = ssh.clone();
        async move { ssh.exec(Command::new(["sleep", "60"])).await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(ssh.ended(), None);
    // The sshd of this connection is among the ancestors of its commands.
    let killed = ssh
        .exec(Command::new([
            "sh",
            "-c",
            "p=$PPID; while set -- $(cat /proc/$p/stat) && [ \"$2\" = \"${2#(sshd}\" ]; do p=$4; done; kill -9 $p",
        ]))
        .await;
    assert!(matches!(
        unwrap_err(killed),
        WireError::ConnectionLost { .. }
    ));
    let error = unwrap_err(waiting.await.unwrap());
    assert!(
        matches!(&error, WireError::ConnectionLost { during, .. } if during == "`sleep 60`"),
        "{error}"
    );
    assert!(ssh.ended().is_some());
    let error = unwrap_err(engine.containers(Which::All, &[]).await);
    assert!(matches!(error, WireError::ConnectionLost { .. }), "{error}");
    let error = unwrap_err(ssh.exec(Command::new(["true"])).await);
    assert!(matches!(error, WireError::ConnectionLost { .. }), "{error}");
}

#[tokio::test]
async fn what_keeps_docker_from_answering_is_named() {
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("no-docker");
    let bare = lab.host_without_docker().unwrap();
    let error = unwrap_err(Engine::over_ssh(&connect(&home, &bare).await).await);
    assert!(
        matches!(&error, WireError::DockerAbsent { why, .. } if why == "it is not installed"),
        "{error}"
    );

    // A user of the same key who isn't in the group.
    let host = &lab.hosts[0];
    host.ssh(&["sh", "-c", "id outsider 2>/dev/null || useradd --create-home --shell /bin/bash --password '*' outsider; install -D -m 600 -o outsider -g outsider /root/.ssh/authorized_keys /home/outsider/.ssh/authorized_keys"]).unwrap();
    let error =
        unwrap_err(Engine::over_ssh(&connect(&home, &host.as_user("outsider")).await).await);
    assert!(
        matches!(&error, WireError::DockerDenied { user, .. } if user == "outsider"),
        "{error}"
    );
    assert!(
        error
            .hint()
            .unwrap()
            .contains("usermod -aG docker outsider")
    );
    assert!(
        Engine::over_ssh(&connect(&home, &host.as_user("deploy")).await)
            .await
            .is_ok()
    );

    let error = unwrap_err(Engine::at("unix:///nowhere/docker.sock").await);
    assert!(matches!(&error, WireError::DockerAbsent { .. }), "{error}");
    let error = unwrap_err(Engine::at("tcp://127.0.0.1:1").await);
    assert!(matches!(&error, WireError::DockerAbsent { .. }), "{error}");
}

#[tokio::test]
async fn an_engine_that_is_too_old_is_refused() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let body =
                r#"{"Version":"17.03.2-ce","ApiVersion":"1.27","Os":"linux","Arch":"amd64"}"#;
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let error = unwrap_err(Engine::at(&format!("tcp://{address}")).await);
    assert!(
        matches!(&error, WireError::DockerTooOld { version, .. } if version == "17.03.2-ce"),
        "{error}"
    );
}

/// This machine's Engine, or the one at `PLIMSOLL_TEST_ENGINE`: for trying other versions.
async fn engine_here() -> Engine {
    match std::env::var("PLIMSOLL_TEST_ENGINE") {
        Ok(address) => Engine::at(&address).await.unwrap(),
        Err(_) => Engine::local().await.unwrap(),
    }
}

/// A folder with this machine's own shell, as an image without a base.
fn shell_context(name: &str) -> Folder {
    let folder = Folder::new(name);
    for program in [
        "/bin/sh",
        "/bin/cat",
        "/bin/sleep",
        "/bin/echo",
        "/usr/bin/env",
    ] {
        let real = fs::canonicalize(program).unwrap();
        folder.write(&format!("root{program}"), fs::read(real).unwrap());
        let needs = Process::new("ldd").arg(program).output().unwrap();
        for word in String::from_utf8(needs.stdout)
            .unwrap()
            .split_whitespace()
            .filter(|word| word.starts_with('/'))
        {
            folder.write(&format!("root{word}"), fs::read(word).unwrap());
        }
    }
    for file in Process::new("find")
        .arg(&folder.0)
        .args(["-type", "f"])
        .output()
        .unwrap()
        .stdout
        .split(|b| *b == b'\n')
    {
        if !file.is_empty() {
            use std::os::unix::fs::PermissionsExt;
            let path = String::from_utf8(file.to_vec()).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    folder
}

fn build(folder: &Folder, dockerfile: &str, tags: &[String]) -> Build {
    let dockerfile = folder.write("Dockerfile", dockerfile);
    Build {
        context: Context {
            folder: folder.0.clone(),
            dockerfile,
            ignore: vec![],
        },
        arguments: vec![],
        target: None,
        labels: vec![],
        tags: tags.to_vec(),
        platforms: vec![],
        no_cache: false,
        pull: false,
        cache_from: vec![],
        cache_to: vec![],
        provenance: None,
        sbom: None,
        builder: None,
    }
}

const SHELL: &str = "FROM scratch\nCOPY root /\nENV PATH=/bin:/usr/bin\n";

fn credentials(lab: &Lab, password: &str) -> Credentials {
    Credentials {
        server: lab.registry.address.clone(),
        username: lab.registry.username.as_str().into(),
        password: password.into(),
    }
}

#[tokio::test]
async fn an_image_is_built_with_everything_a_dockerfile_can_ask_for() {
    let _lab = Lab::up(0).unwrap();
    let engine = engine_here().await;
    let folder = shell_context("build");
    folder.write("secret", "x");
    folder.write(".dockerignore", "secret\n");
    let tag = format!("plimsoll-wire-build:{}", std::process::id());
    let dockerfile = format!(
        "{}ARG GREETING=none\nLABEL a=1 b=2\nRUN echo \"hello $GREETING\" && [ ! -e /secret ]\nFROM scratch AS slim\nCOPY --from=full /bin/echo /echo\nFROM slim\n",
        SHELL.replace("FROM scratch", "FROM scratch AS full")
    );
    let request = Build {
        arguments: vec![("GREETING".into(), "wörld & co".into())],
        labels: vec![("b".into(), "3".into()), ("service".into(), "app".into())],
        ..build(
            &folder,
            &dockerfile,
            &[tag.clone(), format!("{tag}-second")],
        )
    };
    let first_stage = Build {
        target: Some("full".into()),
        ..request.clone()
    };
    let mut events = Vec::new();
    let id = engine
        .build(
            &Build {
                no_cache: true,
                ..first_stage.clone()
            },
            &mut |event| events.push(event),
        )
        .await
        .unwrap();
    let printed = events.iter().any(|event| {
        matches!(event, BuildEvent::Output { step, line } if line == "hello wörld & co" && step.contains("RUN echo"))
    });
    assert!(printed, "{events:#?}");
    let image = engine.inspect_image(&tag).await.unwrap().unwrap();
    assert_eq!(image["Id"], id.as_str());
    assert_eq!(image["Config"]["Labels"]["a"], "1");
    assert_eq!(image["Config"]["Labels"]["b"], "3");
    assert_eq!(image["Config"]["Labels"]["service"], "app");

    // The same again, packed anew: nothing is run.
    let mut events = Vec::new();
    assert_eq!(
        engine
            .build(&first_stage, &mut |event| events.push(event))
            .await
            .unwrap(),
        id
    );
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, BuildEvent::Output { .. })),
        "{events:#?}"
    );
    let cached = |event: &BuildEvent| matches!(event, BuildEvent::Done { step, cached: true } if step.contains("COPY root"));
    assert!(events.iter().any(cached), "{events:#?}");

    let slim = engine.build(&request, &mut |_| {}).await.unwrap();
    assert_ne!(slim, id);
    let elsewhere = Folder::new("dockerfile");
    let outside = elsewhere.write("Other", "FROM scratch\nCOPY Dockerfile /\n");
    let mut distant = request.clone();
    distant.context.dockerfile = outside;
    engine.build(&distant, &mut |_| {}).await.unwrap();

    let named = engine.images(&["service=app".into()]).await.unwrap();
    assert!(
        named.iter().any(|image| image.tags.contains(&tag)),
        "{named:?}"
    );
    for name in [tag.clone(), format!("{tag}-second")] {
        engine.remove_image(&name).await.unwrap();
    }
    assert_eq!(engine.inspect_image(&tag).await.unwrap(), None);
}

#[tokio::test]
async fn a_build_that_fails_says_at_which_step_and_what_it_printed() {
    let lab = Lab::up(0).unwrap();
    let engine = engine_here().await;
    let folder = shell_context("fails");
    let failing = format!("{SHELL}RUN echo one && echo two && exit 7\n");
    let error = unwrap_err(
        engine
            .build(&build(&folder, &failing, &[]), &mut |_| {})
            .await,
    );
    match &error {
        WireError::BuildFailed {
            step,
            message,
            output,
        } => {
            assert!(step.contains("RUN echo one"), "{step}");
            assert!(message.contains("exit code: 7"), "{message}");
            assert_eq!(output, &["one", "two"]);
        }
        other => panic!("{other}"),
    }
    for (dockerfile, expected) in [
        ("FROM scratch\nCOPY nothing /\n", "nothing"),
        ("FROM scratch\nNONSENSE x\n", "NONSENSE"),
        ("", "empty"),
    ] {
        let error = unwrap_err(
            engine
                .build(&build(&folder, dockerfile, &[]), &mut |_| {})
                .await,
        );
        assert!(matches!(&error, WireError::BuildFailed { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let lost = Build {
        target: Some("nope".into()),
        ..build(&folder, SHELL, &[])
    };
    let error = unwrap_err(engine.build(&lost, &mut |_| {}).await);
    assert!(error.to_string().contains("nope"), "{error}");

    let base = format!("FROM {}/no/such:1\n", lab.registry.address);
    let error = unwrap_err(engine.build(&build(&folder, &base, &[]), &mut |_| {}).await);
    assert!(
        matches!(&error, WireError::RegistryRefused { .. }),
        "{error:?}"
    );

    let invalid = unwrap_err(
        engine
            .build(&build(&folder, SHELL, &["../x".into()]), &mut |_| {})
            .await,
    );
    assert!(matches!(invalid, WireError::Invalid { .. }));
}

#[tokio::test]
async fn a_build_gets_private_base_images_and_secrets() {
    // A host, because an Engine's BuildKit knows only the authorities that were there when the Engine started.
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("private");
    let engine = Engine::over_ssh(&connect(&home, &lab.hosts[0]).await)
        .await
        .unwrap();
    let right = credentials(&lab, &lab.registry.password);
    let base = format!("{}/wire/base:{}", lab.registry.address, std::process::id());
    let folder = shell_context("private");
    engine
        .build(
            &build(&folder, SHELL, std::slice::from_ref(&base)),
            &mut |_| {},
        )
        .await
        .unwrap();
    engine.push(&base, Some(&right), &mut |_| {}).await.unwrap();
    engine.remove_image(&base).await.unwrap();

    let dockerfile =
        format!("FROM {base}\nRUN --mount=type=secret,id=token cat /run/secrets/token && echo\n");
    let request = Build {
        no_cache: true,
        pull: true,
        ..build(&folder, &dockerfile, &[])
    };
    let secrets = vec![("token".to_owned(), "hünter2".into())];
    let private = Private {
        logins: vec![right.clone()],
        secrets: secrets.clone(),
        ..Private::default()
    };
    let mut lines = Vec::new();
    let mut note = |event| {
        if let BuildEvent::Output { line, .. } = event {
            lines.push(line);
        }
    };
    engine
        .build_with(&request, &private, &mut note)
        .await
        .unwrap();
    assert_eq!(lines, ["hünter2"]);

    for logins in [vec![], vec![credentials(&lab, "wrong")]] {
        let private = Private {
            logins,
            secrets: secrets.clone(),
            ..Private::default()
        };
        let error = unwrap_err(engine.build_with(&request, &private, &mut |_| {}).await);
        assert!(
            matches!(
                &error,
                WireError::RegistryRefused {
                    refusal: Refusal::Unauthorized,
                    ..
                }
            ),
            "{error:?}"
        );
    }
    let private = Private {
        logins: vec![right],
        ..Private::default()
    };
    let error = unwrap_err(engine.build_with(&request, &private, &mut |_| {}).await);
    assert!(matches!(&error, WireError::BuildFailed { .. }), "{error:?}");
}

#[tokio::test]
async fn buildkit_itself_builds_what_the_engines_own_build_cannot_be_asked() {
    let _lab = Lab::up(0).unwrap();
    let engine = engine_here().await;
    let folder = shell_context("solve");
    let tag = format!("plimsoll-wire-solve:{}", std::process::id());
    let dockerfile = format!(
        "{SHELL}ARG GREETING=none\nRUN --mount=type=secret,id=token echo \"$GREETING $(cat /run/secrets/token)\"\n"
    );
    let request = Build {
        arguments: vec![("GREETING".into(), "wörld".into())],
        labels: vec![("service".into(), "app".into())],
        no_cache: true,
        // A cache that this Engine doesn't know: it is passed over, but only BuildKit itself can be asked for it.
        cache_from: vec!["type=gha".into()],
        ..build(
            &folder,
            &dockerfile,
            &[tag.clone(), format!("{tag}-second")],
        )
    };
    let private = Private {
        secrets: vec![("token".into(), "hünter2".into())],
        ..Private::default()
    };
    let mut lines = Vec::new();
    let mut note = |event| {
        if let BuildEvent::Output { line, .. } = event {
            lines.push(line);
        }
    };
    let id = engine
        .build_with(&request, &private, &mut note)
        .await
        .unwrap();
    assert!(
        lines.iter().any(|line| line == "wörld hünter2"),
        "{lines:?}"
    );
    let image = engine
        .inspect_image(&format!("{tag}-second"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(image["Config"]["Labels"]["service"], "app");
    assert!(id.starts_with("sha256:"), "{id}");

    let broken = Build {
        cache_from: vec!["type=gha".into()],
        ..build(
            &folder,
            &format!("{SHELL}RUN false\n"),
            std::slice::from_ref(&tag),
        )
    };
    let error = unwrap_err(engine.build(&broken, &mut |_| {}).await);
    assert!(
        matches!(&error, WireError::BuildFailed { step, .. } if step.contains("RUN false")),
        "{error:?}"
    );

    let several = Build {
        platforms: vec!["linux/amd64".into(), "linux/arm64".into()],
        ..build(&folder, SHELL, std::slice::from_ref(&tag))
    };
    let error = unwrap_err(engine.build(&several, &mut |_| {}).await);
    assert!(
        matches!(&error, WireError::BuilderTooSimple { .. }),
        "{error:?}"
    );
    for tag in [tag.clone(), format!("{tag}-second")] {
        engine.remove_image(&tag).await.unwrap();
    }
}

#[tokio::test]
async fn images_travel_through_a_registry_with_a_password() {
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("registry");
    let engine = engine_here().await;
    let folder = shell_context("push");
    let reference = format!("{}/wire/push:{}", lab.registry.address, std::process::id());
    let right = credentials(&lab, &lab.registry.password);
    // In base64 this password has a `+` and a `/`.
    let wrong = credentials(&lab, "~~~???>>>~~~???>>>~");
    engine
        .build(
            &build(&folder, SHELL, std::slice::from_ref(&reference)),
            &mut |_| {},
        )
        .await
        .unwrap();

    let refused = |error: WireError, expected: Refusal| match &error {
        WireError::RegistryRefused {
            refusal, registry, ..
        } => {
            assert_eq!(
                (*refusal, registry),
                (expected, &lab.registry.address),
                "{error}"
            );
        }
        _ => panic!("{error}"),
    };
    refused(
        unwrap_err(engine.push(&reference, Some(&wrong), &mut |_| {}).await),
        Refusal::Unauthorized,
    );
    refused(
        unwrap_err(engine.push(&reference, None, &mut |_| {}).await),
        Refusal::Unauthorized,
    );
    let mut layers = 0;
    let digest = engine
        .push(&reference, Some(&right), &mut |step| {
            layers += usize::from(step.layer.is_some())
        })
        .await
        .unwrap();
    assert!(
        digest.starts_with("sha256:") && layers > 0,
        "{digest} {layers}"
    );
    let unknown = format!("{}/wire/none:1", lab.registry.address);
    let error = unwrap_err(engine.push(&unknown, Some(&right), &mut |_| {}).await);
    assert!(
        matches!(
            &error,
            WireError::NotFound { .. }
                | WireError::RegistryRefused {
                    refusal: Refusal::NotFound,
                    ..
                }
        ),
        "{error:?}"
    );

    let remote = Engine::over_ssh(&connect(&home, &lab.hosts[0]).await)
        .await
        .unwrap();
    refused(
        unwrap_err(remote.pull(&reference, Some(&wrong), &mut |_| {}).await),
        Refusal::Unauthorized,
    );
    refused(
        unwrap_err(remote.pull(&reference, None, &mut |_| {}).await),
        Refusal::Unauthorized,
    );
    refused(
        unwrap_err(
            remote
                .pull(&format!("{reference}-none"), Some(&right), &mut |_| {})
                .await,
        ),
        Refusal::NotFound,
    );
    assert_eq!(
        remote
            .pull(&reference, Some(&right), &mut |_| {})
            .await
            .unwrap(),
        digest
    );
    let by_digest = format!("{}@{digest}", reference.rsplit_once(':').unwrap().0);
    assert_eq!(
        remote
            .pull(&by_digest, Some(&right), &mut |_| {})
            .await
            .unwrap(),
        digest
    );
    let image = remote.inspect_image(&reference).await.unwrap().unwrap();
    assert_eq!(image["RepoDigests"][0], by_digest.as_str());
    // Nothing of the login is left on the host.
    let files = lab.hosts[0]
        .ssh(&[
            "sh",
            "-c",
            "cat /root/.docker/config.json 2>/dev/null || true",
        ])
        .unwrap();
    assert!(!files.contains(&lab.registry.address), "{files}");

    let error = unwrap_err(engine.pull("127.0.0.1:1/x:1", None, &mut |_| {}).await);
    assert!(
        matches!(
            &error,
            WireError::RegistryRefused {
                refusal: Refusal::Unreachable,
                ..
            }
        ),
        "{error:?}"
    );
    remote.remove_image(&reference).await.unwrap();
    engine.remove_image(&reference).await.unwrap();
}

/// An image with a shell in it, on the engine under the name that is returned.
async fn shell_image(engine: &Engine, name: &str) -> String {
    let folder = shell_context(name);
    let tag = format!("plimsoll-wire-{name}:{}", std::process::id());
    let request = Build {
        labels: vec![("wire".into(), name.into())],
        ..build(&folder, SHELL, std::slice::from_ref(&tag))
    };
    engine.build(&request, &mut |_| {}).await.unwrap();
    tag
}

#[tokio::test]
async fn a_container_lives_its_life() {
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("life");
    let ssh = connect(&home, &lab.hosts[0]).await;
    for engine in [engine_here().await, Engine::over_ssh(&ssh).await.unwrap()] {
        live(&engine).await;
    }
}

async fn live(engine: &Engine) {
    let image = shell_image(engine, "life").await;
    let label = format!("wire-test={}", std::process::id());
    let name = format!("wire-life-{}", std::process::id());
    let network = format!("wire-net-{}", std::process::id());
    let (key, value) = label.split_once('=').unwrap();
    let body = |script: &str| {
        json!({
            "Image": image,
            "Cmd": ["sh", "-c", script],
            "Labels": { key: value },
            "HostConfig": { "NetworkMode": network },
        })
    };
    assert_eq!(engine.version().os, "linux");
    assert!(!engine.network_exists(&network).await.unwrap());
    assert_eq!(
        engine.ensure_network(&network).await.unwrap(),
        Ensured::Created
    );
    assert_eq!(
        engine.ensure_network(&network).await.unwrap(),
        Ensured::There
    );

    assert_eq!(engine.inspect_container(&name).await.unwrap(), None);
    let script =
        "trap 'echo bye; exit 0' TERM; echo out; echo err >&2; while :; do sleep 0.1; done";
    let id = engine.create(&name, &body(script)).await.unwrap();
    let error = unwrap_err(engine.create(&name, &body(script)).await);
    assert!(
        matches!(&error, WireError::NameTaken { name: taken, .. } if *taken == name),
        "{error}"
    );
    assert!(
        engine
            .containers(Which::Running, std::slice::from_ref(&label))
            .await
            .unwrap()
            .is_empty()
    );
    engine.start(&name).await.unwrap();
    engine.start(&name).await.unwrap();
    let list = engine
        .containers(Which::Running, std::slice::from_ref(&label))
        .await
        .unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(
        (
            &list[0].id,
            &list[0].names,
            &list[0].image,
            list[0].state.as_str()
        ),
        (&id, &vec![name.clone()], &image, "running")
    );
    assert_eq!(list[0].labels["wire"], "life");
    let inspected = engine.inspect_container(&id).await.unwrap().unwrap();
    assert_eq!(inspected["State"]["Running"], true);

    let sh = |script: &str| Command::new(["sh", "-c", script]);
    let output = engine
        .exec(
            &name,
            sh("echo $WHO; echo err >&2; exit 5"),
            &["WHO=me and you".into()],
        )
        .await
        .unwrap();
    assert_eq!(
        (
            output.code,
            output.text().as_str(),
            output.error_text().as_str()
        ),
        (5, "me and you", "err")
    );
    let megabytes = vec![b'x'; 3_000_000];
    let mut echo = Command::new(["cat"]).stdin(megabytes.clone());
    echo.max_output = 4 << 20;
    assert!(engine.exec(&name, echo, &[]).await.unwrap().stdout == megabytes);
    assert!(
        [126, 127].contains(
            &engine
                .exec(&name, Command::new(["nope"]), &[])
                .await
                .unwrap()
                .code
        )
    );
    let slow = Command::new(["sleep", "20"]).timeout(Duration::from_millis(300));
    assert!(matches!(
        unwrap_err(engine.exec(&name, slow, &[]).await),
        WireError::TimedOut { .. }
    ));
    let many = (0..20).map(|number| {
        engine
            .exec(&name, Command::new(["echo", &number.to_string()]), &[])
            .map_text()
    });
    let answers = futures::future::join_all(many).await;
    assert_eq!(
        answers,
        (0..20).map(|number| number.to_string()).collect::<Vec<_>>()
    );

    let logs = String::from_utf8(engine.logs(&name, Logs::default()).await.unwrap()).unwrap();
    assert!(logs.contains("out\n") && logs.contains("err\n"), "{logs:?}");
    let one = engine
        .logs(
            &name,
            Logs {
                tail: Some(1),
                timestamps: true,
                since: None,
            },
        )
        .await
        .unwrap();
    let one = String::from_utf8(one).unwrap();
    assert!(one.lines().count() == 1 && one.starts_with("20"), "{one}");

    let renamed = format!("{name}-renamed");
    engine.rename(&name, &renamed).await.unwrap();
    assert!(matches!(
        unwrap_err(engine.remove(&renamed, Removal::OnlyStopped).await),
        WireError::Remote { status: 409, .. }
    ));
    engine.stop(&renamed, Some(5)).await.unwrap();
    engine.stop(&renamed, Some(5)).await.unwrap();
    assert_eq!(
        engine.wait(&renamed, Duration::from_secs(5)).await.unwrap(),
        0
    );
    let logs = String::from_utf8(
        engine
            .logs(
                &renamed,
                Logs {
                    tail: Some(1),
                    ..Logs::default()
                },
            )
            .await
            .unwrap(),
    )
    .unwrap();
    assert_eq!(logs, "bye\n");
    let error = unwrap_err(engine.exec(&renamed, Command::new(["true"]), &[]).await);
    assert!(
        matches!(&error, WireError::Remote { status: 409, .. }),
        "{error}"
    );
    engine.remove(&renamed, Removal::OnlyStopped).await.unwrap();
    for error in [
        unwrap_err(engine.start(&renamed).await),
        unwrap_err(engine.stop(&renamed, None).await),
        unwrap_err(engine.rename(&renamed, &name).await),
        unwrap_err(engine.remove(&renamed, Removal::EvenRunning).await),
        unwrap_err(engine.logs(&renamed, Logs::default()).await),
        unwrap_err(engine.exec(&renamed, Command::new(["true"]), &[]).await),
    ] {
        assert!(
            matches!(&error, WireError::NotFound { what, .. } if what == &format!("container {renamed}")),
            "{error:?}"
        );
    }
    let error = unwrap_err(
        engine
            .create(
                "wire-none",
                &json!({ "Image": "no/such:1", "HostConfig": { "NetworkMode": network } }),
            )
            .await,
    );
    assert_eq!(
        error.to_string(),
        format!("image no/such:1 doesn't exist on {}", engine.place())
    );
    for name in ["../images/json", "a/b", ""] {
        assert!(matches!(
            unwrap_err(engine.remove(name, Removal::EvenRunning).await),
            WireError::Invalid { .. }
        ));
    }

    // A port that another has.
    let publishing = json!({
        "Image": image,
        "Cmd": ["sleep", "60"],
        "ExposedPorts": { "80/tcp": {} },
        "HostConfig": { "PortBindings": { "80/tcp": [{ "HostPort": "18099" }] } },
    });
    let (first, second) = (format!("{name}-first"), format!("{name}-second"));
    engine.create(&first, &publishing).await.unwrap();
    engine.create(&second, &publishing).await.unwrap();
    engine.start(&first).await.unwrap();
    let error = unwrap_err(engine.start(&second).await);
    assert!(
        matches!(&error, WireError::PortTaken { port, .. } if port == "18099"),
        "{error}"
    );
    for name in [&first, &second] {
        engine.remove(name, Removal::EvenRunning).await.unwrap();
    }

    let copy = format!("{image}-copy");
    engine.tag(&image, &copy).await.unwrap();
    assert!(engine.inspect_image(&copy).await.unwrap().is_some());
    for name in [&image, &copy] {
        engine.remove_image(name).await.unwrap();
    }
    assert!(matches!(
        unwrap_err(engine.remove_image(&image).await),
        WireError::NotFound { .. }
    ));
    engine.prune_images(&["wire=life".into()]).await.unwrap();
    // The Engine API has no verb here for removing networks; the test does it the long way.
    let docker = if engine.place() == "this machine" {
        None
    } else {
        Some(engine.place().trim_start_matches("host ").to_owned())
    };
    remove_network(docker, &network);
}

trait MapText {
    async fn map_text(self) -> String;
}

impl<F: Future<Output = Result<plimsoll::wire::ExecOutput, WireError>>> MapText for F {
    async fn map_text(self) -> String {
        self.await.unwrap().text()
    }
}

fn remove_network(host: Option<String>, network: &str) {
    let done = match host {
        None => Process::new("docker")
            .args(
                std::env::var("PLIMSOLL_TEST_ENGINE")
                    .map_or(vec![], |engine| vec!["-H".to_owned(), engine]),
            )
            .args(["network", "rm", network])
            .output()
            .unwrap()
            .status
            .success(),
        Some(address) => {
            let lab = Lab::up(1).unwrap();
            let host = lab
                .hosts
                .iter()
                .find(|host| host.address == address)
                .unwrap();
            host.docker(&["network", "rm", network]).is_ok()
        }
    };
    assert!(done, "{network} stays");
}

/// The time of one call on an open connection, in round trips of 150 ms.
async fn round_trips<T>(call: impl Future<Output = T>) -> (T, f64) {
    let begun = Instant::now();
    let result = call.await;
    (result, begun.elapsed().as_secs_f64() / 0.150)
}

#[tokio::test]
async fn a_call_on_an_open_connection_costs_one_round_trip() {
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("trips");
    let (host, _path) = lab.hosts[0].behind(Duration::from_millis(150)).unwrap();
    let place = Place::Remote(connect(&home, &host).await);
    let Place::Remote(ssh) = &place else {
        unreachable!()
    };
    let engine = Engine::over_ssh(ssh).await.unwrap();
    let file = format!("/tmp/wire-trips-{}", std::process::id());
    // What was opened ahead is there after a while, as it is in a deploy.
    let pause = || tokio::time::sleep(Duration::from_millis(500));
    let mut counts = Vec::new();
    for _ in 0..3 {
        pause().await;
        counts.push((
            "exec",
            round_trips(ssh.exec(Command::new(["true"]))).await.1,
        ));
        pause().await;
        counts.push((
            "put",
            round_trips(place.put(&file, 0o600, &[7; 100_000])).await.1,
        ));
        pause().await;
        counts.push((
            "list",
            round_trips(engine.containers(Which::All, &[])).await.1,
        ));
        counts.push((
            "list again",
            round_trips(engine.containers(Which::All, &[])).await.1,
        ));
        counts.push(("inspect", round_trips(engine.inspect_image("nope")).await.1));
        let twenty = (0..20).map(|_| engine.containers(Which::All, &[]));
        counts.push((
            "twenty at once",
            round_trips(futures::future::join_all(twenty)).await.1 - 1.0,
        ));
    }
    place.remove(&file).await.unwrap();
    // Work on the server and on this busy machine takes part of a round trip; a second one would show.
    for (what, trips) in &counts {
        assert!(*trips < 1.9, "{what}: {trips:.2} round trips; {counts:.2?}");
    }
}

#[tokio::test]
async fn docker_is_reached_where_sshd_forwards_nothing() {
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("stdio");
    let host = lab.hosts[0].clone();
    // A second sshd on the host, on a port of its own, with forwarding off.
    let port = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    let pid = format!("/run/sshd-{port}.pid");
    let sshd =
        format!("/usr/sbin/sshd -p {port} -o AllowStreamLocalForwarding=no -o PidFile={pid}");
    host.ssh(&["sh", "-c", &sshd]).unwrap();
    let host = Host { port, ..host };
    let ssh = connect(&home, &host).await;
    assert!(known_hosts(&home).starts_with(&format!("[{}]:{port} ", host.address)));
    let engine = Engine::over_ssh(&ssh).await.unwrap();
    let image = shell_image(&engine, "stdio").await;
    let name = format!("wire-stdio-{}", std::process::id());
    let body = json!({ "Image": image, "Cmd": ["sleep", "60"] });
    engine.create(&name, &body).await.unwrap();
    engine.start(&name).await.unwrap();
    let many = (0..20).map(|number| {
        engine
            .exec(&name, Command::new(["echo", &number.to_string()]), &[])
            .map_text()
    });
    let calls = futures::future::join_all(many);
    let commands = (0..20).map(|number| {
        ssh.exec(Command::new(["echo", &number.to_string()]))
            .map_text()
    });
    let (calls, commands) = tokio::join!(calls, futures::future::join_all(commands));
    let expected: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!((&calls, &commands), (&expected, &expected));
    engine.remove(&name, Removal::EvenRunning).await.unwrap();
    engine.remove_image(&image).await.unwrap();
    lab.hosts[0]
        .ssh(&["sh", "-c", &format!("kill $(cat {pid})")])
        .unwrap();
}

#[tokio::test]
async fn connections_that_the_engine_closed_are_replaced() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    // An Engine that hangs up after every answer without having announced it.
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            let mut request = [0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            let body = match request[..read].starts_with(b"GET /version") {
                true => r#"{"Version":"20.10.0","ApiVersion":"1.41","Os":"linux","Arch":"amd64"}"#,
                false => "[]",
            };
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let engine = Engine::at(&format!("tcp://{address}")).await.unwrap();
    for _ in 0..20 {
        assert!(engine.containers(Which::All, &[]).await.unwrap().is_empty());
    }
    assert_eq!(connections.load(Ordering::Relaxed), 21);
}

#[tokio::test]
async fn a_registry_is_asked_for_a_digest() {
    let lab = Lab::up(0).unwrap();
    let engine = engine_here().await;
    let reference = format!(
        "{}/wire/digest:{}",
        lab.registry.address,
        std::process::id()
    );
    let right = credentials(&lab, &lab.registry.password);
    let folder = Folder::new("digest");
    folder.write("a", "a");
    engine
        .build(
            &build(
                &folder,
                "FROM scratch\nCOPY a /\n",
                std::slice::from_ref(&reference),
            ),
            &mut |_| {},
        )
        .await
        .unwrap();
    let digest = engine
        .push(&reference, Some(&right), &mut |_| {})
        .await
        .unwrap();
    engine.remove_image(&reference).await.unwrap();

    assert_eq!(
        manifest_digest(&reference, Some(&right))
            .await
            .unwrap()
            .as_ref(),
        Some(&digest)
    );
    let by_digest = format!("{}@{digest}", reference.rsplit_once(':').unwrap().0);
    assert_eq!(
        manifest_digest(&by_digest, Some(&right)).await.unwrap(),
        Some(digest)
    );
    assert_eq!(
        manifest_digest(&format!("{reference}-none"), Some(&right))
            .await
            .unwrap(),
        None
    );
    for login in [None, Some(credentials(&lab, "wrong"))] {
        let error = unwrap_err(manifest_digest(&reference, login.as_ref()).await);
        assert!(
            matches!(
                &error,
                WireError::RegistryRefused {
                    refusal: Refusal::Unauthorized,
                    ..
                }
            ),
            "{error:?}"
        );
    }
    let error = unwrap_err(manifest_digest("127.0.0.1:1/a:1", None).await);
    assert!(
        matches!(
            &error,
            WireError::RegistryRefused {
                refusal: Refusal::Unreachable,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_registry_with_a_strangers_certificate_is_not_trusted() {
    let folder = Folder::new("stranger");
    let (key, certificate) = (folder.0.join("key"), folder.0.join("crt"));
    let made = Process::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args([
            "-subj",
            "/CN=127.0.0.1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
        ])
        .args([key.as_os_str(), "-out".as_ref(), certificate.as_os_str()])
        .output()
        .unwrap();
    assert!(made.status.success());
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut server = Process::new("openssl")
        .args([
            "s_server",
            "-quiet",
            "-www",
            "-accept",
            &format!("127.0.0.1:{port}"),
            "-key",
        ])
        .args([key.as_os_str(), "-cert".as_ref(), certificate.as_os_str()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let image = format!("127.0.0.1:{port}/a:1");
    let begun = Instant::now();
    let error = loop {
        let error = unwrap_err(manifest_digest(&image, None).await);
        let waiting = matches!(
            &error,
            WireError::RegistryRefused {
                refusal: Refusal::Unreachable,
                ..
            }
        );
        if !waiting || begun.elapsed() > Duration::from_secs(5) {
            break error;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(
        matches!(
            &error,
            WireError::RegistryRefused {
                refusal: Refusal::UnknownAuthority,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(
        error
            .hint()
            .unwrap()
            .contains(&format!("/etc/docker/certs.d/127.0.0.1:{port}/ca.crt"))
    );
}

/// A registry that sends for a token, as Docker Hub, GitHub and Google do.
async fn token_registry() -> String {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let own = address.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let own = own.clone();
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let (mut head, mut line) = (String::new(), String::new());
                while stream.read_line(&mut line).await.is_ok_and(|n| n > 2) {
                    head += &line;
                    line.clear();
                }
                // me:secret
                let login = head.contains("authorization: Basic bWU6c2VjcmV0");
                let scope = "scope=repository%3Aa%2Fb%3Apull";
                let (status, headers, body) = if head.starts_with("GET /token?") {
                    match login && head.contains(scope) && head.contains("service=here") {
                        true => ("200 OK", String::new(), r#"{"token":"good"}"#),
                        false => (
                            "401 Unauthorized",
                            String::new(),
                            r#"{"details":"incorrect username or password"}"#,
                        ),
                    }
                } else if head.contains("authorization: Bearer good") {
                    match head.starts_with("HEAD /v2/a/b/manifests/1 ") {
                        true => (
                            "200 OK",
                            "Docker-Content-Digest: sha256:0f\r\n".to_owned(),
                            "",
                        ),
                        false => ("404 Not Found", String::new(), ""),
                    }
                } else {
                    let challenge = format!(
                        "Bearer realm=\"http://{own}/token\",service=\"here\",scope=\"repository:a/b:pull\""
                    );
                    (
                        "401 Unauthorized",
                        format!("WWW-Authenticate: {challenge}\r\n"),
                        "",
                    )
                };
                let answer = format!(
                    "HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn a_registry_that_wants_a_token_gets_one() {
    let registry = token_registry().await;
    let login = |password: &str| Credentials {
        server: registry.clone(),
        username: "me".into(),
        password: password.into(),
    };
    let digest = manifest_digest(&format!("{registry}/a/b:1"), Some(&login("secret")))
        .await
        .unwrap();
    assert_eq!(digest.as_deref(), Some("sha256:0f"));
    assert_eq!(
        manifest_digest(&format!("{registry}/a/b:2"), Some(&login("secret")))
            .await
            .unwrap(),
        None
    );
    for login in [Some(login("wrong")), None] {
        let error = unwrap_err(manifest_digest(&format!("{registry}/a/b:1"), login.as_ref()).await);
        assert!(
            error
                .to_string()
                .ends_with("incorrect username or password"),
            "{error}"
        );
    }
}
