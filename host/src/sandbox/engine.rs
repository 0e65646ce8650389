//! The one engine configuration, and the ticker behind deadlines.

use std::time::Duration;

use wasmtime::{Config, Engine};

use super::error::{SandboxError, words};

/// How often a running component is looked at: deadlines and Ctrl-C act within this time.
pub const TICK: Duration = Duration::from_millis(10);

/// The configuration of every engine in every process: compiled code only loads where it was compiled with the
/// same one. What plimsoll does not need is off, which also shrinks what a hostile component can reach.
pub fn configuration() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .gc_support(false)
        .wasm_gc(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_relaxed_simd(false)
        .max_wasm_stack(512 << 10);
    config
}

/// An engine without a ticker, enough to look at components or to compile them.
///
/// # Errors
/// When the configuration does not suit this machine.
pub fn bare() -> Result<Engine, SandboxError> {
    Engine::new(&configuration()).map_err(|error| SandboxError::Engine(words(&error)))
}

/// An engine whose epoch moves every [`TICK`] until it is dropped.
///
/// # Errors
/// When the configuration does not suit this machine, or no thread can be started.
pub fn ticking() -> Result<Engine, SandboxError> {
    let engine = bare()?;
    let weak = engine.weak();
    std::thread::Builder::new()
        .name("epoch".to_owned())
        .spawn(move || {
            while let Some(engine) = weak.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        })
        .map_err(|error| SandboxError::Engine(error.to_string()))?;
    Ok(engine)
}
