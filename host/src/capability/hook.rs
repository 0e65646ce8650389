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
use crate::report::{Event, Verbosity};
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

/// The variables a hook may get: Kamal's own, and secrets under their own names. Anything else could make the
/// interpreter of the hook run something else (`BASH_ENV`, `LD_PRELOAD`, `PATH`).
fn check_environment(env: &[(String, Vec<Part>)]) -> Result<(), CapError> {
    for (name, value) in env {
        let own_secret = matches!(value.as_slice(), [Part::Secret(secret)] if secret.name == *name);
        let plain = !value.iter().any(|part| matches!(part, Part::Secret(_)));
        if !(own_secret || name.starts_with("KAMAL_") && plain) {
            return Err(CapError::Other(format!(
                "hooks get KAMAL_… variables and secrets under their own names, not `{name}`"
            )));
        }
    }
    Ok(())
}

/// A hook is a file in the project's folder of hooks, never a path.
fn check_name(name: &str) -> Result<(), CapError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(plain) {
        return Ok(());
    }
    Err(CapError::Other(format!(
        "`{name}` is not the name of a hook"
    )))
}

/// Runs a hook with these variables added to the environment.
pub(crate) async fn run_hook(
    run: &Run,
    name: &str,
    env: &[(String, Vec<Part>)],
) -> Result<Output, CapError> {
    check_name(name)?;
    check_environment(env)?;
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
    let text = run.redacted(&output.text);
    if output.code == 0 {
        tell(run, name, &text);
    }
    Ok(Output {
        code: output.code,
        text,
    })
}

/// Shows what a hook said, as far as `hooks_output` and the command line want. A failed hook's words are in its error.
fn tell(run: &Run, name: &str, text: &str) {
    let verbose = run.reporter.verbosity() == Verbosity::Verbose;
    match run.hook_output(name) {
        Some("quiet") if !verbose => {}
        Some("verbose") if run.reporter.verbosity() > Verbosity::Quiet => {
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            let title = format!("hook {name}");
            run.reporter.emit(&Event::Detail {
                title: &title,
                lines: &lines,
            });
        }
        Some(_) | None => text.lines().for_each(|line| {
            run.reporter.emit(&Event::Line {
                subject: name,
                line,
            });
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wit::types::{Encoding, SecretRef};

    #[test]
    fn a_hook_gets_no_variable_that_could_turn_it_into_something_else() {
        let text = |t: &str| vec![Part::Text(t.to_owned())];
        let secret = |name: &str| {
            vec![Part::Secret(SecretRef {
                name: name.to_owned(),
                encoding: Encoding::Verbatim,
            })]
        };
        for (name, value, allowed) in [
            ("KAMAL_VERSION", text("1"), true),
            ("KAMAL_RECORDED_AT", vec![Part::Slot("now".into())], true),
            ("TOKEN", secret("TOKEN"), true),
            ("BASH_ENV", text("$(touch x)"), false),
            ("LD_PRELOAD", secret("TOKEN"), false),
            ("KAMAL_VERSION", secret("TOKEN"), false),
        ] {
            let checked = check_environment(&[(name.to_owned(), value)]);
            assert_eq!(checked.is_ok(), allowed, "{name}");
        }
        for name in ["/bin/bash", "../x", "a/b", ".", ""] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(check_name("pre-deploy").is_ok());
    }
}
