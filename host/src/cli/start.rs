//! From arguments and surroundings to a host that is ready: the project read, its plugins checked, its powers cut.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use super::arguments::{Target, Wanted};
use super::environment::Environment;
use super::kamal::secrets::substitute;
use crate::capability::Run;
use crate::capability::hosts::Hosts;
use crate::capability::run::Parts;
use crate::grant::{Facts, Grants};
use crate::interrupt::Interrupt;
use crate::manifest::kamal::{SecretUse, SshConfigFiles, SshSection, Use};
use crate::manifest::{
    Diagnostic, FindError, ManifestError, Outside, PlacedFiles, Project, render_diagnostic,
};
use crate::pipeline::recovery::Again;
use crate::pipeline::{DeployError, Goal, Host, Request};
use crate::plan::printable;
use crate::plugin::configuration::Configuration;
use crate::plugin::{Plugins, SelectError, select};
use crate::report::{Event, Finding, Reporter};
use crate::sandbox::Sandbox;
use crate::sandbox::aot::Cache;
use crate::secret::SecretStore;
use crate::wire::git::Repository;
use crate::wire::ssh::{ConfigFiles, Proxy};
use crate::wire::{Command, Hidden, Place, SshConfig, shell};

/// A host that is ready for a request.
///
/// # Errors
/// When the project can't be read or a plugin is not what was locked.
pub(super) async fn start(
    goal: Goal,
    target: &Target,
    wanted: &Wanted,
    environment: &Environment,
    reporter: Arc<Reporter>,
) -> Result<(Request, Host), DeployError> {
    let project = read_project(target, environment, &reporter)?;
    let configuration = read_configuration(&project, &reporter)?;
    let secrets = secrets(&project);
    let hooks: Vec<String> = project.hooks.iter().map(|hook| hook.name.clone()).collect();
    let derived = Grants::from_envelope(
        "",
        &project.envelope,
        Facts {
            hooks: &hooks,
            secrets: &secrets.names(),
        },
    );
    let plugins = Plugins::of(&project.root, &configuration, &derived, select::Target::Ssh)
        .map_err(|error| unselected(error, &project, &reporter))?;
    let interrupt = Interrupt::default();
    let cache = Cache::new(environment.aot.clone(), environment.executable.clone());
    let deployment_id = random_hex(6)?;
    let run = Run::new(Parts {
        reporter: reporter.clone(),
        interrupt: interrupt.clone(),
        journal: journal_path(environment, &project, &deployment_id),
        hosts: Hosts::new(ssh_config(&project.envelope.ssh, &secrets, environment))
            .lending(project.envelope.registry.local_port()),
        fingerprint_key: fingerprint_key(&environment.state)?,
        secret_variables: secret_variables(&project.envelope.secrets),
        also_hidden: project.hidden(),
        files: PlacedFiles::of(&project),
        hooks: project.path(&project.envelope.hooks_path),
        performer: performer(&project.root, environment).await,
        project: project.root.clone(),
        secrets,
    });
    run.show_hooks(project.envelope.hooks_output.clone());
    run.logs_in_at(project.envelope.registry.server.as_deref());
    let request = Request {
        goal,
        deployment_id,
        asked: wanted.asked.clone(),
        shows_plan: wanted.shows_plan,
        version: target
            .version
            .clone()
            .or_else(|| environment.variable("VERSION").map(str::to_owned)),
        destination: target.destination.clone(),
        yes: wanted.yes,
        diff: false,
        skip_push: target.skip_push,
        skip_hooks: target.skip_hooks,
        no_cache: wanted.no_cache,
        hosts: target.host_patterns(),
        roles: target.roles.clone(),
        primary: target.primary,
        facts: wanted.facts.clone(),
        save_facts: wanted.save_facts.clone(),
        again: Again {
            program: wanted.program.split(' ').map(str::to_owned).collect(),
            project: target.project_flags(),
            hosts: target.host_flags(),
        },
    };
    let sandbox = Sandbox::new(cache, interrupt.clone())?;
    Ok((
        request,
        Host {
            sandbox,
            run,
            reporter,
            interrupt,
            project,
            plugins,
            copilot: None,
        },
    ))
}

/// The project in the current folder.
pub(super) fn read_project(
    target: &Target,
    environment: &Environment,
    reporter: &Reporter,
) -> Result<Project, DeployError> {
    let outside = Outside {
        environment: environment.variables.clone(),
        run: &|line, folder, variables| shell::run(line, folder, variables),
        docker_arch: &|| match std::env::consts::ARCH {
            "x86_64" => Ok("amd64".to_owned()),
            "aarch64" => Ok("arm64".to_owned()),
            other => Ok(other.to_owned()),
        },
    };
    let config_file = target.config_file.as_deref();
    Project::find(
        &environment.folder,
        config_file,
        target.destination.as_deref(),
        outside,
    )
    .map_err(|error| unread(*error, reporter))
}

/// Its `plimsoll.yml`; an empty one when there is none.
pub(super) fn read_configuration(
    project: &Project,
    reporter: &Reporter,
) -> Result<Configuration, DeployError> {
    let Some(file) = &project.configuration else {
        return Ok(Configuration::default());
    };
    Configuration::parse(&file.path, &file.text, &select::nameable()).map_err(|found| {
        let findings = found
            .iter()
            .map(|diagnostic| finding(diagnostic, &project.show(diagnostic)))
            .collect();
        shown(findings, reporter)
    })
}

fn finding(diagnostic: &Diagnostic, rendered: &str) -> Finding {
    Finding {
        diagnostic: diagnostic.into(),
        rendered: printable(rendered.trim_end()),
    }
}

fn shown(findings: Vec<Finding>, reporter: &Reporter) -> DeployError {
    findings
        .iter()
        .for_each(|finding| reporter.emit(&Event::Finding(finding)));
    DeployError::Findings(findings)
}

fn unread(error: FindError, reporter: &Reporter) -> DeployError {
    match &error.error {
        ManifestError::Invalid(diagnostic) => {
            shown(vec![finding(diagnostic, &error.show())], reporter)
        }
        other => DeployError::Project(other.to_string()),
    }
}

pub(super) fn unselected(
    error: SelectError,
    project: &Project,
    reporter: &Reporter,
) -> DeployError {
    match &error {
        SelectError::LockFile(diagnostic) => {
            let text = fs::read_to_string(project.path(crate::plugin::lockfile::LOCK_FILE))
                .unwrap_or_default();
            shown(
                vec![finding(
                    diagnostic,
                    &render_diagnostic(diagnostic, |_| Some(text.as_str())),
                )],
                reporter,
            )
        }
        SelectError::Unreadable { .. } | SelectError::Lock(_) => {
            DeployError::Project(error.to_string())
        }
    }
}

pub(super) fn secrets(project: &Project) -> SecretStore {
    let (root, variables) = (project.root.clone(), project.environment.clone());
    project.secrets(Box::new(move |line| substitute(line, &root, &variables)))
}

/// Names of the variables in containers that hold secrets.
fn secret_variables(uses: &[SecretUse]) -> Vec<String> {
    let variable = |secret: &SecretUse| match &secret.used {
        Use::ContainerEnv(name) => Some(name.clone()),
        Use::Registry | Use::Certificate | Use::SshKey | Use::Build => None,
    };
    uses.iter().filter_map(variable).collect()
}

fn ssh_config(section: &SshSection, secrets: &SecretStore, environment: &Environment) -> SshConfig {
    let key = |name: &String| match secrets.get(name) {
        Ok(secret) => Hidden::from(secret.expose()),
        // Kamal still takes the key itself here.
        Err(_) => Hidden::from(name.as_str()),
    };
    let jump = section.proxy.clone().map(Proxy::Jump);
    SshConfig {
        user: Some(section.user.clone()),
        port: Some(section.port),
        keys: section.keys.iter().map(Into::into).collect(),
        key_data: section.key_data.iter().map(key).collect(),
        keys_only: section.keys_only,
        proxy: jump.or_else(|| section.proxy_command.clone().map(Proxy::Command)),
        files: match &section.config {
            SshConfigFiles::Default => ConfigFiles::Default,
            SshConfigFiles::None => ConfigFiles::None,
            SshConfigFiles::Files(files) => {
                ConfigFiles::These(files.iter().map(Into::into).collect())
            }
        },
        home: Some(environment.home.clone()),
        ..SshConfig::default()
    }
}

/// Who deploys: git's user, else the login name.
pub(super) async fn performer(root: &Path, environment: &Environment) -> String {
    let email = match Repository::find(root).await {
        Ok(repository) => repository.user_email().await.ok().flatten(),
        Err(_) => None,
    };
    let login = || {
        environment
            .variable("USER")
            .or(environment.variable("LOGNAME"))
    };
    if let Some(known) = email.or_else(|| login().map(str::to_owned)) {
        return known;
    }
    let asked = Place::Local.exec(Command::new(["whoami"])).await;
    let name = asked.map(|output| output.text()).unwrap_or_default();
    if name.is_empty() {
        "unknown".to_owned()
    } else {
        name
    }
}

pub(super) fn journal_path(
    environment: &Environment,
    project: &Project,
    deployment_id: &str,
) -> std::path::PathBuf {
    let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now())
        .to_string()
        .replace(':', "");
    environment.state.join("journal").join(format!(
        "{now}-{}-{deployment_id}.jsonl",
        project.envelope.service
    ))
}

/// The key of fingerprints: made once for this user on this machine, readable by nobody else.
pub(super) fn fingerprint_key(state: &Path) -> Result<Vec<u8>, DeployError> {
    let path = state.join("fingerprint-key");
    let fail = |error: io::Error| {
        DeployError::Project(format!("failed to use {}: {error}", path.display()))
    };
    match fs::read(&path) {
        Ok(key) if key.len() == 32 => return Ok(key),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(fail(error)),
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state)
        .map_err(fail)?;
    let key = random(32)?;
    let fresh = state.join(format!("fingerprint-key.{}", std::process::id()));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)
        .map_err(fail)?;
    file.write_all(&key)
        .and_then(|()| file.sync_all())
        .map_err(fail)?;
    // Whoever comes first wins: all of this user's runs must agree.
    let linked = fs::hard_link(&fresh, &path);
    fs::remove_file(&fresh).map_err(fail)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::read(&path).map_err(fail),
        Err(error) => Err(fail(error)),
        Ok(()) => Ok(key),
    }
}

pub(super) fn random(bytes: usize) -> Result<Vec<u8>, DeployError> {
    let mut random = vec![0; bytes];
    let read = fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut random));
    read.map_err(|error| DeployError::Project(format!("failed to read /dev/urandom: {error}")))?;
    Ok(random)
}

pub(super) fn random_hex(bytes: usize) -> Result<String, DeployError> {
    Ok(random(bytes)?
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}
