//! Commands over a Unix socket: the words of the command line as a JSON array, answered by a line with what to print or why not.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use crate::command;
use crate::forward::Proxy;

/// A command line is a few hundred bytes.
const LONGEST: u64 = 1 << 20;

/// What a command came to.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It was done; this is to be printed.
    Done(String),
    /// It was not; this is why.
    Refused(String),
}

/// `kamal-proxy.sock` in `XDG_RUNTIME_DIR`, or in `/tmp`.
pub fn default_socket() -> PathBuf {
    let folder = env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty());
    PathBuf::from(folder.unwrap_or_else(|| "/tmp".into())).join("kamal-proxy.sock")
}

/// Takes the socket, from a proxy that died if need be.
pub fn listen(socket: &Path) -> io::Result<UnixListener> {
    if let Some(folder) = socket.parent() {
        fs::create_dir_all(folder)?;
    }
    match fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    UnixListener::bind(socket)
}

/// Takes commands until the proxy stops.
pub async fn serve(listener: UnixListener, proxy: Arc<Proxy>, mut stopping: watch::Receiver<bool>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        };
        if let Ok((stream, _)) = accepted {
            // A client that goes away does not undo what it asked for.
            tokio::spawn(converse(stream, Arc::clone(&proxy)));
        }
    }
}

/// Gives a running proxy a command.
pub async fn send(socket: &Path, words: &[String]) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(socket).await?;
    let mut line = serde_json::to_vec(words)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(serde_json::from_slice(&answer)?)
}

async fn converse(stream: UnixStream, proxy: Arc<Proxy>) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    BufReader::new(reader)
        .take(LONGEST)
        .read_line(&mut line)
        .await?;
    let words: Vec<String> = serde_json::from_str(&line)?;
    let answer = match command::run(&words, &proxy.router).await {
        Ok(text) => Answer::Done(text),
        Err(why) => Answer::Refused(why),
    };
    writer.write_all(&serde_json::to_vec(&answer)?).await
}
