//! `package`: a Copilot workload's template and parameters, which is a deploy cut after rendering. Nothing is
//! contacted: what would come from AWS comes from the facts.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::DeployError;
use crate::capability::{Run, Session, Stage};
use crate::grant::Grants;
use crate::manifest::copilot::{WorkloadFile, Workspace};
use crate::manifest::{self, render_diagnostic};
use crate::plan::printable;
use crate::plugin::Plugin;
use crate::report::{Event, Finding};
use crate::sandbox::Sandbox;
use crate::wit::differ::exports::plimsoll::deploy::differ::{
    Difference, Input as DifferInput, Style,
};
use crate::wit::renderer::exports::plimsoll::deploy::renderer::{File, Input, Need, Output};
use crate::wit::types::{Context, Diagnostic, Document, Severity};

/// What is packaged.
pub struct Package<'a> {
    /// The workspace.
    pub workspace: &'a Workspace,
    /// Files of the workload.
    pub files: Vec<WorkloadFile>,
    /// The environment.
    pub environment: String,
    /// Values for `${NAME}`.
    pub variables: &'a BTreeMap<String, String>,
    /// What would come from AWS.
    pub facts: Json,
    /// Warnings are errors.
    pub strict: bool,
    /// `svc` or `job`, when only that will do.
    pub kind: Option<&'static str>,
}

/// Components without powers, and where their lines go.
pub struct Pure {
    /// Runs them.
    pub sandbox: Sandbox,
    /// Holds nothing that they could reach.
    pub run: Arc<Run>,
}

impl Pure {
    fn session(&self, plugin: &Plugin) -> Arc<Session> {
        Session::new(
            self.run.clone(),
            &plugin.name,
            &plugin.sha256,
            Grants::none(&plugin.name),
            Stage::Pure,
        )
    }

    /// Renders a workload.
    ///
    /// # Errors
    /// `Findings` with everything that stands against it; warnings are shown.
    pub async fn render(
        &self,
        renderer: &Plugin,
        package: &Package<'_>,
    ) -> Result<Output, DeployError> {
        let loaded = renderer.link(&self.sandbox)?;
        let manifest: Vec<File> = package
            .files
            .iter()
            .map(|file| File {
                path: file.path.clone(),
                text: file.text.clone(),
            })
            .collect();
        let input = |facts: Json| Input {
            context: context(&package.environment, renderer),
            manifest: manifest.clone(),
            options: json!({"strict": package.strict, "kind": package.kind}).to_string(),
            facts: facts.to_string(),
        };
        let session = self.session(renderer);
        let needs = self
            .sandbox
            .needs(&loaded, session.clone(), input(json!({})))
            .await?;
        let needs = needs.map_err(|found| self.refused(package, found))?;
        let output = self
            .sandbox
            .render(&loaded, session, input(gather(package, &needs)))
            .await?;
        let output = output.map_err(|found| self.refused(package, found))?;
        for finding in findings(package, output.diagnostics.clone()) {
            self.run.reporter.emit(&Event::Finding(&finding));
        }
        Ok(output)
    }

    /// Compares documents.
    ///
    /// # Errors
    /// When they can't be compared.
    pub async fn diff(
        &self,
        differ: &Plugin,
        observed: Vec<Document>,
        desired: Vec<Document>,
        style: Style,
    ) -> Result<Difference, DeployError> {
        let loaded = differ.link(&self.sandbox)?;
        let input = DifferInput {
            context: context("", differ),
            observed,
            desired,
            style,
        };
        let difference = self
            .sandbox
            .diff(&loaded, self.session(differ), input)
            .await?;
        difference.map_err(|found| {
            let words: Vec<String> = found
                .into_iter()
                .map(|diagnostic| diagnostic.message)
                .collect();
            DeployError::Project(printable(&words.join("; ")))
        })
    }

    fn refused(&self, package: &Package<'_>, found: Vec<Diagnostic>) -> DeployError {
        let findings = findings(package, found);
        findings
            .iter()
            .for_each(|finding| self.run.reporter.emit(&Event::Finding(finding)));
        DeployError::Findings(
            findings
                .into_iter()
                .filter(|finding| finding.diagnostic.severity == Severity::Error)
                .collect(),
        )
    }
}

fn context(environment: &str, plugin: &Plugin) -> Context {
    Context {
        environment: environment.to_owned(),
        version: String::new(),
        deployment_id: "0".repeat(12),
        request: r#"{"command":"package"}"#.to_owned(),
        settings: plugin.settings.clone(),
    }
}

/// Facts of the kinds that a renderer of Copilot manifests asks for.
fn gather(package: &Package<'_>, needs: &[Need]) -> Json {
    let mut facts: Map<String, Json> = Map::new();
    for need in needs {
        let answer = match need.kind.as_str() {
            "copilot" => Some(package.facts.clone()),
            "variable" => package.variables.get(&need.name).map(|value| json!(value)),
            "path" => Some(json!(package.workspace.paths(&need.name))),
            _ => None,
        };
        if let (Some(answer), Some(kind)) = (
            answer,
            facts
                .entry(&need.kind)
                .or_insert_with(|| json!({}))
                .as_object_mut(),
        ) {
            kind.insert(need.name.clone(), answer);
        }
    }
    Json::Object(facts)
}

fn findings(package: &Package<'_>, found: Vec<Diagnostic>) -> Vec<Finding> {
    let source = |path: &str| {
        package
            .files
            .iter()
            .find(|file| file.path == path)
            .map(|file| file.text.as_str())
    };
    let render = |diagnostic: Diagnostic| {
        let rendered = render_diagnostic(&manifest::Diagnostic::from(&diagnostic), source);
        Finding {
            rendered: printable(rendered.trim_end()),
            diagnostic,
        }
    };
    found.into_iter().map(render).collect()
}
