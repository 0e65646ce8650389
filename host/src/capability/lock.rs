//! `plimsoll:deploy/lock`: the deploy lock, a directory on one host as Kamal makes it (`kamal.md` §1.10). The run
//! remembers what it holds and gives it back however it ends.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use wasmtime::component::{Accessor, Resource};

use super::error::from_wire;
use super::run::{HeldLock, Readers, Run};
use super::session::Call;
use super::{Answer, Powers, Session, View};
use crate::grant::Denied;
use crate::interrupt::Level;
use crate::plan::canonical;
use crate::wire::place::{Exclusive, Removed};
use crate::wire::{Place, WireError};
use crate::wit::lock::{Host, HostHeld, HostHeldWithStore, HostWithStore, Patience};
use crate::wit::types::{CapError, Part, Severity};

/// File in the lock's directory.
const DETAILS: &str = "details";
/// Ruby's `Base64.encode64` breaks lines there, and Kamal writes what it gives.
const LINE: usize = 60;
/// What Kamal and plimsoll write into the lock of a deploy, unlike a person.
const AUTOMATIC: &str = "Automatic deploy lock";

/// A lock that was taken.
pub struct Held {
    host: String,
    path: String,
}

impl Host for View<'_> {}

impl<T: Send + 'static> HostWithStore<T> for Powers {
    async fn leave(
        accessor: &Accessor<T, Self>,
        effect: String,
        host: String,
        path: String,
        details: Vec<Part>,
    ) -> Answer<()> {
        let session = accessor.with(|mut access| access.get().session.clone());
        let call = Call {
            effect,
            operation: "lock.leave",
            subject: host.clone(),
            arguments: json!({"host": host, "path": path, "details": canonical::value(&details)}),
        };
        let scope = covers(&session, &host, &path);
        let run = session.run.clone();
        let work = async move {
            let taken = taken(&run, &host, &path, &details, None, Keeper::Person);
            taken.await
        };
        Ok(session.mutate(call, scope, work).await)
    }

    async fn break_(
        accessor: &Accessor<T, Self>,
        effect: String,
        host: String,
        path: String,
    ) -> Answer<bool> {
        let session = accessor.with(|mut access| access.get().session.clone());
        let call = Call {
            effect,
            operation: "lock.break",
            subject: host.clone(),
            arguments: json!({"host": host, "path": path}),
        };
        let scope = covers(&session, &host, &path);
        let run = session.run.clone();
        let work = async move {
            let place = place(&run, &host).await?;
            let removed = place.remove_exclusive_directory(&path, DETAILS).await;
            removed
                .map(|removed| removed == Removed::Gone)
                .map_err(|error| from_wire(&error))
        };
        Ok(session.mutate(call, scope, work).await)
    }

    async fn read(
        accessor: &Accessor<T, Self>,
        host: String,
        path: String,
    ) -> Answer<Option<String>> {
        let session = accessor.with(|mut access| access.get().session.clone());
        Ok(async {
            covers(&session, &host, &path).map_err(|denied| session.deny(denied))?;
            let _place = session.budget()?;
            let place = place(&session.run, &host).await?;
            let content = place.read(&format!("{path}/{DETAILS}")).await;
            let content = content.map_err(|error| from_wire(&error))?;
            Ok(content.map(|content| session.run.redacted(decode(&content).as_bytes())))
        }
        .await)
    }
}

impl HostHeld for View<'_> {
    fn drop(&mut self, held: Resource<Held>) -> wasmtime::Result<()> {
        // The run keeps the lock until it is released, or the run ends.
        self.table.delete(held)?;
        Ok(())
    }
}

impl<T: Send + 'static> HostHeldWithStore<T> for Powers {
    async fn acquire(
        accessor: &Accessor<T, Self>,
        effect: String,
        host: String,
        path: String,
        details: Vec<Part>,
        wait: Option<Patience>,
    ) -> Answer<Resource<Held>> {
        let session = accessor.with(|mut access| access.get().session.clone());
        let patience = wait
            .map(|wait| json!({"timeout": wait.timeout, "interval": wait.interval}))
            .unwrap_or_default();
        let call = Call {
            effect,
            operation: "lock.acquire",
            subject: host.clone(),
            arguments: json!({"host": host, "path": path, "details": canonical::value(&details), "wait": patience}),
        };
        let scope = covers(&session, &host, &path);
        let run = session.run.clone();
        let held = Held {
            host: host.clone(),
            path: path.clone(),
        };
        let work = async move {
            let _acquiring = run.acquiring();
            taken(&run, &host, &path, &details, wait, Keeper::Run).await
        };
        match session.mutate(call, scope, work).await {
            Ok(()) => Ok(Ok(
                accessor.with(|mut access| access.get().table.push(held))?
            )),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn release(
        accessor: &Accessor<T, Self>,
        held: Resource<Held>,
        effect: String,
    ) -> Answer<()> {
        let (session, host, path) = accessor.with(|mut access| {
            let view = access.get();
            let held = view.table.get(&held)?;
            wasmtime::error::Ok((
                Arc::clone(view.session),
                held.host.clone(),
                held.path.clone(),
            ))
        })?;
        let call = Call {
            effect,
            operation: "lock.release",
            subject: host.clone(),
            arguments: json!({}),
        };
        let scope = covers(&session, &host, &path);
        let run = session.run.clone();
        let work = async move {
            // Whoever ends the run waits for this.
            let _acquiring = run.acquiring();
            match run.let_go(&host, &path) {
                Some(lock) => give_back(&lock).await.map_err(|error| from_wire(&error)),
                None => Ok(()),
            }
        };
        Ok(session.mutate(call, scope, work).await)
    }
}

async fn place(run: &Run, host: &str) -> Result<Place, CapError> {
    run.hosts
        .place(host)
        .await
        .map_err(|error| from_wire(&error))
}

/// Who has a lock that is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeper {
    /// The run, which gives it back however it ends.
    Run,
    /// A person, who gives it back by hand.
    Person,
}

/// Takes the lock, at once or with patience (`kamal.md` §1.10).
async fn taken(
    run: &Run,
    host: &str,
    path: &str,
    details: &[Part],
    wait: Option<Patience>,
    keeper: Keeper,
) -> Result<(), CapError> {
    let place = place(run, host).await?;
    let details = encode(run.resolve(details, Readers::Everybody)?.expose());
    let mut left = wait.map_or(0, |wait| wait.timeout);
    let mut told = false;
    loop {
        // Written down before it is asked for: if the answer is lost, what is in it says whether it is ours.
        if keeper == Keeper::Run {
            run.hold(HeldLock {
                host: host.to_owned(),
                path: path.to_owned(),
                place: place.clone(),
                doubt: Some(details.clone()),
            });
        }
        let content = match place
            .make_directory_exclusively(path, DETAILS, &details)
            .await
        {
            Ok(Exclusive::Made) => {
                run.is_ours(host, path);
                return Ok(());
            }
            Ok(Exclusive::AlreadyThere { content }) => {
                run.let_go(host, path);
                content
            }
            Err(error) => return Err(from_wire(&error)),
        };
        let by = run.redacted(decode(&content).as_bytes());
        let name = place.name();
        let Some(wait) = wait else {
            return Err(CapError::Held(format!(
                "Deploy lock found. Run 'kamal lock help' for more information\n{by}\nhint: wait until that deploy is over (--lock-wait does), or look at {path} on {name}; if it is dead, give its lock back with `lock release`"
            )));
        };
        if !by.contains(AUTOMATIC) {
            return Err(CapError::Held(format!(
                "Deploy lock held manually, not waiting. Run 'kamal lock help' for more information\n{by}"
            )));
        }
        if left == 0 {
            return Err(CapError::Held(format!(
                "Timed out waiting for deploy lock after {} s\n{by}",
                wait.timeout
            )));
        }
        if !told {
            run.note(
                Severity::Warning,
                format!("Deploy lock is held by: {}", by.replace('\n', "; ")),
            );
            told = true;
        }
        let nap = wait.interval.clamp(1, left);
        left -= nap;
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(nap.into())) => {}
            () = run.interrupt.reached(Level::Settle) => return Err(CapError::Cancelled),
        }
    }
}

/// The host and the directory.
fn covers(session: &Session, host: &str, path: &str) -> Result<(), Denied> {
    let grants = &session.grants;
    grants
        .covers_ssh_host(host)
        .and_then(|()| grants.covers_lock(path))
        .map_err(|denied| denied.on(host))
}

/// Gives a lock back: removes its directory, and one in doubt only if it has what we wrote.
pub(crate) async fn give_back(lock: &HeldLock) -> Result<(), WireError> {
    if let Some(ours) = &lock.doubt {
        let there = lock.place.read(&format!("{}/{DETAILS}", lock.path)).await?;
        if there.as_deref() != Some(ours.as_bytes()) {
            return Ok(());
        }
    }
    let removed = lock.place.remove_exclusive_directory(&lock.path, DETAILS);
    removed.await.map(drop)
}

fn encode(details: &str) -> String {
    let encoded = STANDARD.encode(details);
    let lines: Vec<&str> = encoded
        .as_bytes()
        .chunks(LINE)
        .map(|line| std::str::from_utf8(line).expect("Base64 is ASCII"))
        .collect();
    format!("{}\n", lines.join("\n"))
}

/// The details somebody left; what is not Base64 is shown as it is.
fn decode(content: &[u8]) -> String {
    let compact: Vec<u8> = content
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let text = STANDARD
        .decode(&compact)
        .unwrap_or_else(|_| content.to_vec());
    let text = String::from_utf8_lossy(&text);
    let text = text.trim();
    if text.is_empty() {
        "by somebody who just took it".to_owned()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lock_in_doubt_goes_only_if_it_has_what_we_wrote() {
        let folder = std::env::temp_dir().join(format!("plimsoll-lock-{}", std::process::id()));
        for (doubt, stays) in [
            (None, false),
            (Some("ours\n"), false),
            (Some("another's\n"), true),
        ] {
            std::fs::create_dir_all(&folder).expect("a folder");
            std::fs::write(folder.join(DETAILS), "ours\n").expect("a file");
            let lock = HeldLock {
                host: "local".to_owned(),
                path: folder.display().to_string(),
                place: Place::Local,
                doubt: doubt.map(str::to_owned),
            };
            give_back(&lock).await.expect("it is given back");
            assert_eq!(folder.exists(), stays, "{doubt:?}");
            // There is nothing any more: that is given back, too.
            let _ = std::fs::remove_dir_all(&folder);
            give_back(&lock).await.expect("nothing to do");
        }
    }

    #[test]
    fn details_are_written_as_ruby_does_and_read_back() {
        let details = "Locked by: Ada at 2026-11-20T10:00:00Z\nVersion: 3f2a9c\nMessage: Automatic deploy lock";
        let encoded = encode(details);
        assert!(encoded.lines().all(|line| line.len() <= 60) && encoded.ends_with('\n'));
        assert_eq!(decode(encoded.as_bytes()), details);
        assert_eq!(decode(b""), "by somebody who just took it");
        assert_eq!(decode(b"not base64!"), "not base64!");
    }
}
