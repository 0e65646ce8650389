//! What can be done with a stack in each of its states: <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html>.

use serde::{Deserialize, Serialize};

use crate::deployment::Deployment;

/// A stack as it was observed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Stack {
    /// ARN.
    pub id: String,
    /// `UPDATE_COMPLETE`
    pub status: String,
    /// Why it has that status.
    pub reason: Option<String>,
    /// Milliseconds since 1970 of its last change.
    pub changed: u64,
}

/// How a stack gets to what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// It is not there yet.
    Create,
    /// It never worked: it is deleted first.
    CreateAnew,
    /// It works, or worked.
    Update,
}

/// How a stack stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Something is under way.
    Busy,
    /// It is what was wanted.
    Good,
    /// It is what it was before, or nothing.
    Undone,
    /// It is in between.
    Stuck,
}

/// How a status stands after a deploy.
pub fn outcome(status: &str) -> Outcome {
    match status {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE" => Outcome::Good,
        // The new resources work; what is left is tidying up.
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS" => Outcome::Busy,
        "ROLLBACK_COMPLETE"
        | "UPDATE_ROLLBACK_COMPLETE"
        | "DELETE_COMPLETE"
        | "IMPORT_ROLLBACK_COMPLETE" => Outcome::Undone,
        // Nothing was executed yet.
        "REVIEW_IN_PROGRESS" => Outcome::Undone,
        status if status.ends_with("_IN_PROGRESS") => Outcome::Busy,
        _ => Outcome::Stuck,
    }
}

/// What can be done with a stack.
///
/// # Errors
/// In words with the one legal next step, when nothing can.
pub fn way(stack: Option<&Stack>, deployment: &Deployment, rollback: bool) -> Result<Way, String> {
    let Some(stack) = stack else {
        return Ok(Way::Create);
    };
    let name = &deployment.stack;
    let because = stack
        .reason
        .as_ref()
        .map(|reason| format!(": {reason}"))
        .unwrap_or_default();
    let refuse = |what: String, next: String| Err(format!("{what}{because}\nhint: {next}"));
    let aws = |verb: &str| {
        let role = deployment
            .execution_role
            .as_ref()
            .map(|role| format!(" --role-arn {role}"))
            .unwrap_or_default();
        format!(
            "aws cloudformation {verb} --stack-name {name}{role} --region {}",
            deployment.region
        )
    };
    match stack.status.as_str() {
        "DELETE_COMPLETE" | "REVIEW_IN_PROGRESS" => Ok(Way::Create),
        "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" => Ok(Way::CreateAnew),
        "CREATE_COMPLETE"
        | "UPDATE_COMPLETE"
        | "UPDATE_ROLLBACK_COMPLETE"
        | "IMPORT_COMPLETE"
        | "IMPORT_ROLLBACK_COMPLETE" => Ok(Way::Update),
        // What an earlier deploy with --no-rollback left can only go on like that.
        "CREATE_FAILED" | "UPDATE_FAILED" if !rollback => Ok(Way::Update),
        "CREATE_FAILED" | "UPDATE_FAILED" => refuse(
            format!(
                "stack {name} is {}: an earlier deploy with --no-rollback left it half done",
                stack.status
            ),
            format!(
                "correct the cause and run `{} --no-rollback`, or go back first: `{}`",
                deployment.command(),
                aws("rollback-stack")
            ),
        ),
        "UPDATE_ROLLBACK_FAILED" => refuse(
            format!(
                "stack {name} is UPDATE_ROLLBACK_FAILED: an update failed, and so did going back"
            ),
            format!(
                "correct what the failed resources need, then run `{}`; a resource that can't be corrected is passed over with `--resources-to-skip LOGICAL-ID`",
                aws("continue-update-rollback")
            ),
        ),
        "IMPORT_ROLLBACK_FAILED" => refuse(
            format!(
                "stack {name} is IMPORT_ROLLBACK_FAILED: an import failed, and so did going back"
            ),
            format!("run `{}`", aws("continue-update-rollback")),
        ),
        "DELETE_FAILED" => refuse(
            format!(
                "stack {name} is DELETE_FAILED: it was to be deleted, and a resource could not be"
            ),
            format!(
                "correct what keeps the resource, then run `{}`; `--retain-resources LOGICAL-ID` leaves it where it is",
                aws("delete-stack")
            ),
        ),
        status if status.ends_with("_IN_PROGRESS") => {
            let what = match status {
                status if status.contains("CLEANUP") => "being tidied up after an update",
                status if status.contains("ROLLBACK") => "going back to what it was",
                status if status.starts_with("CREATE") => "being created",
                status if status.starts_with("DELETE") => "being deleted",
                status if status.starts_with("IMPORT") => "taking resources in",
                _ => "being updated",
            };
            refuse(
                format!("stack {name} is {what} ({status}) and cannot be deployed to"),
                format!(
                    "wait until it is done, then run this again: `aws cloudformation describe-stacks --stack-name {name} --region {} --query 'Stacks[0].StackStatus'`",
                    deployment.region
                ),
            )
        }
        other => refuse(
            format!("stack {name} is {other}, which this version of plimsoll does not know"),
            format!("look at it: `{}`", aws("describe-stacks")),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn deployment() -> Deployment {
        Deployment {
            application: "app".to_owned(),
            environment: "test".to_owned(),
            workload: "api".to_owned(),
            kind: "Backend Service".to_owned(),
            region: "eu-west-1".to_owned(),
            stack: "app-test-api".to_owned(),
            environment_stack: "app-test".to_owned(),
            bucket: "b".to_owned(),
            execution_role: Some("arn:r".to_owned()),
            uploads: Vec::new(),
        }
    }

    #[test]
    fn every_state_of_a_stack_has_one_way_on() {
        let stack = |status: &str| Stack {
            id: "arn".to_owned(),
            status: status.to_owned(),
            reason: Some("because".to_owned()),
            changed: 0,
        };
        let go = |status: &str, rollback| way(Some(&stack(status)), &deployment(), rollback);
        assert_eq!(way(None, &deployment(), true), Ok(Way::Create));
        for (status, expected) in [
            ("REVIEW_IN_PROGRESS", Way::Create),
            ("ROLLBACK_COMPLETE", Way::CreateAnew),
            ("ROLLBACK_FAILED", Way::CreateAnew),
            ("CREATE_COMPLETE", Way::Update),
            ("UPDATE_COMPLETE", Way::Update),
            ("UPDATE_ROLLBACK_COMPLETE", Way::Update),
            ("IMPORT_COMPLETE", Way::Update),
        ] {
            assert_eq!(go(status, true), Ok(expected), "{status}");
        }
        assert_eq!(go("UPDATE_FAILED", false), Ok(Way::Update));
        for (status, next) in [
            ("UPDATE_FAILED", "--no-rollback"),
            (
                "CREATE_FAILED",
                "rollback-stack --stack-name app-test-api --role-arn arn:r",
            ),
            ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback"),
            ("DELETE_FAILED", "delete-stack"),
            ("UPDATE_IN_PROGRESS", "wait until it is done"),
            (
                "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
                "wait until it is done",
            ),
            ("DELETE_IN_PROGRESS", "wait until it is done"),
            ("SOMETHING_NEW", "describe-stacks"),
        ] {
            let refused = go(status, true).expect_err(status);
            assert!(refused.contains(next), "{status}: {refused}");
            assert!(refused.contains("because\nhint: "), "{status}: {refused}");
        }
    }

    #[test]
    fn a_status_is_good_undone_stuck_or_under_way() {
        for (status, expected) in [
            ("CREATE_COMPLETE", Outcome::Good),
            ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", Outcome::Busy),
            ("UPDATE_ROLLBACK_IN_PROGRESS", Outcome::Busy),
            ("UPDATE_ROLLBACK_COMPLETE", Outcome::Undone),
            ("ROLLBACK_COMPLETE", Outcome::Undone),
            ("UPDATE_ROLLBACK_FAILED", Outcome::Stuck),
            ("CREATE_FAILED", Outcome::Stuck),
        ] {
            assert_eq!(outcome(status), expected, "{status}");
        }
    }
}
