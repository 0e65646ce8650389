//! As much of an HTTP client as the prober and the demonstration need: GET, over connections that are kept or not.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::LabError;

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status, such as 200.
    pub status: u16,
    /// The body, as text.
    pub body: String,
}

/// Fetches `url` once, over a connection of its own, for `host` where the `Host` header must differ from the address.
pub fn get(url: &str, host: Option<&str>, limit: Duration) -> Result<Answer, LabError> {
    let place = Place::read(url, host)?;
    let answer = place
        .connect(limit)
        .and_then(|mut connection| connection.get(&place, Kept::No));
    answer.map_err(|failure| LabError::Http {
        url: url.to_owned(),
        why: failure.to_string(),
    })
}

/// Where to ask, and for what.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    address: SocketAddr,
    host: String,
    path: String,
}

impl Place {
    /// Reads `http://host[:port][/path]` and looks the host up.
    pub(crate) fn read(url: &str, host: Option<&str>) -> Result<Place, LabError> {
        let refused = |why: &str| LabError::Http {
            url: url.to_owned(),
            why: why.to_owned(),
        };
        let rest = url
            .strip_prefix("http://")
            .ok_or_else(|| refused("only http:// is spoken here"))?;
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, "/"),
        };
        let with_port = if authority.contains(':') {
            authority.to_owned()
        } else {
            format!("{authority}:80")
        };
        let mut addresses = with_port
            .to_socket_addrs()
            .map_err(|error| refused(&error.to_string()))?;
        Ok(Place {
            address: addresses
                .next()
                .ok_or_else(|| refused("the host has no address"))?,
            host: host.unwrap_or(authority).to_owned(),
            path: path.to_owned(),
        })
    }

    /// Opens a connection on which nothing may take longer than `limit`.
    pub(crate) fn connect(&self, limit: Duration) -> Result<Connection, Failure> {
        let open = || {
            let stream = TcpStream::connect_timeout(&self.address, limit)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(limit))?;
            stream.set_write_timeout(Some(limit))?;
            Ok(Connection(BufReader::new(stream)))
        };
        open().map_err(Failure::Connect)
    }
}

/// Whether a connection is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Yes,
    No,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("connection refused or lost: {0}")]
    Connect(io::Error),
    /// The connection ended before the first byte of an answer: on a kept connection that may be the server's right.
    #[error("closed without an answer: {0}")]
    Unanswered(io::Error),
    #[error("answer broken off: {0}")]
    Broken(io::Error),
}

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Asks and reads the whole answer.
    pub(crate) fn get(&mut self, place: &Place, kept: Kept) -> Result<Answer, Failure> {
        let connection = match kept {
            Kept::Yes => "keep-alive",
            Kept::No => "close",
        };
        let (path, host) = (&place.path, &place.host);
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: plimsoll-lab\r\nConnection: {connection}\r\n\r\n"
        );
        self.0
            .get_mut()
            .write_all(request.as_bytes())
            .map_err(Failure::Unanswered)?;
        if self.0.fill_buf().map_err(Failure::Unanswered)?.is_empty() {
            return Err(Failure::Unanswered(io::ErrorKind::UnexpectedEof.into()));
        }
        self.read_answer().map_err(Failure::Broken)
    }

    fn read_answer(&mut self) -> io::Result<Answer> {
        let status_line = self.read_line()?;
        let status = status_line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| broken(format!("no status in {status_line:?}")))?;
        let (mut length, mut chunked) = (None, false);
        loop {
            let line = self.read_line()?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().ok(),
                "transfer-encoding" => chunked = value.trim().eq_ignore_ascii_case("chunked"),
                _ => {}
            }
        }
        let mut body = Vec::new();
        match (chunked, length) {
            (true, _) => self.read_chunks(&mut body)?,
            (false, Some(length)) => self.read_exactly(length, &mut body)?,
            (false, None) => drop(self.0.read_to_end(&mut body)?),
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Answer { status, body })
    }

    fn read_chunks(&mut self, body: &mut Vec<u8>) -> io::Result<()> {
        loop {
            let line = self.read_line()?;
            let size = u64::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16);
            let size = size.map_err(|_| broken(format!("no size of a chunk in {line:?}")))?;
            self.read_exactly(size, body)?;
            self.read_line()?;
            if size == 0 {
                return Ok(());
            }
        }
    }

    fn read_exactly(&mut self, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
        let read = self.0.by_ref().take(length).read_to_end(body)?;
        if (read as u64) < length {
            return Err(broken(format!("{read} of {length} bytes")));
        }
        Ok(())
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

fn broken(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    /// A server that answers the connections it gets with these bytes, one after the other, after reading a request each.
    pub(crate) fn answering(answers: &'static [&'static str]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        thread::spawn(move || {
            for answer in answers {
                let (stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(stream);
                let mut line = String::new();
                while reader.read_line(&mut line).unwrap() > 2 {
                    line.clear();
                }
                reader.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        });
        url
    }

    #[test]
    fn answers_are_read_however_they_end() {
        let url = answering(&[
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nhello",
        ]);
        for status in [200, 503, 200] {
            let answer = get(&url, None, Duration::from_secs(5)).unwrap();
            assert_eq!((answer.status, answer.body.as_str()), (status, "hello"));
        }
    }

    #[test]
    fn half_an_answer_is_no_answer() {
        let url = answering(&[
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
            "",
            "nonsense\r\n",
        ]);
        for part in ["3 of 5 bytes", "closed without an answer", "no status"] {
            let error = get(&url, None, Duration::from_secs(5))
                .unwrap_err()
                .to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
