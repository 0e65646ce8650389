//! The proxy, in this process, between real sockets.

#![expect(clippy::unwrap_used, reason = "a test that can't go on panics")]

mod health;
mod passing;
mod routing;
mod support;
mod switching;
