//! The Engines that build: this machine's, a remote builder's, or both. And the registry that runs on this machine.

use serde_json::json;

use super::super::{DeployError, Host};
use super::failed;
use crate::wire::docker::Removal;
use crate::wire::ssh::Forwarding;
use crate::wire::{Engine, WireError};
use crate::wit::renderer::exports::plimsoll::deploy::renderer::{Build as Wanted, Builder, Image};

/// Name and image of the registry on this machine, as Kamal has them.
const REGISTRY: &str = "kamal-docker-registry";
const REGISTRY_IMAGE: &str = "registry:3";

/// An Engine, and the platforms it builds for.
pub(super) struct Node {
    pub(super) engine: Engine,
    /// `linux/amd64`; its own when there is none.
    pub(super) platforms: Vec<String>,
    /// The way from there to the registry on this machine, as long as it is needed.
    _registry: Option<Forwarding>,
}

/// Says in Kamal's words that Docker is missing here, if it is needed.
pub(super) async fn check_local(builds: &[&Wanted]) -> Result<(), DeployError> {
    let elsewhere = |builder: &Builder| {
        builder.pack.is_none() && builder.local_platforms.is_empty() && builder.remote.is_some()
    };
    if builds
        .iter()
        .all(|build| build.builder.as_ref().is_some_and(elsewhere))
    {
        return Ok(());
    }
    let version = async { Engine::local().await?.version().await };
    match version.await {
        Err(source @ (WireError::DockerAbsent { .. } | WireError::DockerDenied { .. })) => {
            Err(DeployError::Wire {
                doing: "build: Docker is not installed locally, or does not run".to_owned(),
                source,
            })
        }
        Ok(version) if !version.buildkit => Err(DeployError::Project(
            "failed to build: Docker buildx plugin is not installed locally, and what answers as Docker Engine on this machine is Podman, which has no BuildKit\nhint: install Docker, build at `builder.remote`, or push by other means and deploy with -P".to_owned(),
        )),
        // Whatever else is wrong with it shows when it is used.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// This machine's Engine, whatever it builds for.
pub(super) async fn here() -> Result<Node, WireError> {
    Ok(Node {
        engine: Engine::local().await?,
        platforms: Vec::new(),
        _registry: None,
    })
}

/// The Engines of a build.
pub(super) async fn of(
    host: &Host,
    image: &Image,
    wanted: &Wanted,
) -> Result<Vec<Node>, DeployError> {
    let fail = failed("build image", image);
    let local = async |platforms: &[String]| {
        let node = here().await.map_err(&fail);
        node.map(|node| Node {
            platforms: platforms.to_vec(),
            ..node
        })
    };
    let Some(builder) = &wanted.builder else {
        return Ok(vec![local(&wanted.platforms).await?]);
    };
    able(builder)?;
    let mut nodes = Vec::new();
    if !builder.local_platforms.is_empty() || builder.remote_platforms.is_empty() {
        let platforms = match builder.remote_platforms.is_empty() {
            true => &wanted.platforms,
            false => &builder.local_platforms,
        };
        nodes.push(local(platforms).await?);
    }
    if let Some(url) = builder
        .remote
        .as_ref()
        .filter(|_| !builder.remote_platforms.is_empty())
    {
        host.stage("build", format!("Connecting to the builder {url}"));
        let (engine, ssh) = host.run.hosts.engine_at(url).await.map_err(&fail)?;
        let registry = match (image.local_registry, ssh) {
            (Some(port), Some(ssh)) => {
                let forwarding = ssh.forward_back(port, &format!("localhost:{port}")).await;
                Some(forwarding.map_err(&fail)?)
            }
            (None, _) | (_, None) => None,
        };
        nodes.push(Node {
            engine,
            platforms: builder.remote_platforms.clone(),
            _registry: registry,
        });
    }
    Ok(nodes)
}

/// What is somebody else's to build.
fn able(builder: &Builder) -> Result<(), DeployError> {
    if builder.driver.starts_with("cloud") {
        return Err(DeployError::Project(format!(
            "failed to build with driver `{}`: Docker Build Cloud is reached by `docker buildx` alone\nhint: build and push with `docker buildx build`, then deploy with -P; or take `remote: ssh://…`",
            builder.driver
        )));
    }
    Ok(())
}

/// Removes the registry on this machine, with what is in it; none is fine.
pub(in crate::pipeline) async fn remove_registry() -> Result<(), WireError> {
    let engine = Engine::local().await?;
    if engine.inspect_container(REGISTRY).await?.is_some() {
        engine.remove(REGISTRY, Removal::EvenRunning).await?;
    }
    Ok(())
}

/// Starts the registry on this machine, where it does not run yet.
pub(in crate::pipeline) async fn start_registry(port: u16) -> Result<(), WireError> {
    let engine = Engine::local().await?;
    if engine.inspect_container(REGISTRY).await?.is_none() {
        if engine.inspect_image(REGISTRY_IMAGE).await?.is_none() {
            engine.pull(REGISTRY_IMAGE, None, &mut |_| {}).await?;
        }
        let specification = json!({
            "Image": REGISTRY_IMAGE,
            "ExposedPorts": {"5000/tcp": {}},
            "HostConfig": {
                "PortBindings": {"5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": port.to_string()}]},
            },
        });
        engine.create(REGISTRY, &specification).await?;
    }
    engine.start(REGISTRY).await
}
