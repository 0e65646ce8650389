//! Drivers that try to break what is claimed: they make the calls that their settings tell them, whether those were
//! promised or not, and answer what came of each.

use std::fmt::Display;
use std::sync::{Arc, Mutex};

use plimsoll::capability::{Session, Stage};
use plimsoll::plan::Promises;
use plimsoll::sandbox::aot::Origin;
use plimsoll::sandbox::{Loaded, Role, Sandbox, SandboxError};
use plimsoll::wit::types::{Context, Effect, Moment};
use serde_json::{Value as Json, json};

use crate::support::{TestRun, sha256};

/// A hostile driver, ready to be called.
pub struct HostileDriver {
    sandbox: Sandbox,
    loaded: Loaded,
    command: &'static str,
}

impl HostileDriver {
    /// One that is after servers.
    pub fn of_servers(test: &TestRun) -> Self {
        let granted = [
            "log", "progress", "clock", "secrets", "docker", "ssh", "lock", "hook",
        ];
        Self::new(test, artifacts::HOSTILE_DRIVER, &granted, "deploy")
    }

    /// One that is after an AWS account.
    pub fn of_aws(test: &TestRun) -> Self {
        let granted = [
            "log",
            "progress",
            "clock",
            "interruption",
            "cloudformation",
            "s3",
            "ecs",
            "logs",
        ];
        Self::new(test, artifacts::HOSTILE_AWS_DRIVER, &granted, "svc deploy")
    }

    fn new(test: &TestRun, file: &str, granted: &[&str], command: &'static str) -> Self {
        let sandbox = test.sandbox();
        let bytes = std::fs::read(file).unwrap();
        let component = sandbox
            .component("guest", &sha256(&bytes), &bytes, Origin::ThirdParty)
            .unwrap();
        let loaded = sandbox
            .link("guest", &component, Role::Driver, granted)
            .unwrap();
        Self {
            sandbox,
            loaded,
            command,
        }
    }

    fn context(&self, settings: &Json) -> Context {
        Context {
            environment: "test".into(),
            version: "1".into(),
            deployment_id: "0123456789ab".into(),
            request: json!({"command": self.command}).to_string(),
            settings: settings.to_string(),
        }
    }

    /// Makes the calls in `apply` and answers what came of each.
    pub async fn apply(&self, session: Arc<Session>, calls: Json) -> Vec<String> {
        self.try_apply(session, calls).await.unwrap()
    }

    /// The same for calls that end the driver.
    pub async fn try_apply(
        &self,
        session: Arc<Session>,
        calls: Json,
    ) -> Result<Vec<String>, SandboxError> {
        let context = self.context(&json!({"apply": calls}));
        let outcome = self
            .sandbox
            .apply(&self.loaded, session, context, vec![], vec![])
            .await?
            .unwrap();
        Ok(outcome.outputs.into_iter().map(|(_, said)| said).collect())
    }

    /// Makes the calls in `observe` and answers what came of each.
    pub async fn observe(&self, session: Arc<Session>, calls: Json) -> Vec<String> {
        let context = self.context(&json!({"observe": calls}));
        let observed = self
            .sandbox
            .observe(&self.loaded, session, context, vec![])
            .await;
        serde_json::from_str(&observed.unwrap().unwrap()[0].body).unwrap()
    }
}

/// A promised effect, its arguments as JSON.
pub fn promise(id: &str, operation: &str, subject: &str, arguments: impl Display) -> Effect {
    Effect {
        id: id.into(),
        operation: operation.into(),
        subject: subject.into(),
        arguments: arguments.to_string(),
        destructive: false,
        moment: Moment::Always,
    }
}

/// The stage in which these promises may be kept.
pub fn promised(promises: &[Effect]) -> Stage {
    Stage::Applying(Mutex::new(Promises::of(promises).unwrap()))
}
