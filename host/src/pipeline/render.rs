//! Manifest to documents, by a renderer without powers.

use serde_json::{Map, Value as Json, json};

use super::{DeployError, Host, Request, bounds};
use crate::capability::Stage;
use crate::manifest;
use crate::report::{Event, Finding, Verdict};
use crate::wire::Engine;
use crate::wit::renderer::exports::plimsoll::deploy::renderer::{File, Input, Need, Output};
use crate::wit::types::{Context, Diagnostic, Document, Severity};

/// Renders the manifest.
///
/// # Errors
/// `Findings` with all errors at once; warnings are shown and the deploy goes on.
pub async fn render(
    request: &Request,
    host: &Host,
    context: &Context,
) -> Result<Output, DeployError> {
    let plugin = &host.plugins.renderer;
    let (loaded, session) = host.ready(plugin, Stage::Pure)?;
    let manifest: Vec<File> = host
        .project
        .files
        .iter()
        .map(|file| File {
            path: file.path.clone(),
            text: file.text.clone(),
        })
        .collect();
    let options = match &host.copilot {
        Some(target) => target.known.options(),
        None => json!({
            "hosts": request.hosts,
            "roles": request.roles,
            "primary": request.primary,
            "skip-hooks": request.skip_hooks,
            "skip-push": request.skip_push,
            "secrets": host.run.secrets.names(),
        }),
    };
    let input = |facts: Json| Input {
        context: host.context(context, plugin),
        manifest: manifest.clone(),
        options: options.to_string(),
        facts: facts.to_string(),
    };
    let ask = async |facts: Json| {
        let asked = host
            .sandbox
            .needs(&loaded, session.clone(), input(facts))
            .await?;
        let needs = asked.map_err(|found| refused(host, found))?;
        if let Some(target) = &host.copilot {
            let within = bounds::copilot::check_needs(&needs, &target.known.given);
            within.map_err(|why| DeployError::Overreach {
                plugin: plugin.name.clone(),
                why,
            })?;
        }
        Ok::<_, DeployError>(needs)
    };
    let mut needs = ask(json!({})).await?;
    // Names may stand in variables.
    let variables = needs.iter().filter(|need| need.kind == "variable");
    let variables: Vec<Need> = variables.cloned().collect();
    if !variables.is_empty() {
        needs = ask(gather(host, &variables).await?).await?;
    }
    let output = host
        .sandbox
        .render(&loaded, session, input(gather(host, &needs).await?))
        .await?
        .map_err(|found| refused(host, found))?;
    let hooks: Vec<String> = host
        .project
        .hooks
        .iter()
        .map(|hook| hook.name.clone())
        .collect();
    let within = match &host.copilot {
        Some(target) => {
            let grants = &host.plugins.driver.grants;
            bounds::copilot::check(&output, &target.known.given, &target.repository, grants)
        }
        None => bounds::check(&output, &host.project.envelope, &hooks),
    };
    within.map_err(|why| DeployError::Overreach {
        plugin: plugin.name.clone(),
        why,
    })?;
    host.run.know(&output.documents);
    host.run.know_sources(&output.sources);
    for finding in findings(host, output.diagnostics.clone()) {
        host.reporter.emit(&Event::Finding(&finding));
    }
    Ok(output)
}

/// Media type of a document that is printed as it is.
const FOR_PEOPLE: &str = "application/yaml";

/// Facts of the kinds that this host can tell.
async fn gather(host: &Host, needs: &[Need]) -> Result<Json, DeployError> {
    if let Some(target) = &host.copilot {
        return Ok(target.known.answers(needs));
    }
    let mut facts: Map<String, Json> = Map::new();
    for need in needs {
        let hooks = &host.project.hooks;
        let answer = match need.kind.as_str() {
            "hook" => json!(hooks.iter().any(|hook| hook.name == need.name)),
            "file" => json!(host.run.files.digests(&need.name)),
            "docker-arch" => json!(architecture().await?),
            _ => continue,
        };
        let kind = facts.entry(&need.kind).or_insert_with(|| json!({}));
        if let Some(kind) = kind.as_object_mut() {
            kind.insert(need.name.clone(), answer);
        }
    }
    Ok(Json::Object(facts))
}

/// Of this machine's Docker Engine: where an image is built depends on it.
async fn architecture() -> Result<String, DeployError> {
    let asked = async { Engine::local().await?.version().await };
    let version = asked.await.map_err(|source| DeployError::Wire {
        doing: "ask for the architecture of this machine's Docker Engine".to_owned(),
        source,
    })?;
    Ok(version.arch)
}

/// What a component has found against the project's files, which is shown.
pub(super) fn refused(host: &Host, found: Vec<Diagnostic>) -> DeployError {
    let findings = findings(host, found);
    for finding in &findings {
        host.reporter.emit(&Event::Finding(finding));
    }
    DeployError::Findings(
        findings
            .into_iter()
            .filter(|finding| finding.diagnostic.severity == Severity::Error)
            .collect(),
    )
}

/// Findings with the lines they are about.
pub(super) fn findings(host: &Host, found: Vec<Diagnostic>) -> Vec<Finding> {
    let render = |diagnostic: Diagnostic| {
        let rendered = host.project.show(&manifest::Diagnostic::from(&diagnostic));
        Finding {
            rendered: crate::plan::printable(rendered.trim_end()),
            diagnostic,
        }
    };
    found.into_iter().map(render).collect()
}

impl Host {
    /// Prints the rendered documents, all as JSON; said as `kamal`, the one that is text for people.
    pub(super) fn shown(&self, request: &Request, rendered: &Output, context: &Context) -> Verdict {
        let documents = rendered.documents.iter();
        let (texts, documents): (Vec<&Document>, Vec<&Document>) =
            documents.partition(|document| document.media_type == FOR_PEOPLE);
        match texts.first().filter(|_| request.asked["reboot"] == true) {
            Some(text) => {
                let hidden = self.project.hidden();
                let text = hidden
                    .iter()
                    .fold(text.body.clone(), |text, (name, secret)| {
                        text.replace(secret.expose(), &format!("[{name}]"))
                    });
                self.reporter.data(&text);
            }
            None => {
                let body = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| json!(text));
                let documents: Map<String, Json> = documents
                    .iter()
                    .map(|document| (document.address.clone(), body(&document.body)))
                    .collect();
                self.reporter.document(&Json::Object(documents));
            }
        }
        self.verdict(format!("rendered {}", context.version), context)
    }
}
