//! What the driver is told beside the template: where the workload belongs, and what is uploaded for it. Names in the
//! artifact bucket are Copilot's, so that either tool finds what the other has uploaded.

use crate::addons::assets::Upload;
use crate::cfn::Value;
use crate::diagnostic::Findings;
use crate::facts::{Facts, Reach};
use crate::logging::ROUTER;
use crate::manifest::Manifest;
use crate::needs;
use crate::package::{EnvFile, SiteFile, clean_path};
use crate::yaml::{At, Node};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

/// CloudFormation's limit on the names of stacks.
const LONGEST_STACK_NAME: usize = 128;

/// The facts with what follows from them for a deployment: addresses of what will be uploaded. Says which files and
/// secrets are not there.
pub(crate) fn prepare(
    facts: &Facts,
    manifest: &Manifest,
    workload: &str,
    addons: Option<&str>,
    findings: &mut Findings,
) -> Facts {
    let mut facts = facts.clone();
    check_secrets(&facts, &manifest.root, findings);
    if facts.deployment.is_none() {
        return facts;
    }
    let root = &manifest.root;
    let sidecars = root.sorted_at("sidecars");
    let sidecars = sidecars
        .iter()
        .map(|(name, node)| (name.text.as_str(), node.text_at("env_file")));
    let router = root.get("logging").and_then(|l| l.text_at("env_file"));
    let files = std::iter::once((workload, root.text_at("env_file")))
        .chain(sidecars)
        .chain([(ROUTER, router)]);
    for (container, file) in files {
        let Some(At { value: path, span }) = file.filter(|path| !path.value.is_empty()) else {
            continue;
        };
        match facts.digests.get(&clean_path(&path)) {
            Some(digest) => {
                let key = env_file_key(&path, digest);
                let partition = facts.partition();
                let arn = format!("arn:{partition}:s3:::{}/{key}", facts.artifacts.bucket);
                facts.env_files.insert(container.to_owned(), arn);
            }
            None => findings.error(
                span,
                format!("`env_file` names `{path}`, which is not a file of the project"),
                "paths begin at the folder that holds `copilot/`",
            ),
        }
    }
    if let Some(text) = addons {
        facts.addons_template_url = url(&facts, &addons_key(workload, text));
    }
    facts
}

/// A secret that is missing, or that containers may not read, stops every task: said before anything is deployed.
fn check_secrets(facts: &Facts, root: &Node, findings: &mut Findings) {
    for secret in needs::secrets(root) {
        let Some(reach) = facts.secrets.get(&secret.name) else {
            continue;
        };
        let (kind, name) = secret.name.split_once(':').unwrap_or_default();
        let (kind, service) = match kind {
            "ssm" => ("parameter", "ssm"),
            _ => ("secret", "secretsmanager"),
        };
        let (app, environment) = (&facts.application.name, &facts.environment.name);
        match reach {
            Reach::Readable => {}
            Reach::Missing => findings.error(
                secret.span,
                format!(
                    "there is no {kind} `{name}` in {} of account {}",
                    facts.environment.region, facts.environment.account_id
                ),
                format!("make it there (`copilot secret init`), with the tags copilot-application={app} and copilot-environment={environment}"),
            ),
            Reach::Untagged => {
                let command = match service {
                    "ssm" => format!("aws ssm add-tags-to-resource --resource-type Parameter --resource-id {name} --tags Key=copilot-application,Value={app} Key=copilot-environment,Value={environment}"),
                    _ => format!("aws secretsmanager tag-resource --secret-id {name} --tags Key=copilot-application,Value={app} Key=copilot-environment,Value={environment}"),
                };
                findings.error(
                    secret.span,
                    format!("the containers may not read {kind} `{name}`: it lacks the tags copilot-application={app} and copilot-environment={environment}"),
                    format!("tag it: {command}"),
                );
            }
        }
    }
}

/// `manual/env-files/NAME/SHA256.env`
fn env_file_key(path: &str, digest: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    format!("manual/env-files/{name}/{digest}.env")
}

/// `manual/addons/WORKLOAD/SHA256.yml`
fn addons_key(workload: &str, text: &str) -> String {
    format!("manual/addons/{workload}/{}.yml", sha256(text))
}

/// URL of an object of the artifact bucket.
pub(crate) fn url(facts: &Facts, key: &str) -> String {
    format!(
        "https://{}.s3.{}.{}/{key}",
        facts.artifacts.bucket,
        facts.environment.region,
        facts.dns_suffix()
    )
}

/// The file that tells a static site's state machine what to copy where, as JSON text.
pub(crate) fn mapping(files: &[SiteFile], facts: &Facts) -> String {
    let mut entries: Vec<(String, &SiteFile)> = files
        .iter()
        .filter_map(|file| Some((site_key(facts.digests.get(&file.path)?), file)))
        .collect();
    entries.sort_by(|a, b| (&a.0, &a.1.destination).cmp(&(&b.0, &b.1.destination)));
    entries.dedup_by(|a, b| (&a.0, &a.1.destination) == (&b.0, &b.1.destination));
    let entries: Vec<Json> = entries
        .into_iter()
        .map(|(key, file)| {
            json!({"path": key, "destPath": file.destination, "contentType": file.content_type})
        })
        .collect();
    Json::Array(entries).to_string()
}

/// Where the mapping goes.
pub(crate) fn mapping_key(facts: &Facts, workload: &str, text: &str) -> String {
    format!(
        "local-assets/environments/{}/workloads/{workload}/mapping/{}",
        facts.environment.name,
        sha256(text)
    )
}

fn site_key(digest: &str) -> String {
    format!("local-assets/{digest}")
}

/// What was rendered, as far as uploads follow from it.
pub(crate) struct Rendered<'a> {
    pub(crate) kind: &'static str,
    pub(crate) template: &'a Value,
    pub(crate) addons: Option<&'a str>,
    /// What the addons refer to.
    pub(crate) assets: &'a [Upload],
    pub(crate) env_files: &'a [EnvFile],
    pub(crate) site_files: &'a [SiteFile],
    /// The mapping of the site files.
    pub(crate) mapping: Option<&'a str>,
    /// The template that is deployed.
    pub(crate) deployed: Option<&'a Node>,
}

/// The document `deployment/WORKLOAD`, JSON; none when only a template is wanted.
pub(crate) fn document(facts: &Facts, workload: &str, rendered: &Rendered<'_>) -> Option<String> {
    let deployment = facts.deployment.as_ref()?;
    let (application, environment) = (&facts.application.name, &facts.environment.name);
    let stack = format!("{application}-{environment}-{workload}");
    let stack: String = stack.chars().take(LONGEST_STACK_NAME).collect();
    let mut uploads = Vec::new();
    let mut upload = |key: String, source: Json, content_type: Option<&str>| {
        let entry = json!({"key": key, "source": source, "content-type": content_type});
        if !uploads.contains(&entry) {
            uploads.push(entry);
        }
    };
    for file in rendered.env_files {
        if let Some(digest) = facts.digests.get(&file.path) {
            upload(
                env_file_key(&file.path, digest),
                json!({"file": file.path}),
                None,
            );
        }
    }
    for asset in rendered.assets {
        let source = match asset.archive {
            true => json!({"archive": asset.path}),
            false => json!({"file": asset.path}),
        };
        upload(asset.key.clone(), source, None);
    }
    if let Some(text) = rendered.addons {
        let address = format!("addons/{workload}");
        upload(
            addons_key(workload, text),
            json!({"document": address}),
            None,
        );
    }
    for file in rendered.site_files {
        if let Some(digest) = facts.digests.get(&file.path) {
            let content_type =
                (!file.content_type.is_empty()).then_some(file.content_type.as_str());
            upload(site_key(digest), json!({"file": file.path}), content_type);
        }
    }
    if let Some(text) = rendered.mapping {
        let address = format!("assets/{workload}");
        let key = mapping_key(facts, workload, text);
        upload(key, json!({"document": address}), Some("application/json"));
    }
    for (id, key) in new_code(rendered.template, rendered.deployed) {
        upload(key, json!({"function": id}), None);
    }
    let document = json!({
        "application": application,
        "environment": environment,
        "workload": workload,
        "type": rendered.kind,
        "region": facts.environment.region,
        "stack": stack,
        "environment-stack": format!("{application}-{environment}"),
        "bucket": facts.artifacts.bucket,
        "execution-role": deployment.execution_role,
        "uploads": uploads,
    });
    Some(document.to_string())
}

/// Functions whose code is not the deployed one, with the key it is expected under.
fn new_code(template: &Value, deployed: Option<&Node>) -> Vec<(String, String)> {
    let Some(Value::Map(resources)) = template.bare().get("Resources").map(Value::bare) else {
        return Vec::new();
    };
    let key = |function: &Value| {
        let code = function.get("Properties")?.get("Code")?;
        code.get("S3Key")?.as_text().map(str::to_owned)
    };
    let there = |id: &str| {
        let code = deployed?
            .get("Resources")?
            .get(id)?
            .dig("Properties.Code")?;
        code.text_at("S3Key").map(|key| key.value)
    };
    resources
        .iter()
        .filter(|(_, resource)| {
            resource.get("Type").and_then(Value::as_text) == Some("AWS::Lambda::Function")
        })
        .filter_map(|(id, function)| Some((id.to_string(), key(function)?)))
        .filter(|(id, key)| there(id).as_ref() != Some(key))
        .collect()
}

fn sha256(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
