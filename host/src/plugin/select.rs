//! Which component does what in this project: `plimsoll.yml` replaces the bundle's renderer, differ or driver, and
//! adds policies to the bundle's.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use super::configuration::{Bundled, Configuration, PluginEntry, Source};
use super::lockfile::{LOCK_FILE, Lock, LockError};
use crate::grant::Grants;
use crate::manifest::Diagnostic;
use crate::sandbox::aot::Origin;
use crate::sandbox::{Loaded, Role, Sandbox, SandboxError};

/// A component and what the user said about it.
#[derive(Clone)]
pub struct Plugin {
    /// In `plimsoll.yml`, or in the bundle.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Digest of `bytes`, in hexadecimal.
    pub sha256: String,
    /// The component.
    pub bytes: Cow<'static, [u8]>,
    /// Who made it.
    pub origin: Origin,
    /// `bundle`, or the file it is from.
    pub from: String,
    /// A JSON object.
    pub settings: String,
    /// What it may do.
    pub grants: Grants,
    /// What the project's manifest names is granted too.
    pub derived: bool,
}

impl Plugin {
    /// Capabilities that its grants name. Those that reach nobody are always there for a driver.
    pub fn granted(&self) -> Vec<&'static str> {
        let mut kinds = vec!["log", "progress", "clock", "interruption"];
        let grants = &self.grants;
        let aws = !grants.aws.accounts.is_empty();
        for (kind, named) in [
            ("docker", !grants.docker.hosts.is_empty()),
            ("ssh", !grants.ssh.hosts.is_empty()),
            ("lock", !grants.lock.is_empty()),
            ("hook", !grants.hook.is_empty()),
            ("secrets", !grants.secrets.is_empty()),
            ("cloudformation", aws),
            ("s3", aws),
            ("ecs", aws),
            ("logs", aws),
        ] {
            // A project without hooks or secrets has nothing of them to grant, and its own driver still knows them.
            if named || self.derived {
                kinds.push(kind);
            }
        }
        kinds
    }

    /// Loads and links it; nothing of it has run then.
    ///
    /// # Errors
    /// When it is refused.
    pub fn link(&self, sandbox: &Sandbox) -> Result<Loaded, SandboxError> {
        let component = sandbox.component(&self.name, &self.sha256, &self.bytes, self.origin)?;
        sandbox.link(&self.name, &component, self.role, &self.granted())
    }
}

/// The components of a project.
#[derive(Clone)]
pub struct Plugins {
    /// Manifest to documents.
    pub renderer: Plugin,
    /// Documents to changes.
    pub differ: Plugin,
    /// Observes, plans, applies.
    pub driver: Plugin,
    /// All of them judge.
    pub policies: Vec<Plugin>,
}

/// Why a plugin that `plimsoll.yml` names is not there.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// Its file can't be read.
    #[error("failed to read plugin `{name}` from {path}: {source}")]
    Unreadable {
        /// Name of the plugin.
        name: String,
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what was locked, or not locked at all.
    #[error("{0}")]
    Lock(#[from] LockError),
    /// `plimsoll.lock` makes no sense.
    #[error("{}", .0.message)]
    LockFile(Box<Diagnostic>),
}

/// Where a project is deployed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// AWS ECS: Copilot's manifests.
    Ecs,
    /// Servers: Kamal's configuration.
    Ssh,
}

/// The default components of every target, as `plimsoll.yml` may name them.
pub fn nameable() -> Vec<Bundled> {
    bundle::COMPONENTS
        .iter()
        .filter_map(|component| {
            Some(Bundled {
                name: component.name,
                role: role(component)?,
            })
        })
        .collect()
}

fn role(component: &bundle::Component) -> Option<Role> {
    let mut roles = Role::ALL.into_iter();
    roles.find(|role| role.name() == component.role)
}

/// All default components, of every target.
pub fn all_bundled() -> impl Iterator<Item = Plugin> {
    bundle::COMPONENTS.iter().filter_map(embedded)
}

/// The default components of a target.
pub fn bundled(target: Target) -> impl Iterator<Item = Plugin> {
    let name = match target {
        Target::Ecs => "ecs",
        Target::Ssh => "ssh",
    };
    let of_target = move |component: &&bundle::Component| [name, "any"].contains(&component.target);
    bundle::COMPONENTS
        .iter()
        .filter(of_target)
        .filter_map(embedded)
}

fn embedded(component: &bundle::Component) -> Option<Plugin> {
    let role = role(component)?;
    Some(Plugin {
        name: component.name.to_owned(),
        role,
        sha256: component.sha256.to_owned(),
        bytes: Cow::Borrowed(component.bytes),
        origin: Origin::Bundle,
        from: "bundle".to_owned(),
        settings: "{}".to_owned(),
        grants: Grants::none(component.name),
        derived: role == Role::Driver,
    })
}

/// The lock of the project in `root`; empty when there is none.
///
/// # Errors
/// When it is there and makes no sense.
pub fn read_lock(root: &Path) -> Result<Lock, SelectError> {
    match fs::read_to_string(root.join(LOCK_FILE)) {
        Ok(text) => {
            Lock::parse(LOCK_FILE, &text).map_err(|found| SelectError::LockFile(Box::new(found)))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Lock::default()),
        Err(source) => Err(SelectError::Unreadable {
            name: LOCK_FILE.to_owned(),
            path: root.join(LOCK_FILE).display().to_string(),
            source,
        }),
    }
}

/// The bytes of a plugin that is in a file; none for one of the bundle.
///
/// # Errors
/// When the file can't be read.
pub fn read_file(root: &Path, entry: &PluginEntry) -> Result<Option<Vec<u8>>, SelectError> {
    let Source::File(path) = &entry.source else {
        return Ok(None);
    };
    let path = root.join(path);
    let read = fs::read(&path);
    read.map(Some).map_err(|source| SelectError::Unreadable {
        name: entry.name.clone(),
        path: path.display().to_string(),
        source,
    })
}

impl Plugins {
    /// Those of the project in `root`, with every third-party digest checked against `plimsoll.lock`. `derived` are
    /// the grants that follow from its manifest.
    ///
    /// # Errors
    /// When a file is missing, not locked, or not what was locked.
    pub fn of(
        root: &Path,
        configuration: &Configuration,
        derived: &Grants,
        target: Target,
    ) -> Result<Self, SelectError> {
        let lock = read_lock(root)?;
        let mut all: Vec<Plugin> = bundled(target).collect();
        for entry in &configuration.plugins {
            let base = match read_file(root, entry)? {
                Some(bytes) => {
                    let sha256 = lock
                        .check(&entry.name, &bytes)?
                        .as_str()
                        .trim_start_matches("sha256:")
                        .to_owned();
                    let from = match &entry.source {
                        Source::File(path) => path.display().to_string(),
                        Source::Bundle => "bundle".to_owned(),
                    };
                    Plugin {
                        name: entry.name.clone(),
                        sha256,
                        bytes: bytes.into(),
                        origin: Origin::ThirdParty,
                        from,
                        ..blank(entry)
                    }
                }
                None => {
                    // What is said of another target's component is for another project.
                    let Some(own) = all.iter().find(|plugin| plugin.name == entry.name) else {
                        continue;
                    };
                    Plugin {
                        settings: entry.settings.to_string(),
                        grants: entry.grants.written.clone(),
                        derived: entry.grants.derived,
                        ..own.clone()
                    }
                }
            };
            let same = |plugin: &&mut Plugin| {
                plugin.name == base.name || plugin.role == base.role && base.role != Role::Policy
            };
            match all.iter_mut().find(same) {
                Some(replaced) => *replaced = base,
                None => all.push(base),
            }
        }
        for plugin in all.iter_mut().filter(|plugin| plugin.derived) {
            plugin.grants = Grants {
                plugin: plugin.name.clone(),
                ..plugin.grants.clone().and(derived.clone())
            };
        }
        let one = |role: Role| {
            all.iter()
                .find(|plugin| plugin.role == role)
                .cloned()
                .expect("the bundle has one of each role")
        };
        Ok(Self {
            renderer: one(Role::Renderer),
            differ: one(Role::Differ),
            driver: one(Role::Driver),
            policies: all
                .iter()
                .filter(|plugin| plugin.role == Role::Policy)
                .cloned()
                .collect(),
        })
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Plugin> {
        [&self.renderer, &self.differ, &self.driver]
            .into_iter()
            .chain(&self.policies)
    }
}

/// An entry's own part of a plugin.
fn blank(entry: &PluginEntry) -> Plugin {
    Plugin {
        name: entry.name.clone(),
        role: entry.role,
        sha256: String::new(),
        bytes: Cow::Borrowed(&[]),
        origin: Origin::ThirdParty,
        from: String::new(),
        settings: entry.settings.to_string(),
        grants: entry.grants.written.clone(),
        derived: entry.grants.derived,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_component_can_be_named_and_means_something_for_its_own_target() {
        let text =
            "plugins:\n  ecs-renderer: {settings: {a: 1}}\n  ssh-renderer: {settings: {b: 2}}\n";
        let configuration = Configuration::parse("plimsoll.yml", text, &nameable()).expect("right");
        let nowhere = Path::new("/nowhere");
        let plugins =
            Plugins::of(nowhere, &configuration, &Grants::none(""), Target::Ssh).expect("there");
        assert_eq!(plugins.renderer.name, "ssh-renderer");
        assert_eq!(plugins.renderer.settings, r#"{"b":2}"#);
        assert!(!plugins.renderer.bytes.is_empty());
        let named: Vec<&str> = nameable().iter().map(|bundled| bundled.name).collect();
        let there: Vec<String> = all_bundled().map(|plugin| plugin.name).collect();
        assert_eq!(named, there);
    }
}
