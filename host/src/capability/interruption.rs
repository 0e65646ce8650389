//! `plimsoll:deploy/interruption`: what the user wants, at Ctrl-C, of something long that goes on without us.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Accessor;

use super::{Powers, Session, View};
use crate::interrupt::Wish as Wanted;
use crate::wit::interruption::{Host, HostWithStore, Wish};
use crate::wit::types::Severity;

/// Longest wait.
const LONGEST: Duration = Duration::from_secs(600);

impl Host for View<'_> {}

impl<T: Send + 'static> HostWithStore<T> for Powers {
    async fn wait(accessor: &Accessor<T, Self>, duration: u32) -> wasmtime::Result<Wish> {
        let session: Arc<Session> = accessor.with(|mut access| access.get().session.clone());
        // Time stands still until there is something under way.
        if !session.applying() {
            return Ok(Wish::None);
        }
        let interrupt = &session.run.interrupt;
        interrupt.be_patient();
        let asked = Duration::from_millis(duration.into()).min(LONGEST);
        tokio::select! {
            () = tokio::time::sleep(asked) => Ok(Wish::None),
            () = interrupt.heard() => Ok(told(interrupt.decide(async || decide(&session).await).await)),
        }
    }
}

/// Asks, where somebody is there; without a terminal the first Ctrl-C cancels, as it does in Copilot.
async fn decide(session: &Session) -> Wanted {
    let run = &session.run;
    let wanted = match run.interrupt.wish() {
        Some(wanted) => wanted,
        None if !run.reporter.can_ask() => Wanted::Cancel,
        None => {
            let (answer, asked) = tokio::sync::oneshot::channel();
            let reporter = run.reporter.clone();
            // A thread of its own: nobody must wait for an answer that doesn't come.
            let asking = std::thread::Builder::new().name("ask".to_owned()).spawn(move || {
                let question = "\nInterrupted. [k]eep waiting, [d]etach (it goes on without plimsoll), or [c]ancel it? (Ctrl-C again detaches)";
                let _ = answer.send(reporter.choose(question, &['k', 'd', 'c']));
            });
            tokio::select! {
                chosen = asked, if asking.is_ok() => match chosen {
                    Ok('c') => Wanted::Cancel,
                    Ok('d') => Wanted::Detach,
                    Ok(_) => Wanted::Nothing,
                    Err(_) => Wanted::Cancel,
                },
                () = run.interrupt.heard_again() => Wanted::Detach,
            }
        }
    };
    if wanted == Wanted::Cancel {
        let again = "interrupted: it is being cancelled; Ctrl-C again leaves at once, and the cancellation goes on";
        run.note(Severity::Warning, again.to_owned());
    }
    wanted
}

fn told(wanted: Wanted) -> Wish {
    match wanted {
        Wanted::Nothing => Wish::None,
        Wanted::Detach => Wish::Detach,
        Wanted::Cancel => Wish::Cancel,
    }
}
