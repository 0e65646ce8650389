//! `remove`: the application, the accessories with their data, and the proxy unless others need it: last, as what it routes
//! to is taken out of it first.

use crate::plan::{Input, Proposal, Refusal, accessory, app, proxy};

/// Steps of the command.
pub fn plan(input: &Input<'_>) -> Result<Proposal, Refusal> {
    let mut notes = Vec::new();
    let mut steps = app::remove(input)?;
    steps.extend(accessory::remove(
        input,
        &input.desired.accessories_named("all"),
    )?);
    steps.extend(proxy::remove(input, false, &mut notes)?);
    Ok(Proposal {
        steps: input.locked(&input.desired.app_hosts(), steps)?,
        notes,
    })
}
