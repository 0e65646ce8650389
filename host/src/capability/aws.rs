//! AWS for drivers: the deployment's account and region, with the environment's manager role.
//!
//! Stacks and change sets are in [`cloudformation`], uploads in [`s3`], services and what their tasks said in [`ecs`].

pub mod cloudformation;
pub mod ecs;
pub mod s3;

use std::sync::Arc;

use super::Session;
use super::run::Run;
use crate::grant::Denied;
use crate::wire::aws::cloudformation::{CloudFormation, Freshness};
use crate::wire::aws::ecs::Ecs;
use crate::wire::aws::logs::Logs;
use crate::wire::aws::s3::S3;
use crate::wire::aws::{self};
use crate::wit::types::CapError;

/// An account and a region, as one role reaches them. What gathers facts and what drivers call share it, and with it
/// what was read already.
#[derive(Clone)]
pub struct Aws {
    /// Twelve digits.
    pub account: String,
    /// `eu-west-1`
    pub region: String,
    /// Stacks.
    pub cloudformation: CloudFormation,
    /// Buckets.
    pub s3: S3,
    /// Services.
    pub ecs: Ecs,
    /// Logs.
    pub logs: Logs,
    /// For services without a client of their own.
    pub session: aws::Session,
}

impl Aws {
    /// Reaches what a session reaches; nothing is asked yet.
    pub fn new(session: &aws::Session, account: impl Into<String>) -> Self {
        Self {
            account: account.into(),
            region: session.region().to_owned(),
            cloudformation: CloudFormation::new(session),
            s3: S3::new(session),
            ecs: Ecs::new(session),
            logs: Logs::new(session),
            session: session.clone(),
        }
    }
}

/// The run's AWS, when the grants cover its account and region.
fn reach(session: &Session) -> Result<Arc<Aws>, CapError> {
    let aws = session
        .run
        .aws()
        .ok_or_else(|| CapError::Unavailable("this run reaches no AWS account".to_owned()))?;
    let grants = &session.grants;
    grants
        .covers_account(&aws.account)
        .and_then(|()| grants.covers_region(&aws.region))
        .map_err(|denied| session.deny(denied))?;
    Ok(aws)
}

/// While nothing may be changed, what was read before will do.
fn freshness(session: &Session) -> Freshness {
    match session.applying() {
        true => Freshness::Now,
        false => Freshness::Remembered,
    }
}

/// A stack that may be changed, or only looked at.
fn covers_looking(session: &Session, stack: &str) -> Result<(), Denied> {
    let grants = &session.grants;
    grants
        .covers_stack(stack)
        .or_else(|_| grants.covers_observed_stack(stack))
}

/// A text of the approved plan with its slots (`<slot:NAME>`) filled in.
///
/// # Errors
/// When one is not filled yet.
pub fn filled(run: &Run, text: &str) -> Result<String, CapError> {
    const BEGIN: &str = "<slot:";
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (name, behind) = after
            .split_once('>')
            .ok_or_else(|| CapError::Other("a slot in a document does not end".to_owned()))?;
        result.push_str(before);
        result.push_str(&run.slot(name)?);
        rest = behind;
    }
    result.push_str(rest);
    Ok(result)
}
