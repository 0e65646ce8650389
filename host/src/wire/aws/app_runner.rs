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
    /// A service of App Runner by its ARN; none when there is none.
    ///
    /// # Errors
    /// When AWS does not answer, or refuses.
    pub async fn app_runner_service(&self, arn: &str) -> Result<Option<ServiceState>, WireError> {
        let what = format!("look at service {} (apprunner DescribeService)", name(arn));
        let input = json!({"ServiceArn": arn});
        match self
            .json(&APP_RUNNER, "DescribeService", &what, &input)
            .await
        {
            Ok(answer) => Ok(Some(state(&answer["Service"]))),
            Err(WireError::Aws(error)) if error.why == Why::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deploys a service of App Runner again.
    ///
    /// # Errors
    /// When AWS does not answer, or refuses.
    pub async fn start_app_runner_deployment(&self, arn: &str) -> Result<(), WireError> {
        let what = format!(
            "deploy service {} again (apprunner StartDeployment)",
            name(arn)
        );
        let input = json!({"ServiceArn": arn});
        let answer = self
            .json(&APP_RUNNER, "StartDeployment", &what, &input)
            .await?;
        match answer["OperationId"].as_str() {
            Some(_) => Ok(()),
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

fn state(service: &Json) -> ServiceState {
    let status = service["Status"].as_str().unwrap_or_default();
    let (rollout, running) = match status {
        "RUNNING" => ("COMPLETED", 1),
        "OPERATION_IN_PROGRESS" => ("IN_PROGRESS", 0),
        _ => ("FAILED", 0),
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
        reason: (rollout == "FAILED").then(|| format!("the service is {status}")),
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
        for (status, rollout, running) in [
            ("RUNNING", "COMPLETED", 1),
            ("OPERATION_IN_PROGRESS", "IN_PROGRESS", 0),
            ("CREATE_FAILED", "FAILED", 0),
            ("PAUSED", "FAILED", 0),
        ] {
            let state = state(&json!({"Status": status, "UpdatedAt": 1_700_000_000.5}));
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
