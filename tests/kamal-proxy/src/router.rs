//! Which service a request is for, and the switch from one target to the next.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use serde_json::json;

use crate::duration;
use crate::health::becomes_healthy;
use crate::log::Log;
use crate::names::Names;
use crate::options::{Options, read_target};
use crate::state::{self, Kept, Mode};
use crate::target::{InFlight, Target};

/// Why a command was refused, in kamal-proxy's words.
#[derive(Debug, thiserror::Error)]
pub enum RouterError {
    /// The new target did not answer 2xx in time; nothing has changed.
    #[error("target failed to become healthy within configured timeout ({})", duration::format(*.0))]
    Unhealthy(Duration),
    /// Another service has the same host and path; nothing has changed.
    #[error("host settings conflict with another service")]
    Conflict,
    /// No service has that name.
    #[error("service not found")]
    NoService,
    /// A target is no target.
    #[error("{0}")]
    Target(String),
    /// The state could not be written.
    #[error("unable to save state: {0}")]
    State(#[from] std::io::Error),
}

/// The services.
#[derive(Debug)]
pub struct Router {
    services: RwLock<BTreeMap<String, Arc<Service>>>,
    /// Held while a change is made and written, so that the last write is of the last change.
    changes: Mutex<()>,
    folder: PathBuf,
    names: Arc<Names>,
    log: Arc<Log>,
}

/// A service, as it is between two changes.
#[derive(Debug)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// How it is routed and treated.
    pub options: Options,
    /// Whether it answers.
    pub mode: Mode,
    targets: Vec<Arc<Target>>,
    turn: AtomicUsize,
}

/// Where a request goes.
#[derive(Debug)]
pub struct Route {
    /// The service it is for.
    pub service: Arc<Service>,
    /// The prefix of the path that was matched.
    pub prefix: String,
    /// The target, counted in; none when the service is stopped.
    pub target: Option<InFlight>,
}

/// A command to deploy.
#[derive(Debug)]
pub struct Deployment {
    /// Name of the service.
    pub service: String,
    /// Its new targets, as `name:port`.
    pub targets: Vec<String>,
    /// How it is routed and treated from now on.
    pub options: Options,
    /// How long the targets may take to be healthy.
    pub deploy_timeout: Duration,
    /// How long the old targets may take to finish.
    pub drain_timeout: Duration,
    /// Switch without asking for health.
    pub force: bool,
}

impl Router {
    /// The services that `folder` remembers, taken to be healthy. True if it remembered any.
    pub fn restore(
        folder: PathBuf,
        names: Arc<Names>,
        log: Arc<Log>,
    ) -> Result<(Router, bool), RouterError> {
        let kept = state::read(&folder)?;
        let restored = kept.is_some();
        let mut services = BTreeMap::new();
        for kept in kept.unwrap_or_default() {
            let service = Service::new(
                kept.name.clone(),
                kept.options,
                kept.mode,
                read_targets(&kept.active_targets)?,
            );
            services.insert(kept.name, service);
        }
        let router = Router {
            services: RwLock::new(services),
            changes: Mutex::new(()),
            folder,
            names,
            log,
        };
        Ok((router, restored))
    }

    /// The service for a host and a path, and the target whose turn it is, counted in under the same lock that a switch takes:
    /// whoever has a route to the old target is waited for, and nobody gets one after the switch.
    pub fn route(&self, host: &str, path: &str) -> Option<Route> {
        let services = self.services.read().expect("nothing panics with this lock");
        let matches = services
            .values()
            .filter_map(|service| Some((service.fit(host, path)?, service)));
        let ((_, prefix), service) =
            matches.max_by_key(|((rank, prefix), _)| (*rank, prefix.len()))?;
        Some(Route {
            service: Arc::clone(service),
            prefix: prefix.to_owned(),
            target: service.next_target(),
        })
    }

    /// Waits for the new targets' health, switches, and returns when the old ones have finished.
    pub async fn deploy(&self, deployment: Deployment) -> Result<(), RouterError> {
        let fields = json!({ "service": deployment.service, "targets": deployment.targets });
        self.log.told("Deploying", fields);
        let targets = read_targets(&deployment.targets)?;
        if !deployment.force {
            self.all_healthy(&targets, &deployment).await?;
        }
        let drain_timeout = deployment.drain_timeout;
        let old = self.change(|services| {
            let Deployment {
                service: name,
                options,
                ..
            } = deployment;
            let claimed = |other: &Service| {
                options
                    .claims()
                    .any(|claim| other.options.claims().any(|theirs| theirs == claim))
            };
            if services
                .values()
                .any(|other| other.name != name && claimed(other))
            {
                return Err(RouterError::Conflict);
            }
            // Maintenance goes on until it is ended.
            let mode = services
                .get(&name)
                .map_or(Mode::Running, |old| old.mode.clone());
            Ok(services.insert(name.clone(), Service::new(name, options, mode, targets)))
        })?;
        if let Some(old) = old {
            drain(&old.targets, drain_timeout).await;
        }
        Ok(())
    }

    /// Forgets a service.
    pub fn remove(&self, name: &str) -> Result<(), RouterError> {
        self.change(|services| {
            services
                .remove(name)
                .map(drop)
                .ok_or(RouterError::NoService)
        })
    }

    /// Answers everybody 503 from now on, and returns when the targets have finished.
    pub async fn stop(
        &self,
        name: &str,
        message: String,
        drain_timeout: Duration,
    ) -> Result<(), RouterError> {
        let old = self.set_mode(name, Mode::Stopped(message))?;
        drain(&old.targets, drain_timeout).await;
        Ok(())
    }

    /// Ends what [`Router::stop`] began.
    pub fn resume(&self, name: &str) -> Result<(), RouterError> {
        self.set_mode(name, Mode::Running).map(drop)
    }

    /// The services, by name.
    pub fn list(&self) -> Vec<Kept> {
        self.services
            .read()
            .expect("nothing panics with this lock")
            .values()
            .map(|service| service.kept())
            .collect()
    }

    async fn all_healthy(
        &self,
        targets: &[Arc<Target>],
        deployment: &Deployment,
    ) -> Result<(), RouterError> {
        let limit = deployment.deploy_timeout;
        let checks: Vec<_> = targets
            .iter()
            .map(|target| {
                let (target, check, names, log) = (
                    Arc::clone(target),
                    deployment.options.health.clone(),
                    Arc::clone(&self.names),
                    Arc::clone(&self.log),
                );
                tokio::spawn(
                    async move { becomes_healthy(&target, &check, &names, &log, limit).await },
                )
            })
            .collect();
        for check in checks {
            if !check.await.is_ok_and(|healthy| healthy) {
                return Err(RouterError::Unhealthy(limit));
            }
        }
        Ok(())
    }

    /// The service with another mode and fresh targets of the same addresses, so that the old ones can be drained; returns the old.
    fn set_mode(&self, name: &str, mode: Mode) -> Result<Arc<Service>, RouterError> {
        self.change(|services| {
            let old = Arc::clone(services.get(name).ok_or(RouterError::NoService)?);
            let targets = old
                .targets
                .iter()
                .map(|target| Target::new(target.name.clone(), target.port))
                .collect();
            services.insert(
                name.to_owned(),
                Service::new(name.to_owned(), old.options.clone(), mode, targets),
            );
            Ok(old)
        })
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, Arc<Service>>) -> Result<T, RouterError>,
    ) -> Result<T, RouterError> {
        let _one_at_a_time = self.changes.lock().expect("nothing panics with this lock");
        let changed = change(
            &mut self
                .services
                .write()
                .expect("nothing panics with this lock"),
        )?;
        state::write(&self.folder, &self.list())?;
        Ok(changed)
    }
}

impl Service {
    fn new(name: String, options: Options, mode: Mode, targets: Vec<Arc<Target>>) -> Arc<Service> {
        Arc::new(Service {
            name,
            options,
            mode,
            targets,
            turn: AtomicUsize::new(0),
        })
    }

    /// How well the service fits a request: 3 for its host, 2 for a wildcard, 1 for any host; and the longest of its prefixes that fits.
    fn fit(&self, host: &str, path: &str) -> Option<(u8, &str)> {
        let rank = self
            .options
            .claims()
            .filter_map(|(claim, _)| host_rank(claim, host))
            .max()?;
        let prefixes = self.options.path_prefixes.iter().map(String::as_str);
        let prefix = prefixes
            .filter(|prefix| is_below(path, prefix))
            .max_by_key(|prefix| prefix.len())?;
        Some((rank, prefix))
    }

    fn next_target(&self) -> Option<InFlight> {
        if self.mode != Mode::Running {
            return None;
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.targets
            .get(turn % self.targets.len().max(1))
            .map(Target::begin)
    }

    fn kept(&self) -> Kept {
        Kept {
            name: self.name.clone(),
            options: self.options.clone(),
            active_targets: self.targets.iter().map(|target| target.address()).collect(),
            mode: self.mode.clone(),
        }
    }
}

fn host_rank(claim: &str, host: &str) -> Option<u8> {
    let host = host.to_lowercase();
    match claim {
        "" => Some(1),
        _ if claim == host => Some(3),
        _ => {
            let (_, rest) = host.split_once('.')?;
            (claim.strip_prefix("*.") == Some(rest)).then_some(2)
        }
    }
}

/// Whether `path` is `prefix` or below it; `/api` is not a prefix of `/apiary`.
fn is_below(path: &str, prefix: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn read_targets(targets: &[String]) -> Result<Vec<Arc<Target>>, RouterError> {
    let read = |target: &String| {
        read_target(target)
            .map(|(name, port)| Target::new(name, port))
            .map_err(RouterError::Target)
    };
    targets.iter().map(read).collect()
}

async fn drain(targets: &[Arc<Target>], limit: Duration) {
    let draining: Vec<_> = targets
        .iter()
        .map(|target| {
            let target = Arc::clone(target);
            tokio::spawn(async move { target.drain(limit).await })
        })
        .collect();
    for target in draining {
        // A drain can't panic, and nobody aborts it.
        let _ = target.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_beats_a_wildcard_and_a_wildcard_beats_any_host() {
        assert_eq!(host_rank("app.example.com", "App.example.com"), Some(3));
        assert_eq!(host_rank("*.example.com", "app.example.com"), Some(2));
        assert_eq!(host_rank("", "app.example.com"), Some(1));
        for other in ["other.example.com", "example.com", "*.com"] {
            assert_eq!(host_rank(other, "app.example.com"), None, "{other}");
        }
    }

    #[test]
    fn a_prefix_ends_at_a_slash() {
        for (path, prefix, below) in [
            ("/", "/", true),
            ("/x", "/", true),
            ("/api", "/api", true),
            ("/api/x", "/api", true),
            ("/apiary", "/api", false),
            ("/x", "/api", false),
        ] {
            assert_eq!(is_below(path, prefix), below, "{path} {prefix}");
        }
    }
}
