//! Where a target is: by Docker's own DNS, or outside Docker by a map that is handed in.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::net::{TcpStream, lookup_host};

/// How long an answer of DNS is used: a container that restarts may come back elsewhere.
const FRESH: Duration = Duration::from_secs(1);

/// Looks names up and connects.
#[derive(Debug, Default)]
pub struct Names {
    fixed: BTreeMap<String, IpAddr>,
    answers: Mutex<BTreeMap<String, (Instant, IpAddr)>>,
}

impl Names {
    /// Names of `fixed` are there; all others are asked of DNS.
    pub fn new(fixed: BTreeMap<String, IpAddr>) -> Names {
        Names {
            fixed,
            answers: Mutex::default(),
        }
    }

    /// Reads `name=address,name=address`; what is not of that form is left out.
    pub fn read(text: &str) -> Names {
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        Names::new(
            pairs
                .filter_map(|(name, address)| Some((name.to_owned(), address.parse().ok()?)))
                .collect(),
        )
    }

    /// A new connection to `name`.
    pub async fn connect(&self, name: &str, port: u16) -> io::Result<TcpStream> {
        let stream =
            TcpStream::connect(SocketAddr::new(self.look_up(name, port).await?, port)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn look_up(&self, name: &str, port: u16) -> io::Result<IpAddr> {
        if let Some(address) = self.fixed.get(name).copied().or_else(|| name.parse().ok()) {
            return Ok(address);
        }
        let known = self
            .answers
            .lock()
            .expect("nothing panics with this lock")
            .get(name)
            .copied();
        if let Some((_, address)) = known.filter(|(when, _)| when.elapsed() < FRESH) {
            return Ok(address);
        }
        let found = lookup_host((name, port))
            .await?
            .next()
            .map(|address| address.ip());
        let address = found.ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("no address for {name}"))
        })?;
        self.answers
            .lock()
            .expect("nothing panics with this lock")
            .insert(name.to_owned(), (Instant::now(), address));
        Ok(address)
    }
}
