//! What is read of a host's Engine.

use std::rc::Rc;

use release::Value;
use serde_json::Value as Json;

use super::bindings::plimsoll::deploy::docker::{ContainerSummary, Engine, LogLines};
use super::bindings::plimsoll::deploy::types::CapError;
use super::convert;
use crate::facts::{Container, Image};
use crate::places::Places;

/// An open Engine.
pub(super) struct Reader {
    engine: Engine,
    places: Rc<Places>,
}

impl Reader {
    /// Opens the Engine of a host.
    pub(super) async fn connect(host: &str, places: &Rc<Places>) -> Result<Self, CapError> {
        let engine = places.call(Engine::connect(host.to_owned())).await?;
        Ok(Self {
            engine,
            places: Rc::clone(places),
        })
    }

    /// For the calls that change something.
    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Containers of a service, newest first.
    pub(super) async fn containers(&self, service: &str) -> Result<Vec<Container>, CapError> {
        let found = self
            .places
            .call(self.engine.containers(label(service)))
            .await?;
        let container = |summary: ContainerSummary| Container {
            id: summary.id,
            name: summary.name.trim_start_matches('/').to_owned(),
            image: summary.image,
            image_id: summary.image_id,
            state: summary.state,
            labels: summary.labels.into_iter().collect(),
            created: summary.created,
        };
        Ok(found.into_iter().map(container).collect())
    }

    /// Images of a service.
    pub(super) async fn images(&self, service: &str) -> Result<Vec<Image>, CapError> {
        let found = self.places.call(self.engine.images(label(service))).await?;
        Ok(found
            .into_iter()
            .map(|image| Image {
                id: image.id,
                references: image.references,
            })
            .collect())
    }

    /// Whether an image is there with a digest.
    pub(super) async fn has_image(&self, image: &str, digest: &Value) -> Result<bool, CapError> {
        let digest = convert::value(digest);
        let asked = self.engine.has_image(image.to_owned(), digest);
        self.places.call(asked).await
    }

    /// The first registry mirror that the Engine pulls through.
    pub(super) async fn mirror(&self) -> Result<Option<String>, CapError> {
        self.places.call(self.engine.mirror()).await
    }

    pub(super) async fn network_exists(&self, name: &str) -> Result<bool, CapError> {
        self.places
            .call(self.engine.network_exists(name.to_owned()))
            .await
    }

    /// A container as the Engine describes it.
    pub(super) async fn inspect(&self, name: &str) -> Result<Option<Json>, CapError> {
        let description = self
            .places
            .call(self.engine.inspect(name.to_owned()))
            .await?;
        Ok(description.map(|text| parse(&text)))
    }

    /// An image as the Engine describes it.
    pub(super) async fn inspect_image(&self, reference: &str) -> Result<Option<Json>, CapError> {
        let description = self
            .places
            .call(self.engine.inspect_image(reference.to_owned()))
            .await?;
        Ok(description.map(|text| parse(&text)))
    }

    /// A JSON file in a container; null when it is not there.
    pub(super) async fn read_json(&self, container: &str, path: &str) -> Result<Json, CapError> {
        let text = self
            .places
            .call(self.engine.read_file(container.to_owned(), path.to_owned()))
            .await?;
        Ok(text.map_or(Json::Null, |text| parse(&text)))
    }

    /// The last lines of a container's output, with their times.
    pub(super) async fn logs(&self, name: &str, lines: u32) -> Result<Vec<String>, CapError> {
        let wanted = LogLines {
            tail: Some(lines),
            since: None,
            timestamps: true,
        };
        self.lines(name, wanted).await
    }

    /// Lines of a container's output.
    pub(super) async fn lines(
        &self,
        name: &str,
        wanted: LogLines,
    ) -> Result<Vec<String>, CapError> {
        let lines = self.engine.logs(name.to_owned(), wanted);
        self.places.call(lines).await
    }
}

fn label(service: &str) -> Vec<(String, String)> {
    vec![("service".to_owned(), service.to_owned())]
}

/// A description the Engine or the proxy gave; broken text says nothing.
fn parse(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_default()
}
