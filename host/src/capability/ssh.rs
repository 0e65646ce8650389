//! `plimsoll:deploy/ssh`: commands and files on granted hosts.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use wasmtime::component::{Accessor, Resource};

use super::error::from_wire;
use super::run::Readers;
use super::session::{Call, Session as CallSession, covers_value};
use super::{Answer, Powers, View};
use crate::grant::{Denied, Sink};
use crate::plan::canonical;
use crate::wire::{self, Place, WireError};
use crate::wit::ssh::{Command, Host, HostSession, HostSessionWithStore, Output};
use crate::wit::types::{CapError, Part};

/// Longest time of a command that names none.
const COMMAND: Duration = Duration::from_secs(10 * 60);
/// Bytes kept of each of a command's outputs.
const OUTPUT: usize = 64 << 10;

/// A granted host's commands and files.
pub struct Session {
    host: String,
    place: Place,
}

struct Opened {
    powers: Arc<CallSession>,
    host: String,
    place: Place,
}

impl Opened {
    fn of<T: Send + 'static>(
        accessor: &Accessor<T, Powers>,
        session: &Resource<Session>,
    ) -> wasmtime::Result<Self> {
        accessor.with(|mut access| {
            let view = access.get();
            let session = view.table.get(session)?;
            Ok(Self {
                powers: view.session.clone(),
                host: session.host.clone(),
                place: session.place.clone(),
            })
        })
    }

    fn call(&self, effect: String, operation: &'static str, arguments: serde_json::Value) -> Call {
        Call {
            effect,
            operation,
            subject: self.host.clone(),
            arguments,
        }
    }

    fn write(&self, path: &str) -> Result<(), Denied> {
        self.powers
            .grants
            .covers_write(path)
            .map_err(|denied| denied.on(&self.host))
    }
}

fn failed(error: WireError) -> CapError {
    from_wire(&error)
}

impl Host for View<'_> {}

impl HostSession for View<'_> {
    fn host(&mut self, session: Resource<Session>) -> wasmtime::Result<String> {
        Ok(self.table.get(&session)?.host.clone())
    }

    fn drop(&mut self, session: Resource<Session>) -> wasmtime::Result<()> {
        self.table.delete(session)?;
        Ok(())
    }
}

impl<T: Send + 'static> HostSessionWithStore<T> for Powers {
    async fn connect(accessor: &Accessor<T, Self>, host: String) -> Answer<Resource<Session>> {
        let powers = accessor.with(|mut access| access.get().session.clone());
        if let Err(denied) = powers.grants.covers_ssh_host(&host) {
            return Ok(Err(powers.deny(denied)));
        }
        match powers.run.hosts.place(&host).await {
            Ok(place) => {
                Ok(Ok(accessor.with(|mut access| {
                    access.get().table.push(Session { host, place })
                })?))
            }
            Err(error) => Ok(Err(failed(error))),
        }
    }

    async fn run(
        accessor: &Accessor<T, Self>,
        session: Resource<Session>,
        effect: String,
        command: Command,
    ) -> Answer<Output> {
        let opened = Opened::of(accessor, &session)?;
        let arguments = json!({"command": {
            "argv": command.argv,
            "stdin": command.stdin.as_ref().map(|stdin| canonical::value(stdin)),
            "timeout": command.timeout,
        }});
        let call = opened.call(effect, "ssh.run", arguments);
        let argv: Vec<&str> = command.argv.iter().map(String::as_str).collect();
        let grants = &opened.powers.grants;
        let stdin = command.stdin.as_deref().unwrap_or_default();
        let scope = grants
            .covers_command(&argv)
            .and_then(|()| covers_value(grants, stdin, Sink::Stdin));
        let scope = scope.map_err(|denied| denied.on(&opened.host));
        let run = opened.powers.run.clone();
        let work = async move {
            let stdin = command
                .stdin
                .map(|stdin| run.resolve(&stdin, Readers::Recipient))
                .transpose()?;
            let timeout = command
                .timeout
                .map_or(COMMAND, |ms| Duration::from_millis(ms.into()));
            let mut wanted = wire::Command::new(command.argv).timeout(timeout);
            wanted.max_output = OUTPUT;
            if let Some(stdin) = stdin {
                wanted = wanted.stdin(stdin.expose().as_bytes());
            }
            let output = opened.place.exec(wanted).await.map_err(failed)?;
            Ok(Output {
                code: output.code,
                stdout: run.redacted(&output.stdout),
                stderr: run.redacted(&output.stderr),
            })
        };
        Ok(opened.powers.mutate(call, scope, work).await)
    }

    async fn make_directory(
        accessor: &Accessor<T, Self>,
        session: Resource<Session>,
        effect: String,
        path: String,
    ) -> Answer<()> {
        let opened = Opened::of(accessor, &session)?;
        let call = opened.call(effect, "ssh.make-directory", json!({"path": path}));
        let scope = opened.write(&path);
        let work = async move { opened.place.make_directory(&path).await.map_err(failed) };
        Ok(opened.powers.mutate(call, scope, work).await)
    }

    async fn put(
        accessor: &Accessor<T, Self>,
        session: Resource<Session>,
        effect: String,
        path: String,
        mode: u32,
        content: Vec<Part>,
    ) -> Answer<()> {
        let opened = Opened::of(accessor, &session)?;
        let call = opened.call(
            effect,
            "ssh.put",
            json!({"path": path, "mode": mode, "content": canonical::value(&content)}),
        );
        let scope = opened
            .write(&path)
            .and_then(|()| covers_value(&opened.powers.grants, &content, Sink::File));
        let run = opened.powers.run.clone();
        let work = async move {
            let content = run.resolve(&content, Readers::Recipient)?;
            opened
                .place
                .put(&path, mode, content.expose().as_bytes())
                .await
                .map_err(failed)
        };
        Ok(opened.powers.mutate(call, scope, work).await)
    }

    async fn append(
        accessor: &Accessor<T, Self>,
        session: Resource<Session>,
        effect: String,
        path: String,
        line: Vec<Part>,
    ) -> Answer<()> {
        let opened = Opened::of(accessor, &session)?;
        let call = opened.call(
            effect,
            "ssh.append",
            json!({"path": path, "line": canonical::value(&line)}),
        );
        let scope = opened.write(&path);
        let run = opened.powers.run.clone();
        let work = async move {
            let line = run.resolve(&line, Readers::Everybody)?;
            opened
                .place
                .append(&path, line.expose())
                .await
                .map_err(failed)
        };
        Ok(opened.powers.mutate(call, scope, work).await)
    }
}
