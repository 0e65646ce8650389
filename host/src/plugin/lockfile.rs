//! `plimsoll.lock`: which bytes a plugin's file had when the user locked it. Written by `plimsoll plugin lock`.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::manifest::{
    Diagnostic, nearest,
    tree::{Data, Node},
};

/// Name of the file, beside `plimsoll.yml`.
pub const LOCK_FILE: &str = "plimsoll.lock";

const HEAD: &str =
    "# Written by `plimsoll plugin lock`. Keep it with the project: only these bytes are run.\n";

/// SHA-256 of a component, 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Digest(String);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let hash = Sha256::digest(bytes);
        Self(hash.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Reads 64 hexadecimal digits, in lower case.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
        (text.len() == 64 && digits).then(|| Self(text.to_owned()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

/// What was locked of one plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// Of its file.
    pub digest: Digest,
    /// Of its file, in bytes.
    pub size: u64,
}

/// A whole `plimsoll.lock`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    /// By the plugin's name.
    pub plugins: BTreeMap<String, Locked>,
}

/// Why a plugin is not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// It was never locked.
    #[error(
        "plugin {name:?} is not in {LOCK_FILE}; its file has {found}\n\
         hint: when you trust that file, run `plimsoll plugin lock {name}` and keep {LOCK_FILE} with the project"
    )]
    NotLocked {
        /// The plugin.
        name: String,
        /// What its file has.
        found: Digest,
    },
    /// Its file is another one than was locked.
    #[error(
        "plugin {name:?} is not what was locked: {LOCK_FILE} has {locked} ({locked_size} bytes), its file has {found} \
         ({found_size} bytes)\n\
         hint: restore the file; or, when you trust the new one, run `plimsoll plugin lock {name}`"
    )]
    Differs {
        /// The plugin.
        name: String,
        /// What was locked.
        locked: Digest,
        /// Its size.
        locked_size: u64,
        /// What its file has.
        found: Digest,
        /// Its size.
        found_size: u64,
    },
}

impl Lock {
    /// Reads the text of a `plimsoll.lock`.
    pub fn parse(path: &str, text: &str) -> Result<Self, Diagnostic> {
        let help = "run `plimsoll plugin lock` to write it anew";
        let wrong = |node: &Node, message: &str| {
            Diagnostic::error("lock", message)
                .at(node.at.clone())
                .help(help)
        };
        let map = |node: &Node, what: &str| match &node.data {
            Data::Mapping(_) => Ok(()),
            Data::Scalar { .. } if node.is_null() => Ok(()),
            Data::Scalar { .. } | Data::Sequence(_) => Err(wrong(
                node,
                &format!("{what} is a map, this is {}", node.kind()),
            )),
        };
        let known = |node: &Node, keys: &[&str]| match node
            .entries()
            .iter()
            .find(|entry| !keys.contains(&entry.key.as_str()))
        {
            None => Ok(()),
            Some(entry) => {
                let help = match nearest(&entry.key, keys.iter().copied()) {
                    Some(key) => format!("did you mean {key:?}?"),
                    None => help.to_owned(),
                };
                let message = format!("unknown key {:?}", entry.key);
                Err(Diagnostic::error("unknown-key", message)
                    .at(entry.at.clone())
                    .help(help))
            }
        };
        let root = Node::parse(path, text)?;
        map(&root, LOCK_FILE)?;
        known(&root, &["plugins"])?;
        let mut lock = Self::default();
        let Some(plugins) = root.get("plugins") else {
            return Ok(lock);
        };
        map(plugins, "`plugins`")?;
        for entry in plugins.entries() {
            let node = &*entry.value;
            map(node, "a plugin")?;
            known(node, &["sha256", "size"])?;
            let text = |key: &str| node.get(key).and_then(|value| value.text());
            let digest = text("sha256").and_then(Digest::parse);
            let digest = digest
                .ok_or_else(|| wrong(node, "a plugin has `sha256` with 64 hexadecimal digits"))?;
            let size = text("size").and_then(|size| size.parse().ok());
            let size = size.ok_or_else(|| wrong(node, "a plugin has `size`, a number of bytes"))?;
            lock.plugins
                .insert(entry.key.clone(), Locked { digest, size });
        }
        Ok(lock)
    }

    /// The text of the file; the same lock always gives the same text.
    pub fn to_text(&self) -> String {
        let mut text = HEAD.to_owned();
        text.push_str(if self.plugins.is_empty() {
            "plugins: {}\n"
        } else {
            "plugins:\n"
        });
        for (name, locked) in &self.plugins {
            let (digest, size) = (locked.digest.as_str(), locked.size);
            let name = serde_json::Value::from(name.as_str());
            text.push_str(&format!(
                "  {name}:\n    sha256: \"{digest}\"\n    size: {size}\n"
            ));
        }
        text
    }

    /// Locks a plugin to these bytes.
    pub fn lock(&mut self, name: &str, bytes: &[u8]) {
        let digest = Digest::of(bytes);
        let size = bytes.len() as u64;
        self.plugins
            .insert(name.to_owned(), Locked { digest, size });
    }

    /// Whether these bytes are what was locked.
    pub fn check(&self, name: &str, bytes: &[u8]) -> Result<Digest, LockError> {
        let found = Digest::of(bytes);
        let name = name.to_owned();
        match self.plugins.get(&name) {
            None => Err(LockError::NotLocked { name, found }),
            Some(locked) if locked.digest != found => Err(LockError::Differs {
                name,
                locked: locked.digest.clone(),
                locked_size: locked.size,
                found,
                found_size: bytes.len() as u64,
            }),
            Some(_) => Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_locked_runs_and_nothing_else() {
        let mut lock = Lock::default();
        let missing = lock
            .check("d", b"bytes")
            .expect_err("nothing is locked")
            .to_string();
        assert!(
            missing.contains("\"d\" is not in plimsoll.lock")
                && missing.contains("plimsoll plugin lock d")
        );
        lock.lock("d", b"bytes");
        assert_eq!(lock.check("d", b"bytes"), Ok(Digest::of(b"bytes")));
        let differs = lock
            .check("d", b"other!")
            .expect_err("they differ")
            .to_string();
        for part in [
            &Digest::of(b"bytes").to_string(),
            &Digest::of(b"other!").to_string(),
            "(5 bytes)",
            "(6 bytes)",
            "hint: restore the file",
        ] {
            assert!(differs.contains(part), "{differs}");
        }
    }

    #[test]
    fn a_lock_file_reads_as_it_was_written() {
        let mut lock = Lock::default();
        assert_eq!(Lock::parse(LOCK_FILE, &lock.to_text()), Ok(lock.clone()));
        lock.lock("b", b"1");
        lock.lock("a", b"22");
        // Digits alone would be a number.
        lock.plugins.insert(
            "n".into(),
            Locked {
                digest: Digest("1".repeat(64)),
                size: 0,
            },
        );
        assert_eq!(Lock::parse(LOCK_FILE, &lock.to_text()), Ok(lock.clone()));
        assert!(lock.to_text().find("\"a\"") < lock.to_text().find("\"b\""));
    }

    #[test]
    fn a_broken_lock_file_is_refused_with_its_place() {
        for (text, line, column) in [
            ("plugns: {}", 1, 1),
            ("plugins: [a]", 1, 10),
            ("plugins:\n  a: {sha256: 00, size: 1}", 2, 6),
            (
                "plugins:\n  a: {sha256: \"0000000000000000000000000000000000000000000000000000000000000000\"}",
                2,
                6,
            ),
            ("plugins:\n  a: {sha: 1}", 2, 7),
            ("plugins: {", 1, 11),
        ] {
            let error = Lock::parse(LOCK_FILE, text).expect_err(text);
            let at = error.at.expect("it has a place");
            assert_eq!((at.line, at.column), (line, column), "{text}");
            assert!(error.help.is_some());
        }
    }
}
