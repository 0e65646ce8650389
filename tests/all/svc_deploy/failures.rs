//! What goes wrong on the way. Each ends with the true cause named, the state that is left, and a next command.

use std::time::Duration;

use aws_double::{Options, Rule, Trouble};

use super::{PATIENCE, Said, Stage, service};

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

/// How a failure must end: what caused it, what is left, and the command that goes on.
struct Ending<'a> {
    cause: &'a [&'a str],
    state: &'a [&'a str],
    next: &'a str,
}

impl Ending<'_> {
    fn is_told_by(&self, said: &Said) {
        said.holds(self.cause);
        said.holds(self.state);
        let hints: Vec<&str> = said
            .stderr
            .lines()
            .filter(|line| line.starts_with("hint: "))
            .collect();
        assert!(
            hints.join("\n").contains(self.next),
            "no `{}` in {hints:?}: {said}",
            self.next
        );
    }
}

/// What a failed update leaves.
const BACK: [&str; 1] = ["UPDATE_ROLLBACK_COMPLETE: it is as it was before this deploy"];
/// What a failure before it leaves.
const UNTOUCHED: [&str; 1] = ["it is as it was before this deploy"];
const AGAIN: &str = "svc deploy --name api --env test";
const LOG: &str = "aws logs tail /copilot/shop-test-api";

/// Tasks of the new revision fail; the circuit breaker and CloudFormation go back.
fn tasks_fail(trouble: Trouble, cause: &[&str], next: &str) {
    let stage = changed();
    stage
        .double
        .rule(Rule::tasks("*", trouble).of("shop-test-api:2"));
    let said = stage.fail(&SVC);
    let state = &BACK;
    Ending { cause, state, next }.is_told_by(&said);
    said.holds(&["copilot/api/manifest.yml:"]);
    assert_eq!(stage.status(STACK), "UPDATE_ROLLBACK_COMPLETE");
    stage.double.forget_rules();
    stage.succeed(&SVC).holds(&["Deployed service api."]);
}

#[test]
fn an_image_that_is_not_there() {
    let cause = ["the image can't be pulled", "nginx:1.27: not found"];
    tasks_fail(Trouble::CannotPull, &cause, AGAIN);
}

#[test]
fn a_container_that_exits() {
    let cause = ["container api exited with code 42"];
    tasks_fail(Trouble::Exits(42), &cause, LOG);
}

#[test]
fn a_health_check_that_fails() {
    let cause = ["a container does not pass its own health check"];
    tasks_fail(Trouble::Unhealthy, &cause, LOG);
}

#[test]
fn a_health_check_of_the_load_balancer_that_fails() {
    let stage = Stage::new();
    let web = ["svc", "deploy", "-n", "web", "-e", "test", "--yes"];
    stage.succeed(&web);
    let manifest = std::fs::read_to_string(stage.workspace.join("copilot/web/manifest.yml"));
    stage.write(
        "copilot/web/manifest.yml",
        &manifest.unwrap().replace("memory: 512", "memory: 1024"),
    );
    let codes = Trouble::FailsTargetCheck("Health checks failed with these codes: [502]".into());
    stage
        .double
        .rule(Rule::tasks("*", codes).of("shop-test-web:2"));
    Ending {
        cause: &["tasks don't pass the load balancer's health check"],
        state: &BACK,
        next: "aws logs tail /copilot/shop-test-web",
    }
    .is_told_by(&stage.fail(&web));
}

#[test]
fn a_secret_that_is_missing() {
    let missing = Trouble::SecretMissing("/copilot/shop/test/secrets/TOKEN".to_owned());
    let cause = ["a secret is missing", "/copilot/shop/test/secrets/TOKEN"];
    tasks_fail(missing, &cause, "copilot secret init");
}

#[test]
fn a_secret_that_the_role_may_not_read() {
    let denied = Trouble::SecretDenied("/copilot/shop/test/secrets/TOKEN".to_owned());
    let cause = ["the execution role may not read a secret", "not authorized"];
    let next = "aws ssm add-tags-to-resource --resource-type Parameter --resource-id /copilot/shop/test/secrets/TOKEN";
    tasks_fail(denied, &cause, next);
}

#[test]
fn a_quota_that_is_used_up() {
    let cause = ["a quota of the account is used up", "vCPUs"];
    let next = "aws service-quotas list-service-quotas";
    tasks_fail(Trouble::Quota("vCPUs".to_owned()), &cause, next);
}

#[test]
fn an_alarm_that_goes_off() {
    let cause = ["an alarm stopped the deployment"];
    tasks_fail(Trouble::Alarm, &cause, "deployment.rollback_alarms");
}

#[test]
fn a_circuit_breaker_that_triggers_at_the_first_deployment() {
    // Long enough for somebody who looks every second: the service is gone in the end.
    let stage = Stage::with(Options {
        task_time: Duration::from_millis(1500),
        ..Options::default()
    });
    stage.double.rule(Rule::tasks("*", Trouble::Exits(1)));
    Ending {
        cause: &["container api exited with code 1"],
        state: &["ROLLBACK_COMPLETE: nothing of it runs; the next deploy deletes what is left and makes it anew"],
        next: LOG,
    }
    .is_told_by(&stage.fail(&SVC));
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
    Ending {
        cause: &[
            "CreateChangeSet",
            "too many requests after all retries: Rate exceeded",
        ],
        state: &UNTOUCHED,
        next: "wait a minute, then run the same command again",
    }
    .is_told_by(&stage.fail(&SVC));
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
    Ending {
        cause: &["container api exited with code 1"],
        state: &["UPDATE_ROLLBACK_FAILED: it is half done"],
        next: "aws cloudformation continue-update-rollback --stack-name shop-test-api",
    }
    .is_told_by(&stage.fail(&SVC));
    assert_eq!(stage.status(STACK), "UPDATE_ROLLBACK_FAILED");
}

#[test]
fn a_stack_that_is_busy() {
    let stage = changed();
    stage
        .double
        .set_stack_status(STACK, "UPDATE_IN_PROGRESS", "somebody else");
    Ending {
        cause: &[
            "stack shop-test-api is being updated (UPDATE_IN_PROGRESS) and cannot be deployed to",
        ],
        state: &["somebody else"],
        next: "wait until it is done, then run this again: `aws cloudformation describe-stacks",
    }
    .is_told_by(&stage.fail(&SVC));
    // Or becomes it at the last moment.
    stage.double.set_stack_status(STACK, "CREATE_COMPLETE", "");
    let why = format!("Stack:{STACK} is in UPDATE_IN_PROGRESS state and can not be updated.");
    let refused = Rule::request("cloudformation", "CreateChangeSet");
    stage
        .double
        .rule(refused.refused(400, "ValidationError", &why));
    Ending {
        cause: &["UPDATE_IN_PROGRESS state and can not be updated"],
        state: &UNTOUCHED,
        next: "somebody else changes the stack: wait until that is done (`aws cloudformation describe-stack-events`",
    }
    .is_told_by(&stage.fail(&SVC));
}

#[test]
fn keys_that_have_expired() {
    let stage = changed();
    let why = "The security token included in the request is expired";
    stage
        .double
        .rule(Rule::request("*", "*").refused(403, "ExpiredToken", why));
    Ending {
        cause: &["the credentials have expired", why],
        state: &["nothing was changed"],
        next: "aws sso login",
    }
    .is_told_by(&stage.fail(&SVC));
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
    Ending {
        cause: &["the credentials have expired"],
        state: &["shop-test-api: it goes on"],
        next: "aws cloudformation describe-stack-events --stack-name shop-test-api",
    }
    .is_told_by(&stage.fail(&SVC));
}

#[test]
fn no_region() {
    let stage = Stage::new();
    let mut command = stage.command(&SVC);
    command.env_remove("AWS_REGION");
    let said = super::said(command);
    assert_eq!(said.code, Some(1), "{said}");
    Ending {
        cause: &["failed to reach AWS: nothing says which AWS region to use"],
        state: &["nothing was changed"],
        next: "set AWS_REGION",
    }
    .is_told_by(&said);
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
    Ending {
        cause: &["credentials"],
        state: &["nothing was changed"],
        next: "aws sso login",
    }
    .is_told_by(&said);
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
    stage.succeed(&SVC).holds(&[
        "AWS is out of reach, and is asked again",
        "Deployed service api.",
    ]);
    // While it is asked to change: nobody knows whether it heard.
    stage.double.forget_rules();
    stage.write("copilot/api/manifest.yml", &service("four"));
    stage
        .double
        .rule(Rule::request("cloudformation", "ExecuteChangeSet").dropped());
    Ending {
        cause: &["ExecuteChangeSet", "the connection to AWS was lost"],
        state: &["shop-test-api: whether it changes is not known"],
        next: "aws cloudformation describe-stack-events --stack-name shop-test-api",
    }
    .is_told_by(&stage.fail(&SVC));
}

#[test]
fn a_connection_that_does_not_come_back() {
    let stage = changed();
    stage
        .double
        .rule(Rule::resource(STACK, "TaskDefinition", "UPDATE").delayed(Duration::from_secs(20)));
    let cut = Rule::request("cloudformation", "DescribeStackEvents").dropped();
    stage.double.rule(cut.after(1));
    Ending {
        cause: &[
            "what becomes of stack shop-test-api is not known",
            "the connection to AWS was lost",
        ],
        state: &["shop-test-api: it goes on"],
        next: "watch it: `aws cloudformation describe-stack-events --stack-name shop-test-api",
    }
    .is_told_by(&stage.fail(&SVC));
    assert_eq!(
        stage.double.wait(STACK, PATIENCE).unwrap(),
        "UPDATE_COMPLETE"
    );
}

#[test]
fn an_environment_that_was_never_deployed() {
    let stage = Stage::new();
    stage
        .fail(&["svc", "deploy", "-n", "api", "-e", "nowhere", "--yes"])
        .holds(&["nowhere"]);
}
