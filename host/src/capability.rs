//! The privileged side: what a component's imports do. Each mutating call passes four gates: the import itself
//! (linked or not, [`crate::sandbox::linker`]), the scope of the grants, the approved plan, and the budget. Then it
//! is written to the journal, made in a task that outlives the component, and its result written down.
//!
//! Nothing here decides what to deploy.
//!
//! * [`run`]: what one run of plimsoll holds: hosts, secrets, slots, locks.
//! * [`session`]: the powers of one component call, and the gates.
//! * [`hosts`]: one connection a host.
//! * [`login`]: logins at registries.
//! * [`expand`]: what only a host's shell knows.
//! * [`options`]: a container's specification as the Engine takes it.
//! * [`journal`]: every privileged call, hash-chained.
//! * [`docker`], [`ssh`], [`lock`], [`hook`], [`aws`], [`interruption`], [`plain`] (log, progress, clock, secrets): the
//!   interfaces.

pub mod aws;
pub mod docker;
pub mod error;
pub mod expand;
pub mod hook;
pub mod hosts;
pub mod interruption;
pub mod journal;
pub mod lock;
pub mod login;
pub mod options;
pub mod plain;
pub mod run;
pub mod session;
pub mod ssh;

use std::sync::Arc;

use wasmtime::component::{HasData, ResourceTable};

pub use run::Run;
pub use session::{Session, Stage};

/// What the imports of one component call work on.
pub struct View<'a> {
    /// Its resources.
    pub table: &'a mut ResourceTable,
    /// Its powers.
    pub session: &'a Arc<Session>,
}

/// Marks the implementations of our interfaces.
pub struct Powers;

impl HasData for Powers {
    type Data<'a> = View<'a>;
}

/// Answer of an import: a trap only for what is the host's own fault.
pub(crate) type Answer<T> = wasmtime::Result<Result<T, crate::wit::types::CapError>>;

impl crate::wit::types::Host for View<'_> {}
