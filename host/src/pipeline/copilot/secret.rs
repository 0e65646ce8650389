//! Whether containers can read the secrets that they are to get: the execution role may read what has the application's
//! and the environment's tags. No value is read.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use crate::wire::WireError;
use crate::wire::aws::{Session, Why};

/// Names at once, as `ssm GetParameters` takes them.
const AT_ONCE: usize = 10;

/// `readable`, `untagged` or `missing` by `ssm:NAME` or `secretsmanager:NAME`; what could not be found out is left out.
///
/// # Errors
/// When AWS can't be reached. That something may not be looked at is none.
pub async fn reach(
    session: &Session,
    names: &[String],
    application: &str,
    environment: &str,
) -> Result<Map<String, Json>, WireError> {
    let parameters: Vec<String> = names
        .iter()
        .filter_map(|name| name.strip_prefix("ssm:").map(str::to_owned))
        .collect();
    let existing = parameters
        .chunks(AT_ONCE)
        .map(|chunk| allowed(session.missing_parameters(chunk)));
    let tags = names.iter().map(|name| tags_of(session, name));
    let (missing, tags) = futures::future::try_join(
        futures::future::try_join_all(existing),
        futures::future::try_join_all(tags),
    )
    .await?;
    let missing: Vec<String> = missing.into_iter().flatten().flatten().collect();
    let mut found = Map::new();
    for (name, tags) in names.iter().zip(tags) {
        let gone = name
            .strip_prefix("ssm:")
            .is_some_and(|parameter| missing.iter().any(|other| other == parameter));
        let said = match tags {
            _ if gone => "missing",
            Some(None) => "missing",
            Some(Some(tags)) if readable(&tags, application, environment) => "readable",
            Some(Some(_)) => "untagged",
            None => continue,
        };
        found.insert(name.clone(), json!(said));
    }
    Ok(found)
}

/// The tags of a secret: not known, or not there, or the tags.
async fn tags_of(
    session: &Session,
    name: &str,
) -> Result<Option<Option<BTreeMap<String, String>>>, WireError> {
    match name.split_once(':') {
        Some(("ssm", parameter)) => allowed(session.parameter_tags(parameter)).await,
        Some((_, secret)) if elsewhere(secret, session.region()) => Ok(None),
        Some((_, secret)) => allowed(session.secret_tags(secret)).await,
        None => Ok(None),
    }
}

/// A secret of another region can't be looked up here.
fn elsewhere(secret: &str, region: &str) -> bool {
    secret.starts_with("arn:") && secret.split(':').nth(3) != Some(region)
}

/// What may not be looked at is not known, which is no reason to stop: the containers have a role of their own.
async fn allowed<T>(
    answer: impl Future<Output = Result<T, WireError>>,
) -> Result<Option<T>, WireError> {
    match answer.await {
        Ok(answer) => Ok(Some(answer)),
        Err(WireError::Aws(error)) if matches!(error.why, Why::Denied | Why::Refused) => Ok(None),
        Err(error) => Err(error),
    }
}

fn readable(tags: &BTreeMap<String, String>, application: &str, environment: &str) -> bool {
    let is = |key: &str, value: &str| tags.get(key).is_some_and(|tag| tag == value);
    is("copilot-application", application) && is("copilot-environment", environment)
}
