//! The release documents: what `ssh-renderer` writes and `ssh-driver` reads.
//!
//! A renderer emits one [`Release`] at address `release` and, as far as the command has to do with them, one [`Role`]
//! for every host and role at `host/HOST/role/ROLE`, one [`Proxy`] for every proxied host at `host/HOST/proxy` and one
//! [`Accessory`] for every host and accessory at `host/HOST/accessory/NAME`. The driver observes the same addresses in
//! the same shape, so that a differ can compare them key by key.
//!
//! * [`value`]: text with secrets, slots, files and the server's own variables in it, by reference.
//! * [`document`]: the documents.

pub mod document;
pub mod value;

pub use document::{
    Accessory, Assets, Boot, Credentials, Directory, ErrorPage, ErrorPages, HookCall, Image,
    LocalRegistry, Lock, Log, PlacedFile, Port, Proxy, Release, Role, Route, Tls,
};
pub use value::{Encoding, Expansion, FileRef, Part, Value};
