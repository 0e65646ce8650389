//! AWS, through the unmodified SDK: where credentials, region and endpoints come from is the SDK's own configuration.
//!
//! * [`session`]: who calls, from where, and as which role.
//! * [`error`]: what AWS refused, and the cure.
//! * a file for each service: what plimsoll asks of it.

pub mod error;
pub mod session;
pub mod sts;

pub use error::{AwsError, Why};
pub use session::Session;
