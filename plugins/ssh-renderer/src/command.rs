//! What the user asked for, as far as it decides what has to be rendered, and what has to be there for it. Kamal reads
//! secrets, files and versions only when something needs them; no command is refused here for what it does not use.

use serde::Deserialize;

/// `context.request`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Request {
    /// Kamal's command, its words with a blank between them: `deploy`, `app boot`.
    pub command: String,
    /// Of `accessory …`: which one; `all` is all.
    pub name: Option<String>,
    /// Of `rollback` and `app …`: the version that was named on the command line.
    pub version: Option<String>,
    /// The lock is held already by whoever started this (`KAMAL_LOCK`).
    pub lock_held: bool,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            command: "deploy".to_owned(),
            name: None,
            version: None,
            lock_held: false,
        }
    }
}

/// What a command has to do with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Containers of the application.
    pub roles: bool,
    /// They are started, so that their environment must be complete.
    pub boots: bool,
    /// The proxy's container.
    pub proxies: bool,
    /// Accessories.
    pub accessories: bool,
    /// They are started: secrets and files must be there.
    pub boots_accessories: bool,
    /// The application's image is pulled, and built before unless it is there.
    pub image: bool,
    /// Somebody logs in at the registry.
    pub registry: bool,
    /// A version is needed.
    pub version: bool,
}

impl Request {
    /// What the command has to do with. Commands that are not known here have to do with containers of the application.
    pub fn scope(&self) -> Scope {
        let none = Scope::default();
        let boot = Scope {
            roles: true,
            boots: true,
            version: true,
            ..none
        };
        let redeploy = Scope {
            image: true,
            registry: true,
            ..boot
        };
        let deploy = Scope {
            proxies: true,
            ..redeploy
        };
        match self.words().as_slice() {
            ["deploy" | "config"] => deploy,
            ["setup"] => Scope {
                accessories: true,
                boots_accessories: true,
                ..deploy
            },
            ["redeploy"] => redeploy,
            ["rollback"] | ["app", "boot"] => boot,
            ["app", "exec"] => Scope {
                registry: true,
                ..boot
            },
            ["proxy", "boot" | "reboot" | "upgrade"] => Scope {
                proxies: true,
                registry: true,
                ..none
            },
            ["proxy", ..] => Scope {
                proxies: true,
                ..none
            },
            [
                "accessory",
                "boot" | "reboot" | "upgrade" | "upload" | "exec",
            ] => Scope {
                accessories: true,
                boots_accessories: true,
                registry: true,
                ..none
            },
            ["accessory", "pull_image" | "pull-image"] => Scope {
                accessories: true,
                registry: true,
                ..none
            },
            ["accessory", ..] => Scope {
                accessories: true,
                ..none
            },
            ["remove" | "details" | "upgrade"] => Scope {
                roles: true,
                proxies: true,
                accessories: true,
                ..none
            },
            ["build", "push" | "pull" | "deliver" | "dev"] => Scope {
                image: true,
                registry: true,
                version: true,
                ..none
            },
            ["registry", "login" | "setup"] => Scope {
                registry: true,
                ..none
            },
            [
                "build" | "registry" | "prune" | "lock" | "server" | "secrets" | "audit",
                ..,
            ] => none,
            _ => Scope {
                roles: true,
                ..none
            },
        }
    }

    /// Kamal's name of the command, as hooks get it: the first word.
    pub fn first_word(&self) -> &str {
        self.words().first().copied().unwrap_or_default()
    }

    /// Which version this is about: what was said, of `app boot` and `app exec` else the tag of the latest image.
    pub fn version(&self, worked_out: &str, latest: &str) -> String {
        let said = self
            .version
            .as_deref()
            .filter(|version| !version.is_empty());
        match (self.words().as_slice(), said) {
            (["rollback" | "app", ..], Some(said)) => said.to_owned(),
            (["app", "boot" | "exec"], None) => latest.to_owned(),
            (_, _) => worked_out.to_owned(),
        }
    }

    /// Whether the lock is held all the time, not just around what is changed.
    pub fn locks_everything(&self) -> bool {
        self.lock_held || self.words() == ["setup"]
    }

    fn words(&self) -> Vec<&str> {
        self.command
            .split(' ')
            .filter(|word| !word.is_empty())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(command: &str) -> Request {
        Request {
            command: command.to_owned(),
            ..Request::default()
        }
    }

    #[test]
    fn commands_have_to_do_with_what_they_touch() {
        let marks = |command: &str| {
            let scope = request(command).scope();
            let all = [
                (scope.roles, 'r'),
                (scope.boots, 'b'),
                (scope.proxies, 'p'),
                (scope.accessories, 'a'),
                (scope.boots_accessories, 'A'),
                (scope.image, 'i'),
                (scope.registry, 'l'),
                (scope.version, 'v'),
            ];
            let marks = all.iter().filter(|(is, _)| *is).map(|(_, mark)| mark);
            marks.collect::<String>()
        };
        for (command, expected) in [
            ("deploy", "rbpilv"),
            ("setup", "rbpaAilv"),
            ("redeploy", "rbilv"),
            ("rollback", "rbv"),
            ("app boot", "rbv"),
            ("app stop", "r"),
            ("app exec", "rblv"),
            ("proxy reboot", "pl"),
            ("proxy remove", "p"),
            ("accessory boot", "aAl"),
            ("accessory stop", "a"),
            ("remove", "rpa"),
            ("prune all", ""),
            ("lock acquire", ""),
            ("registry login", "l"),
            ("registry remove", ""),
            ("build push", "ilv"),
            ("build create", ""),
            ("something new", "r"),
        ] {
            assert_eq!(marks(command), expected, "{command}");
        }
    }

    #[test]
    fn the_version_is_what_was_said_or_what_the_command_means() {
        let said = |command: &str, version: &str| {
            let request = Request {
                version: Some(version.to_owned()),
                ..request(command)
            };
            request.version("git", "latest-eu")
        };
        assert_eq!(said("rollback", "1"), "1");
        assert_eq!(said("app boot", "1"), "1");
        assert_eq!(said("deploy", "1"), "git");
        assert_eq!(request("app boot").version("git", "latest-eu"), "latest-eu");
        assert_eq!(request("app stop").version("git", "latest-eu"), "git");
    }
}
