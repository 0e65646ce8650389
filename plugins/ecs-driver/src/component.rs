//! The component: what touches AWS. It carries out promised calls, and looks.

mod apply;
mod convert;
mod force;
mod observe;
mod show;
mod watch;

/// What `wit-bindgen` makes of `wit/`.
#[expect(unsafe_code, reason = "generated: the canonical ABI is pointers")]
mod bindings {
    wit_bindgen::generate!({ world: "driver-plugin", path: "../../wit" });
    use super::Driver;
    export!(Driver);
}

use bindings::exports::plimsoll::deploy::driver::{
    Failure, Guest, Outcome, Proposal, Report, Step,
};
use bindings::plimsoll::deploy::types::{Change, Context, Document};

use crate::deployment::{Desired, DocumentError, Request, parse};
use crate::observed::Facts;
use crate::plan;

struct Driver;

impl Guest for Driver {
    async fn observe(_context: Context, desired: Vec<Document>) -> Result<Vec<Document>, Failure> {
        observe::observe(&read(&desired)?, &desired)
            .await
            .map_err(Failure::Capability)
    }

    async fn plan(
        context: Context,
        observed: Vec<Document>,
        desired: Vec<Document>,
        changes: Vec<Change>,
    ) -> Result<Proposal, Failure> {
        let desired = read(&desired)?;
        let find = |address: &str| observed.iter().find(|document| document.address == address);
        let address = format!("{}{}", Facts::PREFIX, desired.deployment.workload);
        let facts: Facts = match find(&address) {
            Some(document) => parse(&address, &document.body).map_err(refused)?,
            None => Facts::default(),
        };
        let deployed = find(&desired.address("stack"));
        let changes: Vec<(String, String)> = changes
            .into_iter()
            .map(|change| (change.address, change.pointer))
            .collect();
        let input = plan::Input {
            desired: &desired,
            stack: facts.stack.as_ref(),
            deployed: deployed.map(|document| document.body.as_str()),
            changes: &changes,
            request: &Request::parse(&context.request).map_err(refused)?,
            deployment_id: &context.deployment_id,
        };
        plan::plan(&input)
            .map(convert::proposal)
            .map_err(Failure::Refused)
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

    async fn show(_context: Context, desired: Vec<Document>) -> Result<Vec<Report>, Failure> {
        show::show(&read(&desired)?)
            .await
            .map_err(Failure::Capability)
    }
}

fn read(documents: &[Document]) -> Result<Desired, Failure> {
    let documents = documents
        .iter()
        .map(|document| (&*document.address, &*document.body));
    Desired::parse(documents).map_err(refused)
}

fn refused(error: DocumentError) -> Failure {
    Failure::Refused(format!("failed to {error}"))
}
