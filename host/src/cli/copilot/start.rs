//! From what was chosen to a host that is ready: facts gathered, plugins checked, powers cut to the workload.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::arguments::Shared;
use super::choose::Chosen;
use crate::capability::Run;
use crate::capability::hosts::Hosts;
use crate::capability::run::Parts;
use crate::cli::environment::Environment;
use crate::cli::start::{
    fingerprint_key, journal_path, performer, random, random_hex, read_configuration, unselected,
};
use crate::grant::Grants;
use crate::grant::derive::Workload;
use crate::interrupt::Interrupt;
use crate::manifest::copilot::given_away::GivenAway;
use crate::manifest::copilot::{WorkloadFile, Workspace, WorkspaceError};
use crate::manifest::tree::Node;
use crate::pipeline::copilot::{Gathered, Known, Target, Wanted, gather};
use crate::pipeline::package::{Package, Pure};
use crate::pipeline::recovery::Again;
use crate::pipeline::{DeployError, Goal, Host, Request};
use crate::plugin::Plugins;
use crate::plugin::select;
use crate::report::Reporter;
use crate::sandbox::Sandbox;
use crate::sandbox::aot::Cache;
use crate::secret::SecretStore;
use crate::wire::SshConfig;
use crate::wire::aws::Session;
use crate::wire::aws::session::AskForCode;

/// What a command stands on: the surroundings, the workspace, the user's session.
pub(super) struct Place<'a> {
    pub(super) environment: &'a Environment,
    pub(super) reporter: &'a Arc<Reporter>,
    pub(super) workspace: &'a Workspace,
    pub(super) session: &'a Session,
    /// Ctrl-C, for all workloads of this command.
    pub(super) interrupt: &'a Interrupt,
}

/// A workload that is ready to be deployed.
pub(super) struct Ready {
    pub(super) request: Request,
    pub(super) host: Host,
    pub(super) gathered: Gathered,
}

impl Ready {
    /// It has no tasks.
    pub(super) fn is_static_site(&self) -> bool {
        let manifest = self.host.project.files.first();
        let root = manifest.and_then(|file| Node::parse(&file.path, &file.text).ok());
        let kind = root.and_then(|root| root.get("type")?.text().map(str::to_owned));
        kind.as_deref() == Some("Static Site")
    }
}

/// How a deployment is approved.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Consent {
    /// Without asking.
    pub(super) yes: bool,
    /// `--diff`: the difference, then Copilot's own question.
    pub(super) diff: bool,
}

/// The user's session, as the SDK's settings have it.
///
/// # Errors
/// When there is no region.
pub(super) async fn session(reporter: &Arc<Reporter>) -> Result<Session, DeployError> {
    let asking = reporter.clone();
    let ask: AskForCode = Arc::new(move |serial| asking.ask_for(&format!("MFA code of {serial}")));
    Session::open(ask).await.map_err(DeployError::Aws)
}

/// What the manifest of a workload refers to, and everything that AWS says of it.
///
/// # Errors
/// When the manifest can't be read, or something that a deployment needs is missing.
pub(super) async fn facts(
    place: &Place<'_>,
    chosen: &Chosen,
    workload: &str,
    tag: Option<&str>,
    tags: &BTreeMap<String, String>,
    allow_downgrade: bool,
) -> Result<(Known, Gathered), DeployError> {
    let files = place.workspace.files(workload).map_err(lost)?;
    let mut known = Known {
        workspace: place.workspace.clone(),
        given: given_away(
            place.workspace,
            &chosen.environment,
            &files,
            place.environment,
        ),
        facts: json!({}),
        secrets: Map::new(),
        strict: false,
        kind: None,
    };
    let pure = pure(place.environment, place.reporter)?;
    let package = Package {
        files,
        environment: chosen.environment.clone(),
        known: &known,
    };
    let needs = pure.needs(&super::package::renderer(), &package).await?;
    let gathered = gather(
        place.session,
        &chosen.caller,
        &chosen.records,
        &Wanted {
            environment: &chosen.environment,
            workload,
            needs: &needs,
            root: &place.workspace.root,
            tag,
            resource_tags: tags,
            allow_downgrade,
            unique_id: uuid()?,
        },
    )
    .await?;
    known.facts = gathered.facts.clone();
    known.secrets = gathered.secrets.clone();
    Ok((known, gathered))
}

/// A host that is ready to deploy a workload.
///
/// # Errors
/// When the project can't be read, a plugin is not what was locked, or something that a deployment needs is missing.
pub(super) async fn ready(
    place: &Place<'_>,
    chosen: &Chosen,
    workload: &str,
    flags: &Shared,
    consent: Consent,
    command: &str,
) -> Result<Ready, DeployError> {
    let (environment, reporter) = (place.environment, place.reporter);
    let project = place
        .workspace
        .project(workload, &chosen.environment, &environment.variables)
        .map_err(lost)?;
    let (known, gathered) = facts(
        place,
        chosen,
        workload,
        flags.tag.as_deref(),
        &flags.tags(),
        flags.allow_downgrade,
    )
    .await?;
    let configuration = read_configuration(&project, reporter)?;
    let derived = powers(&known, workload, &gathered);
    let plugins = Plugins::of(&project.root, &configuration, &derived, select::Target::Ecs)
        .map_err(|error| unselected(error, &project, reporter))?;
    let interrupt = place.interrupt.beside();
    let cache = Cache::new(environment.aot.clone(), environment.executable.clone());
    let deployment_id = random_hex(6)?;
    let run = Run::new(Parts {
        reporter: reporter.clone(),
        interrupt: interrupt.clone(),
        journal: journal_path(environment, &project, &deployment_id),
        hosts: Hosts::new(SshConfig::default()),
        secrets: no_secrets(),
        fingerprint_key: fingerprint_key(&environment.state)?,
        secret_variables: Vec::new(),
        also_hidden: Vec::new(),
        files: Default::default(),
        hooks: project.root.clone(),
        performer: performer(&project.root, environment).await,
        project: project.root.clone(),
    });
    run.reach(gathered.aws.clone());
    let version = gathered.image_tag.clone();
    let request = Request {
        goal: Goal::Deploy,
        deployment_id,
        asked: asked(command, flags),
        version: Some(version.unwrap_or_else(|| "latest".to_owned())),
        destination: Some(chosen.environment.clone()),
        shows_plan: true,
        yes: consent.yes,
        diff: consent.diff,
        skip_push: false,
        skip_hooks: true,
        no_cache: false,
        hosts: Vec::new(),
        roles: Vec::new(),
        primary: false,
        facts: None,
        save_facts: None,
        // Nobody goes on with this, or back, by a command of the same kind.
        again: Again::default(),
    };
    let sandbox = Sandbox::new(cache, interrupt.clone())?;
    let target = Target {
        known,
        repository: gathered.repository.clone(),
        user: gathered.user.clone(),
    };
    let host = Host {
        sandbox,
        run,
        reporter: reporter.clone(),
        interrupt,
        project,
        plugins,
        copilot: Some(target),
    };
    Ok(Ready {
        request,
        host,
        gathered,
    })
}

/// What renderer and driver are told that the user asked for.
fn asked(command: &str, flags: &Shared) -> Json {
    json!({
        "command": command,
        "force": flags.force,
        "no-rollback": flags.no_rollback,
        "detach": flags.detach,
        "allow-downgrade": flags.allow_downgrade,
    })
}

/// What the workload's own files name.
pub(super) fn given_away(
    workspace: &Workspace,
    environment: &str,
    files: &[WorkloadFile],
    surroundings: &Environment,
) -> GivenAway {
    let (root, application) = (&workspace.root, &workspace.application);
    GivenAway::read(
        root,
        application,
        environment,
        files,
        &surroundings.variables,
    )
}

/// What the workload's own driver may do.
fn powers(known: &Known, workload: &str, gathered: &Gathered) -> Grants {
    let root = &known.workspace.root;
    let named = known.given.files.iter().chain(&known.given.assets);
    let files: Vec<String> = named
        .map(|path| match root.join(path).is_dir() {
            true => format!("{}/", path.trim_end_matches('/')),
            false => path.clone(),
        })
        .collect();
    let role = &gathered.environment.execution_role;
    Grants::from_workload(
        "",
        &Workload {
            account: &gathered.environment.account,
            region: &gathered.environment.region,
            application: &gathered.application.name,
            environment: &gathered.environment.name,
            name: workload,
            bucket: &gathered.bucket,
            execution_role: (!role.is_empty()).then_some(role.as_str()),
            files: &files,
        },
    )
}

/// Components without powers.
///
/// # Errors
/// When the sandbox can't be made.
pub(in crate::cli) fn pure(
    environment: &Environment,
    reporter: &Arc<Reporter>,
) -> Result<Pure, DeployError> {
    let interrupt = Interrupt::default();
    let cache = Cache::new(environment.aot.clone(), environment.executable.clone());
    let run = Run::new(Parts {
        reporter: reporter.clone(),
        interrupt: interrupt.clone(),
        journal: environment.state.join("journal/package.jsonl"),
        hosts: Hosts::new(SshConfig::default()),
        secrets: no_secrets(),
        fingerprint_key: Vec::new(),
        secret_variables: Vec::new(),
        also_hidden: Vec::new(),
        files: Default::default(),
        project: environment.folder.clone(),
        hooks: environment.folder.clone(),
        performer: String::new(),
    });
    Ok(Pure {
        sandbox: Sandbox::new(cache, interrupt)?,
        run,
    })
}

fn no_secrets() -> SecretStore {
    SecretStore::new(
        Vec::new(),
        Vec::new(),
        BTreeMap::new(),
        Box::new(|_| Err("no commands here".to_owned())),
    )
}

/// A workspace's error.
pub(super) fn lost(error: WorkspaceError) -> DeployError {
    DeployError::Project(error.to_string())
}

/// A random UUID (version 4).
fn uuid() -> Result<String, DeployError> {
    let mut bytes = random(16)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok([
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-"))
}
