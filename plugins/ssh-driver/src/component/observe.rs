//! Reads hosts into documents: all hosts at once, two rounds of calls on each, and of what there is only what the request
//! needs.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use futures::future::{join, join3, join5};
use release::{Accessory, Encoding, Proxy, Release, Role};
use serde_json::Value as Json;

use super::bindings::plimsoll::deploy::secrets;
use super::bindings::plimsoll::deploy::ssh::Session;
use super::bindings::plimsoll::deploy::types::{CapError, Document};
use super::reader::Reader;
use super::{convert, world};
use crate::desired::Desired;
use crate::facts::{Container, DockerState, HostFacts, ProxyFacts, Stale};
use crate::look::Look;
use crate::observed::environment::Fingerprints;
use crate::observed::{self, Inspected, environment, route};
use crate::places::Places;
use crate::plan::{boot_config, files};
use crate::request::{Command, Request};

/// Documents of the release, of everything that runs, and the facts of every host. For a request that is not about how
/// containers are configured, the documents are the desired ones: there is nothing to compare.
pub(super) async fn observe(
    request: &Request,
    desired: &Desired,
    documents: &[Document],
) -> Result<Vec<Document>, CapError> {
    let hosts = match matches!(request.command, Command::Prune(_) | Command::Bootstrap) {
        true => desired.meant_hosts(),
        false => desired.all_hosts(),
    };
    let places = Rc::new(Places::on(hosts.len()));
    let looks = hosts.into_iter().filter_map(|host| {
        let look = Look::of(&request.command, desired, host);
        Some((host, look)).filter(|(_, look)| !look.is_nothing())
    });
    let reads = looks.map(|(host, look)| read(request, desired, host, look, &places));
    let compares = matches!(request.command, Command::Deploy | Command::Setup);
    let fingerprints = async {
        match compares {
            true => fingerprints(desired, &places).await,
            false => Ok(Fingerprints::new()),
        }
    };
    let (fingerprints, hosts) = join(fingerprints, world::all(reads)).await;
    let (fingerprints, hosts) = (fingerprints?, hosts?);
    if !compares {
        let facts = hosts.iter().map(Host::facts_document);
        return Ok(documents.iter().cloned().chain(facts).collect());
    }
    let release = &desired.release;
    let primary = hosts.iter().find(|host| host.name == release.primary_host);
    let version = primary.and_then(|host| {
        let current = host.facts.current(release, &release.primary_role)?;
        observed::version(release, &release.primary_role, &current.name)
    });
    let release = observed::release(release, version);
    let mut observed = vec![convert::document(
        Release::ADDRESS.to_owned(),
        Release::MEDIA_TYPE,
        &release,
    )];
    observed.extend(
        hosts
            .iter()
            .flat_map(|host| host.documents(desired, &fingerprints)),
    );
    // Accessories that are there are left alone, however they are configured.
    let is_there = |document: &&Document| {
        Accessory::parse_address(&document.address).is_some_and(|(host, name)| {
            hosts
                .iter()
                .any(|one| one.name == host && one.facts.accessories.contains_key(name))
        })
    };
    observed.extend(documents.iter().filter(is_there).cloned());
    Ok(observed)
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
    request: &Request,
    desired: &'a Desired,
    host: &'a str,
    look: Look,
    places: &Rc<Places>,
) -> Result<Host<'a>, CapError> {
    let (docker, apps) = over_ssh(host, look).await?;
    let found = Host {
        name: host,
        facts: HostFacts {
            docker,
            apps,
            ..HostFacts::default()
        },
        proxy: None,
        state: Json::Null,
        roles: Vec::new(),
    };
    if !found.facts.has_engine() || !look.needs_engine() {
        return Ok(found);
    }
    let engine = &Reader::connect(host, places).await?;
    let (proxy, facts) = join(
        read_proxy(engine, desired, host, look),
        read_engine(engine, desired, host, look, found.facts),
    )
    .await;
    let (proxy, mut facts) = (proxy?, facts?);
    facts.proxy_image = proxy.image;
    facts.boot_config = proxy.boot_config;
    facts.proxy = proxy.container.as_ref().map(|container| ProxyFacts {
        image: container["Config"]["Image"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        running: container["State"]["Running"].as_bool().unwrap_or(false),
        routes: BTreeMap::new(),
    });
    if look.routes {
        let routes = route::targets(&proxy.state);
        match &mut facts.proxy {
            Some(found) => found.routes = routes,
            None if look.proxy => {}
            // One that was not looked at routes all the same.
            None => {
                facts.proxy = Some(ProxyFacts {
                    image: String::new(),
                    running: true,
                    routes,
                });
            }
        }
    }
    let current = desired.roles_on(host).into_iter().filter_map(|(role, _)| {
        let container = facts.current(&desired.release, role)?;
        Some((role, container.clone()))
    });
    let current: Vec<_> = current.filter(|_| look.configuration).collect();
    let roles = world::all(current.into_iter().map(|(role, container)| async move {
        let inspected = inspected(engine, &container).await?;
        Ok(inspected.map(|inspected| (role, container, inspected)))
    }));
    let proxy_inspected = async {
        match proxy.container.filter(|_| look.configuration) {
            Some(container) => {
                let image = image_of(engine, &container).await?;
                Ok(Some(Inspected { container, image }))
            }
            None => Ok(None),
        }
    };
    let kept = kept(engine, request, desired, host, &facts, look);
    let (roles, proxy_inspected, kept) = join3(roles, proxy_inspected, kept).await;
    facts.restorable = kept?;
    Ok(Host {
        facts,
        proxy: proxy_inspected?,
        state: proxy.state,
        roles: roles?.into_iter().flatten().collect(),
        name: host,
    })
}

/// What is known without an Engine.
async fn over_ssh(host: &str, look: Look) -> Result<(Option<DockerState>, Vec<String>), CapError> {
    if !look.docker && !look.apps {
        return Ok((None, Vec::new()));
    }
    let session = Session::connect(host.to_owned()).await?;
    let docker = async {
        match look.docker {
            true => session.docker_state().await.map(Some),
            false => Ok(None),
        }
    };
    let apps = async {
        match look.apps {
            true => session.names(APPS.to_owned()).await,
            false => Ok(None),
        }
    };
    let (docker, apps) = join(docker, apps).await;
    let docker = docker?.map(|state| DockerState {
        installed: state.installed,
        root: state.root,
        sudo: state.sudo,
        member: state.member,
    });
    Ok((docker, apps?.unwrap_or_default()))
}

/// Where every application of a host has a folder.
const APPS: &str = ".kamal/apps";

async fn read_engine(
    engine: &Reader,
    desired: &Desired,
    host: &str,
    look: Look,
    facts: HostFacts,
) -> Result<HostFacts, CapError> {
    let release = &desired.release;
    let containers = async {
        match look.containers {
            true => engine.containers(&release.service).await,
            false => Ok(Vec::new()),
        }
    };
    let images = async {
        match look.images {
            true => engine.images(&release.service).await,
            false => Ok(Vec::new()),
        }
    };
    let network = async {
        match look.network {
            true => engine.network_exists(&release.network).await,
            false => Ok(true),
        }
    };
    let here: Vec<(&str, &Accessory)> = desired
        .accessories
        .iter()
        .filter(|((at, _), _)| at == host && look.accessories)
        .map(|((_, name), accessory)| (name.as_str(), accessory))
        .collect();
    let accessories = world::all(here.iter().map(|(name, accessory)| async {
        let found = engine.containers(&accessory.container).await?;
        Ok(((*name).to_owned(), found))
    }));
    let accessory_images = world::all(here.iter().map(|(_, accessory)| async {
        let found = engine.inspect_image(&accessory.image).await?;
        Ok(found.map(|_| accessory.image.clone()))
    }));
    let (containers, images, network, accessories, accessory_images) =
        join5(containers, images, network, accessories, accessory_images).await;
    let accessories = accessories?.into_iter();
    Ok(HostFacts {
        containers: containers?,
        images: images?,
        network: network?,
        accessories: accessories.filter(|(_, found)| !found.is_empty()).collect(),
        accessory_images: accessory_images?.into_iter().flatten().collect(),
        ..facts
    })
}

/// The containers to go back to that say themselves what they ran with: Kamal and plimsoll give every container its
/// version as a variable.
async fn kept(
    engine: &Reader,
    request: &Request,
    desired: &Desired,
    host: &str,
    facts: &HostFacts,
    look: Look,
) -> Result<BTreeSet<String>, CapError> {
    let Command::Rollback { version } = &request.command else {
        return Ok(BTreeSet::new());
    };
    let names = desired.roles_on(host).into_iter();
    let names = names.map(|(role, _)| desired.container(role));
    let there = names.filter(|name| look.kept && facts.container(name).is_some());
    let said = world::all(there.map(|name| async {
        let description = engine.inspect(&name).await?.unwrap_or_default();
        let says = description["Config"]["Env"]["KAMAL_VERSION"].as_str() == Some(version);
        Ok(says.then_some(name))
    }));
    Ok(said.await?.into_iter().flatten().collect())
}

struct ReadProxy {
    container: Option<Json>,
    state: Json,
    image: bool,
    boot_config: BTreeMap<String, String>,
}

/// The proxy of a host that should have one, and what it routes to.
async fn read_proxy(
    engine: &Reader,
    desired: &Desired,
    host: &str,
    look: Look,
) -> Result<ReadProxy, CapError> {
    let wanted = desired.proxies.get(host).filter(|_| look.proxy);
    let container = async {
        match wanted {
            Some(_) => engine.inspect(Proxy::CONTAINER).await,
            None => Ok(None),
        }
    };
    let state = async {
        match look.routes {
            true => Some(engine.read_json(Proxy::CONTAINER, route::STATE_FILE).await),
            false => None,
        }
    };
    let image = async {
        match wanted {
            Some(wanted) => Ok(engine.inspect_image(&wanted.image).await?.is_some()),
            None => Ok(false),
        }
    };
    let (container, state, image) = join3(container, state, image).await;
    let container = container?;
    let state = match state {
        None => Json::Null,
        // Without the container there is no file.
        Some(Err(CapError::NotFound(_))) => Json::Null,
        Some(Err(_)) if wanted.is_some() && container.is_none() => Json::Null,
        Some(state) => state?,
    };
    // Only a new container is made with what they say.
    let boot_config = match wanted.filter(|wanted| wanted.defaults) {
        Some(_) if container.is_none() || !look.routes => boot_config_files(host).await?,
        Some(_) | None => BTreeMap::new(),
    };
    Ok(ReadProxy {
        container,
        state,
        image: image?,
        boot_config,
    })
}

/// What `proxy boot_config` left.
pub(super) async fn boot_config_files(host: &str) -> Result<BTreeMap<String, String>, CapError> {
    let session = Session::connect(host.to_owned()).await?;
    let session = &session;
    let files = world::all(boot_config::FILES.map(|file| async move {
        let text = session.read(boot_config::path(file)).await?;
        Ok(text.map(|text| (file.to_owned(), text)))
    }));
    Ok(files.await?.into_iter().flatten().collect())
}

/// A container with its image, both asked for at once: the list has said which image it is.
async fn inspected(engine: &Reader, container: &Container) -> Result<Option<Inspected>, CapError> {
    let (description, image) = join(
        engine.inspect(&container.name),
        read_image(engine, &container.image_id),
    )
    .await;
    let image = image?;
    Ok(description?.map(|container| Inspected { container, image }))
}

/// The image of a container.
async fn image_of(engine: &Reader, container: &Json) -> Result<Option<Json>, CapError> {
    let id = container["Image"].as_str().unwrap_or_default();
    read_image(engine, id).await
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
    fn facts_document(&self) -> Document {
        let address = HostFacts::address(self.name);
        convert::document(address, HostFacts::MEDIA_TYPE, &self.facts)
    }

    fn documents(&self, desired: &Desired, fingerprints: &Fingerprints) -> Vec<Document> {
        let mut documents = vec![self.facts_document()];
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
            let assets = files::volumes(&desired.release, name);
            let role = observed::role(wanted, inspected, fingerprints, &assets, route);
            documents.push(convert::document(
                Role::address(self.name, name),
                Role::MEDIA_TYPE,
                &role,
            ));
        }
        documents
    }
}
