//! What the user asked for: `context.request`, a JSON object. `command` is Kamal's, its words with a blank between them
//! (`_` and `-` are the same); options have the names of their flags and are left out, or null, when they were not given.
//! Which hosts, roles and destination it is about is in the documents already.
//!
//! | command | options besides `command` |
//! |---|---|
//! | `deploy`, `redeploy`, `setup` | |
//! | `rollback` | `version` (text, required) |
//! | `app boot` | `version`: only what `--version` said, never a variable or git; without it, the tag `latest` |
//! | `app start`, `app stop`, `app live`, `app remove` | |
//! | `app maintenance` | `drain-timeout` (seconds), `message` |
//! | `app stale-containers` | `stop` (true or false) |
//! | `app remove-container` | `version` (required) |
//! | `app remove-containers`, `app remove-images`, `app remove-app-directories` | |
//! | `app exec` | `cmd` (text, required), `reuse`, `detach` (true or false), `env` (object), `version` |
//! | `proxy boot`, `proxy start`, `proxy stop`, `proxy restart` | |
//! | `proxy reboot` | `rolling` (true or false) |
//! | `proxy remove` | `force` (true or false) |
//! | `proxy remove-container`, `proxy remove-image`, `proxy remove-proxy-directory` | |
//! | `proxy boot-config` | `action` (`set`, `get`, `reset`); for `set`: `publish`, `publish-host-ip` (list), `http-port`, `https-port`, `log-max-size`, `registry`, `repository`, `image-version`, `metrics-port`, `debug`, `docker-options` (list) |
//! | `accessory boot`, `… reboot`, `… start`, `… stop`, `… restart`, `… remove` | `name` (required; `all` is all) |
//! | `accessory remove-container`, `… remove-image`, `… remove-service-directory` | `name` (required) |
//! | `accessory exec` | `name`, `cmd` (required), `reuse` |
//! | `prune all`, `prune images` | |
//! | `prune containers` | `retain` (number) |
//! | `lock acquire` | `message` (required) |
//! | `lock release` | |
//! | `server bootstrap`, `remove`, `registry login`, `registry logout` | |
//!
//! `reboot` (true or false): said as `kamal`. Containers boot even where they run as configured already, as Kamal's always
//! do (`redeploy`, `rollback` and `app boot` imply that), an accessory that there is not is no error, and the
//! lock is taken though there is nothing to bootstrap. `lock-held` (true or false): the lock is taken by whoever calls, and left alone.
//!
//! Everything that takes the deploy lock also has `lock-wait` (true or false), `lock-wait-timeout` and
//! `lock-wait-interval` (seconds; 900 and 15).
//!
//! Commands that only look (the driver's export `show`): `details`, `audit`, `lock status`, `app details`,
//! `app containers`, `app images`, `app version`, `app logs`, `app stale-containers` (without `stop`), `proxy details`,
//! `proxy logs`, `proxy boot-config` (`get`), `accessory details` and `accessory logs` (`name`). The logs take `lines`
//! (number), `since` (text), `grep`, `grep-options` (texts), `skip-timestamps` (true or false) and `container-id`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What to do.
    pub command: Command,
    /// How to wait for a lock that somebody else holds; `None` does not wait.
    pub lock_wait: Option<LockWait>,
    /// Whoever calls holds the lock already.
    pub lock_held: bool,
    /// Boot what runs as configured, too.
    pub reboot: bool,
    /// Of what commands say only standard output is wanted, to the byte.
    pub raw: bool,
}

/// How to wait for a lock that somebody else holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockWait {
    /// Seconds in all.
    pub timeout: u32,
    /// Seconds between two attempts.
    pub interval: u32,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table above says what they are")]
pub enum Command {
    Deploy,
    Redeploy,
    Setup,
    Rollback {
        version: String,
    },
    App(App),
    Proxy(Proxy),
    Accessory {
        name: String,
        action: Accessory,
    },
    Prune(Prune),
    LockAcquire {
        message: String,
    },
    LockRelease,
    Bootstrap,
    Remove,
    /// Credentials go with each pull: there is nothing to log in to, or out of, on servers.
    RegistryLogin,
    RegistryLogout,
    /// It only looks.
    Show(Show),
}

/// `app …`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table above says what they are")]
pub enum App {
    Boot {
        version: Option<String>,
    },
    Start,
    Stop,
    Live,
    Maintenance {
        drain_timeout: Option<u32>,
        message: Option<String>,
    },
    StopStale,
    Remove,
    RemoveContainer {
        version: String,
    },
    RemoveContainers,
    RemoveImages,
    RemoveDirectories,
    Exec(Exec),
}

/// `app exec`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    /// The command, word by word.
    pub words: Vec<String>,
    /// In the container that runs, instead of one of its own.
    pub reuse: bool,
    /// Don't wait for its end.
    pub detach: bool,
    /// Added to the environment.
    pub env: BTreeMap<String, String>,
    /// Version, when the user gave one.
    pub version: Option<String>,
}

/// `proxy …`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table above says what they are")]
pub enum Proxy {
    Boot,
    Reboot { rolling: bool },
    Start,
    Stop,
    Restart,
    Remove { force: bool },
    RemoveContainer,
    RemoveImage,
    RemoveDirectory,
    SetBootConfig(BootConfig),
    ResetBootConfig,
}

/// `proxy boot-config set`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct BootConfig {
    /// Publish ports.
    pub publish: bool,
    /// Addresses to publish on; none is all.
    pub publish_host_ip: Vec<String>,
    /// Published port for HTTP.
    pub http_port: u16,
    /// Published port for HTTPS.
    pub https_port: u16,
    /// Docker's `max-size` of the log; empty leaves it out.
    pub log_max_size: String,
    /// Registry of the proxy's image.
    pub registry: Option<String>,
    /// Repository of the proxy's image.
    pub repository: Option<String>,
    /// Tag of the proxy's image.
    pub image_version: Option<String>,
    /// Port of its metrics.
    pub metrics_port: Option<u16>,
    /// Say more.
    pub debug: bool,
    /// Other options of `docker run`, `NAME=VALUE`.
    pub docker_options: Vec<String>,
}

impl Default for BootConfig {
    fn default() -> Self {
        Self {
            publish: true,
            publish_host_ip: Vec::new(),
            http_port: 80,
            https_port: 443,
            log_max_size: "10m".to_owned(),
            registry: None,
            repository: None,
            image_version: None,
            metrics_port: None,
            debug: false,
            docker_options: Vec::new(),
        }
    }
}

/// `accessory …`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table above says what they are")]
pub enum Accessory {
    Boot,
    Reboot,
    Start,
    Stop,
    Restart,
    Remove,
    RemoveContainer,
    RemoveImage,
    RemoveDirectory,
    Exec { words: Vec<String>, reuse: bool },
}

/// `prune …`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table above says what they are")]
pub enum Prune {
    All,
    Images,
    Containers { retain: Option<u32> },
}

/// Commands that only look.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table above says what they are")]
pub enum Show {
    Details,
    Audit,
    LockStatus,
    AppDetails,
    AppContainers,
    AppImages,
    AppVersion,
    AppLogs(Logs),
    StaleContainers,
    ProxyDetails,
    ProxyLogs(Logs),
    BootConfig,
    AccessoryDetails { name: String },
    AccessoryLogs { name: String, logs: Logs },
}

/// Which lines of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Logs {
    /// The last so many.
    pub lines: Option<u32>,
    /// Not older: `30m`, or a time.
    pub since: Option<String>,
    /// Only lines with this in them.
    pub grep: Option<String>,
    /// Options of `grep`.
    pub grep_options: Option<String>,
    /// Without times.
    pub skip_timestamps: bool,
    /// Of this container, instead of the one that works.
    pub container_id: Option<String>,
}

/// Why a request makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not JSON, or not an object with a command.
    #[error("the request is not a JSON object with a `command`")]
    NoCommand,
    /// A command this driver does not have.
    #[error("ssh-driver has no command `{0}`")]
    Unknown(String),
    /// An option that has to be there is missing, or has the wrong type.
    #[error("`{command}` needs `{option}`")]
    Option {
        /// The command.
        command: String,
        /// The option.
        option: &'static str,
    },
    /// Kamal's own words.
    #[error("retain must be at least 1")]
    Retain,
    /// Quotes that do not end.
    #[error("a quote in `{0}` is not closed")]
    Quote(String),
    /// What Kamal 2 has no use for.
    #[error(
        "`upgrade` brings servers from Kamal 1 to Kamal 2, which plimsoll does not do\nhint: run `kamal upgrade` with Kamal 2 once; plimsoll goes on from there"
    )]
    Upgrade,
}

impl Request {
    /// Reads `context.request`.
    pub fn parse(text: &str) -> Result<Self, RequestError> {
        let json: Json = serde_json::from_str(text).map_err(|_| RequestError::NoCommand)?;
        let command = json["command"].as_str().ok_or(RequestError::NoCommand)?;
        let options = Options {
            command: command.replace('_', "-"),
            json: &json,
        };
        let seconds = |name: &str, default| options.number(name).unwrap_or(default);
        Ok(Self {
            command: options.command()?,
            raw: options.is("raw"),
            lock_held: options.is("lock-held"),
            reboot: options.is("reboot"),
            lock_wait: options.is("lock-wait").then(|| LockWait {
                timeout: seconds("lock-wait-timeout", 900),
                interval: seconds("lock-wait-interval", 15),
            }),
        })
    }
}

impl Request {
    /// The version whose containers it is about, when it is not the one that the documents were rendered for. `latest` is
    /// the tag that stands for the latest version.
    pub fn version(&self, latest: &str) -> Option<String> {
        match &self.command {
            Command::Rollback { version } => Some(version.clone()),
            Command::App(App::Boot { version }) | Command::App(App::Exec(Exec { version, .. })) => {
                Some(version.clone().unwrap_or_else(|| latest.to_owned()))
            }
            Command::Deploy
            | Command::Redeploy
            | Command::Setup
            | Command::App(_)
            | Command::Proxy(_)
            | Command::Accessory { .. }
            | Command::Prune(_)
            | Command::LockAcquire { .. }
            | Command::LockRelease
            | Command::Bootstrap
            | Command::Remove
            | Command::RegistryLogin
            | Command::RegistryLogout
            | Command::Show(_) => None,
        }
    }
}

struct Options<'a> {
    command: String,
    json: &'a Json,
}

impl Options<'_> {
    fn command(&self) -> Result<Command, RequestError> {
        let words: Vec<&str> = self.command.split(' ').collect();
        Ok(match words.as_slice() {
            ["deploy"] => Command::Deploy,
            ["redeploy"] => Command::Redeploy,
            ["setup"] => Command::Setup,
            ["rollback"] => Command::Rollback {
                version: self.text("version")?,
            },
            ["remove"] => Command::Remove,
            ["details"] => Command::Show(Show::Details),
            ["audit"] => Command::Show(Show::Audit),
            ["upgrade"] | ["proxy" | "accessory", "upgrade"] => return Err(RequestError::Upgrade),
            ["server", "bootstrap"] => Command::Bootstrap,
            ["registry", "login" | "setup"] => Command::RegistryLogin,
            ["registry", "logout" | "remove"] => Command::RegistryLogout,
            ["lock", action] => self.lock(action)?,
            ["prune", action] => Command::Prune(self.prune(action)?),
            ["app", action] => self.app(action)?,
            ["proxy", action] => self.proxy(action)?,
            ["accessory", action] => self.accessory(action)?,
            _ => return Err(self.unknown()),
        })
    }

    fn app(&self, action: &str) -> Result<Command, RequestError> {
        Ok(Command::App(match action {
            "boot" => App::Boot {
                version: self.maybe("version"),
            },
            "start" => App::Start,
            "stop" => App::Stop,
            "live" => App::Live,
            "maintenance" => App::Maintenance {
                drain_timeout: self.number("drain-timeout"),
                message: self.maybe("message"),
            },
            "stale-containers" if self.is("stop") => App::StopStale,
            "remove" => App::Remove,
            "remove-container" => App::RemoveContainer {
                version: self.text("version")?,
            },
            "remove-containers" => App::RemoveContainers,
            "remove-images" => App::RemoveImages,
            "remove-app-directories" => App::RemoveDirectories,
            "exec" => App::Exec(self.exec()?),
            "stale-containers" => return Ok(Command::Show(Show::StaleContainers)),
            "details" => return Ok(Command::Show(Show::AppDetails)),
            "containers" => return Ok(Command::Show(Show::AppContainers)),
            "images" => return Ok(Command::Show(Show::AppImages)),
            "version" => return Ok(Command::Show(Show::AppVersion)),
            "logs" => return Ok(Command::Show(Show::AppLogs(self.logs()?))),
            _ => return Err(self.unknown()),
        }))
    }

    fn exec(&self) -> Result<Exec, RequestError> {
        let env = self.json["env"].as_object().into_iter().flatten();
        Ok(Exec {
            words: words(&self.text("cmd")?)?,
            reuse: self.is("reuse"),
            detach: self.is("detach"),
            env: env
                .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                .collect(),
            version: self.maybe("version"),
        })
    }

    fn proxy(&self, action: &str) -> Result<Command, RequestError> {
        Ok(Command::Proxy(match action {
            "boot" => Proxy::Boot,
            "reboot" => Proxy::Reboot {
                rolling: self.is("rolling"),
            },
            "start" => Proxy::Start,
            "stop" => Proxy::Stop,
            "restart" => Proxy::Restart,
            "remove" => Proxy::Remove {
                force: self.is("force"),
            },
            "remove-container" => Proxy::RemoveContainer,
            "remove-image" => Proxy::RemoveImage,
            "remove-proxy-directory" => Proxy::RemoveDirectory,
            "boot-config" => match &*self.text("action")? {
                "set" => Proxy::SetBootConfig(self.shape("action")?),
                "reset" => Proxy::ResetBootConfig,
                "get" => return Ok(Command::Show(Show::BootConfig)),
                _ => return Err(self.lacks("action")),
            },
            "details" => return Ok(Command::Show(Show::ProxyDetails)),
            "logs" => return Ok(Command::Show(Show::ProxyLogs(self.logs()?))),
            _ => return Err(self.unknown()),
        }))
    }

    fn accessory(&self, action: &str) -> Result<Command, RequestError> {
        let name = self.text("name")?;
        let action = match action {
            "boot" => Accessory::Boot,
            "reboot" => Accessory::Reboot,
            "start" => Accessory::Start,
            "stop" => Accessory::Stop,
            "restart" => Accessory::Restart,
            "remove" => Accessory::Remove,
            "remove-container" => Accessory::RemoveContainer,
            "remove-image" => Accessory::RemoveImage,
            "remove-service-directory" => Accessory::RemoveDirectory,
            "exec" => Accessory::Exec {
                words: words(&self.text("cmd")?)?,
                reuse: self.is("reuse"),
            },
            "details" => return Ok(Command::Show(Show::AccessoryDetails { name })),
            "logs" => {
                let logs = self.logs()?;
                return Ok(Command::Show(Show::AccessoryLogs { name, logs }));
            }
            _ => return Err(self.unknown()),
        };
        Ok(Command::Accessory { name, action })
    }

    fn prune(&self, action: &str) -> Result<Prune, RequestError> {
        match (action, self.number("retain")) {
            ("all", _) => Ok(Prune::All),
            ("images", _) => Ok(Prune::Images),
            ("containers", Some(0)) => Err(RequestError::Retain),
            ("containers", retain) => Ok(Prune::Containers { retain }),
            (_, _) => Err(self.unknown()),
        }
    }

    fn lock(&self, action: &str) -> Result<Command, RequestError> {
        match action {
            "acquire" => Ok(Command::LockAcquire {
                message: self.text("message")?,
            }),
            "release" => Ok(Command::LockRelease),
            "status" => Ok(Command::Show(Show::LockStatus)),
            _ => Err(self.unknown()),
        }
    }

    fn logs(&self) -> Result<Logs, RequestError> {
        self.shape("lines")
    }

    /// All options as one value; `option` is named where their types are wrong.
    fn shape<T: for<'d> Deserialize<'d>>(&self, option: &'static str) -> Result<T, RequestError> {
        let given: serde_json::Map<String, Json> = self
            .json
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.replace('_', "-"), value.clone()))
            .collect();
        T::deserialize(Json::Object(given)).map_err(|_| self.lacks(option))
    }

    fn option(&self, name: &str) -> &Json {
        let json = &self.json[name];
        if json.is_null() {
            &self.json[name.replace('-', "_")]
        } else {
            json
        }
    }

    fn maybe(&self, name: &str) -> Option<String> {
        self.option(name).as_str().map(str::to_owned)
    }

    fn text(&self, name: &'static str) -> Result<String, RequestError> {
        self.maybe(name).ok_or_else(|| self.lacks(name))
    }

    fn number(&self, name: &str) -> Option<u32> {
        self.option(name)
            .as_u64()
            .and_then(|number| number.try_into().ok())
    }

    fn is(&self, name: &str) -> bool {
        self.option(name).as_bool().unwrap_or(false)
    }

    fn lacks(&self, option: &'static str) -> RequestError {
        RequestError::Option {
            command: self.command.clone(),
            option,
        }
    }

    fn unknown(&self) -> RequestError {
        RequestError::Unknown(self.command.clone())
    }
}

/// Words of a command line as a POSIX shell reads them, without its expansions.
pub fn words(line: &str) -> Result<Vec<String>, RequestError> {
    let open = || RequestError::Quote(line.to_owned());
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or_else(open)? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or_else(open)? {
                        '"' => break,
                        '\\' => match chars.next().ok_or_else(open)? {
                            c @ ('"' | '\\' | '$' | '`') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().extend(chars.next()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(text: &str) -> Result<Command, String> {
        Request::parse(text)
            .map(|request| request.command)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_request_is_a_command_with_its_options() {
        for (text, expected) in [
            (r#"{"command": "deploy"}"#, Command::Deploy),
            (
                r#"{"command": "rollback", "version": "123"}"#,
                Command::Rollback {
                    version: "123".into(),
                },
            ),
            (
                r#"{"command": "app boot", "version": null}"#,
                Command::App(App::Boot { version: None }),
            ),
            (
                r#"{"command": "app maintenance", "drain_timeout": 5, "message": "soon"}"#,
                Command::App(App::Maintenance {
                    drain_timeout: Some(5),
                    message: Some("soon".into()),
                }),
            ),
            (
                r#"{"command": "app stale_containers", "stop": true}"#,
                Command::App(App::StopStale),
            ),
            (
                r#"{"command": "app stale_containers"}"#,
                Command::Show(Show::StaleContainers),
            ),
            (
                r#"{"command": "accessory reboot", "name": "all"}"#,
                Command::Accessory {
                    name: "all".into(),
                    action: Accessory::Reboot,
                },
            ),
            (
                r#"{"command": "prune containers", "retain": 2}"#,
                Command::Prune(Prune::Containers { retain: Some(2) }),
            ),
            (
                r#"{"command": "proxy boot_config", "action": "set", "http_port": 8080, "debug": null}"#,
                Command::Proxy(Proxy::SetBootConfig(BootConfig {
                    http_port: 8080,
                    ..BootConfig::default()
                })),
            ),
            (
                r#"{"command": "app logs", "lines": 3, "grep": "x"}"#,
                Command::Show(Show::AppLogs(Logs {
                    lines: Some(3),
                    grep: Some("x".into()),
                    ..Logs::default()
                })),
            ),
        ] {
            assert_eq!(command(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, expected) in [
            ("[]", "not a JSON object with a `command`"),
            (
                r#"{"command": "volcano erupt"}"#,
                "no command `volcano erupt`",
            ),
            (r#"{"command": "rollback"}"#, "`rollback` needs `version`"),
            (
                r#"{"command": "prune containers", "retain": 0}"#,
                "at least 1",
            ),
            (r#"{"command": "upgrade"}"#, "Kamal 1"),
            (r#"{"command": "app exec", "cmd": "a 'b"}"#, "is not closed"),
        ] {
            let error = command(text).expect_err(text);
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn waiting_for_the_lock_has_kamals_times() {
        let wait = |text: &str| Request::parse(text).expect("parses").lock_wait;
        assert_eq!(wait(r#"{"command": "deploy"}"#), None);
        let default = LockWait {
            timeout: 900,
            interval: 15,
        };
        assert_eq!(
            wait(r#"{"command": "deploy", "lock-wait": true}"#),
            Some(default)
        );
        assert_eq!(
            wait(r#"{"command": "deploy", "lock_wait": true, "lock-wait-timeout": 60}"#),
            Some(LockWait {
                timeout: 60,
                ..default
            })
        );
    }

    #[test]
    fn a_command_line_is_split_as_a_shell_does_it() {
        for (line, expected) in [
            ("bin/rails console", &["bin/rails", "console"][..]),
            (
                r#"sh -c 'a "b"' "c $d \"" e\ f ''"#,
                &["sh", "-c", r#"a "b""#, r#"c $d ""#, "e f", ""],
            ),
            ("  ", &[]),
        ] {
            assert_eq!(words(line).expect("splits"), expected, "{line}");
        }
    }
}
