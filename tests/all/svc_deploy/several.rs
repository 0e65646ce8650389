//! `deploy` of several workloads: planned and approved together, deployed group by group.

use std::time::Duration;

use aws_double::{Request, Rule};

use super::{Stage, service};

const ALL: [&str; 6] = ["deploy", "-n", "api", "-n", "report", "-e"];

fn executions(stage: &Stage) -> Vec<Request> {
    let requests = stage.double.requests();
    let executed = requests
        .into_iter()
        .filter(|it| it.action == "ExecuteChangeSet");
    executed.collect()
}

#[test]
fn all_are_shown_before_the_one_question() {
    let stage = Stage::new();
    let said = stage.fail(&[&ALL[..], &["test"]].concat());
    said.holds(&[
        "Will deploy 2 workloads in the following order.",
        "api\nChanges\n",
        "\nreport\nChanges\n",
        "shop-test-api",
        "shop-test-report",
        "approve it with --yes; nothing was changed",
    ]);
    let asked = said.stderr.matches("nobody is there to approve").count();
    assert_eq!((asked, executions(&stage).len()), (1, 0), "{said}");
}

#[test]
fn what_stands_against_any_of_them_is_told_at_once_and_none_is_deployed() {
    let stage = Stage::new();
    stage.write(
        "copilot/api/manifest.yml",
        &service("one").replace("cpu: 256", "cpu: none"),
    );
    let report = "name: report\ntype: Scheduled Job\nimage: {location: x}\non: {schedule: never}\n";
    stage.write("copilot/report/manifest.yml", report);
    let said = stage.fail(&["deploy", "--all", "-e", "test", "--yes"]);
    said.holds(&[
        "copilot/api/manifest.yml:6:",
        "copilot/report/manifest.yml:4:",
        "errors in the project's files; nothing was changed",
    ]);
    assert!(executions(&stage).is_empty(), "{said}");
}

#[test]
fn those_of_a_group_are_deployed_at_the_same_time_and_groups_one_after_the_other() {
    let stage = Stage::new();
    for stack in ["shop-test-api", "shop-test-report"] {
        let slow = Rule::resource(stack, "TaskRole", "CREATE").delayed(Duration::from_secs(6));
        stage.double.rule(slow);
    }
    let said = stage.succeed(&[
        "deploy", "-n", "web/2", "-n", "api/1", "-n", "report/1", "-e", "test", "--yes",
    ]);
    said.holds(&[
        "1. api, report\n2. web",
        "Deployed service api.",
        "Deployed report.",
        "Deployed service web.",
    ]);
    let begun: Vec<Duration> = executions(&stage).iter().map(|it| it.begun).collect();
    let [first, second, third] = begun.as_slice() else {
        panic!("{begun:?}")
    };
    assert!(*second - *first < Duration::from_secs(6), "{begun:?}");
    assert!(*third - *second >= Duration::from_secs(5), "{begun:?}");
    let again = stage.succeed(&["deploy", "--all", "-e", "test", "--yes"]);
    assert_eq!(again.stdout.matches("No changes: ").count(), 3, "{again}");
}

#[test]
fn a_failure_stops_the_next_group_and_says_how_to_go_on() {
    let stage = Stage::new();
    let broken = Rule::resource("shop-test-api", "Service", "CREATE");
    stage
        .double
        .rule(broken.fails("it does not get well").times(1));
    let words = [
        "deploy", "-n", "api/1", "-n", "web/1", "-n", "report/2", "-e", "test", "--tag", "v7",
        "--yes",
    ];
    let said = stage.fail(&words);
    said.holds(&[
        "api: ",
        "it does not get well",
        "deployed: web; not begun: report",
        "hint: then go on with `plimsoll deploy -n api/1 -n report/2 --env test --tag v7`",
        "Deployed service web.",
    ]);
    assert_eq!(stage.status("shop-test-web"), "CREATE_COMPLETE", "{said}");
    assert_eq!(stage.status("shop-test-report"), "", "{said}");
    let said = stage.succeed(&[
        "deploy", "-n", "api/1", "-n", "report/2", "--env", "test", "--tag", "v7", "--yes",
    ]);
    said.holds(&["Deployed service api.", "Deployed report."]);
}
