//! The differ behind the command line that the conformance scorer drives:
//! `template_diff template diff [--style tree|collapsed] OLD NEW`.
//!
//! Status 0 when the documents could be compared, 2 when not, as with any file that can't be read.

use std::io::Write as _;
use std::process::ExitCode;

use text_differ::{Document, Style, diff_documents};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "{message}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), String> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (style, old, new) = match words.as_slice() {
        ["template", "diff", "--style", "collapsed", old, new] => (Style::Collapsed, old, new),
        ["template", "diff", "--style", "tree", old, new] | ["template", "diff", old, new] => {
            (Style::Tree, old, new)
        }
        _ => {
            return Err(
                "usage: template_diff template diff [--style tree|collapsed] OLD NEW".to_owned(),
            );
        }
    };
    let read = |path: &str| {
        std::fs::read_to_string(path).map_err(|error| format!("failed to read {path}: {error}"))
    };
    let (old, new) = (read(old)?, read(new)?);
    let document = |body| Document {
        address: "template",
        media_type: "application/yaml",
        body,
    };
    let difference =
        diff_documents(&[document(&old)], &[document(&new)], style).map_err(|problems| {
            problems
                .iter()
                .map(|problem| format!("failed to compare: {problem}"))
                .collect::<Vec<_>>()
                .join("\n")
        })?;
    std::io::stdout()
        .write_all(difference.text.as_bytes())
        .map_err(|error| format!("failed to print: {error}"))
}
