//! Applications, environments and workloads as Copilot stores them: parameters of the application's home region, JSON.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;

use crate::pipeline::DeployError;
use crate::wire::aws::Session;

const APPLICATIONS: &str = "/copilot/applications";

/// `/copilot/applications/APP`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Application {
    /// Its name.
    pub name: String,
    /// The account it lives in: twelve digits.
    pub account: String,
    /// The root domain associated with it; empty when there is none.
    pub domain: String,
    /// Name of the policy that bounds its roles; empty when there is none.
    #[serde(rename = "permissionsBoundary")]
    pub permissions_boundary: String,
    /// Tags of all its stacks.
    pub tags: BTreeMap<String, String>,
}

/// `/copilot/applications/APP/environments/ENV`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Environment {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub region: String,
    /// The account it is in: twelve digits.
    #[serde(rename = "accountID")]
    pub account: String,
    /// ARN of the role that deploys to it.
    #[serde(rename = "managerRoleARN")]
    pub manager_role: String,
    /// ARN of the role that CloudFormation acts with there.
    #[serde(rename = "executionRoleARN")]
    pub execution_role: String,
    /// What old versions of Copilot kept here instead of in the environment's manifest.
    #[serde(rename = "customConfig")]
    pub custom: Json,
}

/// `/copilot/applications/APP/components/NAME`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// `Load Balanced Web Service`, …
    #[serde(rename = "type")]
    pub kind: String,
}

/// What is stored of an application. Environments and components are all of them, or the one that was asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Records {
    /// The application.
    pub application: Application,
    /// By name.
    pub environments: BTreeMap<String, Environment>,
    /// By name.
    pub components: BTreeMap<String, Component>,
}

impl Records {
    /// Reads them: one round trip. A name that is known spares the list.
    ///
    /// # Errors
    /// When there is no such application, environment or component, with the command that makes it.
    pub async fn read(
        session: &Session,
        application: &str,
        environment: Option<&str>,
        component: Option<&str>,
    ) -> Result<Self, DeployError> {
        let at = format!("{APPLICATIONS}/{application}");
        let (found, environments, components) = tokio::try_join!(
            session.parameter(&at),
            read(session, format!("{at}/environments"), environment),
            read(session, format!("{at}/components"), component),
        )
        .map_err(DeployError::Aws)?;
        let missing = |what: &str, cure: String| {
            let region = session.region();
            Err(DeployError::Project(format!(
                "{what} in {region}\nhint: {cure}"
            )))
        };
        let Some(found) = found else {
            return missing(
                &format!("there is no application `{application}`"),
                "check AWS_PROFILE and the region: an application is known in the region and account where `copilot app init` made it"
                    .to_owned(),
            );
        };
        if let Some(name) = environment.filter(|name| !environments.contains_key(*name)) {
            return missing(
                &format!("application `{application}` has no environment `{name}`"),
                format!(
                    "make it with `copilot env init --name {name}` and `copilot env deploy --name {name}`"
                ),
            );
        }
        if let Some(name) = component.filter(|name| !components.contains_key(*name)) {
            return missing(
                &format!("`{name}` is not initialised in application `{application}`"),
                format!(
                    "do that with `copilot svc init --name {name}`, or `copilot job init` for a job"
                ),
            );
        }
        Ok(Self {
            application: parse(&at, &found)?,
            environments: parse_all(&at, environments)?,
            components: parse_all(&at, components)?,
        })
    }
}

async fn read(
    session: &Session,
    folder: String,
    name: Option<&str>,
) -> Result<BTreeMap<String, String>, crate::wire::WireError> {
    match name {
        Some(name) => {
            let found = session.parameter(&format!("{folder}/{name}")).await?;
            Ok(found
                .map(|text| (name.to_owned(), text))
                .into_iter()
                .collect())
        }
        None => session.parameters_below(&format!("{folder}/")).await,
    }
}

fn parse<T: for<'de> Deserialize<'de>>(at: &str, text: &str) -> Result<T, DeployError> {
    serde_json::from_str(text).map_err(|error| {
        DeployError::Project(format!(
            "parameter {at} is not as Copilot writes it: {error}\nhint: look at it with `aws ssm get-parameter --name {at}`"
        ))
    })
}

fn parse_all<T: for<'de> Deserialize<'de>>(
    at: &str,
    texts: BTreeMap<String, String>,
) -> Result<BTreeMap<String, T>, DeployError> {
    texts
        .into_iter()
        .map(|(name, text)| Ok((name.clone(), parse(&format!("{at}/…/{name}"), &text)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copilots_own_records_are_understood() {
        let application: Application = parse(
            "a",
            r#"{"name":"shop","account":"123456789012","permissionsBoundary":"","domain":"example.com","domainHostedZoneID":"Z1","version":"1.0","tags":{"team":"web"}}"#,
        )
        .expect("understood");
        assert_eq!(
            (
                application.domain.as_str(),
                application.tags["team"].as_str()
            ),
            ("example.com", "web")
        );
        let environment: Environment = parse(
            "e",
            r#"{"app":"shop","name":"test","region":"eu-west-1","accountID":"123456789012","registryURL":"","executionRoleARN":"arn:x","managerRoleARN":"arn:m","customConfig":{"importCertARNs":["arn:c"]},"telemetry":null}"#,
        )
        .expect("understood");
        assert_eq!(environment.custom["importCertARNs"][0], "arn:c");
        let bare: Application = parse("a", r#"{"name":"shop","account":"1"}"#).expect("understood");
        assert!(bare.domain.is_empty());
        assert!(
            parse::<Application>("/copilot/x", "[")
                .is_err_and(|error| error.to_string().contains("/copilot/x"))
        );
    }
}
