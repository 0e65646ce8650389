//! The command line: what can be asked for, and who answers.
//!
//! * [`arguments`]: the flags that commands share.
//! * `faces`: whose command line it is, by the name plimsoll was called by.
//! * [`environment`]: everything taken from the process's surroundings, in one place.
//! * [`kamal`]: Kamal's own command line.
//! * [`footing`]: the runtime and the network that a command runs on.
//! * [`start`]: from arguments and surroundings to a host that is ready.
//! * [`run`]: `deploy`, `plan` and `config`.
//! * [`copilot`]: Copilot's commands.
//! * [`template`]: `template diff`.
//! * [`plugin`]: `plugin list`, `inspect` and `lock`.

pub mod arguments;
pub mod copilot;
pub mod environment;
mod faces;
pub mod footing;
pub mod kamal;
pub mod plugin;
pub mod run;
pub mod start;
pub mod template;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::pipeline::Goal;
use crate::report::{Format, Reporter, Verbosity};
use crate::sandbox::aot;
use copilot::{Called, Kind};
use footing::Footing;

/// Deploys containers to your own servers as `kamal deploy` does, and to AWS ECS as Copilot does, from sandboxed components.
///
/// Exit codes: 0 done, or nothing to do; 1 it could not be done; 2 the command line is wrong; 130 interrupted (143 by SIGTERM).
#[derive(Debug, Parser)]
#[command(
    name = "plimsoll",
    version,
    disable_help_subcommand = true,
    propagate_version = false
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Deploys the application in this folder.
    ///
    /// Shows the difference, the findings and the privileged calls, asks, then builds, pushes and switches every host
    /// without dropping a request. With nothing changed it says so and changes nothing.
    #[command(disable_help_flag = true, disable_version_flag = true)]
    Deploy(arguments::Deploy),
    /// Shows what `deploy` would do, and changes nothing.
    ///
    /// Servers are looked at; the project's own pre-connect hook, which may be needed to reach them, runs.
    #[command(disable_help_flag = true, disable_version_flag = true)]
    Plan(arguments::Plan),
    /// Prints the documents that the manifest renders to; secrets are in them by name.
    #[command(disable_help_flag = true, disable_version_flag = true)]
    Config(arguments::Target),
    /// Copilot services.
    #[command(subcommand)]
    Svc(copilot::arguments::Workload),
    /// Copilot jobs.
    #[command(subcommand)]
    Job(copilot::arguments::Workload),
    /// CloudFormation templates.
    #[command(subcommand)]
    Template(template::Template),
    /// Says which manifest line made a resource or property of a workload's template.
    Explain(copilot::arguments::ExplainArguments),
    /// Shows and locks the components that do the work.
    #[command(subcommand)]
    Plugin(plugin::Command),
    /// Compiles one component, in a process of its own.
    #[command(name = aot::COMPILE_COMMAND, hide = true)]
    Compile {
        effort: String,
        input: PathBuf,
        output: PathBuf,
    },
}

/// Parses the command line, runs, and answers with the exit code.
pub fn main() -> ExitCode {
    main_on(environment::arguments(), Footing::default())
}

/// The same for a given command line, beginning with the name it was called by, on a given footing.
pub fn main_on(line: impl IntoIterator<Item = OsString>, footing: Footing) -> ExitCode {
    let line: Vec<OsString> = line.into_iter().collect();
    let (as_copilot, line) = match faces::seen(line) {
        faces::Line::Kamal { face, words } => return kamal::run(footing, face, &words),
        faces::Line::Own { as_copilot, line } => (as_copilot, line),
    };
    let cli = match understood(line) {
        Ok(cli) => cli,
        Err(other) => return unparsed(&other, as_copilot),
    };
    let runtime = match footing.take() {
        Ok(runtime) => runtime,
        Err(why) => return failed(&why),
    };
    let called = Called {
        runtime,
        as_copilot,
    };
    match cli.command {
        Command::Deploy(arguments) => deploy(called, &arguments),
        Command::Plan(arguments) => {
            run::run(runtime, Goal::Plan, &arguments.target, &arguments.wanted())
        }
        Command::Config(target) => run::run(
            runtime,
            Goal::Config,
            &target,
            &arguments::Wanted::default(),
        ),
        Command::Svc(command) => copilot::workload(called, Kind::Service, &command),
        Command::Job(command) => copilot::workload(called, Kind::Job, &command),
        Command::Template(command) => template::template(&command),
        Command::Explain(arguments) => copilot::package::explain(called, &arguments),
        Command::Plugin(command) => plugin::run(&command),
        Command::Compile {
            effort,
            input,
            output,
        } => compile(&effort, &input, &output),
    }
}

/// One `deploy`, whichever kind of project it stands in.
fn deploy(called: Called, arguments: &arguments::Deploy) -> ExitCode {
    let target = &arguments.target;
    if !target.wants_help() && copilot::is_meant(called, arguments) {
        let format = match target.json {
            true => Format::Json,
            false => Format::Text,
        };
        let (yes, diff) = (arguments.yes, arguments.diff);
        return copilot::several::deploy(called, &arguments.copilot, yes, diff, format);
    }
    let goal = match arguments.diff {
        true => Goal::Plan,
        false => Goal::Deploy,
    };
    run::run(called.runtime, goal, target, &arguments.wanted())
}

fn understood(line: Vec<OsString>) -> Result<Cli, clap::Error> {
    let more = format!(
        "Kamal's commands (`plimsoll COMMAND --help`):\n  {}\n\nCalled `kamal` or `copilot`, by a symlink or by its first word, it \
         answers as that tool does.",
        kamal::also_ours().join(", ")
    );
    let mut matches = Cli::command().after_help(more).try_get_matches_from(line)?;
    Cli::from_arg_matches_mut(&mut matches)
}

/// Help that was asked for, or what is wrong with the command line.
fn unparsed(other: &clap::Error, as_copilot: bool) -> ExitCode {
    // Where nobody listens there is nobody to tell.
    let _ = other.print();
    if as_copilot && other.kind() == clap::error::ErrorKind::InvalidSubcommand {
        Reporter::new(Format::Text, Verbosity::Normal, true).aside(copilot::OFFER);
    }
    u8::try_from(other.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

fn failed(why: &str) -> ExitCode {
    Reporter::new(Format::Text, Verbosity::Normal, true).error(why, &[]);
    ExitCode::FAILURE
}

fn compile(effort: &str, input: &std::path::Path, output: &std::path::Path) -> ExitCode {
    match aot::compile_here(effort, input, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => failed(&why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
