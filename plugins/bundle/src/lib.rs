//! The default components, embedded as WebAssembly. They are ordinary: the host treats them as it treats anybody's.

/// One component of the bundle.
#[derive(Clone, Copy, Debug)]
pub struct Component {
    /// Name of the plugin.
    pub name: &'static str,
    /// `renderer`, `differ`, `policy` or `driver`.
    pub role: &'static str,
    /// `ecs`, `ssh`, or `any`.
    pub target: &'static str,
    /// Digest of `bytes`, in hexadecimal.
    pub sha256: &'static str,
    /// The component.
    pub bytes: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/components.rs"));
