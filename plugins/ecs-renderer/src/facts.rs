//! What a render needs that is not in the project: everything that would otherwise come from AWS.

use serde::Deserialize;
use std::collections::BTreeMap;

/// Why facts cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// Not JSON, or not of the expected shape.
    #[error("the facts are not as expected: {0}")]
    Shape(#[from] serde_json::Error),
    /// A format that this renderer does not know.
    #[error("schema {0} of the facts is not known, only 1 is")]
    Schema(u32),
}

/// The facts of one deployment.
#[derive(Clone, Debug, Deserialize)]
pub struct Facts {
    /// Version of this format; 1.
    pub schema: u32,
    /// The application.
    pub application: Application,
    /// The environment deployed to.
    pub environment: Environment,
    /// Certificates by ARN.
    #[serde(default)]
    pub certificates: BTreeMap<String, Certificate>,
    /// Where uploads go.
    pub artifacts: Artifacts,
    /// ARN of the account that owns the application's DNS zone.
    #[serde(default)]
    pub root_user_arn: Option<String>,
    /// `Metadata.Version` of the template.
    pub template_version: String,
    /// Stands where Copilot draws a random id.
    pub unique_id: String,
    /// Function logical id to the URL of its code. What is not in here is where our own archive goes.
    #[serde(default)]
    pub custom_resources: BTreeMap<String, String>,
    /// The workload's stack as it is deployed: the template's text as it was given to CloudFormation. Its descriptions, and code of
    /// functions that ours does not replace, are kept. None for a workload without a stack.
    #[serde(default)]
    pub deployed_template: Option<String>,
    /// The parameters that this stack has.
    #[serde(default)]
    pub deployed_parameters: Option<BTreeMap<String, String>>,
    /// The template of its addons.
    #[serde(default)]
    pub deployed_addons: Option<String>,
    /// What `http.alb` can resolve to.
    #[serde(default)]
    pub load_balancers: Vec<LoadBalancer>,
    /// What `placement.subnets.from_tags` selects from.
    #[serde(default)]
    pub subnets: Vec<Subnet>,
    /// ARNs of the topics that exist.
    #[serde(default)]
    pub topics: Vec<String>,
    /// Pushed images by container name.
    #[serde(default)]
    pub images: BTreeMap<String, PushedImage>,
    /// Uploaded environment files by container name.
    #[serde(default)]
    pub env_files: BTreeMap<String, String>,
    /// URL of the uploaded addons template.
    #[serde(default)]
    pub addons_template_url: String,
    /// Static site uploads.
    #[serde(default)]
    pub static_site: StaticSiteUploads,
    /// Which rules to apply.
    #[serde(default)]
    pub checks: Checks,
    /// What a deployment needs beyond a template; none when only a template is wanted.
    #[serde(default)]
    pub deployment: Option<Deployment>,
    /// What was found of the secrets that containers get, by [`crate::needs::Secret::name`].
    #[serde(skip)]
    pub secrets: BTreeMap<String, Reach>,
    /// What addons refer to, by the name they have for it.
    #[serde(skip)]
    pub assets: BTreeMap<String, Asset>,
    /// Digests of the project's files that are uploaded, SHA-256 in hexadecimal.
    #[serde(skip)]
    pub digests: BTreeMap<String, String>,
}

/// Where a deployment goes, and what its images are called.
#[derive(Clone, Debug, Deserialize)]
pub struct Deployment {
    /// URI of the workload's repository.
    pub repository: String,
    /// What the user calls this version (`--tag`).
    #[serde(default)]
    pub tag: Option<String>,
    /// Commit of a clean work tree.
    #[serde(default)]
    pub commit: Option<String>,
    /// ARN of the role that CloudFormation acts with.
    #[serde(default)]
    pub execution_role: Option<String>,
    /// Tags of the stack, over the application's.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// What is known of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// It is there, and containers may read it.
    Readable,
    /// It is there, without the tags by which the execution role may read it.
    Untagged,
    /// It isn't there.
    Missing,
}

/// A file or folder that an addon refers to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Asset {
    /// It can be uploaded. Digests are SHA-256 in hexadecimal.
    There {
        /// Path from the project's root.
        path: String,
        /// Digest of the archive that is made of it.
        archive: String,
        /// Digest of the file, if it is one.
        #[serde(default)]
        file: Option<String>,
    },
    /// It can't.
    Problem {
        /// Why, in words that fit behind its name.
        problem: String,
    },
}

/// The application.
#[derive(Clone, Debug, Deserialize)]
pub struct Application {
    /// Its name.
    pub name: String,
    /// The root domain associated with it.
    #[serde(default)]
    pub domain: Option<String>,
    /// Name of the IAM policy that bounds every role.
    #[serde(default)]
    pub permissions_boundary: Option<String>,
    /// Tags of every stack.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// The environment.
#[derive(Clone, Debug, Deserialize)]
pub struct Environment {
    /// Its name.
    pub name: String,
    /// Twelve digits.
    pub account_id: String,
    /// AWS region.
    pub region: String,
    /// Version of the deployed environment stack, or `bootstrap`.
    pub version: String,
    /// Parameters of the environment stack that features need.
    pub features: Vec<String>,
    /// `<env>.<app>.local`.
    pub service_discovery_endpoint: String,
    /// The environment manifest as deployed.
    pub manifest: serde_json::Value,
}

/// A certificate.
#[derive(Clone, Debug, Deserialize)]
pub struct Certificate {
    /// The names it covers; `*.x` covers one label.
    pub names: Vec<String>,
}

/// Where uploads go.
#[derive(Clone, Debug, Deserialize)]
pub struct Artifacts {
    /// The bucket.
    pub bucket: String,
    /// The key that encrypts it.
    pub kms_key_arn: String,
}

/// An existing load balancer.
#[derive(Clone, Debug, Deserialize)]
pub struct LoadBalancer {
    /// ARN.
    pub arn: String,
    /// Name.
    pub name: String,
    /// DNS name.
    pub dns_name: String,
    /// Hosted zone of the DNS name.
    pub hosted_zone_id: String,
    /// `internet-facing` or `internal`.
    pub scheme: String,
    /// Listeners.
    pub listeners: Vec<Listener>,
    /// Security group ids.
    pub security_groups: Vec<String>,
}

/// A listener of an existing load balancer.
#[derive(Clone, Debug, Deserialize)]
pub struct Listener {
    /// ARN.
    pub arn: String,
    /// Port.
    pub port: u16,
    /// `HTTP` or `HTTPS`.
    pub protocol: String,
}

/// A subnet of the environment's VPC.
#[derive(Clone, Debug, Deserialize)]
pub struct Subnet {
    /// Id.
    pub id: String,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// What was pushed for a container.
#[derive(Clone, Debug, Deserialize)]
pub struct PushedImage {
    /// Repository URI.
    pub repository: String,
    /// Tag, or empty.
    pub tag: String,
    /// Digest, or empty.
    pub digest: String,
}

/// Static site uploads.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct StaticSiteUploads {
    /// `s3://bucket/key` of the file that maps uploads to their names.
    #[serde(default)]
    pub asset_mapping_url: Option<String>,
}

/// Which rules are applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Checks {
    /// The manifest's own rules and those that need the environment.
    #[default]
    Full,
    /// Only the manifest's own rules.
    Manifest,
}

impl Facts {
    /// Reads the facts from JSON text.
    pub fn parse(json: &str) -> Result<Facts, FactsError> {
        let facts: Facts = serde_json::from_str(json)?;
        if facts.schema != 1 {
            return Err(FactsError::Schema(facts.schema));
        }
        Ok(facts)
    }

    /// The root domain, if there is one.
    pub fn domain(&self) -> Option<&str> {
        self.application.domain.as_deref().filter(|d| !d.is_empty())
    }

    /// Certificates of the environment's public or private load balancer.
    pub fn environment_certificates(&self, side: Side) -> Vec<&str> {
        let side = match side {
            Side::Public => "public",
            Side::Private => "private",
        };
        self.environment
            .manifest
            .get("http")
            .and_then(|http| http.get(side))
            .and_then(|side| side.get("certificates"))
            .and_then(serde_json::Value::as_array)
            .map(|list| list.iter().filter_map(serde_json::Value::as_str).collect())
            .unwrap_or_default()
    }

    /// True if the environment has a CDN in front of its load balancer.
    pub fn has_cdn(&self) -> bool {
        match self.environment.manifest.get("cdn") {
            Some(serde_json::Value::Bool(on)) => *on,
            Some(serde_json::Value::Object(_)) => true,
            _ => false,
        }
    }

    /// ARN of the CDN's own certificate.
    pub fn cdn_certificate(&self) -> Option<&str> {
        self.environment
            .manifest
            .get("cdn")?
            .get("certificate")?
            .as_str()
    }

    /// The partition the region lies in.
    pub fn partition(&self) -> &'static str {
        let region = &self.environment.region;
        if region.starts_with("cn-") {
            "aws-cn"
        } else if region.starts_with("us-gov-") {
            "aws-us-gov"
        } else {
            "aws"
        }
    }

    /// ARN of the role that may change the application's DNS zone.
    pub fn dns_delegation_role(&self) -> Option<String> {
        let mut parts = self.root_user_arn.as_deref()?.split(':');
        let (_, partition, _, _, account) = (
            parts.next()?,
            parts.next()?,
            parts.next()?,
            parts.next()?,
            parts.next()?,
        );
        Some(format!(
            "arn:{partition}:iam::{account}:role/{}-DNSDelegationRole",
            self.application.name
        ))
    }

    /// Tags of the stack.
    pub fn tags(&self, workload: &str) -> BTreeMap<String, String> {
        let mut tags = self.application.tags.clone();
        if let Some(deployment) = &self.deployment {
            tags.extend(deployment.tags.clone());
        }
        tags.insert(
            "copilot-application".to_owned(),
            self.application.name.clone(),
        );
        tags.insert(
            "copilot-environment".to_owned(),
            self.environment.name.clone(),
        );
        tags.insert("copilot-service".to_owned(), workload.to_owned());
        tags
    }

    /// The image reference of the main container, if something was or will be pushed: tag, else digest, else `latest`.
    pub fn pushed_image(&self, container: &str) -> Option<String> {
        let later = |deployment: &Deployment| deployment.image(deployment.main_tag(), container);
        let pushed = self.images.get(container).map(|image| {
            if !image.tag.is_empty() {
                format!("{}:{}", image.repository, image.tag)
            } else if !image.digest.is_empty() {
                format!("{}@{}", image.repository, image.digest)
            } else {
                format!("{}:latest", image.repository)
            }
        });
        pushed.or_else(|| self.deployment.as_ref().map(later))
    }

    /// The image reference of a built sidecar; its tags carry the container's name.
    pub fn pushed_sidecar(&self, container: &str) -> Option<String> {
        let later = |deployment: &Deployment| {
            let commit = deployment.commit.as_deref();
            let tag = commit.map(|commit| format!("{container}-{commit}"));
            deployment.image(tag.as_deref(), container)
        };
        let pushed = self.images.get(container).map(|image| {
            if !image.tag.is_empty() {
                format!("{}:{container}-{}", image.repository, image.tag)
            } else if !image.digest.is_empty() {
                format!("{}@{}", image.repository, image.digest)
            } else {
                format!("{}:{container}-latest", image.repository)
            }
        });
        pushed.or_else(|| self.deployment.as_ref().map(later))
    }

    /// Names that a container's image is pushed under; the first one always moves along.
    pub fn tags_to_push(&self, container: &str, workload: &str) -> Vec<String> {
        let Some(deployment) = &self.deployment else {
            return Vec::new();
        };
        let tags = if container == workload {
            let own = deployment.main_tag().map(str::to_owned);
            vec![Some("latest".to_owned()), own]
        } else {
            let commit = deployment.commit.as_ref();
            vec![
                Some(format!("{container}-latest")),
                commit.map(|commit| format!("{container}-{commit}")),
            ]
        };
        let mut names: Vec<String> = tags
            .into_iter()
            .flatten()
            .map(|tag| format!("{}:{tag}", deployment.repository))
            .collect();
        names.dedup();
        names
    }

    /// What host names of the region's partition end with.
    pub fn dns_suffix(&self) -> &'static str {
        match self.partition() {
            "aws-cn" => "amazonaws.com.cn",
            _ => "amazonaws.com",
        }
    }
}

impl Deployment {
    /// What the user called it counts more than the commit.
    fn main_tag(&self) -> Option<&str> {
        self.tag.as_deref().or(self.commit.as_deref())
    }

    /// By its tag, or by the digest that the push will give it.
    fn image(&self, tag: Option<&str>, container: &str) -> String {
        match tag {
            Some(tag) => format!("{}:{tag}", self.repository),
            None => format!("{}@<slot:image/{container}>", self.repository),
        }
    }
}

/// Which load balancer of the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Internet-facing.
    Public,
    /// Internal.
    Private,
}

/// Facts that say as little as facts can.
#[cfg(test)]
pub(crate) fn minimal() -> Facts {
    let text = r#"{"schema": 1, "application": {"name": "shop"}, "environment": {"name": "test", "account_id": "111122223333",
        "region": "eu-west-1", "version": "v1.42.0", "features": [], "service_discovery_endpoint": "test.shop.local", "manifest": {}},
        "artifacts": {"bucket": "artifacts", "kms_key_arn": "arn:k"}, "template_version": "v1.29.0", "unique_id": "0"}"#;
    Facts::parse(text).expect("the facts are valid")
}
