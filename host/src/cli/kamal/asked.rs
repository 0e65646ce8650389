//! From a call to what the pipeline is asked. The object's shape is the driver's
//! (`plugins/ssh-driver/src/request.rs` has the table).

use serde_json::{Map, Value as Json, json};

use super::parse::Call;
use super::table::Words;
use crate::cli::arguments::{Target, Wanted};

/// Who asks: Kamal's own command line carries out at once, plimsoll's shows its plan first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Face {
    /// `kamal …`, `plimsoll kamal …`
    Kamal,
    /// `plimsoll …`
    Plimsoll,
}

impl Face {
    /// The name it is called by.
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::Kamal => "kamal",
            Self::Plimsoll => "plimsoll",
        }
    }
}

impl Call {
    /// Whether a switch is on.
    pub(super) fn is(&self, name: &str) -> bool {
        self.options.get(name) == Some(&Json::Bool(true))
    }

    /// A text, when it was given.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.options.get(name)?.as_str()
    }

    /// Which project, and which part of it.
    pub(super) fn target(&self) -> Target {
        let default = |file: &&str| *file != "config/deploy.yml";
        let list = |name: &str| self.text(name).map(str::to_owned);
        Target {
            config_file: self.text("config-file").filter(default).map(Into::into),
            destination: list("destination"),
            hosts: list("hosts").map(Some),
            roles: list("roles")
                .iter()
                .flat_map(|roles| roles.split(','))
                .map(str::to_owned)
                .collect(),
            primary: self.is("primary"),
            version: list("version"),
            skip_push: self.is("skip-push"),
            skip_hooks: self.is("skip-hooks"),
            verbose: self.is("verbose"),
            quiet: self.is("quiet"),
            json: self.is("json"),
            ..Target::default()
        }
    }

    /// What is wanted of it.
    pub(super) fn wanted(&self, face: Face) -> Wanted {
        Wanted {
            yes: face == Face::Kamal || self.is("yes") || self.is("confirmed"),
            no_cache: self.is("no-cache"),
            // Kamal has no plan that anybody expects to see.
            shows_plan: face == Face::Plimsoll || self.is("verbose"),
            asked: self.asked(face),
            program: face.program(),
            ..Wanted::default()
        }
    }

    fn asked(&self, face: Face) -> Json {
        let mut asked = Map::new();
        asked.insert(
            "command".to_owned(),
            json!(self.command.path.replace('_', "-")),
        );
        if face == Face::Kamal {
            // Kamal boots what runs already, too.
            asked.insert("reboot".to_owned(), json!(true));
        }
        let others = self.command.options.iter().map(|option| option.name);
        for name in others.chain([
            "version",
            "lock-wait",
            "lock-wait-timeout",
            "lock-wait-interval",
        ]) {
            if let Some(value) = self.options.get(name) {
                asked.insert(name.to_owned(), value.clone());
            }
        }
        let mut word = |name: &str, value: String| {
            let name = if name == "subcommand" { "action" } else { name };
            asked.insert(name.to_owned(), json!(value));
        };
        let joined = |words: &[String]| {
            words
                .iter()
                .map(|word| word.trim())
                .collect::<Vec<_>>()
                .join(" ")
        };
        match (self.command.words, self.words.as_slice()) {
            (Words::One(name) | Words::Maybe(name), [first, ..]) => word(name, first.clone()),
            (Words::Two(one, two), [first, second, ..]) => {
                word(one, first.clone());
                word(two, second.clone());
            }
            (Words::Any(name), words) => word(name, joined(words)),
            (Words::OneAndAny(one, rest), [first, others @ ..]) => {
                word(one, first.clone());
                word(rest, joined(others));
            }
            (
                Words::None
                | Words::One(_)
                | Words::Maybe(_)
                | Words::Two(..)
                | Words::OneAndAny(..),
                _,
            ) => {}
        }
        Json::Object(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::{Asked, parse};
    use super::*;

    fn asked(line: &str, face: Face) -> Json {
        let argv: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match parse(&argv, &[]) {
            Ok(Asked::Run(call)) => call.wanted(face).asked,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn components_are_told_the_command_and_its_own_options() {
        let wait = |mut object: Json| {
            object["lock-wait-timeout"] = json!(900);
            object["lock-wait-interval"] = json!(15);
            object
        };
        for (line, told) in [
            (
                "deploy -P -v -h x",
                json!({"command": "deploy", "skip-push": true}),
            ),
            (
                "rollback 12",
                json!({"command": "rollback", "version": "12"}),
            ),
            (
                "rollback 12 --version 13",
                json!({"command": "rollback", "version": "12"}),
            ),
            (
                "app boot --version 7",
                json!({"command": "app boot", "version": "7"}),
            ),
            (
                "app stale_containers -s",
                json!({"command": "app stale-containers", "stop": true}),
            ),
            (
                "app exec ls -e A:1",
                json!({"command": "app exec", "cmd": "ls", "env": {"A": "1"}}),
            ),
            (
                "accessory exec db psql app",
                json!({"command": "accessory exec", "name": "db", "cmd": "psql app"}),
            ),
            (
                "lock acquire -m x --lock-wait",
                json!({"command": "lock acquire", "message": "x", "lock-wait": true}),
            ),
        ] {
            assert_eq!(asked(line, Face::Plimsoll), wait(told), "{line}");
        }
        assert_eq!(asked("app boot", Face::Kamal)["reboot"], json!(true));
        assert_eq!(
            asked("proxy boot_config get", Face::Kamal)["action"],
            json!("get")
        );
    }
}
