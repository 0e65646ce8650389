//! The driver as a component: translation to and from the WIT, and what touches the world.
//!
//! * [`observe`]: reads hosts.
//! * [`reader`]: what is read of an Engine.
//! * [`world`]: connections, and the one place where calls are made.
//! * [`apply`]: carries out approved steps; [`boot`] one of them, the one that matters.
//! * [`trouble`]: why a deploy stops.
//! * [`convert`]: WIT values.

mod apply;
mod boot;
mod convert;
mod observe;
mod reader;
mod trouble;
mod world;

/// What `wit-bindgen` makes of `wit/`.
#[expect(unsafe_code, reason = "generated: the canonical ABI is pointers")]
mod bindings {
    wit_bindgen::generate!({ world: "driver-plugin", path: "../../wit" });
    use super::Driver;
    export!(Driver);
}

use std::collections::BTreeMap;

use bindings::exports::plimsoll::deploy::driver::{Failure, Guest, Outcome, Proposal, Step};
use bindings::plimsoll::deploy::types::{Change, Context, Document};

use crate::desired::{Desired, DocumentError, parse};
use crate::facts::HostFacts;
use crate::plan;

struct Driver;

impl Guest for Driver {
    async fn observe(_context: Context, desired: Vec<Document>) -> Result<Vec<Document>, Failure> {
        observe::observe(&read(&desired)?)
            .await
            .map_err(Failure::Capability)
    }

    async fn plan(
        context: Context,
        observed: Vec<Document>,
        desired: Vec<Document>,
        changes: Vec<Change>,
    ) -> Result<Proposal, Failure> {
        let input = plan::Input {
            desired: &read(&desired)?,
            facts: &facts(&observed).map_err(refused)?,
            changed: &changes.into_iter().map(|change| change.address).collect(),
            deployment_id: &context.deployment_id,
        };
        plan::plan(&input)
            .map(convert::proposal)
            .map_err(|refusal| Failure::Refused(refusal.to_string()))
    }

    async fn apply(
        _context: Context,
        desired: Vec<Document>,
        steps: Vec<Step>,
    ) -> Result<Outcome, Failure> {
        let steps = steps
            .iter()
            .map(convert::step)
            .collect::<Result<Vec<_>, _>>()
            .map_err(refused)?;
        apply::apply(read(&desired)?, steps).await
    }
}

fn read(documents: &[Document]) -> Result<Desired, Failure> {
    Desired::parse(
        documents
            .iter()
            .map(|document| (&*document.address, &*document.body)),
    )
    .map_err(refused)
}

fn facts(observed: &[Document]) -> Result<BTreeMap<String, HostFacts>, DocumentError> {
    let hosts = observed
        .iter()
        .filter_map(|document| Some((HostFacts::parse_address(&document.address)?, document)));
    hosts
        .map(|(host, document)| Ok((host.to_owned(), parse(&document.address, &document.body)?)))
        .collect()
}

fn refused(error: DocumentError) -> Failure {
    Failure::Refused(format!("failed to {error}"))
}
