//! What every section knows while it renders: names, facts and addons.

use crate::addons::Addons;
use crate::facts::{Checks, Facts};
use crate::manifest::WorkloadType;
use crate::stack::{Kind, Stack};
use custom_resources::{Function, functions};

/// The deployment a template is rendered for.
pub(crate) struct Scope<'a> {
    /// The facts.
    pub(crate) facts: &'a Facts,
    /// The workload's name.
    pub(crate) name: &'a str,
    /// Its addons.
    pub(crate) addons: &'a Addons,
    /// Name of the policy that bounds every role.
    pub(crate) boundary: Option<String>,
    /// The functions that a stack of this type may have.
    pub(crate) functions: &'static [Function],
}

impl<'a> Scope<'a> {
    /// Gathers what sections need.
    pub(crate) fn new(
        facts: &'a Facts,
        name: &'a str,
        kind: WorkloadType,
        addons: &'a Addons,
    ) -> Scope<'a> {
        let boundary = facts
            .application
            .permissions_boundary
            .clone()
            .filter(|b| !b.is_empty());
        Scope {
            facts,
            name,
            addons,
            boundary,
            functions: functions(kind.name()),
        }
    }

    /// Application name.
    pub(crate) fn app(&self) -> &'a str {
        &self.facts.application.name
    }

    /// Environment name.
    pub(crate) fn environment(&self) -> &'a str {
        &self.facts.environment.name
    }

    /// Adds the parameters of what was uploaded, and the condition that there are addons.
    pub(crate) fn artifacts(&self, stack: &mut Stack) {
        let addons = self.facts.addons_template_url.clone();
        stack.parameter("AddonsTemplateURL", Kind::Optional, addons);
        stack.condition_set("HasAddons", "AddonsTemplateURL");
        let key = self.facts.artifacts.kms_key_arn.clone();
        stack.parameter("ArtifactKeyARN", Kind::Text, key);
    }

    /// True if rules that need the environment are applied.
    pub(crate) fn full_checks(&self) -> bool {
        self.facts.checks == Checks::Full
    }

    /// True if the environment has an optional part.
    pub(crate) fn has_feature(&self, feature: &str) -> bool {
        self.facts.environment.features.iter().any(|f| f == feature)
    }
}
