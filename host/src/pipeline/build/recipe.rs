//! From what the renderer wants to what BuildKit is asked: files, arguments, secrets.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::super::{DeployError, Host};
use super::warn;
use crate::capability::run::Readers;
use crate::plan::canonical;
use crate::wire::build::{Build, Private};
use crate::wire::git::Repository;
use crate::wire::{Credentials, WireError, context};
use crate::wit::renderer::exports::plimsoll::deploy::renderer::Build as Wanted;
use crate::wit::types::Part;

/// The files of a build, and the clone they are in when there is one.
pub(super) struct Source {
    pub(super) folder: PathBuf,
    dockerfile: PathBuf,
    clone: Option<Clone>,
}

/// Finds the files, or makes a clone of HEAD.
pub(super) async fn source(host: &Host, wanted: &Wanted) -> Result<Source, DeployError> {
    let root = &host.project.root;
    let packed = wanted
        .builder
        .as_ref()
        .is_some_and(|builder| builder.pack.is_some());
    // Kamal looks here, too, before it goes to the clone.
    if !packed && !root.join(&wanted.dockerfile).exists() {
        return Err(DeployError::Project(format!(
            "Missing Dockerfile: there is no {}\nhint: write one, or name it with `builder: {{dockerfile: …}}`",
            wanted.dockerfile
        )));
    }
    let Some(context) = &wanted.context else {
        return cloned(host, wanted).await;
    };
    if let Ok(repository) = Repository::find(root).await
        && repository.uncommitted().await.ok().flatten().is_some()
    {
        let changes = repository.changes().await.unwrap_or_default();
        warn(
            host,
            &format!("Building with uncommitted changes:\n{changes}"),
        );
    }
    Ok(Source {
        folder: root.join(context),
        dockerfile: root.join(&wanted.dockerfile),
        clone: None,
    })
}

async fn cloned(host: &Host, wanted: &Wanted) -> Result<Source, DeployError> {
    let root = &host.project.root;
    let fail = |source| DeployError::Wire {
        doing: "make a clean copy of HEAD to build from".to_owned(),
        source,
    };
    let repository = match Repository::find(root).await {
        // Without a repository there is nothing to clone: what is here is built, as by Kamal.
        Err(WireError::NoRepository { .. }) => {
            return Ok(Source {
                folder: root.clone(),
                dockerfile: root.join(&wanted.dockerfile),
                clone: None,
            });
        }
        found => found.map_err(fail)?,
    };
    let changes = repository.changes().await.map_err(fail)?;
    if !changes.is_empty() {
        warn(
            host,
            &format!(
                "Building from a local git clone, so ignoring these uncommitted changes:\n{changes}"
            ),
        );
    }
    let clone = Clone::new().map_err(|source| {
        fail(WireError::Io {
            what: "a temporary folder".into(),
            source,
        })
    })?;
    repository.clone_head(clone.path()).await.map_err(fail)?;
    // The project may be a folder within its repository.
    let inside = root
        .strip_prefix(repository.toplevel())
        .unwrap_or(Path::new(""));
    let folder = clone.path().join(inside);
    Ok(Source {
        dockerfile: folder.join(&wanted.dockerfile),
        folder,
        clone: Some(clone),
    })
}

/// What BuildKit is asked, for all platforms.
pub(super) fn recipe(
    host: &Host,
    wanted: &Wanted,
    source: &Source,
    no_cache: bool,
) -> Result<Build, DeployError> {
    let argument = |(name, value): &(String, Vec<Part>)| {
        let value = match value.as_slice() {
            // Without a value it is the deployer's own variable, and not given when there is none.
            [Part::Inherit(own)] => host.project.environment.get(own).cloned(),
            value => Some(resolved(host, value)?),
        };
        Ok(value.map(|value| (name.clone(), value)))
    };
    let builder = wanted.builder.as_ref();
    Ok(Build {
        context: context::Context {
            folder: source.folder.clone(),
            dockerfile: source.dockerfile.clone(),
            // A clone's own history would make every build a new one; .dockerignore can take it back.
            ignore: source.clone.iter().map(|_| ".git".to_owned()).collect(),
        },
        arguments: wanted
            .args
            .iter()
            .map(argument)
            .filter_map(Result::transpose)
            .collect::<Result<_, DeployError>>()?,
        target: wanted.target.clone(),
        labels: wanted.labels.clone(),
        tags: wanted.tags.clone(),
        platforms: wanted.platforms.clone(),
        no_cache,
        pull: false,
        cache_from: builder
            .map(|builder| builder.cache_from.clone())
            .unwrap_or_default(),
        cache_to: builder
            .map(|builder| builder.cache_to.clone())
            .unwrap_or_default(),
        provenance: builder.and_then(|builder| builder.provenance.clone()),
        sbom: builder.and_then(|builder| builder.sbom.clone()),
        builder: builder.and_then(|builder| builder.name.clone()),
    })
}

/// Logins, secrets and SSH agents that the build may ask for.
pub(super) fn private(
    host: &Host,
    wanted: &Wanted,
    login: Option<&Credentials>,
) -> Result<Private, DeployError> {
    let builder = wanted.builder.as_ref();
    let names = builder.map(|builder| builder.secrets.as_slice());
    let secret = |name: &String| {
        let found = host.run.secrets.get(name);
        let found = found.map_err(|error| DeployError::Project(error.to_string()))?;
        Ok((name.clone(), found.expose().into()))
    };
    let agents = match builder.and_then(|builder| builder.ssh.as_ref()) {
        Some(value) => agents(&resolved(host, value)?, &host.project.environment)?,
        None => Vec::new(),
    };
    Ok(Private {
        logins: login.iter().copied().cloned().collect(),
        secrets: names
            .unwrap_or_default()
            .iter()
            .map(secret)
            .collect::<Result<_, DeployError>>()?,
        agents,
    })
}

/// `default`, `default=/path/of/socket`, several with commas in between.
fn agents(
    text: &str,
    environment: &std::collections::BTreeMap<String, String>,
) -> Result<Vec<(String, PathBuf)>, DeployError> {
    let refused = |why: &str| {
        DeployError::Project(format!(
            "failed to forward `builder/ssh: {text}`: {why}\nhint: start an agent (`eval $(ssh-agent); ssh-add`) and say `ssh: default=$SSH_AUTH_SOCK`"
        ))
    };
    let agent = |entry: &str| {
        let (id, path) = entry.split_once('=').unwrap_or((entry, ""));
        let own = environment.get("SSH_AUTH_SOCK").map(String::as_str);
        let path = match path {
            "" => own.filter(|path| !path.is_empty()),
            path => Some(path),
        };
        let path = path.ok_or_else(|| refused("there is no SSH agent"))?;
        if Path::new(path).is_file() {
            return Err(refused(
                "a key in a file is not handed out, an agent's socket is",
            ));
        }
        Ok((id.to_owned(), PathBuf::from(path)))
    };
    text.split(',').map(agent).collect()
}

/// The text of a value; what the deployer's shell puts in is put in.
pub(super) fn resolved(host: &Host, value: &[Part]) -> Result<String, DeployError> {
    let mut text = String::new();
    for part in value {
        match part {
            Part::Remote(expansion) if !expansion.command => {
                text.push_str(&expanded(&expansion.text, &host.project.environment));
            }
            other => {
                let one = std::slice::from_ref(other);
                let known = host.run.resolve(one, Readers::Recipient);
                text.push_str(known.map_err(DeployError::Capability)?.expose());
            }
        }
    }
    Ok(text)
}

/// `VAR`, `VAR:-default`, `VAR-default`.
fn expanded(text: &str, environment: &std::collections::BTreeMap<String, String>) -> String {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let (name, operator) = text.split_at(end.unwrap_or(text.len()));
    let value = environment.get(name).map(String::as_str);
    let (value, default) = match operator.strip_prefix(":-") {
        Some(default) => (value.filter(|value| !value.is_empty()), default),
        None => (value, operator.strip_prefix('-').unwrap_or_default()),
    };
    value.unwrap_or(default).to_owned()
}

/// The build for the journal: what is asked, secrets by name.
pub(super) fn in_words(wanted: &Wanted) -> Json {
    let mut words = json!({
        "context": wanted.context,
        "dockerfile": wanted.dockerfile,
        "target": wanted.target,
        "args": canonical::pairs(&wanted.args, |value| canonical::value(value)),
        "platforms": wanted.platforms,
        "tags": wanted.tags,
    });
    if let Some(builder) = &wanted.builder {
        words["builder"] = json!({
            "name": builder.name,
            "remote": builder.remote,
            "local-platforms": builder.local_platforms,
            "remote-platforms": builder.remote_platforms,
            "cache-from": builder.cache_from,
            "cache-to": builder.cache_to,
            "secrets": builder.secrets,
            "ssh": builder.ssh.as_ref().map(|value| canonical::value(value)),
            "provenance": builder.provenance,
            "sbom": builder.sbom,
        });
    }
    words
}

/// A temporary folder, removed when it is dropped.
struct Clone(PathBuf);

impl Clone {
    fn new() -> std::io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let stamp = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO)
            .as_nanos();
        let path =
            std::env::temp_dir().join(format!("plimsoll-clone-{}-{stamp}", std::process::id()));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Clone {
    fn drop(&mut self) {
        // What can't be removed is in the temporary folder, where the system removes it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_of_the_deployer_would_put_in_is_put_in() {
        let environment = [("A", "1"), ("EMPTY", "")];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let environment = environment.into();
        for (text, value) in [
            ("A", "1"),
            ("B", ""),
            ("B:-x y", "x y"),
            ("A:-x", "1"),
            ("EMPTY:-x", "x"),
            ("EMPTY-x", ""),
            ("B-x", "x"),
        ] {
            assert_eq!(expanded(text, &environment), value, "{text}");
        }
    }

    #[test]
    fn ssh_is_an_agents_socket_by_its_name() {
        let none = std::collections::BTreeMap::new();
        let some = [("SSH_AUTH_SOCK".to_owned(), "/run/agent".to_owned())].into();
        let found = |text, environment| {
            let agents = agents(text, environment).map_err(|error| error.to_string());
            agents.map(|agents| {
                let agents = agents
                    .iter()
                    .map(|(id, path)| format!("{id}={}", path.display()));
                agents.collect::<Vec<_>>().join(" ")
            })
        };
        assert_eq!(found("default", &some).as_deref(), Ok("default=/run/agent"));
        assert_eq!(
            found("default=/a,git=/b", &none).as_deref(),
            Ok("default=/a git=/b")
        );
        assert!(
            found("default", &none)
                .expect_err("no agent")
                .contains("there is no SSH agent")
        );
        assert!(
            found("default=/etc/passwd", &none)
                .expect_err("a file")
                .contains("a key in a file")
        );
    }
}
