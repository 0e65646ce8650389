//! The JavaScript that functions of stacks run with: node, and the SDK that Lambda's runtime brings along.

use std::path::PathBuf;

use crate::command::{command, find, run};
use crate::report::say;
use crate::{LabError, setup, state};

/// Clients of the services that our functions use.
const CLIENTS: [&str; 10] = [
    "acm",
    "apprunner",
    "cloudformation",
    "ecs",
    "elastic-load-balancing-v2",
    "resource-groups-tagging-api",
    "route-53",
    "sfn",
    "sqs",
    "sts",
];

/// Node and where its modules are.
#[derive(Debug, Clone)]
pub struct Node {
    /// The program.
    pub program: PathBuf,
    /// For `NODE_PATH`: the SDK is in it.
    pub modules: PathBuf,
}

/// Node, with the SDK installed from the registry at the first call; node itself too, where it is missing.
pub fn node() -> Result<Node, LabError> {
    let missing = |what: &str| LabError::Machine {
        problem: format!("find {what}, which runs the functions of stacks"),
        hint: "install Node.js 20 or newer, with npm".to_owned(),
    };
    if find("node").is_none() && find("apt-get").is_some() {
        let _lock = state::lock("lock")?;
        setup::install(&["nodejs", "npm"])?;
    }
    let program = find("node").ok_or_else(|| missing("node"))?;
    let _lock = state::lock("node-lock")?;
    let folder = state::cache()?.join("plimsoll-node");
    let modules = folder.join("node_modules");
    let done = folder.join("done");
    if !done.exists() {
        find("npm").ok_or_else(|| missing("npm"))?;
        say("installing the AWS SDK for JavaScript");
        state::make_private(&folder)?;
        let packages = CLIENTS.map(|client| format!("@aws-sdk/client-{client}@3"));
        let words = [
            "install",
            "--silent",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--prefix",
            ".",
        ];
        run(command("npm", words).args(packages).current_dir(&folder))?;
        state::write(&done, 0o600, "")?;
    }
    Ok(Node { program, modules })
}
