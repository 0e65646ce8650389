//! What can be done after a deploy that stopped halfway: try the rest again, or go back where something was replaced.

use super::Request;
use crate::wire::ssh::quote;
use crate::wit::driver::exports::plimsoll::deploy::driver::Leftover;

/// How the user's command line is repeated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Again {
    /// `plimsoll`, `plimsoll kamal`, `kamal`: as the user calls it.
    pub program: Vec<String>,
    /// Flags that choose the project, its destination and roles.
    pub project: Vec<String>,
    /// Flags that choose hosts.
    pub hosts: Vec<String>,
}

impl Again {
    /// A command of the same project on the same hosts, as it is written in a shell.
    pub fn line(&self, words: &[&str]) -> String {
        quote(&self.words(words, &self.hosts))
    }

    fn words(&self, words: &[&str], hosts: &[String]) -> Vec<String> {
        let words = words.iter().map(ToString::to_string);
        let before = self.program.iter().cloned().chain(words);
        let after = hosts.iter().chain(&self.project).cloned();
        before.chain(after).collect()
    }
}

/// Command lines, each beginning with the program as the user calls it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Tries the rest again; none when nothing is left to do.
    pub resume: Option<Step>,
    /// Go back where something was replaced: one for each version there was.
    pub undo: Vec<Step>,
    /// A person may be asked: they did not say that nobody is.
    pub asks: bool,
}

/// A command line, and what it does in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// `try again on 10.0.0.2`.
    pub title: String,
    /// The words.
    pub words: Vec<String>,
}

impl Step {
    /// For people: what, and the command to copy.
    pub fn line(&self) -> String {
        format!("{}: {}", self.title, quote(&self.words))
    }
}

impl Recovery {
    /// What can be done about what a version left behind.
    pub fn of(request: &Request, version: &str, leftovers: &[Leftover]) -> Self {
        let of_hosts = |words: &[&str], hosts: &[&str]| {
            let patterns: Vec<String> = hosts.iter().map(|host| literally(host)).collect();
            let hosts = ["-h".to_owned(), patterns.join(",")];
            request.again.words(words, &hosts)
        };
        let unfinished = leftovers.iter().filter(|left| left.unfinished);
        let unfinished: Vec<&str> = unfinished.map(|left| left.host.as_str()).collect();
        let resumed: &[&str] = match request.command() {
            "rollback" => &["rollback", version],
            "app boot" => &["app", "boot", "--version", version],
            "redeploy" => &["redeploy", "-P", "--version", version],
            // It was pushed before anything was begun on a server.
            _ => &["deploy", "-P", "--version", version],
        };
        let resume = (!unfinished.is_empty()).then(|| Step {
            title: format!("try again on {}", unfinished.join(", ")),
            words: of_hosts(resumed, &unfinished),
        });
        let mut versions: Vec<&str> = leftovers
            .iter()
            .filter_map(|left| left.replaced.as_deref())
            .collect();
        versions.sort_unstable();
        versions.dedup();
        let back = |before: &&str| {
            let hosts = leftovers.iter();
            let hosts = hosts.filter(|left| left.replaced.as_deref() == Some(*before));
            let hosts: Vec<&str> = hosts.map(|left| left.host.as_str()).collect();
            Step {
                title: format!("go back to {before} on {}", hosts.join(", ")),
                words: of_hosts(&["rollback", before], &hosts),
            }
        };
        Self {
            resume,
            undo: versions.iter().map(back).collect(),
            asks: !request.yes || !request.shows_plan,
        }
    }

    /// All of it for people.
    pub fn lines(&self) -> Vec<String> {
        self.resume
            .iter()
            .chain(&self.undo)
            .map(Step::line)
            .collect()
    }

    /// What a person can choose: an undo of several versions is several commands, which they run themselves.
    pub fn choices(&self) -> Vec<&Step> {
        let undo = self.undo.first().filter(|_| self.undo.len() == 1);
        self.resume.iter().chain(undo).collect()
    }
}

/// A host as a pattern that only it matches.
fn literally(host: &str) -> String {
    let special = |c: char| "\\*?[]{}".contains(c);
    let mut pattern = String::new();
    for c in host.chars() {
        if special(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(command: &str) -> Request {
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
        Request {
            goal: crate::pipeline::Goal::Deploy,
            deployment_id: String::new(),
            asked: json!({"command": command}),
            version: None,
            destination: None,
            shows_plan: true,
            yes: false,
            diff: false,
            skip_push: false,
            skip_hooks: false,
            no_cache: false,
            hosts: Vec::new(),
            roles: Vec::new(),
            primary: false,
            facts: None,
            save_facts: None,
            again: Again {
                program: words(&["plimsoll"]),
                project: words(&["-d", "blue"]),
                hosts: words(&["-h", "10.0.0.*"]),
            },
        }
    }

    fn left(host: &str, unfinished: bool, replaced: Option<&str>) -> Leftover {
        Leftover {
            host: host.into(),
            state: String::new(),
            unfinished,
            replaced: replaced.map(str::to_owned),
        }
    }

    #[test]
    fn the_rest_is_tried_again_and_what_was_replaced_comes_back() {
        let left = [
            left("10.0.0.1", false, Some("1")),
            left("[fd00::2]:22", true, None),
            left("10.0.0.3", true, None),
        ];
        for (command, expected) in [
            ("deploy", "plimsoll deploy -P --version 2"),
            ("setup", "plimsoll deploy -P --version 2"),
            ("redeploy", "plimsoll redeploy -P --version 2"),
            ("rollback", "plimsoll rollback 2"),
            ("app boot", "plimsoll app boot --version 2"),
        ] {
            let recovery = Recovery::of(&request(command), "2", &left);
            assert_eq!(
                recovery.lines(),
                [
                    format!(
                        r"try again on [fd00::2]:22, 10.0.0.3: {expected} -h '\[fd00::2\]:22,10.0.0.3' -d blue"
                    ),
                    "go back to 1 on 10.0.0.1: plimsoll rollback 1 -h 10.0.0.1 -d blue".to_owned(),
                ]
            );
            assert_eq!(recovery.choices().len(), 2);
        }
    }

    #[test]
    fn where_nothing_was_replaced_there_is_nothing_to_go_back_to() {
        let recovery = Recovery::of(&request("deploy"), "2", &[left("a", false, None)]);
        assert_eq!((recovery.resume, recovery.undo), (None, Vec::new()));
        let several = [left("a", false, Some("1")), left("b", false, Some("0"))];
        let recovery = Recovery::of(&request("deploy"), "2", &several);
        assert_eq!(recovery.undo.len(), 2);
        assert!(recovery.choices().is_empty());
    }
}
