//! Everything real that plimsoll is tried on: servers with sshd and a Docker Engine, a registry they trust, a proxy, a sample project.
//!
//! Tests use it as a library (`Lab::up(2)`), people as `cargo lab`. It asks for Rust, a C linker, git and root (or sudo) on Debian or Ubuntu,
//! and installs the rest. Servers are containers on this machine's own Docker Engine; what they share lives in [`state`].

pub mod aws;
pub mod bench;
pub mod cargo;
pub mod certificate;
pub mod checks;
pub mod clean;
pub mod command;
pub mod delay;
pub mod demo;
pub mod engine;
pub mod error;
pub mod host;
pub mod http;
pub mod image;
pub mod node;
pub mod prober;
pub mod process;
pub mod proxy_stand_in;
pub mod python;
pub mod registry;
pub mod report;
pub mod sample;
pub mod servers;
pub mod setup;
pub mod state;
pub mod templates;
pub mod toolbox;

pub use engine::Engine;
pub use error::LabError;
pub use host::Host;
pub use registry::Registry;
pub use servers::Lab;
