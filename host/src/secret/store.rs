//! The secrets of a project: evaluated when the first one is needed, once, and then only lent.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{
    Encoding, Secret,
    dotenv::{self, DotenvError, Existing},
};

/// A secrets file that exists.
#[derive(Clone)]
pub struct SecretFile {
    /// As Kamal names it: `.kamal/secrets-common`.
    pub path: String,
    /// What is in it.
    pub text: Secret,
}

/// Why there is no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// No file gives it a value.
    #[error("Secret '{name}' not found{place}\nhint: add a line `{name}=…` to {cure}")]
    NotFound {
        /// The secret.
        name: String,
        /// ` in FILES`, or `, no secret files (FILES) provided`.
        place: String,
        /// The file to put it into.
        cure: String,
    },
    /// A file could not be evaluated.
    #[error("can't evaluate {path}, {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: DotenvError,
    },
}

/// Runs a shell command for its standard output; an error means that it was not run.
pub type RunCommand = Box<dyn Fn(&str) -> Result<String, String> + Send + Sync>;

/// All secrets of a project.
pub struct SecretStore {
    /// In the order of reading; later ones override.
    files: Vec<SecretFile>,
    /// The files that could exist.
    paths: Vec<String>,
    environment: BTreeMap<String, String>,
    run: RunCommand,
    values: OnceLock<Result<BTreeMap<String, Secret>, SecretError>>,
}

impl SecretStore {
    /// Nothing is evaluated yet. `paths` are the files that were looked for, of which `files` exist.
    pub fn new(
        files: Vec<SecretFile>,
        paths: Vec<String>,
        environment: BTreeMap<String, String>,
        run: RunCommand,
    ) -> Self {
        Self {
            files,
            paths,
            environment,
            run,
            values: OnceLock::new(),
        }
    }

    /// Names of all secrets, sorted. Evaluates nothing.
    pub fn names(&self) -> Vec<String> {
        let names: BTreeSet<String> = self
            .files
            .iter()
            .flat_map(|file| dotenv::names(file.text.expose()))
            .collect();
        names.into_iter().collect()
    }

    /// A secret by its name.
    pub fn get(&self, name: &str) -> Result<&Secret, SecretError> {
        self.all()?.get(name).ok_or_else(|| {
            let existing: Vec<&str> = self.files.iter().map(|file| file.path.as_str()).collect();
            let place = match existing.as_slice() {
                [] => format!(", no secret files ({}) provided", self.paths.join(", ")),
                files => format!(" in {}", files.join(", ")),
            };
            SecretError::NotFound {
                name: name.to_owned(),
                place,
                cure: self.paths.last().cloned().unwrap_or_default(),
            }
        })
    }

    /// All secrets by name, as hooks get them.
    pub fn all(&self) -> Result<&BTreeMap<String, Secret>, SecretError> {
        let values = self.values.get_or_init(|| self.evaluate());
        values.as_ref().map_err(Clone::clone)
    }

    /// What may be known about a secret: a keyed hash of its encoded text, 32 hexadecimal digits.
    pub fn fingerprint(
        &self,
        name: &str,
        encoding: Encoding,
        key: &[u8],
    ) -> Result<String, SecretError> {
        let text = encoding.apply(self.get(name)?.expose());
        Ok(fingerprint(text.as_bytes(), key))
    }

    fn evaluate(&self) -> Result<BTreeMap<String, Secret>, SecretError> {
        let mut values = BTreeMap::new();
        for file in &self.files {
            let read = dotenv::parse(
                file.text.expose(),
                &self.environment,
                Existing::Overwrite,
                &self.run,
            );
            values.extend(read.map_err(|source| SecretError::File {
                path: file.path.clone(),
                source,
            })?);
        }
        Ok(values)
    }
}

/// HMAC-SHA256, the first 16 bytes in hexadecimal: tells that something changed, and can't be searched for without
/// the key.
pub fn fingerprint(bytes: &[u8], key: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(bytes);
    let digest = mac.finalize().into_bytes();
    digest[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    fn store(files: &[(&str, &str)], runs: &Arc<AtomicUsize>) -> SecretStore {
        let runs = Arc::clone(runs);
        let file = |(path, text): &(&str, &str)| SecretFile {
            path: (*path).to_owned(),
            text: Secret::new(*text),
        };
        SecretStore::new(
            files.iter().map(file).collect(),
            vec![".kamal/secrets-common".into(), ".kamal/secrets".into()],
            BTreeMap::new(),
            Box::new(move |command| {
                runs.fetch_add(1, Ordering::SeqCst);
                Ok(format!("[{command}]"))
            }),
        )
    }

    #[test]
    fn later_files_override_and_commands_run_once_when_needed() {
        let runs = Arc::default();
        let files = [
            (".kamal/secrets-common", "A=1\nB=$(x)"),
            (".kamal/secrets", "A=2"),
        ];
        let store = store(&files, &runs);
        assert_eq!(store.names(), ["A", "B"]);
        assert_eq!(runs.load(Ordering::SeqCst), 0);
        for (name, value) in [("A", "2"), ("B", "[x]"), ("B", "[x]")] {
            assert_eq!(store.get(name).map(Secret::expose), Ok(value));
        }
        assert_eq!(runs.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_missing_secret_is_reported_in_kamals_words() {
        let runs = Arc::default();
        let none = store(&[], &runs).get("X").expect_err("there is none");
        assert_eq!(
            none.to_string(),
            "Secret 'X' not found, no secret files (.kamal/secrets-common, .kamal/secrets) provided\n\
             hint: add a line `X=…` to .kamal/secrets"
        );
        let other = store(&[(".kamal/secrets", "A=1")], &runs)
            .get("X")
            .expect_err("not X");
        assert!(
            other
                .to_string()
                .starts_with("Secret 'X' not found in .kamal/secrets\n")
        );
    }

    #[test]
    fn a_file_that_cannot_be_evaluated_fails_every_lookup() {
        let store = store(&[(".kamal/secrets", "A=1\nexport B")], &Arc::default());
        let error = store.get("A").expect_err("the file is broken").to_string();
        assert!(
            error.starts_with("can't evaluate .kamal/secrets, line 2"),
            "{error}"
        );
    }

    #[test]
    fn fingerprints_depend_on_text_encoding_and_key() {
        // RFC 4231, test case 2.
        let known = fingerprint(b"what do ya want for nothing?", b"Jefe");
        assert_eq!(known, "5bdcc146bf60754e6a042426089575c7");
        let store = store(&[(".kamal/secrets", "A='x\ny'")], &Arc::default());
        let print = |encoding, key| store.fingerprint("A", encoding, key).expect("A is known");
        let base = print(Encoding::Verbatim, b"key");
        assert_ne!(base, print(Encoding::EnvFile, b"key"));
        assert_ne!(base, print(Encoding::Verbatim, b"other"));
        assert_eq!(base, fingerprint(b"x\ny", b"key"));
    }
}
