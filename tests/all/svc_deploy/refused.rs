//! What stops a deploy before anything is built, pushed, uploaded or changed.

use aws_double::Rule;

use super::{IMAGE, Stage};

const SVC: [&str; 7] = ["svc", "deploy", "-n", "api", "-e", "test", "--yes"];

/// Nothing was changed anywhere.
fn nothing_happened(stage: &Stage) {
    for request in stage.double.requests() {
        let is_change = request.service == "s3" && request.action.starts_with("PUT")
            || request.service == "registry"
            || ["Create", "Execute", "Delete", "Update", "Put"]
                .iter()
                .any(|verb| request.action.starts_with(verb));
        assert!(!is_change, "{} {}", request.service, request.action);
    }
}

#[test]
fn without_a_yes_and_without_a_terminal_nothing_is_done() {
    let stage = Stage::new();
    let said = stage.run(&["svc", "deploy", "-n", "api", "-e", "test"]);
    assert_ne!(said.code, Some(0), "{said}");
    said.holds(&["--yes"]);
    nothing_happened(&stage);
}

#[test]
fn everything_that_does_not_exist_is_said_at_once() {
    let stage = Stage::new();
    stage.write(
        "copilot/api/manifest.yml",
        &format!(
            "name: api\ntype: Backend Service\nimage:\n  location: {IMAGE}\n  port: 80\ncpu: 256\nmemory: 512\ncount: 1\nsecrets:\n  ONE: /shop/missing/one\n  TWO: /shop/missing/two\n"
        ),
    );
    let said = stage.fail(&SVC);
    said.holds(&[
        "/shop/missing/one",
        "/shop/missing/two",
        "copilot/api/manifest.yml",
    ]);
    nothing_happened(&stage);
}

#[test]
fn a_topic_that_nobody_publishes_is_named() {
    let stage = Stage::new();
    let record = r#"{"app":"shop","name":"mail","type":"Worker Service"}"#;
    stage
        .double
        .put_parameter("/copilot/applications/shop/components/mail", record)
        .unwrap();
    stage.double.forget_requests();
    stage.write(
        "copilot/mail/manifest.yml",
        &format!(
            "name: mail\ntype: Worker Service\nimage:\n  location: {IMAGE}\ncpu: 256\nmemory: 512\ncount: 1\nsubscribe:\n  topics:\n    - name: orders\n      service: api\n"
        ),
    );
    let said = stage.fail(&["svc", "deploy", "-n", "mail", "-e", "test", "--yes"]);
    said.holds(&["orders"]);
    nothing_happened(&stage);
}

#[test]
fn an_access_that_is_denied_names_who_may_not_do_what() {
    let stage = Stage::new();
    let why = "User: arn:aws:sts::1:assumed-role/x is not authorized to perform: cloudformation:DescribeStacks";
    stage
        .double
        .rule(Rule::request("cloudformation", "DescribeStacks").refused(403, "AccessDenied", why));
    stage.fail(&SVC).holds(&[
        "not authorized to perform: cloudformation:DescribeStacks",
        "hint:",
    ]);
    nothing_happened(&stage);
}

#[test]
fn a_wrong_manifest_is_refused_with_its_line() {
    let stage = Stage::new();
    stage.write(
        "copilot/api/manifest.yml",
        "name: api\ntype: Backend Service\nimage:\n  location: x\n  port: many\n",
    );
    let said = stage.fail(&SVC);
    said.holds(&["copilot/api/manifest.yml:5"]);
    nothing_happened(&stage);
}
