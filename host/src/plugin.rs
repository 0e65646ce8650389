//! Components with a name, a digest and grants: the bundle's, and those that `plimsoll.yml` names.
//!
//! * [`configuration`]: `plimsoll.yml`.
//! * [`lockfile`]: `plimsoll.lock`.
//! * [`select`]: which component does what in this project.

pub mod configuration;
pub mod lockfile;
pub mod select;

pub use select::{Plugin, Plugins, SelectError};
