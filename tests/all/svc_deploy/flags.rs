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

const JOB: [&str; 7] = ["job", "deploy", "-n", "report", "-e", "test", "--yes"];
const JOBS_STACK: &str = "shop-test-report";

fn job(schedule: &str) -> String {
    format!(
        "name: report\ntype: Scheduled Job\nimage:\n  location: {}\non:\n  schedule: '{schedule}'\ncpu: 256\nmemory: 512\n",
        super::IMAGE
    )
}

const NEWER: &str =
    "Metadata: { Version: v99.0.0 }\nResources: { LogGroup: { Type: AWS::Logs::LogGroup } }\n";

fn tagged(stage: &Stage, stack: &str, key: &str, value: &str) -> bool {
    let tags = stage.double.stack_tags(stack);
    tags.contains(&(key.to_owned(), value.to_owned()))
}

#[test]
fn job_deploy_has_them_all() {
    let stage = Stage::new();
    stage
        .double
        .create_stack(JOBS_STACK, NEWER, &[], &[])
        .unwrap();
    stage.fail(&JOB).holds(&["v99.0.0", "--allow-downgrade"]);
    stage
        .succeed(&and(
            &JOB,
            &[
                "--allow-downgrade",
                "--resource-tags",
                "team=shop",
                "-a",
                "shop",
            ],
        ))
        .holds(&["Deployed report."]);
    assert!(tagged(&stage, JOBS_STACK, "team", "shop"));
    stage
        .fail(&and(&JOB, &["--app", "nobody"]))
        .holds(&["nobody", "hint: "]);

    stage.write("copilot/report/manifest.yml", &job("@weekly"));
    let shown = stage.run(&["job", "deploy", "-n", "report", "-e", "test", "--diff"]);
    shown.holds(&["Schedule", "--diff-yes"]);
    assert_eq!(shown.code, Some(1), "nobody answers: {shown}");
    let said = stage.succeed(&[
        "job",
        "deploy",
        "--name",
        "report",
        "--env",
        "test",
        "--diff",
        "--diff-yes",
        "--resource-tags",
        "team=shop",
    ]);
    said.holds(&["Schedule", "Deployed report."]);

    // A job has no tasks that could be started anew.
    stage.succeed(&and(&JOB, &["--force", "--resource-tags", "team=shop"]));
    assert_eq!(stage.double.count("ecs", "UpdateService"), 0);

    stage.write("copilot/report/manifest.yml", &job("@daily"));
    stage.double.rule(
        Rule::resource(JOBS_STACK, "Rule", "UPDATE")
            .fails("no")
            .times(1),
    );
    stage
        .fail(&and(&JOB, &["--no-rollback"]))
        .holds(&["UPDATE_FAILED", "rollback-stack"]);
    stage.write("copilot/report/manifest.yml", &job("@hourly"));
    stage
        .double
        .rule(Rule::resource(JOBS_STACK, "Rule", "UPDATE").delayed(Duration::from_secs(5)));
    stage
        .succeed(&and(&JOB, &["--no-rollback", "--detach"]))
        .holds(&["goes on without plimsoll; watch it: `aws cloudformation describe-stack-events --stack-name shop-test-report"]);
    assert_eq!(stage.status(JOBS_STACK), "UPDATE_IN_PROGRESS");
    assert_eq!(
        stage.double.wait(JOBS_STACK, PATIENCE).unwrap(),
        "UPDATE_COMPLETE"
    );
}

#[test]
fn deploy_has_them_all() {
    let stage = Stage::new();
    let deploy = ["deploy", "-e", "test", "--yes"];
    let both = and(&deploy, &["-n", "report,api/1"]);
    stage.double.create_stack(STACK, NEWER, &[], &[]).unwrap();
    stage.fail(&both).holds(&["v99.0.0", "--allow-downgrade"]);
    assert_eq!(stage.status(JOBS_STACK), "");
    stage
        .succeed(&and(
            &both,
            &["--allow-downgrade", "--resource-tags", "team=shop,cost=7"],
        ))
        .holds(&["Deployed service api.", "Deployed report."]);
    for stack in [STACK, JOBS_STACK] {
        assert!(tagged(&stage, stack, "team", "shop") && tagged(&stage, stack, "cost", "7"));
    }
    stage
        .fail(&and(&both, &["-a", "nobody"]))
        .holds(&["nobody", "hint: "]);
    let tags = ["--resource-tags", "team=shop,cost=7"];
    let both = and(&both, &tags);

    // Services start anew, jobs have nothing to start.
    stage.succeed(&and(&both, &["--force"]));
    assert_eq!(stage.double.count("ecs", "UpdateService"), 1);

    stage.write("copilot/api/manifest.yml", &service("two"));
    let without = [
        "deploy",
        "-e",
        "test",
        "-n",
        "api",
        "--resource-tags",
        "team=shop,cost=7",
    ];
    let shown = stage.run(&and(&without, &["--diff"]));
    shown.holds(&["one -> two", "--diff-yes"]);
    assert_eq!(shown.code, Some(1), "nobody answers: {shown}");
    stage
        .succeed(&and(&without, &["--diff-yes"]))
        .holds(&["one -> two", "Deployed service api."]);

    stage.write("copilot/api/manifest.yml", &service("three"));
    stage.double.rule(
        Rule::resource(STACK, "Service", "UPDATE")
            .fails("no")
            .times(1),
    );
    stage
        .fail(&and(&both, &["--no-rollback"]))
        .holds(&["UPDATE_FAILED", "rollback-stack"]);
    stage.write("copilot/api/manifest.yml", &service("four"));
    stage
        .double
        .rule(Rule::resource(STACK, "TaskDefinition", "UPDATE").delayed(Duration::from_secs(5)));
    stage
        .succeed(&and(&both, &["--no-rollback", "--detach"]))
        .holds(&["goes on without plimsoll"]);
    assert_eq!(stage.status(STACK), "UPDATE_IN_PROGRESS");
    stage.double.wait(STACK, PATIENCE).unwrap();
    stage
        .fail(&["deploy", "-n", "nobody", "-e", "test", "--yes"])
        .holds(&["nobody", "hint: "]);
}

#[test]
fn help_is_printed_by_every_command_and_a_wrong_line_ends_with_2() {
    let stage = Stage::new();
    for command in [
        &["svc", "deploy"][..],
        &["job", "deploy"],
        &["deploy"],
        &["svc", "package"],
        &["job", "package"],
        &["copilot", "svc", "deploy"],
        &["copilot", "deploy"],
    ] {
        for help in ["-h", "--help"] {
            stage
                .succeed(&and(command, &[help]))
                .holds(&["--env <NAME>", "--tag <TAG>"]);
        }
        let said = stage.run(&and(command, &["--no-such-flag"]));
        assert_eq!(said.code, Some(2), "{said}");
    }
    assert_eq!(stage.double.requests().len(), 0);
}

#[test]
fn as_copilot_it_goes_on_without_a_yes_and_ends_with_copilots_codes() {
    let stage = Stage::new();
    let link = stage.home.path().join("copilot");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_plimsoll"), &link).unwrap();
    let copilot = |words: &[&str]| {
        let mut command = crate::support::plimsoll_at(&link, stage.home.path(), &stage.workspace);
        command
            .args(words)
            .envs(stage.double.environment())
            .stdin(std::process::Stdio::null());
        let said = super::said(command);
        stage.shows_no_secret(&said);
        said
    };
    let ends = |code: i32, words: &[&str]| {
        let said = copilot(words);
        assert_eq!(said.code, Some(code), "{words:?}: {said}");
        said
    };
    let svc = ["svc", "deploy", "--name", "api", "--env", "test"];
    let package = ["svc", "package", "-n", "api", "-e", "test", "--diff"];
    ends(1, &package).holds(&["+ Resources:"]);
    ends(0, &svc).holds(&["Deployed service api."]);
    ends(0, &svc).holds(&["No changes"]);
    ends(0, &package).holds(&["No changes.\n"]);
    stage.write("copilot/api/manifest.yml", &service("two"));
    ends(1, &package).holds(&["one -> two"]);
    ends(
        2,
        &["svc", "package", "-n", "api", "-e", "nowhere", "--diff"],
    );
    // Without a terminal nobody can be asked, which `--diff-yes` is for.
    ends(1, &and(&svc, &["--diff"])).holds(&["--diff-yes"]);
    ends(0, &and(&svc, &["--diff", "--diff-yes"])).holds(&["one -> two", "Deployed service api."]);
    ends(0, &["job", "deploy", "-n", "report", "-e", "test"]).holds(&["Deployed report."]);
    ends(0, &["deploy", "-n", "web", "-e", "test"]).holds(&["Deployed service web."]);
    ends(1, &["svc", "deploy", "-n", "nobody", "-e", "test"]);
}

/// The page of `svc deploy`, of Copilot and of ours, has this example.
#[test]
fn the_difference_is_that_of_the_documentation() {
    let stage = Stage::new();
    let manifest = |variables: &str| format!("{}{variables}", service("one"));
    stage.succeed(&SVC);
    stage.write("copilot/api/manifest.yml", &manifest("  LOG_LEVEL: info\n"));
    let said = stage.run(&["svc", "deploy", "-n", "api", "-e", "test", "--diff"]);
    let (_, after) = said.stdout.split_once("~ Resources:").unwrap();
    let shown = format!("~ Resources:{after}");
    let page = std::fs::read_to_string(lab::cargo::workspace().join("docs/commands/svc-deploy.md"));
    let page = page.unwrap();
    let (_, example) = page.split_once("$ plimsoll svc deploy --diff\n").unwrap();
    let (example, _) = example.split_once("\n\n").unwrap();
    // There are other variables here.
    let others = |text: &str| {
        let lines = text
            .lines()
            .filter(|line| !line.contains(" unchanged item"));
        lines.map(str::to_owned).collect::<Vec<_>>().join("\n")
    };
    let (shown, example) = (others(&shown), others(example));
    assert!(
        shown.contains(&example.replace("\"info\"", "info")) || shown.contains(&example),
        "{shown}\n---\n{example}"
    );
}
