//! `plimsoll.yml`: which plugins a project uses, what they may do, and which commands its templates may run.
//!
//! ```yaml
//! plugins:
//!   my-driver:
//!     from: file:plugins/my-driver.wasm   # left away, NAME is a plugin of the bundle
//!     role: driver
//!     settings: { batch: 2 }
//!     grants: { docker: { hosts: ["web-*"], containers: ["app-*"] } }
//! commands:
//!   - aws ecr get-login-password
//! ```
//!
//! The user writes this file and reviews it like code, so nothing in it is guessed: an unknown key is an error.

use std::{path::PathBuf, rc::Rc};

use crate::{
    grant::Grants,
    manifest::{
        Diagnostic, Position, commands,
        diagnostic::nearest,
        tree::{Data, Entry, Node},
    },
    sandbox::Role,
};

mod grants;
mod settings;

/// A plugin that is part of the tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bundled {
    /// `ssh-driver`
    pub name: &'static str,
    /// What it does.
    pub role: Role,
}

/// Where a component comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The bundle, by the plugin's name.
    Bundle,
    /// A file, relative to the project unless absolute.
    File(PathBuf),
}

/// How far grants go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenGrants {
    /// Whether what the project's manifest names is granted too. By default so for plugins of the bundle only.
    pub derived: bool,
    /// What the user wrote.
    pub written: Grants,
}

/// One plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginEntry {
    /// Its key.
    pub name: String,
    /// Where the key is.
    pub at: Position,
    /// Where it comes from.
    pub source: Source,
    /// What it does.
    pub role: Role,
    /// A JSON object, handed to the component as it is.
    pub settings: serde_json::Value,
    /// What it may do.
    pub grants: GivenGrants,
}

/// A whole `plimsoll.yml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// Plugins in the order of the file.
    pub plugins: Vec<PluginEntry>,
    /// Command lines that templates may run (secrets files run theirs, as in Kamal).
    pub commands: Vec<String>,
}

/// Findings about a `plimsoll.yml`, all at once.
pub type Findings = Vec<Diagnostic>;

impl Configuration {
    /// Reads the text of a `plimsoll.yml`.
    pub fn parse(path: &str, text: &str, bundle: &[Bundled]) -> Result<Self, Findings> {
        let root = Node::parse(path, text).map_err(|finding| vec![finding])?;
        let mut reader = Reader {
            bundle,
            findings: Vec::new(),
        };
        let mut configuration = Self::default();
        for entry in reader.map(&root, "plimsoll.yml", &["plugins", "commands"]) {
            match entry.key.as_str() {
                "commands" => match commands::read(&entry.value) {
                    Ok(lines) => configuration.commands = lines,
                    Err(finding) => reader.findings.push(finding),
                },
                _ => configuration.plugins = reader.plugins(&entry.value),
            }
        }
        match reader.findings.is_empty() {
            true => Ok(configuration),
            false => Err(reader.findings),
        }
    }

    /// The plugin that does the work of a role other than policy, when the project names one.
    pub fn of_role(&self, role: Role) -> Option<&PluginEntry> {
        self.plugins.iter().find(|plugin| plugin.role == role)
    }

    /// The project's policies: they add up, in the order of the file.
    pub fn policies(&self) -> impl Iterator<Item = &PluginEntry> {
        self.plugins
            .iter()
            .filter(|plugin| plugin.role == Role::Policy)
    }

    /// Whether templates may run a command line.
    pub fn allows_command(&self, line: &str) -> bool {
        self.commands.iter().any(|allowed| allowed == line.trim())
    }
}

/// Reads while it collects what is wrong.
struct Reader<'a> {
    bundle: &'a [Bundled],
    findings: Findings,
}

impl Reader<'_> {
    fn wrong(
        &mut self,
        code: &str,
        message: impl Into<String>,
        at: &Position,
        help: impl Into<String>,
    ) {
        let finding = Diagnostic::error(code, message).at(at.clone()).help(help);
        self.findings.push(finding);
    }

    /// Entries of a map that may be left empty.
    fn entries<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Entry] {
        if !node.is_null() && !matches!(node.data, Data::Mapping(_)) {
            let message = format!("{what} is a map, this is {}", node.kind());
            self.wrong("shape", message, &node.at, "write `key: value` lines");
        }
        node.entries()
    }

    /// Entries with these keys only.
    fn map<'n>(&mut self, node: &'n Node, what: &str, keys: &[&str]) -> Vec<&'n Entry> {
        let mut known = Vec::new();
        for entry in self.entries(node, what) {
            if keys.contains(&entry.key.as_str()) {
                known.push(entry);
                continue;
            }
            let help = match nearest(&entry.key, keys.iter().copied()) {
                Some(key) => format!("did you mean {key:?}?"),
                None => format!("keys of {what}: {}", keys.join(", ")),
            };
            self.wrong(
                "unknown-key",
                format!("unknown key {:?}", entry.key),
                &entry.at,
                help,
            );
        }
        known
    }

    fn text(&mut self, node: &Node, what: &str) -> Option<String> {
        let text = node.text().map(ToOwned::to_owned);
        if text.is_none() {
            let message = format!("{what} is a text, this is {}", node.kind());
            self.wrong("shape", message, &node.at, "write one value");
        }
        text
    }

    fn plugins(&mut self, node: &Node) -> Vec<PluginEntry> {
        let mut plugins: Vec<PluginEntry> = Vec::new();
        for entry in self.entries(node, "`plugins`") {
            let Some(plugin) = self.plugin(entry) else {
                continue;
            };
            // Two of the bundle are for different targets.
            let bundled = |entry: &PluginEntry| entry.source == Source::Bundle;
            let same = |known: &&PluginEntry| {
                known.role == plugin.role
                    && plugin.role != Role::Policy
                    && !(bundled(known) && bundled(&plugin))
            };
            if let Some(first) = plugins.iter().find(same) {
                let role = plugin.role.name();
                let message = format!(
                    "{:?} is a second {role} beside {:?}",
                    plugin.name, first.name
                );
                self.wrong(
                    "second-plugin",
                    message,
                    &entry.at,
                    format!("keep one {role}: only policies add up"),
                );
            }
            plugins.push(plugin);
        }
        plugins
    }

    fn plugin(&mut self, entry: &Entry) -> Option<PluginEntry> {
        let found = self.findings.len();
        let name = entry.key.as_str();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || !name.chars().all(plain) {
            let message = format!("{name:?} can't be the name of a plugin");
            self.wrong(
                "plugin-name",
                message,
                &entry.at,
                "use lower-case letters, digits and `-`",
            );
        }
        let (mut from, mut role) = (None, None);
        let (mut settings, mut grants) = (None, None);
        for part in self.map(
            &entry.value,
            "a plugin",
            &["from", "role", "settings", "grants"],
        ) {
            match part.key.as_str() {
                "from" => from = self.from(&part.value),
                "role" => role = self.role(&part.value),
                "settings" => settings = self.settings(&part.value),
                _ => grants = Some(part),
            }
        }
        let bundled = self
            .bundle
            .iter()
            .find(|bundled| bundled.name == name)
            .copied();
        let given = entry.value.get("from").is_some();
        let role = match (given, bundled, role) {
            (false, Some(bundled), None) => bundled.role,
            (false, Some(bundled), Some((role, at))) => {
                if role != bundled.role {
                    let message = format!(
                        "{name:?} is a {}, not a {}",
                        bundled.role.name(),
                        role.name()
                    );
                    self.wrong("role", message, &at, "leave the line out");
                }
                bundled.role
            }
            (false, None, _) => {
                let names = self.bundle.iter().map(|bundled| bundled.name);
                let help = match nearest(name, names) {
                    Some(name) => format!("did you mean {name:?}?"),
                    None => "say where its component is: `from: file:plugins/NAME.wasm`".to_owned(),
                };
                let message = format!("there is no plugin {name:?} in the bundle");
                self.wrong("unknown-plugin", message, &entry.at, help);
                return None;
            }
            (true, _, Some((role, _))) => role,
            (true, _, None) => {
                if entry.value.get("role").is_none() {
                    let message = format!("plugin {name:?} has no role");
                    let words = Role::ALL.map(Role::name).join(", ");
                    self.wrong(
                        "role",
                        message,
                        &entry.at,
                        format!("add `role:` with one of {words}"),
                    );
                }
                return None;
            }
        };
        let written = match grants {
            Some(part) => self.grants(name, role, part),
            None => GivenGrants {
                derived: !given && role == Role::Driver,
                written: Grants::none(name),
            },
        };
        let written = match grants {
            // The user's lines add to what a plugin of the bundle has anyway.
            Some(part) if part.value.get("derived").is_none() => GivenGrants {
                derived: !given,
                ..written
            },
            Some(_) | None => written,
        };
        (self.findings.len() == found).then(|| PluginEntry {
            name: name.to_owned(),
            at: entry.at.clone(),
            source: from.unwrap_or(Source::Bundle),
            role,
            settings: settings.unwrap_or_else(|| serde_json::Value::Object(serde_json::Map::new())),
            grants: written,
        })
    }

    fn from(&mut self, node: &Node) -> Option<Source> {
        let text = self.text(node, "`from`")?;
        let help = "write `from: file:plugins/NAME.wasm`";
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => {
                return Some(Source::File(PathBuf::from(path)));
            }
            Some(("file", _)) => self.wrong("from", "`from` names no file", &node.at, help),
            Some(("oci", _)) => {
                let message = "plugins can't be fetched from a registry yet";
                self.wrong(
                    "from",
                    message,
                    &node.at,
                    format!("download it into the project, and {help}"),
                );
            }
            Some(_) | None => {
                self.wrong(
                    "from",
                    format!("{text:?} is not a place for a plugin"),
                    &node.at,
                    help,
                );
            }
        }
        None
    }

    fn role(&mut self, node: &Node) -> Option<(Role, Position)> {
        let text = self.text(node, "`role`")?;
        let role = Role::ALL.into_iter().find(|role| role.name() == text);
        if role.is_none() {
            let words = Role::ALL.map(Role::name);
            let help = match nearest(&text, words) {
                Some(word) => format!("did you mean {word:?}?"),
                None => format!("roles are {}", words.join(", ")),
            };
            self.wrong("role", format!("unknown role {text:?}"), &node.at, help);
        }
        role.map(|role| (role, node.at.clone()))
    }

    fn settings(&mut self, node: &Rc<Node>) -> Option<serde_json::Value> {
        if self.entries(node, "`settings`").is_empty() {
            return None;
        }
        match settings::json(node) {
            Ok(value) => Some(value),
            Err(finding) => {
                self.findings.push(finding);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
