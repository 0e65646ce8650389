//! `remove`: the application, the proxy unless others need it, and the accessories with their data.

use crate::plan::{Input, Proposal, Refusal, accessory, app, proxy};

/// Steps of the command.
pub fn plan(input: &Input<'_>) -> Result<Proposal, Refusal> {
    let mut notes = Vec::new();
    let mut steps = app::remove(input)?;
    steps.extend(proxy::remove(input, false, &mut notes)?);
    steps.extend(accessory::remove(
        input,
        &input.desired.accessories_named("all"),
    )?);
    Ok(Proposal {
        steps: input.locked(&input.desired.app_hosts(), steps)?,
        notes,
    })
}
