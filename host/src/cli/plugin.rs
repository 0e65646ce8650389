//! `plugin list`, `inspect`, `lock` and `precompile`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;
use serde_json::json;

use super::arguments::Target;
use super::environment::Environment;
use super::start;
use crate::grant::Grants;
use crate::interrupt::Interrupt;
use crate::manifest::Project;
use crate::manifest::copilot::Workspace;
use crate::pipeline::DeployError;
use crate::plugin::lockfile::{Digest, LOCK_FILE};
use crate::plugin::select::{self, all_bundled, read_file, read_lock};
use crate::plugin::{Plugins, SelectError};
use crate::report::{Format, Reporter, Verbosity};
use crate::sandbox::aot::{Cache, Origin};
use crate::sandbox::inspect::{Import, Surface, in_words};
use crate::sandbox::{Role, Sandbox};

/// What can be asked of plugins.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Lists the components that this project uses: the bundle's and those that plimsoll.yml names.
    List {
        /// One JSON document on standard output.
        #[arg(long)]
        json: bool,
    },
    /// Shows a component's role, digest, size and imports, in words, without running it.
    Inspect {
        /// A component's file, or the name of one of the bundle.
        file: PathBuf,
        /// One JSON document on standard output.
        #[arg(long)]
        json: bool,
    },
    /// Writes the digests of the files that plimsoll.yml names to plimsoll.lock: they may run from then on.
    Lock {
        /// Only these plugins.
        names: Vec<String>,
    },
    /// Compiles the bundle into a directory, for shipping it beside the binary.
    #[command(hide = true)]
    Precompile {
        /// Where the compiled components go.
        directory: PathBuf,
    },
}

/// Runs it.
pub(super) fn run(command: &Command) -> ExitCode {
    let json = matches!(
        command,
        Command::List { json: true } | Command::Inspect { json: true, .. }
    );
    let reporter = Arc::new(Reporter::new(
        if json { Format::Json } else { Format::Text },
        Verbosity::Normal,
        false,
    ));
    let environment = match Environment::read() {
        Ok(environment) => environment,
        Err(error) => {
            reporter.error(&error.to_string(), &[]);
            return ExitCode::FAILURE;
        }
    };
    let result = match command {
        Command::List { json } => list(&environment, &reporter, *json),
        Command::Inspect { file, json } => inspect(&environment, &reporter, file, *json),
        Command::Lock { names } => lock(&environment, &reporter, names),
        Command::Precompile { directory } => precompile(&environment, directory),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            reporter.error(&error.to_string(), &error.hints());
            ExitCode::FAILURE
        }
    }
}

fn sandbox(environment: &Environment) -> Result<Sandbox, DeployError> {
    let cache = Cache::new(environment.aot.clone(), environment.executable.clone());
    Ok(Sandbox::new(cache, Interrupt::default())?)
}

/// The plugins of the project here; the bundle where there is no project.
fn plugins(
    environment: &Environment,
    reporter: &Reporter,
) -> Result<Vec<crate::plugin::Plugin>, DeployError> {
    let is_kamals = environment.folder.join("config/deploy.yml").exists();
    if !is_kamals && Workspace::root(&environment.folder).is_none() {
        return Ok(all_bundled().collect());
    }
    let (project, target) = project(environment, reporter)?;
    let configuration = start::read_configuration(&project, reporter)?;
    let plugins = Plugins::of(&project.root, &configuration, &Grants::default(), target)
        .map_err(unselected)?;
    Ok(plugins.iter().cloned().collect())
}

/// The project here, and where it is deployed to.
fn project(
    environment: &Environment,
    reporter: &Reporter,
) -> Result<(Project, select::Target), DeployError> {
    let folder = &environment.folder;
    match Workspace::root(folder).filter(|_| !folder.join("config/deploy.yml").exists()) {
        Some(root) => {
            let project = Workspace::bare(&root);
            let project = project.map_err(|error| DeployError::Project(error.to_string()))?;
            Ok((project, select::Target::Ecs))
        }
        None => {
            let project = start::read_project(&Target::default(), environment, reporter)?;
            Ok((project, select::Target::Ssh))
        }
    }
}

fn unselected(error: SelectError) -> DeployError {
    DeployError::Project(error.to_string())
}

fn list(environment: &Environment, reporter: &Reporter, json: bool) -> Result<(), DeployError> {
    let plugins = plugins(environment, reporter)?;
    if json {
        let entry = |p: &crate::plugin::Plugin| json!({"name": p.name, "role": p.role.name(), "from": p.from, "sha256": p.sha256, "size": p.bytes.len()});
        reporter.document(&json!({"plugins": plugins.iter().map(entry).collect::<Vec<_>>()}));
        return Ok(());
    }
    let mut text = String::new();
    for plugin in &plugins {
        let digest: String = plugin.sha256.chars().take(12).collect();
        text.push_str(&format!(
            "{:<16} {:<9} {:>6} KiB  sha256:{digest}  {}\n",
            plugin.name,
            plugin.role.name(),
            plugin.bytes.len() >> 10,
            plugin.from
        ));
    }
    reporter.data(&text);
    Ok(())
}

fn inspect(
    environment: &Environment,
    reporter: &Reporter,
    file: &Path,
    json: bool,
) -> Result<(), DeployError> {
    let named = all_bundled().find(|plugin| Path::new(&plugin.name) == file);
    let (name, bytes, origin) = match named {
        Some(plugin) => (
            plugin.name.clone(),
            plugin.bytes.clone().into_owned(),
            Origin::Bundle,
        ),
        None => {
            let bytes = fs::read(file).map_err(|error| {
                DeployError::Project(format!("failed to read {}: {error}", file.display()))
            })?;
            (file.display().to_string(), bytes, Origin::ThirdParty)
        }
    };
    let digest = Digest::of(&bytes);
    let sha256 = digest.as_str().trim_start_matches("sha256:");
    let sandbox = sandbox(environment)?;
    let component = sandbox.component(&name, sha256, &bytes, origin)?;
    let surface = sandbox.surface(&component);
    if json {
        let capabilities: Vec<&str> = surface.capabilities().collect();
        let role = surface.role().map(Role::name);
        reporter.document(&json!({"name": name, "role": role, "sha256": sha256, "size": bytes.len(), "exports": surface.exports, "capabilities": capabilities, "denied": denied(&surface)}));
        return Ok(());
    }
    let role = surface
        .role()
        .map_or("none that plimsoll knows", Role::name);
    let mut text = format!(
        "{name}\n  role     {role}\n  sha256   {sha256}\n  size     {} KiB\n  imports\n",
        bytes.len() >> 10
    );
    for import in &surface.imports {
        match import {
            Import::Capability(capability) => text.push_str(&format!("    {capability:<10} {}\n", in_words(capability))),
            Import::Denied(interface) => text.push_str(&format!("    {interface}  (traps when used: components have no files, sockets or randomness)\n")),
            Import::Unknown(interface) => text.push_str(&format!("    {interface}  (does not exist here: the component is refused)\n")),
            Import::Inert(_) => {}
        }
    }
    if surface.capabilities().next().is_none() {
        text.push_str("    nothing: it can only answer\n");
    }
    reporter.data(&text);
    Ok(())
}

fn denied(surface: &Surface) -> Vec<&str> {
    let name = |import| match import {
        &Import::Denied(ref name) | &Import::Unknown(ref name) => Some(name.as_str()),
        &Import::Capability(_) | &Import::Inert(_) => None,
    };
    surface.imports.iter().filter_map(name).collect()
}

fn lock(
    environment: &Environment,
    reporter: &Reporter,
    names: &[String],
) -> Result<(), DeployError> {
    let (project, _) = project(environment, reporter)?;
    let configuration = start::read_configuration(&project, reporter)?;
    let sandbox = sandbox(environment)?;
    let mut lock = read_lock(&project.root).map_err(unselected)?;
    if let Some(unknown) = names.iter().find(|name| {
        !configuration
            .plugins
            .iter()
            .any(|entry| entry.name == **name)
    }) {
        return Err(DeployError::Project(format!(
            "plimsoll.yml has no plugin `{unknown}`"
        )));
    }
    let mut text = String::new();
    for entry in configuration
        .plugins
        .iter()
        .filter(|entry| names.is_empty() || names.contains(&entry.name))
    {
        let Some(bytes) = read_file(&project.root, entry).map_err(unselected)? else {
            continue;
        };
        // Compiled now, so that no deploy has to wait for it.
        let digest = Digest::of(&bytes);
        let sha256 = digest.as_str().trim_start_matches("sha256:").to_owned();
        sandbox.component(&entry.name, &sha256, &bytes, Origin::ThirdParty)?;
        lock.lock(&entry.name, &bytes);
        text.push_str(&format!("locked {} to sha256:{sha256}\n", entry.name));
    }
    lock.plugins.retain(|name, _| {
        configuration
            .plugins
            .iter()
            .any(|entry| entry.name == *name)
    });
    let path = project.path(LOCK_FILE);
    fs::write(&path, lock.to_text()).map_err(|error| {
        DeployError::Project(format!("failed to write {}: {error}", path.display()))
    })?;
    reporter.data(if text.is_empty() {
        "plimsoll.yml names no plugin files; nothing to lock\n"
    } else {
        &text
    });
    Ok(())
}

fn precompile(environment: &Environment, directory: &Path) -> Result<(), DeployError> {
    let engine = crate::sandbox::engine::bare()?;
    let cache = Cache::new(directory.to_owned(), environment.executable.clone());
    for plugin in all_bundled() {
        cache.load(
            &engine,
            &plugin.name,
            &plugin.sha256,
            &plugin.bytes,
            Origin::Shipped,
        )?;
    }
    Ok(())
}
