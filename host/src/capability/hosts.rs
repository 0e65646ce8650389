//! One connection a host, made when it is first needed and shared by everything that goes there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::wire::{Command, Engine, Place, Ssh, SshConfig, Target, WireError};

/// Name of the host that is this machine, without SSH.
pub const LOCAL: &str = "local";

/// The hosts of a run.
pub struct Hosts {
    config: SshConfig,
    open: Mutex<HashMap<String, Arc<Host>>>,
}

/// A host that may or may not be connected.
#[derive(Default)]
pub(crate) struct Host {
    place: OnceCell<Place>,
    engine: OnceCell<Engine>,
    home: OnceCell<String>,
}

impl Hosts {
    /// Nothing is connected yet.
    pub fn new(config: SshConfig) -> Self {
        Self {
            config,
            open: Mutex::default(),
        }
    }

    pub(crate) fn host(&self, name: &str) -> Arc<Host> {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(name.to_owned())
            .or_default()
            .clone()
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
