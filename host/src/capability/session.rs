//! The powers of one component call, and the gates that every privileged call passes.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value as Json, json};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::plain::Lines;
use super::run::Run;
use crate::grant::{Denied, Grants, Sink};
use crate::interrupt::Level;
use crate::plan::Promises;
use crate::wit::types::{CapError, Denial, Moment, Part};

/// Privileged calls of one component that may be under way at once, over all hosts.
const CONCURRENT: usize = 256;
/// As many for each granted host, when that is more: a look at a host is six of them, and hosts are looked at together.
const CONCURRENT_EACH: usize = 16;

/// What a component may do now.
#[derive(Debug)]
pub enum Stage {
    /// Nothing but log.
    Pure,
    /// Look, within its grants.
    Reading,
    /// Do what the approved plan promised, within its grants.
    Applying(Mutex<Promises>),
}

/// What the second half of a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    /// Something new.
    Begins,
    /// It undoes the first half.
    GivesBack,
}

/// The powers of one component call.
pub struct Session {
    /// The run it belongs to.
    pub run: Arc<Run>,
    /// Name of the plugin.
    pub plugin: String,
    /// Digest of the plugin.
    pub sha256: String,
    /// The user's grants for it.
    pub grants: Grants,
    pub(crate) lines: Lines,
    stage: Stage,
    calls: Semaphore,
    concurrent: usize,
}

/// A mutating call as it is checked and written down.
pub(crate) struct Call {
    pub(crate) effect: String,
    pub(crate) operation: &'static str,
    pub(crate) subject: String,
    /// As promised: `plimsoll:deploy/types.effect.arguments`.
    pub(crate) arguments: Json,
}

impl Session {
    /// Powers for one call.
    pub fn new(
        run: Arc<Run>,
        plugin: &str,
        sha256: &str,
        grants: Grants,
        stage: Stage,
    ) -> Arc<Self> {
        let concurrent = CONCURRENT.max(CONCURRENT_EACH * grants.docker.hosts.len());
        Arc::new(Self {
            run,
            plugin: plugin.to_owned(),
            sha256: sha256.to_owned(),
            grants,
            lines: Lines::default(),
            stage,
            calls: Semaphore::new(concurrent),
            concurrent,
        })
    }

    /// Whether effects are made for real.
    pub fn applying(&self) -> bool {
        matches!(self.stage, Stage::Applying(_))
    }

    /// A place among the concurrent calls.
    pub(crate) fn budget(&self) -> Result<SemaphorePermit<'_>, CapError> {
        self.calls
            .try_acquire()
            .map_err(|_| CapError::Quota(format!("more than {} calls at once", self.concurrent)))
    }

    /// A scope refusal for the component, written down.
    pub(crate) fn deny(&self, denied: Denied) -> CapError {
        let entry = json!({"plugin": self.plugin, "sha256": self.sha256, "capability": denied.capability, "request": denied.request, "rule": denied.rule});
        // A refusal that can't be written down is still a refusal.
        let _ = self.run.journal.write("denied", &entry);
        CapError::Denied(Denial {
            capability: denied.capability.to_owned(),
            request: denied.request,
            rule: denied.rule,
        })
    }

    /// Makes a mutating call: scope, plan, interruption, journal, then `work` in a task of the host's own, which
    /// ends even when the component is stopped meanwhile.
    pub(crate) async fn mutate<T: Send + 'static>(
        self: &Arc<Self>,
        call: Call,
        scope: Result<(), Denied>,
        work: impl Future<Output = Result<T, CapError>> + Send + 'static,
    ) -> Result<T, CapError> {
        scope.map_err(|denied| self.deny(denied))?;
        let _place = self.budget()?;
        self.redeem(&call)?;
        self.carry_out(call, work).await
    }

    /// The second half of a call whose promise the first half used up: interruption, journal, then `work`.
    pub(crate) async fn go_on<T: Send + 'static>(
        self: &Arc<Self>,
        call: Call,
        kind: Half,
        work: impl Future<Output = Result<T, CapError>> + Send + 'static,
    ) -> Result<T, CapError> {
        let _place = self.budget()?;
        if kind == Half::Begins && self.is_interrupted() {
            return Err(CapError::Cancelled);
        }
        self.carry_out(call, work).await
    }

    async fn carry_out<T: Send + 'static>(
        self: &Arc<Self>,
        call: Call,
        work: impl Future<Output = Result<T, CapError>> + Send + 'static,
    ) -> Result<T, CapError> {
        let entry = json!({
            "plugin": self.plugin,
            "sha256": self.sha256,
            "effect": call.effect,
            "operation": call.operation,
            "subject": call.subject,
            "arguments": call.arguments,
        });
        let unwritten = |error: std::io::Error| {
            CapError::Other(format!(
                "failed to write the journal {}: {error}",
                self.run.journal.path().display()
            ))
        };
        self.run
            .journal
            .write("intent", &entry)
            .map_err(unwritten)?;
        let journal = self.run.journal.clone();
        let in_flight = self.run.begin(call.operation, &call.subject);
        let task = tokio::spawn(async move {
            let result = work.await;
            let said = result.as_ref().err().map(super::error::in_words);
            // The call is made: whether its end could be written down changes nothing of it.
            let _ = journal.write(
                "result",
                &json!({"effect": call.effect, "ok": result.is_ok(), "error": said}),
            );
            drop(in_flight);
            result
        });
        task.await.unwrap_or_else(|error| {
            Err(CapError::Other(format!(
                "the host failed during the call: {error}"
            )))
        })
    }

    /// Nothing new is begun any more.
    fn is_interrupted(&self) -> bool {
        self.run.interrupt.level() > Level::No && !self.run.interrupt.is_patient()
    }

    /// The plan gate. Giving things back is allowed while interrupted; starting something new is not.
    fn redeem(&self, call: &Call) -> Result<(), CapError> {
        let Stage::Applying(promises) = &self.stage else {
            return Err(CapError::NotPlanned(format!(
                "{} changes something, and nothing may be changed while planning",
                call.operation
            )));
        };
        let mut promises = promises.lock().unwrap_or_else(PoisonError::into_inner);
        let gives_back = call.operation == "lock.release"
            || promises.moment(&call.effect) == Some(Moment::OnFailure);
        if self.is_interrupted() && !gives_back {
            return Err(CapError::Cancelled);
        }
        promises.redeem(&call.effect, call.operation, &call.subject, &call.arguments).map_err(|why| {
            let entry = json!({"plugin": self.plugin, "sha256": self.sha256, "effect": call.effect, "operation": call.operation,
                "subject": call.subject, "arguments": call.arguments, "why": why});
            // A refusal that can't be written down is still a refusal.
            let _ = self.run.journal.write("refused", &entry);
            CapError::NotPlanned(why)
        })
    }
}

/// Whether every secret in a value may reach a sink.
pub(crate) fn covers_value(grants: &Grants, value: &[Part], sink: Sink) -> Result<(), Denied> {
    value.iter().try_for_each(|part| match part {
        Part::Secret(secret) => grants.covers_secret(&secret.name, sink),
        Part::Text(_) | Part::Slot(_) | Part::Remote(_) | Part::Inherit(_) | Part::File(_) => {
            Ok(())
        }
    })
}
