//! Components with a name, a digest and grants: the bundle's, and those that `plimsoll.yml` names.
//!
//! * [`configuration`] reads `plimsoll.yml`.
//! * [`lockfile`] reads and writes `plimsoll.lock`.
//! * [`select`] says which component does what in this project.

pub mod configuration;
pub mod lockfile;
pub mod select;

pub use select::{Plugin, Plugins, SelectError};
