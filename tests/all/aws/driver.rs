//! The default driver for AWS: from an empty account to a stable service, and through every failure.

use std::sync::Mutex;
use std::time::Duration;

use aws_double::{Rule, Trouble};
use plimsoll::capability::Stage;
use plimsoll::plan::Promises;
use plimsoll::plugin::Plugin;
use plimsoll::plugin::select::{Target, bundled};
use plimsoll::sandbox::Role;
use plimsoll::wit::differ::exports::plimsoll::deploy::differ::{Input as DifferInput, Style};
use plimsoll::wit::driver::exports::plimsoll::deploy::driver::{Failure, Outcome, Step};
use plimsoll::wit::types::{Context, Document};
use serde_json::{Value as Json, json};

use super::{Account, document};
use crate::support::TestRun;

/// A stack of Copilot's shape, as far as its deployment goes.
const TEMPLATE: &str = "
Metadata:
  Version: v1.34.0
Parameters:
  ContainerImage: {Type: String}
  TaskCount: {Type: Number, Default: 1}
Resources:
  LogGroup:
    Metadata: {'aws:copilot:description': 'A group for the logs of the tasks'}
    Type: AWS::Logs::LogGroup
    Properties: {LogGroupName: /copilot/demo-test-api}
  TaskDefinition:
    Metadata: {'aws:copilot:description': 'The containers of a task'}
    Type: AWS::ECS::TaskDefinition
    Properties:
      Family: demo-test-api
      ContainerDefinitions: [{Name: api, Image: !Ref ContainerImage}]
  Service:
    Metadata: {'aws:copilot:description': 'The service that keeps tasks running'}
    Type: AWS::ECS::Service
    Properties:
      Cluster: !ImportValue demo-test-ClusterId
      TaskDefinition: !Ref TaskDefinition
      DesiredCount: !Ref TaskCount
      DeploymentConfiguration: {DeploymentCircuitBreaker: {Enable: true, Rollback: true}}
";

/// What is deployed, and with which flags.
#[derive(Clone)]
struct Wanted {
    image: String,
    template: String,
    request: Json,
}

impl Wanted {
    fn image(image: &str) -> Self {
        Self {
            image: image.to_owned(),
            template: TEMPLATE.to_owned(),
            request: json!({"command": "svc deploy"}),
        }
    }

    fn flag(mut self, name: &str) -> Self {
        self.request[name] = json!(true);
        self
    }

    fn documents(&self, account: &Account) -> Vec<Document> {
        let parameters = json!({
            "Parameters": {"ContainerImage": self.image},
            "Tags": {"copilot-application": "demo", "copilot-environment": "test", "copilot-service": "api"},
        });
        let deployment = json!({
            "application": "demo", "environment": "test", "workload": "api", "type": "Backend Service",
            "region": account.double.region(), "stack": "demo-test-api", "environment-stack": "demo-test",
            "bucket": account.bucket, "execution-role": account.role(), "uploads": [],
        });
        vec![
            document("stack/api", self.template.as_str()),
            document("parameters/api", parameters.to_string()),
            document("deployment/api", deployment.to_string()),
        ]
    }

    fn context(&self) -> Context {
        Context {
            environment: "test".into(),
            version: "1".into(),
            deployment_id: format!("{:012x}", rand()),
            request: self.request.to_string(),
            settings: "{}".into(),
        }
    }
}

/// Another number for each plan.
fn rand() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn plugin(role: Role) -> Plugin {
    bundled(Target::Ecs)
        .find(|plugin| plugin.role == role)
        .unwrap()
}

/// A run that deploys.
struct Deploy<'a> {
    account: &'a Account,
    wanted: Wanted,
    test: TestRun,
}

impl<'a> Deploy<'a> {
    async fn of(account: &'a Account, wanted: Wanted) -> Self {
        let test = account.run().await;
        Self {
            account,
            wanted,
            test,
        }
    }

    /// Observes, compares, plans: the difference and the steps.
    async fn plan(&self, context: &Context) -> Result<(String, Vec<Step>), Failure> {
        let sandbox = self.test.sandbox();
        let documents = self.wanted.documents(self.account);
        let driver = plugin(Role::Driver).link(&sandbox).unwrap();
        let session = || self.test.session(self.account.grants(&[]), Stage::Reading);
        let observed = sandbox
            .observe(&driver, session(), context.clone(), documents.clone())
            .await
            .unwrap()?;
        let differ = plugin(Role::Differ).link(&sandbox).unwrap();
        let compared = DifferInput {
            context: context.clone(),
            observed: observed
                .iter()
                .filter(|document| !document.address.starts_with("observed/"))
                .cloned()
                .collect(),
            desired: documents.clone(),
            style: Style::Tree,
        };
        let difference = sandbox
            .diff(&differ, self.test.pure_session(), compared)
            .await
            .unwrap()
            .unwrap();
        let planned = sandbox
            .plan(
                &driver,
                session(),
                context.clone(),
                observed,
                documents,
                difference.changes,
            )
            .await
            .unwrap()?;
        Ok((difference.text, planned.steps))
    }

    async fn run(&self) -> Result<Outcome, Failure> {
        let context = self.wanted.context();
        let (_, steps) = self.plan(&context).await?;
        let documents = self.wanted.documents(self.account);
        self.test.run().approve(&documents);
        self.test.run().interrupt.begin_applying();
        let sandbox = self.test.sandbox();
        let driver = plugin(Role::Driver).link(&sandbox).unwrap();
        let promises = Promises::of(steps.iter().flat_map(|step| &step.effects)).unwrap();
        let stage = Stage::Applying(Mutex::new(promises));
        let session = self.test.session(self.account.grants(&[]), stage);
        sandbox
            .apply(&driver, session, context, documents, steps)
            .await
            .unwrap()
    }
}

async fn deploy(account: &Account, wanted: Wanted) -> Result<Outcome, Failure> {
    Deploy::of(account, wanted).await.run().await
}

fn status(outcome: Outcome) -> String {
    outcome
        .outputs
        .into_iter()
        .find(|(key, _)| key == "status")
        .unwrap()
        .1
}

/// Message, details and what is left.
fn failed(result: Result<Outcome, Failure>) -> (String, Vec<String>, String) {
    match result {
        Err(Failure::Partial(partial)) => (
            partial.message,
            partial.details,
            partial.leftovers[0].state.clone(),
        ),
        other => panic!("it should have failed half-way: {other:?}"),
    }
}

fn refused(result: Result<Outcome, Failure>) -> String {
    match result {
        Err(Failure::Refused(why)) => why,
        other => panic!("it should have been refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_created_left_alone_updated_and_forced() {
    let account = Account::new();
    assert_eq!(
        status(deploy(&account, Wanted::image("r/api:1")).await.unwrap()),
        "deployed"
    );
    assert_eq!(
        account.double.stack_status("demo-test-api").unwrap(),
        "CREATE_COMPLETE"
    );

    let same = Deploy::of(&account, Wanted::image("r/api:1")).await;
    account.double.forget_requests();
    let (difference, steps) = same.plan(&same.wanted.context()).await.unwrap();
    assert_eq!((difference.as_str(), steps.len()), ("", 0));
    assert_eq!(
        account.double.requests().len(),
        2,
        "one question for the stack, one for its template"
    );

    assert_eq!(
        status(deploy(&account, Wanted::image("r/api:2")).await.unwrap()),
        "deployed"
    );
    assert_eq!(
        account.double.stack_status("demo-test-api").unwrap(),
        "UPDATE_COMPLETE"
    );

    account.double.forget_requests();
    let forced = deploy(&account, Wanted::image("r/api:2").flag("force"))
        .await
        .unwrap();
    assert_eq!(status(forced), "deployed");
    assert_eq!(account.double.count("ecs", "UpdateService"), 1);
    assert_eq!(account.double.count("cloudformation", "CreateChangeSet"), 0);

    account.double.forget_requests();
    let changed = deploy(&account, Wanted::image("r/api:3").flag("force"))
        .await
        .unwrap();
    assert_eq!(status(changed), "deployed");
    assert_eq!(
        account.double.count("ecs", "UpdateService"),
        0,
        "it was deployed anyway"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_nobody_reads_differs_is_no_change() {
    let account = Account::new();
    let scaling = |mark: &str, version: &str| {
        let text = format!(
            "{TEMPLATE}  DynamicDesiredCountAction:\n    Type: AWS::SNS::Topic\n    Properties:\n      DisplayName: x\n      UpdateID: {mark}\n"
        );
        Wanted {
            template: text.replace("v1.34.0", version),
            ..Wanted::image("r/api:1")
        }
    };
    deploy(&account, scaling("one", "v1.34.0")).await.unwrap();
    let again = Deploy::of(&account, scaling("two", "v1.35.0")).await;
    let (difference, steps) = again.plan(&again.wanted.context()).await.unwrap();
    assert!(
        difference.contains("Version") && !difference.contains("UpdateID"),
        "{difference}"
    );
    assert!(steps.is_empty());
    let older = refused(deploy(&account, scaling("three", "v1.33.0")).await);
    assert!(
        older.contains("cannot downgrade workload \"api\""),
        "{older}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_set_without_changes_ends_well_and_says_so() {
    let account = Account::new();
    deploy(&account, Wanted::image("r/api@sha256:1"))
        .await
        .unwrap();
    // Known after the push, and then the same.
    let late = Deploy::of(&account, Wanted::image("r/api@<slot:image/api>")).await;
    late.test
        .run()
        .fill("image/api".to_owned(), "sha256:1".to_owned());
    let outcome = late.run().await.unwrap();
    assert_eq!(
        outcome.summary,
        "no new infrastructure changes for stack demo-test-api"
    );
    assert_eq!(status(outcome), "unchanged");
    assert_eq!(
        account.double.count("cloudformation", "ExecuteChangeSet"),
        1
    );
}

/// Every way in which tasks fail: its cause, what it hints at.
#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_fail_are_explained_by_their_true_cause() {
    let account = Account::new();
    deploy(&account, Wanted::image("r/api:1")).await.unwrap();
    for (trouble, cause, hint) in [
        (
            Trouble::CannotPull,
            "the image can't be pulled",
            "push the image",
        ),
        (
            Trouble::Exits(3),
            "container api exited with code 3",
            "aws logs tail /copilot/demo-test-api",
        ),
        (
            Trouble::Unhealthy,
            "a container does not pass its own health check",
            "image.healthcheck",
        ),
        (
            Trouble::FailsTargetCheck("Health checks failed with these codes: [502]".into()),
            "tasks don't pass the load balancer's health check",
            "http.healthcheck",
        ),
        (
            Trouble::SecretMissing("/demo/DB".into()),
            "a secret is missing",
            "copilot secret init",
        ),
        (
            Trouble::SecretDenied("/demo/DB".into()),
            "the execution role may not read a secret",
            "Key=copilot-application,Value=demo",
        ),
        (
            Trouble::Quota("vCPUs".into()),
            "a quota of the account is used up",
            "service-quotas",
        ),
    ] {
        account.double.forget_rules();
        account.double.rule(Rule::tasks("*", trouble.clone()));
        let image =
            format!("r/api:{trouble:?}").replace(['(', ')', '"', ' ', '[', ']', ':', '/'], "-");
        let (message, _, state) = failed(deploy(&account, Wanted::image(&image)).await);
        assert!(message.contains("stack demo-test-api did not complete successfully and exited with status UPDATE_ROLLBACK_COMPLETE"), "{message}");
        assert!(message.contains(cause), "{trouble:?}: {message}");
        assert!(message.contains(hint), "{trouble:?}: {message}");
        assert!(state.contains("as it was before"), "{state}");
        assert_eq!(
            account.double.stack_status("demo-test-api").unwrap(),
            "UPDATE_ROLLBACK_COMPLETE"
        );
    }
    account.double.forget_rules();
    assert_eq!(
        status(deploy(&account, Wanted::image("r/api:9")).await.unwrap()),
        "deployed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_failed_is_deleted_and_made_anew() {
    let account = Account::new();
    // Real services take their time to fail: what they said is gone with them.
    account
        .double
        .set_resource_time(Duration::from_millis(1200));
    account.double.rule(Rule::tasks("*", Trouble::CannotPull));
    let (message, _, state) = failed(deploy(&account, Wanted::image("r/api:1")).await);
    assert!(
        message.contains("ROLLBACK_COMPLETE: the image can't be pulled"),
        "{message}"
    );
    assert!(state.contains("makes it anew"), "{state}");

    account.double.forget_rules();
    let again = Deploy::of(&account, Wanted::image("r/api:1")).await;
    let (_, steps) = again.plan(&again.wanted.context()).await.unwrap();
    let destructive: Vec<&str> = steps
        .iter()
        .flat_map(|step| &step.effects)
        .filter(|effect| effect.destructive)
        .map(|effect| effect.operation.as_str())
        .collect();
    assert_eq!(
        destructive,
        ["cloudformation.delete"],
        "it is shown before approval"
    );
    assert_eq!(status(again.run().await.unwrap()), "deployed");
    assert_eq!(
        account.double.stack_status("demo-test-api").unwrap(),
        "CREATE_COMPLETE"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_that_fails_is_named_and_rolled_back_or_left_as_asked() {
    let account = Account::new();
    deploy(&account, Wanted::image("r/api:1")).await.unwrap();
    let reason = "Resource handler returned message: \"Rate exceeded\" (RequestToken: 1, HandlerErrorCode: Throttling)";
    account
        .double
        .rule(Rule::resource("demo-test-api", "TaskDefinition", "UPDATE").fails(reason));
    account
        .double
        .rule(Rule::resource("demo-test-api", "TaskDefinition", "CREATE").fails(reason));
    let (message, ..) = failed(deploy(&account, Wanted::image("r/api:2")).await);
    assert!(
        message.contains(
            "UPDATE_ROLLBACK_COMPLETE: TaskDefinition (AWS::ECS::TaskDefinition): Rate exceeded"
        ),
        "{message}"
    );
    assert!(message.contains("wait a minute"), "{message}");

    let (message, _, state) =
        failed(deploy(&account, Wanted::image("r/api:2").flag("no-rollback")).await);
    assert!(
        message.contains("status UPDATE_FAILED")
            && message.contains("rollback-stack --stack-name demo-test-api"),
        "{message}"
    );
    assert!(state.contains("half done"), "{state}");

    account.double.forget_rules();
    let stuck = refused(deploy(&account, Wanted::image("r/api:3")).await);
    assert!(stuck.contains("--no-rollback left it half done"), "{stuck}");
    let same = refused(deploy(&account, Wanted::image("r/api:2").flag("no-rollback")).await);
    assert!(
        same.contains("nothing to go on with") && same.contains("rollback-stack"),
        "{same}"
    );
    let on = deploy(&account, Wanted::image("r/api:3").flag("no-rollback")).await;
    assert_eq!(status(on.unwrap()), "deployed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_that_cannot_be_deployed_to_says_the_one_next_step() {
    let account = Account::new();
    deploy(&account, Wanted::image("r/api:1")).await.unwrap();
    for (state, next) in [
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback"),
        ("UPDATE_IN_PROGRESS", "wait until it is done"),
        ("DELETE_FAILED", "delete-stack"),
    ] {
        account
            .double
            .set_stack_status("demo-test-api", state, "somebody did that");
        let why = refused(deploy(&account, Wanted::image("r/api:2")).await);
        assert!(why.contains(state) && why.contains(next), "{why}");
    }
    assert_eq!(
        account.double.count("cloudformation", "CreateChangeSet"),
        1,
        "nothing was begun"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_survives_throttling_and_cut_connections() {
    let account = Account::new();
    for action in [
        "DescribeStackEvents",
        "DescribeChangeSet",
        "ExecuteChangeSet",
        "CreateChangeSet",
    ] {
        account
            .double
            .rule(Rule::request("cloudformation", action).dropped().times(2));
        account
            .double
            .rule(Rule::request("cloudformation", action).throttled().times(2));
    }
    account
        .double
        .rule(Rule::request("ecs", "*").throttled().times(3));
    assert_eq!(
        status(deploy(&account, Wanted::image("r/api:1")).await.unwrap()),
        "deployed"
    );
    assert_eq!(
        account.double.stack_status("demo-test-api").unwrap(),
        "CREATE_COMPLETE"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_expire_midway_end_it_at_once_and_the_stack_goes_on() {
    let account = Account::new();
    let message = "The security token included in the request is expired";
    let expired = Rule::request("cloudformation", "DescribeStackEvents").refused(
        403,
        "ExpiredToken",
        message,
    );
    account.double.rule(expired.after(1));
    let (message, _, state) = failed(deploy(&account, Wanted::image("r/api:1")).await);
    assert!(
        message.contains("expired")
            && message.contains("watch it: `aws cloudformation describe-stack-events"),
        "{message}"
    );
    assert_eq!(state, "it goes on");
    account.double.forget_rules();
    assert_eq!(
        account
            .double
            .wait("demo-test-api", Duration::from_secs(20))
            .unwrap(),
        "CREATE_COMPLETE"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn detached_it_returns_once_the_change_is_under_way() {
    let account = Account::new();
    account.double.set_resource_time(Duration::from_millis(300));
    let outcome = deploy(&account, Wanted::image("r/api:1").flag("detach"))
        .await
        .unwrap();
    assert!(
        outcome.summary.contains("watch it: `aws cloudformation"),
        "{}",
        outcome.summary
    );
    assert_eq!(status(outcome), "detached");
    assert_eq!(
        account.double.stack_status("demo-test-api").unwrap(),
        "CREATE_IN_PROGRESS"
    );
    assert_eq!(
        account
            .double
            .wait("demo-test-api", Duration::from_secs(20))
            .unwrap(),
        "CREATE_COMPLETE"
    );
}

/// Presses Ctrl-C `times` times once a stack is in a state, while a deploy runs.
async fn interrupted(
    account: &Account,
    wanted: Wanted,
    state: &str,
    times: u32,
) -> Result<Outcome, Failure> {
    let deploy = Deploy::of(account, wanted).await;
    let interrupt = deploy.test.run().interrupt.clone();
    let (double, state) = (&account.double, state.to_owned());
    let press = async move {
        while double.stack_status("demo-test-api").as_deref() != Some(&state) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        for _ in 0..times {
            interrupt.raise();
        }
    };
    tokio::join!(deploy.run(), press).0
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_without_a_terminal_cancels_and_twice_detaches() {
    let account = Account::new();
    account.double.set_resource_time(Duration::from_millis(700));
    let created = interrupted(&account, Wanted::image("r/api:1"), "CREATE_IN_PROGRESS", 1).await;
    assert_eq!(status(created.unwrap()), "cancelled");
    assert_eq!(
        account.double.stack_status("demo-test-api").unwrap(),
        "DELETE_COMPLETE"
    );

    account.double.set_resource_time(Duration::from_millis(5));
    deploy(&account, Wanted::image("r/api:1")).await.unwrap();
    account.double.set_resource_time(Duration::from_millis(700));
    let updated = interrupted(&account, Wanted::image("r/api:2"), "UPDATE_IN_PROGRESS", 1)
        .await
        .unwrap();
    assert_eq!(
        updated.summary,
        "rolled back service api to the previous configuration"
    );
    assert_eq!(
        account.double.stack_status("demo-test-api").unwrap(),
        "UPDATE_ROLLBACK_COMPLETE"
    );

    let left = interrupted(&account, Wanted::image("r/api:3"), "UPDATE_IN_PROGRESS", 2).await;
    assert_eq!(status(left.unwrap()), "detached");
    assert_eq!(
        account
            .double
            .wait("demo-test-api", Duration::from_secs(20))
            .unwrap(),
        "UPDATE_COMPLETE"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_since_the_plan_was_made_is_not_deployed_over() {
    let account = Account::new();
    deploy(&account, Wanted::image("r/api:1")).await.unwrap();
    let deploy_later = Deploy::of(&account, Wanted::image("r/api:2")).await;
    let context = deploy_later.wanted.context();
    let (_, steps) = deploy_later.plan(&context).await.unwrap();
    deploy(&account, Wanted::image("r/api:3")).await.unwrap();
    let documents = deploy_later.wanted.documents(&account);
    deploy_later.test.run().approve(&documents);
    let sandbox = deploy_later.test.sandbox();
    let driver = plugin(Role::Driver).link(&sandbox).unwrap();
    let promises = Promises::of(steps.iter().flat_map(|step| &step.effects)).unwrap();
    let session = deploy_later
        .test
        .session(account.grants(&[]), Stage::Applying(Mutex::new(promises)));
    let result = sandbox
        .apply(&driver, session, context, documents, steps)
        .await
        .unwrap();
    let why = refused(result);
    assert!(why.contains("changed since the plan was made"), "{why}");
}
