//! Reads hosts into documents: all hosts at once, two rounds of calls on each.

use std::collections::BTreeSet;
use std::rc::Rc;

use futures::future::{join, join3, join4};
use release::{Encoding, Proxy, Release, Role};
use serde_json::Value as Json;

use super::bindings::plimsoll::deploy::secrets;
use super::bindings::plimsoll::deploy::types::{CapError, Document};
use super::reader::Reader;
use super::{convert, world};
use crate::desired::Desired;
use crate::facts::{Container, HostFacts, ProxyFacts, Stale};
use crate::observed::environment::Fingerprints;
use crate::observed::{self, Inspected, environment, route};
use crate::places::Places;

/// Documents of the release, of everything that runs, and the facts of every host.
pub(super) async fn observe(desired: &Desired) -> Result<Vec<Document>, CapError> {
    let places = Rc::new(Places::default());
    let hosts = desired
        .hosts()
        .into_iter()
        .map(|host| read(desired, host, &places));
    let (fingerprints, hosts) = join(fingerprints(desired, &places), world::all(hosts)).await;
    let (fingerprints, hosts) = (fingerprints?, hosts?);
    let release = &desired.release;
    let primary = hosts.iter().find(|host| host.name == release.primary_host);
    let version = primary.and_then(|host| {
        let current = host.facts.current(release, &release.primary_role)?;
        observed::version(release, &release.primary_role, &current.name)
    });
    let release = observed::release(release, version);
    let mut documents = vec![convert::document(
        Release::ADDRESS.to_owned(),
        Release::MEDIA_TYPE,
        &release,
    )];
    documents.extend(
        hosts
            .iter()
            .flat_map(|host| host.documents(desired, &fingerprints)),
    );
    Ok(documents)
}

/// What was read on a host.
struct Host<'a> {
    name: &'a str,
    facts: HostFacts,
    proxy: Option<Inspected>,
    /// The proxy's routes as it keeps them.
    state: Json,
    /// Role, its current container.
    roles: Vec<(&'a str, Container, Inspected)>,
}

async fn read<'a>(
    desired: &'a Desired,
    host: &'a str,
    places: &Rc<Places>,
) -> Result<Host<'a>, CapError> {
    let release = &desired.release;
    let engine = &Reader::connect(host, places).await?;
    let (containers, images, network, proxy) = join4(
        engine.containers(&release.service),
        engine.images(&release.service),
        engine.network_exists(&release.network),
        read_proxy(engine, desired.proxies.get(host)),
    )
    .await;
    let ReadProxy {
        container: proxy,
        state,
        image: proxy_image,
    } = proxy?;
    let facts = HostFacts {
        containers: containers?,
        images: images?,
        network: network?,
        proxy: proxy.as_ref().map(|container| ProxyFacts {
            image: container["Config"]["Image"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            running: container["State"]["Running"].as_bool().unwrap_or(false),
            routes: route::targets(&state),
        }),
        proxy_image,
    };
    let current = desired.roles_on(host).into_iter().filter_map(|(role, _)| {
        let container = facts.current(release, role)?;
        Some((role, container.clone()))
    });
    let roles = world::all(current.map(|(role, container)| async move {
        let inspected = match engine.inspect(&container.name).await? {
            Some(description) => Some(inspected(engine, description).await?),
            None => None,
        };
        Ok(inspected.map(|inspected| (role, container, inspected)))
    }));
    let proxy = async {
        match proxy {
            Some(container) => inspected(engine, container).await.map(Some),
            None => Ok(None),
        }
    };
    let (roles, proxy) = join(roles, proxy).await;
    Ok(Host {
        name: host,
        facts,
        proxy: proxy?,
        state,
        roles: roles?.into_iter().flatten().collect(),
    })
}

struct ReadProxy {
    container: Option<Json>,
    state: Json,
    image: bool,
}

/// The proxy of a host that should have one.
async fn read_proxy(engine: &Reader, desired: Option<&Proxy>) -> Result<ReadProxy, CapError> {
    let Some(desired) = desired else {
        return Ok(ReadProxy {
            container: None,
            state: Json::Null,
            image: false,
        });
    };
    let (container, state, image) = join3(
        engine.inspect(Proxy::CONTAINER),
        engine.read_json(Proxy::CONTAINER, route::STATE_FILE),
        engine.inspect_image(&desired.image),
    )
    .await;
    let container = container?;
    let state = match state {
        // Without the container there is no file.
        Err(_) if container.is_none() => Json::Null,
        state => state?,
    };
    Ok(ReadProxy {
        container,
        state,
        image: image?.is_some(),
    })
}

/// Adds its image to a container. The name it was created from may mean another image by now.
async fn inspected(engine: &Reader, container: Json) -> Result<Inspected, CapError> {
    let name = container["Config"]["Image"].as_str().unwrap_or_default();
    let id = container["Image"].as_str().unwrap_or_default();
    let image = match read_image(engine, name).await? {
        Some(image) if image["Id"].as_str() == Some(id) => Some(image),
        Some(_) | None => read_image(engine, id).await?,
    };
    Ok(Inspected { container, image })
}

async fn read_image(engine: &Reader, reference: &str) -> Result<Option<Json>, CapError> {
    match engine.inspect_image(reference).await {
        // What ran before may be out of today's grants.
        Err(CapError::Denied(_) | CapError::NotFound(_)) => Ok(None),
        image => image,
    }
}

async fn fingerprints(desired: &Desired, places: &Places) -> Result<Fingerprints, CapError> {
    let names: BTreeSet<(String, Encoding)> = desired
        .roles
        .values()
        .flat_map(|role| environment::secrets(&role.env))
        .collect();
    let all = world::all(names.into_iter().map(|(name, encoding)| async move {
        match places
            .call(secrets::fingerprint(convert::secret(&name, encoding)))
            .await
        {
            Ok(fingerprint) => Ok(Some(((name, encoding), fingerprint))),
            Err(CapError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }));
    Ok(all.await?.into_iter().flatten().collect())
}

impl Host<'_> {
    fn documents(&self, desired: &Desired, fingerprints: &Fingerprints) -> Vec<Document> {
        let address = HostFacts::address(self.name);
        let mut documents = vec![convert::document(
            address,
            HostFacts::MEDIA_TYPE,
            &self.facts,
        )];
        // A proxy that does not run is not there: the plan starts it.
        let running = self.facts.proxy.as_ref().is_some_and(|proxy| proxy.running);
        if let (Some(wanted), Some(found), true) =
            (desired.proxies.get(self.name), &self.proxy, running)
        {
            let proxy = observed::proxy(wanted, found);
            documents.push(convert::document(
                Proxy::address(self.name),
                Proxy::MEDIA_TYPE,
                &proxy,
            ));
        }
        for (name, _) in desired.roles_on(self.name) {
            documents.extend(self.facts.stale(&desired.release, name).into_iter().map(
                |container| {
                    let stale = Stale {
                        image: container.image.clone(),
                        state: container.state.clone(),
                    };
                    convert::document(
                        Stale::address(self.name, &container.name),
                        Stale::MEDIA_TYPE,
                        &stale,
                    )
                },
            ));
        }
        for (name, container, inspected) in &self.roles {
            let Some(wanted) = desired
                .roles
                .get(&(self.name.to_owned(), (*name).to_owned()))
            else {
                continue;
            };
            let route = wanted.proxy.as_ref().and_then(|wanted| {
                route::route(
                    wanted,
                    &desired.release.prefix(name),
                    &self.state,
                    container,
                )
            });
            let role = observed::role(wanted, inspected, fingerprints, route);
            documents.push(convert::document(
                Role::address(self.name, name),
                Role::MEDIA_TYPE,
                &role,
            ));
        }
        documents
    }
}
