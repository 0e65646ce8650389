//! The project's hooks and what they are told (`kamal.md` §1.11).

use std::collections::BTreeMap;

use release::{HookCall, Value};

use crate::config::Config;
use crate::diagnostic::Findings;
use crate::options::{Facts, Options};
use crate::render::{HookPoint, Input};
use crate::selection::Selection;

const PRE_CONNECT: &str = "pre-connect";
const PRE_BUILD: &str = "pre-build";
const POST_DEPLOY: &str = "post-deploy";

/// Hooks of Kamal 1, which may not be there any more.
const OUTDATED: [&str; 2] = ["pre-traefik-reboot", "post-traefik-reboot"];

/// Hooks to look for.
pub fn names(options: &Options) -> Vec<&'static str> {
    let mut names = OUTDATED.to_vec();
    if !options.skip_hooks {
        names.push(PRE_CONNECT);
        names.extend((!options.skip_push).then_some(PRE_BUILD));
        names.extend(["pre-deploy", "pre-app-boot", "post-app-boot", POST_DEPLOY]);
    }
    names
}

/// Outdated hooks are an error.
pub fn check(facts: &Facts, findings: &mut Findings) {
    let found: Vec<&str> = OUTDATED
        .into_iter()
        .filter(|name| facts.hook.get(*name) == Some(&true))
        .collect();
    if !found.is_empty() {
        let message = format!(
            "Found {}, these should be renamed to (pre|post)-proxy-reboot",
            found.join(", ")
        );
        findings.error("outdated-hook", message, None);
    }
}

fn exists(name: &str, input: &Input) -> bool {
    !input.options.skip_hooks && input.facts.hook.get(name) == Some(&true)
}

/// Hooks that the host runs before the driver has its turn.
pub fn points(config: &Config, selection: &Selection<'_>, input: &Input) -> Vec<HookPoint> {
    let build = !input.options.skip_push;
    let points = [
        ("before-observe", PRE_CONNECT, true),
        ("before-build", PRE_BUILD, build),
    ];
    let there = points
        .into_iter()
        .filter(|(_, name, wanted)| *wanted && exists(name, input));
    there
        .map(|(moment, name, _)| {
            let env = env(name, config, selection, input).into_iter().collect();
            HookPoint { moment, name, env }
        })
        .collect()
}

/// Hooks that the driver runs.
pub fn calls(
    config: &Config,
    selection: &Selection<'_>,
    input: &Input,
) -> BTreeMap<String, HookCall> {
    let names = ["pre-deploy", "pre-app-boot", "post-app-boot", POST_DEPLOY].into_iter();
    let mut calls = BTreeMap::new();
    for name in names.filter(|name| exists(name, input)) {
        calls.insert(
            name.to_owned(),
            HookCall {
                env: env(name, config, selection, input),
            },
        );
    }
    calls
}

fn env(
    hook: &str,
    config: &Config,
    selection: &Selection<'_>,
    input: &Input,
) -> BTreeMap<String, Value> {
    let version = &input.version;
    let short = match version.contains('_') {
        true => version.clone(),
        false => version.chars().take(7).collect(),
    };
    let locked = matches!(hook, "pre-deploy" | "pre-app-boot" | "post-app-boot");
    let mut env = BTreeMap::new();
    let mut add =
        |name: &str, value: Option<Value>| env.extend(value.map(|value| (name.to_owned(), value)));
    for (name, value) in [
        ("KAMAL_RECORDED_AT", Value::slot("now")),
        ("KAMAL_PERFORMER", Value::slot("performer")),
        ("KAMAL_VERSION", Value::text(version)),
        ("KAMAL_SERVICE", Value::text(&config.service)),
        (
            "KAMAL_SERVICE_VERSION",
            Value::text(format!("{}@{short}", config.service)),
        ),
        ("KAMAL_HOSTS", Value::text(selection.hosts.join(","))),
        ("KAMAL_LOCK", Value::text(locked.to_string())),
        ("KAMAL_COMMAND", Value::text("deploy")),
    ] {
        add(name, Some(value));
    }
    add(
        "KAMAL_DESTINATION",
        config.destination.as_ref().map(Value::text),
    );
    add(
        "KAMAL_ROLES",
        selection
            .asked_roles
            .as_ref()
            .map(|roles| Value::text(roles.join(","))),
    );
    add(
        "KAMAL_RUNTIME",
        (hook == POST_DEPLOY).then(|| Value::slot("runtime")),
    );
    if matches!(hook, PRE_CONNECT | "pre-deploy" | POST_DEPLOY) {
        for name in input.options.secrets.iter().flatten() {
            add(name, Some(Value::secret(name)));
        }
    }
    env
}
