//! The command line of `aws-double`: a double that stays until it is stopped, with the application `demo` in it.

use std::path::PathBuf;
use std::time::Duration;

use lab::LabError;

use crate::double::{Double, Options, Pushes};
use crate::seed::Application;

/// `aws-double FILE [PORT]`: starts a double with `demo` in it, writes what an SDK reads to come to it, as commands of
/// a shell, to FILE, and stays until a signal ends it.
pub fn run() -> Result<(), LabError> {
    let mut words = std::env::args().skip(1);
    let file = words
        .next()
        .map(PathBuf::from)
        .ok_or_else(|| LabError::Machine {
            problem: "know where to write the environment".to_owned(),
            hint: "run `cargo lab aws up`, or `aws-double FILE [PORT]`".to_owned(),
        })?;
    let port = words.next().and_then(|word| word.parse().ok());
    let double = Double::start(Options {
        registry: Pushes::ForPeople,
        runs_functions: lab::command::find("node").is_some(),
        port: port.unwrap_or(0),
        ..Options::default()
    })?;
    double.seed(&Application::demo())?;
    // Long enough to see things happen.
    double.set_resource_time(Duration::from_millis(700));
    double.set_task_time(Duration::from_millis(1500));
    let line = |(name, value): (&str, String)| format!("export {name}={value}\n");
    let text: String = double.environment().into_iter().map(line).collect();
    lab::state::write(&file, 0o600, text)?;
    loop {
        std::thread::sleep(Duration::from_secs(300));
        // moto ends when nobody asks.
        double.keep_moto();
    }
}
