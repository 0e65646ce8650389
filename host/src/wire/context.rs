//! The build context: a folder as a tar, without what `.dockerignore` leaves out.
//!
//! The same files give the same bytes: entries are sorted, and have no times and no owners.

mod dockerignore;

use std::{
    fs,
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Component, Path, PathBuf},
};

use tar::{Builder, EntryType, Header};

use crate::wire::WireError;
use dockerignore::Ignore;

/// What a build may use.
#[derive(Debug, Clone)]
pub struct Context {
    /// The folder whose files can be copied.
    pub folder: PathBuf,
    /// The Dockerfile, inside or outside that folder.
    pub dockerfile: PathBuf,
    /// Patterns as in `.dockerignore`, which can take them back with `!`.
    pub ignore: Vec<String>,
}

/// A context that was looked at: what goes into the tar, and where the Dockerfile is in it.
#[derive(Debug)]
pub(super) struct Prepared {
    folder: PathBuf,
    ignore: Ignore,
    /// A Dockerfile from outside, with the name it gets.
    extra: Option<(String, Vec<u8>)>,
    /// The path of the Dockerfile in the tar.
    pub(super) dockerfile: String,
}

impl Context {
    /// Finds the Dockerfile and reads what is to be ignored.
    pub(super) fn prepare(&self) -> Result<Prepared, WireError> {
        let folder = fs::canonicalize(&self.folder).map_err(WireError::io(format!(
            "the build context {}",
            self.folder.display()
        )))?;
        if !folder.is_dir() {
            return Err(WireError::Invalid {
                what: format!("the build context {}", self.folder.display()),
                why: "it is not a folder".into(),
            });
        }
        let dockerfile = fs::canonicalize(&self.dockerfile).map_err(WireError::io(format!(
            "the Dockerfile {}",
            self.dockerfile.display()
        )))?;
        let text = fs::read(&dockerfile).map_err(WireError::io(format!(
            "the Dockerfile {}",
            self.dockerfile.display()
        )))?;
        let ours = Ignore::parse(&self.ignore.join("\n"), "the ignored patterns")?;
        let ignore = read_ignore(&folder, &dockerfile)?.after(ours);
        let (extra, dockerfile) = match dockerfile.strip_prefix(&folder) {
            // Left out of what can be copied, it is still needed for the build itself.
            Ok(inside) if !ignore.ignores(&slashed(inside)) => (None, slashed(inside)),
            _ => {
                let name = ".plimsoll.Dockerfile".to_owned();
                (Some((name.clone(), text)), name)
            }
        };
        Ok(Prepared {
            folder,
            ignore,
            extra,
            dockerfile,
        })
    }
}

/// `Dockerfile.dockerignore` beside the Dockerfile, else `.dockerignore` in the folder.
fn read_ignore(folder: &Path, dockerfile: &Path) -> Result<Ignore, WireError> {
    let mut own = dockerfile.as_os_str().to_owned();
    own.push(".dockerignore");
    for file in [PathBuf::from(own), folder.join(".dockerignore")] {
        match fs::read_to_string(&file) {
            Ok(text) => return Ignore::parse(&text, &file.display().to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(WireError::io(format!("reading {}", file.display()))(error)),
        }
    }
    Ok(Ignore::default())
}

fn slashed(path: &Path) -> String {
    let parts = path.components().map(Component::as_os_str);
    parts
        .map(|part| part.to_string_lossy())
        .collect::<Vec<_>>()
        .join("/")
}

impl Prepared {
    /// Writes the tar.
    pub(super) fn write(&self, to: impl Write) -> io::Result<()> {
        let mut tar = Builder::new(to);
        self.add_folder(&mut tar, &self.folder, "")?;
        if let Some((name, text)) = &self.extra {
            let mut header = header(EntryType::Regular, 0o644);
            header.set_size(text.len() as u64);
            tar.append_data(&mut header, name, text.as_slice())?;
        }
        tar.into_inner()?.flush()
    }

    fn add_folder<W: Write>(
        &self,
        tar: &mut Builder<W>,
        folder: &Path,
        prefix: &str,
    ) -> io::Result<()> {
        let mut entries = fs::read_dir(folder)
            .map_err(named(folder))?
            .collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let metadata = fs::symlink_metadata(&path).map_err(named(&path))?;
            let ignored = self.ignore.ignores(&name);
            let mode = metadata.permissions().mode() & 0o7777;
            if metadata.is_dir() {
                if !ignored {
                    let mut header = header(EntryType::Directory, mode);
                    tar.append_data(&mut header, format!("{name}/"), io::empty())?;
                }
                if !ignored || self.ignore.takes_back() {
                    self.add_folder(tar, &path, &format!("{name}/"))?;
                }
            } else if ignored {
            } else if metadata.is_symlink() {
                let mut header = header(EntryType::Symlink, 0o777);
                tar.append_link(
                    &mut header,
                    &name,
                    fs::read_link(&path).map_err(named(&path))?,
                )?;
            } else if metadata.is_file() {
                let mut header = header(EntryType::Regular, mode);
                header.set_size(metadata.len());
                let file = fs::File::open(&path).map_err(named(&path))?;
                let exact = Exactly {
                    file,
                    left: metadata.len(),
                    path: &path,
                };
                tar.append_data(&mut header, &name, exact)?;
            }
            // Sockets, pipes and devices have nothing to copy.
        }
        Ok(())
    }
}

fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    header
}

fn named(path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// A file that is as long as its header says: one that grows is cut, one that shrinks is an error.
struct Exactly<'a> {
    file: fs::File,
    left: u64,
    path: &'a Path,
}

impl Read for Exactly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Ok(0);
        }
        let n = Read::by_ref(&mut self.file)
            .take(self.left)
            .read(buffer)
            .map_err(named(self.path))?;
        if n == 0 {
            let shrunk = io::Error::other("it became shorter while it was read");
            return Err(named(self.path)(shrunk));
        }
        self.left -= n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let folder = std::env::temp_dir()
                .join(format!("plimsoll-context-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&folder);
            for (path, text) in files {
                let path = folder.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Self(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn context(folder: &Path) -> Context {
        Context {
            folder: folder.to_owned(),
            dockerfile: folder.join("Dockerfile"),
            ignore: vec![],
        }
    }

    fn tar(context: &Context) -> Vec<u8> {
        let mut bytes = Vec::new();
        context.prepare().unwrap().write(&mut bytes).unwrap();
        bytes
    }

    fn names(tar: &[u8]) -> Vec<String> {
        let mut archive = tar::Archive::new(tar);
        archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect()
    }

    #[test]
    fn a_context_has_what_dockerignore_leaves_and_is_the_same_every_time() {
        let folder = Folder::new(
            "ignore",
            &[
                ("Dockerfile", "FROM scratch"),
                (".dockerignore", "log\n!log/keep\n*.tmp\n"),
                ("b/c", "c"),
                ("a", "a"),
                ("x.tmp", ""),
                ("log/one", ""),
                ("log/keep", ""),
            ],
        );
        std::os::unix::fs::symlink("a", folder.0.join("link")).unwrap();
        let first = tar(&context(&folder.0));
        assert_eq!(
            names(&first),
            [
                ".dockerignore",
                "Dockerfile",
                "a",
                "b/",
                "b/c",
                "link",
                "log/keep"
            ]
        );
        // Another time, another order of creation.
        fs::remove_file(folder.0.join("a")).unwrap();
        fs::write(folder.0.join("a"), "a").unwrap();
        assert!(tar(&context(&folder.0)) == first);
    }

    #[test]
    fn an_ignored_or_distant_dockerfile_goes_along_under_a_name_of_its_own() {
        let folder = Folder::new(
            "distant",
            &[
                ("Dockerfile", "FROM scratch"),
                (".dockerignore", "*\n!a"),
                ("a", ""),
            ],
        );
        let prepared = context(&folder.0).prepare().unwrap();
        assert_eq!(prepared.dockerfile, ".plimsoll.Dockerfile");
        assert_eq!(
            names(&tar(&context(&folder.0))),
            ["a", ".plimsoll.Dockerfile"]
        );

        let other = Folder::new(
            "elsewhere",
            &[
                ("x/prod.Dockerfile", "FROM x"),
                ("x/prod.Dockerfile.dockerignore", "a"),
            ],
        );
        let distant = Context {
            dockerfile: other.0.join("x/prod.Dockerfile"),
            ..context(&folder.0)
        };
        assert_eq!(
            names(&tar(&distant)),
            [".dockerignore", "Dockerfile", ".plimsoll.Dockerfile"]
        );

        let inside = Folder::new("inside", &[("deploy/Dockerfile", "FROM x")]);
        let inside = Context {
            dockerfile: inside.0.join("deploy/Dockerfile"),
            ..context(&inside.0)
        };
        assert_eq!(inside.prepare().unwrap().dockerfile, "deploy/Dockerfile");
    }

    #[test]
    fn long_names_and_missing_files_are_handled() {
        let long = format!("{}/{}", "d".repeat(150), "f".repeat(150));
        let folder = Folder::new("long", &[("Dockerfile", ""), (&long, "x")]);
        assert!(names(&tar(&context(&folder.0))).contains(&long));
        let missing = Context {
            dockerfile: folder.0.join("nope"),
            ..context(&folder.0)
        };
        assert!(missing.prepare().unwrap_err().to_string().contains("nope"));
    }
}
