//! Logins at registries as they are sent: the manifest's own, and for ECR, where that has no password, the one that AWS
//! gives to the user's own credentials. It goes with one call and stays in memory.

use std::sync::Arc;

use serde_json::json;

use super::error::from_wire;
use super::run::{Readers, Run};
use crate::wire::Credentials;
use crate::wire::aws::Session;
use crate::wit::types::{CapError, Part};

/// Who logs in at ECR, whoever it is.
const AWS: &str = "AWS";

impl Run {
    /// The project's own registry: no other one is ever logged in to with the user's AWS credentials.
    pub fn logs_in_at(&self, server: Option<&str>) {
        // A run has one project.
        let _ = self.own_registry.set(server.map(str::to_owned));
    }

    /// A login for the one call that sends it. An Engine sends it to the registry of `image`, whatever it is said to be
    /// for: with the user's AWS credentials only the images of that registry are reached.
    ///
    /// # Errors
    /// When a secret is missing, or AWS gives no login.
    pub(crate) async fn login(
        &self,
        server: Option<&str>,
        username: &[Part],
        password: &[Part],
        image: &str,
    ) -> Result<Credentials, CapError> {
        let username = self.resolve(username, Readers::Recipient)?;
        let password = self.resolve(password, Readers::Recipient)?;
        let own = self.own_registry.get().and_then(Option::as_deref);
        if let Some((server, region)) = server.and_then(|server| Some((server, region(server)?)))
            && username.expose() == AWS
            && password.expose().trim().is_empty()
            && own == Some(server)
            && image
                .strip_prefix(server)
                .is_some_and(|rest| rest.starts_with('/'))
        {
            return self.aws_login(server, region).await;
        }
        Ok(Credentials {
            server: server.unwrap_or("docker.io").to_owned(),
            username: username.expose().into(),
            password: password.expose().into(),
        })
    }

    async fn aws_login(&self, server: &str, region: &str) -> Result<Credentials, CapError> {
        let login = self.aws_login.get_or_try_init(async || {
            let entry = json!({"plugin": "host", "operation": "ecr.login", "subject": server});
            self.journal.write("intent", &entry).map_err(|error| {
                CapError::Other(format!("failed to write the journal: {error}"))
            })?;
            let reporter = self.reporter.clone();
            let ask = Arc::new(move |what: &str| reporter.ask_for(what));
            let login = async {
                let session = Session::open_in(region, ask).await?;
                session.registry_login(server).await
            };
            login.await.map_err(|error| from_wire(&error))
        });
        login.await.cloned()
    }
}

/// The region of an ECR registry: `ACCOUNT.dkr.ecr.REGION.amazonaws.com`, `dkr.ecr-fips`, `amazonaws.com.cn`.
fn region(server: &str) -> Option<&str> {
    let (account, rest) = server.split_once(".dkr.ecr")?;
    let rest = rest.strip_prefix("-fips").unwrap_or(rest);
    let (region, domain) = rest.strip_prefix('.')?.split_once('.')?;
    let numbered = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    let domain = ["amazonaws.com", "amazonaws.com.cn"].contains(&domain);
    (numbered && domain && !region.is_empty()).then_some(region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_of_ecr_are_known_by_their_names() {
        for (server, expected) in [
            (
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
                Some("eu-west-1"),
            ),
            (
                "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
                Some("us-gov-west-1"),
            ),
            (
                "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
                Some("cn-north-1"),
            ),
            (
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example",
                None,
            ),
            ("evil.dkr.ecr.eu-west-1.amazonaws.com", None),
            ("123456789012.dkr.ecr.amazonaws.com", None),
            ("ghcr.io", None),
        ] {
            assert_eq!(region(server), expected, "{server}");
        }
    }
}
