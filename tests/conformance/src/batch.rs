//! Runs cases, each in a process of its own that can reach no network at all.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::case::Case;
use crate::stage::Stage;
use crate::world::LOCAL;
use crate::{normal, shell, stage};

/// Real time that a case may take; none takes a tenth of it.
const LIMIT: Duration = Duration::from_secs(60);

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Where cases run: programs they share, and a folder for each.
pub struct Bench {
    folder: PathBuf,
    /// Compiled components, kept between runs.
    cache: PathBuf,
    /// What a process is started through, when it can be kept off the network.
    confined: bool,
}

impl Bench {
    /// A new one, in the system's folder for such things.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn new() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("conformance-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        shell::furnish(&folder)?;
        stage::furnish(&folder)?;
        let own = std::env::current_exe()?;
        let cache = own.parent().unwrap_or(&folder).join("conformance-cache");
        fs::create_dir_all(&cache)?;
        let confined = Command::new("unshare")
            .args(["--net", "--map-root-user", "true"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        Ok(Self {
            folder,
            cache,
            confined,
        })
    }

    /// Where its files are; gone with it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs a case whose project is in a folder; answers with its normal form.
    ///
    /// # Errors
    /// When it can't be set up.
    pub fn run(&self, case: &Case, project: &Path) -> Result<Json> {
        let folder = self.folder.join("cases").join(&case.id);
        let stage = Stage::new(folder.clone(), case, project)?;
        let out = folder.join("stdout");
        let err = folder.join("stderr");
        let own = std::env::current_exe()?;
        let mut command = if self.confined {
            let mut command = Command::new("unshare");
            command.args(["--net", "--map-root-user"]).arg(own);
            command
        } else {
            Command::new(own)
        };
        command
            .arg("__inside")
            .arg(&folder)
            .current_dir(stage.project())
            .env_clear()
            .envs(self.environment(case, &folder))
            .envs(&case.env)
            .stdin(Stdio::null())
            .stdout(File::create(&out)?)
            .stderr(File::create(&err)?);
        let mut child = command.spawn()?;
        let end = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break Some(status);
            }
            if Instant::now() > end {
                child.kill()?;
                child.wait()?;
                break None;
            }
            std::thread::sleep(Duration::from_millis(3));
        };
        use std::os::unix::process::ExitStatusExt;
        let code = status.map(|status| status.code().unwrap_or(128 + status.signal().unwrap_or(0)));
        let read =
            |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
        let seen = serde_json::from_str(&read(&folder.join("seen.json")))
            .unwrap_or_else(|_| json!({"hosts": {}}));
        let document = normal::finished(seen, code, &read(&out), &read(&err));
        if std::env::var_os("CONFORMANCE_KEEP").is_none() {
            let _ = fs::remove_dir_all(&folder);
        } else {
            eprintln!("{}", folder.display());
        }
        Ok(document)
    }

    fn environment(&self, case: &Case, folder: &Path) -> Vec<(String, String)> {
        let below = |name: &str| folder.join(name).display().to_string();
        let mut variables = vec![
            (
                "PATH".to_owned(),
                format!(
                    "{}:/usr/local/bin:/usr/bin:/bin",
                    self.folder.join("local").display()
                ),
            ),
            ("HOME".to_owned(), below("home")),
            ("USER".to_owned(), "deployer".to_owned()),
            ("LANG".to_owned(), "C.UTF-8".to_owned()),
            ("TMPDIR".to_owned(), below("tmp")),
            (
                "XDG_CACHE_HOME".to_owned(),
                self.cache.display().to_string(),
            ),
            ("XDG_STATE_HOME".to_owned(), below("state")),
            ("SSL_CERT_FILE".to_owned(), below("authority.pem")),
            (
                "GIT_CEILING_DIRECTORIES".to_owned(),
                folder.display().to_string(),
            ),
            ("SSH_AUTH_SOCK".to_owned(), below("agent.sock")),
            (
                "CONFORMANCE_PROGRAMS".to_owned(),
                self.folder.display().to_string(),
            ),
            ("CONFORMANCE_RECORDS".to_owned(), below("records")),
        ];
        for (op, variable) in [
            ("docker_missing", "CONFORMANCE_NO_DOCKER"),
            ("builder_missing", "CONFORMANCE_NO_BUILDER"),
            ("build", "CONFORMANCE_BUILD_FAILS"),
        ] {
            if let Some(fault) = case
                .state
                .faults
                .iter()
                .find(|fault| fault.hits(op, LOCAL, ""))
            {
                variables.push((
                    variable.to_owned(),
                    fault.message_or("sh: docker: command not found"),
                ));
            }
        }
        // The deployer's own environment has what builds take from it.
        let named = fs::read(folder.join("remote-variables.json")).unwrap_or_default();
        let named: Vec<(String, String)> =
            serde_json::from_slice::<std::collections::BTreeMap<_, _>>(&named)
                .map(|named| named.into_iter().collect())
                .unwrap_or_default();
        for (name, value) in named {
            if !variables.iter().any(|(known, _)| *known == name) {
                variables.push((name, value));
            }
        }
        if let Some("arm64") = case.local.docker_arch.as_deref() {
            variables.push(("CONFORMANCE_ARCH".to_owned(), "aarch64".to_owned()));
        }
        variables
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if std::env::var_os("CONFORMANCE_KEEP").is_none() {
            // What is left is in the system's temporary folder.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Runs one case and prints its normal form.
///
/// # Errors
/// When it can't be read or set up.
pub fn case(folder: &Path) -> Result<()> {
    let case = Case::read(folder)?;
    let document = Bench::new()?.run(&case, &folder.join("project"))?;
    println!("{document:#}");
    Ok(())
}

/// Runs every case of a folder, or those whose names contain one of the patterns.
///
/// # Errors
/// When the folder can't be read.
pub fn cases(folder: &Path, out: &Path, patterns: &[&str]) -> Result<()> {
    let mut wanted: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    wanted.retain(|path| {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        path.join("case.json").exists()
            && (patterns.is_empty() || patterns.iter().any(|p| name.contains(p)))
    });
    wanted.sort();
    fs::create_dir_all(out)?;
    each(&wanted, |bench, path| {
        let case = Case::read(path)?;
        let document = bench.run(&case, &path.join("project"))?;
        let name = path.file_name().map(PathBuf::from).unwrap_or_default();
        Ok(fs::write(
            out.join(name).with_extension("json"),
            document.to_string(),
        )?)
    })
}

/// Does something with every item, as many at a time as there are processors.
///
/// # Errors
/// The last thing that went wrong, after everything was tried.
pub fn each<T: Sync>(items: &[T], work: impl Fn(&Bench, &T) -> Result<()> + Sync) -> Result<()> {
    let bench = Bench::new()?;
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<String>> = Mutex::new(None);
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = work(&bench, item) {
                        eprintln!("error: {error}");
                        if let Ok(mut failed) = failed.lock() {
                            *failed = Some(error.to_string());
                        }
                    }
                }
            });
        }
    });
    match failed.into_inner() {
        Ok(Some(error)) => Err(error.into()),
        _ => Ok(()),
    }
}
