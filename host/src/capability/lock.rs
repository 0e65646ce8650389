//! `plimsoll:deploy/lock`: the deploy lock, a directory on one host as Kamal makes it (`kamal.md` §1.10). The run
//! remembers what it holds and gives it back however it ends.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use wasmtime::component::{Accessor, Resource};

use super::error::from_wire;
use super::run::{HeldLock, Readers};
use super::session::Call;
use super::{Answer, Powers, Session, View};
use crate::grant::Denied;
use crate::plan::canonical;
use crate::wire::place::Exclusive;
use crate::wire::{Place, WireError};
use crate::wit::lock::{Host, HostHeld, HostHeldWithStore};
use crate::wit::types::{CapError, Part};

/// File in the lock's directory.
const DETAILS: &str = "details";
/// Ruby's `Base64.encode64` breaks lines there, and Kamal writes what it gives.
const LINE: usize = 60;

/// A lock that was taken.
pub struct Held {
    host: String,
    path: String,
}

impl Host for View<'_> {}

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
    ) -> Answer<Resource<Held>> {
        let session = accessor.with(|mut access| access.get().session.clone());
        let call = Call {
            effect,
            operation: "lock.acquire",
            subject: host.clone(),
            arguments: json!({"host": host, "path": path, "details": canonical::value(&details)}),
        };
        let scope = covers(&session, &host, &path);
        let run = session.run.clone();
        let held = Held {
            host: host.clone(),
            path: path.clone(),
        };
        let work = async move {
            let place = run
                .hosts
                .place(&host)
                .await
                .map_err(|error| from_wire(&error))?;
            let details = run.resolve(&details, Readers::Everybody)?;
            match place
                .make_directory_exclusively(&path, DETAILS, &encode(details.expose()))
                .await
            {
                Ok(Exclusive::Made) => {
                    run.hold(HeldLock { host, path, place });
                    Ok(())
                }
                Ok(Exclusive::AlreadyThere { content }) => {
                    let (details, name) = (decode(&content), place.name());
                    Err(CapError::Held(format!(
                        "{details}\nhint: wait until that deploy is over; if it is dead, remove {path} on {name}"
                    )))
                }
                Err(error) => Err(from_wire(&error)),
            }
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
            match run.let_go(&host, &path) {
                Some(lock) => remove(&lock.place, &lock.path)
                    .await
                    .map_err(|error| from_wire(&error)),
                None => Ok(()),
            }
        };
        Ok(session.mutate(call, scope, work).await)
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

/// Removes a lock's directory.
pub(crate) async fn remove(place: &Place, path: &str) -> Result<(), WireError> {
    place
        .remove_exclusive_directory(path, DETAILS)
        .await
        .map(drop)
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

/// The details somebody left, one line; what is not Base64 is shown as it is.
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
        text.lines().collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_written_as_ruby_does_and_read_back() {
        let details = "Locked by: Ada at 2026-11-20T10:00:00Z\nVersion: 3f2a9c\nMessage: Automatic deploy lock";
        let encoded = encode(details);
        assert!(encoded.lines().all(|line| line.len() <= 60) && encoded.ends_with('\n'));
        assert_eq!(decode(encoded.as_bytes()), details.replace('\n', "; "));
        assert_eq!(decode(b""), "by somebody who just took it");
        assert_eq!(decode(b"not base64!"), "not base64!");
    }
}
