//! Kamal's command line, word by word, as Thor 1.4 reads it (`thor/parser/options.rb`): words before the first option are
//! the command's own, options may be written with `_` or `-`, short ones may be joined, `--no-x` and `--skip-x` turn a
//! switch off. What is left over makes the command refuse.

use serde_json::{Map, Number, Value as Json};

use super::table::{COMMANDS, Command, GROUPS, Kind, Opt, Words};

/// What was asked.
#[derive(Debug)]
pub(super) enum Asked {
    /// A command with its words and options.
    Run(Call),
    /// Help about a command, a group, or everything (empty).
    Help(String),
    /// All commands as a tree.
    Tree,
}

/// A command, ready to be carried out.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) command: &'static Command,
    /// As they were given.
    pub(super) words: Vec<String>,
    /// By name. Defaults are in it.
    pub(super) options: Map<String, Json>,
}

/// Why a command line makes no sense. Kamal exits with 1 then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Misuse {
    /// No command of that name: an alias, perhaps.
    Unknown { word: String, near: Option<String> },
    /// Too many words, or too few.
    Miscalled {
        path: &'static str,
        usage: String,
        given: String,
    },
    /// Everything else, in Thor's words.
    Other(String),
}

impl Misuse {
    /// What is said of it, and a hint, to somebody who called it `program`.
    pub(super) fn said(&self, program: &str) -> (String, Option<String>) {
        match self {
            Self::Unknown { word, near } => (
                format!("Could not find command \"{word}\"."),
                near.as_ref()
                    .map(|near| format!("did you mean \"{near}\"?")),
            ),
            Self::Miscalled { path, usage, given } => (
                format!(
                    "\"{program} {path}\" was called with {given}\nUsage: \"{program} {usage}\""
                ),
                None,
            ),
            Self::Other(text) => (text.clone(), None),
        }
    }
}

/// Reads the words after `kamal`. `own` are the options of the face that asks.
pub(super) fn parse(argv: &[String], own: &'static [Opt]) -> Result<Asked, Misuse> {
    let Some((first, rest)) = argv.split_first() else {
        return Ok(Asked::Help(String::new()));
    };
    match first.as_str() {
        "help" | "-h" | "--help" | "-?" | "-D" => return help_about(rest),
        "tree" => return Ok(Asked::Tree),
        _ => {}
    }
    let top = COMMANDS.iter().filter(|command| command.group().is_none());
    let names = top
        .filter(|command| !command.hidden)
        .map(|command| command.name())
        .chain(GROUPS.iter().map(|(name, _)| *name))
        .chain(["help", "tree"]);
    let name = the_one(first, names)?;
    match name.as_str() {
        "help" => help_about(rest),
        "tree" => Ok(Asked::Tree),
        group if GROUPS.iter().any(|(known, _)| *known == group) => in_group(group, rest, own),
        name => call(find(name), rest, own),
    }
}

fn in_group(group: &str, argv: &[String], own: &'static [Opt]) -> Result<Asked, Misuse> {
    let Some((first, rest)) = argv.split_first() else {
        return Ok(Asked::Help(group.to_owned()));
    };
    match first.as_str() {
        "help" => {
            let about = rest.first().map(|word| format!("{group} {word}"));
            return Ok(Asked::Help(about.unwrap_or_else(|| group.to_owned())));
        }
        "tree" => return Ok(Asked::Tree),
        word if word.starts_with('-') => return Ok(Asked::Help(group.to_owned())),
        _ => {}
    }
    // Hidden commands answer to their whole name alone.
    let whole = first.replace('-', "_");
    let members = COMMANDS
        .iter()
        .filter(|command| command.group() == Some(group));
    if let Some(command) = members.clone().find(|command| command.name() == whole) {
        return call(command, rest, own);
    }
    let shown = members.filter(|command| !command.hidden);
    let name = the_one(first, shown.map(Command::name))?;
    call(find(&format!("{group} {name}")), rest, own)
}

fn find(path: &str) -> &'static Command {
    COMMANDS
        .iter()
        .find(|command| command.path == path)
        .expect("names come from the table")
}

/// The name that a word is, or that it alone begins.
fn the_one<'n>(word: &str, names: impl Iterator<Item = &'n str> + Clone) -> Result<String, Misuse> {
    let dashed = word.replace('-', "_");
    if let Some(name) = names.clone().find(|name| *name == dashed) {
        return Ok(name.to_owned());
    }
    let mut begun: Vec<&str> = names
        .clone()
        .filter(|name| name.starts_with(word))
        .collect();
    begun.sort_unstable();
    match begun.as_slice() {
        [name] => Ok((*name).to_owned()),
        [] => Err(Misuse::Unknown {
            word: word.to_owned(),
            near: names
                .map(|name| (strsim::jaro_winkler(word, name), name))
                .filter(|(likeness, _)| *likeness > 0.85)
                .max_by(|a, b| a.0.total_cmp(&b.0))
                .map(|(_, name)| name.to_owned()),
        }),
        several => Err(Misuse::Other(format!(
            "Ambiguous command {word} matches [{}]",
            several.join(", ")
        ))),
    }
}

fn help_about(words: &[String]) -> Result<Asked, Misuse> {
    let mut words = words.iter().filter(|word| !word.starts_with('-'));
    let (group, name) = (words.next(), words.next());
    let about = match (group, name) {
        (None, _) => String::new(),
        (Some(group), None) => group.clone(),
        (Some(group), Some(name)) => format!("{group} {}", name.replace('-', "_")),
    };
    let known = about.is_empty()
        || GROUPS.iter().any(|(name, _)| *name == about)
        || COMMANDS.iter().any(|command| command.path == about);
    if known {
        return Ok(Asked::Help(about));
    }
    Err(Misuse::Unknown {
        word: about,
        near: None,
    })
}

fn call(command: &'static Command, argv: &[String], own: &'static [Opt]) -> Result<Asked, Misuse> {
    // Thor takes `--help` for a word too many, and `rollback --help` for a version: nobody means that.
    let end = argv.iter().position(|word| word == "--");
    if argv[..end.unwrap_or(argv.len())]
        .iter()
        .any(|word| word == "--help")
    {
        return Ok(Asked::Help(command.path.to_owned()));
    }
    let first_option = argv.iter().position(|word| word.starts_with('-'));
    let (words, rest) = argv.split_at(first_option.unwrap_or(argv.len()));
    let mut reader = Reader {
        options: command.all_options().chain(own).collect(),
        rest: rest.iter().rev().cloned().collect(),
        given: Map::new(),
        left: Vec::new(),
        value: false,
    };
    reader.read()?;
    let missing: Vec<String> = reader
        .options
        .iter()
        .filter(|option| option.required && !reader.given.contains_key(option.name))
        .map(|option| format!("'--{}'", option.name))
        .collect();
    if !missing.is_empty() {
        return Err(Misuse::Other(format!(
            "No value provided for required options {}",
            missing.join(", ")
        )));
    }
    for option in &reader.options {
        if !option.default.is_empty() && !reader.given.contains_key(option.name) {
            let value = serde_json::from_str(option.default).expect("defaults are JSON");
            reader.given.insert(option.name.to_owned(), value);
        }
    }
    let words: Vec<String> = words.iter().cloned().chain(reader.left).collect();
    let enough = match command.words {
        Words::None => words.is_empty(),
        Words::One(_) => words.len() == 1,
        Words::Maybe(_) => words.len() <= 1,
        Words::Two(..) => words.len() == 2,
        Words::Any(_) => true,
        Words::OneAndAny(..) => !words.is_empty(),
    };
    if !enough {
        return Err(miscalled(command, &words));
    }
    Ok(Asked::Run(Call {
        command,
        words,
        options: reader.given,
    }))
}

fn miscalled(command: &'static Command, words: &[String]) -> Misuse {
    let given = if words.is_empty() {
        "no arguments".to_owned()
    } else {
        let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
        format!("arguments [{}]", quoted.join(", "))
    };
    Misuse::Miscalled {
        path: command.path,
        usage: usage(command),
        given,
    }
}

/// `accessory exec NAME CMD…`
pub(super) fn usage(command: &Command) -> String {
    let words = match command.words {
        Words::None => String::new(),
        Words::One(name) => format!(" [{}]", name.to_uppercase()),
        Words::Maybe(name) => format!(" [{}]", name.to_uppercase()),
        Words::Two(first, second) => {
            format!(" [{}] [{}]", first.to_uppercase(), second.to_uppercase())
        }
        Words::Any(name) => format!(" [{}...]", name.to_uppercase()),
        Words::OneAndAny(first, rest) => {
            format!(" [{}] [{}...]", first.to_uppercase(), rest.to_uppercase())
        }
    };
    format!("{}{words}", command.path)
}

/// Options, taken off the end of `rest`, which is in reverse.
struct Reader {
    options: Vec<&'static Opt>,
    rest: Vec<String>,
    given: Map<String, Json>,
    /// What no option took.
    left: Vec<String>,
    /// The next word came after a `=`: a value, however it looks.
    value: bool,
}

/// An option as it is written.
enum Form {
    /// `--name`, `-n`
    Plain(String),
    /// `--name=value`, `-n=value`, `-n5`
    With(String, String),
    /// `-abc`
    Joined(Vec<String>),
}

fn form(word: &str) -> Option<Form> {
    let named = |name: &str| {
        let mut parts = name.split('-');
        parts.all(|part| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_'))
    };
    if let Some(long) = word.strip_prefix("--") {
        return match long.split_once('=') {
            Some((name, value)) if named(name) => {
                Some(Form::With(format!("--{name}"), value.to_owned()))
            }
            Some(_) => None,
            None => named(long).then(|| Form::Plain(word.to_owned())),
        };
    }
    let short = word.strip_prefix('-')?;
    let mut letters = short.chars();
    let letter = letters.next().filter(char::is_ascii_alphabetic)?;
    let rest = letters.as_str();
    if rest.is_empty() {
        return Some(Form::Plain(word.to_owned()));
    }
    if let Some(value) = rest.strip_prefix('=') {
        return Some(Form::With(format!("-{letter}"), value.to_owned()));
    }
    if rest.chars().all(|c| c.is_ascii_alphabetic()) {
        return Some(Form::Joined(
            short.chars().map(|letter| format!("-{letter}")).collect(),
        ));
    }
    is_number(rest).then(|| Form::With(format!("-{letter}"), rest.to_owned()))
}

/// `-5`, `5`, `.5`, `0.5`
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    !part.is_empty()
        && whole
            .chars()
            .chain(part.chars())
            .all(|c| c.is_ascii_digit())
        && (!whole.is_empty() || digits.starts_with('.'))
}

impl Reader {
    fn read(&mut self) -> Result<(), Misuse> {
        while let Some(word) = self.rest.pop() {
            if word == "--" {
                self.left.extend(self.rest.drain(..).rev());
                return Ok(());
            }
            let Some(form) = form(&word) else {
                self.left.push(word);
                continue;
            };
            match form {
                Form::Joined(letters)
                    if letters.iter().any(|letter| self.option(letter).is_some()) =>
                {
                    self.rest.extend(letters.into_iter().rev());
                }
                Form::Plain(name) if self.option(&name).is_some() => self.take(&name)?,
                Form::With(name, value) if self.option(&name).is_some() => {
                    self.rest.push(value);
                    self.value = true;
                    self.take(&name)?;
                }
                Form::Joined(_) | Form::Plain(_) | Form::With(..) => {
                    self.left.push(word);
                    while let Some(next) = self.rest.pop_if(|next| !next.starts_with('-')) {
                        self.left.push(next);
                    }
                }
            }
            self.value = false;
        }
        Ok(())
    }

    /// The option, and whether it was turned round by `no` or `skip`.
    fn option(&self, written: &str) -> Option<(&'static Opt, bool)> {
        let of = |name: &str| {
            self.options
                .iter()
                .find(|option| option.name == name)
                .copied()
        };
        let Some(name) = written.strip_prefix("--") else {
            let letter = written.chars().nth(1)?;
            let option = self
                .options
                .iter()
                .find(|option| option.short == Some(letter));
            return option.map(|option| (*option, false));
        };
        let name = name.replace('_', "-");
        let turned = || {
            let rest = name
                .strip_prefix("no-")
                .or_else(|| name.strip_prefix("skip-"))?;
            of(rest).map(|option| (option, true))
        };
        of(&name).map(|option| (option, false)).or_else(turned)
    }

    /// The next word, if it is no option.
    fn next_value(&mut self) -> Option<String> {
        let value = self.value;
        self.value = false;
        self.rest
            .pop_if(|word| value || form(word).is_none() && word != "--")
    }

    fn take(&mut self, written: &str) -> Result<(), Misuse> {
        let Some((option, turned)) = self.option(written) else {
            return Ok(());
        };
        let name = option.name.to_owned();
        let value = match option.kind {
            Kind::Switch => {
                let said = self.rest.last().and_then(|word| match word.as_str() {
                    "true" | "TRUE" | "t" | "T" => Some(true),
                    "false" | "FALSE" | "f" | "F" => Some(false),
                    _ => None,
                });
                if said.is_some() {
                    self.rest.pop();
                }
                Json::Bool(said.unwrap_or(!turned))
            }
            Kind::Text => match self.next_value() {
                Some(text) => Json::String(text),
                None if turned => Json::Null,
                None if option.required => return Err(no_value(written)),
                None if option.default.is_empty() => Json::String(name.replace('-', "_")),
                None => serde_json::from_str(option.default).expect("defaults are JSON"),
            },
            Kind::Number => {
                let text = self.next_value().ok_or_else(|| no_value(written))?;
                let whole = text.parse::<i64>().map(Number::from).ok();
                let number = whole.or_else(|| Number::from_f64(text.parse().ok()?));
                number
                    .filter(|_| is_number(&text))
                    .map(Json::Number)
                    .ok_or_else(|| {
                        Misuse::Other(format!(
                            "Expected numeric value for '{written}'; got {text:?}"
                        ))
                    })?
            }
            Kind::Pairs => {
                let mut pairs = Map::new();
                while let Some(word) = self.next_value() {
                    let Some((key, value)) = word.split_once(':') else {
                        self.rest.push(word);
                        break;
                    };
                    pairs.insert(key.to_owned(), Json::String(value.to_owned()));
                }
                if pairs.is_empty() {
                    return Err(no_value(written));
                }
                Json::Object(pairs)
            }
            Kind::Words => {
                let mut words = Vec::new();
                while let Some(word) = self.next_value() {
                    words.push(Json::String(word));
                }
                Json::Array(words)
            }
            Kind::Texts => {
                let text = self.next_value().ok_or_else(|| no_value(written))?;
                let before = self.given.remove(&name);
                let mut texts = match before {
                    Some(Json::Array(texts)) => texts,
                    Some(_) | None => Vec::new(),
                };
                texts.push(Json::String(text));
                Json::Array(texts)
            }
        };
        self.given.insert(name, value);
        Ok(())
    }
}

fn no_value(written: &str) -> Misuse {
    Misuse::Other(format!("No value provided for option '{written}'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ask(line: &str) -> Result<Asked, Misuse> {
        let argv: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&argv, &[])
    }

    /// Command, words, and the options that are not defaults.
    fn run(line: &str) -> (String, Vec<String>, Json) {
        match ask(line) {
            Ok(Asked::Run(mut call)) => {
                call.options.retain(|name, value| {
                    let option = call
                        .command
                        .all_options()
                        .find(|option| option.name == name);
                    let default =
                        option.and_then(|option| serde_json::from_str(option.default).ok());
                    default.as_ref() != Some(&*value)
                });
                (
                    call.command.path.to_owned(),
                    call.words,
                    Json::Object(call.options),
                )
            }
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn options_mean_what_they_mean_to_kamal() {
        let table: &[(&str, &str, &[&str], Json)] = &[
            ("deploy", "deploy", &[], json!({})),
            (
                "deploy -P --version abc",
                "deploy",
                &[],
                json!({"skip-push": true, "version": "abc"}),
            ),
            (
                "deploy --skip_push -qH",
                "deploy",
                &[],
                json!({"skip-push": true, "quiet": true, "skip-hooks": true}),
            ),
            (
                "deploy --no-skip-push",
                "deploy",
                &[],
                json!({"skip-push": false}),
            ),
            (
                "deploy --skip-verbose --no-quiet",
                "deploy",
                &[],
                json!({"verbose": false, "quiet": false}),
            ),
            (
                "deploy --no-cache",
                "deploy",
                &[],
                json!({"no-cache": true}),
            ),
            (
                "deploy --skip-hooks false",
                "deploy",
                &[],
                json!({"skip-hooks": false}),
            ),
            ("deploy -h", "deploy", &[], json!({"hosts": "hosts"})),
            (
                "deploy -h -p",
                "deploy",
                &[],
                json!({"hosts": "hosts", "primary": true}),
            ),
            (
                "deploy -h 1.1.1.*,web-1 -r=web",
                "deploy",
                &[],
                json!({"hosts": "1.1.1.*,web-1", "roles": "web"}),
            ),
            ("deploy --hosts=-x", "deploy", &[], json!({"hosts": "-x"})),
            ("deploy -c", "deploy", &[], json!({})),
            (
                "deploy --lock_wait --lock-wait-timeout 5",
                "deploy",
                &[],
                json!({"lock-wait": true, "lock-wait-timeout": 5}),
            ),
            (
                "red -d staging",
                "redeploy",
                &[],
                json!({"destination": "staging"}),
            ),
            (
                "rollback 123 -r web",
                "rollback",
                &["123"],
                json!({"roles": "web"}),
            ),
            (
                "rollback -r web 123",
                "rollback",
                &["123"],
                json!({"roles": "web"}),
            ),
            (
                "app logs -n100 -g GET -f",
                "app logs",
                &[],
                json!({"lines": 100, "grep": "GET", "follow": true}),
            ),
            (
                "app stale-containers -s",
                "app stale_containers",
                &[],
                json!({"stop": true}),
            ),
            (
                "app exec -i --reuse bin/rails console",
                "app exec",
                &["bin/rails", "console"],
                json!({"interactive": true, "reuse": true}),
            ),
            (
                "app exec --env A:1 B:x:y -- ls -l",
                "app exec",
                &["ls", "-l"],
                json!({"env": {"A": "1", "B": "x:y"}}),
            ),
            ("app exec ls -- -l", "app exec", &["ls", "-l"], json!({})),
            (
                "accessory exec db psql",
                "accessory exec",
                &["db", "psql"],
                json!({}),
            ),
            (
                "app remove_containers",
                "app remove_containers",
                &[],
                json!({}),
            ),
            (
                "lock acquire -m why",
                "lock acquire",
                &[],
                json!({"message": "why"}),
            ),
            (
                "prune containers --retain 3",
                "prune containers",
                &[],
                json!({"retain": 3}),
            ),
            (
                "proxy boot_config set --publish-host-ip 1.1.1.1 --publish-host-ip ::1 --no-publish --docker-options a=1 b=2 --debug",
                "proxy boot_config",
                &["set"],
                json!({"publish-host-ip": ["1.1.1.1", "::1"], "publish": false, "docker-options": ["a=1", "b=2"], "debug": true}),
            ),
            (
                "secrets fetch -a 1password --account x DB/A B",
                "secrets fetch",
                &["DB/A", "B"],
                json!({"adapter": "1password", "account": "x"}),
            ),
        ];
        for (line, command, words, options) in table {
            let (path, got, given) = run(line);
            assert_eq!((path.as_str(), &given), (*command, options), "{line}");
            assert_eq!(got, *words, "{line}");
        }
    }

    #[test]
    fn what_kamal_refuses_is_refused_in_its_words() {
        for (line, said) in [
            (
                "deploy --bogus",
                "\"kamal deploy\" was called with arguments [\"--bogus\"]\nUsage: \"kamal deploy\"",
            ),
            ("deploy extra -P", "arguments [\"extra\"]"),
            ("deploy --bogus 5 -P", "arguments [\"--bogus\", \"5\"]"),
            (
                "rollback",
                "\"kamal rollback\" was called with no arguments\nUsage: \"kamal rollback [VERSION]\"",
            ),
            (
                "lock acquire",
                "No value provided for required options '--message'",
            ),
            (
                "deploy --lock-wait-timeout",
                "No value provided for option '--lock-wait-timeout'",
            ),
            (
                "deploy --lock-wait-timeout x",
                "Expected numeric value for '--lock-wait-timeout'; got \"x\"",
            ),
            ("de", "Ambiguous command de matches [deploy, details]"),
            ("deplyo", "Could not find command \"deplyo\"."),
            ("app foo", "Could not find command \"foo\"."),
        ] {
            let (refused, _) = ask(line).expect_err(line).said("kamal");
            assert!(refused.contains(said), "{line}: {refused}");
        }
        let misuse = ask("deplyo").expect_err("a typing error");
        assert_eq!(
            misuse.said("kamal").1.as_deref(),
            Some("did you mean \"deploy\"?")
        );
        let misuse = ask("rollback").expect_err("a word is missing");
        assert!(
            misuse
                .said("plimsoll")
                .0
                .starts_with("\"plimsoll rollback\" was")
        );
    }

    #[test]
    fn help_is_where_people_look_for_it() {
        for (line, about) in [
            ("", ""),
            ("-h", ""),
            ("--help", ""),
            ("help deploy", "deploy"),
            ("help app", "app"),
            ("help app boot", "app boot"),
            ("app", "app"),
            ("app help logs", "app logs"),
            ("deploy --help", "deploy"),
            ("rollback --help", "rollback"),
        ] {
            assert!(
                matches!(ask(line), Ok(Asked::Help(found)) if found == about),
                "{line}"
            );
        }
        assert!(matches!(ask("tree"), Ok(Asked::Tree)));
        // After `--` it is somebody else's.
        assert_eq!(run("app exec -- ls --help").1, ["ls", "--help"]);
    }
}
