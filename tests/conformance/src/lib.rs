//! Runs recorded Kamal cases through the pipeline of plimsoll, against servers in the same process that speak the real
//! protocols, and prints in Kamal's normal form what those servers saw. It is told nothing of expected results.
//!
//! The parent sets cases up and starts a process for each ([`batch`], [`stage`]). In that process ([`inside`]) the
//! command line of plimsoll runs on a simulated clock and a simulated network:
//!
//! * [`network`]: every address leads to a simulated host; there is nothing else.
//! * [`sshd`], [`shell`], [`engine`], [`registry`]: what answers there.
//! * [`world`]: the hosts' state and the log of what was done to them.
//! * [`normal`]: the log in Kamal's normal form; [`given`]: what only the project itself can tell.
//! * [`config`], [`text`]: the other two parts of the set.
//! * [`trips`]: how often a deploy waits for servers that are far away.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "its output is what it is for"
)]

pub mod batch;
pub mod case;
pub mod config;
pub mod engine;
pub mod given;
pub mod inside;
pub mod network;
pub mod normal;
pub mod prior;
pub mod registry;
pub mod shell;
pub mod sshd;
pub mod stage;
pub mod text;
pub mod trips;
pub mod world;
