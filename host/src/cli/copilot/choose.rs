//! What was not said on the command line: asked for, or the only one there is. Nobody is asked without a terminal.

use std::collections::BTreeSet;

use super::Kind;
use crate::manifest::copilot::Workspace;
use crate::pipeline::DeployError;
use crate::pipeline::copilot::Records;
use crate::report::Reporter;
use crate::wire::aws::Session;
use crate::wire::aws::sts::Caller;

/// What a deployment is about.
pub(super) struct Chosen {
    /// The application, the environment, and what is initialised.
    pub(super) records: Records,
    /// Who calls.
    pub(super) caller: Caller,
    /// The environment.
    pub(super) environment: String,
}

/// Reads the application's records, one round trip, and finds the environment. A workload that is named must be one.
///
/// # Errors
/// When something is missing, or can't be chosen.
pub(super) async fn environment(
    session: &Session,
    reporter: &Reporter,
    workspace: &Workspace,
    environment: Option<&str>,
    workload: Option<&str>,
) -> Result<Chosen, DeployError> {
    if let Some(name) = workload
        && workspace.kind(name).is_none()
    {
        // Said before anything is asked of AWS.
        workspace
            .files(name)
            .map_err(|error| DeployError::Project(error.to_string()))?;
    }
    let (caller, records) = tokio::join!(
        session.caller(),
        Records::read(session, &workspace.application, environment, workload)
    );
    let caller = caller.map_err(DeployError::Aws)?;
    let records = records?;
    let environment = match environment {
        Some(name) => name.to_owned(),
        None => {
            let names: Vec<String> = records.environments.keys().cloned().collect();
            one(
                reporter,
                "Select an environment",
                "--env",
                &names,
                &format!(
                    "application `{}` has no environment\nhint: make one with `copilot env init`",
                    workspace.application
                ),
            )?
        }
    };
    Ok(Chosen {
        records,
        caller,
        environment,
    })
}

/// Workloads of this workspace that are initialised in the application, of one kind or of any.
pub(super) fn initialised(
    workspace: &Workspace,
    records: &Records,
    kind: Option<Kind>,
) -> Vec<String> {
    let local = workspace.workloads().into_iter();
    local
        .filter(|name| match records.components.get(name) {
            Some(component) => kind.is_none_or(|kind| Kind::of(&component.kind) == kind),
            None => false,
        })
        .collect()
}

/// The workload to deploy.
///
/// # Errors
/// When there is none, or nobody can say which.
pub(super) fn workload(
    reporter: &Reporter,
    workspace: &Workspace,
    chosen: &Chosen,
    kind: Kind,
) -> Result<String, DeployError> {
    let names = initialised(workspace, &chosen.records, Some(kind));
    let (noun, group) = (kind.noun(), kind.group());
    one(
        reporter,
        &format!("Select a {noun} in your workspace"),
        "--name",
        &names,
        &format!(
            "no {noun} of this workspace is initialised in application `{}`\nhint: do that with `copilot {group} init`",
            workspace.application
        ),
    )
}

/// One of several; of one, that one.
fn one(
    reporter: &Reporter,
    question: &str,
    flag: &str,
    options: &[String],
    none: &str,
) -> Result<String, DeployError> {
    match options {
        [] => Err(DeployError::Project(none.to_owned())),
        [only] => {
            reporter.aside(&format!("Only found one option, defaulting to: {only}"));
            Ok(only.clone())
        }
        several if reporter.can_ask() => match reporter.pick(question, several) {
            Some(index) => Ok(several[index].clone()),
            None => Err(DeployError::NotApproved(
                "nothing was chosen; nothing was changed".to_owned(),
            )),
        },
        several => Err(unasked(question, flag, several)),
    }
}

/// Several at once, each once, in the order of choice.
///
/// # Errors
/// When nobody is there to choose.
pub(super) fn some(
    reporter: &Reporter,
    question: &str,
    flag: &str,
    options: &[String],
) -> Result<Vec<String>, DeployError> {
    if !reporter.can_ask() {
        return Err(unasked(question, flag, options));
    }
    let mut seen = BTreeSet::new();
    let chosen = reporter.pick_some(question, options);
    let chosen = chosen.into_iter().filter(|index| seen.insert(*index));
    Ok(chosen.map(|index| options[index].clone()).collect())
}

fn unasked(question: &str, flag: &str, options: &[String]) -> DeployError {
    let what = question.trim_start_matches("Select ").to_lowercase();
    DeployError::Project(format!(
        "nobody is there to select {what}\nhint: name it with {flag}: {}",
        options.join(", ")
    ))
}
