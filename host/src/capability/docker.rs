//! `plimsoll:deploy/docker`: Docker Engines of granted hosts.
//!
//! * [`read`]: what is there.
//! * [`write`]: what is changed, each call through the gates of [`Session::mutate`].
//! * [`spec`]: a container to create: what it needs of the grants, and its canonical form.
//! * [`halves`]: `run` and `exec` in two halves.
//! * [`copy`]: a container like another.
//! * [`pull`]: how images come.
//! * [`withheld`]: descriptions without what may be secret.

mod copy;
mod halves;
mod pull;
mod read;
mod spec;
mod withheld;
mod write;

use std::sync::Arc;

pub use halves::{Created, Prepared};
use serde_json::Value as Json;
use wasmtime::component::{Accessor, Resource};

use super::error::from_wire;
use super::session::{Call, Session};
use super::{Answer, Powers, View};
use crate::grant::Denied;
use crate::wire::{self, WireError};
use crate::wit::docker::{
    ContainerSpec, ContainerSummary, Credentials, Host, HostCreated, HostCreatedWithStore,
    HostEngine, HostEngineWithStore, HostPrepared, HostPreparedWithStore, ImageSummary, LogLines,
    Output,
};
use crate::wit::types::{CapError, Part};

/// A granted host's Engine.
pub struct Engine {
    host: String,
    wire: wire::Engine,
}

/// What a method works with, taken out of the store before it waits.
struct Opened {
    session: Arc<Session>,
    host: String,
    engine: wire::Engine,
}

impl Opened {
    fn of<T: Send + 'static>(
        accessor: &Accessor<T, Powers>,
        engine: &Resource<Engine>,
    ) -> wasmtime::Result<Self> {
        accessor.with(|mut access| {
            let view = access.get();
            let engine = view.table.get(engine)?;
            Ok(Self {
                session: view.session.clone(),
                host: engine.host.clone(),
                engine: engine.wire.clone(),
            })
        })
    }

    fn call(&self, effect: String, operation: &'static str, arguments: Json) -> Call {
        Call {
            effect,
            operation,
            subject: self.host.clone(),
            arguments,
        }
    }

    fn container(&self, name: &str) -> Result<(), Denied> {
        self.session
            .grants
            .covers_container(name)
            .map_err(|denied| denied.on(&self.host))
    }
}

fn failed(error: WireError) -> CapError {
    from_wire(&error)
}

fn label_filters(labels: &[(String, String)]) -> Vec<String> {
    labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect()
}

type Labels = Vec<(String, String)>;

impl Host for View<'_> {}

impl HostEngine for View<'_> {
    fn host(&mut self, engine: Resource<Engine>) -> wasmtime::Result<String> {
        Ok(self.table.get(&engine)?.host.clone())
    }

    fn drop(&mut self, engine: Resource<Engine>) -> wasmtime::Result<()> {
        self.table.delete(engine)?;
        Ok(())
    }
}

impl HostCreated for View<'_> {
    fn drop(&mut self, created: Resource<Created>) -> wasmtime::Result<()> {
        self.table.delete(created)?;
        Ok(())
    }
}

impl HostPrepared for View<'_> {
    fn drop(&mut self, prepared: Resource<Prepared>) -> wasmtime::Result<()> {
        self.table.delete(prepared)?;
        Ok(())
    }
}

impl<T: Send + 'static> HostCreatedWithStore<T> for Powers {
    async fn start(accessor: &Accessor<T, Self>, created: Resource<Created>) -> Answer<String> {
        let created = taken(accessor, &created)?;
        Ok(created.start().await)
    }

    async fn discard(accessor: &Accessor<T, Self>, created: Resource<Created>) -> Answer<()> {
        let created = taken(accessor, &created)?;
        Ok(created.discard().await)
    }
}

impl<T: Send + 'static> HostPreparedWithStore<T> for Powers {
    async fn run(accessor: &Accessor<T, Self>, prepared: Resource<Prepared>) -> Answer<Output> {
        let prepared = taken(accessor, &prepared)?;
        Ok(prepared.run().await)
    }
}

/// A handle's own, taken out of the store before anything waits.
fn taken<T: Send + 'static, R: Clone + Send + 'static>(
    accessor: &Accessor<T, Powers>,
    handle: &Resource<R>,
) -> wasmtime::Result<R> {
    accessor.with(|mut access| Ok(access.get().table.get(handle)?.clone()))
}

/// Every method: the Engine taken out of the store, then what the method's name says in [`read`] or [`write`].
macro_rules! methods {
    ($($module:ident::$name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        $(async fn $name(
            accessor: &Accessor<T, Self>,
            engine: Resource<Engine>,
            $($argument: $type),*
        ) -> Answer<$answer> {
            let opened = Opened::of(accessor, &engine)?;
            Ok($module::$name(opened, $($argument),*).await)
        })*
    };
}

impl<T: Send + 'static> HostEngineWithStore<T> for Powers {
    async fn connect(accessor: &Accessor<T, Self>, host: String) -> Answer<Resource<Engine>> {
        let session = accessor.with(|mut access| access.get().session.clone());
        if let Err(denied) = session.grants.covers_docker_host(&host) {
            return Ok(Err(session.deny(denied)));
        }
        match session.run.hosts.engine(&host).await {
            Ok(wire) => {
                Ok(Ok(accessor.with(|mut access| {
                    access.get().table.push(Engine { host, wire })
                })?))
            }
            Err(error) => Ok(Err(failed(error))),
        }
    }

    async fn create(
        accessor: &Accessor<T, Self>,
        engine: Resource<Engine>,
        effect: String,
        spec: ContainerSpec,
    ) -> Answer<Resource<Created>> {
        let opened = Opened::of(accessor, &engine)?;
        match halves::created(opened, effect, spec).await {
            Ok(created) => Ok(Ok(
                accessor.with(|mut access| access.get().table.push(created))?
            )),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn prepare(
        accessor: &Accessor<T, Self>,
        engine: Resource<Engine>,
        effect: String,
        container: String,
        user: Option<String>,
        command: Vec<Vec<Part>>,
    ) -> Answer<Resource<Prepared>> {
        let opened = Opened::of(accessor, &engine)?;
        match halves::prepared(opened, effect, container, user, command).await {
            Ok(prepared) => Ok(Ok(
                accessor.with(|mut access| access.get().table.push(prepared))?
            )),
            Err(error) => Ok(Err(error)),
        }
    }

    methods! {
        read::containers(labels: Labels) -> Vec<ContainerSummary>;
        read::inspect(name: String) -> Option<String>;
        read::inspect_image(reference: String) -> Option<String>;
        read::images(labels: Labels) -> Vec<ImageSummary>;
        read::has_image(reference: String, digest: Vec<Part>) -> bool;
        read::mirror() -> Option<String>;
        read::network_exists(name: String) -> bool;
        read::logs(name: String, wanted: LogLines) -> Vec<String>;
        read::read_file(container: String, path: String) -> Option<String>;
        write::pull(effect: String, image: String, digest: Option<Vec<Part>>, credentials: Option<Credentials>) -> String;
        write::create_network(effect: String, name: String) -> ();
        write::run(effect: String, spec: ContainerSpec) -> String;
        write::run_like(effect: String, existing: String, name: String) -> String;
        write::run_once(effect: String, spec: ContainerSpec) -> Output;
        write::extract(effect: String, image: String, path: String, container: String, directory: String) -> ();
        write::start(effect: String, name: String) -> ();
        write::stop(effect: String, name: String, timeout: Option<u32>) -> ();
        write::rename(effect: String, name: String, to: String) -> ();
        write::remove(effect: String, name: String) -> ();
        write::exec(effect: String, container: String, user: Option<String>, command: Vec<Vec<Part>>) -> Output;
        write::tag(effect: String, image: String, reference: String) -> ();
        write::remove_image(effect: String, reference: String) -> ();
        write::prune_images(effect: String, labels: Labels) -> ();
    }
}
