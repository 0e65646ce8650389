//! The listeners, and the proxy's own life.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::control;
use crate::forward::Proxy;
use crate::log::Log;
use crate::names::Names;
use crate::router::{Router, RouterError};

/// How long connections may take to end after the proxy was told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// What a proxy is started with.
#[derive(Debug)]
pub struct Settings {
    /// Where it listens for HTTP.
    pub http: SocketAddr,
    /// Where it takes commands.
    pub socket: PathBuf,
    /// The folder of its state.
    pub state: PathBuf,
    /// Where targets are.
    pub names: Names,
    /// Where requests are logged.
    pub log: Arc<Log>,
}

/// A proxy that runs.
#[derive(Debug)]
pub struct Server {
    /// Where it listens for HTTP, with the port it got.
    pub http: SocketAddr,
    stop: watch::Sender<bool>,
    /// Every task holds a sender: the channel closes when all have ended.
    tasks: mpsc::Receiver<()>,
    socket: PathBuf,
}

impl Server {
    /// Restores the state and listens.
    pub async fn start(settings: Settings) -> Result<Server, RouterError> {
        let names = Arc::new(settings.names);
        let (router, restored) = Router::restore(
            settings.state,
            Arc::clone(&names),
            Arc::clone(&settings.log),
        )?;
        settings.log.event(if restored {
            "Restored saved state"
        } else {
            "No previous state to restore"
        });
        let listener = TcpListener::bind(settings.http).await?;
        let http = listener.local_addr()?;
        let proxy = Arc::new(Proxy {
            router,
            names,
            log: settings.log,
        });
        let (stop, stopping) = watch::channel(false);
        let (task, tasks) = mpsc::channel(1);
        let commands = control::listen(&settings.socket)?;
        tokio::spawn(control::serve(
            commands,
            Arc::clone(&proxy),
            stopping.clone(),
        ));
        tokio::spawn(accept(listener, Arc::clone(&proxy), stopping, task));
        proxy.log.event(&format!("Server started on {http}"));
        Ok(Server {
            http,
            stop,
            tasks,
            socket: settings.socket,
        })
    }

    /// Takes no more connections and waits until those there are have ended, for 10 s at most.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        // Too late is as good as done: the process ends.
        let _ = timeout(GRACE, self.tasks.recv()).await;
        let _ = std::fs::remove_file(&self.socket);
    }
}

async fn accept(
    listener: TcpListener,
    proxy: Arc<Proxy>,
    mut stopping: watch::Receiver<bool>,
    task: mpsc::Sender<()>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        };
        match accepted {
            Ok((stream, remote)) => {
                let (proxy, stopping, task) = (Arc::clone(&proxy), stopping.clone(), task.clone());
                tokio::spawn(async move {
                    serve(stream, remote, proxy, stopping).await;
                    drop(task);
                });
            }
            // Out of files, or the client was gone already: the next one may fare better.
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn serve(
    stream: TcpStream,
    remote: SocketAddr,
    proxy: Arc<Proxy>,
    mut stopping: watch::Receiver<bool>,
) {
    // Only costs speed when it fails.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let proxy = Arc::clone(&proxy);
        async move { Ok::<_, io::Error>(proxy.answer(remote, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    // How a connection ended is in the log, request by request.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}
