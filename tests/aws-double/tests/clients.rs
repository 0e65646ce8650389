//! The double through the SDK as it is published: only the endpoint and the keys are configured.
#![expect(clippy::unwrap_used, reason = "tests")]
#![allow(missing_docs, reason = "test names are sentences")]

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_credential_types::Credentials;
use aws_double::seed::Application;
use aws_double::{Double, Options, Rule, Trouble};
use aws_sdk_cloudformation as cloudformation;
use cloudformation::error::ProvideErrorMetadata;
use cloudformation::types::{Capability, ChangeSetType, Parameter, StackEvent, Tag};

/// One without moto: answers within milliseconds.
fn small() -> Double {
    Double::start(Options {
        has_moto: false,
        page: 7,
        ..Options::default()
    })
    .unwrap()
}

async fn config(double: &Double) -> SdkConfig {
    let (access_key, secret_key) = double.keys();
    let keys = Credentials::new(access_key, secret_key, None, None, "tests");
    with_keys(double, keys).await
}

async fn with_keys(double: &Double, keys: Credentials) -> SdkConfig {
    aws_config::defaults(aws_config::BehaviorVersion::latest())
        .endpoint_url(double.endpoint())
        .region(aws_config::Region::new(double.region().to_owned()))
        .credentials_provider(keys)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(10)))
        .load()
        .await
}

struct Stack {
    client: cloudformation::Client,
    name: &'static str,
}

impl Stack {
    async fn new(double: &Double, name: &'static str) -> Self {
        Self {
            client: cloudformation::Client::new(&config(double).await),
            name,
        }
    }

    /// A change set's id, and why it failed if it did.
    async fn propose(
        &self,
        kind: ChangeSetType,
        body: &str,
        pair: &[(&str, &str)],
    ) -> (String, Option<String>) {
        let created = self
            .client
            .create_change_set()
            .stack_name(self.name)
            .change_set_name(format!("c{}", self.name.len() + body.len()))
            .change_set_type(kind)
            .template_body(body)
            .set_parameters(Some(
                pair.iter()
                    .map(|(key, value)| {
                        Parameter::builder()
                            .parameter_key(*key)
                            .parameter_value(*value)
                            .build()
                    })
                    .collect(),
            ))
            .tags(
                Tag::builder()
                    .key("copilot-application")
                    .value("demo")
                    .build(),
            )
            .capabilities(Capability::CapabilityNamedIam)
            .send()
            .await
            .unwrap();
        let id = created.id.unwrap();
        let described = self
            .client
            .describe_change_set()
            .change_set_name(&id)
            .send()
            .await
            .unwrap();
        (id, described.status_reason)
    }

    async fn apply(
        &self,
        double: &Double,
        kind: ChangeSetType,
        body: &str,
        pair: &[(&str, &str)],
    ) -> String {
        let (id, failure) = self.propose(kind, body, pair).await;
        assert_eq!(failure, None);
        self.client
            .execute_change_set()
            .change_set_name(&id)
            .send()
            .await
            .unwrap();
        let status = double.wait(self.name, Duration::from_secs(10)).unwrap();
        self.client
            .delete_change_set()
            .change_set_name(&id)
            .send()
            .await
            .unwrap();
        status
    }

    /// `LOGICAL STATUS`, oldest first, all pages.
    async fn events(&self) -> Vec<StackEvent> {
        let pages = self
            .client
            .describe_stack_events()
            .stack_name(self.name)
            .into_paginator();
        let mut events: Vec<StackEvent> = pages
            .items()
            .send()
            .collect::<Result<_, _>>()
            .await
            .unwrap();
        events.reverse();
        events
    }

    async fn outputs(&self) -> Vec<(String, String)> {
        let described = self
            .client
            .describe_stacks()
            .stack_name(self.name)
            .send()
            .await
            .unwrap();
        let outputs = described.stacks()[0].outputs();
        let mut pairs: Vec<(String, String)> = outputs
            .iter()
            .map(|output| {
                (
                    output.output_key().unwrap().to_owned(),
                    output.output_value().unwrap().to_owned(),
                )
            })
            .collect();
        pairs.sort();
        pairs
    }
}

fn said(events: &[StackEvent]) -> Vec<String> {
    let line = |event: &StackEvent| {
        format!(
            "{} {}",
            event.logical_resource_id().unwrap(),
            event.resource_status().unwrap()
        )
    };
    events.iter().map(line).collect()
}

const TWO: &str = "
Parameters:
  Name: { Type: String }
Resources:
  Group: { Type: AWS::Logs::LogGroup, Properties: { LogGroupName: !Ref Name } }
  Role: { Type: AWS::IAM::Role, Properties: { Description: !Sub 'for ${Group.Arn}' } }
Outputs:
  Group: { Value: !Ref Group, Export: { Name: !Sub '${AWS::StackName}-Group' } }
";

#[tokio::test]
async fn a_stack_is_created_updated_and_has_nothing_to_do_then() {
    let double = small();
    let stack = Stack::new(&double, "s").await;
    let status = stack
        .apply(&double, ChangeSetType::Create, TWO, &[("Name", "a")])
        .await;
    assert_eq!(status, "CREATE_COMPLETE");
    assert_eq!(
        stack.outputs().await,
        [("Group".to_owned(), "a".to_owned())]
    );
    assert_eq!(
        said(&stack.events().await),
        [
            "s REVIEW_IN_PROGRESS",
            "s CREATE_IN_PROGRESS",
            "Group CREATE_IN_PROGRESS",
            "Group CREATE_IN_PROGRESS",
            "Group CREATE_COMPLETE",
            "Role CREATE_IN_PROGRESS",
            "Role CREATE_IN_PROGRESS",
            "Role CREATE_COMPLETE",
            "s CREATE_COMPLETE",
        ]
    );
    let status = stack
        .apply(&double, ChangeSetType::Update, TWO, &[("Name", "b")])
        .await;
    assert_eq!(status, "UPDATE_COMPLETE");
    let updated = stack.events().await;
    assert_eq!(
        said(&updated[9..]),
        [
            "s UPDATE_IN_PROGRESS",
            "Group UPDATE_IN_PROGRESS",
            "Group UPDATE_COMPLETE",
            "Role UPDATE_IN_PROGRESS",
            "Role UPDATE_COMPLETE",
            "s UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
            "Group DELETE_IN_PROGRESS",
            "Group DELETE_COMPLETE",
            "s UPDATE_COMPLETE",
        ]
    );
    let (_, failure) = stack
        .propose(ChangeSetType::Update, TWO, &[("Name", "b")])
        .await;
    assert!(failure.unwrap().contains("didn't contain changes"));
    let template = stack
        .client
        .get_template()
        .stack_name("s")
        .send()
        .await
        .unwrap();
    assert_eq!(template.template_body(), Some(TWO));
}

#[tokio::test]
async fn a_creation_that_fails_is_rolled_back_and_must_be_deleted() {
    let double = small();
    let stack = Stack::new(&double, "s").await;
    double.rule(Rule::resource("s", "Role", "CREATE").fails("no more roles"));
    let status = stack
        .apply(&double, ChangeSetType::Create, TWO, &[("Name", "a")])
        .await;
    assert_eq!(status, "ROLLBACK_COMPLETE");
    let events = stack.events().await;
    let failed = events
        .iter()
        .find(|event| event.resource_status().unwrap().as_str() == "CREATE_FAILED")
        .unwrap();
    assert_eq!(failed.resource_status_reason(), Some("no more roles"));
    let back = events
        .iter()
        .find(|event| event.resource_status().unwrap().as_str() == "ROLLBACK_IN_PROGRESS")
        .unwrap();
    assert_eq!(
        back.resource_status_reason(),
        Some("The following resource(s) failed to create: [Role]. Rollback requested by user.")
    );
    assert!(said(&events).contains(&"Group DELETE_COMPLETE".to_owned()));
    let refused = stack
        .client
        .create_change_set()
        .stack_name("s")
        .change_set_name("again")
        .template_body(TWO)
        .capabilities(Capability::CapabilityIam)
        .send()
        .await
        .unwrap_err();
    assert!(
        refused
            .message()
            .unwrap()
            .ends_with("is in ROLLBACK_COMPLETE state and can not be updated.")
    );
    stack
        .client
        .delete_stack()
        .stack_name("s")
        .send()
        .await
        .unwrap();
    assert_eq!(
        double.wait("s", Duration::from_secs(10)).unwrap(),
        "DELETE_COMPLETE"
    );
    let missing = stack
        .client
        .describe_stacks()
        .stack_name("s")
        .send()
        .await
        .unwrap_err();
    assert_eq!(missing.code(), Some("ValidationError"));
    assert_eq!(missing.message(), Some("Stack with id s does not exist"));
}

#[tokio::test]
async fn an_update_that_fails_is_undone_and_can_get_stuck() {
    let double = small();
    let stack = Stack::new(&double, "s").await;
    stack
        .apply(&double, ChangeSetType::Create, TWO, &[("Name", "a")])
        .await;
    double.rule(Rule::resource("s", "Role", "UPDATE").fails("no").times(1));
    let status = stack
        .apply(&double, ChangeSetType::Update, TWO, &[("Name", "b")])
        .await;
    assert_eq!(status, "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(
        stack.outputs().await,
        [("Group".to_owned(), "a".to_owned())]
    );
    double.rule(Rule::resource("s", "Role", "UPDATE").fails("no").times(1));
    double.rule(
        Rule::resource("s", "Group", "ROLLBACK")
            .fails("gone")
            .times(1),
    );
    let status = stack
        .apply(&double, ChangeSetType::Update, TWO, &[("Name", "b")])
        .await;
    assert_eq!(status, "UPDATE_ROLLBACK_FAILED");
    stack
        .client
        .continue_update_rollback()
        .stack_name("s")
        .send()
        .await
        .unwrap();
    assert_eq!(
        double.wait("s", Duration::from_secs(10)).unwrap(),
        "UPDATE_ROLLBACK_COMPLETE"
    );
    let status = stack
        .apply(&double, ChangeSetType::Update, TWO, &[("Name", "b")])
        .await;
    assert_eq!(status, "UPDATE_COMPLETE");
}

#[tokio::test]
async fn a_stack_whose_rollback_is_disabled_stays_as_it_failed() {
    let double = small();
    let stack = Stack::new(&double, "s").await;
    stack
        .apply(&double, ChangeSetType::Create, TWO, &[("Name", "a")])
        .await;
    double.rule(Rule::resource("s", "Role", "UPDATE").fails("no").times(1));
    let (id, _) = stack
        .propose(ChangeSetType::Update, TWO, &[("Name", "b")])
        .await;
    let execute = stack
        .client
        .execute_change_set()
        .change_set_name(&id)
        .disable_rollback(true);
    execute.send().await.unwrap();
    assert_eq!(
        double.wait("s", Duration::from_secs(10)).unwrap(),
        "UPDATE_FAILED"
    );
    stack
        .client
        .rollback_stack()
        .stack_name("s")
        .send()
        .await
        .unwrap();
    assert_eq!(
        double.wait("s", Duration::from_secs(10)).unwrap(),
        "UPDATE_ROLLBACK_COMPLETE"
    );
    assert_eq!(
        stack.outputs().await,
        [("Group".to_owned(), "a".to_owned())]
    );
}

#[tokio::test]
async fn an_update_can_be_cancelled() {
    let double = small();
    let stack = Stack::new(&double, "s").await;
    stack
        .apply(&double, ChangeSetType::Create, TWO, &[("Name", "a")])
        .await;
    double.rule(Rule::resource("s", "Role", "UPDATE").delayed(Duration::from_secs(60)));
    let (id, _) = stack
        .propose(ChangeSetType::Update, TWO, &[("Name", "b")])
        .await;
    stack
        .client
        .execute_change_set()
        .change_set_name(&id)
        .send()
        .await
        .unwrap();
    let busy = stack
        .client
        .execute_change_set()
        .change_set_name(&id)
        .send()
        .await
        .unwrap_err();
    assert_eq!(busy.code(), Some("InvalidChangeSetStatus"));
    while !said(&stack.events().await).contains(&"Role UPDATE_IN_PROGRESS".to_owned()) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stack
        .client
        .cancel_update_stack()
        .stack_name("s")
        .send()
        .await
        .unwrap();
    assert_eq!(
        double.wait("s", Duration::from_secs(10)).unwrap(),
        "UPDATE_ROLLBACK_COMPLETE"
    );
    let events = stack.events().await;
    let cancelled = events
        .iter()
        .find(|event| event.resource_status_reason() == Some("Resource update cancelled"));
    assert_eq!(cancelled.unwrap().logical_resource_id(), Some("Role"));
}

#[tokio::test]
async fn an_export_in_use_keeps_its_stack() {
    let double = small();
    let stack = Stack::new(&double, "s").await;
    stack
        .apply(&double, ChangeSetType::Create, TWO, &[("Name", "a")])
        .await;
    let user = Stack::new(&double, "user").await;
    let body = "Resources: { G: { Type: AWS::Logs::LogGroup, Properties: { Name: !ImportValue s-Group } } }";
    assert_eq!(
        user.apply(&double, ChangeSetType::Create, body, &[]).await,
        "CREATE_COMPLETE"
    );
    stack
        .client
        .delete_stack()
        .stack_name("s")
        .send()
        .await
        .unwrap();
    assert_eq!(
        double.wait("s", Duration::from_secs(10)).unwrap(),
        "DELETE_FAILED"
    );
    let described = stack
        .client
        .describe_stacks()
        .stack_name("s")
        .send()
        .await
        .unwrap();
    assert_eq!(
        described.stacks()[0].stack_status_reason(),
        Some("Export s-Group cannot be deleted as it is in use by user")
    );
    let nobody = Stack::new(&double, "nobody").await;
    let body = "Resources: { G: { Type: AWS::Logs::LogGroup, Properties: { Name: !ImportValue missing } } }";
    let (_, failure) = nobody.propose(ChangeSetType::Create, body, &[]).await;
    assert_eq!(failure.unwrap(), "No export named missing found.");
}

#[tokio::test]
async fn capabilities_must_be_stated() {
    let double = small();
    let client = cloudformation::Client::new(&config(&double).await);
    let create = client.create_stack().stack_name("s").template_body(TWO);
    let refused = create.send().await.unwrap_err();
    assert_eq!(refused.code(), Some("InsufficientCapabilitiesException"));
}

#[tokio::test]
async fn requests_are_throttled_dropped_and_refused_by_rules_and_counted() {
    let double = small();
    let client = cloudformation::Client::new(&config(&double).await);
    double.rule(
        Rule::request("cloudformation", "ListExports")
            .throttled()
            .times(1),
    );
    double.rule(
        Rule::request("cloudformation", "ListExports")
            .dropped()
            .times(1),
    );
    client.list_exports().send().await.unwrap();
    assert_eq!(double.count("cloudformation", "ListExports"), 3);
    double.rule(Rule::request("cloudformation", "*").refused(
        403,
        "ExpiredToken",
        "The security token included in the request is expired",
    ));
    let refused = client.list_exports().send().await.unwrap_err();
    assert_eq!(refused.code(), Some("ExpiredToken"));
}

#[tokio::test]
async fn a_role_is_assumed_until_its_keys_expire() {
    let double = small();
    let sts = aws_sdk_sts::Client::new(&config(&double).await);
    let role = "arn:aws:iam::123456789012:role/demo-test-EnvManagerRole";
    let assumed = sts
        .assume_role()
        .role_arn(role)
        .role_session_name("ada")
        .policy("{}")
        .send()
        .await
        .unwrap();
    let keys = assumed.credentials().unwrap();
    let keys = Credentials::new(
        keys.access_key_id(),
        keys.secret_access_key(),
        Some(keys.session_token().to_owned()),
        None,
        "sts",
    );
    let other = aws_sdk_sts::Client::new(&with_keys(&double, keys).await);
    let identity = other.get_caller_identity().send().await.unwrap();
    assert_eq!(identity.account(), Some("123456789012"));
    assert_eq!(
        identity.arn(),
        Some("arn:aws:sts::123456789012:assumed-role/demo-test-EnvManagerRole/ada")
    );
    assert_eq!(double.session_policies(), [Some("{}".to_owned())]);
    double.expire_sessions();
    let expired = other.get_caller_identity().send().await.unwrap_err();
    assert_eq!(expired.code(), Some("ExpiredToken"));
    let stranger = Credentials::new("AKIASTRANGER", "secret", None, None, "tests");
    let stranger = aws_sdk_sts::Client::new(&with_keys(&double, stranger).await);
    let refused = stranger.get_caller_identity().send().await.unwrap_err();
    assert_eq!(refused.code(), Some("InvalidClientTokenId"));
}

#[tokio::test]
async fn a_copilot_application_is_found_as_copilot_stores_it() {
    let double = Double::start(Options::default()).unwrap();
    double.seed(&Application::demo()).unwrap();
    let config = config(&double).await;
    let ssm = aws_sdk_ssm::Client::new(&config);
    let environments = ssm
        .get_parameters_by_path()
        .path("/copilot/applications/demo/environments/")
        .send()
        .await
        .unwrap();
    assert!(
        environments.parameters()[0]
            .value()
            .unwrap()
            .contains("demo-test-EnvManagerRole")
    );
    let workloads = ssm
        .get_parameters_by_path()
        .path("/copilot/applications/demo/components/")
        .send()
        .await
        .unwrap();
    assert_eq!(workloads.parameters().len(), 3);
    let client = cloudformation::Client::new(&config);
    let instances = client
        .list_stack_instances()
        .stack_set_name("demo-infrastructure")
        .stack_instance_account(double.account())
        .stack_instance_region("eu-west-1")
        .send()
        .await
        .unwrap();
    let regional = instances.summaries()[0].stack_id().unwrap();
    let described = client
        .describe_stacks()
        .stack_name(regional)
        .send()
        .await
        .unwrap();
    let keys: Vec<&str> = described.stacks()[0]
        .outputs()
        .iter()
        .map(|output| output.output_key().unwrap())
        .collect();
    for key in [
        "KMSKeyARN",
        "PipelineBucket",
        "ECRRepoweb",
        "ECRRepoapi",
        "ECRReporeport",
    ] {
        assert!(keys.contains(&key), "{keys:?}");
    }
    let summary = client
        .get_template_summary()
        .stack_name("demo-test")
        .send()
        .await
        .unwrap();
    let metadata = summary.metadata().unwrap();
    assert!(metadata.contains(r#""Version":"v1"#), "{metadata}");
    assert!(
        summary
            .parameters()
            .iter()
            .any(|it| it.parameter_key() == Some("AppRunnerPrivateWorkloads"))
    );
    let repositories = aws_sdk_ecr::Client::new(&config)
        .describe_repositories()
        .send()
        .await
        .unwrap();
    assert_eq!(repositories.repositories().len(), 3);
}

#[tokio::test]
async fn a_nested_stack_comes_from_its_address_in_s3() {
    let double = Double::start(Options::default()).unwrap();
    double.seed(&Application::demo()).unwrap();
    let bucket = double.bucket("demo").unwrap();
    let s3 = aws_sdk_s3::Client::new(&config(&double).await);
    let inner = "Parameters: { P: { Type: String } }\nResources: { G: { Type: AWS::Logs::LogGroup, Properties: { LogGroupName: !Ref P } } }\nOutputs: { O: { Value: !Ref G } }\n";
    let put = s3
        .put_object()
        .bucket(&bucket)
        .key("inner.yml")
        .body(inner.as_bytes().to_vec().into());
    put.send().await.unwrap();
    let outer = format!(
        "Resources:\n  Inner:\n    Type: AWS::CloudFormation::Stack\n    Properties: {{ TemplateURL: 'https://{bucket}.s3.eu-west-1.amazonaws.com/inner.yml', Parameters: {{ P: x }} }}\n  G:\n    Type: AWS::Logs::LogGroup\n    Properties: {{ LogGroupName: !Sub '${{Inner.Outputs.O}}-outer' }}\nOutputs:\n  O: {{ Value: !GetAtt Inner.Outputs.O }}\n"
    );
    let stack = Stack::new(&double, "outer").await;
    assert_eq!(
        stack
            .apply(&double, ChangeSetType::Create, &outer, &[])
            .await,
        "CREATE_COMPLETE"
    );
    assert_eq!(stack.outputs().await, [("O".to_owned(), "x".to_owned())]);
    // Its log groups have the same names.
    stack
        .client
        .delete_stack()
        .stack_name("outer")
        .send()
        .await
        .unwrap();
    assert_eq!(
        double.wait("outer", Duration::from_secs(10)).unwrap(),
        "DELETE_COMPLETE"
    );
    let change_set = || {
        stack
            .client
            .create_change_set()
            .stack_name("third")
            .change_set_name("c")
    };
    let proposed = change_set()
        .change_set_type(ChangeSetType::Create)
        .template_body(&outer)
        .include_nested_stacks(true)
        .send()
        .await
        .unwrap();
    let describe = stack
        .client
        .describe_change_set()
        .change_set_name(proposed.id().unwrap());
    let described = describe.send().await.unwrap();
    let changes = described
        .changes()
        .iter()
        .map(|it| it.resource_change().unwrap());
    let nested: Vec<&str> = changes.filter_map(|it| it.change_set_id()).collect();
    let inner = stack
        .client
        .describe_change_set()
        .change_set_name(nested[0])
        .send()
        .await
        .unwrap();
    assert_eq!(
        inner.changes()[0]
            .resource_change()
            .unwrap()
            .logical_resource_id(),
        Some("G")
    );
    stack
        .client
        .execute_change_set()
        .change_set_name(proposed.id().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(
        double.wait("third", Duration::from_secs(10)).unwrap(),
        "CREATE_COMPLETE"
    );
    assert_eq!(
        double.stack_status(inner.stack_name().unwrap()).unwrap(),
        "CREATE_COMPLETE"
    );
    let stack = Stack::new(&double, "second").await;
    double.rule(Rule::resource("second-Inner-*", "G", "CREATE").fails("inside"));
    assert_eq!(
        stack
            .apply(&double, ChangeSetType::Create, &outer, &[])
            .await,
        "ROLLBACK_COMPLETE"
    );
    let events = stack.events().await;
    let failed = events
        .iter()
        .find(|event| event.resource_status().unwrap().as_str() == "CREATE_FAILED")
        .unwrap();
    assert!(failed.resource_status_reason().unwrap().contains(
        "was not successfully created: The following resource(s) failed to create: [G]."
    ));
}

const SERVICE: &str = "
Parameters:
  Image: { Type: String }
Resources:
  Cluster: { Type: AWS::ECS::Cluster, Properties: { ClusterName: c } }
  Definition:
    Type: AWS::ECS::TaskDefinition
    Properties:
      Family: demo-test-api
      ContainerDefinitions: [{ Name: api, Image: !Ref Image }]
  Service:
    Type: AWS::ECS::Service
    Properties:
      Cluster: !Ref Cluster
      TaskDefinition: !Ref Definition
      DesiredCount: 2
      DeploymentConfiguration: { DeploymentCircuitBreaker: { Enable: true, Rollback: true } }
";

/// The service of a stack, by its physical id.
async fn service(stack: &Stack, ecs: &aws_sdk_ecs::Client) -> aws_sdk_ecs::types::Service {
    let resource = stack
        .client
        .describe_stack_resource()
        .stack_name("s")
        .logical_resource_id("Service")
        .send()
        .await
        .unwrap();
    let arn = resource
        .stack_resource_detail
        .unwrap()
        .physical_resource_id
        .unwrap();
    let described = ecs
        .describe_services()
        .cluster("c")
        .services(arn)
        .send()
        .await
        .unwrap();
    described.services.unwrap().remove(0)
}

#[tokio::test]
async fn a_service_rolls_out_and_is_deployed_again_when_asked() {
    let double = small();
    let stack = Stack::new(&double, "s").await;
    let ecs = aws_sdk_ecs::Client::new(&config(&double).await);
    assert_eq!(
        stack
            .apply(&double, ChangeSetType::Create, SERVICE, &[("Image", "i:1")])
            .await,
        "CREATE_COMPLETE"
    );
    let first = service(&stack, &ecs).await;
    assert_eq!((first.running_count, first.desired_count), (2, 2));
    assert!(
        first.events()[0]
            .message()
            .unwrap()
            .ends_with("has reached a steady state.")
    );
    let name = first.service_name().unwrap();
    ecs.update_service()
        .cluster("c")
        .service(name)
        .force_new_deployment(true)
        .send()
        .await
        .unwrap();
    let busy = service(&stack, &ecs).await;
    assert_eq!(busy.deployments().len(), 2);
    assert_eq!(
        busy.deployments()[0].rollout_state().unwrap().as_str(),
        "IN_PROGRESS"
    );
    while service(&stack, &ecs).await.deployments().len() > 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn tasks_that_fail_trigger_the_circuit_breaker_and_both_roll_back() {
    for (trouble, code, reason) in [
        (
            Trouble::CannotPull,
            "TaskFailedToStart",
            "CannotPullContainerError: ",
        ),
        (
            Trouble::Exits(1),
            "EssentialContainerExited",
            "Essential container in task exited",
        ),
        (
            Trouble::Unhealthy,
            "ServiceSchedulerInitiated",
            "failed container health checks",
        ),
        (
            Trouble::SecretMissing("/a".into()),
            "TaskFailedToStart",
            "invalid ssm parameters: /a",
        ),
        (
            Trouble::SecretDenied("/a".into()),
            "TaskFailedToStart",
            "AccessDeniedException",
        ),
    ] {
        let double = small();
        let stack = Stack::new(&double, "s").await;
        let ecs = aws_sdk_ecs::Client::new(&config(&double).await);
        stack
            .apply(&double, ChangeSetType::Create, SERVICE, &[("Image", "i:1")])
            .await;
        double.rule(Rule::tasks("*", trouble).of("demo-test-api:2"));
        let status = stack
            .apply(&double, ChangeSetType::Update, SERVICE, &[("Image", "i:2")])
            .await;
        assert_eq!(status, "UPDATE_ROLLBACK_COMPLETE", "{reason}");
        let events = stack.events().await;
        let failed = events
            .iter()
            .find(|event| event.resource_status().unwrap().as_str() == "UPDATE_FAILED")
            .unwrap();
        assert!(
            failed
                .resource_status_reason()
                .unwrap()
                .contains("ECS Deployment Circuit Breaker was triggered")
        );
        let name = service(&stack, &ecs).await;
        assert!(name.task_definition().unwrap().ends_with("demo-test-api:1"));
        let stopped = ecs
            .list_tasks()
            .cluster("c")
            .service_name(name.service_name().unwrap())
            .desired_status(aws_sdk_ecs::types::DesiredStatus::Stopped)
            .send()
            .await
            .unwrap();
        let tasks = ecs
            .describe_tasks()
            .cluster("c")
            .set_tasks(stopped.task_arns)
            .send()
            .await
            .unwrap();
        let found = tasks.tasks().iter().find(|task| {
            task.stop_code().unwrap().as_str() == code
                && task.task_definition_arn().unwrap().ends_with(":2")
        });
        assert!(
            found.unwrap().stopped_reason().unwrap().contains(reason),
            "{found:?}"
        );
    }
}

#[tokio::test]
async fn what_a_session_was_cut_down_to_holds() {
    let double = small();
    let stack = Stack::new(&double, "s").await;
    stack
        .apply(&double, ChangeSetType::Create, TWO, &[("Name", "a")])
        .await;
    let sts = aws_sdk_sts::Client::new(&config(&double).await);
    let policy = r#"{"Statement":[{"Effect":"Allow","Action":"cloudformation:Describe*","Resource":"arn:aws:cloudformation:*:stack/s/*"}]}"#;
    let role = format!("arn:aws:iam::{}:role/r", double.account());
    let assume = sts
        .assume_role()
        .role_arn(role)
        .role_session_name("ada")
        .policy(policy);
    let assumed = assume.send().await.unwrap();
    let keys = assumed.credentials().unwrap();
    let keys = Credentials::new(
        keys.access_key_id(),
        keys.secret_access_key(),
        Some(keys.session_token().to_owned()),
        None,
        "sts",
    );
    let client = cloudformation::Client::new(&with_keys(&double, keys).await);
    client
        .describe_stacks()
        .stack_name("s")
        .send()
        .await
        .unwrap();
    let refused = client
        .delete_stack()
        .stack_name("s")
        .send()
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some("AccessDenied"));
    let refused = client
        .describe_stacks()
        .stack_name("other")
        .send()
        .await
        .unwrap_err();
    assert!(
        refused
            .message()
            .unwrap()
            .contains("cloudformation:DescribeStacks"),
        "{refused:?}"
    );
}
