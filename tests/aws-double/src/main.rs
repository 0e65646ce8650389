//! `aws-double`: a double in a process of its own, for people. `cargo lab aws` runs it.

use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    match aws_double::command::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "failed to {error}");
            ExitCode::FAILURE
        }
    }
}
