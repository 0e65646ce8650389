//! Copilot's workspaces without AWS: what `svc package`, `template diff` and `explain` print and how they end.

use std::process::{Command, Output};

use crate::support::Folder;

const FACTS: &str = r#"{
  "schema": 1,
  "application": {"name": "shop"},
  "environment": {"name": "test", "account_id": "111122223333", "region": "eu-west-1", "version": "v1.42.0",
    "features": ["ALBWorkloads", "Aliases", "InternalALBWorkloads", "NATWorkloads", "EFSWorkloads"],
    "service_discovery_endpoint": "test.shop.local", "manifest": {"name": "test", "type": "Environment"}},
  "artifacts": {"bucket": "artifacts", "kms_key_arn": "arn:aws:kms:eu-west-1:111122223333:key/1"},
  "template_version": "v1.29.0", "unique_id": "5a1f0c3e-7b52-4d1c-9a6e-2f4b8c0d1e37",
  "images": {"api": {"repository": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/shop/api", "tag": "v1", "digest": "sha256:0"}},
  "custom_resources": {
    "EnvControllerFunction": "https://artifacts.s3.eu-west-1.amazonaws.com/env.zip",
    "RulePriorityFunction": "https://artifacts.s3.eu-west-1.amazonaws.com/rule.zip",
    "DynamicDesiredCountFunction": "https://artifacts.s3.eu-west-1.amazonaws.com/count.zip"}
}"#;

const MANIFEST: &str = "name: api
type: Load Balanced Web Service
image:
  build: api/Dockerfile
  port: 8080
http:
  path: /
cpu: 256
memory: 512
count: 2
environments:
  test:
    count: 3
";

struct Workspace(Folder);

impl Workspace {
    fn new(manifest: &str) -> Self {
        let folder = Folder::new();
        folder.write("shop/copilot/.workspace", "application: shop\n");
        folder.write("shop/copilot/api/manifest.yml", manifest);
        folder.write("shop/facts.json", FACTS);
        Self(folder)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_plimsoll"))
            .args(arguments)
            .current_dir(self.0.path().join("shop"))
            .env_clear()
            .env("HOME", self.0.path())
            .env(
                "XDG_CACHE_HOME",
                std::env::temp_dir().join("plimsoll-test-cache"),
            )
            .output()
            .unwrap()
    }

    /// Standard output of a run that must end with this code.
    fn prints(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Standard error of a run that must end with this code.
    fn says(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        said
    }
}

const PACKAGE: &[&str] = &[
    "svc",
    "package",
    "-n",
    "api",
    "-e",
    "test",
    "--facts",
    "facts.json",
];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [PACKAGE, more].concat()
}

#[test]
fn a_template_is_the_same_every_time_and_its_files_are_named_as_copilots() {
    let workspace = Workspace::new(MANIFEST);
    let template = workspace.prints(0, PACKAGE);
    assert!(
        template.contains("AWS::ECS::TaskDefinition")
            && template.starts_with("AWSTemplateFormatVersion")
    );
    assert_eq!(workspace.prints(0, PACKAGE), template);
    assert_eq!(
        workspace.prints(0, &["svc", "package", "--facts", "facts.json"]),
        template,
        "the only workload, and the facts' environment"
    );
    workspace.prints(0, &with(&["--output-dir", "out", "--tag", "v2"]));
    let out = workspace.0.path().join("shop/out");
    assert_eq!(
        std::fs::read_to_string(out.join("api-test.stack.yml")).unwrap(),
        template
    );
    let parameters: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("api-test.params.json")).unwrap())
            .unwrap();
    assert_eq!(
        parameters["Parameters"]["TaskCount"], "3",
        "the environment's own count"
    );
    assert!(
        parameters["Parameters"]["ContainerImage"]
            .as_str()
            .unwrap()
            .ends_with("/shop/api:v2"),
        "{parameters}"
    );
}

#[test]
fn everything_wrong_with_a_manifest_is_said_at_once_with_line_and_caret() {
    let workspace = Workspace::new(
        &MANIFEST
            .replace("port: 8080", "port: many")
            .replace("cpu: 256", "cpu: lots"),
    );
    let said = workspace.says(1, PACKAGE);
    assert!(
        said.contains("--> copilot/api/manifest.yml:5:")
            && said.contains("--> copilot/api/manifest.yml:8:")
            && said.contains('^'),
        "{said}"
    );
    assert!(!workspace.0.path().join("shop/out").exists());
}

#[test]
fn what_copilot_silently_accepts_is_a_warning_and_an_error_when_strict() {
    let workspace = Workspace::new(&format!("{MANIFEST}memmory: 1024\n"));
    let output = workspace.run(PACKAGE);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("warning[") && said.contains("memory"),
        "{said}"
    );
    assert!(workspace.says(1, &with(&["--strict"])).contains("memmory"));
}

#[test]
fn a_difference_is_a_tree_or_collapsed_and_an_exit_code() {
    let workspace = Workspace::new(MANIFEST);
    workspace.0.write("shop/old.yml", "Resources:\n  Table:\n    Type: AWS::DynamoDB::Table\n    Properties:\n      Keys: [a, b, c]\n      Name: !Ref App\n");
    workspace.0.write("shop/new.yml", "Resources:\n  Table:\n    Type: AWS::DynamoDB::Table\n    Properties:\n      Keys: [a, b, d]\n      Name: {Ref: App}\n");
    let tree = workspace.prints(1, &["template", "diff", "old.yml", "new.yml"]);
    assert_eq!(
        tree,
        "~ Resources:\n    ~ Table:\n        ~ Properties:\n            ~ Keys:\n                (2 unchanged items)\n                ~ - c -> d\n"
    );
    let collapsed = workspace.prints(
        1,
        &[
            "template",
            "diff",
            "--style",
            "collapsed",
            "old.yml",
            "new.yml",
        ],
    );
    assert!(
        collapsed.starts_with("~ Resources/Table/Properties/Keys:"),
        "{collapsed}"
    );
    assert_eq!(
        workspace.prints(0, &["template", "diff", "old.yml", "old.yml"]),
        ""
    );
    let json: serde_json::Value = serde_json::from_str(
        &workspace.prints(1, &["template", "diff", "--json", "old.yml", "new.yml"]),
    )
    .unwrap();
    assert_eq!(
        json["changes"][0]["pointer"], "/Resources/Table/Properties/Keys/2",
        "{json}"
    );
    workspace.0.write("shop/broken.yml", "a: [\n");
    assert!(
        workspace
            .says(2, &["template", "diff", "old.yml", "broken.yml"])
            .contains("line")
    );
    assert!(
        workspace
            .says(2, &["template", "diff", "old.yml", "missing.yml"])
            .contains("missing.yml")
    );
}

#[test]
fn the_difference_to_what_is_deployed_needs_to_know_it() {
    let workspace = Workspace::new(MANIFEST);
    assert!(
        workspace
            .says(2, &with(&["--diff"]))
            .contains("what is deployed is not known")
    );
    let template = workspace.prints(0, PACKAGE);
    let deployed = |template: &str, image: &str| {
        let mut facts: serde_json::Value = serde_json::from_str(FACTS).unwrap();
        workspace.prints(0, &with(&["--output-dir", "out"]));
        let parameters =
            std::fs::read_to_string(workspace.0.path().join("shop/out/api-test.params.json"))
                .unwrap();
        facts["deployed"] = serde_json::json!({"template": template, "parameters-file": parameters.replace("/shop/api:v1", image)});
        workspace.0.write("shop/facts.json", facts.to_string());
        let result = workspace.run(&with(&["--diff"]));
        workspace.0.write("shop/facts.json", FACTS);
        (
            result.status.code(),
            String::from_utf8(result.stdout).unwrap(),
        )
    };
    assert_eq!(
        deployed(&template, "/shop/api:v1"),
        (Some(0), "No changes.\n".to_owned())
    );
    let copilots = template.replace("rendered by plimsoll", "made by Copilot");
    assert_eq!(
        deployed(&copilots, "/shop/api:v1").0,
        Some(0),
        "words that are deployed stay"
    );
    let (code, shown) = deployed(
        &template.replace("DesiredCount", "DesiredCnt"),
        "/shop/api:v1",
    );
    assert!(code == Some(1) && shown.contains("DesiredCount"), "{shown}");
    let (code, shown) = deployed(&template, "/shop/api:v0");
    assert!(
        code == Some(1) && shown.contains("ContainerImage") && shown.contains("v0"),
        "what Copilot never shows: {shown}"
    );
    let mut facts: serde_json::Value = serde_json::from_str(FACTS).unwrap();
    facts["deployed"] =
        serde_json::json!({"template": template.replace("DesiredCount", "DesiredCnt")});
    workspace.0.write("shop/facts.json", facts.to_string());
    let printed = workspace.prints(1, &with(&["--diff", "--json"]));
    let json: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let pointers = json["changes"].as_array().unwrap().iter();
    assert!(
        pointers
            .clone()
            .any(|change| change["pointer"] == "/Resources/Service/Properties/DesiredCount"),
        "{json}"
    );
    assert!(workspace.says(2, &with(&["--json"])).contains("--diff"));
}

#[test]
fn explain_names_the_manifest_line_of_a_property() {
    let workspace = Workspace::new(MANIFEST);
    let explained = workspace.prints(
        0,
        &[
            "explain",
            "TaskDefinition",
            "-n",
            "api",
            "-e",
            "test",
            "--facts",
            "facts.json",
        ],
    );
    assert!(
        explained.contains("copilot/api/manifest.yml:"),
        "{explained}"
    );
    let explain = |code, what| {
        let words = ["explain", what, "--facts", "facts.json"];
        match code {
            0 => workspace.prints(0, &words),
            code => workspace.says(code, &words),
        }
    };
    for (what, line) in [
        ("Service/Properties/DesiredCount", ":13:"),
        ("/Resources/TaskDefinition/Properties/Cpu", "manifest.yml:"),
        // What no line of its own made is explained by what is around it.
        (
            "TaskDefinition/Properties/ContainerDefinitions/0/Name",
            "manifest.yml:",
        ),
    ] {
        let explained = explain(0, what);
        assert!(explained.contains(line), "{what}: {explained}");
    }
    for (what, why) in [
        ("Nothing", "nothing in the template is called `Nothing`"),
        ("Servise", "hint: did you mean `Service`?"),
        (
            "Service/Properties/Nope",
            "called `Service/Properties/Nope`",
        ),
    ] {
        let refused = explain(1, what);
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn what_is_missing_is_asked_for_with_the_cure() {
    let workspace = Workspace::new(MANIFEST);
    let nowhere = workspace.says(1, &["svc", "package", "-n", "api", "-e", "test"]);
    assert!(
        nowhere.contains("hint: set AWS_REGION") && nowhere.contains("--facts FILE"),
        "{nowhere}"
    );
    assert!(
        workspace
            .says(2, &with(&["--upload-assets"]))
            .contains("cannot be used with")
    );
    assert!(
        workspace
            .says(1, &["job", "package", "--facts", "facts.json"])
            .contains("use `svc package`")
    );
    assert!(
        workspace
            .says(1, &with(&["-a", "other"]))
            .contains("about application `shop`, not `other`")
    );
    assert!(
        workspace
            .says(1, &["svc", "package", "-n", "web", "--facts", "facts.json"])
            .contains("it has api")
    );
    workspace.0.write("shop/facts.json", "{\n  \"schema\": }");
    assert!(workspace.says(1, PACKAGE).contains("line 2, column 13"));
}
