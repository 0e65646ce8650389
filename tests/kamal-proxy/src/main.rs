//! `kamal-proxy run` is the proxy; every other command is given to the one that runs.

use std::env;
use std::io::{self, Write, stdout};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use kamal_proxy_stand_in::command::RUN;
use kamal_proxy_stand_in::control::{Answer, default_socket, send};
use kamal_proxy_stand_in::flags::Flags;
use kamal_proxy_stand_in::log::Log;
use kamal_proxy_stand_in::names::Names;
use kamal_proxy_stand_in::server::{Server, Settings};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let done = match words.split_first() {
        Some((command, flags)) if command == "run" => run(flags).await,
        _ => tell(&words).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // Without a stderr the exit code has to do.
            let _ = writeln!(io::stderr(), "Error: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(words: &[String]) -> Result<(), String> {
    let flags = Flags::read(RUN, words)?;
    let from_environment = env::var("KAMAL_PROXY_HTTP_PORT").or_else(|_| env::var("HTTP_PORT"));
    let port = flags.number(
        "http-port",
        from_environment
            .ok()
            .and_then(|port| port.parse().ok())
            .unwrap_or(80),
    );
    let port = u16::try_from(port).map_err(|_| format!("invalid port {port}"))?;
    let home = env::var_os("HOME").unwrap_or_else(|| "/home/kamal-proxy".into());
    let settings = Settings {
        http: SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
        socket: default_socket(),
        state: PathBuf::from(home).join(".config/kamal-proxy"),
        // `name=address,…`: for a proxy that runs outside Docker, where no DNS knows its targets.
        names: Names::read(&env::var("KAMAL_PROXY_STAND_IN_NAMES").unwrap_or_default()),
        log: Log::new(stdout()),
    };
    let listens = |kind| signal(kind).map_err(|error| error.to_string());
    let (mut terminate, mut interrupt) = (
        listens(SignalKind::terminate())?,
        listens(SignalKind::interrupt())?,
    );
    let server = Server::start(settings)
        .await
        .map_err(|error| error.to_string())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    server.stop().await;
    Ok(())
}

async fn tell(words: &[String]) -> Result<(), String> {
    let socket = default_socket();
    let answer = send(&socket, words)
        .await
        .map_err(|error| format!("dial unix {}: {error}", socket.display()))?;
    match answer {
        Answer::Done(text) if text.is_empty() => Ok(()),
        Answer::Done(text) => writeln!(stdout(), "{text}").map_err(|error| error.to_string()),
        Answer::Refused(why) => Err(why),
    }
}
