//! `svc deploy` and `job deploy`.

use std::process::ExitCode;
use std::sync::Arc;

use super::arguments::DeployArguments;
use super::start::{Consent, Place, Ready};
use super::{Called, Kind};
use super::{choose, outcome, start};
use crate::cli::environment::Environment;
use crate::interrupt::Interrupt;
use crate::manifest::copilot::Workspace;
use crate::pipeline::{DeployError, deploy as pipeline};
use crate::report::{Format, Reporter, Verbosity};

/// Runs the command to its exit code.
pub(super) fn deploy(called: Called, kind: Kind, arguments: &DeployArguments) -> ExitCode {
    let consent = Consent {
        yes: arguments.yes || arguments.shared.diff_yes || (called.as_copilot && !arguments.diff),
        diff: arguments.diff || arguments.shared.diff_yes,
    };
    let format = match arguments.json {
        true => Format::Json,
        false => Format::Text,
    };
    run(called, format, async |environment, reporter| {
        one(&environment, &reporter, kind, arguments, consent).await
    })
}

async fn one(
    environment: &Environment,
    reporter: &Arc<Reporter>,
    kind: Kind,
    arguments: &DeployArguments,
    consent: Consent,
) -> Result<(), DeployError> {
    let flags = &arguments.shared;
    let workspace =
        Workspace::find(&environment.folder, flags.app.as_deref()).map_err(start::lost)?;
    let session = start::session(reporter).await?;
    let name = arguments.name.as_deref();
    let chosen =
        choose::environment(&session, reporter, &workspace, flags.env.as_deref(), name).await?;
    let name = match name {
        Some(name) => name.to_owned(),
        None => choose::workload(reporter, &workspace, &chosen, kind)?,
    };
    let place = Place {
        environment,
        reporter,
        workspace: &workspace,
        session: &session,
        interrupt: &Interrupt::default(),
    };
    fits(&chosen.records, &name, kind, flags.force)?;
    let command = format!("{} deploy", kind.group());
    let ready = start::ready(&place, &chosen, &name, flags, consent, &command).await?;
    carry_out(&ready, &name, kind).await
}

/// A service is no job, and a static site has no tasks to start anew.
pub(super) fn fits(
    records: &crate::pipeline::copilot::Records,
    name: &str,
    kind: Kind,
    force: bool,
) -> Result<(), DeployError> {
    let found = records
        .components
        .get(name)
        .map(|found| found.kind.as_str());
    let found = found.unwrap_or_default();
    let own = Kind::of(found);
    if own != kind {
        return Err(DeployError::Project(format!(
            "`{name}` is a {}, not a {}\nhint: use `{} deploy --name {name}`",
            own.noun(),
            kind.noun(),
            own.group()
        )));
    }
    if force && found == "Static Site" {
        return Err(DeployError::Project(
            "--force is not supported for service type \"Static Site\"\nhint: leave it out: a changed file is deployed anyway"
                .to_owned(),
        ));
    }
    Ok(())
}

/// Deploys what is ready, and says how it ended.
pub(super) async fn carry_out(ready: &Ready, name: &str, kind: Kind) -> Result<(), DeployError> {
    let verdict = pipeline::deploy(&ready.request, &ready.host).await?;
    outcome::tell(ready, name, kind, &verdict).await;
    Ok(())
}

/// Runs a command that reaches AWS, with its runtime, to its exit code.
pub(super) fn run(
    called: Called,
    format: Format,
    command: impl AsyncFnOnce(Environment, Arc<Reporter>) -> Result<(), DeployError>,
) -> ExitCode {
    let environment = match Environment::read() {
        Ok(environment) => environment,
        Err(error) => return crate::cli::failed(&error.to_string()),
    };
    // Copilot says less, too, where nobody follows along.
    let unattended = environment.variable("CI") == Some("true");
    let reporter = Reporter::new(format, Verbosity::Normal, environment.colour());
    let reporter = Arc::new(reporter.unattended(unattended));
    let runtime = match (called.runtime)() {
        Ok(runtime) => runtime,
        Err(error) => return crate::cli::failed(&format!("failed to start the runtime: {error}")),
    };
    let result = runtime.block_on(command(environment, reporter.clone()));
    // Calls that outlived an interruption are in the journal as begun; nobody waits for them.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(DeployError::Declined) => ExitCode::SUCCESS,
        Err(error) => {
            reporter.error(&in_words(&error), &error.hints());
            match error.is_interruption() {
                true => ExitCode::from(130),
                false => ExitCode::FAILURE,
            }
        }
    }
}

/// With the state that is left: before a driver drives nothing is changed, and a driver says itself how far it came.
fn in_words(error: &DeployError) -> String {
    const NOTHING: &str = "nothing was changed";
    let text = error.to_string();
    let is_early = matches!(
        error,
        DeployError::Wire { .. }
            | DeployError::Aws(_)
            | DeployError::Project(_)
            | DeployError::Sandbox(_)
            | DeployError::NoImage { .. }
            | DeployError::Overreach { .. }
            | DeployError::Plan { .. }
    );
    if !is_early || text.contains(NOTHING) {
        return text;
    }
    match text.split_once('\n') {
        Some((first, rest)) => format!("{first}; {NOTHING}\n{rest}"),
        None => format!("{text}; {NOTHING}"),
    }
}
