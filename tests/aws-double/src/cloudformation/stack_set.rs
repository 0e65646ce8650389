//! Stack sets, as far as their readers need: which stack is the instance in an account and region.

use super::api::Asked;
use crate::wire::Refusal;
use crate::wire::xml::Fields;

type Done = Result<Fields, Refusal>;

/// A stack that a stack set made.
#[derive(Debug, Clone)]
pub(crate) struct StackInstance {
    /// The stack set's name.
    pub(crate) set: String,
    pub(crate) account: String,
    pub(crate) region: String,
    /// The id of its stack.
    pub(crate) stack: String,
}

impl StackInstance {
    fn fields(&self) -> Fields {
        Fields::default()
            .with(
                "StackSetId",
                format!("{}:11111111-2222-3333-4444-555555555555", self.set),
            )
            .with("Region", &self.region)
            .with("Account", &self.account)
            .with("StackId", &self.stack)
            .with("Status", "CURRENT")
            .nested(
                "StackInstanceStatus",
                Fields::default().with("DetailedStatus", "SUCCEEDED"),
            )
    }
}

fn instances(asked: &Asked<'_>) -> Result<Vec<StackInstance>, Refusal> {
    let set = asked.required("StackSetName")?;
    let state = asked.world.state();
    let of_set: Vec<StackInstance> = state
        .instances
        .iter()
        .filter(|it| it.set == set)
        .cloned()
        .collect();
    if of_set.is_empty() {
        return Err(Refusal::new(
            "StackSetNotFoundException",
            format!("StackSet {set} not found"),
        )
        .status(404));
    }
    Ok(of_set)
}

pub(super) fn list_instances(asked: &Asked<'_>) -> Done {
    let wanted = |field: &str, value: &str| asked.fields.get(field).is_none_or(|it| it == value);
    let chosen = instances(asked)?
        .into_iter()
        .filter(|it| wanted("StackInstanceRegion", &it.region))
        .filter(|it| wanted("StackInstanceAccount", &it.account));
    Ok(Fields::default().list("Summaries", chosen.map(|it| it.fields().done()).collect()))
}

pub(super) fn describe_instance(asked: &Asked<'_>) -> Done {
    let (account, region) = (
        asked.required("StackInstanceAccount")?,
        asked.required("StackInstanceRegion")?,
    );
    let found = instances(asked)?
        .into_iter()
        .find(|it| it.account == account && it.region == region);
    match found {
        Some(instance) => Ok(Fields::default().nested("StackInstance", instance.fields())),
        None => Err(
            Refusal::new("StackInstanceNotFoundException", "StackInstance not found").status(404),
        ),
    }
}

pub(super) fn describe(asked: &Asked<'_>) -> Done {
    let of_set = instances(asked)?;
    let first = &of_set[0];
    let state = asked.world.state();
    let template = state.stack(&first.stack).version.template.as_ref();
    let set = Fields::default()
        .with("StackSetName", &first.set)
        .with(
            "StackSetId",
            format!("{}:11111111-2222-3333-4444-555555555555", first.set),
        )
        .with("Status", "ACTIVE")
        .maybe("TemplateBody", template.map(|it| &it.body));
    Ok(Fields::default().nested("StackSet", set))
}
