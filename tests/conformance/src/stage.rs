//! Sets a case up on disk: the project as it is checked out, a home, and programs that write down how they were called.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use russh::keys::ssh_key::LineEnding;

use crate::case::Case;
use crate::shell::program;

/// Names of Kamal's hooks.
const HOOKS: &[&str] = &[
    "docker-setup",
    "pre-connect",
    "pre-build",
    "pre-deploy",
    "pre-app-boot",
    "post-app-boot",
    "post-deploy",
    "pre-proxy-reboot",
    "post-proxy-reboot",
];

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A case on disk.
pub struct Stage {
    /// Everything of it is below this folder.
    pub folder: PathBuf,
}

impl Stage {
    /// Sets up a case from the folder of its project.
    ///
    /// # Errors
    /// When it can't be written, or git fails.
    pub fn new(folder: PathBuf, case: &Case, project: &Path) -> Result<Self> {
        let stage = Self { folder };
        for name in [
            "project",
            "home/.ssh",
            "records",
            "hooks",
            "hosts",
            "state",
            "tmp",
        ] {
            fs::create_dir_all(stage.folder.join(name))?;
        }
        copy(project, &stage.project(), project, &case.executable)?;
        let key = stage.folder.join("home/.ssh/id_ed25519");
        fs::write(
            &key,
            crate::sshd::key("the deployer")
                .to_openssh(LineEnding::LF)?
                .as_bytes(),
        )?;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
        stage.watch_hooks(&stage.project())?;
        stage.allow_commands()?;
        if case.git.repo {
            stage.commit(case)?;
        }
        for (file, content) in &case.git.uncommitted_content {
            fs::write(stage.project().join(file), content)?;
        }
        fs::write(stage.folder.join("case.json"), serde_json::to_vec(case)?)?;
        let variables = remote_variables(&stage.project());
        fs::write(
            stage.folder.join("remote-variables.json"),
            serde_json::to_vec(&variables)?,
        )?;
        Ok(stage)
    }

    /// The project.
    pub fn project(&self) -> PathBuf {
        self.folder.join("project")
    }

    /// Kamal runs whatever the templates say; here the user allows each command in `plimsoll.yml`, as the tool asks.
    fn allow_commands(&self) -> Result<()> {
        let own = self.project().join("plimsoll.yml");
        if own.exists() {
            return Ok(());
        }
        let mut commands = Vec::new();
        for entry in fs::read_dir(self.project())?.chain(
            fs::read_dir(self.project().join("config"))
                .into_iter()
                .flatten(),
        ) {
            let path = entry?.path();
            if path.extension().is_some_and(|kind| kind == "yml") {
                commands.extend(template_commands(&fs::read_to_string(path)?));
            }
        }
        if !commands.is_empty() {
            fs::write(own, serde_json::json!({"commands": commands}).to_string())?;
        }
        Ok(())
    }

    /// In front of every hook stands one that writes down when and with what it was called.
    fn watch_hooks(&self, folder: &Path) -> Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                self.watch_hooks(&path)?;
                continue;
            }
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default()
                .to_owned();
            let mode = fs::metadata(&path)?.permissions().mode();
            if !HOOKS.contains(&name.as_str()) || mode & 0o111 == 0 {
                continue;
            }
            let own = self.folder.join("hooks").join(&name);
            fs::rename(&path, &own)?;
            let (own, records) = (own.display(), self.folder.join("records"));
            let records = records.display();
            program(
                &path,
                &format!(
                    "n=$(date +%s%N); {{ printf 'hook={name}\\0'; env -0; }} > '{records}/'$n.hook; '{own}' \"$@\"; code=$?; echo $code > '{records}/'$n.code; exit $code"
                ),
            )?;
        }
        Ok(())
    }

    fn commit(&self, case: &Case) -> Result<()> {
        let git = |arguments: &[&str]| -> Result<()> {
            let status = Command::new("git")
                .arg("-C")
                .arg(self.project())
                .args(arguments)
                .env("HOME", self.folder.join("home"))
                .env("GIT_AUTHOR_DATE", "2026-01-02T03:04:05Z")
                .env("GIT_COMMITTER_DATE", "2026-01-02T03:04:05Z")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()?;
            match status.success() {
                true => Ok(()),
                false => Err(format!("git {arguments:?} failed").into()),
            }
        };
        git(&["init", "-q", "-b", "main"])?;
        let (name, email) = (
            case.git.user_name.as_deref(),
            case.git.user_email.as_deref(),
        );
        let config = self.project().join(".git/config");
        let mut text = fs::read_to_string(&config)?;
        text.push_str("[user]\n");
        for (key, value) in [("name", name), ("email", email)] {
            if let Some(value) = value {
                text.push_str(&format!("\t{key} = {value}\n"));
            }
        }
        fs::write(&config, text)?;
        git(&["add", "-A"])?;
        git(&[
            "-c",
            "user.name=x",
            "-c",
            "user.email=x@x",
            "commit",
            "-q",
            "--allow-empty",
            "-m",
            "as it was",
        ])
    }
}

fn copy(from: &Path, to: &Path, root: &Path, executable: &[String]) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let Some(name) = path.file_name() else {
            continue;
        };
        let target = to.join(name);
        if path.is_dir() {
            copy(&path, &target, root, executable)?;
            continue;
        }
        fs::write(&target, fs::read(&path)?)?;
        let relative = path.strip_prefix(root)?.display().to_string();
        let mode = if executable.contains(&relative) {
            0o755
        } else {
            0o644
        };
        fs::set_permissions(&target, fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// Commands between backquotes, or in `%x(…)`, of a text's template tags.
fn template_commands(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    for tag in text.split("<%").skip(1) {
        let tag = tag.split("%>").next().unwrap_or_default();
        commands.extend(
            tag.split('`')
                .skip(1)
                .step_by(2)
                .map(|command| command.trim().to_owned()),
        );
        for (open, close) in [("%x(", ')'), ("%x{", '}'), ("%x[", ']')] {
            for rest in tag.split(open).skip(1) {
                commands.extend(
                    rest.rsplit_once(close)
                        .map(|(command, _)| command.trim().to_owned()),
                );
            }
        }
    }
    commands
}

/// Variables that the remote environment has, each with a value that says whose it is: whatever the project's files
/// name in a way that the remote shell would expand, or leave empty.
fn remote_variables(project: &Path) -> std::collections::BTreeMap<String, String> {
    let mut text = String::new();
    let mut gather = |folder: &Path| {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry
                .path()
                .extension()
                .is_some_and(|kind| kind == "yml" || kind == "yaml")
            {
                text.push_str(&fs::read_to_string(entry.path()).unwrap_or_default());
            }
        }
    };
    gather(project);
    for entry in fs::read_dir(project).into_iter().flatten().flatten() {
        gather(&entry.path());
    }
    let mut variables = std::collections::BTreeMap::new();
    for line in text.lines() {
        if let Some((name, value)) = line.trim().split_once(':')
            && is_name(name)
            && matches!(value.trim(), "" | "\"\"" | "''" | "~" | "null")
        {
            variables.insert(name.to_owned(), format!("__inherit.{name}.__"));
        }
    }
    for piece in text.split('$').skip(1) {
        let inside = match piece.strip_prefix('{') {
            Some(rest) => rest.split('}').next().unwrap_or_default(),
            None => continue,
        };
        let end = inside
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(inside.len());
        let name = &inside[..end];
        if !is_name(name) {
            continue;
        }
        let plain = end == inside.len();
        let known = variables
            .get(name)
            .is_some_and(|value| value.starts_with("__remote"));
        if plain || !known {
            variables.insert(name.to_owned(), format!("__remote.{inside}.__"));
        }
    }
    for kept in [
        "HOME", "PWD", "PATH", "USER", "clear", "secret", "env", "servers", "proxy", "tags",
    ] {
        variables.remove(kept);
    }
    variables
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Stand-ins for the programs of the deployer's machine that would reach out of it: they write down how they were
/// called. A builder is there unless the case says otherwise.
///
/// # Errors
/// When they can't be written.
pub fn furnish(folder: &Path) -> std::io::Result<()> {
    let local = folder.join("local");
    fs::create_dir_all(&local)?;
    let record = r#"n=$(date +%s%N); { printf 'program=%s\0' "${0##*/}"; for word; do printf 'word=%s\0' "$word"; done; printf 'folder=%s\0' "$PWD"; env -0; } > "$CONFORMANCE_RECORDS/$n.program""#;
    let docker = format!(
        r#"if [ -n "$CONFORMANCE_NO_DOCKER" ]; then
  case "$CONFORMANCE_NO_DOCKER" in *buildx*) [ "$1" = buildx ] || {{ echo "Docker version 27.0.0"; exit 0; }};; esac
  echo "$CONFORMANCE_NO_DOCKER" >&2; exit 127
fi
{record}
case "$1 $2" in
  "--version "*|"-v "*) echo "Docker version 27.0.0, build 0000000";;
  "buildx version") echo "github.com/docker/buildx v0.16.0 0000000";;
  "buildx inspect") [ -z "$CONFORMANCE_NO_BUILDER" ] || [ -e "$CONFORMANCE_RECORDS/created" ] || {{ echo "ERROR: no builder \"$3\" found" >&2; exit 1; }}
    echo "Name: $3"; echo "Endpoint: $3-context";;
  "buildx create") : > "$CONFORMANCE_RECORDS/created"; echo "$4";;
  "buildx build") [ -z "$CONFORMANCE_BUILD_FAILS" ] || {{ echo "$CONFORMANCE_BUILD_FAILS" >&2; exit 1; }}
    previous=; for word; do [ "$previous" != --metadata-file ] || printf '{{"containerimage.digest":"sha256:%064d"}}' 0 > "$word"
      case $word in --metadata-file=*) printf '{{"containerimage.digest":"sha256:%064d"}}' 0 > "${{word#*=}}";; esac; previous=$word; done;;
  "info "*) echo "${{CONFORMANCE_ARCH:-x86_64}}";;
esac
exit 0"#
    );
    program(&local.join("docker"), &docker)?;
    program(
        &local.join("pack"),
        &format!(
            "{record}\n[ -z \"$CONFORMANCE_BUILD_FAILS\" ] || {{ echo \"$CONFORMANCE_BUILD_FAILS\" >&2; exit 1; }}"
        ),
    )
}
