//! The code of the Lambda functions in workload stacks: its text, its archives, their keys, and when a deployed function gets it.
//!
//! What a function does stands in `functions/`, JavaScript without dependencies but the AWS SDK that Lambda brings. Pure: who
//! uploads an archive is the host's matter.

/// Which functions each type of workload has.
mod function;
/// The digests of all archives that ever left this project.
mod published;
/// A function that is deployed already.
mod replace;
/// ZIP archives without compression.
mod zip;

pub use function::{Archive, Function, RUNTIME, functions, named_in};
pub use replace::Deployed;
