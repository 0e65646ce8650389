//! Every claim about grants and promised effects on AWS, with a driver that tries to break it.

use plimsoll::capability::Stage;
use plimsoll::wit::types::Effect;
use serde_json::{Value as Json, json};

use super::{Account, document};
use crate::hostile::{HostileDriver, promise, promised};
use crate::support::{TestRun, sha256};

const TEMPLATE: &str = "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n";

async fn apply(account: &Account, test: &TestRun, promises: &[Effect], calls: Json) -> Vec<String> {
    test.run().approve(&[
        document("stack/api", TEMPLATE),
        document("parameters/api", r#"{"Parameters":{},"Tags":{"team":"a"}}"#),
    ]);
    let grants = account.grants(&["env/api.env".to_owned()]);
    let session = test.session(grants, promised(promises));
    HostileDriver::of_aws(test).apply(session, calls).await
}

async fn observe(account: &Account, test: &TestRun, calls: Json) -> Vec<String> {
    let session = test.session(account.grants(&[]), Stage::Reading);
    HostileDriver::of_aws(test).observe(session, calls).await
}

#[tokio::test(flavor = "multi_thread")]
async fn on_aws_nothing_can_be_changed_while_observing() {
    let account = Account::new();
    let test = account.run().await;
    let bucket = &account.bucket;
    let results = observe(
        &account,
        &test,
        json!([
            {"do": "create", "stack": "demo-test-api", "effect": "e", "name": "c", "template": "https://x", "inputs": "parameters/api"},
            {"do": "execute", "stack": "demo-test-api", "effect": "e", "name": "c"},
            {"do": "delete", "stack": "demo-test-api", "effect": "e"},
            {"do": "cancel", "stack": "demo-test-api", "effect": "e"},
            {"do": "put", "effect": "e", "bucket": bucket, "key": "manual/addons/api/x.yml", "document": "stack/api"},
        ]),
    )
    .await;
    assert_eq!(results.len(), 5);
    for result in results {
        assert!(
            result.contains("nothing may be changed while planning"),
            "{result}"
        );
    }
    assert_eq!(account.double.count("cloudformation", "CreateChangeSet"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_stack_bucket_key_role_file_or_log_is_refused_before_aws_hears_of_it() {
    let account = Account::new();
    let test = account.run().await;
    let bucket = &account.bucket;
    let admin = "arn:aws:iam::1:role/Admin";
    let cases = json!([
        {"do": "describe", "stack": "demo-test-web"},
        {"do": "delete", "stack": "demo-test", "effect": "e"},
        {"do": "execute", "stack": "demo-test", "effect": "e", "name": "c"},
        {"do": "create", "stack": "demo-test-api", "effect": "e", "name": "c", "template": "https://x", "inputs": "parameters/api", "role": admin},
        {"do": "delete", "stack": "demo-test-api", "effect": "e", "role": admin},
        {"do": "put", "effect": "e", "bucket": "another-bucket", "key": "manual/addons/api/x.yml", "document": "stack/api"},
        {"do": "put", "effect": "e", "bucket": bucket, "key": "manual/addons/web/x.yml", "document": "stack/api"},
        {"do": "put", "effect": "e", "bucket": bucket, "key": "manual/addons/api/../web/x.yml", "document": "stack/api"},
        {"do": "put", "effect": "e", "bucket": bucket, "key": "manual/env-files/x.env", "file": ".env"},
        {"do": "put", "effect": "e", "bucket": bucket, "key": "manual/env-files/x.env", "file": "env/../.env"},
        {"do": "put", "effect": "e", "bucket": bucket, "key": "manual/addons/api/assets/x", "archive": "env"},
        {"do": "put", "effect": "e", "bucket": bucket, "key": "manual/addons/api/assets/x", "archive": "."},
        {"do": "service", "stack": "demo-test-web", "resource": "Service"},
        {"do": "logs", "group": "/copilot/demo-test-web"},
    ]);
    account.double.forget_requests();
    let results = apply(&account, &test, &[], cases).await;
    assert_eq!(results.len(), 14);
    for result in &results {
        assert!(
            result.contains("Denied") && result.contains("grants.aws."),
            "{result}"
        );
    }
    assert!(
        account.double.requests().is_empty(),
        "{:?}",
        account.double.requests()
    );
    let denied = test.journal();
    assert_eq!(
        denied
            .iter()
            .filter(|entry| entry["kind"] == "denied")
            .count(),
        14
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_account_or_region_is_refused_altogether() {
    let account = Account::new();
    let test = account.run().await;
    let mut grants = account.grants(&[]);
    grants.aws.regions = vec![plimsoll::grant::NamePattern::exact("us-east-1")];
    let session = test.session(grants, Stage::Reading);
    let calls = json!([{"do": "describe", "stack": "demo-test-api"}]);
    let body = HostileDriver::of_aws(&test)
        .observe(session, calls)
        .await
        .concat();
    assert!(body.contains("region") && body.contains("Denied"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_aws_only_what_was_promised_is_done_and_only_once() {
    let account = Account::new();
    let test = account.run().await;
    let (bucket, role) = (&account.bucket, account.role());
    let key = "manual/templates/demo-test-api/{sha256}.yml";
    let object = |key: &str, address: &str| json!({"object": {"bucket": bucket, "key": key, "source": {"document": address}, "content-type": null}});
    let digest = sha256(TEMPLATE.as_bytes());
    let url = format!(
        "https://{bucket}.s3.{}.amazonaws.com/manual/templates/demo-test-api/{digest}.yml",
        account.double.region()
    );
    let change_set = |template: &str, inputs: &str, role: &str| json!({"input": {"name": "c", "kind": "create", "template": template, "inputs": inputs, "capabilities": ["CAPABILITY_IAM"], "role": role}});
    let stack = "demo-test-api";
    let promises = [
        promise("put", "s3.put", bucket, object(key, "stack/api")),
        promise(
            "create",
            "cloudformation.create-change-set",
            stack,
            change_set(&url, "parameters/api", &role),
        ),
        promise(
            "execute",
            "cloudformation.execute-change-set",
            stack,
            json!({"name": "c", "rollback": true}),
        ),
        promise(
            "delete",
            "cloudformation.delete",
            stack,
            json!({"role": role}),
        ),
        promise("stranger", "s3.put", bucket, object(key, "stack/web")),
        promise(
            "digest",
            "s3.put",
            bucket,
            object(&format!("local-assets/{}", "0".repeat(64)), "stack/api"),
        ),
    ];
    let create = |effect: &str, template: &str, inputs: &str| json!({"do": "create", "stack": stack, "effect": effect, "name": "c", "template": template, "inputs": inputs, "role": role});
    let results = apply(
        &account,
        &test,
        &promises,
        json!([
            // What was not promised, or otherwise.
            {"do": "execute", "stack": stack, "effect": "unpromised", "name": "c"},
            {"do": "put", "effect": "put", "bucket": bucket, "key": key, "document": "parameters/api"},
            create("create", "https://elsewhere.s3.eu-west-1.amazonaws.com/evil.yml", "parameters/api"),
            create("create", &url, "parameters/other"),
            {"do": "execute", "stack": stack, "effect": "execute", "name": "another"},
            {"do": "execute", "stack": stack, "effect": "execute", "name": "c", "rollback": false},
            // A document that is not of the approved plan, and content that is not what its key says.
            {"do": "put", "effect": "stranger", "bucket": bucket, "key": key, "document": "stack/web"},
            {"do": "put", "effect": "digest", "bucket": bucket, "key": format!("local-assets/{}", "0".repeat(64)), "document": "stack/api"},
            // As promised, and once more.
            {"do": "put", "effect": "put", "bucket": bucket, "key": key, "document": "stack/api"},
            {"do": "put", "effect": "put", "bucket": bucket, "key": key, "document": "stack/api"},
            create("create", &url, "parameters/api"),
        ]),
    )
    .await;
    for (result, expected) in results.iter().zip([
        "effect `unpromised` is not in the approved plan",
        "/object/source/document was",
        "/input/template was",
        "/input/inputs was",
        "/name was",
        "/rollback was",
        "document `stack/web` is not in the approved plan",
        "is named for content with the digest",
        &format!("done: {url}"),
        "effect `put` was used before",
        "done: ok",
    ]) {
        assert!(result.contains(expected), "{result}\nexpected {expected}");
    }
    let found = account.double.count("cloudformation", "CreateChangeSet");
    assert_eq!(found, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_that_once_worked_is_not_deleted_whatever_was_approved() {
    let account = Account::new();
    let made = account
        .double
        .create_stack("demo-test-api", TEMPLATE, &[], &[])
        .unwrap();
    assert_eq!(made, "CREATE_COMPLETE");
    let test = account.run().await;
    let role = account.role();
    let promises = [promise(
        "delete",
        "cloudformation.delete",
        "demo-test-api",
        json!({"role": role}),
    )];
    let calls =
        json!([{"do": "delete", "stack": "demo-test-api", "effect": "delete", "role": role}]);
    let results = apply(&account, &test, &promises, calls).await;
    assert!(results[0].contains("it worked once"), "{results:?}");
    assert_eq!(
        account.double.stack_status("demo-test-api").as_deref(),
        Some("CREATE_COMPLETE")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_of_others_is_not_reached_by_way_of_one_that_is_granted() {
    let account = Account::new();
    account
        .double
        .create_stack("demo-test-api", TEMPLATE, &[], &[])
        .unwrap();
    let test = account.run().await;
    let calls = json!([
        {"do": "nested", "stack": "demo-test-api", "effect": "e", "id": "demo-test"},
        {"do": "nested", "stack": "demo-test-api", "effect": "e", "id": "demo-infrastructure-roles"},
        {"do": "service", "stack": "demo-test-api", "resource": "Topic"},
    ]);
    let results = observe(&account, &test, calls).await;
    assert!(results[0].contains("is not part of stack"), "{results:?}");
    assert!(results[1].contains("is not part of stack"), "{results:?}");
    assert!(
        results[2].contains("is a AWS::SNS::Topic, not a service"),
        "{results:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_is_what_its_key_says_and_never_leads_out_of_the_project() {
    let account = Account::new();
    let test = account.run().await;
    let project = test.run().project.clone();
    std::fs::create_dir_all(project.join("env")).unwrap();
    std::fs::write(project.join("env/api.env"), "A=1\n").unwrap();
    let bucket = &account.bucket;
    let object = |key: &str| json!({"object": {"bucket": bucket, "key": key, "source": {"archive": "env/api.env"}, "content-type": null}});
    let key = |digest: &str| format!("manual/addons/api/assets/{digest}");
    let digest = sha256(b"api.env -rw-r--r--A=1\n");
    let right = key(&digest);
    let wrong = key(&sha256(b"A=1\n"));
    let promises = ["right", "wrong", "linked"].map(|id| {
        let key = if id == "wrong" { &wrong } else { &right };
        promise(id, "s3.put", bucket, object(key))
    });
    let put = |effect: &str, key: &str| json!({"do": "put", "effect": effect, "bucket": bucket, "key": key, "archive": "env/api.env"});
    let calls = json!([put("wrong", &wrong), put("right", &right)]);
    let results = apply(&account, &test, &promises, calls).await;
    assert!(
        results[0].contains("is named for content with the digest"),
        "{results:?}"
    );
    assert!(
        results[1].contains(&format!("done: https://{bucket}")),
        "{results:?}"
    );
    // What the name leads to by now is another file.
    std::fs::remove_file(project.join("env/api.env")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", project.join("env/api.env")).unwrap();
    let calls = json!([put("linked", &right)]);
    let results = apply(&account, &test, &promises, calls).await;
    assert!(
        results[0].contains("is outside of the project"),
        "{results:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_code_of_a_function_is_uploaded_under_its_own_key_alone() {
    let account = Account::new();
    let test = account.run().await;
    let function = &custom_resources::functions("Scheduled Job")[0];
    let bucket = &account.bucket;
    let own = function.key();
    let other = own.replace(function.sha256(), &"0".repeat(64));
    let object = |key: &str| json!({"object": {"bucket": bucket, "key": key, "source": {"function": function.id}, "content-type": null}});
    let promises = [("own", &own), ("other", &other)]
        .map(|(id, key)| promise(id, "s3.put", bucket, object(key)));
    let put = |effect: &str, key: &str| json!({"do": "put", "effect": effect, "bucket": bucket, "key": key, "function": function.id});
    let calls = json!([put("own", &own), put("other", &other)]);
    let results = apply(&account, &test, &promises, calls).await;
    assert!(
        results[0].contains(&format!("done: https://{bucket}")),
        "{results:?}"
    );
    assert!(
        results[1].contains("plimsoll has no code of function"),
        "{results:?}"
    );
}
