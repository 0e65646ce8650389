//! `log`, `progress`, `clock` and `secrets`: the interfaces that change nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use wasmtime::component::Accessor;

use super::{Answer, Powers, Session, View};
use crate::interrupt::Level as Interruption;
use crate::report::{Event, Shown};
use crate::secret;
use crate::wit::log::Level;
use crate::wit::types::{CapError, Encoding, SecretRef, Severity};
use crate::wit::{clock, log, progress, secrets};

/// Lines one component call may write; the rest is counted and dropped.
const LINES: u32 = 1000;
/// Trees one component call may show: one a second for hours.
const TREES: u32 = 20_000;
/// Items of one tree.
const ITEMS: usize = 600;
/// Characters of one line.
const WIDTH: usize = 2000;
/// Longest sleep.
const SLEEP: Duration = Duration::from_secs(600);
/// What the clock shows while observing and planning, as the WASI clocks do: seconds since 1970.
const FROZEN: Duration = Duration::from_secs(1_700_000_000);

/// How many lines a component call wrote.
#[derive(Default)]
pub struct Lines {
    lines: AtomicU32,
    trees: AtomicU32,
}

impl Lines {
    fn admit(&self) -> bool {
        self.lines.fetch_add(1, Ordering::Relaxed) < LINES
    }

    fn admit_tree(&self) -> bool {
        self.trees.fetch_add(1, Ordering::Relaxed) < TREES
    }
}

fn line(session: &Session, message: &str) -> String {
    session
        .run
        .redactor()
        .redact(&message.chars().take(WIDTH).collect::<String>())
}

impl log::Host for View<'_> {
    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        if self.session.lines.admit() {
            let severity = match level {
                Level::Debug | Level::Info => Severity::Note,
                Level::Warn => Severity::Warning,
                Level::Error => Severity::Error,
            };
            let message = format!("{}: {}", self.session.plugin, line(self.session, &message));
            self.session.run.note(severity, message);
        }
        Ok(())
    }
}

impl progress::Host for View<'_> {
    fn emit(&mut self, event: progress::Event) -> wasmtime::Result<()> {
        if self.session.lines.admit() {
            let message = line(self.session, &event.message);
            self.session.run.reporter.emit(&Event::Progress {
                step: &event.step,
                host: event.host.as_deref(),
                phase: event.phase,
                message: &message,
            });
        }
        Ok(())
    }

    fn show(&mut self, items: Vec<progress::Item>) -> wasmtime::Result<()> {
        if self.session.lines.admit_tree() {
            let shown: Vec<Shown> = items
                .into_iter()
                .take(ITEMS)
                .map(|item| shown(self.session, item))
                .collect();
            let run = &self.session.run;
            run.reporter.emit(&Event::Tree {
                run: run.journal.path(),
                items: &shown,
            });
        }
        Ok(())
    }
}

/// An item with its secrets taken out and its manifest line found.
fn shown(session: &Session, item: progress::Item) -> Shown {
    let at = item
        .about
        .as_ref()
        .and_then(|place| session.run.manifest_line(&place.address, &place.pointer));
    let all = |texts: Vec<String>| texts.iter().map(|text| line(session, text)).collect();
    let table = |table: progress::Table| progress::Table {
        title: line(session, &table.title),
        columns: all(table.columns),
        rows: table.rows.into_iter().map(all).collect(),
    };
    Shown {
        at,
        item: progress::Item {
            text: line(session, &item.text),
            status: line(session, &item.status),
            reasons: all(item.reasons),
            tables: item.tables.into_iter().map(table).collect(),
            ..item
        },
    }
}

impl clock::Host for View<'_> {
    fn now_unix_ms(&mut self) -> wasmtime::Result<u64> {
        let now = match self.session.applying() {
            true => self
                .session
                .run
                .now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or(FROZEN),
            false => FROZEN,
        };
        Ok(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
    }
}

impl<T: Send + 'static> clock::HostWithStore<T> for Powers {
    async fn sleep_ms(accessor: &Accessor<T, Self>, duration: u32) -> wasmtime::Result<()> {
        let session: Arc<Session> = accessor.with(|mut access| access.get().session.clone());
        if session.applying() {
            let asked = Duration::from_millis(duration.into()).min(SLEEP);
            // Nobody sleeps through an interruption: the next effect then says that it is one.
            tokio::select! {
                () = tokio::time::sleep(asked) => {}
                () = session.run.interrupt.reached(Interruption::Settle) => {}
            }
        }
        Ok(())
    }
}

impl secrets::Host for View<'_> {}

impl<T: Send + 'static> secrets::HostWithStore<T> for Powers {
    async fn fingerprint(accessor: &Accessor<T, Self>, secret: SecretRef) -> Answer<String> {
        let session = accessor.with(|mut access| access.get().session.clone());
        if let Err(denied) = session.grants.covers_fingerprint(&secret.name) {
            return Ok(Err(session.deny(denied)));
        }
        let encoding = match secret.encoding {
            Encoding::Verbatim => secret::Encoding::Verbatim,
            Encoding::EnvFile => secret::Encoding::EnvFile,
        };
        let run = &session.run;
        Ok(run
            .secrets
            .fingerprint(&secret.name, encoding, &run.fingerprint_key)
            .map_err(|error| CapError::NotFound(error.to_string())))
    }
}
