//! What would be done, as values. Nothing here waits, reads or prints.
//!
//! * [`canonical`]: values with references as JSON, the form in which effects are promised and compared.
//! * [`describe`]: an effect in words, written from its arguments.
//! * [`printable`]: text from elsewhere, made safe for a terminal.
//! * [`promise`]: what an approved plan allows at apply.
//! * [`sealed`]: [`Plan`] → [`ApprovedPlan`] → [`BoundPlan`], and the digest that ties them.

pub mod canonical;
pub mod describe;
pub mod printable;
pub mod promise;
pub mod sealed;

pub use printable::printable;
pub use promise::Promises;
pub use sealed::{ApprovedPlan, BoundPlan, Consent, Plan};
