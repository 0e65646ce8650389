//! `deploy`, `plan` and `config`: one path, cut where the goal says.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use clap::CommandFactory;
use tokio::runtime::Runtime;

use super::arguments::{Target, Wanted};
use super::environment::Environment;
use super::start;
use crate::pipeline::recovery::Recovery;
use crate::pipeline::{DeployError, Goal, Host, Request, deploy};
use crate::report::{Event, Format, Reporter, Verbosity, Verdict};
use crate::wire::shell;

/// Exit code after Ctrl-C.
const INTERRUPTED: u8 = 130;

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
    let ground = match Ground::lay(runtime, target) {
        Ok(ground) => ground,
        Err(code) => return code,
    };
    ground.run(goal, target, wanted)
}

/// What a command stands on: what surrounds it, who speaks for it, and how its time runs.
pub(super) struct Ground {
    pub(super) environment: Environment,
    pub(super) reporter: Arc<Reporter>,
    pub(super) runtime: Runtime,
}

impl Ground {
    /// Reads the surroundings. What goes wrong was said.
    pub(super) fn lay(
        runtime: fn() -> io::Result<Runtime>,
        target: &Target,
    ) -> Result<Self, ExitCode> {
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
        let environment = Environment::read().map_err(|error| {
            fail(
                &Reporter::new(format, verbosity, false),
                &error.to_string(),
                &[],
                1,
            )
        })?;
        let reporter = Arc::new(Reporter::new(format, verbosity, environment.colour()));
        let runtime = runtime().map_err(|error| {
            let why = format!("failed to start the runtime: {error}");
            fail(&reporter, &why, &[], 1)
        })?;
        Ok(Self {
            environment,
            reporter,
            runtime,
        })
    }

    /// Through the pipeline, to the exit code.
    pub(super) fn run(self, goal: Goal, target: &Target, wanted: &Wanted) -> ExitCode {
        self.walk(goal, target, wanted, async |request, host| {
            let verdict = deploy::deploy(request, host).await?;
            Ok((goal != Goal::Config).then_some(verdict))
        })
    }

    /// By a path of its own, to the exit code.
    pub(super) fn walk(
        self,
        goal: Goal,
        target: &Target,
        wanted: &Wanted,
        path: impl AsyncFnOnce(&Request, &Host) -> Result<Option<Verdict>, DeployError>,
    ) -> ExitCode {
        let mut interrupted = INTERRUPTED;
        let result = self.runtime.block_on(async {
            let (request, host) = start::start(
                goal,
                target,
                wanted,
                &self.environment,
                self.reporter.clone(),
            )
            .await?;
            self.log(&request, &host)?;
            let result = path(&request, &host).await;
            interrupted = host.interrupt.exit_code();
            result
        });
        let failure = result.as_ref().err().map(ToString::to_string);
        self.reporter.end_log(failure.as_deref());
        self.end_as(result, interrupted)
    }

    /// Opens the log that the project wants of commands that change something.
    fn log(&self, request: &Request, host: &Host) -> Result<(), DeployError> {
        let Some(folder) = &host.project.envelope.log_folder else {
            return Ok(());
        };
        if request.goal != Goal::Deploy {
            return Ok(());
        }
        let (folder, destination) = (host.project.path(folder), request.destination.as_deref());
        self.reporter
            .begin_log(&folder, destination, request.command())
            .map_err(|error| {
                DeployError::Project(format!(
                    "failed to make a log in {}: {error}",
                    folder.display()
                ))
            })
    }

    /// Says how it ended.
    pub(super) fn end(self, result: Result<Option<Verdict>, DeployError>) -> ExitCode {
        self.end_as(result, INTERRUPTED)
    }

    fn end_as(self, result: Result<Option<Verdict>, DeployError>, interrupted: u8) -> ExitCode {
        // Calls that outlived an interruption are in the journal as begun; nobody waits for them.
        self.runtime.shutdown_background();
        match result {
            Ok(verdict) => {
                if let Some(verdict) = verdict {
                    self.reporter.emit(&Event::Verdict(&verdict));
                }
                ExitCode::SUCCESS
            }
            Err(error) => {
                let code = match matches!(error, DeployError::Interrupted(_)) {
                    true => interrupted,
                    false => 1,
                };
                let failed = fail(&self.reporter, &error.to_string(), &error.hints(), code);
                if let DeployError::Partial(_, recovery) = &error {
                    recover(&self.reporter, &self.environment, recovery);
                }
                failed
            }
        }
    }
}

/// Lets a person choose how to go on, and does it; returns when it is left as it is, or nobody is there.
fn recover(reporter: &Reporter, environment: &Environment, recovery: &Recovery) {
    let choices = recovery.choices();
    if choices.is_empty() || !recovery.asks || !reporter.can_ask() {
        return;
    }
    let titles = choices.iter().map(|step| step.title.clone());
    let options: Vec<String> = titles.chain(["leave it as it is".to_owned()]).collect();
    let chosen = reporter.pick("What now?", &options);
    let Some(step) = chosen.and_then(|chosen| choices.get(chosen)) else {
        return;
    };
    // Whatever it is called by, it is this program.
    let words = step.words.iter();
    let words = words.skip_while(|word| *word == "plimsoll").cloned();
    let program = environment.executable.display().to_string();
    let line: Vec<String> = [program].into_iter().chain(words).collect();
    let why = shell::become_program(&line);
    reporter.error(&format!("failed to start {}: {why}", line[0]), &[]);
}

pub(super) fn fail(reporter: &Reporter, message: &str, hints: &[String], code: u8) -> ExitCode {
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
