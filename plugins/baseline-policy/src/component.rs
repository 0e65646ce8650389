//! The policy as a component: translation to and from the WIT.

/// What `wit-bindgen` makes of `wit/`.
#[expect(unsafe_code, reason = "generated: the canonical ABI is pointers")]
mod bindings {
    wit_bindgen::generate!({ world: "policy-plugin", path: "../../wit" });
    use super::Policy;
    export!(Policy);
}

use bindings::exports::plimsoll::deploy::policy::{Enforcement, Guest, Input, Violation};

use crate::{check, settings};

struct Policy;

impl Guest for Policy {
    /// The rules are about documents, which the first call shows; the plan adds nothing to them.
    fn check(input: Input) -> Vec<Violation> {
        if input.planned.is_some() {
            return Vec::new();
        }
        let documents = input
            .documents
            .iter()
            .map(|document| (&*document.address, &*document.body));
        match settings::serious(&input.context.settings) {
            Ok(serious) => check::check(documents, serious)
                .into_iter()
                .map(violation)
                .collect(),
            Err(why) => vec![Violation {
                enforcement: Enforcement::Mandatory,
                rule: "settings".to_owned(),
                message: format!("baseline-policy can't read its settings: {why}"),
                address: None,
                pointer: String::new(),
                help: Some("write `settings: {strict: true}` in plimsoll.yml, or none".to_owned()),
            }],
        }
    }
}

fn violation(violation: check::Violation) -> Violation {
    Violation {
        enforcement: match violation.enforcement {
            check::Enforcement::Advisory => Enforcement::Advisory,
            check::Enforcement::Mandatory => Enforcement::Mandatory,
        },
        rule: violation.rule.to_owned(),
        message: violation.message,
        address: Some(violation.address),
        pointer: violation.pointer,
        help: Some(violation.help),
    }
}
