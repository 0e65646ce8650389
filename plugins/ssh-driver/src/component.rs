//! The driver as a component: translation to and from the WIT, and what touches the world.
//!
//! * [`observe`]: reads hosts.
//! * [`reader`]: what is read of an Engine.
//! * [`world`]: connections, and the one place where calls are made.
//! * [`apply`]: carries out approved steps; [`boot`] one of them, the one that matters.
//! * [`show`]: requests that only look.
//! * [`trouble`]: why a deploy stops.
//! * [`convert`]: WIT values.

mod apply;
mod boot;
mod convert;
mod observe;
mod reader;
mod show;
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

use bindings::exports::plimsoll::deploy::driver::{
    Failure, Guest, Outcome, Proposal, Report, Step,
};
use bindings::plimsoll::deploy::types::{Change, Context, Document};

use crate::desired::{Desired, DocumentError, parse};
use crate::facts::HostFacts;
use crate::plan;
use crate::request::{Command, Request};

struct Driver;

impl Guest for Driver {
    async fn observe(context: Context, desired: Vec<Document>) -> Result<Vec<Document>, Failure> {
        let request = request(&context)?;
        observe::observe(&request, &read(&request, &desired)?, &desired)
            .await
            .map_err(Failure::Capability)
    }

    async fn plan(
        context: Context,
        observed: Vec<Document>,
        desired: Vec<Document>,
        changes: Vec<Change>,
    ) -> Result<Proposal, Failure> {
        let request = request(&context)?;
        let input = plan::Input {
            request: &request,
            desired: &read(&request, &desired)?,
            facts: &facts(&observed).map_err(refused)?,
            changed: &changes.into_iter().map(|change| change.address).collect(),
            deployment_id: &context.deployment_id,
        };
        plan::plan(&input)
            .map(convert::proposal)
            .map_err(|refusal| Failure::Refused(refusal.to_string()))
    }

    async fn apply(
        context: Context,
        desired: Vec<Document>,
        steps: Vec<Step>,
    ) -> Result<Outcome, Failure> {
        let request = request(&context)?;
        let steps = steps
            .iter()
            .map(convert::step)
            .collect::<Result<Vec<_>, _>>()
            .map_err(refused)?;
        apply::apply(read(&request, &desired)?, steps, request.raw).await
    }

    async fn show(context: Context, desired: Vec<Document>) -> Result<Vec<Report>, Failure> {
        let request = request(&context)?;
        let Command::Show(what) = &request.command else {
            return Err(Failure::Refused(
                "this command changes something: it has to be planned".to_owned(),
            ));
        };
        show::show(&request, what, &read(&request, &desired)?)
            .await
            .map_err(Failure::Capability)
    }
}

fn request(context: &Context) -> Result<Request, Failure> {
    Request::parse(&context.request).map_err(|error| Failure::Refused(error.to_string()))
}

/// The documents, at the version that the request is about.
fn read(request: &Request, documents: &[Document]) -> Result<Desired, Failure> {
    let desired = Desired::parse(
        documents
            .iter()
            .map(|document| (&*document.address, &*document.body)),
    )
    .map_err(refused)?;
    Ok(match request.version(desired.latest_version()) {
        Some(version) => desired.at_version(&version),
        None => desired,
    })
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
