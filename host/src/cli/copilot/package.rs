//! `svc package`, `job package` and `explain`: a workload's template, and how it differs from what is deployed.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};
use tokio::runtime::Runtime;

use super::arguments::{ExplainArguments, PackageArguments, Shared};
use super::choose::{self, Chosen};
use super::start::{Consent, Place, facts, given_away, lost, pure, ready, session};
use super::{Called, Kind};
use crate::cli::environment::Environment;
use crate::interrupt::Interrupt;
use crate::manifest::copilot::{WorkloadFile, Workspace};
use crate::manifest::nearest;
use crate::manifest::tree::Node;
use crate::pipeline::copilot::{Gathered, Known};
use crate::pipeline::package::{Package, Pure};
use crate::pipeline::{DeployError, deploy as pipeline};
use crate::plugin::Plugin;
use crate::plugin::select::{Target, bundled};
use crate::report::{Format, Reporter, Verbosity};
use crate::sandbox::Role;
use crate::wire::WireError;
use crate::wire::aws::Why;
use crate::wire::aws::s3::parse_url;
use crate::wit::differ::exports::plimsoll::deploy::differ::{Difference, Style as WitStyle};
use crate::wit::renderer::exports::plimsoll::deploy::renderer::{Output, Source};
use crate::wit::types::Document;

/// How a command ended, besides errors.
pub(in crate::cli) enum Ended {
    Fine,
    Differences,
}

/// `svc package` and `job package`.
pub(super) fn package(called: Called, kind: Kind, arguments: &PackageArguments) -> ExitCode {
    // The facts of a file need no network: one thread is enough for components that wait for nobody.
    let runtime = match arguments.facts {
        Some(_) => quiet_runtime,
        None => called.runtime,
    };
    finish(runtime, arguments.diff, |environment, reporter, runtime| {
        runtime.block_on(async {
            if arguments.upload_assets {
                let uploaded = uploaded(arguments, environment, reporter, kind).await?;
                return print(arguments, reporter, &uploaded).map(|()| Ended::Fine);
            }
            let mut asked = Asked::read(arguments, environment, reporter, Some(kind)).await?;
            let pure = pure(environment, reporter)?;
            let mut output = asked.render(&pure).await?;
            // Names of built sidecars are known only now.
            if asked.name_images(&output) {
                output = asked.render(&pure).await?;
            }
            if arguments.diff {
                let difference = difference(&pure, &asked, output).await?;
                return Ok(show(reporter, &difference, arguments.json));
            }
            let packaged = Packaged {
                name: asked.name,
                environment: asked.environment,
                documents: output.documents,
            };
            print(arguments, reporter, &packaged).map(|()| Ended::Fine)
        })
    })
}

/// A workload's documents.
struct Packaged {
    name: String,
    environment: String,
    documents: Vec<Document>,
}

/// Builds, pushes and uploads what the template refers to: the documents then name what is there.
async fn uploaded(
    arguments: &PackageArguments,
    environment: &Environment,
    reporter: &Arc<Reporter>,
    kind: Kind,
) -> Result<Packaged, DeployError> {
    let workspace = Workspace::find(&environment.folder, arguments.app.as_deref()).map_err(lost)?;
    let session = session(reporter).await?;
    let place = Place {
        environment,
        reporter,
        workspace: &workspace,
        session: &session,
        interrupt: &Interrupt::default(),
    };
    let (chosen, name) = choose(&place, arguments, Some(kind)).await?;
    super::deploy::fits(&chosen.records, &name, kind, false)?;
    let flags = Shared {
        allow_downgrade: arguments.allow_downgrade,
        tag: arguments.tag.clone(),
        ..Shared::default()
    };
    let consent = Consent {
        yes: true,
        diff: false,
    };
    let command = format!("{} package", kind.group());
    let mut ready = ready(&place, &chosen, &name, &flags, consent, &command).await?;
    if let Some(target) = &mut ready.host.copilot {
        target.known.strict = arguments.strict;
    }
    let documents = pipeline::upload(&ready.request, &ready.host).await?;
    Ok(Packaged {
        documents,
        environment: chosen.environment,
        name,
    })
}

fn print(
    arguments: &PackageArguments,
    reporter: &Reporter,
    packaged: &Packaged,
) -> Result<(), DeployError> {
    match &arguments.output_dir {
        Some(folder) => write(folder, packaged),
        None => {
            reporter.data(&document(&packaged.documents, "stack/")?.body);
            Ok(())
        }
    }
}

/// Where, and what.
async fn choose(
    place: &Place<'_>,
    arguments: &PackageArguments,
    kind: Option<Kind>,
) -> Result<(Chosen, String), DeployError> {
    let Place {
        reporter,
        workspace,
        session,
        ..
    } = place;
    let (name, wanted) = (arguments.name.as_deref(), arguments.env.as_deref());
    let chosen = choose::environment(session, reporter, workspace, wanted, name).await?;
    let name = match name {
        Some(name) => name.to_owned(),
        None => {
            let kind = kind.unwrap_or(Kind::Service);
            choose::workload(reporter, workspace, &chosen, kind)?
        }
    };
    Ok((chosen, name))
}

/// `explain`.
pub(in crate::cli) fn explain(called: Called, arguments: &ExplainArguments) -> ExitCode {
    let runtime = match arguments.package.facts {
        Some(_) => quiet_runtime,
        None => called.runtime,
    };
    finish(runtime, false, |environment, reporter, runtime| {
        runtime.block_on(async {
            let asked = Asked::read(&arguments.package, environment, reporter, None).await?;
            let pure = pure(environment, reporter)?;
            let output = asked.render(&pure).await?;
            reporter.data(&explained(&arguments.what, &asked, &output)?);
            Ok(Ended::Fine)
        })
    })
}

/// Properties of that name or below it, each with the manifest line that made it; of one that has no line of its own, the
/// nearest around it that has.
fn explained(what: &str, asked: &Asked, output: &Output) -> Result<String, DeployError> {
    let wanted = what.trim_matches('/');
    let wanted = wanted.strip_prefix("Resources/").unwrap_or(wanted);
    there(wanted, output)?;
    let path = |source: &Source| {
        let path = source.pointer.trim_start_matches('/');
        path.strip_prefix("Resources/").unwrap_or(path).to_owned()
    };
    let is_below = |path: &str, of: &str| {
        path == of
            || of.is_empty()
            || path
                .strip_prefix(of)
                .is_some_and(|rest| rest.starts_with('/'))
    };
    let sources = output.sources.iter();
    let mut found: Vec<&Source> = sources
        .clone()
        .filter(|source| is_below(&path(source), wanted))
        .collect();
    if found.is_empty() {
        let around = sources.filter(|source| is_below(wanted, &path(source)));
        found.extend(around.max_by_key(|source| source.pointer.len()));
    }
    let mut text = String::new();
    for source in found {
        let at = &source.at;
        let file = asked.files.iter().find(|file| file.path == at.path);
        let line = file.and_then(|file| file.text.lines().nth(at.line.max(1) as usize - 1));
        let pointer = match source.pointer.as_str() {
            "" => "/",
            pointer => pointer,
        };
        text.push_str(&format!(
            "{pointer}\n  {}:{}:{}  {}\n",
            at.path,
            at.line,
            at.column,
            line.unwrap_or_default().trim()
        ));
    }
    match text.is_empty() {
        true => Err(DeployError::Project(format!(
            "no line of the manifest made `{wanted}`"
        ))),
        false => Ok(text),
    }
}

/// Whether the template has something of that name, as a resource or from its top.
fn there(wanted: &str, output: &Output) -> Result<(), DeployError> {
    let template = document(&output.documents, "stack/")?;
    let root = Node::parse("template", &template.body).map_err(|error| {
        DeployError::Project(format!("the template can't be read: {}", error.message))
    })?;
    let resources = root.get("Resources").cloned();
    let find = |from: Option<Rc<Node>>| {
        wanted.split('/').try_fold(from?, |node, key| {
            let item = key.parse::<usize>().ok();
            let item = item.and_then(|index| node.items().get(index).cloned());
            node.get(key).cloned().or(item)
        })
    };
    if find(resources.clone())
        .or_else(|| find(Some(root)))
        .is_some()
    {
        return Ok(());
    }
    let first = wanted.split('/').next().unwrap_or_default();
    let ids = resources.iter().flat_map(|all| all.entries());
    let meant = nearest(first, ids.map(|entry| entry.key.as_str()));
    let hint = match meant {
        Some(id) if id != first => format!("\nhint: did you mean `{id}`?"),
        Some(_) | None => String::new(),
    };
    Err(DeployError::Project(format!(
        "nothing in the template is called `{wanted}`{hint}"
    )))
}

/// Runs a command; with `compares`, differences are exit code 1 and errors 2, as `diff` has it.
pub(in crate::cli) fn finish(
    runtime: fn() -> std::io::Result<Runtime>,
    compares: bool,
    command: impl FnOnce(&Environment, &Arc<Reporter>, &Runtime) -> Result<Ended, DeployError>,
) -> ExitCode {
    let environment = Environment::read();
    let colour = environment.as_ref().is_ok_and(Environment::colour);
    let reporter = Arc::new(Reporter::new(Format::Text, Verbosity::Normal, colour));
    let result = environment
        .map_err(|error| DeployError::Project(error.to_string()))
        .and_then(|environment| {
            let runtime = runtime().map_err(|error| {
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

/// A runtime for what waits for nobody.
pub(in crate::cli) fn quiet_runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
}

/// What is packaged, as the command line and the workspace say.
struct Asked {
    known: Known,
    name: String,
    environment: String,
    files: Vec<WorkloadFile>,
    /// What is deployed: template, parameters, tags, addons.
    deployed: Option<Json>,
}

impl Asked {
    async fn read(
        arguments: &PackageArguments,
        environment: &Environment,
        reporter: &Arc<Reporter>,
        kind: Option<Kind>,
    ) -> Result<Self, DeployError> {
        let workspace =
            Workspace::find(&environment.folder, arguments.app.as_deref()).map_err(lost)?;
        let mut asked = match &arguments.facts {
            Some(path) => Self::from_file(arguments, environment, workspace, path)?,
            None => Self::from_aws(arguments, environment, reporter, workspace, kind)
                .await
                .map_err(without_aws)?,
        };
        asked.known.strict = arguments.strict;
        asked.known.kind = kind.map(Kind::group);
        Ok(asked)
    }

    /// Nothing is contacted.
    fn from_file(
        arguments: &PackageArguments,
        environment: &Environment,
        workspace: Workspace,
        path: &Path,
    ) -> Result<Self, DeployError> {
        let refuse = |why: String| Err(DeployError::Project(why));
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
        if let Some(Json::String(text)) = deployed.as_ref().map(|deployed| &deployed["addons"]) {
            facts["deployed_addons"] = json!(text);
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
        let about = facts["application"]["name"].as_str().unwrap_or_default();
        if about != workspace.application {
            return refuse(format!(
                "the facts are about application `{about}`, not `{}`\nhint: leave -a out, or gather the facts of that application",
                workspace.application
            ));
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
        let Some(chosen) = arguments.env.clone().or(told) else {
            return refuse("which environment?\nhint: name it with -e".to_owned());
        };
        let files = workspace.files(&name).map_err(lost)?;
        Ok(Self {
            known: Known {
                given: given_away(&workspace, &chosen, &files, environment),
                workspace,
                facts,
                secrets: Map::new(),
                strict: false,
                kind: None,
            },
            files,
            name,
            environment: chosen,
            deployed,
        })
    }

    /// As `svc deploy` gathers it.
    async fn from_aws(
        arguments: &PackageArguments,
        environment: &Environment,
        reporter: &Arc<Reporter>,
        workspace: Workspace,
        kind: Option<Kind>,
    ) -> Result<Self, DeployError> {
        let session = session(reporter).await?;
        let place = Place {
            environment,
            reporter,
            workspace: &workspace,
            session: &session,
            interrupt: &Interrupt::default(),
        };
        let (chosen, name) = choose(&place, arguments, kind).await?;
        let (mut known, gathered) = facts(
            &place,
            &chosen,
            &name,
            arguments.tag.as_deref(),
            &std::collections::BTreeMap::new(),
            arguments.allow_downgrade,
        )
        .await?;
        let deployed = match arguments.diff {
            true => Some(deployed(&gathered).await?),
            false => {
                // Nothing is uploaded: what would be is called what it was called last.
                known
                    .facts
                    .as_object_mut()
                    .map(|facts| facts.remove("deployment"));
                let tag = gathered.image_tag.clone().unwrap_or_default();
                let image = json!({"repository": gathered.repository, "tag": tag, "digest": ""});
                known.facts["images"] = json!({ name.as_str(): image });
                None
            }
        };
        Ok(Self {
            files: workspace.files(&name).map_err(lost)?,
            known,
            name,
            environment: chosen.environment,
            deployed,
        })
    }

    async fn render(&self, pure: &Pure) -> Result<Output, DeployError> {
        let package = Package {
            files: self.files.clone(),
            environment: self.environment.clone(),
            known: &self.known,
        };
        pure.render(&renderer(), &package).await
    }

    /// Gives the images of sidecars the names that a push would give them; whether there are such.
    fn name_images(&mut self, output: &Output) -> bool {
        let Some(images) = self.known.facts["images"].as_object_mut() else {
            return false;
        };
        let Some(own) = images.get(&self.name).cloned() else {
            return false;
        };
        let before = images.len();
        for image in &output.images {
            images.entry(&image.name).or_insert_with(|| own.clone());
        }
        images.len() > before
    }
}

/// What is deployed, in the form in which a file of facts has it.
async fn deployed(gathered: &Gathered) -> Result<Json, DeployError> {
    let Some(stack) = &gathered.stack else {
        return Ok(json!({"template": ""}));
    };
    let pairs = |pairs: &[(String, String)]| {
        let pairs = pairs.iter().map(|(key, value)| (key.clone(), json!(value)));
        Json::Object(pairs.collect())
    };
    let mut deployed = json!({
        "template": gathered.template.clone().unwrap_or_default(),
        "parameters-file": {"Parameters": pairs(&stack.parameters), "Tags": pairs(&stack.tags)},
    });
    let url = stack
        .parameters
        .iter()
        .find(|(key, _)| key == "AddonsTemplateURL");
    if let Some((bucket, key)) = url.and_then(|(_, url)| parse_url(url)) {
        let text = gathered.aws.s3.text(bucket, key).await;
        deployed["addons"] = json!(text.map_err(DeployError::Aws)?.unwrap_or_default());
    }
    Ok(deployed)
}

/// Who can't reach AWS at all may not have to.
fn without_aws(error: DeployError) -> DeployError {
    let unreachable = [
        Why::NoRegion,
        Why::NoCredentials,
        Why::NoCode,
        Why::Expired,
        Why::Unreachable,
    ];
    let DeployError::Aws(WireError::Aws(aws)) = &error else {
        return error;
    };
    if !unreachable.contains(&aws.why) {
        return error;
    }
    let instead = "or package without AWS, from a file of facts: --facts FILE".to_owned();
    let hints = error.hints().into_iter().chain([instead]);
    let hints: String = hints.map(|hint| format!("\nhint: {hint}")).collect();
    DeployError::Project(format!("{error}{hints}"))
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

fn document<'a>(documents: &'a [Document], prefix: &str) -> Result<&'a Document, DeployError> {
    let found = documents
        .iter()
        .find(|document| document.address.starts_with(prefix));
    found.ok_or_else(|| DeployError::Project(format!("the renderer made no document `{prefix}…`")))
}

fn write(folder: &Path, packaged: &Packaged) -> Result<(), DeployError> {
    let fail = |path: &Path, error: std::io::Error| {
        DeployError::Project(format!("failed to write {}: {error}", path.display()))
    };
    fs::create_dir_all(folder).map_err(|error| fail(folder, error))?;
    let put = |name: String, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| fail(&path, error))
    };
    let Packaged {
        name,
        environment,
        documents,
    } = packaged;
    put(
        format!("{name}-{environment}.stack.yml"),
        &document(documents, "stack/")?.body,
    )?;
    put(
        format!("{name}-{environment}.params.json"),
        &document(documents, "parameters/")?.body,
    )?;
    match document(documents, "addons/") {
        Ok(addons) => put(format!("{name}.addons.stack.yml"), &addons.body),
        Err(_) => Ok(()),
    }
}

/// The template's difference as Copilot shows it, and below it what Copilot never shows: parameters, tags, addons.
async fn difference(
    pure: &Pure,
    asked: &Asked,
    mut output: Output,
) -> Result<Difference, DeployError> {
    let Some(deployed) = &asked.deployed else {
        let why = "what is deployed is not known: the facts don't say\nhint: put the template under `deployed.template`, leave --facts out to ask AWS, or compare two files with `plimsoll template diff`";
        return Err(DeployError::Project(why.to_owned()));
    };
    // An image that was not built yet can't be compared.
    for document in &mut output.documents {
        if document.address.starts_with("parameters/") {
            document.body = known_image(&document.body, &deployed["parameters-file"]);
        }
    }
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
        let differ = plugin(Role::Differ);
        let difference = pure.diff(&differ, known, desired, WitStyle::Tree).await?;
        whole.text.push_str(&difference.text);
        whole.changes.extend(difference.changes);
    }
    Ok(whole)
}

/// Prints a difference.
pub(in crate::cli) fn show(reporter: &Reporter, difference: &Difference, json: bool) -> Ended {
    let ended = match difference.text.is_empty() {
        true => Ended::Fine,
        false => Ended::Differences,
    };
    match ended {
        _ if json => reporter.document(&crate::report::changes(&difference.changes)),
        Ended::Differences => reporter.data(&reporter.painted(&difference.text)),
        Ended::Fine => reporter.data("No changes.\n"),
    }
    ended
}

/// The parameters with the deployed image in the place of one that has no name yet.
fn known_image(parameters: &str, deployed: &Json) -> String {
    let Ok(mut file) = serde_json::from_str::<Json>(parameters) else {
        return parameters.to_owned();
    };
    let image = &mut file["Parameters"]["ContainerImage"];
    let before = &deployed["Parameters"]["ContainerImage"];
    if image.as_str().is_some_and(|image| image.contains("<slot:")) && before.is_string() {
        *image = before.clone();
        return serde_json::to_string_pretty(&file).unwrap_or_else(|_| parameters.to_owned());
    }
    parameters.to_owned()
}

/// The renderer of the bundle.
pub(super) fn renderer() -> Plugin {
    plugin(Role::Renderer)
}

/// A component of the bundle.
pub(in crate::cli) fn plugin(role: Role) -> Plugin {
    bundled(Target::Ecs)
        .find(|plugin| plugin.role == role)
        .expect("the bundle has one of each pure role")
}
