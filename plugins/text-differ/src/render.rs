//! A tree of differences as text, in the layout Copilot prints.

use std::fmt::Write as _;

use crate::emit;
use crate::node::{Content, Node};
use crate::tree::{Difference, Place, Tree, What};

/// How parents are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Every parent on its own line.
    Tree,
    /// Chains of single children joined by `/`.
    Collapsed,
}

/// Whether lines are coloured with escape sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// No colours.
    Plain,
    /// Yellow for changed lines, green for added, red for removed, faint for what is only context.
    Ansi,
}

/// The tree as lines: `~` changed, `+` added, `-` removed, the sign after the indentation. Empty for an empty tree.
pub fn render(tree: &Tree, style: Style, paint: Paint) -> String {
    let mut page = Page {
        out: String::new(),
        style,
        paint,
    };
    page.differences(&tree.differences, 0);
    page.out
}

/// Columns from a key to its children, and from a list's item to its children.
const BELOW_KEY: usize = 4;
const BELOW_ITEM: usize = 2;

#[derive(Clone, Copy)]
enum Sign {
    Changed,
    Added,
    Removed,
}

struct Page {
    out: String,
    style: Style,
    paint: Paint,
}

impl Page {
    fn differences(&mut self, differences: &[Difference], indent: usize) {
        for difference in differences {
            self.difference(difference, indent);
        }
    }

    fn difference(&mut self, difference: &Difference, indent: usize) {
        let place = &difference.place;
        match &difference.what {
            What::Inside(children) => match place {
                Place::Document => self.differences(children, indent),
                Place::Address(address) => {
                    let _ = writeln!(self.out, "{:indent$}~ {address}:", "");
                    self.differences(children, indent + BELOW_KEY);
                }
                Place::Key(key) => {
                    let (path, children) = self.joined(key, children);
                    let _ = writeln!(self.out, "{:indent$}~ {path}:", "");
                    self.differences(children, indent + BELOW_KEY);
                }
                Place::Item { .. } => {
                    let text = self.faint("- (changed item)");
                    let _ = writeln!(self.out, "{:indent$}~ {text}", "");
                    self.differences(children, indent + BELOW_ITEM);
                }
            },
            What::Unchanged(count) => {
                let items = if *count == 1 { "item" } else { "items" };
                let text = self.faint(&format!("({} unchanged {items})", with_commas(*count)));
                let _ = writeln!(self.out, "{:indent$}{text}", "");
            }
            What::Added(new) => self.lines(Sign::Added, &at_place(place, new), indent),
            What::Removed(old) => self.lines(Sign::Removed, &at_place(place, old), indent),
            What::Replaced { old, new } if fit_one_line(old, new) => {
                let (old, new) = (emit::value(old), emit::value(new));
                let strip = |text: &str| text.strip_suffix('\n').unwrap_or(text).to_owned();
                let label = match place {
                    Place::Document => String::new(),
                    Place::Key(key) | Place::Address(key) => format!("{key}: "),
                    Place::Item { .. } => "- ".to_owned(),
                };
                self.lines(
                    Sign::Changed,
                    &format!("{label}{} -> {}", strip(&old), strip(&new)),
                    indent,
                );
            }
            What::Replaced { old, new } => {
                self.lines(Sign::Removed, &at_place(place, old), indent);
                self.lines(Sign::Added, &at_place(place, new), indent);
            }
        }
    }

    /// The key with those of its only children, as far as these are keys with something inside.
    fn joined<'a>(&self, key: &str, mut children: &'a [Difference]) -> (String, &'a [Difference]) {
        let mut path = key.to_owned();
        while self.style == Style::Collapsed
            && let [
                Difference {
                    place: Place::Key(key),
                    what: What::Inside(inner),
                },
            ] = children
        {
            path.push('/');
            path.push_str(key);
            children = inner;
        }
        (path, children)
    }

    fn lines(&mut self, sign: Sign, text: &str, indent: usize) {
        let (sign, colour) = match sign {
            Sign::Changed => ('~', "93"),
            Sign::Added => ('+', "92"),
            Sign::Removed => ('-', "91"),
        };
        for line in text.trim_end_matches('\n').split('\n') {
            let _ = match self.paint {
                Paint::Plain => writeln!(self.out, "{:indent$}{sign} {line}", ""),
                Paint::Ansi => {
                    writeln!(self.out, "\x1b[{colour}m{:indent$}{sign} {line}\x1b[0m", "")
                }
            };
        }
    }

    fn faint(&self, text: &str) -> String {
        match self.paint {
            Paint::Plain => text.to_owned(),
            Paint::Ansi => format!("\x1b[2m{text}\x1b[0m"),
        }
    }
}

fn at_place(place: &Place, node: &Node) -> String {
    match place {
        Place::Document => emit::value(node),
        Place::Key(key) | Place::Address(key) => emit::entry(key, node),
        Place::Item { .. } => emit::item(node),
    }
}

/// Whether a change is shown as `old -> new`.
fn fit_one_line(old: &Node, new: &Node) -> bool {
    matches!(
        (&old.content, &new.content),
        (Content::Scalar { .. }, Content::Scalar { .. })
            | (Content::Alias { .. }, Content::Alias { .. })
    )
}

fn with_commas(count: usize) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_thousands() {
        for (count, text) in [
            (1, "1"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345, "12,345"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(with_commas(count), text);
        }
    }
}
