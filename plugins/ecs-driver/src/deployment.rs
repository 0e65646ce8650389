//! The documents to deploy, by address, and what the user asked for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

/// A document that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// A needed one is not there.
    #[error("find a document `{0}…` to deploy")]
    Missing(&'static str),
    /// One can't be read.
    #[error("read document `{address}`: {why}")]
    Unreadable {
        /// Its address.
        address: String,
        /// What is wrong with it.
        why: String,
    },
}

/// `deployment/WORKLOAD`: where the workload belongs, and what is uploaded for it. Made by the renderer from the facts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Deployment {
    /// The application.
    pub application: String,
    /// The environment.
    pub environment: String,
    /// The workload.
    pub workload: String,
    /// Its type, as the manifest says it: `Backend Service`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where.
    pub region: String,
    /// Its stack.
    pub stack: String,
    /// The environment's stack.
    pub environment_stack: String,
    /// Where artifacts go.
    pub bucket: String,
    /// The role that CloudFormation acts with.
    pub execution_role: Option<String>,
    /// What the template and its parameters refer to.
    pub uploads: Vec<Upload>,
}

/// Something to upload before the stack is changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Upload {
    /// Where it goes in the bucket.
    pub key: String,
    /// What it is.
    pub source: Source,
    /// Media type, when the extension doesn't tell.
    #[serde(default)]
    pub content_type: Option<String>,
}

/// Where the bytes of an upload come from: as the variant `source` of the WIT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A document of the plan.
    Document(String),
    /// A file of the project.
    File(String),
    /// A file or folder of the project, as an archive.
    Archive(String),
    /// The code of a custom resource.
    Function(String),
}

impl Deployment {
    /// `deployment/`
    pub const PREFIX: &str = "deployment/";

    /// It deploys to App Runner, not to ECS.
    pub fn is_request_driven(&self) -> bool {
        self.kind == "Request-Driven Web Service"
    }

    /// It has a service that can be told to deploy again.
    pub fn has_service(&self) -> bool {
        !matches!(self.kind.as_str(), "Scheduled Job" | "Static Site")
    }

    /// `service` or `job`, for people.
    pub fn noun(&self) -> &'static str {
        match self.kind.as_str() {
            "Scheduled Job" => "job",
            _ => "service",
        }
    }

    /// The command that deploys it again.
    pub fn command(&self) -> String {
        let group = match self.noun() {
            "job" => "job",
            _ => "svc",
        };
        format!(
            "plimsoll {group} deploy --name {} --env {}",
            self.workload, self.environment
        )
    }
}

/// `parameters/WORKLOAD`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// By name.
    #[serde(rename = "Parameters")]
    pub parameters: BTreeMap<String, String>,
    /// By name.
    #[serde(rename = "Tags")]
    pub tags: BTreeMap<String, String>,
}

/// Everything to deploy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// Where it belongs.
    pub deployment: Deployment,
    /// The template.
    pub template: String,
    /// Parameters and tags.
    pub inputs: Inputs,
    /// The template of its addons.
    pub addons: Option<String>,
}

impl Desired {
    /// Reads documents: address and body.
    ///
    /// # Errors
    /// When one is missing or makes no sense.
    pub fn parse<'a>(
        documents: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, DocumentError> {
        let documents: BTreeMap<&str, &str> = documents.into_iter().collect();
        let (address, body) = documents
            .iter()
            .find(|(address, _)| address.starts_with(Deployment::PREFIX))
            .ok_or(DocumentError::Missing("deployment/"))?;
        let deployment: Deployment = parse(address, body)?;
        let find = |prefix: &str| {
            let address = format!("{prefix}{}", deployment.workload);
            let body = documents.get(address.as_str()).copied();
            (address, body)
        };
        let template = find("stack/").1.ok_or(DocumentError::Missing("stack/"))?;
        let (address, inputs) = find("parameters/");
        let inputs = inputs.ok_or(DocumentError::Missing("parameters/"))?;
        Ok(Self {
            inputs: parse(&address, inputs)?,
            template: template.to_owned(),
            addons: find("addons/").1.map(str::to_owned),
            deployment,
        })
    }

    /// Address of one of its documents: `stack` to `stack/api`.
    pub fn address(&self, kind: &str) -> String {
        format!("{kind}/{}", self.deployment.workload)
    }
}

/// What the user asked for, by the names of the flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Deploy again although nothing changed.
    pub force: bool,
    /// Leave a failure as it is.
    pub no_rollback: bool,
    /// Don't wait.
    pub detach: bool,
    /// Accept that a newer version deployed it.
    pub allow_downgrade: bool,
    /// Only what a template refers to is uploaded: `svc package`, `job package`.
    pub packages: bool,
}

impl Request {
    /// Reads `context.request`; what it doesn't know is others' business.
    ///
    /// # Errors
    /// When it is no JSON.
    pub fn parse(json: &str) -> Result<Self, DocumentError> {
        let asked: Json = parse("request", json)?;
        let flag = |name: &str| asked[name].as_bool().unwrap_or_default();
        Ok(Self {
            force: flag("force"),
            no_rollback: flag("no-rollback"),
            detach: flag("detach"),
            allow_downgrade: flag("allow-downgrade"),
            packages: asked["command"]
                .as_str()
                .is_some_and(|command| command.ends_with(" package")),
        })
    }
}

/// Reads a JSON document.
///
/// # Errors
/// With its address, and what is wrong with it.
pub fn parse<T: for<'de> Deserialize<'de>>(address: &str, body: &str) -> Result<T, DocumentError> {
    serde_json::from_str(body).map_err(|error| DocumentError::Unreadable {
        address: address.to_owned(),
        why: error.to_string(),
    })
}

/// Digest of a text, in hexadecimal, as it stands in the keys of uploads.
pub fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Text whose slots are filled in later.
pub fn is_open(text: &str) -> bool {
    text.contains("<slot:")
}

/// A tree as JSON text.
pub fn json(value: &impl Serialize) -> String {
    let tree = serde_json::to_value(value).unwrap_or(Json::Null);
    tree.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_found_by_their_addresses() {
        let deployment = r#"{"application":"app","environment":"test","workload":"api","type":"Backend Service","region":"eu-west-1","stack":"app-test-api","environment-stack":"app-test","bucket":"b","execution-role":null,"uploads":[{"key":"manual/x.zip","source":{"function":"EnvControllerFunction"}}]}"#;
        let documents = [
            ("deployment/api", deployment),
            ("stack/api", "Resources: {}"),
            ("parameters/api", r#"{"Parameters":{"A":"1"},"Tags":{}}"#),
        ];
        let desired = Desired::parse(documents).expect("complete");
        assert_eq!(desired.inputs.parameters["A"], "1");
        assert_eq!(
            desired.deployment.uploads[0].source,
            Source::Function("EnvControllerFunction".to_owned())
        );
        assert_eq!(desired.address("stack"), "stack/api");
        let without = documents.into_iter().take(2);
        assert_eq!(
            Desired::parse(without),
            Err(DocumentError::Missing("parameters/"))
        );
        assert!(Desired::parse([("deployment/api", "{}")]).is_err());
    }

    #[test]
    fn a_request_has_the_flags_and_whatever_else() {
        let asked = Request::parse(r#"{"command":"svc deploy","force":true,"tag":null}"#);
        assert_eq!(
            asked,
            Ok(Request {
                force: true,
                ..Request::default()
            })
        );
        assert!(Request::parse("{").is_err());
    }
}
