//! Reads what is deployed into documents: stack and template at once, and the addons only when they are others.

use futures::future::join;

use super::bindings::plimsoll::deploy::cloudformation::Stack;
use super::bindings::plimsoll::deploy::types::{CapError, Document};
use super::convert;
use crate::deployment::{Deployment, Desired, json};
use crate::observed::{self, Facts, Live};

/// Documents with the addresses and the shape of the desired ones, and the facts for the plan.
pub(super) async fn observe(
    desired: &Desired,
    documents: &[Document],
) -> Result<Vec<Document>, CapError> {
    let live = read(desired).await?;
    let workload = &desired.deployment.workload;
    let mut found = vec![Document {
        address: format!("{}{workload}", Facts::PREFIX),
        media_type: "application/vnd.plimsoll.stack+json".to_owned(),
        body: json(&Facts {
            stack: live.stack.clone(),
        }),
    }];
    for document in documents {
        found.extend(observed(desired, &live, document));
    }
    Ok(found)
}

async fn read(desired: &Desired) -> Result<Live, CapError> {
    let stack = Stack::open(&desired.deployment.stack)?;
    let (state, template) = join(stack.describe(), stack.template()).await;
    let Some(state) = state? else {
        return Ok(Live::default());
    };
    let mut live = convert::live(state);
    if observed::is_deployed(live.stack.as_ref()) {
        live.template = template?;
        live.addons = match observed::has_same_addons(desired, &live.parameters) {
            true => desired.addons.clone(),
            false if observed::has_addons(&live.parameters) => {
                stack.linked_template(observed::ADDONS.to_owned()).await?
            }
            false => None,
        };
    }
    Ok(live)
}

/// A desired document as it is deployed; none when it is not.
fn observed(desired: &Desired, live: &Live, document: &Document) -> Option<Document> {
    // Where something belongs is no part of what it is.
    if document.address.starts_with(Deployment::PREFIX) {
        return Some(document.clone());
    }
    let deployed = live.template.as_ref()?;
    let body = match document.address.split('/').next()? {
        "stack" => observed::template(desired, deployed),
        "parameters" => json(&observed::inputs(desired, live)),
        "addons" => live.addons.clone()?,
        _ => return None,
    };
    Some(Document {
        body,
        ..document.clone()
    })
}
