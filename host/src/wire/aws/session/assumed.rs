//! Credentials of an assumed role, renewed before they expire.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future;
use aws_credential_types::provider::{self, ProvideCredentials};
use aws_sdk_sts::Client;

use super::{AwsError, Why};

/// What `sts AssumeRole` is asked, again whenever credentials run out.
pub(super) struct Assumed {
    client: Client,
    role: String,
    /// Tells the calls of this run apart in CloudTrail.
    name: String,
    policy: Option<String>,
    /// Serial number and code. A code works once.
    code: Option<(String, String)>,
    /// What `begin` got, for the first call.
    first: Mutex<Option<Credentials>>,
}

impl Assumed {
    pub(super) fn new(
        config: &SdkConfig,
        role: &str,
        policy: Option<String>,
        code: Option<(String, String)>,
    ) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            client: Client::new(config),
            role: role.to_owned(),
            name: format!("plimsoll-{}", now.unwrap_or(Duration::ZERO).as_millis()),
            policy,
            code,
            first: Mutex::default(),
        }
    }

    /// Assumes the role now: what is wrong with it is known before anything is asked as that role.
    pub(super) async fn begin(&self) -> Result<(), AwsError> {
        let credentials = self.ask().await?;
        *self.first.lock().unwrap_or_else(PoisonError::into_inner) = Some(credentials);
        Ok(())
    }

    async fn ask(&self) -> Result<Credentials, AwsError> {
        let what = format!("act as role {} (sts AssumeRole)", self.role);
        let (serial, code) = self.code.clone().unzip();
        let request = self
            .client
            .assume_role()
            .role_arn(&self.role)
            .role_session_name(&self.name)
            .set_policy(self.policy.clone())
            .set_serial_number(serial)
            .set_token_code(code);
        let answer = request
            .send()
            .await
            .map_err(|error| AwsError::of(what.clone(), &error))?;
        let empty = || AwsError {
            what: what.clone(),
            why: Why::Service,
            code: String::new(),
            message: "it answered without credentials".to_owned(),
            request_id: String::new(),
        };
        let given = answer.credentials.ok_or_else(empty)?;
        let expiry = SystemTime::try_from(given.expiration).ok();
        let mut credentials = Credentials::builder()
            .access_key_id(given.access_key_id)
            .secret_access_key(given.secret_access_key)
            .session_token(given.session_token)
            .provider_name("plimsoll-role");
        credentials.set_expiry(expiry);
        Ok(credentials.build())
    }

    async fn credentials(&self) -> provider::Result {
        let first = self
            .first
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match first {
            Some(credentials) => Ok(credentials),
            None => self.ask().await.map_err(CredentialsError::provider_error),
        }
    }
}

impl ProvideCredentials for Assumed {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

impl fmt::Debug for Assumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assumed")
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}
