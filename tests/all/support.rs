//! A run with a home, cache and state of its own, that nothing outside of it sees.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs};

use plimsoll::capability::hosts::Hosts;
use plimsoll::capability::run::Parts;
use plimsoll::capability::{Run, Session, Stage};
use plimsoll::grant::Grants;
use plimsoll::interrupt::Interrupt;
use plimsoll::manifest::PlacedFiles;
use plimsoll::report::{Format, Reporter, Verbosity};
use plimsoll::sandbox::Sandbox;
use plimsoll::sandbox::aot::Cache;
use plimsoll::secret::{Secret, SecretFile, SecretStore};
use plimsoll::wire::SshConfig;
use sha2::{Digest, Sha256};

/// A folder of a test's own, removed with it.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("plimsoll-test-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path.canonicalize().unwrap())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file below it, with its folders.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// One run of the host, without a command line.
pub struct TestRun {
    folder: Folder,
    run: Arc<Run>,
}

impl TestRun {
    pub fn new() -> Self {
        Self::with_secrets("")
    }

    /// A run of a project with this `.kamal/secrets`.
    pub fn with_secrets(secrets: &str) -> Self {
        Self::of(secrets, PlacedFiles::default())
    }

    /// A run of a project with these files for servers.
    pub fn with_files(files: PlacedFiles) -> Self {
        Self::of("", files)
    }

    fn of(secrets: &str, files: PlacedFiles) -> Self {
        let folder = Folder::new();
        let file = SecretFile {
            path: ".kamal/secrets".into(),
            text: Secret::new(secrets),
        };
        let refuse = |_: &str| Err("no commands here".to_owned());
        let run = Run::new(Parts {
            reporter: Arc::new(Reporter::new(Format::Text, Verbosity::Quiet, false)),
            interrupt: Interrupt::default(),
            journal: folder.path().join("journal.jsonl"),
            hosts: Hosts::new(SshConfig::default()),
            secrets: SecretStore::new(
                vec![file],
                vec![".kamal/secrets".into()],
                Default::default(),
                Box::new(refuse),
            ),
            fingerprint_key: b"a key of the tests".to_vec(),
            secret_variables: vec!["DECLARED".into()],
            project: folder.path().to_owned(),
            hooks: folder.path().join("hooks"),
            performer: "ada@example.com".into(),
            also_hidden: vec![],
            files,
        });
        Self { folder, run }
    }

    pub fn run(&self) -> &Arc<Run> {
        &self.run
    }

    pub fn aot(&self) -> PathBuf {
        self.folder.path().join("aot")
    }

    pub fn sandbox(&self) -> Sandbox {
        self.sandbox_with_compiler(env!("CARGO_BIN_EXE_plimsoll").into())
    }

    pub fn sandbox_with_compiler(&self, compiler: PathBuf) -> Sandbox {
        Sandbox::new(Cache::new(self.aot(), compiler), self.run.interrupt.clone()).unwrap()
    }

    /// The files of the cache of compiled components.
    pub fn compiled_files(&self) -> Vec<PathBuf> {
        let below = |folder: PathBuf| {
            fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().path())
        };
        below(self.aot()).flat_map(below).collect()
    }

    /// Powers of a pure role: none.
    pub fn pure_session(&self) -> Arc<Session> {
        self.session(Grants::default(), Stage::Pure)
    }

    pub fn session(&self, grants: Grants, stage: Stage) -> Arc<Session> {
        Session::new(self.run.clone(), "guest", "0", grants, stage)
    }

    /// Kinds of the journal's lines, in order.
    pub fn journal(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.run.journal.path()).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// The binary in a project's folder; nothing of the machine's own environment reaches it but PATH.
pub fn plimsoll(home: &Path, folder: &Path) -> Command {
    plimsoll_at(env!("CARGO_BIN_EXE_plimsoll"), home, folder)
}

/// The same by another program that calls it: a symbolic link, a terminal.
pub fn plimsoll_at(program: impl AsRef<OsStr>, home: &Path, folder: &Path) -> Command {
    let mut plimsoll = Command::new(program);
    plimsoll
        .current_dir(folder)
        .env_clear()
        .env("PATH", env::var_os("PATH").unwrap())
        .env("HOME", home)
        // Compiled components are the same for all tests.
        .env(
            "XDG_CACHE_HOME",
            env::temp_dir().join("plimsoll-test-cache"),
        );
    plimsoll
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The folder with the recorded behaviour of another tool, or none after saying why. Under `CI=true` it has to be there.
pub fn conformance(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/conformance")
        .join(name);
    if folder.is_dir() {
        return Some(folder.canonicalize().unwrap());
    }
    let missing = format!("skipped: no conformance data at {}", folder.display());
    assert!(env::var("CI").as_deref() != Ok("true"), "{missing}");
    println!("{missing}");
    None
}
