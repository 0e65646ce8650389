//! Deploys Copilot's workloads as Copilot does: a change set of one CloudFormation stack, watched to its end. Decide,
//! then do: everything is worked out by pure functions, and what touches AWS carries out promised calls.
//!
//! * [`deployment`]: the documents to deploy, and what was asked.
//! * [`template`]: the little of a template that a deploy must know.
//! * [`observed`]: what is deployed, in the shape of the desired documents.
//! * [`stack`]: what can be done with a stack in each of its states.
//! * [`version`]: which of two template versions is newer.
//! * [`call`]: the mutating calls, promised and made.
//! * [`plan`](mod@plan): from state and documents to steps.
//! * [`tree`]: a stack under way, as a tree of resources.
//! * [`rollout`]: an ECS service under way, as tables.
//! * [`cause`]: why something failed, and what to do about it.
//! * [`patience`]: how long to wait between looks.
//!
//! `component`, in WebAssembly only, joins these to the host.

pub mod call;
pub mod cause;
pub mod deployment;
pub mod observed;
pub mod patience;
pub mod plan;
pub mod rollout;
pub mod stack;
pub mod template;
pub mod tree;
pub mod version;

#[cfg(target_family = "wasm")]
mod component;
