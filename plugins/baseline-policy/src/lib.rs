//! What every deploy is told of, and stopped for where the project says so (`settings: {strict: true}`); and an example of
//! a policy: pure functions from documents to findings.
//!
//! * [`check`]: all rules over all documents.
//! * [`content`]: what documents of either target say about containers.
//! * [`image`]: image references.
//! * [`secret`]: what looks like a secret in plain text.
//! * [`settings`]: whether a project is strict about them.
//!
//! `component`, in WebAssembly only, joins these to the host.

pub mod check;
pub mod content;
pub mod image;
pub mod secret;
pub mod settings;

#[cfg(target_family = "wasm")]
mod component;
