//! What one run of plimsoll holds: hosts, secrets, slots, locks.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{OnceCell, watch};
use tokio::time::Instant;

use super::aws::Aws;
use super::hosts::Hosts;
use super::journal::Journal;
use crate::interrupt::Interrupt;
use crate::manifest::PlacedFiles;
use crate::manifest::placed::PlacedError;
use crate::plan::canonical;
use crate::report::{Event, Reporter};
use crate::secret::{Redactor, Secret, SecretStore, encode};
use crate::wire::{Credentials, Place};
use crate::wit::renderer::exports::plimsoll::deploy::renderer::Source;
use crate::wit::types::{CapError, Document, Encoding, FileRef, Part, Severity};

/// How long a lock may take to be given back when a run ends: people wait for it.
const GIVE_BACK: Duration = Duration::from_secs(15);

/// Who can read a value where it goes. Secrets are refused where everybody can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// A container's or a hook's environment, a file's content, standard input, registry credentials.
    Recipient,
    /// A command line, a log line, a lock's details: every user of that machine.
    Everybody,
}

/// What one run of plimsoll holds.
pub struct Run {
    /// Where events go.
    pub reporter: Arc<Reporter>,
    /// Ctrl-C.
    pub interrupt: Interrupt,
    /// Every privileged call.
    pub journal: Arc<Journal>,
    /// Connections.
    pub hosts: Hosts,
    /// The project's secrets.
    pub secrets: SecretStore,
    /// Key of their fingerprints.
    pub fingerprint_key: Vec<u8>,
    /// Names of environment variables that hold secrets.
    pub secret_variables: Vec<String>,
    /// The project's folder.
    pub project: PathBuf,
    /// Where its hooks are.
    pub hooks: PathBuf,
    /// Who deploys.
    pub performer: String,
    /// On the runtime's clock, which tests may simulate, and on the wall.
    started: (Instant, SystemTime),
    slots: Mutex<BTreeMap<String, String>>,
    locks: Mutex<Vec<HeldLock>>,
    /// Locks that are being taken or given back.
    acquiring: Arc<watch::Sender<usize>>,
    /// Texts of the rendered documents.
    known: OnceLock<HashSet<String>>,
    /// What of them came from where in the manifest.
    sources: OnceLock<Vec<Source>>,
    /// Documents of the plan that is carried out.
    approved: OnceLock<Vec<Document>>,
    aws: OnceLock<Arc<Aws>>,
    /// Where the project's images are, when the manifest names it.
    pub(super) own_registry: OnceLock<Option<String>>,
    /// The login that AWS gave.
    pub(super) aws_login: OnceCell<Credentials>,
    also_hidden: Vec<(String, Secret)>,
    /// Files of the project that go to servers.
    pub files: PlacedFiles,
    redactor: OnceLock<Redactor>,
    hooks_output: OnceLock<Vec<(Option<String>, String)>>,
    in_flight: Arc<Mutex<Vec<(u64, String)>>>,
}

/// A lock this run holds.
pub(crate) struct HeldLock {
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) place: Place,
    /// What we wrote into it, while it is not known whether it became ours.
    pub(crate) doubt: Option<String>,
}

/// A lock is being taken, or given back; dropped when that ended.
pub(crate) struct Acquiring(Arc<watch::Sender<usize>>);

impl Drop for Acquiring {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// A privileged call under way; dropped when it ended.
pub(crate) struct InFlight {
    id: u64,
    calls: Arc<Mutex<Vec<(u64, String)>>>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|(id, _)| *id != self.id);
    }
}

/// What a run is made from.
pub struct Parts {
    /// Where events go.
    pub reporter: Arc<Reporter>,
    /// Ctrl-C.
    pub interrupt: Interrupt,
    /// Path of the journal.
    pub journal: PathBuf,
    /// Connections.
    pub hosts: Hosts,
    /// The project's secrets.
    pub secrets: SecretStore,
    /// Key of their fingerprints.
    pub fingerprint_key: Vec<u8>,
    /// Names of environment variables that hold secrets.
    pub secret_variables: Vec<String>,
    /// The project's folder.
    pub project: PathBuf,
    /// Where its hooks are.
    pub hooks: PathBuf,
    /// Who deploys.
    pub performer: String,
    /// What else must not be shown: literal passwords of the manifest, answers of its commands.
    pub also_hidden: Vec<(String, Secret)>,
    /// Files of the project that go to servers.
    pub files: PlacedFiles,
}

impl Run {
    /// A run.
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            reporter: parts.reporter,
            interrupt: parts.interrupt,
            journal: Arc::new(Journal::new(parts.journal)),
            hosts: parts.hosts,
            secrets: parts.secrets,
            fingerprint_key: parts.fingerprint_key,
            secret_variables: parts.secret_variables,
            project: parts.project,
            hooks: parts.hooks,
            performer: parts.performer,
            started: (Instant::now(), SystemTime::now()),
            slots: Mutex::default(),
            locks: Mutex::default(),
            acquiring: Arc::default(),
            known: OnceLock::new(),
            sources: OnceLock::new(),
            approved: OnceLock::new(),
            aws: OnceLock::new(),
            own_registry: OnceLock::new(),
            aws_login: OnceCell::new(),
            also_hidden: parts.also_hidden,
            files: parts.files,
            redactor: OnceLock::new(),
            hooks_output: OnceLock::new(),
            in_flight: Arc::default(),
        })
    }

    /// What time it is: when the run began, and what has passed since on the runtime's clock.
    pub(crate) fn now(&self) -> SystemTime {
        let (instant, wall) = self.started;
        wall + instant.elapsed()
    }

    /// Fills a slot.
    pub fn fill(&self, slot: String, text: String) {
        self.slots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(slot, text);
    }

    /// From here on the run reaches an AWS account. Only the first one counts.
    pub fn reach(&self, aws: Arc<Aws>) {
        let _ = self.aws.set(aws);
    }

    /// The AWS account that it reaches.
    pub fn aws(&self) -> Option<Arc<Aws>> {
        self.aws.get().cloned()
    }

    /// Notes the documents of an approved plan: what is uploaded is taken from here.
    pub fn approve(&self, documents: &[Document]) {
        // A run carries out one plan.
        let _ = self.approved.set(documents.to_vec());
    }

    /// A document of the approved plan.
    pub(crate) fn approved(&self, address: &str) -> Result<&Document, CapError> {
        let documents = self.approved.get().map(Vec::as_slice).unwrap_or_default();
        documents
            .iter()
            .find(|document| document.address == address)
            .ok_or_else(|| {
                CapError::NotPlanned(format!("document `{address}` is not in the approved plan"))
            })
    }

    pub(crate) fn slot(&self, name: &str) -> Result<String, CapError> {
        match name {
            "now" => Ok(humantime::format_rfc3339_seconds(self.now()).to_string()),
            "performer" => Ok(self.performer.clone()),
            "runtime" => Ok(self.started.0.elapsed().as_secs().to_string()),
            other => self
                .slots
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(other)
                .cloned()
                .ok_or_else(|| CapError::NotPlanned(format!("slot `{other}` is not filled yet"))),
        }
    }

    /// The text of a value, for the one call that sends it.
    pub(crate) fn resolve(&self, value: &[Part], readers: Readers) -> Result<Secret, CapError> {
        let mut text = String::new();
        for part in value {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Slot(name) => text.push_str(&self.slot(name)?),
                Part::Secret(secret) if readers == Readers::Everybody => {
                    return Err(CapError::NotPlanned(format!(
                        "secret `{}` would be readable by others there; use standard input, a file or an environment variable",
                        secret.name
                    )));
                }
                Part::Secret(secret) => {
                    let found = self
                        .secrets
                        .get(&secret.name)
                        .map_err(|error| CapError::NotFound(error.to_string()))?;
                    match secret.encoding {
                        Encoding::Verbatim => text.push_str(found.expose()),
                        Encoding::EnvFile => text.push_str(&encode::env_file(found.expose())),
                    }
                }
                Part::File(file) if readers == Readers::Recipient => {
                    text.push_str(self.file(file)?.expose());
                }
                Part::Remote(_) | Part::Inherit(_) | Part::File(_) => {
                    let what = canonical::shown(&canonical::value(std::slice::from_ref(part)));
                    return Err(CapError::NotPlanned(format!(
                        "`{what}` can't be resolved for this call"
                    )));
                }
            }
        }
        Ok(Secret::new(text))
    }

    /// What is in a file of the project when it arrives on a server.
    fn file(&self, file: &FileRef) -> Result<Secret, CapError> {
        let secret = |name: &str| self.secrets.get(name).cloned().map_err(|e| e.to_string());
        let run = |line: &str, variables: &BTreeMap<String, String>| {
            crate::wire::shell::run(line, &self.project, variables)
        };
        let FileRef {
            path,
            digest,
            accessory,
        } = file;
        let content = self
            .files
            .content(path, digest, accessory.as_deref(), &secret, &run);
        content.map_err(|error| match error {
            PlacedError::NotNamed(_) => CapError::NotPlanned(error.to_string()),
            PlacedError::Unreadable { .. }
            | PlacedError::Changed(_)
            | PlacedError::Template { .. } => CapError::Other(error.to_string()),
        })
    }

    /// Keeps the bytes of the project's secrets out of what comes back. A project whose secrets can't be evaluated
    /// has none that could come back.
    pub fn redactor(&self) -> &Redactor {
        self.redactor.get_or_init(|| {
            let secrets = self.secrets.all().ok().into_iter().flatten();
            let also = self
                .also_hidden
                .iter()
                .map(|(name, secret)| (name.as_str(), secret));
            Redactor::new(
                secrets
                    .map(|(name, secret)| (name.as_str(), secret))
                    .chain(also),
            )
        })
    }

    /// Notes how much of hooks' output is shown: a hook's name, or none for all, and `quiet` or `verbose`.
    pub fn show_hooks(&self, levels: Vec<(Option<String>, String)>) {
        // A run has one project.
        let _ = self.hooks_output.set(levels);
    }

    /// How much of a hook's output is shown, when the project says so.
    pub(crate) fn hook_output(&self, name: &str) -> Option<&str> {
        let levels = self.hooks_output.get()?;
        let own = levels
            .iter()
            .find(|(hook, _)| hook.as_deref() == Some(name));
        let all = || levels.iter().find(|(hook, _)| hook.is_none());
        own.or_else(all).map(|(_, level)| level.as_str())
    }

    /// Notes the texts of the rendered documents: components have them already.
    pub fn know(&self, documents: &[Document]) {
        let mut texts = HashSet::new();
        for document in documents {
            match serde_json::from_str(&document.body) {
                Ok(tree) => collect(&tree, &mut texts),
                Err(_) => continue,
            }
        }
        // A second rendering of the same run says the same.
        let _ = self.known.set(texts);
    }

    /// Notes which manifest line made which property.
    pub fn know_sources(&self, sources: &[Source]) {
        // A second rendering of the same run says the same.
        let _ = self.sources.set(sources.to_vec());
    }

    /// `FILE:LINE:COLUMN` of what made a property, or the nearest property above it.
    pub fn manifest_line(&self, address: &str, pointer: &str) -> Option<String> {
        let above = |candidate: &str| {
            pointer == candidate
                || pointer
                    .strip_prefix(candidate)
                    .is_some_and(|rest| rest.starts_with('/'))
        };
        let source = self
            .sources
            .get()?
            .iter()
            .filter(|source| source.address == address && above(&source.pointer))
            .max_by_key(|source| source.pointer.len())?;
        Some(format!(
            "{}:{}:{}",
            source.at.path, source.at.line, source.at.column
        ))
    }

    pub(crate) fn is_known(&self, text: &str) -> bool {
        self.known.get().is_some_and(|known| known.contains(text))
    }

    /// Text from outside for a component: secrets taken out.
    pub(crate) fn redacted(&self, bytes: &[u8]) -> String {
        self.redactor().redact(&String::from_utf8_lossy(bytes))
    }

    /// Says something to the user.
    pub(crate) fn note(&self, severity: Severity, message: String) {
        self.reporter.emit(&Event::Note { severity, message });
    }

    /// Notes that a call is under way.
    pub(crate) fn begin(&self, operation: &str, subject: &str) -> InFlight {
        let mut calls = self
            .in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let id = calls.last().map_or(0, |(id, _)| id + 1);
        calls.push((id, format!("{operation} on {subject}")));
        InFlight {
            id,
            calls: self.in_flight.clone(),
        }
    }

    /// Calls under way, for what must be said when everything stops.
    pub fn in_doubt(&self) -> Vec<String> {
        self.in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|(_, call)| call.clone())
            .collect()
    }

    /// From here on until the guard is dropped, a lock may become ours.
    pub(crate) fn acquiring(&self) -> Acquiring {
        self.acquiring.send_modify(|count| *count += 1);
        Acquiring(self.acquiring.clone())
    }

    /// A lock that was in doubt is ours.
    pub(crate) fn is_ours(&self, host: &str, path: &str) {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = locks
            .iter_mut()
            .filter(|lock| lock.host == host && lock.path == path);
        ours.for_each(|lock| lock.doubt = None);
    }

    pub(crate) fn hold(&self, lock: HeldLock) {
        self.locks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(lock);
    }

    pub(crate) fn let_go(&self, host: &str, path: &str) -> Option<HeldLock> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        let index = locks
            .iter()
            .position(|lock| lock.host == host && lock.path == path)?;
        Some(locks.swap_remove(index))
    }

    /// Gives back every lock still held, however the run ended; says which it could not.
    pub async fn release_locks(&self) -> Vec<String> {
        // One that is just being taken may be ours in a moment: whoever was stopped does not hear of it any more.
        let mut taking = self.acquiring.subscribe();
        let _ = tokio::time::timeout(GIVE_BACK, taking.wait_for(|count| *count == 0)).await;
        let locks = std::mem::take(&mut *self.locks.lock().unwrap_or_else(PoisonError::into_inner));
        let mut stuck = Vec::new();
        for lock in locks {
            let giving_back = super::lock::give_back(&lock);
            let why = match tokio::time::timeout(GIVE_BACK, giving_back).await {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {} s", GIVE_BACK.as_secs()),
            };
            stuck.push(format!("{} on {}: {why}", lock.path, lock.host));
        }
        stuck
    }
}

/// The texts of a tree.
fn collect(tree: &serde_json::Value, texts: &mut HashSet<String>) {
    match tree {
        serde_json::Value::String(text) => drop(texts.insert(text.clone())),
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        serde_json::Value::Object(object) => object.values().for_each(|item| collect(item, texts)),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
}
