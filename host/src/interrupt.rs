//! Ctrl-C in two steps: first nothing new is started and what is held is given back, then everything stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, watch};

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

/// What the user wants of something long that is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// It goes on.
    #[default]
    Nothing,
    /// It goes on without us.
    Detach,
    /// It is undone.
    Cancel,
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
    /// What is under way goes on without us, and the driver asks what the user wants of it.
    patient: Arc<AtomicBool>,
    /// How often Ctrl-C was pressed at a patient driver, and how often that was answered.
    pressed: Arc<watch::Sender<Presses>>,
    /// Held while one of several drivers asks: the answer counts for all.
    asking: Arc<Mutex<()>>,
    /// The last press whose answer this run has heard.
    told: Arc<AtomicU32>,
    /// It was SIGTERM.
    terminated: Arc<AtomicBool>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Presses {
    heard: u32,
    answered: u32,
    cancelling: bool,
    /// The last answer.
    wish: Wish,
}

impl Default for Interrupt {
    fn default() -> Self {
        Self {
            level: Arc::new(watch::Sender::new(Level::No)),
            stop: Arc::default(),
            applying: Arc::default(),
            patient: Arc::default(),
            pressed: Arc::default(),
            asking: Arc::default(),
            told: Arc::default(),
            terminated: Arc::default(),
        }
    }
}

impl Interrupt {
    /// The same for another run at the same time: Ctrl-C counts for all of them, and so does what the user answers.
    #[must_use]
    pub fn beside(&self) -> Self {
        let answered = self.pressed.borrow().answered;
        Self {
            told: Arc::new(AtomicU32::new(answered)),
            ..self.clone()
        }
    }

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

    /// The driver watches something that goes on without us: from here on it hears what the user wants at Ctrl-C.
    pub fn be_patient(&self) {
        self.patient.store(true, Ordering::SeqCst);
    }

    /// Nothing that goes on without us is under way any more.
    pub fn end_patience(&self) {
        self.patient.store(false, Ordering::SeqCst);
    }

    /// Ctrl-C is the driver's to answer.
    pub fn is_patient(&self) -> bool {
        self.patient.load(Ordering::SeqCst)
    }

    /// Returns once Ctrl-C was pressed at a patient driver, and this run does not know yet what the user wants.
    pub async fn heard(&self) {
        let mut seen = self.pressed.subscribe();
        let told = self.told.load(Ordering::SeqCst);
        let news = |now: &Presses| now.heard > now.answered || now.answered > told;
        // The sender lives as long as self: waiting can't fail.
        let _ = seen.wait_for(news).await;
    }

    /// What the user wants, asked once for all runs that heard it.
    pub async fn decide(&self, ask: impl AsyncFnOnce() -> Wish) -> Wish {
        let _turn = self.asking.lock().await;
        let unanswered = {
            let now = self.pressed.borrow();
            now.heard > now.answered
        };
        if unanswered {
            let wish = ask().await;
            self.settled(wish);
        }
        let now = *self.pressed.borrow();
        self.told.store(now.answered, Ordering::SeqCst);
        now.wish
    }

    /// Returns once it was pressed again, while the first is being answered.
    pub async fn heard_again(&self) {
        let mut seen = self.pressed.subscribe();
        let _ = seen.wait_for(|now| now.heard > now.answered + 1).await;
    }

    /// What was pressed says by itself, if it does: twice, or while cancelling, it detaches.
    pub fn wish(&self) -> Option<Wish> {
        let now = *self.pressed.borrow();
        (now.cancelling || now.heard > now.answered + 1).then_some(Wish::Detach)
    }

    /// What the user wanted was heard.
    pub fn settled(&self, wish: Wish) {
        self.pressed.send_modify(|now| {
            now.answered = now.heard;
            now.wish = wish;
            now.cancelling |= wish == Wish::Cancel;
        });
    }

    /// One Ctrl-C (or SIGTERM). The second one stops everything, and the third what a patient driver watches.
    pub fn raise(&self) {
        if self.is_patient() {
            let mut last = false;
            self.pressed.send_modify(|now| {
                now.heard += 1;
                last = now.heard > now.answered + 2;
            });
            if last {
                self.stop.store(true, Ordering::SeqCst);
                self.level.send_replace(Level::Stop);
            }
            return;
        }
        let settle = self.level() == Level::No && self.applying.load(Ordering::SeqCst);
        if settle {
            self.level.send_replace(Level::Settle);
        } else {
            self.stop.store(true, Ordering::SeqCst);
            self.level.send_replace(Level::Stop);
        }
    }

    /// Exit code of a run that was interrupted: 128 and the signal's number, as a shell has it.
    pub fn exit_code(&self) -> u8 {
        match self.terminated.load(Ordering::SeqCst) {
            true => 143,
            false => 130,
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
                    _ = term.recv() => {
                        this.terminated.store(true, Ordering::SeqCst);
                        this.raise();
                    }
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

    #[tokio::test]
    async fn runs_at_the_same_time_ask_once_and_all_hear_the_answer() {
        let one = Interrupt::default();
        let two = one.beside();
        one.be_patient();
        two.raise();
        one.heard().await;
        assert_eq!(one.decide(async || Wish::Cancel).await, Wish::Cancel);
        two.heard().await;
        let again = two.decide(async || panic!("it was answered")).await;
        assert_eq!(again, Wish::Cancel);
        // Both know now.
        let pause = Duration::from_millis(10);
        assert!(tokio::time::timeout(pause, two.heard()).await.is_err());
        let later = one.beside();
        assert!(tokio::time::timeout(pause, later.heard()).await.is_err());
    }

    #[test]
    fn the_first_signal_settles_only_a_driver_that_applies() {
        let reading = Interrupt::default();
        reading.raise();
        assert_eq!(reading.level(), Level::Stop);

        let patient = Interrupt::default();
        patient.begin_applying();
        patient.be_patient();
        patient.raise();
        assert_eq!((patient.level(), patient.wish()), (Level::No, None));
        patient.settled(Wish::Cancel);
        patient.raise();
        assert_eq!(patient.wish(), Some(Wish::Detach), "while cancelling");
        patient.raise();
        assert_eq!(patient.level(), Level::No);
        patient.raise();
        assert_eq!(patient.level(), Level::Stop);

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
