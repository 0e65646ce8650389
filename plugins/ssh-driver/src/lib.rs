//! Deploys to Docker Engines as Kamal does. Decide, then do: everything is worked out by pure functions, and what
//! touches the world carries out promised calls and makes no choices but those a plan can't know.
//!
//! * [`request`]: what the user asked for, and the options of every command.
//! * [`desired`]: the documents to deploy.
//! * [`look`]: what has to be known for a request.
//! * [`facts`]: what is on a host, as far as a plan depends on it.
//! * [`observed`]: what is there, in the words of the desired documents.
//! * [`call`]: the mutating calls, promised and made.
//! * [`step`]: what a plan is made of.
//! * [`plan`](mod@plan): from facts and documents to steps.
//! * [`readiness`]: when a container without a proxy is ready.
//! * [`gate`]: other roles wait for the primary one.
//! * [`places`]: how many calls are in flight.
//! * [`show`]: tables and lines, for requests that only look.
//! * [`aftermath`]: what hosts are left with after a failure.
//!
//! `component`, in WebAssembly only, joins these to the host.

pub mod aftermath;
pub mod call;
pub mod desired;
pub mod facts;
pub mod gate;
pub mod look;
pub mod observed;
pub mod places;
pub mod plan;
pub mod readiness;
pub mod request;
pub mod show;
pub mod step;

#[cfg(target_family = "wasm")]
mod component;
