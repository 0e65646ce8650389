//! One connection a host, made when it is first needed and shared by everything that goes there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::wire::ssh::Forwarding;
use crate::wire::{Command, Engine, Place, Ssh, SshConfig, Target, WireError};

/// Name of the host that is this machine, without SSH.
pub const LOCAL: &str = "local";

/// The hosts of a run.
pub struct Hosts {
    config: SshConfig,
    /// Port of the registry that runs on this machine, when the project has one.
    registry: Option<u16>,
    open: Mutex<HashMap<String, Arc<Host>>>,
}

/// A host that may or may not be connected.
#[derive(Default)]
pub(crate) struct Host {
    place: OnceCell<Place>,
    engine: OnceCell<Engine>,
    home: OnceCell<String>,
    /// The way back to the registry on this machine, for the rest of the run.
    registry: OnceCell<Forwarding>,
}

impl Hosts {
    /// Nothing is connected yet.
    pub fn new(config: SshConfig) -> Self {
        Self {
            config,
            registry: None,
            open: Mutex::default(),
        }
    }

    /// The same, with a registry on this machine that servers pull from.
    pub fn lending(self, registry: Option<u16>) -> Self {
        Self { registry, ..self }
    }

    pub(crate) fn host(&self, name: &str) -> Arc<Host> {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(name.to_owned())
            .or_default()
            .clone()
    }

    /// The next use of a host connects to it anew.
    pub(crate) fn forget(&self, name: &str) {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
    }

    /// Commands and files of a host.
    pub(crate) async fn place(&self, name: &str) -> Result<Place, WireError> {
        let host = self.host(name);
        host.place
            .get_or_try_init(async || {
                if name == LOCAL {
                    return Ok(Place::Local);
                }
                let target: Target = name.parse()?;
                Ok(Place::Remote(Ssh::connect(&target, &self.config).await?))
            })
            .await
            .cloned()
    }

    /// The Docker Engine of a host.
    pub(crate) async fn engine(&self, name: &str) -> Result<Engine, WireError> {
        let host = self.host(name);
        host.engine
            .get_or_try_init(async || match self.place(name).await? {
                Place::Local => Engine::local().await,
                Place::Remote(ssh) => Engine::over_ssh(&ssh).await,
            })
            .await
            .cloned()
    }

    /// Lets a server reach the registry that runs on this machine, under the same name as here, if an image is of that
    /// registry. No other port ever leads back.
    pub(crate) async fn lend_registry(&self, name: &str, image: &str) -> Result<(), WireError> {
        let Some(port) = self.registry else {
            return Ok(());
        };
        if name == LOCAL || !image.starts_with(&format!("localhost:{port}/")) {
            return Ok(());
        }
        let Place::Remote(ssh) = self.place(name).await? else {
            return Ok(());
        };
        let host = self.host(name);
        let way = format!("localhost:{port}");
        let lent = host
            .registry
            .get_or_try_init(|| ssh.forward_back(port, &way));
        lent.await.map(drop)
    }

    /// The Docker Engine at a URL, `ssh://user@host` or `tcp://host:2375`, and the connection to it. The way there is
    /// the URL's own: the servers' user, port and jump host are not the builder's.
    pub(crate) async fn engine_at(&self, url: &str) -> Result<(Engine, Option<Ssh>), WireError> {
        if !url.starts_with("ssh://") {
            return Ok((Engine::at(url).await?, None));
        }
        let config = SshConfig {
            user: None,
            port: None,
            proxy: None,
            ..self.config.clone()
        };
        let ssh = Ssh::connect(&url.parse()?, &config).await?;
        Ok((Engine::over_ssh(&ssh).await?, Some(ssh)))
    }

    /// The user's home directory on a host.
    pub(crate) async fn home(&self, name: &str) -> Result<String, WireError> {
        let host = self.host(name);
        let home = host.home.get_or_try_init(async || {
            let place = self.place(name).await?;
            let output = place.exec(Command::new(["sh", "-c", "cd && pwd"])).await?;
            if output.code == 0 {
                return Ok(output.text().trim().to_owned());
            }
            Err(WireError::CommandFailed {
                place: place.name(),
                what: "finding the home directory".into(),
                code: output.code,
                stderr: output.error_text(),
            })
        });
        home.await.cloned()
    }
}
