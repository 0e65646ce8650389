//! A Copilot workspace: `copilot/.workspace`, a folder for each workload, its addons and overrides. Found and read;
//! what the manifests mean is the renderer's to say.
//!
//! * [`asset`]: a file or folder that an addon refers to, and its archive.
//! * [`given_away`]: what of the workspace may be uploaded at all.

pub mod asset;
pub mod given_away;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::kamal::Envelope;
use super::origin::Origins;
use super::project::{ConfigurationFile, Flavour, ManifestFile, Project};
use super::tree::Node;

/// How far up a workspace is looked for, as Copilot does.
const PARENTS: usize = 5;
/// Folders of `copilot/` that hold no workload.
const NOT_WORKLOADS: &[&str] = &["environments", "pipelines", "overrides"];
/// No file of a workspace is larger.
const LARGEST: u64 = 1 << 20;
/// Files of one static site.
const FILES: usize = 100_000;

/// Why a workspace can't be used.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// There is none.
    #[error("no Copilot workspace in {} or above it\nhint: run this in a repository that has copilot/.workspace", .0.display())]
    Missing(PathBuf),
    /// Its summary makes no sense, and nothing else names the application.
    #[error("{}: expected a line `application: NAME`\nhint: add it, or name the application with --app", .0.display())]
    Summary(PathBuf),
    /// A workload that is not there.
    #[error("no workload `{name}` in this workspace\nhint: it has {known}")]
    NoWorkload {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A file can't be read.
    #[error("failed to read {}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// The folder that holds `copilot/`.
    pub root: PathBuf,
    /// Name of the application.
    pub application: String,
}

/// A file of a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadFile {
    /// Relative to the workspace: `copilot/api/manifest.yml`.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl Workspace {
    /// The workspace that a folder is in; `application` counts more than what its summary says.
    ///
    /// # Errors
    /// When there is none, or nothing names its application.
    pub fn find(start: &Path, application: Option<&str>) -> Result<Self, WorkspaceError> {
        let root = Self::root(start).ok_or_else(|| WorkspaceError::Missing(start.to_owned()))?;
        let summary = root.join("copilot/.workspace");
        let application = match application {
            Some(application) => application.to_owned(),
            None if summary.is_file() => Node::parse("copilot/.workspace", &read(&summary)?)
                .ok()
                .and_then(|node| node.get("application")?.text().map(str::to_owned))
                .filter(|name| !name.is_empty())
                .ok_or(WorkspaceError::Summary(summary))?,
            None => return Err(WorkspaceError::Summary(summary)),
        };
        Ok(Self { root, application })
    }

    /// The folder that holds the `copilot/` nearest to a folder: its own, or one above it.
    pub fn root(start: &Path) -> Option<PathBuf> {
        let mut candidates = start.ancestors().take(PARENTS + 1);
        let found = candidates.find(|root| root.join("copilot").is_dir());
        found.map(Path::to_owned)
    }

    /// The `type` of a workload, as its manifest says it.
    pub fn kind(&self, name: &str) -> Option<String> {
        let path = format!("copilot/{name}/manifest.yml");
        let text = read(&self.root.join(&path)).ok()?;
        let manifest = Node::parse(&path, &text).ok()?;
        manifest.get("type")?.text().map(str::to_owned)
    }

    /// A workload as a project: its files for the renderer, and the user's `plimsoll.yml`.
    ///
    /// # Errors
    /// When there is no such workload, or a file of it can't be read.
    pub fn project(
        &self,
        name: &str,
        environment: &str,
        variables: &BTreeMap<String, String>,
    ) -> Result<Project, WorkspaceError> {
        let file = |file: WorkloadFile| ManifestFile {
            path: file.path,
            source: file.text.clone(),
            origins: Origins::default(),
            text: file.text,
        };
        Ok(Project {
            destination: Some(environment.to_owned()),
            files: self.files(name)?.into_iter().map(file).collect(),
            envelope: Envelope::without_powers(name),
            environment: variables.clone(),
            ..Self::bare(&self.root)?
        })
    }

    /// A workspace as a project without a workload: the user's `plimsoll.yml` alone.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn bare(root: &Path) -> Result<Project, WorkspaceError> {
        let configuration = root.join("plimsoll.yml");
        let configuration = match configuration.is_file() {
            true => Some(ConfigurationFile {
                path: "plimsoll.yml".to_owned(),
                text: read(&configuration)?,
            }),
            false => None,
        };
        Ok(Project {
            root: root.to_owned(),
            flavour: Flavour::Copilot,
            destination: None,
            files: Vec::new(),
            envelope: Envelope::without_powers(""),
            hooks: Vec::new(),
            secret_files: Vec::new(),
            configuration,
            allowed_commands: Vec::new(),
            environment: BTreeMap::new(),
            command_outputs: Vec::new(),
        })
    }

    /// Names of its workloads, sorted.
    pub fn workloads(&self) -> Vec<String> {
        let entries = fs::read_dir(self.root.join("copilot"))
            .into_iter()
            .flatten()
            .flatten();
        let workload = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            let is = entry.path().join("manifest.yml").is_file()
                && !NOT_WORKLOADS.contains(&name.as_str());
            is.then_some(name)
        };
        let mut names: Vec<String> = entries.filter_map(workload).collect();
        names.sort();
        names
    }

    /// The manifest of a workload, then its addons and overrides.
    ///
    /// # Errors
    /// When there is no such workload, or a file of it can't be read.
    pub fn files(&self, name: &str) -> Result<Vec<WorkloadFile>, WorkspaceError> {
        if !self.workloads().iter().any(|known| known == name) {
            return Err(WorkspaceError::NoWorkload {
                name: name.to_owned(),
                known: self.workloads().join(", "),
            });
        }
        let folder = format!("copilot/{name}");
        let mut files = vec![self.file(format!("{folder}/manifest.yml"))?];
        for part in ["addons", "overrides"] {
            let entries = fs::read_dir(self.root.join(&folder).join(part))
                .into_iter()
                .flatten()
                .flatten();
            let names = entries
                .filter(|entry| entry.path().is_file())
                .filter_map(|entry| entry.file_name().into_string().ok());
            let names: BTreeSet<String> = names.collect();
            for name in names {
                files.push(self.file(format!("{folder}/{part}/{name}"))?);
            }
        }
        Ok(files)
    }

    /// What a source of the manifest names: the file itself, or the folder (with a slash at its end) and all files in
    /// it. Nothing outside the workspace.
    pub fn paths(&self, source: &str) -> Vec<String> {
        let Ok(found) = self.root.join(source).canonicalize() else {
            return Vec::new();
        };
        let Ok(root) = self.root.canonicalize() else {
            return Vec::new();
        };
        let Ok(relative) = found.strip_prefix(&root) else {
            return Vec::new();
        };
        let mut paths = Vec::new();
        collect(&root, relative, &mut paths);
        paths.sort();
        paths
    }

    fn file(&self, path: String) -> Result<WorkloadFile, WorkspaceError> {
        Ok(WorkloadFile {
            text: read(&self.root.join(&path))?,
            path,
        })
    }
}

fn read(path: &Path) -> Result<String, WorkspaceError> {
    let unreadable = |source| WorkspaceError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let size = fs::metadata(path).map_err(unreadable)?.len();
    if size > LARGEST {
        return Err(unreadable(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "it is larger than 1 MiB",
        )));
    }
    fs::read_to_string(path).map_err(unreadable)
}

fn collect(root: &Path, relative: &Path, paths: &mut Vec<String>) {
    let full = root.join(relative);
    let shown = relative.display().to_string();
    if full.is_file() {
        paths.push(shown);
        return;
    }
    if !full.is_dir() || paths.len() > FILES {
        return;
    }
    paths.push(format!("{shown}/"));
    for entry in fs::read_dir(&full).into_iter().flatten().flatten() {
        // A link could lead in a circle, or out of the workspace.
        if entry.file_type().is_ok_and(|kind| !kind.is_symlink()) {
            collect(root, &relative.join(entry.file_name()), paths);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_is_found_from_below_and_tells_its_workloads() {
        let root = std::env::temp_dir().join(format!("plimsoll-workspace-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().expect("has one")).expect("creates");
            fs::write(path, text).expect("writes");
        };
        write("copilot/.workspace", "application: shop\n");
        write("copilot/api/manifest.yml", "name: api\n");
        write("copilot/api/addons/table.yml", "Resources: {}\n");
        write("copilot/environments/test/manifest.yml", "name: test\n");
        write("site/index.html", "hi");
        let workspace = Workspace::find(&root.join("copilot/api"), None).expect("found");
        let other = Workspace::find(&root, Some("other")).expect("found");
        assert_eq!(other.application, "other");
        assert_eq!(
            (workspace.application.as_str(), workspace.workloads()),
            ("shop", vec!["api".to_owned()])
        );
        let files: Vec<String> = workspace
            .files("api")
            .expect("read")
            .into_iter()
            .map(|file| file.path)
            .collect();
        assert_eq!(
            files,
            ["copilot/api/manifest.yml", "copilot/api/addons/table.yml"]
        );
        assert_eq!(workspace.paths("site"), ["site/", "site/index.html"]);
        assert_eq!(workspace.paths("../"), Vec::<String>::new());
        assert!(
            workspace
                .files("web")
                .expect_err("missing")
                .to_string()
                .contains("it has api")
        );
        fs::remove_dir_all(&root).expect("removes");
    }
}
