//! `package`: a Copilot workload's template and parameters, which is a deploy cut after rendering. Nothing is contacted
//! here: what comes from AWS is in the facts.

use std::sync::Arc;

use serde_json::Value as Json;

use super::DeployError;
use super::copilot::Known;
use crate::capability::{Run, Session, Stage};
use crate::grant::Grants;
use crate::manifest::copilot::WorkloadFile;
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
    /// Files of the workload.
    pub files: Vec<WorkloadFile>,
    /// The environment.
    pub environment: String,
    /// Everything else that is known.
    pub known: &'a Known,
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

    /// What a workload's manifest refers to. Names may stand in variables: it is asked again once these are known.
    ///
    /// # Errors
    /// `Findings` when the manifest can't be read at all.
    pub async fn needs(
        &self,
        renderer: &Plugin,
        package: &Package<'_>,
    ) -> Result<Vec<Need>, DeployError> {
        let loaded = renderer.link(&self.sandbox)?;
        let mut needs: Vec<Need> = Vec::new();
        loop {
            let known: Vec<Need> = needs
                .iter()
                .filter(|need| need.kind == "variable")
                .cloned()
                .collect();
            let input = package.input(renderer, package.known.answers(&known));
            let asked = self
                .sandbox
                .needs(&loaded, self.session(renderer), input)
                .await?;
            let asked = asked.map_err(|found| self.refused(package, found))?;
            let again = needs.is_empty() && asked.iter().any(|need| need.kind == "variable");
            needs = asked;
            if !again {
                return Ok(needs);
            }
        }
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
        let needs = self.needs(renderer, package).await?;
        let loaded = renderer.link(&self.sandbox)?;
        let output = self
            .sandbox
            .render(
                &loaded,
                self.session(renderer),
                package.input(renderer, package.known.answers(&needs)),
            )
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

impl Package<'_> {
    fn input(&self, renderer: &Plugin, answers: Json) -> Input {
        let manifest = self.files.iter().map(|file| File {
            path: file.path.clone(),
            text: file.text.clone(),
        });
        Input {
            context: context(&self.environment, renderer),
            manifest: manifest.collect(),
            options: self.known.options().to_string(),
            facts: answers.to_string(),
        }
    }
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
