//! From a manifest to everything a deploy needs to know.

pub mod accessory;
pub mod build;
pub mod container;
pub mod error_pages;
pub mod hook;
pub mod image;
pub mod proxy;
pub mod release;
pub mod role;
pub mod route;
pub mod settings;
pub mod source;
pub mod unquoted;

use ::release::{Accessory, Credentials, Proxy, Release, Role, Value};

use crate::command::{Request, Scope};
use crate::config::{self, Config};
use crate::diagnostic::{Diagnostic, Findings};
use crate::options::{Facts, Need, Options};
use crate::secret::Secrets;
use crate::selection::{Selection, select};
use crate::yaml::{self, Kind, Node};
use build::Build;
use container::Place;
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
    /// Version, as the host worked it out.
    pub version: String,
    /// What the user asked for.
    pub request: Request,
    /// The base file and the destination's.
    pub manifest: Vec<File>,
    /// Command line.
    pub options: Options,
    /// What the host found out.
    pub facts: Facts,
}

/// Everything at once.
#[derive(Clone, Debug)]
pub struct Output {
    /// Release, roles, proxies, accessories; for `config`, [`settings`] too.
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
    /// A container beside the application.
    Accessory(Box<Accessory>),
    /// What `kamal config` prints.
    Settings(String),
}

impl Body {
    /// Its media type.
    pub fn media_type(&self) -> &'static str {
        match self {
            Self::Release(_) => Release::MEDIA_TYPE,
            Self::Role(_) => Role::MEDIA_TYPE,
            Self::Proxy(_) => Proxy::MEDIA_TYPE,
            Self::Accessory(_) => Accessory::MEDIA_TYPE,
            Self::Settings(_) => settings::MEDIA_TYPE,
        }
    }

    /// Its JSON; YAML for settings.
    pub fn to_text(&self) -> String {
        let json = match self {
            Self::Release(body) => serde_json::to_string(body),
            Self::Role(body) => serde_json::to_string(body),
            Self::Proxy(body) => serde_json::to_string(body),
            Self::Accessory(body) => serde_json::to_string(body),
            Self::Settings(yaml) => return yaml.clone(),
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
    /// `None` when it stays in the local Engine, or is in the registry on this machine.
    pub registry: Option<Credentials>,
    /// Port of the registry on this machine.
    pub local_registry: Option<u16>,
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

/// What rendering depends on besides the manifest.
pub fn needs(input: &Input) -> Result<Vec<Need>, Vec<Diagnostic>> {
    let mut findings = Findings::default();
    let Some(root) = read(input, &mut findings) else {
        return Err(findings.into_sorted());
    };
    let named = |kind, name: String| Need { kind, name };
    let hooks = hook::names(input).into_iter();
    let mut needs: Vec<Need> = hooks.map(|name| named("hook", name.to_owned())).collect();
    let scope = input.request.scope();
    // What is wrong with the configuration is told when it is rendered.
    let config = Config::read(root, destination(input), &mut Findings::default());
    if scope.boots {
        needs.extend(error_pages::folder(&config).map(|path| named("file", path)));
    }
    if scope.accessories {
        let accessories = config.accessories.iter();
        let files = accessories.flat_map(|accessory| accessory::files(&accessory.spec));
        needs.extend(files.map(|path| named("file", path)));
    }
    if scope.image && build::depends_on_architecture(&config) {
        needs.push(named("docker-arch", String::new()));
    }
    Ok(needs)
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

fn destination(input: &Input) -> Option<&str> {
    Some(input.environment.as_str()).filter(|name| !name.is_empty())
}

fn render_into(input: &Input, findings: &mut Findings) -> Option<Output> {
    let root = read(input, findings)?;
    let config = Config::read(root, destination(input), findings);
    hook::check(&input.facts, findings);
    let scope = input.request.scope();
    let version = input
        .request
        .version(&input.version, &image::latest_tag(&config));
    if scope.version && version.trim().is_empty() {
        findings
            .error("missing-version", "there is no version to deploy", None)
            .help("name it with --version");
    }
    // Even a configuration that is known to be wrong goes all the way, to find everything at once.
    let mut later = Findings::default();
    let selection = select(&config, &input.options, &mut later);
    let nowhere = selection.is_none() || scope.roles && config.roles.is_empty();
    if nowhere && !findings.has_errors() && !later.has_errors() {
        later
            .error(
                "no-servers",
                "there is no server to deploy to",
                config.root.key_at("servers"),
            )
            .help("add `servers` with a list of hosts");
    }
    let output = selection.map(|selection| {
        let rendering = Rendering {
            config: &config,
            selection: &selection,
            input,
            scope,
            version: &version,
            secrets: Secrets::new(&config, input.options.secrets.as_deref()),
        };
        rendering.output(&mut later)
    });
    findings.absorb(later);
    output
}

/// Everything that is known when documents are made.
pub struct Rendering<'r> {
    /// The configuration.
    pub config: &'r Config,
    /// What it is about.
    pub selection: &'r Selection<'r>,
    /// What was handed in.
    pub input: &'r Input,
    /// What the command has to do with.
    pub scope: Scope,
    /// The version it is about.
    pub version: &'r str,
    /// Secrets by name.
    pub secrets: Secrets<'r>,
}

impl Rendering<'_> {
    fn output(&self, findings: &mut Findings) -> Output {
        let Self { config, input, .. } = *self;
        let mut sources = Sources::default();
        let used = self.scope.registry;
        let credentials = image::credentials(config, &self.secrets, used, findings);
        let accessories = self.accessories(findings);
        let release = release::document(
            self,
            &accessories,
            credentials.clone(),
            &mut sources,
            findings,
        );
        let mut documents = vec![Document {
            address: Release::ADDRESS.to_owned(),
            body: Body::Release(Box::new(release)),
        }];
        if input.request.command == "config" {
            documents.push(Document {
                address: settings::ADDRESS.to_owned(),
                body: Body::Settings(settings::yaml(self)),
            });
        }
        for host in &self.selection.hosts {
            self.roles(host, &mut documents, &mut sources, findings);
            if self.scope.proxies && self.selection.proxy_hosts.contains(host) {
                let address = Proxy::address(host);
                let mut place = Place {
                    address: &address,
                    sources: &mut sources,
                    findings,
                };
                let body = proxy::document(config, host, credentials.as_ref(), &mut place);
                documents.push(Document {
                    address,
                    body: Body::Proxy(Box::new(body)),
                });
            }
            for accessory in accessories.iter().filter(|accessory| accessory.is_on(host)) {
                let address = Accessory::address(host, &accessory.name);
                let mut place = Place {
                    address: &address,
                    sources: &mut sources,
                    findings,
                };
                let given = accessory::Given {
                    secrets: &self.secrets,
                    facts: &input.facts,
                    credentials: credentials.as_ref(),
                    starts: self.scope.boots_accessories,
                };
                let body = accessory::document(config, accessory, host, &given, &mut place);
                documents.push(Document {
                    address,
                    body: Body::Accessory(Box::new(body)),
                });
            }
        }
        let image = self.scope.image.then(|| {
            image::image(
                config,
                input,
                self.version,
                credentials,
                &self.secrets,
                findings,
            )
        });
        Output {
            documents,
            images: image.into_iter().collect(),
            hooks: hook::points(config, self.selection, input, self.version),
            sources: sources.into_all(),
            diagnostics: Vec::new(),
        }
    }

    fn roles(
        &self,
        host: &str,
        documents: &mut Vec<Document>,
        sources: &mut Sources,
        findings: &mut Findings,
    ) {
        let roles = self.selection.roles.iter().filter(|role| role.is_on(host));
        for role in roles.filter(|_| self.scope.roles) {
            let address = Role::address(host, &role.name);
            let mut place = Place {
                address: &address,
                sources,
                findings,
            };
            let body = role::document(
                self.config,
                role,
                host,
                image::reference(self.config, self.version),
                &self.secrets,
                self.scope.boots,
                &mut place,
            );
            documents.push(Document {
                address,
                body: Body::Role(Box::new(body)),
            });
        }
    }

    /// The accessories that are meant: the one that was named, or all.
    fn accessories(&self, findings: &mut Findings) -> Vec<&config::accessory::Accessory> {
        if !self.scope.accessories {
            return Vec::new();
        }
        let all = &self.config.accessories;
        let asked = self.input.request.name.as_deref();
        let Some(name) = asked.filter(|name| *name != "all") else {
            return all.iter().collect();
        };
        let found: Vec<_> = all.iter().filter(|own| own.name == name).collect();
        if found.is_empty() {
            // Kamal says so, and then does nothing.
            let names: Vec<&str> = all.iter().map(|own| own.name.as_str()).collect();
            let options = match names.as_slice() {
                [] => String::new(),
                names => format!(" (options: {})", sentence(names)),
            };
            let message = format!("No accessory by the name of '{name}'{options}");
            findings.warn("unknown-accessory", message, None);
        }
        found
    }
}

/// `a`, `a and b`, `a, b, and c`.
fn sentence(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first, second] => format!("{first} and {second}"),
        [before @ .., last] => format!("{}, and {last}", before.join(", ")),
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
