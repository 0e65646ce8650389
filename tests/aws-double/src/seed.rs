//! Copilot applications, as Copilot itself would have made them: parameters, stacks, and what is in them.

use std::sync::Arc;

use lab::LabError;
use serde_json::{Value, json};

use crate::cloudformation::evaluate::{dns_suffix, partition};
use crate::cloudformation::{Stack, StackInstance, Target, Template, create};
use crate::double::Double;
use crate::world::World;
use crate::{id, moto};

const ENVIRONMENT: &str = include_str!("seed/environment.yml");
const ROLES: &str = include_str!("seed/roles.yml");
/// The version of the templates that are as if Copilot had made them.
pub const VERSION: &str = "v1.34.0";

/// An application and what is in it.
#[derive(Debug, Clone)]
pub struct Application {
    /// `demo`.
    pub name: String,
    /// `example.com`, when the application has a domain.
    pub domain: Option<String>,
    /// A policy's name, for every role.
    pub permissions_boundary: Option<String>,
    /// Tags of everything.
    pub tags: Vec<(String, String)>,
    /// Its environments.
    pub environments: Vec<Environment>,
    /// Names and types: `("api", "Backend Service")`.
    pub workloads: Vec<(String, String)>,
}

/// An environment of an application.
#[derive(Debug, Clone)]
pub struct Environment {
    /// `test`.
    pub name: String,
    /// The double's own when not said.
    pub region: Option<String>,
    /// The version in its stack's metadata: [`VERSION`], something old, or `bootstrap`.
    pub version: String,
    /// Parameters of its stack that are other than their defaults: `("ALBWorkloads", "web")`.
    pub parameters: Vec<(String, String)>,
    /// Its manifest, when it is other than its name and type.
    pub manifest: Option<String>,
}

impl Application {
    /// With one environment.
    pub fn new(name: &str, environment: &str) -> Self {
        Self {
            name: name.to_owned(),
            domain: None,
            permissions_boundary: None,
            tags: Vec::new(),
            environments: vec![Environment::new(environment)],
            workloads: Vec::new(),
        }
    }

    /// With one workload more, by name and type.
    pub fn workload(mut self, name: &str, kind: &str) -> Self {
        self.workloads.push((name.to_owned(), kind.to_owned()));
        self
    }

    /// With one environment more.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environments.push(environment);
        self
    }

    /// `demo`, which `examples/copilot` is deployed to.
    pub fn demo() -> Self {
        Self::new("demo", "test")
            .workload("web", "Load Balanced Web Service")
            .workload("api", "Backend Service")
            .workload("report", "Scheduled Job")
    }
}

impl Environment {
    /// Freshly deployed, nobody's load balancer in it yet.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            region: None,
            version: VERSION.to_owned(),
            parameters: Vec::new(),
            manifest: None,
        }
    }
}

impl Double {
    /// Makes an application with its environments.
    pub fn seed(&self, application: &Application) -> Result<(), LabError> {
        let (world, application) = (self.world.clone(), application.clone());
        self.run(async move { seed(&world, &application).await })
            .map_err(|why| LabError::Step(format!("seed an application: {why}")))
    }

    /// A parameter of SSM.
    pub fn put_parameter(&self, name: &str, value: &str) -> Result<(), LabError> {
        let world = self.world.clone();
        let (name, value) = (name.to_owned(), value.to_owned());
        let region = world.settings.region.clone();
        self.run(async move { put(&world, &region, &name, value, json!([])).await })
            .map_err(LabError::Step)
    }

    /// A stack from a template, as if somebody had made it; its state in the end.
    pub fn create_stack(
        &self,
        name: &str,
        template: &str,
        parameters: &[(&str, &str)],
        tags: &[(&str, &str)],
    ) -> Result<String, LabError> {
        let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
            pairs.iter().map(pair).collect()
        };
        let target = target(template, owned(parameters), owned(tags))
            .map_err(|why| LabError::Step(format!("read the template of {name}: {why}")))?;
        let (world, name) = (self.world.clone(), name.to_owned());
        Ok(self.run(async move {
            let region = world.settings.region.clone();
            let id = create(&world, &region, &name, target).await;
            world.read(&id, |stack| match &stack.reason {
                Some(reason) => format!("{}: {reason}", stack.status),
                None => stack.status.clone(),
            })
        }))
    }

    /// A stack that was deployed long ago: what it is made of is known, not its resources.
    pub fn remember_stack(
        &self,
        name: &str,
        template: &str,
        parameters: &[(String, String)],
        tags: &[(String, String)],
    ) -> Result<(), LabError> {
        let target = target(template, parameters.to_vec(), tags.to_vec())
            .map_err(|why| LabError::Step(format!("read the template of {name}: {why}")))?;
        let settings = &self.world.settings;
        let mut stack = Stack::new(&settings.account, &settings.region, name);
        stack.enter("CREATE_COMPLETE", None);
        stack.version.template = Some(target.template);
        stack.version.parameters = target.parameters;
        stack.version.tags = target.tags;
        self.world.state().stacks.push(stack);
        Ok(())
    }

    /// An object of S3.
    pub fn put_object(&self, bucket: &str, key: &str, body: &str) -> Result<(), LabError> {
        let world = self.world.clone();
        let (path, body) = (format!("/{bucket}/{key}"), body.to_owned());
        self.run(async move { moto::put_object(&world, &path, body.into()).await })
            .map_err(LabError::Step)
    }

    /// The bucket of an application's artifacts in a region.
    pub fn bucket(&self, application: &str) -> Option<String> {
        self.infrastructure(application, "PipelineBucket")
    }

    /// What an application's own stack in a region says: `PipelineBucket`, `KMSKeyARN`, `ECRRepoapi`.
    pub fn infrastructure(&self, application: &str, output: &str) -> Option<String> {
        let state = self.world.state();
        let set = format!("{application}-infrastructure");
        let instance = state
            .instances
            .iter()
            .find(|instance| instance.set == set)?;
        let outputs = &state.stack(&instance.stack).version.outputs;
        let found = outputs.iter().find(|own| own.key == output)?;
        Some(found.value.clone())
    }
}

async fn seed(world: &Arc<World>, application: &Application) -> Result<(), String> {
    let name = &application.name;
    let home = world.settings.region.clone();
    let account = &world.settings.account;
    let mut tags = application.tags.clone();
    tags.push(("copilot-application".to_owned(), name.clone()));
    let roles = target(
        ROLES,
        pairs(&[
            ("AppName", name),
            ("AdminRoleName", &format!("{name}-adminrole")),
            ("ExecutionRoleName", &format!("{name}-executionrole")),
            (
                "DNSDelegationRoleName",
                &format!("{name}-DNSDelegationRole"),
            ),
            (
                "AppDomainName",
                application.domain.as_deref().unwrap_or_default(),
            ),
        ]),
        tags.clone(),
    )?;
    made(world, &home, &format!("{name}-infrastructure-roles"), roles).await?;
    let mut value = json!({ "name": name, "account": account, "domain": "", "domainHostedZoneID": "", "version": "1.0" });
    if let Some(domain) = &application.domain {
        value["domain"] = json!(domain);
        value["domainHostedZoneID"] = json!("Z0DOMAIN");
    }
    if let Some(boundary) = &application.permissions_boundary {
        value["permissionsBoundary"] = json!(boundary);
    }
    if !application.tags.is_empty() {
        value["tags"] = application
            .tags
            .iter()
            .map(|(key, value)| (key.clone(), json!(value)))
            .collect::<serde_json::Map<_, _>>()
            .into();
    }
    let path = format!("/copilot/applications/{name}");
    let tag = |key: &str, value: &str| json!({ "Key": key, "Value": value });
    let of_application = tag("copilot-application", name);
    put(
        world,
        &home,
        &path,
        value.to_string(),
        json!([of_application]),
    )
    .await?;
    for (workload, kind) in &application.workloads {
        let value = json!({ "app": name, "name": workload, "type": kind });
        let tags = json!([of_application, tag("copilot-service", workload)]);
        put(
            world,
            &home,
            &format!("{path}/components/{workload}"),
            value.to_string(),
            tags,
        )
        .await?;
    }
    for environment in &application.environments {
        let region = environment.region.as_ref().unwrap_or(&home);
        regional(world, application, region, &tags).await?;
        let mut tags = tags.clone();
        tags.push(("copilot-environment".to_owned(), environment.name.clone()));
        make_environment(world, application, environment, region, tags).await?;
        let role = |suffix: &str| {
            let partition = partition(region);
            format!(
                "arn:{partition}:iam::{account}:role/{name}-{}-{suffix}",
                environment.name
            )
        };
        let value = json!({
            "app": name,
            "name": environment.name,
            "region": region,
            "accountID": account,
            "registryURL": format!("{account}.dkr.ecr.{region}.{}", dns_suffix(region)),
            "executionRoleARN": role("CFNExecutionRole"),
            "managerRoleARN": role("EnvManagerRole"),
        });
        let tags = json!([
            of_application,
            tag("copilot-environment", &environment.name)
        ]);
        put(
            world,
            &home,
            &format!("{path}/environments/{}", environment.name),
            value.to_string(),
            tags,
        )
        .await?;
    }
    Ok(())
}

/// What the application has in a region: a key, a bucket, a repository for each workload. Made once.
async fn regional(
    world: &Arc<World>,
    application: &Application,
    region: &str,
    tags: &[(String, String)],
) -> Result<(), String> {
    let set = format!("{}-infrastructure", application.name);
    let is_there = |instance: &StackInstance| instance.set == set && instance.region == region;
    if world.state().instances.iter().any(is_there) {
        return Ok(());
    }
    let target = target(&regional_template(application), Vec::new(), tags.to_vec())?;
    let name = format!("StackSet-{set}-{}", id::uuid());
    let stack = made(world, region, &name, target).await?;
    world.state().instances.push(StackInstance {
        set,
        account: world.settings.account.clone(),
        region: region.to_owned(),
        stack,
    });
    Ok(())
}

fn regional_template(application: &Application) -> String {
    let name = &application.name;
    let bucket = format!(
        "stackset-{name}-infras-pipelinebuiltartifactbuc-{}",
        id::hex(6)
    );
    let mut resources = json!({
        "KMSKey": { "Type": "AWS::KMS::Key", "Properties": { "EnableKeyRotation": true } },
        "PipelineBuiltArtifactBucket": { "Type": "AWS::S3::Bucket", "Properties": { "BucketName": bucket } },
    });
    let mut outputs = json!({
        "KMSKeyARN": { "Value": { "Fn::GetAtt": ["KMSKey", "Arn"] },
            "Export": { "Name": format!("{name}-ArtifactKey") } },
        "PipelineBucket": { "Value": { "Ref": "PipelineBuiltArtifactBucket" } },
        "TemplateVersion": { "Value": "v1.2.0" },
        "StackSetOpId": { "Value": "1" },
    });
    for (workload, _) in &application.workloads {
        let safe = workload.replace('-', "DASH");
        let repository = json!({ "RepositoryName": format!("{name}/{workload}") });
        resources[format!("ECRRepo{safe}")] =
            json!({ "Type": "AWS::ECR::Repository", "Properties": repository });
        outputs[format!("ECRRepo{safe}")] =
            json!({ "Value": { "Fn::GetAtt": [format!("ECRRepo{safe}"), "Arn"] } });
    }
    let names: Vec<&str> = application
        .workloads
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Cross-regional resources to support the CodePipeline for a workspace",
        "Metadata": { "TemplateVersion": "v1.2.0", "Version": 1, "Workloads": names, "Services": names },
        "Resources": resources,
        "Outputs": outputs,
    })
    .to_string()
}

async fn make_environment(
    world: &Arc<World>,
    application: &Application,
    environment: &Environment,
    region: &str,
    tags: Vec<(String, String)>,
) -> Result<(), String> {
    let (app, env) = (&application.name, &environment.name);
    let manifest = match &environment.manifest {
        Some(manifest) => json!(manifest),
        None => json!(format!("name: {env}\ntype: Environment\n")),
    };
    let manifest = manifest.to_string();
    let body = ENVIRONMENT
        .replace("@VERSION@", &environment.version)
        .replace("@MANIFEST@", &manifest);
    let domain = application.domain.as_deref().unwrap_or_default();
    let mut parameters = pairs(&[
        ("AppName", app),
        ("EnvironmentName", env),
        (
            "ToolsAccountPrincipalARN",
            &format!(
                "arn:{}:iam::{}:root",
                partition(region),
                world.settings.account
            ),
        ),
        ("AppDNSName", domain),
        (
            "CreateHTTPSListener",
            if domain.is_empty() { "false" } else { "true" },
        ),
        ("ServiceDiscoveryEndpoint", &format!("{env}.{app}.local")),
    ]);
    for (key, value) in &environment.parameters {
        parameters.retain(|(known, _)| known != key);
        parameters.push((key.clone(), value.clone()));
    }
    let target = target(&body, parameters, tags)?;
    made(world, region, &format!("{app}-{env}"), target)
        .await
        .map(drop)
}

async fn made(
    world: &Arc<World>,
    region: &str,
    name: &str,
    target: Target,
) -> Result<String, String> {
    let id = create(world, region, name, target).await;
    let failure = world.read(&id, |stack| {
        let mut failed = stack
            .events
            .iter()
            .filter(|event| event.status.ends_with("_FAILED"));
        let event = failed
            .next()
            .map(|event| (event.resource.clone(), event.reason.clone()));
        (stack.status != "CREATE_COMPLETE")
            .then(|| format!("stack {name}: {:?} {event:?}", stack.reason))
    });
    failure.map_or(Ok(id), Err)
}

fn target(
    body: &str,
    parameters: Vec<(String, String)>,
    tags: Vec<(String, String)>,
) -> Result<Target, String> {
    Ok(Target {
        template: Template::read(body).map_err(|refusal| refusal.message)?,
        parameters,
        tags,
        capabilities: vec!["CAPABILITY_NAMED_IAM".to_owned()],
        role: None,
    })
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(pair).collect()
}

async fn put(
    world: &World,
    region: &str,
    name: &str,
    value: String,
    tags: Value,
) -> Result<(), String> {
    if world.settings.moto.is_none() {
        return Ok(());
    }
    let body = json!({ "Name": name, "Value": value, "Type": "String", "Tags": tags });
    moto::json(world, region, "ssm", "AmazonSSM.PutParameter", &body)
        .await
        .map(drop)
}
