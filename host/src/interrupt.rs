//! Ctrl-C in two steps: first nothing new is started and what is held is given back, then everything stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;

/// How far the user wants to be interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Not at all.
    No,
    /// No new effect; calls in flight end, the lock is given back.
    Settle,
    /// Now.
    Stop,
}

/// Time that a driver gets between [`Level::Settle`] and [`Level::Stop`].
const SETTLE: Duration = Duration::from_secs(60);

/// The state of interruption of a run, shared by everyone who must heed it.
#[derive(Clone)]
pub struct Interrupt {
    level: Arc<watch::Sender<Level>>,
    stop: Arc<AtomicBool>,
    /// There is something to settle: a driver is applying.
    applying: Arc<AtomicBool>,
}

impl Default for Interrupt {
    fn default() -> Self {
        Self {
            level: Arc::new(watch::Sender::new(Level::No)),
            stop: Arc::default(),
            applying: Arc::default(),
        }
    }
}

impl Interrupt {
    /// How far it is.
    pub fn level(&self) -> Level {
        *self.level.borrow()
    }

    /// Flag that stops a component at its next instruction.
    pub fn stop_flag(&self) -> Arc<AtomicBool> {
        self.stop.clone()
    }

    /// From here on the first Ctrl-C lets the driver settle.
    pub fn begin_applying(&self) {
        self.applying.store(true, Ordering::SeqCst);
    }

    /// One Ctrl-C (or SIGTERM). The second one stops everything.
    pub fn raise(&self) {
        let settle = self.level() == Level::No && self.applying.load(Ordering::SeqCst);
        if settle {
            self.level.send_replace(Level::Settle);
        } else {
            self.stop.store(true, Ordering::SeqCst);
            self.level.send_replace(Level::Stop);
        }
    }

    /// Returns once the level is reached.
    pub async fn reached(&self, level: Level) {
        let mut seen = self.level.subscribe();
        // The sender lives as long as self: waiting can't fail.
        let _ = seen.wait_for(|now| *now >= level).await;
    }

    /// Heeds SIGINT and SIGTERM from here on; a driver that does not settle within a minute is stopped.
    ///
    /// # Errors
    /// When the signals can't be watched.
    pub fn listen(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut int = signal(SignalKind::interrupt())?;
        let mut term = signal(SignalKind::terminate())?;
        let this = self.clone();
        tokio::spawn(async move {
            loop {
                let settling = this.level() == Level::Settle;
                tokio::select! {
                    _ = int.recv() => this.raise(),
                    _ = term.recv() => this.raise(),
                    () = tokio::time::sleep(SETTLE), if settling => this.raise(),
                }
            }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signal_settles_only_a_driver_that_applies() {
        let reading = Interrupt::default();
        reading.raise();
        assert_eq!(reading.level(), Level::Stop);

        let applying = Interrupt::default();
        applying.begin_applying();
        applying.raise();
        assert_eq!(
            (
                applying.level(),
                applying.stop_flag().load(Ordering::SeqCst)
            ),
            (Level::Settle, false)
        );
        applying.raise();
        assert_eq!(
            (
                applying.level(),
                applying.stop_flag().load(Ordering::SeqCst)
            ),
            (Level::Stop, true)
        );
    }
}
