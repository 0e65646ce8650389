//! State and limits of one component call. Every call gets a fresh store: nothing outlives it.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store, StoreLimits, StoreLimitsBuilder, UpdateDeadline};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::{
    HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView,
};

use crate::capability::{Session, View};

/// Linear memory of a component.
pub const MEMORY_BYTES: usize = 256 << 20;
/// Bytes that may cross the border in one direction of one call.
pub const COPY_BYTES: usize = 32 << 20;
/// Resource handles of one call.
const HANDLES: usize = 1000;
/// What is kept of a component's output.
const TAIL_BYTES: usize = 8 << 10;

/// What a component's imports work on.
pub struct State {
    pub(crate) wasi: WasiCtx,
    pub(crate) table: ResourceTable,
    limits: StoreLimits,
    /// The powers of this call; pure roles have a session that grants nothing.
    pub(crate) session: Arc<Session>,
}

impl State {
    /// What our interfaces work on.
    pub(crate) fn view(&mut self) -> View<'_> {
        View {
            table: &mut self.table,
            session: &self.session,
        }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// The last bytes a component printed. Never blocks and never fails, so a component can neither stall nor fill
/// the host by printing.
#[derive(Clone, Default)]
pub struct Tail(Arc<Mutex<VecDeque<u8>>>);

impl Tail {
    /// What is there, without control characters that could drive a terminal.
    pub fn text(&self) -> String {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(bytes.make_contiguous()).into_owned();
        crate::plan::printable(text.trim_end())
    }
}

impl IsTerminal for Tail {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Tail {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl tokio::io::AsyncWrite for Tail {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(bytes);
        let over = kept.len().saturating_sub(TAIL_BYTES);
        kept.drain(..over);
        Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A clock that stands still: a component renders the same today and tomorrow.
struct Frozen;

impl HostWallClock for Frozen {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }
    fn now(&self) -> Duration {
        Duration::from_secs(1_700_000_000)
    }
}

impl HostMonotonicClock for Frozen {
    fn resolution(&self) -> u64 {
        1
    }
    fn now(&self) -> u64 {
        0
    }
}

/// Bounds of one call.
#[derive(Clone)]
pub struct Bounds {
    /// Longest time on the clock on the wall.
    pub deadline: Duration,
    /// Set by Ctrl-C: stops the component at its next instruction.
    pub interrupted: Arc<AtomicBool>,
}

/// A fresh store, and the tail of what the component prints.
pub(crate) fn fresh(
    engine: &Engine,
    session: Arc<Session>,
    bounds: &Bounds,
) -> (Store<State>, Tail) {
    let tail = Tail::default();
    let wasi = WasiCtxBuilder::new()
        .stdout(tail.clone())
        .stderr(tail.clone())
        .insecure_random_seed(0)
        .wall_clock(Frozen)
        .monotonic_clock(Frozen)
        .max_random_size(4096)
        .build();
    let mut table = ResourceTable::new();
    table.set_max_capacity(HANDLES);
    let limits = StoreLimitsBuilder::new()
        .memory_size(MEMORY_BYTES)
        .table_elements(50_000)
        .instances(30)
        .tables(30)
        .memories(4)
        .trap_on_grow_failure(true)
        .build();
    let mut store = Store::new(
        engine,
        State {
            wasi,
            table,
            limits,
            session,
        },
    );
    store.limiter(|state| &mut state.limits);
    store.set_hostcall_fuel(COPY_BYTES);
    store.set_max_component_handles(HANDLES);
    let end = Instant::now() + bounds.deadline;
    let interrupted = bounds.interrupted.clone();
    store.set_epoch_deadline(1);
    // Yielding at every tick lets the runtime see timeouts and Ctrl-C while a component spins.
    store.epoch_deadline_callback(move |_| {
        let stop = interrupted.load(Ordering::Relaxed) || Instant::now() > end;
        Ok(if stop {
            UpdateDeadline::Interrupt
        } else {
            UpdateDeadline::Yield(1)
        })
    });
    (store, tail)
}
