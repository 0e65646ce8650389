//! Who calls.

use super::{AwsError, Session};
use crate::wire::WireError;

/// Whose credentials a session has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Twelve digits.
    pub account: String,
    /// The user, or the session of a role.
    pub arn: String,
}

impl Session {
    /// Asks whose credentials these are.
    ///
    /// # Errors
    /// When there are none, or they are not valid (any more).
    pub async fn caller(&self) -> Result<Caller, WireError> {
        let what = "ask who calls (sts GetCallerIdentity)";
        let client = aws_sdk_sts::Client::new(self.config());
        let answer = client
            .get_caller_identity()
            .send()
            .await
            .map_err(|error| AwsError::of(what, &error))?;
        Ok(Caller {
            account: answer.account.unwrap_or_default(),
            arn: answer.arn.unwrap_or_default(),
        })
    }
}
