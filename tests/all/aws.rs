//! Drivers on a double of AWS, through the real sandbox and the unmodified SDK.
//!
//! * [`authority`]: every claim about grants and promised effects on AWS, with a driver that tries to break it.
//! * [`driver`]: the default driver from an empty account to a stable service, and through every failure.

mod authority;
mod driver;

use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_credential_types::Credentials;
use aws_double::seed::Application;
use aws_double::{Double, Options};
use plimsoll::capability::aws::Aws;
use plimsoll::grant::{Grants, Workload};
use plimsoll::wire::aws::Session;
use plimsoll::wit::types::Document;

use crate::support::TestRun;

/// An account with the application `demo` and its environment `test`.
pub struct Account {
    pub double: Double,
    pub bucket: String,
}

impl Account {
    pub fn new() -> Self {
        let double = Double::start(Options::default()).unwrap();
        double.seed(&Application::demo()).unwrap();
        let bucket = double.bucket("demo").unwrap();
        Self { double, bucket }
    }

    /// A run that reaches it.
    pub async fn run(&self) -> TestRun {
        let (access_key, secret_key) = self.double.keys();
        let config = aws_config::defaults(aws_config::BehaviorVersion::latest())
            .endpoint_url(self.double.endpoint())
            .region(aws_config::Region::new(self.double.region().to_owned()))
            .credentials_provider(Credentials::new(
                access_key, secret_key, None, None, "tests",
            ))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(9)
                    .with_initial_backoff(Duration::from_millis(10)),
            )
            .load()
            .await;
        let test = TestRun::new();
        let aws = Aws::new(&Session::of(config), self.double.account());
        test.run().reach(Arc::new(aws));
        test
    }

    pub fn role(&self) -> String {
        format!(
            "arn:aws:iam::{}:role/demo-test-CFNExecutionRole",
            self.double.account()
        )
    }

    /// What the driver of `api` may do.
    pub fn grants(&self, files: &[String]) -> Grants {
        Grants::from_workload(
            "ecs-driver",
            &Workload {
                account: self.double.account(),
                region: self.double.region(),
                application: "demo",
                environment: "test",
                name: "api",
                bucket: &self.bucket,
                execution_role: Some(&self.role()),
                files,
            },
        )
    }
}

pub fn document(address: &str, body: impl Into<String>) -> Document {
    Document {
        address: address.to_owned(),
        media_type: "application/json".to_owned(),
        body: body.into(),
    }
}
