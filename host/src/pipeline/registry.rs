//! `registry setup`, `login`, `logout` and `remove`. Logins go with each push and pull and are kept nowhere: what can be
//! done about one is to try it.

use super::build::nodes;
use super::{DeployError, Host, Request};
use crate::manifest::kamal::Credential;
use crate::report::Verdict;
use crate::wire::{Credentials, WireError, registry};
use crate::wit::types::{Encoding, Part, SecretRef};

/// Does what the request asks for.
///
/// # Errors
/// When Docker does not answer here, or the registry refuses the login.
pub async fn registry(request: &Request, host: &Host) -> Result<Verdict, DeployError> {
    let fail = |doing: &str| {
        let doing = doing.to_owned();
        move |source: WireError| DeployError::Wire { doing, source }
    };
    let here = request.asked["skip-local"].as_bool() != Some(true);
    let text = match (
        request.command(),
        host.project.envelope.registry.local_port(),
    ) {
        ("registry login", Some(_)) => return Err(local("login", "setup")),
        ("registry logout", Some(_)) => return Err(local("logout", "remove")),
        ("registry setup", Some(port)) if here => {
            let doing = "start the registry on this machine";
            nodes::start_registry(port).await.map_err(fail(doing))?;
            format!("the registry answers at localhost:{port}")
        }
        ("registry remove", Some(_)) if here => {
            let doing = "remove the registry on this machine";
            nodes::remove_registry().await.map_err(fail(doing))?;
            "removed the registry on this machine".to_owned()
        }
        ("registry setup" | "registry login", None) => {
            let login = login(host).await?;
            registry::check_login(&login)
                .await
                .map_err(fail("log in"))?;
            format!(
                "the login at {} works; it goes with each push and pull, and is kept nowhere",
                login.server
            )
        }
        (_, None) => "no login is kept, neither here nor on the servers".to_owned(),
        (_, Some(_)) => "nothing to do".to_owned(),
    };
    Ok(Verdict {
        ok: true,
        text,
        version: String::new(),
        hosts: Vec::new(),
        took: host.reporter.elapsed(),
        undo: None,
        outputs: Vec::new(),
    })
}

fn local(what: &str, instead: &str) -> DeployError {
    DeployError::Refused(format!(
        "Cannot use {what} command with a local registry. Use `kamal registry {instead}` instead."
    ))
}

async fn login(host: &Host) -> Result<Credentials, DeployError> {
    let registry = &host.project.envelope.registry;
    let value = |credential: &Option<Credential>| match credential {
        Some(Credential::Literal(secret)) => vec![Part::Text(secret.expose().to_owned())],
        Some(Credential::Secret(name)) => vec![Part::Secret(SecretRef {
            name: name.clone(),
            encoding: Encoding::Verbatim,
        })],
        None => Vec::new(),
    };
    let server = registry.server.as_deref();
    let (username, password) = (value(&registry.username), value(&registry.password));
    let any = format!("{}/", server.unwrap_or_default());
    let login = host.run.login(server, &username, &password, &any);
    let login = login.await.map_err(DeployError::Capability)?;
    if login.username.reveal().is_empty() || login.password.reveal().is_empty() {
        return Err(DeployError::Project(
            "the registry has no username or no password\nhint: add `registry: {username: …, password: [NAME]}`"
                .to_owned(),
        ));
    }
    Ok(login)
}
