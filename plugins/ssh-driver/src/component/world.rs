//! Connections to hosts, and the one place where promised calls are made.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use futures::future::join_all;

use super::bindings::plimsoll::deploy::docker::{Created, Prepared};
use super::bindings::plimsoll::deploy::lock::Held;
use super::bindings::plimsoll::deploy::ssh::Session;
use super::bindings::plimsoll::deploy::types::CapError;
use super::bindings::plimsoll::deploy::{clock, docker, hook, lock};
use super::convert;
use super::reader::Reader;
use crate::call::{Call, Promise};
use crate::places::Places;

/// Open connections, and the lock. A connection is opened when it is first needed: a host may get its Engine only on the
/// way.
pub(super) struct World {
    engines: RefCell<BTreeMap<String, Rc<Reader>>>,
    sessions: RefCell<BTreeMap<String, Rc<Session>>>,
    places: Rc<Places>,
    held: RefCell<Option<Held>>,
    changed: Cell<bool>,
}

/// What a call answers.
pub(super) enum Answer {
    /// It is done.
    Done,
    /// The short id of a new container.
    Created(String),
    /// A command has ended.
    Ended(Ended),
    /// Whether there was something to do.
    Was(bool),
}

/// A new container, as far as it is.
pub(super) enum Made {
    /// Created.
    Half(Created),
    /// Created and started: its short id.
    Whole(String),
}

/// How a command ended.
pub(super) struct Ended {
    pub(super) code: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl World {
    /// Nothing is open yet, of so many hosts.
    pub(super) fn of(hosts: usize) -> Self {
        Self {
            engines: RefCell::default(),
            sessions: RefCell::default(),
            places: Rc::new(Places::on(hosts)),
            held: RefCell::default(),
            changed: Cell::default(),
        }
    }

    /// Connects to the Engines of hosts, all at once.
    pub(super) async fn connect(&self, hosts: &[&str]) -> Result<(), CapError> {
        all(hosts.iter().map(|host| self.engine(host))).await?;
        Ok(())
    }

    /// Opens what calls over SSH go through, before they are waited for.
    pub(super) async fn open(&self, promises: &[&Promise]) -> Result<(), CapError> {
        let hosts: BTreeSet<&str> = promises
            .iter()
            .filter(|promise| promise.call.is_over_ssh())
            .map(|promise| promise.subject.as_str())
            .collect();
        all(hosts.into_iter().map(|host| self.session(host))).await?;
        Ok(())
    }

    /// The Engine of a host.
    pub(super) async fn engine(&self, host: &str) -> Result<Rc<Reader>, CapError> {
        if let Some(open) = self.engines.borrow().get(host) {
            return Ok(Rc::clone(open));
        }
        let opened = Rc::new(Reader::connect(host, &self.places).await?);
        self.engines
            .borrow_mut()
            .insert(host.to_owned(), Rc::clone(&opened));
        Ok(opened)
    }

    async fn session(&self, host: &str) -> Result<Rc<Session>, CapError> {
        if let Some(open) = self.sessions.borrow().get(host) {
            return Ok(Rc::clone(open));
        }
        let opened = Rc::new(Session::connect(host.to_owned()).await?);
        self.sessions
            .borrow_mut()
            .insert(host.to_owned(), Rc::clone(&opened));
        Ok(opened)
    }

    /// Makes a promised call.
    pub(super) async fn perform(&self, promise: &Promise) -> Result<Answer, CapError> {
        let answer = self.places.call(self.make(promise)).await;
        let happened = !matches!(&answer, Err(error) if did_not_happen(error));
        self.changed
            .set(self.changed.get() || happened && promise.call.changes_host());
        answer
    }

    /// Makes the container of a promise, and starts it where that can't be done apart.
    pub(super) async fn create(&self, promise: &Promise) -> Result<Option<Made>, CapError> {
        if let Call::Run { spec } = &promise.call {
            let engine = self.engine(&promise.subject).await?;
            let create = engine
                .engine()
                .create(promise.id.clone(), convert::spec(spec));
            return self.places.call(create).await.map(Made::Half).map(Some);
        }
        Ok(match self.perform(promise).await? {
            Answer::Created(id) => Some(Made::Whole(id)),
            Answer::Done | Answer::Ended(_) | Answer::Was(_) => None,
        })
    }

    /// Starts what was made; answers its short id.
    pub(super) async fn start(&self, made: Made) -> Result<String, CapError> {
        match made {
            Made::Half(created) => {
                let answer = self.places.call(created.start()).await;
                let happened = !matches!(&answer, Err(error) if did_not_happen(error));
                self.changed.set(self.changed.get() || happened);
                answer
            }
            Made::Whole(id) => Ok(id),
        }
    }

    /// Readies the command of a promise.
    pub(super) async fn prepare(&self, promise: &Promise) -> Result<Option<Prepared>, CapError> {
        let Call::Exec {
            container,
            user,
            command,
        } = &promise.call
        else {
            return Ok(None);
        };
        let engine = self.engine(&promise.subject).await?;
        let command = command.iter().map(convert::value).collect();
        let prepare =
            engine
                .engine()
                .prepare(promise.id.clone(), container.clone(), user.clone(), command);
        self.places.call(prepare).await.map(Some)
    }

    /// Runs what was readied.
    pub(super) async fn run(&self, prepared: &Prepared) -> Result<Ended, CapError> {
        let answer = self.places.call(prepared.run()).await;
        let happened = !matches!(&answer, Err(error) if did_not_happen(error));
        self.changed.set(self.changed.get() || happened);
        answer.map(Ended::from)
    }

    async fn make(&self, promise: &Promise) -> Result<Answer, CapError> {
        let id = promise.id.clone();
        let host = promise.subject.as_str();
        match promise.call.clone() {
            Call::Pull {
                image,
                digest,
                credentials,
            } => {
                let digest = digest.as_ref().map(convert::value);
                let credentials = credentials.as_ref().map(convert::credentials);
                let engine = self.engine(host).await?;
                engine.engine().pull(id, image, digest, credentials).await?;
            }
            Call::CreateNetwork { name } => {
                let engine = self.engine(host).await?;
                engine.engine().create_network(id, name).await?;
            }
            Call::Run { spec } => {
                let engine = self.engine(host).await?;
                let created = engine.engine().run(id, convert::spec(&spec)).await;
                return created.map(Answer::Created);
            }
            Call::RunLike { existing, name } => {
                let engine = self.engine(host).await?;
                let created = engine.engine().run_like(id, existing, name).await;
                return created.map(Answer::Created);
            }
            Call::RunOnce { spec } => {
                let engine = self.engine(host).await?;
                let ended = engine.engine().run_once(id, convert::spec(&spec)).await?;
                return Ok(Answer::Ended(ended.into()));
            }
            Call::Extract {
                image,
                path,
                container,
                directory,
            } => {
                let engine = self.engine(host).await?;
                let extracted = engine
                    .engine()
                    .extract(id, image, path, container, directory);
                extracted.await?;
            }
            Call::Start { name } => self.engine(host).await?.engine().start(id, name).await?,
            Call::Stop { name, timeout } => {
                self.engine(host)
                    .await?
                    .engine()
                    .stop(id, name, timeout)
                    .await?
            }
            Call::Rename { name, to } => {
                self.engine(host)
                    .await?
                    .engine()
                    .rename(id, name, to)
                    .await?
            }
            Call::Remove { name } => self.engine(host).await?.engine().remove(id, name).await?,
            Call::Exec {
                container,
                user,
                command,
            } => {
                let command = command.iter().map(convert::value).collect();
                let engine = self.engine(host).await?;
                let ended = engine.engine().exec(id, container, user, command).await?;
                return Ok(Answer::Ended(ended.into()));
            }
            Call::Tag { image, reference } => {
                self.engine(host)
                    .await?
                    .engine()
                    .tag(id, image, reference)
                    .await?
            }
            Call::RemoveImage { reference } => {
                let engine = self.engine(host).await?;
                engine.engine().remove_image(id, reference).await?;
            }
            Call::PruneImages { labels } => {
                self.engine(host)
                    .await?
                    .engine()
                    .prune_images(id, labels)
                    .await?
            }
            Call::MakeDirectory { path } => {
                self.session(host).await?.make_directory(id, path).await?
            }
            Call::Append { path, lines } => {
                let lines = lines.iter().map(convert::value).collect::<Vec<_>>();
                self.session(host).await?.append(id, path, lines).await?;
            }
            Call::Put {
                path,
                mode,
                content,
            } => {
                let content = convert::value(&content);
                self.session(host)
                    .await?
                    .put(id, path, mode, content)
                    .await?;
            }
            Call::Own { path, mode, owner } => {
                self.session(host)
                    .await?
                    .set_access(id, path, mode, owner)
                    .await?
            }
            Call::RemovePath { path } => self.session(host).await?.remove(id, path).await?,
            Call::KeepOnly {
                directory,
                prefix,
                keep,
            } => {
                let session = self.session(host).await?;
                session.keep_only(id, directory, prefix, keep).await?;
            }
            Call::Merge { source, target } => {
                self.session(host).await?.merge(id, source, target).await?
            }
            Call::InstallDocker {} => {
                self.session(host).await?.install_docker(id).await?;
                // The host is connected to anew: what is open is no longer good.
                self.sessions.borrow_mut().remove(host);
                self.engines.borrow_mut().remove(host);
            }
            Call::Acquire {
                host,
                path,
                details,
                wait,
            } => {
                let wait = wait.map(|wait| lock::Patience {
                    timeout: wait.timeout,
                    interval: wait.interval,
                });
                let held = Held::acquire(id, host, path, convert::value(&details), wait).await?;
                self.held.replace(Some(held));
            }
            Call::Leave {
                host,
                path,
                details,
            } => {
                lock::leave(id, host, path, convert::value(&details)).await?;
                return Ok(Answer::Was(true));
            }
            Call::Break { host, path } => {
                return lock::break_(id, host, path).await.map(Answer::Was);
            }
            Call::Release {} => {
                let held = self.held.take();
                if let Some(held) = held {
                    held.release(id).await?;
                }
            }
            Call::Hook { name, env } => {
                let output = hook::run(id, name, convert::values(&env)).await?;
                let ended = Ended {
                    code: output.code,
                    stdout: output.text,
                    stderr: String::new(),
                };
                return Ok(Answer::Ended(ended));
            }
        }
        Ok(Answer::Done)
    }

    /// Some host is another one than before.
    pub(super) fn is_changed(&self) -> bool {
        self.changed.get()
    }

    /// The lock is held.
    pub(super) fn is_locked(&self) -> bool {
        self.held.borrow().is_some()
    }
}

impl From<docker::Output> for Ended {
    fn from(output: docker::Output) -> Self {
        Self {
            code: output.code,
            stdout: output.stdout,
            stderr: output.stderr,
        }
    }
}

/// The host did not even begin with the call.
pub(super) fn did_not_happen(error: &CapError) -> bool {
    matches!(
        error,
        CapError::Cancelled | CapError::Denied(_) | CapError::NotPlanned(_)
    )
}

/// Calls at the same time. All end before the first error is told: a call in flight is never abandoned.
pub(super) async fn all<T>(
    calls: impl IntoIterator<Item = impl Future<Output = Result<T, CapError>>>,
) -> Result<Vec<T>, CapError> {
    join_all(calls).await.into_iter().collect()
}

/// Sleeps, in naps of the length the host allows.
pub(super) async fn sleep(seconds: u32) {
    const NAP: u32 = 600;
    let mut left = seconds;
    while left > 0 {
        let nap = left.min(NAP);
        clock::sleep_ms(nap * 1000).await;
        left -= nap;
    }
}
