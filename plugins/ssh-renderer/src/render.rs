//! From a manifest to everything a deploy needs to know.

pub mod hook;
pub mod image;
pub mod proxy;
pub mod release;
pub mod role;
pub mod source;
pub mod unquoted;

use ::release::{Proxy, Release, Role, Value};

use crate::config::Config;
use crate::config::builder::Build;
use crate::diagnostic::{Diagnostic, Findings};
use crate::options::{Facts, Options};
use crate::secret::Secrets;
use crate::selection::{Selection, select};
use crate::yaml::{self, Kind, Node};
use source::Sources;

/// A file of the manifest.
#[derive(Clone, Debug)]
pub struct File {
    /// Relative to the project: `config/deploy.yml`.
    pub path: String,
    /// Its text, ERB resolved.
    pub text: String,
}

/// What rendering depends on; nothing else does.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// Kamal's destination; empty when there is none.
    pub environment: String,
    /// Version to deploy.
    pub version: String,
    /// The base file and the destination's.
    pub manifest: Vec<File>,
    /// Command line.
    pub options: Options,
    /// Hooks that exist.
    pub facts: Facts,
}

/// Everything at once.
#[derive(Clone, Debug)]
pub struct Output {
    /// Release, roles, proxies.
    pub documents: Vec<Document>,
    /// The application's image.
    pub images: Vec<Image>,
    /// Hooks that the host runs.
    pub hooks: Vec<HookPoint>,
    /// Where properties come from.
    pub sources: Vec<source::Source>,
    /// Warnings and notes.
    pub diagnostics: Vec<Diagnostic>,
}

/// A document by its address.
#[derive(Clone, Debug)]
pub struct Document {
    /// `release`, `host/web-1/role/web`, `host/web-1/proxy`.
    pub address: String,
    /// What it is.
    pub body: Body,
}

/// The kinds of documents.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// What concerns all hosts.
    Release(Box<Release>),
    /// A container with its route.
    Role(Box<Role>),
    /// The proxy of a host.
    Proxy(Box<Proxy>),
}

impl Body {
    /// Its media type.
    pub fn media_type(&self) -> &'static str {
        match self {
            Self::Release(_) => Release::MEDIA_TYPE,
            Self::Role(_) => Role::MEDIA_TYPE,
            Self::Proxy(_) => Proxy::MEDIA_TYPE,
        }
    }

    /// Its JSON.
    pub fn to_json(&self) -> String {
        let json = match self {
            Self::Release(body) => serde_json::to_string(body),
            Self::Role(body) => serde_json::to_string(body),
            Self::Proxy(body) => serde_json::to_string(body),
        };
        json.expect("documents have only string keys")
    }
}

/// An image to build, to push, or only to look up.
#[derive(Clone, Debug)]
pub struct Image {
    /// Slot name: `image/NAME`.
    pub name: String,
    /// `registry.example.com/team/app:VERSION`.
    pub reference: String,
    /// `None` when it exists.
    pub build: Option<Build>,
    /// `None` when it stays in the local Engine.
    pub registry: Option<::release::Credentials>,
}

/// A hook outside the driver.
#[derive(Clone, Debug)]
pub struct HookPoint {
    /// `before-observe` or `before-build`.
    pub moment: &'static str,
    /// Kamal's name of it.
    pub name: &'static str,
    /// Its environment.
    pub env: Vec<(String, Value)>,
}

/// Hooks whose existence rendering depends on.
pub fn needs(input: &Input) -> Result<Vec<&'static str>, Vec<Diagnostic>> {
    let mut findings = Findings::default();
    match read(input, &mut findings) {
        Some(_) => Ok(hook::names(&input.options)),
        None => Err(findings.into_sorted()),
    }
}

/// Renders, or says everything that stands in the way.
pub fn render(input: &Input) -> Result<Output, Vec<Diagnostic>> {
    let mut findings = Findings::default();
    let output = render_into(input, &mut findings);
    match output.filter(|_| !findings.has_errors()) {
        Some(output) => Ok(Output {
            diagnostics: findings.into_sorted(),
            ..output
        }),
        None => Err(findings.into_sorted()),
    }
}

fn render_into(input: &Input, findings: &mut Findings) -> Option<Output> {
    let root = read(input, findings)?;
    let destination = Some(input.environment.as_str()).filter(|name| !name.is_empty());
    let config = Config::read(root, destination, findings);
    hook::check(&input.facts, findings);
    if input.version.trim().is_empty() {
        findings
            .error("missing-version", "there is no version to deploy", None)
            .help("name it with --version");
    }
    // Even a configuration that is known to be wrong goes all the way, to find everything at once.
    let mut later = Findings::default();
    let selection = select(&config, &input.options, &mut later);
    if selection.is_none() && !findings.has_errors() && !later.has_errors() {
        later
            .error(
                "no-servers",
                "there is no server to deploy to",
                config.root.key_at("servers"),
            )
            .help("add `servers` with a list of hosts");
    }
    let output = selection.map(|selection| documents(&config, &selection, input, &mut later));
    findings.absorb(later);
    output
}

fn documents(
    config: &Config,
    selection: &Selection<'_>,
    input: &Input,
    findings: &mut Findings,
) -> Output {
    let mut sources = Sources::default();
    let secrets = Secrets::new(config, input.options.secrets.as_deref());
    let credentials = image::credentials(config, &secrets, findings);
    let release = release::document(
        config,
        selection,
        input,
        credentials.clone(),
        &mut sources,
        findings,
    );
    let mut documents = vec![Document {
        address: Release::ADDRESS.to_owned(),
        body: Body::Release(Box::new(release)),
    }];
    for host in &selection.hosts {
        for role in selection.roles.iter().filter(|role| role.is_on(host)) {
            let address = Role::address(host, &role.name);
            let reference = image::reference(config, &input.version);
            let body = role::document(
                config,
                role,
                host,
                reference,
                &secrets,
                &mut sources,
                findings,
            );
            documents.push(Document {
                address,
                body: Body::Role(Box::new(body)),
            });
        }
        if selection.proxy_hosts.contains(host) {
            let body = proxy::document(config, host, &mut sources, findings);
            documents.push(Document {
                address: Proxy::address(host),
                body: Body::Proxy(Box::new(body)),
            });
        }
    }
    let images = vec![image::image(config, input, credentials, &secrets, findings)];
    let hooks = hook::points(config, selection, input);
    Output {
        documents,
        images,
        hooks,
        sources: sources.into_all(),
        diagnostics: Vec::new(),
    }
}

/// Reads the files and merges them.
fn read(input: &Input, findings: &mut Findings) -> Option<Node> {
    let mut merged: Option<Node> = None;
    for (number, file) in input.manifest.iter().enumerate() {
        let Some(mut root) = yaml::read(&file.text, number, findings) else {
            continue;
        };
        let Kind::Map(entries) = &mut root.kind else {
            let what = if root.kind == Kind::Null {
                "is empty"
            } else {
                "should be a hash"
            };
            findings
                .error("no-mapping", format!("{} {what}", file.path), Some(root.at))
                .help("it should be a mapping of keys such as `service` and `servers`");
            continue;
        };
        // At the top level, Kamal takes symbols for strings.
        for entry in entries {
            if let Kind::Symbol(name) = &entry.key.kind {
                entry.key.kind = Kind::Text(name.clone());
            }
        }
        match &mut merged {
            Some(base) => base.merge(root),
            None => merged = Some(root),
        }
    }
    if input.manifest.is_empty() {
        findings
            .error("no-manifest", "there is no configuration file", None)
            .help("write config/deploy.yml");
    }
    merged.filter(|_| !findings.has_errors())
}
