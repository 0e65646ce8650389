//! Files of the project that go to servers: error pages and the files of accessories. Only those that the manifest names
//! are read, and what arrives is what was planned.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{fs, io};

use sha2::{Digest as _, Sha256};

use super::erb::{self, RunWith, World};
use super::kamal::Variable;
use super::project::Project;
use crate::secret::Secret;

/// No file that goes to a server is larger.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Files that the manifest names.
#[derive(Clone, Debug, Default)]
pub struct PlacedFiles {
    root: PathBuf,
    /// Where `~` is.
    home: Option<PathBuf>,
    error_pages: Option<String>,
    accessories: Vec<Owner>,
    environment: BTreeMap<String, String>,
    allowed_commands: Vec<String>,
}

#[derive(Clone, Debug)]
struct Owner {
    name: String,
    files: Vec<String>,
    env: Vec<(String, Variable)>,
}

/// Why a file can't be placed.
#[derive(Debug, thiserror::Error)]
pub enum PlacedError {
    /// The manifest does not name it.
    #[error("`{0}` is not a file that the manifest names")]
    NotNamed(String),
    /// It can't be read.
    #[error("can't read {path}: {source}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It is another one than was planned.
    #[error("{0} has changed since it was planned\nhint: plan again")]
    Changed(String),
    /// Its template does not work out.
    #[error("can't resolve {path}: {why}")]
    Template {
        /// The file.
        path: String,
        /// Why, with the place.
        why: String,
    },
}

impl PlacedFiles {
    /// Those of a project.
    pub fn of(project: &Project) -> Self {
        let envelope = &project.envelope;
        let accessories = envelope.accessories.iter().map(|accessory| Owner {
            name: accessory.name.clone(),
            files: accessory.files.clone(),
            env: accessory.env.clone(),
        });
        Self {
            root: project.root.clone(),
            home: project.environment.get("HOME").map(PathBuf::from),
            error_pages: envelope.error_pages.clone(),
            accessories: accessories.collect(),
            environment: project.environment.clone(),
            allowed_commands: project.allowed_commands.clone(),
        }
    }

    /// SHA-256 of a named file, or of the files right in the folder of error pages, by path. Empty when there is none, or
    /// the manifest does not name it.
    pub fn digests(&self, name: &str) -> BTreeMap<String, String> {
        let is_folder = self.error_pages.as_deref() == Some(name);
        let is_file = self
            .accessories
            .iter()
            .any(|own| own.files.iter().any(|file| file == name));
        let mut digests = BTreeMap::new();
        let mut add = |path: String| {
            if let Ok(bytes) = self.read(&path) {
                digests.insert(path, digest(&bytes));
            }
        };
        if is_folder {
            let entries = fs::read_dir(self.path(name))
                .into_iter()
                .flatten()
                .flatten();
            let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
            names.for_each(|file| add(format!("{name}/{file}")));
        }
        if is_file {
            add(name.to_owned());
        }
        digests
    }

    /// What arrives at a server. A file of an accessory whose name ends in `erb` is a template, resolved with the accessory's
    /// environment on top of the deployer's. `secret` answers secrets of that environment, `run` runs commands that the
    /// user allowed.
    ///
    /// # Errors
    /// When the manifest does not name the file, or it is not the one with that digest.
    pub fn content(
        &self,
        path: &str,
        expected: &str,
        accessory: Option<&str>,
        secret: &dyn Fn(&str) -> Result<Secret, String>,
        run: &RunWith<'_>,
    ) -> Result<Secret, PlacedError> {
        let not_named = || PlacedError::NotNamed(path.to_owned());
        let owner = match accessory {
            Some(name) => {
                let named = |own: &&Owner| own.name == name && own.files.iter().any(|f| f == path);
                Some(self.accessories.iter().find(named).ok_or_else(not_named)?)
            }
            None => {
                let folder = self.error_pages.as_deref().ok_or_else(not_named)?;
                let file = path
                    .strip_prefix(folder)
                    .and_then(|rest| rest.strip_prefix('/'));
                file.filter(|file| !file.is_empty() && !file.contains('/') && *file != "..")
                    .ok_or_else(not_named)?;
                None
            }
        };
        let bytes = self.read(path).map_err(|source| PlacedError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        if digest(&bytes) != expected {
            return Err(PlacedError::Changed(path.to_owned()));
        }
        let text = String::from_utf8(bytes).map_err(|_| PlacedError::Unreadable {
            path: path.to_owned(),
            source: io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"),
        })?;
        match owner.filter(|_| path.ends_with("erb")) {
            Some(owner) => self.resolved(path, &text, owner, secret, run),
            None => Ok(Secret::new(text)),
        }
    }

    fn resolved(
        &self,
        path: &str,
        text: &str,
        owner: &Owner,
        secret: &dyn Fn(&str) -> Result<Secret, String>,
        run: &RunWith<'_>,
    ) -> Result<Secret, PlacedError> {
        let failed = |why: String| PlacedError::Template {
            path: path.to_owned(),
            why,
        };
        let mut environment = self.environment.clone();
        for (name, value) in &owner.env {
            let value = match value {
                Variable::Clear(text) => text.clone(),
                Variable::Secret(name) => secret(name).map_err(failed)?.expose().to_owned(),
            };
            environment.insert(name.clone(), value);
        }
        let mut world = World {
            environment,
            allowed_commands: &self.allowed_commands,
            run,
            read_file: &|path| fs::read_to_string(self.path(path)),
            docker_arch: &|| Err("the architecture is not asked for here".to_owned()),
        };
        let rendered = erb::render(path, text, &mut world).map_err(|finding| {
            let place = finding.at.as_ref().map(|at| format!("line {}: ", at.line));
            failed(format!("{}{}", place.unwrap_or_default(), finding.message))
        })?;
        Ok(Secret::new(rendered.text))
    }

    fn path(&self, path: &str) -> PathBuf {
        match (path.strip_prefix("~/"), &self.home) {
            (Some(rest), Some(home)) => home.join(rest),
            (_, _) => self.root.join(path),
        }
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let path = self.path(path);
        let metadata = fs::metadata(&path)?;
        if !metadata.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is not a file",
            ));
        }
        if metadata.len() > LARGEST {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it is larger than {} MiB", LARGEST >> 20),
            ));
        }
        fs::read(path)
    }
}

fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn files(root: &Path) -> PlacedFiles {
        let env = [
            ("USER".to_owned(), Variable::Clear("bob".to_owned())),
            ("PASSWORD".to_owned(), Variable::Secret("DB".to_owned())),
        ];
        PlacedFiles {
            root: root.to_owned(),
            error_pages: Some("public".to_owned()),
            accessories: vec![Owner {
                name: "db".to_owned(),
                files: ["my.cnf", "init.erb", "gone"].map(str::to_owned).into(),
                env: env.into(),
            }],
            ..PlacedFiles::default()
        }
    }

    struct Folder(PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn folder(name: &str) -> Folder {
        let root =
            std::env::temp_dir().join(format!("plimsoll-placed-{name}-{}", std::process::id()));
        fs::create_dir_all(root.join("public/deep")).expect("creates");
        for (path, text) in [
            ("public/404.html", "no"),
            ("public/deep/500.html", "deep"),
            ("my.cnf", "[a]"),
            ("init.erb", "<%= ENV['USER'] %>:<%= ENV[\"PASSWORD\"] %>"),
            (".env", "SECRET"),
        ] {
            fs::write(root.join(path), text).expect("writes");
        }
        Folder(root)
    }

    fn content(files: &PlacedFiles, path: &str, digest: &str, of: Option<&str>) -> String {
        let secret = |name: &str| Ok(Secret::new(format!("<{name}>")));
        let run = |_: &str, _: &BTreeMap<String, String>| Err("runs nothing".to_owned());
        match files.content(path, digest, of, &secret, &run) {
            Ok(secret) => secret.expose().to_owned(),
            Err(error) => format!("! {error}"),
        }
    }

    #[test]
    fn only_what_the_manifest_names_is_looked_at() {
        let folder = folder("named");
        let files = files(&folder.0);
        let names = |name: &str| files.digests(name).into_keys().collect::<Vec<_>>();
        assert_eq!(names("public"), ["public/404.html"]);
        assert_eq!(names("my.cnf"), ["my.cnf"]);
        for other in [".env", "gone", "public/404.html", "/etc/passwd", "."] {
            assert_eq!(names(other), Vec::<String>::new(), "{other}");
        }
    }

    #[test]
    fn what_arrives_is_what_was_planned() {
        let folder = folder("content");
        let files = files(&folder.0);
        let digest = |path: &str| digest(&fs::read(folder.0.join(path)).expect("is there"));
        for (path, of, expected) in [
            ("my.cnf", Some("db"), "[a]"),
            ("init.erb", Some("db"), "bob:<DB>"),
            ("public/404.html", None, "no"),
        ] {
            assert_eq!(content(&files, path, &digest(path), of), expected, "{path}");
        }
        for (path, of) in [
            (".env", Some("db")),
            (".env", None),
            ("my.cnf", None),
            ("my.cnf", Some("web")),
            ("public/deep/500.html", None),
            ("public/../.env", None),
        ] {
            let refused = content(&files, path, &digest(path), of);
            assert!(
                refused.contains("is not a file that the manifest names"),
                "{path}: {refused}"
            );
        }
        let changed = content(&files, "my.cnf", &digest("init.erb"), Some("db"));
        assert!(
            changed.contains("has changed since it was planned"),
            "{changed}"
        );
    }
}
