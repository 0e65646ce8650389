//! From a target to a logged-in connection: name, way, host key, identity.

use std::{
    io,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use russh::{
    Channel, client,
    keys::{Algorithm, PublicKeyOrCertificate},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};
use tracing::debug;

use super::{
    Connection, SESSIONS, Ssh,
    config::{Proxy, Settings, SshConfig},
    forward::Forwards,
    identity,
    known_hosts::{KnownHosts, recorded_name},
    target::Target,
};
use crate::wire::{
    WireError,
    network::{self, Connection as Stream},
};

/// From the first byte to the agreed keys.
const HANDSHAKE: Duration = Duration::from_secs(30);
/// Logging in may wait for somebody to touch a hardware key.
const LOGIN: Duration = Duration::from_secs(120);

const MAX_JUMPS: usize = 8;

/// What a connection runs over, besides plain TCP.
pub(super) enum Carrier {
    Tcp,
    Jump { _through: Ssh },
    Command { _child: tokio::process::Child },
}

pub(super) async fn connect(target: &Target, config: &SshConfig) -> Result<Ssh, WireError> {
    connect_through(target, config, 0).await
}

async fn connect_through(
    target: &Target,
    config: &SshConfig,
    jumps: usize,
) -> Result<Ssh, WireError> {
    let settings = config.settings(target);
    let jumped = |jump: &str, source| WireError::JumpFailed {
        jump: jump.to_owned(),
        source: Box::new(source),
    };
    match &settings.proxy {
        None => {
            let stream = dial(&settings, config).await?;
            greet(stream, Carrier::Tcp, target, &settings, config).await
        }
        Some(Proxy::Jump(jump)) => {
            // `a,b`: through `a` to `b`, and from there on.
            let (before, last) = match jump.rsplit_once(',') {
                Some((before, last)) => (Some(Proxy::Jump(before.to_owned())), last.trim()),
                None => (None, jump.trim()),
            };
            if jumps == MAX_JUMPS {
                return Err(WireError::Invalid {
                    what: format!("jump host `{last}`"),
                    why: format!(
                        "more than {MAX_JUMPS} jumps: hosts that are reached through each other?"
                    ),
                });
            }
            // The same keys, but the jump host's own user and port.
            let config_there = SshConfig {
                user: None,
                port: None,
                proxy: before,
                ..config.clone()
            };
            let there: Target = last.parse()?;
            let through = Box::pin(connect_through(&there, &config_there, jumps + 1));
            let through = through.await.map_err(|error| jumped(last, error))?;
            let stream = through.direct_tcpip(&settings.host, settings.port);
            let stream = stream.await.map_err(|error| jumped(last, error))?;
            greet(
                stream,
                Carrier::Jump { _through: through },
                target,
                &settings,
                config,
            )
            .await
        }
        Some(Proxy::Command(command)) => {
            let failed =
                |error| jumped(command, WireError::io("starting the proxy command")(error));
            let mut child = tokio::process::Command::new("sh")
                .args(["-c", &format!("exec {command}")])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .map_err(failed)?;
            let (Some(output), Some(input)) = (child.stdout.take(), child.stdin.take()) else {
                return Err(failed(io::ErrorKind::BrokenPipe.into()));
            };
            let stream = tokio::io::join(output, input);
            greet(
                stream,
                Carrier::Command { _child: child },
                target,
                &settings,
                config,
            )
            .await
        }
    }
}

/// A TCP connection to the first address that answers.
async fn dial(settings: &Settings, config: &SshConfig) -> Result<Stream, WireError> {
    let Settings { host, port, .. } = settings;
    let mut attempt = 0;
    let addresses = loop {
        match network::resolve(host, *port).await {
            Ok(addresses) => break addresses,
            Err(error) if attempt >= config.dns_retries => {
                return Err(WireError::NameUnknown {
                    host: host.clone(),
                    why: plain(&error),
                });
            }
            Err(error) => {
                debug!(%host, attempt, %error, "resolving the name again");
                sleep(Duration::from_millis((100 << attempt.min(5)).min(2000))).await;
                attempt += 1;
            }
        }
    };
    let mut why = "the name has no address".to_owned();
    for address in addresses {
        match timeout(settings.connect_timeout, network::tcp(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            // As Ruby says it, and scripts around Kamal look for it.
            Ok(Err(error)) => why = format!("{} - connect(2) for {host}:{port}", plain(&error)),
            Err(_) => {
                why = format!(
                    "no answer within {} s",
                    settings.connect_timeout.as_secs_f32()
                )
            }
        }
    }
    Err(WireError::Unreachable {
        host: host.clone(),
        port: *port,
        why,
    })
}

/// The text of an OS error without its number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    text.strip_prefix("failed to lookup address information: ")
        .unwrap_or(text)
        .to_owned()
}

async fn greet<S>(
    stream: S,
    carrier: Carrier,
    target: &Target,
    settings: &Settings,
    config: &SshConfig,
) -> Result<Ssh, WireError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let name = recorded_name(&settings.host, settings.port);
    let (tell_end, ended) = watch::channel(None);
    let verdict = Arc::new(Mutex::new(None));
    let forwards = Forwards::default();
    let greeter = Greeter {
        name: name.clone(),
        known_hosts: settings.known_hosts.clone(),
        verdict: Arc::clone(&verdict),
        ended: tell_end,
        forwards: forwards.clone(),
    };
    let unreachable = |why: String| WireError::Unreachable {
        host: settings.host.clone(),
        port: settings.port,
        why,
    };
    let protocol = Arc::new(protocol(&settings.known_hosts, &name));
    let mut handle =
        match timeout(HANDSHAKE, client::connect_stream(protocol, stream, greeter)).await {
            Ok(Ok(handle)) => handle,
            Ok(Err(error)) => {
                let refused = verdict.lock().ok().and_then(|mut verdict| verdict.take());
                return Err(refused
                    .unwrap_or_else(|| unreachable(format!("the SSH handshake failed: {error}"))));
            }
            Err(_) => return Err(unreachable("the SSH handshake didn't finish".into())),
        };
    match timeout(LOGIN, identity::log_in(&mut handle, settings, config)).await {
        Ok(result) => result?,
        Err(_) => {
            return Err(WireError::TimedOut {
                what: format!("logging in to {}", settings.host),
                after: LOGIN,
            });
        }
    }
    Ok(Ssh {
        connection: Arc::new(Connection {
            handle,
            host: target.host.clone(),
            user: settings.user.clone(),
            ended,
            sessions: Arc::new(Semaphore::new(SESSIONS)),
            forwards,
            ahead: Mutex::default(),
            _carrier: carrier,
        }),
    })
}

fn protocol(known_hosts: &KnownHosts, name: &str) -> client::Config {
    let mut preferred = russh::Preferred::default();
    // Kinds of keys that are on record first: another kind couldn't be compared, and would count as changed.
    let known = known_hosts.algorithms(name);
    let mut kinds = preferred.key.to_vec();
    kinds.sort_by_key(|kind| !known.iter().any(|known| same_kind(known, kind)));
    preferred.key = kinds.into();
    client::Config {
        nodelay: true,
        keepalive_interval: Some(Duration::from_secs(30)),
        keepalive_max: 3,
        preferred,
        ..client::Config::default()
    }
}

fn same_kind(a: &Algorithm, b: &Algorithm) -> bool {
    a == b || matches!((a, b), (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }))
}

/// Our side's answers to what the server says unasked.
pub(super) struct Greeter {
    name: String,
    known_hosts: KnownHosts,
    /// Why the host's key was refused: russh only passes a bool.
    verdict: Arc<Mutex<Option<WireError>>>,
    ended: watch::Sender<Option<String>>,
    forwards: Forwards,
}

impl client::Handler for Greeter {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        key: &PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else {
            // Certificates are never offered by us, so a server that sends one is not following the protocol.
            return Ok(false);
        };
        match self.known_hosts.check(&self.name, key) {
            Ok(()) => Ok(true),
            Err(error) => {
                if let Ok(mut verdict) = self.verdict.lock() {
                    *verdict = Some(error);
                }
                Ok(false)
            }
        }
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        channel: Channel<client::Msg>,
        _connected_address: &str,
        connected_port: u32,
        _originator_address: &str,
        _originator_port: u32,
        reply: client::ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), russh::Error> {
        let forwards = self.forwards.clone();
        // Connecting takes its time; the session must not wait for it.
        tokio::spawn(async move { forwards.take(connected_port, channel, reply).await });
        Ok(())
    }

    async fn disconnected(
        &mut self,
        reason: client::DisconnectReason<russh::Error>,
    ) -> Result<(), russh::Error> {
        let why = match &reason {
            client::DisconnectReason::ReceivedDisconnect(info) => {
                format!("the server said {:?}: {}", info.reason_code, info.message)
            }
            client::DisconnectReason::Error(error) => error.to_string(),
        };
        self.ended.send_replace(Some(why));
        Ok(())
    }
}
