//! What the project itself says, read beside the pipeline: names of secrets, where they are used, who is selected.
//!
//! The servers see one list of variables; which of them came from secrets can only be told by who wrote them down.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use plimsoll::manifest::{Outside, Project};
use plimsoll::wire::shell;
use ssh_renderer::config::{Config, boot, env::Env};
use ssh_renderer::diagnostic::Findings;
use ssh_renderer::options::Options;
use ssh_renderer::selection::select;
use ssh_renderer::yaml::{self, Kind, Node};

/// The project of a case, as far as it can be read.
#[derive(Default)]
pub struct Given {
    /// The merged configuration.
    pub config: Option<Config>,
    /// Names that the secrets files define.
    pub secrets: BTreeSet<String>,
    /// Who is selected.
    pub selected: Option<Selected>,
    /// The command: `["app", "boot"]`, with an alias resolved.
    pub command: Vec<String>,
    /// Containers as Kamal would have made them.
    pub prior: crate::prior::Prior,
    /// Text of the manifests, for values whose written form the servers don't see.
    pub text: String,
}

/// Hosts and roles of this run.
#[derive(Clone, Debug, Default)]
pub struct Selected {
    /// All of them.
    pub hosts: Vec<String>,
    /// Holds the lock.
    pub primary_host: String,
    /// Others wait for it.
    pub primary_role: Option<String>,
    /// In boot order.
    pub roles: Vec<String>,
    /// Hosts that boot together.
    pub groups: Vec<Vec<String>>,
    /// `boot.limit`, resolved.
    pub limit: Option<usize>,
    /// Seconds.
    pub wait: Option<u32>,
    /// `boot.parallel_roles`.
    pub parallel: bool,
}

/// Flags of Kamal with a value.
const WITH_VALUE: [(&str, &str); 10] = [
    ("-h", "--hosts"),
    ("-r", "--roles"),
    ("-d", "--destination"),
    ("-c", "--config-file"),
    ("-m", "--message"),
    ("", "--version"),
    ("", "--lock-wait-timeout"),
    ("", "--lock-wait-interval"),
    ("", "--retain"),
    ("", "--drain-timeout"),
];

/// A command line: its words, and its flags with their values.
pub fn parse(argv: &[String]) -> (Vec<String>, BTreeMap<String, String>) {
    let (mut words, mut flags) = (Vec::new(), BTreeMap::new());
    let mut rest = argv.iter();
    while let Some(word) = rest.next() {
        if !word.starts_with('-') || word == "-" {
            words.push(word.clone());
            continue;
        }
        let (flag, inline) = match word.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        let flag = flag.replace('_', "-");
        let known = WITH_VALUE
            .iter()
            .find(|(short, long)| *short == flag || *long == flag);
        match known {
            Some((_, long)) => {
                let value = inline.or_else(|| rest.next().cloned());
                flags.insert((*long).to_owned(), value.unwrap_or_default());
            }
            None => drop(flags.insert(flag, inline.unwrap_or_default())),
        }
    }
    (words, flags)
}

impl Given {
    /// Reads the project in a folder; what can't be read is left out.
    pub fn read(folder: &Path, argv: &[String], environment: &BTreeMap<String, String>) -> Self {
        let (mut command, mut flags) = parse(argv);
        let outside = Outside {
            environment: environment.clone(),
            run: &|line, folder, variables| shell::run(line, folder, variables),
            docker_arch: &|| Ok("amd64".to_owned()),
        };
        let destination = flags.get("--destination").map(String::as_str);
        let file = flags.get("--config-file").map(Path::new);
        let Ok(project) = Project::find(folder, file, destination, outside) else {
            return Self {
                command,
                ..Self::default()
            };
        };
        let (root, variables) = (project.root.clone(), project.environment.clone());
        let store = project.secrets(Box::new(move |line| shell::run(line, &root, &variables)));
        let mut findings = Findings::default();
        let mut merged: Option<Node> = None;
        for (number, file) in project.files.iter().enumerate() {
            let Some(mut node) = yaml::read(&file.text, number, &mut findings) else {
                continue;
            };
            if let Kind::Map(entries) = &mut node.kind {
                for entry in entries {
                    if let Kind::Symbol(name) = &entry.key.kind {
                        entry.key.kind = Kind::Text(name.clone());
                    }
                }
            }
            match &mut merged {
                Some(base) => base.merge(node),
                None => merged = Some(node),
            }
        }
        let config = merged.map(|root| Config::read(root, destination, &mut findings));
        if let (Some(first), Some(config)) = (command.first(), &config)
            && let Some(alias) = config.root.dig(&["aliases", first])
        {
            let meant = alias.to_text();
            let meant: Vec<String> = meant.split_whitespace().map(str::to_owned).collect();
            let (words, own) = parse(&meant);
            command = words;
            for (flag, value) in own {
                flags.entry(flag).or_insert(value);
            }
        }
        let selected = config.as_ref().and_then(|config| selected(config, &flags));
        Self {
            prior: crate::prior::Prior::of(&project, &store),
            secrets: store.names().into_iter().collect(),
            text: project
                .files
                .iter()
                .map(|file| file.text.as_str())
                .collect(),
            config,
            selected,
            command,
        }
    }

    /// Name of the service.
    pub fn service(&self) -> String {
        self.config
            .as_ref()
            .map(|config| config.service.clone())
            .unwrap_or_default()
    }

    /// `[registry/]image` of the application.
    pub fn repository(&self) -> String {
        self.config
            .as_ref()
            .map(Config::repository)
            .unwrap_or_default()
    }

    /// Whether the accessory that the command names, or any when it names all, is on a host.
    pub fn has_accessory(&self, host: &str) -> bool {
        let named = self.command.get(2).map_or("all", String::as_str);
        let config = self.config.as_ref();
        let mut all = config.into_iter().flat_map(|config| &config.accessories);
        all.any(|one| (named == "all" || one.name == named) && one.is_on(host))
    }

    /// Variables of a container that come from secrets: those that aren't clear too.
    pub fn secret_variables(&self, host: &str, role: Option<&str>, name: &str) -> BTreeSet<String> {
        let env = self.environment(host, role, name);
        let clear: BTreeSet<&str> = env.clear.iter().map(|clear| clear.name.as_str()).collect();
        env.secret
            .iter()
            .filter(|secret| !clear.contains(secret.name.as_str()))
            .map(|secret| secret.name.clone())
            .collect()
    }

    /// Variables of a container that are written down without a value.
    pub fn empty_variables(&self, host: &str, role: Option<&str>, name: &str) -> BTreeSet<String> {
        let env = self.environment(host, role, name);
        let empty = env
            .clear
            .iter()
            .filter(|clear| clear.value.to_text().is_empty());
        empty.map(|clear| clear.name.clone()).collect()
    }

    fn environment(&self, host: &str, role: Option<&str>, name: &str) -> Env {
        let Some(config) = &self.config else {
            return Env::default();
        };
        if let Some(role) = role.and_then(|role| config.role(role)) {
            let mut env = config.env.clone();
            env.merge(&Env::read(role.spec.get("env"), "env"));
            let tags = role.hosts.iter().find(|h| h.name == host);
            for tag in tags.map(|host| host.tags.as_slice()).unwrap_or_default() {
                if let Some((_, tagged)) = config.tags.iter().find(|(known, _)| known == tag) {
                    env.merge(tagged);
                }
            }
            return env;
        }
        let sections = config
            .root
            .get("accessories")
            .map(Node::entries)
            .unwrap_or_default();
        let section = sections.iter().find(|entry| {
            let named = entry.value.get("service").map(Node::to_text);
            named.unwrap_or_else(|| format!("{}-{}", config.service, entry.key.to_text())) == name
        });
        Env::read(section.and_then(|entry| entry.value.get("env")), "env")
    }

    /// How an option is written down, of the forms that a value could have had.
    pub fn written(&self, option: &str, same: impl Fn(&str) -> bool) -> Option<String> {
        let mut found = self.text.lines().filter_map(|line| {
            let (key, value) = line.trim().trim_start_matches("- ").split_once(':')?;
            let value = value.trim().trim_matches(['"', '\'']);
            (key.trim() == option && same(value)).then(|| value.to_owned())
        });
        found.next()
    }
}

fn selected(config: &Config, flags: &BTreeMap<String, String>) -> Option<Selected> {
    let patterns = |flag: &str| -> Option<Vec<String>> {
        let list = flags.get(flag)?;
        Some(list.split(',').map(str::to_owned).collect())
    };
    let options = Options {
        hosts: patterns("--hosts"),
        roles: patterns("--roles"),
        primary: flags.contains_key("-p") || flags.contains_key("--primary"),
        ..Options::default()
    };
    let mut findings = Findings::default();
    let selection = select(config, &options, &mut findings)?;
    let limit = boot::limit(config, &mut findings);
    let wait = boot::wait(config, &mut findings);
    let names = |hosts: &Vec<&str>| -> Vec<String> {
        hosts.iter().map(|host| (*host).to_owned()).collect()
    };
    Some(Selected {
        hosts: names(&selection.hosts),
        primary_host: selection.primary_host.to_owned(),
        primary_role: selection.primary_role.map(|role| role.name.clone()),
        roles: selection
            .roles
            .iter()
            .map(|role| role.name.clone())
            .collect(),
        groups: selection.groups.iter().map(names).collect(),
        limit,
        wait: (wait > 0).then_some(wait),
        parallel: boot::parallel_roles(config),
    })
}
