//! A port of the host that leads back to an address here: how servers reach a registry on the deployer's machine.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use russh::{Channel, ChannelOpenFailure, client};

use super::{Connection, Ssh};
use crate::wire::{WireError, network};

/// Ports of the host that we asked for, and where each leads.
#[derive(Clone, Default)]
pub(super) struct Forwards(Arc<Mutex<HashMap<u16, String>>>);

impl Forwards {
    fn with<T>(&self, act: impl FnOnce(&mut HashMap<u16, String>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes a connection that the server hands over, if it came to one of our ports: a server can't reach anything else.
    pub(super) async fn take(
        &self,
        port: u32,
        channel: Channel<client::Msg>,
        reply: client::ChannelOpenHandle,
    ) {
        let to = u16::try_from(port)
            .ok()
            .and_then(|port| self.with(|forwards| forwards.get(&port).cloned()));
        let Some(to) = to else {
            return reply
                .reject(ChannelOpenFailure::AdministrativelyProhibited)
                .await;
        };
        match network::dial_authority(&to).await {
            Ok(mut stream) => {
                reply.accept().await;
                tokio::spawn(async move {
                    // Either side may hang up whenever it likes.
                    let _ = tokio::io::copy_bidirectional(&mut channel.into_stream(), &mut stream)
                        .await;
                });
            }
            Err(_) => reply.reject(ChannelOpenFailure::ConnectFailed).await,
        }
    }
}

/// A port that is forwarded as long as this lives.
pub struct Forwarding {
    connection: Arc<Connection>,
    port: u16,
}

impl Forwarding {
    /// The port on the host.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        self.connection
            .forwards
            .with(|forwards| forwards.remove(&self.port));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (connection, port) = (Arc::clone(&self.connection), self.port);
            runtime.spawn(async move {
                // With the connection gone, the port is too.
                let _ = connection
                    .handle
                    .cancel_tcpip_forward("127.0.0.1", port.into())
                    .await;
            });
        }
    }
}

impl Ssh {
    /// Lets `127.0.0.1:port` of the host lead to `to` (`host:port`), as seen from here. Port 0 is a free one.
    pub async fn forward_back(&self, port: u16, to: &str) -> Result<Forwarding, WireError> {
        let forwards = &self.connection.forwards;
        let taken = || WireError::PortTaken {
            place: format!("host {}", self.host()),
            port: port.to_string(),
            message: "sshd does not listen there".to_owned(),
        };
        // Known before the server says yes, because its first connection may come with the answer.
        if !forwards.with(|forwards| add(forwards, port, to)) {
            return Err(taken());
        }
        let answer = self
            .connection
            .handle
            .tcpip_forward("127.0.0.1", port.into())
            .await;
        let bound = match answer {
            Ok(0) => Ok(port),
            // The answer has a port only when the choice was the server's.
            Ok(chosen) => Ok(u16::try_from(chosen).unwrap_or(port)),
            Err(russh::Error::RequestDenied) => Err(taken()),
            Err(error) => Err(self.failed(&format!("forwarding port {port}"), error)),
        };
        forwards.with(|forwards| {
            if let Some(to) = forwards.remove(&port)
                && let Ok(bound) = &bound
            {
                forwards.insert(*bound, to);
            }
        });
        Ok(Forwarding {
            connection: Arc::clone(&self.connection),
            port: bound?,
        })
    }
}

fn add(forwards: &mut HashMap<u16, String>, port: u16, to: &str) -> bool {
    let free = !forwards.contains_key(&port);
    if free {
        forwards.insert(port, to.to_owned());
    }
    free
}
