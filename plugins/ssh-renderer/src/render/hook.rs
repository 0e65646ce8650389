//! The project's hooks and what they are told (`kamal.md` §1.11).

use std::collections::BTreeMap;

use release::{HookCall, Value};

use crate::config::Config;
use crate::diagnostic::Findings;
use crate::options::Facts;
use crate::render::{HookPoint, Input};
use crate::selection::Selection;

const PRE_CONNECT: &str = "pre-connect";
const PRE_BUILD: &str = "pre-build";
const PRE_DEPLOY: &str = "pre-deploy";
const POST_DEPLOY: &str = "post-deploy";
const DOCKER_SETUP: &str = "docker-setup";
const APP_BOOT: [&str; 2] = ["pre-app-boot", "post-app-boot"];
const PROXY_REBOOT: [&str; 2] = ["pre-proxy-reboot", "post-proxy-reboot"];

/// Hooks of Kamal 1, which may not be there any more.
const OUTDATED: [&str; 2] = ["pre-traefik-reboot", "post-traefik-reboot"];

/// Hooks to look for.
pub fn names(input: &Input) -> Vec<&'static str> {
    let mut names = OUTDATED.to_vec();
    if !skips(input) {
        names.push(PRE_CONNECT);
        names.extend(builds(input).then_some(PRE_BUILD));
        names.extend(of_driver(input));
    }
    names
}

/// As in Kamal, `--skip-hooks` means something to commands of one word only: its other ones never hear of it.
fn skips(input: &Input) -> bool {
    input.options.skip_hooks && !input.request.command.contains(' ')
}

/// Hooks that the driver runs for a command.
fn of_driver(input: &Input) -> Vec<&'static str> {
    match input.request.command.as_str() {
        "setup" => [&[DOCKER_SETUP, PRE_DEPLOY, POST_DEPLOY], &APP_BOOT[..]].concat(),
        "deploy" | "config" | "redeploy" | "rollback" => {
            [&[PRE_DEPLOY, POST_DEPLOY], &APP_BOOT[..]].concat()
        }
        "app boot" => APP_BOOT.to_vec(),
        "server bootstrap" => vec![DOCKER_SETUP],
        "proxy reboot" | "proxy upgrade" | "upgrade" => PROXY_REBOOT.to_vec(),
        _ => Vec::new(),
    }
}

fn builds(input: &Input) -> bool {
    input.request.scope().image && !input.options.skip_push && input.request.command != "build pull"
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
    !skips(input) && input.facts.hook.get(name) == Some(&true)
}

/// Hooks that the host runs before the driver has its turn.
pub fn points(
    config: &Config,
    selection: &Selection<'_>,
    input: &Input,
    version: &str,
) -> Vec<HookPoint> {
    let points = [
        ("before-observe", PRE_CONNECT, true),
        ("before-build", PRE_BUILD, builds(input)),
    ];
    let there = points
        .into_iter()
        .filter(|(_, name, wanted)| *wanted && exists(name, input));
    there
        .map(|(moment, name, _)| HookPoint {
            moment,
            name,
            env: env(name, config, selection, input, version)
                .into_iter()
                .collect(),
        })
        .collect()
}

/// Hooks that the driver runs.
pub fn calls(
    config: &Config,
    selection: &Selection<'_>,
    input: &Input,
    version: &str,
) -> BTreeMap<String, HookCall> {
    let there = of_driver(input)
        .into_iter()
        .filter(|name| exists(name, input));
    there
        .map(|name| {
            let env = env(name, config, selection, input, version);
            (name.to_owned(), HookCall { env })
        })
        .collect()
}

/// Whether the deploy lock is held while a hook runs.
fn is_locked(hook: &str, input: &Input) -> bool {
    match hook {
        PRE_CONNECT => input.request.lock_held,
        PRE_BUILD | POST_DEPLOY | DOCKER_SETUP => input.request.locks_everything(),
        _ => true,
    }
}

fn env(
    hook: &str,
    config: &Config,
    selection: &Selection<'_>,
    input: &Input,
    version: &str,
) -> BTreeMap<String, Value> {
    // The first hook runs before the command says which version it means.
    let version = match hook {
        PRE_CONNECT => &input.version,
        _ => version,
    };
    let short = match version.contains('_') {
        true => version.to_owned(),
        false => version.chars().take(7).collect(),
    };
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
        (
            "KAMAL_LOCK",
            Value::text(is_locked(hook, input).to_string()),
        ),
        ("KAMAL_COMMAND", Value::text(input.request.first_word())),
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
    if matches!(hook, PRE_CONNECT | PRE_DEPLOY | POST_DEPLOY) {
        for name in input.options.secrets.iter().flatten() {
            add(name, Some(Value::secret(name)));
        }
    }
    env
}
