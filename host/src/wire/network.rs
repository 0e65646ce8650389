//! The way out of this process: every socket is opened here.
//!
//! It is the system's, unless another was put in its place before the first connection: that is how a whole run is
//! led to servers in the same process, where nothing else can be dialled (`tests/conformance`).

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::OnceLock;

use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream, lookup_host};

/// An open connection.
pub type Connection = Box<dyn Io>;

/// What a connection can do.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// What names mean and where connections lead.
pub trait Network: Send + Sync {
    /// The addresses of a name, in the order in which they are tried.
    fn resolve<'a>(
        &'a self,
        name: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
    /// A connection to an address.
    fn tcp(&self, to: SocketAddr) -> BoxFuture<'_, io::Result<Connection>>;
    /// A connection to a socket of this machine.
    fn unix<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, io::Result<Connection>>;
}

static NETWORK: OnceLock<Box<dyn Network>> = OnceLock::new();

/// The system's own.
pub struct System;

impl Network for System {
    fn resolve<'a>(
        &'a self,
        name: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(lookup_host((name, port)).await?.collect()) })
    }

    fn tcp(&self, to: SocketAddr) -> BoxFuture<'_, io::Result<Connection>> {
        Box::pin(async move {
            let stream = TcpStream::connect(to).await?;
            // Small packets must not wait for each other; without it only speed is lost.
            let _ = stream.set_nodelay(true);
            Ok(Box::new(stream) as Connection)
        })
    }

    fn unix<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, io::Result<Connection>> {
        Box::pin(async move { Ok(Box::new(UnixStream::connect(path).await?) as Connection) })
    }
}

/// Puts another way out in the place of the system's. Once, and before the first connection.
///
/// # Errors
/// The network, when there is one already.
pub fn replace(network: Box<dyn Network>) -> Result<(), Box<dyn Network>> {
    NETWORK.set(network)
}

fn network() -> &'static dyn Network {
    NETWORK.get_or_init(|| Box::new(System)).as_ref()
}

/// The addresses of a name.
pub(super) async fn resolve(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    network().resolve(name, port).await
}

/// A connection to an address.
pub(super) async fn tcp(to: SocketAddr) -> io::Result<Connection> {
    network().tcp(to).await
}

/// A connection to the first address of a name that answers.
pub(super) async fn dial(name: &str, port: u16) -> io::Result<Connection> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in resolve(name, port).await? {
        match tcp(address).await {
            Ok(connection) => return Ok(connection),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The same for `name:port`.
pub(super) async fn dial_authority(authority: &str) -> io::Result<Connection> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidInput, "it is no `host:port`");
    let (name, port) = authority.rsplit_once(':').ok_or_else(invalid)?;
    let port = port.parse().map_err(|_| invalid())?;
    dial(name.trim_start_matches('[').trim_end_matches(']'), port).await
}

/// A connection to a socket of this machine.
pub(super) async fn unix(path: &Path) -> io::Result<Connection> {
    network().unix(path).await
}
