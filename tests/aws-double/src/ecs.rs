//! ECS: services of stacks whose tasks start, fail and are replaced as time goes by.

mod api;
mod rollout;
mod state;
mod trouble;

pub(crate) use api::{answer, tagged};
pub(crate) use rollout::{deploy, settled};
pub(crate) use state::{Breaker, Service, State};
