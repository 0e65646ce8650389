//! One container that answers requests, and how it is let go of.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// A place requests are sent to.
#[derive(Debug)]
pub struct Target {
    /// Name or address.
    pub name: String,
    /// Port.
    pub port: u16,
    phase: watch::Sender<Phase>,
    in_flight: watch::Sender<usize>,
}

/// How far a target is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub enum Phase {
    /// It gets requests.
    Serving,
    /// It gets no more; those it has may finish, upgraded connections may not.
    Draining,
    /// Whatever is left is cut off.
    Cut,
}

impl Target {
    /// A target that serves.
    pub fn new(name: String, port: u16) -> Arc<Target> {
        Arc::new(Target {
            name,
            port,
            phase: watch::Sender::new(Phase::Serving),
            in_flight: watch::Sender::new(0),
        })
    }

    /// `name:port`.
    pub fn address(&self) -> String {
        format!("{}:{}", self.name, self.port)
    }

    /// Counts a request in; it is counted out when the value is dropped.
    pub fn begin(self: &Arc<Target>) -> InFlight {
        self.in_flight.send_modify(|count| *count += 1);
        InFlight(Arc::clone(self))
    }

    /// Lets the target finish, for `limit` at most. It must get no new requests by then.
    pub async fn drain(&self, limit: Duration) {
        self.phase.send_replace(Phase::Draining);
        let mut in_flight = self.in_flight.subscribe();
        if timeout(limit, in_flight.wait_for(|count| *count == 0))
            .await
            .is_err()
        {
            self.phase.send_replace(Phase::Cut);
        }
    }

    /// Waits until the target is at `phase` or beyond.
    pub async fn reaches(self: Arc<Target>, phase: Phase) {
        let mut phases = self.phase.subscribe();
        // The sender is in `self`, so the channel can't close.
        let _ = phases.wait_for(|now| *now >= phase).await;
    }
}

/// A request that a target has not finished.
#[derive(Debug)]
pub struct InFlight(Arc<Target>);

impl InFlight {
    /// The target that has it.
    pub fn target(&self) -> &Arc<Target> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.send_modify(|count| *count -= 1);
    }
}
