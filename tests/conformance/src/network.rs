//! The only way out: every name and address leads to a simulated host of the same process, and nowhere else. SSH servers
//! can be far away.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use plimsoll::wire::network::{Connection, Network};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::time::Instant;

use crate::world::{LOCAL, World};
use crate::{engine, registry, sshd};

/// Bytes under way in one direction.
const BUFFER: usize = 1 << 20;

/// The simulated network.
#[derive(Clone)]
pub struct Simulated {
    world: World,
    /// Names by the address they were given.
    names: Arc<Mutex<BTreeMap<IpAddr, String>>>,
    authority: Arc<registry::Authority>,
    /// Between this machine and an SSH server, there and back.
    round_trip: Duration,
}

impl Simulated {
    /// A network of these hosts.
    pub fn new(world: World, authority: registry::Authority, round_trip: Duration) -> Self {
        Self {
            world,
            names: Arc::default(),
            authority: Arc::new(authority),
            round_trip,
        }
    }

    fn address(&self, name: &str) -> IpAddr {
        if let Ok(address) = name.parse() {
            return address;
        }
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((address, _)) = names.iter().find(|(_, known)| *known == name) {
            return *address;
        }
        // From a range that is nobody's (RFC 2544).
        let next = u16::try_from(names.len()).unwrap_or(u16::MAX).to_be_bytes();
        let address = IpAddr::V4(Ipv4Addr::new(198, 18, next[0], next[1]));
        names.insert(address, name.to_owned());
        address
    }

    fn name(&self, address: IpAddr) -> String {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names
            .get(&address)
            .cloned()
            .unwrap_or_else(|| address.to_string())
    }

    /// A connection to a named host, from the deployer or `via` another host.
    pub fn connect(&self, host: &str, port: u16, via: Option<String>) -> io::Result<DuplexStream> {
        if self.world.fault("unreachable", host, "").is_some() {
            return Err(io::Error::from_raw_os_error(
                rustix::io::Errno::HOSTUNREACH.raw_os_error(),
            ));
        }
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        let (this, host) = (self.clone(), host.to_owned());
        tokio::spawn(async move { this.serve(theirs, host, port, via).await });
        Ok(ours)
    }

    /// Speaks whatever the other side begins with.
    async fn serve(self, mut stream: DuplexStream, host: String, port: u16, via: Option<String>) {
        let mut first = [0; 1];
        if stream.read_exact(&mut first).await.is_err() {
            return;
        }
        let stream = Begun {
            first: Some(first[0]),
            stream,
        };
        match first[0] {
            b'S' if !self.round_trip.is_zero() => {
                let (near, far) = tokio::io::duplex(BUFFER);
                tokio::spawn(delayed(stream, near, self.round_trip / 2));
                sshd::serve(self.world.clone(), self, far, host, port, via).await;
            }
            b'S' => sshd::serve(self.world.clone(), self, stream, host, port, via).await,
            0x16 => {
                registry::serve_tls(
                    self.world.clone(),
                    &self.authority,
                    stream,
                    format!("{host}:{port}"),
                )
                .await
            }
            _ => registry::serve(self.world.clone(), stream, format!("{host}:{port}")).await,
        }
    }
}

/// Carries bytes both ways, each as late; as many as want to are under way.
async fn delayed<S>(here: S, there: DuplexStream, delay: Duration)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (from_here, to_here) = tokio::io::split(here);
    let (from_there, to_there) = tokio::io::split(there);
    tokio::join!(
        carry(from_here, to_there, delay),
        carry(from_there, to_here, delay)
    );
}

async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, delay: Duration) {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let read = async move {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            if sender
                .send((Instant::now() + delay, buffer[..count].to_vec()))
                .is_err()
            {
                break;
            }
        }
    };
    let write = async move {
        while let Some((due, bytes)) = receiver.recv().await {
            tokio::time::sleep_until(due).await;
            if to.write_all(&bytes).await.is_err() {
                break;
            }
        }
        // The other side may have left.
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}

impl Network for Simulated {
    fn resolve<'a>(
        &'a self,
        name: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        let address = self.address(name);
        Box::pin(async move { Ok(vec![SocketAddr::new(address, port)]) })
    }

    fn tcp(&self, to: SocketAddr) -> BoxFuture<'_, io::Result<Connection>> {
        Box::pin(async move {
            let stream = self.connect(&self.name(to.ip()), to.port(), None)?;
            Ok(Box::new(stream) as Connection)
        })
    }

    fn unix<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, io::Result<Connection>> {
        Box::pin(async move {
            // Without the plugin there is an Engine, but nothing that builds.
            let missing = self.world.fault("docker_missing", LOCAL, "");
            let missing = missing.is_some_and(|fault| !fault.message_or("").contains("buildx"));
            if !path.ends_with("docker.sock") || missing {
                return Err(io::ErrorKind::NotFound.into());
            }
            let (ours, theirs) = tokio::io::duplex(BUFFER);
            tokio::spawn(engine::serve(self.world.clone(), LOCAL.to_owned(), theirs));
            Ok(Box::new(ours) as Connection)
        })
    }
}

/// A stream whose first byte was read to see what it is.
struct Begun {
    first: Option<u8>,
    stream: DuplexStream,
}

impl AsyncRead for Begun {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(first) = self.first.take() {
            buffer.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Begun {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
