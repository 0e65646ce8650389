//! Calls of gRPC methods: one message there, any number back, and how it ended. Over HTTP/2 on a connection of its own.

use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Request,
    body::Bytes,
    client::conn::http2,
    header::{CONTENT_TYPE, TE},
    rt::{Read, Write},
};
use hyper_util::rt::TokioExecutor;

/// Larger messages than this are not sent by anybody who means well.
const LARGEST: usize = 16 << 20;

/// A connection to a server of gRPC. Clones share it.
#[derive(Clone)]
pub(super) struct Client {
    sender: http2::SendRequest<Full<Bytes>>,
}

/// How a call failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server's words.
    Refused(String),
    /// The connection's end.
    Lost(String),
}

impl Client {
    pub(super) async fn on<S>(stream: S) -> Result<Self, hyper::Error>
    where
        S: Read + Write + Unpin + Send + 'static,
    {
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    /// Calls `/package.Service/Method`, and hands on every message of the answer.
    pub(super) async fn call(
        &self,
        method: &str,
        message: &[u8],
        hear: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<(), Failure> {
        let lost = |error: hyper::Error| Failure::Lost(error.to_string());
        let request = Request::post(format!("http://buildkit{method}"))
            .header(CONTENT_TYPE, "application/grpc")
            .header(TE, "trailers")
            .body(Full::new(framed(message).into()))
            .expect("methods are paths");
        let mut sender = self.sender.clone();
        sender.ready().await.map_err(lost)?;
        let answer = sender.send_request(request).await.map_err(lost)?;
        // A call that failed at once has its end among the headers.
        let mut end = status(answer.headers());
        let mut body = answer.into_body();
        let mut waiting: Vec<u8> = Vec::new();
        while let Some(frame) = body.frame().await {
            match frame.map_err(lost)?.into_data() {
                Ok(data) => {
                    waiting.extend_from_slice(&data);
                    while let Some((whole, message)) = unframed(&waiting) {
                        hear(message);
                        waiting.drain(..whole);
                    }
                    if waiting.len() > LARGEST {
                        return Err(Failure::Lost("it sends a message without an end".into()));
                    }
                }
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    end = status(&trailers).or(end);
                }
            }
        }
        end.unwrap_or_else(|| Err(Failure::Lost("the answer has no end".into())))
    }
}

/// A message with its flag for compression and its length.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let mut framed = vec![0];
    framed.extend(
        u32::try_from(message.len())
            .unwrap_or(u32::MAX)
            .to_be_bytes(),
    );
    framed.extend(message);
    framed
}

/// The first message, and how long it is with its frame.
pub(super) fn unframed(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let length: [u8; 4] = bytes.get(1..5)?.try_into().ok()?;
    let whole = 5 + usize::try_from(u32::from_be_bytes(length)).ok()?;
    Some((whole, bytes.get(5..whole)?))
}

fn status(headers: &HeaderMap) -> Option<Result<(), Failure>> {
    let code = headers.get("grpc-status")?.to_str().ok()?;
    if code == "0" {
        return Some(Ok(()));
    }
    let message = headers
        .get("grpc-message")
        .map(|text| unescaped(text.as_bytes()));
    let message = message.filter(|text| !text.is_empty());
    Some(Err(Failure::Refused(
        message.unwrap_or_else(|| format!("gRPC status {code}")),
    )))
}

/// `%20` and the like.
fn unescaped(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match digits.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_framed_and_taken_out_whole() {
        let two = [framed(b"one"), framed(b"")].concat();
        assert_eq!(unframed(&two), Some((8, &b"one"[..])));
        assert_eq!(unframed(&two[8..]), Some((5, &b""[..])));
        assert_eq!(unframed(&two[..7]), None);
        assert_eq!(unframed(b""), None);
        assert_eq!(unescaped(b"a%20b%0Ac%zz%"), "a b\nc%zz%");
    }
}
