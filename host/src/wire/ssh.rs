//! One SSH connection per host, many channels on it.
//!
//! A command on an open connection costs one round trip: a shell that waits for it has been started ahead. That also keeps
//! the words of a command out of the login shell's arguments, which every user of the host can read.

mod config;
mod connect;
mod forward;
mod identity;
mod known_hosts;
mod quote;
mod target;

use std::{
    collections::VecDeque,
    io,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use futures::FutureExt;
use russh::{Channel, ChannelMsg, ChannelStream, Sig, client};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch},
    task::JoinHandle,
};

pub use config::{ConfigFiles, Proxy, SshConfig};
pub use forward::Forwarding;
pub use quote::quote;
pub use target::Target;

use crate::wire::{
    WireError,
    place::{Command, ExecOutput, Gathered},
};

/// sshd allows 10 sessions on a connection by default (`MaxSessions`): these and those started ahead. The others are to
/// spare, for it counts a session that has ended for a moment longer.
const SESSIONS: usize = 6;
/// Shells started ahead: a deploy has two commands for a host at once.
const AHEAD: usize = 2;

/// What the shell started ahead does: read one line, and run it with the rest of the input as its input.
///
/// A shell's `read` takes not a byte more than the line. `$n` is for the newlines in it. `limit` ends what nobody waits for
/// any longer: sshd passes no signals on for root, and a command that hangs would keep its session.
const LOADER: &str = r#"n=$(printf '\nx'); n=${n%x}
limit() { shift; "$@"; }
command -v timeout >/dev/null 2>&1 && limit() { timeout -s KILL "$@"; }
IFS= read -r line && eval "$line""#;

/// The login shell's own variables that it keeps to itself: bash has them, and does not pass them on. A shell that has none
/// passes none on.
const KEPT: &str = "export HOSTNAME UID; ";

/// An open connection to a host. Clones share it; it closes with the last one.
#[derive(Clone)]
pub struct Ssh {
    connection: Arc<Connection>,
}

/// A byte stream through the connection.
pub type SshStream = ChannelStream<client::Msg>;

type Session = Channel<client::Msg>;
type Starting = JoinHandle<Result<Session, russh::Error>>;

struct Connection {
    handle: client::Handle<connect::Greeter>,
    host: String,
    user: String,
    /// Why the connection ended, once it has.
    ended: watch::Receiver<Option<String>>,
    sessions: Arc<Semaphore>,
    forwards: forward::Forwards,
    ahead: Mutex<VecDeque<Starting>>,
    /// What carries this connection, and must live as long.
    _carrier: connect::Carrier,
}

impl Ssh {
    /// Connects, checks the host's key and logs in.
    ///
    /// Errors say which of these failed: the name, the way there, the host's key, the user's keys.
    pub async fn connect(target: &Target, config: &SshConfig) -> Result<Self, WireError> {
        let ssh = connect::connect(target, config).await?;
        ssh.start_ahead();
        Ok(ssh)
    }

    /// The host as it was asked for.
    pub fn host(&self) -> &str {
        &self.connection.host
    }

    /// Who we are there.
    pub fn user(&self) -> &str {
        &self.connection.user
    }

    /// Why the connection ended, or `None` while it is open.
    pub fn ended(&self) -> Option<String> {
        let ended = self.connection.ended.borrow().clone();
        ended.or_else(|| self.connection.handle.is_closed().then(|| "closed".into()))
    }

    /// Runs a command and waits for its end. The words of `argv` arrive as they are: nothing is expanded.
    ///
    /// A code other than 0 is not an error. A command killed by a signal has the code 128 + signal, as in a shell.
    /// A command that takes too long is killed a second later, on the host itself.
    pub async fn exec(&self, command: Command) -> Result<ExecOutput, WireError> {
        let what = command.summary();
        let after = command.timeout;
        if command.argv.is_empty() || command.argv.iter().any(|word| word.contains('\0')) {
            return Err(WireError::Invalid {
                what: format!("command {what}"),
                why: "it is empty, or has a NUL in it".into(),
            });
        }
        let (tell, told) = oneshot::channel();
        let ssh = self.clone();
        // In a task of its own: a session is in use until its command has ended, whether or not somebody still waits.
        tokio::spawn(async move {
            let permit = ssh.connection.sessions.acquire().await;
            if !tell.is_closed() {
                // Nobody listens after a time-out.
                let _ = tell.send(ssh.run(command).await);
            }
            drop(permit);
        });
        match tokio::time::timeout(after, told).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(self.lost(&what).await),
            Err(_) => Err(WireError::TimedOut {
                what: format!("{what} on {}", self.host()),
                after,
            }),
        }
    }

    async fn run(&self, command: Command) -> Result<ExecOutput, WireError> {
        let what = command.summary();
        let session = self.session().await;
        let session = session.map_err(|error| self.failed(&what, error))?;
        self.start_ahead();
        let seconds = command.timeout.as_secs() + 2;
        let line = format!("limit {seconds} {}\n", quote::quote_line(&command.argv));
        let mut input = line.into_bytes();
        input.extend(command.stdin.unwrap_or_default());
        let (mut reading, writing) = session.split();
        let feed = async {
            // A command may end without reading all of its input: that is its business.
            let _ = writing.data_bytes(input).await;
            let _ = writing.eof().await;
        };
        let gather = async {
            let mut output = Gathered::new(command.max_output);
            let mut code = None;
            while let Some(message) = reading.wait().await {
                match message {
                    ChannelMsg::Data { data } => output.stdout(&data),
                    ChannelMsg::ExtendedData { data, ext: 1 } => output.stderr(&data),
                    ChannelMsg::ExitStatus { exit_status } => {
                        code = Some(i32::try_from(exit_status).unwrap_or(i32::MAX));
                    }
                    ChannelMsg::ExitSignal { signal_name, .. } => {
                        code = Some(128 + number(&signal_name))
                    }
                    _ => {}
                }
            }
            match code {
                Some(code) => Ok(output.finish(code)),
                None => Err(self.lost(&what).await),
            }
        };
        // The end of the command ends the feeding too.
        let (mut feed, mut gather) = (pin!(feed), pin!(gather));
        tokio::select! {
            result = &mut gather => result,
            () = &mut feed => gather.await,
        }
    }

    /// A shell that waits for its line: one started ahead if it is still good.
    async fn session(&self) -> Result<Session, russh::Error> {
        loop {
            let Some(starting) = self.ahead().pop_front() else {
                return self.start().await;
            };
            if let Ok(Ok(mut session)) = starting.await
                && is_waiting(&mut session)
            {
                return Ok(session);
            }
        }
    }

    async fn start(&self) -> Result<Session, russh::Error> {
        let session = self.open_session().await?;
        let loader = quote(&["sh", "-c", LOADER].map(String::from));
        session.exec(false, format!("{KEPT}{loader}")).await?;
        Ok(session)
    }

    /// Tries again for a second: sessions that have just ended may still count.
    async fn open_session(&self) -> Result<Session, russh::Error> {
        let mut patience = 20;
        loop {
            match self.connection.handle.channel_open_session().await {
                Err(russh::Error::ChannelOpenFailure(_)) if patience > 0 => {
                    patience -= 1;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                result => return result,
            }
        }
    }

    fn start_ahead(&self) {
        let mut ahead = self.ahead();
        while ahead.len() < AHEAD {
            let ssh = self.clone();
            ahead.push_back(tokio::spawn(async move { ssh.start().await }));
        }
    }

    fn ahead(&self) -> std::sync::MutexGuard<'_, VecDeque<Starting>> {
        self.connection
            .ahead
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection to a Unix socket of the host. sshd makes it with the rights of the user.
    pub async fn streamlocal(&self, path: &str) -> Result<SshStream, WireError> {
        let what = format!("connecting to {path}");
        let channel = self
            .connection
            .handle
            .channel_open_direct_streamlocal(path)
            .await;
        Ok(channel
            .map_err(|error| self.failed(&what, error))?
            .into_stream())
    }

    /// A connection from the host to an address that it can reach.
    pub async fn direct_tcpip(&self, host: &str, port: u16) -> Result<SshStream, WireError> {
        let what = format!("connecting to {host}:{port}");
        let channel = self
            .connection
            .handle
            .channel_open_direct_tcpip(host, u32::from(port), "127.0.0.1", 0)
            .await;
        Ok(channel
            .map_err(|error| self.failed(&what, error))?
            .into_stream())
    }

    /// The standard input and output of a command, as a stream; what it prints to standard error is dropped.
    ///
    /// It counts against the host's limit of sessions as long as it lives.
    pub async fn pipe(
        &self,
        argv: &[String],
    ) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<>, WireError> {
        let what = argv.join(" ");
        let failed = |error| self.failed(&what, error);
        let permit = Arc::clone(&self.connection.sessions).acquire_owned().await;
        let permit = permit.map_err(|_| self.broken(&what))?;
        let session = self.open_session().await.map_err(failed)?;
        session.exec(false, quote(argv)).await.map_err(failed)?;
        let (reader, writer) = tokio::io::split(session.into_stream());
        Ok(tokio::io::join(
            Counted {
                reader,
                _permit: permit,
            },
            writer,
        ))
    }

    /// Says goodbye. Dropping the last clone closes the connection too, without a word.
    pub async fn close(&self) {
        let goodbye = self
            .connection
            .handle
            .disconnect(russh::Disconnect::ByApplication, "", "");
        // A server that is gone doesn't hear it.
        let _ = goodbye.await;
    }

    /// The reason comes a moment after the channels have closed.
    async fn lost(&self, during: &str) -> WireError {
        let mut ended = self.connection.ended.clone();
        let _ =
            tokio::time::timeout(Duration::from_millis(200), ended.wait_for(Option::is_some)).await;
        self.broken(during)
    }

    fn broken(&self, during: &str) -> WireError {
        WireError::ConnectionLost {
            place: format!("host {}", self.host()),
            during: during.to_owned(),
            why: self
                .ended()
                .unwrap_or_else(|| "the channel was closed".into()),
        }
    }

    fn failed(&self, what: &str, error: russh::Error) -> WireError {
        match error {
            russh::Error::ChannelOpenFailure(reason) => WireError::Remote {
                place: format!("host {}", self.host()),
                what: what.to_owned(),
                status: 0,
                message: format!("the SSH server refused the channel ({reason:?})"),
            },
            _ => WireError::ConnectionLost {
                place: format!("host {}", self.host()),
                during: what.to_owned(),
                why: self.ended().unwrap_or_else(|| error.to_string()),
            },
        }
    }
}

/// Whether nothing has come from the shell but room for its input: anything else is its end.
fn is_waiting(session: &mut Session) -> bool {
    loop {
        match session.wait().now_or_never() {
            None => return true,
            Some(Some(ChannelMsg::WindowAdjusted { .. })) => {}
            Some(_) => return false,
        }
    }
}

/// A reader that holds a place among the host's sessions.
struct Counted<R> {
    reader: R,
    _permit: OwnedSemaphorePermit,
}

impl<R: AsyncRead + Unpin> AsyncRead for Counted<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(cx, buffer)
    }
}

/// POSIX numbers of the signals that SSH knows by name.
fn number(signal: &Sig) -> i32 {
    match signal {
        Sig::HUP => 1,
        Sig::INT => 2,
        Sig::QUIT => 3,
        Sig::ILL => 4,
        Sig::ABRT => 6,
        Sig::FPE => 8,
        Sig::KILL => 9,
        Sig::USR1 => 10,
        Sig::SEGV => 11,
        Sig::PIPE => 13,
        Sig::ALRM => 14,
        Sig::TERM => 15,
        Sig::Custom(_) => 0,
    }
}
