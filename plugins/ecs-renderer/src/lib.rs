//! Copilot manifests become CloudFormation templates: a pure function of the manifest, its addons and overrides, and the facts.
//!
//! [`package()`] is the whole of it. Everything about a manifest field (what it may hold, what is refused, what it becomes)
//! stands in the file named after the section.

/// Templates as data, their text, and where each property came from.
pub mod cfn;
/// Findings with places and cures.
pub mod diagnostic;
/// Go's durations.
pub mod duration;
/// What would come from AWS.
pub mod facts;
/// `${NAME}`.
pub mod interpolate;
/// The manifest with its environment applied.
pub mod manifest;
/// What to look up before rendering.
pub mod needs;
/// An environment's section over the base.
pub mod overlay;
/// The whole render.
pub mod package;
/// YAML patches, and what a project file is.
pub mod patches;
/// What fields may hold.
pub mod schema;
/// YAML with places.
pub mod yaml;

// One file for each workload type.
mod backend_service;
mod load_balanced_web_service;
mod request_driven_web_service;
mod scheduled_job;
mod static_site;
mod worker_service;

// One file for each manifest section.
mod addons;
mod alias;
mod container;
mod count;
mod deployment;
mod http;
mod image;
mod logging;
mod network;
mod nlb;
mod observability;
mod platform;
mod publish;
mod schedule;
mod sidecar;
mod storage;
mod subscribe;
mod taskdef_overrides;
mod variables;

// What sections share.
mod custom_resource;
mod deployed;
mod environment;
mod handover;
mod iam;
mod ports;
mod scope;
mod service;
mod stack;
mod task;

pub use diagnostic::{Diagnostic, Place, Severity};
pub use facts::Facts;
pub use image::Build;
pub use package::{ContainerImage, EnvFile, Package, Request, SiteFile, package};
pub use patches::File;

#[cfg(target_family = "wasm")]
mod component;
