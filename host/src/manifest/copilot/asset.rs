//! What an addon refers to on this machine: a file or a folder of the workspace that has to be in S3 before CloudFormation
//! reads the addon. Its digest is what Copilot calls it by, so that an existing stack stays as it is.
//!
//! Archives are the same bytes on every machine and every day: no times, no owners, two modes. Links stay links, and lead
//! nowhere outside of the folder.

use std::fs;
use std::io::{self, Cursor, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// No archive that AWS takes is larger (1 GiB, of all its files).
const LARGEST: u64 = 1 << 30;
/// Files of one folder.
const FILES: usize = 50_000;

/// Why something can't be uploaded; fits behind its path.
#[derive(Debug, thiserror::Error)]
pub enum AssetError {
    /// Nothing is there.
    #[error("is not a file or folder of the project")]
    Missing,
    /// It is elsewhere.
    #[error("is outside of the project")]
    Outside,
    /// No addon refers to it.
    #[error("is not named by an addon")]
    Unnamed,
    /// A link in it leads out of it.
    #[error("holds the link `{0}`, which leads out of it")]
    Link(String),
    /// It is neither file, folder nor link.
    #[error("holds `{0}`, which is no file")]
    NoFile(String),
    /// It has too much in it.
    #[error("is larger than 1 GiB, or has more than 50000 files")]
    TooLarge,
    /// The file system says no.
    #[error("can't be read: {0}")]
    Unreadable(#[from] io::Error),
}

/// A file or folder of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// Relative to the workspace, without `..`; `.` is the workspace itself.
    pub path: String,
    /// Where it is, without links.
    full: PathBuf,
}

/// An archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// Digest of its files' names, modes and contents, hexadecimal.
    pub sha256: String,
    /// ZIP.
    pub bytes: Vec<u8>,
}

/// What is in an archive.
enum Content {
    File(Vec<u8>),
    Link(String),
}

/// Something in an archive, by its name there.
struct Entry {
    name: String,
    executable: bool,
    content: Content,
}

impl Asset {
    /// What an addon calls by this name. Names begin at the folder that holds `copilot/`.
    ///
    /// # Errors
    /// When it is not there, or not of the workspace.
    pub fn find(root: &Path, name: &str) -> Result<Self, AssetError> {
        let root = root.canonicalize()?;
        let full = root.join(name);
        let full = full.canonicalize().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => AssetError::Missing,
            _ => AssetError::Unreadable(error),
        })?;
        let relative = full.strip_prefix(&root).map_err(|_| AssetError::Outside)?;
        let path = match relative.to_str().ok_or(AssetError::Missing)? {
            "" => ".".to_owned(),
            path => path.to_owned(),
        };
        Ok(Self { path, full })
    }

    /// It is one file.
    pub fn is_file(&self) -> bool {
        self.full.is_file()
    }

    /// Digest of the archive that [`pack`](Self::pack) makes, hexadecimal.
    ///
    /// # Errors
    /// When something in it can't be in an archive.
    pub fn sha256(&self) -> Result<String, AssetError> {
        let mut hash = Sha256::new();
        self.each(&mut |entry| {
            entry.count(&mut hash);
            Ok(())
        })?;
        Ok(hexadecimal(hash))
    }

    /// All of it as one archive.
    ///
    /// # Errors
    /// When something in it can't be in an archive.
    pub fn pack(&self) -> Result<Archive, AssetError> {
        let mut hash = Sha256::new();
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        self.each(&mut |entry| {
            entry.count(&mut hash);
            entry.put(&mut archive).map_err(io::Error::other)?;
            Ok(())
        })?;
        let bytes = archive.finish().map_err(io::Error::other)?.into_inner();
        Ok(Archive {
            sha256: hexadecimal(hash),
            bytes,
        })
    }

    /// Everything in it, in Copilot's order: by name, folder by folder.
    fn each(&self, to: &mut dyn FnMut(Entry) -> Result<(), AssetError>) -> Result<(), AssetError> {
        let mut walk = Walk {
            root: &self.full,
            bytes: 0,
            files: 0,
            to,
        };
        match self.is_file() {
            true => {
                let name = self.full.file_name().and_then(|name| name.to_str());
                walk.file(&self.full, name.ok_or(AssetError::Missing)?.to_owned())
            }
            false => walk.folder(&self.full, ""),
        }
    }
}

/// On the way through a folder.
struct Walk<'a> {
    root: &'a Path,
    bytes: u64,
    files: usize,
    to: &'a mut dyn FnMut(Entry) -> Result<(), AssetError>,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, prefix: &str) -> Result<(), AssetError> {
        let entries: Result<Vec<fs::DirEntry>, io::Error> = fs::read_dir(folder)?.collect();
        let mut entries = entries?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            let name = format!("{prefix}{name}");
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.folder(&entry.path(), &format!("{name}/"))?;
            } else if kind.is_symlink() {
                self.link(&entry.path(), name)?;
            } else if kind.is_file() {
                self.file(&entry.path(), name)?;
            } else {
                return Err(AssetError::NoFile(name));
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, name: String) -> Result<(), AssetError> {
        let metadata = fs::metadata(path)?;
        self.counts(metadata.len())?;
        (self.to)(Entry {
            name,
            executable: metadata.permissions().mode() & 0o100 != 0,
            content: Content::File(fs::read(path)?),
        })
    }

    /// Where a link leads is judged by its text and by what is there: neither may be outside.
    fn link(&mut self, path: &Path, name: String) -> Result<(), AssetError> {
        self.counts(0)?;
        let target = fs::read_link(path)?;
        let outside = || AssetError::Link(name.clone());
        let found = path.canonicalize().map_err(|_| outside())?;
        let inside = found.starts_with(self.root) && stays(&name, &target) && !target.is_absolute();
        let text = target.to_str().filter(|_| inside).ok_or_else(outside)?;
        let content = Content::Link(text.to_owned());
        (self.to)(Entry {
            content,
            name,
            executable: true,
        })
    }

    fn counts(&mut self, length: u64) -> Result<(), AssetError> {
        self.bytes += length;
        self.files += 1;
        match self.bytes > LARGEST || self.files > FILES {
            true => Err(AssetError::TooLarge),
            false => Ok(()),
        }
    }
}

/// Whether a link of this name never goes above the archive's root on its way.
fn stays(name: &str, target: &Path) -> bool {
    let mut depth = name.matches('/').count();
    target.components().all(|part| match part {
        Component::Normal(_) => {
            depth += 1;
            true
        }
        Component::CurDir => true,
        Component::ParentDir => {
            let above = depth > 0;
            depth = depth.saturating_sub(1);
            above
        }
        Component::RootDir | Component::Prefix(_) => false,
    })
}

impl Entry {
    /// As Copilot counts it (`internal/pkg/addon/package.go`, `zipAsset`): name, mode as Go writes it, content. Modes are
    /// those that a work tree has with the usual umask: others differ from one machine to the next.
    fn count(&self, hash: &mut Sha256) {
        let (mode, content) = match (&self.content, self.executable) {
            (Content::File(bytes), true) => ("-rwxr-xr-x", bytes.as_slice()),
            (Content::File(bytes), false) => ("-rw-r--r--", bytes.as_slice()),
            (Content::Link(target), _) => ("Lrwxrwxrwx", target.as_bytes()),
        };
        hash.update(format!("{} {mode}", self.name));
        hash.update(content);
    }

    fn put(&self, archive: &mut ZipWriter<Cursor<Vec<u8>>>) -> zip::result::ZipResult<()> {
        let mode = match self.executable {
            true => 0o755,
            false => 0o644,
        };
        // Its default time is 1980-01-01, the first that the format can hold.
        let options = SimpleFileOptions::DEFAULT
            .compression_method(CompressionMethod::Deflated)
            .unix_permissions(mode);
        match &self.content {
            Content::File(bytes) => {
                archive.start_file(&*self.name, options)?;
                archive.write_all(bytes)?;
            }
            Content::Link(target) => archive.add_symlink(&*self.name, &**target, options)?,
        }
        Ok(())
    }
}

fn hexadecimal(hash: Sha256) -> String {
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A workspace of the test's own.
    fn workspace(name: &str) -> PathBuf {
        let root =
            std::env::temp_dir().join(format!("plimsoll-asset-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("lambdas/hello/lib")).expect("creates");
        fs::write(root.join("lambdas/hello/index.js"), "exports.handler = 1\n").expect("writes");
        fs::write(root.join("lambdas/hello/lib.js"), "").expect("writes");
        fs::write(root.join("lambdas/hello/lib/run"), "#!/bin/sh\n").expect("writes");
        let mode = fs::Permissions::from_mode(0o775);
        fs::set_permissions(root.join("lambdas/hello/lib/run"), mode).expect("sets");
        root
    }

    fn sha256(text: &str) -> String {
        hexadecimal(Sha256::new_with_prefix(text))
    }

    #[test]
    fn a_folder_is_called_what_copilot_calls_it() {
        let root = workspace("digest");
        let folder = Asset::find(&root, "lambdas/../lambdas/hello/").expect("found");
        assert_eq!(
            (folder.path.as_str(), folder.is_file()),
            ("lambdas/hello", false)
        );
        // `lib/` comes before `lib.js`: folder by folder, each by name.
        let expected = "index.js -rw-r--r--exports.handler = 1\nlib/run -rwxr-xr-x#!/bin/sh\nlib.js -rw-r--r--";
        assert_eq!(folder.sha256().expect("counted"), sha256(expected));
        let file = Asset::find(&root, "lambdas/hello/index.js").expect("found");
        assert_eq!(
            file.sha256().expect("counted"),
            sha256("index.js -rw-r--r--exports.handler = 1\n")
        );
        assert_eq!(Asset::find(&root, "./").expect("found").path, ".");
        fs::remove_dir_all(&root).expect("removes");
    }

    #[test]
    fn an_archive_has_nothing_of_today_and_of_this_machine() {
        let root = workspace("archive");
        symlink("index.js", root.join("lambdas/hello/main.js")).expect("links");
        let pack = || {
            let asset = Asset::find(&root, "lambdas/hello").expect("found");
            asset.pack().expect("packed")
        };
        let first = pack();
        let touched = fs::File::open(root.join("lambdas/hello/index.js")).expect("opens");
        touched.set_modified(std::time::UNIX_EPOCH).expect("sets");
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(root.join("lambdas/hello/index.js"), mode).expect("sets");
        assert_eq!(first, pack());
        let mut archive = zip::ZipArchive::new(Cursor::new(first.bytes)).expect("reads");
        let entries: Vec<(String, Option<u32>)> = (0..archive.len())
            .map(|index| {
                let entry = archive.by_index(index).expect("reads");
                (entry.name().expect("UTF-8").into_owned(), entry.unix_mode())
            })
            .collect();
        assert_eq!(
            entries,
            [
                ("index.js".to_owned(), Some(0o100_644)),
                ("lib/run".to_owned(), Some(0o100_755)),
                ("lib.js".to_owned(), Some(0o100_644)),
                ("main.js".to_owned(), Some(0o120_755)),
            ]
        );
        fs::remove_dir_all(&root).expect("removes");
    }

    #[test]
    fn nothing_outside_of_the_workspace_or_the_folder_gets_into_an_archive() {
        let root = workspace("outside");
        fs::write(root.join("secret"), "s").expect("writes");
        symlink("/etc", root.join("etc")).expect("links");
        for (name, why) in [
            ("../", "outside of the project"),
            ("/etc/passwd", "outside of the project"),
            ("etc/passwd", "outside of the project"),
            ("lambdas/gone", "not a file or folder"),
            ("secret/x", "not a file or folder"),
        ] {
            let refused = Asset::find(&root, name).expect_err(name).to_string();
            assert!(refused.contains(why), "{name}: {refused}");
        }
        for target in [
            "../../secret",
            "/etc/passwd",
            "../../lambdas/hello/index.js",
            "gone",
        ] {
            let link = root.join("lambdas/hello/link");
            let _ = fs::remove_file(&link);
            symlink(target, &link).expect("links");
            let asset = Asset::find(&root, "lambdas/hello").expect("found");
            let refused = asset.pack().expect_err(target).to_string();
            assert!(
                refused.contains("`link`, which leads out"),
                "{target}: {refused}"
            );
            assert!(asset.sha256().is_err());
        }
        fs::remove_dir_all(&root).expect("removes");
    }
}
