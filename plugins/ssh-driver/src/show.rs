//! Tables and lines, for requests that only look.

use release::Release;

use crate::facts::{Container, HostFacts};

/// Containers as a table: name, image, state.
pub fn containers<'a>(containers: impl Iterator<Item = &'a Container>) -> Vec<String> {
    table(containers.map(|one| [one.name.clone(), one.image.clone(), one.state.clone()]))
}

/// Names of the service's images, one a line, with the beginning of their ids.
pub fn images(facts: &HostFacts) -> Vec<String> {
    let rows = facts.images.iter().flat_map(|image| {
        let id = image.id.trim_start_matches("sha256:");
        let id: String = id.chars().take(12).collect();
        let names = image.references.iter();
        names.map(move |name| [name.clone(), id.clone(), String::new()])
    });
    table(rows)
}

/// Running versions of a role that are not the current one, in Kamal's words.
pub fn stale(facts: &HostFacts, release: &Release, role: &str) -> Vec<String> {
    let prefix = release.prefix(role);
    let version = |one: &Container| {
        let version = one.name.strip_prefix(&prefix).unwrap_or(&one.name);
        version.trim_start_matches('-').to_owned()
    };
    let line = |one: &Container| {
        format!(
            "Detected stale container for role {role} with version {} (use `kamal app stale_containers --stop` to stop it)",
            version(one)
        )
    };
    facts.stale(release, role).into_iter().map(line).collect()
}

/// Lines with a text in them; of the options of `grep` those that choose lines: `-i`, `-v`, `-E` is as without.
pub fn grep(lines: Vec<String>, pattern: Option<&str>, options: Option<&str>) -> Vec<String> {
    let Some(pattern) = pattern else {
        return lines;
    };
    let has = |flag: char| {
        let mut words = options.unwrap_or_default().split_whitespace();
        words.any(|word| word.starts_with('-') && !word.starts_with("--") && word.contains(flag))
    };
    let (ignores_case, inverted) = (has('i'), has('v'));
    let folded = |text: &str| match ignores_case {
        true => text.to_lowercase(),
        false => text.to_owned(),
    };
    let pattern = folded(pattern);
    let wanted = |line: &String| folded(line).contains(&pattern) != inverted;
    lines.into_iter().filter(wanted).collect()
}

fn table(rows: impl Iterator<Item = [String; 3]>) -> Vec<String> {
    let rows: Vec<[String; 3]> = rows.collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let (first, second) = (width(0), width(1));
    rows.iter()
        .map(|[a, b, c]| {
            format!("{a:first$}  {b:second$}  {c}")
                .trim_end()
                .to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let container = |name: &str, state: &str| Container {
            name: name.into(),
            image: "app:1".into(),
            state: state.into(),
            ..Container::default()
        };
        let all = [
            container("app-web-1", "running"),
            container("app-web-10", "exited"),
        ];
        assert_eq!(
            containers(all.iter()),
            ["app-web-1   app:1  running", "app-web-10  app:1  exited"]
        );
    }

    #[test]
    fn lines_are_chosen_as_grep_does() {
        let lines = || vec!["An error".to_owned(), "fine".to_owned()];
        for (pattern, options, expected) in [
            (None, None, vec!["An error", "fine"]),
            (Some("error"), None, vec!["An error"]),
            (Some("an"), None, vec![]),
            (Some("an"), Some("-i"), vec!["An error"]),
            (Some("error"), Some("-iv --color"), vec!["fine"]),
        ] {
            assert_eq!(
                grep(lines(), pattern, options),
                expected,
                "{pattern:?} {options:?}"
            );
        }
    }
}
