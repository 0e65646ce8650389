//! Renders a Kamal configuration into release documents: a pure function from text to documents and findings.
//!
//! * [`yaml`]: text to a tree with places, as Kamal's YAML reader sees it.
//! * [`schema`]: which keys there are and what their values may be.
//! * [`command`]: what the user asked for.
//! * [`config`]: the configuration, its rules, its defaults.
//! * [`selection`]: hosts and roles of this deploy; [`glob`] matches their patterns.
//! * [`shell`]: what Kamal's values become on their way through the remote shell.
//! * [`options`]: the command line and facts; [`secret`]: the names of secrets.
//! * [`render`](mod@render): the documents, images and hooks.
//! * [`diagnostic`]: what is wrong, where, and the cure.

pub mod command;
pub mod config;
pub mod diagnostic;
pub mod glob;
pub mod options;
pub mod render;
pub mod schema;
pub mod secret;
pub mod selection;
pub mod shell;
pub mod version;
pub mod yaml;

#[cfg(target_family = "wasm")]
mod component;

pub use render::{Input, Output, needs, render};
