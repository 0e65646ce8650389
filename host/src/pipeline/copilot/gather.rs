//! Everything that rendering, planning and driving need to know of AWS, read with the least possible waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::deployed::{Metadata, certificates, environment_manifest, features, is_newer};
use super::policy::session_policy;
use super::records::{Application, Environment, Records};
use super::{TEMPLATE_VERSION, secret};
use crate::capability::aws::Aws;
use crate::pipeline::DeployError;
use crate::wire::WireError;
use crate::wire::aws::call::{dns_suffix, partition};
use crate::wire::aws::cloudformation::{CloudFormation, Freshness, StackState};
use crate::wire::aws::lookup::{Listener, LoadBalancer, Subnet};
use crate::wire::aws::s3::parse_url;
use crate::wire::aws::sts::Caller;
use crate::wire::aws::{Session, Why};
use crate::wire::git::Repository;
use crate::wit::renderer::exports::plimsoll::deploy::renderer::Need;

/// CloudFormation's limit on the names of stacks.
const LONGEST_STACK_NAME: usize = 128;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// The environment.
    pub environment: &'a str,
    /// The workload.
    pub workload: &'a str,
    /// What its manifest refers to.
    pub needs: &'a [Need],
    /// Where its files are.
    pub root: &'a Path,
    /// `--tag`.
    pub tag: Option<&'a str>,
    /// `--resource-tags`.
    pub resource_tags: &'a BTreeMap<String, String>,
    /// A newer version may have deployed it.
    pub allow_downgrade: bool,
    /// Twelve hexadecimal digits and more: stands where Copilot draws a random UUID.
    pub unique_id: String,
}

/// What was found.
pub struct Gathered {
    /// For the renderer: `facts.schema.json`, and what only a deployment needs.
    pub facts: Json,
    /// For the renderer: what is known of secrets.
    pub secrets: Map<String, Json>,
    /// The environment's account and region, as its manager role. It remembers what was read.
    pub aws: Arc<Aws>,
    /// The user's own session in the environment's region: registries are the application's.
    pub user: Session,
    /// The application.
    pub application: Application,
    /// The environment.
    pub environment: Environment,
    /// Parameters and outputs of the environment's stack.
    pub environment_stack: StackState,
    /// The workload's stack, when there is one.
    pub stack: Option<StackState>,
    /// Its template.
    pub template: Option<String>,
    /// Where artifacts go.
    pub bucket: String,
    /// URI of the workload's repository.
    pub repository: String,
    /// What the main container's image is called, when it has a name that says something.
    pub image_tag: Option<String>,
}

/// Gathers: three round trips after the records were read, and one less when nothing refers to what only these tell.
///
/// # Errors
/// When something that a deployment needs is missing, with its cure; when AWS refuses or does not answer.
pub async fn gather(
    user: &Session,
    caller: &Caller,
    records: &Records,
    wanted: &Wanted<'_>,
) -> Result<Gathered, DeployError> {
    let application = &records.application;
    let environment = records
        .environments
        .get(wanted.environment)
        .expect("it was read, or chosen from what was read");
    let region = &environment.region;
    let (home, user) = (user, user.in_region(region));

    // The second trip: what acts in the environment, and where the application's own things are.
    let stack_set = format!("{}-infrastructure", application.name);
    let (role, instance, commit) = tokio::join!(
        assume(&user, application, environment, wanted.workload),
        home.stack_instance(&stack_set, &application.account, region),
        commit(wanted.root),
    );
    let (role, instance) = (role?, instance.map_err(DeployError::Aws)?);
    let Some(instance) = instance else {
        return Err(DeployError::Project(format!(
            "application `{}` has nothing in {region}: its bucket, key and repositories are missing there\nhint: run `copilot env deploy --name {}`",
            application.name, environment.name
        )));
    };

    // The third: everything else, at once.
    let aws = Arc::new(Aws::new(&role, environment.account.clone()));
    let regional = CloudFormation::new(&user);
    let stacks = &aws.cloudformation;
    let own = stack_name(application, environment, Some(wanted.workload));
    let around = stack_name(application, environment, None);
    let kept = Freshness::Remembered;
    let secrets = named(wanted.needs, "secret");
    let balancers = named(wanted.needs, "load-balancer");
    let subnets = selections(wanted.needs);
    let (
        around_state,
        around_template,
        state,
        template,
        instance_state,
        secrets,
        balancers,
        subnets,
        topics,
    ) = tokio::try_join!(
        stacks.describe(&around, kept),
        stacks.template(&around, kept),
        stacks.describe(&own, kept),
        stacks.template(&own, kept),
        regional.describe(&instance, kept),
        secret::reach(&role, &secrets, &application.name, &environment.name),
        all(&balancers, |name| role.load_balancer(name)),
        all(&subnets, |tags| role.subnets(tags)),
        topics(&role, application, environment, wanted.needs),
    )
    .map_err(DeployError::Aws)?;
    let Some(around_state) = around_state else {
        return Err(DeployError::Project(format!(
            "environment `{}` has no stack {around} in {region}\nhint: run `copilot env deploy --name {}`",
            environment.name, environment.name
        )));
    };
    let deployed = template.as_deref().map(Metadata::of).unwrap_or_default();
    if !wanted.allow_downgrade && is_newer(&deployed.version, TEMPLATE_VERSION) {
        return Err(downgrade(wanted.workload, &deployed.version));
    }

    // The fourth, when the third named something: certificates, listeners, the deployed addons.
    let around_metadata = around_template
        .as_deref()
        .map(Metadata::of)
        .unwrap_or_default();
    let manifest = environment_manifest(
        &environment.name,
        &around_metadata.manifest,
        &environment.custom,
    );
    let certificates = certificates(&manifest, region);
    let balancers: Vec<LoadBalancer> = balancers.into_iter().flatten().collect();
    let (names, listeners, addons) = tokio::try_join!(
        all(&certificates, |(arn, region)| certificate(
            &role, arn, region
        )),
        all(&balancers, |balancer| role.listeners(&balancer.arn)),
        addons(&aws, state.as_ref()),
    )
    .map_err(DeployError::Aws)?;

    let outputs: BTreeMap<String, String> = instance_state
        .map(|state| state.outputs)
        .unwrap_or_default()
        .into_iter()
        .collect();
    let output = |name: &str| outputs.get(name).cloned();
    let (Some(bucket), Some(key)) = (output("PipelineBucket"), output("KMSKeyARN")) else {
        return Err(DeployError::Project(format!(
            "the stack of application `{}` in {region} doesn't name its bucket and key\nhint: run `copilot app upgrade`",
            application.name
        )));
    };
    let repository = repository(application, region, wanted.workload, &outputs);
    let parameters: BTreeMap<String, String> = around_state.parameters.iter().cloned().collect();
    let certificates: Map<String, Json> = certificates
        .into_iter()
        .zip(names)
        .filter_map(|((arn, _), names)| Some((arn, json!({"names": names?}))))
        .collect();
    let mut facts = json!({
        "schema": 1,
        "application": facts_of(application),
        "environment": {
            "name": environment.name,
            "account_id": environment.account,
            "region": region,
            "version": around_metadata.version,
            "features": features(&parameters),
            "service_discovery_endpoint": parameters
                .get("ServiceDiscoveryEndpoint")
                .filter(|endpoint| !endpoint.is_empty())
                .cloned()
                .unwrap_or_else(|| format!("{}.{}.local", environment.name, application.name)),
            "manifest": manifest,
        },
        "certificates": certificates,
        "artifacts": {"bucket": bucket, "kms_key_arn": key},
        "root_user_arn": format!("arn:{}:iam::{}:root", partition(region), caller.account),
        "template_version": TEMPLATE_VERSION,
        "unique_id": wanted.unique_id,
        "load_balancers": balancers.iter().zip(listeners).map(|(balancer, listeners)| balancer_facts(balancer, &listeners)).collect::<Vec<_>>(),
        "subnets": subnets.into_iter().flatten().map(|subnet: Subnet| json!({"id": subnet.id, "tags": subnet.tags})).collect::<Vec<_>>(),
        "topics": topics,
        "deployment": {
            "repository": repository,
            "tag": wanted.tag,
            "commit": commit,
            "execution_role": environment.execution_role,
            "tags": wanted.resource_tags,
        },
    });
    if let Some(template) = &template {
        facts["deployed_template"] = json!(template);
    }
    if let Some(addons) = addons {
        facts["deployed_addons"] = json!(addons);
    }
    if let Some(state) = &state {
        let parameters: BTreeMap<&String, &String> = state
            .parameters
            .iter()
            .map(|(key, value)| (key, value))
            .collect();
        facts["deployed_parameters"] = json!(parameters);
    }
    Ok(Gathered {
        facts,
        secrets,
        aws,
        application: application.clone(),
        environment: environment.clone(),
        environment_stack: around_state,
        stack: state,
        template,
        bucket,
        repository,
        image_tag: wanted.tag.map(str::to_owned).or(commit),
        user,
    })
}

/// Name of a workload's stack, or of the environment's.
pub fn stack_name(
    application: &Application,
    environment: &Environment,
    workload: Option<&str>,
) -> String {
    let around = format!("{}-{}", application.name, environment.name);
    let name = match workload {
        Some(workload) => format!("{around}-{workload}"),
        None => around,
    };
    name.chars().take(LONGEST_STACK_NAME).collect()
}

async fn assume(
    user: &Session,
    application: &Application,
    environment: &Environment,
    workload: &str,
) -> Result<Session, DeployError> {
    let region = &environment.region;
    let policy = session_policy(
        &application.name,
        &environment.name,
        workload,
        &environment.account,
        region,
        &environment.execution_role,
    );
    let role = &environment.manager_role;
    let cut = user.assume(role, region, Some(policy)).await;
    match cut {
        // With long names the policy, packed together with the role's session tags, can be larger than STS takes.
        Err(WireError::Aws(error)) if error.code.contains("PackedPolicy") => user
            .assume(role, region, None)
            .await
            .map_err(DeployError::Aws),
        Err(WireError::Aws(error)) if error.why == Why::Denied => {
            Err(DeployError::Project(format!(
                "{error}\nhint: the manager role of environment `{}` lets in whoever may act for account {}; choose such a profile with AWS_PROFILE",
                environment.name, application.account
            )))
        }
        other => other.map_err(DeployError::Aws),
    }
}

/// The short name or tag of the commit that the work tree is exactly at.
async fn commit(root: &Path) -> Option<String> {
    let repository = Repository::find(root).await.ok()?;
    match repository.is_dirty().await {
        Ok(false) => repository.describe().await.ok(),
        Ok(true) | Err(_) => None,
    }
}

fn downgrade(workload: &str, deployed: &str) -> DeployError {
    DeployError::Project(format!(
        "cannot downgrade workload \"{workload}\" (currently in version {deployed}) to version {TEMPLATE_VERSION}\nhint: upgrade plimsoll, or accept the older templates with --allow-downgrade"
    ))
}

/// Topics of the environment, when the manifest subscribes to some.
async fn topics(
    role: &Session,
    application: &Application,
    environment: &Environment,
    needs: &[Need],
) -> Result<Vec<String>, WireError> {
    if named(needs, "topics").is_empty() {
        return Ok(Vec::new());
    }
    let tags = [
        ("copilot-application", application.name.as_str()),
        ("copilot-environment", environment.name.as_str()),
    ];
    role.tagged("sns", &tags).await
}

async fn certificate(
    role: &Session,
    arn: &str,
    region: &str,
) -> Result<Option<Vec<String>>, WireError> {
    role.in_region(region).certificate_names(arn).await
}

/// The deployed addons, read beside the rest: the driver compares with them, too.
async fn addons(aws: &Aws, stack: Option<&StackState>) -> Result<Option<String>, WireError> {
    let parameters = stack
        .map(|stack| stack.parameters.as_slice())
        .unwrap_or_default();
    let url = parameters
        .iter()
        .find(|(key, _)| key == "AddonsTemplateURL");
    match url.and_then(|(_, url)| parse_url(url)) {
        Some((bucket, key)) => aws.s3.text(bucket, key).await,
        None => Ok(None),
    }
}

/// Asks the same of each, at once; answers are in the same order.
async fn all<'a, A, T, F>(of: &'a [A], ask: impl Fn(&'a A) -> F) -> Result<Vec<T>, WireError>
where
    F: Future<Output = Result<T, WireError>>,
{
    futures::future::try_join_all(of.iter().map(ask)).await
}

fn named(needs: &[Need], kind: &str) -> Vec<String> {
    let of_kind = needs.iter().filter(|need| need.kind == kind);
    of_kind.map(|need| need.name.clone()).collect()
}

/// Tags that select subnets; what makes no sense selects none.
fn selections(needs: &[Need]) -> Vec<BTreeMap<String, Vec<String>>> {
    let names: BTreeSet<String> = named(needs, "subnets").into_iter().collect();
    names
        .iter()
        .filter_map(|name| serde_json::from_str(name).ok())
        .collect()
}

/// URI of the workload's repository: what the application's stack says, or what Copilot would call it.
fn repository(
    application: &Application,
    region: &str,
    workload: &str,
    outputs: &BTreeMap<String, String>,
) -> String {
    let output = format!("ECRRepo{}", workload.replace('-', "DASH"));
    let arn = outputs.get(&output).map(String::as_str).unwrap_or_default();
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let (account, region, name) = match parts.as_slice() {
        [_, _, _, region, account, name] => (
            *account,
            *region,
            name.trim_start_matches("repository/").to_owned(),
        ),
        _ => (
            application.account.as_str(),
            region,
            format!("{}/{workload}", application.name),
        ),
    };
    format!("{account}.dkr.ecr.{region}.{}/{name}", dns_suffix(region))
}

fn facts_of(application: &Application) -> Json {
    let mut facts = json!({"name": application.name, "tags": application.tags});
    for (key, value) in [
        ("domain", &application.domain),
        ("permissions_boundary", &application.permissions_boundary),
    ] {
        if !value.is_empty() {
            facts[key] = json!(value);
        }
    }
    facts
}

fn balancer_facts(balancer: &LoadBalancer, listeners: &[Listener]) -> Json {
    let listeners: Vec<Json> = listeners
        .iter()
        .map(|listener| json!({"arn": listener.arn, "port": listener.port, "protocol": listener.protocol}))
        .collect();
    json!({
        "arn": balancer.arn,
        "name": balancer.name,
        "dns_name": balancer.dns_name,
        "hosted_zone_id": balancer.hosted_zone,
        "scheme": balancer.scheme,
        "listeners": listeners,
        "security_groups": balancer.security_groups,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn application() -> Application {
        Application {
            name: "shop".to_owned(),
            account: "123456789012".to_owned(),
            ..Application::default()
        }
    }

    #[test]
    fn the_repository_is_the_applications_whatever_the_environments_account() {
        let arn = "arn:aws:ecr:eu-west-1:999999999999:repository/shop/my-api".to_owned();
        let outputs = BTreeMap::from([("ECRRepomyDASHapi".to_owned(), arn)]);
        assert_eq!(
            repository(&application(), "eu-west-1", "my-api", &outputs),
            "999999999999.dkr.ecr.eu-west-1.amazonaws.com/shop/my-api"
        );
        assert_eq!(
            repository(&application(), "cn-north-1", "web", &outputs),
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/shop/web"
        );
    }

    #[test]
    fn names_of_stacks_are_cut_as_copilot_cuts_them() {
        let environment = Environment {
            name: "test".to_owned(),
            ..Environment::default()
        };
        assert_eq!(stack_name(&application(), &environment, None), "shop-test");
        let long = stack_name(&application(), &environment, Some(&"x".repeat(200)));
        assert_eq!((long.len(), &long[..12]), (128, "shop-test-xx"));
    }
}
