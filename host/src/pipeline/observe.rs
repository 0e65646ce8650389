//! What is there, and what has to be done about it: the driver with powers to read.

use serde_json::json;

use super::{DeployError, Host, Request, facts};
use crate::capability::Stage;
use crate::capability::hook::run_hook;
use crate::plan::Promises;
use crate::report::Event;
use crate::wit::differ::exports::plimsoll::deploy::differ::Difference;
use crate::wit::driver::exports::plimsoll::deploy::driver::Step;
use crate::wit::renderer::exports::plimsoll::deploy::renderer::Output;
use crate::wit::types::{Context, Document};

/// Reads the world, or a recorded observation of it.
///
/// # Errors
/// When a hook before it fails, or a server does not answer.
pub async fn observe(
    request: &Request,
    host: &Host,
    context: &Context,
    rendered: &Output,
) -> Result<Vec<Document>, DeployError> {
    if let Some(path) = &request.facts {
        return facts::read(path);
    }
    run_hooks(host, rendered, "before-observe").await?;
    host.stage("observe", "Looking at what runs now");
    host.read_secrets().await?;
    let plugin = &host.plugins.driver;
    let (loaded, session) = host.ready(plugin, Stage::Reading)?;
    let observing = host.sandbox.observe(
        &loaded,
        session,
        host.context(context, plugin),
        rendered.documents.clone(),
    );
    let observed = observing.await?.map_err(DeployError::from_failure)?;
    if let Some(path) = &request.save_facts {
        facts::write(path, &observed)?;
    }
    Ok(observed)
}

/// Asks the driver for the steps.
///
/// # Errors
/// When it refuses, or its plan can't be held to.
pub async fn plan_steps(
    host: &Host,
    context: &Context,
    observed: &[Document],
    rendered: &Output,
    difference: &Difference,
) -> Result<Vec<Step>, DeployError> {
    let plugin = &host.plugins.driver;
    let (loaded, session) = host.ready(plugin, Stage::Reading)?;
    let planning = host.sandbox.plan(
        &loaded,
        session,
        host.context(context, plugin),
        observed.to_vec(),
        rendered.documents.clone(),
        difference.changes.clone(),
    );
    let proposal = planning.await?.map_err(DeployError::from_failure)?;
    for finding in super::render::findings(host, proposal.diagnostics) {
        host.reporter.emit(&Event::Finding(&finding));
    }
    let effects = proposal.steps.iter().flat_map(|step| &step.effects);
    Promises::of(effects).map_err(|why| DeployError::Plan {
        plugin: plugin.name.clone(),
        why,
    })?;
    Ok(proposal.steps)
}

/// Runs the project's hooks of a moment that the host runs itself.
pub(super) async fn run_hooks(
    host: &Host,
    rendered: &Output,
    moment: &str,
) -> Result<(), DeployError> {
    for point in rendered.hooks.iter().filter(|point| point.moment == moment) {
        host.stage("hook", format!("Running hook {}", point.name));
        let entry = json!({"plugin": "host", "operation": "hook.run", "subject": point.name, "moment": moment});
        host.run.journal.write("intent", &entry).map_err(|error| {
            DeployError::Project(format!(
                "failed to write the journal {}: {error}",
                host.run.journal.path().display()
            ))
        })?;
        let output = run_hook(&host.run, &point.name, &point.env)
            .await
            .map_err(DeployError::Capability)?;
        if output.code != 0 {
            return Err(DeployError::Hook {
                name: point.name.clone(),
                code: output.code,
                text: output.text,
            });
        }
    }
    Ok(())
}
