//! Finds and reads the files of a project: the only file system access of this layer.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    commands,
    diagnostic::{Diagnostic, nearest, render_diagnostic},
    erb::{self, World},
    error::ManifestError,
    kamal::Envelope,
    project::{ConfigurationFile, Flavour, Hook, ManifestFile, Project},
};
use crate::secret::{Secret, SecretFile};

/// Where Kamal looks when `-c` says nothing.
const KAMAL_FILE: &str = "config/deploy.yml";
/// The user's grants, plugins and allowed commands.
const CONFIGURATION_FILE: &str = "plimsoll.yml";
/// No file of a project is larger.
const LARGEST: u64 = 1024 * 1024;

/// What finding a project needs of the world, answered by the caller: this layer starts no process.
pub struct Outside<'a> {
    /// The process environment.
    pub environment: BTreeMap<String, String>,
    /// Runs a command line that the user allowed, in a folder and an environment, for its standard output. Its exit
    /// status does not matter; an error says that it could not be run.
    pub run: &'a RunIn<'a>,
    /// Architecture of the local Docker Engine, as Kamal writes it: `amd64`, `arm64`.
    pub docker_arch: &'a dyn Fn() -> Result<String, String>,
}

/// See [`Outside::run`].
pub type RunIn<'a> = dyn Fn(&str, &Path, &BTreeMap<String, String>) -> Result<String, String> + 'a;

/// A project that could not be read, with the texts that its findings point into.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct FindError {
    /// What went wrong.
    pub error: ManifestError,
    /// Path and text of the files that were read.
    pub sources: Vec<(String, String)>,
}

impl FindError {
    /// The error with its source line, for a terminal.
    pub fn show(&self) -> String {
        render_diagnostic(&self.error.diagnostic(), |path| {
            let found = self.sources.iter().find(|(known, _)| known == path);
            found.map(|(_, text)| text.as_str())
        })
    }
}

impl Project {
    /// Finds the project of a folder and reads it. `config_file` is `-c`, `destination` is `-d`.
    pub fn find(
        start: &Path,
        config_file: Option<&Path>,
        destination: Option<&str>,
        outside: Outside<'_>,
    ) -> Result<Self, Box<FindError>> {
        let mut search = Search {
            root: start,
            sources: Vec::new(),
        };
        search
            .read(config_file, destination, outside)
            .map_err(|error| {
                let sources = search.sources;
                Box::new(FindError { error, sources })
            })
    }
}

struct Search<'a> {
    root: &'a Path,
    sources: Vec<(String, String)>,
}

impl Search<'_> {
    fn read(
        &mut self,
        config_file: Option<&Path>,
        destination: Option<&str>,
        outside: Outside<'_>,
    ) -> Result<Project, ManifestError> {
        let main = self.main_file(config_file)?;
        let overlay = destination
            .map(|name| self.overlay_file(&main, name))
            .transpose()?;
        let configuration = self.configuration()?;
        let allowed_commands = match &configuration {
            Some(file) => commands::allowed(&file.path, &file.text)?,
            None => Vec::new(),
        };

        let mut environment = outside.environment;
        match destination {
            Some(name) => environment.insert("KAMAL_DESTINATION".to_owned(), name.to_owned()),
            None => environment.remove("KAMAL_DESTINATION"),
        };
        let root = self.root.to_path_buf();
        let mut world = World {
            environment,
            allowed_commands: &allowed_commands,
            run: &|command, environment| (outside.run)(command, &root, environment),
            read_file: &|path| read_text(&root.join(path)).map_err(io_error),
            docker_arch: outside.docker_arch,
        };
        let mut files = Vec::new();
        let mut outputs = Vec::new();
        for path in [Some(main), overlay].into_iter().flatten() {
            let (path, source) = self.text(&path)?;
            let rendered = erb::render(&path, &source, &mut world)?;
            outputs.extend(rendered.outputs);
            files.push(ManifestFile {
                path,
                source,
                text: rendered.text,
                origins: rendered.origins,
            });
        }
        let environment = world.environment;

        let texts: Vec<(&str, &str)> = files
            .iter()
            .map(|file| (file.path.as_str(), file.text.as_str()))
            .collect();
        let envelope =
            Envelope::read(&texts, destination).map_err(|finding| in_source(finding, &files))?;
        let is_password = |answer: &Secret| envelope.passwords().any(|password| password == answer);
        outputs.retain(|(_, answer)| is_password(answer));
        Ok(Project {
            hooks: hooks(&root.join(&envelope.hooks_path))?,
            secret_files: self.secret_files(&envelope.secret_paths())?,
            root,
            flavour: Flavour::Kamal,
            destination: destination.map(ToOwned::to_owned),
            files,
            envelope,
            configuration,
            allowed_commands,
            environment,
            command_outputs: outputs,
        })
    }

    fn main_file(&self, config_file: Option<&Path>) -> Result<PathBuf, ManifestError> {
        let path = self.root.join(config_file.unwrap_or(Path::new(KAMAL_FILE)));
        if path.is_file() {
            return Ok(path);
        }
        if config_file.is_none() && self.root.join("copilot").is_dir() {
            return Err(ManifestError::Copilot {
                directory: self.root.to_path_buf(),
                help: "deploy it with `copilot` for now; a server is deployed to from config/deploy.yml".to_owned(),
            });
        }
        let above = self
            .root
            .ancestors()
            .skip(1)
            .find(|folder| folder.join(KAMAL_FILE).is_file());
        let help = match (config_file, above) {
            (Some(_), _) => {
                "-c takes a path relative to the folder plimsoll is started in".to_owned()
            }
            (None, Some(folder)) => format!(
                "there is one in {}: run plimsoll there, or say -c FILE",
                folder.display()
            ),
            (None, None) => {
                "run plimsoll in the folder of your project, or say which file to use with -c FILE"
                    .to_owned()
            }
        };
        Err(ManifestError::Missing {
            path: config_file.unwrap_or(Path::new(KAMAL_FILE)).to_path_buf(),
            directory: self.root.to_path_buf(),
            help,
        })
    }

    /// `deploy.DESTINATION.yml` beside `deploy.yml`.
    fn overlay_file(&self, main: &Path, destination: &str) -> Result<PathBuf, ManifestError> {
        if destination.is_empty() || destination.contains(['/', '\0']) {
            return Err(ManifestError::Destination(destination.to_owned()));
        }
        let stem = main.file_stem().unwrap_or_default().to_string_lossy();
        let path = main.with_file_name(format!("{stem}.{destination}.yml"));
        if path.is_file() {
            return Ok(path);
        }
        let destinations = destinations(main, &stem);
        let help = match (
            nearest(destination, destinations.iter().map(String::as_str)),
            destinations.as_slice(),
        ) {
            (Some(name), _) => format!("did you mean -d {name}?"),
            (None, []) => {
                "write what differs from the configuration file into it, or leave -d away"
                    .to_owned()
            }
            (None, known) => format!("destinations of this project: {}", known.join(", ")),
        };
        Err(ManifestError::Missing {
            path: PathBuf::from(self.shown(&path)),
            directory: self.root.to_path_buf(),
            help,
        })
    }

    fn configuration(&mut self) -> Result<Option<ConfigurationFile>, ManifestError> {
        let path = self.root.join(CONFIGURATION_FILE);
        if !path.exists() {
            return Ok(None);
        }
        let (path, text) = self.text(&path)?;
        Ok(Some(ConfigurationFile { path, text }))
    }

    fn secret_files(&self, paths: &[String]) -> Result<Vec<SecretFile>, ManifestError> {
        let mut files = Vec::new();
        for path in paths {
            let file = self.root.join(path);
            if file.exists() {
                let text = Secret::new(read_text(&file)?);
                let path = path.clone();
                files.push(SecretFile { path, text });
            }
        }
        Ok(files)
    }

    /// Shown path and text of a file, which is remembered for findings.
    fn text(&mut self, path: &Path) -> Result<(String, String), ManifestError> {
        let file = (self.shown(path), read_text(path)?);
        self.sources.push(file.clone());
        Ok(file)
    }

    fn shown(&self, path: &Path) -> String {
        let relative = path.strip_prefix(self.root).unwrap_or(path);
        relative.display().to_string()
    }
}

fn in_source(finding: Diagnostic, files: &[ManifestFile]) -> Diagnostic {
    let file = |path: &str| files.iter().find(|file| file.path == path);
    let at = finding.at.as_ref().and_then(|at| {
        let file = file(&at.path)?;
        Some(file.origins.trace(at, &file.text, &file.source))
    });
    Diagnostic {
        at: at.or(finding.at),
        ..finding
    }
}

/// Names for which there is a destination file, sorted.
fn destinations(main: &Path, stem: &str) -> Vec<String> {
    let folder = main.parent().and_then(|folder| fs::read_dir(folder).ok());
    let mut names: Vec<String> = folder
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let name = name
                .strip_prefix(stem)?
                .strip_prefix('.')?
                .strip_suffix(".yml")?;
            Some(name.to_owned())
        })
        .collect();
    names.sort();
    names
}

fn hooks(folder: &Path) -> Result<Vec<Hook>, ManifestError> {
    let unreadable = |source| ManifestError::Unreadable {
        path: folder.to_path_buf(),
        source,
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(unreadable(error)),
    };
    let mut hooks = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        // Followed: hooks may be links. A link that leads nowhere is no hook.
        let Ok(metadata) = fs::metadata(&path) else {
            continue;
        };
        if metadata.is_file() && !name.ends_with(".sample") {
            hooks.push(Hook {
                name: name.to_owned(),
                executable: is_executable(&metadata),
                path,
            });
        }
    }
    hooks.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(hooks)
}

fn is_executable(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o111 != 0
}

/// Text of a file of at most 1 MiB, without a byte order mark.
fn read_text(path: &Path) -> Result<String, ManifestError> {
    let unreadable = |source| ManifestError::Unreadable {
        path: path.to_path_buf(),
        source,
    };
    let not_text = |problem: String| ManifestError::NotText {
        path: path.to_path_buf(),
        problem,
    };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(not_text("is not a file".to_owned()));
    }
    if metadata.len() > LARGEST {
        return Err(not_text("is larger than 1 MiB".to_owned()));
    }
    let bytes = fs::read(path).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        not_text(format!("is not UTF-8 text (line {line})"))
    })?;
    match text.strip_prefix('\u{feff}') {
        Some(text) => Ok(text.to_owned()),
        None => Ok(text),
    }
}

fn io_error(error: ManifestError) -> io::Error {
    match error {
        ManifestError::Unreadable { source, .. } => source,
        other => io::Error::other(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
