//! What can go wrong on the wire, named for the user's side of it, and what to do about each.

use std::{io, path::PathBuf, time::Duration};

use thiserror::Error;

/// Why a call to the world failed.
///
/// Messages are fragments that fit "failed to …: "; [`WireError::hint`] has the cure, when there is one.
#[derive(Debug, Error)]
#[expect(
    missing_docs,
    reason = "each variant's message says what its fields are"
)]
pub enum WireError {
    /// The host's name has no address.
    #[error("host name `{host}` doesn't resolve: {why}")]
    NameUnknown { host: String, why: String },
    /// No TCP connection, or nothing that speaks SSH behind it.
    #[error("host {host} can't be reached on port {port}: {why}")]
    Unreachable {
        host: String,
        port: u16,
        why: String,
    },
    /// The server's key is not the one known for it.
    #[error("the host key of {host} has changed: it is not the one on line {line} of {}", file.display())]
    HostKeyChanged {
        /// As in `known_hosts`: `host`, or `[host]:port`.
        host: String,
        file: PathBuf,
        line: usize,
    },
    /// The server's key is marked `@revoked`.
    #[error("the host key of {host} is revoked by line {line} of {}", file.display())]
    HostKeyRevoked {
        host: String,
        file: PathBuf,
        line: usize,
    },
    /// The server's key is not known, and `StrictHostKeyChecking yes` forbids to accept it.
    #[error("the host key of {host} is not in {}, and StrictHostKeyChecking is on", file.display())]
    HostKeyUnknown { host: String, file: PathBuf },
    /// The server took none of our keys.
    #[error("{host} refused to let {user} in; {}", tried_keys(tried))]
    AuthenticationRefused {
        user: String,
        host: String,
        /// The identities offered, and those that could not be (with the reason).
        tried: Vec<String>,
    },
    /// The only usable key is protected by a passphrase.
    #[error("key {key} is protected by a passphrase")]
    KeyLocked { key: String },
    /// A key that was asked for can't be used.
    #[error("key {key} can't be used: {why}")]
    KeyUnusable { key: String, why: String },
    /// The way through a jump host or proxy command failed.
    #[error("jump host {jump}: {source}")]
    JumpFailed {
        jump: String,
        source: Box<WireError>,
    },
    /// No Docker Engine answers there.
    #[error("no Docker Engine answers on {place}: {why}")]
    DockerAbsent { place: String, why: String },
    /// The socket is there, but the user may not use it.
    #[error("user {user} may not use the Docker socket on {place}")]
    DockerDenied { place: String, user: String },
    /// The Engine is older than what is supported.
    #[error(
        "the Docker Engine on {place} is too old: {version} (API {api}), at least API {needed} is needed"
    )]
    DockerTooOld {
        place: String,
        version: String,
        api: String,
        needed: String,
    },
    /// An open connection broke: whether the call in flight took effect is not known.
    #[error("the connection to {place} was lost during {during}: {why}")]
    ConnectionLost {
        place: String,
        during: String,
        why: String,
    },
    /// A registry refused.
    #[error("registry {registry} refused {image}: {message}")]
    RegistryRefused {
        registry: String,
        image: String,
        refusal: Refusal,
        message: String,
    },
    /// A host port is taken.
    #[error("port {port} is already in use on {place}: {message}")]
    PortTaken {
        place: String,
        port: String,
        message: String,
    },
    /// A name is taken.
    #[error("name `{name}` is already in use on {place}: {message}")]
    NameTaken {
        place: String,
        name: String,
        message: String,
    },
    /// It isn't there.
    #[error("{what} doesn't exist on {place}")]
    NotFound { place: String, what: String },
    /// The disk is full.
    #[error("the disk of {place} is full: {message}")]
    DiskFull { place: String, message: String },
    /// A step of the Dockerfile failed.
    #[error("step `{step}` failed: {message}")]
    BuildFailed {
        /// As in the Dockerfile, with its position: `[2/3] RUN make`.
        step: String,
        message: String,
        /// The last lines that the step printed.
        output: Vec<String>,
    },
    /// An Engine keeps images in a way that can't hold what is asked for.
    #[error("{what} is more than the Docker Engine on {place} can do as it is set up")]
    BuilderTooSimple {
        place: String,
        /// `an image for several platforms`
        what: String,
    },
    /// It took too long.
    #[error("{what} took longer than {}", seconds(*after))]
    TimedOut { what: String, after: Duration },
    /// A remote command ended with a code other than 0.
    #[error("{what} ended with code {code} on {place}: {stderr}")]
    CommandFailed {
        place: String,
        what: String,
        code: i32,
        stderr: String,
    },
    /// The other side answered with an error of its own.
    #[error("{place} answered {status} to {what}: {message}")]
    Remote {
        place: String,
        what: String,
        /// An HTTP status; 0 when the protocol has none.
        status: u16,
        message: String,
    },
    /// A value that can't be sent: refused before anything is contacted.
    #[error("{what} is not valid: {why}")]
    Invalid { what: String, why: String },
    /// The project is not in a git repository.
    #[error("no git repository at {}", path.display())]
    NoRepository { path: PathBuf },
    /// A program that is needed is not on the PATH.
    #[error("{what} needs the program `{tool}`, which is not installed")]
    NoTool { tool: String, what: String },
    /// There is no `git` program.
    #[error("the `git` program is not installed")]
    NoGit,
    /// A call to AWS.
    #[error("{0}")]
    Aws(Box<crate::wire::aws::AwsError>),
    /// A file or socket of this machine.
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
}

/// Why a registry refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No credentials, or wrong ones.
    Unauthorized,
    /// The credentials are right but don't allow this.
    Denied,
    /// No such repository, tag or digest.
    NotFound,
    /// Its TLS certificate is signed by nobody that is trusted.
    UnknownAuthority,
    /// It can't be reached.
    Unreachable,
    /// Too many requests.
    RateLimited,
}

impl WireError {
    /// The next step for the user, without the word "hint".
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NameUnknown { host, .. } => {
                format!("check the spelling of `{host}`, or use its address")
            }
            Self::Unreachable { host, port, .. } => format!(
                "check that {host} is up, that sshd listens on port {port} and that no firewall is in between"
            ),
            Self::HostKeyChanged { host, file, .. } => format!(
                "if the server was set up anew, forget the old key with `ssh-keygen -R '{host}' -f {}`; if not, somebody may be in between",
                file.display()
            ),
            Self::HostKeyRevoked { .. } => "don't connect: the key was revoked on purpose".into(),
            Self::HostKeyUnknown { host, .. } => {
                format!("connect once with `ssh {host}` and compare the key's fingerprint")
            }
            Self::AuthenticationRefused { user, host, .. } => format!(
                "check that `ssh {user}@{host}` works; name another user or key with `ssh.user` and `ssh.keys`"
            ),
            Self::KeyLocked { key } => format!("add it to the agent with `ssh-add {key}`"),
            Self::KeyUnusable { .. } => {
                "name a private key in OpenSSH or PEM format with `ssh.keys`".into()
            }
            Self::JumpFailed { source, .. } => return source.hint(),
            Self::DockerAbsent { .. } => {
                "install Docker there (https://docs.docker.com/engine/install), or start it with `systemctl start docker`".into()
            }
            Self::DockerDenied { user, .. } => format!(
                "add the user to the group with `usermod -aG docker {user}`, and let it log in anew"
            ),
            Self::DockerTooOld { .. } => "upgrade Docker to 20.10 or newer".into(),
            Self::ConnectionLost { .. } => "run it again: what is already done is recognised".into(),
            Self::RegistryRefused {
                registry, refusal, ..
            } => match refusal {
                Refusal::Unauthorized => {
                    format!("check the user name and the password for {registry}")
                }
                Refusal::Denied => {
                    format!("the user is known to {registry} but lacks the permission")
                }
                Refusal::NotFound => {
                    "check the image's name and tag, and that it was pushed".into()
                }
                Refusal::UnknownAuthority => format!(
                    "put the certificate of its authority into /etc/docker/certs.d/{registry}/ca.crt on every machine that pulls or pushes, and restart Docker where images are built"
                ),
                Refusal::Unreachable => format!("check that {registry} is up"),
                Refusal::RateLimited => format!("log in to {registry}, or wait"),
            },
            Self::PortTaken { port, .. } => {
                format!("find its owner with `docker ps` or `ss -ltnp 'sport = :{port}'`")
            }
            Self::NameTaken { name, .. } => {
                format!("look at it with `docker inspect {name}`; rename or remove it")
            }
            Self::DiskFull { .. } => "free some space, for example with `docker system prune`".into(),
            Self::NoRepository { .. } => {
                "run `git init` and commit, or give a version with `--version`".into()
            }
            Self::NoTool { tool, .. } => format!(
                "install {tool}, or build and push by other means and deploy with -P"
            ),
            Self::NoGit => "install git, or give a version with `--version`".into(),
            Self::BuilderTooSimple { .. } => {
                "let it keep images in containerd: put {\"features\": {\"containerd-snapshotter\": true}} into /etc/docker/daemon.json there and restart Docker (23 or newer; 29 has it by default)".into()
            }
            Self::Aws(error) => return error.hint(),
            Self::NotFound { .. }
            | Self::BuildFailed { .. }
            | Self::TimedOut { .. }
            | Self::CommandFailed { .. }
            | Self::Remote { .. }
            | Self::Invalid { .. }
            | Self::Io { .. } => return None,
        })
    }

    /// An IO error of this machine, with what was being done.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

fn tried_keys(tried: &[String]) -> String {
    if tried.is_empty() {
        "there was no key to try".into()
    } else {
        format!("tried {}", tried.join(", "))
    }
}

fn seconds(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_host_key_names_the_line_and_the_command_that_forgets_it() {
        let error = WireError::HostKeyChanged {
            host: "[10.0.0.4]:2222".into(),
            file: "/root/.ssh/known_hosts".into(),
            line: 7,
        };
        assert_eq!(
            error.to_string(),
            "the host key of [10.0.0.4]:2222 has changed: it is not the one on line 7 of /root/.ssh/known_hosts"
        );
        let hint = error.hint().expect("there is one");
        assert!(
            hint.contains("ssh-keygen -R '[10.0.0.4]:2222' -f /root/.ssh/known_hosts"),
            "{hint}"
        );
    }

    #[test]
    fn a_jump_hosts_error_keeps_its_hint() {
        let error = WireError::JumpFailed {
            jump: "bastion".into(),
            source: Box::new(WireError::KeyLocked {
                key: "~/.ssh/id_rsa".into(),
            }),
        };
        assert_eq!(
            error.hint().as_deref(),
            Some("add it to the agent with `ssh-add ~/.ssh/id_rsa`")
        );
    }
}
