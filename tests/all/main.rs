//! All tests of the host in one binary. Beside the code are the tests of pure functions; here is what needs the real
//! sandbox, a real Docker Engine, real servers, or the binary.
//!
//! * [`layering`]: arrows between the host's modules point down.
//! * [`sandbox`]: every claim about the sandbox, with a component that tries to break it.
//! * [`authority`]: every claim about grants and promised effects, with a driver that tries to break it.
//! * [`hostile`]: that driver.
//! * [`aws`]: stacks, uploads and services on a double of AWS.
//! * [`bundle`]: the default components in the real sandbox.
//! * [`cli`]: what a user sees, with wrong input too.
//! * [`wire`], [`deploy`]: real servers.
//! * [`package`]: Copilot's workspaces without AWS.
//! * [`custom_resources`]: the Lambda functions of stacks, with node.
//! * [`copilot`]: what Copilot's commands gather of an AWS on this machine.
//! * [`svc_deploy`]: Copilot's commands from outside the binary, from nothing to a stable service and through every failure.
//! * [`docs`]: what the documentation says.
//! * [`conformance`]: scores against recorded behaviour of the tools that plimsoll replaces.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests start programs and read what they left"
)]
#![allow(
    missing_docs,
    unreachable_pub,
    reason = "test names are sentences, and a test binary has no public side"
)]

mod authority;
mod aws;
mod bundle;
mod cli;
mod conformance;
mod copilot;
mod custom_resources;
mod deploy;
mod docs;
mod hostile;
mod layering;
mod package;
mod sandbox;
mod support;
mod svc_deploy;
mod wire;
