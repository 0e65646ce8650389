//! App Runner: how a service stands, and deploying it again. Told in ECS's words, as one deployment of one task.

use serde_json::{Value as Json, json};

use super::call::Service;
use super::ecs::{Deployment, ServiceState};
use super::{AwsError, Session, Why};
use crate::wire::WireError;

/// <https://docs.aws.amazon.com/apprunner/latest/api>
const APP_RUNNER: Service = Service {
    id: "AppRunner",
    name: "apprunner",
    version: "2020-05-15",
    target: Some("AppRunner"),
};

impl Session {
    /// A service of App Runner by its ARN; none when there is none. Once an operation was begun, how that went: a service that went
    /// back to what it was runs as if nothing had happened.
    ///
    /// # Errors
    /// When AWS does not answer, or refuses.
    pub async fn app_runner_service(
        &self,
        arn: &str,
        operation: Option<&str>,
    ) -> Result<Option<ServiceState>, WireError> {
        let what = format!("look at service {} (apprunner DescribeService)", name(arn));
        let input = json!({"ServiceArn": arn});
        match self
            .json(&APP_RUNNER, "DescribeService", &what, &input)
            .await
        {
            Ok(answer) => {
                let ended = match operation {
                    Some(id) => self.app_runner_operation(arn, id).await?,
                    None => None,
                };
                Ok(Some(state(&answer["Service"], ended.as_deref())))
            }
            Err(WireError::Aws(error)) if error.why == Why::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The status of one of the last operations: `IN_PROGRESS`, `SUCCEEDED`, `FAILED`, `ROLLBACK_SUCCEEDED`.
    async fn app_runner_operation(&self, arn: &str, id: &str) -> Result<Option<String>, WireError> {
        let what = format!(
            "look at operations of service {} (apprunner ListOperations)",
            name(arn)
        );
        let input = json!({"ServiceArn": arn, "MaxResults": 20});
        let answer = self
            .json(&APP_RUNNER, "ListOperations", &what, &input)
            .await?;
        let mut operations = answer["OperationSummaryList"]
            .as_array()
            .into_iter()
            .flatten();
        let own = operations.find(|operation| operation["Id"] == id);
        Ok(own.and_then(|operation| operation["Status"].as_str().map(str::to_owned)))
    }

    /// Deploys a service of App Runner again; the id of the operation.
    ///
    /// # Errors
    /// When AWS does not answer, or refuses.
    pub async fn start_app_runner_deployment(&self, arn: &str) -> Result<String, WireError> {
        let what = format!(
            "deploy service {} again (apprunner StartDeployment)",
            name(arn)
        );
        let input = json!({"ServiceArn": arn});
        let answer = self
            .json(&APP_RUNNER, "StartDeployment", &what, &input)
            .await?;
        match answer["OperationId"].as_str() {
            Some(id) => Ok(id.to_owned()),
            None => Err(AwsError {
                what,
                why: Why::Service,
                code: String::new(),
                message: "it names no operation".to_owned(),
                request_id: String::new(),
            }
            .into()),
        }
    }
}

/// `NAME` of `arn:aws:apprunner:REGION:ACCOUNT:service/NAME/ID`.
fn name(arn: &str) -> &str {
    arn.split('/').nth(1).unwrap_or(arn)
}

fn state(service: &Json, operation: Option<&str>) -> ServiceState {
    let status = service["Status"].as_str().unwrap_or_default();
    let (rollout, running) = match (status, operation) {
        (_, Some("FAILED" | "ROLLBACK_FAILED" | "ROLLBACK_SUCCEEDED")) => ("FAILED", 0),
        (_, Some("PENDING" | "IN_PROGRESS" | "ROLLBACK_IN_PROGRESS"))
        | ("OPERATION_IN_PROGRESS", _) => ("IN_PROGRESS", 0),
        ("RUNNING", _) => ("COMPLETED", 1),
        (_, _) => ("FAILED", 0),
    };
    let why = match operation {
        Some(operation) => format!("the deployment is {operation}, the service {status}"),
        None => format!("the service is {status}"),
    };
    let time = |key: &str| {
        let seconds = service[key].as_f64().unwrap_or_default();
        // Times of AWS are after 1970 and in this millennium.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates"
        )]
        let milliseconds = (seconds * 1000.0) as u64;
        milliseconds
    };
    let deployment = Deployment {
        id: service["ServiceId"].as_str().unwrap_or_default().to_owned(),
        status: "PRIMARY".to_owned(),
        rollout: rollout.to_owned(),
        reason: (rollout == "FAILED").then_some(why),
        revision: String::new(),
        desired: 1,
        running,
        pending: 1 - running,
        failed: 0,
        created: time("CreatedAt"),
        updated: time("UpdatedAt"),
    };
    ServiceState {
        status: status.to_owned(),
        desired: 1,
        running,
        deployments: vec![deployment],
        events: Vec::new(),
        alarms: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_of_app_runner_is_told_as_one_deployment() {
        for (status, operation, rollout, running) in [
            ("RUNNING", None, "COMPLETED", 1),
            ("RUNNING", Some("SUCCEEDED"), "COMPLETED", 1),
            ("RUNNING", Some("PENDING"), "IN_PROGRESS", 0),
            ("RUNNING", Some("ROLLBACK_SUCCEEDED"), "FAILED", 0),
            ("OPERATION_IN_PROGRESS", None, "IN_PROGRESS", 0),
            ("OPERATION_IN_PROGRESS", Some("FAILED"), "FAILED", 0),
            ("CREATE_FAILED", None, "FAILED", 0),
            ("PAUSED", None, "FAILED", 0),
        ] {
            let service = json!({"Status": status, "UpdatedAt": 1_700_000_000.5});
            let state = state(&service, operation);
            let deployment = &state.deployments[0];
            assert_eq!(
                (
                    deployment.rollout.as_str(),
                    deployment.running,
                    deployment.updated
                ),
                (rollout, running, 1_700_000_000_500)
            );
        }
        assert_eq!(
            name("arn:aws:apprunner:r:1:service/app-test-web/8f"),
            "app-test-web"
        );
    }
}
