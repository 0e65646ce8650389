//! The folder the lab remembers things in, and the lock that lets several processes share one lab.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::{env, io};

use crate::LabError;

/// `${XDG_CACHE_HOME:-~/.cache}/plimsoll-lab`, made if need be and readable by its owner alone: keys and passwords are in it.
pub fn folder() -> Result<PathBuf, LabError> {
    let folder = cache()?.join("plimsoll-lab");
    make_private(&folder)?;
    Ok(folder)
}

/// `${XDG_CACHE_HOME:-~/.cache}`.
pub fn cache() -> Result<PathBuf, LabError> {
    let set = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("XDG_CACHE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .ok_or_else(|| LabError::Machine {
            problem: "find a folder to remember things in".to_owned(),
            hint: "set HOME or XDG_CACHE_HOME".to_owned(),
        })
}

/// Makes `folder` and its parents, for its owner alone.
pub fn make_private(folder: &Path) -> Result<(), LabError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(LabError::file(folder))
}

/// Waits until nobody else holds `name`, and holds it until the file is dropped.
pub fn lock(name: &str) -> Result<File, LabError> {
    hold(name, File::lock)
}

/// Holds `name` when nobody else does.
pub fn try_lock(name: &str) -> Result<Option<File>, LabError> {
    let path = folder()?.join(name);
    let mut options = fs::OpenOptions::new();
    let file = options
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(LabError::file(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(LabError::file(&path)(error)),
    }
}

/// The same beside others who share it; only [`lock`] is kept waiting.
pub fn share(name: &str) -> Result<File, LabError> {
    hold(name, File::lock_shared)
}

fn hold(name: &str, take: impl Fn(&File) -> io::Result<()>) -> Result<File, LabError> {
    let path = folder()?.join(name);
    let open = || {
        let mut options = fs::OpenOptions::new();
        options
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)
    };
    let held = open().and_then(|file| take(&file).map(|()| file));
    held.map_err(LabError::file(&path))
}

/// Removes a file; one that is not there is as good.
pub fn remove(path: &Path) -> Result<(), LabError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(LabError::file(path)(error)),
        _ => Ok(()),
    }
}

/// Writes `text` to `path` with `mode`, whole or not at all.
pub fn write(path: &Path, mode: u32, text: impl AsRef<[u8]>) -> Result<(), LabError> {
    let fresh = path.with_extension("new");
    let written = || -> io::Result<()> {
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&fresh)?;
        io::Write::write_all(&mut file, text.as_ref())?;
        fs::rename(&fresh, path)
    };
    written().map_err(LabError::file(path))
}

/// A secret nobody can guess: 128 bits, in hexadecimal.
pub fn random_secret() -> Result<String, LabError> {
    let mut bytes = [0; 16];
    let source = Path::new("/dev/urandom");
    File::open(source)
        .and_then(|mut random| random.read_exact(&mut bytes))
        .map_err(LabError::file(source))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
