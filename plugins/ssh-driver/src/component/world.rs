//! Connections to hosts, and the one place where promised calls are made.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use futures::future::{join, join_all};

use super::bindings::plimsoll::deploy::lock::Held;
use super::bindings::plimsoll::deploy::ssh::Session;
use super::bindings::plimsoll::deploy::types::CapError;
use super::bindings::plimsoll::deploy::{clock, hook};
use super::convert;
use super::reader::Reader;
use crate::call::{Call, Promise};
use crate::places::Places;
use crate::step::Step;

/// Open connections, and the lock.
pub(super) struct World {
    engines: BTreeMap<String, Reader>,
    sessions: BTreeMap<String, Session>,
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
}

/// How a command ended.
pub(super) struct Ended {
    pub(super) code: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl World {
    /// Connects to every host the steps name, all at once.
    pub(super) async fn connect(steps: &[Step], hosts: &[&str]) -> Result<Self, CapError> {
        let over_ssh = |promise: &&Promise| {
            matches!(
                promise.call,
                Call::Append { .. } | Call::MakeDirectory { .. }
            )
        };
        let promises = steps.iter().flat_map(Step::promises).filter(over_ssh);
        let sessions: BTreeSet<String> = promises.map(|promise| promise.subject.clone()).collect();
        let places = Rc::new(Places::default());
        let engines = all(hosts
            .iter()
            .map(|host| async { Ok(((*host).to_owned(), Reader::connect(host, &places).await?)) }));
        let sessions = all(sessions
            .into_iter()
            .map(|host| async move { Ok((host.clone(), Session::connect(host).await?)) }));
        let (engines, sessions) = join(engines, sessions).await;
        Ok(Self {
            engines: engines?.into_iter().collect(),
            sessions: sessions?.into_iter().collect(),
            places,
            held: RefCell::new(None),
            changed: Cell::new(false),
        })
    }

    /// The Engine of a host.
    pub(super) fn engine(&self, host: &str) -> &Reader {
        self.engines
            .get(host)
            .expect("connect opened an Engine for every host of the desired documents")
    }

    fn session(&self, host: &str) -> &Session {
        self.sessions
            .get(host)
            .expect("connect opened a session for every host with a promise over SSH")
    }

    /// Makes a promised call.
    pub(super) async fn perform(&self, promise: &Promise) -> Result<Answer, CapError> {
        let answer = self.places.call(self.make(promise)).await;
        let happened = !matches!(&answer, Err(error) if did_not_happen(error));
        self.changed
            .set(self.changed.get() || happened && promise.call.changes_host());
        answer
    }

    async fn make(&self, promise: &Promise) -> Result<Answer, CapError> {
        let id = promise.id.clone();
        let engine = || self.engine(&promise.subject).engine();
        match promise.call.clone() {
            Call::Pull {
                image,
                digest,
                credentials,
            } => {
                let digest = digest.as_ref().map(convert::value);
                let credentials = credentials.as_ref().map(convert::credentials);
                engine().pull(id, image, digest, credentials).await?;
            }
            Call::CreateNetwork { name } => engine().create_network(id, name).await?,
            Call::Run { spec } => {
                return engine()
                    .run(id, convert::spec(&spec))
                    .await
                    .map(Answer::Created);
            }
            Call::Start { name } => engine().start(id, name).await?,
            Call::Stop { name, timeout } => engine().stop(id, name, timeout).await?,
            Call::Rename { name, to } => engine().rename(id, name, to).await?,
            Call::Remove { name } => engine().remove(id, name).await?,
            Call::Exec { container, command } => {
                let command = command.iter().map(convert::value).collect();
                let output = engine().exec(id, container, command).await?;
                let ended = Ended {
                    code: output.code,
                    stdout: output.stdout,
                    stderr: output.stderr,
                };
                return Ok(Answer::Ended(ended));
            }
            Call::Tag { image, reference } => engine().tag(id, image, reference).await?,
            Call::RemoveImage { reference } => engine().remove_image(id, reference).await?,
            Call::PruneImages { labels } => engine().prune_images(id, labels).await?,
            Call::MakeDirectory { path } => {
                self.session(&promise.subject)
                    .make_directory(id, path)
                    .await?
            }
            Call::Append { path, line } => {
                self.session(&promise.subject)
                    .append(id, path, convert::value(&line))
                    .await?;
            }
            Call::Acquire {
                host,
                path,
                details,
            } => {
                let held = Held::acquire(id, host, path, convert::value(&details)).await?;
                self.held.replace(Some(held));
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

    /// Makes calls round by round, those of a round at the same time. A failing one does not stop those in flight.
    pub(super) async fn rounds(&self, rounds: &[Vec<Promise>]) -> Result<(), CapError> {
        for round in rounds {
            all(round.iter().map(|promise| self.perform(promise))).await?;
        }
        Ok(())
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
