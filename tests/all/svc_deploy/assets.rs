//! What addons refer to: packed, uploaded under Copilot's names, and named in the template instead of the path.

use super::{Said, Stage};
use crate::support::sha256;

const SVC: [&str; 7] = ["svc", "deploy", "-n", "api", "-e", "test", "--yes"];
const PACKAGE: [&str; 7] = [
    "svc",
    "package",
    "-n",
    "api",
    "-e",
    "test",
    "--upload-assets",
];
const ADDON: &str = "Parameters:
  App: {Type: String}
  Env: {Type: String}
  Name: {Type: String}
Resources:
  Hello:
    Type: AWS::Lambda::Function
    Properties:
      Code: lambdas/hello
      Handler: index.handler
      Role: arn:aws:iam::123456789012:role/hello
      Runtime: nodejs20.x
  Job:
    Type: AWS::Glue::Job
    Properties: {Role: r, Command: {Name: glueetl, ScriptLocation: job.py}}
";
const CODE: &str = "exports.handler = async () => 'hello'\n";

fn stage() -> Stage {
    let stage = Stage::new();
    stage.write("copilot/api/addons/hello.yml", ADDON);
    stage.write("lambdas/hello/index.js", CODE);
    stage.write("job.py", "print()\n");
    stage
}

/// Digest of `lambdas/hello` as Copilot counts it.
fn digest(code: &str) -> String {
    sha256(format!("index.js -rw-r--r--{code}").as_bytes())
}

/// Uploads of assets: the last part of their keys.
fn uploaded(stage: &Stage) -> Vec<String> {
    let requests = stage.double.requests();
    let puts = requests
        .iter()
        .filter(|it| it.service == "s3" && it.action.starts_with("PUT"));
    let mut keys: Vec<String> = puts
        .filter_map(|it| it.action.split_once("/manual/addons/api/assets/"))
        .map(|(_, key)| key.split('?').next().unwrap_or_default().to_owned())
        .collect();
    keys.sort();
    keys
}

fn both(code: &str) -> Vec<String> {
    let mut both = vec![digest(code), sha256(b"print()\n")];
    both.sort();
    both
}

#[test]
fn what_an_addon_names_is_uploaded_and_then_there_is_nothing_to_do() {
    let stage = stage();
    let said = stage.succeed(&SVC);
    said.holds(&[
        "upload an archive of lambdas/hello",
        "upload file job.py",
        "Deployed service api.",
    ]);
    assert_eq!(uploaded(&stage), both(CODE), "{said}");
    stage.double.forget_requests();
    stage.succeed(&SVC).holds(&["No changes"]);
    assert!(uploaded(&stage).is_empty());
    // The same code on another day is the same.
    stage.write("lambdas/hello/index.js", CODE);
    stage.succeed(&SVC).holds(&["No changes"]);
    let other = "exports.handler = async () => 'again'\n";
    stage.write("lambdas/hello/index.js", other);
    let said = stage.succeed(&SVC);
    said.holds(&[&digest(CODE), &digest(other), "Deployed service api."]);
    assert_eq!(uploaded(&stage), both(other), "{said}");
}

#[test]
fn package_uploads_only_when_it_is_asked_to() {
    let stage = stage();
    let plain = [
        "svc",
        "package",
        "-n",
        "api",
        "-e",
        "test",
        "--output-dir",
        "out",
    ];
    stage.succeed(&plain);
    let read =
        |name: &str| std::fs::read_to_string(stage.workspace.join("out").join(name)).unwrap();
    assert!(read("api.addons.stack.yml").contains("Code: lambdas/hello"));
    assert!(read("api-test.params.json").contains(r#""AddonsTemplateURL": """#));
    assert!(uploaded(&stage).is_empty());

    let said: Said = stage.succeed(&PACKAGE);
    assert!(
        said.stdout.starts_with("#") || said.stdout.contains("\nResources:"),
        "{said}"
    );
    assert_eq!(uploaded(&stage), both(CODE), "{said}");
    assert_eq!(stage.double.count("cloudformation", "CreateChangeSet"), 0);
    stage.succeed(&[&PACKAGE[..], &["--output-dir", "out"]].concat());
    let addons = read("api.addons.stack.yml");
    assert!(
        addons.contains(&format!("S3Key: manual/addons/api/assets/{}", digest(CODE))),
        "{addons}"
    );
    let key = format!("manual/addons/api/{}.yml", sha256(addons.as_bytes()));
    let parameters = read("api-test.params.json");
    assert!(parameters.contains(&key), "{parameters}");
}

#[test]
fn what_an_addon_names_must_be_there_and_of_the_project() {
    let stage = stage();
    let addon = ADDON
        .replace("job.py", "/etc/hostname")
        .replace("lambdas/hello", "lambdas/gone");
    stage.write("copilot/api/addons/hello.yml", &addon);
    let said = stage.fail(&SVC);
    said.holds(&[
        "copilot/api/addons/hello.yml:9:",
        "`lambdas/gone` is not a file or folder of the project",
        "copilot/api/addons/hello.yml:15:",
        "`/etc/hostname` is outside of the project",
    ]);
    assert_eq!(stage.double.count("cloudformation", "CreateChangeSet"), 0);
    assert!(uploaded(&stage).is_empty());
}
