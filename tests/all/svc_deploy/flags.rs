//! Every flag of `svc deploy`, `job deploy` and `deploy`.

use std::time::{Duration, Instant};

use aws_double::seed::{Application, Environment};
use aws_double::{Options, Rule};

use super::{PATIENCE, Stage, service, with_balancer};

const SVC: [&str; 7] = ["svc", "deploy", "-n", "api", "-e", "test", "--yes"];
const STACK: &str = "shop-test-api";

fn and<'a>(words: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [words, more].concat()
}

#[test]
fn allow_downgrade_lets_an_older_version_deploy() {
    let stage = Stage::new();
    let newer =
        "Metadata: { Version: v99.0.0 }\nResources: { LogGroup: { Type: AWS::Logs::LogGroup } }\n";
    assert_eq!(
        stage.double.create_stack(STACK, newer, &[], &[]).unwrap(),
        "CREATE_COMPLETE"
    );
    stage.fail(&SVC).holds(&["v99.0.0", "--allow-downgrade"]);
    stage
        .succeed(&and(&SVC, &["--allow-downgrade"]))
        .holds(&["Deployed service api."]);
}

#[test]
fn app_chooses_another_application() {
    let stage = Stage::new();
    let mut other = Application::new("other", "test").workload("api", "Backend Service");
    other.environments = vec![with_balancer("test")];
    stage.double.seed(&other).unwrap();
    stage.write("copilot/.workspace", "application: other\n");
    stage.succeed(&and(&SVC, &["--app", "other"]));
    assert_eq!(stage.status("other-test-api"), "CREATE_COMPLETE");
    stage.fail(&and(&SVC, &["-a", "nobody"])).holds(&["nobody"]);
}

#[test]
fn detach_returns_while_the_stack_is_still_changing() {
    let stage = Stage::new();
    stage
        .double
        .rule(Rule::resource(STACK, "TaskRole", "CREATE").delayed(Duration::from_secs(8)));
    let begun = Instant::now();
    let said = stage.succeed(&and(&SVC, &["--detach"]));
    assert!(begun.elapsed() < Duration::from_secs(60), "{said}");
    assert_eq!(stage.status(STACK), "CREATE_IN_PROGRESS", "{said}");
    said.holds(&[STACK]);
    assert_eq!(
        stage.double.wait(STACK, PATIENCE).unwrap(),
        "CREATE_COMPLETE"
    );
}

#[test]
fn diff_shows_the_difference_and_diff_yes_goes_on_without_asking() {
    let stage = Stage::new();
    stage.succeed(&SVC);
    stage.write("copilot/api/manifest.yml", &service("two"));
    let said = stage.run(&["svc", "deploy", "-n", "api", "-e", "test", "--diff"]);
    said.holds(&["one -> two"]);
    assert_eq!(stage.status(STACK), "CREATE_COMPLETE", "{said}");
    let said = stage.succeed(&[
        "svc",
        "deploy",
        "-n",
        "api",
        "-e",
        "test",
        "--diff",
        "--diff-yes",
    ]);
    said.holds(&["one -> two", "Deployed service api."]);
    let said = stage.succeed(&["job", "deploy", "-n", "report", "-e", "test", "--diff-yes"]);
    said.holds(&["Deployed report."]);
}

#[test]
fn force_starts_the_tasks_anew_when_nothing_changed() {
    let stage = Stage::new();
    stage.succeed(&SVC);
    let said = stage.succeed(&and(&SVC, &["--force"]));
    assert_eq!(stage.double.count("ecs", "UpdateService"), 1, "{said}");
    stage.write("copilot/api/manifest.yml", &service("two"));
    stage.succeed(&and(&SVC, &["--force"]));
    assert_eq!(stage.status(STACK), "UPDATE_COMPLETE");
    // The update itself has started them anew.
    assert_eq!(stage.double.count("ecs", "UpdateService"), 1);
    stage.succeed(&[
        "job", "deploy", "-n", "report", "-e", "test", "--yes", "--force",
    ]);
}

#[test]
fn no_rollback_leaves_the_stack_as_it_failed() {
    let stage = Stage::new();
    stage.succeed(&SVC);
    stage.write("copilot/api/manifest.yml", &service("two"));
    stage.double.rule(
        Rule::resource(STACK, "Service", "UPDATE")
            .fails("it does not get well")
            .times(1),
    );
    let said = stage.fail(&and(&SVC, &["--no-rollback"]));
    said.holds(&["it does not get well", "rollback-stack", "CFNExecutionRole"]);
    assert_eq!(stage.status(STACK), "UPDATE_FAILED");
    // CloudFormation takes nothing else from there.
    stage.fail(&SVC).holds(&["UPDATE_FAILED", "--no-rollback"]);
    stage.write("copilot/api/manifest.yml", &service("three"));
    stage.succeed(&and(&SVC, &["--no-rollback"]));
    assert_eq!(stage.status(STACK), "UPDATE_COMPLETE");
}

#[test]
fn resource_tags_are_the_stacks_beside_those_of_copilot() {
    let stage = Stage::new();
    stage.succeed(&and(&SVC, &["--resource-tags", "team=shop,cost=7"]));
    let tags = stage.double.stack_tags(STACK);
    for (key, value) in [
        ("team", "shop"),
        ("cost", "7"),
        ("copilot-application", "shop"),
        ("copilot-environment", "test"),
        ("copilot-service", "api"),
    ] {
        assert!(
            tags.contains(&(key.to_owned(), value.to_owned())),
            "{tags:?}"
        );
    }
    let said = stage.run(&and(&SVC, &["--resource-tags", "broken"]));
    assert_ne!(said.code, Some(0));
    said.holds(&["broken"]);
}

#[test]
fn what_is_missing_is_chosen_when_there_is_only_one() {
    let mut application = Application::new("lone", "only").workload("api", "Backend Service");
    application.environments = vec![Environment::new("only")];
    let stage = Stage::of(Options::default(), &application);
    stage.write("copilot/.workspace", "application: lone\n");
    stage.write("copilot/api/manifest.yml", &service("one"));
    stage
        .succeed(&["svc", "deploy", "--yes"])
        .holds(&["Deployed service api."]);
    assert_eq!(stage.status("lone-only-api"), "CREATE_COMPLETE");
    let stage = Stage::new();
    // Two services, and nobody there to ask.
    stage
        .fail(&["svc", "deploy", "-e", "test", "--yes"])
        .holds(&["--name"]);
}
