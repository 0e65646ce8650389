//! Somebody else's policy: it knows nothing of plimsoll but the WIT. Refuses versions that end in `-friday`, and
//! whatever `settings.forbid` names as an operation of the plan.
#![cfg(target_family = "wasm")]

wit_bindgen::generate!({ path: "../../../wit", world: "policy-plugin" });

use exports::plimsoll::deploy::policy::{Enforcement, Guest, Input, Violation};

struct NoFridays;

impl Guest for NoFridays {
    fn check(input: Input) -> Vec<Violation> {
        let settings: serde_json::Value =
            serde_json::from_str(&input.context.settings).unwrap_or_default();
        let violation = |rule: &str, message: String| Violation {
            enforcement: Enforcement::Mandatory,
            rule: rule.to_owned(),
            message,
            address: None,
            pointer: String::new(),
            help: Some("wait until Monday".to_owned()),
        };
        let mut found = Vec::new();
        if input.planned.is_none() && input.context.version.ends_with("-friday") {
            found.push(violation(
                "no-fridays",
                format!(
                    "version {} would be deployed on a Friday",
                    input.context.version
                ),
            ));
        }
        let forbidden = settings["forbid"].as_str().unwrap_or_default();
        for effect in input.planned.iter().flat_map(|planned| &planned.effects) {
            if effect.operation == forbidden {
                found.push(violation(
                    "forbidden-operation",
                    format!("{} on {} is forbidden", effect.operation, effect.subject),
                ));
            }
        }
        found
    }
}

export!(NoFridays);
