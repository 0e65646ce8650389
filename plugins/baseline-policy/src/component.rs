//! The policy as a component: translation to and from the WIT.

/// What `wit-bindgen` makes of `wit/`.
#[expect(unsafe_code, reason = "generated: the canonical ABI is pointers")]
mod bindings {
    wit_bindgen::generate!({ world: "policy-plugin", path: "../../wit" });
    use super::Policy;
    export!(Policy);
}

use bindings::exports::plimsoll::deploy::policy::{Enforcement, Guest, Input, Violation};

use crate::check;

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
        check::check(documents).into_iter().map(violation).collect()
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
