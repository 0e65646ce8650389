//! Which version is deployed: what the user said, or what git says (`kamal.md` §1.2).

use super::{DeployError, Host, Request};
use crate::wire::WireError;
use crate::wire::git::Repository;
use crate::wit::types::Context;

/// The context of a run.
///
/// # Errors
/// When no version was given and git has none.
pub async fn context(request: &Request, host: &Host) -> Result<Context, DeployError> {
    let version = match &request.version {
        Some(version) => version.clone(),
        None => match from_git(host).await {
            // The renderer says so, should it need one after all.
            Err(_) if !needs_version(request.command()) => String::new(),
            version => version?,
        },
    };
    Ok(Context {
        environment: request.destination.clone().unwrap_or_default(),
        version,
        deployment_id: request.deployment_id.clone(),
        request: request.asked.to_string(),
        settings: "{}".to_owned(),
    })
}

/// Whether a command is about a version that only git can tell, when nobody else does.
fn needs_version(command: &str) -> bool {
    matches!(
        command,
        "deploy" | "redeploy" | "setup" | "config" | "lock acquire"
    ) || command.starts_with("build ")
}

/// The commit; with what is not committed as a digest behind it when that gets into the image.
async fn from_git(host: &Host) -> Result<String, DeployError> {
    let fail = |source: WireError| match source {
        WireError::NoRepository { path } => DeployError::Project(format!(
            "Can't use commit hash as version, no git repository found in {}\nhint: run `git init` and commit, or say a version with `--version`",
            path.display()
        )),
        source => DeployError::Wire {
            doing: "find a version (say one with --version)".to_owned(),
            source,
        },
    };
    let repository = Repository::find(&host.project.root).await.map_err(fail)?;
    let head = repository.head().await.map_err(fail)?;
    // A build from a clone of HEAD does not see what is not committed.
    if host.project.envelope.builder.context.is_none() {
        return Ok(head);
    }
    Ok(match repository.uncommitted().await.map_err(fail)? {
        Some(digest) => format!("{head}_uncommitted_{digest}"),
        None => head,
    })
}
