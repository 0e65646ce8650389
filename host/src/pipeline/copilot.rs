//! What a Copilot workload's deployment needs to know of AWS, gathered before anything is rendered: at most four round
//! trips after another, whatever is independent at once.
//!
//! * [`answers`]: what a renderer asks for, answered.
//! * [`records`]: application, environment and workload as Copilot stores them, the first trip.
//! * [`gather`]: the role, then everything else that rendering depends on.
//! * [`deployed`]: what the stacks say.
//! * [`secret`]: whether containers can read what they are to get.
//! * [`images`]: built and pushed, after approval.
//! * [`policy`]: what the role's session is cut down to.

pub mod answers;
pub mod deployed;
pub mod gather;
pub mod images;
pub mod policy;
pub mod records;
pub mod secret;

pub use answers::Known;
pub use gather::{Gathered, Wanted, gather};
pub use records::{Application, Environment, Records};

/// Version of the templates that are rendered. A Copilot's templates have its own version (`internal/pkg/version` of
/// aws/copilot-cli), and the newest there is of it is 1.34.1 of April 2025 (https://github.com/cloudposse/packages/pull/5646):
/// what any Copilot deployed may be deployed anew. An existing stack of a newer version is not replaced by an older one.
pub const TEMPLATE_VERSION: &str = "v1.34.1";

/// A Copilot workload that is deployed.
pub struct Target {
    /// What the renderer is told.
    pub known: Known,
    /// URI of its repository: nothing is pushed elsewhere.
    pub repository: String,
    /// The user's own session, which logs in there.
    pub user: crate::wire::aws::Session,
}
