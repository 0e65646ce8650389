//! The little of WASI that a Rust component's standard library touches without being asked. No files, no sockets,
//! no real clock, no real randomness: what else a component imports of WASI is linked to a trap that says so.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, HasData, Linker, ResourceTable, ResourceType};
use wasmtime::{Engine, Result};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::p2::bindings::{cli, clocks, io, random};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable};
use wasmtime_wasi::random::WasiRandom;

use super::store::State;

struct Io;

impl HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}

/// Interfaces that are linked for real, with nothing behind them.
pub(crate) const LINKED: &[&str] = &[
    "wasi:io/",
    "wasi:cli/environment@",
    "wasi:cli/exit@",
    "wasi:cli/stdin@",
    "wasi:cli/stdout@",
    "wasi:cli/stderr@",
    "wasi:cli/terminal-",
    "wasi:clocks/wall-clock@",
    "wasi:clocks/monotonic-clock@",
    "wasi:random/insecure-seed@",
];

/// Links them.
pub(crate) fn link(linker: &mut Linker<State>) -> Result<()> {
    io::error::add_to_linker::<_, Io>(linker, |state| state.ctx().table)?;
    io::poll::add_to_linker::<_, Io>(linker, |state| state.ctx().table)?;
    io::streams::add_to_linker::<_, Io>(linker, |state| state.ctx().table)?;
    cli::environment::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::exit::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::stdin::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::stdout::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::stderr::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    clocks::wall_clock::add_to_linker::<_, WasiClocks>(linker, State::clocks)?;
    clocks::monotonic_clock::add_to_linker::<_, WasiClocks>(linker, State::clocks)?;
    random::insecure_seed::add_to_linker::<_, WasiRandom>(linker, |state| {
        state.ctx().ctx.random()
    })?;
    Ok(())
}

/// Links every other WASI interface that `component` imports to a trap with a readable message.
///
/// wasmtime's `define_unknown_imports_as_traps` would define `wasi:cli/stderr@0.2.6` beside the compatible
/// `@0.2.12` that is linked, and win over it: panic messages would vanish (`wasm-host.md` A1.10).
pub(crate) fn deny_rest(
    linker: &mut Linker<State>,
    engine: &Engine,
    component: &Component,
) -> Result<()> {
    for (name, import) in component.component_type().imports(engine) {
        let denied =
            name.starts_with("wasi:") && !LINKED.iter().any(|linked| name.starts_with(linked));
        let ComponentItem::ComponentInstance(instance) = import.ty else {
            continue;
        };
        if !denied {
            continue;
        }
        let mut target = linker.instance(name)?;
        for (item, export) in instance.exports(engine) {
            match export.ty {
                ComponentItem::ComponentFunc(_) => {
                    let message = format!(
                        "plugins have no {name} ({item}); use the plimsoll:deploy interfaces"
                    );
                    target.func_new(item, move |_, _, _, _| wasmtime::bail!("{message}"))?;
                }
                // An interface re-exports the resources it uses: these must be the types wasi:io is linked with.
                ComponentItem::Resource(_) => target.resource(
                    item,
                    match item {
                        "input-stream" => ResourceType::host::<DynInputStream>(),
                        "output-stream" => ResourceType::host::<DynOutputStream>(),
                        "pollable" => ResourceType::host::<DynPollable>(),
                        "error" => ResourceType::host::<wasmtime::Error>(),
                        _ => ResourceType::host::<()>(),
                    },
                    |_, _| Ok(()),
                )?,
                ComponentItem::CoreFunc(_)
                | ComponentItem::Module(_)
                | ComponentItem::Component(_)
                | ComponentItem::ComponentInstance(_)
                | ComponentItem::Type(_) => {}
            }
        }
    }
    Ok(())
}
