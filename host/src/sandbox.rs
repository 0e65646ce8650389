//! Runs components: loads them without compiling, links what their role and grants allow, calls them with bounds.
//!
//! It opens no socket, file or process for a component; powers are in [`crate::capability`].
//!
//! * [`engine`]: the one engine configuration and the ticker behind deadlines.
//! * [`aot`]: compiled code from a private cache; compilation only in a child process.
//! * [`prescan`]: what is refused before it is compiled.
//! * [`inspect`]: what a component exports and imports, in words.
//! * [`wasi`]: the little of WASI that a Rust component's standard library touches.
//! * [`store`]: state and limits of one call.
//! * [`linker`]: role and grants to imports.
//! * [`call`]: the calls, one fresh store each.
//! * [`error`]: refusals, traps and limits in words, with whose fault it is.

pub mod aot;
pub mod call;
pub mod engine;
pub mod error;
pub mod inspect;
pub mod linker;
pub mod prescan;
pub mod store;
pub mod wasi;

pub use call::{Loaded, Sandbox};
pub use error::SandboxError;
pub use inspect::Role;
