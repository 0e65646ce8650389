//! What a component exports and imports, in words, without running it.

use std::fmt;

use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use super::wasi;

/// The package that all our interfaces belong to.
const PACKAGE: &str = "plimsoll:deploy/";

/// What a component is for: which world it was built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Manifest to documents.
    Renderer,
    /// Documents to changes.
    Differ,
    /// Documents to verdict.
    Policy,
    /// Observes, plans, applies.
    Driver,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Renderer, Self::Differ, Self::Policy, Self::Driver];

    /// As it is written in `plimsoll.yml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Renderer => "renderer",
            Self::Differ => "differ",
            Self::Policy => "policy",
            Self::Driver => "driver",
        }
    }

    /// Capabilities that a component of this role may import at all.
    pub fn capabilities(self) -> &'static [&'static str] {
        match self {
            Self::Renderer | Self::Differ | Self::Policy => &["log"],
            Self::Driver => &[
                "log",
                "progress",
                "clock",
                "interruption",
                "secrets",
                "docker",
                "ssh",
                "lock",
                "hook",
                "cloudformation",
                "s3",
                "ecs",
                "logs",
            ],
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Import {
    /// One of our capabilities: `docker`.
    Capability(String),
    /// A WASI interface with nothing behind it.
    Inert(String),
    /// A WASI interface that traps when it is used.
    Denied(String),
    /// Anything else: nothing of that name exists here.
    Unknown(String),
}

/// A component's surface.
#[derive(Clone, Debug)]
pub struct Surface {
    /// Names of our interfaces it exports: `renderer`.
    pub exports: Vec<String>,
    /// Its imports, in the order of the binary.
    pub imports: Vec<Import>,
}

impl Surface {
    /// Reads it.
    pub fn of(engine: &Engine, component: &Component) -> Self {
        let ty = component.component_type();
        let exports = ty
            .exports(engine)
            .map(|(name, _)| short(name).to_owned())
            .collect();
        let imports = ty
            .imports(engine)
            .filter_map(|(name, item)| {
                if let Some(rest) = name.strip_prefix(PACKAGE) {
                    let capability = rest.split('@').next().unwrap_or(rest);
                    // `types` holds records only; it carries no power.
                    return (capability != "types")
                        .then(|| Import::Capability(capability.to_owned()));
                }
                let known = matches!(item.ty, ComponentItem::ComponentInstance(_))
                    && name.starts_with("wasi:");
                Some(match known {
                    true if wasi::LINKED.iter().any(|linked| name.starts_with(linked)) => {
                        Import::Inert(name.to_owned())
                    }
                    true => Import::Denied(name.to_owned()),
                    false => Import::Unknown(name.to_owned()),
                })
            })
            .collect();
        Self { exports, imports }
    }

    /// The role it was built for, when it exports exactly one of ours.
    pub fn role(&self) -> Option<Role> {
        let mut roles = Role::ALL
            .into_iter()
            .filter(|role| self.exports.iter().any(|export| export == role.name()));
        let first = roles.next()?;
        roles.next().is_none().then_some(first)
    }

    /// Names of the capabilities it imports.
    pub fn capabilities(&self) -> impl Iterator<Item = &str> {
        self.imports.iter().filter_map(|import| match import {
            Import::Capability(name) => Some(name.as_str()),
            Import::Inert(_) | Import::Denied(_) | Import::Unknown(_) => None,
        })
    }
}

fn short(name: &str) -> &str {
    let name = name.strip_prefix(PACKAGE).unwrap_or(name);
    name.split('@').next().unwrap_or(name)
}

/// A capability in words, for people who decide whether to grant it.
pub fn in_words(capability: &str) -> &'static str {
    match capability {
        "log" => "write lines to the report",
        "progress" => "show progress",
        "clock" => "know the time and wait",
        "secrets" => "tell whether a secret changed (never its value)",
        "docker" => "work with containers and images of granted hosts",
        "ssh" => "run commands and write files on granted hosts",
        "lock" => "take the deploy lock",
        "hook" => "run this project's hooks",
        "interruption" => "hear what you want at Ctrl-C",
        "cloudformation" => "look at and change granted CloudFormation stacks",
        "s3" => "upload to granted keys of S3 buckets",
        "ecs" => "watch the services of granted stacks, and deploy them again",
        "logs" => "read granted log groups",
        _ => "unknown to this version of plimsoll",
    }
}

/// The part of `grants` that a capability is granted by.
pub fn granted_by(capability: &str) -> &str {
    match capability {
        "cloudformation" | "s3" | "ecs" | "logs" => "aws",
        other => other,
    }
}
