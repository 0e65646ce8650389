//! Parameters: where Copilot keeps what it knows of applications, and where secrets can be.

use std::collections::BTreeMap;

use aws_sdk_ssm::Client;
use aws_sdk_ssm::types::ResourceTypeForTagging;

use super::{AwsError, Session, Why};
use crate::wire::WireError;

impl Session {
    /// The text of a parameter, which is not a secret; none when there is no such parameter.
    ///
    /// # Errors
    /// When it can't be read.
    pub async fn parameter(&self, name: &str) -> Result<Option<String>, WireError> {
        let request = Client::new(self.config()).get_parameter().name(name);
        match request.send().await {
            Ok(answer) => Ok(answer.parameter.and_then(|parameter| parameter.value)),
            Err(error) => missing_is_none(AwsError::of(
                format!("read parameter {name} (ssm GetParameter)"),
                &error,
            )),
        }
    }

    /// The parameters directly below a path, by their last name.
    ///
    /// # Errors
    /// When they can't be read.
    pub async fn parameters_below(
        &self,
        path: &str,
    ) -> Result<BTreeMap<String, String>, WireError> {
        let request = Client::new(self.config())
            .get_parameters_by_path()
            .path(path)
            .recursive(false);
        let mut pages = request.into_paginator().send();
        let mut found = BTreeMap::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| {
                AwsError::of(
                    format!("list parameters below {path} (ssm GetParametersByPath)"),
                    &error,
                )
            })?;
            for parameter in page.parameters.unwrap_or_default() {
                if let (Some(name), Some(value)) = (parameter.name, parameter.value) {
                    let last = name.rsplit('/').next().unwrap_or_default();
                    found.insert(last.to_owned(), value);
                }
            }
        }
        Ok(found)
    }

    /// Which of these parameters (at most ten) are not there. Their values stay encrypted and are not kept.
    ///
    /// # Errors
    /// When they can't be asked for.
    pub async fn missing_parameters(&self, names: &[String]) -> Result<Vec<String>, WireError> {
        let request = Client::new(self.config())
            .get_parameters()
            .set_names(Some(names.to_vec()))
            .with_decryption(false);
        let answer = request.send().await.map_err(|error| {
            AwsError::of("look for secret parameters (ssm GetParameters)", &error)
        })?;
        Ok(answer.invalid_parameters.unwrap_or_default())
    }

    /// The tags of a parameter, by its name; none when there is no such parameter.
    ///
    /// # Errors
    /// When they can't be read.
    pub async fn parameter_tags(
        &self,
        name: &str,
    ) -> Result<Option<BTreeMap<String, String>>, WireError> {
        let request = Client::new(self.config())
            .list_tags_for_resource()
            .resource_type(ResourceTypeForTagging::Parameter)
            .resource_id(name);
        match request.send().await {
            Ok(answer) => {
                let tags = answer.tag_list.unwrap_or_default();
                Ok(Some(
                    tags.into_iter().map(|tag| (tag.key, tag.value)).collect(),
                ))
            }
            Err(error) => missing_is_none(AwsError::of(
                format!("read the tags of parameter {name} (ssm ListTagsForResource)"),
                &error,
            )),
        }
    }
}

fn missing_is_none<T>(error: AwsError) -> Result<Option<T>, WireError> {
    match (error.why, error.code.as_str()) {
        (Why::NotFound, _) | (_, "InvalidResourceId") => Ok(None),
        _ => Err(error.into()),
    }
}
