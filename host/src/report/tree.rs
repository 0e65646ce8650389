//! Something long under way, as a tree: drawn anew in its place on a terminal, a line for each change elsewhere.

use serde_json::{Value as Json, json};

use crate::plan::printable;
use crate::wit::progress::{Item, State, Table};

/// An item, and the manifest line that made what it is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// As the driver tells it.
    pub item: Item,
    /// `copilot/api/manifest.yml:12:3`
    pub at: Option<String>,
}

/// What of a tree is worth a line of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// Every change.
    Everything,
    /// What failed, and how the whole ended.
    Outcome,
}

/// The tree as lines for a terminal of that size, failures first.
pub(super) fn draw(items: &[Shown], width: usize, height: usize, colour: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for failed in items.iter().filter(|shown| is_failure(&shown.item)) {
        lines.extend(
            failure(failed)
                .iter()
                .flat_map(|line| wrapped(line, width))
                .map(|line| paint(line, "31", colour)),
        );
    }
    if !lines.is_empty() {
        lines.push(String::new());
    }
    let texts = ordered(items);
    let longest = texts
        .iter()
        .map(|(depth, shown)| 2 * depth + 2 + shown.item.text.chars().count())
        .max()
        .unwrap_or_default()
        .min(width.saturating_sub(34).max(20));
    for (depth, shown) in texts {
        lines.push(line(depth, &shown.item, longest, colour));
        for table in &shown.item.tables {
            lines.extend(draw_table(table, 2 * depth + 2, width));
        }
    }
    let mut lines: Vec<String> = lines.into_iter().map(|line| cut(&line, width)).collect();
    let room = height.saturating_sub(2).max(5);
    if lines.len() > room {
        let more = lines.len() + 1 - room;
        lines.truncate(room - 1);
        lines.push(format!("… {more} more lines"));
    }
    lines
}

/// What changed since `before`, a line for each.
pub(super) fn changes(before: &[Shown], now: &[Shown], detail: Detail) -> Vec<String> {
    let mut lines = Vec::new();
    for shown in now {
        let item = &shown.item;
        let known = before.iter().find(|known| known.item.id == item.id);
        let old = known.map(|known| &known.item);
        let ended = !matches!(item.state, State::Waiting | State::Running);
        let wanted = match detail {
            Detail::Everything => item.state != State::Waiting,
            Detail::Outcome => item.state == State::Failed || (item.parent.is_none() && ended),
        };
        let moved = old.is_none_or(|old| (old.state, &old.status) != (item.state, &item.status));
        let explained = old.is_none_or(|old| old.reasons != item.reasons);
        if wanted && is_failure(item) && (moved || explained) {
            lines.extend(failure(shown));
        } else if wanted && moved {
            lines.push(format!(
                "  {:<28} {}{}",
                printable(&item.status),
                printable(&item.text),
                took(item)
            ));
        }
        if detail == Detail::Everything {
            for table in &item.tables {
                let known =
                    old.and_then(|old| old.tables.iter().find(|known| known.title == table.title));
                lines.extend(news(known, table));
            }
        }
    }
    lines
}

/// What changed since `before`, as data.
pub(super) fn json_changes(before: &[Shown], now: &[Shown]) -> Vec<Json> {
    let changed = now.iter().filter(|shown| {
        let known = before.iter().find(|known| known.item.id == shown.item.id);
        known.is_none_or(|known| {
            let (a, b) = (&known.item, &shown.item);
            (a.state, &a.status, &a.reasons, &a.tables)
                != (b.state, &b.status, &b.reasons, &b.tables)
        })
    });
    changed
        .map(|shown| {
            let item = &shown.item;
            json!({
                "id": item.id,
                "parent": item.parent,
                "text": item.text,
                "state": state_word(item.state),
                "status": item.status,
                "elapsed": item.elapsed,
                "reasons": item.reasons,
                "at": shown.at,
                "tables": item.tables.iter().map(|table| json!({"title": table.title, "columns": table.columns, "rows": table.rows})).collect::<Vec<_>>(),
            })
        })
        .collect()
}

fn is_failure(item: &Item) -> bool {
    item.state == State::Failed && !item.reasons.is_empty()
}

/// A failed item: what, why, and where it comes from.
fn failure(shown: &Shown) -> Vec<String> {
    let mut reasons = shown.item.reasons.iter();
    let first = reasons.next().map(String::as_str).unwrap_or_default();
    let mut lines = vec![format!(
        "✗ {} [{}]: {}",
        printable(&shown.item.text),
        printable(&shown.item.status),
        printable(first)
    )];
    if let Some(at) = &shown.at {
        lines.push(format!("  --> {}", printable(at)));
    }
    lines.extend(reasons.map(|reason| format!("  {}", printable(reason))));
    lines
        .iter()
        .flat_map(|line| line.split('\n'))
        .map(str::to_owned)
        .collect()
}

/// Parents before their children, with the depth of each. What has no parent in the list is at the top.
fn ordered(items: &[Shown]) -> Vec<(usize, &Shown)> {
    fn below<'a>(
        items: &'a [Shown],
        parent: Option<&str>,
        depth: usize,
        found: &mut Vec<(usize, &'a Shown)>,
    ) {
        // Nobody nests deeper, unless to loop.
        if depth > 8 {
            return;
        }
        for shown in items {
            let own = shown.item.parent.as_deref();
            let known = own.filter(|own| items.iter().any(|other| other.item.id == *own));
            if known == parent {
                found.push((depth, shown));
                below(items, Some(&shown.item.id), depth + 1, found);
            }
        }
    }
    let mut found = Vec::new();
    below(items, None, 0, &mut found);
    found
}

fn line(depth: usize, item: &Item, longest: usize, colour: bool) -> String {
    let text = cut(
        &format!("{}- {}", "  ".repeat(depth), printable(&item.text)),
        longest,
    );
    let padding = " ".repeat(longest.saturating_sub(text.chars().count()));
    let status = format!("[{}]", printable(&item.status));
    let code = match item.state {
        State::Succeeded => "32",
        State::Failed | State::Undone => "31",
        State::Waiting | State::Running => "2",
    };
    let time = item
        .elapsed
        .map(|elapsed| format!("  [{}]", seconds(elapsed)))
        .unwrap_or_default();
    format!("{text}{padding}  {}{time}", paint(status, code, colour))
}

fn draw_table(table: &Table, indent: usize, width: usize) -> Vec<String> {
    let rows: Vec<Vec<String>> = std::iter::once(&table.columns)
        .filter(|columns| !columns.is_empty())
        .chain(&table.rows)
        .map(|row| row.iter().map(|cell| printable(cell)).collect())
        .collect();
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..count)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        })
        .collect();
    let pad = " ".repeat(indent);
    let mut lines = vec![format!("{pad}{}", printable(&table.title))];
    // Sentences, which say least where they are cut.
    if table.columns.is_empty() {
        let sentences = rows.iter().map(|row| format!("{pad}  {}", row.join("  ")));
        lines.extend(sentences.flat_map(|line| wrapped(&line, width)));
        return lines;
    }
    for row in &rows {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.chars().count())));
        let cells: Vec<String> = cells.collect();
        lines.push(format!("{pad}  {}", cells.join("  ").trim_end()));
    }
    lines
}

/// Rows of a table that were not there before.
fn news(before: Option<&Table>, now: &Table) -> Vec<String> {
    let known = |row: &Vec<String>| before.is_some_and(|before| before.rows.contains(row));
    let named = |row: &Vec<String>| {
        let cells: Vec<String> = match now.columns.is_empty() {
            true => row.clone(),
            false => {
                let pairs = now.columns.iter().zip(row);
                let pair = |(column, cell): (&String, &String)| match column.is_empty() {
                    true => cell.clone(),
                    false => format!("{} {cell}", column.to_lowercase()),
                };
                pairs.map(pair).collect()
            }
        };
        format!(
            "    {}: {}",
            printable(&now.title),
            printable(&cells.join(", "))
        )
    };
    now.rows
        .iter()
        .filter(|row| !known(row))
        .map(named)
        .collect()
}

fn took(item: &Item) -> String {
    match (item.state, item.elapsed) {
        (State::Waiting | State::Running, _) | (_, None) => String::new(),
        (State::Succeeded | State::Failed | State::Undone, Some(elapsed)) => {
            format!(" ({})", seconds(elapsed))
        }
    }
}

fn seconds(milliseconds: u32) -> String {
    format!("{:.1}s", f64::from(milliseconds) / 1000.0)
}

fn state_word(state: State) -> &'static str {
    match state {
        State::Waiting => "waiting",
        State::Running => "running",
        State::Succeeded => "succeeded",
        State::Failed => "failed",
        State::Undone => "undone",
    }
}

fn paint(text: String, code: &str, colour: bool) -> String {
    match colour {
        true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        false => text,
    }
}

/// A line of words as several of at most so many characters, each as far in as the first and a little more. A word that is longer
/// than a line stays whole.
fn wrapped(line: &str, width: usize) -> Vec<String> {
    let indent = line.len() - line.trim_start().len();
    let mut lines = Vec::new();
    let mut current = " ".repeat(indent);
    let mut is_empty = true;
    for word in line.split_whitespace() {
        let more = usize::from(!is_empty) + word.chars().count();
        if !is_empty && current.chars().count() + more > width {
            lines.push(std::mem::replace(&mut current, " ".repeat(indent + 2)));
            is_empty = true;
        }
        if !is_empty {
            current.push(' ');
        }
        current.push_str(word);
        is_empty = false;
    }
    lines.push(current);
    lines
}

/// At most so many characters; colours count for nothing.
fn cut(text: &str, width: usize) -> String {
    let mut shown = 0;
    let mut result = String::new();
    let mut escaped = false;
    for c in text.chars() {
        match (escaped, c) {
            (false, '\u{1b}') => escaped = true,
            (true, 'm') => escaped = false,
            (true, _) => {}
            (false, _) => {
                shown += 1;
                if shown > width {
                    continue;
                }
            }
        }
        result.push(c);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: &str, parent: Option<&str>, state: State, status: &str) -> Shown {
        let item = Item {
            id: id.to_owned(),
            parent: parent.map(str::to_owned),
            text: format!("the {id}"),
            state,
            status: status.to_owned(),
            elapsed: Some(1500),
            reasons: Vec::new(),
            about: None,
            tables: Vec::new(),
        };
        Shown { item, at: None }
    }

    fn broken() -> Shown {
        let mut failed = item("Service", Some("stack"), State::Failed, "create failed");
        failed.item.reasons = vec!["no image".to_owned(), "hint: push it".to_owned()];
        failed.at = Some("copilot/api/manifest.yml:4:3".to_owned());
        failed
    }

    #[test]
    fn a_tree_is_drawn_with_failures_first_and_children_below_their_parents() {
        let mut service = broken();
        service.item.tables = vec![Table {
            title: "Deployments".to_owned(),
            columns: vec![String::new(), "Running".to_owned()],
            rows: vec![vec!["PRIMARY".to_owned(), "0".to_owned()]],
        }];
        let items = [
            service,
            item("stack", None, State::Running, "create in progress"),
            item("Bucket", Some("stack"), State::Waiting, "not started"),
        ];
        let drawn = draw(&items, 80, 40, false);
        assert_eq!(
            drawn,
            [
                "✗ the Service [create failed]: no image",
                "  --> copilot/api/manifest.yml:4:3",
                "  hint: push it",
                "",
                "- the stack      [create in progress]  [1.5s]",
                "  - the Service  [create failed]  [1.5s]",
                "    Deployments",
                "               Running",
                "      PRIMARY  0",
                "  - the Bucket   [not started]  [1.5s]",
            ]
        );
        assert_eq!(draw(&items, 80, 8, false).len(), 6, "it fits the terminal");
        assert!(
            draw(&items, 30, 40, true)
                .iter()
                .all(|line| cut(line, 30) == *line)
        );
    }

    #[test]
    fn reasons_are_wrapped_and_never_cut() {
        let mut failed = broken();
        let reason = "CannotPullContainerError: pull image manifest has been retried 5 time(s)";
        failed.item.reasons = vec![reason.to_owned()];
        failed.item.tables = vec![Table {
            title: "Latest failure event".to_owned(),
            columns: Vec::new(),
            rows: vec![vec![reason.to_owned()]],
        }];
        let drawn = draw(&[failed], 40, 40, false);
        assert!(
            drawn.iter().all(|line| line.chars().count() <= 40),
            "{drawn:#?}"
        );
        let all = drawn.join(" ");
        let words: Vec<&str> = all.split_whitespace().collect();
        assert_eq!(words.join(" ").matches(reason).count(), 2, "{drawn:#?}");
        assert_eq!(wrapped("  a b", 3), ["  a", "    b"]);
    }

    #[test]
    fn only_what_changed_gets_a_line() {
        let before = [
            item("stack", None, State::Running, "create in progress"),
            item(
                "Bucket",
                Some("stack"),
                State::Running,
                "create in progress",
            ),
        ];
        let now = [
            item("stack", None, State::Running, "create in progress"),
            item("Bucket", Some("stack"), State::Succeeded, "create complete"),
            item("Waits", Some("stack"), State::Waiting, "not started"),
            broken(),
        ];
        let everything = changes(&before, &now, Detail::Everything);
        assert_eq!(
            everything,
            [
                "  create complete              the Bucket (1.5s)",
                "✗ the Service [create failed]: no image",
                "  --> copilot/api/manifest.yml:4:3",
                "  hint: push it",
            ]
        );
        assert_eq!(changes(&before, &now, Detail::Outcome), everything[1..]);
        assert!(changes(&now, &now, Detail::Everything).is_empty());
        assert_eq!(json_changes(&before, &now).len(), 3);
    }

    #[test]
    fn a_driver_cannot_drive_the_terminal_by_its_tree() {
        let mut hostile = item("x", None, State::Failed, "bad\u{1b}[2J");
        hostile.item.text = "a\u{1b}]0;title\u{7}b".to_owned();
        hostile.item.reasons = vec!["\u{202e}reversed".to_owned()];
        hostile.item.parent = Some("x".to_owned());
        let looped = [hostile.clone()];
        let all = [
            draw(&looped, 80, 40, false),
            changes(&[], &looped, Detail::Everything),
        ]
        .concat()
        .join("\n");
        assert!(!all.contains('\u{1b}') && !all.contains('\u{7}') && !all.contains('\u{202e}'));
    }
}
