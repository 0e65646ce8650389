//! What only some types of workloads have: App Runner, files of a site, queues, stacks in stacks, functions.

use std::time::Duration;

use aws_double::Rule;
use aws_double::seed::Application;
use serde_json::json;

use super::{IMAGE, Stage, service};

/// A workspace with one workload, `it`, and its application.
fn one(kind: &str, manifest: &str) -> Stage {
    let mut application = Application::new("shop", "test").workload("it", kind);
    application.environments = vec![super::with_balancer("test")];
    let stage = Stage::of(aws_double::Options::default(), &application);
    stage.write("copilot/.workspace", "application: shop\n");
    stage.write(
        "copilot/it/manifest.yml",
        &format!("name: it\ntype: {kind}\n{manifest}"),
    );
    stage
}

const SVC: [&str; 7] = ["svc", "deploy", "-n", "it", "-e", "test", "--yes"];
const STACK: &str = "shop-test-it";

fn and<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&SVC[..], more].concat()
}

const RUNNER: &str =
    "image: {location: 'public.ecr.aws/nginx/nginx:1.27', port: 80}\ncpu: 1024\nmemory: 2048\n";

/// App Runner says that a deployment goes like this.
fn runner(stage: &Stage, operation: &str) {
    stage.double.forget_rules();
    let service = json!({"Service": {"ServiceId": "1", "Status": "RUNNING", "CreatedAt": 1.0, "UpdatedAt": 1.0}});
    let begun = json!({"OperationId": "op-2"});
    let operations = json!({"OperationSummaryList": [
        {"Id": "op-2", "Type": "START_DEPLOYMENT", "Status": operation},
        {"Id": "op-1", "Type": "CREATE_SERVICE", "Status": "SUCCEEDED"},
    ]});
    for (action, answer) in [
        ("DescribeService", service),
        ("StartDeployment", begun),
        ("ListOperations", operations),
    ] {
        let rule = Rule::request("apprunner", action);
        stage.double.rule(rule.answered(answer.to_string()));
    }
}

#[test]
fn a_service_of_app_runner_is_deployed_and_started_anew() {
    let stage = one("Request-Driven Web Service", RUNNER);
    stage.succeed(&SVC).holds(&["Deployed service it."]);
    assert_eq!(stage.status(STACK), "CREATE_COMPLETE");
    stage.succeed(&SVC).holds(&["No changes"]);

    runner(&stage, "SUCCEEDED");
    let said = stage.succeed(&and(&["--force"]));
    said.holds(&["Deployed service it."]);
    assert_eq!(
        stage.double.count("apprunner", "StartDeployment"),
        1,
        "{said}"
    );
    assert!(
        stage.double.count("apprunner", "ListOperations") > 0,
        "{said}"
    );

    // App Runner goes back by itself, and runs as if nothing had happened.
    runner(&stage, "ROLLBACK_SUCCEEDED");
    stage.fail(&and(&["--force"])).holds(&[
        "service it could not be deployed again",
        "ROLLBACK_SUCCEEDED",
        "it goes back to the tasks of before",
        "hint: ",
    ]);
}

#[test]
fn a_static_site_uploads_what_changed_and_nothing_else() {
    let stage = one(
        "Static Site",
        "files:\n  - source: ./site\n    recursive: true\n",
    );
    stage.write("site/index.html", "<p>one");
    stage.write("site/about/index.html", "<p>about");
    stage.write("site.txt", "not of the site");
    stage
        .succeed(&SVC)
        .holds(&["Deployed service it.", "cloudfront.net over the internet"]);
    let puts = || {
        let requests = stage.double.requests();
        let put = requests.iter().filter(|it| {
            it.service == "s3"
                && it.action.starts_with("PUT ")
                && it.action.contains("/local-assets/")
        });
        put.map(|it| it.action.clone()).collect::<Vec<_>>()
    };
    // Two files, and the mapping that says where they go.
    assert_eq!(puts().len(), 3, "{:?}", puts());
    stage.double.forget_requests();
    stage.succeed(&SVC).holds(&["No changes"]);
    assert_eq!(puts(), Vec::<String>::new());

    stage.write("site/index.html", "<p>two");
    stage.succeed(&SVC).holds(&["Deployed service it."]);
    assert_eq!(stage.status(STACK), "UPDATE_COMPLETE");
    assert!(
        puts().iter().any(|put| put.contains("/mapping/")),
        "{:?}",
        puts()
    );
    stage
        .fail(&and(&["--force"]))
        .holds(&["--force is not supported for service type \"Static Site\""]);
}

#[test]
fn a_worker_subscribes_to_a_topic_and_says_where_its_queue_is() {
    let mut application = Application::new("shop", "test")
        .workload("it", "Worker Service")
        .workload("api", "Backend Service");
    application.environments = vec![super::with_balancer("test")];
    let stage = Stage::of(aws_double::Options::default(), &application);
    stage.write("copilot/.workspace", "application: shop\n");
    stage.write(
        "copilot/api/manifest.yml",
        &format!(
            "{}publish:\n  topics:\n    - name: orders\n",
            service("one")
        ),
    );
    stage.write(
        "copilot/it/manifest.yml",
        &format!("name: it\ntype: Worker Service\nimage: {{location: '{IMAGE}'}}\ncpu: 256\nmemory: 512\ncount: 1\nsubscribe:\n  topics:\n    - {{name: orders, service: api}}\n"),
    );
    stage
        .succeed(&["svc", "deploy", "-n", "api", "-e", "test", "--yes"])
        .holds(&["COPILOT_SNS_TOPIC_ARNS"]);
    stage
        .succeed(&SVC)
        .holds(&["Deployed service it.", "COPILOT_QUEUE_URI"]);
    stage.succeed(&SVC).holds(&["No changes"]);
}

const ADDON: &str = "Parameters:\n  App: {Type: String}\n  Env: {Type: String}\n  Name: {Type: String}\nResources:\n  Orders:\n    Metadata: {'aws:copilot:description': 'The queue of orders'}\n    Type: AWS::SQS::Queue\nOutputs:\n  OrdersUrl: {Value: !Ref Orders}\n";

fn with_addons() -> Stage {
    let stage = one(
        "Backend Service",
        &format!("image: {{location: '{IMAGE}', port: 80}}\ncpu: 256\nmemory: 512\ncount: 1\n"),
    );
    stage.write("copilot/it/addons/orders.yml", ADDON);
    stage
}

#[test]
fn addons_are_a_stack_of_their_own_whose_resources_are_shown() {
    let stage = with_addons();
    let said = stage.succeed(&SVC);
    said.holds(&[
        "The stack of AddonsStack",
        "The queue of orders",
        "Deployed service it.",
    ]);
    stage.succeed(&SVC).holds(&["No changes"]);

    let more = ADDON.replace(
        "AWS::SQS::Queue",
        "AWS::SQS::Queue\n    Properties: {VisibilityTimeout: 60}",
    );
    stage.write("copilot/it/addons/orders.yml", &more);
    stage
        .succeed(&SVC)
        .holds(&["VisibilityTimeout", "The queue of orders"]);
    assert_eq!(stage.status(STACK), "UPDATE_COMPLETE");
}

#[test]
fn what_fails_in_a_stack_in_a_stack_is_the_cause() {
    let stage = with_addons();
    stage.double.rule(
        Rule::resource("shop-test-it-AddonsStack-*", "Orders", "CREATE")
            .fails("You have too many queues")
            .times(1),
    );
    stage.fail(&SVC).holds(&[
        "AddonsStack/Orders",
        "too many queues",
        "ROLLBACK_COMPLETE",
        "hint: ",
    ]);
    stage.succeed(&SVC).holds(&["Deployed service it."]);
}

/// The key of a function's code in the deployed template.
fn code(stage: &Stage, function: &str) -> String {
    let template = stage.double.stack_template(STACK).unwrap();
    let (_, after) = template
        .split_once(&format!("/{}/", function.to_lowercase()))
        .unwrap();
    after.split(".zip").next().unwrap().to_owned()
}

#[test]
fn a_function_is_replaced_only_when_its_code_changed() {
    const FUNCTION: &str = "EnvControllerFunction";
    let manifest = |text: &str| {
        format!(
            "image: {{location: '{IMAGE}', port: 80}}\ncpu: 256\nmemory: 512\ncount: 1\nvariables: {{A: '{text}'}}\n"
        )
    };
    let stage = one("Backend Service", &manifest("one"));
    stage.succeed(&SVC);
    let ours = code(&stage, FUNCTION);
    let uploads = || {
        let requests = stage.double.requests();
        let scripts = requests.iter().filter(|it| {
            it.service == "s3" && it.action.starts_with("PUT ") && it.action.contains("/scripts/")
        });
        scripts.count()
    };
    assert!(uploads() > 0);

    // Something else changed: neither key nor function, and nothing is uploaded for it.
    stage.double.forget_requests();
    let change = |text: &str| {
        let head = "name: it\ntype: Backend Service\n";
        stage.write(
            "copilot/it/manifest.yml",
            &format!("{head}{}", manifest(text)),
        );
    };
    change("two");
    let said = stage.succeed(&SVC);
    assert_eq!((code(&stage, FUNCTION), uploads()), (ours.clone(), 0));
    said.lacks(&[FUNCTION]);

    // Another tool's code does the same work, and stays what it is.
    let theirs = "0".repeat(64);
    stage.double.rewrite_stack(STACK, &ours, &theirs);
    stage.succeed(&SVC).holds(&["No changes"]);
    change("three");
    stage.succeed(&SVC).holds(&["Deployed service it."]);
    assert_eq!((code(&stage, FUNCTION), uploads()), (theirs, 0));

    // For an older runtime it is ours: that code would not run any more.
    stage
        .double
        .rewrite_stack(STACK, "nodejs20.x", "nodejs16.x");
    stage
        .succeed(&SVC)
        .holds(&["nodejs16.x -> nodejs20.x", "Deployed service it."]);
    assert_eq!(code(&stage, FUNCTION), ours);
    assert!(uploads() > 0);
}

#[test]
fn an_alarm_is_shown_with_its_state() {
    let manifest = format!(
        "image: {{location: '{IMAGE}', port: 80}}\ncpu: 256\nmemory: 512\ncount: 1\ndeployment:\n  rollback_alarms: [too-hot]\n"
    );
    let stage = one("Backend Service", &manifest);
    stage.double.set_task_time(Duration::from_millis(1500));
    stage.double.rule(Rule::request("monitoring", "DescribeAlarms").answered(
        "<DescribeAlarmsResponse><DescribeAlarmsResult><MetricAlarms><member><AlarmName>too-hot</AlarmName><StateValue>OK</StateValue></member></MetricAlarms></DescribeAlarmsResult></DescribeAlarmsResponse>",
    ));
    stage
        .succeed(&SVC)
        .holds(&["Alarms: name too-hot, state [OK]"]);
}
