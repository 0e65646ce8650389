//! What the differ does, seen from outside. Tables of old text, new text and what is printed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "a skipped test says why")]

mod all {
    mod changes;
    mod conformance;
    mod copilot_rules;
    mod documents;
    mod hostile;
    mod layout;
    mod lists;
    mod seeds;
    mod semantic_rules;
}

use text_differ::{Paint, Rules, Style, diff, render};

/// The text of a comparison.
fn printed(old: &str, new: &str, rules: Rules, style: Style) -> String {
    let tree = diff(old, new, rules).unwrap_or_else(|error| panic!("{error}\n{old}\n---\n{new}"));
    render(&tree, style, Paint::Plain)
}

/// As Copilot prints.
fn collapsed(old: &str, new: &str) -> String {
    printed(old, new, Rules::Copilot, Style::Collapsed)
}

/// As plimsoll prints by default.
fn tree(old: &str, new: &str) -> String {
    printed(old, new, Rules::Semantic, Style::Tree)
}

/// Lines of a table, each ended.
fn lines(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}
