//! Containers: from a list of them to one's end.

use std::{collections::HashMap, time::Duration};

use bollard::query_parameters::{
    ListContainersOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    RenameContainerOptionsBuilder, StopContainerOptionsBuilder,
};
use futures::StreamExt;
use serde_json::Value;

use super::{Call, Engine, QUICK, SLOW, fault, names, request, with_json, with_labels};
use crate::wire::WireError;

/// A container as it stands in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSummary {
    /// 64 hex digits.
    pub id: String,
    /// Without the leading slash.
    pub names: Vec<String>,
    /// The reference it was created from.
    pub image: String,
    /// `sha256:…`.
    pub image_id: String,
    /// `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`.
    pub state: String,
    /// For people: `Up 3 minutes (healthy)`.
    pub status: String,
    /// Labels of the container, with those of its image.
    pub labels: HashMap<String, String>,
    /// Seconds since 1970.
    pub created: i64,
}

/// Which containers a list has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those that run.
    Running,
    /// Also those that don't.
    All,
}

/// What happens to a container that runs when it is to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// The removal fails.
    OnlyStopped,
    /// It is killed.
    EvenRunning,
}

/// Which part of a container's logs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Logs {
    /// The last so many lines; all when `None`.
    pub tail: Option<u32>,
    /// Each line begins with its time.
    pub timestamps: bool,
    /// Seconds since 1970: nothing older.
    pub since: Option<i32>,
}

impl Engine {
    /// The containers that have all the labels, each `key` or `key=value`.
    pub async fn containers(
        &self,
        which: Which,
        labels: &[String],
    ) -> Result<Vec<ContainerSummary>, WireError> {
        let options = ListContainersOptionsBuilder::new()
            .all(which == Which::All)
            .filters(&with_labels(labels))
            .build();
        let call = self.call("listing containers", "");
        let list = self
            .within(&call, QUICK, self.docker.list_containers(Some(options)))
            .await?;
        let summary = |container: bollard::models::ContainerSummary| ContainerSummary {
            id: container.id.unwrap_or_default(),
            names: container
                .names
                .unwrap_or_default()
                .iter()
                .map(|name| name.trim_start_matches('/').to_owned())
                .collect(),
            image: container.image.unwrap_or_default(),
            image_id: container.image_id.unwrap_or_default(),
            state: container
                .state
                .map(|state| state.to_string())
                .unwrap_or_default(),
            status: container.status.unwrap_or_default(),
            labels: container.labels.unwrap_or_default(),
            created: container.created.unwrap_or_default(),
        };
        Ok(list.into_iter().map(summary).collect())
    }

    /// Everything about a container, as the Engine tells it, or `None` when there is none of that name or id.
    pub async fn inspect_container(&self, name: &str) -> Result<Option<Value>, WireError> {
        let name = names::plain("container", name)?;
        self.inspect(&format!("/containers/{name}/json"), "container", name)
            .await
    }

    /// Creates a container and returns its id. `specification` is the body of `POST /containers/create`, and is sent as it is.
    pub async fn create(&self, name: &str, specification: &Value) -> Result<String, WireError> {
        let name = names::plain("container", name)?;
        let call = self.container(&format!("creating container {name}"), name);
        let path = format!("/containers/create{}", names::query(&[("name", name)]));
        let request = with_json(request("POST", &path), specification);
        let answer = self.json(&call, SLOW, request).await?;
        let id = answer["Id"].as_str().map(str::to_owned);
        id.ok_or_else(|| fault::name(&call, 0, "the Engine gave no id"))
    }

    /// Starts a container. One that runs already stays as it is.
    pub async fn start(&self, name: &str) -> Result<(), WireError> {
        let name = names::plain("container", name)?;
        let call = self.container(&format!("starting container {name}"), name);
        self.within(&call, SLOW, self.docker.start_container(name, None))
            .await
    }

    /// Stops a container: its stop signal, and a kill after so many seconds (the container's own default when `None`).
    /// One that is stopped already stays as it is.
    pub async fn stop(&self, name: &str, grace: Option<u32>) -> Result<(), WireError> {
        let name = names::plain("container", name)?;
        let call = self.container(&format!("stopping container {name}"), name);
        let mut options = StopContainerOptionsBuilder::new();
        if let Some(seconds) = grace {
            options = options.t(seconds.try_into().unwrap_or(i32::MAX));
        }
        // The container's own grace is not known here, so the wait is an hour then.
        let limit = Duration::from_secs(grace.map_or(3600, |seconds| u64::from(seconds) + 60));
        self.within(
            &call,
            limit,
            self.docker.stop_container(name, Some(options.build())),
        )
        .await
    }

    /// Gives a container another name.
    pub async fn rename(&self, name: &str, new: &str) -> Result<(), WireError> {
        let (name, new) = (
            names::plain("container", name)?,
            names::plain("container", new)?,
        );
        let call = self.container(&format!("renaming container {name} to {new}"), name);
        let options = RenameContainerOptionsBuilder::new().name(new).build();
        self.within(&call, QUICK, self.docker.rename_container(name, options))
            .await
    }

    /// Removes a container, but not its named volumes.
    pub async fn remove(&self, name: &str, removal: Removal) -> Result<(), WireError> {
        let name = names::plain("container", name)?;
        let call = self.container(&format!("removing container {name}"), name);
        let options = RemoveContainerOptionsBuilder::new()
            .force(removal == Removal::EvenRunning)
            .build();
        self.within(
            &call,
            SLOW,
            self.docker.remove_container(name, Some(options)),
        )
        .await
    }

    /// Waits for a container's end and returns its exit code.
    pub async fn wait(&self, name: &str, limit: Duration) -> Result<i64, WireError> {
        let name = names::plain("container", name)?;
        let call = self.container(&format!("waiting for container {name}"), name);
        let request = request("POST", &format!("/containers/{name}/wait"));
        let said = self.json(&call, limit, request).await?;
        Ok(said["StatusCode"].as_i64().unwrap_or(-1))
    }

    /// A container's standard output and standard error, in the order in which the Engine has them; up to 64 MiB.
    pub async fn logs(&self, container: &str, logs: Logs) -> Result<Vec<u8>, WireError> {
        let name = names::plain("container", container)?;
        let call = self.container(&format!("reading the logs of container {name}"), name);
        let tail = logs
            .tail
            .map_or_else(|| "all".into(), |lines| lines.to_string());
        let mut options = LogsOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .timestamps(logs.timestamps)
            .tail(&tail);
        if let Some(since) = logs.since {
            options = options.since(since);
        }
        let read = async {
            let mut chunks = self.docker.logs(name, Some(options.build()));
            let mut text = Vec::new();
            while let Some(chunk) = chunks.next().await {
                let chunk = chunk?.into_bytes();
                if text.len() + chunk.len() > 64 << 20 {
                    break;
                }
                text.extend_from_slice(&chunk);
            }
            Ok(text)
        };
        self.within(&call, SLOW, read).await
    }

    pub(super) fn container(&self, what: &str, name: &str) -> Call {
        self.call(what, &format!("container {name}"))
    }
}
