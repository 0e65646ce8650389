//! Who gets in: host keys, users' keys, agents, jump hosts, and what is said when nobody does.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command as Process, Stdio},
    time::{Duration, Instant},
};

use lab::Lab;
use plimsoll::wire::{
    Command, Engine, Place, Ssh, SshConfig, WireError,
    ssh::{ConfigFiles, Proxy},
};

use super::*;

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
        matches!(&error, WireError::Unreachable { port: 1, why, .. } if why.starts_with("Connection refused - connect(2) for ")),
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
