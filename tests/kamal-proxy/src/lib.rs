//! A small kamal-proxy for tests: the same commands and the same promises, where the real image can't be pulled.
//!
//! It routes HTTP/1.1, checks health before it switches, switches between two requests, lets the old target finish, and keeps its state.
//! Beyond the real one it logs when each request arrived and was complete, and at which target, so that a test can prove that nothing was
//! dropped. It takes every flag Kamal sends. What it takes and leaves out: it does not listen with TLS, does not collect bodies in a buffer
//! (they stream; the limit on requests holds), and serves no metrics.

pub mod body;
pub mod command;
pub mod control;
pub mod duration;
pub mod flags;
pub mod forward;
pub mod health;
pub mod log;
pub mod names;
pub mod options;
pub mod respond;
pub mod router;
pub mod server;
pub mod state;
pub mod target;
