//! [`Plan`] → [`ApprovedPlan`] → [`BoundPlan`]. Only [`Plan::approve`] makes an approved plan, only an approved
//! plan can be bound, and only a bound plan is driven.

use std::collections::BTreeMap;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::canonical;
use crate::wit::driver::exports::plimsoll::deploy::driver::Step;
use crate::wit::renderer::exports::plimsoll::deploy::renderer::{Image, Output};
use crate::wit::types::{Change, Context, Document, Effect};

/// Everything that would be done, decided and not yet approved.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The run it belongs to.
    pub context: Context,
    /// What the renderer made.
    pub rendered: Output,
    /// What was there.
    pub observed: Vec<Document>,
    /// The difference as data.
    pub changes: Vec<Change>,
    /// The difference for people.
    pub difference: String,
    /// What will be done, in order.
    pub steps: Vec<Step>,
    digest: String,
}

/// How approval was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// A person answered at the terminal.
    Asked,
    /// `--yes`.
    Given,
}

/// A plan that somebody approved.
#[derive(Clone, Debug)]
pub struct ApprovedPlan {
    plan: Plan,
    consent: Consent,
}

/// An approved plan whose image slots are filled.
#[derive(Clone, Debug)]
pub struct BoundPlan {
    approved: ApprovedPlan,
    slots: BTreeMap<String, String>,
}

impl Plan {
    /// Seals a plan: its digest covers documents, steps, effects and images.
    pub fn seal(
        context: Context,
        rendered: Output,
        observed: Vec<Document>,
        changes: Vec<Change>,
        difference: String,
        steps: Vec<Step>,
    ) -> Self {
        let document = |d: &Document| json!([d.address, d.media_type, d.body]);
        let effect = |e: &Effect| {
            json!([
                e.id,
                e.operation,
                e.subject,
                e.arguments,
                e.destructive,
                format!("{:?}", e.moment)
            ])
        };
        let step = |s: &Step| {
            json!([
                s.id,
                s.title,
                s.host,
                s.payload,
                s.effects.iter().map(effect).collect::<Vec<_>>()
            ])
        };
        let image = |i: &Image| {
            let build = i.build.as_ref().map(|b| {
                json!([
                    b.context,
                    b.dockerfile,
                    b.target,
                    canonical::pairs(&b.args, |v| canonical::value(v)),
                    b.labels,
                    b.platforms,
                    b.tags
                ])
            });
            json!([
                i.name,
                i.reference,
                build,
                i.registry.as_ref().map(|r| &r.server)
            ])
        };
        let sealed = json!({
            "environment": context.environment,
            "version": context.version,
            "deployment": context.deployment_id,
            "request": context.request,
            "documents": rendered.documents.iter().map(document).collect::<Vec<_>>(),
            "images": rendered.images.iter().map(image).collect::<Vec<_>>(),
            "steps": steps.iter().map(step).collect::<Vec<_>>(),
        });
        let digest: String = Sha256::digest(sealed.to_string())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let digest = format!("sha256:{digest}");
        Self {
            context,
            rendered,
            observed,
            changes,
            difference,
            steps,
            digest,
        }
    }

    /// Digest of all that approval covers.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// All promised effects, in order.
    pub fn effects(&self) -> impl Iterator<Item = &Effect> {
        self.steps.iter().flat_map(|step| &step.effects)
    }

    /// Approves it.
    #[must_use]
    pub fn approve(self, consent: Consent) -> ApprovedPlan {
        ApprovedPlan {
            plan: self,
            consent,
        }
    }
}

impl ApprovedPlan {
    /// What was approved.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How.
    pub fn consent(&self) -> Consent {
        self.consent
    }

    /// Fills the image slots: `image/NAME` to digest.
    ///
    /// # Errors
    /// Names an image without a digest, or a digest without an image.
    pub fn bind(self, slots: BTreeMap<String, String>) -> Result<BoundPlan, String> {
        let declared: Vec<String> = self
            .plan
            .rendered
            .images
            .iter()
            .map(|image| format!("image/{}", image.name))
            .collect();
        if let Some(missing) = declared.iter().find(|name| !slots.contains_key(*name)) {
            return Err(format!("slot {missing} was not filled"));
        }
        if let Some(extra) = slots.keys().find(|name| !declared.contains(name)) {
            return Err(format!("slot {extra} is not in the approved plan"));
        }
        Ok(BoundPlan {
            approved: self,
            slots,
        })
    }
}

impl BoundPlan {
    /// What was approved.
    pub fn plan(&self) -> &Plan {
        &self.approved.plan
    }

    /// Slot name to digest.
    pub fn slots(&self) -> &BTreeMap<String, String> {
        &self.slots
    }
}
