//! The lab does what it says, with real servers.

#![expect(clippy::unwrap_used, reason = "a test that can't go on panics")]

mod registry;
mod servers;
mod switch;
