//! The flags that commands share: Kamal's, with Kamal's meaning (`kamal.md` §2).

use std::path::PathBuf;

use clap::{ArgAction, Args};
use serde_json::json;

/// Which project, which part of it, and how much to say.
#[derive(Clone, Debug, Default, Args)]
pub struct Target {
    /// Manifest of the project, instead of config/deploy.yml.
    #[arg(short = 'c', long, value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// Deploy this destination: its overlay `deploy.DESTINATION.yml` is merged over the manifest.
    #[arg(short = 'd', long, value_name = "NAME")]
    pub destination: Option<String>,
    /// Only these hosts: names or patterns, separated by commas. A bare `-h` is help.
    #[arg(short = 'h', long, value_name = "HOSTS", num_args = 0..=1)]
    pub hosts: Option<Option<String>>,
    /// Only these roles: names or patterns, separated by commas.
    #[arg(short = 'r', long, value_name = "ROLES", value_delimiter = ',')]
    pub roles: Vec<String>,
    /// Only the primary host.
    #[arg(short = 'p', long)]
    pub primary: bool,
    /// Version to deploy instead of the git commit.
    #[arg(long, value_name = "VERSION")]
    pub version: Option<String>,
    /// Don't build or push; deploy the image of that version as the registry has it.
    #[arg(short = 'P', long)]
    pub skip_push: bool,
    /// Run no hooks.
    #[arg(short = 'H', long)]
    pub skip_hooks: bool,
    /// Say everything.
    #[arg(short = 'v', long)]
    pub verbose: bool,
    /// Say only errors and the verdict.
    #[arg(short = 'q', long)]
    pub quiet: bool,
    /// One JSON document per line on standard output.
    #[arg(long)]
    pub json: bool,
    /// Print help.
    #[arg(long, action = ArgAction::Help)]
    pub help: Option<bool>,
}

/// Flags of `deploy`.
#[derive(Clone, Debug, Args)]
pub struct Deploy {
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "its own documentation would become part of the help"
    )]
    pub target: Target,
    /// Carry the plan out without asking.
    #[arg(short = 'y', long)]
    pub yes: bool,
    /// Show the difference: in a Kamal project that is all (the same as `plan`), in a Copilot workspace it asks whether to
    /// continue.
    #[arg(long)]
    pub diff: bool,
    /// Build without the cache.
    #[arg(long)]
    pub no_cache: bool,
    /// Wait for a deploy lock that somebody else holds.
    #[arg(long)]
    pub lock_wait: bool,
    /// How many seconds to wait for it.
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    pub lock_wait_timeout: u32,
    /// Seconds between two attempts.
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    pub lock_wait_interval: u32,
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "its own documentation would become part of the help"
    )]
    pub copilot: super::copilot::arguments::Several,
}

/// Flags of `plan`.
#[derive(Clone, Debug, Args)]
pub struct Plan {
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "its own documentation would become part of the help"
    )]
    pub target: Target,
    /// Plan against a recorded observation; no server is contacted.
    #[arg(long, value_name = "FILE")]
    pub facts: Option<PathBuf>,
    /// Record what was observed, for `--facts`.
    #[arg(long, value_name = "FILE", conflicts_with = "facts")]
    pub save_facts: Option<PathBuf>,
}

/// What a command asks for beyond its target.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Approve without asking.
    pub yes: bool,
    /// Build without the cache.
    pub no_cache: bool,
    /// A recorded observation.
    pub facts: Option<PathBuf>,
    /// Where to record one.
    pub save_facts: Option<PathBuf>,
    /// Show the plan before it is carried out.
    pub shows_plan: bool,
    /// What renderer and driver are told.
    pub asked: serde_json::Value,
    /// The name plimsoll was called by, for commands that it names.
    pub program: &'static str,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            yes: false,
            no_cache: false,
            facts: None,
            save_facts: None,
            shows_plan: true,
            asked: json!({ "command": "deploy" }),
            program: "plimsoll",
        }
    }
}

impl Deploy {
    /// What it asks for.
    pub fn wanted(&self) -> Wanted {
        Wanted {
            yes: self.yes,
            no_cache: self.no_cache,
            asked: json!({
                "command": "deploy",
                "lock-wait": self.lock_wait,
                "lock-wait-timeout": self.lock_wait_timeout,
                "lock-wait-interval": self.lock_wait_interval,
            }),
            ..Wanted::default()
        }
    }
}

impl Plan {
    /// What it asks for.
    pub fn wanted(&self) -> Wanted {
        Wanted {
            facts: self.facts.clone(),
            save_facts: self.save_facts.clone(),
            ..Wanted::default()
        }
    }
}

impl Target {
    /// A bare `-h`.
    pub fn wants_help(&self) -> bool {
        matches!(self.hosts, Some(None))
    }

    /// Whether a flag was given that only means something in a Kamal project.
    pub fn is_kamals(&self) -> bool {
        self.config_file.is_some()
            || self.destination.is_some()
            || self.hosts.is_some()
            || !self.roles.is_empty()
            || self.primary
            || self.version.is_some()
            || self.skip_push
            || self.skip_hooks
    }

    /// Patterns of hosts.
    pub fn host_patterns(&self) -> Vec<String> {
        let hosts = self.hosts.clone().flatten().unwrap_or_default();
        hosts
            .split(',')
            .map(str::trim)
            .filter(|host| !host.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// The flags that choose the same project, destination and roles again.
    pub fn project_flags(&self) -> Vec<String> {
        let file = self.config_file.as_ref();
        let roles = (!self.roles.is_empty()).then(|| self.roles.join(","));
        let flags = [
            ("-c", file.map(|file| file.display().to_string())),
            ("-d", self.destination.clone()),
            ("-r", roles),
        ];
        let given = flags
            .into_iter()
            .filter_map(|(flag, value)| Some([flag.to_owned(), value?]));
        given.flatten().collect()
    }

    /// The flags that choose the same hosts again.
    pub fn host_flags(&self) -> Vec<String> {
        let hosts = self.hosts.clone().flatten();
        let hosts = hosts.map(|hosts| vec!["-h".to_owned(), hosts]);
        let primary = self.primary.then(|| "-p".to_owned());
        hosts.into_iter().flatten().chain(primary).collect()
    }
}
