//! The project as its author wrote it: found, read, templates resolved, and the few facts that powers are derived from.
//!
//! Whether the manifest makes sense is the renderer's to say, inside the sandbox; this layer only finds it and reads
//! what the host itself must know. `read`, `placed`, and `copilot` with what is below it, are the only files
//! here that touch the file system.

pub mod commands;
mod contract;
pub mod copilot;
pub mod diagnostic;
pub mod erb;
pub mod error;
pub mod kamal;
pub mod origin;
pub mod placed;
pub mod project;
pub mod read;
pub mod tree;

pub use diagnostic::{Diagnostic, Position, Severity, nearest, render_diagnostic};
pub use error::ManifestError;
pub use kamal::Envelope;
pub use placed::PlacedFiles;
pub use project::{ConfigurationFile, Flavour, Hook, ManifestFile, Project};
pub use read::{FindError, Outside};
