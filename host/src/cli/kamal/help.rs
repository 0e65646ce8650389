//! Help for Kamal's commands: a list, a command's options, the tree.

use super::parse::usage;
use super::table::{CLASS, COMMANDS, Command, GROUPS, Kind, Opt};

/// Help about a command, a group, or all commands when `about` is empty. `program` is the name it was called by.
pub(super) fn about(about: &str, program: &str, own: &'static [Opt]) -> String {
    if let Some(command) = COMMANDS.iter().find(|command| command.path == about) {
        return of_command(command, program, own);
    }
    let shown = |command: &&Command| !command.hidden;
    let mut lines: Vec<(String, &str)> = if about.is_empty() {
        let top = COMMANDS
            .iter()
            .filter(shown)
            .filter(|command| command.group().is_none());
        top.map(|command| (usage(command), command.help))
            .chain(
                GROUPS
                    .iter()
                    .map(|(name, help)| ((*name).to_owned(), *help)),
            )
            .chain([("help [COMMAND]".to_owned(), "Explain a command")])
            .collect()
    } else {
        let members = COMMANDS.iter().filter(shown);
        members
            .filter(|command| command.group() == Some(about))
            .map(|command| (usage(command), command.help))
            .collect()
    };
    lines.sort();
    let named: Vec<(String, String)> = lines
        .into_iter()
        .map(|(usage, help)| (format!("{program} {usage}"), help.to_owned()))
        .collect();
    let options = CLASS.iter().chain(own).map(option);
    format!(
        "Commands:\n{}\nOptions:\n{}",
        columns(&named),
        columns(&options.collect::<Vec<_>>())
    )
}

fn of_command(command: &Command, program: &str, own: &'static [Opt]) -> String {
    let options: Vec<(String, String)> = command.all_options().chain(own).map(option).collect();
    format!(
        "Usage:\n  {program} {}\n\nOptions:\n{}\n{}\n",
        usage(command),
        columns(&options),
        command.help
    )
}

fn option(option: &Opt) -> (String, String) {
    let short = option
        .short
        .map_or("    ".to_owned(), |letter| format!("-{letter}, "));
    let name = option.name;
    let value = name.to_uppercase().replace('-', "_");
    let long = match option.kind {
        Kind::Switch => format!("--{name}"),
        Kind::Text | Kind::Texts => format!("--{name}={value}"),
        Kind::Number => format!("--{name}=N"),
        Kind::Pairs => format!("--{name}=KEY:VALUE"),
        Kind::Words => format!("--{name}=ONE TWO"),
    };
    let mut help = option.help.to_owned();
    if !option.default.is_empty() {
        help.push_str(&format!(" (default: {})", option.default.trim_matches('"')));
    }
    if option.required {
        help.push_str(" (required)");
    }
    (format!("{short}{long}"), help)
}

fn columns(lines: &[(String, String)]) -> String {
    let width = lines.iter().map(|(left, _)| left.chars().count()).max();
    let width = width.unwrap_or_default();
    lines
        .iter()
        .map(|(left, right)| format!("  {left:<width$}  # {right}\n"))
        .collect()
}

/// All commands, group by group.
pub(super) fn tree(program: &str) -> String {
    let mut text = format!("{program}\n");
    let line = |depth: &str, command: &Command| {
        let usage = usage(command);
        let name = usage.split_once(' ').filter(|_| command.group().is_some());
        let name = name.map_or(usage.as_str(), |(_, rest)| rest);
        format!("{depth}├─ {name}\n{depth}│    {}\n", command.help)
    };
    for (group, help) in GROUPS {
        text.push_str(&format!("├─ {group}\n│    {help}\n"));
        let members = COMMANDS
            .iter()
            .filter(|command| command.group() == Some(group) && !command.hidden);
        members.for_each(|command| text.push_str(&line("│  ", command)));
    }
    let top = COMMANDS
        .iter()
        .filter(|command| command.group().is_none() && !command.hidden);
    top.for_each(|command| text.push_str(&line("", command)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_has_every_command_that_is_not_hidden_and_every_option() {
        for command in COMMANDS {
            let list = about(command.group().unwrap_or_default(), "kamal", &[]);
            let listed = list.contains(&format!("  kamal {} ", usage(command)));
            assert_eq!(listed, !command.hidden, "{}", command.path);
            let help = about(command.path, "kamal", &[]);
            for option in command.all_options() {
                assert!(help.contains(&format!("--{}", option.name)), "{help}");
            }
        }
        assert!(tree("kamal").contains("├─ app\n│    The application"));
        assert!(about("app", "kamal", &[]).contains("kamal app exec [CMD...]"));
        assert!(about("", "plimsoll", &[]).contains("plimsoll rollback [VERSION]"));
    }
}
