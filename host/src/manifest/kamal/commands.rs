//! Commands that the shells of servers run: Kamal does not quote commands, volumes, files, directories and ports.

use std::iter::Peekable;
use std::rc::Rc;
use std::str::Chars;

use super::texts;
use crate::manifest::tree::Node;

/// Keys of roles and accessories whose text is not quoted.
const UNQUOTED: [&str; 6] = ["cmd", "volumes", "files", "directories", "port", "network"];

/// What they run, each once.
pub(super) fn read(root: &Node) -> Vec<String> {
    let sections = ["servers", "accessories"].map(|key| root.get(key));
    let parts = sections
        .into_iter()
        .flatten()
        .flat_map(|section| section.entries())
        .flat_map(|entry| UNQUOTED.map(|key| entry.value.get(key)));
    let own = root.get("volumes");
    let mut commands = Vec::new();
    for text in parts.chain([own]).flatten().flat_map(unquoted) {
        for command in of_line(&text) {
            if !commands.contains(&command) {
                commands.push(command);
            }
        }
    }
    commands
}

/// Texts, and those of mappings: `local` and `remote` of files.
fn unquoted(node: &Rc<Node>) -> Vec<String> {
    let items = node.items().iter();
    let below = items.flat_map(|item| item.entries().iter().map(|entry| &entry.value));
    let below: Vec<String> = below
        .filter_map(|value| value.text().map(str::to_owned))
        .collect();
    [texts(Some(node)), below].concat()
}

/// What a POSIX shell would run of a line that stands behind a command.
fn of_line(line: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut chars = line.trim().chars().peekable();
    let (mut quoted, mut at_start) = (false, true);
    let mut word = String::new();
    loop {
        let rest = chars.clone();
        let Some(c) = chars.next() else {
            return commands;
        };
        let begins = std::mem::take(&mut at_start);
        match c {
            '\\' => drop(chars.next()),
            '\'' if !quoted => while chars.next().is_some_and(|c| c != '\'') {},
            '"' => quoted = !quoted,
            '`' => commands.push(backquoted(&mut chars)),
            '$' if chars.peek() == Some(&'(') => {
                chars.next();
                let inside = balanced(&mut chars);
                let sum = inside.strip_prefix('(').and_then(|i| i.strip_suffix(')'));
                commands.push(sum.map_or(inside.clone(), |sum| format!("echo $(({sum}))")));
            }
            '$' if chars.peek() == Some(&'{') => {
                // Kept together: what looks like an operator in it is none.
                while chars.next().is_some_and(|c| c != '}') {}
            }
            ' ' | '\t' if !quoted => {
                at_start = true;
                word.clear();
                continue;
            }
            '#' if !quoted && begins => return commands,
            ';' | '&' | '|' | '<' | '>' | '(' | ')' | '\n' if !quoted => {
                let rest: String = rest.collect();
                let number = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
                let tail = match number && matches!(c, '<' | '>') {
                    true => format!("{word}{rest}"),
                    false => rest.trim().to_owned(),
                };
                commands.push(format!(": {tail}"));
                return commands;
            }
            c => word.push(c),
        }
    }
}

fn backquoted(chars: &mut Peekable<Chars<'_>>) -> String {
    let mut inside = String::new();
    while let Some(c) = chars.next().filter(|c| *c != '`') {
        match (c, chars.peek()) {
            ('\\', Some('$' | '`' | '\\')) => inside.extend(chars.next()),
            (c, _) => inside.push(c),
        }
    }
    inside
}

/// Up to the parenthesis that closes one which was read; quotes hide them.
fn balanced(chars: &mut Peekable<Chars<'_>>) -> String {
    let mut inside = String::new();
    let (mut depth, mut quote) = (1usize, None);
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => {
                inside.push(c);
                inside.extend(chars.next());
                continue;
            }
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(opened)) if c == opened => quote = None,
            ('(', None) => depth += 1,
            (')', None) => depth -= 1,
            (_, _) => {}
        }
        if depth == 0 {
            return inside;
        }
        inside.push(c);
    }
    inside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_runs_is_found_and_nothing_else() {
        for (line, expected) in [
            ("bin/jobs -q a", &[][..]),
            ("bin/x $HOME '$(id)' \"\\$(id)\"", &[]),
            (
                "a $(hostname -f) \"$(echo ')')\"",
                &["hostname -f", "echo ')'"],
            ),
            ("a `date +\\`x\\``", &["date +`x`"]),
            ("a $((1 + 2))", &["echo $((1 + 2))"]),
            ("a && date", &[": && date"]),
            ("a 2>&1", &[": 2>&1"]),
            ("a ${X:-b;c} # ; x", &[]),
            ("a\ndate", &[": date"]),
            ("a 'b; c' \"d | e\"", &[]),
        ] {
            assert_eq!(of_line(line), expected, "{line}");
        }
    }
}
