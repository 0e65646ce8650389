//! The command line of the adapter.
#![expect(clippy::print_stderr, reason = "its output is what it is for")]

use std::path::Path;
use std::process::ExitCode;

use conformance::{batch, config, inside, text, trips};

const USAGE: &str = "\
usage: conformance case DIR                 run one case and print its normal form
       conformance cases DIR OUT [PATTERN…] run every case of a folder (whose names contain a pattern) into OUT/ID.json
       conformance config CASES.json OUT.json
       conformance text DIR OUT             every codec: OUT/FILE.json
       conformance trips HOSTS…             round trips of a deploy to so many hosts";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        // Compiling a component is the binary's own business, whichever binary it is.
        ["__compile", ..] => return plimsoll::cli::main(),
        ["__inside", folder] => return inside::run(Path::new(folder)),
        ["case", folder] => batch::case(Path::new(folder)),
        ["cases", folder, out, patterns @ ..] => {
            batch::cases(Path::new(folder), Path::new(out), patterns)
        }
        ["config", cases, out] => config::run(Path::new(cases), Path::new(out)),
        ["trips", hosts @ ..] => trips::run(hosts),
        ["text", folder, out] => text::run(Path::new(folder), Path::new(out)),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
