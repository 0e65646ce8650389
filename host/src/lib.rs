//! plimsoll deploys containers to people's own servers (and, from issue 4 on, to AWS ECS). What decides runs as
//! components in a sandbox; this crate is the host that alone holds the powers.
//!
//! The layers, from the top; each may use those below it (held by `tests/all/layering.rs`):
//!
//! * [`cli`]: the command line.
//! * [`pipeline`]: the stages of a deploy, in order.
//! * [`plugin`]: components with a name, a digest and grants.
//! * [`sandbox`]: runs components with what they were granted.
//! * [`capability`]: what their imports do: scope, plan, journal.
//! * [`report`]: shows what happens.
//! * [`manifest`]: the user's files; [`grant`]: what the user allows; [`wire`]: real clients of the world.
//! * [`plan`]: what would be done, as values.
//! * [`interrupt`], [`secret`], [`wit`]: used by all.

pub mod capability;
pub mod cli;
pub mod grant;
pub mod interrupt;
pub mod manifest;
pub mod pipeline;
pub mod plan;
pub mod plugin;
pub mod report;
pub mod sandbox;
pub mod secret;
pub mod wire;
pub mod wit;
