//! What Kamal's values become on their way through the remote shell, without one. Kamal writes lines for the shell of
//! the server it speaks to; what that shell would make of them is worked out here, except what only it can know.
//!
//! * [`quoted`](mod@quoted): values of environments, labels and options, which Kamal quotes, leaving `${VAR}` to the shell.
//! * [`line`](mod@line): `cmd` and volumes, which it does not quote at all.
//! * [`argument`](mod@argument): the text that Kamal itself would write.

pub mod argument;
pub mod line;
pub mod quoted;

pub use line::{Line, line};
pub use quoted::quoted;
