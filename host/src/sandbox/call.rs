//! The calls. Each gets a fresh store with its own limits and one deadline that stands outside of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use wasmtime::component::{Component, InstancePre};
use wasmtime::{Engine, Store};

use super::aot::{Cache, Origin};
use super::error::{SandboxError, Stopped, stopped, words};
use super::inspect::{Role, Surface};
use super::linker;
use super::prescan;
use super::store::{self, Bounds, State};
use crate::capability::Session;
use crate::interrupt::{Interrupt, Level};
use crate::wit::differ::DifferPluginPre;
use crate::wit::differ::exports::plimsoll::deploy::differ::{Difference, Input as DifferInput};
use crate::wit::driver::DriverPluginPre;
use crate::wit::driver::exports::plimsoll::deploy::driver::{
    Failure, Outcome, Proposal, Report, Step,
};
use crate::wit::policy::PolicyPluginPre;
use crate::wit::policy::exports::plimsoll::deploy::policy::{Input as PolicyInput, Violation};
use crate::wit::renderer::RendererPluginPre;
use crate::wit::renderer::exports::plimsoll::deploy::renderer::{
    Input as RendererInput, Need, Output,
};
use crate::wit::types::{Change, Context, Diagnostic, Document};

/// Time a pure call may take.
const PURE: Duration = Duration::from_secs(20);
/// Time observing or planning may take.
const READING: Duration = Duration::from_secs(10 * 60);
/// Time applying may take: pulls, health checks and drains of many hosts.
const APPLYING: Duration = Duration::from_secs(4 * 60 * 60);

/// Loads and calls components.
pub struct Sandbox {
    engine: Engine,
    cache: Cache,
    interrupt: Interrupt,
    /// Bound of a pure call; tests shorten it.
    pure_deadline: Duration,
    loaded: Mutex<HashMap<String, Component>>,
}

/// A component that is ready to be called in its role.
#[derive(Clone)]
pub struct Loaded {
    /// Name in `plimsoll.yml` or in the bundle.
    pub name: String,
    /// Its role.
    pub role: Role,
    pre: InstancePre<State>,
}

/// Calls an export of a component that has no powers, in a store of its own.
macro_rules! pure {
    ($sandbox:ident, $plugin:ident, $session:ident, $name:literal: $world:ident, $interface:ident.$call:ident($input:expr)) => {
        $sandbox
            .run(
                $plugin,
                $session,
                $name,
                $sandbox.pure_deadline,
                async |store, pre| {
                    let instance = $world::new(pre)?.instantiate_async(&mut *store).await?;
                    instance.$interface().$call(store, $input).await
                },
            )
            .await
    };
}

/// Calls an export of a driver, whose imports run side by side, in a store of its own.
macro_rules! driven {
    ($sandbox:ident, $plugin:ident, $session:ident, $deadline:ident, $name:literal: $call:ident($($argument:ident),*)) => {
        $sandbox
            .run($plugin, $session, $name, $deadline, async |store, pre| {
                let instance = DriverPluginPre::new(pre)?.instantiate_async(&mut *store).await?;
                store
                    .run_concurrent(async |accessor| {
                        instance
                            .plimsoll_deploy_driver()
                            .$call(accessor, $($argument),*)
                            .await
                    })
                    .await?
            })
            .await
    };
}

impl Sandbox {
    /// A sandbox; `interrupt` stops whatever runs in it.
    ///
    /// # Errors
    /// When the engine can't run on this machine.
    pub fn new(cache: Cache, interrupt: Interrupt) -> Result<Self, SandboxError> {
        Ok(Self {
            engine: super::engine::ticking()?,
            cache,
            interrupt,
            pure_deadline: PURE,
            loaded: Mutex::default(),
        })
    }

    /// The same with another bound for pure calls.
    #[must_use]
    pub fn with_pure_deadline(mut self, deadline: Duration) -> Self {
        self.pure_deadline = deadline;
        self
    }

    /// Compiled code of a component, from the cache when it was ever compiled here.
    ///
    /// # Errors
    /// When it is no component, breaks a bound, or can't be compiled.
    pub fn component(
        &self,
        plugin: &str,
        sha256: &str,
        bytes: &[u8],
        origin: Origin,
    ) -> Result<Component, SandboxError> {
        let known = self
            .loaded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(sha256)
            .cloned();
        if let Some(component) = known {
            return Ok(component);
        }
        if origin == Origin::ThirdParty {
            prescan::check(plugin, bytes)?;
        }
        let component = self
            .cache
            .load(&self.engine, plugin, sha256, bytes, origin)?;
        self.loaded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(sha256.to_owned(), component.clone());
        Ok(component)
    }

    /// What a component exports and imports.
    pub fn surface(&self, component: &Component) -> Surface {
        Surface::of(&self.engine, component)
    }

    /// Checks and links a component for a role; nothing of it has run when this returns.
    ///
    /// # Errors
    /// When it asks for more than its role or `granted` allow.
    pub fn link(
        &self,
        plugin: &str,
        component: &Component,
        role: Role,
        granted: &[&str],
    ) -> Result<Loaded, SandboxError> {
        linker::check(plugin, role, &self.surface(component), granted)?;
        let linker = linker::link(&self.engine, plugin, component, role, granted)?;
        let pre = linker
            .instantiate_pre(component)
            .map_err(|error| SandboxError::Mismatch {
                plugin: plugin.to_owned(),
                why: words(&error),
            })?;
        Ok(Loaded {
            name: plugin.to_owned(),
            role,
            pre,
        })
    }

    /// Asks a renderer which facts it needs.
    ///
    /// # Errors
    /// When the component is stopped or crashes; findings about the manifest are the inner result.
    pub async fn needs(
        &self,
        plugin: &Loaded,
        session: Arc<Session>,
        input: RendererInput,
    ) -> Result<Result<Vec<Need>, Vec<Diagnostic>>, SandboxError> {
        pure!(self, plugin, session, "needs": RendererPluginPre, plimsoll_deploy_renderer.call_needs(&input))
    }

    /// Renders.
    ///
    /// # Errors
    /// When the component is stopped or crashes; findings about the manifest are the inner result.
    pub async fn render(
        &self,
        plugin: &Loaded,
        session: Arc<Session>,
        input: RendererInput,
    ) -> Result<Result<Output, Vec<Diagnostic>>, SandboxError> {
        pure!(self, plugin, session, "render": RendererPluginPre, plimsoll_deploy_renderer.call_render(&input))
    }

    /// Compares.
    ///
    /// # Errors
    /// When the component is stopped or crashes; findings about the documents are the inner result.
    pub async fn diff(
        &self,
        plugin: &Loaded,
        session: Arc<Session>,
        input: DifferInput,
    ) -> Result<Result<Difference, Vec<Diagnostic>>, SandboxError> {
        pure!(self, plugin, session, "diff": DifferPluginPre, plimsoll_deploy_differ.call_diff(&input))
    }

    /// Judges.
    ///
    /// # Errors
    /// When the component is stopped or crashes: a policy that can't answer stops the deploy.
    pub async fn check(
        &self,
        plugin: &Loaded,
        session: Arc<Session>,
        input: PolicyInput,
    ) -> Result<Vec<Violation>, SandboxError> {
        pure!(self, plugin, session, "check": PolicyPluginPre, plimsoll_deploy_policy.call_check(&input))
    }

    /// Observes.
    ///
    /// # Errors
    /// When the component is stopped or crashes; its own failure is the inner result.
    pub async fn observe(
        &self,
        plugin: &Loaded,
        session: Arc<Session>,
        context: Context,
        desired: Vec<Document>,
    ) -> Result<Result<Vec<Document>, Failure>, SandboxError> {
        driven!(self, plugin, session, READING, "observe": call_observe(context, desired))
    }

    /// Plans.
    ///
    /// # Errors
    /// When the component is stopped or crashes; its own failure is the inner result.
    pub async fn plan(
        &self,
        plugin: &Loaded,
        session: Arc<Session>,
        context: Context,
        observed: Vec<Document>,
        desired: Vec<Document>,
        changes: Vec<Change>,
    ) -> Result<Result<Proposal, Failure>, SandboxError> {
        driven!(self, plugin, session, READING, "plan": call_plan(context, observed, desired, changes))
    }

    /// Applies.
    ///
    /// # Errors
    /// When the component is stopped or crashes; its own failure is the inner result.
    pub async fn apply(
        &self,
        plugin: &Loaded,
        session: Arc<Session>,
        context: Context,
        desired: Vec<Document>,
        steps: Vec<Step>,
    ) -> Result<Result<Outcome, Failure>, SandboxError> {
        driven!(self, plugin, session, APPLYING, "apply": call_apply(context, desired, steps))
    }

    /// Looks.
    ///
    /// # Errors
    /// When the component is stopped or crashes; its own failure is the inner result.
    pub async fn show(
        &self,
        plugin: &Loaded,
        session: Arc<Session>,
        context: Context,
        desired: Vec<Document>,
    ) -> Result<Result<Vec<Report>, Failure>, SandboxError> {
        driven!(self, plugin, session, READING, "show": call_show(context, desired))
    }

    /// One call in one store. The deadline stands outside `run_concurrent`, where alone it fires
    /// (`wasm-host.md` A1.1). A driver that is interrupted while it waits is given time to hand back what it
    /// holds: its imports answer `cancelled`; only one that spins is stopped at once.
    async fn run<T>(
        &self,
        plugin: &Loaded,
        session: Arc<Session>,
        function: &str,
        deadline: Duration,
        body: impl AsyncFnOnce(&mut Store<State>, InstancePre<State>) -> wasmtime::Result<T>,
    ) -> Result<T, SandboxError> {
        let bounds = Bounds {
            deadline,
            interrupted: self.interrupt.stop_flag(),
        };
        let (mut store, tail) = store::fresh(&self.engine, session, &bounds);
        let stopped = tokio::select! {
            result = body(&mut store, plugin.pre.clone()) => match result {
                Ok(value) => return Ok(value),
                Err(error) => stopped(&error, self.interrupt.level() == Level::Stop),
            },
            () = tokio::time::sleep(deadline) => Stopped::Deadline,
            () = self.interrupt.reached(Level::Stop) => Stopped::Interrupted,
        };
        let (plugin, function, tail) = (plugin.name.clone(), function.to_owned(), tail.text());
        Err(match stopped {
            Stopped::Deadline => SandboxError::Deadline {
                plugin,
                function,
                seconds: deadline.as_secs_f32(),
                tail,
            },
            Stopped::Interrupted => SandboxError::Interrupted { plugin, function },
            Stopped::Limit(limit) => SandboxError::Limit {
                plugin,
                function,
                limit,
                tail,
            },
            Stopped::Trap(why) => SandboxError::Trap {
                plugin,
                function,
                why,
                tail,
            },
        })
    }
}
