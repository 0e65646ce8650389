//! A path to a server that takes longer: for measuring what round trips cost where the kernel has no netem.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::LabError;

/// A local address whose connections reach a server later. It accepts no more once it is dropped; connections that are open stay.
#[derive(Debug)]
pub struct DelayedPath {
    address: SocketAddr,
    closed: Arc<AtomicBool>,
}

impl DelayedPath {
    /// Listens on a free local port, and delays what passes to and from `server` by half of `round_trip` each way.
    pub fn start(
        server: impl ToSocketAddrs,
        round_trip: Duration,
    ) -> Result<DelayedPath, LabError> {
        let failed = |error: io::Error| LabError::Step(format!("open a delayed path: {error}"));
        let server = server
            .to_socket_addrs()
            .map_err(failed)?
            .next()
            .expect("a server has an address");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let closed = Arc::new(AtomicBool::new(false));
        let is_closed = Arc::clone(&closed);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if is_closed.load(Ordering::SeqCst) {
                    return;
                }
                // A server that refuses shows as a connection that closes at once.
                let _ = join(client, server, round_trip / 2);
            }
        });
        Ok(DelayedPath { address, closed })
    }

    /// Where to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for DelayedPath {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts, so that it sees the mark and lets go of the port.
        let _ = TcpStream::connect(self.address);
    }
}

fn join(client: TcpStream, server: SocketAddr, delay: Duration) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    carry(client.try_clone()?, server.try_clone()?, delay);
    carry(server, client, delay);
    Ok(())
}

/// Two threads a direction: one reads and stamps, one waits and writes, so that the delay does not limit the throughput.
fn carry(from: TcpStream, to: TcpStream, delay: Duration) {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || read(from, &sender, delay));
    thread::spawn(move || write(to, &receiver));
}

fn read(mut from: TcpStream, to: &Sender<(Instant, Vec<u8>)>, delay: Duration) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to
            .send((Instant::now() + delay, buffer[..count].to_vec()))
            .is_err()
        {
            // The other side closed: what it would have said can't arrive.
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Read);
}

fn write(mut to: TcpStream, from: &Receiver<(Instant, Vec<u8>)>) {
    for (due, bytes) in from {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_takes_the_added_round_trip_and_bytes_arrive_whole() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        thread::spawn(move || {
            let (connection, _) = server.accept().unwrap();
            io::copy(&mut connection.try_clone().unwrap(), &mut &connection).unwrap();
        });
        let path = DelayedPath::start(address, Duration::from_millis(60)).unwrap();
        let mut client = TcpStream::connect(path.address()).unwrap();
        let sent: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let begun = Instant::now();
        let mut writer = client.try_clone().unwrap();
        let copy = sent.clone();
        thread::spawn(move || {
            writer.write_all(&copy).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut received = Vec::new();
        client.read_to_end(&mut received).unwrap();
        assert_eq!(received, sent);
        assert!(
            begun.elapsed() >= Duration::from_millis(60),
            "{:?}",
            begun.elapsed()
        );
    }
}
