//! The demonstration of Copilot's commands: `examples/copilot`, deployed to the double of AWS.

use std::fs;
use std::process::Command;

use crate::command::run_shown;
use crate::report::{print, say};
use crate::{LabError, demo, sample, setup, state};

/// Deploys the whole example, then one service of it again, with nothing to do.
pub fn demo() -> Result<(), LabError> {
    setup::needed()?;
    demo::refuse_an_engine_that_is_only_roots()?;
    let plimsoll = demo::build()?;
    let environment = super::up()?;
    let folder = state::folder()?.join("demo/copilot");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(LabError::file(&folder))?;
    }
    let project = sample::stage_copilot(&folder)?;
    say(format!("the workspace is in {}", folder.display()));
    for words in [
        &["deploy", "--all", "--env", "test", "--yes"][..],
        &["svc", "deploy", "--name", "web", "--env", "test", "--yes"],
    ] {
        let mut deploy = Command::new(&plimsoll);
        deploy.args(words).current_dir(&project.folder);
        for (name, value) in environment.lines().filter_map(variable) {
            deploy.env(name, value);
        }
        print(format!("$ plimsoll {}", words.join(" ")));
        run_shown(&mut deploy)?;
    }
    print(
        "`eval \"$(cargo lab aws env)\"` lets you go on there; `cargo lab aws down` takes it all away again",
    );
    Ok(())
}

/// `export NAME=VALUE`.
fn variable(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("export ")?.split_once('=')
}
