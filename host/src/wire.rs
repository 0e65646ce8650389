//! What touches the world: real clients for SSH, the Docker Engine, registries and git.
//!
//! Nothing here knows about plans, grants or components. The capability layer above decides whether a call may be made
//! and writes it down; these modules make it, with a bounded wait, and say what went wrong in words that name the cure.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the fences keep these inside this module"
)]

pub mod aws;
pub mod build;
pub mod context;
pub mod docker;
pub mod error;
pub mod git;
pub mod hidden;
pub mod hook;
pub mod network;
pub mod pack;
pub mod place;
mod process;
pub mod registry;
pub mod shell;
pub mod ssh;

pub use docker::Engine;
pub use error::{Refusal, WireError};
pub use hidden::Hidden;
pub use place::{Command, ExecOutput, Place};
pub use registry::Credentials;
pub use ssh::{Ssh, SshConfig, Target};
