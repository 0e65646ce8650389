//! The difference between what is there and what should be, by a differ without powers.

use super::{DeployError, Host};
use crate::capability::Stage;
use crate::wit::differ::exports::plimsoll::deploy::differ::{Difference, Input, Style};
use crate::wit::renderer::exports::plimsoll::deploy::renderer::Output;
use crate::wit::types::{Context, Document};

/// Not compared: what a driver keeps for its own plan, and the list of a site's files, which a template names by its digest.
const FOR_THE_PLAN: [&str; 2] = ["observed/", "assets/"];

/// Addresses of CloudFormation templates.
const TEMPLATE: &str = "stack/";

/// Compares. Templates come first, by themselves: alone they are shown as Copilot shows them.
///
/// # Errors
/// When the documents can't be compared.
pub async fn compare(
    host: &Host,
    context: &Context,
    observed: &[Document],
    rendered: &Output,
) -> Result<Difference, DeployError> {
    let compared = |templates: bool| {
        move |document: &&Document| {
            document.address.starts_with(TEMPLATE) == templates
                && !FOR_THE_PLAN
                    .iter()
                    .any(|prefix| document.address.starts_with(prefix))
        }
    };
    let mut whole = Difference {
        changes: Vec::new(),
        text: String::new(),
    };
    for templates in [true, false] {
        let of = |documents: &[Document]| -> Vec<Document> {
            let wanted = documents.iter().filter(compared(templates));
            wanted.cloned().collect()
        };
        let (observed, desired) = (of(observed), of(&rendered.documents));
        if observed.is_empty() && desired.is_empty() {
            continue;
        }
        let difference = compared_once(host, context, observed, desired).await?;
        whole.changes.extend(difference.changes);
        whole.text.push_str(&difference.text);
    }
    Ok(whole)
}

async fn compared_once(
    host: &Host,
    context: &Context,
    observed: Vec<Document>,
    desired: Vec<Document>,
) -> Result<Difference, DeployError> {
    let plugin = &host.plugins.differ;
    let (loaded, session) = host.ready(plugin, Stage::Pure)?;
    let input = Input {
        context: host.context(context, plugin),
        observed,
        desired,
        style: Style::Tree,
    };
    let difference = host.sandbox.diff(&loaded, session, input).await?;
    difference.map_err(|found| super::render::refused(host, found))
}
