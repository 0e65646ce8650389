//! `svc package`, `job package`, `template diff` and `explain`: Copilot's manifests without AWS.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value as Json, json};

use super::environment::Environment;
use crate::capability::Run;
use crate::capability::hosts::Hosts;
use crate::capability::run::Parts;
use crate::interrupt::Interrupt;
use crate::manifest::copilot::{Workspace, WorkspaceError};
use crate::pipeline::DeployError;
use crate::pipeline::package::{Package, Pure};
use crate::plugin::Plugin;
use crate::plugin::select::{Target, bundled};
use crate::report::{Format, Reporter, Verbosity};
use crate::sandbox::aot::Cache;
use crate::sandbox::{Role, Sandbox};
use crate::secret::SecretStore;
use crate::wire::SshConfig;
use crate::wit::differ::exports::plimsoll::deploy::differ::{Difference, Style as WitStyle};
use crate::wit::renderer::exports::plimsoll::deploy::renderer::Output;
use crate::wit::types::Document;

/// `svc` and `job`.
#[derive(Debug, Subcommand)]
pub enum Workload {
    /// Prints the CloudFormation template of a workload, or writes it with its parameters.
    Package(PackageArguments),
}

/// Flags of `svc package` and `job package`: Copilot's, and what stands in for AWS.
#[derive(Debug, Args)]
pub struct PackageArguments {
    /// Name of the application; the workspace's when left out.
    #[arg(short = 'a', long, value_name = "NAME")]
    app: Option<String>,
    /// Name of the environment; the facts' when left out.
    #[arg(short = 'e', long, value_name = "NAME")]
    env: Option<String>,
    /// Name of the workload; the only one when left out.
    #[arg(short = 'n', long, value_name = "NAME")]
    name: Option<String>,
    /// Tag of the images.
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// Write NAME-ENV.stack.yml, NAME-ENV.params.json and the addons template to this folder.
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// Upload what the template refers to (needs AWS).
    #[arg(long)]
    upload_assets: bool,
    /// Show the difference to what is deployed (`deployed` in the facts). Exit code 0: none, 1: some, 2: not known.
    #[arg(long)]
    diff: bool,
    /// With --diff: the changes as one JSON document.
    #[arg(long, requires = "diff")]
    json: bool,
    /// Accept that a newer version deployed the workload.
    #[arg(long)]
    allow_downgrade: bool,
    /// Everything that would come from AWS, as a JSON file.
    #[arg(long, value_name = "FILE")]
    facts: Option<PathBuf>,
    /// Warnings are errors.
    #[arg(long)]
    strict: bool,
}

/// `template`.
#[derive(Debug, Subcommand)]
pub enum Template {
    /// Prints the difference of two templates. Exit code 0: none, 1: some, 2: they can't be compared.
    Diff {
        /// How parents are shown.
        #[arg(long, value_enum, default_value_t = Style::Tree)]
        style: Style,
        /// The changes as one JSON document.
        #[arg(long)]
        json: bool,
        /// The template before.
        old: PathBuf,
        /// The template after.
        new: PathBuf,
    },
}

/// How parents are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Style {
    /// Every parent on its own line.
    Tree,
    /// Chains of single children joined by a slash.
    Collapsed,
}

/// Flags of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArguments {
    /// A logical id, or a path below it: `Service`, `Service/Properties/DesiredCount`.
    what: String,
    #[command(flatten)]
    package: PackageArguments,
}

/// How a command ended, besides errors.
enum Ended {
    Fine,
    Differences,
}

/// `svc package` and `job package`.
pub(super) fn package(kind: &'static str, arguments: &PackageArguments) -> ExitCode {
    finish(arguments.diff, |environment, reporter, runtime| {
        let asked = Asked {
            kind: Some(kind),
            ..Asked::read(arguments, environment)?
        };
        let pure = pure(environment, reporter)?;
        let output =
            runtime.block_on(pure.render(&plugin(Role::Renderer), &asked.package(environment)))?;
        if arguments.diff {
            let difference = difference(&pure, runtime, &asked, output)?;
            return Ok(show(reporter, &difference, arguments.json));
        }
        match &arguments.output_dir {
            Some(folder) => write(folder, &asked, &output)?,
            None => reporter.data(&document(&output, "stack/")?.body),
        }
        Ok(Ended::Fine)
    })
}

/// `explain`.
pub(super) fn explain(arguments: &ExplainArguments) -> ExitCode {
    finish(false, |environment, reporter, runtime| {
        let asked = Asked::read(&arguments.package, environment)?;
        let pure = pure(environment, reporter)?;
        let output =
            runtime.block_on(pure.render(&plugin(Role::Renderer), &asked.package(environment)))?;
        let wanted = arguments.what.trim_matches('/');
        let below = |pointer: &str| {
            let path = pointer.trim_start_matches('/');
            let path = path.strip_prefix("Resources/").unwrap_or(path);
            [path, pointer.trim_start_matches('/')].iter().any(|path| {
                *path == wanted
                    || path
                        .strip_prefix(wanted)
                        .is_some_and(|rest| rest.starts_with('/'))
            })
        };
        let mut text = String::new();
        for source in output
            .sources
            .iter()
            .filter(|source| below(&source.pointer))
        {
            let at = &source.at;
            let line = asked
                .files
                .iter()
                .find(|file| file.path == at.path)
                .and_then(|file| file.text.lines().nth(at.line.max(1) as usize - 1));
            text.push_str(&format!(
                "{}\n  {}:{}:{}  {}\n",
                source.pointer,
                at.path,
                at.line,
                at.column,
                line.unwrap_or_default().trim()
            ));
        }
        if text.is_empty() {
            return Err(DeployError::Project(format!(
                "nothing in the template is called `{wanted}`, or no manifest line made it"
            )));
        }
        reporter.data(&text);
        Ok(Ended::Fine)
    })
}

/// `template diff`.
pub(super) fn template(command: &Template) -> ExitCode {
    let Template::Diff {
        style,
        json,
        old,
        new,
    } = command;
    finish(true, |environment, reporter, runtime| {
        let read = |path: &Path| {
            let body = fs::read_to_string(path).map_err(|error| {
                DeployError::Project(format!("failed to read {}: {error}", path.display()))
            })?;
            Ok::<_, DeployError>(vec![Document {
                address: "template".to_owned(),
                media_type: "application/vnd.aws.cloudformation+yaml".to_owned(),
                body,
            }])
        };
        let style = match style {
            Style::Tree => WitStyle::Tree,
            Style::Collapsed => WitStyle::Collapsed,
        };
        let pure = pure(environment, reporter)?;
        let difference =
            runtime.block_on(pure.diff(&plugin(Role::Differ), read(old)?, read(new)?, style))?;
        if *json || !difference.text.is_empty() {
            return Ok(show(reporter, &difference, *json));
        }
        Ok(Ended::Fine)
    })
}

/// Prints a difference.
fn show(reporter: &Reporter, difference: &Difference, json: bool) -> Ended {
    let ended = if difference.text.is_empty() {
        Ended::Fine
    } else {
        Ended::Differences
    };
    match ended {
        _ if json => reporter.document(&crate::report::changes(&difference.changes)),
        Ended::Differences => reporter.data(&reporter.painted(&difference.text)),
        Ended::Fine => reporter.data("No changes.\n"),
    }
    ended
}

/// Runs a command; with `compares`, differences are exit code 1 and errors 2, as `diff` has it.
fn finish(
    compares: bool,
    command: impl FnOnce(
        &Environment,
        &Arc<Reporter>,
        &tokio::runtime::Runtime,
    ) -> Result<Ended, DeployError>,
) -> ExitCode {
    let environment = Environment::read();
    let colour = environment.as_ref().is_ok_and(Environment::colour);
    let reporter = Arc::new(Reporter::new(Format::Text, Verbosity::Normal, colour));
    let result = environment
        .map_err(|error| DeployError::Project(error.to_string()))
        .and_then(|environment| {
            // One thread is enough for components that wait for nobody.
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build();
            let runtime = runtime.map_err(|error| {
                DeployError::Project(format!("failed to start the runtime: {error}"))
            })?;
            command(&environment, &reporter, &runtime)
        });
    match result {
        Ok(Ended::Fine) => ExitCode::SUCCESS,
        Ok(Ended::Differences) => ExitCode::from(1),
        Err(error) => {
            reporter.error(&error.to_string(), &error.hints());
            ExitCode::from(if compares { 2 } else { 1 })
        }
    }
}

/// What is packaged, as the command line and the workspace say.
struct Asked {
    workspace: Workspace,
    name: String,
    environment: String,
    files: Vec<crate::manifest::copilot::WorkloadFile>,
    facts: Json,
    /// What is deployed, from the facts: template, parameters, tags, addons.
    deployed: Option<Json>,
    strict: bool,
    kind: Option<&'static str>,
}

impl Asked {
    fn read(arguments: &PackageArguments, environment: &Environment) -> Result<Self, DeployError> {
        let lost = |error: WorkspaceError| DeployError::Project(error.to_string());
        let refuse = |why: String| Err(DeployError::Project(why));
        let workspace = Workspace::find(&environment.folder).map_err(lost)?;
        if let Some(app) = arguments
            .app
            .as_ref()
            .filter(|app| **app != workspace.application)
        {
            return refuse(format!(
                "this workspace belongs to application `{}`, not to `{app}`\nhint: leave -a out",
                workspace.application
            ));
        }
        if arguments.upload_assets {
            return refuse("--upload-assets needs AWS, which this version does not reach yet\nhint: leave it out; the template is the same".to_owned());
        }
        let Some(path) = &arguments.facts else {
            return refuse("what would come from AWS is not gathered by this version yet\nhint: pass it with --facts FILE".to_owned());
        };
        let mut facts = read_facts(path)?;
        let deployed = facts
            .as_object_mut()
            .and_then(|facts| facts.remove("deployed"));
        // The renderer keeps what CloudFormation would needlessly replace.
        match deployed.as_ref().map(|deployed| &deployed["template"]) {
            None | Some(Json::Null) => {}
            Some(Json::String(text)) => facts["deployed_template"] = json!(text),
            Some(tree) => facts["deployed_template"] = json!(tree.to_string()),
        }
        if let (Some(tag), Some(images)) = (
            &arguments.tag,
            facts.get_mut("images").and_then(Json::as_object_mut),
        ) {
            images
                .values_mut()
                .filter_map(Json::as_object_mut)
                .for_each(|image| drop(image.insert("tag".to_owned(), json!(tag))));
        }
        let workloads = workspace.workloads();
        let name = match (&arguments.name, workloads.as_slice()) {
            (Some(name), _) => name.clone(),
            (None, [only]) => only.clone(),
            (None, several) => {
                return refuse(format!(
                    "which workload?\nhint: name one with -n: {}",
                    several.join(", ")
                ));
            }
        };
        let told = facts["environment"]["name"].as_str().map(str::to_owned);
        let Some(environment) = arguments.env.clone().or(told) else {
            return refuse("which environment?\nhint: name it with -e".to_owned());
        };
        let files = workspace.files(&name).map_err(lost)?;
        Ok(Self {
            workspace,
            name,
            environment,
            files,
            facts,
            deployed,
            strict: arguments.strict,
            kind: None,
        })
    }

    fn package<'a>(&'a self, environment: &'a Environment) -> Package<'a> {
        Package {
            workspace: &self.workspace,
            files: self.files.clone(),
            environment: self.environment.clone(),
            variables: &environment.variables,
            facts: self.facts.clone(),
            strict: self.strict,
            kind: self.kind,
        }
    }
}

fn read_facts(path: &Path) -> Result<Json, DeployError> {
    let fail = |why: String| {
        DeployError::Facts(format!(
            "failed to read facts from {}: {why}",
            path.display()
        ))
    };
    let text = fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| {
        fail(format!(
            "line {}, column {}: {error}",
            error.line(),
            error.column()
        ))
    })
}

fn document<'a>(output: &'a Output, prefix: &str) -> Result<&'a Document, DeployError> {
    let found = output
        .documents
        .iter()
        .find(|document| document.address.starts_with(prefix));
    found.ok_or_else(|| DeployError::Project(format!("the renderer made no document `{prefix}…`")))
}

fn write(folder: &Path, asked: &Asked, output: &Output) -> Result<(), DeployError> {
    let fail = |path: &Path, error: std::io::Error| {
        DeployError::Project(format!("failed to write {}: {error}", path.display()))
    };
    fs::create_dir_all(folder).map_err(|error| fail(folder, error))?;
    let put = |name: String, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| fail(&path, error))
    };
    let (name, environment) = (&asked.name, &asked.environment);
    put(
        format!("{name}-{environment}.stack.yml"),
        &document(output, "stack/")?.body,
    )?;
    put(
        format!("{name}-{environment}.params.json"),
        &document(output, "parameters/")?.body,
    )?;
    match document(output, "addons/") {
        Ok(addons) => put(format!("{name}.addons.stack.yml"), &addons.body),
        Err(_) => Ok(()),
    }
}

/// The template's difference as Copilot shows it, and below it what Copilot never shows: parameters, tags, addons.
fn difference(
    pure: &Pure,
    runtime: &tokio::runtime::Runtime,
    asked: &Asked,
    output: Output,
) -> Result<Difference, DeployError> {
    let Some(deployed) = &asked.deployed else {
        let why = "what is deployed is not known: this version does not ask AWS yet\nhint: put the template under `deployed.template` in the facts, or compare two files with `plimsoll template diff`";
        return Err(DeployError::Project(why.to_owned()));
    };
    let observed = |desired: &Document| {
        let part = match desired.address.split('/').next() {
            Some("stack") => &deployed["template"],
            Some("addons") => &deployed["addons"],
            Some("parameters") => &deployed["parameters-file"],
            Some(_) | None => &Json::Null,
        };
        let body = match part {
            Json::Null => return None,
            Json::String(text) => text.clone(),
            tree => tree.to_string(),
        };
        Some(Document {
            body,
            ..desired.clone()
        })
    };
    let (template, rest): (Vec<Document>, Vec<Document>) = output
        .documents
        .into_iter()
        .partition(|document| document.address.starts_with("stack/"));
    let mut whole = Difference {
        text: String::new(),
        changes: Vec::new(),
    };
    for desired in [template, rest] {
        let known: Vec<Document> = desired.iter().filter_map(observed).collect();
        // What the facts do not tell of what is deployed is not compared.
        let desired: Vec<Document> = desired
            .into_iter()
            .filter(|document| {
                document.address.starts_with("stack/")
                    || known.iter().any(|k| k.address == document.address)
            })
            .collect();
        let difference =
            runtime.block_on(pure.diff(&plugin(Role::Differ), known, desired, WitStyle::Tree))?;
        whole.text.push_str(&difference.text);
        whole.changes.extend(difference.changes);
    }
    Ok(whole)
}

fn plugin(role: Role) -> Plugin {
    bundled(Target::Ecs)
        .find(|plugin| plugin.role == role)
        .expect("the bundle has one of each pure role")
}

fn pure(environment: &Environment, reporter: &Arc<Reporter>) -> Result<Pure, DeployError> {
    let interrupt = Interrupt::default();
    let cache = Cache::new(environment.aot.clone(), environment.executable.clone());
    let run = Run::new(Parts {
        reporter: reporter.clone(),
        interrupt: interrupt.clone(),
        journal: environment.state.join("journal/package.jsonl"),
        hosts: Hosts::new(SshConfig::default()),
        secrets: SecretStore::new(
            Vec::new(),
            Vec::new(),
            Default::default(),
            Box::new(|_| Err("no commands here".to_owned())),
        ),
        fingerprint_key: Vec::new(),
        secret_variables: Vec::new(),
        also_hidden: Vec::new(),
        files: Default::default(),
        project: environment.folder.clone(),
        hooks: environment.folder.clone(),
        performer: String::new(),
    });
    Ok(Pure {
        sandbox: Sandbox::new(cache, interrupt)?,
        run,
    })
}
