//! One server: how to reach it, and what tests do to it.

use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::command::{command, quote, run};
use crate::delay::DelayedPath;
use crate::{Engine, LabError};

/// How long a server may take to be ready after its start.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// A user who is not root, may use Docker, and has the same key.
pub const DEPLOY_USER: &str = "deploy";

/// A server with sshd, and a Docker Engine unless it is [`Lab::host_without_docker`](crate::Lab::host_without_docker).
#[derive(Debug, Clone)]
pub struct Host {
    /// Name of its container, and its host name: `plimsoll-lab1`.
    pub name: String,
    /// Its IPv4 address: `172.31.77.11`.
    pub address: String,
    /// Where its sshd listens.
    pub port: u16,
    /// Who logs in: `root`.
    pub user: String,
    /// The private key that opens it, in OpenSSH's format.
    pub key_path: PathBuf,
    /// Its line for a `known_hosts` file.
    pub known_hosts_line: String,
}

impl Host {
    /// Runs the words on the host, each as one argument, and returns what they print, trimmed.
    pub fn ssh(&self, words: &[&str]) -> Result<String, LabError> {
        run(&mut self.ssh_command(words))
    }

    /// Runs `docker words…` on the host.
    pub fn docker(&self, words: &[&str]) -> Result<String, LabError> {
        Engine::On(self).docker(words)
    }

    /// The ssh command that [`Host::ssh`] runs.
    ///
    /// It takes any host key: what it asks is about the lab, not about trust.
    pub fn ssh_command(&self, words: &[&str]) -> Command {
        let options = [
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
        ];
        let mut ssh = command(
            "ssh",
            [
                "-F",
                "/dev/null",
                "-o",
                "LogLevel=ERROR",
                "-o",
                "ConnectTimeout=5",
            ],
        );
        ssh.args(options.iter().flat_map(|option| ["-o", option]));
        ssh.arg("-i")
            .arg(&self.key_path)
            .args(["-p", &self.port.to_string()]);
        ssh.arg(format!("{}@{}", self.user, self.address)).arg("--");
        ssh.arg(
            words
                .iter()
                .map(|word| quote(word))
                .collect::<Vec<_>>()
                .join(" "),
        );
        ssh
    }

    /// The same host for another user: [`DEPLOY_USER`], or one that does not exist.
    pub fn as_user(&self, user: &str) -> Host {
        Host {
            user: user.to_owned(),
            ..self.clone()
        }
    }

    /// The same host behind a path that adds `round_trip` to every exchange, as long as the path is kept.
    pub fn behind(&self, round_trip: Duration) -> Result<(Host, DelayedPath), LabError> {
        let path = DelayedPath::start((self.address.as_str(), self.port), round_trip)?;
        let key = self
            .known_hosts_line
            .split_once(' ')
            .map_or("", |(_, key)| key);
        let host = Host {
            address: path.address().ip().to_string(),
            port: path.address().port(),
            known_hosts_line: format!("[{}]:{} {key}", path.address().ip(), path.address().port()),
            ..self.clone()
        };
        Ok((host, path))
    }

    /// Makes the host as new: no containers, no `kamal` network or volume, nothing of Kamal's and no credentials in either user's home, no image of `repositories`.
    pub fn reset(&self, repositories: &[&str]) -> Result<(), LabError> {
        let mut script = "docker ps -aq | xargs -r docker rm -f -v; docker network rm kamal; docker volume rm kamal-proxy-config; \
                          rm -rf /root/.kamal /root/.docker /home/deploy/.kamal /home/deploy/.docker;"
            .to_owned();
        for repository in repositories {
            script += &format!(
                " docker images -q {} | sort -u | xargs -r docker rmi -f;",
                quote(repository)
            );
        }
        script += " true";
        self.as_user("root")
            .ssh(&[
                "sh",
                "-c",
                &format!("({script}) >/dev/null 2>&1; [ -z \"$(docker ps -aq)\" ]"),
            ])
            .map(drop)
    }

    /// Cuts the host's power: its address answers no more.
    pub fn stop(&self) -> Result<(), LabError> {
        Engine::Local.docker(&["kill", &self.name]).map(drop)
    }

    /// Starts it again and waits until sshd and the Engine answer. Containers that were running come back.
    pub fn start(&self) -> Result<(), LabError> {
        Engine::Local.docker(&["start", &self.name])?;
        self.wait_until_ready("docker version").map(drop)
    }

    /// Waits until a login works and `check` succeeds, and returns the host's public key as sshd has it.
    pub(crate) fn wait_until_ready(&self, check: &str) -> Result<String, LabError> {
        let script = format!("{check} >/dev/null && cut -d' ' -f1,2 /etc/ssh/lab_host_key.pub");
        let begun = Instant::now();
        loop {
            match self.ssh(&["sh", "-c", &script]) {
                Ok(key) => return Ok(key),
                Err(error) if begun.elapsed() > READY_LIMIT => {
                    return Err(LabError::NotReady {
                        what: format!("host {} answer", self.name),
                        limit: READY_LIMIT,
                        detail: error.to_string(),
                    });
                }
                Err(_) => thread::sleep(Duration::from_millis(100)),
            }
        }
    }
    /// Waits until sshd shows `key`: told to read its keys again, it goes on with the old one for a moment.
    pub(crate) fn wait_until_it_shows(&self, key: &str) -> Result<(), LabError> {
        let begun = Instant::now();
        let port = self.port.to_string();
        while begun.elapsed() < READY_LIMIT {
            let mut scan = command("ssh-keyscan", ["-t", "ed25519", "-p", &port, &self.address]);
            if run(&mut scan).is_ok_and(|shown| shown.contains(key)) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(LabError::NotReady {
            what: format!("host {} show its new key", self.name),
            limit: READY_LIMIT,
            detail: "it shows the old one".to_owned(),
        })
    }
}
