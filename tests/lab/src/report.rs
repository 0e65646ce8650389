//! The only place of the lab that writes to the terminal.

use std::io::{self, Write};

/// Says one line about what the lab is doing, on stderr.
///
/// A terminal that went away is no reason to stop.
pub fn say(line: impl AsRef<str>) {
    let _ = writeln!(io::stderr(), "lab: {}", line.as_ref());
}

/// Prints a result, on stdout.
pub fn print(line: impl AsRef<str>) {
    let _ = writeln!(io::stdout(), "{}", line.as_ref());
}
