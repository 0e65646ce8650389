//! AWS, through the unmodified SDK: where credentials, region and endpoints come from is the SDK's own configuration.
//!
//! * [`session`]: who calls, from where, and as which role.
//! * [`call`]: operations of services for which no client was generated.
//! * [`error`]: what AWS refused, and the cure.
//! * a file for each service: what plimsoll asks of it.

pub mod alarms;
pub mod app_runner;
pub mod call;
pub mod cloudformation;
pub mod ecr;
pub mod ecs;
pub mod error;
mod kept;
pub mod logs;
pub mod lookup;
pub mod s3;
pub mod session;
pub mod ssm;
pub mod stack_sets;
pub mod sts;

pub use error::{AwsError, Why};
pub use session::Session;
