//! The release document: what `ssh-renderer` writes and `ssh-driver` reads.
//!
//! A renderer emits one [`Release`] at address `release`, one [`Role`] for every host and role at
//! `host/HOST/role/ROLE`, and one [`Proxy`] for every proxied host at `host/HOST/proxy`. The driver observes
//! the same addresses in the same shape, so that a differ can compare them key by key.
//!
//! * [`value`]: text with secrets and late-bound slots in it, by reference.
//! * [`document`]: the three documents.

pub mod document;
pub mod value;

pub use document::{
    Boot, Credentials, HookCall, Image, Lock, Log, Port, Proxy, Release, Role, Route,
};
pub use value::{Encoding, Part, Value};
