//! The documents. Keys that differ only by the version (container names, `KAMAL_VERSION`) are left out and derived by
//! the driver, so that a new version shows as one changed line.

pub mod accessory;
pub mod container;
pub mod proxy;
pub mod release;
pub mod role;

pub use accessory::{Accessory, Directory, PlacedFile};
pub use container::{Log, Port};
pub use proxy::{Proxy, Route, Tls};
pub use release::{
    Boot, Credentials, ErrorPage, ErrorPages, HookCall, Image, LocalRegistry, Lock, Release,
};
pub use role::{Assets, Role};

/// For `skip_serializing_if`: what is not there does not show in differences.
pub(crate) fn is_false(flag: &bool) -> bool {
    !flag
}
