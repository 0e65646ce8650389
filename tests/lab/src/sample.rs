//! Examples as somebody's own projects: git repositories with the program built, in folders of their own.

use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::command::{command, run};
use crate::{LabError, cargo, state};

/// What is copied as it is.
const FILES: [&str; 4] = [
    ".dockerignore",
    ".gitignore",
    "Dockerfile",
    "config/deploy.yml",
];

/// The same of the Copilot workspace.
const COPILOTS: [&str; 7] = [
    ".gitignore",
    "Dockerfile",
    "copilot/.workspace",
    "copilot/api/manifest.yml",
    "copilot/environments/test/manifest.yml",
    "copilot/report/manifest.yml",
    "copilot/web/manifest.yml",
];

/// A project that can be deployed.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its folder, the root of a git repository.
    pub folder: PathBuf,
}

/// Makes a project of `examples/hello` in `folder`, which must be empty or missing, and commits its first version.
pub fn stage(folder: &Path, greeting: &str) -> Result<Project, LabError> {
    let project = copy(&cargo::workspace().join("examples/hello"), &FILES, folder)?;
    if env::consts::ARCH == "aarch64" {
        let configuration = folder.join("config/deploy.yml");
        let text = fs::read_to_string(&configuration).map_err(LabError::file(&configuration))?;
        project.write(
            "config/deploy.yml",
            &text.replace("arch: amd64", "arch: arm64"),
        )?;
    }
    project.begin(greeting)?;
    Ok(project)
}

/// The same of `examples/copilot`.
pub fn stage_copilot(folder: &Path) -> Result<Project, LabError> {
    let example = cargo::workspace().join("examples/copilot");
    let project = copy(&example, &COPILOTS, folder)?;
    project.begin("Hello from Copilot's workspace")?;
    Ok(project)
}

/// These files of an example, and the program of `examples/hello`.
fn copy(example: &Path, files: &[&str], folder: &Path) -> Result<Project, LabError> {
    let program = build(&cargo::workspace().join("examples/hello"))?;
    let copy = |from: &Path, name: &str| {
        let to = folder.join(name);
        let parent = to.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(LabError::file(parent))?;
        fs::copy(from, &to).map(drop).map_err(LabError::file(from))
    };
    for name in files {
        copy(&example.join(name), name)?;
    }
    copy(&program, "bin/hello")?;
    Ok(Project {
        folder: folder.to_owned(),
    })
}

impl Project {
    fn begin(&self, greeting: &str) -> Result<(), LabError> {
        self.git(&["-c", "init.defaultBranch=main", "init", "--quiet"])?;
        self.commit(greeting).map(drop)
    }

    /// Writes a file of the project; it is part of the next commit.
    pub fn write(&self, name: &str, text: &str) -> Result<(), LabError> {
        let path = self.folder.join(name);
        let parent = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(parent).map_err(LabError::file(parent))?;
        fs::write(&path, text).map_err(LabError::file(&path))
    }

    /// Commits everything, with this greeting, and returns the version: the commit's full hash.
    pub fn commit(&self, greeting: &str) -> Result<String, LabError> {
        self.write("greeting.txt", &format!("{greeting}\n"))?;
        self.git(&["add", "--all"])?;
        // Another version even if nothing changed.
        self.git(&["commit", "--quiet", "--allow-empty", "--message", greeting])?;
        self.version()
    }

    /// The version at hand: the full hash of the last commit.
    pub fn version(&self) -> Result<String, LabError> {
        self.git(&["rev-parse", "HEAD"])
    }

    /// Runs git in the project, as nobody in particular and untouched by this machine's configuration.
    fn git(&self, words: &[&str]) -> Result<String, LabError> {
        let mut git = command("git", words);
        git.current_dir(&self.folder);
        // Set when git itself runs us (a hook), and then about another repository.
        for name in ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"] {
            git.env_remove(name);
        }
        git.env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null");
        for role in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{role}_NAME"), "Lab")
                .env(format!("GIT_{role}_EMAIL"), "lab@example.com");
        }
        run(&mut git)
    }
}

/// The sample's program; in the lab's own folder unless told otherwise, so that the example stays as it is in git.
fn build(example: &Path) -> Result<PathBuf, LabError> {
    let target = match env::var_os("CARGO_TARGET_DIR").filter(|folder| !folder.is_empty()) {
        Some(folder) => cargo::workspace().join(folder),
        None => state::folder()?.join("target"),
    };
    let target = target.to_string_lossy();
    cargo::build(
        example,
        &[
            "--locked",
            "--target",
            cargo::STATIC_TARGET,
            "--target-dir",
            &target,
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_staged_project_is_clean_and_each_commit_is_a_version() {
        let folder = env::temp_dir().join(format!("plimsoll-sample-{}", std::process::id()));
        let project = stage(&folder, "Hello").unwrap();
        let first = project.version().unwrap();
        assert_eq!(first.len(), 40);
        let second = project.commit("Hello").unwrap();
        assert_ne!(first, second);
        assert_eq!(project.git(&["status", "--porcelain"]).unwrap(), "");
        assert!(project.folder.join("bin/hello").is_file());
        fs::remove_dir_all(&folder).unwrap();
    }
}
