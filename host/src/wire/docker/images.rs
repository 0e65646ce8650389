//! Images: what is there, and what comes and goes.

use std::collections::HashMap;
use std::time::Duration;

use bollard::{
    BollardRequest,
    query_parameters::{
        ListImagesOptionsBuilder, PruneImagesOptionsBuilder, RemoveImageOptionsBuilder,
        TagImageOptionsBuilder,
    },
};
use serde_json::Value;

use super::{Call, Engine, Progress, QUICK, SLOW, Said, fault, names, request, with_labels};
use crate::wire::{Credentials, WireError};

/// An image as it stands in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSummary {
    /// `sha256:…`.
    pub id: String,
    /// `repository:tag`; empty for a dangling image.
    pub tags: Vec<String>,
    /// `repository@sha256:…`, for what was pulled or pushed.
    pub digests: Vec<String>,
    /// Labels of the image.
    pub labels: HashMap<String, String>,
    /// Seconds since 1970.
    pub created: i64,
    /// Bytes.
    pub size: i64,
}

impl Engine {
    /// The images that have all the labels.
    pub async fn images(&self, labels: &[String]) -> Result<Vec<ImageSummary>, WireError> {
        let options = ListImagesOptionsBuilder::new()
            .filters(&with_labels(labels))
            .build();
        let call = self.call("listing images", "");
        let list = self
            .within(&call, QUICK, self.docker.list_images(Some(options)))
            .await?;
        let named = |names: Vec<String>| {
            names
                .into_iter()
                .filter(|name| !name.starts_with("<none>"))
                .collect()
        };
        let summary = |image: bollard::models::ImageSummary| ImageSummary {
            id: image.id,
            tags: named(image.repo_tags),
            digests: named(image.repo_digests),
            labels: image.labels,
            created: image.created,
            size: image.size,
        };
        Ok(list.into_iter().map(summary).collect())
    }

    /// Everything about an image, as the Engine tells it, or `None` when it isn't there.
    pub async fn inspect_image(&self, reference: &str) -> Result<Option<Value>, WireError> {
        let name = names::image(reference)?;
        self.inspect(&format!("/images/{name}/json"), "image", name)
            .await
    }

    /// Gives an image another name, `repository:tag`.
    pub async fn tag(&self, reference: &str, new: &str) -> Result<(), WireError> {
        let name = names::image(reference)?;
        let (repository, tag) = names::repository_and_tag(new)?;
        let call = self.image(&format!("tagging image {name} as {new}"), name);
        let options = TagImageOptionsBuilder::new()
            .repo(repository)
            .tag(tag)
            .build();
        self.within(&call, QUICK, self.docker.tag_image(name, Some(options)))
            .await
    }

    /// Removes an image's name, and the image with its last name. One that a container uses is refused.
    pub async fn remove_image(&self, reference: &str) -> Result<(), WireError> {
        let name = names::image(reference)?;
        let call = self.image(&format!("removing image {name}"), name);
        let mut tries = 0;
        loop {
            let options = RemoveImageOptionsBuilder::new().build();
            let removing = self.docker.remove_image(name, Some(options), None);
            tries += 1;
            match self.within(&call, SLOW, removing).await {
                // When another name of the same image goes at the same moment, the Engine answers so; asked again it knows.
                Err(WireError::Remote { status: 500, .. }) if tries < 3 => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                answer => return answer.map(drop),
            }
        }
    }

    /// Removes nameless images that no container uses and that have all the labels; returns the bytes freed.
    pub async fn prune_images(&self, labels: &[String]) -> Result<u64, WireError> {
        let mut filters = with_labels(labels);
        filters.insert("dangling".into(), vec!["true".into()]);
        let options = PruneImagesOptionsBuilder::new().filters(&filters).build();
        let call = self.call("pruning images", "");
        let pruned = self
            .within(&call, SLOW, self.docker.prune_images(Some(options)))
            .await?;
        Ok(pruned
            .space_reclaimed
            .unwrap_or_default()
            .try_into()
            .unwrap_or_default())
    }

    /// Pulls an image and returns its digest, `sha256:…`. The credentials go with the request and stay nowhere.
    pub async fn pull(
        &self,
        reference: &str,
        credentials: Option<&Credentials>,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<String, WireError> {
        let name = names::image(reference)?;
        let call = self.image(&format!("pulling {name}"), name);
        let query = match names::repository_and_tag(name) {
            Ok((repository, tag)) => names::query(&[("fromImage", repository), ("tag", tag)]),
            // With a digest the whole reference goes into one parameter.
            Err(_) => names::query(&[("fromImage", name)]),
        };
        let mut request = request("POST", &format!("/images/create{query}"));
        authorize(&mut request, credentials);
        let digest = self.transfer(&call, name, request, progress).await?;
        digest.ok_or_else(|| fault::name(&call, 0, "the Engine ended the pull without a digest"))
    }

    /// Pushes an image, `repository:tag`, and returns the digest of its manifest, `sha256:…`.
    pub async fn push(
        &self,
        reference: &str,
        credentials: Option<&Credentials>,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<String, WireError> {
        let (repository, tag) = names::repository_and_tag(reference)?;
        let call = self.image(&format!("pushing {reference}"), reference);
        let query = names::query(&[("tag", tag)]);
        let mut request = request("POST", &format!("/images/{repository}/push{query}"));
        authorize(&mut request, credentials);
        let digest = self.transfer(&call, reference, request, progress).await?;
        digest.ok_or_else(|| fault::name(&call, 0, "the Engine ended the push without a digest"))
    }

    async fn transfer(
        &self,
        call: &Call,
        image: &str,
        request: BollardRequest,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Option<String>, WireError> {
        let mut digest = None;
        self.stream(call, request, &mut |said| match said {
            Said::Progress(step) => {
                if let Some(found) = step.digest() {
                    digest = Some(found.to_owned());
                }
                progress(step);
                Ok(())
            }
            Said::Aux { value, .. } => {
                if let Some(found) = value["Digest"].as_str() {
                    digest = Some(found.to_owned());
                }
                Ok(())
            }
            Said::Error { status, message } => {
                Err(fault::name_registry(call, image, status, &message))
            }
        })
        .await?;
        Ok(digest)
    }

    pub(crate) fn image(&self, what: &str, name: &str) -> Call {
        self.call(what, &format!("image {name}"))
    }
}

fn authorize(request: &mut BollardRequest, credentials: Option<&Credentials>) {
    // The Engine wants the header even when there is nothing in it.
    let header = credentials.map_or_else(|| "e30=".into(), Credentials::engine_header);
    if let Ok(mut value) = hyper::header::HeaderValue::from_str(&header) {
        value.set_sensitive(true);
        request.headers_mut().insert("x-registry-auth", value);
    }
}
