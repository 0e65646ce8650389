//! Role and grants to imports: the whole table of what may be linked to what.

use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use super::error::{SandboxError, words};
use super::inspect::{Import, Role, Surface};
use super::store::State;
use super::wasi;
use crate::capability::Powers;
use crate::wit::{
    clock, cloudformation, docker, ecs, hook, interruption, lock, log, logs, progress, s3, secrets,
    ssh, types,
};

/// Says in words what a component asks for and may not have; wasmtime's own message for it is unreadable
/// ("resource implementation is missing").
///
/// # Errors
/// `Import` for a capability its role never has, that is not granted, or that does not exist; `WrongRole` when it
/// was not built for `role`.
pub fn check(
    plugin: &str,
    role: Role,
    surface: &Surface,
    granted: &[&str],
) -> Result<(), SandboxError> {
    if surface.role() != Some(role) {
        let exports = if surface.exports.is_empty() {
            "nothing".to_owned()
        } else {
            surface.exports.join(", ")
        };
        return Err(SandboxError::WrongRole {
            plugin: plugin.to_owned(),
            role,
            exports,
        });
    }
    let refuse = |why: String, cure: String| {
        Err(SandboxError::Import {
            plugin: plugin.to_owned(),
            why,
            cure,
        })
    };
    for import in &surface.imports {
        match import {
            Import::Capability(name) if !Role::Driver.capabilities().contains(&name.as_str()) => {
                return refuse(
                    format!("it imports `{name}`, which this version of plimsoll does not have"),
                    "use a version of the plugin that was built for this plimsoll".to_owned(),
                );
            }
            Import::Capability(name) if !role.capabilities().contains(&name.as_str()) => {
                return refuse(
                    format!(
                        "it imports `{name}` ({}), and a {role} may import no power but `log`",
                        super::inspect::in_words(name)
                    ),
                    format!(
                        "the fault is the plugin's: a {role} decides and does nothing; only a driver may import `{name}`"
                    ),
                );
            }
            Import::Capability(name) if !granted.contains(&name.as_str()) => {
                return refuse(
                    format!(
                        "it imports `{name}` ({}), which is not granted",
                        super::inspect::in_words(name)
                    ),
                    format!(
                        "if you trust it with that, add to plimsoll.yml: plugins.{plugin}.grants.{}",
                        super::inspect::granted_by(name)
                    ),
                );
            }
            Import::Unknown(name) => {
                return refuse(
                    format!("it imports `{name}`, and nothing of that name exists here"),
                    "the fault is the plugin's: it may import plimsoll:deploy and wasi interfaces only".to_owned(),
                );
            }
            Import::Capability(_) | Import::Inert(_) | Import::Denied(_) => {}
        }
    }
    Ok(())
}

/// A linker with exactly what `role` may import and `granted` names.
///
/// # Errors
/// `Mismatch` when wasmtime refuses a definition.
pub fn link(
    engine: &Engine,
    plugin: &str,
    component: &Component,
    role: Role,
    granted: &[&str],
) -> Result<Linker<State>, SandboxError> {
    let mut linker = Linker::new(engine);
    let mismatch = |error: wasmtime::Error| SandboxError::Mismatch {
        plugin: plugin.to_owned(),
        why: words(&error),
    };
    wasi::link(&mut linker).map_err(mismatch)?;
    wasi::deny_rest(&mut linker, engine, component).map_err(mismatch)?;
    types::add_to_linker::<_, Powers>(&mut linker, State::view).map_err(mismatch)?;
    for capability in role
        .capabilities()
        .iter()
        .filter(|capability| granted.contains(capability))
    {
        match *capability {
            "log" => log::add_to_linker::<_, Powers>(&mut linker, State::view),
            "progress" => progress::add_to_linker::<_, Powers>(&mut linker, State::view),
            "clock" => clock::add_to_linker::<_, Powers>(&mut linker, State::view),
            "secrets" => secrets::add_to_linker::<_, Powers>(&mut linker, State::view),
            "docker" => docker::add_to_linker::<_, Powers>(&mut linker, State::view),
            "ssh" => ssh::add_to_linker::<_, Powers>(&mut linker, State::view),
            "lock" => lock::add_to_linker::<_, Powers>(&mut linker, State::view),
            "hook" => hook::add_to_linker::<_, Powers>(&mut linker, State::view),
            "interruption" => interruption::add_to_linker::<_, Powers>(&mut linker, State::view),
            "cloudformation" => {
                cloudformation::add_to_linker::<_, Powers>(&mut linker, State::view)
            }
            "s3" => s3::add_to_linker::<_, Powers>(&mut linker, State::view),
            "ecs" => ecs::add_to_linker::<_, Powers>(&mut linker, State::view),
            "logs" => logs::add_to_linker::<_, Powers>(&mut linker, State::view),
            _ => Ok(()),
        }
        .map_err(mismatch)?;
    }
    Ok(linker)
}
