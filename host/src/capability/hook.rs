//! `plimsoll:deploy/hook`: the project's own hooks, run on the deployer's machine.

use std::time::Duration;

use serde_json::json;
use wasmtime::component::Accessor;

use super::error::from_wire;
use super::run::{Readers, Run};
use super::session::{Call, covers_value};
use super::{Answer, Powers, View};
use crate::grant::Sink;
use crate::plan::canonical;
use crate::wire::hook;
use crate::wit::hook::{Host, HostWithStore, Output};
use crate::wit::types::{CapError, Part};

/// Longest time a hook may take.
const HOOK: Duration = Duration::from_secs(30 * 60);

impl Host for View<'_> {}

impl<T: Send + 'static> HostWithStore<T> for Powers {
    async fn run(
        accessor: &Accessor<T, Self>,
        effect: String,
        name: String,
        env: Vec<(String, Vec<Part>)>,
    ) -> Answer<Output> {
        let session = accessor.with(|mut access| access.get().session.clone());
        let arguments =
            json!({"name": name, "env": canonical::pairs(&env, |value| canonical::value(value))});
        let call = Call {
            effect,
            operation: "hook.run",
            subject: name.clone(),
            arguments,
        };
        let grants = &session.grants;
        let scope = grants.covers_hook(&name).and_then(|()| {
            env.iter()
                .try_for_each(|(_, value)| covers_value(grants, value, Sink::Hook))
        });
        let run = session.run.clone();
        let work = async move { run_hook(&run, &name, &env).await };
        Ok(session.mutate(call, scope, work).await)
    }
}

/// Runs a hook with these variables added to the environment.
pub(crate) async fn run_hook(
    run: &Run,
    name: &str,
    env: &[(String, Vec<Part>)],
) -> Result<Output, CapError> {
    let env = env
        .iter()
        .map(|(key, value)| {
            run.resolve(value, Readers::Recipient)
                .map(|text| (key.clone(), text))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let pairs: Vec<(&str, &str)> = env
        .iter()
        .map(|(key, text)| (key.as_str(), text.expose()))
        .collect();
    let output = hook::run(&run.hooks.join(name), &run.project, &pairs, HOOK)
        .await
        .map_err(|error| from_wire(&error))?;
    Ok(Output {
        code: output.code,
        text: run.redacted(&output.text),
    })
}
