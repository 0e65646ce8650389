//! Kamal's command line: `plimsoll kamal …`, a symlink called `kamal`, and most of it below plimsoll's own name.
//!
//! * [`table`]: commands and options, as data.
//! * [`parse`]: words to a call, by Thor's rules.
//! * [`asked`]: from a call to what the pipeline is asked.
//! * [`help`]: help and the tree.
//! * [`local`]: what the host answers alone: `version`, `docs`, `init`.
//! * [`secrets`]: `secrets …`, and commands in secrets files.
//! * [`words`]: a shell's words.

mod asked;
mod help;
mod local;
mod parse;
pub(super) mod secrets;
mod table;
mod words;

use std::process::ExitCode;

use super::arguments::Target;
use super::footing::Footing;
use super::run::{Ground, fail};
use super::start;
use crate::pipeline::{DeployError, Goal, deploy, images, registry, servers, show, terminal};
use crate::report::{Format, Reporter, Verbosity};
use crate::wire::shell;
pub(super) use asked::Face;
use parse::{Asked, Call, Misuse, parse};
use table::{COMMANDS, Deed, GROUPS, OWN, Opt};

/// Commands of Kamal that plimsoll has itself, under its own rules.
const ITS_OWN: &[&str] = &["deploy", "config"];

/// How deep aliases may go: Kamal follows them for ever.
const ALIASES: usize = 16;

/// Commands and groups that are also answered below plimsoll's own name.
pub(super) fn also_ours() -> Vec<&'static str> {
    let commands = COMMANDS
        .iter()
        .filter(|command| command.group().is_none() && !command.hidden)
        .map(|command| command.path);
    let mut names: Vec<_> = commands
        .chain(GROUPS.iter().map(|(name, _)| *name))
        .filter(|name| !ITS_OWN.contains(name))
        .collect();
    names.sort_unstable();
    names
}

/// Answers a command line, without the name it was called by.
pub(super) fn run(footing: Footing, face: Face, argv: &[String]) -> ExitCode {
    let runtime = match footing.take() {
        Ok(runtime) => runtime,
        Err(why) => return super::failed(&why),
    };
    let mut argv = argv.to_vec();
    for _ in 0..ALIASES {
        match understood(face, &argv) {
            Ok(Asked::Help(about)) => return say(&help::about(&about, face.program(), own(face))),
            Ok(Asked::Tree) => return say(&help::tree(face.program())),
            Ok(Asked::Run(call)) => {
                let target = call.target();
                return match Ground::lay(runtime, &target) {
                    Ok(ground) => answer(ground, face, &call, &target),
                    Err(code) => code,
                };
            }
            Err(Misuse::Unknown { word, near }) => match alias(&argv, &word) {
                Some(line) => argv = line,
                None => return misused(face, &Misuse::Unknown { word, near }),
            },
            Err(other) => return misused(face, &other),
        }
    }
    misused(
        face,
        &Misuse::Other("aliases go round in a circle".to_owned()),
    )
}

fn own(face: Face) -> &'static [Opt] {
    match face {
        Face::Kamal => &[],
        Face::Plimsoll => OWN,
    }
}

/// The command line as it is read. A `-h` without hosts is help, below plimsoll's own name.
fn understood(face: Face, argv: &[String]) -> Result<Asked, Misuse> {
    let asked = parse(argv, own(face))?;
    match asked {
        Asked::Run(call)
            if face == Face::Plimsoll
                && call.text("hosts") == Some("hosts")
                && argv.iter().any(|word| word == "-h") =>
        {
            Ok(Asked::Help(call.command.path.to_owned()))
        }
        asked => Ok(asked),
    }
}

/// The command line that an alias of the project stands for.
fn alias(argv: &[String], word: &str) -> Option<Vec<String>> {
    if argv.first().is_none_or(|first| first != word) {
        return None;
    }
    // Which configuration has it depends on the options behind it.
    let rest = ["audit".to_owned()]
        .into_iter()
        .chain(argv[1..].iter().cloned());
    let target = match parse(&rest.collect::<Vec<_>>(), OWN) {
        Ok(Asked::Run(call)) => call.target(),
        Ok(Asked::Help(_) | Asked::Tree) | Err(_) => Target::default(),
    };
    let environment = super::environment::Environment::read().ok()?;
    let silent = Reporter::new(Format::Text, Verbosity::Quiet, false);
    let project = start::read_project(&target, &environment, &silent).ok()?;
    let aliases = &project.envelope.aliases;
    let (_, line) = aliases.iter().find(|(name, _)| name == word)?;
    let words = words::split(line)?.into_iter();
    Some(words.chain(argv[1..].iter().cloned()).collect())
}

fn answer(ground: Ground, face: Face, call: &Call, target: &Target) -> ExitCode {
    if call.is("confirmed")
        || !call
            .command
            .options
            .iter()
            .any(|option| option.name == "confirmed")
    {
        return carry_out(ground, face, call, target);
    }
    // Kamal asks, and goes on with `y` alone; plimsoll's own face asks for the plan anyway.
    if face == Face::Plimsoll
        || ground.reporter.can_ask() && ground.reporter.ask(&format!("{} [y/N]", question(call)))
    {
        return carry_out(ground, face, call, target);
    }
    ground.reporter.data("Aborted\n");
    ExitCode::SUCCESS
}

fn question(call: &Call) -> String {
    match call.command.path {
        "remove" => "This will remove all containers and images. Are you sure?".to_owned(),
        "upgrade" => {
            "This will replace Traefik with kamal-proxy and restart all accessories".to_owned()
        }
        "accessory upgrade" => "This will restart all accessories".to_owned(),
        "accessory remove" => {
            let name = call.words.first().map_or("all", String::as_str);
            format!(
                "This will remove all containers, images and data directories for {name}. Are you sure?"
            )
        }
        _ => "This will cause a brief outage on each host. Are you sure?".to_owned(),
    }
}

fn carry_out(ground: Ground, face: Face, call: &Call, target: &Target) -> ExitCode {
    let wanted = call.wanted(face);
    let goal = Goal::Deploy;
    match route(call, &wanted.asked) {
        Route::Deploy if call.is("raw") => {
            ground.walk(goal, target, &wanted, async |request, host| {
                deploy::deploy(request, host).await.map(|_| None)
            })
        }
        Route::Deploy => ground.run(goal, target, &wanted),
        Route::Show => ground.walk(Goal::Plan, target, &wanted, async |request, host| {
            show::show(request, host).await.map(|()| None)
        }),
        Route::Images => ground.walk(goal, target, &wanted, async |request, host| {
            images::images(request, host).await.map(Some)
        }),
        Route::Registry => ground.walk(goal, target, &wanted, async |request, host| {
            registry::registry(request, host).await.map(Some)
        }),
        Route::Servers => ground.walk(goal, target, &wanted, async |request, host| {
            let verdict = servers::exec(request, host).await?;
            Ok(Some(verdict).filter(|_| !call.is("raw")))
        }),
        Route::Terminal => ground.walk(goal, target, &wanted, async |request, host| {
            let line = terminal::terminal(request, host).await?;
            let why = shell::become_program(&line);
            let program = line.first().map_or("ssh", String::as_str);
            Err(DeployError::Project(format!(
                "failed to start `{program}`: {why}"
            )))
        }),
        Route::Config => ground.run(Goal::Config, target, &wanted),
        Route::Here => {
            let told = here(&ground, face, call, target).map(|text| {
                ground.reporter.data(&text);
                None
            });
            ground.end(told)
        }
    }
}

/// Commands of `app`, `proxy` and `accessory` that change nothing.
const LOOKS: &[&str] = &["details", "containers", "images", "version", "logs"];

/// Which path a command takes.
enum Route {
    /// Renderer, differ, policies, driver.
    Deploy,
    /// The driver looks, and says what it sees.
    Show,
    /// The image alone.
    Images,
    /// Logins and the registry on this machine.
    Registry,
    /// A command of the user's on servers.
    Servers,
    /// With the user's terminal.
    Terminal,
    /// The documents.
    Config,
    /// No server, no component.
    Here,
}

fn route(call: &Call, asked: &serde_json::Value) -> Route {
    match call.command.path {
        _ if terminal::needs_terminal(asked) => Route::Terminal,
        "build push" | "build pull" | "build deliver" | "build dev" => Route::Images,
        "details" | "audit" | "lock status" => Route::Show,
        "app stale_containers" if !call.is("stop") => Route::Show,
        "proxy boot_config" if asked["action"] == "get" => Route::Show,
        _ if matches!(call.command.group(), Some("app" | "proxy" | "accessory"))
            && LOOKS.contains(&call.command.name()) =>
        {
            Route::Show
        }
        "server exec" => Route::Servers,
        "config" => Route::Config,
        path if path.starts_with("registry ") => Route::Registry,
        _ => match call.command.deed {
            Deed::Servers => Route::Deploy,
            Deed::Here => Route::Here,
        },
    }
}

/// What is answered without a component.
fn here(ground: &Ground, face: Face, call: &Call, target: &Target) -> Result<String, DeployError> {
    let environment = &ground.environment;
    match call.command.path {
        "version" => Ok(local::version(face)),
        "docs" => local::docs(call.words.first().map(String::as_str)),
        "init" => local::init(&environment.folder, call.is("bundle")),
        "secrets print" => {
            let project = start::read_project(target, environment, &ground.reporter)?;
            let printed = secrets::printed(&start::secrets(&project));
            printed.map_err(|error| DeployError::Project(error.to_string()))
        }
        "build create" | "build remove" | "build details" => {
            let project = start::read_project(target, environment, &ground.reporter)?;
            Ok(local::builder(&project.envelope.builder))
        }
        _ => {
            let programs = shell::Local {
                folder: &environment.folder,
                environment: &environment.variables,
            };
            match secrets::answer(call, &programs) {
                Ok(text) => Ok(format!("{text}\n")),
                Err(why) if why == secrets::NO_ACCOUNT => Ok(format!("{why}\n")),
                Err(why) => Err(DeployError::Project(why)),
            }
        }
    }
}

fn say(text: &str) -> ExitCode {
    Reporter::new(Format::Text, Verbosity::Normal, true).data(text);
    ExitCode::SUCCESS
}

/// A command line that makes no sense: Kamal's exit code is 1, plimsoll's 2.
fn misused(face: Face, misuse: &Misuse) -> ExitCode {
    let (text, hint) = misuse.said(face.program());
    let reporter = Reporter::new(Format::Text, Verbosity::Normal, true);
    let code = match face {
        Face::Kamal => 1,
        Face::Plimsoll => 2,
    };
    fail(&reporter, &text, hint.as_slice(), code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routed(line: &str) -> &'static str {
        let argv: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let Ok(Asked::Run(call)) = parse(&argv, &[]) else {
            panic!("{line} is no command");
        };
        match route(&call, &call.wanted(Face::Kamal).asked) {
            Route::Deploy => "deploy",
            Route::Show => "show",
            Route::Images => "images",
            Route::Registry => "registry",
            Route::Servers => "servers",
            Route::Terminal => "terminal",
            Route::Config => "config",
            Route::Here => "here",
        }
    }

    #[test]
    fn every_command_takes_the_path_it_needs() {
        for (path, lines) in [
            (
                "deploy",
                &[
                    "deploy",
                    "app boot",
                    "app stale_containers -s",
                    "prune images",
                    "lock release",
                    "app exec ls",
                    "proxy boot_config set",
                ][..],
            ),
            (
                "show",
                &[
                    "details",
                    "audit",
                    "lock status",
                    "app images",
                    "app version",
                    "app logs",
                    "app stale_containers",
                    "proxy details",
                    "proxy boot_config get",
                    "accessory logs db",
                ],
            ),
            (
                "images",
                &["build push", "build pull", "build deliver", "build dev"],
            ),
            ("registry", &["registry login", "registry remove"]),
            ("servers", &["server exec uptime"]),
            (
                "terminal",
                &[
                    "app exec -i sh",
                    "server exec -i top",
                    "app logs -f",
                    "accessory logs db -f",
                ],
            ),
            ("config", &["config"]),
            (
                "here",
                &["version", "docs", "init", "build details", "secrets print"],
            ),
        ] {
            for line in lines {
                assert_eq!(routed(line), path, "{line}");
            }
        }
    }
}
