//! The difference between what is there and what should be, by a differ without powers.

use super::{DeployError, Host};
use crate::capability::Stage;
use crate::wit::differ::exports::plimsoll::deploy::differ::{Difference, Input, Style};
use crate::wit::renderer::exports::plimsoll::deploy::renderer::Output;
use crate::wit::types::{Context, Document};

/// Addresses that a driver keeps for its own plan: not compared.
const FOR_THE_PLAN: &str = "observed/";

/// Compares.
///
/// # Errors
/// When the documents can't be compared.
pub async fn compare(
    host: &Host,
    context: &Context,
    observed: &[Document],
    rendered: &Output,
) -> Result<Difference, DeployError> {
    let plugin = &host.plugins.differ;
    let (loaded, session) = host.ready(plugin, Stage::Pure)?;
    let input = Input {
        context: host.context(context, plugin),
        observed: observed
            .iter()
            .filter(|document| !document.address.starts_with(FOR_THE_PLAN))
            .cloned()
            .collect(),
        desired: rendered.documents.clone(),
        style: Style::Tree,
    };
    let difference = host.sandbox.diff(&loaded, session, input).await?;
    difference.map_err(|found| DeployError::Findings(super::render::findings(host, found)))
}
