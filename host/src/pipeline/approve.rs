//! The moment in which a person, or `--yes`, turns a plan into an approved plan.

use super::{DeployError, Host, Request};
use crate::plan::{ApprovedPlan, Consent, Plan};

/// Asks for approval.
///
/// # Errors
/// `NotApproved` when the answer is no, or nobody is there to answer.
pub fn approve(request: &Request, host: &Host, plan: Plan) -> Result<ApprovedPlan, DeployError> {
    consent(request, host).map(|consent| plan.approve(consent))
}

/// Asks for approval of what was shown.
///
/// # Errors
/// As [`approve`].
pub fn consent(request: &Request, host: &Host) -> Result<Consent, DeployError> {
    let (question, flag) = match request.diff {
        true => ("Continue with the deployment? (y/N)", "--diff-yes"),
        false => ("Carry this out? [y/N]", "--yes"),
    };
    if request.yes {
        host.listen()?;
        return Ok(Consent::Given);
    }
    if !host.reporter.can_ask() {
        let why = format!(
            "nobody is there to approve the plan: run it in a terminal, or approve it with {flag}; nothing was changed"
        );
        return Err(DeployError::NotApproved(why));
    }
    if host.reporter.ask(question) {
        host.listen()?;
        return Ok(Consent::Asked);
    }
    // As Copilot has it, no is an answer and not a failure.
    match request.diff {
        true => Err(DeployError::Declined),
        false => Err(DeployError::NotApproved(
            "not approved; nothing was changed".to_owned(),
        )),
    }
}

impl Host {
    /// From here on Ctrl-C settles what was begun; before, there is nothing to settle and it just ends the process.
    pub(super) fn listen(&self) -> Result<(), DeployError> {
        self.interrupt
            .listen()
            .map_err(|error| DeployError::NotApproved(format!("signals can't be watched: {error}")))
    }
}
