//! A host's SSH server: logs anybody in, runs commands, forwards Docker's socket, leads on to other hosts.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::{Algorithm, PrivateKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::network::Simulated;
use crate::world::{What, World};
use crate::{engine, shell};

struct Server {
    world: World,
    network: Simulated,
    host: String,
    /// Who logged in.
    user: String,
    port: u16,
    via: Option<String>,
    sessions: HashMap<ChannelId, Channel<Msg>>,
}

/// Serves one connection to its end.
pub async fn serve<S>(
    world: World,
    network: Simulated,
    stream: S,
    host: String,
    port: u16,
    via: Option<String>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config = Config {
        auth_rejection_time: Duration::ZERO,
        keys: vec![key(&host)],
        inactivity_timeout: None,
        ..Config::default()
    };
    let server = Server {
        world,
        network,
        host,
        user: String::new(),
        port,
        via,
        sessions: HashMap::new(),
    };
    if let Ok(running) = russh::server::run_stream(Arc::new(config), stream, server).await {
        // It ends when the client leaves.
        let _ = running.await;
    }
}

/// A host's key, or a user's: the same whenever it is asked for.
pub fn key(host: &str) -> PrivateKey {
    let seed: Vec<u8> = crate::world::hex(host).into_bytes();
    let mut bytes = [0; 32];
    bytes.copy_from_slice(&seed[..32]);
    let pair = russh::keys::ssh_key::private::Ed25519Keypair::from_seed(&bytes);
    let key = PrivateKey::from(pair);
    debug_assert_eq!(key.algorithm(), Algorithm::Ed25519);
    key
}

impl Handler for Server {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        user: &str,
        _key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        self.user = user.to_owned();
        self.world.saw(
            &self.host,
            What::LoggedIn {
                user: user.to_owned(),
                port: self.port,
                via: self.via.clone(),
            },
        );
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.sessions.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(opened) = self.sessions.remove(&channel) else {
            return session.channel_failure(channel);
        };
        session.channel_success(channel)?;
        let command = String::from_utf8_lossy(command).into_owned();
        tokio::spawn(shell::run(
            self.world.clone(),
            self.host.clone(),
            command,
            opened,
        ));
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        let there = path == "/var/run/docker.sock" && self.world.lock().host(&self.host).docker;
        if !there {
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
            return Ok(());
        }
        reply.accept().await;
        tokio::spawn(engine::serve(
            self.world.clone(),
            self.host.clone(),
            channel.into_stream(),
        ));
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        let port = u16::try_from(port).unwrap_or(0);
        let via = Some(self.host.clone());
        match self.network.connect(host, port, via) {
            Ok(mut onward) => {
                reply.accept().await;
                tokio::spawn(async move {
                    let mut here = channel.into_stream();
                    // Either side may leave.
                    let _ = tokio::io::copy_bidirectional(&mut here, &mut onward).await;
                });
            }
            Err(_) => reply.reject(ChannelOpenFailure::ConnectFailed).await,
        }
        Ok(())
    }

    async fn tcpip_forward(
        &mut self,
        _address: &str,
        port: &mut u32,
        _session: &mut Session,
    ) -> Result<bool, Self::Error> {
        let port = u16::try_from(*port).unwrap_or(0);
        self.world.saw(
            &self.host,
            What::Forwarding {
                port,
                user: self.user.clone(),
                ssh_port: self.port,
            },
        );
        Ok(true)
    }
}
