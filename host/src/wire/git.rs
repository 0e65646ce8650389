//! The project's git repository, through the `git` program.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use tokio::process::Command;

use crate::wire::{WireError, process::outside};

/// A repository with a working tree.
#[derive(Debug, Clone)]
pub struct Repository {
    toplevel: PathBuf,
}

impl Repository {
    /// The repository that a folder is in.
    pub async fn find(folder: &Path) -> Result<Self, WireError> {
        let output = output(folder, &["rev-parse", "--show-toplevel"], &[]).await?;
        if output.status.success() {
            return Ok(Self {
                toplevel: PathBuf::from(text(&output)),
            });
        }
        let said = String::from_utf8_lossy(&output.stderr);
        if said.contains("not a git repository") || said.contains("must be run in a work tree") {
            Err(WireError::NoRepository {
                path: folder.to_owned(),
            })
        } else {
            // For example "detected dubious ownership", which names its own cure.
            Err(failed("finding the repository", &output))
        }
    }

    /// The folder of the working tree.
    pub fn toplevel(&self) -> &Path {
        &self.toplevel
    }

    /// The commit that is checked out, 40 hex digits.
    pub async fn head(&self) -> Result<String, WireError> {
        let output = output(
            &self.toplevel,
            &["rev-parse", "--verify", "--quiet", "HEAD"],
            &[],
        )
        .await?;
        if output.status.success() {
            return Ok(text(&output));
        }
        Err(WireError::Invalid {
            what: format!("the repository {}", self.toplevel.display()),
            why: "it has no commit yet".into(),
        })
    }

    /// What people call the commit that is checked out: its tag, or its short name.
    pub async fn describe(&self) -> Result<String, WireError> {
        let arguments = ["describe", "--always"];
        self.git("describing the commit", &arguments).await
    }

    /// Whether anything differs from the commit that is checked out, new files included.
    pub async fn is_dirty(&self) -> Result<bool, WireError> {
        let output = self
            .git("looking for changes", &["status", "--porcelain"])
            .await?;
        Ok(!output.is_empty())
    }

    /// 16 hex digits that stand for the working tree's content, if that differs from the last commit: tracked and new
    /// files, without ignored ones. The same content has the same digits.
    ///
    /// Nothing in the repository is written to: index and objects go to a folder that is removed.
    pub async fn uncommitted(&self) -> Result<Option<String>, WireError> {
        if self
            .git("reading the status", &["status", "--porcelain"])
            .await?
            .is_empty()
        {
            return Ok(None);
        }
        let paths = self
            .git(
                "finding the index",
                &["rev-parse", "--git-path", "index", "--git-path", "objects"],
            )
            .await?;
        let mut paths = paths.lines().map(|path| self.toplevel.join(path));
        let (Some(index), Some(objects)) = (paths.next(), paths.next()) else {
            return Err(WireError::NoRepository {
                path: self.toplevel.clone(),
            });
        };
        let scratch = Scratch::new()?;
        let own_index = scratch.0.join("index");
        match fs::copy(index, &own_index) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(WireError::io("copying the index")(error)),
        }
        let environment = [
            ("GIT_INDEX_FILE", own_index.as_os_str()),
            ("GIT_OBJECT_DIRECTORY", scratch.0.as_os_str()),
            ("GIT_ALTERNATE_OBJECT_DIRECTORIES", objects.as_os_str()),
        ];
        self.git_with("hashing the working tree", &["add", "--all"], &environment)
            .await?;
        let tree = self
            .git_with("hashing the working tree", &["write-tree"], &environment)
            .await?;
        Ok(Some(tree.chars().take(16).collect()))
    }

    /// What differs from the last commit, a file a line, as `git status --porcelain` has it; empty when nothing does.
    pub async fn changes(&self) -> Result<String, WireError> {
        self.git("reading the status", &["status", "--porcelain"])
            .await
    }

    /// `user.name`, if it is set.
    pub async fn user_name(&self) -> Result<Option<String>, WireError> {
        self.config("user.name").await
    }

    /// `user.email`, if it is set.
    pub async fn user_email(&self) -> Result<Option<String>, WireError> {
        self.config("user.email").await
    }

    async fn config(&self, key: &str) -> Result<Option<String>, WireError> {
        let output = output(&self.toplevel, &["config", "--get", key], &[]).await?;
        Ok(Some(text(&output)).filter(|value| output.status.success() && !value.is_empty()))
    }

    /// Makes `into` a clone of this repository, with exactly the files of the commit that is checked out, and its
    /// submodules. A clone that is there from before is brought up to date, or made anew where that fails.
    pub async fn clone_head(&self, into: &Path) -> Result<(), WireError> {
        let revision = self.head().await?;
        if into.join(".git").exists() && self.update(into, &revision).await.is_ok() {
            return Ok(());
        }
        match fs::remove_dir_all(into) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(WireError::io(format!("removing {}", into.display()))(error)),
        }
        fs::create_dir_all(into).map_err(WireError::io(format!("making {}", into.display())))?;
        let there = Self {
            toplevel: into.to_owned(),
        };
        there.git("cloning", &["init", "--quiet"]).await?;
        let origin = self.toplevel.to_string_lossy();
        there
            .git("cloning", &["remote", "add", "origin", &origin])
            .await?;
        self.update(into, &revision).await
    }

    async fn update(&self, into: &Path, revision: &str) -> Result<(), WireError> {
        let there = Self {
            toplevel: into.to_owned(),
        };
        let origin = self.toplevel.to_string_lossy();
        for arguments in [
            &["remote", "set-url", "origin", &origin][..],
            // HEAD, not the branches: what is checked out may be on none.
            &["fetch", "--quiet", "--no-tags", "origin", "HEAD"],
            &["reset", "--quiet", "--hard", revision],
            &["clean", "--quiet", "-ffdx"],
            &["submodule", "--quiet", "update", "--init", "--recursive"],
        ] {
            there.git("cloning", arguments).await?;
        }
        Ok(())
    }

    async fn git(&self, what: &str, arguments: &[&str]) -> Result<String, WireError> {
        self.git_with(what, arguments, &[]).await
    }

    async fn git_with(
        &self,
        what: &str,
        arguments: &[&str],
        environment: &[(&str, &OsStr)],
    ) -> Result<String, WireError> {
        let output = output(&self.toplevel, arguments, environment).await?;
        if output.status.success() {
            Ok(text(&output))
        } else {
            Err(failed(what, &output))
        }
    }
}

/// Which repository a hook runs in, and keys that nothing here asks for: a repository can name programs that git starts.
const OF_OTHERS: [&str; 6] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
];

async fn output(
    folder: &Path,
    arguments: &[&str],
    environment: &[(&str, &OsStr)],
) -> Result<Output, WireError> {
    let mut git = Command::new("git");
    git.arg("-C")
        .arg(folder)
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    // Messages are read, so they have to be in English. A hook's own repository is not the one asked about.
    git.env("LC_ALL", "C");
    for variable in OF_OTHERS {
        git.env_remove(variable);
    }
    git.envs(environment.iter().copied());
    outside(git.output())
        .await
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => WireError::NoGit,
            _ => WireError::io("running git")(error),
        })
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
}

fn failed(what: &str, output: &Output) -> WireError {
    WireError::CommandFailed {
        place: "this machine".into(),
        what: format!("git ({what})"),
        code: output.status.code().unwrap_or(-1),
        stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    }
}

/// A folder of our own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, WireError> {
        use std::{
            os::unix::fs::DirBuilderExt,
            sync::atomic::{AtomicU32, Ordering},
        };
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("plimsoll-git-{}-{number}", std::process::id()));
        // Fails when somebody else was first: their folder is not written to.
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(WireError::io(format!("making {}", folder.display())))?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left in the temporary folder harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(folder: &Path, arguments: &[&str]) {
        let identity = [
            "-c",
            "user.name=Tess Ter",
            "-c",
            "user.email=t@example.com",
            "-c",
            "protocol.file.allow=always",
        ];
        let done = std::process::Command::new("git")
            .arg("-C")
            .arg(folder)
            .args(identity)
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    }

    fn objects(repository: &Repository) -> usize {
        let find = std::process::Command::new("find")
            .arg(repository.toplevel.join(".git/objects"))
            .output()
            .unwrap();
        find.stdout.iter().filter(|byte| **byte == b'\n').count()
    }

    #[tokio::test]
    async fn a_version_follows_the_content_and_the_repository_is_left_alone() {
        let scratch = Scratch::new().unwrap();
        let folder = &scratch.0;
        assert!(matches!(
            Repository::find(folder).await,
            Err(WireError::NoRepository { .. })
        ));
        git(folder, &["init", "-q"]);
        let repository = Repository::find(folder).await.unwrap();
        assert!(
            repository
                .head()
                .await
                .unwrap_err()
                .to_string()
                .contains("no commit yet")
        );
        fs::write(folder.join("a"), "1").unwrap();
        fs::write(folder.join(".gitignore"), "ignored\n").unwrap();
        assert_eq!(repository.uncommitted().await.unwrap().unwrap().len(), 16);
        git(folder, &["add", "."]);
        git(folder, &["commit", "-qm", "one"]);
        let below = folder.join("below");
        fs::create_dir(&below).unwrap();
        assert_eq!(
            Repository::find(&below).await.unwrap().toplevel(),
            repository.toplevel()
        );
        assert_eq!(repository.head().await.unwrap().len(), 40);
        assert_eq!(repository.uncommitted().await.unwrap(), None);
        fs::write(folder.join("ignored"), "x").unwrap();
        assert_eq!(repository.uncommitted().await.unwrap(), None);

        let before = objects(&repository);
        fs::write(folder.join("a"), "2").unwrap();
        let changed = repository.uncommitted().await.unwrap();
        fs::write(below.join("new"), "3").unwrap();
        let more = repository.uncommitted().await.unwrap();
        assert!(changed.is_some() && more.is_some() && changed != more);
        fs::remove_file(below.join("new")).unwrap();
        assert_eq!(repository.uncommitted().await.unwrap(), changed);
        git(folder, &["add", "a"]);
        assert_eq!(repository.uncommitted().await.unwrap(), changed);
        assert_eq!(
            objects(&repository),
            before + 2,
            "only what the test itself added"
        );

        git(folder, &["config", "user.name", "Ada"]);
        assert_eq!(
            repository.user_name().await.unwrap().as_deref(),
            Some("Ada")
        );
    }

    #[tokio::test]
    async fn a_clone_has_the_commits_files_and_follows_it() {
        let scratch = Scratch::new().unwrap();
        let (folder, clone) = (scratch.0.join("project"), scratch.0.join("clones/project"));
        fs::create_dir(&folder).unwrap();
        git(&folder, &["init", "-q"]);
        fs::write(folder.join("a"), "1").unwrap();
        git(&folder, &["add", "."]);
        git(&folder, &["commit", "-qm", "one"]);
        fs::write(folder.join("a"), "uncommitted").unwrap();
        let repository = Repository::find(&folder).await.unwrap();
        repository.clone_head(&clone).await.unwrap();
        assert_eq!(fs::read_to_string(clone.join("a")).unwrap(), "1");

        fs::write(clone.join("left over"), "").unwrap();
        git(&folder, &["checkout", "-q", "--detach"]);
        git(&folder, &["commit", "-qam", "two"]);
        repository.clone_head(&clone).await.unwrap();
        assert_eq!(fs::read_to_string(clone.join("a")).unwrap(), "uncommitted");
        assert!(!clone.join("left over").exists());

        fs::write(clone.join(".git/HEAD"), "broken").unwrap();
        repository.clone_head(&clone).await.unwrap();
        assert_eq!(
            Repository::find(&clone)
                .await
                .unwrap()
                .head()
                .await
                .unwrap(),
            repository.head().await.unwrap()
        );
    }
}
