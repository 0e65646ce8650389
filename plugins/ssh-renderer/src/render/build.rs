//! What the host builds, and with what (`kamal.md` §6.3).

use release::Value;

use crate::config::Config;
use crate::config::registry::Registry;
use crate::diagnostic::Findings;
use crate::options::Facts;
use crate::render::container::clear_value;
use crate::render::unquoted::argument;
use crate::secret::Secrets;
use crate::yaml::{Entry, Node};

/// An image to build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// Folder of the build context; `None` builds a clone of HEAD.
    pub context: Option<String>,
    /// Path of the Dockerfile.
    pub dockerfile: String,
    /// Stage.
    pub target: Option<String>,
    /// Arguments.
    pub args: Vec<(String, Value)>,
    /// Labels.
    pub labels: Vec<(String, String)>,
    /// `linux/amd64`; none is whatever the Engine is.
    pub platforms: Vec<String>,
    /// All names of the image.
    pub tags: Vec<String>,
    /// Who builds; `None` is this machine's Engine.
    pub builder: Option<Builder>,
}

/// Who builds, and with what. As `builder` of `wit/renderer.wit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Builder {
    /// Name of the buildx instance.
    pub name: Option<String>,
    /// Its driver.
    pub driver: String,
    /// Platforms built here.
    pub local_platforms: Vec<String>,
    /// Platforms built by the other Engine.
    pub remote_platforms: Vec<String>,
    /// URL of the other Engine.
    pub remote: Option<String>,
    /// `--cache-from`.
    pub cache_from: Vec<String>,
    /// `--cache-to`.
    pub cache_to: Vec<String>,
    /// Names of secrets.
    pub secrets: Vec<String>,
    /// `--ssh`.
    pub ssh: Option<Value>,
    /// `--provenance`.
    pub provenance: Option<String>,
    /// `--sbom`.
    pub sbom: Option<String>,
    /// Buildpacks.
    pub pack: Option<Pack>,
}

/// Cloud Native Buildpacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pack {
    /// Builder image.
    pub builder: String,
    /// In order.
    pub buildpacks: Vec<String>,
}

/// Whether the architecture of this machine's Engine decides who builds.
pub fn depends_on_architecture(config: &Config) -> bool {
    config
        .root
        .dig(&["builder", "remote"])
        .is_some_and(Node::is_present)
}

/// What to build for the tags it gets.
pub fn build(
    config: &Config,
    tags: Vec<String>,
    facts: &Facts,
    secrets: &Secrets<'_>,
    findings: &mut Findings,
) -> Build {
    let section = Section(config.root.get("builder"));
    let platforms = section.platforms();
    let args = section.get("args").map(Node::entries).unwrap_or_default();
    let argument = |Entry { key, value }: &Entry| {
        let name = key.to_text();
        let value = clear_value(&name, value);
        (name, value)
    };
    Build {
        context: section.text("context"),
        dockerfile: section
            .text("dockerfile")
            .unwrap_or("Dockerfile".to_owned()),
        target: section.text("target"),
        args: args.iter().map(argument).collect(),
        labels: vec![("service".to_owned(), config.service.clone())],
        builder: config
            .registry
            .as_ref()
            .map(|registry| builder(config, registry, &section, facts, secrets, findings)),
        platforms,
        tags,
    }
}

/// The `builder` section, when there is one.
struct Section<'n>(Option<&'n Node>);

impl<'n> Section<'n> {
    fn get(&self, key: &str) -> Option<&'n Node> {
        self.0.and_then(|section| section.get(key))
    }

    fn text(&self, key: &str) -> Option<String> {
        self.get(key)
            .filter(|node| node.is_present())
            .and_then(Node::as_stringish)
    }

    fn platforms(&self) -> Vec<String> {
        let arches = match self.get("arch") {
            Some(arch) => arch.as_list().map_or_else(
                || vec![arch.to_text()],
                |l| l.iter().map(Node::to_text).collect(),
            ),
            None => Vec::new(),
        };
        arches.iter().map(|arch| format!("linux/{arch}")).collect()
    }

    /// Kamal gives it to its command unless it is missing: `false` is a value.
    fn given(&self, key: &str) -> Option<String> {
        self.get(key).and_then(Node::as_stringish)
    }
}

fn builder(
    config: &Config,
    registry: &Registry,
    section: &Section<'_>,
    facts: &Facts,
    secrets: &Secrets<'_>,
    findings: &mut Findings,
) -> Builder {
    let names = section.get("secrets").map(Node::items).unwrap_or_default();
    for name in names {
        secrets.check(&name.to_text(), Some(name.at), findings);
    }
    let driver = section
        .text("driver")
        .unwrap_or("docker-container".to_owned());
    let remote = section.text("remote");
    let local = section.get("local").and_then(Node::as_bool).unwrap_or(true);
    let own = facts.docker_arch().map(|arch| format!("linux/{arch}"));
    let is_local = |platform: &String| remote.is_none() || local && own.as_ref() == Some(platform);
    let (local_platforms, remote_platforms): (Vec<_>, Vec<_>) =
        section.platforms().into_iter().partition(is_local);
    let pack = pack(section).filter(|_| remote_platforms.is_empty());
    let suffix = if registry.is_local() {
        "-local-registry"
    } else {
        ""
    };
    let name = match &remote {
        Some(url) if !remote_platforms.is_empty() => match local_platforms.is_empty() {
            true => Some(format!("{}{suffix}", remote_name(url))),
            false => Some(format!("kamal-hybrid-{driver}-{}{suffix}", url_name(url))),
        },
        Some(_) | None if pack.is_some() || driver == "docker" => None,
        Some(_) | None if driver.starts_with("cloud") => Some(driver.replace([' ', '/'], "-")),
        Some(_) | None if registry.is_local() => Some(format!("kamal-local-registry-{driver}")),
        Some(_) | None => Some(format!("kamal-local-{driver}")),
    };
    let (cache_from, cache_to) = cache(config, section);
    let ssh = section.get("ssh").filter(|ssh| ssh.is_present());
    Builder {
        name,
        driver,
        remote: remote.filter(|_| !remote_platforms.is_empty()),
        local_platforms,
        remote_platforms,
        cache_from,
        cache_to,
        secrets: names.iter().map(Node::to_text).collect(),
        ssh: ssh.and_then(|ssh| argument(ssh, "builder/ssh", findings)),
        provenance: section.given("provenance"),
        sbom: section.given("sbom"),
        pack,
    }
}

/// Name of the buildx instance for another Engine.
pub fn remote_name(url: &str) -> String {
    format!("kamal-remote-{}", url_name(url))
}

fn url_name(url: &str) -> String {
    let kept = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    let replaced = url.chars().map(|c| if kept(c) { c } else { '-' });
    replaced.collect()
}

fn pack(section: &Section<'_>) -> Option<Pack> {
    let pack = section.get("pack").filter(|pack| pack.is_truthy())?;
    let items = pack.get("buildpacks").map(Node::items).unwrap_or_default();
    // It makes labels of the image from the build's environment.
    let labels = "paketo-buildpacks/image-labels".to_owned();
    Some(Pack {
        builder: pack.get("builder").map(Node::to_text).unwrap_or_default(),
        buildpacks: items.iter().map(Node::to_text).chain([labels]).collect(),
    })
}

/// What reads of GitHub's cache; the others are for writing to it.
const CACHE_FROM_GHA: [&str; 5] = ["url", "url_v2", "token", "scope", "timeout"];

/// `--cache-from` and `--cache-to`.
fn cache(config: &Config, section: &Section<'_>) -> (Vec<String>, Vec<String>) {
    let Some(cache) = section.get("cache").filter(|cache| cache.is_present()) else {
        return (Vec::new(), Vec::new());
    };
    let text = |key: &str| {
        cache
            .get(key)
            .filter(|node| node.is_present())
            .map(Node::to_text)
    };
    let options = text("options");
    let joined = |first: String, options: Option<String>| match options {
        Some(options) if !options.is_empty() => format!("{first},{options}"),
        Some(_) | None => first,
    };
    match text("type").as_deref() {
        Some("gha") => {
            let reading = |options: String| {
                let read = |option: &&str| {
                    let name = option.split('=').next().unwrap_or_default();
                    CACHE_FROM_GHA.contains(&name)
                };
                let kept: Vec<&str> = options.split(',').filter(read).collect();
                kept.join(",")
            };
            let from = joined("type=gha".to_owned(), options.clone().map(reading));
            (vec![from], vec![joined("type=gha".to_owned(), options)])
        }
        Some("registry") => {
            let image = text("image").unwrap_or_else(|| format!("{}-build-cache", config.image));
            let server = config
                .registry
                .as_ref()
                .and_then(|registry| registry.server.as_deref());
            let image = match server {
                Some(server) => format!("{server}/{image}"),
                None => image,
            };
            let from = format!("type=registry,ref={image}");
            (vec![from.clone()], vec![joined(from, options)])
        }
        Some(_) | None => (Vec::new(), Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builders_are_named_after_their_engines() {
        for (url, name) in [
            ("ssh://app@1.1.1.5", "kamal-remote-ssh---app-1-1-1-5"),
            ("tcp://h:2376", "kamal-remote-tcp---h-2376"),
            ("ssh://A_b@h", "kamal-remote-ssh----_b-h"),
        ] {
            assert_eq!(remote_name(url), name);
        }
    }
}
