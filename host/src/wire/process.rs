//! Waiting for programs of this machine.

use std::future::Future;
use std::sync::mpsc;

/// Waits for what a program of this machine does. It takes real time, whatever the runtime's clock shows: a thread
/// that waits too says so, and a simulated clock (`tests/conformance`) stands still until it has ended.
pub(super) async fn outside<T>(work: impl Future<Output = T>) -> T {
    let (working, ended) = mpsc::channel::<()>();
    // It ends with `working`, also when nobody waits for the program any longer.
    tokio::task::spawn_blocking(move || ended.recv().is_err());
    let result = work.await;
    drop(working);
    result
}
