//! Container registries: logins, and what was pushed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{AwsError, Session, Why};
use crate::wire::{Credentials, WireError};

impl Session {
    /// A login to the registry of an account in this session's region, as `docker login` takes it. `server` is the
    /// registry's host name: what AWS says of it is not trusted to send a push elsewhere.
    ///
    /// # Errors
    /// When AWS gives none.
    pub async fn registry_login(&self, server: &str) -> Result<Credentials, WireError> {
        let what = "log in to the registry (ecr GetAuthorizationToken)";
        let client = aws_sdk_ecr::Client::new(self.config());
        let answer = client
            .get_authorization_token()
            .send()
            .await
            .map_err(|error| AwsError::of(what, &error))?;
        let token = answer
            .authorization_data
            .unwrap_or_default()
            .into_iter()
            .find_map(|data| data.authorization_token)
            .and_then(|token| STANDARD.decode(token).ok())
            .and_then(|login| String::from_utf8(login).ok());
        match token.as_deref().and_then(|login| login.split_once(':')) {
            Some((username, password)) => Ok(Credentials {
                server: server.to_owned(),
                username: username.into(),
                password: password.into(),
            }),
            None => Err(AwsError {
                what: what.to_owned(),
                why: Why::Service,
                code: String::new(),
                message: "it answered without a token".to_owned(),
                request_id: String::new(),
            }
            .into()),
        }
    }
}
