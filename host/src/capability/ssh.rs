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
use crate::wit::ssh::{Command, DockerState, Host, HostSession, HostSessionWithStore, Output};
use crate::wit::types::{CapError, Part};

/// Longest time of a command that names none.
const COMMAND: Duration = Duration::from_secs(10 * 60);
/// Bytes kept of each of a command's outputs.
const OUTPUT: usize = 64 << 10;
/// Bytes of a file that can be read.
const FILE: usize = 1 << 20;

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

    fn read(&self, path: &str) -> Result<(), CapError> {
        let covered = self.powers.grants.covers_read(path);
        covered.map_err(|denied| self.powers.deny(denied.on(&self.host)))
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
        lines: Vec<Vec<Part>>,
    ) -> Answer<()> {
        let opened = Opened::of(accessor, &session)?;
        let shown: Vec<_> = lines.iter().map(|line| canonical::value(line)).collect();
        let call = opened.call(effect, "ssh.append", json!({"path": path, "lines": shown}));
        let scope = opened.write(&path);
        let run = opened.powers.run.clone();
        let work = async move {
            let lines = lines
                .iter()
                .map(|line| run.resolve(line, Readers::Everybody))
                .collect::<Result<Vec<_>, _>>()?;
            let lines: Vec<&str> = lines.iter().map(|line| line.expose()).collect();
            opened.place.append(&path, &lines).await.map_err(failed)
        };
        Ok(opened.powers.mutate(call, scope, work).await)
    }

    async fn set_access(
        accessor: &Accessor<T, Self>,
        session: Resource<Session>,
        effect: String,
        path: String,
        mode: Option<String>,
        owner: Option<String>,
    ) -> Answer<()> {
        let opened = Opened::of(accessor, &session)?;
        let arguments = json!({"path": path, "mode": mode, "owner": owner});
        let call = opened.call(effect, "ssh.set-access", arguments);
        let scope = opened.write(&path);
        let work = async move {
            let (mode, owner) = (mode.as_deref(), owner.as_deref());
            opened.place.own(&path, mode, owner).await.map_err(failed)
        };
        Ok(opened.powers.mutate(call, scope, work).await)
    }

    async fn remove(
        accessor: &Accessor<T, Self>,
        session: Resource<Session>,
        effect: String,
        path: String,
    ) -> Answer<()> {
        let opened = Opened::of(accessor, &session)?;
        let call = opened.call(effect, "ssh.remove", json!({"path": path}));
        let scope = opened.write(&path);
        let work = async move { opened.place.remove_tree(&path).await.map_err(failed) };
        Ok(opened.powers.mutate(call, scope, work).await)
    }

    async fn keep_only(
        accessor: &Accessor<T, Self>,
        session: Resource<Session>,
        effect: String,
        directory: String,
        prefix: String,
        keep: String,
    ) -> Answer<()> {
        let opened = Opened::of(accessor, &session)?;
        let arguments = json!({"directory": directory, "prefix": prefix, "keep": keep});
        let call = opened.call(effect, "ssh.keep-only", arguments);
        // Every name that the prefix can begin is in the directory: a name below it stands for all of them.
        let scope = opened.write(&format!("{directory}/{prefix}_"));
        let plain = !prefix.contains('/') && !prefix.starts_with('.');
        let work = async move {
            if !plain {
                return Err(CapError::Other(format!(
                    "`{prefix}` is not how a name in a directory begins"
                )));
            }
            let kept = opened.place.keep_only(&directory, &prefix, &keep);
            kept.await.map_err(failed)
        };
        Ok(opened.powers.mutate(call, scope, work).await)
    }

    async fn merge(
        accessor: &Accessor<T, Self>,
        session: Resource<Session>,
        effect: String,
        source: String,
        target: String,
    ) -> Answer<()> {
        let opened = Opened::of(accessor, &session)?;
        let arguments = json!({"source": source, "target": target});
        let call = opened.call(effect, "ssh.merge", arguments);
        // What is copied could be read by a container that mounts the target: it must be the driver's own, too.
        let scope = opened.write(&source).and_then(|()| opened.write(&target));
        let work = async move { opened.place.merge(&source, &target).await.map_err(failed) };
        Ok(opened.powers.mutate(call, scope, work).await)
    }

    async fn read(
        accessor: &Accessor<T, Self>,
        session: Resource<Session>,
        path: String,
    ) -> Answer<Option<String>> {
        let opened = Opened::of(accessor, &session)?;
        Ok(async {
            opened.read(&path)?;
            let _place = opened.powers.budget()?;
            match opened.place.read(&path).await.map_err(failed)? {
                Some(bytes) if bytes.len() > FILE => Err(CapError::Quota(format!(
                    "{path} is longer than {FILE} bytes"
                ))),
                Some(bytes) => Ok(Some(opened.powers.run.redacted(&bytes))),
                None => Ok(None),
            }
        }
        .await)
    }

    async fn names(
        accessor: &Accessor<T, Self>,
        session: Resource<Session>,
        path: String,
    ) -> Answer<Option<Vec<String>>> {
        let opened = Opened::of(accessor, &session)?;
        Ok(async {
            opened.read(&path)?;
            let _place = opened.powers.budget()?;
            opened.place.list(&path).await.map_err(failed)
        }
        .await)
    }

    async fn docker_state(
        accessor: &Accessor<T, Self>,
        session: Resource<Session>,
    ) -> Answer<DockerState> {
        let opened = Opened::of(accessor, &session)?;
        Ok(async {
            let _place = opened.powers.budget()?;
            let state = opened.place.docker_state().await.map_err(failed)?;
            Ok(DockerState {
                installed: state.installed,
                root: state.root,
                sudo: state.sudo,
                member: state.member,
            })
        }
        .await)
    }

    async fn install_docker(
        accessor: &Accessor<T, Self>,
        session: Resource<Session>,
        effect: String,
    ) -> Answer<()> {
        let opened = Opened::of(accessor, &session)?;
        let call = opened.call(effect, "ssh.install-docker", json!({}));
        let grants = &opened.powers.grants;
        let scope = grants.covers_install_docker();
        let scope = scope.map_err(|denied| denied.on(&opened.host));
        let run = opened.powers.run.clone();
        let work = async move {
            opened.place.install_docker().await.map_err(failed)?;
            // A group counts from the next login on.
            run.hosts.forget(&opened.host);
            Ok(())
        };
        Ok(opened.powers.mutate(call, scope, work).await)
    }
}
