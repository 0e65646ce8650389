//! `deploy`, `plan` and `config`: one path, cut where the goal says.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use clap::CommandFactory;
use tokio::runtime::Runtime;

use super::arguments::{Target, Wanted};
use super::environment::Environment;
use super::start;
use crate::pipeline::{DeployError, Goal, deploy};
use crate::report::{Event, Format, Reporter, Verbosity};

/// Runs a command to its exit code.
pub(super) fn run(
    runtime: fn() -> io::Result<Runtime>,
    goal: Goal,
    target: &Target,
    wanted: &Wanted,
) -> ExitCode {
    if target.wants_help() {
        return help(goal);
    }
    let verbosity = match (target.quiet, target.verbose) {
        (true, _) => Verbosity::Quiet,
        (false, true) => Verbosity::Verbose,
        (false, false) => Verbosity::Normal,
    };
    let format = if target.json {
        Format::Json
    } else {
        Format::Text
    };
    let environment = match Environment::read() {
        Ok(environment) => environment,
        Err(error) => {
            return fail(
                &Reporter::new(format, verbosity, false),
                &error.to_string(),
                &[],
                1,
            );
        }
    };
    let reporter = Arc::new(Reporter::new(format, verbosity, environment.colour()));
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            return fail(
                &reporter,
                &format!("failed to start the runtime: {error}"),
                &[],
                1,
            );
        }
    };
    let result = runtime.block_on(async {
        let (request, host) =
            start::start(goal, target, wanted, &environment, reporter.clone()).await?;
        deploy::deploy(&request, &host).await
    });
    // Calls that outlived an interruption are in the journal as begun; nobody waits for them.
    runtime.shutdown_background();
    match result {
        Ok(verdict) => {
            if goal != Goal::Config {
                reporter.emit(&Event::Verdict(&verdict));
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            let code = if matches!(error, DeployError::Interrupted(_)) {
                130
            } else {
                1
            };
            fail(&reporter, &error.to_string(), &error.hints(), code)
        }
    }
}

fn fail(reporter: &Reporter, message: &str, hints: &[String], code: u8) -> ExitCode {
    reporter.error(message, hints);
    ExitCode::from(code)
}

/// A bare `-h`, which takes a value like Kamal's and so can't be clap's own.
fn help(goal: Goal) -> ExitCode {
    let name = match goal {
        Goal::Deploy => "deploy",
        Goal::Plan => "plan",
        Goal::Config => "config",
    };
    let mut cli = super::Cli::command();
    cli.build();
    let shown = cli
        .find_subcommand_mut(name)
        .map(|command| command.print_help());
    if matches!(shown, Some(Ok(()))) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
