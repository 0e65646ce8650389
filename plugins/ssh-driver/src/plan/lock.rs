//! The deploy lock in people's hands.

use release::{Part, Value};

use crate::call::{Call, Promise};
use crate::plan::{Input, Proposal};
use crate::step::{Step, Task};

/// What a lock says that nobody asked for by hand.
const AUTOMATIC: &str = "Automatic deploy lock";

/// `lock acquire`.
pub fn leave(input: &Input<'_>, message: &str) -> Proposal {
    let lock = &input.desired.release.lock;
    let parts = lock.details.parts().iter().map(|part| match part {
        Part::Text(text) => Part::Text(text.replace(AUTOMATIC, message)),
        other => other.clone(),
    });
    let call = Call::Leave {
        host: input.desired.release.primary_host.clone(),
        path: lock.path.clone(),
        details: parts.collect::<Value>(),
    };
    one(input, "lock/leave", "take the deploy lock", call)
}

/// `lock release`.
pub fn break_(input: &Input<'_>) -> Proposal {
    let call = Call::Break {
        host: input.desired.release.primary_host.clone(),
        path: input.desired.release.lock.path.clone(),
    };
    one(input, "lock/break", "give the deploy lock back", call)
}

fn one(input: &Input<'_>, id: &str, what: &str, call: Call) -> Proposal {
    let host = &input.desired.release.primary_host;
    let step = Step {
        id: id.to_owned(),
        title: format!("{what} on {host}"),
        host: Some(host.clone()),
        task: Task::Work {
            phase: "lock".to_owned(),
            rounds: vec![vec![Promise::always(id, host, call)]],
        },
    };
    Proposal {
        steps: vec![step],
        notes: Vec::new(),
    }
}
