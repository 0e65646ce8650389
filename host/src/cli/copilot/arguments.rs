//! Flags of Copilot's commands, with Copilot's meaning (`copilot.md` §1).

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `svc` and `job`.
#[derive(Debug, Subcommand)]
pub enum Workload {
    /// Prints the CloudFormation template of a workload, or writes it with its parameters.
    Package(PackageArguments),
    /// Deploys a workload to an environment.
    ///
    /// Shows the difference, the findings and the privileged calls, asks, then builds, pushes, uploads and changes the
    /// workload's CloudFormation stack, and watches it to its end. With nothing changed it says so and changes nothing.
    Deploy(Box<DeployArguments>),
}

/// Flags that the deploying commands share.
#[derive(Clone, Debug, Default, Args)]
pub struct Shared {
    /// Deploy although a newer version deployed the workload.
    #[arg(long)]
    pub allow_downgrade: bool,
    /// Name of the application; the workspace's when left out.
    #[arg(short = 'a', long, value_name = "NAME")]
    pub app: Option<String>,
    /// Don't wait for the deployment to end.
    #[arg(long)]
    pub detach: bool,
    /// Show the difference and continue without asking.
    #[arg(long)]
    pub diff_yes: bool,
    /// Name of the environment.
    #[arg(short = 'e', long, value_name = "NAME")]
    pub env: Option<String>,
    /// Start the tasks anew even if nothing changed.
    #[arg(long)]
    pub force: bool,
    /// Leave the stack as it is when the deployment fails, instead of going back.
    #[arg(long)]
    pub no_rollback: bool,
    /// Tags of the stack and its resources, beside the application's: KEY=VALUE, separated by commas.
    #[arg(long, value_name = "TAGS", value_delimiter = ',', value_parser = tag)]
    pub resource_tags: Vec<(String, String)>,
    /// Tag of the image; the git commit of a clean work tree when left out.
    #[arg(long, value_name = "TAG")]
    pub tag: Option<String>,
}

/// Flags of `svc deploy` and `job deploy`.
#[derive(Clone, Debug, Args)]
pub struct DeployArguments {
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "its own documentation would become part of the help"
    )]
    pub shared: Shared,
    /// Show the difference to what is deployed, then ask whether to continue.
    #[arg(long)]
    pub diff: bool,
    /// Name of the workload.
    #[arg(short = 'n', long, value_name = "NAME")]
    pub name: Option<String>,
    /// Carry the plan out without asking.
    #[arg(short = 'y', long)]
    pub yes: bool,
    /// One JSON document per line on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Flags of `deploy` that only mean something in a Copilot workspace.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "In a Copilot workspace")]
pub struct Several {
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "its own documentation would become part of the help"
    )]
    pub shared: Shared,
    /// Name of a workload, or several, each with its priority if need be: `api/1`. Those of a lower number are deployed
    /// first, those without one last.
    #[arg(short = 'n', long, value_name = "NAMES", value_delimiter = ',')]
    pub name: Vec<String>,
    /// All other workloads too, after those that are named.
    #[arg(long)]
    pub all: bool,
}

impl Several {
    /// Whether any of them was given.
    pub fn given(&self) -> bool {
        let shared = &self.shared;
        !self.name.is_empty()
            || self.all
            || shared.allow_downgrade
            || shared.app.is_some()
            || shared.detach
            || shared.diff_yes
            || shared.env.is_some()
            || shared.force
            || shared.no_rollback
            || !shared.resource_tags.is_empty()
            || shared.tag.is_some()
    }
}

impl Shared {
    /// `--resource-tags`, by key.
    pub fn tags(&self) -> BTreeMap<String, String> {
        self.resource_tags.iter().cloned().collect()
    }
}

/// Flags of `svc package` and `job package`: Copilot's, and what stands in for AWS.
#[derive(Clone, Debug, Args)]
pub struct PackageArguments {
    /// Name of the application; the workspace's when left out.
    #[arg(short = 'a', long, value_name = "NAME")]
    pub app: Option<String>,
    /// Name of the environment; the facts' when left out.
    #[arg(short = 'e', long, value_name = "NAME")]
    pub env: Option<String>,
    /// Name of the workload; the only one when left out.
    #[arg(short = 'n', long, value_name = "NAME")]
    pub name: Option<String>,
    /// Tag of the images.
    #[arg(long, value_name = "TAG")]
    pub tag: Option<String>,
    /// Write NAME-ENV.stack.yml, NAME-ENV.params.json and the addons template to this folder.
    #[arg(long, value_name = "DIR", conflicts_with = "diff")]
    pub output_dir: Option<PathBuf>,
    /// Upload what the template refers to, and build and push its images.
    #[arg(long, conflicts_with = "diff")]
    pub upload_assets: bool,
    /// Show the difference to what is deployed. Exit code 0: none, 1: some, 2: not known.
    #[arg(long)]
    pub diff: bool,
    /// With --diff: the changes as one JSON document.
    #[arg(long, requires = "diff")]
    pub json: bool,
    /// Accept that a newer version deployed the workload.
    #[arg(long)]
    pub allow_downgrade: bool,
    /// Everything that would come from AWS, as a JSON file: nothing is contacted.
    #[arg(long, value_name = "FILE", conflicts_with = "upload_assets")]
    pub facts: Option<PathBuf>,
    /// Warnings are errors.
    #[arg(long)]
    pub strict: bool,
}

/// Flags of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArguments {
    /// A logical id, or a path below it: `Service`, `Service/Properties/DesiredCount`.
    pub what: String,
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "its own documentation would become part of the help"
    )]
    pub package: PackageArguments,
}

fn tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err("expected KEY=VALUE".to_owned()),
    }
}
