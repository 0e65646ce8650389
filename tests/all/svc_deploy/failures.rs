//! What goes wrong on the way. Each ends with the true cause named, the state that is left, and a next command.

use std::time::Duration;

use aws_double::{Options, Rule, Trouble};

use super::{Stage, service};

const SVC: [&str; 7] = ["svc", "deploy", "-n", "api", "-e", "test", "--yes"];
const STACK: &str = "shop-test-api";

/// A service that was deployed, and a change to deploy.
fn changed() -> Stage {
    changed_with(Options::default())
}

fn changed_with(options: Options) -> Stage {
    let stage = Stage::with(options);
    stage.succeed(&SVC);
    stage.write("copilot/api/manifest.yml", &service("two"));
    stage
}

/// Tasks of the new revision fail; the circuit breaker and CloudFormation go back.
fn tasks_fail(trouble: Trouble, cause: &[&str]) {
    let stage = changed();
    stage
        .double
        .rule(Rule::tasks("*", trouble).of("shop-test-api:2"));
    let said = stage.fail(&SVC);
    said.holds(cause);
    said.holds(&["UPDATE_ROLLBACK_COMPLETE", "hint:"]);
    assert_eq!(stage.status(STACK), "UPDATE_ROLLBACK_COMPLETE");
    stage.double.forget_rules();
    stage.succeed(&SVC).holds(&["Deployed service api."]);
}

#[test]
fn an_image_that_is_not_there() {
    tasks_fail(Trouble::CannotPull, &["CannotPullContainer", "nginx:1.27"]);
}

#[test]
fn a_container_that_exits() {
    tasks_fail(
        Trouble::Exits(42),
        &["Essential container in task exited", "42"],
    );
}

#[test]
fn a_health_check_that_fails() {
    tasks_fail(Trouble::Unhealthy, &["health check"]);
}

#[test]
fn a_secret_that_is_missing() {
    let missing = Trouble::SecretMissing("/copilot/shop/test/secrets/TOKEN".to_owned());
    tasks_fail(missing, &["/copilot/shop/test/secrets/TOKEN"]);
}

#[test]
fn a_secret_that_the_role_may_not_read() {
    let denied = Trouble::SecretDenied("/copilot/shop/test/secrets/TOKEN".to_owned());
    tasks_fail(
        denied,
        &["/copilot/shop/test/secrets/TOKEN", "not authorized"],
    );
}

#[test]
fn a_quota_that_is_used_up() {
    tasks_fail(Trouble::Quota("vCPUs".to_owned()), &["vCPUs"]);
}

#[test]
fn a_circuit_breaker_that_triggers_at_the_first_deployment() {
    // Long enough for somebody who looks every second: the service is gone in the end.
    let stage = Stage::with(Options {
        task_time: Duration::from_millis(1500),
        ..Options::default()
    });
    stage.double.rule(Rule::tasks("*", Trouble::Exits(1)));
    let said = stage.fail(&SVC);
    said.holds(&[
        "Essential container in task exited",
        "ROLLBACK_COMPLETE",
        "hint:",
    ]);
    assert_eq!(stage.status(STACK), "ROLLBACK_COMPLETE");
}

#[test]
fn calls_that_are_throttled() {
    let stage = changed();
    for action in [
        "DescribeStacks",
        "CreateChangeSet",
        "DescribeChangeSet",
        "ExecuteChangeSet",
        "DescribeStackEvents",
    ] {
        stage
            .double
            .rule(Rule::request("cloudformation", action).throttled().times(2));
    }
    stage.double.rule(
        Rule::request("ecs", "DescribeServices")
            .refused(400, "ThrottlingException", "Rate exceeded")
            .times(2),
    );
    stage.succeed(&SVC).holds(&["Deployed service api."]);
    // For ever is too long.
    stage.write("copilot/api/manifest.yml", &service("three"));
    stage
        .double
        .rule(Rule::request("cloudformation", "CreateChangeSet").throttled());
    let said = stage.fail(&SVC);
    said.holds(&["CreateChangeSet", "hint:"]);
    assert_eq!(stage.status(STACK), "UPDATE_COMPLETE");
}

#[test]
fn a_rollback_that_fails() {
    let stage = changed();
    stage
        .double
        .rule(Rule::tasks("*", Trouble::Exits(1)).of("shop-test-api:2"));
    stage.double.rule(
        Rule::resource(STACK, "Service", "ROLLBACK")
            .fails("the cluster is gone")
            .times(1),
    );
    let said = stage.fail(&SVC);
    said.holds(&["UPDATE_ROLLBACK_FAILED", "continue-update-rollback"]);
    assert_eq!(stage.status(STACK), "UPDATE_ROLLBACK_FAILED");
}

#[test]
fn a_stack_that_becomes_busy_at_the_last_moment() {
    let stage = changed();
    let why = format!("Stack:{STACK} is in UPDATE_IN_PROGRESS state and can not be updated.");
    stage
        .double
        .rule(Rule::request("cloudformation", "CreateChangeSet").refused(
            400,
            "ValidationError",
            &why,
        ));
    stage.fail(&SVC).holds(&["UPDATE_IN_PROGRESS", "hint:"]);
}

#[test]
fn keys_that_have_expired() {
    let stage = changed();
    let why = "The security token included in the request is expired";
    stage
        .double
        .rule(Rule::request("*", "*").refused(403, "ExpiredToken", why));
    let said = stage.fail(&SVC);
    said.holds(&["expired", "hint:"]);
    assert_eq!(stage.status(STACK), "CREATE_COMPLETE");
}

#[test]
fn keys_that_expire_while_the_stack_is_changing() {
    let stage = changed();
    stage
        .double
        .rule(Rule::resource(STACK, "TaskDefinition", "UPDATE").delayed(Duration::from_secs(3)));
    let why = "The security token included in the request is expired";
    stage.double.rule(
        Rule::request("cloudformation", "DescribeStackEvents")
            .refused(403, "ExpiredToken", why)
            .after(1),
    );
    let said = stage.fail(&SVC);
    said.holds(&["expired", STACK, "hint:"]);
}

#[test]
fn no_region() {
    let stage = Stage::new();
    let mut command = stage.command(&SVC);
    command.env_remove("AWS_REGION");
    let said = super::said(command);
    assert_eq!(said.code, Some(1), "{said}");
    said.holds(&["region", "AWS_REGION", "hint:"]);
    assert_eq!(stage.double.requests().len(), 0);
}

#[test]
fn no_credentials() {
    let stage = Stage::new();
    let mut command = stage.command(&SVC);
    command
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY");
    let said = super::said(command);
    assert_eq!(said.code, Some(1), "{said}");
    said.holds(&["credentials", "hint:"]);
}

#[test]
fn a_connection_that_is_cut_in_the_middle() {
    let stage = changed();
    for action in [
        "CreateChangeSet",
        "ExecuteChangeSet",
        "DescribeStackEvents",
        "DescribeStacks",
    ] {
        stage
            .double
            .rule(Rule::request("cloudformation", action).dropped().times(1));
    }
    stage.succeed(&SVC).holds(&["Deployed service api."]);
    stage.write("copilot/api/manifest.yml", &service("three"));
    stage
        .double
        .rule(Rule::resource(STACK, "TaskDefinition", "UPDATE").delayed(Duration::from_secs(3)));
    // More often than the SDK tries by itself.
    let cut = Rule::request("cloudformation", "DescribeStackEvents").dropped();
    stage.double.rule(cut.after(1).times(12));
    stage.succeed(&SVC).holds(&["Deployed service api."]);
}

#[test]
fn an_environment_that_was_never_deployed() {
    let stage = Stage::new();
    stage
        .fail(&["svc", "deploy", "-n", "api", "-e", "nowhere", "--yes"])
        .holds(&["nowhere"]);
}
