//! What the commands do when nothing goes wrong, and when a stack does not come to stand.

use aws_double::record::sequential;
use aws_double::{Rule, Trouble};

use super::{PATIENCE, Stage, service};

const SVC: [&str; 7] = ["svc", "deploy", "-n", "api", "-e", "test", "--yes"];
const STACK: &str = "shop-test-api";

#[test]
fn a_service_is_created_updated_rolled_back_and_has_nothing_to_do_then() {
    let stage = Stage::new();
    stage.succeed(&SVC).holds(&["Deployed service api."]);
    assert_eq!(stage.status(STACK), "CREATE_COMPLETE");

    let executed = stage.double.count("cloudformation", "ExecuteChangeSet");
    let said = stage.succeed(&SVC);
    said.holds(&["No changes"]);
    said.lacks(&["Deployed service"]);
    assert_eq!(
        stage.double.count("cloudformation", "ExecuteChangeSet"),
        executed
    );

    stage.write("copilot/api/manifest.yml", &service("two"));
    stage.succeed(&SVC).holds(&["Deployed service api."]);
    assert_eq!(stage.status(STACK), "UPDATE_COMPLETE");

    stage.write("copilot/api/manifest.yml", &service("three"));
    stage
        .double
        .rule(Rule::tasks("*", Trouble::Exits(3)).of("shop-test-api:3"));
    let said = stage.fail(&SVC);
    said.holds(&["UPDATE_ROLLBACK_COMPLETE", "hint:"]);
    assert_eq!(stage.status(STACK), "UPDATE_ROLLBACK_COMPLETE");

    stage.double.forget_rules();
    stage.write("copilot/api/manifest.yml", &service("two"));
    stage.succeed(&SVC).holds(&["No changes"]);
}

#[test]
fn a_job_is_created_updated_and_has_nothing_to_do_then() {
    let stage = Stage::new();
    let job = [
        "job", "deploy", "--name", "report", "--env", "test", "--yes",
    ];
    stage.succeed(&job).holds(&["Deployed report."]);
    stage.succeed(&job).holds(&["No changes"]);
    let manifest =
        std::fs::read_to_string(stage.workspace.join("copilot/report/manifest.yml")).unwrap();
    stage.write(
        "copilot/report/manifest.yml",
        &manifest.replace("@daily", "@weekly"),
    );
    stage.double.rule(
        Rule::resource("shop-test-report", "Rule", "UPDATE")
            .fails("Rate exceeded: too many rules")
            .times(1),
    );
    stage
        .fail(&job)
        .holds(&["Rule", "too many rules", "UPDATE_ROLLBACK_COMPLETE"]);
    stage.succeed(&job).holds(&["Deployed report."]);
    assert_eq!(stage.status("shop-test-report"), "UPDATE_COMPLETE");
}

#[test]
fn several_workloads_are_deployed_in_their_order() {
    let stage = Stage::new();
    let words = [
        "deploy",
        "-n",
        "report,web/2",
        "-n",
        "api/1",
        "-e",
        "test",
        "--yes",
    ];
    let said = stage.succeed(&words);
    let text = format!("{}{}", said.stdout, said.stderr);
    let at = |part: &str| {
        text.find(part)
            .unwrap_or_else(|| panic!("no `{part}`: {said}"))
    };
    assert!(at("Deployed service api.") < at("Deployed service web."));
    assert!(at("Deployed service web.") < at("Deployed report."));
    for stack in [STACK, "shop-test-web", "shop-test-report"] {
        assert_eq!(stage.status(stack), "CREATE_COMPLETE");
    }
    let said = stage.succeed(&["deploy", "--all", "-e", "test", "--yes"]);
    said.holds(&["api", "web", "report", "No changes"]);
}

#[test]
fn the_first_failure_of_several_ends_the_command() {
    let stage = Stage::new();
    stage
        .double
        .rule(Rule::resource(STACK, "ExecutionRole", "CREATE").fails("no more roles"));
    let said = stage.fail(&["deploy", "-n", "api/1,report/2", "-e", "test", "--yes"]);
    said.holds(&["ExecutionRole", "no more roles"]);
    assert_eq!(stage.status("shop-test-report"), "", "{said}");
}

#[test]
fn a_web_service_says_where_it_answers() {
    let stage = Stage::new();
    let said = stage.succeed(&["svc", "deploy", "-n", "web", "-e", "test", "--yes"]);
    said.holds(&[
        "Deployed service web.",
        ".elb.amazonaws.com",
        "over the internet",
    ]);
}

#[test]
fn a_creation_that_failed_is_made_anew() {
    let stage = Stage::new();
    stage.double.rule(
        Rule::resource(STACK, "TaskRole", "CREATE")
            .fails("no more roles")
            .times(1),
    );
    stage
        .fail(&SVC)
        .holds(&["TaskRole", "no more roles", "ROLLBACK_COMPLETE"]);
    assert_eq!(stage.status(STACK), "ROLLBACK_COMPLETE");
    stage.succeed(&SVC).holds(&["Deployed service api."]);
    assert_eq!(stage.status(STACK), "CREATE_COMPLETE");
}

#[test]
fn the_difference_is_shown_after_four_round_trips_at_most() {
    let stage = Stage::new();
    stage.succeed(&SVC);
    stage.write("copilot/api/manifest.yml", &service("two"));
    stage.double.forget_requests();
    // Long enough that requests that are sent together are seen together.
    stage
        .double
        .rule(Rule::request("*", "*").delayed(std::time::Duration::from_millis(300)));
    // Without a terminal and without a yes it ends at the question.
    let said = stage.run(&["svc", "deploy", "-n", "api", "-e", "test", "--diff"]);
    said.holds(&["one -> two"]);
    let requests = stage.double.requests();
    let told: Vec<String> = requests
        .iter()
        .map(|it| format!("{:?}-{:?} {} {}", it.begun, it.ended, it.service, it.action))
        .collect();
    assert!(sequential(&requests) <= 4, "{}", told.join("\n"));
    for (service, action) in [
        ("cloudformation", "CreateChangeSet"),
        ("cloudformation", "ExecuteChangeSet"),
    ] {
        assert_eq!(stage.double.count(service, action), 0);
    }
    assert!(
        !requests
            .iter()
            .any(|it| it.service == "s3" && it.action.starts_with("PUT"))
    );
    assert_eq!(stage.status(STACK), "CREATE_COMPLETE");
}

#[test]
fn a_stack_that_somebody_else_is_changing_is_left_alone() {
    let stage = Stage::new();
    stage.succeed(&SVC);
    stage
        .double
        .set_stack_status(STACK, "UPDATE_IN_PROGRESS", "somebody else");
    stage.write("copilot/api/manifest.yml", &service("two"));
    stage
        .fail(&SVC)
        .holds(&[STACK, "UPDATE_IN_PROGRESS", "hint:"]);
}

#[test]
fn each_stuck_state_is_named_with_the_one_legal_next_step() {
    let stage = Stage::new();
    stage.succeed(&SVC);
    stage.write("copilot/api/manifest.yml", &service("two"));
    for (status, next) in [
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback"),
        ("DELETE_FAILED", "delete-stack"),
        ("DELETE_IN_PROGRESS", "hint:"),
        ("UPDATE_ROLLBACK_IN_PROGRESS", "hint:"),
    ] {
        stage.double.set_stack_status(STACK, status, "why");
        stage.fail(&SVC).holds(&[status, next]);
    }
}

#[test]
fn copilot_is_answered_to_by_its_own_name() {
    let stage = Stage::new();
    stage.succeed(&["copilot", "svc", "deploy", "-n", "api", "-e", "test"]);
    let copilot = stage.home.path().join("copilot");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_plimsoll"), &copilot).unwrap();
    let mut command = std::process::Command::new(&copilot);
    command
        .args(["svc", "deploy", "-n", "api", "-e", "test"])
        .current_dir(&stage.workspace)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", stage.home.path())
        .env(
            "XDG_CACHE_HOME",
            std::env::temp_dir().join("plimsoll-test-cache"),
        )
        .envs(stage.double.environment());
    let said = super::said(command);
    assert_eq!(said.code, Some(0), "{said}");
    said.holds(&["No changes"]);
    stage.double.wait(STACK, PATIENCE).unwrap();
}
