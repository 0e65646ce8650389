//! `grants` of a plugin: keys to typed patterns.

use super::{GivenGrants, Reader, Role};
use crate::{
    grant::{
        ArgvPattern, ExecGrant, Grants, HostPattern, ImagePattern, MountPattern, NamePattern,
        OptionPattern, PathPattern, PatternError, ReadGrant, Sink,
    },
    manifest::{
        diagnostic::nearest,
        tree::{Data, Entry, Node},
    },
};

const DOCKER: [&str; 9] = [
    "hosts",
    "containers",
    "labels",
    "images",
    "networks",
    "mounts",
    "exec",
    "read-files",
    "options",
];

const AWS: [&str; 8] = [
    "accounts",
    "regions",
    "stacks",
    "observed-stacks",
    "roles",
    "objects",
    "files",
    "log-groups",
];

impl Reader<'_> {
    pub(super) fn grants(&mut self, plugin: &str, role: Role, entry: &Entry) -> GivenGrants {
        let mut written = Grants::none(plugin);
        let mut derived = false;
        if role != Role::Driver {
            let message = format!("a {} has no powers to grant", role.name());
            self.wrong(
                "grants",
                message,
                &entry.at,
                "leave `grants` out: only drivers call anything",
            );
        }
        let keys = ["derived", "docker", "ssh", "lock", "hook", "aws", "secrets"];
        for entry in self.map(&entry.value, "`grants`", &keys) {
            let node = &*entry.value;
            match entry.key.as_str() {
                "derived" => match node.boolean() {
                    Some(value) => derived = value,
                    None => self.wrong(
                        "shape",
                        "`derived` is true or false",
                        &node.at,
                        "write `derived: true`",
                    ),
                },
                "docker" => self.docker(node, &mut written),
                "ssh" => self.ssh(node, &mut written),
                "lock" => written.lock = self.patterns(node, "`lock`", PathPattern::parse),
                "hook" => written.hook = self.patterns(node, "`hook`", NamePattern::parse),
                "aws" => self.aws(node, &mut written),
                _ => self.secrets(node, &mut written),
            }
        }
        GivenGrants { derived, written }
    }

    fn docker(&mut self, node: &Node, grants: &mut Grants) {
        let docker = &mut grants.docker;
        for entry in self.map(node, "`docker`", &DOCKER) {
            let node = &*entry.value;
            match entry.key.as_str() {
                "hosts" => docker.hosts = self.patterns(node, "`hosts`", HostPattern::parse),
                "containers" => {
                    docker.containers = self.patterns(node, "`containers`", NamePattern::parse)
                }
                "images" => docker.images = self.patterns(node, "`images`", ImagePattern::parse),
                "networks" => {
                    docker.networks = self.patterns(node, "`networks`", NamePattern::parse)
                }
                "mounts" => docker.mounts = self.patterns(node, "`mounts`", MountPattern::parse),
                "options" => {
                    docker.options = self.patterns(node, "`options`", OptionPattern::parse)
                }
                "labels" => {
                    for label in self.entries(node, "`labels`") {
                        if let Some(value) = self.text(&label.value, "the value of a label") {
                            docker.labels.push((label.key.clone(), value));
                        }
                    }
                }
                "exec" => {
                    for (container, commands) in self.by_container(node, "`exec`") {
                        for command in self.commands(commands, "commands of a container") {
                            let container = container.clone();
                            docker.exec.push(ExecGrant { container, command });
                        }
                    }
                }
                _ => {
                    for (container, paths) in self.by_container(node, "`read-files`") {
                        for path in self.patterns(paths, "files of a container", PathPattern::parse)
                        {
                            let container = container.clone();
                            docker.read_files.push(ReadGrant { container, path });
                        }
                    }
                }
            }
        }
    }

    fn ssh(&mut self, node: &Node, grants: &mut Grants) {
        let keys = ["hosts", "run", "write", "read", "install-docker"];
        for entry in self.map(node, "`ssh`", &keys) {
            let node = &*entry.value;
            match entry.key.as_str() {
                "hosts" => grants.ssh.hosts = self.patterns(node, "`hosts`", HostPattern::parse),
                "run" => grants.ssh.run = self.commands(node, "`run`"),
                "write" => grants.ssh.write = self.patterns(node, "`write`", PathPattern::parse),
                "read" => grants.ssh.read = self.patterns(node, "`read`", PathPattern::parse),
                _ => match node.boolean() {
                    Some(value) => grants.ssh.install_docker = value,
                    None => self.wrong(
                        "shape",
                        "`install-docker` is true or false",
                        &node.at,
                        "write `install-docker: true`",
                    ),
                },
            }
        }
    }

    fn aws(&mut self, node: &Node, grants: &mut Grants) {
        let aws = &mut grants.aws;
        for entry in self.map(node, "`aws`", &AWS) {
            let node = &*entry.value;
            let key = entry.key.as_str();
            let what = format!("`{key}`");
            let (mut names, mut paths) = (Vec::new(), Vec::new());
            match key {
                "accounts" | "regions" | "stacks" | "observed-stacks" => {
                    names = self.patterns(node, &what, NamePattern::parse);
                }
                _ => paths = self.patterns(node, &what, PathPattern::parse),
            }
            match key {
                "accounts" => aws.accounts = names,
                "regions" => aws.regions = names,
                "stacks" => aws.stacks = names,
                "observed-stacks" => aws.observed_stacks = names,
                "roles" => aws.roles = paths,
                "objects" => aws.objects = paths,
                "files" => aws.files = paths,
                _ => aws.log_groups = paths,
            }
        }
    }

    fn secrets(&mut self, node: &Node, grants: &mut Grants) {
        for entry in self.entries(node, "`secrets`") {
            let mut sinks = Vec::new();
            for item in self.items(&entry.value, "sinks of a secret") {
                let Some(word) = self.text(item, "a sink") else {
                    continue;
                };
                if let Some(sink) = Sink::of(&word) {
                    sinks.push(sink);
                    continue;
                }
                let words = Sink::ALL.map(Sink::word);
                let help = match nearest(&word, words) {
                    Some(word) => format!("did you mean {word:?}?"),
                    None => format!("sinks are {}", words.join(", ")),
                };
                self.wrong("sink", format!("unknown sink {word:?}"), &item.at, help);
            }
            grants
                .secrets
                .entry(entry.key.clone())
                .or_default()
                .extend(sinks);
        }
    }

    /// A map from containers to lists.
    fn by_container<'n>(&mut self, node: &'n Node, what: &str) -> Vec<(NamePattern, &'n Node)> {
        let mut lists = Vec::new();
        for entry in self.entries(node, what) {
            match NamePattern::parse(&entry.key) {
                Ok(container) => lists.push((container, &*entry.value)),
                Err(error) => self.wrong("pattern", error.problem, &entry.at, error.help),
            }
        }
        lists
    }

    /// Items of a list; a single value is a list of one.
    fn items<'n>(&mut self, node: &'n Node, what: &str) -> Vec<&'n Node> {
        match &node.data {
            Data::Sequence(items) => items.iter().map(|item| &**item).collect(),
            Data::Scalar { .. } if node.is_null() => Vec::new(),
            Data::Scalar { .. } => vec![node],
            Data::Mapping(_) => {
                let message = format!("{what} are a list, this is {}", node.kind());
                self.wrong(
                    "shape",
                    message,
                    &node.at,
                    "write `[\"…\"]`, or a line `- …` each",
                );
                Vec::new()
            }
        }
    }

    fn patterns<P>(
        &mut self,
        node: &Node,
        what: &str,
        parse: impl Fn(&str) -> Result<P, PatternError>,
    ) -> Vec<P> {
        let mut patterns = Vec::new();
        for item in self.items(node, what) {
            let Some(text) = self.text(item, "a pattern") else {
                continue;
            };
            match parse(&text) {
                Ok(pattern) => patterns.push(pattern),
                Err(error) => self.wrong("pattern", error.problem, &item.at, error.help),
            }
        }
        patterns
    }

    /// Commands: each a line of plain words, or a list of words.
    fn commands(&mut self, node: &Node, what: &str) -> Vec<ArgvPattern> {
        let mut patterns = Vec::new();
        for item in self.items(node, what) {
            let pattern = match &item.data {
                Data::Sequence(words) => {
                    let texts: Vec<&str> = words
                        .iter()
                        .filter_map(|word| match &word.data {
                            Data::Scalar { text, .. } => Some(text.as_str()),
                            Data::Sequence(_) | Data::Mapping(_) => None,
                        })
                        .collect();
                    if texts.len() < words.len() {
                        let help = "write `[\"program\", \"argument\"]`";
                        self.wrong("shape", "words of a command are texts", &item.at, help);
                        continue;
                    }
                    ArgvPattern::parse_words(&texts)
                }
                Data::Scalar { .. } | Data::Mapping(_) => {
                    let Some(text) = self.text(item, "a command") else {
                        continue;
                    };
                    ArgvPattern::parse(&text)
                }
            };
            match pattern {
                Ok(pattern) => patterns.push(pattern),
                Err(error) => self.wrong("pattern", error.problem, &item.at, error.help),
            }
        }
        patterns
    }
}
