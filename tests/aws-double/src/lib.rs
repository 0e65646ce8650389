//! An AWS on one machine, for unmodified clients: only the endpoint is configured.
//!
//! ```no_run
//! let double = aws_double::Double::start(aws_double::Options::default()).unwrap();
//! let mut plimsoll = std::process::Command::new("plimsoll");
//! plimsoll.envs(double.environment());
//! ```
//!
//! * [`double`]: starting and stopping one, and what tests ask of it.
//! * [`seed`]: Copilot applications, environments and services, as Copilot itself would have made them.
//! * [`rule`]: what goes wrong on purpose.
//! * [`record`]: every request there was.
//! * `server`, `control`: requests in, answers out; `wire` has the protocols.
//! * `cloudformation`, `ecs`, `sts`: `registry`, `balancer`, `lambda`: answered or done here. `moto`: all the rest.
//! * `world`: what there is.

mod balancer;
mod cloudformation;
pub mod command;
mod control;
pub mod double;
mod ecs;
mod id;
mod lambda;
mod moto;
mod policy;
pub mod record;
mod registry;
pub mod rule;
pub mod seed;
mod server;
mod sts;
mod wire;
mod world;

pub use double::{Double, Options};
pub use record::Request;
pub use rule::{Rule, Trouble};
