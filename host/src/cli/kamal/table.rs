//! Kamal 2.12's commands and options, as data (`kamal.md` §1.15, §2). Names are as Kamal's users type them.

/// What an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing; `--no-NAME` and `--skip-NAME` say the opposite.
    Switch,
    /// A text. Bare, it is its own name (Thor's rule, which makes a bare `-h` look for a host called `hosts`).
    Text,
    /// A number.
    Number,
    /// `K:V` words up to the next option.
    Pairs,
    /// Words up to the next option.
    Words,
    /// A text, as often as it is given.
    Texts,
}

/// An option of a command.
#[derive(Debug)]
pub(super) struct Opt {
    /// Without dashes, words joined by `-`.
    pub(super) name: &'static str,
    /// One letter.
    pub(super) short: Option<char>,
    pub(super) kind: Kind,
    /// What the command is told when it is not given, as JSON; empty for nothing.
    pub(super) default: &'static str,
    pub(super) required: bool,
    pub(super) help: &'static str,
}

/// What a command takes besides options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Words {
    None,
    /// One, by this name.
    One(&'static str),
    /// One or none.
    Maybe(&'static str),
    /// Two.
    Two(&'static str, &'static str),
    /// Any number.
    Any(&'static str),
    /// One, then any number.
    OneAndAny(&'static str, &'static str),
}

/// Who answers a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// Renderer and driver, through the pipeline.
    Servers,
    /// The host alone; no server is looked at.
    Here,
}

/// A command, or a part of one: `app` is a group, `app boot` a command.
#[derive(Debug)]
pub(super) struct Command {
    /// `app boot`
    pub(super) path: &'static str,
    pub(super) words: Words,
    pub(super) options: &'static [Opt],
    pub(super) deed: Deed,
    pub(super) hidden: bool,
    pub(super) help: &'static str,
}

const fn opt(name: &'static str, short: char, kind: Kind, help: &'static str) -> Opt {
    let short = if short == ' ' { None } else { Some(short) };
    Opt {
        name,
        short,
        kind,
        default: "",
        required: false,
        help,
    }
}

const fn defaults(option: Opt, default: &'static str) -> Opt {
    Opt { default, ..option }
}

const fn required(option: Opt) -> Opt {
    Opt {
        required: true,
        ..option
    }
}

const fn switch(name: &'static str, short: char, help: &'static str) -> Opt {
    opt(name, short, Kind::Switch, help)
}

/// Options of every command.
pub(super) const CLASS: &[Opt] = &[
    switch("verbose", 'v', "Say everything"),
    switch("quiet", 'q', "Say only errors and results"),
    opt(
        "version",
        ' ',
        Kind::Text,
        "Version of the app instead of the git commit",
    ),
    switch("primary", 'p', "Only the primary host"),
    opt(
        "hosts",
        'h',
        Kind::Text,
        "Only these hosts: names or patterns, separated by commas",
    ),
    opt(
        "roles",
        'r',
        Kind::Text,
        "Only these roles: names or patterns, separated by commas",
    ),
    defaults(
        opt("config-file", 'c', Kind::Text, "Configuration file"),
        "\"config/deploy.yml\"",
    ),
    opt(
        "destination",
        'd',
        Kind::Text,
        "Destination, whose file is merged over the configuration (staging -> deploy.staging.yml)",
    ),
    switch("skip-hooks", 'H', "Run no hooks"),
    switch(
        "lock-wait",
        ' ',
        "Wait for a deploy lock that somebody else holds",
    ),
    defaults(
        opt(
            "lock-wait-timeout",
            ' ',
            Kind::Number,
            "How many seconds to wait for it",
        ),
        "900",
    ),
    defaults(
        opt(
            "lock-wait-interval",
            ' ',
            Kind::Number,
            "Seconds between attempts",
        ),
        "15",
    ),
];

/// Options that only plimsoll's own face has.
pub(super) const OWN: &[Opt] = &[
    switch("yes", 'y', "Carry the plan out without asking"),
    switch("json", ' ', "One JSON document per line on standard output"),
];

const NO_CACHE: Opt = switch("no-cache", ' ', "Build without the cache");
const SKIP_PUSH: Opt = switch("skip-push", 'P', "Don't build; the registry has the image");
const CONFIRMED: Opt = switch("confirmed", 'y', "Don't ask");
const ROLLING: Opt = switch("rolling", ' ', "One host after the other");
const RAW: Opt = switch("raw", ' ', "Standard output as it is, and nothing else");
const INTERACTIVE: Opt = switch(
    "interactive",
    'i',
    "On this terminal (for a console or a shell)",
);
const REUSE: Opt = switch(
    "reuse",
    ' ',
    "In the container that runs, instead of a new one",
);
const SKIP_LOCAL: Opt = switch("skip-local", 'L', "Not on this machine");
const SKIP_REMOTE: Opt = switch("skip-remote", 'R', "Not on the servers");

const DEPLOY: &[Opt] = &[SKIP_PUSH, NO_CACHE];
const LOGINS: &[Opt] = &[SKIP_LOCAL, SKIP_REMOTE];

const fn output(default: &'static str) -> Opt {
    defaults(
        opt(
            "output",
            ' ',
            Kind::Text,
            "Where the image goes: registry, or docker (this machine's Engine)",
        ),
        default,
    )
}

const SINCE: Opt = opt(
    "since",
    's',
    Kind::Text,
    "Lines since then (2013-01-02T13:23:37Z, or 42m)",
);
const LINES: Opt = opt("lines", 'n', Kind::Number, "How many lines of each server");
const GREP: Opt = opt("grep", 'g', Kind::Text, "Only lines that match");
const GREP_OPTIONS: Opt = opt("grep-options", ' ', Kind::Text, "Options of grep");
const FOLLOW: Opt = switch("follow", 'f', "Follow the log of the primary host");
const SKIP_TIMESTAMPS: Opt = switch("skip-timestamps", 'T', "Without timestamps");

const APP_LOGS: &[Opt] = &[
    SINCE,
    LINES,
    GREP,
    GREP_OPTIONS,
    FOLLOW,
    SKIP_TIMESTAMPS,
    opt("container-id", ' ', Kind::Text, "Of this container"),
];
const ACCESSORY_LOGS: &[Opt] = &[SINCE, LINES, GREP, GREP_OPTIONS, FOLLOW, SKIP_TIMESTAMPS];
const PROXY_LOGS: &[Opt] = &[SINCE, LINES, GREP, FOLLOW, SKIP_TIMESTAMPS];

const APP_EXEC: &[Opt] = &[
    INTERACTIVE,
    REUSE,
    opt(
        "env",
        'e',
        Kind::Pairs,
        "Environment variables for it (KEY:VALUE …)",
    ),
    switch("detach", ' ', "In the background"),
    RAW,
];

const BOOT_CONFIG: &[Opt] = &[
    defaults(
        switch("publish", ' ', "Publish the proxy's ports on the host"),
        "true",
    ),
    opt(
        "publish-host-ip",
        ' ',
        Kind::Texts,
        "Address to publish on, instead of all",
    ),
    defaults(
        opt("http-port", ' ', Kind::Number, "HTTP port of the host"),
        "80",
    ),
    defaults(
        opt("https-port", ' ', Kind::Number, "HTTPS port of the host"),
        "443",
    ),
    defaults(
        opt("log-max-size", ' ', Kind::Text, "Greatest size of its log"),
        "\"10m\"",
    ),
    opt("registry", ' ', Kind::Text, "Registry of its image"),
    opt("repository", ' ', Kind::Text, "Repository of its image"),
    opt("image-version", ' ', Kind::Text, "Tag of its image"),
    opt(
        "metrics-port",
        ' ',
        Kind::Number,
        "Port for Prometheus metrics",
    ),
    switch("debug", ' ', "Log more"),
    opt(
        "docker-options",
        ' ',
        Kind::Words,
        "Options of docker run (NAME=VALUE …)",
    ),
];

const fn servers(
    path: &'static str,
    words: Words,
    options: &'static [Opt],
    help: &'static str,
) -> Command {
    Command {
        path,
        words,
        options,
        deed: Deed::Servers,
        hidden: false,
        help,
    }
}

const fn here(
    path: &'static str,
    words: Words,
    options: &'static [Opt],
    help: &'static str,
) -> Command {
    Command {
        deed: Deed::Here,
        ..servers(path, words, options, help)
    }
}

const fn hidden(command: Command) -> Command {
    Command {
        hidden: true,
        ..command
    }
}

/// Groups of commands, with what they are about.
pub(super) const GROUPS: &[(&str, &str)] = &[
    ("accessory", "Databases and other accessories"),
    ("app", "The application's containers"),
    ("build", "The application's image"),
    ("lock", "The deploy lock"),
    ("proxy", "kamal-proxy"),
    ("prune", "Old containers and images"),
    ("registry", "Logins at the image registry"),
    ("secrets", "Secrets from vaults"),
    ("server", "The servers themselves"),
];

const NAME: Words = Words::One("name");

/// All commands.
pub(super) const COMMANDS: &[Command] = &[
    servers(
        "audit",
        Words::None,
        &[],
        "Show the audit log of the servers",
    ),
    here(
        "config",
        Words::None,
        &[],
        "Show the configuration as it is understood",
    ),
    servers(
        "deploy",
        Words::None,
        DEPLOY,
        "Build, push and boot the app on the servers",
    ),
    servers(
        "details",
        Words::None,
        &[],
        "Show proxy, app and accessory containers",
    ),
    here(
        "docs",
        Words::Maybe("section"),
        &[],
        "Explain the configuration, or one section of it",
    ),
    here(
        "init",
        Words::None,
        &[switch("bundle", ' ', "Also make a bin/kamal")],
        "Write a first config/deploy.yml, .kamal/secrets and sample hooks",
    ),
    servers(
        "redeploy",
        Words::None,
        DEPLOY,
        "Deploy without starting the proxy and without pruning",
    ),
    servers(
        "remove",
        Words::None,
        &[CONFIRMED],
        "Remove app, proxy and accessories from the servers",
    ),
    servers(
        "rollback",
        Words::One("version"),
        &[],
        "Go back to a version whose container is kept",
    ),
    servers(
        "setup",
        Words::None,
        DEPLOY,
        "Install Docker where it is missing, boot accessories, deploy",
    ),
    servers(
        "upgrade",
        Words::None,
        &[CONFIRMED, ROLLING],
        "Upgrade servers from Kamal 1",
    ),
    here("version", Words::None, &[], "Show the version"),
    servers("accessory boot", NAME, &[], "Boot an accessory, or all"),
    hidden(servers(
        "accessory upload",
        NAME,
        &[],
        "Upload an accessory's files",
    )),
    hidden(servers(
        "accessory directories",
        NAME,
        &[],
        "Make an accessory's directories",
    )),
    servers(
        "accessory reboot",
        NAME,
        &[],
        "Replace an accessory's container, or all",
    ),
    servers(
        "accessory start",
        NAME,
        &[],
        "Start an accessory's container",
    ),
    servers("accessory stop", NAME, &[], "Stop an accessory's container"),
    servers(
        "accessory restart",
        NAME,
        &[],
        "Stop and start an accessory's container",
    ),
    servers(
        "accessory details",
        NAME,
        &[],
        "Show an accessory's container, or all",
    ),
    servers(
        "accessory exec",
        Words::OneAndAny("name", "cmd"),
        &[INTERACTIVE, REUSE, RAW],
        "Run a command in an accessory's container",
    ),
    servers(
        "accessory logs",
        NAME,
        ACCESSORY_LOGS,
        "Show the log of an accessory",
    ),
    hidden(servers(
        "accessory pull_image",
        NAME,
        &[],
        "Pull an accessory's image",
    )),
    servers(
        "accessory remove",
        NAME,
        &[CONFIRMED],
        "Remove an accessory with its image and data, or all",
    ),
    hidden(servers(
        "accessory remove_container",
        NAME,
        &[],
        "Remove an accessory's container",
    )),
    hidden(servers(
        "accessory remove_image",
        NAME,
        &[],
        "Remove an accessory's image",
    )),
    hidden(servers(
        "accessory remove_service_directory",
        NAME,
        &[],
        "Remove an accessory's files and data",
    )),
    servers(
        "accessory upgrade",
        NAME,
        &[ROLLING, CONFIRMED],
        "Upgrade accessories from Kamal 1",
    ),
    servers(
        "app boot",
        Words::None,
        &[],
        "Boot the app, or boot it again",
    ),
    servers(
        "app start",
        Words::None,
        &[],
        "Start the existing app container",
    ),
    servers("app stop", Words::None, &[], "Stop the app container"),
    servers("app details", Words::None, &[], "Show app containers"),
    servers(
        "app exec",
        Words::Any("cmd"),
        APP_EXEC,
        "Run a command in an app container",
    ),
    servers(
        "app containers",
        Words::None,
        &[],
        "Show app containers, stopped ones too",
    ),
    servers(
        "app stale_containers",
        Words::None,
        &[switch("stop", 's', "Stop them")],
        "Find containers of older versions that still run",
    ),
    servers("app images", Words::None, &[], "Show app images"),
    servers("app logs", Words::None, APP_LOGS, "Show the log of the app"),
    servers(
        "app remove",
        Words::None,
        &[],
        "Remove app containers and images",
    ),
    servers("app live", Words::None, &[], "End maintenance"),
    servers(
        "app maintenance",
        Words::None,
        &[
            opt(
                "drain-timeout",
                ' ',
                Kind::Number,
                "Seconds for requests that are under way",
            ),
            opt("message", ' ', Kind::Text, "What visitors read"),
        ],
        "Answer with a maintenance page",
    ),
    hidden(servers(
        "app remove_container",
        Words::One("version"),
        &[],
        "Remove the container of a version",
    )),
    hidden(servers(
        "app remove_containers",
        Words::None,
        &[],
        "Remove all app containers",
    )),
    hidden(servers(
        "app remove_images",
        Words::None,
        &[],
        "Remove all app images",
    )),
    hidden(servers(
        "app remove_app_directories",
        Words::None,
        &[],
        "Remove the app's directories",
    )),
    servers(
        "app version",
        Words::None,
        &[],
        "Show the version that runs",
    ),
    servers(
        "build deliver",
        Words::None,
        &[],
        "Build and push the image, then pull it on the servers",
    ),
    servers(
        "build push",
        Words::None,
        &[output("\"registry\""), NO_CACHE],
        "Build and push the image",
    ),
    servers(
        "build pull",
        Words::None,
        &[],
        "Pull the image on the servers",
    ),
    here("build create", Words::None, &[], "Connect to what builds"),
    here("build remove", Words::None, &[], "Forget what builds"),
    here("build details", Words::None, &[], "Show what builds"),
    servers(
        "build dev",
        Words::None,
        &[output("\"docker\""), NO_CACHE],
        "Build the working tree, and tag the image as dirty",
    ),
    servers(
        "lock status",
        Words::None,
        &[],
        "Show who holds the deploy lock",
    ),
    servers(
        "lock acquire",
        Words::None,
        &[required(opt("message", 'm', Kind::Text, "Why it is held"))],
        "Take the deploy lock",
    ),
    servers(
        "lock release",
        Words::None,
        &[],
        "Give the deploy lock back",
    ),
    servers(
        "proxy boot",
        Words::None,
        &[],
        "Boot the proxy where it doesn't run",
    ),
    servers(
        "proxy boot_config",
        Words::One("subcommand"),
        BOOT_CONFIG,
        "set, get or reset the proxy's boot files (use proxy/run of the configuration instead)",
    ),
    servers(
        "proxy reboot",
        Words::None,
        &[ROLLING, CONFIRMED],
        "Replace the proxy's container",
    ),
    hidden(servers(
        "proxy upgrade",
        Words::None,
        &[ROLLING, CONFIRMED],
        "Replace Traefik by kamal-proxy",
    )),
    servers(
        "proxy start",
        Words::None,
        &[],
        "Start the proxy's container",
    ),
    servers("proxy stop", Words::None, &[], "Stop the proxy's container"),
    servers(
        "proxy restart",
        Words::None,
        &[],
        "Stop and start the proxy's container",
    ),
    servers(
        "proxy details",
        Words::None,
        &[],
        "Show the proxy's container",
    ),
    servers(
        "proxy logs",
        Words::None,
        PROXY_LOGS,
        "Show the log of the proxy",
    ),
    servers(
        "proxy remove",
        Words::None,
        &[switch("force", ' ', "Though other apps use it")],
        "Remove the proxy's container and image",
    ),
    hidden(servers(
        "proxy remove_container",
        Words::None,
        &[],
        "Remove the proxy's container",
    )),
    hidden(servers(
        "proxy remove_image",
        Words::None,
        &[],
        "Remove the proxy's image",
    )),
    hidden(servers(
        "proxy remove_proxy_directory",
        Words::None,
        &[],
        "Remove the proxy's directory",
    )),
    servers(
        "prune all",
        Words::None,
        &[],
        "Remove old containers and unused images",
    ),
    servers("prune images", Words::None, &[], "Remove unused images"),
    servers(
        "prune containers",
        Words::None,
        &[opt(
            "retain",
            ' ',
            Kind::Number,
            "How many stopped containers to keep",
        )],
        "Remove old containers",
    ),
    here(
        "registry setup",
        Words::None,
        LOGINS,
        "Start the local registry, or try the login",
    ),
    here(
        "registry remove",
        Words::None,
        LOGINS,
        "Remove the local registry, or log out",
    ),
    here(
        "registry login",
        Words::None,
        LOGINS,
        "Try the login at the registry",
    ),
    here(
        "registry logout",
        Words::None,
        LOGINS,
        "Log out of the registry",
    ),
    here(
        "secrets fetch",
        Words::Any("secrets"),
        &[
            required(opt("adapter", 'a', Kind::Text, "Which kind of vault")),
            opt("account", ' ', Kind::Text, "Account, or user"),
            opt("from", ' ', Kind::Text, "Vault or folder"),
            switch("inline", ' ', "For secrets files"),
        ],
        "Fetch secrets from a vault",
    ),
    here(
        "secrets extract",
        Words::Two("name", "secrets"),
        &[switch("inline", ' ', "For secrets files")],
        "Take one secret out of what was fetched",
    ),
    here("secrets print", Words::None, &[], "Print the secrets"),
    servers(
        "server bootstrap",
        Words::None,
        &[],
        "Install Docker where it is missing",
    ),
    servers(
        "server exec",
        Words::Any("cmd"),
        &[INTERACTIVE, RAW],
        "Run a command on the servers",
    ),
];

impl Command {
    /// The group it is in: `app`.
    pub(super) fn group(&self) -> Option<&'static str> {
        self.path.split_once(' ').map(|(group, _)| group)
    }

    /// Its name within the group: `boot`.
    pub(super) fn name(&self) -> &'static str {
        self.path
            .split_once(' ')
            .map_or(self.path, |(_, name)| name)
    }

    /// Its own options, then those of every command.
    pub(super) fn all_options(&self) -> impl Iterator<Item = &'static Opt> {
        self.options.iter().chain(CLASS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_has_one_meaning_in_a_command_and_every_default_is_json() {
        for command in COMMANDS {
            let mut names: Vec<&str> = command.all_options().map(|option| option.name).collect();
            let mut shorts: Vec<char> = command
                .all_options()
                .filter_map(|option| option.short)
                .collect();
            let (all, all_shorts) = (names.len(), shorts.len());
            names.sort_unstable();
            names.dedup();
            shorts.sort_unstable();
            shorts.dedup();
            assert_eq!(
                (names.len(), shorts.len()),
                (all, all_shorts),
                "{}",
                command.path
            );
            for option in command
                .all_options()
                .filter(|option| !option.default.is_empty())
            {
                serde_json::from_str::<serde_json::Value>(option.default).expect(option.name);
            }
            let group = command.group();
            assert!(
                group.is_none_or(|group| GROUPS.iter().any(|(name, _)| *name == group)),
                "{}",
                command.path
            );
        }
    }
}
